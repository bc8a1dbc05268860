//! Vends a token for a permit: finds the slot, lets freshness decide, and acts on the verdict.
//!
//! A flight is a task of its own on the main runtime. Callers only observe it, so that one who leaves,
//! or a server worker that ends, cancels nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;
use uuid::Uuid;

use crate::claims::ClaimsRequest;
use crate::clock::Clock;
use crate::credential::Delegate;
use crate::credential::calendar::Calendar;
use crate::credential::watch::Watch;
use crate::freshness::{Patience, Windows};
use crate::metrics::Metrics;
use crate::policy::Permit;
use crate::source::{Handover, Source, Vouch, Wish};

pub mod cache;
pub mod flight;
pub mod slot;
pub mod sources;

use cache::{Bounds, Cache};
use flight::{Flight, Landing};
use slot::{Departure, Moment, Slot, Step};
use sources::Sources;

/// The core: sources, cache and the rules of freshness.
#[derive(Clone)]
pub struct Vend(Arc<Parts>);

struct Parts {
    cache: Cache,
    sources: Sources,
    windows: Windows,
    clock: Clock,
    metrics: Arc<Metrics>,
    runtime: Handle,
}

/// What the core is made with.
pub struct Settings {
    /// The source of each identity in each of its tenants.
    pub sources: Sources,
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
            windows: settings.windows,
            clock: settings.clock,
            metrics: settings.metrics,
            runtime: settings.runtime,
        }))
    }

    /// A token for what was permitted. `request_id` names the request in the log and to the authority.
    ///
    /// # Errors
    /// The fault of the flight, when there is no live token to serve instead.
    pub async fn vend(&self, permit: &Permit, request_id: &str) -> Landing {
        let source = self.0.sources.find(&permit.identity().name, permit.tenant()).await?;
        let slot = self.0.cache.slot(&source.key(permit.resource(), permit.extras())).await;
        self.obtain(&source, &slot, permit.challenge(), request_id).await
    }

    /// Takes steps until there is an answer: one, unless a flight was somebody else's errand.
    async fn obtain(
        &self,
        source: &Arc<Source>,
        slot: &Arc<Slot>,
        challenge: Option<&ClaimsRequest>,
        request_id: &str,
    ) -> Landing {
        loop {
            let moment = self.moment();
            let resting = source.resting(&slot.key().scope, moment.now);
            let step = match challenge {
                None => slot.step(moment, resting, || source.may_renew()),
                Some(challenge) => slot.answer(challenge, moment.now, resting, || source.may_renew()),
            };
            let (patience, flight) = match step {
                Step::Refuse(fault) => return Err(fault),
                Step::Serve(token) => return Ok(token),
                Step::ServeAndRefresh(token, departure) => {
                    if let Some(departure) = departure {
                        self.fly(departure, Arc::clone(source), Uuid::new_v4().to_string(), Purpose::Renewal);
                    }
                    return Ok(token);
                }
                Step::Wait(patience, flight, departure) => {
                    if let Some(departure) = departure {
                        self.fly(departure, Arc::clone(source), request_id.to_owned(), Purpose::Caller);
                    }
                    (patience, flight)
                }
            };
            self.0.metrics.waits();
            let landing = match challenge {
                None => self.await_landing(slot, flight.clone(), patience).await,
                Some(_) => flight.clone().landed().await,
            };
            if flight.answers(challenge, &landing) {
                return landing;
            }
        }
    }

    /// Waits as long as patience and the live token last, then serves that token. It stands in for a
    /// failure too. Without one there is nothing to do but to wait for the flight.
    async fn await_landing(&self, slot: &Slot, flight: Flight, patience: Patience) -> Landing {
        let now = self.0.clock.now();
        if let Some(token) = slot.live(now) {
            let left = token.expires_at.since(now).saturating_sub(SERVING_TIME);
            let limit = match patience {
                Patience::Brief(limit) => limit.min(left),
                Patience::Whole => left,
            };
            match timeout(limit, flight.clone().landed()).await {
                Ok(Ok(fresh)) => return Ok(fresh),
                Ok(Err(_)) | Err(_) if self.0.clock.now() < token.expires_at => return Ok(token),
                Ok(Err(_)) | Err(_) => {}
            }
        }
        flight.landed().await
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

    /// Starts the flight of `departure`, and the one that has to follow it.
    fn fly(&self, departure: Departure, source: Arc<Source>, request_id: String, purpose: Purpose) {
        let vend = self.clone();
        let slot: Arc<Slot> = Arc::clone(departure.slot());
        let hold = self.0.cache.hold(&slot);
        self.0.runtime.spawn(async move {
            let mut next = vend.pilot(departure, &source, &request_id, purpose).await;
            while let Some(departure) = next {
                next = vend.pilot(departure, &source, &Uuid::new_v4().to_string(), Purpose::Caller).await;
            }
            vend.0.cache.weigh(slot).await;
            drop(hold);
        });
    }

    /// Flies one flight to its end.
    async fn pilot(
        &self,
        departure: Departure,
        source: &Source,
        request_id: &str,
        purpose: Purpose,
    ) -> Option<Departure> {
        let jitter = fastrand::f64();
        let slot = Arc::clone(departure.slot());
        let (key, challenge) = (slot.key(), departure.challenge());
        let vouch = &Vouching { vend: self, source, request_id };
        let wish = Wish { scope: &key.scope, extras: &key.extras, challenge, request_id, jitter, vouch };
        let result = source.fetch(wish, &self.0.metrics).await;
        if purpose == Purpose::Renewal {
            self.0.metrics.refreshed(source.identity(), &result);
        }
        departure.land(result, self.moment(), jitter)
    }
}

/// Hands over the tokens that prove an application. They leave for its authority alone, so no policy is asked.
struct Vouching<'a> {
    vend: &'a Vend,
    source: &'a Source,
    request_id: &'a str,
}

impl Vouch for Vouching<'_> {
    fn token<'a>(&'a self, delegate: &'a Delegate) -> Handover<'a> {
        Box::pin(async {
            let parts = &self.vend.0;
            let source = parts.sources.vouching(&delegate.identity, self.source.tenant()).await?;
            let slot = parts.cache.slot(&source.key(&delegate.resource, &delegate.extras)).await;
            self.vend.obtain(&source, &slot, None, self.request_id).await
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
