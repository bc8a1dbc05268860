//! What is held ready from the start: fetched before anybody asks, and renewed ahead though nobody does.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::cache::Cache;
use super::refresh::{Lane, Refresh};
use super::slot::Slot;
use super::sources::Sources;
use crate::clock::{Span, Timestamp};
use crate::fault::Turn;
use crate::fault::outline::Outline;
use crate::name::{Name, Resource};
use crate::source::Source;
use crate::token::Extras;

/// All that is held ready.
pub struct Warmup {
    tokens: HashMap<Name, Vec<Warm>>,
    /// In which everybody waits for them.
    patience: Span,
    /// Once it is, it stays so, whatever becomes of the tokens.
    has_ended: AtomicBool,
}

/// One resource of an identity, in its default tenant.
pub struct Warm {
    resource: Resource,
    source: Arc<Source>,
    slot: Arc<Slot>,
}

/// How it is with one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warmth {
    /// A token is there, until that time.
    Held(Timestamp),
    /// There is none, and this is why.
    Failing(Outline),
    /// There is none yet.
    Waiting,
}

impl Warmup {
    /// These resources of these identities. Slots are made, and nothing is fetched.
    #[must_use]
    pub fn new(wanted: &[(Name, Resource)], sources: &Sources, cache: &Cache, now: Timestamp) -> Self {
        let tokens = tokens(wanted, sources, cache);
        Self { tokens, patience: Span::new(now, PATIENCE), has_ended: AtomicBool::new(false) }
    }

    /// These in its place. Nobody waits for longer than for those before.
    #[must_use]
    pub fn under(&self, wanted: &[(Name, Resource)], sources: &Sources, cache: &Cache) -> Self {
        let has_ended = AtomicBool::new(self.has_ended.load(Ordering::Acquire));
        Self { tokens: tokens(wanted, sources, cache), patience: self.patience, has_ended }
    }

    /// Has all of them looked at when their times come, in nobody's share: at once where there is no token. Those that
    /// are seen to are left alone, and nothing else is held ready.
    pub fn see_to_all(&self, cache: &Cache, refresh: &Refresh, now: Timestamp) {
        cache.release(|key| self.tokens.values().flatten().any(|warm| warm.slot.key() == key));
        for warm in self.tokens.values().flatten() {
            drop(cache.keep(warm.slot.key()));
            if let Some((at, ticket)) = warm.slot.keep_warm(now) {
                refresh.put(at, Lane { source: Arc::clone(&warm.source), owner: None }, &warm.slot, ticket);
            }
        }
    }

    /// Whether each has a token or a failure that waiting does not mend, or the time for that is over.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        if !self.has_ended.load(Ordering::Acquire) {
            let is_pending = |warm: &Warm| warm.warmth(now).is_pending();
            let has_ended = !self.patience.holds(now) || !self.tokens.values().flatten().any(is_pending);
            self.has_ended.fetch_or(has_ended, Ordering::AcqRel);
        }
        self.has_ended.load(Ordering::Acquire)
    }

    /// How it is with those of one identity.
    pub fn of(&self, identity: &Name, now: Timestamp) -> impl Iterator<Item = (&Resource, Warmth)> {
        let own = self.tokens.get(identity).into_iter().flatten();
        own.map(move |warm| (&warm.resource, warm.warmth(now)))
    }
}

fn tokens(wanted: &[(Name, Resource)], sources: &Sources, cache: &Cache) -> HashMap<Name, Vec<Warm>> {
    let mut tokens: HashMap<Name, Vec<Warm>> = HashMap::new();
    for (identity, resource) in wanted {
        let Some(source) = sources.first_of(identity) else { continue };
        let slot = cache.keep(&source.key(resource, &Extras::default()));
        let warm = Warm { resource: resource.clone(), source: Arc::clone(source), slot };
        tokens.entry(identity.clone()).or_default().push(warm);
    }
    tokens
}

impl Warm {
    fn warmth(&self, now: Timestamp) -> Warmth {
        let regard = self.slot.regard();
        let resting = || self.source.resting(&self.slot.key().scope, now).map(|(_, fault)| Outline::from(&fault));
        match regard.live(now) {
            Some(times) => Warmth::Held(times.expires_at),
            None => match regard.failure.map(|(outline, _)| outline).or_else(resting) {
                Some(outline) => Warmth::Failing(outline),
                None => Warmth::Waiting,
            },
        }
    }
}

impl Warmth {
    /// Whether it is worth waiting for: an authority that is down may be back in a moment.
    fn is_pending(&self) -> bool {
        match self {
            Self::Held(_) => false,
            Self::Failing(outline) => outline.turn() == Turn::Authority,
            Self::Waiting => true,
        }
    }
}

/// Who starts us waits for so long at most.
const PATIENCE: Duration = Duration::from_secs(30);
