//! The cell that guards one key: its token, its flight, and what the authority last said of it.
//!
//! Every step is taken under one short lock, so that deciding and boarding a flight cannot be torn
//! apart: two callers never start two flights. The lock is never held across an await.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::flight::{Flight, Landing, lost_flight};
use super::gate::{Gate, waited_too_long};
use super::holding::Lease;
use crate::claims::ClaimsRequest;
use crate::clock::{Span, Timestamp};
use crate::fault::{Fault, Kind, Turn};
use crate::freshness::{self, Entry, Patience, Times, Verdict, Windows, cool_down};
use crate::token::{Token, TokenKey};

/// The cell of one key.
#[derive(Debug)]
pub struct Slot {
    key: TokenKey,
    /// The room of the caller that had it made.
    lease: Option<Lease>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    cooling: Option<Cooling>,
    flight: Option<Flight>,
    /// Whether somebody without a challenge waits for the end of one's flight, and has to be flown for next.
    is_awaited: bool,
}

#[derive(Debug)]
struct Held {
    token: Arc<Token>,
    times: Times,
}

#[derive(Debug)]
struct Cooling {
    fault: Fault,
    failures: u32,
    span: Span,
}

impl Cooling {
    /// Until when it lasts; none when it is over.
    fn end(&self, now: Timestamp) -> Option<Timestamp> {
        self.span.holds(now).then(|| self.span.until())
    }
}

/// What a caller has to do next.
#[derive(Debug)]
pub enum Step {
    /// Answer with the fault.
    Refuse(Fault),
    /// Answer with the token.
    Serve(Arc<Token>),
    /// Answer with the token, and fly if there is a seat.
    ServeAndRefresh(Arc<Token>, Option<Departure>),
    /// Wait; fly first if there is a departure.
    Wait(Patience, Flight, Option<Departure>),
}

/// The duty to fly: whoever holds it must land the flight. Dropped without landing (a panic), it frees
/// the slot, and those aboard learn that nobody flies.
#[derive(Debug)]
pub struct Departure {
    slot: Arc<Slot>,
    challenge: Option<ClaimsRequest>,
    gate: Arc<Gate>,
    sender: watch::Sender<Option<Landing>>,
}

/// What is drawn and read when a step is taken.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The present.
    pub now: Timestamp,
    /// The windows of freshness.
    pub windows: &'a Windows,
}

impl Slot {
    /// An empty cell, in the room of whoever had it made.
    #[must_use]
    pub fn new(key: TokenKey, lease: Option<Lease>) -> Self {
        Self { key, lease, state: Mutex::default() }
    }

    /// What it guards.
    #[must_use]
    pub const fn key(&self) -> &TokenKey {
        &self.key
    }

    /// Takes the step of one caller. `resting` is what the source knows of its credentials and of the scope; `renew`
    /// is asked for the gate of a renewal only when one would start. `board` has the caller wait at the gate of a
    /// flight; if it may not, it goes on with what there is.
    pub fn step(
        self: &Arc<Self>,
        moment: Moment<'_>,
        resting: Option<(Timestamp, Fault)>,
        renew: impl FnOnce() -> Option<Arc<Gate>>,
        board: impl FnOnce(&Arc<Gate>) -> Result<(), Fault>,
    ) -> Step {
        let mut state = self.lock();
        let until = resting.as_ref().map(|(until, _)| *until);
        let cooling_until = state.cooling.as_ref().and_then(|cooling| cooling.end(moment.now)).max(until);
        let entry = Entry { times: state.held.as_ref().map(|held| held.times), cooling_until };
        let verdict = freshness::decide(entry, moment.now, moment.windows);
        match (verdict, state.token()) {
            (Verdict::Serve, Some(token)) => Step::Serve(token),
            (Verdict::ServeAndRefresh, Some(token)) => {
                let gate = if state.flying().is_none() { renew() } else { None };
                let departure = gate.map(|gate| state.depart(self, None, gate).1);
                Step::ServeAndRefresh(token, departure)
            }
            (Verdict::Refuse(until), _) => Step::Refuse(state.refusal(resting, until, moment.now)),
            (Verdict::Fetch(patience), held) => state.board(self, patience, None, board).unwrap_or_else(|fault| {
                let live = held.filter(|token| moment.now < token.expires_at);
                live.map_or(Step::Refuse(fault), Step::Serve)
            }),
            // Invariant: freshness serves only what is held.
            (Verdict::Serve | Verdict::ServeAndRefresh, None) => Step::Refuse(lost_flight()),
        }
    }

