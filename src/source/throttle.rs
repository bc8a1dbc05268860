//! What an authority wants to be left alone about, for one client: scopes, each until a time.
//!
//! A slot remembers what was said of its own key. An authority that throttles means all keys of the scope,
//! whatever else their tokens are to be.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Timestamp;
use crate::fault::{Fault, Kind};
use crate::freshness::Respite;
use crate::name::Scope;

/// The scopes that are throttled now.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<HashMap<Scope, Respite>>);

impl Throttle {
    /// Until when the authority is to be left alone about `scope`, and what it said.
    #[must_use]
    pub fn stands(&self, scope: &Scope, now: Timestamp) -> Option<(Timestamp, Fault)> {
        self.lock().get(scope)?.stands(now)
    }

    /// Remembers a fault with which the authority asked for patience; any other says nothing of the scope.
    pub fn remember(&self, scope: &Scope, fault: &Fault, now: Timestamp) {
        let wishes =
            fault.kind == Kind::Throttled || (fault.kind == Kind::Unavailable && fault.retry_after().is_some());
        if !wishes {
            return;
        }
        let mut scopes = self.lock();
        if scopes.len() >= MOST {
            scopes.retain(|_, respite| respite.stands(now).is_some());
        }
        let respite = Respite::of(fault, now);
        let end = |respite: &Respite| respite.stands(now).map(|(until, _)| until);
        // One that was under way meanwhile may come back with a shorter wish.
        let is_longer = scopes.get(scope).is_none_or(|before| end(before) < end(&respite));
        if scopes.len() < MOST && is_longer {
            scopes.insert(scope.clone(), respite);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Scope, Respite>> {
        // Invariant: no code panics while it holds this lock, and the map is whole between statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many scopes of one client are remembered; what is beyond them cools in its slot alone.
const MOST: usize = 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::name::{Resource, ScopeForm};

    fn scope(n: usize) -> Scope {
        Scope::of(&Resource::parse(&format!("r{n}")).unwrap(), ScopeForm::Default)
    }

    #[test]
    fn a_respite_holds_for_its_scope_and_its_time() {
        let throttle = Throttle::default();
        let now = Timestamp::from_secs(1000);
        let fault = Fault::new(Kind::Throttled, "p", "r").with_retry_after(Some(Duration::from_secs(60)));
        throttle.remember(&scope(1), &fault, now);
        throttle.remember(&scope(2), &Fault::new(Kind::Unavailable, "p", "r"), now);
        throttle.remember(&scope(3), &Fault::new(Kind::InvalidRequest, "p", "r"), now);
        assert!(throttle.stands(&scope(1), now + Duration::from_secs(59)).is_some());
        assert!(throttle.stands(&scope(1), now + Duration::from_secs(60)).is_none());
        assert!(throttle.stands(&scope(1), now - Duration::from_secs(1)).is_none(), "the clock was set back");
        assert!(throttle.stands(&scope(2), now).is_none() && throttle.stands(&scope(3), now).is_none());
    }

    #[test]
    fn a_shorter_wish_ends_no_longer_one() {
        let throttle = Throttle::default();
        let now = Timestamp::from_secs(1000);
        let wish = |secs| Fault::new(Kind::Throttled, "p", "r").with_retry_after(Some(Duration::from_secs(secs)));
        for secs in [10, 300, 1] {
            throttle.remember(&scope(1), &wish(secs), now);
        }
        assert!(throttle.stands(&scope(1), now + Duration::from_secs(299)).is_some());
        throttle.remember(&scope(1), &wish(1), now + Duration::from_secs(300));
        assert!(throttle.stands(&scope(1), now + Duration::from_secs(300)).is_some(), "it is over");
    }

    #[test]
    fn it_does_not_grow_without_bound() {
        let throttle = Throttle::default();
        let now = Timestamp::from_secs(1000);
        (0..2 * MOST).for_each(|n| throttle.remember(&scope(n), &Fault::new(Kind::Throttled, "p", "r"), now));
        assert_eq!(throttle.lock().len(), MOST);
        let later = now + Duration::from_mins(1);
        throttle.remember(&scope(MOST + 1), &Fault::new(Kind::Throttled, "p", "r"), later);
        assert_eq!(throttle.lock().len(), 1);
    }
}
