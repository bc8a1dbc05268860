//! What one caller has of what all share: its line for exchanges, how many of its requests may wait for them, its
//! part of the cache, and how many tenants it may make up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::cache::Bounds;
use super::holding::{Holding, Lease};
use super::line::{Limits, Line};
use crate::caller::Caller;
use crate::caller::roll::Placed;
use crate::caller::share::{Share, over_share};
use crate::fault::Fault;
use crate::source::Source;

/// One caller's.
pub struct Stake {
    /// The caller's place among those that are configured; none where callers are not told apart, and all are one.
    pub place: Option<usize>,
    /// Where its flights wait for their turn.
    pub line: Arc<Line>,
    /// How many sources of each identity it may have had made for tenants of its own choice.
    pub tenants: usize,
    requests: Semaphore,
    /// None where all are one: the cache gives up what was used least, whoever had it fetched.
    holding: Option<Arc<Holding>>,
    share: Share,
    bounds: Bounds,
}

/// The stakes of all callers.
#[derive(Default)]
pub struct Stakes {
    named: Placed<Arc<Stake>>,
    /// Everybody's, where callers are not told apart.
    common: Option<Arc<Stake>>,
}

impl Stakes {
    /// An equal share for each of the callers in these places. Who had the same before goes on with what it has used.
    #[must_use]
    pub fn of_each(places: impl Iterator<Item = usize>, share: Share, bounds: Bounds, before: &Self) -> Self {
        let same = |stake: &&Arc<Stake>| stake.share == share && stake.bounds == bounds;
        let stake = |place: usize| {
            let before = before.at(Some(place)).filter(same).cloned();
            (place, before.unwrap_or_else(|| Arc::new(Stake::new(place, share, bounds))))
        };
        Self { named: places.map(stake).collect(), common: None }
    }

    /// The whole share for all of them together, who go on with what they have used before.
    #[must_use]
    pub fn of_all(before: &Self) -> Self {
        let common = before.common.clone().unwrap_or_else(|| Arc::new(Stake::common()));
        Self { named: Placed::default(), common: Some(common) }
    }

    /// The stake of `caller`; the operator needs none.
    #[must_use]
    pub fn of(&self, caller: Caller) -> Option<&Arc<Stake>> {
        self.at(caller.place()).or(self.common.as_ref().filter(|_| !caller.is_operator()))
    }

    /// The stake of the caller in this place, if there is one.
    #[must_use]
    pub fn at(&self, place: Option<usize>) -> Option<&Arc<Stake>> {
        self.named.get(place?)
    }
}

impl Stake {
    /// The stake of the caller in this place, of which it has used nothing yet.
    #[must_use]
    pub fn new(place: usize, share: Share, bounds: Bounds) -> Self {
        Self {
            place: Some(place),
            line: Arc::new(Line::new(Limits::of(share))),
            tenants: usize::try_from(share.of(TENANTS)).unwrap_or(1),
            requests: Semaphore::new(usize::try_from(share.of(REQUESTS)).unwrap_or(1)),
            // Of what so many of the lightest weigh, which may be a little more than all bytes.
            holding: Some(Arc::new(Holding::new(share.of_bytes(bounds.least().saturating_mul(bounds.entries))))),
            share,
            bounds,
        }
    }

    /// The stake of all, of which they have used nothing yet.
    fn common() -> Self {
        let line = Arc::new(Line::new(Limits::of_all()));
        Self { place: None, line, holding: None, ..Self::new(0, Share::whole(), Bounds::default()) }
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
    pub fn lease(&self, source: &Arc<Source>) -> Result<Option<Lease>, Fault> {
        // A slot that nobody may fly for would only take up room.
        self.line.check(source)?;
        self.holding.as_ref().map(|holding| holding.lease(self.bounds.least())).transpose()
    }

    /// Room for a slot that an exchange of the caller's needs beside its own.
    #[must_use]
    pub fn charge(&self) -> Option<Lease> {
        self.holding.as_ref().map(|holding| holding.charge(self.bounds.least()))
    }
}

/// So many tenants of callers' choice are known for each identity. A bare source takes 1.3 kB as measured, one
/// that knows its endpoint and its credentials' standing less than two.
pub const TENANTS: u32 = 10_000;
/// Each request that waits holds a connection, also when all of them wait for one exchange. That is more than may
/// wait for exchanges of their own, and few of the connections that a process with the usual limits has.
const REQUESTS: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Callers;
    use crate::vend::gate::Gate;
    use crate::vend::sources::tests::source;

    #[test]
    fn where_nobody_is_told_apart_all_are_one_with_the_whole_share_and_no_more() {
        let stakes = Stakes::of_all(&Stakes::default());
        assert!(stakes.of(Callers::operator()).is_none() && stakes.at(Some(0)).is_none());
        let common = stakes.common.as_ref().unwrap();
        let here = Arc::new(source("https://login.corp", "a.example"));
        let gates: Vec<Arc<Gate>> = (0..256 + 1024)
            .map(|_| {
                assert!(common.lease(&here).unwrap().is_none(), "the cache gives up what is old instead");
                let gate = Gate::closed();
                gate.board(Some(&common.line), &here, crate::clock::Deadline::after(Duration::from_mins(1))).unwrap();
                gate
            })
            .collect();
        assert_eq!(gates.iter().filter(|gate| gate.is_open()).count(), 256);
        assert_eq!(common.lease(&here).unwrap_err().status(), 429);
        let waiting: Vec<_> = (0..4096).map(|_| common.wait().unwrap()).collect();
        assert_eq!(common.wait().unwrap_err().status(), 429);
        drop(waiting);
    }
}
