//! Runs a history: asks, flights, rounds of the schedule, and what happens to the process and its clock.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bursar::clock::{Reading, Timestamp, Uptime};
use bursar::fault::Fault;
use bursar::freshness::schedule::Schedule;
use bursar::freshness::{Patience, Windows};
use bursar::name::{ClientId, Name, Resource, Scope, ScopeForm, TenantId};
use bursar::source::allowance::{Allowance, Rate, Renewing};
use bursar::token::{Descent, Extension, Extras, Principal, Token, TokenKey};
use bursar::vend::slot::{Departure, Moment, Slot, Step as SlotStep};
use fastrand::Rng;

use crate::authority;
use crate::demand::{Demand, least};
use crate::ledger::{Answer, Ledger, Second};
use crate::scenario::{HOUR, Life, MINUTE, Scenario, Step};

/// All that there is at one moment of a history.
pub(crate) struct World<'a> {
    scenario: &'a Scenario,
    rng: Rng,
    /// Milliseconds since the start, by a clock that nobody sets.
    now: u64,
    /// What the wall clock shows beside that.
    wall: Timestamp,
    windows: Windows,
    slots: Vec<Arc<Slot>>,
    /// When each key's latest token ends, by the time that passes.
    ends: Vec<u64>,
    schedule: Schedule<usize, (usize, u32)>,
    allowances: Vec<Allowance>,
    seconds: Vec<Second>,
    events: BTreeMap<(u64, u64), Event>,
    /// Tells events of one moment apart.
    number: u64,
    round_at: u64,
    /// Those who wait for each flight.
    flights: HashMap<usize, Vec<u64>>,
    asked: Vec<Vec<u64>>,
    ledger: Ledger,
}

enum Event {
    Land {
        key: usize,
        departure: Departure,
        flight: Flown,
    },
    /// A caller with a live token waits no longer.
    GiveUp {
        key: usize,
        waiter: u64,
    },
    SetClock(Step),
    /// Those that are held ready are looked at.
    Inspect,
    Sweep,
    Restart,
}

/// A flight until it lands.
struct Flown {
    sent: Reading,
    /// When the authority decides about it.
    decided: Reading,
    issues: Result<(), Fault>,
    _renewing: Option<Renewing>,
}

