//! A fault after which asking again is no use for a while.

use super::cool_down;
use crate::clock::{Span, Timestamp};
use crate::fault::Fault;

/// The fault, and the while.
#[derive(Clone, Debug)]
pub struct Respite {
    fault: Fault,
    span: Span,
}

impl Respite {
    /// The rest after `fault`, which happened `now`: as long as it asks for, else as its kind has it.
    #[must_use]
    pub fn of(fault: &Fault, now: Timestamp) -> Self {
        Self { fault: fault.clone(), span: Span::new(now, cool_down(fault, 1, 0.0)) }
    }

    /// Until when it lasts, and why; none when it is over.
    #[must_use]
    pub fn stands(&self, now: Timestamp) -> Option<(Timestamp, Fault)> {
        self.span.holds(now).then(|| (self.span.until(), self.fault.clone()))
    }

    /// What somebody is told who comes within it: the fault, with what is left of the time, so that nothing
    /// that is built on it rests for longer.
    #[must_use]
    pub fn refusal(&self, now: Timestamp) -> Option<Fault> {
        self.stands(now).map(|(until, fault)| fault.with_retry_after(Some(until.since(now))))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fault::Kind;

    #[test]
    fn it_lasts_as_long_as_was_asked_for_and_says_what_is_left() {
        let now = Timestamp::from_secs(1000);
        let at = |secs| now + Duration::from_secs(secs);
        let fault = Fault::new(Kind::Throttled, "p", "r");
        let asked = Respite::of(&fault.clone().with_retry_after(Some(Duration::from_secs(60))), now);
        assert_eq!(asked.refusal(at(20)).unwrap().retry_after(), Some(Duration::from_secs(40)));
        assert_eq!(asked.stands(at(20)).unwrap().0, at(60));
        assert!(asked.refusal(at(60)).is_none());
        assert!(asked.stands(now - Duration::from_secs(1)).is_none(), "the clock was set back");
        assert!(Respite::of(&fault, now).stands(at(5)).is_none(), "its kind rests for five seconds");
    }
}
