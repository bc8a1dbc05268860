//! Remembers which tokens were verified, so that a workload that asks again costs a digest.
//!
//! The whole token's SHA-256 is the key: a digest of a part would let another token pass, and the token itself is
//! not kept. moka bounds and finds; what holds is said by our clock.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use moka::future::Cache;
use moka::policy::EvictionPolicy;

use super::claims::Told;
use crate::caller::account::ServiceAccount;
use crate::clock::{Span, Timestamp};
use crate::fault::Fault;

/// The tokens that were verified lately; at most 10,000.
pub struct Memory {
    verified: Cache<[u8; SHA256_OUTPUT_LEN], Verified>,
    longest: Duration,
}

/// One of them.
#[derive(Clone)]
struct Verified {
    account: Arc<ServiceAccount>,
    holds: Span,
}

impl Memory {
    /// An empty memory that keeps a token for at most `longest`, and never past its end.
    #[must_use]
    pub fn new(longest: Duration) -> Self {
        // moka's usual policy turns new keys away once it is full of ones that were found more often.
        let verified = Cache::builder().max_capacity(MOST).eviction_policy(EvictionPolicy::lru()).build();
        Self { verified, longest }
    }

    /// Whose `token` is: as it was found lately, or as `verify` finds it now. Those who show the same token at once
    /// share one verification, and its failure; a failure is not remembered.
    ///
    /// # Errors
    /// What `verify` fails with.
    pub async fn recall<F: Future<Output = Result<Told, Fault>>>(
        &self,
        token: &str,
        now: Timestamp,
        verify: impl FnOnce() -> F,
    ) -> Result<Arc<ServiceAccount>, Fault> {
        let key = key(token);
        match self.verified.get(&key).await {
            Some(verified) if verified.holds.holds(now) => return Ok(verified.account),
            Some(_) => self.verified.invalidate(&key).await,
            None => {}
        }
        // On the heap, so that whoever is remembered carries nothing of it.
        let verify = Box::pin(async { verify().await.map(|told| self.verified(told, now)) });
        let verified = self.verified.try_get_with_by_ref(&key, verify).await;
        verified.map(|verified| verified.account).map_err(|fault| (*fault).clone())
    }

    fn verified(&self, told: Told, now: Timestamp) -> Verified {
        let left = told.expires.map_or(Duration::MAX, |end| end.since(now));
        Verified { account: Arc::new(told.account), holds: Span::new(now, left.min(self.longest)) }
    }
}

fn key(token: &str) -> [u8; SHA256_OUTPUT_LEN] {
    let mut key = [0; SHA256_OUTPUT_LEN];
    key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    key
}

const MOST: u64 = 10_000;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::fault::Kind;

    const NOW: Timestamp = Timestamp::from_secs(1000);

    fn told(name: &str, expires: Option<u64>) -> Told {
        let account = ServiceAccount { namespace: "n".to_owned(), name: name.to_owned(), pod: None, node: None };
        Told { account, expires: expires.map(Timestamp::from_secs) }
    }

    #[tokio::test]
    async fn a_token_is_verified_anew_after_a_while_and_at_its_end() {
        for (expires, kept, lost) in [(None, 1119, 1120), (Some(5000), 1119, 1120), (Some(1030), 1029, 1030)] {
            let memory = Memory::new(Duration::from_secs(120));
            memory.recall("t", NOW, || async { Ok(told("first", expires)) }).await.unwrap();
            for (secs, expected) in [(kept, "first"), (999, "second"), (1000, "second")] {
                let found = memory.recall("t", Timestamp::from_secs(secs), || async { Ok(told("second", None)) }).await;
                assert_eq!(found.unwrap().name, expected, "{expires:?} {secs}");
            }
            let found = memory.recall("t", Timestamp::from_secs(lost), || async { Ok(told("third", None)) }).await;
            assert_eq!(found.unwrap().name, if lost < 1119 { "second" } else { "third" }, "{expires:?}");
        }
    }

    #[tokio::test]
    async fn tokens_are_told_apart_and_failures_forgotten() {
        let memory = Memory::new(Duration::from_secs(120));
        let failed = memory.recall("t", NOW, || async { Err(Fault::new(Kind::Unauthenticated, "p", "r")) }).await;
        assert_eq!(failed.unwrap_err().status(), 401);
        for token in ["t", "T", "t "] {
            assert_eq!(memory.recall(token, NOW, || async { Ok(told(token, None)) }).await.unwrap().name, token);
        }
    }

    #[tokio::test]
    async fn those_who_come_at_once_share_a_verification() {
        let (memory, count) = (Memory::new(Duration::from_secs(120)), AtomicUsize::new(0));
        let one = || {
            memory.recall("t", NOW, || async {
                tokio::task::yield_now().await;
                count.fetch_add(1, Ordering::Relaxed);
                Err::<Told, _>(Fault::new(Kind::Unavailable, "p", "r"))
            })
        };
        let all = futures_util::future::join_all((0..20).map(|_| one())).await;
        assert!(all.into_iter().all(|one| one.is_err_and(|fault| fault.kind == Kind::Unavailable)));
        assert_eq!(count.into_inner(), 1);
    }

    #[tokio::test]
    async fn it_is_bounded() {
        let memory = Memory::new(Duration::from_secs(120));
        for n in 0..MOST + 500 {
            memory.recall(&n.to_string(), NOW, || async { Ok(told("x", None)) }).await.unwrap();
        }
        memory.verified.run_pending_tasks().await;
        assert!(memory.verified.entry_count() <= MOST);
        let last = (MOST + 499).to_string();
        assert_eq!(memory.recall(&last, NOW, || async { Ok(told("new", None)) }).await.unwrap().name, "x");
    }
}
