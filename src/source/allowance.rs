//! What one client may ask of its authority that nobody waits for, or that anybody can demand: so much a second, and
//! of renewals so many at a time.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::standing::LANES;
use crate::caller::share::Share;
use crate::clock::Timestamp;
use crate::freshness::budget::Budget;

/// How much it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Renewals a second, and as many answers to demands.
    pub of_all: NonZeroU32,
    /// How many of both one caller may take, where callers are told apart.
    pub share: Option<Share>,
}

/// What is left of it.
#[derive(Debug)]
pub struct Allowance {
    budgets: Mutex<Budgets>,
    abreast: Arc<Semaphore>,
}

#[derive(Debug)]
struct Budgets {
    rate: Rate,
    renewals: Budget,
    /// Apart from renewals, since whoever can reach a listener can write demands.
    answers: Budget,
}

impl Budgets {
    /// Nothing of them is used.
    fn new(rate: Rate) -> Self {
        let Rate { of_all, share } = rate;
        let part = share.map(|share| NonZeroU32::new(share.of(of_all.get())).unwrap_or(NonZeroU32::MIN));
        Self { rate, renewals: Budget::of_renewals(of_all, part), answers: Budget::of_answers(of_all, part) }
    }
}

/// One renewal under way; it is over when this is dropped.
pub type Renewing = OwnedSemaphorePermit;

impl Allowance {
    /// At this rate.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { budgets: Mutex::new(Budgets::new(rate)), abreast: Arc::new(Semaphore::new(ABREAST)) }
    }

    /// How much it is.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.lock().rate
    }

    /// Makes it as much as `rate` from now on; another one begins with nothing used.
    pub fn set(&self, rate: Rate) {
        let mut budgets = self.lock();
        if budgets.rate != rate {
            *budgets = Budgets::new(rate);
        }
    }

    /// Takes one renewal of a token that the caller in this place had fetched, if there is one.
    #[must_use]
    pub fn renew(&self, caller: Option<usize>, now: Timestamp) -> Option<Renewing> {
        let renewing = Arc::clone(&self.abreast).try_acquire_owned().ok()?;
        self.lock().renewals.take(caller, now).then_some(renewing)
    }

    /// Somebody waits for an exchange, which begins now: a renewal stands back for it.
    pub fn yield_one(&self, now: Timestamp) {
        self.lock().renewals.yield_one(now);
    }

    /// Takes one answer to what the caller in this place demands beyond a live token, if there is one.
    #[must_use]
    pub fn answer(&self, caller: Option<usize>, now: Timestamp) -> bool {
        self.lock().answers.take(caller, now)
    }

    fn lock(&self) -> MutexGuard<'_, Budgets> {
        // Invariant: no code panics while it holds this lock, and the value is whole between statements.
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An authority that hangs holds up no more of a credential's lanes, so that whoever waits finds one.
const ABREAST: usize = LANES as usize * 3 / 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(of_all: u32) -> Rate {
        Rate { of_all: NonZeroU32::new(of_all).unwrap(), share: None }
    }

    #[test]
    fn another_rate_begins_anew_and_the_same_goes_on() {
        let (allowance, now) = (Allowance::new(rate(2)), Timestamp::from_secs(1000));
        let answers = || (0..100).filter(|_| allowance.answer(None, now)).count();
        assert_eq!(answers(), 2);
        allowance.set(rate(2));
        assert_eq!(answers(), 0);
        allowance.set(rate(3));
        assert_eq!((answers(), allowance.rate()), (3, rate(3)));
    }

    #[test]
    fn those_that_hang_leave_room_for_who_waits() {
        let allowance = Allowance::new(rate(10_000));
        let now = Timestamp::from_secs(1000);
        let mut under_way: Vec<Renewing> = (0..100).filter_map(|_| allowance.renew(None, now)).collect();
        assert_eq!(under_way.len(), 6);
        under_way.pop();
        assert!(allowance.renew(None, now).is_some());
    }
}
