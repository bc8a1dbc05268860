//! The cell that guards one key: its token, its flight, and what the authority last said of it.
//!
//! Every step is taken under one short lock, so that deciding and boarding a flight cannot be torn
//! apart: two callers never start two flights. The lock is never held across an await.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::flight::{Errand, Flight, lost_flight};
use super::gate::Gate;
use super::holding::Lease;
use crate::clock::{Reading, Span, Timestamp};
use crate::fault::{Fault, Kind, Turn};
use crate::freshness::renewal::LIVES;
use crate::freshness::{self, Entry, Patience, Renewal, Times, Verdict, Want, Windows};
use crate::token::{Token, TokenKey};

mod ahead;
mod departure;
mod regard;

use ahead::Ahead;
pub use departure::Departure;
pub use regard::Regard;

/// The cell of one key.
#[derive(Debug)]
pub struct Slot {
    key: TokenKey,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The room of the caller that had it made.
    lease: Option<Lease>,
    held: Option<Held>,
    /// Boxed, as is the flight: most slots have neither.
    cooling: Option<Box<Cooling>>,
    flight: Option<Box<Flight>>,
    /// Whether somebody without a challenge waits for the end of one's flight, and has to be flown for next.
    is_awaited: bool,
    /// Whether it is held ready, also when nobody asks.
    is_warm: bool,
    /// When somebody asked for it last.
    asked_at: Timestamp,
    ahead: Ahead,
}

/// A token with those of its times that it does not have itself.
#[derive(Debug)]
struct Held {
    token: Arc<Token>,
    refresh_at: Timestamp,
    late_at: Timestamp,
    last_at: Timestamp,
}

impl Held {
    fn new(token: Arc<Token>, times: Times) -> Self {
        Self { token, refresh_at: times.refresh_at, late_at: times.late_at, last_at: times.last_at }
    }

    fn times(&self) -> Times {
        Times {
            issued_at: self.token.issued_at,
            refresh_at: self.refresh_at,
            late_at: self.late_at,
            last_at: self.last_at,
            expires_at: self.token.expires_at,
        }
    }

