//! The listeners: bound before anything is served, drained before anything is cut.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{self, ServerHandle};
use actix_web::web;
use arc_swap::ArcSwap;
use rustix::process::{Resource, getrlimit};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::task::JoinHandle;

use crate::audit::Audit;
use crate::caller::Callers;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::dialect::Dialect;
use crate::dialect::instance::Instance;
use crate::fault::{Fault, Kind};
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::vend::Vend;

pub mod admin;
mod connection;
mod form;
mod head;
pub mod host;
pub mod keys;
mod pages;
pub mod phase;
pub mod rates;
mod recognise;
mod route;
pub mod tls;
pub mod token;
mod witness;

use host::Hosts;
use keys::Keys;
use phase::Phase;
use rates::Rates;
use tls::Tls;

/// Everything that answering a request needs.
pub struct Service {
    /// The dialects that are served.
    pub dialects: Vec<&'static Dialect>,
    /// Which `Host` names are ours where tokens are served.
    pub hosts: Hosts,
    /// Which are where health and metrics are.
    pub admin_hosts: Hosts,
    /// Who is recognised; renewed when their secrets change.
    pub callers: Arc<ArcSwap<Callers>>,
    /// What verifies the tokens of service accounts, where callers show them.
    pub cluster: Option<Arc<Cluster>>,
    /// How often each of them may ask.
    pub rates: Rates,
    /// Who may have what.
    pub policy: Policy,
    /// Who got what is written there.
    pub audit: Option<Arc<Audit>>,
    /// What the pages of instance metadata tell of this machine.
    pub instance: Instance,
    /// Where tokens come from.
    pub vend: Vend,
    /// Where events are counted.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Clock,
    /// What our own requests to a host's managed identity carry; one that comes back is in a circle.
    pub mark: Arc<str>,
    /// The key files of Azure Arc, where that is served.
    pub keys: Option<Arc<Keys>>,
    /// Where the process is in its life.
    pub phase: Arc<Phase>,
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

/// Where tokens are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address.
    pub address: SocketAddr,
    /// Whether it is https.
    pub is_tls: bool,
}

/// As the configuration writes it.
impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_tls { "https://" } else { "" })?;
        self.address.fmt(f)
    }
}

/// Where and how to listen.
#[derive(Clone)]
pub struct Settings {
    /// Where tokens are served.
    pub listen: Vec<Listen>,
    /// What https listeners show.
    pub tls: Option<Tls>,
    /// The address for health and metrics.
    pub admin_listen: SocketAddr,
    /// Threads that serve tokens.
    pub workers: usize,
    /// How long requests are still accepted after the end was announced.
    pub drain: Duration,
    /// How long a request that is being answered may take after that.
    pub grace: Duration,
}

/// Running listeners.
pub struct Server {
    listen: Vec<Listen>,
    tokens: Listener,
    admin: Listener,
    phase: Arc<Phase>,
    drain: Duration,
    grace: Duration,
}

struct Listener {
    addresses: Vec<SocketAddr>,
    /// The listening sockets once more, to close their doors with.
    doors: Vec<Socket>,
    handle: ServerHandle,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Binds every address and serves. `service` is told the addresses that were bound, since a port
    /// of zero is chosen by the system.
    ///
    /// # Errors
    /// An address cannot be bound; nothing is left listening then.
    pub fn start(
        settings: &Settings,
        service: impl FnOnce(&[SocketAddr], &[SocketAddr]) -> Service,
    ) -> Result<Self, Fault> {
        let addresses: Vec<SocketAddr> = settings.listen.iter().map(|listen| listen.address).collect();
        let tokens = bind(&addresses)?;
        let admin = bind(&[settings.admin_listen])?;
        let bound = |listeners: &[std::net::TcpListener]| listeners.iter().map(local).collect::<Result<Vec<_>, _>>();
        let service = web::Data::new(service(&bound(&tokens)?, &bound(&admin)?));
        let phase = Arc::clone(&service.phase);
        let data = service.clone();
        let tls = |listen: &Listen| settings.tls.as_ref().filter(|_| listen.is_tls);
        let tokens = tokens.into_iter().zip(settings.listen.iter().map(tls)).collect();
        let admin = admin.into_iter().map(|listener| (listener, None)).collect();
        let tokens = launch(tokens, settings.workers, settings.grace, move |config| {
            config.app_data(data.clone()).default_service(web::to(token::serve));
        })?;
        let admin = launch(admin, 1, settings.grace, move |config| {
            config.app_data(service.clone()).default_service(web::to(admin::serve));
        })?;
        phase.begin();
        Ok(Self { listen: settings.listen.clone(), tokens, admin, phase, drain: settings.drain, grace: settings.grace })
    }

