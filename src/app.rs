//! Builds the rooms out of a configuration, which is consumed: afterwards nobody can consult it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::audit::{Audit, Destination};
use crate::caller::Callers;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::config::identity::{Identity, Origin};
use crate::config::{Config, server};
use crate::dialect::instance::Instance;
use crate::dialect::{Ask, Dialect};
use crate::fault::{Fault, Kind};
use crate::flood::{Concern, Floods};
use crate::metrics::Metrics;
use crate::name::ClientId;
use crate::policy::Policy;
use crate::server::host::Hosts;
use crate::server::keys::Keys;
use crate::server::phase::Phase;
use crate::server::rates::Rates;
use crate::server::tls::Tls;
use crate::server::{Listen, Server, Service, Settings};
use crate::token::Token;
use crate::trace::Sampling;
use crate::vend::stake::Stakes;
use crate::vend::{self, Vend};

mod callers;
mod floods;
mod sources;

/// The rooms, ready to serve.
pub struct App {
    settings: Settings,
    status_page: bool,
    hosts: Vec<String>,
    dialects: Vec<&'static Dialect>,
    callers: callers::Renewing,
    cluster: Option<Arc<Cluster>>,
    policy: Policy,
    instance: Instance,
    vend: Vend,
    metrics: Arc<Metrics>,
    sampling: Option<Sampling>,
    clock: Clock,
    mark: Arc<str>,
    floods: Arc<Floods<Concern>>,
    keys: Option<Arc<Keys>>,
    rates: Rates,
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
        let metrics = Arc::new(metrics);
        let settings = settings(&config)?;
        let mark: Arc<str> = uuid::Uuid::new_v4().to_string().into();
        let floods = Arc::default();
        let sources = sources::build(&config, &clock, &floods, &mark)?;
        let stakes = |share| Stakes::of_each(config.callers.len(), share, config.bounds);
        let known = config.kubernetes.map(|known| known.settings);
        let cluster = known.map(|settings| Arc::new(Cluster::new(settings, clock.clone(), runtime.clone())));
        let sampling = config.traces.map(|traces| traces.sampling);
        let warm = |identity: &Identity| {
            identity.warm.iter().map(|resource| (identity.rules.name.clone(), resource.clone())).collect::<Vec<_>>()
        };
        let vend = Vend::new(vend::Settings {
            sources,
            warm: config.identities.iter().flat_map(warm).collect(),
            stakes: config.caller_share.map_or_else(Stakes::of_all, stakes),
            bounds: config.bounds,
            windows: config.windows,
            clock: clock.clone(),
            metrics: Arc::clone(&metrics),
            sampling,
            runtime,
        });
        let server::Server { hosts, dialects, header_secrets, proofs, status_page, .. } = config.server;
        let rates = Rates::new(config.callers.iter().map(|caller| (caller.entitlement.caller.clone(), caller.rate)));
        let (entitlements, callers) = callers::build(config.callers, &header_secrets, &proofs);
        Ok(Self {
            settings,
            status_page,
            hosts,
            dialects,
            callers,
            cluster,
            policy: Policy::new(config.identities.into_iter().map(|identity| identity.rules).collect(), entitlements),
            instance: config.instance,
            vend,
            metrics,
            sampling,
            keys: config.key_dir.map(|directory| Arc::new(Keys::new(directory, clock.now()))),
            clock,
            mark,
            floods,
            rates,
            audit: config.audit,
        })
    }

    /// Listens and serves.
    ///
    /// # Errors
    /// An address cannot be bound, or the audit log cannot be opened.
    pub fn start(self) -> Result<Server, Fault> {
        let settings = self.settings.clone();
        self.vend.sweep_forever();
        self.vend.warm_up();
        self.vend.refresh_forever();
        self.vend.watch_credentials();
        let callers = self.callers.watch();
        let names = self.policy.callers().cloned().collect();
        let audit = self.audit.map(|destination| Audit::open(&destination, names)).transpose()?.map(Arc::new);
        if let Some(audit) = &audit {
            audit.settle_forever(self.clock.clone());
        }
        floods::settle_forever(&self.floods, self.clock.clone());
        if let Some(keys) = &self.keys {
            tokio::spawn(Arc::clone(keys).sweep_forever(self.clock.clone()));
        }
        Server::start(&settings, |tokens: &[SocketAddr], admin: &[SocketAddr]| Service {
            dialects: self.dialects,
            hosts: Hosts::new(tokens, &self.hosts),
            admin_hosts: Hosts::new(admin, &self.hosts),
            callers,
            cluster: self.cluster,
            rates: self.rates,
            policy: self.policy,
            audit,
            floods: self.floods,
            instance: self.instance,
            vend: self.vend,
            metrics: self.metrics,
            sampling: self.sampling,
            clock: self.clock,
            mark: self.mark,
            keys: self.keys,
            phase: Arc::new(Phase::default()),
            shows_status: self.status_page || admin.iter().all(|address| address.ip().is_loopback()),
        })
    }

    /// One token without a listener, for whoever holds the configuration and with it the credentials.
    ///
    /// # Errors
    /// The fault that a request would get.
    pub async fn token(&self, ask: &Ask, request_id: &str) -> Result<(ClientId, Arc<Token>), Fault> {
        let permit = self.policy.admit(Callers::operator(), ask)?;
        let vended = self.vend.vend(&permit, request_id).await?;
        Ok((permit.identity().client_id.clone(), vended.token))
    }
}

fn settings(config: &Config) -> Result<Settings, Fault> {
    let addresses: Vec<SocketAddr> = config.server.listen.iter().filter_map(Listen::address).collect();
    let generated = || Tls::generate(&addresses);
    let is_https = config.server.listen.iter().any(Listen::is_tls);
    let longest = config.identities.iter().map(longest_flight).max().unwrap_or_default();
    let cpus = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Ok(Settings {
        listen: config.server.listen.clone(),
        unix_mode: config.server.unix_mode,
        tls: is_https.then(|| config.server.tls.clone().map_or_else(generated, Ok)).transpose()?,
        admin_listen: config.server.admin_listen,
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
