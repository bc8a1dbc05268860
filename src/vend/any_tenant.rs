//! The sources that callers make up by naming tenants, under `tenants."*"`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::stake::{Stake, TENANTS};
use crate::name::TenantId;
use crate::source::Source;

/// The sources of one identity in tenants of callers' choice. The least used are let go, and a caller that names
/// more than its share lets go of its own.
pub struct AnyTenant {
    pub(super) pattern: Source,
    pub(super) made: Cache<TenantId, Arc<Source>>,
    /// What each caller had made, by its place, the oldest first.
    makers: Mutex<HashMap<usize, VecDeque<Made>>>,
}

type Made = (TenantId, Weak<Source>);

impl AnyTenant {
    /// None yet; each will be like `pattern`.
    #[must_use]
    pub fn new(pattern: Source) -> Self {
        // moka's usual policy turns new keys away once it is full of ones that were found more often.
        let made = Cache::builder().max_capacity(u64::from(TENANTS)).eviction_policy(EvictionPolicy::lru()).build();
        Self { pattern, made, makers: Mutex::default() }
    }

    /// What each is like.
    #[must_use]
    pub const fn pattern(&self) -> &Source {
        &self.pattern
    }

    /// The source in this tenant, made for whoever has this stake if there is none.
    pub(super) fn find(&self, id: &TenantId, stake: Option<&Stake>) -> Arc<Source> {
        let mut displaced = None;
        let make = || {
            let source = Arc::new(self.pattern.in_tenant(id));
            displaced = stake.and_then(|stake| self.displace(stake, (id.clone(), Arc::downgrade(&source))));
            source
        };
        let source = self.made.get_with_by_ref(id, make);
        if let Some((id, old)) = displaced
            && self.made.get(&id).is_some_and(|held| std::ptr::eq(old.as_ptr(), &raw const *held))
        {
            self.made.invalidate(&id);
        }
        source
    }

    /// Notes what a caller has made, and gives what it has too much of.
    fn displace(&self, stake: &Stake, made: Made) -> Option<Made> {
        let place = stake.place?;
        // Invariant: no code panics while it holds this lock.
        let mut makers = self.makers.lock().unwrap_or_else(PoisonError::into_inner);
        let own = makers.entry(place).or_default();
        own.push_back(made);
        if own.len() > stake.tenants { own.pop_front() } else { None }
    }
}