    /// Where tokens are served.
    #[must_use]
    pub fn token_addresses(&self) -> &[SocketAddr] {
        &self.tokens.addresses
    }

    /// The same with what is spoken there.
    #[must_use]
    pub fn listens(&self) -> Vec<Listen> {
        let bound = self.tokens.addresses.iter().zip(&self.listen);
        bound.map(|(address, listen)| Listen { address: *address, ..*listen }).collect()
    }

    /// Where health and metrics are served.
    #[must_use]
    pub fn admin_addresses(&self) -> &[SocketAddr] {
        &self.admin.addresses
    }

    /// Ends without cutting anybody off: readiness is denied at once, so that load balancers look
    /// elsewhere; requests are accepted for the drain period, each answer closing its connection. Then the
    /// doors close: no new connection is made, and those that were are served until it is quiet, because
    /// closing a listener resets what waits in its queue. At last what is being answered is answered.
    pub async fn shutdown(self) {
        self.phase.drain();
        tokio::time::sleep(self.drain).await;
        self.tokens.close_doors();
        let quiet = async {
            let mut answered = None;
            while answered.replace(self.phase.answered()) != Some(self.phase.answered()) {
                tokio::time::sleep(QUIET).await;
            }
        };
        tokio::time::timeout(self.grace, quiet).await.ok();
        self.tokens.stop().await;
        self.admin.stop().await;
    }
}

impl Listener {
    /// Lets the kernel drop whatever would open a connection, and nothing else: those that are open or
    /// about to be are not touched.
    fn close_doors(&self) {
        for door in &self.doors {
            if let Err(error) = door.attach_filter(&no_openings()) {
                tracing::warn!(%error, "connections may be reset while the listener closes");
            }
        }
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

fn bind(addresses: &[SocketAddr]) -> Result<Vec<std::net::TcpListener>, Fault> {
    let listeners = addresses.iter().map(|address| {
        socket(*address).map_err(|error| {
            let remedy = "end the program that listens there, or configure another address";
            Fault::new(Kind::Unstartable, format!("cannot listen on {address}: {error}"), remedy)
        })
    });
    listeners.collect()
}

/// A listening socket with room for a burst of connections; the standard library's backlog is 128.
fn socket(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A packet filter: byte 13 of the TCP header holds the flags, and SYN (2) asks for a connection.
fn no_openings() -> [SockFilter; 4] {
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    [
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(JUMP_IF_SET, 0, 1, 2),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ]
}

fn local(listener: &std::net::TcpListener) -> Result<SocketAddr, Fault> {
    listener.local_addr().map_err(|error| broken(&error))
}

fn launch(
    listeners: Vec<(std::net::TcpListener, Option<&Tls>)>,
    workers: usize,
    grace: Duration,
    routes: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
) -> Result<Listener, Fault> {
    let addresses = listeners.iter().map(|(listener, _)| local(listener)).collect::<Result<_, _>>()?;
    let doors = listeners.iter().map(|(listener, _)| listener.try_clone().map(Socket::from)).collect::<io::Result<_>>();
    let doors = doors.map_err(|error| broken(&error))?;
    let mut server = dev::Server::build()
        .workers(workers)
        .max_concurrent_connections(most_connections(workers))
        .shutdown_timeout(grace.as_secs())
        .disable_signals();
    let signal = server.graceful_shutdown_signal();
    let ending = move || {
        let signal = signal.clone();
        async move { signal.notified().await }
    };
    for (listener, tls) in listeners {
        let (tls, ending, routes) = (tls.map(Tls::acceptor), ending.clone(), routes.clone());
        let serve = move || connection::listener(tls.clone(), ending.clone(), routes.clone());
        server = server.listen("bursar", listener, serve).map_err(|error| broken(&error))?;
    }
    let server = server.run();
    Ok(Listener { addresses, doors, handle: server.handle(), task: tokio::spawn(server) })
}

/// How many connections a worker may hold, so that all together leave descriptors for the admin listener,
/// for authorities and for files.
fn most_connections(workers: usize) -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.and_then(|most| usize::try_from(most).ok());
    let shared = descriptors.unwrap_or(usize::MAX).saturating_sub(RESERVE).max(RESERVE);
    (shared / workers.max(1)).min(MAX_CONNECTIONS)
}

fn broken(error: &io::Error) -> Fault {
    Fault::new(Kind::Internal, format!("a listener cannot be used: {error}"), "report this")
}

/// How long no answer has to be given for it to be quiet.
const QUIET: Duration = Duration::from_millis(150);
/// Descriptors that connections to a listener leave to others.
const RESERVE: usize = 128;
/// What actix allows by itself.
const MAX_CONNECTIONS: usize = 25_000;
const BACKLOG: i32 = 1024;
