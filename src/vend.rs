//! Vends a token for a permit: finds the slot, lets freshness decide, and acts on the verdict.
//!
//! A flight is a task of its own on the main runtime. Callers only observe it, so that one who leaves,
//! or a server worker that ends, cancels nothing.

use std::cmp::max_by_key;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;
use uuid::Uuid;

use crate::claims::ClaimsRequest;
use crate::clock::{Clock, Deadline};
use crate::credential::Delegate;
use crate::credential::calendar::Calendar;
use crate::credential::watch::Watch;
use crate::freshness::{Patience, Windows};
use crate::metrics::Metrics;
use crate::policy::Permit;
use crate::source::{Handover, Source, Vouch, Wish};

mod any_tenant;
pub mod cache;
pub mod flight;
pub mod gate;
pub mod holding;
pub mod line;
pub mod slot;
pub mod sources;
pub mod stake;

use cache::{Bounds, Cache};
use flight::{Flight, Landing};
use gate::Gate;
use line::Line;
use slot::{Departure, Moment, Slot, Step};
use sources::Sources;
use stake::{Stake, Stakes};

/// The core: sources, cache and the rules of freshness.
#[derive(Clone)]
pub struct Vend(Arc<Parts>);

struct Parts {
    cache: Cache,
    sources: Sources,
    stakes: Stakes,
    windows: Windows,
    clock: Clock,
    metrics: Arc<Metrics>,
    runtime: Handle,
}

/// What the core is made with.
pub struct Settings {
    /// The source of each identity in each of its tenants.
    pub sources: Sources,
    /// What each caller has of the rest, where callers are told apart.
    pub stakes: Stakes,
    /// The bounds of the cache.
    pub bounds: Bounds,
    /// The windows of freshness.
    pub windows: Windows,
    /// The time.
    pub clock: Clock,
    /// Where events are counted.
    pub metrics: Arc<Metrics>,
    /// The main runtime, on which flights live.
    pub runtime: Handle,
}

