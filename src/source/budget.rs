//! So many exchanges a second that nobody waits for or that anybody can demand, and of those no caller takes
//! more than its share.

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::caller::share::Share;

/// What is left of this second.
pub struct Budget {
    whole: DefaultDirectRateLimiter,
    /// Each caller's part, by its place; none where callers are not told apart.
    parts: Option<DefaultKeyedRateLimiter<usize>>,
}

impl Budget {
    /// So many a second, and of them a share for each caller.
    #[must_use]
    pub fn new(rate: NonZeroU32, share: Option<Share>) -> Self {
        let part = |share: Share| NonZeroU32::new(share.of(rate.get())).unwrap_or(NonZeroU32::MIN);
        Self {
            whole: RateLimiter::direct(Quota::per_second(rate)),
            parts: share.map(|share| RateLimiter::keyed(Quota::per_second(part(share)))),
        }
    }

    /// Takes one for the caller in this place, if there is one; its own part is looked at first, so that what is
    /// beyond it takes nothing from the others.
    #[must_use]
    pub fn take(&self, caller: Option<usize>) -> bool {
        let has_own = match (&self.parts, caller) {
            (Some(parts), Some(caller)) => parts.check_key(&caller).is_ok(),
            _ => true,
        };
        has_own && self.whole.check().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budget: &Budget, caller: Option<usize>) -> usize {
        (0..1000).filter(|_| budget.take(caller)).count()
    }

    #[test]
    fn one_caller_leaves_the_others_theirs() {
        let rate = NonZeroU32::new(20).unwrap();
        let budget = Budget::new(rate, Some(Share::default()));
        assert_eq!([0, 0, 1, 2].map(|caller| taken(&budget, Some(caller))), [5, 0, 5, 5]);
        assert_eq!(taken(&budget, None), 5, "who is nobody takes what is left");
        assert_eq!(taken(&Budget::new(rate, None), Some(0)), 20, "where nobody is told apart, all are one");
    }
}
