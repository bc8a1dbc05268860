//! What mints tokens for one identity: an application in one tenant, or the host that we run on.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::claims::ClaimsRequest;
use crate::clock::{Deadline, Timestamp};
use crate::credential::Delegate;
use crate::credential::calendar::Calendar;
use crate::fault::Fault;
use crate::metrics::Metrics;
use crate::name::{Name, Resource, Scope, TenantId};
use crate::token::{Descent, Extras, Token, TokenKey};
use crate::wire::late;

pub mod allowance;
pub mod application;
pub mod host;
pub mod roster;
pub mod standing;
pub mod throttle;

use allowance::Allowance;
pub use application::Application;
pub use host::Host;
use roster::Roster;

/// A source, and what it remembers of its credentials and of who issues.
pub enum Source {
    /// An application with credentials of its own.
    Application(Box<Application>),
    /// A managed identity of the host.
    Host(Box<Host>),
}

/// One wish for a token.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// For what.
    pub scope: &'a Scope,
    /// What else the token is to be.
    pub extras: &'a Extras,
    /// What a resource demanded of it.
    pub challenge: Option<&'a ClaimsRequest>,
    /// Whether it has to be another one than whoever issues may still have.
    pub is_forced: bool,
    /// The id of the request that wants it, which goes to the authority too.
    pub request_id: &'a str,
    /// Drawn from `0.0..1.0`; spreads retries and cooling.
    pub jitter: f64,
    /// When nobody waits any more.
    pub deadline: Deadline,
    /// Has the tokens that vouch for an application.
    pub vouch: &'a dyn Vouch,
}

/// Hands over the token that a credential is. Whoever keeps tokens implements it, so that no credential has to
/// reach upward for one.
pub trait Vouch: Sync {
    /// The token of the identity that `delegate` names.
    fn token<'a>(&'a self, delegate: &'a Delegate) -> Handover<'a>;
}

/// A token on its way to a credential.
pub type Handover<'a> = Pin<Box<dyn Future<Output = Result<Arc<Token>, Fault>> + Send + 'a>>;

impl Source {
    /// The same in another directory, with nothing remembered. The host's is the same in all of them.
    #[must_use]
    pub fn in_tenant(&self, id: &TenantId) -> Self {
        match self {
            Self::Application(application) => Self::Application(Box::new(application.in_tenant(id))),
            Self::Host(host) => Self::Host(Box::new(host.afresh())),
        }
    }

    /// The directory that it mints in, if it is in one.
    #[must_use]
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Application(application) => Some(application.tenant()),
            Self::Host(_) => None,
        }
    }

    /// Whether both ask the same authority.
    #[must_use]
    pub fn has_authority_of(&self, other: &Self) -> bool {
        self.authority() == other.authority()
    }

    /// Whether both mint in the same directory of the same authority.
    #[must_use]
    pub fn is_beside(&self, other: &Self) -> bool {
        self.has_authority_of(other) && self.tenant() == other.tenant()
    }

    /// How its tokens are come by.
    #[must_use]
    pub fn descent(&self) -> Descent {
        match self {
            Self::Application(application) => application.descent(),
            Self::Host(host) => host.descent(),
        }
    }

    /// The same with all else that it is made of: nothing tells two apart in which it is equal.
    #[must_use]
    pub const fn whole(&self) -> Descent {
        match self {
            Self::Application(application) => application.whole(),
            Self::Host(host) => host.whole(),
        }
    }

    /// Who issues, or where the host is asked.
    #[must_use]
    pub fn authority(&self) -> &Url {
        match self {
            Self::Application(application) => application.authority(),
            Self::Host(host) => host.url(),
        }
    }

    /// The identity that it mints for.
    #[must_use]
    pub fn identity(&self) -> &Name {
        match self {
            Self::Application(application) => application.identity(),
            Self::Host(host) => host.identity(),
        }
    }

    /// The key under which a token for `resource` from this source is kept.
    #[must_use]
    pub fn key(&self, resource: &Resource, extras: &Extras) -> TokenKey {
        match self {
            Self::Application(application) => application.key(resource, extras),
            Self::Host(host) => host.key(resource, extras),
        }
    }

    /// The credentials of an application, and what is remembered of them.
    #[must_use]
    pub const fn roster(&self) -> Option<&Roster> {
        match self {
            Self::Application(application) => Some(application.roster()),
            Self::Host(_) => None,
        }
    }

    /// The files in which new credentials would appear.
    #[must_use]
    pub fn files(&self) -> Vec<&Path> {
        match self {
            Self::Application(application) => application.files().collect(),
            Self::Host(_) => Vec::new(),
        }
    }

    /// Takes new credentials where there are any; tokens stay. Notes in `calendar` when each of them ends.
    pub fn reload(&self, calendar: &mut Calendar, metrics: &Metrics) {
        if let Self::Application(application) = self {
            application.reload(calendar, metrics);
        }
    }

    /// Notes where a credential is a new one: what was said of the old one ends with it.
    pub fn follow_all(&self) {
        if let Self::Application(application) = self {
            application.follow_all();
        }
    }

    /// Has credentials that rest tried again.
    pub fn forgive_all(&self) {
        if let Self::Application(application) = self {
            application.forgive_all();
        }
    }

    /// What may be asked of the authority that nobody waits for, or that anybody can demand.
    #[must_use]
    pub const fn allowance(&self) -> &Allowance {
        match self {
            Self::Application(application) => application.allowance(),
            Self::Host(host) => host.allowance(),
        }
    }

    /// How long a whole fetch may take, with what comes before it.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        match self {
            Self::Application(application) => application.timeout(),
            Self::Host(host) => host.timeout(),
        }
    }

    /// Until when there is no use in asking for `scope`, and why.
    #[must_use]
    pub fn resting(&self, scope: &Scope, now: Timestamp) -> Option<(Timestamp, Fault)> {
        match self {
            Self::Application(application) => application.resting(scope, now),
            Self::Host(host) => host.resting(scope, now),
        }
    }

    /// Fetches a token within the wish's deadline.
    ///
    /// # Errors
    /// The last fault that was met on the way.
    pub async fn fetch(&self, wish: Wish<'_>, metrics: &Metrics) -> Result<Token, Fault> {
        match self {
            Self::Application(application) => application.fetch(wish, metrics).await,
            Self::Host(host) => host.fetch(wish, metrics).await,
        }
    }
}

/// Does `work`, and once more after a moment when it failed in passing and there is time.
async fn retried<T, F>(work: impl Fn() -> F, jitter: f64, deadline: Deadline) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Fault>>,
{
    match work().await {
        Err(fault) if may_retry(&fault, jitter, deadline).await => work().await,
        result => result,
    }
}

/// Waits for a moment if `fault` may pass within it and there is time, and says whether it did.
async fn may_retry(fault: &Fault, jitter: f64, deadline: Deadline) -> bool {
    let delay = RETRY_DELAY.mul_f64(0.5 + jitter);
    let may = fault.is_transient() && delay < deadline.left();
    if may {
        tokio::time::sleep(delay).await;
    }
    may
}

async fn within<T>(deadline: Deadline, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    tokio::time::timeout(deadline.left(), work).await.unwrap_or_else(|_| Err(late()))
}

const RETRY_DELAY: Duration = Duration::from_millis(400);
