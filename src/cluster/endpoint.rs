//! Asks a cluster something over HTTP: its keys, or what its API server thinks of a token.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use url::Url;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::credential::file;
use crate::fault::{Fault, Kind};
use crate::name::Malformed;
use crate::secret::Secret;
use crate::trace;
use crate::wire::{Content, Incoming, Outgoing, Wire, answer, late};

/// A place to ask, and what it is asked for.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// What it has.
    pub service: Service,
    /// Where it is.
    pub url: Url,
    /// The file with our own token for it, which is read for each request since it rotates.
    pub token_file: Option<PathBuf>,
    /// The connection to it.
    pub wire: Wire,
}

/// What a cluster is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Its public keys.
    Keys,
    /// What it thinks of a token.
    Review,
}

impl Service {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "the URL with the cluster's keys",
            Self::Review => "the API server that reviews tokens",
        }
    }

    /// What a request to it is called in traces.
    const fn purpose(self) -> &'static str {
        match self {
            Self::Keys => "cluster keys",
            Self::Review => "token review",
        }
    }

    const fn check_url(self) -> &'static str {
        match self {
            Self::Keys => "check the 'jwks_url' of [kubernetes] and what answers there",
            Self::Review => "check the 'api_server' of [kubernetes] and what answers there",
        }
    }

    /// Both roles are in every cluster.
    const fn check_role(self) -> &'static str {
        match self {
            Self::Keys => {
                "bind this service's account to the cluster role system:service-account-issuer-discovery, and check the 'token_file' of [kubernetes]"
            }
            Self::Review => {
                "bind this service's account to the cluster role system:auth-delegator, and check the 'token_file' of [kubernetes]"
            }
        }
    }
}

impl Endpoint {
    /// Sends `content`, or without it a GET, and gives the body of a success: of at most one mebibyte, within some
    /// seconds.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] when it cannot be reached, is busy or broken; [`Kind::Misconfigured`] when it refuses
    /// us, or is something else.
    pub async fn ask(&self, content: Option<Content>, now: Timestamp) -> Result<Bytes, Fault> {
        let asked = timeout(LIMIT, self.send(content)).await;
        let incoming = asked.unwrap_or_else(|_| Err(self.unreachable(&late().with_inward("no answer in time"))))?;
        self.read(incoming, now)
    }

    /// It answered, and not with what it has.
    #[must_use]
    pub fn odd(&self, malformed: &Malformed) -> Fault {
        self.misconfigured("does not answer with what it should have", self.service.check_url(), &malformed.to_string())
    }

    /// So many others are asked for that this one had to be left out.
    #[must_use]
    pub fn crowded(&self, why: &str) -> Fault {
        let remedy = "ask again in a moment; if it stays so, the operator should look for whoever shows so many tokens";
        self.fault(Kind::Unavailable, "is asked too much at once", remedy.to_owned(), why)
    }

    async fn send(&self, content: Option<Content>) -> Result<Incoming, Fault> {
        let headers = self.token().await?.map(|token| ("authorization", bearer(&token))).into_iter().collect();
        let (url, request_id) = (self.url.clone(), Uuid::new_v4().to_string());
        let span = trace::outgoing(self.service.purpose());
        let sent = self.wire.send(Outgoing { url, content, request_id, headers, span }).await;
        sent.map_err(|fault| self.unreachable(&fault))
    }

    async fn token(&self) -> Result<Option<Secret>, Fault> {
        let Some(path) = self.token_file.clone() else { return Ok(None) };
        let read = tokio::task::spawn_blocking(move || file::read(&path, LARGEST_TOKEN)).await;
        let read = read.map_err(|died| died.to_string()).and_then(|read| read.map_err(|error| error.to_string()));
        read.and_then(|bytes| one_line(&bytes)).map(Some).map_err(|why| {
            let remedy = "name a file with this service's own token in the 'token_file' of [kubernetes]";
            Fault::new(Kind::Misconfigured, "the token that this service shows to the cluster cannot be read", remedy)
                .with_inward(why)
        })
    }

    fn read(&self, incoming: Incoming, now: Timestamp) -> Result<Bytes, Fault> {
        let why = format!("HTTP {} with {} bytes", incoming.status, incoming.body.len());
        match incoming.status {
            200 | 201 => Ok(incoming.body),
            401 | 403 => Err(self.misconfigured("refuses this service", self.service.check_role(), &why)),
            408 | 429 | 500.. => {
                Err(self.unavailable("cannot serve now", &why).with_retry_after(answer::patience(&incoming, now)))
            }
            300..=399 => Err(self.misconfigured("redirects, which is never followed", self.service.check_url(), &why)),
            _ => Err(self.misconfigured("does not know of it", self.service.check_url(), &why)),
        }
    }

    /// A failure on the way, in words about this place and not about an authority.
    fn unreachable(&self, fault: &Fault) -> Fault {
        let why = fault.inward().unwrap_or("-");
        match fault.kind {
            Kind::Unavailable => self.unavailable("cannot be reached", why),
            _ => {
                let problem = "cannot be asked, mostly because nobody who is trusted signed its certificate";
                self.misconfigured(problem, "check the 'ca_file' of [kubernetes]", why)
            }
        }
    }

    fn unavailable(&self, problem: &str, why: &str) -> Fault {
        let remedy = format!("ask again in a moment; if it stays so, the operator should {}", self.service.check_url());
        self.fault(Kind::Unavailable, problem, remedy, why)
    }

    fn misconfigured(&self, problem: &str, remedy: &'static str, why: &str) -> Fault {
        self.fault(Kind::Misconfigured, problem, remedy.to_owned(), why)
    }

    fn fault(&self, kind: Kind, problem: &str, remedy: String, why: &str) -> Fault {
        let place = format!("{}{}", self.url.origin().ascii_serialization(), self.url.path());
        Fault::new(kind, format!("{} {problem}", self.service.as_str()), remedy).with_inward(format!("{place}: {why}"))
    }
}

fn bearer(token: &Secret) -> Secret {
    Secret::from(format!("Bearer {}", token.expose()))
}

/// The token without the line break around it; nothing of it is told when it is none.
fn one_line(bytes: &Zeroizing<Vec<u8>>) -> Result<Secret, String> {
    let text = std::str::from_utf8(bytes).unwrap_or_default().trim();
    let is_token = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    if is_token { Ok(Secret::from(text.to_owned())) } else { Err("it holds no token".to_owned()) }
}

/// An API server that is well answers within milliseconds, and a caller waits.
pub const LIMIT: Duration = Duration::from_secs(5);
const LARGEST_TOKEN: u64 = 64 << 10;