impl Vend {
    /// A core with an empty cache.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Parts {
            cache: Cache::new(settings.bounds),
            sources: settings.sources,
            stakes: settings.stakes,
            windows: settings.windows,
            clock: settings.clock,
            metrics: settings.metrics,
            runtime: settings.runtime,
        }))
    }

    /// A token for what was permitted. `request_id` names the request in the log and to the authority.
    ///
    /// # Errors
    /// The fault of the flight, when there is no live token to serve instead; or the caller has its share.
    pub async fn vend(&self, permit: &Permit, request_id: &str) -> Landing {
        let stake = self.0.stakes.of(permit.caller());
        let source = self.0.sources.find(&permit.identity().name, permit.tenant(), stake.map(Arc::as_ref)).await?;
        let lease = || stake.map(|stake| stake.lease(&source)).transpose();
        let slot = self.0.cache.slot(&source.key(permit.resource(), permit.extras()), lease).await?;
        let mission = Mission { source, request_id, stake, is_own: true };
        self.obtain(&mission, &slot, permit.challenge()).await
    }

    /// Takes steps until there is an answer: one, unless a flight was somebody else's errand.
    async fn obtain(&self, mission: &Mission<'_>, slot: &Arc<Slot>, challenge: Option<&ClaimsRequest>) -> Landing {
        let source = &mission.source;
        loop {
            let moment = self.moment();
            let resting = source.resting(&slot.key().scope, moment.now);
            let until = Deadline::after(source.timeout() / 2);
            // Whoever waits is one of those that may, for as long as it does.
            let mut waiting = None;
            let board = |gate: &Arc<Gate>| {
                waiting = mission.own().map(Stake::wait).transpose()?;
                gate.board(mission.line(), source, until)
            };
            let caller = mission.stake.map(|stake| stake.place);
            let step = match challenge {
                None => slot.step(moment, resting, || mission.renewal(), board),
                Some(challenge) => slot.answer(challenge, moment.now, resting, || source.may_answer(caller), board),
            };
            let (patience, flight) = match step {
                Step::Refuse(fault) => return Err(fault),
                Step::Serve(token) => return Ok(token),
                Step::ServeAndRefresh(token, departure) => {
                    if let Some(departure) = departure {
                        self.fly(departure, mission, &Uuid::new_v4().to_string(), Purpose::Renewal);
                    }
                    return Ok(token);
                }
                Step::Wait(patience, flight, departure) => {
                    if let Some(departure) = departure {
                        self.fly(departure, mission, mission.request_id, Purpose::Caller);
                    }
                    (patience, flight)
                }
            };
            self.0.metrics.waits();
            let landing = match challenge {
                None => self.await_landing(slot, flight.clone(), patience, until).await,
                Some(_) => flight.clone().landed(until).await,
            };
            if flight.answers(challenge, &landing) {
                return landing;
            }
        }
    }

    /// Waits as long as patience and the live token last, then serves that token. It stands in for a
    /// failure too. Without one there is nothing to do but to wait for the flight.
    async fn await_landing(&self, slot: &Slot, flight: Flight, patience: Patience, until: Deadline) -> Landing {
        let now = self.0.clock.now();
        if let Some(token) = slot.live(now) {
            let left = token.expires_at.since(now).saturating_sub(SERVING_TIME);
            let limit = match patience {
                Patience::Brief(limit) => limit.min(left),
                Patience::Whole => left,
            };
            match timeout(limit, flight.clone().landed(until)).await {
                Ok(Ok(fresh)) => return Ok(fresh),
                Ok(Err(_)) | Err(_) if self.0.clock.now() < token.expires_at => return Ok(token),
                Ok(Err(_)) | Err(_) => {}
            }
        }
        flight.landed(until).await
    }

    /// How many live tokens are cached.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.0.cache.tokens(self.0.clock.now())
    }

    /// Takes new credentials as they appear, and warns before they end, for as long as the core is in use.
    pub fn watch_credentials(&self) {
        let mut watch = Watch::over(self.0.sources.files());
        let parts = Arc::downgrade(&self.0);
        self.0.runtime.spawn(async move {
            let mut calendar = Calendar::default();
            // The first look finds what changed between the reading of the configuration and the watch.
            while let Some(parts) = parts.upgrade() {
                // Reading may block; flights must not wait for it.
                calendar = tokio::task::spawn_blocking(move || parts.reload(calendar)).await.unwrap_or_default();
                watch.change().await;
            }
        });
    }

    /// Drops dead entries each minute, also when nobody asks, for as long as the core is in use.
    pub fn sweep_forever(&self) {
        let parts = Arc::downgrade(&self.0);
        self.0.runtime.spawn(async move {
            loop {
                tokio::time::sleep(SWEEP_PAUSE).await;
                let Some(parts) = parts.upgrade() else { return };
                parts.cache.sweep(parts.clock.now()).await;
            }
        });
    }

    fn moment(&self) -> Moment<'_> {
        Moment { now: self.0.clock.now(), windows: &self.0.windows }
    }

    /// Starts the flight of `departure` when it is somebody's turn, and the one that has to follow it.
    fn fly(&self, departure: Departure, mission: &Mission<'_>, request_id: &str, purpose: Purpose) {
        let (vend, request_id) = (self.clone(), request_id.to_owned());
        let (source, stake) = (Arc::clone(&mission.source), mission.stake.cloned());
        let slot: Arc<Slot> = Arc::clone(departure.slot());
        let hold = self.0.cache.hold(&slot);
        self.0.runtime.spawn(async move {
            let mission = Mission { source, request_id: &request_id, stake: stake.as_ref(), is_own: false };
            let timeout = mission.source.timeout();
            let deadline = Deadline::after(timeout);
            if departure.may_go().await {
                // The turn lasts for as long as exchanges follow one another.
                let _turn = departure.gate().turn();
                // Whoever is aboard has waited for at most half of its time, and the other half is left.
                let deadline = max_by_key(deadline, Deadline::after(timeout / 2), Deadline::left);
                let mut next = vend.pilot(departure, &mission, deadline, purpose).await;
                while let Some(departure) = next {
                    let mission = Mission { request_id: &Uuid::new_v4().to_string(), ..mission.clone() };
                    next = vend.pilot(departure, &mission, Deadline::after(timeout), Purpose::Caller).await;
                }
            }
            vend.0.cache.weigh(slot).await;
            drop(hold);
        });
    }

    /// Flies one flight to its end.
    async fn pilot(
        &self,
        departure: Departure,
        mission: &Mission<'_>,
        deadline: Deadline,
        purpose: Purpose,
    ) -> Option<Departure> {
        let jitter = fastrand::f64();
        let slot = Arc::clone(departure.slot());
        let (key, challenge) = (slot.key(), departure.challenge());
        let (source, request_id) = (&mission.source, mission.request_id);
        let vouch = &Vouching { vend: self, mission };
        let wish = Wish { scope: &key.scope, extras: &key.extras, challenge, request_id, jitter, deadline, vouch };
        let result = source.fetch(wish, &self.0.metrics).await;
        if purpose == Purpose::Renewal {
            self.0.metrics.refreshed(source.identity(), &result);
        }
        departure.land(result, self.moment(), jitter)
    }
}

