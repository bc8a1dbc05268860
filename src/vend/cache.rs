//! Finds the slot of a key, within bounds.
//!
//! moka bounds and finds; it does not expire and does not load, because its clock is not ours and a
//! caller that leaves would take its loader along. A slot with a flight is also held in a table until
//! the flight ends, so that an eviction cannot start a second one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::quality::RandomState;
use moka::Entry;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache as Moka;

use super::holding::Lease;
use super::slot::Slot;
use crate::clock::Timestamp;
use crate::fault::Fault;
use crate::token::TokenKey;

/// Slots by key.
pub struct Cache {
    /// A slot and moka share its key.
    slots: Moka<Arc<TokenKey>, Arc<Slot>, RandomState>,
    least: u64,
    flights: Arc<Mutex<Flights>>,
    holds: AtomicU64,
    /// Those that are held ready, which an eviction does not lose either.
    warm: Mutex<HashMap<Arc<TokenKey>, Arc<Slot>>>,
}

/// The bounds of a cache; both hold once maintenance has run, not at every instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The most keys.
    pub entries: u64,
    /// The most bytes of tokens, of what they are kept under, and of what surrounds them.
    pub bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { entries: 100_000, bytes: 256 << 20 }
    }
}

impl Bounds {
    /// What an entry weighs at least: an even share of all bytes. moka knows one bound, and so the one on bytes
    /// bounds the entries too.
    #[must_use]
    pub fn least(&self) -> u64 {
        self.bytes.div_ceil(self.entries.max(1))
    }
}

impl Cache {
    /// An empty cache.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let least = bounds.least();
        let weigh =
            move |_: &Arc<TokenKey>, slot: &Arc<Slot>| u32::try_from(weight(slot).max(least)).unwrap_or(u32::MAX);
        let slots = Moka::builder()
            .max_capacity(bounds.bytes)
            .weigher(weigh)
            // The default policy may turn away new keys while the old ones are hot.
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(RandomState::default());
        Self { slots, least, flights: Arc::default(), holds: AtomicU64::default(), warm: Mutex::default() }
    }

    /// The slot of `key`, made if there is none. Then `lease` is asked for room.
    ///
    /// # Errors
    /// There is none, and no room for it.
    pub fn slot(
        &self,
        key: &TokenKey,
        lease: impl FnOnce() -> Result<Option<Lease>, Fault>,
    ) -> Result<Arc<Slot>, Fault> {
        if let Some(slot) = self.slots.get(key) {
            return Ok(slot);
        }
        let flying = || lock(&self.flights).get(key).map(|(_, slot)| Arc::clone(slot));
        let found = match flying().or_else(|| lock(&self.warm).get(key).cloned()) {
            Some(slot) => slot,
            None => Arc::new(Slot::new(Arc::new(key.clone()), lease()?)),
        };
        // Another one's flight may have begun meanwhile.
        Ok(self.slots.get_with(Arc::clone(found.key()), || flying().unwrap_or(found)))
    }

    /// The slot of a key that is held ready: in nobody's room, and findable whatever is evicted.
    #[must_use]
    pub fn keep(&self, key: &TokenKey) -> Arc<Slot> {
        let found = self.slots.get(key).unwrap_or_else(|| Arc::new(Slot::new(Arc::new(key.clone()), None)));
        let kept = Arc::clone(lock(&self.warm).entry(Arc::clone(found.key())).or_insert(found));
        // Also as one that was used just now.
        self.slots.insert(Arc::clone(kept.key()), Arc::clone(&kept));
        kept
    }

    /// Lets go of those that are held ready no more.
    pub fn release(&self, is_kept: impl Fn(&TokenKey) -> bool) {
        lock(&self.warm).retain(|key, slot| {
            let stays = is_kept(key);
            if !stays {
                slot.release();
            }
            stays
        });
    }

    /// Shows each slot.
    pub fn each(&self, mut look: impl FnMut(&Arc<Slot>)) {
        self.slots.iter().for_each(|(_, slot)| look(&slot));
    }

    /// Makes the flight of a key this slot's, and keeps the slot findable until the hold is dropped; none if another
    /// slot of the key has one, since this one was evicted meanwhile.
    #[must_use]
    pub fn hold(&self, slot: &Arc<Slot>) -> Option<Hold> {
        let mut flights = lock(&self.flights);
        if flights.get(slot.key()).is_some_and(|(_, flying)| !Arc::ptr_eq(flying, slot)) {
            return None;
        }
        let number = self.holds.fetch_add(1, Ordering::Relaxed);
        flights.insert(Arc::clone(slot.key()), (number, Arc::clone(slot)));
        Some(Hold { number, key: Arc::clone(slot.key()), flights: Arc::clone(&self.flights) })
    }

    /// The slot that has the flight of this one's key, or had it until just now.
    pub fn flown(&self, slot: &Arc<Slot>) -> Arc<Slot> {
        let flying = lock(&self.flights).get(slot.key()).map(|(_, flying)| Arc::clone(flying));
        match flying {
            Some(flying) => flying,
            None => self.slots.get(slot.key()).unwrap_or_else(|| Arc::clone(slot)),
        }
    }

    /// Weighs a slot anew, with what its flight brought.
    pub fn weigh(&self, slot: &Arc<Slot>) {
        slot.charge(weight(slot).max(self.least));
        self.slots.insert(Arc::clone(slot.key()), Arc::clone(slot));
    }

    /// What there is now.
    #[must_use]
    pub fn stock(&self, now: Timestamp) -> Stock {
        let mut stock = Stock::default();
        for (_, slot) in &self.slots {
            stock.tokens += usize::from(slot.live(now).is_some());
            let cover = slot.covers_until(now).map(|until| until.since(now));
            stock.cover = stock.cover.into_iter().chain(cover).min();
        }
        stock
    }

    /// Drops the slots that hold nothing worth keeping, and those whose key nobody can ask for any more.
    pub fn sweep(&self, now: Timestamp, is_asked: impl Fn(&TokenKey) -> bool) {
        for (key, _) in self.slots.iter().filter(|(key, slot)| slot.sweep(now) || !is_asked(key)) {
            // A flight may have landed since.
            let remove = |entry: Option<Entry<Arc<TokenKey>, Arc<Slot>>>| match entry {
                Some(entry) if entry.value().sweep(now) || !is_asked(entry.key()) => Op::Remove,
                _ => Op::Nop,
            };
            self.slots.entry(Arc::clone(&key)).and_compute_with(remove);
        }
        self.slots.run_pending_tasks();
    }
}

