//! The listeners: bound before anything is served, drained before anything is cut.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{self, ServerHandle};
use arc_swap::ArcSwap;
use rustix::process::{Resource, getrlimit};
use tokio::task::JoinHandle;

use crate::audit::{self, Audit};
use crate::clock::Clock;
use crate::dialect::Dialect;
use crate::fault::{Fault, Kind};
use crate::flood::{Concern, Floods};
use crate::metrics::Metrics;
use crate::trace::Sampling;

pub mod admin;
pub mod charter;
mod connection;
mod door;
mod failed;
mod form;
mod head;
pub mod host;
pub mod keys;
pub mod listen;
mod pages;
pub mod phase;
pub mod rates;
mod recognise;
pub mod reload;
mod route;
mod socket_file;
pub mod status;
pub mod tls;
pub mod token;
mod traced;
mod visit;
mod witness;

use charter::Charter;
use door::{Accepting, Door};
use host::Hosts;
use keys::Keys;
pub use listen::Listen;
use phase::Phase;
use reload::Reloads;
use tls::Shown;

/// Everything that answering a request needs.
pub struct Service {
    /// The dialects that are served.
    pub dialects: Vec<&'static Dialect>,
    /// Which `Host` names are ours where tokens are served.
    pub hosts: Hosts,
    /// Which are where health and metrics are.
    pub admin_hosts: Hosts,
    /// What requests are served under. Each loads it once, and goes by that to its end.
    pub charter: Arc<ArcSwap<Charter>>,
    /// What became of the last reloads.
    pub reloads: Arc<Reloads>,
    /// Who got what is written there.
    pub audit: Option<Arc<Audit>>,
    /// Which lines of the process's log have become a flood.
    pub floods: Arc<Floods<Concern>>,
    /// Where events are counted.
    pub metrics: Arc<Metrics>,
    /// Which requests are traced, if any.
    pub sampling: Option<Sampling>,
    /// The time.
    pub clock: Clock,
    /// What our own requests to a host's managed identity carry; one that comes back is in a circle.
    pub mark: Arc<str>,
    /// The key files of Azure Arc, where that is served.
    pub keys: Option<Arc<Keys>>,
    /// Where the process is in its life.
    pub phase: Arc<Phase>,
    /// Whether the status page is served.
    pub shows_status: bool,
}

impl Service {
    /// Makes a key file.
    fn challenge(&self) -> Result<PathBuf, Fault> {
        let keys =
            self.keys.as_ref().ok_or_else(|| Fault::new(Kind::Internal, "there are no key files", "report this"))?;
        keys.issue(self.clock.now())
    }

    /// Takes the key that was shown.
    fn take_key(&self, shown: &[u8]) -> Option<PathBuf> {
        self.keys.as_ref()?.take(shown, self.clock.now())
    }

    /// Puts a key back that pays for nothing, since the authority failed, or spends it.
    fn settle_key(&self, key: &Path, failed: bool) {
        match &self.keys {
            Some(keys) if failed => keys.put_back(key, self.clock.now()),
            Some(keys) => keys.spend(key, self.clock.now()),
            None => {}
        }
    }
}

/// Where and how to listen.
#[derive(Clone)]
pub struct Settings {
    /// Where tokens are served.
    pub listen: Vec<Listen>,
    /// The permissions of the files of unix sockets.
    pub unix_mode: u32,
    /// What https listeners show.
    pub tls: Option<Shown>,
    /// Where health and metrics are.
    pub admin_listen: Listen,
    /// Threads that serve tokens.
    pub workers: usize,
    /// How long requests are still accepted after the end was announced.
    pub drain: Duration,
    /// How long a request that is being answered may take after that.
    pub grace: Duration,
}

