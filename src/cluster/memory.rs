//! Remembers which tokens were verified, so that a workload that asks again costs a digest; and which were refused,
//! where that costs somebody else a request.
//!
//! The whole token's SHA-256 is the key: a digest of a part would let another token pass, and the token itself is
//! not kept. moka bounds and finds; what holds is said by our clock.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use moka::policy::EvictionPolicy;

use super::claims::Told;
use crate::caller::account::ServiceAccount;
use crate::clock::{Span, Timestamp};
use crate::fault::{Fault, Kind};
use crate::secret::digest::Digest;

/// The tokens that were verified lately, and those that were refused; at most 10,000 of each.
pub struct Memory {
    verified: Cache<Digest, Verified>,
    /// Apart, so that whoever makes up tokens drives no good one out.
    refused: Cache<Digest, Refused>,
    lives: Lives,
    mark: Arc<()>,
}

/// How long what was found is believed.
#[derive(Clone, Copy, Debug)]
pub struct Lives {
    /// That a token is good; never past its end.
    pub verified: Duration,
    /// That it is wrong; zero where another look costs nobody anything.
    pub refused: Duration,
}

/// A token that was verified, and for how long that is believed.
#[derive(Clone, Debug)]
pub struct Verified {
    /// That of the memory that noted it: another cluster has other rules.
    mark: Arc<()>,
    key: Digest,
    account: Arc<ServiceAccount>,
    holds: Span,
}

impl Verified {
    /// Whose it is.
    #[must_use]
    pub fn account(&self) -> &ServiceAccount {
        &self.account
    }
}

/// A token that was found wrong.
#[derive(Clone)]
struct Refused {
    fault: Fault,
    holds: Span,
}

impl Memory {
    /// An empty memory.
    #[must_use]
    pub fn new(lives: Lives) -> Self {
        // moka's usual policy turns new keys away once it is full of ones that were found more often.
        let verified = Cache::builder().max_capacity(MOST).eviction_policy(EvictionPolicy::lru()).build();
        let refused = Cache::builder().max_capacity(MOST).eviction_policy(EvictionPolicy::lru()).build();
        Self { verified, refused, lives, mark: Arc::default() }
    }

    /// Whose `token` is, if that was found lately. A connection nearly always shows the same one again, so what was found
    /// of its `latest` is compared first: the table is one that all threads share.
    pub async fn find(&self, token: &[u8], latest: Option<Verified>, now: Timestamp) -> Option<Verified> {
        let key = Digest::of(token);
        let is_known =
            |latest: &Verified| Arc::ptr_eq(&latest.mark, &self.mark) && latest.key == key && latest.holds.holds(now);
        match latest.filter(is_known) {
            Some(latest) => Some(latest),
            None => self.look(&key, now).await,
        }
    }

    /// Whose `token` is: as it was found lately, or as `verify` finds it now. Those who show the same token at once
    /// share one verification, and its failure. That nobody can say is not remembered.
    ///
    /// # Errors
    /// What `verify` fails with, or failed with lately.
    pub async fn recall<F: Future<Output = Result<Told, Fault>>>(
        &self,
        token: &str,
        now: Timestamp,
        verify: impl FnOnce() -> F,
    ) -> Result<Verified, Fault> {
        let key = Digest::of(token.as_bytes());
        if let Some(verified) = self.look(&key, now).await {
            return Ok(verified);
        }
        // On the heap, so that whoever is remembered carries nothing of it. Within it, whoever was before has noted
        // what it found.
        let verify = Box::pin(async {
            if let Some(refused) = self.refused.get(&key).await.filter(|refused| refused.holds.holds(now)) {
                return Err(refused.fault);
            }
            match verify().await {
                Ok(told) => Ok(self.verified(key, told, now)),
                Err(fault) => Err(self.note(key, fault, now).await),
            }
        });
        self.verified.try_get_with_by_ref(&key, verify).await.map_err(|fault| (*fault).clone())
    }

    async fn look(&self, key: &Digest, now: Timestamp) -> Option<Verified> {
        let verified = self.verified.get(key).await?;
        if verified.holds.holds(now) {
            return Some(verified);
        }
        self.verified.invalidate(key).await;
        None
    }

    /// Notes a failure that is the token's own.
    async fn note(&self, key: Digest, fault: Fault, now: Timestamp) -> Fault {
        if fault.kind == Kind::Unauthenticated && !self.lives.refused.is_zero() {
            let holds = Span::new(now, self.lives.refused);
            self.refused.insert(key, Refused { fault: fault.clone(), holds }).await;
        }
        fault
    }

    fn verified(&self, key: Digest, told: Told, now: Timestamp) -> Verified {
        let left = told.expires.map_or(Duration::MAX, |end| end.since(now));
        Verified {
            mark: Arc::clone(&self.mark),
            key,
            account: Arc::new(told.account),
            holds: Span::new(now, left.min(self.lives.verified)),
        }
    }
}

