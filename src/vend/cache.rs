//! Finds the slot of a key, within bounds.
//!
//! The library bounds and finds; it does not expire and does not load, because a slot owns its life, and a
//! caller that leaves would take its loader along. A slot with a flight is also held in a table until
//! the flight ends, so that an eviction cannot start a second one.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::quality::RandomState;
use quick_cache::Weighter;
use quick_cache::sync::{Cache as Table, DefaultLifecycle};

use super::holding::Lease;
use super::slot::Slot;
use crate::clock::{Reading, Timestamp};
use crate::fault::Fault;
use crate::token::TokenKey;

/// Slots by key.
///
/// A slot's lock may be held when that of the flights is taken, and that one when those of the table and of the warm ones
/// are; never the other way round.
pub struct Cache {
    slots: Table<ByKey, Weighed, Weigh, RandomState>,
    least: u64,
    flights: Arc<Mutex<Flights>>,
    holds: AtomicU64,
    /// Those that are held ready, which an eviction does not lose either.
    warm: Mutex<HashSet<ByKey>>,
}

/// A slot, found by the key that it guards.
#[derive(Clone, Debug)]
struct ByKey(Arc<Slot>);

impl Borrow<TokenKey> for ByKey {
    fn borrow(&self) -> &TokenKey {
        self.0.key()
    }
}

impl Hash for ByKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key().hash(state);
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}

impl Eq for ByKey {}

/// A slot with what it weighed when it was put in: the library takes off what it added, and asks anew for that.
#[derive(Clone)]
struct Weighed(Arc<Slot>, u64);

#[derive(Clone)]
struct Weigh;

impl Weighter<ByKey, Weighed> for Weigh {
    fn weight(&self, _: &ByKey, weighed: &Weighed) -> u64 {
        weighed.1
    }
}

/// The bounds of a cache, which hold at every instant for what is neither in flight nor held ready.
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
    /// What an entry weighs at least: an even share of all bytes. The table knows one bound, and so the one on
    /// bytes bounds the entries too.
    #[must_use]
    pub fn least(&self) -> u64 {
        self.bytes.div_ceil(self.entries.max(1))
    }
}