/// Running listeners.
pub struct Server {
    tokens: Listener,
    token_addresses: Vec<SocketAddr>,
    admin: Listener,
    admin_addresses: Vec<SocketAddr>,
    phase: Arc<Phase>,
    drain: Duration,
    grace: Duration,
    /// No key file outlives this, however it ends, and no line of the audit log that is yet to be written.
    _last: (Option<keys::Last>, Option<audit::Last>),
}

/// A request as it comes from a connection, and its answer. Nothing stands between the two but whoever answers: routes
/// and extractors of the framework would be made anew for each request, and there is one path to choose among.
type HttpRequest = actix_http::Request;
type HttpResponse = actix_http::Response<BoxBody>;

/// Who serves a listener.
struct Crew {
    workers: usize,
    /// Connections that each of them may hold.
    most: usize,
    grace: Duration,
}

struct Listener {
    doors: Vec<Door>,
    handle: ServerHandle,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Binds every place and serves. `service` is told the addresses that were bound, those of tokens and those of
    /// the admin pages, since a port of zero is chosen by the system.
    ///
    /// # Errors
    /// A place cannot be bound; nothing is left listening then.
    pub fn start(
        settings: &Settings,
        service: impl FnOnce(&[SocketAddr], &[SocketAddr]) -> Service,
    ) -> Result<Self, Fault> {
        let tokens = open(&settings.listen, settings.unix_mode)?;
        let admin = open(slice::from_ref(&settings.admin_listen), settings.unix_mode)?;
        let (token_addresses, admin_addresses) = (addresses(&tokens), addresses(&admin));
        let service = Arc::new(service(&token_addresses, &admin_addresses));
        let phase = Arc::clone(&service.phase);
        let last = (service.keys.clone().map(keys::Last), service.audit.clone().map(audit::Last));
        let (most_admin, most) = most_connections(settings.workers);
        let crew = Crew { workers: settings.workers, most, grace: settings.grace };
        let (tls, asked) = (settings.tls.as_ref(), Arc::clone(&service));
        let tokens = match service.sampling {
            Some(_) => launch(tokens, tls, &crew, &phase, move |request| traced::serve(request, Arc::clone(&asked))),
            None => launch(tokens, tls, &crew, &phase, move |request| token::serve(request, Arc::clone(&asked))),
        }?;
        let crew = Crew { workers: 1, most: most_admin, grace: settings.grace };
        // Nobody is known there, so nobody is asked for a certificate: probes and Prometheus have none.
        let tls = settings.tls.as_ref().map(Shown::asking_nobody);
        let admin =
            launch(admin, tls.as_ref(), &crew, &phase, move |request| admin::serve(request, Arc::clone(&service)))?;
        phase.begin();
        let (drain, grace) = (settings.drain, settings.grace);
        Ok(Self { tokens, token_addresses, admin, admin_addresses, phase, drain, grace, _last: last })
    }

    /// The addresses where tokens are served; unix sockets have none.
    #[must_use]
    pub fn token_addresses(&self) -> &[SocketAddr] {
        &self.token_addresses
    }

    /// All places where tokens are served.
    #[must_use]
    pub fn listens(&self) -> Vec<Listen> {
        self.tokens.places()
    }

    /// All places where health and metrics are served.
    #[must_use]
    pub fn admin_listens(&self) -> Vec<Listen> {
        self.admin.places()
    }

    /// The addresses of these.
    #[must_use]
    pub fn admin_addresses(&self) -> &[SocketAddr] {
        &self.admin_addresses
    }

    /// Ends without cutting anybody off: readiness is denied at once, so that load balancers look
    /// elsewhere; requests are accepted for the drain period, each answer closing its connection. Then the
    /// doors close: no new connection is made, and those that were are served until it is quiet and each has
    /// asked something, because closing a listener resets what waits in its queue. At last what is being answered is answered.
    pub async fn shutdown(mut self) {
        self.phase.drain();
        tokio::time::sleep(self.drain).await;
        self.tokens.doors.iter_mut().for_each(Door::close);
        let quiet = async {
            let mut answered = None;
            while answered.replace(self.phase.answered()) != Some(self.phase.answered()) || self.is_awaited() {
                tokio::time::sleep(QUIET).await;
            }
        };
        tokio::time::timeout(self.grace, quiet).await.ok();
        self.tokens.stop().await;
        self.admin.stop().await;
    }

