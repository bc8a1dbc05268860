//! The cell that guards one key: its token, its flight, and what the authority last said of it.
//!
//! Every step is taken under one short lock, so that deciding and boarding a flight cannot be torn
//! apart: two callers never start two flights. The lock is never held across an await.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::flight::{Flight, Landing, lost_flight};
use crate::claims::ClaimsRequest;
use crate::clock::Timestamp;
use crate::fault::{Fault, Kind, Turn};
use crate::freshness::{self, Entry, Patience, Times, Verdict, Windows, cool_down};
use crate::token::{Token, TokenKey};

/// The cell of one key.
#[derive(Debug)]
pub struct Slot {
    key: TokenKey,
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
    since: Timestamp,
    until: Timestamp,
}

impl Cooling {
    /// Until when, unless the clock was set back behind its beginning.
    fn end(&self, now: Timestamp) -> Option<Timestamp> {
        (self.since <= now).then_some(self.until)
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
    /// An empty cell.
    #[must_use]
    pub fn new(key: TokenKey) -> Self {
        Self { key, state: Mutex::default() }
    }

    /// What it guards.
    #[must_use]
    pub const fn key(&self) -> &TokenKey {
        &self.key
    }

    /// Takes the step of one caller. `resting` is what the source knows of its credentials and of the scope; `renew`
    /// is asked only when a renewal would start.
    pub fn step(
        self: &Arc<Self>,
        moment: Moment<'_>,
        resting: Option<(Timestamp, Fault)>,
        renew: impl FnOnce() -> bool,
    ) -> Step {
        let mut state = self.lock();
        let until = resting.as_ref().map(|(until, _)| *until);
        let cooling_until = state.cooling.as_ref().and_then(|cooling| cooling.end(moment.now)).max(until);
        let entry = Entry { times: state.held.as_ref().map(|held| held.times), cooling_until };
        let verdict = freshness::decide(entry, moment.now, moment.windows);
        match (verdict, state.token()) {
            (Verdict::Serve, Some(token)) => Step::Serve(token),
            (Verdict::ServeAndRefresh, Some(token)) => {
                let departure =
                    if state.flying().is_none() && renew() { Some(state.depart(self, None).1) } else { None };
                Step::ServeAndRefresh(token, departure)
            }
            (Verdict::Refuse(until), _) => Step::Refuse(state.refusal(resting, until, moment.now)),
            (Verdict::Fetch(patience), _) => state.board(self, patience, None),
            // Invariant: freshness serves only what is held.
            (Verdict::Serve | Verdict::ServeAndRefresh, None) => Step::Refuse(lost_flight()),
        }
    }

    /// Takes the step of a caller whose token a resource refused: whatever is held is not good enough, and
    /// while the authority is to be left alone there is nothing else. `renew` is asked as for a renewal,
    /// since whoever can reach a listener can write a challenge.
    pub fn answer(
        self: &Arc<Self>,
        challenge: &ClaimsRequest,
        now: Timestamp,
        resting: Option<(Timestamp, Fault)>,
        renew: impl FnOnce() -> bool,
    ) -> Step {
        let mut state = self.lock();
        // Where the authority wanted claims, the challenge may be what it wanted.
        let own = state.cooling.as_ref().filter(|cooling| cooling.fault.claims().is_none());
        let own = own.and_then(|cooling| cooling.end(now));
        let until = own.max(resting.as_ref().map(|(until, _)| *until)).filter(|until| now < *until);
        match until {
            Some(until) => Step::Refuse(state.refusal(resting, until, now)),
            None if state.flying().is_none() && !renew() => Step::Refuse(too_many_challenges()),
            None => state.board(self, Patience::Whole, Some(challenge)),
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
        let cooling = state.cooling.as_ref().and_then(|cooling| cooling.end(now)).is_some_and(|until| now < until);
        !live && !cooling && state.flying().is_none()
    }

    /// How many bytes of token it holds.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.lock().held.as_ref().map_or(0, |held| held.token.secret.expose().len())
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

    /// A seat in the flight in progress, or in a new one.
    fn board(&mut self, slot: &Arc<Slot>, patience: Patience, challenge: Option<&ClaimsRequest>) -> Step {
        if let Some(flight) = self.flying() {
            self.is_awaited |= challenge.is_none() && patience == Patience::Whole && !flight.is_for(None);
            return Step::Wait(patience, flight, None);
        }
        let (flight, departure) = self.depart(slot, challenge);
        Step::Wait(patience, flight, Some(departure))
    }

    fn depart(&mut self, slot: &Arc<Slot>, challenge: Option<&ClaimsRequest>) -> (Flight, Departure) {
        let (flight, sender) = Flight::new(challenge);
        self.flight = Some(flight.clone());
        (flight, Departure { slot: Arc::clone(slot), challenge: challenge.cloned(), sender })
    }

    /// The remembered fault, with the time that is left as its wish.
    fn refusal(&self, resting: Option<(Timestamp, Fault)>, until: Timestamp, now: Timestamp) -> Fault {
        let own = self.cooling.as_ref().filter(|cooling| cooling.until == until).map(|cooling| cooling.fault.clone());
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
            // The source remembers this one, for all keys at once and until the credential is replaced.
            Err(fault) if fault.kind == Kind::RejectedCredential => {}
            // What the authority says of one caller's challenge is nothing to the others.
            Err(fault) if self.challenge.is_some() && fault.turn() != Turn::Authority => {}
            Err(fault) => {
                let failures = state.cooling.as_ref().map_or(1, |before| before.failures.saturating_add(1));
                let until = moment.now + cool_down(fault, failures, jitter);
                state.cooling = Some(Cooling { fault: fault.clone(), failures, since: moment.now, until });
            }
        }
        state.flight = None;
        let is_awaited = std::mem::take(&mut state.is_awaited);
        // Where everybody has to wait, so have they.
        let is_own = |fault: &Fault| fault.turn() != Turn::Authority && fault.kind != Kind::RejectedCredential;
        let next = landing.as_ref().err().filter(|fault| is_awaited && is_own(fault));
        let next = next.map(|_| state.depart(&self.slot, None).1);
        drop(state);
        self.sender.send_replace(Some(landing));
        next
    }
}

fn too_many_challenges() -> Fault {
    Fault::new(
        Kind::Throttled,
        "more tokens were challenged than may be renewed in a second",
        "ask again in a moment; if it goes on, the operator should find the program that keeps asking",
    )
    .with_retry_after(Some(Duration::from_secs(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{ClientId, Name, Resource, Scope, ScopeForm, TenantId};
    use crate::secret::Secret;
    use crate::token::{Extension, Extras};

    const START: Timestamp = Timestamp::from_secs(1_000_000);

    fn slot() -> Arc<Slot> {
        Arc::new(Slot::new(TokenKey {
            identity: Name::parse("app").unwrap(),
            authority: "https://login/".into(),
            tenant: TenantId::parse("contoso.com").unwrap(),
            client_id: ClientId::parse("app").unwrap(),
            scope: Scope::of(&Resource::parse("r").unwrap(), ScopeForm::Default),
            extras: Extras::default(),
            extension: Extension::default(),
        }))
    }

    fn at(secs: u64) -> Moment<'static> {
        const WINDOWS: Windows =
            Windows { late: Duration::from_mins(5), last: Duration::from_secs(30), join: Duration::from_secs(1) };
        Moment { now: START + Duration::from_secs(secs), windows: &WINDOWS }
    }

    fn token(issued: u64) -> Token {
        let issued_at = at(issued).now;
        let secret = Secret::from(format!("token-{issued}"));
        Token { secret, issued_at, expires_at: issued_at + Duration::from_hours(1), refresh_in: None }
    }

    fn step(slot: &Arc<Slot>, secs: u64) -> Step {
        slot.step(at(secs), None, || true)
    }

    fn departure(slot: &Arc<Slot>, secs: u64) -> Departure {
        match step(slot, secs) {
            Step::Wait(_, _, Some(departure)) | Step::ServeAndRefresh(_, Some(departure)) => departure,
            other => panic!("no departure: {other:?}"),
        }
    }

    fn outage() -> Fault {
        Fault::new(Kind::Unavailable, "p", "r")
    }

    #[test]
    fn one_departure_however_many_ask() {
        let slot = slot();
        let first = departure(&slot, 0);
        for _ in 0..10 {
            assert!(matches!(step(&slot, 0), Step::Wait(Patience::Whole, _, None)));
        }
        assert!(first.land(Ok(token(0)), at(1), 0.0).is_none());
        assert!(matches!(step(&slot, 1), Step::Serve(_)));
    }

    #[test]
    fn a_lost_pilot_frees_the_slot() {
        let slot = slot();
        drop(departure(&slot, 0));
        assert!(departure(&slot, 0).land(Ok(token(0)), at(0), 0.0).is_none());
    }

    #[test]
    fn a_failed_renewal_keeps_the_live_token() {
        let slot = slot();
        assert!(departure(&slot, 0).land(Ok(token(0)), at(0), 0.0).is_none());
        assert!(departure(&slot, 2700).land(Err(outage()), at(2700), 0.0).is_none());
        assert!(matches!(step(&slot, 2700), Step::Serve(_)));
        assert!(departure(&slot, 2701).land(Err(outage()), at(2701), 0.0).is_none());
        assert!(matches!(step(&slot, 2702), Step::Serve(_)), "the second failure cools for two seconds");
        assert!(departure(&slot, 3599).land(Err(outage()), at(3599), 0.0).is_none());
        assert!(slot.live(at(3599).now).is_some());
        assert!(matches!(step(&slot, 3600), Step::Refuse(_)));
    }

    #[test]
    fn a_refusal_says_how_long() {
        let slot = slot();
        let fault = outage().with_retry_after(Some(Duration::from_secs(17)));
        assert!(departure(&slot, 0).land(Err(fault), at(0), 0.0).is_none());
        match step(&slot, 7) {
            Step::Refuse(fault) => assert_eq!(fault.retry_after(), Some(Duration::from_secs(10))),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_clock_that_is_set_back_ends_the_cooling() {
        let slot = slot();
        assert!(departure(&slot, 5000).land(Err(outage()), at(5000), 0.0).is_none());
        assert!(matches!(step(&slot, 5000), Step::Refuse(_)));
        assert!(matches!(step(&slot, 4000), Step::Wait(..)));
    }

    #[test]
    fn a_rejected_credential_cools_in_its_source_alone() {
        let slot = slot();
        let rejected = Fault::new(Kind::RejectedCredential, "p", "r");
        assert!(departure(&slot, 0).land(Err(rejected.clone()), at(0), 0.0).is_none());
        let known = Some((at(9).now, rejected));
        assert!(matches!(slot.step(at(1), known, || true), Step::Refuse(fault) if fault.status() == 403));
        assert!(matches!(step(&slot, 1), Step::Wait(..)), "a reload that ends the rejection ends it at once");
    }

    #[test]
    fn a_renewal_waits_for_the_budget_and_a_caller_does_not() {
        let slot = slot();
        assert!(departure(&slot, 0).land(Ok(token(0)), at(0), 0.0).is_none());
        assert!(matches!(slot.step(at(2700), None, || false), Step::ServeAndRefresh(_, None)));
        assert!(matches!(slot.step(at(3300), None, || false), Step::Wait(Patience::Brief(_), _, Some(_))));
    }

    #[test]
    fn whoever_waits_for_another_ones_challenge_is_flown_next() {
        let challenge = ClaimsRequest::parse(r#"{"a":1}"#).unwrap();
        let answer = |slot: &Arc<Slot>| match slot.answer(&challenge, at(0).now, None, || true) {
            Step::Wait(_, _, departure) => departure,
            other => panic!("{other:?}"),
        };
        let refused = || Fault::new(Kind::Misconfigured, "p", "r");
        for (result, follows) in [(Err(refused()), true), (Err(outage()), false), (Ok(token(0)), false)] {
            let slot = slot();
            let first = answer(&slot).unwrap();
            assert!(matches!(step(&slot, 0), Step::Wait(Patience::Whole, _, None)));
            let next = first.land(result, at(0), 0.0);
            assert_eq!(next.is_some(), follows);
            if let Some(next) = next {
                assert!(answer(&slot).is_none(), "further challenges wait their turn");
                assert!(next.challenge().is_none() && next.land(Ok(token(0)), at(1), 0.0).is_none());
            }
        }
        let alone = slot();
        assert!(answer(&alone).unwrap().land(Err(refused()), at(0), 0.0).is_none(), "nobody waits");
    }
}
