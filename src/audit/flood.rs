//! Lets some refusals of one caller into the log and counts the rest, so that nobody can fill a disk.

use std::time::Duration;

use crate::clock::{Span, Timestamp};

/// The refusals of one caller.
#[derive(Clone, Debug, Default)]
pub(super) struct Flood {
    window: Option<Span>,
    written: u32,
    suppressed: u64,
}

impl Flood {
    /// Whether one more is to be written, and with it how many were not since the last.
    pub(super) fn pass(&mut self, now: Timestamp) -> Option<u64> {
        if !self.window.is_some_and(|window| window.holds(now)) {
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

    /// How many were not written in a window that is over.
    pub(super) fn settle(&mut self, now: Timestamp) -> u64 {
        if self.window.is_some_and(|window| window.holds(now)) { 0 } else { std::mem::take(&mut self.suppressed) }
    }
}

const WINDOW: Duration = Duration::from_mins(1);
/// So many refusals of one caller are written in a window.
const MOST: u32 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_lost_from_the_count() {
        let mut flood = Flood::default();
        let at = Timestamp::from_secs;
        let passed: Vec<_> = (0..100).map(|_| flood.pass(at(1000))).collect();
        assert_eq!(passed.iter().filter(|passed| **passed == Some(0)).count(), 30);
        assert!(passed[30..].iter().all(Option::is_none));
        assert_eq!(flood.settle(at(1059)), 0, "its window is not over");
        assert_eq!(flood.pass(at(1060)), Some(70));
        assert_eq!(flood.pass(at(1061)), Some(0));
        let _: Vec<_> = (0..40).map(|_| flood.pass(at(1062))).collect();
        assert_eq!((flood.settle(at(1120)), flood.settle(at(1120))), (12, 0));
        assert_eq!(flood.pass(at(10)), Some(0), "a clock that was set back opens a window");
    }
}
