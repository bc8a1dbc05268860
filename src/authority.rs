//! Who issues: an authority in one tenant, its endpoints found lazily and only once for all askers.
//!
//! A credential is sent only where discovery led without leaving the authority's cloud.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::clock::{Clock, Deadline, Span, Timestamp};
use crate::fault::{Fault, Kind};
use crate::freshness::Respite;
use crate::name::TenantId;
use crate::trace;
use crate::wire::failure::Step;
use crate::wire::{self, Outgoing, Wire, answer};

pub mod cloud;
pub mod instance;
pub mod place;
pub mod region;
pub mod site;

use place::Place;
use region::Region;
use site::Site;

pub use instance::InstanceDiscovery;

/// An authority in one tenant, and the connection to it.
#[derive(Debug)]
pub struct Authority {
    place: Place,
    site: Arc<Site>,
    wire: Wire,
    clock: Clock,
    knowledge: Mutex<Knowledge>,
    turn: tokio::sync::Mutex<()>,
}

/// What discovery has found so far.
#[derive(Debug, Default)]
struct Knowledge {
    endpoint: Option<Url>,
    /// For how long the endpoint is not looked for again.
    believed: Span,
    attempts: u64,
    failed: Option<Fault>,
    /// After a failure that does not pass by itself, or with which the authority asked for patience.
    respite: Option<Respite>,
}

impl Knowledge {
    /// The endpoint, or the failure that is not to be repeated yet.
    fn answer(&self, now: Timestamp) -> Option<Result<Url, Fault>> {
        let refusal = || self.respite.as_ref()?.refusal(now).map(Err);
        self.endpoint.clone().map(Ok).or_else(refusal)
    }
}

impl Authority {
    /// An authority at `place`, reached over `wire`. Tenants of one host share `site`.
    #[must_use]
    pub fn new(place: Place, site: Arc<Site>, wire: Wire, clock: Clock) -> Self {
        let (knowledge, turn) = Default::default();
        Self { place, site, wire, clock, knowledge, turn }
    }

    /// The same authority in another directory, of which nothing is known yet. Both share connections, and
    /// what is known of the host.
    #[must_use]
    pub fn in_tenant(&self, id: &TenantId) -> Self {
        Self::new(self.place.in_tenant(id), Arc::clone(&self.site), self.wire.clone(), self.clock.clone())
    }

    /// Where it is, and of what kind.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// The connection to it.
    #[must_use]
    pub const fn wire(&self) -> &Wire {
        &self.wire
    }

    /// The token endpoint, from memory or by discovery. Those who wait for a discovery share it, and also
    /// its failure; one that does not pass in a moment is shared by those who come later too. An endpoint that
    /// is known is given at once, and looked for again behind when it is old.
    ///
    /// # Errors
    /// The discovery's fault.
    pub async fn token_endpoint(self: &Arc<Self>, request_id: &str, deadline: Deadline) -> Result<Url, Fault> {
        let (known, attempts_before) = self.recall(request_id);
        if let Some(answer) = known {
            return answer;
        }
        let _turn = self.turn.lock().await;
        if let Some(answer) = self.learnt_since(attempts_before) {
            return answer;
        }
        // A little earlier than the asker's own end, so that those who wait learn of it.
        self.discover_within(deadline.left().mul_f64(0.9), request_id).await
    }

    /// What is known, and after how many attempts. One asker in a while sets off a discovery behind.
    fn recall(self: &Arc<Self>, request_id: &str) -> (Option<Result<Url, Fault>>, u64) {
        let now = self.clock.now();
        let mut knowledge = self.knowledge();
        if knowledge.endpoint.is_some() && !knowledge.believed.holds(now) {
            knowledge.believed = Span::new(now, REDISCOVERY_PAUSE);
            let (authority, request_id) = (Arc::clone(self), request_id.to_owned());
            tokio::spawn(async move {
                if let Err(fault) = authority.discover_within(REDISCOVERY_LIMIT, &request_id).await {
                    tracing::warn!(%fault, inward = fault.inward(), "rediscovery failed; the known endpoint stays in use");
                }
            });
        }
        (knowledge.answer(now), knowledge.attempts)
    }

    /// What somebody else found out while this one waited.
    fn learnt_since(&self, attempts_before: u64) -> Option<Result<Url, Fault>> {
        let knowledge = self.knowledge();
        let failed = || knowledge.failed.clone().filter(|_| knowledge.attempts > attempts_before);
        knowledge.answer(self.clock.now()).or_else(|| failed().map(Err))
    }

    async fn discover_within(&self, limit: Duration, request_id: &str) -> Result<Url, Fault> {
        let found = tokio::time::timeout(limit, self.discover(request_id)).await;
        let found = found.unwrap_or_else(|_| Err(wire::late()));
        let now = self.clock.now();
        let mut knowledge = self.knowledge();
        knowledge.attempts += 1;
        match &found {
            Ok((endpoint, life)) => {
                knowledge.endpoint = Some(endpoint.clone());
                knowledge.believed = Span::new(now, *life);
                knowledge.respite = None;
            }
            Err(fault) => {
                knowledge.failed = Some(fault.clone());
                knowledge.respite = (!fault.is_transient()).then(|| Respite::of(fault, now));
            }
        }
        found.map(|(endpoint, _)| endpoint)
    }

