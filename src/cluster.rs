//! A Kubernetes cluster whose workloads are callers: verifies their service-account tokens.
//!
//! A token is judged by what it says of itself, then proved: by a key of the cluster, offline, or by the API server,
//! which also knows which pods are gone. It knows nothing of rules; whom a token admits is policy's to say.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::caller::account::ServiceAccount;
use crate::clock::{Clock, Timestamp};
use crate::fault::{Fault, Kind};

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
use memory::Memory;
use review::Reviewer;

/// What a cluster is known by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which tokens are for this service.
    pub rules: Rules,
    /// What proves them.
    pub proof: Proof,
}

/// What proves a token.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A key of the cluster.
    Keys(Origin),
    /// The API server's word.
    Review(Endpoint),
}

/// A cluster, and the tokens of it that were verified lately.
pub struct Cluster {
    rules: Rules,
    prover: Prover,
    memory: Memory,
    clock: Clock,
}

enum Prover {
    Keys(Arc<KeyRing>),
    Review(Reviewer),
}

impl Cluster {
    /// A cluster of which nothing is known yet. Its keys are fetched on `runtime`, so that a caller who leaves takes
    /// no fetch along.
    #[must_use]
    pub fn new(settings: Settings, clock: Clock, runtime: Handle) -> Self {
        let Settings { rules, proof } = settings;
        let (prover, longest) = match proof {
            Proof::Keys(origin) => (Prover::Keys(Arc::new(KeyRing::new(origin, clock.clone(), runtime))), VERIFIED),
            Proof::Review(endpoint) => (Prover::Review(Reviewer::new(endpoint, rules.audiences.clone())), REVIEWED),
        };
        Self { rules, prover, memory: Memory::new(longest), clock }
    }

    /// Verifies a token, from memory if that was done lately.
    ///
    /// # Errors
    /// 401 when the token is wrong; [`Kind::Unavailable`] or [`Kind::Misconfigured`] when nobody can say, because
    /// its key is unknown and the keys, or the API server, cannot be asked. No text of a fault repeats the token.
    pub async fn verify(&self, token: &str) -> Result<Arc<ServiceAccount>, Fault> {
        let now = self.clock.now();
        self.memory.recall(token, now, || self.prove(token, now)).await
    }

    async fn prove(&self, token: &str, now: Timestamp) -> Result<Told, Fault> {
        let shown = Shown::parse(token)?;
        let told = shown.judge(&self.rules, now)?;
        match &self.prover {
            Prover::Keys(ring) => {
                let key = ring.find(shown.kid()?).await?;
                if key.signed(&shown) { Ok(told) } else { Err(unsigned(&shown)) }
            }
            Prover::Review(reviewer) => reviewer.review(token, told, now).await,
        }
    }
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

/// How long a token is believed without a look at its key: the key may have left the cluster.
const VERIFIED: Duration = Duration::from_mins(2);
/// How long the API server's word holds: the token's pod may be gone.
const REVIEWED: Duration = Duration::from_secs(10);
