//! `bursar env`: the lines that point an SDK at a running service.

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::dev::{self, HEADER_SECRET};
use super::named::{ConfigFile, listen};
use super::{Failure, print, variables};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::server::Origin;
use crate::dialect::Dialect;
use crate::dialect::table::{DIALECTS, names};
use crate::fault::{EX_UNAVAILABLE, EX_USAGE};
use crate::server::Listen;

pub mod client;
mod plan;
mod proxy;
pub mod reach;
pub mod shell;
mod thumbprint;

use reach::{Reach, UNREACHABLE, usual_lines};
use shell::{Setting, Shell};

/// Print the lines that point an SDK at a running service
///
/// Without the configuration of the service they are those of 'bursar dev'. In a shell: eval "$(bursar env)",
/// or for one client all that it needs: eval "$(bursar env --client azure-identity-python)"
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Env {
    #[command(flatten)]
    file: ConfigFile,
    /// Whose syntax to print
    #[arg(long, value_enum, default_value = "bash")]
    shell: Shell,
    /// The lines of this dialect alone
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(names()))]
    dialect: Option<String>,
    /// All that this client needs, also what has to be unset; 'list' shows who is known
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Where 'bursar dev' listens, if it was told
    #[arg(long, value_name = "ADDR", default_values = dev::LISTEN, value_parser = listen, conflicts_with_all = ["config", "file"])]
    listen: Vec<Listen>,
    /// What 'bursar dev' wants to be shown, if it was told
    #[arg(long, value_name = "S", default_value = HEADER_SECRET, conflicts_with_all = ["config", "file"])]
    header_secret: String,
}

/// What is known of the service.
struct Service {
    served: Vec<&'static Dialect>,
    reach: Reach,
}

impl Env {
    /// Prints the lines.
    ///
    /// # Errors
    /// Mistakes in the configuration, a secret that cannot be read for a dotenv file, a certificate that cannot be
    /// looked at, or a client or dialect that cannot be had.
    pub async fn run(self) -> Result<(), Failure> {
        if self.client.as_deref() == Some("list") {
            return print(&client::list());
        }
        let mut service = self.service()?;
        if !service.reach.is_there() {
            return Err(Failure::new(EX_USAGE, UNREACHABLE));
        }
        let asked = self.asked(&service)?;
        let client = self.client.as_deref().map(known).transpose()?;
        let dialect = match client {
            Some(client) => plan::dialect(client, asked, &service.served)?,
            None => asked,
        };
        if let Some(dialect) = dialect {
            service.reach.look_at(dialect).await?;
        }
        let Service { served, reach } = service;
        let lines = match (client, dialect) {
            (Some(client), dialect) => plan::lines(client, dialect, &served, &reach, self.shell, &variables()),
            (None, Some(dialect)) => usual_lines(self.shell, &reach.exports([dialect])),
            (None, None) => usual_lines(self.shell, &reach.exports(usual(served))),
        };
        if lines.is_empty() {
            return Err(Failure::new(EX_USAGE, nothing(dialect)));
        }
        print(&(lines.join("\n") + "\n"))
    }

    fn service(&self) -> Result<Service, Failure> {
        let Some(path) = self.file.path() else {
            let secret = Setting::Text(self.header_secret.clone());
            return Ok(Service { served: DIALECTS.iter().collect(), reach: Reach::new(&self.listen, Some(secret)) });
        };
        let server = Config::read(Some(path), variables(), Clock::System.now())?.server;
        let secret = server.header_secret_origins.into_iter().next().map(Setting::From);
        let secret = secret.map(|secret| self.shown(secret)).transpose()?;
        let thumbprint = server.tls.map(|tls| tls.thumbprint().to_owned());
        Ok(Service { served: server.dialects, reach: Reach { thumbprint, ..Reach::new(&server.listen, secret) } })
    }

    fn asked(&self, service: &Service) -> Result<Option<&'static Dialect>, Failure> {
        let Some(name) = &self.dialect else { return Ok(None) };
        let found = service.served.iter().find(|dialect| dialect.name == name);
        let missing = || Failure::new(EX_USAGE, format!("{name} is not served; add it to 'server.dialects'"));
        found.copied().ok_or_else(missing).map(Some)
    }

    /// A dotenv file runs nothing, so the secret itself has to go into it.
    fn shown(&self, setting: Setting) -> Result<Setting, Failure> {
        let (Shell::Dotenv, Setting::From(origin)) = (self.shell, &setting) else {
            return Ok(setting);
        };
        let found = match origin {
            Origin::Env(name) => variables().remove(name).unwrap_or_default(),
            Origin::File(path) => std::fs::read_to_string(path).map_err(|error| {
                Failure::new(EX_UNAVAILABLE, format!("the header secret in {} cannot be read: {error}", path.display()))
            })?,
        };
        Ok(Setting::Text(found.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

impl Reach {
    /// Finds out what pointing at `dialect` needs and only the running service knows.
    async fn look_at(&mut self, dialect: &Dialect) -> Result<(), Failure> {
        if let (true, None, Some(base)) = (dialect.is_pinned(), &self.thumbprint, &self.tls_base) {
            self.thumbprint = Some(thumbprint::of(base).await?);
        }
        Ok(())
    }
}

fn known(name: &str) -> Result<&'static client::Client, Failure> {
    let unknown = || Failure::new(EX_USAGE, format!("no client is known as that; choose from\n{}", client::list()));
    client::find(name).ok_or_else(unknown)
}

/// Those that SDKs are pointed at unless they are told otherwise.
pub(super) fn usual(dialects: impl IntoIterator<Item = &'static Dialect>) -> impl Iterator<Item = &'static Dialect> {
    dialects.into_iter().filter(|dialect| dialect.is_default)
}

fn nothing(dialect: Option<&Dialect>) -> String {
    match dialect {
        Some(dialect) => {
            format!("no variable points an SDK at {}; docs/endpoints.md tells how it is asked", dialect.name)
        }
        None => "no dialect that an SDK can be pointed at is served; serve imds, or app-service with a header_secret"
            .to_owned(),
    }
}
