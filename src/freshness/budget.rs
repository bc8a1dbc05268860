//! So many renewals a second that nobody waits for, of which no caller's tokens take more than their share; or as
//! many answers to what anybody can demand.

use std::collections::HashMap;
use std::num::NonZeroU32;

use super::bucket::Bucket;
use crate::clock::Timestamp;

/// What is left of this second for one client at one authority.
#[derive(Debug)]
pub struct Budget {
    whole: Bucket,
    /// What exchanges that somebody waits for may take from it.
    yielded: Option<Bucket>,
    /// A full part, and what is left of each caller's by its place; none where callers are not told apart.
    parts: Option<(Bucket, HashMap<usize, Bucket>)>,
}

impl Budget {
    /// `rate` renewals a second, evenly, and of them `part` for each caller's tokens. Exchanges that somebody waits for
    /// go first, but half of the rate is left to renewals: else a caller of ever new keys would let all others' age.
    #[must_use]
    pub fn of_renewals(rate: NonZeroU32, part: Option<NonZeroU32>) -> Self {
        let half = NonZeroU32::new(rate.get() / 2);
        let parts = part.map(|part| (Bucket::smooth(part), HashMap::new()));
        Self { whole: Bucket::smooth(rate), yielded: half.map(Bucket::smooth), parts }
    }

    /// `rate` answers a second to what callers demand, who wait for them: all at once, if need be.
    #[must_use]
    pub fn of_answers(rate: NonZeroU32, part: Option<NonZeroU32>) -> Self {
        let parts = part.map(|part| (Bucket::sudden(part), HashMap::new()));
        Self { whole: Bucket::sudden(rate), yielded: None, parts }
    }

    /// Takes one for the caller in this place, if there is one both for all and for it.
    #[must_use]
    pub fn take(&mut self, caller: Option<usize>, now: Timestamp) -> bool {
        self.whole.has_one(now) && self.takes_own(caller, now) && self.whole.take(now)
    }

    fn takes_own(&mut self, caller: Option<usize>, now: Timestamp) -> bool {
        match (&mut self.parts, caller) {
            (Some((full, parts)), Some(caller)) => parts.entry(caller).or_insert_with(|| full.clone()).take(now),
            _ => true,
        }
    }

    /// Somebody waits for an exchange, which begins now: a renewal stands back for it.
    pub fn yield_one(&mut self, now: Timestamp) {
        if self.yielded.as_mut().is_some_and(|yielded| yielded.take(now)) {
            self.whole.owe(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1000);

    fn rate(rate: u32) -> NonZeroU32 {
        NonZeroU32::new(rate).unwrap()
    }

    fn taken(budget: &mut Budget, caller: Option<usize>) -> usize {
        (0..1000).filter(|_| budget.take(caller, NOW)).count()
    }

    #[test]
    fn one_caller_leaves_the_others_theirs() {
        let mut budget = Budget::of_answers(rate(20), Some(rate(5)));
        assert_eq!([0, 0, 1, 2].map(|caller| taken(&mut budget, Some(caller))), [5, 0, 5, 5]);
        assert_eq!(taken(&mut budget, None), 5, "who is nobody takes what is left");
        let mut common = Budget::of_answers(rate(20), None);
        assert_eq!(taken(&mut common, Some(0)), 20, "where nobody is told apart, all are one");
    }

    /// How many renewals there are in ten seconds in which so many exchanges a second are waited for.
    fn renewals(waited_for: u64) -> usize {
        let mut budget = Budget::of_renewals(rate(20), None);
        let mut renewed = 0;
        for millis in 0..10_000 {
            let now = NOW + Duration::from_millis(millis);
            if waited_for > 0 && millis % (1000 / waited_for) == 0 {
                budget.yield_one(now);
            }
            renewed += usize::from(budget.take(None, now));
        }
        renewed
    }

    #[test]
    fn renewals_stand_back_and_are_not_starved() {
        for (waited_for, expected) in [(0, 200), (4, 160), (10, 100), (20, 100), (500, 100)] {
            let renewed = renewals(waited_for);
            assert!(renewed.abs_diff(expected) <= 10, "{renewed}, not {expected}, beside {waited_for}");
        }
    }
}
