//! `bursar dev`: everything on loopback, with an authority of its own and no configuration.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use config::FileFormat;
use serde_json::json;
use tokio::runtime::Handle;

use super::env::reach::{Reach, UNREACHABLE, url_of, usual_lines};
use super::env::shell::{Setting, Shell, quoted};
use super::env::usual;
use super::named::{listen, place};
use super::serve::until_told;
use super::{Failure, print, variables};
use crate::app::App;
use crate::clock::Clock;
use crate::config::arc::KEY_DIR;
use crate::config::mistake::Report;
use crate::config::{Config, file};
use crate::dialect::table::DIALECTS;
use crate::fault::{EX_SOFTWARE, EX_UNAVAILABLE, Fault};
use crate::server::{Listen, Server};
use crate::sts::{Announcement, DEFAULT_OBJECT_ID, Settings, Sts};
use crate::telemetry;

pub mod stage;

use stage::Stage;

/// Emulate a managed identity on this machine, with no cloud and no configuration
///
/// Starts an authority of its own, a sample identity and every dialect, and prints what to export and
/// what to try. Nothing real accepts its tokens, so it may listen anywhere when told to. Under which further
/// names it is asked there is for BURSAR__SERVER__HOSTS to say, how it logs for BURSAR__LOG__LEVEL and ..._FORMAT.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Dev {
    /// Where to serve tokens, https:// in front for TLS, unix: for the path of a socket; may be repeated
    #[arg(long, value_name = "ADDR", default_values = LISTEN, value_parser = listen)]
    listen: Vec<Listen>,
    /// Where to serve health and metrics, https:// in front for TLS
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4142", value_parser = place)]
    admin_listen: Listen,
    /// What App Service callers show in X-IDENTITY-HEADER
    #[arg(long, value_name = "S", default_value = HEADER_SECRET)]
    header_secret: String,
    /// Where the key files of Azure Arc lie; without this directory it is not emulated
    #[arg(long, value_name = "DIR", default_value = KEY_DIR)]
    arc_key_dir: PathBuf,
}

impl Dev {
    /// Serves until told to end.
    ///
    /// # Errors
    /// An address that cannot be bound.
    pub async fn run(self) -> Result<(), Failure> {
        let sts =
            Sts::start(Settings::default(), &[SocketAddr::from(([127, 0, 0, 1], 0))], None, Clock::System).await?;
        let announcement = sts.announcement();
        let config = self.config(&announcement)?;
        let (_log, _) =
            telemetry::start(config.log, None).map_err(|error| Failure::new(EX_SOFTWARE, error.to_string()))?;
        let app = App::build(config, Clock::System, Handle::current())?;
        let untold = app.untold();
        let server = app.start().map_err(unstartable)?;
        print(&self.banner(&server, &announcement))?;
        until_told(server, untold).await?;
        sts.stop().await;
        Ok(())
    }

    /// The configuration that an operator would have written for this.
    fn config(&self, announcement: &Announcement) -> Result<Config, Failure> {
        let written = json!({
            "server": {
                "listen": self.listen.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "admin_listen": self.admin_listen.to_string(),
                "hosts": CONTAINER_HOSTS,
                "dialects": self.stage().dialects().map(|dialect| dialect.name).collect::<Vec<_>>(),
                "header_secret": [{ "env": "BURSAR_DEV_HEADER_SECRET" }],
                "allow_unauthenticated": true,
                "drain": "0s",
            },
            "dialects": { "arc": { "key_dir": self.arc_key_dir } },
            "tenants": { "dev": {
                "id": announcement.tenant,
                "authority": announcement.authority,
                "instance_discovery": false,
            } },
            "identities": { "dev": {
                "tenants": ["dev"],
                "client_id": announcement.client_id,
                "object_id": DEFAULT_OBJECT_ID,
                "resource_id": RESOURCE_ID,
                "default": true,
                "resources": ["*"],
                "credentials": [{ "kind": "secret", "env": "BURSAR_DEV_CLIENT_SECRET" }],
            } },
        });
        let client_secret = announcement.client_secret.as_ref().map(|secret| secret.expose().to_owned());
        let variables = self.variables(client_secret.unwrap_or_default());
        let report = Report::default();
        let written = file::parse("dev", &written.to_string(), FileFormat::Json, PathBuf::new(), variables, &report);
        // Invariant: what was just written as JSON can be parsed.
        let written = written.ok_or_else(|| Failure::new(EX_SOFTWARE, "the configuration of dev cannot be read"))?;
        Ok(Config::resolve(&written, report, Clock::System.now())?)
    }

