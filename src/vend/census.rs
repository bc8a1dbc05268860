//! A look at all slots: how many tokens there are of each identity, and the keys whose tokens end first.
//!
//! A million slots take a while to look at, so a look that found many is not repeated before some time has passed. None
//! is locked for longer than its own times take to copy, and nothing is sorted but the few that are shown.

use std::collections::{BinaryHeap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::cache::Cache;
use super::slot::{Regard, Slot};
use crate::clock::{Stopwatch, Timestamp};
use crate::fault::outline::Outline;
use crate::freshness::Times;
use crate::name::{Name, TenantId};

/// What a look at all slots gave.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// Live tokens of each identity that has any.
    pub tokens: HashMap<Name, usize>,
    /// How long everybody who asked lately would still be served if no token came any more; none where nobody has asked.
    pub cover: Option<Duration>,
    /// How many keys there are.
    pub keys: usize,
    /// The first of them: those whose tokens end first, then those without a token.
    pub first: Vec<Key>,
}

/// A key as it is shown. Its texts are its caller's, and have to be escaped.
#[derive(Clone, Debug)]
pub struct Key {
    /// Whose.
    pub identity: Name,
    /// In which directory.
    pub tenant: TenantId,
    /// What is asked for at the authority.
    pub scope: Box<str>,
    /// Where in the application's tree, if somewhere.
    pub fmi_path: Option<Box<str>>,
    /// Whether it is for claims of a caller's own, which are not told.
    pub has_claims: bool,
    /// The moments of its token, while that lives.
    pub times: Option<Times>,
    /// How its last flight failed, if no token came since.
    pub failure: Option<Outline>,
    /// Whether a flight is under way.
    pub is_flying: bool,
    /// Whether it is held ready.
    pub is_warm: bool,
}

/// The last look, and who takes the next one.
#[derive(Default)]
pub struct Latest {
    last: Mutex<Option<Look>>,
    /// Held by whoever looks.
    pub looking: tokio::sync::Mutex<()>,
}

struct Look {
    census: Arc<Census>,
    since: Stopwatch,
    took: Duration,
}

impl Latest {
    /// The last look, if there was one.
    #[must_use]
    pub fn last(&self) -> Option<Arc<Census>> {
        self.lock().as_ref().map(|look| Arc::clone(&look.census))
    }

    /// The same while it is good enough.
    #[must_use]
    pub fn good(&self) -> Option<Arc<Census>> {
        let last = self.lock();
        let is_good = |look: &&Look| look.census.keys > MANY && look.since.elapsed() < look.took * PAUSES;
        last.as_ref().filter(is_good).map(|look| Arc::clone(&look.census))
    }

    /// Looks at all slots.
    pub fn look(&self, cache: &Cache, now: Timestamp) -> Arc<Census> {
        let watch = Stopwatch::start();
        let census = Arc::new(Census::take(cache, now));
        let look = Look { census: Arc::clone(&census), since: Stopwatch::start(), took: watch.elapsed() };
        *self.lock() = Some(look);
        census
    }

    fn lock(&self) -> MutexGuard<'_, Option<Look>> {
        // Invariant: no code panics while it holds this lock.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Census {
    /// Looks at all slots.
    #[must_use]
    pub fn take(cache: &Cache, now: Timestamp) -> Self {
        let mut census = Self::default();
        // The last of the first ones lies on top.
        let mut first: BinaryHeap<Ranked> = BinaryHeap::with_capacity(SHOWN + 1);
        cache.each(|slot| {
            census.keys += 1;
            let end = slot.ends_at().filter(|end| now < *end);
            if end.is_some() {
                census.count(&slot.key().principal.identity);
            }
            let cover = slot.covers_until(now).map(|until| until.since(now));
            census.cover = census.cover.into_iter().chain(cover).min();
            let order = (end.is_none(), end);
            if first.len() < SHOWN || first.peek().is_some_and(|last| order < last.order) {
                first.push(Ranked { order, slot: Arc::clone(slot) });
            }
            if first.len() > SHOWN {
                first.pop();
            }
        });
        census.first = first.into_sorted_vec().iter().map(|ranked| Key::of(&ranked.slot, now)).collect();
        census
    }

    /// How many live tokens there are.
    #[must_use]
    pub fn total(&self) -> usize {
        self.tokens.values().sum()
    }

    fn count(&mut self, identity: &Name) {
        match self.tokens.get_mut(identity) {
            Some(count) => *count += 1,
            None => {
                self.tokens.insert(identity.clone(), 1);
            }
        }
    }
}

