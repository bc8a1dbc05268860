//! Slots by their keys, within a bound of weight. Nothing here knows a time or does I/O.
//!
//! A slot holds its key, so that the shelf needs no copy: an entry is a pointer, its weight and some of its hash. What
//! has to go is found as a clock's hand does: whoever was found since the hand came by stays for another round, and who
//! was only put there goes first. So a hit writes one flag, where a list in order of use would have it move neighbours.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;

use crate::token::TokenKey;
use crate::vend::slot::Slot;

/// Slots by key.
pub(super) struct Shelf {
    boards: Vec<Mutex<Board>>,
    hasher: RandomState,
    most: u64,
    weight: AtomicU64,
    /// The board that has to give something up next.
    turn: AtomicUsize,
}

/// A part of the slots, behind a lock of its own.
#[derive(Default)]
struct Board {
    entries: HashTable<Entry>,
    /// Where the clock's hand stands.
    hand: usize,
}

struct Entry {
    slot: Arc<Slot>,
    /// As much of the hash as a table of this size needs, so that it grows without a look at each slot.
    hash: u32,
    weight: u32,
}

impl Shelf {
    /// An empty shelf that bears `most`, of `entries` or so.
    pub(super) fn new(most: u64, entries: u64) -> Self {
        let boards = (entries / LENGTH).clamp(1, BOARDS).next_power_of_two();
        let boards = (0..boards).map(|_| Mutex::default()).collect();
        Self { boards, hasher: RandomState::new(), most, weight: AtomicU64::new(0), turn: AtomicUsize::new(0) }
    }

    /// The slot of `key`.
    pub(super) fn find(&self, key: &TokenKey) -> Option<Arc<Slot>> {
        let hash = self.hash(key);
        self.board(hash).find(hash, key)
    }

    /// The slot of `key`, which `make` makes if there is none.
    pub(super) fn find_or(&self, key: &TokenKey, weight: u32, make: impl FnOnce() -> Arc<Slot>) -> Arc<Slot> {
        let hash = self.hash(key);
        let board = self.board(hash);
        if let Some(slot) = board.find(hash, key) {
            return slot;
        }
        let slot = make();
        self.lay(board, hash, weight, &slot);
        slot
    }

    /// Puts a slot in the place of its key, with this weight.
    pub(super) fn put(&self, slot: &Arc<Slot>, weight: u32) {
        let hash = self.hash(slot.key());
        let mut board = self.board(hash);
        let before = board.remove(hash, slot.key());
        self.lay(board, hash, weight, slot);
        self.take_off(before);
    }

    /// Takes a slot out.
    #[cfg(test)]
    pub(super) fn remove(&self, key: &TokenKey) {
        let hash = self.hash(key);
        let removed = self.board(hash).remove(hash, key);
        self.take_off(removed);
    }

    /// Shows every slot, and takes out those that are not to be kept. Whoever comes meanwhile is let in between, and
    /// may be missed, or seen twice.
    pub(super) fn retain(&self, mut keep: impl FnMut(&Arc<Slot>) -> bool) {
        for board in &self.boards {
            let mut from = 0;
            loop {
                let Some(removed) = lock(board).retain(from, &mut keep) else { break };
                removed.into_iter().for_each(|entry| self.take_off(Some(entry)));
                from += STRETCH;
            }
        }
    }

    /// How many slots there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.boards.iter().map(|board| lock(board).entries.len()).sum()
    }

    fn lay(&self, mut board: MutexGuard<'_, Board>, hash: u32, weight: u32, slot: &Arc<Slot>) {
        board.entries.insert_unique(spread(hash), Entry { slot: Arc::clone(slot), hash, weight }, Entry::spread);
        drop(board);
        self.weight.fetch_add(u64::from(weight), Ordering::Relaxed);
        self.make_room(slot);
    }

    /// Gives up others until what is left is not too heavy; and the new one if it is too heavy alone.
    fn make_room(&self, new: &Arc<Slot>) {
        let mut in_vain = 0;
        while self.is_too_heavy() && in_vain < self.boards.len() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.boards.len();
            let given = lock(&self.boards[turn]).give_up(new);
            in_vain = if given.is_some() { 0 } else { in_vain + 1 };
            self.take_off(given);
        }
        if self.is_too_heavy() {
            let hash = self.hash(new.key());
            let given = self.board(hash).remove(hash, new.key());
            self.take_off(given);
        }
    }

    fn is_too_heavy(&self) -> bool {
        self.weight.load(Ordering::Relaxed) > self.most
    }

    /// Dropped where no lock is held.
    fn take_off(&self, entry: Option<Entry>) {
        if let Some(entry) = entry {
            self.weight.fetch_sub(u64::from(entry.weight), Ordering::Relaxed);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a table has fewer places than that")]
    fn hash(&self, key: &TokenKey) -> u32 {
        self.hasher.hash_one(key) as u32
    }

    fn board(&self, hash: u32) -> MutexGuard<'_, Board> {
        // The highest bits choose the board, and the others the place on it.
        let place = (u64::from(hash) * self.boards.len() as u64) >> u32::BITS;
        lock(&self.boards[usize::try_from(place).unwrap_or_default()])
    }
}

