//! What is traced: decided before anything is made, so that what is not traced costs a draw and no more.

use super::Parent;

/// Which requests and renewals have spans, as `OTEL_TRACES_SAMPLER` and `OTEL_PROPAGATORS` say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// How many of those that have no word of their caller's, or whose caller's is not taken.
    pub share: Share,
    /// Whether the caller's own decision is taken where there is one.
    pub is_parent_based: bool,
    /// Whether it is looked for at all what the caller traces.
    pub follows: bool,
}

/// A part of all, decided by a random number of 63 bits or by that of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u64);

impl Share {
    /// All of them.
    pub const ALL: Self = Self(WHOLE);
    /// None of them.
    pub const NONE: Self = Self(0);

    /// Such a part; none if that is less than nothing or more than all.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 2 to the 63rd")]
    pub fn of(part: f64) -> Option<Self> {
        (0.0..=1.0).contains(&part).then_some(Self((part * WHOLE as f64) as u64))
    }

    /// Half of the numbers below is lost with the lowest bit, as in every implementation of `TraceIdRatioBased`.
    const fn has(self, number: u64) -> bool {
        number >> 1 < self.0
    }
}

impl Sampling {
    /// Whether to trace what has such a parent, if it has one. `draw` is random.
    #[must_use]
    pub fn samples(&self, parent: Option<Parent>, draw: u64) -> bool {
        match parent {
            Some(parent) if self.is_parent_based => parent.is_sampled,
            Some(parent) => self.share.has(parent.trace),
            None => self.share.has(draw),
        }
    }
}

/// As many numbers there are.
const WHOLE: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_decides_where_it_may_and_the_share_elsewhere() {
        let parent = |trace, is_sampled| Some(Parent { trace, is_sampled });
        let sampling =
            |part, is_parent_based| Sampling { share: Share::of(part).unwrap(), is_parent_based, follows: true };
        let (low, high) = (1, u64::MAX);
        for (part, parent_based, parent, draw, expected) in [
            (1.0, true, parent(low, false), low, false),
            (0.0, true, parent(high, true), high, true),
            (1.0, true, None, high, true),
            (0.0, true, None, low, false),
            (0.01, true, None, low, true),
            (0.01, true, None, high, false),
            (0.01, false, parent(low, false), high, true),
            (0.01, false, parent(high, true), low, false),
            (1.0, false, parent(high, false), high, true),
            (0.0, false, parent(low, true), low, false),
        ] {
            let told = sampling(part, parent_based).samples(parent, draw);
            assert_eq!(told, expected, "{part} {parent_based} {parent:?} {draw}");
        }
    }

    #[test]
    fn a_share_is_a_part_of_one() {
        for part in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Share::of(part), None, "{part}");
        }
        assert_eq!((Share::of(0.0), Share::of(1.0)), (Some(Share::NONE), Some(Share::ALL)));
        let (hundredth, mut random) = (Share::of(0.01).unwrap(), fastrand::Rng::with_seed(7));
        let sampled = (0..100_000).filter(|_| hundredth.has(random.u64(..))).count();
        assert!((900..1100).contains(&sampled), "{sampled}");
    }
}
