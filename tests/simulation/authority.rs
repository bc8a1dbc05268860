//! An authority that issues, fails, throttles and dawdles.

use std::time::Duration;

use bursar::clock::{Reading, Timestamp};
use bursar::fault::{Fault, Kind};
use bursar::token::Token;
use bursar::wire::{Incoming, answer};
use fastrand::Rng;
use serde_json::json;

use crate::scenario::{Life, MINUTE, SECOND, Scenario};

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// It fails, at once or when nobody waits any more.
    Down,
    /// It answers in 2 to 25 seconds.
    Slow,
    /// It wants to be left alone for up to two minutes.
    Throttling,
}

/// What becomes of one exchange.
pub(crate) struct Outcome {
    /// So many milliseconds after it was sent it is decided about: a token is signed.
    pub(crate) decided: u64,
    /// And so many after it was sent we know.
    pub(crate) after: u64,
    pub(crate) issues: Result<(), Fault>,
}

/// What an exchange that is sent `at` comes to.
pub(crate) fn exchange(scenario: &Scenario, at: u64, rng: &mut Rng) -> Outcome {
    let mood = scenario.troubles.iter().find(|trouble| (trouble.from..trouble.to).contains(&at));
    let quick = rng.u64(40..400);
    let (after, issues) = match mood.map_or(Mood::Well, |trouble| trouble.mood) {
        Mood::Well => (quick, Ok(())),
        Mood::Slow => (rng.u64(2 * SECOND..25 * SECOND), Ok(())),
        Mood::Down => {
            let after = if rng.bool() { quick } else { 30 * SECOND };
            (after, Err(Fault::new(Kind::Unavailable, "down", "wait")))
        }
        Mood::Throttling => {
            let wait = Duration::from_millis(rng.u64(SECOND..2 * MINUTE));
            (quick, Err(Fault::new(Kind::Throttled, "throttled", "wait").with_retry_after(Some(wait))))
        }
    };
    Outcome { decided: rng.u64(..=after), after, issues }
}

/// A token that was asked for and signed at these moments, as Bursar reads it. Its text is its own end: in seconds,
/// since authorities know no smaller part of time, and in milliseconds of time that nobody sets.
pub(crate) fn token(life: Life, sent: Reading, signed: Reading) -> Token {
    let (life, refresh_in) = (life.millis / SECOND, life.refresh_in.map(|millis| millis / SECOND));
    let exp = signed.now.as_secs() + life;
    let ends = signed.uptime.as_millis() + 1000 * exp - signed.now.as_millis();
    let body = json!({ "access_token": format!("{exp}.{ends}"), "expires_in": life, "refresh_in": refresh_in });
    let body = body.to_string().into();
    answer::token(&Incoming { status: 200, retry_after: None, content_type: None, id: None, body }, sent, &[]).unwrap()
}

/// When a token itself says that it ends, and when it does.
pub(crate) fn end(token: &Token) -> (Timestamp, u64) {
    let (exp, ends) = token.secret.expose().split_once('.').unwrap();
    (Timestamp::from_secs(exp.parse().unwrap()), ends.parse().unwrap())
}
