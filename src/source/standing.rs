//! How one credential stands with its authority: trusted, unknown, or at rest until a time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::clock::Timestamp;
use crate::fault::{Fault, Kind};
use crate::freshness::cool_down;

/// What the authority last said of a credential.
#[derive(Debug, Default)]
pub struct Standing {
    rest: Mutex<Option<Rest>>,
    /// Whether the last exchange that told anything of it gave a token.
    trusted: AtomicBool,
    /// Of which credential all this was said.
    generation: AtomicU64,
    /// A trusted credential may be in several exchanges at a time. Until it is trusted they go one by one,
    /// so that a bad one is shown to the authority once, and not by every cold key at the same time.
    lanes: Lanes,
}

#[derive(Debug)]
struct Lanes(Semaphore);

impl Default for Lanes {
    fn default() -> Self {
        Self(Semaphore::new(LANES as usize))
    }
}

#[derive(Debug)]
struct Rest {
    /// Why: the authority rejected it, or it could not be applied.
    fault: Fault,
    failures: u32,
    since: Timestamp,
    until: Timestamp,
}

impl Rest {
    /// Whether it still counts; not when the clock was set back behind its beginning.
    fn stands(&self, now: Timestamp) -> bool {
        (self.since..self.until).contains(&now)
    }
}

impl Standing {
    /// Nothing is known yet of the credential's present `generation`.
    #[must_use]
    pub fn of(generation: u64) -> Self {
        Self { generation: AtomicU64::new(generation), ..Self::default() }
    }

    /// Until when it stands rejected, and why.
    #[must_use]
    pub fn rejected(&self, now: Timestamp) -> Option<(Timestamp, Fault)> {
        let rest = self.lock();
        let stands = |rest: &&Rest| rest.stands(now) && rest.fault.kind == Kind::RejectedCredential;
        rest.as_ref().filter(stands).map(|rest| (rest.until, rest.fault.clone()))
    }

    /// Whether it failed lately, so that others go first.
    #[must_use]
    pub fn rests(&self, now: Timestamp) -> bool {
        self.lock().as_ref().is_some_and(|rest| rest.stands(now))
    }

    /// The authority rejected it; it rests, longer each time. Exchanges that were under way together are
    /// one time.
    pub fn reject(&self, fault: &Fault, now: Timestamp, jitter: f64) {
        self.rest(fault, now, |failures| cool_down(fault, failures, jitter));
    }

    /// It could not be applied. Others go first for a while, which is no reason not to use it when they fail.
    pub fn pass_over(&self, fault: &Fault, now: Timestamp, jitter: f64) {
        // As long as a rejection: the fault's own patience is about asking again, not about preference.
        let alike = Fault::new(Kind::RejectedCredential, "", "");
        self.rest(fault, now, |failures| cool_down(&alike, failures, jitter));
    }

    fn rest(&self, fault: &Fault, now: Timestamp, length: impl FnOnce(u32) -> Duration) {
        let mut rest = self.lock();
        self.trusted.store(false, Ordering::Release);
        let is_rejection = fault.kind == Kind::RejectedCredential;
        // What the authority said weighs more than what we found ourselves.
        let is_alike = |before: &&Rest| (before.fault.kind == Kind::RejectedCredential) == is_rejection;
        if rest.as_ref().is_some_and(|before| before.stands(now) && (is_alike(&before) || !is_rejection)) {
            return;
        }
        let before = rest.as_ref().filter(is_alike);
        let failures = before.map_or(1, |before| before.failures.saturating_add(1));
        *rest = Some(Rest { fault: fault.clone(), failures, since: now, until: now + length(failures) });
    }

    /// Whether this is a new credential, of which the authority has said nothing yet.
    pub fn follow(&self, generation: u64) -> bool {
        let is_new = self.generation.swap(generation, Ordering::AcqRel) != generation;
        if is_new {
            *self.lock() = None;
            self.trusted.store(false, Ordering::Release);
        }
        is_new
    }

    /// An exchange gave a token.
    pub fn trust(&self) {
        *self.lock() = None;
        self.trusted.store(true, Ordering::Release);
    }

