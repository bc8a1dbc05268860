//! `bursar sts`: the emulated authority alone, to test other software against.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::named::address;
use super::{Failure, print, told_to_end};
use crate::clock::Clock;
use crate::config::Log;
use crate::fault::EX_SOFTWARE;
use crate::sts;
use crate::telemetry;

/// Emulate Entra ID alone, to test other software against
///
/// Prints one line of JSON when it listens: authority, tenant, client_id, client_secret, ca_file.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Sts {
    /// Where to listen; port 0 lets the system choose
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = address)]
    listen: SocketAddr,
    /// Serve https, and leave ca.pem in this directory, which is made if it is not there
    #[arg(long, value_name = "DIR")]
    tls_dir: Option<PathBuf>,
    /// Applications and lifetimes, in TOML; docs/sts.md has every key
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Sts {
    /// Serves until told to end.
    ///
    /// # Errors
    /// Mistakes in the settings, or an address that cannot be bound.
    pub async fn run(self) -> Result<(), Failure> {
        let (_log, _) =
            telemetry::start(Log::default(), None).map_err(|error| Failure::new(EX_SOFTWARE, error.to_string()))?;
        let settings = self.config.as_deref().map(sts::Settings::read).transpose()?.unwrap_or_default();
        let sts = sts::Sts::start(settings, &[self.listen], self.tls_dir.as_deref(), Clock::System).await?;
        let line = serde_json::to_string(&sts.announcement());
        let line = line.map_err(|error| Failure::new(EX_SOFTWARE, error.to_string()))?;
        print(&format!("{line}\n"))?;
        told_to_end().await?;
        sts.stop().await;
        Ok(())
    }
}

impl From<sts::Error> for Failure {
    fn from(error: sts::Error) -> Self {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Self::new(error.exit_code(), format!("{error}{cause}"))
    }
}
