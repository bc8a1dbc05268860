//! Lines that could not be written. Whoever writes behind the requests tells nobody, so they are counted.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many lines were lost, and how many of these were told about.
#[derive(Debug, Default)]
pub(super) struct Loss {
    lost: Arc<AtomicU64>,
    told: AtomicU64,
}

impl Loss {
    /// How many could not be written.
    pub(super) fn count(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// How many of `all` that were lost were not told about yet; they are after this.
    pub(super) fn news(&self, all: u64) -> Option<u64> {
        let told = self.told.swap(all, Ordering::Relaxed);
        (all > told).then(|| all - told)
    }
}

/// A destination that takes every line, and counts those that it could not write.
pub(super) struct Counting<W> {
    destination: W,
    lost: Arc<AtomicU64>,
}

impl<W> Counting<W> {
    pub(super) fn new(destination: W, loss: &Loss) -> Self {
        Self { destination, lost: Arc::clone(&loss.lost) }
    }
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.destination.write_all(line).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.destination.flush()
    }
}
