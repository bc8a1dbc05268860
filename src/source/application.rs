//! An application in one tenant: its authority, its credentials, its budget.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use url::Url;
use uuid::Uuid;

use super::roster::{Held, Roster};
use super::throttle::Throttle;
use super::{Wish, retried, within};
use crate::authority::{Authority, place};
use crate::claims;
use crate::clock::{Clock, Deadline, Stopwatch, Timestamp};
use crate::credential::calendar::Calendar;
use crate::credential::{Algorithm, Credential, Delegate, Occasion};
use crate::fault::{Fault, Kind};
use crate::metrics::Metrics;
use crate::name::{ClientId, Name, Resource, Scope, TenantId};
use crate::secret::Secret;
use crate::token::{Extension, Extras, Token, TokenKey};
use crate::wire::request::{ClientCredentials, ClientProof};
use crate::wire::{Outgoing, answer};

mod attempt;

use attempt::Failure;

/// An application and what is remembered of its credentials.
pub struct Application {
    identity: Name,
    client_id: ClientId,
    authority: Arc<Authority>,
    roster: Roster,
    client_capabilities: Arc<[String]>,
    extra_body: Arc<[(String, String)]>,
    extension: Extension,
    timeout: Duration,
    throttle: Throttle,
    refresh_rate: NonZeroU32,
    renewals: DefaultDirectRateLimiter,
    clock: Clock,
}

/// What it is made of.
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

impl Application {
    /// A source of these parts, with nothing remembered.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            identity: parts.identity,
            client_id: parts.client_id,
            authority: parts.authority,
            roster: Roster::new(parts.credentials),
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
            credentials: self.roster.iter().map(|held| Arc::clone(&held.credential)).collect(),
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
        self.roster.iter().flat_map(|held| held.credential.files())
    }

    /// Takes new credentials where there are any; tokens stay. Notes in `calendar` when each of them ends.
    pub fn reload(&self, calendar: &mut Calendar, metrics: &Metrics) {
        let now = self.clock.now();
        for held in self.roster.iter() {
            self.renew(held, now);
            calendar.note(&self.identity, &held.label, held.credential.expiry(), now, metrics);
        }
    }

    /// Notes where a credential is a new one: a rejection of the old one ends with it.
    pub fn follow_all(&self) {
        self.roster.iter().for_each(|held| self.follow(held));
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
        self.throttle.stands(scope, now).or_else(|| self.roster.rejected(now))
    }

    /// Fetches a token with the credential that worked last, and with the next one when it is rejected or
    /// cannot be used; all within the deadline.
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
        for turn in self.roster.order(self.clock.now()) {
            let Some(_entered) = self.enter(&turn, deadline).await? else { continue };
            match self.attempt(turn.held, &endpoint, wish, deadline, metrics).await {
                Ok(token) => {
                    self.remember(&turn, metrics);
                    return Ok(token);
                }
                Err(failure) if failure.is_of_credential() => last = failure.fault,
                Err(failure) => return Err(failure.fault),
            }
        }
        Err(last)
    }

    /// One exchange, with an assertion of its own; counted and logged however it ends.
    async fn exchange(
        &self,
        held: &Held,
        endpoint: &Url,
        wish: Wish<'_>,
        deadline: Deadline,
        metrics: &Metrics,
    ) -> Result<Token, Failure> {
        let credential = &held.credential;
        // Lives are counted from before the request: how long the answer took is no part of them.
        let now = self.clock.now();
        let proof = within(deadline, self.prove(credential, endpoint, wish, deadline, now)).await;
        let proof = proof.inspect_err(|fault| self.log_fault(&held.label, wish, fault)).map_err(Failure::unsent)?;
        // After the proof: an assertion's file is read for it.
        let sent = Some(credential.generation());
        metrics.credential_ends(&self.identity, &held.label, credential.expiry().map(|expiry| expiry.at));
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
        let known: Vec<Arc<Secret>> = self.roster.iter().filter_map(|one| one.credential.secret()).collect();
        let secrets: Vec<&Secret> = known.iter().map(Arc::as_ref).chain([proof.secret()]).collect();
        let result = incoming.and_then(|incoming| answer::token(&incoming, now, &secrets));
        metrics.exchanged(&self.identity, &result, watch.elapsed());
        match &result {
            Ok(token) => self.log_token(&held.label, wish, token),
            Err(fault) => {
                self.throttle.remember(wish.scope, fault, self.clock.now());
                self.log_fault(&held.label, wish, fault);
            }
        }
        result.map_err(|fault| Failure { fault, sent })
    }

    /// Applies a credential to one request; one that is another identity's token is given that first.
    async fn prove(
        &self,
        credential: &Credential,
        endpoint: &Url,
        wish: Wish<'_>,
        deadline: Deadline,
        now: Timestamp,
    ) -> Result<ClientProof, Fault> {
        let delegated = match credential.delegate() {
            Some(delegate) => Some(wish.vouch.token(delegate).await.map_err(Delegate::without_token)?),
            None => None,
        };
        // ADFS knows neither PSS nor SHA-256 thumbprints.
        let algorithm = match self.authority.place().kind() {
            place::Kind::Adfs => Algorithm::Rs256,
            _ => Algorithm::Ps256,
        };
        let occasion = Occasion {
            client_id: &self.client_id,
            audience: endpoint,
            now,
            jti: &Uuid::new_v4().to_string(),
            algorithm,
            request_id: wish.request_id,
            deadline,
            delegated: delegated.as_deref(),
        };
        credential.prove(&occasion).await
    }

    fn log_token(&self, step: &str, wish: Wish<'_>, token: &Token) {
        let (identity, tenant) = (self.identity.as_str(), self.authority.place().tenant().as_str());
        let (scope, request_id, expires_at) = (wish.scope.as_str(), wish.request_id, token.expires_at);
        tracing::info!(identity, tenant, scope, step, request_id, %expires_at, "token issued");
    }

    /// `step` is the label of a credential, or what came before one was needed.
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

fn pairs(parameters: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}
