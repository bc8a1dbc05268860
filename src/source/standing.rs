//! How one credential stands with its authority: trusted, unknown, or at rest until a time.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::clock::{Span, Timestamp};
use crate::fault::{Fault, Kind};
use crate::freshness::cool_down;

/// What the authority last said of a credential.
#[derive(Debug, Default)]
pub struct Standing {
    known: Mutex<Known>,
    /// Whether the last exchange that told anything of it gave a token.
    trusted: AtomicBool,
    lanes: Lanes,
    /// Tells those who wait to go alone that they need not.
    proven: Notify,
}

/// A credential may be in several exchanges at a time. Until it is trusted they begin one by one, so that a bad one is
/// shown to the authority once, and not by every cold key at the same time.
#[derive(Debug)]
struct Lanes {
    all: Semaphore,
    alone: Semaphore,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { all: Semaphore::new(LANES as usize), alone: Semaphore::new(1) }
    }
}

/// One exchange's turn with a credential, which ends when it is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    alone: Option<SemaphorePermit<'a>>,
    /// For how long it stays alone; to its end if none.
    moment: Option<Duration>,
    _lane: SemaphorePermit<'a>,
}

impl Turn<'_> {
    /// Does the work of the turn. Of those who wait the next one may begin when this takes longer than a moment: one
    /// exchange that hangs keeps nobody else from a credential that nothing is known of.
    pub async fn spend<T>(mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        if let Some(moment) = self.moment.filter(|_| self.alone.is_some()) {
            if let Ok(done) = timeout(moment, &mut work).await {
                return done;
            }
            self.alone = None;
        }
        work.await
    }
}

#[derive(Debug, Default)]
struct Known {
    /// Of which generation of the credential all this was said.
    generation: u64,
    setback: Option<Setback>,
}

#[derive(Debug)]
struct Setback {
    /// What it was: the authority rejected the credential, or it could not be applied.
    fault: Fault,
    failures: u32,
    /// While others go first.
    behind: Span,
    /// While it is not used at all.
    barred: Span,
}

/// How long a setback puts a credential behind the others, and how long it keeps it from being used at all.
struct Lengths {
    behind: Duration,
    barred: Duration,
}

impl Setback {
    fn is_rejection(&self) -> bool {
        self.fault.kind == Kind::RejectedCredential
    }
}

impl Standing {
    /// Nothing is known yet of the credential's present `generation`.
    #[must_use]
    pub fn of(generation: u64) -> Self {
        Self { known: Mutex::new(Known { generation, setback: None }), ..Self::default() }
    }

    /// Until when it is not to be used, and why.
    #[must_use]
    pub fn barred(&self, now: Timestamp) -> Option<(Timestamp, Fault)> {
        let known = self.lock();
        let setback = known.setback.as_ref().filter(|setback| setback.barred.holds(now));
        setback.map(|setback| (setback.barred.until(), setback.fault.clone()))
    }

    /// Whether it failed lately, so that others go first.
    #[must_use]
    pub fn rests(&self, now: Timestamp) -> bool {
        self.lock().setback.as_ref().is_some_and(|setback| setback.behind.holds(now))
    }

    /// The authority rejected what was made of `generation`; it rests, longer each time. Exchanges that were
    /// under way together are one time. Says whether that is the present one; another's is no matter any more.
    pub fn reject(&self, generation: u64, fault: &Fault, now: Timestamp, jitter: f64) -> bool {
        self.set_back(generation, fault, now, |failures| {
            let rest = cool_down(fault, failures, jitter);
            Lengths { behind: rest, barred: rest }
        })
    }

    /// `generation` could not be applied. Others go first for a while; when they fail it is used all the same,
    /// unless it is no use for the time that the fault says.
    pub fn pass_over(&self, generation: u64, fault: &Fault, now: Timestamp, jitter: f64) -> bool {
        // As long as a rejection: the fault's own patience is about asking again, not about preference.
        let alike = Fault::new(Kind::RejectedCredential, "", "");
        self.set_back(generation, fault, now, |failures| {
            // What fails in passing cools in the slot, which is asked for less and less.
            let barred = if fault.is_transient() { Duration::ZERO } else { cool_down(fault, failures, jitter) };
            Lengths { behind: cool_down(&alike, failures, jitter).max(barred), barred }
        })
    }

