//! Lets some lines of one kind into a log and counts the rest, so that nobody can fill a disk.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Span, Timestamp};

pub mod concern;

pub use concern::{Concern, Event};

/// The lines of many kinds, told apart by what they are about. What that is has to be bounded by the configuration:
/// nothing that a caller makes up may be in it.
#[derive(Debug)]
pub struct Floods<K>(Mutex<HashMap<K, Flood>>);

impl<K: Eq + Hash> Floods<K> {
    /// Whether one more line about `about` is to be written, and with it how many were not since the last.
    pub fn pass(&self, about: K, now: Timestamp) -> Option<u64> {
        self.lock().entry(about).or_default().pass(now)
    }

    /// What is over, as far as lines of it were not written, and how many these are.
    pub fn settle(&self, now: Timestamp) -> Vec<(K, u64)> {
        missing(self.lock().extract_if(|_, flood| flood.is_over(now)))
    }

    /// The same of all, over or not, since nothing more is written.
    pub fn end(&self) -> Vec<(K, u64)> {
        missing(self.lock().drain())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Flood>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing<K>(floods: impl Iterator<Item = (K, Flood)>) -> Vec<(K, u64)> {
    floods.map(|(about, flood)| (about, flood.suppressed)).filter(|(_, suppressed)| *suppressed > 0).collect()
}

impl<K> Default for Floods<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// The lines of one kind.
#[derive(Debug, Default)]
struct Flood {
    window: Option<Span>,
    written: u32,
    suppressed: u64,
}

impl Flood {
    fn pass(&mut self, now: Timestamp) -> Option<u64> {
        if self.is_over(now) {
            self.window = Some(Span::new(now, WINDOW));
            self.written = 0;
        }
        if self.written >= MOST {
            self.suppressed += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.suppressed))
    }

    fn is_over(&self, now: Timestamp) -> bool {
        !self.window.is_some_and(|window| window.holds(now))
    }
}

const WINDOW: Duration = Duration::from_mins(1);
/// So many lines of one kind are written in a window.
const MOST: u32 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_lost_from_the_count() {
        let floods = Floods::default();
        let at = Timestamp::from_secs;
        let passed: Vec<_> = (0..100).map(|_| floods.pass("a", at(1000))).collect();
        assert_eq!(passed.iter().filter(|passed| **passed == Some(0)).count(), 30);
        assert!(passed[30..].iter().all(Option::is_none));
        assert_eq!(floods.pass("b", at(1000)), Some(0), "another is in no flood");
        assert!(floods.settle(at(1059)).is_empty(), "its window is not over");
        assert_eq!(floods.pass("a", at(1060)), Some(70));
        assert_eq!(floods.pass("a", at(1061)), Some(0));
        let _: Vec<_> = (0..40).map(|_| floods.pass("a", at(1062))).collect();
        assert_eq!((floods.settle(at(1120)), floods.settle(at(1120))), (vec![("a", 12)], vec![]));
        assert!(floods.lock().is_empty(), "what is over is forgotten");
        let _: Vec<_> = (0..31).map(|_| floods.pass("a", at(1130))).collect();
        assert_eq!((floods.pass("b", at(1130)), floods.end(), floods.end()), (Some(0), vec![("a", 1)], vec![]));
        assert_eq!(floods.pass("a", at(10)), Some(0), "a clock that was set back opens a window");
    }
}
