//! A look at all slots: how many tokens there are of each identity, and the keys whose tokens end first.
//!
//! A million slots take a while to look at, so a look that found many is not repeated before some time has passed. None
//! is locked for longer than its own times take to copy, and nothing is sorted but the few that are shown.

use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

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

/// The last look, while it is good enough.
#[derive(Default)]
pub struct Latest(Mutex<Option<(Arc<Census>, Stopwatch, Duration)>>);

impl Latest {
    /// The last look, or one that is taken now by `look`. Whoever comes meanwhile waits for it.
    pub async fn or(&self, look: impl Future<Output = (Census, Duration)>) -> Arc<Census> {
        let mut latest = self.0.lock().await;
        if let Some((census, since, took)) = &*latest
            && census.keys > MANY
            && since.elapsed() < *took * PAUSES
        {
            return Arc::clone(census);
        }
        let (census, took) = look.await;
        let census = Arc::new(census);
        *latest = Some((Arc::clone(&census), Stopwatch::start(), took));
        census
    }
}

impl Census {
    /// Looks at all slots, and says how long that took.
    #[must_use]
    pub fn take(cache: &Cache, now: Timestamp) -> (Self, Duration) {
        let watch = Stopwatch::start();
        let mut census = Self::default();
        // The last of the first ones lies on top.
        let mut first: BinaryHeap<Place> = BinaryHeap::with_capacity(SHOWN + 1);
        cache.each(|slot| {
            census.keys += 1;
            let end = slot.ends_at().filter(|end| now < *end);
            if end.is_some() {
                census.count(&slot.key().identity);
            }
            let cover = slot.covers_until(now).map(|until| until.since(now));
            census.cover = census.cover.into_iter().chain(cover).min();
            let order = (end.is_none(), end);
            if first.len() < SHOWN || first.peek().is_some_and(|last| order < last.order) {
                first.push(Place { order, slot: Arc::clone(slot) });
            }
            if first.len() > SHOWN {
                first.pop();
            }
        });
        census.first = first.into_sorted_vec().iter().map(|place| Key::of(&place.slot, now)).collect();
        (census, watch.elapsed())
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
            identity: key.identity.clone(),
            tenant: key.tenant.clone(),
            scope: key.scope.as_str().into(),
            fmi_path: key.extras.fmi_path.as_ref().map(|path| path.as_str().into()),
            has_claims: key.extras.client_claims.is_some(),
            times: regard.live(now),
            failure: regard.failure.map(|(outline, _)| outline),
            is_flying: regard.is_flying,
            is_warm: regard.is_warm,
        }
    }
}

/// A slot among the first.
struct Place {
    /// Those without a token last.
    order: (bool, Option<Timestamp>),
    slot: Arc<Slot>,
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order.cmp(&other.order)
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Place {}

impl PartialEq for Place {
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