impl Board {
    fn find(&self, hash: u32, key: &TokenKey) -> Option<Arc<Slot>> {
        let entry = self.entries.find(spread(hash), |entry| entry.is_of(hash, key))?;
        entry.slot.touch();
        Some(Arc::clone(&entry.slot))
    }

    fn remove(&mut self, hash: u32, key: &TokenKey) -> Option<Entry> {
        let entry = self.entries.find_entry(spread(hash), |entry| entry.is_of(hash, key)).ok()?;
        Some(entry.remove().0)
    }

    /// The first that was not found since the hand came by, but not `new`; none if there is no other.
    fn give_up(&mut self, new: &Arc<Slot>) -> Option<Entry> {
        let places = self.entries.num_buckets();
        // In the first round all may have been found.
        for _ in 0..2 * places {
            self.hand = (self.hand + 1) % places;
            let Some(entry) = self.entries.get_bucket(self.hand) else { continue };
            if !Arc::ptr_eq(&entry.slot, new) && !entry.slot.was_touched() {
                return self.entries.get_bucket_entry(self.hand).ok().map(|entry| entry.remove().0);
            }
        }
        None
    }

    /// Takes out those that are not to be kept of the places from there on; none behind the last place.
    fn retain(&mut self, from: usize, mut keep: impl FnMut(&Arc<Slot>) -> bool) -> Option<Vec<Entry>> {
        let places = self.entries.num_buckets();
        let stretch = (from < places).then(|| from..places.min(from + STRETCH))?;
        let mut removed = Vec::new();
        for place in stretch {
            if self.entries.get_bucket(place).is_some_and(|entry| !keep(&entry.slot)) {
                removed.extend(self.entries.get_bucket_entry(place).ok().map(|entry| entry.remove().0));
            }
        }
        Some(removed)
    }
}

impl Entry {
    fn spread(&self) -> u64 {
        spread(self.hash)
    }

    fn is_of(&self, hash: u32, key: &TokenKey) -> bool {
        self.hash == hash && self.slot.key() == key
    }
}

/// A table wants bits at both ends.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn lock(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    // Invariant: no code panics while it holds this lock, and the table is whole between statements.
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

/// So many callers at once seldom meet at a lock, and the hand goes round in a moment.
const BOARDS: u64 = 64;
/// A board for fewer would know little of what is used.
const LENGTH: u64 = 1024;
/// So many places are looked at before somebody else may have the lock.
const STRETCH: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{ClientId, Name, Resource, Scope, ScopeForm, TenantId};
    use crate::token::{Extension, Extras};

    fn key(n: usize) -> TokenKey {
        TokenKey {
            identity: Name::parse("app").unwrap(),
            authority: "https://login/".into(),
            tenant: TenantId::parse("contoso.com").unwrap(),
            client_id: ClientId::parse("app").unwrap(),
            scope: Scope::of(&Resource::parse(&format!("r{n}")).unwrap(), ScopeForm::Default),
            extras: Extras::default(),
            extension: Extension::default(),
        }
    }

    fn put(shelf: &Shelf, n: usize, weight: u32) -> Arc<Slot> {
        let slot = Arc::new(Slot::new(key(n), None));
        shelf.put(&slot, weight);
        slot
    }

    #[test]
    fn what_is_found_stays_and_what_is_not_goes() {
        let shelf = Shelf::new(100, 100);
        for n in 0..1000 {
            put(&shelf, n, 1);
            // As often as the hand goes round.
            for hot in 0..10.min(n) {
                assert!(shelf.find(&key(hot)).is_some(), "{hot} at {n}");
            }
        }
        assert_eq!(shelf.len(), 100);
        assert!(shelf.find(&key(999)).is_some());
    }

    #[test]
    fn a_slot_is_weighed_once_however_often_it_is_put() {
        let shelf = Shelf::new(10, 10);
        let slot = put(&shelf, 0, 4);
        for _ in 0..100 {
            shelf.put(&slot, 4);
        }
        put(&shelf, 1, 6);
        assert_eq!(shelf.len(), 2);
        put(&shelf, 2, 1);
        assert_eq!(shelf.len(), 2, "one had to go");
        put(&shelf, 3, 11);
        assert_eq!((shelf.len(), shelf.weight.load(Ordering::Relaxed)), (0, 0), "too heavy for the whole shelf");
    }

    #[test]
    fn as_many_as_it_bears_are_there_on_every_board() {
        let shelf = Shelf::new(100_000, 100_000);
        assert_eq!(shelf.boards.len(), 64);
        let slots: Vec<_> = (0..100_000).map(|n| put(&shelf, n, 1)).collect();
        assert!(slots.iter().all(|slot| shelf.find(slot.key()).is_some_and(|found| Arc::ptr_eq(&found, slot))));
        let mut seen = 0;
        shelf.retain(|slot| {
            seen += 1;
            slot.key().scope.as_str().len() % 2 == 0
        });
        assert_eq!(seen, 100_000);
        let left = slots.iter().filter(|slot| shelf.find(slot.key()).is_some()).count();
        assert_eq!((left, shelf.weight.load(Ordering::Relaxed)), (shelf.len(), left as u64));
    }
}