const MOST: u64 = 10_000;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1000);
    const FORGIVING: Lives = Lives { verified: Duration::from_secs(120), refused: Duration::ZERO };
    const BOTH: Lives = Lives { refused: Duration::from_secs(10), ..FORGIVING };

    fn told(name: &str, expires: Option<u64>) -> Told {
        let account = ServiceAccount { namespace: "n".to_owned(), name: name.to_owned(), pod: None, node: None };
        Told { account, expires: expires.map(Timestamp::from_secs) }
    }

    #[tokio::test]
    async fn a_token_is_verified_anew_after_a_while_and_at_its_end() {
        for (expires, kept, lost) in [(None, 1119, 1120), (Some(5000), 1119, 1120), (Some(1030), 1029, 1030)] {
            let memory = Memory::new(FORGIVING);
            memory.recall("t", NOW, || async { Ok(told("first", expires)) }).await.unwrap();
            for (secs, expected) in [(kept, "first"), (999, "second"), (1000, "second")] {
                let found = memory.recall("t", Timestamp::from_secs(secs), || async { Ok(told("second", None)) }).await;
                assert_eq!(found.unwrap().account.name, expected, "{expires:?} {secs}");
            }
            let found = memory.recall("t", Timestamp::from_secs(lost), || async { Ok(told("third", None)) }).await;
            assert_eq!(found.unwrap().account.name, if lost < 1119 { "second" } else { "third" }, "{expires:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_remembers_the_token_that_it_showed_last() {
        let memory = Memory::new(FORGIVING);
        let shown = memory.recall("two", NOW, || async { Ok(told("two", Some(1030))) }).await.unwrap();
        memory.verified.invalidate_all();
        for (token, secs, known) in
            [("two", 1000, true), ("two", 1029, true), ("two", 999, false), ("two", 1030, false), ("tw", 1000, false)]
        {
            let found = memory.find(token.as_bytes(), Some(shown.clone()), Timestamp::from_secs(secs)).await;
            assert_eq!(
                found.map(|found| found.account.name.clone()),
                known.then(|| "two".to_owned()),
                "{token} {secs}"
            );
        }
        assert!(Memory::new(FORGIVING).find(b"two", Some(shown), NOW).await.is_none(), "another cluster's word");
    }

    #[tokio::test]
    async fn tokens_are_told_apart_and_failures_forgotten() {
        let memory = Memory::new(FORGIVING);
        let failed = memory.recall("t", NOW, || async { Err(Fault::new(Kind::Unauthenticated, "p", "r")) }).await;
        assert_eq!(failed.unwrap_err().status(), 401);
        for token in ["t", "T", "t "] {
            assert_eq!(
                memory.recall(token, NOW, || async { Ok(told(token, None)) }).await.unwrap().account.name,
                token
            );
        }
    }

    #[tokio::test]
    async fn a_refusal_is_remembered_for_a_while_and_an_outage_is_not() {
        let (memory, wrong) = (Memory::new(BOTH), Kind::Unauthenticated);
        let failing = |secs: u64, kind: Kind, problem: &'static str| {
            memory.recall("t", Timestamp::from_secs(secs), move || async move { Err(Fault::new(kind, problem, "r")) })
        };
        for (secs, kind, problem, told) in [
            (1000, Kind::Unavailable, "down", "down"),
            (1000, wrong, "first", "first"),
            (1009, wrong, "second", "first"),
            (999, wrong, "third", "third"),
            (1010, wrong, "fourth", "fourth"),
        ] {
            let fault = failing(secs, kind, problem).await.unwrap_err();
            assert!(fault.to_string().starts_with(told), "{secs} {problem}: {fault}");
        }
        assert_eq!(memory.recall("u", NOW, || async { Ok(told("u", None)) }).await.unwrap().account.name, "u");
    }

    #[tokio::test]
    async fn made_up_tokens_drive_no_good_one_out() {
        let memory = Memory::new(BOTH);
        memory.recall("good", NOW, || async { Ok(told("x", None)) }).await.unwrap();
        for n in 0..MOST + 500 {
            let refuse = || async { Err(Fault::new(Kind::Unauthenticated, "p", "r")) };
            memory.recall(&n.to_string(), NOW, refuse).await.unwrap_err();
        }
        memory.refused.run_pending_tasks().await;
        assert!(memory.refused.entry_count() <= MOST);
        assert_eq!(memory.find(b"good", None, NOW).await.unwrap().account.name, "x");
    }

    #[tokio::test]
    async fn those_who_come_at_once_share_a_verification() {
        let (memory, count) = (Memory::new(FORGIVING), AtomicUsize::new(0));
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
        let memory = Memory::new(FORGIVING);
        for n in 0..MOST + 500 {
            memory.recall(&n.to_string(), NOW, || async { Ok(told("x", None)) }).await.unwrap();
        }
        memory.verified.run_pending_tasks().await;
        assert!(memory.verified.entry_count() <= MOST);
        let last = (MOST + 499).to_string();
        assert_eq!(memory.recall(&last, NOW, || async { Ok(told("new", None)) }).await.unwrap().account.name, "x");
    }
}
