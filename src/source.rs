//! What mints tokens for one identity in one tenant: its authority, its credentials, its budget.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use url::Url;
use uuid::Uuid;

use crate::authority::{Authority, place};
use crate::claims::{self, ClaimsRequest};
use crate::clock::{Clock, Deadline, Stopwatch, Timestamp};
use crate::credential::{Algorithm, Credential, Occasion};
use crate::fault::{Fault, Kind};
use crate::metrics::Metrics;
use crate::name::{ClientId, Name, Resource, Scope, TenantId};
use crate::secret::Secret;
use crate::token::{Extension, Extras, Token, TokenKey};
use crate::wire::request::ClientCredentials;
use crate::wire::{Outgoing, answer, late};

pub mod host;
pub mod standing;
pub mod throttle;

use standing::Standing;
use throttle::Throttle;

/// A source and what it remembers of its credentials.
pub struct Source {
    identity: Name,
    client_id: ClientId,
    authority: Arc<Authority>,
    credentials: Vec<(Arc<Credential>, Standing)>,
    client_capabilities: Arc<[String]>,
    extra_body: Arc<[(String, String)]>,
    extension: Extension,
    timeout: Duration,
    throttle: Throttle,
    refresh_rate: NonZeroU32,
    renewals: DefaultDirectRateLimiter,
    clock: Clock,
}

