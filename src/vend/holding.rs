//! What one caller has had made in the cache, in the bytes that it weighs there.
//!
//! An entry weighs at least its even share of all bytes, so that one number bounds a caller's slots and the
//! bytes of its tokens, as it does for the cache. What a token weighs is known when it is there. Where one then found
//! no room, nothing lighter is expected until something is given back, or it would be fetched again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::caller::share::over_share;
use crate::fault::Fault;

/// How much of the cache one caller has.
#[derive(Debug)]
pub struct Holding {
    most: u64,
    held: AtomicU64,
    /// What the last token weighed that found no room.
    refused: AtomicU64,
}

/// The part of it that one slot takes. It goes back when the slot is dropped.
#[derive(Debug)]
pub struct Lease {
    holding: Arc<Holding>,
    weight: AtomicU64,
}

impl Holding {
    /// Nothing yet, and never more than `most`, but for what [`charge`](Self::charge) adds.
    #[must_use]
    pub const fn new(most: u64) -> Self {
        Self { most, held: AtomicU64::new(0), refused: AtomicU64::new(0) }
    }

    /// Room for a new slot of at least `weight`. The first one always finds some.
    ///
    /// # Errors
    /// The caller has its share already.
    pub fn lease(self: &Arc<Self>, weight: u64) -> Result<Lease, Fault> {
        let weight = weight.max(self.refused.load(Ordering::Acquire));
        let more = |held: u64| {
            let wanted = held.saturating_add(weight);
            (held == 0 || wanted <= self.most).then_some(wanted)
        };
        let taken = self.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        taken.map_err(|_| over_share("the caller keeps as many tokens as its share of the cache holds", PATIENCE))?;
        Ok(Lease { holding: Arc::clone(self), weight: AtomicU64::new(weight) })
    }

    /// The same without a question: for what is not the caller's own wish, and follows from one.
    #[must_use]
    pub fn charge(self: &Arc<Self>, weight: u64) -> Lease {
        self.held.fetch_add(weight, Ordering::AcqRel);
        Lease { holding: Arc::clone(self), weight: AtomicU64::new(weight) }
    }
}

impl Lease {
    /// Notes what the slot weighs by now. Where it `may_go`, and there is no room for it, in what it had or in the
    /// caller's share, it gives back what it had; says whether it stays.
    pub fn weigh(&self, weight: u64, may_go: bool) -> bool {
        let Holding { most, held, refused } = &*self.holding;
        let before = self.weight.load(Ordering::Acquire);
        let stays = |others: u64| !may_go || weight <= before || others == 0 || others + weight <= *most;
        // What this one had is in the sum.
        let next = |held: u64| Some(held - before + if stays(held - before) { weight } else { 0 });
        let (Ok(held) | Err(held)) = held.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        let stays = stays(held - before);
        self.weight.store(if stays { weight } else { 0 }, Ordering::Release);
        if !stays {
            refused.store(weight, Ordering::Release);
        }
        stays
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let weight = *self.weight.get_mut();
        if weight > 0 {
            self.holding.held.fetch_sub(weight, Ordering::AcqRel);
            self.holding.refused.store(0, Ordering::Release);
        }
    }
}

/// Room comes back when tokens end, which is looked at each minute; asking again is cheap.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back() {
        let holding = Arc::new(Holding::new(100));
        let first = holding.lease(40).unwrap();
        let second = holding.lease(60).unwrap();
        let fault = holding.lease(1).unwrap_err();
        assert_eq!((fault.status(), fault.retry_after()), (429, Some(PATIENCE)));
        drop(first);
        assert!(second.weigh(99, true));
        assert!(holding.lease(2).is_err(), "a token may weigh more than was thought");
        assert!(second.weigh(50, true));
        let charged = holding.charge(1000);
        assert!(holding.lease(1).is_err());
        drop((second, charged));
        assert!(holding.lease(500).is_ok(), "the first always finds room");
    }

    #[test]
    fn what_finds_no_room_once_it_has_come_is_expected_until_something_is_given_back() {
        let holding = Arc::new(Holding::new(100));
        let [first, second, third] = [(); 3].map(|()| holding.lease(10).unwrap());
        assert!(first.weigh(60, true) && !second.weigh(60, true));
        assert!(holding.lease(10).is_err(), "it would be as heavy");
        drop(second);
        assert!(holding.lease(10).is_err() && third.weigh(10, true), "it had given back what it had");
        drop(third);
        assert!(holding.lease(10).is_ok(), "there may be room by now");
        assert!(first.weigh(1000, false) && holding.lease(10).is_err(), "what has to stay is counted");
        drop(first);
        assert!(holding.lease(10).unwrap().weigh(1000, true), "the first always finds room");
    }
}