/// What a cache holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    /// Live tokens.
    pub tokens: usize,
    /// How long everybody who asked lately would still be served if no token came any more: until the first of theirs
    /// ends. None where nobody has asked.
    pub cover: Option<Duration>,
}

/// Keeps a slot in the table of flights. The next flight of the key has a hold of its own, which the end
/// of this one leaves alone.
#[derive(Debug)]
pub struct Hold {
    number: u64,
    key: Arc<TokenKey>,
    flights: Arc<Mutex<Flights>>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut flights = lock(&self.flights);
        if flights.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            flights.remove(&self.key);
        }
    }
}

type Flights = HashMap<Arc<TokenKey>, (u64, Arc<Slot>)>;

fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    // Invariant: no code panics while it holds this lock.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

fn weight(slot: &Slot) -> u64 {
    (slot.weight() + slot.key().own_text()) as u64 + OVERHEAD
}

/// What a slot weighs beside its token and its key's own text: times, moka's and the schedule's books.
const OVERHEAD: u64 = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Fault, Kind};
    use crate::freshness::Windows;
    use crate::name::{Resource, Scope, ScopeForm};
    use crate::secret::Secret;
    use crate::token::{Extension, Principal, Token};
    use crate::vend::holding::Holding;
    use crate::vend::slot::{Moment, Step};

    fn key(n: usize) -> TokenKey {
        TokenKey {
            principal: Arc::new(Principal::of("app", "contoso.com")),
            scope: Scope::of(&Resource::parse(&format!("r{n}")).unwrap(), ScopeForm::Default),
            extras: crate::token::Extras::default(),
            extension: Extension::default(),
        }
    }

    impl Cache {
        pub(in crate::vend) fn evict(&self, key: &TokenKey) {
            self.slots.invalidate(key);
        }

        /// How many keys there are once maintenance has run.
        pub(in crate::vend) fn len(&self) -> usize {
            self.slots.run_pending_tasks();
            usize::try_from(self.slots.entry_count()).unwrap()
        }
    }

    fn find(cache: &Cache, n: usize) -> Arc<Slot> {
        cache.slot(&key(n), || Ok(None)).unwrap()
    }

    fn filled(bounds: Bounds, keys: usize) -> Cache {
        let cache = Cache::new(bounds);
        for n in 0..keys {
            find(&cache, n);
        }
        cache
    }

    #[test]
    fn both_bounds_hold_after_maintenance() {
        assert_eq!(filled(Bounds { entries: 10, bytes: 1 << 20 }, 100).len(), 9);
        let each = OVERHEAD + "r99".len() as u64;
        assert_eq!(filled(Bounds { entries: 1000, bytes: 10 * each }, 100).len(), 10);
    }

    #[test]
    fn a_long_key_weighs_more() {
        let cache = Cache::new(Bounds { entries: 1000, bytes: 10 * (OVERHEAD + 1000) });
        for n in 0..100 {
            let resource = Resource::parse(&format!("{n:0>1000}")).unwrap();
            let long = TokenKey { scope: Scope::of(&resource, ScopeForm::Default), ..key(0) };
            cache.slot(&long, || Ok(None)).unwrap();
        }
        assert_eq!(cache.len(), 10);
    }

    #[test]
    fn a_new_key_finds_room_in_a_full_cache() {
        let cache = filled(Bounds { entries: 10, bytes: 1 << 20 }, 100);
        let slot = find(&cache, 7);
        assert!(Arc::ptr_eq(&slot, &find(&cache, 7)));
    }

    #[test]
    fn an_eviction_does_not_lose_a_flight() {
        let cache = Cache::new(Bounds { entries: 2, bytes: 1 << 20 });
        let slot = find(&cache, 0);
        let hold = cache.hold(&slot).unwrap();
        cache.evict(&key(0));
        assert!(Arc::ptr_eq(&slot, &find(&cache, 0)));
        cache.evict(&key(0));
        let next = cache.hold(&slot).unwrap();
        drop(hold);
        assert!(Arc::ptr_eq(&slot, &find(&cache, 0)), "the next flight holds it still");
        cache.evict(&key(0));
        drop(next);
        assert!(!Arc::ptr_eq(&slot, &find(&cache, 0)), "and lets it go");
    }

    #[test]
    fn a_sweep_drops_what_is_dead_and_keeps_what_cools() {
        let cache = Cache::new(Bounds::default());
        let (now, windows) = (Timestamp::from_secs(1000), Windows::default());
        for n in 0..3 {
            let slot = find(&cache, n);
            let moment = Moment { now, windows: &windows };
            let Step::Wait(_, _, Some(departure)) = slot.step(moment, None, || true, |_| Ok(())) else {
                panic!("a departure")
            };
            let secret = Secret::from("t".to_owned());
            let token = |life| Token::new(secret, now, now + Duration::from_secs(life), None);
            let cooling = Fault::new(Kind::Throttled, "p", "r").with_retry_after(Some(Duration::from_secs(100)));
            let result = match n {
                0 => Ok(token(50)),
                1 => Ok(token(500)),
                _ => Err(cooling),
            };
            assert!(departure.land(result, moment, 0.0).is_none());
        }
        assert_eq!(cache.stock(now).tokens, 2);
        cache.sweep(now + Duration::from_secs(60), |_| true);
        assert_eq!((cache.len(), cache.stock(now).tokens), (2, 1));
        cache.sweep(now + Duration::from_secs(60), |asked| *asked != key(1));
        assert_eq!((cache.len(), cache.stock(now).tokens), (1, 0), "nobody can ask for a live token any more");
        cache.sweep(now + Duration::from_secs(1000), |_| true);
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn an_eviction_does_not_lose_what_is_held_ready() {
        let cache = Cache::new(Bounds { entries: 10, bytes: 1 << 20 });
        let kept = cache.keep(&key(0));
        assert_eq!(kept.keep_warm(Timestamp::from_secs(1000)), Some((Timestamp::from_secs(1000), 1)));
        for n in 1..100 {
            find(&cache, n);
        }
        cache.len();
        assert!(Arc::ptr_eq(&kept, &find(&cache, 0)) && Arc::ptr_eq(&kept, &cache.keep(&key(0))));
        cache.sweep(Timestamp::from_secs(2000), |_| true);
        assert_eq!(cache.len(), 1, "it is kept though it is empty");
    }

    #[test]
    fn a_caller_has_no_more_than_its_share_and_leaves_the_others_theirs() {
        let cache = Cache::new(Bounds { entries: 8, bytes: 8000 });
        let holding = Arc::new(Holding::new(2000));
        let mine = |n: usize| cache.slot(&key(n), || holding.lease(1000).map(Some));
        for n in [10, 11, 12] {
            find(&cache, n);
        }
        let first = mine(0).unwrap();
        mine(1).unwrap();
        for n in 20..1000 {
            assert_eq!(mine(n).unwrap_err().status(), 429);
        }
        assert!(mine(0).is_ok() && mine(10).is_ok(), "what is there is found, whoever had it made");
        assert_eq!(cache.len(), 5);
        first.charge(2000);
        cache.evict(&key(1));
        assert!(mine(1).is_err(), "a heavy token takes more than one place");
        drop(first);
        cache.sweep(Timestamp::from_secs(1000), |_| true);
        assert!(mine(1).is_ok() && mine(2).is_ok(), "what is swept comes back");
    }

    #[test]
    fn a_token_weighs_on_whoever_had_its_slot_made() {
        let cache = Cache::new(Bounds { entries: 8, bytes: 8000 });
        let holding = Arc::new(Holding::new(2000));
        let slot = cache.slot(&key(0), || holding.lease(1000).map(Some)).unwrap();
        let (now, windows) = (Timestamp::from_secs(1000), Windows::default());
        let moment = Moment { now, windows: &windows };
        let step = slot.step(moment, None, || true, |_| Ok(()));
        let Step::Wait(_, _, Some(departure)) = step else { panic!("a departure") };
        let heavy = Token::new(Secret::from("t".repeat(600)), now, now + Duration::from_secs(50), None);
        assert!(departure.land(Ok(heavy), moment, 0.0).is_none());
        cache.weigh(&slot);
        assert!(holding.lease(1000).is_err());
        assert!(holding.lease(880).is_ok());
    }
}
