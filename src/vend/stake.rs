//! What one caller has of what all share: its line for exchanges, how many of its requests may wait for them, its
//! part of the cache, and how many tenants it may make up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::cache::Bounds;
use super::holding::{Holding, Lease};
use super::line::{Limits, Line};
use crate::caller::Caller;
use crate::caller::share::{Share, over_share};
use crate::fault::Fault;
use crate::source::Source;

/// One caller's.
pub struct Stake {
    /// The caller's place among those that are configured.
    pub place: usize,
    /// Where its flights wait for their turn.
    pub line: Arc<Line>,
    /// How many sources of each identity it may have had made for tenants of its own choice.
    pub tenants: usize,
    requests: Semaphore,
    holding: Arc<Holding>,
    /// What an empty slot weighs.
    least: u64,
}

/// The stakes of all callers, in their places; none where callers are not told apart.
#[derive(Default)]
pub struct Stakes(Vec<Arc<Stake>>);

impl Stakes {
    /// An equal share for each of so many callers.
    #[must_use]
    pub fn new(callers: usize, share: Share, bounds: Bounds) -> Self {
        Self((0..callers).map(|place| Arc::new(Stake::new(place, share, bounds))).collect())
    }

    /// The stake of `caller`, if it is told apart from others.
    #[must_use]
    pub fn of(&self, caller: Caller) -> Option<&Arc<Stake>> {
        self.at(caller.place())
    }

    /// The stake of the caller in this place, if there is one.
    #[must_use]
    pub fn at(&self, place: Option<usize>) -> Option<&Arc<Stake>> {
        self.0.get(place?)
    }
}

impl Stake {
    /// The stake of the caller in this place, of which it has used nothing yet.
    #[must_use]
    pub fn new(place: usize, share: Share, bounds: Bounds) -> Self {
        Self {
            place,
            line: Arc::new(Line::new(Limits::of(share))),
            tenants: usize::try_from(share.of(TENANTS)).unwrap_or(1),
            requests: Semaphore::new(usize::try_from(share.of(REQUESTS)).unwrap_or(1)),
            // Of what so many of the lightest weigh, which may be a little more than all bytes.
            holding: Arc::new(Holding::new(share.of_bytes(bounds.least().saturating_mul(bounds.entries)))),
            least: bounds.least(),
        }
    }

    /// Lets one more of its requests wait, until the answer is dropped.
    ///
    /// # Errors
    /// So many wait that no more may.
    pub fn wait(&self) -> Result<SemaphorePermit<'_>, Fault> {
        let problem = "more of the caller's requests wait for tokens than its share";
        self.requests.try_acquire().map_err(|_| over_share(problem, Duration::from_secs(1)))
    }

    /// Room for a new slot, which an exchange with `source` is to fill.
    ///
    /// # Errors
    /// The caller has its share, of exchanges or of the cache.
    pub fn lease(&self, source: &Arc<Source>) -> Result<Lease, Fault> {
        // A slot that nobody may fly for would only take up room.
        self.line.check(source)?;
        self.holding.lease(self.least)
    }

    /// Room for a slot that an exchange of the caller's needs beside its own.
    #[must_use]
    pub fn charge(&self) -> Lease {
        self.holding.charge(self.least)
    }
}

/// So many tenants of callers' choice are known for each identity. A bare source takes 1.3 kB as measured, one
/// that knows its endpoint and its credentials' standing less than two.
pub const TENANTS: u32 = 10_000;
/// Each request that waits holds a connection, also when all of them wait for one exchange. That is more than may
/// wait for exchanges of their own, and few of the connections that a process with the usual limits has.
const REQUESTS: u32 = 4096;
