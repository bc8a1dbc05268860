//! A slot as it is shown, and as it is held ready: its times and what was last heard, and never its token.

use super::Slot;
use crate::clock::Timestamp;
use crate::fault::outline::Outline;
use crate::freshness::Times;

/// What can be told of a slot.
#[derive(Clone, Debug)]
pub struct Regard {
    /// The moments of the held token, which may be dead.
    pub times: Option<Times>,
    /// How its last flight failed, and until when it cools. A token that came since ends it.
    pub failure: Option<(Outline, Timestamp)>,
    /// Whether a flight is under way.
    pub is_flying: bool,
    /// Whether it is held ready.
    pub is_warm: bool,
}

impl Regard {
    /// The moments of the held token, while it lives.
    #[must_use]
    pub fn live(&self, now: Timestamp) -> Option<Times> {
        self.times.filter(|times| now < times.expires_at)
    }
}

impl Slot {
    /// What can be told of it.
    #[must_use]
    pub fn regard(&self) -> Regard {
        let state = self.lock();
        let failure = |cooling: &super::Cooling| (Outline::from(&cooling.fault), cooling.span.until());
        Regard {
            times: state.held.as_ref().map(super::Held::times),
            failure: state.cooling.as_deref().map(failure),
            is_flying: state.flying().is_some(),
            is_warm: state.is_warm,
        }
    }

    /// When the held token ends, or has ended.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.lock().held.as_ref().map(|held| held.token.expires_at)
    }

    /// Whether it is held ready.
    #[must_use]
    pub fn is_warm(&self) -> bool {
        self.lock().is_warm
    }

    /// Has it renewed for those who ask alone, as any other.
    pub fn release(&self) {
        self.lock().is_warm = false;
    }

    /// Has it held ready from now on, whether anybody asks or not. Says when it is to be looked at and by which ticket;
    /// none if that is seen to, or a flight is under way, which sees to it when it ends.
    pub fn keep_warm(&self, now: Timestamp) -> Option<(Timestamp, u32)> {
        let mut state = self.lock();
        state.is_warm = true;
        if state.flying().is_some() {
            return None;
        }
        let at = state.turn(now).unwrap_or(now).max(now);
        state.ahead.take_up(at).map(|ticket| (at, ticket))
    }
}
