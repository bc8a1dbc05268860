//! Vends a token for a permit: finds the slot, lets freshness decide, and acts on the verdict.
//!
//! A flight is a task of its own on the main runtime. Callers only observe it, so that one who leaves,
//! or a server worker that ends, cancels nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;
use uuid::Uuid;

use crate::clock::Clock;
use crate::credential::calendar::Calendar;
use crate::credential::watch::Watch;
use crate::fault::{Fault, Kind};
use crate::freshness::{Patience, Windows};
use crate::metrics::Metrics;
use crate::name::Name;
use crate::policy::Permit;
use crate::source::{Source, Wish};
use crate::token::Token;

pub mod cache;
pub mod slot;

use cache::{Bounds, Cache};
use slot::{Departure, Landing, Moment, Slot, Step, lost_flight};

/// The core: sources, cache and the rules of freshness.
#[derive(Clone)]
pub struct Vend(Arc<Parts>);

struct Parts {
    cache: Cache,
    sources: HashMap<(Name, Name), Arc<Source>>,
    windows: Windows,
    clock: Clock,
    metrics: Arc<Metrics>,
    runtime: Handle,
}

/// What the core is made with.
pub struct Settings {
    /// The source of each identity in each of its tenants, by their configured names.
    pub sources: HashMap<(Name, Name), Source>,
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
            sources: settings.sources.into_iter().map(|(key, source)| (key, Arc::new(source))).collect(),
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
    pub async fn vend(&self, permit: &Permit, request_id: &str) -> Result<Arc<Token>, Fault> {
        let source = self.source(permit)?;
        let slot = self.0.cache.slot(&source.key(permit.resource())).await;
        let moment = self.moment();
        match slot.step(moment, source.rejected(moment.now), || source.may_renew()) {
            Step::Refuse(fault) => Err(fault),
            Step::Serve(token) => Ok(token),
            Step::ServeAndRefresh(token, departure) => {
                if let Some(departure) = departure {
                    self.fly(departure, Arc::clone(source), Uuid::new_v4().to_string(), Purpose::Renewal);
                }
                Ok(token)
            }
            Step::Wait(patience, flight, departure) => {
                if let Some(departure) = departure {
                    self.fly(departure, Arc::clone(source), request_id.to_owned(), Purpose::Caller);
                }
                self.0.metrics.waits();
                self.await_landing(&slot, flight, patience).await
            }
        }
    }

    /// Waits as long as patience and the live token last, then serves that token. It stands in for a
    /// failure too. Without one there is nothing to do but to wait for the flight.
    async fn await_landing(
        &self,
        slot: &Slot,
        flight: watch::Receiver<Option<Landing>>,
        patience: Patience,
    ) -> Landing {
        let now = self.0.clock.now();
        if let Some(token) = slot.live(now) {
            let left = token.expires_at.since(now).saturating_sub(SERVING_TIME);
            let limit = match patience {
                Patience::Brief(limit) => limit.min(left),
                Patience::Whole => left,
            };
            match timeout(limit, landed(flight.clone())).await {
                Ok(Ok(fresh)) => return Ok(fresh),
                Ok(Err(_)) | Err(_) if self.0.clock.now() < token.expires_at => return Ok(token),
                Ok(Err(_)) | Err(_) => {}
            }
        }
        landed(flight).await
    }

    /// How many live tokens are cached.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.0.cache.tokens(self.0.clock.now())
    }

    /// Takes new credentials as they appear, and warns before they end, for as long as the core is in use.
    pub fn watch_credentials(&self) {
        let mut watch = Watch::over(self.0.sources.values().flat_map(|source| source.files()));
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

    fn source(&self, permit: &Permit) -> Result<&Arc<Source>, Fault> {
        let key = (permit.identity().name.clone(), permit.tenant().name.clone());
        // Invariant: the configuration makes a source for every pair that policy can permit.
        self.0.sources.get(&key).ok_or_else(|| Fault::new(Kind::Internal, "the identity has no source", "report this"))
    }

    fn moment(&self) -> Moment<'_> {
        Moment { now: self.0.clock.now(), windows: &self.0.windows }
    }

    /// Starts the flight of `departure`.
    fn fly(&self, departure: Departure, source: Arc<Source>, request_id: String, purpose: Purpose) {
        let vend = self.clone();
        let slot: Arc<Slot> = Arc::clone(departure.slot());
        let hold = self.0.cache.hold(&slot);
        self.0.runtime.spawn(async move {
            let jitter = fastrand::f64();
            let wish = Wish { scope: &slot.key().scope, request_id: &request_id, jitter };
            let result = source.fetch(wish, &vend.0.metrics).await;
            if purpose == Purpose::Renewal {
                vend.0.metrics.refreshed(source.identity(), &result);
            }
            departure.land(result, vend.moment(), jitter).ok();
            vend.0.cache.weigh(slot).await;
            drop(hold);
        });
    }
}

impl Parts {
    fn reload(&self, mut calendar: Calendar) -> Calendar {
        self.sources.values().for_each(|source| source.reload(&mut calendar, &self.metrics));
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

async fn landed(mut flight: watch::Receiver<Option<Landing>>) -> Landing {
    let landing = flight.wait_for(Option::is_some).await.map_err(|_| lost_flight())?;
    landing.clone().unwrap_or_else(|| Err(lost_flight()))
}

const SWEEP_PAUSE: Duration = Duration::from_mins(1);
/// What is kept of a token's last moments for the answer to be written in.
const SERVING_TIME: Duration = Duration::from_millis(500);