impl Key {
    fn of(slot: &Slot, now: Timestamp) -> Self {
        let (key, regard): (_, Regard) = (slot.key(), slot.regard());
        Self {
            identity: key.principal.identity.clone(),
            tenant: key.principal.tenant.clone(),
            scope: key.scope.text().into(),
            fmi_path: key.extras().fmi_path.as_ref().map(|path| path.as_str().into()),
            has_claims: key.extras().client_claims.is_some(),
            times: regard.live(now),
            failure: regard.failure.map(|(outline, _)| outline),
            is_flying: regard.is_flying,
            is_warm: regard.is_warm,
        }
    }
}

/// A slot among the first.
struct Ranked {
    /// Those without a token last.
    order: (bool, Option<Timestamp>),
    slot: Arc<Slot>,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order.cmp(&other.order)
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Ranked {}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

/// So many keys are shown.
pub const SHOWN: usize = 100;
/// So many are looked at in a few milliseconds.
const MANY: usize = 10_000;
/// Looking at all again takes so much of a thread's time at most: one part in so many.
const PAUSES: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Reading;
    use crate::freshness::Windows;
    use crate::name::{Resource, Scope, ScopeForm};
    use crate::secret::Secret;
    use crate::token::{Extension, Extras, Principal, Token, TokenKey};
    use crate::vend::cache::Bounds;
    use crate::vend::slot::{Moment, Step};

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    /// A slot of an identity, with a token that lives for so long if it is to have one.
    fn fill(cache: &Cache, identity: &str, n: usize, life: Option<u64>) {
        let principal = Arc::new(Principal::of(identity, "contoso.com"));
        let scope = Scope::of(&Resource::parse(&format!("r{n}")).unwrap(), ScopeForm::Resource);
        let key = TokenKey::new(principal, scope, &Extras::NONE, Extension::default());
        let slot = cache.slot(&key, || Ok(None)).unwrap();
        let moment = Moment { now: NOW, windows: &Windows::default() };
        let Some(life) = life else { return };
        let Step::Wait(_, _, Some(departure)) = slot.step(moment, None, || true, |_| Ok(())) else {
            panic!("a departure")
        };
        let token = Token::new(Secret::from("t".to_owned()), Reading::at(NOW), Duration::from_secs(life), None);
        assert!(departure.land(Ok(token), moment, 0.0).is_none());
    }

    #[test]
    fn those_that_end_first_are_shown_and_all_are_counted() {
        let cache = Cache::new(Bounds::default());
        for n in 0..300 {
            // In no order.
            fill(&cache, if n % 3 == 0 { "a" } else { "b" }, n, Some(1000 + (n as u64 * 7) % 300));
        }
        fill(&cache, "a", 900, Some(10));
        fill(&cache, "a", 901, None);
        let census = Census::take(&cache, NOW + Duration::from_secs(20));
        assert_eq!((census.keys, census.total(), census.first.len()), (302, 300, SHOWN));
        assert_eq!(census.tokens[&Name::parse("a").unwrap()], 100, "a dead token is none");
        let ends: Vec<u64> =
            census.first.iter().map(|key| key.times.unwrap().expires_at.since(NOW).as_secs()).collect();
        assert_eq!(ends, (1000..1100).collect::<Vec<_>>());
        assert_eq!(census.cover, Some(Duration::ZERO), "one has ended of those that somebody asked for");
    }

    #[test]
    fn what_has_no_token_stands_last() {
        let cache = Cache::new(Bounds::default());
        for n in 0..150 {
            fill(&cache, "a", n, (n % 3 == 0).then_some(1000));
        }
        let census = Census::take(&cache, NOW);
        let with_token = census.first.iter().take_while(|key| key.times.is_some()).count();
        assert_eq!((with_token, census.first.len()), (50, SHOWN));
    }

    #[test]
    fn a_look_at_many_is_good_for_a_while_and_one_at_few_is_not() {
        let (few, many) = (Cache::new(Bounds::default()), Cache::new(Bounds { entries: 1 << 20, bytes: 1 << 40 }));
        let latest = Latest::default();
        latest.look(&few, NOW);
        assert!(latest.good().is_none() && latest.last().is_some());
        for n in 0..=MANY {
            fill(&many, "a", n, None);
        }
        let census = latest.look(&many, NOW);
        assert_eq!(census.keys, MANY + 1);
        assert!(latest.good().is_some_and(|good| Arc::ptr_eq(&good, &census)));
    }
}
