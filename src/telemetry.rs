//! Where logs go: to stderr, ours up to the configured level, everybody else's never below `info`, and
//! only warnings unless more than `info` is wanted. Where spans go, [`traces`] says.

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{FilterExt, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt};

use crate::config::{Format, Log};
use crate::server::FRAMEWORK;

mod carrier;
mod remote;
pub mod traces;

/// Takes lines or spans, each of them by a filter of its own.
pub type Sink = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts to log, until the guard is dropped, and gives spans to `traces` where they are wanted. Whoever reads our
/// stderr may stall; then lines are dropped, because a request must not wait for its log. HTTP libraries print headers
/// and bodies at `debug`, which is why the level is ours alone.
///
/// # Errors
/// The process logs already.
pub fn start(log: Log, traces: Option<Sink>) -> Result<(WorkerGuard, Dial), TryInitError> {
    let (filter, handle) = reload::Layer::new(filter(log.level));
    let filter = filter.and(filter_fn(is_line));
    let (writer, guard) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES).finish(std::io::stderr());
    let layer = fmt::layer().with_writer(writer);
    let lines: Sink = match log.format {
        Format::Json => layer.json().flatten_event(true).with_filter(filter).boxed(),
        Format::Text => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            layer.with_ansi(colours).with_filter(filter).boxed()
        }
    };
    let sinks: Vec<Sink> = traces.into_iter().chain([lines]).collect();
    tracing_subscriber::registry().with(sinks).try_init()?;
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
    // What is no HTTP is an error to the framework, and to us a caller's mistake, of which anybody can make thousands.
    let framework = if ours > LevelFilter::INFO { LevelFilter::INFO } else { LevelFilter::OFF };
    Targets::new().with_target("bursar", ours).with_target(FRAMEWORK, framework).with_default(others)
}

/// A line is the same whether what it is about is traced or not, and so says nothing of spans.
fn is_line(metadata: &Metadata<'_>) -> bool {
    metadata.is_event()
}

/// So many lines wait for whoever reads them. The queue is touched whole when it is made, with 32 bytes for each.
const LINES: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callers_do_wrong_in_http_fills_no_log() {
        for (level, ours, framework) in
            [(Level::INFO, true, false), (Level::ERROR, false, false), (Level::DEBUG, true, true)]
        {
            let filter = filter(level);
            assert_eq!(filter.would_enable("bursar::server", &Level::INFO), ours, "{level}");
            assert_eq!(
                filter.would_enable(&format!("{FRAMEWORK}::h1::dispatcher"), &Level::ERROR),
                framework,
                "{level}"
            );
            assert!(filter.would_enable("rustls", &Level::ERROR), "{level}");
        }
    }
}
