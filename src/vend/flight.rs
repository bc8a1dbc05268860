//! An exchange in progress, as those see it who wait for its end.

use std::sync::Arc;

use tokio::sync::watch;

use super::gate::Gate;
use crate::claims::ClaimsRequest;
use crate::fault::{Fault, Kind};
use crate::token::Token;

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
}

impl Flight {
    /// A flight from `gate` on this errand, and the means to end it.
    #[must_use]
    pub fn new(errand: Errand<'_>, gate: Arc<Gate>) -> (Self, watch::Sender<Option<Landing>>) {
        let (sender, landing) = watch::channel(None);
        (Self { challenge: errand.challenge.cloned(), is_forced: errand.is_forced, landing, gate }, sender)
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

    /// Waits for its end.
    ///
    /// # Errors
    /// The exchange's fault, or [`lost_flight`].
    pub async fn landed(mut self) -> Landing {
        let landing = self.landing.wait_for(Option::is_some).await.map_err(|_| lost_flight())?;
        landing.clone().unwrap_or_else(|| Err(lost_flight()))
    }

    /// Whether its end is an answer to somebody with `challenge`. Any token is one for a caller without; the
    /// failure of another's challenge is none, and a token that no challenge was sent for is none for a
    /// caller with one.
    #[must_use]
    pub fn answers(&self, challenge: Option<&ClaimsRequest>, landing: &Landing) -> bool {
        self.is_for(challenge) || (challenge.is_none() && landing.is_ok())
    }
}

/// What callers get when the task of their flight died.
#[must_use]
pub fn lost_flight() -> Fault {
    Fault::new(Kind::Internal, "the exchange was lost inside Bursar", "report this; asking again starts a new one")
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
