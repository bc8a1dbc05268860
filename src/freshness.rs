//! When a token is served, renewed ahead, waited for or refused. Pure: `now` and jitter are arguments.
//!
//! ```text
//!  issued      refresh point        expiry - late      expiry - last     expiry
//!    | Serve        | ServeAndRefresh    | Fetch(Brief)      | Fetch(Whole)   | Fetch or Refuse
//! ```
//! The late window exists because Azure SDKs treat a token with less than five minutes left as expired
//! and would ask again for every call they make.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::fault::{Fault, Kind, Rest};
use crate::token::Token;

pub mod bucket;
pub mod budget;
pub mod renewal;
pub mod respite;
pub mod schedule;

pub use renewal::{Renewal, Want, renewal};
pub use respite::Respite;

/// The windows that the rules go by, from the configuration's `[freshness]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// From this long before expiry, callers wait briefly for a fresher token (at most a quarter of life).
    pub late: Duration,
    /// From this long before expiry, callers wait for a fresher token (at most a twentieth of life).
    pub last: Duration,
    /// How long a caller waits briefly.
    pub join: Duration,
}

impl Default for Windows {
    fn default() -> Self {
        Self { late: Duration::from_mins(5), last: Duration::from_secs(30), join: Duration::from_secs(1) }
    }
}

impl Windows {
    fn late_of(&self, life: Duration) -> Duration {
        self.late.min(life / 4)
    }

    fn last_of(&self, life: Duration) -> Duration {
        self.last.min(life / 20)
    }
}

/// What is known about one key when somebody asks for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entry {
    /// The times of the held token.
    pub times: Option<Times>,
    /// Until when the authority is to be left alone.
    pub cooling_until: Option<Timestamp>,
}

/// The moments of one token at which the rules change, fixed when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When it was issued.
    pub issued_at: Timestamp,
    /// From here on it is renewed ahead.
    pub refresh_at: Timestamp,
    /// From here on callers wait briefly.
    pub late_at: Timestamp,
    /// From here on callers wait.
    pub last_at: Timestamp,
    /// From here on it is dead.
    pub expires_at: Timestamp,
}

impl Times {
    /// Fixes the moments of `token`. `jitter` is drawn once per token from `0.0..1.0`, so that keys
    /// which were fetched together are not renewed together.
    #[must_use]
    pub fn of(token: &Token, windows: &Windows, jitter: f64) -> Self {
        let life = token.life();
        let late = windows.late_of(life);
        // The authority's wish and a part of life end with the same bound, so that its tokens are spread too.
        let interval = refresh_interval(life, token.refresh_in()).min(life.saturating_sub(late * 2));
        let drawn = interval.mul_f64(1.0 - MAX_JITTER * jitter.clamp(0.0, 1.0));
        Self {
            issued_at: token.issued_at,
            refresh_at: token.issued_at + drawn,
            late_at: token.expires_at - late,
            last_at: token.expires_at - windows.last_of(life),
            expires_at: token.expires_at,
        }
    }

    /// Whether the token was issued in the future: the clock was set back, and nobody has counted it anew yet.
    #[must_use]
    pub fn lie_ahead(&self, now: Timestamp) -> bool {
        now + STEP < self.issued_at
    }
}

/// The rules' answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Wait for a flight, and serve the live token, if there is one, when it fails or patience ends.
    Fetch(Patience),
    /// Nothing to serve, and the authority is to be left alone until then.
    Refuse(Timestamp),
    /// Answer with the held token.
    Serve,
    /// Answer with the held token, and see that one flight renews it.
    ServeAndRefresh,
}

/// How long a caller waits for a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// That long; a live token is at hand.
    Brief(Duration),
    /// As long as the flight takes, which its own deadline bounds.
    Whole,
}

impl Patience {
    /// How long a caller waits whose live token has so long left, before it is served that one. None is to the end of
    /// the flight: the token would be dead before it could be used.
    #[must_use]
    pub fn limit(self, left: Duration) -> Option<Duration> {
        let left = left.checked_sub(SERVING_TIME)?;
        Some(if let Self::Brief(limit) = self { limit.min(left) } else { left })
    }
}

/// Decides about `entry` at `now`.
#[must_use]
pub fn decide(entry: Entry, now: Timestamp, windows: &Windows) -> Verdict {
    let cooling = entry.cooling_until.filter(|until| now < *until);
    let live = entry.times.filter(|times| now < times.expires_at);
    match (live, cooling) {
        (None, None) => Verdict::Fetch(Patience::Whole),
        (None, Some(until)) => Verdict::Refuse(until),
        (Some(_), Some(_)) => Verdict::Serve,
        (Some(times), None) if times.lie_ahead(now) => Verdict::Fetch(Patience::Whole),
        (Some(times), None) if now < times.refresh_at => Verdict::Serve,
        (Some(times), None) if now < times.late_at => Verdict::ServeAndRefresh,
        (Some(times), None) if now < times.last_at => Verdict::Fetch(Patience::Brief(windows.join)),
        (Some(_), None) => Verdict::Fetch(Patience::Whole),
    }
}