    fn set_back(&self, generation: u64, fault: &Fault, now: Timestamp, lengths: impl Fn(u32) -> Lengths) -> bool {
        let mut known = self.lock();
        if known.generation != generation {
            return false;
        }
        self.trusted.store(false, Ordering::Release);
        let is_rejection = fault.kind == Kind::RejectedCredential;
        match known.setback.as_mut().filter(|before| before.behind.holds(now)) {
            // What the authority said weighs more than what we found ourselves.
            Some(before) if before.is_rejection() => return true,
            Some(before) if !is_rejection => {
                before.fault = fault.clone();
                before.barred = Span::new(now, lengths(before.failures).barred);
                return true;
            }
            Some(_) | None => {}
        }
        let before = known.setback.as_ref().filter(|before| before.is_rejection() == is_rejection);
        let failures = before.map_or(1, |before| before.failures.saturating_add(1));
        let Lengths { behind, barred } = lengths(failures);
        let (behind, barred) = (Span::new(now, behind), Span::new(now, barred));
        known.setback = Some(Setback { fault: fault.clone(), failures, behind, barred });
        true
    }

    /// Notes which generation is the present one; of a new one the authority has said nothing yet.
    pub fn follow(&self, generation: u64) {
        let mut known = self.lock();
        // Who looked before another one did comes with an older one.
        if generation > known.generation {
            *known = Known { generation, setback: None };
            self.trusted.store(false, Ordering::Release);
        }
    }

    /// Has it tried again at once though the authority rejected it: whoever runs Bursar says that this is mended.
    pub fn forgive(&self) {
        self.lock().setback.take_if(|setback| setback.is_rejection());
    }

    /// An exchange with what was made of `generation` gave a token.
    pub fn trust(&self, generation: u64) {
        let mut known = self.lock();
        if known.generation == generation {
            known.setback = None;
            self.trusted.store(true, Ordering::Release);
            self.proven.notify_waiters();
        }
    }

