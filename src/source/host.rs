//! The host's own managed identity: its instance metadata service or App Service mints the tokens.
//!
//! Such an endpoint is never one of our own listeners. The configuration refuses one that looks like it, and
//! what no configuration can see, a redirected address, is noticed by the mark that each request carries.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::allowance::{Allowance, Rate};
use super::throttle::Throttle;
use super::{Wish, retried, within};
use crate::clock::{Clock, Deadline, Stopwatch, Timestamp};
use crate::dialect::headers::MARK;
use crate::fault::{Fault, Kind};
use crate::flood::{Concern, Floods};
use crate::metrics::Metrics;
use crate::name::{ClientId, Name, Resource, Scope, ScopeForm, TenantId};
use crate::secret::Secret;
use crate::token::{Descent, Extension, Extras, Principal, Token, TokenKey};
use crate::trace;
use crate::wire::{Outgoing, Wire, answer};

/// A managed identity of this host.
pub struct Host {
    parts: Parts,
    principal: Arc<Principal>,
    throttle: Throttle,
    allowance: Allowance,
}

/// What it is made of.
#[derive(Clone)]
pub struct Parts {
    /// How its tokens are come by, which depends on its selector and the endpoint.
    pub descent: Descent,
    /// The same with all that the connection is made of, and the deadline: only the rate may change without it.
    pub whole: Descent,
    /// The identity that it mints for.
    pub identity: Name,
    /// Which of the host's identities; the system-assigned one without.
    pub selector: Option<HostId>,
    /// Where it is asked.
    pub endpoint: Arc<Endpoint>,
    /// The deadline of a whole fetch.
    pub timeout: Duration,
    /// How often renewals, and answers to what callers demand beyond a live token.
    pub rate: Rate,
    /// Which lines of the log have become a flood.
    pub floods: Arc<Floods<Concern>>,
    /// The time.
    pub clock: Clock,
}

/// One of the host's identities.
#[derive(Clone, Debug)]
pub struct HostId {
    /// The parameter, as the endpoint calls it.
    pub parameter: &'static str,
    /// Its value.
    pub id: String,
}

impl HostId {
    /// The one of these ids that is given: of client, object and resource, in this order.
    #[must_use]
    pub fn of(ids: [Option<&str>; 3]) -> Option<Self> {
        let named = ["client_id", "object_id", "msi_res_id"].into_iter().zip(ids);
        named.filter_map(|(parameter, id)| Some(Self { parameter, id: id?.to_owned() })).next()
    }
}

/// Where a host pays out tokens, and how it is asked.
#[derive(Clone, Debug)]
pub struct Address {
    /// Its URL, without a query.
    pub url: Url,
    /// Which contract it keeps.
    pub contract: Contract,
}

/// An address and the way to it.
#[derive(Debug)]
pub struct Endpoint {
    /// Where it is.
    pub address: Address,
    /// The connection, which no proxy comes between.
    pub wire: Wire,
    /// What our own listeners know us by.
    pub mark: Arc<str>,
}

/// The contracts of managed identity that Bursar speaks southward.
#[derive(Clone, Debug)]
pub enum Contract {
    /// App Service, Functions, Container Apps: a secret in `X-IDENTITY-HEADER`.
    AppService(Secret),
    /// A virtual machine's instance metadata: `Metadata: true`.
    Imds,
}

impl Contract {
    const fn version(&self) -> &'static str {
        match self {
            Self::AppService(_) => "2019-08-01",
            Self::Imds => "2018-02-01",
        }
    }

    /// What nobody may repeat.
    const fn secret(&self) -> Option<&Secret> {
        match self {
            Self::AppService(secret) => Some(secret),
            Self::Imds => None,
        }
    }

    fn header(&self) -> (&'static str, Secret) {
        match self {
            Self::AppService(secret) => ("x-identity-header", Secret::clone(secret)),
            Self::Imds => ("metadata", Secret::from("true".to_owned())),
        }
    }
}

impl Endpoint {
    fn request(&self, wish: Wish<'_>, selector: Option<&HostId>) -> Outgoing {
        let Address { url, contract } = &self.address;
        let mut url = url.clone();
        url.query_pairs_mut()
            .append_pair("api-version", contract.version())
            .append_pair("resource", &wish.scope.text())
            .extend_pairs(selector.map(|selector| (selector.parameter, &selector.id)))
            // A host keeps tokens of its own (the `bypass_cache` of IMDS's published interface).
            .extend_pairs(wish.is_forced.then_some(("bypass_cache", "true")));
        let (request_id, headers) = (wish.request_id.to_owned(), vec![contract.header(), self.marked()]);
        Outgoing { url, content: None, request_id, headers, span: trace::outgoing("exchange") }
    }

    fn marked(&self) -> (&'static str, Secret) {
        (MARK, Secret::from(self.mark.to_string()))
    }
}