    /// A turn, if nobody is in the way.
    #[must_use]
    pub fn try_enter(&self) -> Option<SemaphorePermit<'_>> {
        let wanted = if self.trusted.load(Ordering::Acquire) { 1 } else { LANES };
        self.lanes.0.try_acquire_many(wanted).ok()
    }

    /// Waits for a turn, which ends when the answer is dropped.
    pub async fn enter(&self) -> Option<SemaphorePermit<'_>> {
        let wanted = if self.trusted.load(Ordering::Acquire) { 1 } else { LANES };
        // Nobody closes the semaphore, so there always is a turn.
        let mut turn = self.lanes.0.acquire_many(wanted).await.ok()?;
        if wanted > 1 && self.trusted.load(Ordering::Acquire) {
            drop(turn.split(LANES as usize - 1));
        }
        Some(turn)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Rest>> {
        // Invariant: no code panics while it holds this lock, and the value is whole at every moment.
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many exchanges a trusted credential may be in: what is shown to the authority if it is revoked just
/// then, and what a hanging authority can tie up.
const LANES: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(1000) + Duration::from_secs(secs)
    }

    #[test]
    fn a_rejection_rests_longer_each_time_and_a_token_ends_it() {
        let standing = Standing::default();
        let fault = Fault::new(Kind::RejectedCredential, "p", "r");
        standing.reject(&fault, at(0), 0.0);
        assert!(standing.rejected(at(9)).is_some());
        assert!(standing.rejected(at(0) - Duration::from_secs(1)).is_none(), "the clock was set back");
        assert!(standing.rejected(at(10)).is_none());
        for _ in 0..200 {
            standing.reject(&fault, at(10), 0.0);
        }
        assert!(standing.rejected(at(29)).is_some());
        assert!(standing.rejected(at(30)).is_none(), "what was under way together is one time");
        standing.reject(&fault, at(30), 0.0);
        assert!(!standing.follow(0) && standing.follow(1));
        assert!(standing.rejected(at(31)).is_none(), "a new one is not the old one");
        standing.reject(&fault, at(31), 0.0);
        standing.trust();
        assert!(standing.rejected(at(31)).is_none());
    }

    #[test]
    fn what_cannot_be_applied_rests_and_is_not_rejected() {
        let (standing, now) = (Standing::default(), at(0));
        let unusable = Fault::new(Kind::UnusableCredential, "p", "r").with_retry_after(Some(Duration::from_secs(1)));
        standing.pass_over(&unusable, now, 0.0);
        assert!(standing.rests(at(9)) && standing.rejected(now).is_none());
        assert!(!standing.rests(at(10)));
        standing.reject(&Fault::new(Kind::RejectedCredential, "p", "r"), at(1), 0.0);
        assert!(standing.rejected(at(10)).is_some(), "the authority's word weighs more");
        assert!(standing.rejected(at(11)).is_none(), "and is the first of its kind");
        standing.pass_over(&unusable, at(2), 0.0);
        assert!(standing.rejected(at(3)).is_some());
    }

    #[tokio::test]
    async fn a_trial_does_not_wait() {
        let standing = Standing::default();
        let turn = standing.enter().await;
        assert!(standing.try_enter().is_none());
        drop(turn);
        assert!(standing.try_enter().is_some());
    }

    #[tokio::test]
    async fn the_unknown_go_one_by_one_and_the_trusted_together() {
        let standing = Standing::default();
        let waits = async || tokio::time::timeout(Duration::from_millis(20), standing.enter()).await.is_err();
        let first = standing.enter().await;
        assert!(waits().await);
        standing.trust();
        drop(first);
        let mut turns = Vec::new();
        for _ in 0..LANES {
            turns.push(standing.enter().await);
        }
        assert!(waits().await);
        standing.reject(&Fault::new(Kind::RejectedCredential, "p", "r"), at(0), 0.0);
        turns.truncate(1);
        assert!(waits().await, "one that is no longer trusted goes alone");
    }
}
