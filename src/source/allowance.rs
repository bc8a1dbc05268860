//! What one client may ask of its authority that nobody waits for, or that anybody can demand: so much a second, and
//! of renewals so many at a time.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::standing::LANES;
use crate::caller::share::Share;
use crate::clock::Timestamp;
use crate::freshness::budget::Budget;

/// What is left of it.
#[derive(Debug)]
pub struct Allowance {
    renewals: Mutex<Budget>,
    abreast: Arc<Semaphore>,
    /// Apart from renewals, since whoever can reach a listener can write demands.
    answers: Mutex<Budget>,
}

/// One renewal under way; it is over when this is dropped.
pub type Renewing = OwnedSemaphorePermit;

impl Allowance {
    /// So many renewals a second, and as many answers to demands; of both a share for each caller.
    #[must_use]
    pub fn new(rate: NonZeroU32, share: Option<Share>) -> Self {
        let part = share.map(|share| NonZeroU32::new(share.of(rate.get())).unwrap_or(NonZeroU32::MIN));
        Self {
            renewals: Mutex::new(Budget::of_renewals(rate, part)),
            abreast: Arc::new(Semaphore::new(ABREAST)),
            answers: Mutex::new(Budget::of_answers(rate, part)),
        }
    }

    /// Takes one renewal of a token that the caller in this place had fetched, if there is one.
    #[must_use]
    pub fn renew(&self, caller: Option<usize>, now: Timestamp) -> Option<Renewing> {
        let renewing = Arc::clone(&self.abreast).try_acquire_owned().ok()?;
        lock(&self.renewals).take(caller, now).then_some(renewing)
    }

    /// Somebody waits for an exchange, which begins now: a renewal stands back for it.
    pub fn yield_one(&self, now: Timestamp) {
        lock(&self.renewals).yield_one(now);
    }

    /// Takes one answer to what the caller in this place demands beyond a live token, if there is one.
    #[must_use]
    pub fn answer(&self, caller: Option<usize>, now: Timestamp) -> bool {
        lock(&self.answers).take(caller, now)
    }
}

fn lock(budget: &Mutex<Budget>) -> MutexGuard<'_, Budget> {
    // Invariant: no code panics while it holds this lock, and the value is whole between statements.
    budget.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An authority that hangs holds up no more of a credential's lanes, so that whoever waits finds one.
const ABREAST: usize = LANES as usize * 3 / 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_hang_leave_room_for_who_waits() {
        let allowance = Allowance::new(NonZeroU32::new(10_000).unwrap(), None);
        let now = Timestamp::from_secs(1000);
        let mut under_way: Vec<Renewing> = (0..100).filter_map(|_| allowance.renew(None, now)).collect();
        assert_eq!(under_way.len(), 6);
        under_way.pop();
        assert!(allowance.renew(None, now).is_some());
    }
}
