//! Fetches the keys of a cluster, one fetch at a time, and finds one of them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;

use super::endpoint::Endpoint;
use super::key::{self, Key, Keys};
use super::shelf::{Lives, Shelf, Step};
use crate::clock::Clock;
use crate::credential::file;
use crate::fault::{Fault, Kind};
use crate::name::Malformed;

/// Where the keys come from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A file, which somebody else keeps true.
    File(PathBuf),
    /// A URL.
    Url(Endpoint),
}

/// The keys of a cluster.
pub struct KeyRing {
    origin: Origin,
    clock: Clock,
    runtime: Handle,
    shelf: Mutex<Shelf>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl KeyRing {
    /// The keys that come from `origin`; none is fetched yet.
    #[must_use]
    pub fn new(origin: Origin, clock: Clock, runtime: Handle) -> Self {
        let lives = match origin {
            Origin::File(_) => IN_FILE,
            Origin::Url(_) => AT_URL,
        };
        Self { origin, clock, runtime, shelf: Mutex::new(Shelf::new(lives)), turn: Arc::default() }
    }

    /// The key `kid`, from memory or fetched. Those who wait for a fetch share it, and also its failure.
    ///
    /// # Errors
    /// 401 when there is no such key; the fetch's fault when that cannot be said.
    pub async fn find(self: &Arc<Self>, kid: &str) -> Result<Arc<Key>, Fault> {
        if let Some(answer) = self.recall(kid) {
            return answer;
        }
        let turn = Arc::clone(&self.turn).lock_owned().await;
        // Whoever had the turn before may have fetched it.
        if let Some(answer) = self.recall(kid) {
            return answer;
        }
        // A task that dies has noted nothing, which is told as such.
        self.fetch(turn).await.ok();
        self.shelf().conclude(kid, self.clock.now())
    }

    /// What is known of the key, unless it has to be fetched.
    fn recall(self: &Arc<Self>, kid: &str) -> Option<Result<Arc<Key>, Fault>> {
        let step = self.shelf().decide(kid, self.clock.now());
        match step {
            Step::Fetch => None,
            Step::Refuse(fault) => Some(Err(fault)),
            Step::Renew(key) => {
                if let Ok(turn) = Arc::clone(&self.turn).try_lock_owned() {
                    self.fetch(turn);
                }
                Some(Ok(key))
            }
            Step::Use(key) => Some(Ok(key)),
        }
    }

    /// A task of its own, which keeps the turn: who waits for it may leave.
    fn fetch(self: &Arc<Self>, turn: OwnedMutexGuard<()>) -> JoinHandle<()> {
        let ring = Arc::clone(self);
        self.runtime.spawn(async move {
            let fetched = ring.origin.keys(&ring.clock).await;
            ring.note(fetched);
            drop(turn);
        })
    }

    fn note(&self, fetched: Result<Keys, Fault>) {
        let (count, failure) = (fetched.as_ref().map_or(0, Keys::len), fetched.as_ref().err().cloned());
        let is_news = self.shelf().note(fetched, self.clock.now());
        match failure {
            _ if !is_news => {}
            None => tracing::info!(count, "the keys of the cluster were fetched"),
            Some(fault) => {
                tracing::warn!(%fault, inward = fault.inward(), "the keys of the cluster cannot be fetched; those that are known stay in use for a day");
            }
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // Invariant: no code panics while it holds this lock, and what is behind it is whole between statements.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Origin {
    async fn keys(&self, clock: &Clock) -> Result<Keys, Fault> {
        match self {
            Self::File(path) => read(path).await,
            Self::Url(endpoint) => {
                let document = endpoint.ask(None, clock.now()).await?;
                key::parse(&document).map_err(|malformed| endpoint.odd(&malformed))
            }
        }
    }
}

async fn read(path: &Path) -> Result<Keys, Fault> {
    let unusable = |why: &str| {
        let remedy =
            "write the cluster's JSON Web Key Set into the 'jwks_file' of [kubernetes], readable by this service";
        let why = format!("{}: {why}", path.display());
        Fault::new(Kind::Misconfigured, "the file with the cluster's keys cannot be used", remedy).with_inward(why)
    };
    let owned = path.to_owned();
    let bytes = tokio::task::spawn_blocking(move || file::read(&owned, LARGEST)).await;
    let bytes = bytes.map_err(|died| unusable(&died.to_string()))?.map_err(|error| unusable(&error.to_string()))?;
    key::parse(&bytes).map_err(|malformed: Malformed| unusable(&malformed.to_string()))
}

/// Clusters change keys rarely and publish a new one before they sign with it.
const AT_URL: Lives = Lives { fresh: Duration::from_mins(3), recent: Duration::from_mins(6) };
/// A look at a file costs little and needs nobody.
const IN_FILE: Lives = Lives { fresh: Duration::from_secs(10), recent: Duration::from_secs(10) };
const LARGEST: u64 = 1 << 20;
