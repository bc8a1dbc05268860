//! Where the process is in its life: it starts, serves, drains.

use std::sync::atomic::{AtomicU8, Ordering};

/// The phase that all listeners share.
#[derive(Debug, Default)]
pub struct Phase(AtomicU8);

impl Phase {
    /// From now on requests are welcome.
    pub fn begin(&self) {
        self.0.store(SERVING, Ordering::Release);
    }

    /// From now on every answer asks its connection to end, and readiness is denied.
    pub fn drain(&self) {
        self.0.store(DRAINING, Ordering::Release);
    }

    /// Whether a load balancer should send requests here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire) == SERVING
    }

    /// Whether connections should end with their current answer.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.load(Ordering::Acquire) == DRAINING
    }
}

const SERVING: u8 = 1;
const DRAINING: u8 = 2;
