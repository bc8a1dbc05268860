//! Builds the rooms out of a configuration, which is consumed: afterwards nobody can consult it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::signal::unix::Signal;

use crate::audit::{Audit, Destination};
use crate::caller::Callers;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::identity::{Identity, Origin};
use crate::dialect::{Ask, Dialect};
use crate::fault::{Fault, Kind};
use crate::metrics::Metrics;
use crate::name::ClientId;
use crate::server::charter::Charter;
use crate::server::host::Hosts;
use crate::server::keys::Keys;
use crate::server::phase::Phase;
use crate::server::tls::renewal::Renewal;
use crate::server::tls::{Shown, Tls};
use crate::server::{Listen, Server, Service, Settings};
use crate::telemetry::Dial;
use crate::token::Token;
use crate::vend::Vend;

mod callers;
mod charter;
mod descent;
pub mod floods;
mod ground;
mod keeper;
mod sources;
mod tidings;

use floods::Untold;
use ground::Ground;
use keeper::Keeper;

/// The rooms, ready to serve.
pub struct App {
    settings: Settings,
    status_page: bool,
    hosts: Vec<String>,
    dialects: Vec<&'static Dialect>,
    charter: Charter,
    keeper: Keeper,
    keys: Option<Arc<Keys>>,
    audit: Option<Destination>,
}

impl App {
    /// Builds everything and does no I/O. Flights will live on `runtime`.
    ///
    /// # Errors
    /// The system's trust store cannot be read, or a bug of ours.
    pub fn build(config: Config, clock: Clock, runtime: Handle) -> Result<Self, Fault> {
        let metrics = Metrics::new().map_err(|error| {
            Fault::new(Kind::Internal, "the metrics cannot be registered", "report this").with_inward(error.to_string())
        })?;
        let mark: Arc<str> = uuid::Uuid::new_v4().to_string().into();
        let ground = Ground {
            clock,
            floods: Arc::default(),
            mark,
            metrics: Arc::new(metrics),
            runtime,
            sampling: config.traces.as_ref().map(|traces| traces.sampling),
        };
        let settings = settings(&config)?;
        let (hosts, dialects) = (config.server.hosts.clone(), config.server.dialects.clone());
        let files = config.server.tls_files.clone();
        let tls = files.zip(settings.tls.clone()).map(|((files, sight), shown)| Renewal::new(files, sight, shown));
        let keys = config.key_dir.clone().map(|directory| Arc::new(Keys::new(directory, ground.clock.now())));
        let status_page = config.server.status_page;
        let (audit, provenance, rules) = (config.audit.clone(), config.provenance.clone(), config.rules);
        let (charter, register) = charter::draw(config, &ground, None)?;
        let keeper = Keeper::new(ground, register, rules, provenance, tls);
        Ok(Self { settings, status_page, hosts, dialects, charter, keeper, keys, audit })
    }

    /// Sets with `dial` how much is logged, as often as the configuration says so anew.
    #[must_use]
    pub fn with_dial(mut self, dial: Dial) -> Self {
        self.keeper.dial = Some(dial);
        self
    }

    /// Reads all of it again whenever this signal comes. Whoever hands it in listens for it from the first moment on, since
    /// until somebody does the signal ends the process.
    #[must_use]
    pub fn with_hangups(mut self, hangups: Signal) -> Self {
        self.keeper.hangups = Some(hangups);
        self
    }

    /// What the log has to be told when it has ended.
    #[must_use]
    pub fn untold(&self) -> Untold {
        Untold(Arc::clone(&self.keeper.ground.floods))
    }

    /// Listens and serves.
    ///
    /// # Errors
    /// An address cannot be bound, or the audit log cannot be opened.
    pub fn start(self) -> Result<Server, Fault> {
        let Self { settings, status_page, hosts, dialects, charter, keeper, keys, audit } = self;
        let ground = keeper.ground.clone();
        let charter = Arc::new(ArcSwap::from_pointee(charter));
        let first = charter.load().vend.clone();
        first.sweep_forever(present(&charter));
        first.refresh_forever(present(&charter));
        let audit = audit.map(|destination| Audit::open(&destination, ground.clock.clone())).transpose()?.map(Arc::new);
        if let Some(audit) = &audit {
            audit.settle_forever();
        }
        floods::settle_forever(&ground.floods, ground.clock.clone());
        if let Some(keys) = &keys {
            tokio::spawn(Arc::clone(keys).sweep_forever(ground.clock.clone()));
        }
        let reloads = Arc::clone(&keeper.tidings.reloads);
        keeper.keep(&charter);
        let server = Server::start(&settings, |tokens: &[SocketAddr], admin: &[SocketAddr]| Service {
            dialects,
            hosts: Hosts::new(tokens, &hosts),
            admin_hosts: Hosts::new(admin, &hosts),
            charter,
            reloads,
            audit,
            floods: ground.floods,
            metrics: ground.metrics,
            sampling: ground.sampling,
            clock: ground.clock,
            mark: ground.mark,
            keys,
            phase: Arc::new(Phase::default()),
            shows_status: status_page || admin.iter().all(|address| address.ip().is_loopback()),
        })?;
        // Whoever cannot listen asks no authority, however often it is started anew.
        first.warm_up();
        Ok(server)
    }

    /// One token without a listener, for whoever holds the configuration and with it the credentials.
    ///
    /// # Errors
    /// The fault that a request would get.
    pub async fn token(&self, ask: &Ask, request_id: &str) -> Result<(ClientId, Arc<Token>), Fault> {
        let permit = self.charter.policy.admit(Callers::operator(), ask)?;
        let vended = self.charter.vend.vend(&permit, request_id).await?;
        Ok((permit.identity().client_id.clone(), vended.token))
    }
}

/// The core of the moment, for as long as there is one.
fn present(charter: &Arc<ArcSwap<Charter>>) -> impl Fn() -> Option<Vend> + Send + 'static {
    let charter = Arc::downgrade(charter);
    move || charter.upgrade().map(|charter| charter.load().vend.clone())
}

fn settings(config: &Config) -> Result<Settings, Fault> {
    let secure: Vec<SocketAddr> =
        config.server.places().filter(|place| place.is_tls()).filter_map(Listen::address).collect();
    let generated = || Tls::generate(&secure);
    let longest = config.identities.iter().map(longest_flight).max().unwrap_or_default();
    let cpus = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Ok(Settings {
        listen: config.server.listen.clone(),
        unix_mode: config.server.unix_mode,
        tls: (!secure.is_empty())
            .then(|| config.server.tls.clone().map_or_else(generated, Ok))
            .transpose()?
            .map(Shown::new),
        admin_listen: config.server.admin_listen.clone(),
        workers: config.server.workers.unwrap_or_else(cpus),
        drain: config.server.drain,
        // A flight ends by itself within its timeout; the second on top is for its answer to be written.
        grace: longest + Duration::from_secs(1),
    })
}

fn longest_flight(identity: &Identity) -> Duration {
    match &identity.origin {
        Origin::Application(application) => application.timeouts().max().unwrap_or_default(),
        Origin::Host(_) => sources::HOST_TIMEOUT,
    }
}
