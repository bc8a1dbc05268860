//! `bursar serve`: the service.

use std::io;

use clap::Args;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::named::ConfigFile;
use super::{Failure, told_to_end, variables};
use crate::app::App;
use crate::app::floods::Untold;
use crate::clock::Clock;
use crate::config::Config;
use crate::fault::EX_SOFTWARE;
use crate::server::{Listen, Server};
use crate::telemetry;

/// Serve tokens to workloads
///
/// Without a file, AZURE_CLIENT_ID, AZURE_TENANT_ID, AZURE_AUTHORITY_HOST and one of
/// AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH and AZURE_FEDERATED_TOKEN_FILE are the
/// configuration. BURSAR__SERVER__LISTEN and its like override the file, which is read again when it
/// changes, and on SIGHUP.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Serve {
    #[command(flatten)]
    file: ConfigFile,
}

impl Serve {
    /// Serves until told to end.
    ///
    /// # Errors
    /// Mistakes in the configuration, or an address that cannot be bound.
    pub async fn run(self) -> Result<(), Failure> {
        // Before anything that takes time: until somebody listens for it, the signal ends the process.
        let hangups = signal(SignalKind::hangup());
        let config = Config::read(self.file.path(), variables(), Clock::System.now())?;
        let open = |settings| telemetry::traces::open(settings, Clock::System, Handle::current());
        let (sink, traces) = config.traces.clone().map(open).transpose()?.unzip();
        let (_log, dial) =
            telemetry::start(config.log, sink).map_err(|error| Failure::new(EX_SOFTWARE, error.to_string()))?;
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        if config.server.allow_unauthenticated {
            tracing::warn!("allow_unauthenticated is on: whoever reaches a token listener gets tokens");
        }
        let app = App::build(config, Clock::System, Handle::current())?.with_dial(dial);
        let untold = app.untold();
        let server = heard(app, hangups).start()?;
        let (tokens, admin) = (listed(&server.listens()), listed(&server.admin_listens()));
        tracing::info!(%tokens, %admin, "serving");
        until_told(server, untold).await?;
        if let Some(traces) = traces {
            traces.end().await;
        }
        Ok(())
    }
}

/// The same, which hears hangups if it can.
fn heard(app: App, hangups: io::Result<Signal>) -> App {
    match hangups {
        Ok(hangups) => app.with_hangups(hangups),
        Err(error) => {
            tracing::warn!(%error, "SIGHUP cannot be received; the files are watched all the same");
            app
        }
    }
}

fn listed(places: &[Listen]) -> String {
    let places: Vec<String> = places.iter().map(ToString::to_string).collect();
    format!("[{}]", places.join(", "))
}

/// Serves until told to end, then drains; told again, it ends at once.
pub(super) async fn until_told(server: Server, untold: Untold) -> Result<(), Failure> {
    told_to_end().await?;
    tracing::info!("draining");
    let is_drained = tokio::select! {
        () = server.shutdown() => true,
        told = told_to_end() => told.map(|()| false)?,
    };
    untold.tell();
    if is_drained {
        tracing::info!("ended");
    } else {
        tracing::warn!("told twice; ended without draining");
    }
    Ok(())
}