/// What a source is made of.
pub struct Parts {
    /// The identity that it mints for.
    pub identity: Name,
    /// The application in the tenant.
    pub client_id: ClientId,
    /// Who issues, in which tenant.
    pub authority: Arc<Authority>,
    /// Tried in this order.
    pub credentials: Vec<Arc<Credential>>,
    /// What the programs behind the identity are capable of, such as `cp1`: continuous access evaluation.
    pub client_capabilities: Arc<[String]>,
    /// Further parameters of every request.
    pub extra_body: Arc<[(String, String)]>,
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
    /// What else the token is to be.
    pub extras: &'a Extras,
    /// What a resource demanded of it.
    pub challenge: Option<&'a ClaimsRequest>,
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
            authority: parts.authority,
            credentials: parts.credentials.into_iter().map(|credential| (credential, Standing::default())).collect(),
            client_capabilities: parts.client_capabilities,
            extension: Extension::with(pairs(&parts.extra_body), &Extras::default()),
            extra_body: parts.extra_body,
            timeout: parts.timeout,
            throttle: Throttle::default(),
            refresh_rate: parts.refresh_rate,
            renewals: RateLimiter::direct(Quota::per_second(parts.refresh_rate)),
            clock: parts.clock,
        }
    }

    /// The same in another directory, with nothing remembered.
    #[must_use]
    pub fn in_tenant(&self, id: &TenantId) -> Self {
        Self::new(Parts { authority: Arc::new(self.authority.in_tenant(id)), ..self.parts() })
    }

    fn parts(&self) -> Parts {
        Parts {
            identity: self.identity.clone(),
            client_id: self.client_id.clone(),
            authority: Arc::clone(&self.authority),
            credentials: self.credentials.iter().map(|(credential, _)| Arc::clone(credential)).collect(),
            client_capabilities: Arc::clone(&self.client_capabilities),
            extra_body: Arc::clone(&self.extra_body),
            timeout: self.timeout,
            refresh_rate: self.refresh_rate,
            clock: self.clock.clone(),
        }
    }

    /// The directory that it mints in.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        self.authority.place().tenant()
    }

    /// The identity that it mints for.
    #[must_use]
    pub const fn identity(&self) -> &Name {
        &self.identity
    }

    /// The key under which a token for `resource` from this source is kept.
    #[must_use]
    pub fn key(&self, resource: &Resource, extras: &Extras) -> TokenKey {
        let place = self.authority.place();
        let plain = *extras == Extras::default();
        TokenKey {
            identity: self.identity.clone(),
            authority: place.url().as_str().into(),
            tenant: place.tenant().clone(),
            client_id: self.client_id.clone(),
            scope: Scope::of(resource, place.scope_form()),
            extras: extras.clone(),
            extension: if plain { self.extension.clone() } else { Extension::with(pairs(&self.extra_body), extras) },
        }
    }

    /// The files in which new credentials would appear.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.credentials.iter().filter_map(|(credential, _)| credential.file())
    }

    /// Takes new credentials where there are any; a rejection of the old one ends with it. Tokens stay.
    pub fn reload(&self) {
        let (identity, tenant) = (self.identity.as_str(), self.authority.place().tenant().as_str());
        for (credential, standing) in &self.credentials {
            let kind = credential.kind();
            if let Err(fault) = credential.reload() {
                tracing::warn!(identity, tenant, kind, %fault, inward = fault.inward(), "no new credential");
            }
            // Another tenant's source may have been the one that took it.
            if standing.follow(credential.generation()) {
                tracing::info!(identity, tenant, kind, "a new credential is in use");
            }
        }
    }

    /// Takes one renewal from the budget, if there is one.
    #[must_use]
    pub fn may_renew(&self) -> bool {
        self.renewals.check().is_ok()
    }

    /// Until when there is no use in asking for `scope`, and why: the authority wants to be left alone, or has
    /// rejected every credential.
    #[must_use]
    pub fn resting(&self, scope: &Scope, now: Timestamp) -> Option<(Timestamp, Fault)> {
        let rejections = || {
            let each = self.credentials.iter().map(|(_, standing)| standing.rejected(now));
            each.collect::<Option<Vec<_>>>()?.into_iter().min_by_key(|(until, _)| *until)
        };
        self.throttle.stands(scope, now).or_else(rejections)
    }

    /// Fetches a token: at most one quick retry for a passing failure, then the next credential for one
    /// that is rejected or cannot be used, all within the deadline.
    ///
    /// # Errors
    /// The last fault; a deadline that passed is the authority's.
    pub async fn fetch(&self, wish: Wish<'_>, metrics: &Metrics) -> Result<Token, Fault> {
        let deadline = Deadline::after(self.timeout);
        // Before any credential's turn, so that all who wait share one discovery.
        let find = || within(deadline, self.authority.token_endpoint(wish.request_id, deadline));
        let endpoint = retried(find, wish.jitter, deadline).await;
        let endpoint = endpoint.inspect_err(|fault| self.log_fault("discovery", wish, fault))?;
        let mut last = Fault::new(Kind::Misconfigured, "the identity has no credential", "configure one");
        for (credential, standing) in &self.credentials {
            let _turn = within(deadline, async { Ok(standing.enter().await) }).await?;
            if let Some((_, fault)) = standing.rejected(self.clock.now()) {
                last = fault;
                continue;
            }
            let exchange = || self.exchange(credential, &endpoint, wish, deadline, metrics);
            match retried(exchange, wish.jitter, deadline).await {
                Ok(token) => {
                    standing.trust();
                    return Ok(token);
                }
                Err(fault) if fault.kind == Kind::RejectedCredential => {
                    standing.reject(&fault, self.clock.now(), wish.jitter);
                    last = fault;
                }
                Err(fault) if fault.kind == Kind::UnusableCredential => last = fault,
                Err(fault) => return Err(fault),
            }
        }
        Err(last)
    }

    /// One exchange, with an assertion of its own; counted and logged however it ends.
    async fn exchange(
        &self,
        credential: &Credential,
        endpoint: &Url,
        wish: Wish<'_>,
        deadline: Deadline,
        metrics: &Metrics,
    ) -> Result<Token, Fault> {
        let jti = Uuid::new_v4().to_string();
        // Lives are counted from before the request: how long the answer took is no part of them.
        let now = self.clock.now();
        // ADFS knows neither PSS nor SHA-256 thumbprints.
        let algorithm = match self.authority.place().kind() {
            place::Kind::Adfs => Algorithm::Rs256,
            _ => Algorithm::Ps256,
        };
        let occasion = Occasion { client_id: &self.client_id, audience: endpoint, now, jti: &jti, algorithm };
        let proof = within(deadline, credential.prove(&occasion)).await;
        let proof = proof.inspect_err(|fault| self.log_fault(credential.kind(), wish, fault))?;
        let client_claims = wish.extras.client_claims.as_ref();
        let claims = claims::merged(wish.challenge, client_claims, &self.client_capabilities);
        let request = ClientCredentials {
            client_id: &self.client_id,
            scope: wish.scope,
            proof: &proof,
            claims: claims.as_deref(),
            fmi_path: wish.extras.fmi_path.as_ref(),
            extra: &self.extra_body,
        };
        let (url, request_id) = (endpoint.clone(), wish.request_id.to_owned());
        let outgoing = Outgoing { url, form: Some(request.form()), request_id, headers: Vec::new() };
        let watch = Stopwatch::start();
        let incoming = within(deadline, self.authority.wire().send(outgoing)).await;
        let held: Vec<Arc<Secret>> = self.credentials.iter().filter_map(|(one, _)| one.secret()).collect();
        let secrets: Vec<&Secret> = held.iter().map(Arc::as_ref).chain([proof.secret()]).collect();
        let result = incoming.and_then(|incoming| answer::token(&incoming, now, &secrets));
        metrics.exchanged(&self.identity, &result, watch.elapsed());
        match &result {
            Ok(token) => self.log_token(credential.kind(), wish, token),
            Err(fault) => {
                self.throttle.remember(wish.scope, fault, self.clock.now());
                self.log_fault(credential.kind(), wish, fault);
            }
        }
        result
    }

    fn log_token(&self, step: &str, wish: Wish<'_>, token: &Token) {
        let (identity, tenant) = (self.identity.as_str(), self.authority.place().tenant().as_str());
        let (scope, request_id, expires_at) = (wish.scope.as_str(), wish.request_id, token.expires_at);
        tracing::info!(identity, tenant, scope, step, request_id, %expires_at, "token issued");
    }

    /// `step` is the kind of credential, or what came before one was needed.
    fn log_fault(&self, step: &str, wish: Wish<'_>, fault: &Fault) {
        tracing::warn!(
            identity = self.identity.as_str(),
            tenant = self.authority.place().tenant().as_str(),
            scope = wish.scope.as_str(),
            step,
            request_id = wish.request_id,
            %fault,
            turn = fault.turn().as_str(),
            aadsts = fault.aadsts(),
            correlation_id = fault.correlation_id(),
            authority_said = fault.inward(),
            "no token"
        );
    }
}

/// Does `work`, and once more after a moment when it failed in passing and there is time.
async fn retried<T, F>(work: impl Fn() -> F, jitter: f64, deadline: Deadline) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Fault>>,
{
    let delay = RETRY_DELAY.mul_f64(0.5 + jitter);
    match work().await {
        Err(fault) if fault.is_transient() && delay < deadline.left() => {
            tokio::time::sleep(delay).await;
            work().await
        }
        result => result,
    }
}

fn pairs(parameters: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

async fn within<T>(deadline: Deadline, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    tokio::time::timeout(deadline.left(), work).await.unwrap_or_else(|_| Err(late()))
}

const RETRY_DELAY: Duration = Duration::from_millis(400);