/// Where a token is to come from, for whom.
#[derive(Clone)]
struct Mission<'a> {
    source: Arc<Source>,
    request_id: &'a str,
    /// What the caller has of what all share, if it is told apart.
    stake: Option<&'a Arc<Stake>>,
    /// Whether a caller asks for just this. What an exchange of its own needs beside goes in the same turn, and
    /// must not wait for another one: those that have a turn would wait for those that have none.
    is_own: bool,
}

impl<'a> Mission<'a> {
    /// The stake of the caller that asks for just this.
    fn own(&self) -> Option<&'a Stake> {
        self.stake.filter(|_| self.is_own).map(Arc::as_ref)
    }

    /// The line in which flights for it wait.
    fn line(&self) -> Option<&'a Arc<Line>> {
        self.own().map(|stake| &stake.line)
    }

    /// The gate of a renewal, if there is one in the budget, and in the caller's line a turn that nobody waits for.
    fn renewal(&self) -> Option<Arc<Gate>> {
        let turn = match self.line() {
            Some(line) => Some(line.turn_now(&self.source)?),
            None => None,
        };
        let caller = self.stake.map(|stake| stake.place);
        self.source.may_renew(caller).then(|| Gate::open(turn))
    }
}

/// Hands over the tokens that prove an application. They leave for its authority alone, so no policy is asked.
struct Vouching<'a> {
    vend: &'a Vend,
    mission: &'a Mission<'a>,
}

impl Vouch for Vouching<'_> {
    fn token<'a>(&'a self, delegate: &'a Delegate) -> Handover<'a> {
        Box::pin(async {
            let (parts, outer) = (&self.vend.0, self.mission);
            let owner = outer.stake.map(Arc::as_ref);
            let source = parts.sources.vouching(&delegate.identity, &outer.source, owner).await?;
            // Never refused: that a caller has its share would be taken for a failure of the credential.
            let lease = || Ok(owner.map(Stake::charge));
            let slot = parts.cache.slot(&source.key(&delegate.resource, &delegate.extras), lease).await?;
            let mission = Mission { source, is_own: false, ..outer.clone() };
            self.vend.obtain(&mission, &slot, None).await
        })
    }
}

impl Parts {
    fn reload(&self, mut calendar: Calendar) -> Calendar {
        // The sources of an identity have the same credentials, and a caller may have had thousands made.
        self.sources.each_identity().for_each(|source| source.reload(&mut calendar, &self.metrics));
        self.sources.all().for_each(|source| source.follow_all());
        calendar
    }
}

/// Why a flight was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Somebody waits.
    Caller,
    /// An ageing token is renewed ahead.
    Renewal,
}

const SWEEP_PAUSE: Duration = Duration::from_mins(1);
/// What is kept of a token's last moments for the answer to be written in.
const SERVING_TIME: Duration = Duration::from_millis(500);
