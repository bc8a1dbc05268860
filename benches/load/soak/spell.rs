//! When the authority is unwell, and what that explains. Pure: the time is an argument.

use std::time::Duration;

/// What it suffers from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spell {
    Failing,
    Throttling,
    Slow,
}

impl Spell {
    /// The spell at that time since the start: one in each period, of one kind after the other.
    pub(super) fn at(elapsed: Duration) -> Option<Self> {
        let within = elapsed.as_secs() % PERIOD;
        let kinds = [Self::Failing, Self::Throttling, Self::Slow];
        (BEGIN..END).contains(&within).then(|| kinds[(elapsed.as_secs() / PERIOD % 3) as usize])
    }

    /// The rules that bring it about.
    pub(super) const fn rules(self) -> &'static str {
        match self {
            Self::Failing => r#"[{"match": {"path": "/oauth2/v2.0/token"}, "status": 503}]"#,
            Self::Throttling => {
                r#"[{"match": {"path": "/oauth2/v2.0/token"}, "status": 429, "headers": {"retry-after": "2"}}]"#
            }
            Self::Slow => r#"[{"match": {"path": "/oauth2/v2.0/token"}, "delay_ms": 700}]"#,
        }
    }

    /// Whether what was asked and answered then may have failed for a spell: while it lasts, and until the last of the
    /// rests that it brought about is over.
    pub(super) fn explains(asked: Duration, answered: Duration) -> bool {
        let is_near = |elapsed: Duration| (BEGIN..END + AFTER).contains(&(elapsed.as_secs() % PERIOD));
        is_near(asked) || is_near(answered)
    }
}

/// The seconds of a period, of which the spell has a few, and what follows from it some more.
const PERIOD: u64 = 25;
const BEGIN: u64 = 6;
const END: u64 = 10;
const AFTER: u64 = 9;
