//! When a credential ends, and when that is worth a warning. Pure: the time is an argument.

use std::time::Duration;

use crate::clock::Timestamp;

/// The end of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// From when on it is worth nothing.
    pub at: Timestamp,
    /// How it is renewed, and with it what is worth a warning.
    pub renewal: Renewal,
}

/// How a credential is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// By people, who need days of notice.
    Manual,
    /// By whoever writes the file, long before less than this is left.
    Written(Duration),
    /// It is new whenever it is fetched, as it last was at this moment; only then does its age say anything.
    Fetched(Duration, Timestamp),
}

/// How near the end is; later is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Thirty days or less.
    Month,
    /// Seven days or less.
    Week,
    /// A day or less.
    Day,
    /// Less than renewal should have left, or nothing.
    Late,
    /// Nothing is left.
    Past,
}

impl Expiry {
    /// The end of what people renew.
    #[must_use]
    pub const fn of_manual(at: Timestamp) -> Self {
        Self { at, renewal: Renewal::Manual }
    }

    /// How near the end is, if it is near.
    #[must_use]
    pub fn stage(&self, now: Timestamp) -> Option<Stage> {
        match self.renewal {
            Renewal::Manual => {
                let left = self.at.since(now);
                STAGES.into_iter().find(|(limit, _)| left <= *limit).map(|(_, stage)| stage)
            }
            Renewal::Written(least) => (self.at.since(now) < least).then_some(Stage::Late),
            Renewal::Fetched(least, at) => (self.at.since(at) < least).then_some(Stage::Late),
        }
    }
}

/// What is to be warned of now, when `warned` is what was warned of last and the end that it was about:
/// each stage once, the nearest alone, and all of them again for another end.
#[must_use]
pub fn due(expiry: &Expiry, now: Timestamp, warned: Option<(Timestamp, Stage)>) -> Option<Stage> {
    let before = warned.filter(|(at, _)| *at == expiry.at).map(|(_, stage)| stage);
    expiry.stage(now).filter(|stage| before < Some(*stage))
}

const DAY: Duration = Duration::from_hours(24);
const STAGES: [(Duration, Stage); 4] = [
    (Duration::ZERO, Stage::Past),
    (DAY, Stage::Day),
    (DAY.saturating_mul(7), Stage::Week),
    (DAY.saturating_mul(30), Stage::Month),
];

#[cfg(test)]
mod tests {
    use super::*;

    const END: Timestamp = Timestamp::from_secs(2_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);
    const TEN: Duration = Duration::from_mins(10);

    #[test]
    fn the_nearest_stage_is_due_once_and_another_end_begins_anew() {
        let manual = Expiry::of_manual(END);
        let written = Expiry { at: END, renewal: Renewal::Written(TEN) };
        let fetched = |left| Expiry { at: END, renewal: Renewal::Fetched(TEN, END - left) };
        let other = END + SECOND;
        for (expiry, left, warned, expected) in [
            (manual, DAY * 30 + SECOND, None, None),
            (manual, DAY * 30, None, Some(Stage::Month)),
            (manual, DAY * 30, Some((END, Stage::Month)), None),
            (manual, DAY * 30, Some((other, Stage::Past)), Some(Stage::Month)),
            (manual, DAY * 8, Some((END, Stage::Month)), None),
            (manual, DAY * 7, Some((END, Stage::Month)), Some(Stage::Week)),
            (manual, DAY * 3, None, Some(Stage::Week)),
            (manual, DAY, None, Some(Stage::Day)),
            (manual, DAY, Some((END, Stage::Week)), Some(Stage::Day)),
            (manual, DAY * 2, Some((END, Stage::Day)), None),
            (manual, SECOND, Some((END, Stage::Day)), None),
            (manual, Duration::ZERO, Some((END, Stage::Day)), Some(Stage::Past)),
            (manual, Duration::ZERO, Some((END, Stage::Past)), None),
            (manual, Duration::ZERO, None, Some(Stage::Past)),
            (written, TEN, None, None),
            (written, TEN - SECOND, None, Some(Stage::Late)),
            (written, Duration::ZERO, None, Some(Stage::Late)),
            (written, Duration::ZERO, Some((END, Stage::Late)), None),
            (written, SECOND, Some((other, Stage::Late)), Some(Stage::Late)),
            (fetched(TEN), Duration::ZERO, None, None),
            (fetched(SECOND), Duration::ZERO, None, Some(Stage::Late)),
            (fetched(SECOND), Duration::ZERO, Some((END, Stage::Late)), None),
        ] {
            assert_eq!(due(&expiry, END - left, warned), expected, "{expiry:?} {left:?} {warned:?}");
        }
    }
}