impl<'a> World<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        let rate = NonZeroU32::new(scenario.rate).unwrap();
        let mut world = Self {
            scenario,
            rng: Rng::with_seed(!scenario.seed),
            now: 0,
            wall: Timestamp::from_secs(1_800_000_000),
            windows: Windows::default(),
            slots: Vec::new(),
            ends: Vec::new(),
            schedule: Schedule::default(),
            allowances: (0..scenario.clients).map(|_| Allowance::new(Rate { of_all: rate, share: None })).collect(),
            seconds: (0..scenario.clients).map(|_| Second::default()).collect(),
            events: BTreeMap::new(),
            number: 0,
            round_at: 0,
            flights: HashMap::new(),
            asked: vec![Vec::new(); scenario.keys],
            ledger: Ledger::default(),
        };
        world.restart();
        world.plan(MINUTE, Event::Inspect);
        for (at, step) in &scenario.steps {
            world.plan(*at, Event::SetClock(*step));
        }
        for at in &scenario.restarts {
            world.plan(*at, Event::Restart);
        }
        world
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self) -> Ledger {
        let until = self.scenario.hours * HOUR;
        let mut demand = Demand::of(self.scenario);
        let (mut ask_at, mut key) = demand.next();
        loop {
            let event_at = self.events.first_key_value().map_or(u64::MAX, |((at, _), _)| *at);
            let next = ask_at.min(event_at).min(self.round_at);
            if next >= until {
                break;
            }
            self.advance(next);
            if event_at == next {
                let (_, event) = self.events.pop_first().unwrap();
                self.happen(event);
            } else if self.round_at == next {
                self.round();
            } else {
                self.ask(key);
                let (pause, other) = demand.next();
                (ask_at, key) = (ask_at + pause, other);
            }
        }
        let mut rng = Rng::with_seed(self.scenario.seed);
        let least = |(key, asks): (usize, &Vec<u64>)| {
            least(asks, self.scenario.is_warm(key), life(self.scenario, key), until, &mut rng)
        };
        self.ledger.least = self.asked.iter().enumerate().map(least).sum();
        self.ledger
    }

    fn advance(&mut self, to: u64) {
        self.wall = self.wall + Duration::from_millis(to - self.now);
        self.now = to;
    }

    fn reading(&self) -> Reading {
        Reading { now: self.wall, uptime: Uptime::from_millis(self.now) }
    }

    fn plan(&mut self, at: u64, event: Event) -> u64 {
        self.number += 1;
        self.events.insert((at, self.number), event);
        self.number
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Land { key, departure, flight } => self.land(key, departure, flight),
            Event::GiveUp { key, waiter } => {
                let waiters = self.flights.get_mut(&key);
                let waits = waiters.and_then(|waiters| {
                    let place = waiters.iter().position(|other| *other == waiter)?;
                    Some(waiters.swap_remove(place))
                });
                if waits.is_some() {
                    self.answer_with_live(key);
                }
            }
            Event::SetClock(step) => {
                self.seconds.iter_mut().for_each(Second::forget);
                self.wall = match step {
                    Step::Forward(by) => {
                        // Tokens end by the wall clock, whatever it was before.
                        self.ends.iter_mut().for_each(|end| *end = end.saturating_sub(by));
                        self.wall + Duration::from_millis(by)
                    }
                    Step::Back(by) => self.wall - Duration::from_millis(by),
                };
                self.plan(self.now + MINUTE, Event::Sweep);
            }
            Event::Inspect => self.inspect(),
            Event::Sweep => self.slots.iter().for_each(|slot| _ = slot.sweep(self.reading())),
            Event::Restart => self.restart(),
        }
    }

    /// A process with nothing: those who waited are cut off, and ask again when they do.
    fn restart(&mut self) {
        let principal = Arc::new(Principal {
            descent: Descent::default(),
            identity: Name::parse("app").unwrap(),
            authority: "https://login/".into(),
            tenant: TenantId::parse("contoso.com").unwrap(),
            client_id: ClientId::parse("app").unwrap(),
        });
        let scope = Scope::of(&Resource::parse("r").unwrap(), ScopeForm::Default);
        let key = TokenKey::new(principal, scope, &Extras::NONE, Extension::default());
        self.slots = (0..self.scenario.keys).map(|_| Arc::new(Slot::new(key.clone(), None))).collect();
        self.ends = vec![0; self.scenario.keys];
        self.schedule = Schedule::default();
        self.flights.clear();
        self.events.retain(|_, event| !matches!(event, Event::Land { .. } | Event::GiveUp { .. }));
        for key in self.warm() {
            if let Some((at, ticket)) = self.slots[key].keep_warm(self.wall) {
                self.schedule.put(at, key % self.scenario.clients, (key, ticket));
            }
        }
        self.round_at = self.now;
    }

    /// The keys that are held ready.
    fn warm(&self) -> impl Iterator<Item = usize> + use<> {
        let (keys, every) = (self.scenario.keys, self.scenario.warm);
        every.into_iter().flat_map(move |every| (every - 1..keys).step_by(every))
    }

    fn inspect(&mut self) {
        for key in self.warm() {
            // What was issued in the future is worth nothing: the clock was set back.
            let live = self.slots[key].live(self.wall);
            if live.is_none_or(|token| token.issued_at > self.wall + Duration::from_mins(1)) {
                self.ledger.bare(self.scenario, key, life(self.scenario, key), self.now);
            }
        }
        if self.slots.len() <= SWEPT {
            self.slots.iter().for_each(|slot| _ = slot.sweep(self.reading()));
        }
        self.plan(self.now + MINUTE, Event::Inspect);
    }

    fn ask(&mut self, key: usize) {
        self.ledger.asks += 1;
        self.asked[key].push(self.now);
        let slot = Arc::clone(&self.slots[key]);
        let moment = Moment { now: self.wall, windows: &self.windows };
        match slot.step(moment, None, || true, |_| Ok(())) {
            SlotStep::Refuse(_) => self.error(key),
            SlotStep::Serve(token) => self.answer(key, &token),
            SlotStep::ServeAndRefresh(token, ticket) => {
                self.answer(key, &token);
                if let Some(ticket) = ticket {
                    self.schedule.put(self.wall, key % self.scenario.clients, (key, ticket));
                }
                self.round_at = self.now;
            }
            SlotStep::Wait(patience, _, departure) => {
                self.ledger.waits += 1;
                if let Some(departure) = departure {
                    self.allowances[key % self.scenario.clients].yield_one(self.wall);
                    self.fly(key, departure, None);
                }
                self.wait(key, patience);
            }
            SlotStep::Moved => panic!("no slot is evicted here"),
        }
    }

    /// As a caller waits: with a live token for no longer than it and its patience last.
    fn wait(&mut self, key: usize, patience: Patience) {
        self.number += 1;
        let waiter = self.number;
        let left = self.slots[key].live(self.wall).map(|token| token.expires_at.since(self.wall));
        if let Some(limit) = left.and_then(|left| patience.limit(left)) {
            let at = self.now + u64::try_from(limit.as_millis()).unwrap();
            self.events.insert((at, waiter), Event::GiveUp { key, waiter });
        }
        self.flights.entry(key).or_default().push(waiter);
    }

    fn fly(&mut self, key: usize, departure: Departure, renewing: Option<Renewing>) {
        if self.flights.insert(key, Vec::new()).is_some() {
            self.ledger.second_flight(key, self.now);
        }
        let outcome = authority::exchange(self.scenario, self.now, &mut self.rng);
        let (sent, decided) = (self.reading(), self.now + outcome.decided);
        let wall = self.wall + Duration::from_millis(outcome.decided);
        let decided = Reading { now: wall, uptime: Uptime::from_millis(decided) };
        let flight = Flown { sent, decided, issues: outcome.issues, _renewing: renewing };
        self.plan(self.now + outcome.after, Event::Land { key, departure, flight });
    }

    fn land(&mut self, key: usize, departure: Departure, flight: Flown) {
        let life = life(self.scenario, key);
        let result = flight.issues.map(|()| authority::token(life, flight.sent, flight.decided));
        match &result {
            Ok(token) => {
                self.ledger.issued += 1;
                let span = |from| u64::try_from(token.expires_at.since(from).as_millis()).unwrap();
                // The clock may have been set either way meanwhile. What has ended on its way replaces nothing.
                if self.wall < token.expires_at {
                    self.ends[key] =
                        (flight.sent.uptime.as_millis() + span(flight.sent.now)).min(self.now + span(self.wall));
                }
            }
            Err(_) => self.ledger.failed += 1,
        }
        let moment = Moment { now: self.wall, windows: &self.windows };
        let next = departure.land(result, moment, self.rng.f64());
        assert!(next.is_none(), "nobody challenges here");
        for _ in self.flights.remove(&key).unwrap_or_default() {
            self.answer_with_live(key);
        }
        if let Some((at, ticket)) = self.slots[key].take_up(self.wall) {
            self.schedule.put(at, key % self.scenario.clients, (key, ticket));
            self.plan_round();
        }
    }

    fn round(&mut self) {
        let (slots, allowances, wall, reading) = (&self.slots, &self.allowances, self.wall, self.reading());
        let mut turns = Vec::new();
        let look = |_: &usize, (key, ticket): &(usize, u32)| slots[*key].renewal(*ticket, reading, None);
        let may = |client: &usize| allowances[*client].renew(None, wall).map(|turn| turns.push(turn)).is_some();
        let going = self.schedule.round(wall, look, may);
        for ((client, (key, _)), turn) in going.into_iter().zip(turns) {
            if let Some(departure) = self.slots[key].renew(|| true) {
                self.ledger.renewal(self.scenario, client, self.now, &mut self.seconds[client]);
                let asked = self.asked[key].last();
                if asked.is_none_or(|asked| *asked + 2 * life(self.scenario, key).millis < self.now) {
                    self.ledger.unasked(self.scenario, key, self.now);
                }
                self.fly(key, departure, Some(turn));
            }
        }
        // As the task does it: no longer than a minute.
        self.round_at = self.now + MINUTE;
        self.plan_round();
    }

    fn plan_round(&mut self) {
        if let Some(next) = self.schedule.next(self.wall) {
            let pause = u64::try_from(next.since(self.wall).as_millis()).unwrap();
            self.round_at = self.round_at.min(self.now + pause);
        }
    }

    /// What a caller gets whose wait is over.
    fn answer_with_live(&mut self, key: usize) {
        match self.slots[key].live(self.wall) {
            Some(token) => self.answer(key, &token),
            None => self.error(key),
        }
    }

    fn answer(&mut self, key: usize, token: &Token) {
        let left = |end| millis(end) - millis(self.wall);
        let (exp, ends) = authority::end(token);
        let (left, counted) = (left(exp), left(token.expires_at));
        let lives_for = i64::try_from(ends).unwrap() - i64::try_from(self.now).unwrap();
        let answer = Answer { key, at: self.now, life: life(self.scenario, key).millis, left, lives_for, counted };
        self.ledger.answer(self.scenario, answer);
    }

    fn error(&mut self, key: usize) {
        self.ledger.error(self.scenario, key, self.now, self.ends[key].saturating_sub(self.now));
    }
}

/// So many keys are swept each minute, as all are by the program; of more it would take too long.
const SWEPT: usize = 1000;

fn life(scenario: &Scenario, key: usize) -> Life {
    scenario.lives[(key / scenario.clients) % scenario.lives.len()]
}

fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap()
}
