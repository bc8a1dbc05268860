//! To whom a token was handed before.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A set of numbers, of which the first 64 are found without a lock: two for each caller.
#[derive(Debug, Default)]
pub(super) struct Showing {
    first: AtomicU64,
    /// Made for the first of them, since few tokens have any.
    others: OnceLock<Box<Mutex<BTreeSet<usize>>>>,
}

impl Showing {
    /// Takes the caller in, and says whether it was not there.
    pub(super) fn insert(&self, caller: usize) -> bool {
        let bit = u32::try_from(caller).ok().and_then(|caller| 1_u64.checked_shl(caller));
        let Some(bit) = bit else {
            // Invariant: no code panics while it holds this lock.
            return self.others.get_or_init(Box::default).lock().unwrap_or_else(PoisonError::into_inner).insert(caller);
        };
        // Reading first keeps a token that all ask for in every core's cache.
        self.first.load(Ordering::Relaxed) & bit == 0 && self.first.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }
}

impl Clone for Showing {
    fn clone(&self) -> Self {
        let others = self.others.get().map(|others| {
            // Invariant: no code panics while it holds this lock.
            let others = others.lock().unwrap_or_else(PoisonError::into_inner).clone();
            OnceLock::from(Box::new(Mutex::new(others)))
        });
        Self { first: AtomicU64::new(self.first.load(Ordering::Relaxed)), others: others.unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_is_new_once() {
        let showing = Showing::default();
        for caller in [0, 1, 63, 64, 65, 1000] {
            assert!(showing.insert(caller), "{caller}");
            assert!(!showing.insert(caller), "{caller}");
        }
        assert!(showing.insert(2));
        let cloned = showing.clone();
        assert!(!cloned.insert(1) && !cloned.insert(64) && cloned.insert(3) && cloned.insert(66));
    }
}
