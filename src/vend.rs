//! Vends a token for a permit: finds the slot, lets freshness decide, and acts on the verdict.
//!
//! A flight is a task of its own on the main runtime. Callers only observe it, so that one who leaves,
//! or a server worker that ends, cancels nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::clock::{Clock, Deadline, Timestamp};
use crate::credential::calendar::Calendar;
use crate::fault::Fault;
use crate::fault::recent::Recent;
use crate::freshness::{Patience, Windows};
use crate::metrics::Metrics;
use crate::name::{Name, Resource};
use crate::policy::Permit;
use crate::token::Token;
use crate::trace::Sampling;

pub mod any_tenant;
pub mod cache;
pub mod census;
pub mod flight;
pub mod gate;
pub mod holding;
pub mod inventory;
pub mod line;
mod mission;
mod pilot;
pub mod refresh;
pub mod slot;
pub mod sources;
pub mod stake;
pub mod warm;

use cache::{Bounds, Cache, Hold, Stock};
use flight::{Errand, Flight, Landing, lost_flight};
use gate::Gate;
use mission::{Demand, Mission, Seat};
use refresh::{Due, Refresh};
use slot::{Moment, Slot, Step};
use sources::Sources;
use stake::Stakes;
use warm::Warmup;

/// The core: sources, cache and the rules of freshness. One that [succeeds](Self::under) another has its cache.
#[derive(Clone)]
pub struct Vend(Arc<Parts>);

struct Parts {
    cache: Arc<Cache>,
    refresh: Arc<Refresh>,
    warmup: Warmup,
    recent: Arc<Mutex<Recent>>,
    census: Arc<census::Latest>,
    sources: Sources,
    stakes: Stakes,
    windows: Windows,
    clock: Clock,
    metrics: Arc<Metrics>,
    sampling: Option<Sampling>,
    runtime: Handle,
}

/// What may be another tomorrow.
#[derive(Default)]
pub struct Terms {
    /// The source of each identity in each of its tenants.
    pub sources: Sources,
    /// What is held ready from the start: resources of identities, in their default tenants.
    pub warm: Vec<(Name, Resource)>,
    /// What each caller has of the rest, where callers are told apart.
    pub stakes: Stakes,
    /// The windows of freshness.
    pub windows: Windows,
}

/// What the core is made with.
pub struct Settings {
    /// What it begins with.
    pub terms: Terms,
    /// The bounds of the cache.
    pub bounds: Bounds,
    /// The time.
    pub clock: Clock,
    /// Where events are counted.
    pub metrics: Arc<Metrics>,
    /// Which renewals are traced, if any.
    pub sampling: Option<Sampling>,
    /// The main runtime, on which flights live.
    pub runtime: Handle,
}

/// A token that may be handed over.
#[derive(Clone, Debug)]
pub struct Vended {
    /// The token.
    pub token: Arc<Token>,
    /// When that was found.
    pub at: Timestamp,
}