    /// Takes the step of a caller whose token a resource refused: whatever is held is not good enough, and
    /// while the authority is to be left alone there is nothing else. `may_answer` is asked when an exchange
    /// would start, since whoever can reach a listener can write a challenge; and when it would start after another
    /// one, since those that wait for it are in each other's way.
    pub fn answer(
        self: &Arc<Self>,
        challenge: &ClaimsRequest,
        now: Timestamp,
        resting: Option<(Timestamp, Fault)>,
        may_answer: impl FnOnce() -> bool,
        board: impl FnOnce(&Arc<Gate>) -> Result<(), Fault>,
    ) -> Step {
        let mut state = self.lock();
        // Where the authority wanted claims, the challenge may be what it wanted.
        let own = state.cooling.as_ref().filter(|cooling| cooling.fault.claims().is_none());
        let own = own.and_then(|cooling| cooling.end(now));
        let until = own.max(resting.as_ref().map(|(until, _)| *until)).filter(|until| now < *until);
        match until {
            Some(until) => Step::Refuse(state.refusal(resting, until, now)),
            None if !state.flies_for(challenge) && !may_answer() => Step::Refuse(too_many_challenges()),
            None => state.board(self, Patience::Whole, Some(challenge), board).unwrap_or_else(Step::Refuse),
        }
    }

    /// The token, while it lives.
    #[must_use]
    pub fn live(&self, now: Timestamp) -> Option<Arc<Token>> {
        self.lock().token().filter(|token| now < token.expires_at)
    }

    /// Whether nothing would be lost with it: no live token, no flight, nobody to be left alone.
    #[must_use]
    pub fn is_idle(&self, now: Timestamp) -> bool {
        let state = self.lock();
        let live = state.held.as_ref().is_some_and(|held| now < held.times.expires_at);
        let cooling = state.cooling.as_ref().is_some_and(|cooling| cooling.span.holds(now));
        !live && !cooling && state.flying().is_none()
    }

    /// How many bytes of token it holds.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.lock().held.as_ref().map_or(0, |held| held.token.secret.expose().len())
    }

    /// Notes what it weighs in the cache, in the room of whoever had it made.
    pub fn charge(&self, weight: u64) {
        if let Some(lease) = &self.lease {
            lease.weigh(weight);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Invariant: no code panics while it holds this lock, and the state is whole between statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn token(&self) -> Option<Arc<Token>> {
        self.held.as_ref().map(|held| Arc::clone(&held.token))
    }

    /// The flight in progress, unless its pilot is gone.
    fn flying(&self) -> Option<Flight> {
        self.flight.clone().filter(Flight::is_flown)
    }

    /// Whether the flight in progress answers `challenge`.
    fn flies_for(&self, challenge: &ClaimsRequest) -> bool {
        self.flying().is_some_and(|flight| flight.is_for(Some(challenge)))
    }

    /// A seat in the flight in progress, or in a new one; none if the gate of either lets nobody wait there.
    fn board(
        &mut self,
        slot: &Arc<Slot>,
        patience: Patience,
        challenge: Option<&ClaimsRequest>,
        wait: impl FnOnce(&Arc<Gate>) -> Result<(), Fault>,
    ) -> Result<Step, Fault> {
        if let Some(flight) = self.flying() {
            wait(flight.gate())?;
            self.is_awaited |= challenge.is_none() && patience == Patience::Whole && !flight.is_for(None);
            return Ok(Step::Wait(patience, flight, None));
        }
        let gate = Gate::closed();
        wait(&gate)?;
        let (flight, departure) = self.depart(slot, challenge, gate);
        Ok(Step::Wait(patience, flight, Some(departure)))
    }

    fn depart(&mut self, slot: &Arc<Slot>, challenge: Option<&ClaimsRequest>, gate: Arc<Gate>) -> (Flight, Departure) {
        let (flight, sender) = Flight::new(challenge, Arc::clone(&gate));
        self.flight = Some(flight.clone());
        (flight, Departure { slot: Arc::clone(slot), challenge: challenge.cloned(), gate, sender })
    }

    /// The remembered fault, with the time that is left as its wish.
    fn refusal(&self, resting: Option<(Timestamp, Fault)>, until: Timestamp, now: Timestamp) -> Fault {
        let own =
            self.cooling.as_ref().filter(|cooling| cooling.span.until() == until).map(|cooling| cooling.fault.clone());
        let fault = own.or_else(|| resting.map(|(_, fault)| fault)).unwrap_or_else(lost_flight);
        if fault.turn() == Turn::Authority { fault.with_retry_after(Some(until.since(now))) } else { fault }
    }
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

    /// Where it waits until it may fly.
    #[must_use]
    pub const fn gate(&self) -> &Arc<Gate> {
        &self.gate
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
        // Where everybody has to wait, so have they.
        let is_own = |fault: &Fault| fault.turn() != Turn::Authority && fault.kind != Kind::RejectedCredential;
        let next = landing.as_ref().err().filter(|fault| is_awaited && is_own(fault));
        let next = next.map(|_| state.depart(&self.slot, None, Gate::open(None)).1);
        drop(state);
        self.sender.send_replace(Some(landing));
        next
    }
}

fn too_many_challenges() -> Fault {
    Fault::new(
        Kind::Throttled,
        "more tokens were challenged than may be fetched anew in a second",
        "ask again in a moment; if it goes on, the operator should find the program that keeps asking",
    )
    .with_retry_after(Some(Duration::from_secs(1)))
}

#[cfg(test)]
mod tests;
