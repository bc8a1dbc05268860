//! What becomes of a token that nobody waits for: whether it is renewed ahead, and when. Pure.

use super::{Entry, STEP};
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

/// Decides about `entry`, which somebody asked for last at `asked_at`. What nobody has asked for in two of its lives
/// is let go.
#[must_use]
pub fn renewal(entry: Entry, asked_at: Timestamp, now: Timestamp) -> Renewal {
    let Some(times) = entry.times.filter(|times| now < times.expires_at) else { return Renewal::LetGo };
    let life = times.expires_at.since(times.issued_at);
    // A clock that was set back: whoever asks has the token fetched anew.
    let is_of_the_future = now + STEP < times.issued_at;
    if is_of_the_future || now.since(asked_at) > life * LIVES {
        return Renewal::LetGo;
    }
    match entry.cooling_until.filter(|until| now < *until) {
        Some(until) if until < times.expires_at => Renewal::Later(until.max(times.refresh_at)),
        Some(_) => Renewal::LetGo,
        None if now < times.refresh_at => Renewal::Later(times.refresh_at),
        None => Renewal::Due(times.late_at),
    }
}

/// For so many lives of its token a key is held ready after somebody asked for it.
pub const LIVES: u32 = 2;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::freshness::{Times, Windows};
    use crate::secret::Secret;
    use crate::token::Token;

    const ISSUED: Timestamp = Timestamp::from_secs(1_000_000);

    fn at(secs: u64) -> Timestamp {
        ISSUED + Duration::from_secs(secs)
    }

    #[test]
    fn what_is_in_demand_is_renewed_ahead_and_the_rest_let_go() {
        let token = Token::new(Secret::from(String::new()), ISSUED, at(3600), None);
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
            assert_eq!(renewal(entry, at(asked), at(age)), expected, "{age} {asked} {cooling:?}");
        }
        let entry = Entry { times, cooling_until: None };
        let asked = |before: u64| renewal(entry, at(2700) - Duration::from_secs(before), at(2700));
        assert_eq!((asked(7200), asked(7201)), (Renewal::Due(at(3300)), Renewal::LetGo), "two lives of an hour");
        assert_eq!(renewal(entry, at(0), ISSUED - Duration::from_secs(61)), Renewal::LetGo, "the clock was set back");
        assert_eq!(renewal(Entry::default(), at(0), at(0)), Renewal::LetGo, "there is no token");
    }
}