    /// The token endpoint, and for how long it is believed.
    async fn discover(&self, request_id: &str) -> Result<(Url, Duration), Fault> {
        let (place, site, now) = (&self.place, &self.site, self.clock.now());
        let aliases = site.instance.aliases(place, &self.wire, now, request_id).await?;
        let region = site.region.region(now, request_id).await;
        let url = self.nearby(place.configuration_url(), region.as_ref());
        let (request_id, span) = (request_id.to_owned(), trace::outgoing("discovery"));
        let outgoing = Outgoing { url, content: None, request_id, headers: Vec::new(), span };
        let read = |incoming| answer::document::<Configuration>(&incoming, now, Step::Configuration);
        let configuration = self.wire.send(outgoing).await.and_then(read);
        // A region that does not exist looks like a network that fails.
        let configuration = configuration.map_err(|fault| match &region {
            Some(region) => fault.about(&format!("in region {}", region.as_str())),
            None => fault,
        })?;
        let endpoint = self.checked(&configuration, &aliases)?;
        let life = site.region.pause(region.as_ref()).unwrap_or(DISCOVERY_LIFE);
        Ok((self.nearby(endpoint, region.as_ref()), life))
    }

    fn nearby(&self, url: Url, region: Option<&Region>) -> Url {
        match region {
            Some(region) => self.place.in_region(url, region),
            None => url,
        }
    }

    fn knowledge(&self) -> MutexGuard<'_, Knowledge> {
        // Invariant: no code panics while it holds this lock, and the knowledge is whole between statements.
        self.knowledge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token endpoint, if the document stays with the authority under any of its names.
    fn checked(&self, document: &Configuration, aliases: &[Place]) -> Result<Url, Fault> {
        let is_ours = |fits: &dyn Fn(&Place) -> bool| std::iter::once(&self.place).chain(aliases).any(fits);
        let issuer = self.filled(&document.issuer);
        if !is_ours(&|place| place.has_issuer(&issuer)) {
            return Err(astray("the authority's configuration names an issuer of another host or cloud"));
        }
        let endpoint = Url::parse(&self.filled(&document.token_endpoint)).ok();
        endpoint.filter(|url| is_ours(&|place| place.has_endpoint(url))).ok_or_else(|| {
            astray("the authority's configuration names a token endpoint outside its own host and cloud")
        })
    }

    /// `text` with the tenant where some documents leave a place for it.
    fn filled(&self, text: &str) -> String {
        let tenant = self.place.tenant().as_str();
        text.replace("{tenantid}", tenant).replace("{tenant}", tenant)
    }
}

fn astray(problem: &'static str) -> Fault {
    Fault::new(Kind::Misconfigured, problem, "check the tenant's 'authority'; no credential is sent there")
}

#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    token_endpoint: String,
}

/// How long an endpoint is believed, as in MSAL.
const DISCOVERY_LIFE: Duration = Duration::from_hours(24);
/// How long an old endpoint is used before it is looked for again.
const REDISCOVERY_PAUSE: Duration = Duration::from_mins(5);
const REDISCOVERY_LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::TenantId;
    use crate::wire::{System, Trust};

    fn authority(url: &str) -> Authority {
        let tenant = TenantId::parse("contoso.com").unwrap();
        let place = Place::parse(url, None, Some(&tenant)).unwrap();
        let reach = wire::Reach::Authority;
        let trust = Trust {
            roots: System::default().or(None),
            connect_timeout: Duration::from_secs(1),
            proxy: None,
            loopback: false,
            reach,
        };
        let site = Arc::new(Site::new(InstanceDiscovery::Off, region::Choice::Central));
        Authority::new(place, site, Wire::new(trust).unwrap(), Clock::System)
    }

    #[test]
    fn a_document_that_leads_astray_is_refused() {
        let authority = authority("https://login.corp");
        let alias = authority.place.known_as("sts.corp").unwrap();
        let checked = |issuer: &str, endpoint: &str, aliases: &[Place]| {
            let document = Configuration { issuer: issuer.to_owned(), token_endpoint: endpoint.to_owned() };
            authority.checked(&document, aliases).map_err(|fault| fault.kind)
        };
        let document = |issuer: &str, endpoint: &str| checked(issuer, endpoint, &[]);
        assert!(document("https://login.corp/t", "https://login.corp/t/token").is_ok());
        assert_eq!(document("https://evil.example", "https://login.corp/t/token"), Err(Kind::Misconfigured));
        assert_eq!(document("https://login.corp/t", "https://evil.example/token"), Err(Kind::Misconfigured));
        assert_eq!(document("https://login.corp/t", "nonsense"), Err(Kind::Misconfigured));
        assert_eq!(document("https://login.corp/t", "https://sts.corp/t/token"), Err(Kind::Misconfigured));
        let known = std::slice::from_ref(&alias);
        assert!(checked("https://sts.corp/t", "https://sts.corp/t/token", known).is_ok());
        assert!(checked("https://sts.corp/t", "https://evil.example/token", known).is_err());
    }

    #[test]
    fn the_tenant_goes_where_it_belongs() {
        let authority = authority("https://login.corp");
        for name in ["{tenantid}", "{tenant}"] {
            let document = Configuration {
                issuer: format!("https://login.corp/{name}/v2.0"),
                token_endpoint: format!("https://login.corp/{name}/oauth2/v2.0/token"),
            };
            let endpoint = authority.checked(&document, &[]).unwrap();
            assert_eq!(endpoint.as_str(), "https://login.corp/contoso.com/oauth2/v2.0/token");
        }
    }
}
