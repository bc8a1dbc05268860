//! An application in one tenant: its authority, its credentials, its budget.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::allowance::{Allowance, Rate};
use super::roster::{Held, Roster};
use super::throttle::Throttle;
use super::{Wish, retried, within};
use crate::authority::Authority;
use crate::clock::{Clock, Timestamp};
use crate::credential::Credential;
use crate::credential::calendar::Calendar;
use crate::fault::{Fault, Kind};
use crate::flood::{Concern, Floods};
use crate::metrics::Metrics;
use crate::name::{ClientId, Name, Resource, Scope, TenantId};
use crate::token::{Descent, Extension, Extras, Principal, Token, TokenKey};

mod attempt;
mod exchange;

use attempt::Attempt;

/// An application and what is remembered of its credentials.
pub struct Application {
    principal: Arc<Principal>,
    whole: Descent,
    authority: Arc<Authority>,
    roster: Roster,
    client_capabilities: Arc<[String]>,
    extra_body: Arc<[(String, String)]>,
    extension: Extension,
    timeout: Duration,
    throttle: Throttle,
    allowance: Allowance,
    floods: Arc<Floods<Concern>>,
    clock: Clock,
}

/// What it is made of.
pub struct Parts {
    /// How its tokens are come by, which depends on all below but for the deadline, the rate and the connection.
    pub descent: Descent,
    /// The same with all that the connection is made of, and the deadline: only the rate may change without it.
    pub whole: Descent,
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
    /// How often renewals, and answers to what callers demand beyond a live token.
    pub rate: Rate,
    /// Which lines of the log have become a flood.
    pub floods: Arc<Floods<Concern>>,
    /// The time.
    pub clock: Clock,
}

impl Application {
    /// A source of these parts, with nothing remembered.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            principal: Arc::new(Principal {
                descent: parts.descent,
                identity: parts.identity,
                authority: parts.authority.place().url().as_str().into(),
                tenant: parts.authority.place().tenant().clone(),
                client_id: parts.client_id,
            }),
            whole: parts.whole,
            authority: parts.authority,
            roster: Roster::new(parts.credentials),
            client_capabilities: parts.client_capabilities,
            extension: Extension::with(pairs(&parts.extra_body), &Extras::default()),
            extra_body: parts.extra_body,
            timeout: parts.timeout,
            throttle: Throttle::default(),
            allowance: Allowance::new(parts.rate),
            floods: parts.floods,
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
            descent: self.principal.descent,
            whole: self.whole,
            identity: self.principal.identity.clone(),
            client_id: self.principal.client_id.clone(),
            authority: Arc::clone(&self.authority),
            credentials: self.roster.iter().map(|held| Arc::clone(&held.credential)).collect(),
            client_capabilities: Arc::clone(&self.client_capabilities),
            extra_body: Arc::clone(&self.extra_body),
            timeout: self.timeout,
            rate: self.allowance.rate(),
            floods: Arc::clone(&self.floods),
            clock: self.clock.clone(),
        }
    }

    /// How its tokens are come by; it is the same in each directory.
    #[must_use]
    pub fn descent(&self) -> Descent {
        self.principal.descent
    }

    /// The same with all else that it is made of.
    #[must_use]
    pub const fn whole(&self) -> Descent {
        self.whole
    }

    /// The directory that it mints in.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        self.authority.place().tenant()
    }

    /// Who issues.
    #[must_use]
    pub fn authority(&self) -> &Url {
        self.authority.place().url()
    }

    /// The identity that it mints for.
    #[must_use]
    pub fn identity(&self) -> &Name {
        &self.principal.identity
    }

    /// The key under which a token for `resource` from this source is kept.
    #[must_use]
    pub fn key(&self, resource: &Resource, extras: &Extras) -> TokenKey {
        let plain = *extras == Extras::NONE;
        let scope = Scope::of(resource, self.authority.place().scope_form());
        let extension = if plain { self.extension.clone() } else { Extension::with(pairs(&self.extra_body), extras) };
        TokenKey::new(Arc::clone(&self.principal), scope, extras, extension)
    }

    /// Its credentials, and what is remembered of them.
    #[must_use]
    pub const fn roster(&self) -> &Roster {
        &self.roster
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
            calendar.note(&self.principal.identity, &held.label, held.credential.expiry(), now, metrics);
        }
    }

    /// Notes where a credential is a new one: what was said of the old one ends with it.
    pub fn follow_all(&self) {
        self.roster.iter().for_each(Held::follow);
    }

    /// Has credentials that rest tried again.
    pub fn forgive_all(&self) {
        self.roster.iter().for_each(|held| held.standing.forgive());
    }

    /// What may be asked of the authority that nobody waits for, or that anybody can demand.
    #[must_use]
    pub const fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    /// How long a whole fetch may take.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Until when there is no use in asking for `scope`, and why: the authority wants to be left alone, or no
    /// credential is to be used.
    #[must_use]
    pub fn resting(&self, scope: &Scope, now: Timestamp) -> Option<(Timestamp, Fault)> {
        self.throttle.stands(scope, now).or_else(|| self.roster.barred(now))
    }

    /// Fetches a token with the credential that worked last, and with the next one when it is rejected or
    /// cannot be used; all within the deadline.
    ///
    /// # Errors
    /// The last fault; a deadline that passed is the authority's.
    pub async fn fetch(&self, wish: Wish<'_>, metrics: &Metrics) -> Result<Token, Fault> {
        let deadline = wish.deadline;
        // Before any credential's turn, so that all who wait share one discovery.
        let find = || within(deadline, self.authority.token_endpoint(wish.request_id, deadline));
        let endpoint = retried(find, wish.jitter, deadline).await;
        let endpoint = endpoint.inspect_err(|fault| self.log_fault("discovery", wish, fault))?;
        let mut last = Fault::new(Kind::Misconfigured, "the identity has no credential", "configure one");
        for candidate in self.roster.order(self.clock.now()) {
            let Some(turn) = self.enter(&candidate, deadline).await? else { continue };
            let attempt = Attempt { held: candidate.held, endpoint: &endpoint, wish, deadline, metrics };
            match turn.spend(self.attempt(attempt)).await {
                Ok(token) => {
                    self.remember(&candidate, metrics);
                    return Ok(token);
                }
                Err(failure) if failure.is_of_credential() => last = failure.fault,
                Err(failure) => return Err(failure.fault),
            }
        }
        Err(last)
    }
}

fn pairs(parameters: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}