/// How long the authority is left alone after the `failures`-th failure in a row (the first is 1).
///
/// `jitter` from `0.0..1.0` shortens a doubling delay by up to a tenth, so that replicas spread.
#[must_use]
pub fn cool_down(fault: &Fault, failures: u32, jitter: f64) -> Duration {
    // Whoever rejects a credential has no say in when it is shown again.
    if let Some(after) = fault.retry_after().filter(|_| fault.kind != Kind::RejectedCredential) {
        return after.clamp(Duration::from_secs(1), MAX_RETRY_AFTER);
    }
    match fault.rest() {
        Rest::Doubling { first, most } => doubling(first, most, failures, jitter),
        Rest::Fixed(rest) => rest,
    }
}

fn doubling(first: Duration, most: Duration, failures: u32, jitter: f64) -> Duration {
    let doubled = first.saturating_mul(1_u32 << failures.saturating_sub(1).min(16));
    doubled.min(most).mul_f64(1.0 - MAX_JITTER * jitter.clamp(0.0, 1.0))
}

/// From issue to the refresh point, before jitter. A `refresh_in` of zero or past expiry is no wish.
fn refresh_interval(life: Duration, refresh_in: Option<Duration>) -> Duration {
    let own = if life >= LONG_LIFE { life / 2 } else { life * 3 / 4 };
    refresh_in.filter(|wish| !wish.is_zero() && *wish < life).unwrap_or(own)
}

