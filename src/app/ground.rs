//! What stays for as long as the process lives, whatever it serves under.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::clock::Clock;
use crate::flood::{Concern, Floods};
use crate::metrics::Metrics;
use crate::trace::Sampling;

/// The time, the counters, and the like.
#[derive(Clone)]
pub(super) struct Ground {
    /// The time.
    pub(super) clock: Clock,
    /// Which lines of the log have become a flood.
    pub(super) floods: Arc<Floods<Concern>>,
    /// What our own requests to a host's managed identity carry.
    pub(super) mark: Arc<str>,
    /// Where events are counted.
    pub(super) metrics: Arc<Metrics>,
    /// Which requests are traced, if any.
    pub(super) sampling: Option<Sampling>,
    /// Where flights live.
    pub(super) runtime: Handle,
}
