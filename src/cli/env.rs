//! `bursar env`: the lines that point an SDK at a running service.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::dev::stage::Stage;
use super::dev::{self, HEADER_SECRET};
use super::named::{ConfigFile, listen};
use super::{Failure, print, variables};
use crate::caller::Means;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::arc::KEY_DIR;
use crate::config::server::Origin;
use crate::dialect::Dialect;
use crate::dialect::table::{DIALECTS, names};
use crate::fault::{EX_UNAVAILABLE, EX_USAGE};
use crate::server::Listen;

pub mod client;
mod plan;
mod proxy;
pub mod reach;
pub mod service;
pub mod shell;
mod thumbprint;
pub mod way;

use reach::{UNREACHABLE, usual_lines};
use service::Service;
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
    /// Whose header secret it is, where the configuration tells callers apart
    #[arg(long, value_name = "NAME")]
    caller: Option<String>,
    /// Where 'bursar dev' listens, if it was told
    #[arg(long, value_name = "ADDR", default_values = dev::LISTEN, value_parser = listen, conflicts_with_all = ["config", "file"])]
    listen: Vec<Listen>,
    /// What 'bursar dev' wants to be shown, if it was told
    #[arg(long, value_name = "S", default_value = HEADER_SECRET, conflicts_with_all = ["config", "file"])]
    header_secret: String,
    /// Where the key files of 'bursar dev' lie, if it was told
    #[arg(long, value_name = "DIR", default_value = KEY_DIR, conflicts_with_all = ["config", "file"])]
    arc_key_dir: PathBuf,
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
        let client = self.client.as_deref().map(known).transpose()?;
        let mut service = self.service()?;
        if !service.reach.is_there() {
            return Err(Failure::new(EX_USAGE, UNREACHABLE));
        }
        let dialect = match client {
            Some(client) => plan::dialect(client, self.asked(), &service)?,
            None => self.dialect(&service)?,
        };
        if let Some(dialect) = dialect {
            service.look_at(dialect).await?;
        }
        let lines = match (client, dialect) {
            (Some(client), _) => plan::lines(client, dialect, &service, self.shell, &variables()),
            (None, Some(dialect)) => one(dialect, &service, self.shell),
            (None, None) => usual_lines(self.shell, &service.reach.exports(usual(service.served))),
        };
        print(&(lines.join("\n") + "\n"))
    }

    fn service(&self) -> Result<Service, Failure> {
        let Some(path) = self.file.path() else {
            if self.caller.is_some() {
                let told = "callers are told apart by a configuration; name it with --config";
                return Err(Failure::new(EX_USAGE, told));
            }
            let stage = Stage { listen: &self.listen, arc_key_dir: &self.arc_key_dir };
            return Ok(Service::of_dev(stage, Setting::Text(self.header_secret.clone())));
        };
        let config = Config::read(Some(path), variables(), Clock::System.now())?;
        let secret = self.origin(&config)?.cloned().map(Setting::From);
        let secret = secret.map(|secret| self.shown(secret)).transpose()?;
        Ok(Service::configured(&config.server, secret))
    }

    /// Where the header secret lies: the service's, or, where callers are told apart, that of the one that is named.
    fn origin<'a>(&self, config: &'a Config) -> Result<Option<&'a Origin>, Failure> {
        let names =
            || config.callers.iter().map(|caller| caller.entitlement.caller.as_str()).collect::<Vec<_>>().join(", ");
        let failure = |text| Err(Failure::new(EX_USAGE, text));
        let Some(name) = &self.caller else {
            let is_wanted = config.server.dialects.iter().any(|dialect| dialect.guard.needs_secret());
            return if config.callers.is_empty() || !is_wanted {
                Ok(config.server.header_secret_origins.first())
            } else {
                failure(format!("callers are told apart here; say whose lines with --caller: {}", names()))
            };
        };
        match config.callers.iter().find(|caller| caller.entitlement.caller.as_str() == name) {
            None => failure(format!("no caller has this name; choose from {}", names())),
            Some(caller) if caller.proof.means() == Means::ServiceAccount => failure(format!(
                "{name} is known by its service account: put the content of its projected token into IDENTITY_HEADER, as docs/configuration.md tells"
            )),
            Some(caller) => Ok(caller.origins.first()),
        }
    }

    /// Whose lines to print when no client is named: those of one dialect, or, as none, of the usual ones.
    fn dialect(&self, service: &Service) -> Result<Option<&'static Dialect>, Failure> {
        let failure = |text| Err(Failure::new(EX_USAGE, text));
        match (self.asked(), way::best(&service.served)) {
            (None, None) => failure(nothing(service)),
            (None, Some(best)) => Ok(Some(best).filter(|best| !best.is_default)),
            (Some(asked), _) => match service.absence(asked.name) {
                Some(absent) => failure(absent.told()),
                None if asked.exports.is_empty() => {
                    failure(format!("no variable points an SDK at {}; {ENDPOINTS}", asked.name))
                }
                None => Ok(Some(asked)),
            },
        }
    }

    fn asked(&self) -> Option<&'static Dialect> {
        DIALECTS.iter().find(|dialect| Some(dialect.name) == self.dialect.as_deref())
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

fn known(name: &str) -> Result<&'static client::Client, Failure> {
    let unknown = || Failure::new(EX_USAGE, format!("no client is known as {name}; choose from\n{}", client::list()));
    client::find(name).ok_or_else(unknown)
}

/// Those that SDKs are pointed at unless they are told otherwise.
pub(super) fn usual(dialects: impl IntoIterator<Item = &'static Dialect>) -> impl Iterator<Item = &'static Dialect> {
    dialects.into_iter().filter(|dialect| dialect.is_default)
}

/// The lines of one dialect, with what has to be known of it as comments.
fn one(dialect: &'static Dialect, service: &Service, shell: Shell) -> Vec<String> {
    let catches = way::catches(dialect).into_iter().map(|catch| format!("# {catch}"));
    catches.chain(usual_lines(shell, &service.reach.exports([dialect]))).collect()
}

/// Why nothing can be printed: no variable leads to what is served.
fn nothing(service: &Service) -> String {
    let served: Vec<&str> = service.served.iter().map(|dialect| dialect.name).collect();
    let remedies = ["imds", "app-service"].into_iter().filter_map(|name| Some(service.absence(name)?.remedy()));
    let remedies = remedies.collect::<Vec<_>>().join(", or ");
    format!("only {} is served, and no variable points an SDK at it; {remedies}; {ENDPOINTS}", served.join(", "))
}

const ENDPOINTS: &str = "docs/endpoints.md tells how it is asked";