    /// A turn, if nobody is in the way; nobody else has one like it meanwhile.
    #[must_use]
    pub fn try_enter(&self) -> Option<Turn<'_>> {
        let alone = if self.is_trusted() { None } else { Some(self.lanes.alone.try_acquire().ok()?) };
        Some(Turn { alone, moment: None, _lane: self.lanes.all.try_acquire().ok()? })
    }

    /// Waits for a turn.
    pub async fn enter(&self) -> Option<Turn<'_>> {
        let alone = self.alone().await;
        // Nobody closes the semaphore, so there always is a turn.
        Some(Turn { alone, moment: Some(MOMENT), _lane: self.lanes.all.acquire().await.ok()? })
    }

    /// Waits to go alone, if that has to be.
    async fn alone(&self) -> Option<SemaphorePermit<'_>> {
        let proven = self.proven.notified();
        if self.is_trusted() {
            return None;
        }
        tokio::select! {
            biased;
            () = proven => None,
            alone = self.lanes.alone.acquire() => alone.ok().filter(|_| !self.is_trusted()),
        }
    }

    fn is_trusted(&self) -> bool {
        self.trusted.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Invariant: no code panics while it holds this lock, and the value is whole between statements.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many exchanges a credential may be in: what is shown to the authority if it is revoked just then, and what a
/// hanging authority can tie up.
pub const LANES: u32 = 8;
/// Longer than an exchange usually takes.
const MOMENT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Rest;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(1000) + Duration::from_secs(secs)
    }

    fn rejection() -> Fault {
        Fault::new(Kind::RejectedCredential, "p", "r")
    }

    #[test]
    fn a_rejection_rests_longer_each_time_and_a_token_ends_it() {
        let standing = Standing::default();
        let fault = rejection();
        standing.reject(0, &fault, at(0), 0.0);
        assert!(standing.barred(at(9)).is_some());
        assert!(standing.barred(at(0) - Duration::from_secs(1)).is_none(), "the clock was set back");
        assert!(standing.barred(at(10)).is_none());
        for _ in 0..200 {
            standing.reject(0, &fault, at(10), 0.0);
        }
        assert!(standing.barred(at(29)).is_some());
        assert!(standing.barred(at(30)).is_none(), "what was under way together is one time");
        standing.reject(0, &fault, at(30), 0.0);
        standing.follow(0);
        assert!(standing.barred(at(31)).is_some());
        standing.follow(1);
        assert!(standing.barred(at(31)).is_none(), "a new one is not the old one");
        standing.reject(1, &fault, at(31), 0.0);
        standing.forgive();
        assert!(standing.barred(at(31)).is_none() && !standing.is_trusted(), "it has yet to prove itself");
        standing.reject(1, &fault, at(31), 0.0);
        assert!(standing.barred(at(41)).is_none(), "as if for the first time");
        standing.trust(1);
        assert!(standing.barred(at(31)).is_none());
    }

    #[test]
    fn what_was_said_of_an_older_one_is_no_matter() {
        let standing = Standing::of(1);
        assert!(!standing.reject(0, &rejection(), at(0), 0.0) && standing.barred(at(0)).is_none());
        assert!(!standing.pass_over(0, &rejection(), at(0), 0.0) && !standing.rests(at(0)));
        assert!(standing.reject(1, &rejection(), at(0), 0.0));
        standing.trust(0);
        assert!(standing.barred(at(0)).is_some(), "a late success of the old one");
        standing.follow(0);
        assert!(standing.barred(at(0)).is_some(), "nobody goes back");
    }

    #[test]
    fn what_cannot_be_applied_rests_and_is_used_when_nothing_else_is() {
        let (standing, now) = (Standing::default(), at(0));
        let costless = Fault::new(Kind::UnusableCredential, "p", "r").with_rest(Some(Rest::Fixed(Duration::ZERO)));
        standing.pass_over(0, &costless, now, 0.0);
        assert!(standing.rests(at(9)) && standing.barred(now).is_none());
        assert!(!standing.rests(at(10)));
        standing.reject(0, &rejection(), at(1), 0.0);
        assert!(standing.barred(at(10)).is_some(), "the authority's word weighs more");
        assert!(standing.barred(at(11)).is_none(), "and is the first of its kind");
        standing.pass_over(0, &costless, at(2), 0.0);
        assert!(standing.barred(at(3)).is_some());
    }

    #[test]
    fn what_is_of_no_use_for_a_while_is_not_used() {
        let standing = Standing::default();
        let fault = Fault::new(Kind::UnusableCredential, "p", "r");
        standing.pass_over(0, &fault, at(0), 0.0);
        assert!(standing.barred(at(59)).is_some() && standing.barred(at(60)).is_none());
        let busy = Fault::new(Kind::Unavailable, "p", "r");
        standing.pass_over(0, &busy, at(60), 0.0);
        assert!(standing.rests(at(60)) && standing.barred(at(60)).is_none(), "it may be back at once");
        standing.pass_over(0, &busy.with_retry_after(Some(Duration::from_secs(7))), at(61), 0.0);
        assert!(standing.barred(at(67)).is_some() && standing.barred(at(68)).is_none());
        standing.follow(1);
        assert!(!standing.rests(at(61)), "a new one ends it");
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
        let waits = async || timeout(Duration::from_millis(20), standing.enter()).await.is_err();
        let first = standing.enter().await;
        assert!(waits().await);
        standing.trust(0);
        drop(first);
        let mut turns = Vec::new();
        for _ in 0..LANES {
            turns.push(standing.enter().await);
        }
        assert!(waits().await);
        turns.clear();
        standing.reject(0, &rejection(), at(0), 0.0);
        turns.push(standing.enter().await);
        assert!(waits().await, "one that is no longer trusted goes alone");
    }

    #[tokio::test]
    async fn whoever_waited_to_go_alone_goes_together_once_it_is_trusted() {
        let standing = Standing::default();
        let first = standing.enter().await;
        let all = futures_util::future::join_all((0..LANES).map(|_| standing.enter()));
        let trusted = async {
            tokio::task::yield_now().await;
            standing.trust(0);
            drop(first);
        };
        let both = async { tokio::join!(all, trusted).0 };
        let turns = timeout(Duration::from_secs(5), both).await.unwrap();
        assert!(turns.iter().all(Option::is_some), "all of them at the same time");
    }
}