impl Cache {
    /// An empty cache.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let bytes = bounds.bytes;
        let expected = usize::try_from(expected(bounds)).unwrap_or(usize::MAX);
        let slots = Table::with(expected, bytes, Weigh, RandomState::default(), DefaultLifecycle::default());
        // The table lets nothing in that weighs more than 97 % of it.
        let least = bounds.least().min(bytes / 10 * 9);
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
        if let Some(Weighed(slot, _)) = self.slots.get(key) {
            return Ok(slot);
        }
        let flights = lock(&self.flights);
        if let Some(slot) = self.find(&flights, key) {
            // Whoever has a slot's lock may wait for the flights, and so nobody the other way round.
            drop(flights);
            self.put(Arc::clone(&slot));
            return Ok(slot);
        }
        // Until it is in the table, nobody makes another one, and no flight begins. The library's own way to do that drops
        // a new entry again where all others are settled. Nobody has this one's lock yet.
        let slot = Arc::new(Slot::new(key.clone(), lease()?));
        self.put(Arc::clone(&slot));
        Ok(slot)
    }

    /// The slot of a key, wherever it is kept.
    #[expect(clippy::mutable_key_type, reason = "a slot is found by its key, which never changes")]
    fn find(&self, flights: &Flights, key: &TokenKey) -> Option<Arc<Slot>> {
        let flying = flights.get_key_value(key).map(|(flying, _)| flying.clone());
        let kept = flying.or_else(|| lock(&self.warm).get(key).cloned());
        kept.map(|ByKey(slot)| slot).or_else(|| self.slots.get(key).map(|weighed| weighed.0))
    }

    /// The slot of a key that is held ready: in nobody's room, and findable whatever is evicted.
    #[must_use]
    pub fn keep(&self, key: &TokenKey) -> Arc<Slot> {
        let flights = lock(&self.flights);
        let kept = self.find(&flights, key).unwrap_or_else(|| Arc::new(Slot::new(key.clone(), None)));
        lock(&self.warm).insert(ByKey(Arc::clone(&kept)));
        drop(flights);
        kept.leave_room();
        // Also as one that was used just now.
        self.put(Arc::clone(&kept));
        kept
    }

    /// Lets go of those that are held ready no more.
    pub fn release(&self, is_kept: impl Fn(&TokenKey) -> bool) {
        let released: Vec<ByKey> = lock(&self.warm).extract_if(|warm| !is_kept(warm.0.key())).collect();
        released.iter().for_each(|released| released.0.release());
    }

    /// Shows each slot.
    pub fn each(&self, mut look: impl FnMut(&Arc<Slot>)) {
        self.all().for_each(|slot| look(&slot));
    }

    /// Makes the flight of a key this slot's, and keeps the slot findable until the hold is dropped; none if another
    /// slot of the key has one, since this one was evicted meanwhile.
    #[must_use]
    pub fn hold(&self, slot: &Arc<Slot>) -> Option<Hold> {
        let mut flights = lock(&self.flights);
        if flights.get_key_value(slot.key()).is_some_and(|(flying, _)| !Arc::ptr_eq(&flying.0, slot)) {
            return None;
        }
        let number = self.holds.fetch_add(1, Ordering::Relaxed);
        flights.insert(ByKey(Arc::clone(slot)), number);
        Some(Hold { number, slot: Arc::clone(slot), flights: Arc::clone(&self.flights) })
    }

    /// The slot that has the flight of this one's key, or had it until just now.
    pub fn flown(&self, slot: &Arc<Slot>) -> Arc<Slot> {
        let flying = lock(&self.flights).get_key_value(slot.key()).map(|(flying, _)| Arc::clone(&flying.0));
        let found = || self.slots.get(slot.key()).map(|weighed| weighed.0);
        flying.or_else(found).unwrap_or_else(|| Arc::clone(slot))
    }

    /// Weighs a slot anew, with what its flight brought. What is more than the share of whoever had it made is kept no
    /// longer where it `may_go`, lest it push out what others had fetched.
    pub fn weigh(&self, slot: &Arc<Slot>, may_go: bool) {
        let weighed = self.weighed(Arc::clone(slot));
        if slot.charge(weighed.1, may_go) {
            self.slots.insert(ByKey(Arc::clone(slot)), weighed);
        } else {
            self.slots.remove_if(slot.key(), |weighed| Arc::ptr_eq(&weighed.0, slot));
        }
    }

    /// Puts it in anew.
    fn put(&self, slot: Arc<Slot>) {
        let weighed = self.weighed(Arc::clone(&slot));
        self.slots.insert(ByKey(slot), weighed);
    }

    fn weighed(&self, slot: Arc<Slot>) -> Weighed {
        let weight = weight(&slot).max(self.least);
        Weighed(slot, weight)
    }

    /// Those in the table, and those that are held ready though they are in it no more.
    fn all(&self) -> impl Iterator<Item = Arc<Slot>> {
        let is_out = |warm: &&ByKey| !self.slots.contains_key(*warm);
        let warm: Vec<ByKey> = lock(&self.warm).iter().filter(is_out).cloned().collect();
        self.slots.iter().map(|(_, weighed)| weighed.0).chain(warm.into_iter().map(|warm| warm.0))
    }

    /// What there is now.
    #[must_use]
    pub fn stock(&self, now: Timestamp) -> Stock {
        let mut stock = Stock::default();
        for slot in self.all() {
            stock.tokens += usize::from(slot.live(now).is_some());
            let cover = slot.covers_until(now).map(|until| until.since(now));
            stock.cover = stock.cover.into_iter().chain(cover).min();
        }
        stock
    }

    /// Drops the slots that hold nothing worth keeping, and those whose key nobody can ask for any more.
    pub fn sweep(&self, now: Reading, is_asked: impl Fn(&TokenKey) -> bool) {
        let is_idle = |slot: &Slot| slot.sweep(now) || !is_asked(slot.key());
        for (key, Weighed(slot, _)) in self.slots.iter().filter(|(_, weighed)| is_idle(&weighed.0)) {
            self.slots.remove_if(&key, |weighed| Arc::ptr_eq(&weighed.0, &slot));
            // A flight may have begun or landed meanwhile. That cannot be asked while the table is locked.
            if !is_idle(&slot) {
                self.put(slot);
            }
        }
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
    slot: Arc<Slot>,
    flights: Arc<Mutex<Flights>>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut flights = lock(&self.flights);
        if flights.get(self.slot.key()) == Some(&self.number) {
            flights.remove(self.slot.key());
        }
    }
}

type Flights = HashMap<ByKey, u64>;

fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    // Invariant: no code panics while it holds this lock.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

fn weight(slot: &Slot) -> u64 {
    (slot.weight() + slot.key().own_text()) as u64 + OVERHEAD
}

/// How many entries the table is told to expect. It cuts itself in shards by that, so that each has 32 of them or more,
/// and gives each an even part of its room: so many that a shard holds a thousand in truth, since keys are not spread
/// quite evenly, and has a mebibyte, since some token is long.
fn expected(bounds: Bounds) -> u64 {
    32 * (bounds.entries >> 10).min(bounds.bytes >> 20).max(1)
}

/// What a slot weighs beside its token and its key's own text: times, the table's and the schedule's books.
const OVERHEAD: u64 = 500;

#[cfg(test)]
mod tests;
