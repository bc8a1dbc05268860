//! The STS: a stand-in for Entra ID that `bursar dev` and the tests run on loopback.
//!
//! It speaks instance discovery, OpenID configuration, key sets and the token endpoints of both versions for
//! client credentials, verifies secrets and assertions in earnest, and refuses in Entra's words; AD FS, B2C,
//! External ID and other OpenID providers are profiles of the same endpoints. Tests post
//! faults to `/_sts/faults` and read what was asked from `/_sts/requests`. It shares no encoder or decoder
//! with the client, so that a mistake cannot cancel itself out, and must never be reachable from `serve`.

mod announcement;
mod answer;
mod app;
mod assertion;
mod certificate;
mod claims;
mod discovery;
mod error;
mod exchange;
mod federation;
mod http;
mod journal;
mod jwt;
mod key;
mod params;
mod profile;
mod proof;
mod realm;
mod refusal;
mod request;
mod route;
mod rule;
mod rules;
mod service;
mod settings;
mod target;
mod tenant;
mod tls;

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use tokio::task::JoinHandle;

pub use self::announcement::Announcement;
pub use self::error::{Error, Mistake};
pub use self::settings::{DEFAULT_OBJECT_ID, Settings};

use self::key::SigningKey;
use self::service::Service;
use self::tls::Tls;
use crate::clock::Clock;

/// A running STS. It stops when it is dropped.
#[derive(Debug)]
pub struct Sts {
    announcement: Announcement,
    server: ServerHandle,
    task: JoinHandle<io::Result<()>>,
}

impl Sts {
    /// Binds the addresses, makes the keys and serves in the background; https with a TLS directory, where
    /// `ca.pem` is left for clients to trust. The first address is the one that is announced.
    ///
    /// It must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`Error`] says what is in the way.
    pub async fn start(
        settings: Settings,
        listen: &[SocketAddr],
        tls_dir: Option<&Path>,
        clock: Clock,
    ) -> Result<Self, Error> {
        let (listeners, bound) = bind(listen)?;
        let first = bound.first().copied().ok_or(Error::NoAddress)?;
        let (ca_file, tls) = match tls_dir {
            None => (None, None),
            Some(dir) => {
                let tls = Tls::generate(&names(&bound))?;
                (Some(leave(dir, &tls.ca_pem)?), Some(tls.server))
            }
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", reachable(first));
        let announcement = Announcement::new(url, &settings, ca_file);
        let service = Data::new(Service::new(settings, SigningKey::generate()?, clock));
        let server = http::server(listeners, tls.as_ref(), service)
            .map_err(|source| Error::Listen { address: first, source })?;
        Ok(Self { announcement, server: server.handle(), task: tokio::spawn(server) })
    }

    /// What a program needs to know to use it.
    #[must_use]
    pub fn announcement(&self) -> Announcement {
        self.announcement.clone()
    }

    /// Its base URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.announcement.authority
    }

    /// Lets requests finish for a moment, then closes every connection.
    pub async fn stop(mut self) {
        self.server.stop(true).await;
        // The task has nothing left to say: it served, and it ended because it was told to.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Sts {
    fn drop(&mut self) {
        // The command is sent by the call; what it returns would only wait for the end.
        drop(self.server.stop(false));
    }
}

fn bind(listen: &[SocketAddr]) -> Result<(Vec<TcpListener>, Vec<SocketAddr>), Error> {
    let bind = |address: &SocketAddr| {
        let failed = |source| Error::Listen { address: *address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        Ok((listener, bound))
    };
    listen.iter().map(bind).collect()
}

/// The addresses a certificate has to name; loopback always, for ports that are forwarded.
fn names(bound: &[SocketAddr]) -> Vec<IpAddr> {
    let mut names = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let own = bound.iter().map(SocketAddr::ip);
    names.extend(own.filter(|ip| !ip.is_loopback() && !ip.is_unspecified()));
    names
}

/// An address that can be connected to, where every address of the machine is listened on.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn leave(dir: &Path, ca_pem: &str) -> Result<PathBuf, Error> {
    let path = dir.join("ca.pem");
    let write = || {
        fs::create_dir_all(dir)?;
        fs::write(&path, ca_pem)?;
        // Whoever reads the announcement may run in another directory.
        std::path::absolute(&path)
    };
    write().map_err(|source| Error::TlsDir { path: path.clone(), source })
}
