//! Where logs go: to stderr, ours up to the configured level, everybody else's never below `info`, and
//! only warnings unless more than `info` is wanted.

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{Format, Log};

/// Starts to log, until the guard is dropped. Whoever reads our stderr may stall; then lines are dropped,
/// because a request must not wait for its log. HTTP libraries print headers and bodies at `debug`, which is why the level is ours alone.
///
/// # Errors
/// The process logs already.
pub fn start(log: Log) -> Result<(WorkerGuard, Dial), TryInitError> {
    let (filter, handle) = reload::Layer::new(filter(log.level));
    let registry = tracing_subscriber::registry().with(filter);
    let (writer, guard) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES).finish(std::io::stderr());
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    match log.format {
        Format::Json => registry.with(layer.json().flatten_event(true)).try_init()?,
        Format::Text => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            registry.with(layer.with_ansi(colours)).try_init()?;
        }
    }
    Ok((guard, Dial(handle)))
}

/// Sets how much is logged. What is not is known at each place in the code, and costs as little as where it cannot be
/// set.
#[derive(Clone)]
pub struct Dial(Handle<Targets, Registry>);

impl Dial {
    /// Logs our own words up to this level from now on.
    pub fn set(&self, level: Level) {
        if let Err(error) = self.0.reload(filter(level)) {
            tracing::error!(%error, "the level of the log cannot be changed");
        }
    }
}

fn filter(level: Level) -> Targets {
    let ours = LevelFilter::from_level(level);
    let others = if ours > LevelFilter::INFO { LevelFilter::INFO } else { ours.min(LevelFilter::WARN) };
    Targets::new().with_target("bursar", ours).with_default(others)
}

/// So many lines wait for whoever reads them. The queue is touched whole when it is made, with 32 bytes for each.
const LINES: usize = 8192;