    /// The few variables that may change it, and the secrets that it refers to.
    fn variables(&self, client_secret: String) -> HashMap<String, String> {
        let mut all = variables();
        // Of a region that clients know, so that whatever looks for one goes on.
        let region = all.remove("REGION_NAME").unwrap_or_else(|| "westeurope".to_owned());
        // What is overridden is replaced, and these names are to stay.
        let hosts = all.remove(HOSTS).map(|hosts| (HOSTS, format!("{hosts},{}", CONTAINER_HOSTS.join(","))));
        let ours = [
            ("REGION_NAME", region),
            ("BURSAR_DEV_HEADER_SECRET", self.header_secret.clone()),
            ("BURSAR_DEV_CLIENT_SECRET", client_secret),
        ];
        let ours = ours.into_iter().chain(hosts).map(|(name, value)| (name.to_owned(), value));
        all.into_iter().filter(|(name, _)| name.starts_with("BURSAR__LOG__")).chain(ours).collect()
    }

    fn stage(&self) -> Stage<'_> {
        Stage { listen: &self.listen, arc_key_dir: &self.arc_key_dir }
    }

    /// What is left out, and what it needs.
    fn left_out(&self) -> String {
        let lacks = DIALECTS.iter().filter_map(|dialect| Some((dialect.name, self.stage().lack(dialect)?)));
        lacks.map(|(name, lack)| format!("  without    {name}: {}; {}\n", lack.problem, lack.remedy)).collect()
    }

    /// What has to be said to `bursar env` again.
    fn told(&self, listens: &[Listen]) -> String {
        let elsewhere = listens.iter().map(ToString::to_string).collect::<Vec<_>>() != LISTEN;
        let mut told: String =
            listens.iter().filter(|_| elsewhere).map(|listen| format!(" --listen {listen}")).collect();
        if self.header_secret != HEADER_SECRET {
            told += &format!(" --header-secret={}", quoted(&self.header_secret));
        }
        if self.arc_key_dir != Path::new(KEY_DIR) {
            told += &format!(" --arc-key-dir={}", quoted(&self.arc_key_dir.to_string_lossy()));
        }
        told
    }

    fn banner(&self, server: &Server, announcement: &Announcement) -> String {
        let listens = server.listens();
        let urls: Vec<String> =
            listens.iter().map(|listen| url_of(listen).unwrap_or_else(|| listen.to_string())).collect();
        let reach = Reach::new(&listens, Some(Setting::Text(self.header_secret.clone())));
        let base = reach.base.as_deref().or(reach.tls_base.as_deref());
        let admin = server.admin_listens().iter().find_map(url_of).unwrap_or_default();
        let mut text = String::new();
        // Writing into a String cannot fail.
        write!(
            text,
            "bursar dev: a managed identity on this machine; nothing real accepts its tokens

  tokens     {tokens}
  admin      {admin}  (/status /healthz /readyz /metrics)
  authority  {authority}  tenant {tenant}
  identity   dev  client_id {client_id}
                  object_id {DEFAULT_OBJECT_ID}
                  resource_id {RESOURCE_ID}
{left_out}
Point an SDK at it:

",
            tokens = urls.join("  "),
            left_out = self.left_out(),
            authority = announcement.authority,
            tenant = announcement.tenant,
            client_id = announcement.client_id.as_deref().unwrap_or_default(),
        )
        .ok();
        for line in usual_lines(Shell::Bash, &reach.exports(usual(DIALECTS))) {
            writeln!(text, "  {line}").ok();
        }
        if base.is_none() {
            writeln!(text, "  {UNREACHABLE}").ok();
        }
        let told = self.told(&listens);
        writeln!(text, "\nAll that one client needs, or another dialect ('list' shows who is known):\n\n  bursar env{told} --client NAME").ok();
        let socket = listens.iter().find(|_| base.is_none()).map(|listen| {
            let path = listen.to_string();
            format!(" --unix-socket {}", quoted(path.trim_start_matches("unix:")))
        });
        writeln!(
            text,
            "\nGet a token:\n\n  curl -sS{socket} -H 'Metadata: true' '{base}/token?resource=https://vault.azure.net'\n",
            socket = socket.unwrap_or_default(),
            base = base.unwrap_or("http://localhost"),
        )
        .ok();
        text
    }
}

/// A developer has no configuration to change.
fn unstartable(fault: Fault) -> Failure {
    let mut failure = Failure::from(fault);
    if failure.code == EX_UNAVAILABLE {
        failure.text += " Other addresses are chosen with --listen and --admin-listen, such as --listen 127.0.0.1:4241 --admin-listen 127.0.0.1:4242.";
    }
    failure
}

/// Where it serves tokens unless it is told otherwise.
pub(super) const LISTEN: [&str; 2] = ["127.0.0.1:4141", "https://127.0.0.1:4143"];
/// The documented header secret of `bursar dev`; it opens nothing but the emulator.
pub(super) const HEADER_SECRET: &str = "bursar-dev-header";
/// Which further names it is asked under.
const HOSTS: &str = "BURSAR__SERVER__HOSTS";
/// What containers call this machine, when it is told to listen where they reach it.
const CONTAINER_HOSTS: [&str; 2] = ["host.docker.internal", "host.containers.internal"];
const RESOURCE_ID: &str = "/subscriptions/b0b00000-0000-4000-8000-000000000004/resourcegroups/dev/providers/Microsoft.ManagedIdentity/userAssignedIdentities/dev";