    /// The same, of a token that was counted anew.
    fn recounted(&self, token: Token) -> Self {
        let by = self.token.issued_at.since(token.issued_at);
        let (refresh_at, late_at, last_at) = (self.refresh_at - by, self.late_at - by, self.last_at - by);
        Self { token: Arc::new(token), refresh_at, late_at, last_at }
    }
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
    /// Answer with the token, and see that it is renewed: now it is due, and with a ticket it has to be taken up.
    ServeAndRefresh(Arc<Token>, Option<u32>),
    /// Wait; fly first if there is a departure.
    Wait(Patience, Flight, Option<Departure>),
    /// Look the key up again: a flight for it belongs to another slot, which was made after an eviction.
    Moved,
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
        Self { key, state: Mutex::new(State { lease, ..State::default() }) }
    }

    /// What it guards.
    #[must_use]
    pub const fn key(&self) -> &TokenKey {
        &self.key
    }

    /// Takes the step of one caller. `resting` is what the source knows of its credentials and of the scope. `claim`
    /// makes the key's next flight this slot's, unless another slot has one. `board` has the caller wait at the gate of
    /// a flight; if it may not, it goes on with what there is.
    pub fn step(
        self: &Arc<Self>,
        moment: Moment<'_>,
        resting: Option<(Timestamp, Fault)>,
        claim: impl FnOnce() -> bool,
        board: impl FnOnce(&Arc<Gate>) -> Result<(), Fault>,
    ) -> Step {
        let mut state = self.lock();
        state.asked_at = moment.now;
        let entry = state.entry(moment.now, resting.as_ref().map(|(until, _)| *until));
        let verdict = freshness::decide(entry, moment.now, moment.windows);
        match (verdict, state.token()) {
            (Verdict::Serve, Some(token)) => Step::Serve(token),
            (Verdict::ServeAndRefresh, Some(token)) => state.call(moment.now, token),
            (Verdict::Refuse(until), _) => Step::Refuse(state.refusal(resting, until, moment.now)),
            (Verdict::Fetch(patience), held) => {
                state.board(self, patience, Errand::default(), claim, board).unwrap_or_else(|fault| {
                    let live = held.filter(|token| moment.now < token.expires_at);
                    live.map_or(Step::Refuse(fault), Step::Serve)
                })
            }
            // Invariant: freshness serves only what is held.
            (Verdict::Serve | Verdict::ServeAndRefresh, None) => Step::Refuse(lost_flight()),
        }
    }

    /// Takes the step of a caller to whom whatever is held is not good enough; while the authority is to be left alone
    /// there is nothing else. `may_answer` is asked when an exchange would start, since whoever can reach a listener
    /// can demand one; and when it would start after another one, since those that wait for it are in each other's way.
    pub fn answer(
        self: &Arc<Self>,
        errand: Errand<'_>,
        now: Timestamp,
        resting: Option<(Timestamp, Fault)>,
        may_answer: impl FnOnce() -> bool,
        claim: impl FnOnce() -> bool,
        board: impl FnOnce(&Arc<Gate>) -> Result<(), Fault>,
    ) -> Step {
        let mut state = self.lock();
        state.asked_at = now;
        // Where the authority wanted claims, the challenge may be what it wanted.
        let own =
            state.cooling.as_ref().filter(|cooling| errand.challenge.is_none() || cooling.fault.claims().is_none());
        let own = own.and_then(|cooling| cooling.end(now));
        let until = own.max(resting.as_ref().map(|(until, _)| *until)).filter(|until| now < *until);
        match until {
            Some(until) => Step::Refuse(state.refusal(resting, until, now)),
            None if !state.flies_for(errand) && !may_answer() => Step::Refuse(too_many_demands()),
            None => state.board(self, Patience::Whole, errand, claim, board).unwrap_or_else(Step::Refuse),
        }
    }

    /// Has it looked at when its token's time to be renewed comes, and says when that is and by which ticket; none if
    /// that is seen to, or nothing is held and nothing has to be. A flight that has just failed is looked at again in a
    /// moment.
    pub fn take_up(&self, now: Timestamp) -> Option<(Timestamp, u32)> {
        let mut state = self.lock();
        let turn = state.turn(now)?;
        let at = if now < turn { turn } else { now + PAUSE };
        state.ahead.take_up(at).map(|ticket| (at, ticket))
    }

    /// What is to be done about it ahead of its end. Of a ticket that is void it is nothing.
    pub fn renewal(&self, ticket: u32, reading: Reading, resting: Option<Timestamp>) -> Renewal {
        let (mut state, now) = (self.lock(), reading.now);
        if !state.ahead.is_valid(ticket) {
            return Renewal::LetGo;
        }
        state.recount(reading);
        // Whoever flies has it taken up again.
        let renewal = match state.flying() {
            Some(_) => Renewal::LetGo,
            None => freshness::renewal(state.entry(now, resting), state.want(), now),
        };
        state.ahead.note(renewal);
        renewal
    }

    /// Nobody renews it ahead any more by this ticket; whoever asks while it ages has it taken up again.
    pub fn let_go(&self, ticket: u32) {
        let mut state = self.lock();
        if state.ahead.is_valid(ticket) {
            state.ahead.note(Renewal::LetGo);
        }
    }

    /// A departure that nobody waits for, unless there is a flight.
    pub fn renew(self: &Arc<Self>, claim: impl FnOnce() -> bool) -> Option<Departure> {
        let mut state = self.lock();
        state.ahead.note(Renewal::LetGo);
        let may = state.flying().is_none() && claim();
        may.then(|| state.depart(self, Errand::default(), Gate::open(None)).1)
    }

    /// Since when the held token should be another one.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        self.lock().refresh_at()
    }

    /// Until when a token serves those who asked for it lately, if there is one and somebody did.
    #[must_use]
    pub fn covers_until(&self, now: Timestamp) -> Option<Timestamp> {
        let state = self.lock();
        let held = state.held.as_ref()?;
        (now.since(state.asked_at) <= held.token.life() * LIVES).then_some(held.token.expires_at)
    }

    /// The token, while it lives.
    #[must_use]
    pub fn live(&self, now: Timestamp) -> Option<Arc<Token>> {
        self.lock().token().filter(|token| now < token.expires_at)
    }

    /// Forgets what lies in the future, since the clock was set back: it would hold once more when that has come; and
    /// counts the token anew. Says whether nothing would be lost with the slot: no live token, no flight, nobody to be
    /// left alone, and it is not held ready.
    pub fn sweep(&self, reading: Reading) -> bool {
        let (mut state, now) = (self.lock(), reading.now);
        state.recount(reading);
        state.cooling = state.cooling.take().filter(|cooling| !cooling.span.lies_ahead(now));
        // What is over is not to come back when the clock is set back to it.
        if let Some(over) = state.cooling.as_mut().filter(|cooling| !cooling.span.holds(now)) {
            over.span = Span::default();
        }
        state.asked_at = state.asked_at.min(now);
        let live = state.held.as_ref().is_some_and(|held| now < held.token.expires_at);
        let cooling = state.cooling.as_ref().is_some_and(|cooling| cooling.span.holds(now));
        !live && !cooling && !state.is_warm && state.flying().is_none()
    }

    /// How many bytes of token it holds.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.lock().held.as_ref().map_or(0, |held| held.token.secret.expose().len())
    }

    /// Notes what it weighs in the cache, in the room of whoever had it made. Says whether it stays; it may go where
    /// that is not room enough for its token.
    pub fn charge(&self, weight: u64, may_go: bool) -> bool {
        let state = self.lock();
        let may_go = may_go && state.held.is_some();
        state.lease.as_ref().is_none_or(|lease| lease.weigh(weight, may_go))
    }

    /// Gives back the room of whoever had it made: it is there for all from now on.
    pub fn leave_room(&self) {
        self.lock().lease = None;
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

    /// Has its token end when it does, by a clock that was set back.
    fn recount(&mut self, reading: Reading) {
        if let Some(held) = &mut self.held
            && let Some(token) = held.token.recounted(reading)
        {
            *held = held.recounted(token);
        }
    }

    /// Since when the held token should be another one.
    fn refresh_at(&self) -> Option<Timestamp> {
        self.held.as_ref().map(|held| held.refresh_at)
    }

    /// When it is to be looked at, as far as its token says: at once where one lies in the future.
    fn turn(&self, now: Timestamp) -> Option<Timestamp> {
        let times = self.held.as_ref().map(Held::times);
        let refresh_at = times.map(|times| if times.lie_ahead(now) { now } else { times.refresh_at });
        refresh_at.or(self.is_warm.then_some(now))
    }

    /// For whom it is looked after.
    const fn want(&self) -> Want {
        if self.is_warm { Want::Always } else { Want::Asked(self.asked_at) }
    }

    /// The flight in progress, unless its pilot is gone.
    fn flying(&self) -> Option<Flight> {
        self.flight.as_deref().filter(|flight| flight.is_flown()).cloned()
    }

    /// What the rules have to know.
    fn entry(&self, now: Timestamp, resting: Option<Timestamp>) -> Entry {
        let cooling_until = self.cooling.as_ref().and_then(|cooling| cooling.end(now)).max(resting);
        Entry { times: self.held.as_ref().map(Held::times), cooling_until }
    }

    /// The step of a caller that gets an ageing token.
    fn call(&mut self, now: Timestamp, token: Arc<Token>) -> Step {
        if self.flying().is_some() {
            return Step::Serve(token);
        }
        // It may have been let go, or put off for a reason that is gone, or the clock was set.
        match self.ahead.take_up(now) {
            None if !self.ahead.is_overdue(now) => Step::Serve(token),
            ticket => Step::ServeAndRefresh(token, ticket),
        }
    }

    /// Whether the flight in progress is one for this errand.
    fn flies_for(&self, errand: Errand<'_>) -> bool {
        self.flying().is_some_and(|flight| flight.is_for(errand.challenge))
    }

    /// A seat in the flight in progress, or in a new one; none if the gate of either lets nobody wait there.
    fn board(
        &mut self,
        slot: &Arc<Slot>,
        patience: Patience,
        errand: Errand<'_>,
        claim: impl FnOnce() -> bool,
        wait: impl FnOnce(&Arc<Gate>) -> Result<(), Fault>,
    ) -> Result<Step, Fault> {
        if let Some(flight) = self.flying() {
            wait(flight.gate())?;
            self.is_awaited |= errand.challenge.is_none() && patience == Patience::Whole && !flight.is_for(None);
            return Ok(Step::Wait(patience, flight, None));
        }
        if !claim() {
            return Ok(Step::Moved);
        }
        let gate = Gate::closed();
        wait(&gate)?;
        let (flight, departure) = self.depart(slot, errand, gate);
        Ok(Step::Wait(patience, flight, Some(departure)))
    }

    fn depart(&mut self, slot: &Arc<Slot>, errand: Errand<'_>, gate: Arc<Gate>) -> (Flight, Departure) {
        let (flight, sender) = Flight::new(errand, Arc::clone(&gate));
        self.flight = Some(Box::new(flight.clone()));
        let (slot, challenge, is_forced) = (Arc::clone(slot), errand.challenge.cloned(), errand.is_forced);
        let span = flight.span().clone();
        (flight, Departure { slot, challenge, is_forced, gate, sender, span })
    }

    /// The remembered fault, with the time that is left as its wish.
    fn refusal(&self, resting: Option<(Timestamp, Fault)>, until: Timestamp, now: Timestamp) -> Fault {
        let own =
            self.cooling.as_ref().filter(|cooling| cooling.span.until() == until).map(|cooling| cooling.fault.clone());
        let fault = own.or_else(|| resting.map(|(_, fault)| fault)).unwrap_or_else(lost_flight);
        if fault.turn() == Turn::Authority { fault.with_retry_after(Some(until.since(now))) } else { fault }
    }
}

fn too_many_demands() -> Fault {
    Fault::new(
        Kind::TooMany,
        "more tokens were challenged or rejected than may be fetched anew in a second",
        "ask again in a moment; if it goes on, the operator should find the program that keeps asking",
    )
    .with_retry_after(Some(Duration::from_secs(1)))
    .with_rule("freshness.refresh_rate")
}

/// A renewal that failed is looked at again after this; how long it really rests, the rules say then.
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
