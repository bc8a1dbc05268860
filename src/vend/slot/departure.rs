//! The duty to fly, and how a flight ends.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Cooling, Held, Moment, Slot};
use crate::claims::ClaimsRequest;
use crate::clock::Span;
use crate::fault::{Fault, Kind, Turn};
use crate::freshness::{Times, cool_down};
use crate::token::Token;
use crate::vend::flight::{Errand, Landing};
use crate::vend::gate::Gate;

/// The duty to fly: whoever holds it must land the flight. Dropped without landing (a panic), it frees
/// the slot, and those aboard learn that nobody flies.
#[derive(Debug)]
pub struct Departure {
    pub(super) slot: Arc<Slot>,
    pub(super) challenge: Option<ClaimsRequest>,
    pub(super) is_forced: bool,
    pub(super) gate: Arc<Gate>,
    pub(super) sender: watch::Sender<Option<Landing>>,
}

impl Departure {
    /// Where the flight belongs.
    #[must_use]
    pub const fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    /// The challenge that it answers.
    #[must_use]
    pub const fn challenge(&self) -> Option<&ClaimsRequest> {
        self.challenge.as_ref()
    }

    /// Whether the held token was no good to whoever it was begun for.
    #[must_use]
    pub const fn is_forced(&self) -> bool {
        self.is_forced
    }

    /// Where it waits until it may fly.
    #[must_use]
    pub const fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Ends the flight: a token replaces the held one, a fault never does. `jitter` spreads the next
    /// renewal and the cooling. Callers that a failed challenge has kept waiting go before the next one: the
    /// departure of their flight comes back.
    #[must_use]
    pub fn land(self, result: Result<Token, Fault>, moment: Moment<'_>, jitter: f64) -> Option<Self> {
        let mut state = self.slot.lock();
        let landing = result.map(Arc::new);
        match &landing {
            Ok(token) => {
                let times = Times::of(token, moment.windows, jitter);
                state.held = Some(Held { token: Arc::clone(token), times });
                state.cooling = None;
            }
            // The source remembers these, for all keys at once and until the credential is replaced.
            Err(fault) if matches!(fault.kind, Kind::RejectedCredential | Kind::UnusableCredential) => {}
            // It never flew, and says nothing of the key.
            Err(fault) if fault.kind == Kind::TooMany => {}
            // What the authority says of one caller's challenge is nothing to the others.
            Err(fault) if self.challenge.is_some() && fault.turn() != Turn::Authority => {}
            Err(fault) => {
                let failures = state.cooling.as_ref().map_or(1, |before| before.failures.saturating_add(1));
                let span = Span::new(moment.now, cool_down(fault, failures, jitter));
                state.cooling = Some(Cooling { fault: fault.clone(), failures, span });
            }
        }
        state.flight = None;
        let is_awaited = std::mem::take(&mut state.is_awaited);
        // Where everybody has to wait, so have they; and where it was nobody's turn, they take another step.
        let is_own = |fault: &Fault| {
            fault.turn() != Turn::Authority && !matches!(fault.kind, Kind::RejectedCredential | Kind::TooMany)
        };
        let next = landing.as_ref().err().filter(|fault| is_awaited && is_own(fault));
        let next = next.map(|_| state.depart(&self.slot, Errand::default(), Gate::open()).1);
        drop(state);
        self.sender.send_replace(Some(landing));
        next
    }
}