impl Vend {
    /// A core with an empty cache.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let Terms { sources, warm, stakes, windows } = settings.terms;
        let cache = Arc::new(Cache::new(settings.bounds));
        let warmup = Warmup::new(&warm, &sources, &cache, settings.clock.now());
        Self(Arc::new(Parts {
            cache,
            refresh: Arc::default(),
            warmup,
            recent: Arc::default(),
            census: Arc::default(),
            sources,
            stakes,
            windows,
            clock: settings.clock,
            metrics: settings.metrics,
            sampling: settings.sampling,
            runtime: settings.runtime,
        }))
    }

    /// The same core under other terms, with all tokens that are come by as before. What was begun under the old ones
    /// ends under them.
    #[must_use]
    pub fn under(&self, terms: Terms) -> Self {
        let (parts, Terms { sources, warm, stakes, windows }) = (&self.0, terms);
        let warmup = parts.warmup.under(&warm, &sources, &parts.cache);
        Self(Arc::new(Parts {
            cache: Arc::clone(&parts.cache),
            refresh: Arc::clone(&parts.refresh),
            warmup,
            recent: Arc::clone(&parts.recent),
            census: Arc::clone(&parts.census),
            sources,
            stakes,
            windows,
            clock: parts.clock.clone(),
            metrics: Arc::clone(&parts.metrics),
            sampling: parts.sampling,
            runtime: parts.runtime.clone(),
        }))
    }

    /// The sources.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        &self.0.sources
    }

    /// What each caller has of the rest.
    #[must_use]
    pub fn stakes(&self) -> &Stakes {
        &self.0.stakes
    }

    /// A token for what was permitted. `request_id` names the request in the log and to the authority.
    ///
    /// # Errors
    /// The fault of the flight, when there is no live token to serve instead; or the caller has its share.
    pub async fn vend(&self, permit: &Permit, request_id: &str) -> Result<Vended, Fault> {
        let stake = self.0.stakes.of(permit.caller());
        let source = self.0.sources.find(&permit.identity().name, permit.tenant(), stake.map(Arc::as_ref))?;
        let lease = || stake.map_or(Ok(None), |stake| stake.lease(&source));
        let slot = self.0.cache.slot(&source.key(permit.resource(), permit.extras()), lease)?;
        let mission = Mission { source, request_id, stake, is_own: true };
        let demand = Demand { challenge: permit.challenge(), rejected: permit.rejected() };
        let vended = self.obtain(&mission, slot, demand).await?;
        self.0.metrics.handed(&permit.identity().name, vended.token.expires_at.since(vended.at));
        Ok(vended)
    }

    /// Takes steps until there is an answer: one, unless a flight was somebody else's errand.
    async fn obtain(&self, mission: &Mission<'_>, mut slot: Arc<Slot>, demand: Demand<'_>) -> Result<Vended, Fault> {
        loop {
            let moment = self.moment();
            let at = moment.now;
            let errand = demand.errand(|| slot.live(at));
            let Taken { step, hold, seat } = self.step(mission, &slot, errand, moment);
            let (patience, flight, until) = match step {
                Step::Refuse(fault) => return Err(fault),
                Step::Serve(token) => return Ok(Vended { token, at }),
                Step::ServeAndRefresh(token, ticket) => {
                    self.call(mission, &slot, ticket, at);
                    return Ok(Vended { token, at });
                }
                Step::Moved => {
                    slot = self.0.cache.flown(&slot);
                    continue;
                }
                Step::Wait(patience, flight, departure) => {
                    match departure.zip(hold) {
                        Some((departure, hold)) => self.fly(departure, hold, mission),
                        None => {
                            self.0.metrics.joins();
                            flight.link();
                        }
                    }
                    // Invariant: whoever waits has boarded.
                    let Some(seat) = &seat else { return Err(lost_flight()) };
                    (patience, flight, seat.until)
                }
            };
            self.0.metrics.waits();
            let is_forced = flight.is_forced();
            // On the heap, so that whoever need not wait carries nothing of it.
            let landing = match errand {
                Errand { challenge: None, is_forced: false } => {
                    Box::pin(self.await_landing(&slot, flight.clone(), patience, until)).await
                }
                _ => Box::pin(flight.clone().landed(until)).await,
            };
            let at = self.0.clock.now();
            if flight.answers(errand.challenge, &landing)
                && let Some(answer) = demand.answer(landing, is_forced, at)
            {
                return answer.map(|token| Vended { token, at });
            }
        }
    }

    fn step<'a>(&self, mission: &Mission<'a>, slot: &Arc<Slot>, errand: Errand<'_>, moment: Moment<'_>) -> Taken<'a> {
        let source = &mission.source;
        let resting = source.resting(&slot.key().scope, moment.now);
        let mut hold = None;
        let claim = || {
            hold = self.0.cache.hold(slot);
            hold.is_some()
        };
        let mut seat = None;
        let board = |gate: &Arc<Gate>| {
            let until = seat.insert(mission.seat()?).until;
            gate.board(mission.line(), source, until)
        };
        let step = match errand {
            Errand { challenge: None, is_forced: false } => slot.step(moment, resting, claim, board),
            _ => {
                let may_answer = || source.allowance().answer(mission.place(), moment.now);
                slot.answer(errand, moment.now, resting, may_answer, claim, board)
            }
        };
        Taken { step, hold, seat }
    }

    /// Waits as long as patience and the live token last, then serves that token. It stands in for a
    /// failure too. Without one there is nothing to do but to wait for the flight.
    async fn await_landing(&self, slot: &Slot, flight: Flight, patience: Patience, until: Deadline) -> Landing {
        let now = self.0.clock.now();
        let Some(token) = slot.live(now) else { return flight.landed(until).await };
        let landed = match patience.limit(token.expires_at.since(now)) {
            Some(limit) => timeout(limit, flight.clone().landed(until)).await.ok(),
            None => Some(flight.clone().landed(until).await),
        };
        match landed {
            Some(Ok(fresh)) => Ok(fresh),
            _ if self.0.clock.now() < token.expires_at => Ok(token),
            Some(failed) => failed,
            None => flight.landed(until).await,
        }
    }

    /// What is cached now.
    pub async fn stock(&self) -> Stock {
        let parts = Arc::clone(&self.0);
        // A million keys take a while to look at, in which nobody else may wait.
        let looked = self.0.runtime.spawn_blocking(move || parts.cache.stock(parts.clock.now())).await;
        looked.unwrap_or_default()
    }

    /// Looks whether there are new credentials, and whether one is about to end. It reads files, and so may block.
    pub fn look_at_credentials(&self, calendar: &mut Calendar) {
        let (sources, metrics) = (&self.0.sources, &self.0.metrics);
        // The sources of an identity have the same credentials, and a caller may have had thousands made.
        sources.each_identity().for_each(|source| source.reload(calendar, metrics));
        sources.all().for_each(|source| source.follow_all());
        calendar.turn(metrics);
    }

    /// Has credentials that were rejected tried again: what they lacked may be in the directory by now.
    pub fn forgive_credentials(&self) {
        self.0.sources.all().for_each(|source| source.forgive_all());
    }

    /// Fetches what is to be held ready, and renews it ahead with the rest.
    pub fn warm_up(&self) {
        self.0.warmup.see_to_all(&self.0.cache, &self.0.refresh, self.0.clock.now());
    }

    /// Whether what is to be held ready has been seen to once, or nobody waits for it any more.
    #[must_use]
    pub fn is_warmed_up(&self) -> bool {
        self.0.warmup.has_ended(self.0.clock.now())
    }

    /// Drops dead entries each minute, also when nobody asks, for as long as there is a core; `present` has the one of
    /// the moment.
    pub fn sweep_forever(&self, present: impl Fn() -> Option<Self> + Send + 'static) {
        self.0.runtime.spawn(async move {
            loop {
                tokio::time::sleep(SWEEP_PAUSE).await;
                let Some(vend) = present() else { return };
                vend.sweep().await;
            }
        });
    }

    /// Drops what is dead now, and what no source of these would come by.
    pub async fn sweep(&self) {
        let parts = Arc::clone(&self.0);
        // A million keys take a while to look at, in which nobody else may wait.
        let swept = self.0.runtime.spawn_blocking(move || {
            parts.cache.sweep(parts.clock.reading(), |key| parts.sources.mint(key));
            parts.refresh.sweep(&parts.sources);
        });
        swept.await.ok();
        // Of a flight that was lost nobody else would take care.
        self.warm_up();
    }

    /// Renews ahead what is in demand, for as long as there is a core; `present` has the one of the moment.
    pub fn refresh_forever(&self, present: impl Fn() -> Option<Self> + Send + 'static) {
        let refresh = Arc::clone(&self.0.refresh);
        self.0.runtime.spawn(async move {
            // It is let go of for the rest, in which another may take its place.
            while let Some(pause) = present().map(|vend| vend.refresh()) {
                refresh.rest(pause).await;
            }
        });
    }

    /// Starts the renewals whose turn it is, and says how long it is until the next ones.
    fn refresh(&self) -> Duration {
        let (due, pause) = self.0.refresh.round(self.0.clock.reading(), &self.0.stakes);
        for due in due {
            match due.lane.present(&self.0.sources) {
                Some(lane) => self.renew(Due { lane, ..due }),
                // A flight of before has had it taken up.
                None => drop(due.slot.renew(|| false)),
            }
        }
        pause
    }

    fn moment(&self) -> Moment<'_> {
        Moment { now: self.0.clock.now(), windows: &self.0.windows }
    }

    /// Has the slot renewed whose ageing token was just served.
    fn call(&self, mission: &Mission<'_>, slot: &Arc<Slot>, ticket: Option<u32>, now: Timestamp) {
        match ticket {
            Some(ticket) => self.0.refresh.put(now, mission.lane(slot), slot, ticket),
            None => self.0.refresh.ring(),
        }
    }
}

/// A step that was taken.
struct Taken<'a> {
    step: Step,
    /// With a departure, the hold on its key.
    hold: Option<Hold>,
    /// With a flight, how its caller waits.
    seat: Option<Seat<'a>>,
}

impl Parts {
    fn recent(&self) -> MutexGuard<'_, Recent> {
        // Invariant: no code panics while it holds this lock, and the value is whole between statements.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const SWEEP_PAUSE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests;
