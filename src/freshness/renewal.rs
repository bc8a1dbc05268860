//! What becomes of a token that nobody waits for: whether it is renewed ahead, and when. Pure.

use super::Entry;
use crate::clock::Timestamp;

/// What to do about one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Renew it as soon as there is budget, and before those that are more urgent later: from then on callers wait.
    Due(Timestamp),
    /// Look again at this time, which has not come.
    Later(Timestamp),
    /// Nothing. Whoever asks for it has it fetched, or has it taken up again.
    LetGo,
}

/// For whom a key is looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// The operator has it held ready, whether anybody asks or not.
    Always,
    /// For those who ask; somebody did last at this time.
    Asked(Timestamp),
}

/// Decides about `entry`. What nobody has asked for in two of its lives is let go, unless it is held ready: then it is
/// fetched also where there is no token.
#[must_use]
pub fn renewal(entry: Entry, want: Want, now: Timestamp) -> Renewal {
    let cooling = entry.cooling_until.filter(|until| now < *until);
    let live = entry.times.filter(|times| now < times.expires_at);
    let Some(times) = live else { return fetch(want, cooling, now) };
    let life = times.expires_at.since(times.issued_at);
    if matches!(want, Want::Asked(at) if now.since(at) > life * LIVES) {
        return Renewal::LetGo;
    }
    match cooling {
        Some(until) if want == Want::Always || until < times.expires_at => Renewal::Later(until.max(times.refresh_at)),
        Some(_) => Renewal::LetGo,
        None if now < times.refresh_at => Renewal::Later(times.refresh_at),
        None => Renewal::Due(times.late_at),
    }
}

/// What to do where there is no token.
fn fetch(want: Want, cooling: Option<Timestamp>, now: Timestamp) -> Renewal {
    match (want, cooling) {
        (Want::Asked(_), _) => Renewal::LetGo,
        (Want::Always, Some(until)) => Renewal::Later(until),
        (Want::Always, None) => Renewal::Due(now),
    }
}

/// For so many lives of its token a key is held ready after somebody asked for it.
pub const LIVES: u32 = 2;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Reading;
    use crate::freshness::{Times, Windows};
    use crate::secret::Secret;
    use crate::token::Token;

    const ISSUED: Timestamp = Timestamp::from_secs(1_000_000);

    fn at(secs: u64) -> Timestamp {
        ISSUED + Duration::from_secs(secs)
    }

    #[test]
    fn what_is_in_demand_is_renewed_ahead_and_the_rest_let_go() {
        let token = Token::new(Secret::from(String::new()), Reading::at(ISSUED), Duration::from_hours(1), None);
        let times = Some(Times::of(&token, &Windows::default(), 0.0));
        for (age, asked, cooling, expected) in [
            (0, 0, None, Renewal::Later(at(2700))),
            (2699, 0, None, Renewal::Later(at(2700))),
            (2700, 0, None, Renewal::Due(at(3300))),
            (3599, 0, None, Renewal::Due(at(3300))),
            (3600, 3600, None, Renewal::LetGo),
            (2700, 0, Some(2710), Renewal::Later(at(2710))),
            (100, 0, Some(110), Renewal::Later(at(2700))),
            (2700, 0, Some(2700), Renewal::Due(at(3300))),
            (2700, 0, Some(3600), Renewal::LetGo),
        ] {
            let entry = Entry { times, cooling_until: cooling.map(at) };
            assert_eq!(renewal(entry, Want::Asked(at(asked)), at(age)), expected, "{age} {asked} {cooling:?}");
        }
        let entry = Entry { times, cooling_until: None };
        let asked = |before: u64| renewal(entry, Want::Asked(at(2700) - Duration::from_secs(before)), at(2700));
        assert_eq!((asked(7200), asked(7201)), (Renewal::Due(at(3300)), Renewal::LetGo), "two lives of an hour");
        let want = Want::Asked(at(0));
        assert_eq!(renewal(Entry::default(), want, at(0)), Renewal::LetGo, "there is no token");
    }

    #[test]
    fn what_is_held_ready_is_never_let_go() {
        let token = Token::new(Secret::from(String::new()), Reading::at(ISSUED), Duration::from_hours(1), None);
        let times = Some(Times::of(&token, &Windows::default(), 0.0));
        for (times, age, cooling, expected) in [
            (None, 0, None, Renewal::Due(at(0))),
            (None, 0, Some(10), Renewal::Later(at(10))),
            (None, 10, Some(10), Renewal::Due(at(10))),
            (times, 0, None, Renewal::Later(at(2700))),
            (times, 2700, None, Renewal::Due(at(3300))),
            (times, 2700, Some(3600), Renewal::Later(at(3600))),
            (times, 3600, None, Renewal::Due(at(3600))),
            (times, 3600, Some(3700), Renewal::Later(at(3700))),
        ] {
            let entry = Entry { times, cooling_until: cooling.map(at) };
            assert_eq!(renewal(entry, Want::Always, at(age)), expected, "{age} {cooling:?}");
        }
    }
}
