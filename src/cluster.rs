//! A Kubernetes cluster whose workloads are callers: verifies their service-account tokens.
//!
//! A token is judged by what it says of itself, then proved: by a key of the cluster, offline, or by the API server,
//! which also knows which pods are gone. It knows nothing of rules; whom a token admits is policy's to say.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tracing::Instrument;

use crate::clock::{Clock, Timestamp};
use crate::fault::{Fault, Kind};
use crate::secret::Secret;

pub mod claims;
pub mod endpoint;
pub mod key;
pub mod keys;
pub mod memory;
pub mod review;
pub mod shelf;

use claims::{Rules, Shown, Told};
use endpoint::Endpoint;
use keys::{KeyRing, Origin};
use memory::{Lives, Memory, Verified};
use review::Reviewer;

/// What a cluster is known by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which tokens are for this service.
    pub rules: Rules,
    /// What proves them.
    pub warrant: Warrant,
}

/// What proves a token.
#[derive(Clone, Debug)]
pub enum Warrant {
    /// A key of the cluster.
    Keys(Origin),
    /// The API server's word.
    Review(Endpoint),
}

/// A cluster, and the tokens of it that were verified lately.
pub struct Cluster {
    rules: Rules,
    prover: Prover,
    memory: Arc<Memory>,
    clock: Clock,
    runtime: Handle,
}

enum Prover {
    Keys(Arc<KeyRing>),
    Review(Arc<Reviewer>),
}

impl Cluster {
    /// A cluster of which nothing is known yet. It is asked on `runtime`, so that a caller who leaves takes no fetch
    /// and no review along.
    #[must_use]
    pub fn new(settings: Settings, clock: Clock, runtime: Handle) -> Self {
        let Settings { rules, warrant } = settings;
        let (prover, lives) = match warrant {
            Warrant::Keys(origin) => {
                (Prover::Keys(Arc::new(KeyRing::new(origin, clock.clone(), runtime.clone()))), VERIFIED)
            }
            Warrant::Review(endpoint) => {
                (Prover::Review(Arc::new(Reviewer::new(endpoint, rules.audiences.clone()))), REVIEWED)
            }
        };
        Self { rules, prover, memory: Arc::new(Memory::new(lives)), clock, runtime }
    }

    /// Verifies a token, from memory if that was done lately. `latest` is what was found of the one that its connection
    /// showed before.
    ///
    /// # Errors
    /// 401 when the token is wrong; [`Kind::Unavailable`] or [`Kind::Misconfigured`] when nobody can say, because
    /// its key is unknown and the keys, or the API server, cannot be asked. No text of a fault repeats the token.
    pub async fn verify(&self, token: &[u8], latest: Option<Verified>) -> Result<Verified, Fault> {
        let now = self.clock.now();
        match self.memory.find(token, latest, now).await {
            Some(verified) => Ok(verified),
            None => Box::pin(self.prove(token, now)).await.map_err(|fault| fault.with_rule("kubernetes")),
        }
    }

    async fn prove(&self, token: &[u8], now: Timestamp) -> Result<Verified, Fault> {
        let token = claims::text(token)?;
        let shown = Shown::parse(token)?;
        let told = shown.judge(&self.rules, now)?;
        match &self.prover {
            Prover::Keys(ring) => self.memory.recall(token, now, || check(ring, &shown, told)).await,
            Prover::Review(reviewer) => self.review(reviewer, token, told, now).await,
        }
    }

    /// A task of its own: who waits for it may leave, and its answer is remembered all the same.
    async fn review(
        &self,
        reviewer: &Arc<Reviewer>,
        token: &str,
        told: Told,
        now: Timestamp,
    ) -> Result<Verified, Fault> {
        let (memory, reviewer) = (Arc::clone(&self.memory), Arc::clone(reviewer));
        let token = Secret::from(token.to_owned());
        let review = async move {
            let token = token.expose();
            memory.recall(token, now, || reviewer.review(token, told, now)).await
        };
        self.runtime.spawn(review.in_current_span()).await.unwrap_or_else(|died| {
            let fault = Fault::new(Kind::Internal, "the review of a service-account token broke off", "report this");
            Err(fault.with_inward(died.to_string()))
        })
    }
}

async fn check(ring: &Arc<KeyRing>, shown: &Shown<'_>, told: Told) -> Result<Told, Fault> {
    let key = ring.find(shown.kid()?).await?;
    if key.signed(shown) { Ok(told) } else { Err(unsigned(shown)) }
}

fn unsigned(shown: &Shown<'_>) -> Fault {
    let why = format!("the key does not verify it as {}", claims::clipped(shown.algorithm()));
    refusal("its signature is wrong", claims::CHECK_CLUSTER, why)
}

/// A token that is wrong in such a way. `why` is for the log, and may be empty.
fn refusal(problem: &str, remedy: &'static str, why: String) -> Fault {
    let fault = Fault::new(Kind::Unauthenticated, format!("the service-account token is refused: {problem}"), remedy);
    if why.is_empty() { fault } else { fault.with_inward(why) }
}

/// A token is believed for so long without a look at its key: the key may have left the cluster. What is wrong is looked
/// at again, which costs nobody a request.
const VERIFIED: Lives = Lives { verified: Duration::from_mins(2), refused: Duration::ZERO };
/// The API server's word holds for so long, whatever it is: the token's pod may be gone.
const REVIEWED: Lives = Lives { verified: Duration::from_secs(10), refused: Duration::from_secs(10) };
