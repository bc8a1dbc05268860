//! `bursar check`: reads a configuration and says what is wrong with it.

use clap::Args;

use super::named::ConfigFile;
use super::{Failure, print, variables};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::identity::Origin;
use crate::fault::EX_USAGE;

/// Read the configuration and print every mistake with its path and remedy
///
/// Exits with 0 when there is none and with 64 otherwise. Warnings keep nothing from starting. Without a file
/// the AZURE_* variables are the configuration.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Check {
    #[command(flatten)]
    file: ConfigFile,
}

impl Check {
    /// Prints the mistakes, or what the configuration amounts to.
    ///
    /// # Errors
    /// There are mistakes.
    pub fn run(self) -> Result<(), Failure> {
        match Config::read(self.file.path(), variables(), Clock::System.now()) {
            Ok(config) => print(&summary(&config)),
            Err(mistakes) => {
                print(&mistakes.to_string())?;
                Err(Failure::new(EX_USAGE, ""))
            }
        }
    }
}

fn summary(config: &Config) -> String {
    let dialects: Vec<&str> = config.server.dialects.iter().map(|dialect| dialect.name).collect();
    let listen: Vec<String> = config.server.listen.iter().map(ToString::to_string).collect();
    let mut text = format!("no mistakes: {} on {}\n", dialects.join(", "), listen.join(", "));
    for identity in &config.identities {
        text += &format!("identity {}: {}\n", identity.rules.name, origin(&identity.origin));
    }
    for warning in &config.warnings {
        text += &format!("warning: {warning}\n");
    }
    text
}

fn origin(origin: &Origin) -> String {
    let Origin::Application(application) = origin else { return "a managed identity of this host".to_owned() };
    let tenants = application.tenants.iter().map(|tenant| tenant.tenant.to_string());
    let any = application.any_tenant.iter().map(|_| "any other".to_owned());
    let tenants: Vec<String> = tenants.chain(any).collect();
    let credentials: Vec<&str> = application.credentials.iter().map(|credential| credential.kind()).collect();
    format!("in {}, proved by {}", tenants.join(", "), credentials.join(", "))
}