impl Host {
    /// A source of these parts, with nothing remembered.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let allowance = Allowance::new(parts.rate);
        let principal = Arc::new(Principal {
            descent: parts.descent,
            identity: parts.identity.clone(),
            authority: parts.endpoint.address.url.as_str().into(),
            tenant: tenant(),
            client_id: client_id(&parts.identity),
        });
        Self { parts, principal, throttle: Throttle::default(), allowance }
    }

    /// The same with nothing remembered.
    #[must_use]
    pub fn afresh(&self) -> Self {
        Self::new(self.parts.clone())
    }

    /// Where it is asked.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.parts.endpoint.address.url
    }

    /// How its tokens are come by.
    #[must_use]
    pub const fn descent(&self) -> Descent {
        self.parts.descent
    }

    /// The same with all else that it is made of.
    #[must_use]
    pub const fn whole(&self) -> Descent {
        self.parts.whole
    }

    /// The identity that it mints for.
    #[must_use]
    pub const fn identity(&self) -> &Name {
        &self.parts.identity
    }

    /// The key under which a token for `resource` is kept.
    #[must_use]
    pub fn key(&self, resource: &Resource, extras: &Extras) -> TokenKey {
        let own = self.parts.selector.iter().map(|selector| (selector.parameter, selector.id.as_str()));
        let scope = Scope::of(resource, ScopeForm::Resource);
        TokenKey::new(Arc::clone(&self.principal), scope, extras, Extension::with(own, extras))
    }

    /// What may be asked of the host that nobody waits for, or that anybody can demand.
    #[must_use]
    pub const fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    /// How long a whole fetch may take.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.parts.timeout
    }

    /// Until when the host wants to be left alone about `scope`, and what it said.
    #[must_use]
    pub fn resting(&self, scope: &Scope, now: Timestamp) -> Option<(Timestamp, Fault)> {
        self.throttle.stands(scope, now)
    }

    /// Fetches a token, with at most one quick retry for a passing failure.
    ///
    /// # Errors
    /// The host's fault.
    pub async fn fetch(&self, wish: Wish<'_>, metrics: &Metrics) -> Result<Token, Fault> {
        refuse_extras(wish)?;
        let deadline = wish.deadline;
        retried(|| self.exchange(wish, deadline, metrics), wish.jitter, deadline).await
    }

    fn log_fault(&self, wish: Wish<'_>, fault: &Fault) {
        let concern = Concern::of_exchange(&self.parts.identity, fault.kind);
        let Some(suppressed) = self.parts.floods.pass(concern, self.parts.clock.now()) else { return };
        let (identity, scope, request_id) = (self.parts.identity.as_str(), &*wish.scope.text(), wish.request_id);
        let (turn, said, suppressed) = (fault.turn().as_str(), fault.inward(), NonZeroU64::new(suppressed));
        tracing::warn!(identity, scope, request_id, %fault, turn, said, suppressed, "no token from the host");
    }

    async fn exchange(&self, wish: Wish<'_>, deadline: Deadline, metrics: &Metrics) -> Result<Token, Fault> {
        let endpoint = &self.parts.endpoint;
        let outgoing = endpoint.request(wish, self.parts.selector.as_ref());
        let (sent, watch) = (self.parts.clock.reading(), Stopwatch::start());
        let incoming = within(deadline, endpoint.wire.send(outgoing)).await;
        let secrets: Vec<&Secret> = endpoint.address.contract.secret().into_iter().collect();
        let result = incoming.map_err(|fault| unreachable(&fault)).and_then(|incoming| {
            let said = answer::token(&incoming, sent, &secrets);
            said.map_err(|fault| explained(incoming.status, fault))
        });
        metrics.exchanged(&self.parts.identity, &result, watch.elapsed());
        let (identity, scope, request_id) = (self.parts.identity.as_str(), &*wish.scope.text(), wish.request_id);
        match &result {
            Ok(token) => tracing::info!(identity, scope, request_id, %token.expires_at, "the host issued a token"),
            Err(fault) => {
                self.throttle.remember(wish.scope, fault, self.parts.clock.now());
                self.log_fault(wish, fault);
            }
        }
        result
    }
}

/// What stands for the directory where a host decides about it.
#[must_use]
pub fn tenant() -> TenantId {
    TenantId::of_host(PLACE)
}

/// The name of that directory, which no configured tenant shares: a host's identities have no others.
#[must_use]
pub fn place() -> Name {
    Name::of_word(PLACE)
}

/// What stands for the application that only the host knows.
#[must_use]
pub fn client_id(identity: &Name) -> ClientId {
    ClientId::of_name(identity)
}

fn refuse_extras(wish: Wish<'_>) -> Result<(), Fault> {
    if *wish.extras == Extras::default() && wish.challenge.is_none() {
        return Ok(());
    }
    let problem = "this identity is the host's own, which takes no claims and no fmi_path";
    Err(Fault::new(Kind::InvalidRequest, problem, "leave them out"))
}

/// A status that a host means otherwise than an authority does.
fn explained(status: u16, fault: Fault) -> Fault {
    let (kind, problem, remedy) = match status {
        // The service is being started or updated (<https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling>).
        404 | 410 => (Kind::Unavailable, "the host's managed identity endpoint is not ready", ASK_AGAIN),
        508 => (Kind::Misconfigured, "the host's managed identity endpoint is this service itself", UNSET),
        // The resource is the caller's choice.
        400..=403 if fault.kind == Kind::InvalidRequest => return fault,
        400..=403 => (Kind::Misconfigured, "the host refused a token of its managed identity", ASSIGN),
        _ => return fault,
    };
    Fault::new(kind, problem, remedy)
        .with_retry_after(fault.retry_after())
        .with_inward(fault.inward().unwrap_or_default())
}

fn unreachable(fault: &Fault) -> Fault {
    Fault::new(Kind::Unavailable, "the host's managed identity endpoint does not answer", ASK_AGAIN)
        .with_inward(fault.inward().unwrap_or_default())
}

const ASK_AGAIN: &str = "ask again in a moment; if it stays so, the operator should check that this host has managed identities, and that its endpoint can be reached from here";
const ASSIGN: &str = "assign the identity to this host, and check its id and the resource";
const UNSET: &str = "unset IDENTITY_ENDPOINT and AZURE_POD_IDENTITY_AUTHORITY_HOST for this service, or exempt it from what redirects 169.254.169.254 to it";
const PLACE: &str = "managed-identity";
