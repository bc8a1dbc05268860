//! An authority that issues, fails, throttles and dawdles.

use std::time::Duration;

use bursar::clock::Timestamp;
use bursar::fault::{Fault, Kind};
use bursar::secret::Secret;
use bursar::token::Token;
use fastrand::Rng;

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
    /// So many milliseconds after it was sent.
    pub(crate) after: u64,
    pub(crate) issues: Result<(), Fault>,
}

/// What an exchange that is sent `at` comes to.
pub(crate) fn exchange(scenario: &Scenario, at: u64, rng: &mut Rng) -> Outcome {
    let mood = scenario.troubles.iter().find(|trouble| (trouble.from..trouble.to).contains(&at));
    let quick = rng.u64(40..400);
    match mood.map_or(Mood::Well, |trouble| trouble.mood) {
        Mood::Well => Outcome { after: quick, issues: Ok(()) },
        Mood::Slow => Outcome { after: rng.u64(2 * SECOND..25 * SECOND), issues: Ok(()) },
        Mood::Down => {
            let after = if rng.bool() { quick } else { 30 * SECOND };
            Outcome { after, issues: Err(Fault::new(Kind::Unavailable, "down", "wait")) }
        }
        Mood::Throttling => {
            let wait = Duration::from_millis(rng.u64(SECOND..2 * MINUTE));
            let fault = Fault::new(Kind::Throttled, "throttled", "wait").with_retry_after(Some(wait));
            Outcome { after: quick, issues: Err(fault) }
        }
    }
}

/// A token that is issued at this moment of the wall clock.
pub(crate) fn token(life: Life, now: Timestamp) -> Token {
    let refresh_in = life.refresh_in.map(Duration::from_millis);
    Token::new(Secret::from(String::new()), now, now + Duration::from_millis(life.millis), refresh_in)
}
