//! Finds the slot of a key, within bounds.
//!
//! moka bounds and finds; it does not expire and does not load, because its clock is not ours and a
//! caller that leaves would take its loader along. A slot with a flight is also held in a table until
//! the flight ends, so that an eviction cannot start a second one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use moka::future::Cache as Moka;
use moka::policy::EvictionPolicy;

use super::slot::Slot;
use crate::token::TokenKey;

/// Slots by key.
pub struct Cache {
    slots: Moka<TokenKey, Arc<Slot>>,
    flights: Arc<Mutex<HashMap<TokenKey, Arc<Slot>>>>,
}

/// The bounds of a cache; both hold once maintenance has run, not at every instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The most keys.
    pub entries: u64,
    /// The most bytes of tokens and what surrounds them.
    pub bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { entries: 100_000, bytes: 256 << 20 }
    }
}

impl Cache {
    /// An empty cache.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        // moka knows one bound. An entry weighs at least an even share of all bytes, so that the
        // bound on bytes bounds the entries too.
        let share = u32::try_from(bounds.bytes / bounds.entries.max(1)).unwrap_or(u32::MAX);
        let weigh = move |_: &TokenKey, slot: &Arc<Slot>| {
            u32::try_from(slot.weight() + OVERHEAD).unwrap_or(u32::MAX).max(share)
        };
        let slots = Moka::builder()
            .max_capacity(bounds.bytes)
            .weigher(weigh)
            // The default policy may turn away new keys while the old ones are hot.
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { slots, flights: Arc::default() }
    }

    /// The slot of `key`, made if there is none.
    pub async fn slot(&self, key: &TokenKey) -> Arc<Slot> {
        if let Some(slot) = self.slots.get(key).await {
            return slot;
        }
        let flying = || self.flights().get(key).cloned();
        let made = async { flying().unwrap_or_else(|| Arc::new(Slot::new(key.clone()))) };
        self.slots.get_with_by_ref(key, made).await
    }

    /// Keeps a slot findable while it has a flight.
    pub fn hold(&self, slot: &Arc<Slot>) {
        self.flights().insert(slot.key().clone(), Arc::clone(slot));
    }

    /// Ends what [`Cache::hold`] began, and weighs the slot with what the flight brought.
    pub async fn release(&self, slot: Arc<Slot>) {
        let key = slot.key().clone();
        self.slots.insert(key.clone(), slot).await;
        self.flights().remove(&key);
    }

    /// How many keys there are, once maintenance has run.
    pub async fn keys(&self) -> u64 {
        self.slots.run_pending_tasks().await;
        self.slots.entry_count()
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<TokenKey, Arc<Slot>>> {
        // Invariant: no code panics while it holds this lock.
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a slot weighs beside its token: key, times, moka's own books.
const OVERHEAD: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{ClientId, Name, Resource, Scope, TenantId};

    fn key(n: usize) -> TokenKey {
        TokenKey {
            identity: Name::parse("app").unwrap(),
            authority: "https://login/".into(),
            tenant: TenantId::parse("contoso.com").unwrap(),
            client_id: ClientId::parse("app").unwrap(),
            scope: Scope::from(&Resource::parse(&format!("r{n}")).unwrap()),
        }
    }

    async fn filled(bounds: Bounds, keys: usize) -> Cache {
        let cache = Cache::new(bounds);
        for n in 0..keys {
            cache.slot(&key(n)).await;
        }
        cache
    }

    #[tokio::test]
    async fn both_bounds_hold_after_maintenance() {
        assert_eq!(filled(Bounds { entries: 10, bytes: 1 << 20 }, 100).await.keys().await, 10);
        assert_eq!(filled(Bounds { entries: 1000, bytes: 5000 }, 100).await.keys().await, 10);
    }

    #[tokio::test]
    async fn a_new_key_finds_room_in_a_full_cache() {
        let cache = filled(Bounds { entries: 10, bytes: 1 << 20 }, 100).await;
        let slot = cache.slot(&key(7)).await;
        assert_eq!(cache.keys().await, 10);
        assert!(Arc::ptr_eq(&slot, &cache.slot(&key(7)).await));
    }

    #[tokio::test]
    async fn an_eviction_does_not_lose_a_flight() {
        let cache = Cache::new(Bounds { entries: 2, bytes: 1 << 20 });
        let slot = cache.slot(&key(0)).await;
        cache.hold(&slot);
        cache.slots.invalidate(&key(0)).await;
        assert!(Arc::ptr_eq(&slot, &cache.slot(&key(0)).await));
        cache.slots.invalidate(&key(0)).await;
        cache.release(Arc::clone(&slot)).await;
        assert!(Arc::ptr_eq(&slot, &cache.slot(&key(0)).await), "release puts it back");
        cache.slots.invalidate(&key(0)).await;
        assert!(!Arc::ptr_eq(&slot, &cache.slot(&key(0)).await), "and lets it go");
    }
}
