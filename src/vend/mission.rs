//! Where a token is to come from, for whom, and what its own proof may need beside it.

use std::sync::Arc;

use tokio::sync::SemaphorePermit;

use super::Vend;
use super::flight::{Errand, Landing, dead_on_arrival, unchanged};
use super::line::Line;
use super::refresh::Lane;
use super::slot::Slot;
use super::stake::Stake;
use crate::claims::ClaimsRequest;
use crate::clock::{Deadline, Timestamp};
use crate::credential::Delegate;
use crate::fault::Fault;
use crate::source::{Handover, Source, Vouch};
use crate::token::{Rejected, Token};

/// From where, for whom.
#[derive(Clone)]
pub(super) struct Mission<'a> {
    pub(super) source: Arc<Source>,
    pub(super) request_id: &'a str,
    /// What the caller has of what all share, if it is told apart.
    pub(super) stake: Option<&'a Arc<Stake>>,
    /// Whether a caller asks for just this. What an exchange of its own needs beside goes in the same turn, and
    /// must not wait for another one: those that have a turn would wait for those that have none.
    pub(super) is_own: bool,
}

/// How a caller waits for a flight.
pub(super) struct Seat<'a> {
    /// For so long at its gate.
    pub(super) until: Deadline,
    /// It is one of those of its caller that may, for as long as it does.
    _waiting: Option<SemaphorePermit<'a>>,
}

impl<'a> Mission<'a> {
    /// The stake of the caller that asks for just this.
    fn own(&self) -> Option<&'a Stake> {
        self.stake.filter(|_| self.is_own).map(Arc::as_ref)
    }

    /// The line in which flights for it wait.
    pub(super) fn line(&self) -> Option<&'a Arc<Line>> {
        self.own().map(|stake| &stake.line)
    }

    /// A seat in a flight. Who has waited for half of the time has enough of it left to fly.
    ///
    /// # Errors
    /// So many of the caller's requests wait that no more may.
    pub(super) fn seat(&self) -> Result<Seat<'a>, Fault> {
        let waiting = self.own().map(Stake::wait).transpose()?;
        Ok(Seat { until: Deadline::after(self.source.timeout() / 2), _waiting: waiting })
    }

    /// The caller's place, if it is told apart.
    pub(super) fn place(&self) -> Option<usize> {
        self.stake.and_then(|stake| stake.place)
    }

    /// Where the token of a slot is renewed. What is held ready is in nobody's share, whoever had it fetched.
    pub(super) fn lane(&self, slot: &Slot) -> Lane {
        Lane { source: Arc::clone(&self.source), owner: self.place().filter(|_| !slot.is_warm()) }
    }
}

/// What a caller demands beyond a live token.
#[derive(Clone, Copy, Default)]
pub(super) struct Demand<'a> {
    pub(super) challenge: Option<&'a ClaimsRequest>,
    pub(super) rejected: Option<Rejected>,
}

impl<'a> Demand<'a> {
    /// What a flight has to be for, beside the token that is held now.
    pub(super) fn errand(&self, held: impl FnOnce() -> Option<Arc<Token>>) -> Errand<'a> {
        let is_forced = self.rejected.is_some_and(|rejected| held().is_some_and(|token| rejected.has(&token)));
        Errand { challenge: self.challenge, is_forced }
    }

    /// What a landing comes to; none if the flight was begun for somebody else and brought what its authority still has,
    /// the rejected token.
    pub(super) fn answer(&self, landing: Landing, is_forced: bool, now: Timestamp) -> Option<Landing> {
        match landing {
            Ok(token) if token.expires_at <= now => Some(Err(dead_on_arrival())),
            Ok(token) if self.rejects(&token) => is_forced.then(|| Err(unchanged())),
            landing => Some(landing),
        }
    }

    fn rejects(&self, fresh: &Token) -> bool {
        self.rejected.is_some_and(|rejected| rejected != Rejected::Every && rejected.has(fresh))
    }
}

/// Hands over the tokens that prove an application. They leave for its authority alone, so no policy is asked.
pub(super) struct Vouching<'a> {
    pub(super) vend: &'a Vend,
    pub(super) mission: &'a Mission<'a>,
}

impl Vouch for Vouching<'_> {
    fn token<'a>(&'a self, delegate: &'a Delegate) -> Handover<'a> {
        Box::pin(async {
            let (parts, outer) = (&self.vend.0, self.mission);
            let owner = outer.stake.map(Arc::as_ref);
            let source = parts.sources.vouching(&delegate.identity, &outer.source, owner)?;
            // Never refused: that a caller has its share would be taken for a failure of the credential.
            let lease = || Ok(owner.and_then(Stake::charge));
            let slot = parts.cache.slot(&source.key(&delegate.resource, &delegate.extras), lease)?;
            let mission = Mission { source, is_own: false, ..outer.clone() };
            self.vend.obtain(&mission, slot, Demand::default()).await.map(|vended| vended.token)
        })
    }
}
