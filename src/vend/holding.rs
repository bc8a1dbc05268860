//! What one caller has had made in the cache, in the bytes that it weighs there.
//!
//! An entry weighs at least its even share of all bytes, so that one number bounds a caller's slots and the
//! bytes of its tokens, as it does for the cache. What a token weighs is known when it is there; until then it is
//! taken for as heavy as the caller's last one.

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
    /// What the last token weighed.
    last: AtomicU64,
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
        Self { most, held: AtomicU64::new(0), last: AtomicU64::new(0) }
    }

    /// Room for a new slot of at least `weight`. The first one always finds some.
    ///
    /// # Errors
    /// The caller has its share already.
    pub fn lease(self: &Arc<Self>, weight: u64) -> Result<Lease, Fault> {
        let weight = weight.max(self.last.load(Ordering::Acquire));
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
    /// Notes what the slot weighs by now. Says whether there is room for that, in what it had or in the caller's share.
    pub fn weigh(&self, weight: u64) -> bool {
        let Holding { most, held, last } = &*self.holding;
        last.store(weight, Ordering::Release);
        let before = self.weight.swap(weight, Ordering::AcqRel);
        // Added first, so that the sum is never less than nothing.
        held.fetch_add(weight, Ordering::AcqRel);
        let others = held.fetch_sub(before, Ordering::AcqRel) - before - weight;
        weight <= before || others == 0 || others + weight <= *most
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.holding.held.fetch_sub(*self.weight.get_mut(), Ordering::AcqRel);
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
        assert!(second.weigh(99));
        assert!(holding.lease(2).is_err(), "a token may weigh more than was thought");
        second.weigh(50);
        let charged = holding.charge(1000);
        assert!(holding.lease(1).is_err());
        drop((second, charged));
        assert!(holding.lease(500).is_ok(), "the first always finds room");
    }

    #[test]
    fn what_turns_out_too_heavy_is_told_and_the_next_is_expected_to_be_as_heavy() {
        let holding = Arc::new(Holding::new(100));
        let [first, second, third] = [(); 3].map(|()| holding.lease(10).unwrap());
        assert!(first.weigh(60) && !second.weigh(60) && third.weigh(10));
        drop(second);
        assert!(holding.lease(10).is_ok() && !third.weigh(60));
        drop(third);
        assert!(holding.lease(10).is_err(), "it is taken for as heavy as the last");
        drop(first);
        assert!(holding.lease(10).unwrap().weigh(1000), "the first always finds room");
    }
}
