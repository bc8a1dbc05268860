//! What mints tokens for one identity in one tenant: its authority, its credentials, its budget.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use url::Url;
use uuid::Uuid;

use crate::authority::Authority;
use crate::clock::{Clock, Stopwatch, Timestamp};
use crate::credential::{Credential, Occasion};
use crate::fault::{Fault, Kind};
use crate::metrics::Metrics;
use crate::name::{ClientId, Name, Scope, TenantId};
use crate::secret::Secret;
use crate::token::{Token, TokenKey};
use crate::wire::request::client_credentials;
use crate::wire::{Outgoing, Wire, answer};

pub mod standing;

use standing::Standing;

/// A source and what it remembers of its credentials.
pub struct Source {
    identity: Name,
    client_id: ClientId,
    tenant: TenantId,
    authority: Authority,
    credentials: Vec<(Arc<Credential>, Standing)>,
    wire: Wire,
    timeout: Duration,
    renewals: DefaultDirectRateLimiter,
    clock: Clock,
}

/// What a source is made of.
pub struct Parts {
    /// The identity that it mints for.
    pub identity: Name,
    /// The application in the tenant.
    pub client_id: ClientId,
    /// The tenant.
    pub tenant: TenantId,
    /// Who issues.
    pub authority: Authority,
    /// Tried in this order.
    pub credentials: Vec<Arc<Credential>>,
    /// The connection to the authority.
    pub wire: Wire,
    /// The deadline of a whole fetch: discovery, retry and further credentials included.
    pub timeout: Duration,
    /// Renewals a second; callers that wait are not counted.
    pub refresh_rate: NonZeroU32,
    /// The time.
    pub clock: Clock,
}

/// One wish for a token.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// For what.
    pub scope: &'a Scope,
    /// The id of the request that wants it, which goes to the authority too.
    pub request_id: &'a str,
    /// Drawn from `0.0..1.0`; spreads retries and cooling.
    pub jitter: f64,
}

impl Source {
    /// A source of these parts, with nothing remembered.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            identity: parts.identity,
            client_id: parts.client_id,
            tenant: parts.tenant,
            authority: parts.authority,
            credentials: parts.credentials.into_iter().map(|credential| (credential, Standing::default())).collect(),
            wire: parts.wire,
            timeout: parts.timeout,
            renewals: RateLimiter::direct(Quota::per_second(parts.refresh_rate)),
            clock: parts.clock,
        }
    }

    /// The identity that it mints for.
    #[must_use]
    pub const fn identity(&self) -> &Name {
        &self.identity
    }

    /// The key under which a token for `scope` from this source is kept.
    #[must_use]
    pub fn key(&self, scope: Scope) -> TokenKey {
        TokenKey {
            identity: self.identity.clone(),
            authority: self.authority.base().into(),
            tenant: self.tenant.clone(),
            client_id: self.client_id.clone(),
            scope,
        }
    }

    /// Takes one renewal from the budget, if there is one.
    #[must_use]
    pub fn may_renew(&self) -> bool {
        self.renewals.check().is_ok()
    }

    /// Until when every credential stands rejected, and why; none when one may be tried.
    #[must_use]
    pub fn rejected(&self, now: Timestamp) -> Option<(Timestamp, Fault)> {
        let rejections: Option<Vec<_>> = self.credentials.iter().map(|(_, standing)| standing.rejected(now)).collect();
        rejections?.into_iter().min_by_key(|(until, _)| *until)
    }

    /// Fetches a token: at most one quick retry for a passing failure, then the next credential for a
    /// rejected one, all within the deadline.
    ///
    /// # Errors
    /// The last fault; a deadline that passed is the authority's.
    pub async fn fetch(&self, wish: Wish<'_>, metrics: &Metrics) -> Result<Token, Fault> {
        let late = || {
            let remedy = "wait; if it goes on, check the network, or raise the tenant's 'timeout'";
            Fault::new(Kind::Unavailable, "the authority did not answer in time", remedy)
        };
        let fetched = tokio::time::timeout(self.timeout, self.fetch_with_any(wish, metrics));
        fetched.await.unwrap_or_else(|_| Err(late()))
    }

    async fn fetch_with_any(&self, wish: Wish<'_>, metrics: &Metrics) -> Result<Token, Fault> {
        let mut last = Fault::new(Kind::Misconfigured, "the identity has no credential", "configure one");
        for (credential, standing) in &self.credentials {
            let _turn = standing.enter().await;
            if let Some((_, fault)) = standing.rejected(self.clock.now()) {
                last = fault;
                continue;
            }
            match self.fetch_with(credential, wish, metrics).await {
                Err(fault) if fault.kind == Kind::RejectedCredential => {
                    standing.reject(&fault, self.clock.now(), wish.jitter);
                    last = fault;
                }
                result => {
                    if result.is_ok() {
                        standing.trust();
                    }
                    return result;
                }
            }
        }
        Err(last)
    }

    async fn fetch_with(&self, credential: &Credential, wish: Wish<'_>, metrics: &Metrics) -> Result<Token, Fault> {
        match self.exchange(credential, wish, metrics).await {
            Err(fault) if fault.is_transient() => {
                tokio::time::sleep(RETRY_DELAY.mul_f64(0.5 + wish.jitter)).await;
                self.exchange(credential, wish, metrics).await
            }
            result => result,
        }
    }

    /// One exchange, counted and logged. Every try has an assertion of its own.
    async fn exchange(&self, credential: &Credential, wish: Wish<'_>, metrics: &Metrics) -> Result<Token, Fault> {
        let watch = Stopwatch::start();
        let result = match self.authority.token_endpoint(&self.wire, wish.request_id).await {
            Ok(endpoint) => self.post(credential, endpoint, wish).await,
            Err(fault) => Err(fault),
        };
        metrics.exchanged(&self.identity, &result, watch.elapsed());
        self.log(credential, wish, &result);
        result
    }

    async fn post(&self, credential: &Credential, endpoint: Url, wish: Wish<'_>) -> Result<Token, Fault> {
        let jti = Uuid::new_v4().to_string();
        let occasion = Occasion { client_id: &self.client_id, audience: &endpoint, now: self.clock.now(), jti: &jti };
        let proof = credential.prove(&occasion).await?;
        let form = client_credentials(&self.client_id, wish.scope, &proof);
        let outgoing = Outgoing { url: endpoint, form: Some(form), request_id: wish.request_id.to_owned() };
        let incoming = self.wire.send(outgoing).await?;
        let held = self.credentials.iter().filter_map(|(credential, _)| credential.secret());
        let secrets: Vec<&Secret> = held.chain([proof.secret()]).collect();
        answer::token(&incoming, self.clock.now(), &secrets)
    }

    fn log(&self, credential: &Credential, wish: Wish<'_>, result: &Result<Token, Fault>) {
        let (identity, tenant) = (self.identity.as_str(), self.tenant.as_str());
        let (scope, request_id, credential) = (wish.scope.as_str(), wish.request_id, credential.kind());
        match result {
            Ok(token) => {
                tracing::info!(identity, tenant, scope, credential, request_id, expires_at = %token.expires_at, "token issued");
            }
            Err(fault) => tracing::warn!(
                identity,
                tenant,
                scope,
                credential,
                request_id,
                %fault,
                turn = fault.turn().as_str(),
                aadsts = fault.aadsts(),
                correlation_id = fault.correlation_id(),
                authority_said = fault.inward(),
                "exchange failed"
            ),
        }
    }
}

const RETRY_DELAY: Duration = Duration::from_millis(400);