    /// Whether somebody has connected and is about to ask.
    fn is_awaited(&self) -> bool {
        self.phase.unasked() > 0 || self.tokens.doors.iter().any(Door::has_queue)
    }
}

impl Listener {
    fn places(&self) -> Vec<Listen> {
        self.doors.iter().map(|door| door.listen.clone()).collect()
    }

    async fn stop(self) {
        self.handle.stop(true).await;
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "a listener ended badly"),
            Err(error) => tracing::error!(%error, "a listener's task ended badly"),
        }
    }
}

fn open(places: &[Listen], unix_mode: u32) -> Result<Vec<Door>, Fault> {
    places.iter().map(|listen| Door::open(listen, unix_mode)).collect()
}

fn addresses(doors: &[Door]) -> Vec<SocketAddr> {
    doors.iter().filter_map(|door| door.listen.address()).collect()
}

fn launch<A: Future<Output = HttpResponse> + 'static>(
    doors: Vec<Door>,
    tls: Option<&Shown>,
    crew: &Crew,
    phase: &Arc<Phase>,
    answer: impl Fn(HttpRequest) -> A + Clone + Send + 'static,
) -> Result<Listener, Fault> {
    let mut server = dev::Server::build()
        .workers(crew.workers)
        .max_concurrent_connections(crew.most)
        .shutdown_timeout(crew.grace.as_secs())
        .disable_signals();
    let signal = server.graceful_shutdown_signal();
    let ending = move || {
        let signal = signal.clone();
        async move { signal.notified().await }
    };
    for door in &doors {
        let tls = tls.filter(|_| door.listen.is_tls()).cloned();
        let (ending, answer, phase) = (ending.clone(), answer.clone(), Arc::clone(phase));
        let listening = match door.accepting()? {
            Accepting::Tcp(tcp) => {
                let serve = move || connection::tcp(tls.clone(), Arc::clone(&phase), ending.clone(), answer.clone());
                server.listen("bursar", tcp, serve)
            }
            Accepting::Unix(unix) => {
                let serve = move || connection::unix(Arc::clone(&phase), ending.clone(), answer.clone());
                server.listen_uds("bursar", unix, serve)
            }
        };
        server = listening.map_err(|error| {
            Fault::new(Kind::Internal, format!("a listener cannot be used: {error}"), "report this")
        })?;
    }
    let server = server.run();
    Ok(Listener { doors, handle: server.handle(), task: tokio::spawn(server) })
}

/// The query of a request, or nothing.
fn query(request: &HttpRequest) -> &str {
    request.uri().query().unwrap_or_default()
}

/// How many connections the admin listener may hold, and each worker where tokens are served, so that neither takes
/// the other's descriptors and all leave some to authorities and files.
fn most_connections(workers: usize) -> (usize, usize) {
    let descriptors = getrlimit(Resource::Nofile).current.and_then(|most| usize::try_from(most).ok());
    let descriptors = descriptors.unwrap_or(usize::MAX);
    let admin = (descriptors / 4).clamp(64, 1024);
    let shared = descriptors.saturating_sub(RESERVE + admin);
    (admin, (shared / workers.max(1)).clamp(1, MAX_CONNECTIONS))
}

/// Under which name the framework logs what is wrong with HTTP.
pub const FRAMEWORK: &str = "actix_http";
/// How long no answer has to be given for it to be quiet.
const QUIET: Duration = Duration::from_millis(150);
/// Descriptors that the connections of all listeners leave to authorities and files.
const RESERVE: usize = 128;
/// What actix allows by itself.
const MAX_CONNECTIONS: usize = 25_000;
