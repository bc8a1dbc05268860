//! The duty to fly, and how a flight ends.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Cooling, Held, Moment, Slot};
use crate::claims::ClaimsRequest;
use crate::clock::Span;
use crate::fault::{Fault, Kind, Turn};
use crate::freshness::{Times, cool_down};
use crate::token::Token;
use crate::vend::flight::{Errand, Landing, dead_on_arrival};
use crate::vend::gate::{Gate, waited_too_long};

/// The duty to fly: whoever holds it must land the flight. Dropped without landing (a panic), it frees
/// the slot, and those aboard learn that nobody flies.
#[derive(Debug)]
pub struct Departure {
    pub(super) slot: Arc<Slot>,
    pub(super) challenge: Option<ClaimsRequest>,
    pub(super) is_forced: bool,
    pub(super) gate: Arc<Gate>,
    pub(super) sender: watch::Sender<Option<Landing>>,
    pub(super) span: tracing::Span,
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

    /// The span of the flight.
    #[must_use]
    pub const fn span(&self) -> &tracing::Span {
        &self.span
    }

    /// Waits until the flight may go. Once everybody who was aboard has waited for too long, there is no such flight
    /// any more: that is so from the moment it is found, so that nobody boards it afterwards, and cools nothing.
    pub async fn may_go(&self) -> bool {
        while !self.gate.opens().await {
            if self.give_up() {
                return false;
            }
        }
        true
    }

    /// Says whether nobody is aboard, and frees the slot then.
    fn give_up(&self) -> bool {
        let mut state = self.slot.lock();
        let is_deserted = self.gate.is_deserted();
        if is_deserted {
            (state.flight, state.is_awaited) = (None, false);
            // For whoever has yet to look at its watch.
            self.sender.send_replace(Some(Err(waited_too_long())));
        }
        is_deserted
    }

    /// Ends the flight: a token replaces the held one; a fault never does, and neither does a token that has ended on
    /// its way. `jitter` spreads the next renewal and the cooling. Callers that a failed challenge has kept waiting go
    /// before the next one: the departure of their flight comes back.
    #[must_use]
    pub fn land(self, result: Result<Token, Fault>, moment: Moment<'_>, jitter: f64) -> Option<Self> {
        let mut state = self.slot.lock();
        let is_dead = result.as_ref().is_ok_and(|token| token.expires_at <= moment.now);
        let landing = if is_dead { Err(dead_on_arrival()) } else { result.map(Arc::new) };
        match &landing {
            Ok(token) => {
                let times = Times::of(token, moment.windows, jitter);
                state.held = Some(Held::new(Arc::clone(token), times));
                state.cooling = None;
            }
            // The machine has slept, or its clock was set: where nothing else lives, the next token may be good at once.
            Err(_) if is_dead && state.token().is_none_or(|held| held.expires_at <= moment.now) => {}
            // The source remembers these, for all keys at once and until the credential is replaced.
            Err(fault) if matches!(fault.kind, Kind::RejectedCredential | Kind::UnusableCredential) => {}
            // What the authority says of one caller's challenge is nothing to the others.
            Err(fault) if self.challenge.is_some() && fault.turn() != Turn::Authority => {}
            Err(fault) => {
                let failures = state.cooling.as_ref().map_or(1, |before| before.failures.saturating_add(1));
                let span = Span::new(moment.now, cool_down(fault, failures, jitter));
                state.cooling = Some(Box::new(Cooling { fault: fault.clone(), failures, span }));
            }
        }
        state.flight = None;
        let is_awaited = std::mem::take(&mut state.is_awaited);
        // Where everybody has to wait, so have they.
        let is_own = |fault: &Fault| fault.turn() != Turn::Authority && fault.kind != Kind::RejectedCredential;
        let next = landing.as_ref().err().filter(|fault| is_awaited && is_own(fault));
        let next = next.map(|_| state.depart(&self.slot, Errand::default(), Gate::open(None)).1);
        drop(state);
        self.sender.send_replace(Some(landing));
        next
    }
}
