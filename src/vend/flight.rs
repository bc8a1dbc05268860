//! An exchange in progress, as those see it who wait for its end.

use std::pin::pin;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::timeout;
use tracing::Span;

use super::gate::{Gate, waited_too_long};
use crate::claims::ClaimsRequest;
use crate::clock::Deadline;
use crate::fault::{Fault, Kind};
use crate::token::Token;
use crate::trace;

/// How a flight ended; everybody aboard gets the same.
pub type Landing = Result<Arc<Token>, Fault>;

/// What a flight is for beyond a live token.
#[derive(Clone, Copy, Debug, Default)]
pub struct Errand<'a> {
    /// A resource demands this of the token.
    pub challenge: Option<&'a ClaimsRequest>,
    /// The held token is no good to the caller.
    pub is_forced: bool,
}

/// A seat in a flight.
#[derive(Clone, Debug)]
pub struct Flight {
    challenge: Option<ClaimsRequest>,
    is_forced: bool,
    landing: watch::Receiver<Option<Landing>>,
    gate: Arc<Gate>,
    span: Span,
}

impl Flight {
    /// A flight from `gate` on this errand, and the means to end it.
    #[must_use]
    pub fn new(errand: Errand<'_>, gate: Arc<Gate>) -> (Self, watch::Sender<Option<Landing>>) {
        let (sender, landing) = watch::channel(None);
        let (challenge, span) = (errand.challenge.cloned(), trace::flight());
        (Self { challenge, is_forced: errand.is_forced, landing, gate, span }, sender)
    }

    /// Whether the held token was no good to whoever it was begun for.
    #[must_use]
    pub const fn is_forced(&self) -> bool {
        self.is_forced
    }

    /// Where it waits until it is somebody's turn.
    #[must_use]
    pub const fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Its span, where whoever had it begin is traced.
    #[must_use]
    pub const fn span(&self) -> &Span {
        &self.span
    }

    /// Notes in its span that whoever is traced now waits for it too.
    pub fn link(&self) {
        if !self.span.is_none() {
            self.span.follows_from(Span::current());
        }
    }

    /// Whether it answers this challenge, or none.
    #[must_use]
    pub fn is_for(&self, challenge: Option<&ClaimsRequest>) -> bool {
        self.challenge.as_ref() == challenge
    }

    /// Whether somebody still flies it.
    #[must_use]
    pub fn is_flown(&self) -> bool {
        self.landing.has_changed().is_ok()
    }

    /// Waits for its end; at the gate `until` then, and not for as long as others aboard may.
    ///
    /// # Errors
    /// The exchange's fault, [`waited_too_long`] or [`lost_flight`].
    pub async fn landed(self, until: Deadline) -> Landing {
        let mut end = pin!(end_of(self.landing));
        match timeout(until.left(), end.as_mut()).await {
            Ok(landing) => landing,
            Err(_) if self.gate.is_open() => end.await,
            Err(_) => Err(waited_too_long()),
        }
    }

    /// Whether its end is an answer to somebody with `challenge`. Any token is one for a caller without; the
    /// failure of another's challenge is none, and a token that no challenge was sent for is none for a
    /// caller with one. That a caller has waited for too long is its own.
    #[must_use]
    pub fn answers(&self, challenge: Option<&ClaimsRequest>, landing: &Landing) -> bool {
        match landing {
            Ok(_) => challenge.is_none() || self.is_for(challenge),
            Err(fault) => fault.kind == Kind::TooMany || self.is_for(challenge),
        }
    }
}

async fn end_of(mut flight: watch::Receiver<Option<Landing>>) -> Landing {
    let landing = flight.wait_for(Option::is_some).await.map_err(|_| lost_flight())?;
    landing.clone().unwrap_or_else(|| Err(lost_flight()))
}

/// What callers get when the task of their flight died.
#[must_use]
pub fn lost_flight() -> Fault {
    Fault::new(Kind::Internal, "the exchange was lost inside Bursar", "report this; asking again starts a new one")
}

/// What callers get whose token had ended before it was there.
#[must_use]
pub fn dead_on_arrival() -> Fault {
    Fault::new(
        Kind::Unavailable,
        "the token had ended before it could be handed over",
        "ask again; if it stays so, the operator should compare this machine's clock and how long the authority's tokens live",
    )
}

/// What callers get who were handed the token that they had rejected.
#[must_use]
pub fn unchanged() -> Fault {
    Fault::new(
        Kind::Unavailable,
        "whoever issues the tokens gave the rejected one once more",
        "ask again in a moment; if it stays so, show the resource's claims challenge instead",
    )
}
