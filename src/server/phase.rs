//! Where the process is in its life: it starts, serves, drains.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

/// The phase that all listeners share.
#[derive(Debug, Default)]
pub struct Phase {
    now: AtomicU8,
    answered: AtomicU64,
    unasked: AtomicUsize,
}

/// A connection on which nothing was asked yet, for as long as this is held.
#[derive(Debug)]
pub struct Unasked(Arc<Phase>);

impl Drop for Unasked {
    fn drop(&mut self) {
        self.0.unasked.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Phase {
    /// From now on requests are welcome.
    pub fn begin(&self) {
        self.now.store(SERVING, Ordering::Release);
    }

    /// From now on every answer asks its connection to end, and readiness is denied.
    pub fn drain(&self) {
        self.now.store(DRAINING, Ordering::Release);
    }

    /// A request was answered while draining.
    pub fn count(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests were answered while draining.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// A connection was opened.
    #[must_use]
    pub fn opened(self: &Arc<Self>) -> Unasked {
        self.unasked.fetch_add(1, Ordering::Relaxed);
        Unasked(Arc::clone(self))
    }

    /// How many connections were opened and have asked nothing yet.
    #[must_use]
    pub fn unasked(&self) -> usize {
        self.unasked.load(Ordering::Relaxed)
    }

    /// Whether requests are welcome.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.now.load(Ordering::Acquire) == SERVING
    }

    /// Whether connections should end with their current answer.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.now.load(Ordering::Acquire) == DRAINING
    }
}

const SERVING: u8 = 1;
const DRAINING: u8 = 2;
