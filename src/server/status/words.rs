//! Times and states in words that people read at a glance. Pure.

use std::time::Duration;

use super::Readiness;
use super::html::Mood;
use crate::clock::Timestamp;
use crate::credential::expiry::{Expiry, Stage};
use crate::freshness::Times;
use crate::vend::census::Key;
use crate::vend::inventory::State;

/// A length of time in its largest one or two units: `47 min`, `2 h 05 min`, `12 days`.
pub(super) fn length(length: Duration) -> String {
    let secs = length.as_secs();
    let (days, hours, minutes) = (secs / 86_400, secs / 3600, secs / 60);
    match (days, hours, minutes) {
        (2.., _, _) => format!("{days} days"),
        (_, 1.., _) => format!("{hours} h {:02} min", minutes % 60),
        (_, _, 1..) => format!("{minutes} min"),
        _ => format!("{secs} s"),
    }
}

/// How long from now, or how long ago.
pub(super) fn distance(at: Timestamp, now: Timestamp) -> String {
    if at < now { format!("{} ago", length(now.since(at))) } else { format!("in {}", length(at.since(now))) }
}

/// The word for readiness.
pub(super) const fn of_readiness(readiness: Readiness) -> Mood {
    match readiness {
        Readiness::Ready => Mood::Good,
        Readiness::Draining | Readiness::Starting | Readiness::Warming => Mood::Watch,
    }
}

/// What the state of an identity is like.
pub(super) const fn of_state(state: State) -> Mood {
    match state {
        State::Failing => Mood::Bad,
        State::Idle => Mood::Plain,
        State::Ready => Mood::Good,
        State::Warming => Mood::Watch,
    }
}

/// What becomes of a key that is asked for now.
pub(super) fn of_key(key: &Key, now: Timestamp) -> (Mood, &'static str) {
    match (&key.times, &key.failure, key.is_flying) {
        (Some(times), None, _) if now < times.refresh_at => (Mood::Good, "fresh"),
        (Some(times), _, _) if now >= times.late_at => (Mood::Bad, "late"),
        (Some(_), None, _) => (Mood::Watch, "ageing"),
        (Some(_), Some(_), _) => (Mood::Watch, "renewal failed"),
        (None, _, true) => (Mood::Plain, "being fetched"),
        (None, Some(_), false) => (Mood::Bad, "no token"),
        (None, None, false) => (Mood::Watch, "no token"),
    }
}

/// When a token is renewed, if somebody asks for it.
pub(super) fn refresh(times: &Times, is_flying: bool, now: Timestamp) -> String {
    match (is_flying, now < times.refresh_at) {
        (true, _) => "now".to_owned(),
        (false, true) => distance(times.refresh_at, now),
        (false, false) => "due".to_owned(),
    }
}

/// How much of a token's life is left, in percent.
pub(super) fn remaining(times: &Times, now: Timestamp) -> u128 {
    let life = times.expires_at.since(times.issued_at).as_millis().max(1);
    (times.expires_at.since(now).as_millis() * 100 / life).min(100)
}

/// How near the end of a credential is.
pub(super) fn of_expiry(expiry: &Expiry, now: Timestamp) -> (Mood, &'static str) {
    match expiry.stage(now) {
        None => (Mood::Good, "good"),
        Some(Stage::Month) => (Mood::Watch, "30 days or less"),
        Some(Stage::Week) => (Mood::Watch, "a week or less"),
        Some(Stage::Day) => (Mood::Bad, "a day or less"),
        Some(Stage::Late) => (Mood::Bad, "not renewed"),
        Some(Stage::Past) => (Mood::Bad, "expired"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn lengths_have_one_or_two_units() {
        for (secs, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (3600, "1 h 00 min"),
            (90_000, "25 h 00 min"),
            (172_800, "2 days"),
            (31_536_000, "365 days"),
        ] {
            assert_eq!(length(Duration::from_secs(secs)), expected);
        }
        assert_eq!(distance(NOW + Duration::from_secs(5), NOW), "in 5 s");
        assert_eq!(distance(NOW - Duration::from_secs(5), NOW), "5 s ago");
    }

    #[test]
    fn a_token_says_when_it_is_renewed_and_what_is_left_of_it() {
        let at = |mins: u64| NOW + Duration::from_mins(mins);
        let times = Times { issued_at: NOW, refresh_at: at(45), late_at: at(55), last_at: at(59), expires_at: at(60) };
        for (mins, flying, refreshed, left) in
            [(0, false, "in 45 min", 100), (45, false, "due", 25), (45, true, "now", 25), (61, false, "due", 0)]
        {
            assert_eq!((refresh(&times, flying, at(mins)).as_str(), remaining(&times, at(mins))), (refreshed, left));
        }
    }
}