/// A token that lives at least this long is renewed at half of its life, as every MSAL does.
const LONG_LIFE: Duration = Duration::from_hours(2);
/// How far a clock may be set back without anybody noticing.
const STEP: Duration = Duration::from_mins(1);
/// What is kept of a token's last moments for the answer to be written in.
const SERVING_TIME: Duration = Duration::from_millis(500);
const MAX_JITTER: f64 = 0.1;
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Reading;
    use crate::secret::Secret;

    const ISSUED: Timestamp = Timestamp::from_secs(1_000_000);

    fn token(life: Duration, refresh_in: Option<Duration>) -> Token {
        Token::new(Secret::from(String::new()), Reading::at(ISSUED), life, refresh_in)
    }

    fn verdict_at(life: u64, age: u64, cooling: bool) -> Verdict {
        let times = Times::of(&token(Duration::from_secs(life), None), &Windows::default(), 0.0);
        let now = ISSUED + Duration::from_secs(age);
        let cooling_until = cooling.then(|| now + Duration::from_secs(7));
        decide(Entry { times: Some(times), cooling_until }, now, &Windows::default())
    }

    #[test]
    fn every_window_has_its_verdict() {
        let brief = Verdict::Fetch(Patience::Brief(Duration::from_secs(1)));
        let whole = Verdict::Fetch(Patience::Whole);
        let hour = 3600;
        let day = 86_400;
        for (life, age, calm, cooling) in [
            (hour, 0, Verdict::Serve, Verdict::Serve),
            (hour, 2699, Verdict::Serve, Verdict::Serve),
            (hour, 2700, Verdict::ServeAndRefresh, Verdict::Serve),
            (hour, 3299, Verdict::ServeAndRefresh, Verdict::Serve),
            (hour, 3300, brief, Verdict::Serve),
            (hour, 3569, brief, Verdict::Serve),
            (hour, 3570, whole, Verdict::Serve),
            (hour, 3599, whole, Verdict::Serve),
            (hour, 3600, whole, Verdict::Refuse(ISSUED + Duration::from_secs(3607))),
            (day, 43_199, Verdict::Serve, Verdict::Serve),
            (day, 43_200, Verdict::ServeAndRefresh, Verdict::Serve),
            (day, 86_099, Verdict::ServeAndRefresh, Verdict::Serve),
            (day, 86_100, brief, Verdict::Serve),
            // Five minutes: late is a quarter, last a twentieth, renewal starts at half.
            (300, 149, Verdict::Serve, Verdict::Serve),
            (300, 150, Verdict::ServeAndRefresh, Verdict::Serve),
            (300, 225, brief, Verdict::Serve),
            (300, 285, whole, Verdict::Serve),
        ] {
            assert_eq!(verdict_at(life, age, false), calm, "life {life}, age {age}");
            assert_eq!(verdict_at(life, age, true), cooling, "life {life}, age {age}, cooling");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_is_not_believed() {
        let times = Times::of(&token(Duration::from_hours(1), None), &Windows::default(), 0.0);
        let entry = Entry { times: Some(times), cooling_until: None };
        let verdict = |back| decide(entry, ISSUED - Duration::from_secs(back), &Windows::default());
        assert_eq!(verdict(60), Verdict::Serve);
        assert_eq!(verdict(61), Verdict::Fetch(Patience::Whole));
    }

    #[test]
    fn nobody_waits_until_a_token_is_dead_and_nobody_is_handed_a_dying_one() {
        let (millis, brief) = (Duration::from_millis, Patience::Brief(Duration::from_secs(1)));
        for (patience, left, expected) in [
            (brief, 10_000, Some(1000)),
            (brief, 1200, Some(700)),
            (Patience::Whole, 10_000, Some(9500)),
            (brief, 499, None),
            (Patience::Whole, 499, None),
        ] {
            assert_eq!(patience.limit(millis(left)), expected.map(millis), "{patience:?} {left}");
        }
    }

    #[test]
    fn without_a_token_fetch_or_refuse() {
        let windows = Windows::default();
        let until = ISSUED + Duration::from_secs(9);
        let cooling = Entry { times: None, cooling_until: Some(until) };
        assert_eq!(decide(Entry::default(), ISSUED, &windows), Verdict::Fetch(Patience::Whole));
        assert_eq!(decide(cooling, ISSUED, &windows), Verdict::Refuse(until));
        assert_eq!(decide(cooling, until, &windows), Verdict::Fetch(Patience::Whole));
    }

    #[test]
    fn the_refresh_point_follows_the_authority_else_life() {
        let minutes = |m| Duration::from_mins(m);
        for (life, refresh_in, expected) in [
            (minutes(60), None, minutes(45)),
            (minutes(119), None, minutes(119) * 3 / 4),
            (minutes(120), None, minutes(60)),
            (minutes(1440), Some(minutes(300)), minutes(300)),
            (minutes(60), Some(minutes(59)), minutes(50)),
            (minutes(60), Some(Duration::ZERO), minutes(45)),
            (minutes(60), Some(minutes(90)), minutes(45)),
            (minutes(5), None, Duration::from_secs(150)),
        ] {
            let times = Times::of(&token(life, refresh_in), &Windows::default(), 0.0);
            assert_eq!(times.refresh_at, ISSUED + expected, "{life:?} {refresh_in:?}");
        }
    }

    #[test]
    fn each_kind_of_failure_cools_in_its_own_way() {
        let fault = |kind| Fault::new(kind, "p", "r");
        let secs = Duration::from_secs;
        for (kind, failures, expected) in [
            (Kind::Unavailable, 1, secs(1)),
            (Kind::Unavailable, 2, secs(2)),
            (Kind::Unavailable, 7, secs(60)),
            (Kind::Unavailable, u32::MAX, secs(60)),
            (Kind::RejectedCredential, 1, secs(10)),
            (Kind::RejectedCredential, 3, secs(40)),
            (Kind::RejectedCredential, 9, secs(300)),
            (Kind::Throttled, 1, secs(5)),
            (Kind::InvalidRequest, 1, secs(60)),
            (Kind::Misconfigured, 4, secs(60)),
        ] {
            assert_eq!(cool_down(&fault(kind), failures, 0.0), expected, "{kind:?} {failures}");
        }
        let throttled = |after| cool_down(&fault(Kind::Throttled).with_retry_after(Some(after)), 3, 0.0);
        assert_eq!(throttled(secs(17)), secs(17));
        assert_eq!(throttled(secs(7200)), secs(3600));
        assert_eq!(throttled(Duration::ZERO), secs(1));
        let own = Rest::Doubling { first: secs(10), most: secs(60) };
        let spreading = fault(Kind::RejectedCredential).with_rest(Some(own));
        assert_eq!([1, 4, 9].map(|n| cool_down(&spreading, n, 0.0)), [secs(10), secs(60), secs(60)]);
        let rejected = fault(Kind::RejectedCredential).with_retry_after(Some(secs(1)));
        assert_eq!(cool_down(&rejected, 1, 0.0), secs(10));
    }

    proptest! {
        #[test]
        fn the_moments_keep_their_order(
            life in 1_u64..200_000,
            refresh_in in proptest::option::of(0_u64..300_000),
            jitter in 0.0..1.0,
        ) {
            let token = token(Duration::from_secs(life), refresh_in.map(Duration::from_secs));
            let times = Times::of(&token, &Windows::default(), jitter);
            prop_assert!(token.issued_at <= times.refresh_at);
            prop_assert!(times.refresh_at <= times.late_at);
            prop_assert!(times.late_at <= times.last_at);
            prop_assert!(times.last_at <= times.expires_at);
            let interval = refresh_interval(token.life(), token.refresh_in());
            let latest = token.expires_at - Windows::default().late_of(token.life()) * 2;
            prop_assert!(times.refresh_at >= latest.min(token.issued_at + interval / 2));
        }

        #[test]
        fn never_a_dead_token_and_never_a_refusal_of_a_live_one(
            life in 1_u64..200_000, age in 0_u64..400_000, cooling in proptest::option::of(0_u64..400_000),
        ) {
            let times = Times::of(&token(Duration::from_secs(life), None), &Windows::default(), 0.5);
            let entry = Entry {
                times: Some(times),
                cooling_until: cooling.map(|c| ISSUED + Duration::from_secs(c)),
            };
            let verdict = decide(entry, ISSUED + Duration::from_secs(age), &Windows::default());
            let serves = matches!(
                verdict,
                Verdict::Serve | Verdict::ServeAndRefresh | Verdict::Fetch(Patience::Brief(_))
            );
            prop_assert!(!serves || age < life);
            prop_assert!(!matches!(verdict, Verdict::Refuse(_)) || age >= life);
        }
    }
}
