//! How one credential stands with its authority: trusted, unknown, or rejected until a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Timestamp;
use crate::fault::Fault;
use crate::freshness::cool_down;

/// What the authority last said of a credential.
#[derive(Debug, Default)]
pub struct Standing {
    rejection: Mutex<Option<Rejection>>,
    /// Whether the last exchange with it ended otherwise than in a rejection.
    trusted: AtomicBool,
    /// Until it is trusted, exchanges go one by one, so that a bad credential is shown to the authority
    /// once, and not by every cold key at the same time.
    gate: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Rejection {
    fault: Fault,
    failures: u32,
    until: Timestamp,
}

impl Standing {
    /// Until when it stands rejected, and why.
    #[must_use]
    pub fn rejected(&self, now: Timestamp) -> Option<(Timestamp, Fault)> {
        let rejection = self.lock();
        rejection.as_ref().filter(|rejection| now < rejection.until).map(|held| (held.until, held.fault.clone()))
    }

    /// The authority rejected it; it rests, longer each time.
    pub fn reject(&self, fault: &Fault, now: Timestamp, jitter: f64) {
        let mut rejection = self.lock();
        let failures = rejection.as_ref().map_or(1, |before| before.failures.saturating_add(1));
        let until = now + cool_down(fault, failures, jitter);
        *rejection = Some(Rejection { fault: fault.clone(), failures, until });
        self.trusted.store(false, Ordering::Release);
    }

    /// An exchange did not end in a rejection; one that gave a token also ends an earlier one.
    pub fn trust(&self, proved: bool) {
        if proved {
            *self.lock() = None;
        }
        self.trusted.store(true, Ordering::Release);
    }

    /// Waits for its turn, unless it is trusted by then. The turn ends when the answer is dropped.
    pub async fn enter(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        if self.trusted.load(Ordering::Acquire) {
            return None;
        }
        let turn = self.gate.lock().await;
        (!self.trusted.load(Ordering::Acquire)).then_some(turn)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Rejection>> {
        // Invariant: no code panics while it holds this lock, and the value is whole at every moment.
        self.rejection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fault::Kind;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(1000) + Duration::from_secs(secs)
    }

    #[test]
    fn a_rejection_rests_longer_each_time_and_a_token_ends_it() {
        let standing = Standing::default();
        let fault = Fault::new(Kind::RejectedCredential, "p", "r");
        standing.reject(&fault, at(0), 0.0);
        assert!(standing.rejected(at(9)).is_some());
        assert!(standing.rejected(at(10)).is_none());
        standing.reject(&fault, at(10), 0.0);
        assert!(standing.rejected(at(29)).is_some());
        standing.trust(false);
        assert!(standing.rejected(at(29)).is_some(), "an outage proves nothing");
        standing.trust(true);
        assert!(standing.rejected(at(29)).is_none());
    }

    #[tokio::test]
    async fn the_unknown_go_one_by_one_and_the_trusted_together() {
        let standing = Standing::default();
        let first = standing.enter().await;
        assert!(first.is_some());
        assert!(tokio::time::timeout(Duration::from_millis(20), standing.enter()).await.is_err());
        standing.trust(true);
        assert!(standing.enter().await.is_none());
    }
}
