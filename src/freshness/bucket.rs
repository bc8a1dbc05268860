//! So many a second: a token bucket over wall-clock time. Pure: the time is an argument.

use std::num::NonZeroU32;

use crate::clock::Timestamp;

/// What is left of a rate.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// How many come back in a second.
    pace: f64,
    most: f64,
    level: f64,
    at: Timestamp,
}

impl Bucket {
    /// `rate` a second and no more in any second; few at once, so that they are spread over it.
    #[must_use]
    pub fn smooth(rate: NonZeroU32) -> Self {
        let burst = rate.get().div_ceil(ROUNDS);
        // What may come at once and what comes back meanwhile are the rate together.
        Self::new(f64::from(rate.get() - (burst - 1)), burst)
    }

    /// `rate` a second, of which all may come at once.
    #[must_use]
    pub fn sudden(rate: NonZeroU32) -> Self {
        Self::new(f64::from(rate.get()), rate.get())
    }

    /// It is full.
    fn new(pace: f64, burst: u32) -> Self {
        Self { pace, most: f64::from(burst), level: f64::from(burst), at: Timestamp::default() }
    }

    /// Takes one, if there is one.
    #[must_use]
    pub fn take(&mut self, now: Timestamp) -> bool {
        let has_one = self.has_one(now);
        if has_one {
            self.level -= 1.0;
        }
        has_one
    }

    /// Whether there is one.
    #[must_use]
    pub fn has_one(&mut self, now: Timestamp) -> bool {
        self.fill(now);
        self.level >= 1.0
    }

    /// Takes one that cannot be refused. Whoever comes next waits until it is made up for.
    pub fn owe(&mut self, now: Timestamp) {
        self.fill(now);
        self.level -= 1.0;
    }

    /// A clock that is set back gives nothing, and takes nothing away.
    fn fill(&mut self, now: Timestamp) {
        let gained = now.since(self.at).as_secs_f64() * self.pace;
        self.level = (self.level + gained).min(self.most);
        self.at = now;
    }
}

/// In so many parts of a second a rate is spread.
const ROUNDS: u32 = 20;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn rate(rate: u32) -> NonZeroU32 {
        NonZeroU32::new(rate).unwrap()
    }

    const START: Timestamp = Timestamp::from_secs(1000);

    #[test]
    fn what_is_taken_comes_back_in_time() {
        let mut bucket = Bucket::smooth(rate(20));
        assert!(bucket.take(START) && !bucket.take(START));
        assert!(!bucket.take(START + Duration::from_millis(49)) && bucket.take(START + Duration::from_millis(50)));
        bucket.owe(START + Duration::from_millis(50));
        assert!(!bucket.take(START + Duration::from_millis(149)) && bucket.take(START + Duration::from_millis(150)));
        let mut sudden = Bucket::sudden(rate(5));
        assert_eq!((0..100).filter(|_| sudden.take(START)).count(), 5);
    }

    #[test]
    fn a_clock_that_is_set_back_gives_nothing() {
        let mut bucket = Bucket::smooth(rate(1));
        assert!(bucket.take(START));
        assert!(!bucket.take(START - Duration::from_hours(1)));
        assert!(bucket.take(START - Duration::from_hours(1) + Duration::from_secs(1)), "and goes on from there");
    }

    proptest! {
        #[test]
        fn no_second_has_more_than_the_rate(
            of in 1_u32..200,
            pauses in proptest::collection::vec(0_u64..120, 1..400),
        ) {
            let mut bucket = Bucket::smooth(rate(of));
            let mut now = START;
            let mut taken = Vec::new();
            for pause in pauses {
                now = now + Duration::from_millis(pause);
                while bucket.take(now) {
                    taken.push(now);
                }
            }
            for (n, first) in taken.iter().enumerate() {
                let within = taken[n..].iter().filter(|other| other.since(*first) < Duration::from_secs(1)).count();
                prop_assert!(within <= of as usize, "{within} of {of}");
            }
        }
    }
}
