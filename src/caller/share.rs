//! The part of what all share that one caller may take.

use std::time::Duration;

use crate::fault::{Fault, Kind};
use crate::name::Malformed;

/// More than nothing, and at most all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(f64);

impl Share {
    /// A part of one.
    ///
    /// # Errors
    /// Nothing, less than that, or more than all.
    pub fn parse(part: f64) -> Result<Self, Malformed> {
        let is_share = part > 0.0 && part <= 1.0;
        is_share.then_some(Self(part)).ok_or(Malformed("a share is a part of one: more than 0, and at most 1"))
    }

    /// All of it.
    #[must_use]
    pub const fn whole() -> Self {
        Self(1.0)
    }

    /// So much of `whole`, rounded down, and never nothing.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a share is never more than the whole, which fits")]
    pub fn of(self, whole: u32) -> u32 {
        ((f64::from(whole) * self.0) as u32).max(1)
    }

    /// The same of a size in bytes, which need not be whole to the last one.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a share is never more than the whole, which fits")]
    pub fn of_bytes(self, whole: u64) -> u64 {
        ((whole as f64 * self.0) as u64).max(1)
    }
}

impl Default for Share {
    fn default() -> Self {
        Self(0.25)
    }
}

/// A refusal to a caller that wants more than its share of what all have.
#[must_use]
pub fn over_share(problem: &'static str, retry_after: Duration) -> Fault {
    let remedy = "ask for fewer different tokens, or have the operator raise 'cache.caller_share'";
    Fault::new(Kind::TooMany, problem, remedy).with_retry_after(Some(retry_after)).with_rule("cache.caller_share")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_part_of_one() {
        for (part, of_eight) in [(0.25, 2), (1.0, 8), (0.01, 1), (0.5, 4), (0.99, 7)] {
            let share = Share::parse(part).unwrap();
            assert_eq!((share.of(8), share.of_bytes(8)), (of_eight, u64::from(of_eight)), "{part}");
        }
        for part in [0.0, -0.25, 1.01, f64::NAN, f64::INFINITY] {
            assert!(Share::parse(part).is_err(), "{part}");
        }
        assert_eq!(Share::default(), Share::parse(0.25).unwrap());
    }
}
