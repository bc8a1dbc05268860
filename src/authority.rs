//! Who issues: an authority in one tenant, its endpoints found lazily and only once for all askers.
//!
//! A credential is sent only where discovery led without leaving the authority's cloud.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::clock::{Clock, Deadline, Timestamp};
use crate::fault::{Fault, Kind};
use crate::name::TenantId;
use crate::wire::{self, Outgoing, Wire, answer};

pub mod cloud;
pub mod place;

use place::Place;

/// An authority in one tenant, and the connection to it.
#[derive(Debug)]
pub struct Authority {
    place: Place,
    instance_discovery: InstanceDiscovery,
    wire: Wire,
    clock: Clock,
    knowledge: Mutex<Knowledge>,
    turn: tokio::sync::Mutex<()>,
}

/// Whether a host that is not well known is confirmed before it is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceDiscovery {
    /// Ask this host about it.
    At(Url),
    /// Trust it as it stands: a private cloud, the STS.
    Off,
    /// Ask the public cloud about it.
    Public,
}

/// What discovery has found so far.
#[derive(Debug, Default)]
struct Knowledge {
    endpoint: Option<Url>,
    ask_again_at: Timestamp,
    attempts: u64,
    failed: Option<Fault>,
}

impl Authority {
    /// An authority at `place`, reached over `wire`.
    #[must_use]
    pub fn new(place: Place, instance_discovery: InstanceDiscovery, wire: Wire, clock: Clock) -> Self {
        let (knowledge, turn) = Default::default();
        Self { place, instance_discovery, wire, clock, knowledge, turn }
    }

    /// The same authority in another directory, of which nothing is known yet. Both share connections.
    #[must_use]
    pub fn in_tenant(&self, id: &TenantId) -> Self {
        Self::new(self.place.in_tenant(id), self.instance_discovery.clone(), self.wire.clone(), self.clock.clone())
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
    /// its failure. One that is known is given at once, and looked for again behind when it is old.
    ///
    /// # Errors
    /// The discovery's fault.
    pub async fn token_endpoint(self: &Arc<Self>, request_id: &str, deadline: Deadline) -> Result<Url, Fault> {
        let (known, attempts_before) = self.recall(request_id);
        if let Some(endpoint) = known {
            return Ok(endpoint);
        }
        let _turn = self.turn.lock().await;
        {
            let knowledge = self.knowledge();
            let failed = knowledge.failed.as_ref().filter(|_| knowledge.attempts > attempts_before);
            match (&knowledge.endpoint, failed) {
                (Some(endpoint), _) => return Ok(endpoint.clone()),
                (None, Some(fault)) => return Err(fault.clone()),
                (None, None) => {}
            }
        }
        // A little earlier than the asker's own end, so that those who wait learn of it.
        self.discover_within(deadline.left().mul_f64(0.9), request_id).await
    }

    /// What is known, and after how many attempts. One asker in a while sets off a discovery behind.
    fn recall(self: &Arc<Self>, request_id: &str) -> (Option<Url>, u64) {
        let now = self.clock.now();
        let mut knowledge = self.knowledge();
        if knowledge.endpoint.is_some() && now >= knowledge.ask_again_at {
            knowledge.ask_again_at = now + REDISCOVERY_PAUSE;
            let (authority, request_id) = (Arc::clone(self), request_id.to_owned());
            tokio::spawn(async move {
                if let Err(fault) = authority.discover_within(REDISCOVERY_LIMIT, &request_id).await {
                    tracing::warn!(%fault, inward = fault.inward(), "rediscovery failed; the known endpoint stays in use");
                }
            });
        }
        (knowledge.endpoint.clone(), knowledge.attempts)
    }

    async fn discover_within(&self, limit: Duration, request_id: &str) -> Result<Url, Fault> {
        let found = tokio::time::timeout(limit, self.discover(request_id)).await;
        let found = found.unwrap_or_else(|_| Err(wire::late()));
        let mut knowledge = self.knowledge();
        knowledge.attempts += 1;
        match &found {
            Ok(endpoint) => {
                knowledge.endpoint = Some(endpoint.clone());
                knowledge.ask_again_at = self.clock.now() + DISCOVERY_LIFE;
            }
            Err(fault) => knowledge.failed = Some(fault.clone()),
        }
        found
    }

    async fn discover(&self, request_id: &str) -> Result<Url, Fault> {
        let get = async |url: Url| {
            let outgoing = Outgoing { url, form: None, request_id: request_id.to_owned(), headers: Vec::new() };
            self.wire.send(outgoing).await
        };
        if let Some(url) = self.instance_url() {
            let incoming = get(url).await?;
            answer::success::<Instance>(&incoming, self.clock.now(), &[]).map_err(about_discovery)?;
        }
        let incoming = get(self.place.configuration_url()).await?;
        let configuration: Configuration =
            answer::success(&incoming, self.clock.now(), &[]).map_err(about_discovery)?;
        self.checked(&configuration)
    }

    fn knowledge(&self) -> MutexGuard<'_, Knowledge> {
        // Invariant: no code panics while it holds this lock, and the knowledge is whole between statements.
        self.knowledge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where to ask whether the host is an authority at all; none when it is known or trusted. The public
    /// cloud knows nothing of this machine, so it is not asked about loopback.
    fn instance_url(&self) -> Option<Url> {
        let mut url = match &self.instance_discovery {
            _ if !self.place.is_doubtful() => return None,
            InstanceDiscovery::Off => return None,
            InstanceDiscovery::Public if wire::is_loopback(self.place.url()) => return None,
            InstanceDiscovery::At(url) => url.clone(),
            InstanceDiscovery::Public => Url::parse(PUBLIC).ok()?,
        };
        url.set_path("/common/discovery/instance");
        url.query_pairs_mut()
            .append_pair("api-version", "1.1")
            .append_pair("authorization_endpoint", self.place.authorize_url().as_str());
        Some(url)
    }

    /// The token endpoint, if the document stays with the authority.
    fn checked(&self, document: &Configuration) -> Result<Url, Fault> {
        if !self.place.has_issuer(&document.issuer) {
            return Err(astray("the authority's configuration names an issuer of another host or cloud"));
        }
        let endpoint = Url::parse(&document.token_endpoint).ok().filter(|url| self.place.has_endpoint(url));
        endpoint.ok_or_else(|| {
            astray("the authority's configuration names a token endpoint outside its own host and cloud")
        })
    }
}

fn astray(problem: &'static str) -> Fault {
    Fault::new(Kind::Misconfigured, problem, "check the tenant's 'authority'; no credential is sent there")
}

/// No credential was sent yet, so none can have been rejected, whatever the answer says.
fn about_discovery(mut fault: Fault) -> Fault {
    if fault.kind == Kind::RejectedCredential {
        fault.kind = Kind::Misconfigured;
    }
    fault
}

#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    token_endpoint: String,
}

/// Only its success matters: an unknown host is answered with `invalid_instance`.
#[derive(Deserialize)]
struct Instance {
    #[serde(rename = "tenant_discovery_endpoint")]
    _tenant_discovery_endpoint: String,
}

/// Where unknown hosts are asked about.
const PUBLIC: &str = "https://login.microsoftonline.com";
/// How long an endpoint is believed, as in MSAL.
const DISCOVERY_LIFE: Duration = Duration::from_hours(24);
/// How long an old endpoint is used before it is looked for again.
const REDISCOVERY_PAUSE: Duration = Duration::from_mins(5);
const REDISCOVERY_LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::TenantId;
    use crate::wire::Trust;

    fn authority(url: &str, instance_discovery: InstanceDiscovery) -> Authority {
        let tenant = TenantId::parse("contoso.com").unwrap();
        let place = Place::parse(url, None, Some(&tenant)).unwrap();
        let reach = wire::Reach::Authority;
        let trust = Trust { roots: None, connect_timeout: Duration::from_secs(1), proxy: None, loopback: false, reach };
        Authority::new(place, instance_discovery, Wire::new(trust).unwrap(), Clock::System)
    }

    #[test]
    fn only_unknown_hosts_are_asked_about() {
        let at = InstanceDiscovery::At(Url::parse("https://idp.corp").unwrap());
        for (url, discovery, asks) in [
            ("https://login.microsoftonline.com", InstanceDiscovery::Public, None),
            ("https://login.microsoftonline.us", at.clone(), None),
            ("https://foo.ciamlogin.com", InstanceDiscovery::Public, None),
            ("https://login.corp", InstanceDiscovery::Off, None),
            ("http://127.0.0.1:9", InstanceDiscovery::Public, None),
            ("https://login.corp", InstanceDiscovery::Public, Some("login.microsoftonline.com")),
            ("https://login.corp", at, Some("idp.corp")),
        ] {
            let asked = authority(url, discovery).instance_url();
            assert_eq!(asked.as_ref().and_then(Url::host_str), asks, "{url}");
        }
        let url = authority("https://login.corp:8443", InstanceDiscovery::Public).instance_url().unwrap();
        assert_eq!(
            url.as_str(),
            "https://login.microsoftonline.com/common/discovery/instance?api-version=1.1&authorization_endpoint=https%3A%2F%2Flogin.corp%3A8443%2Fcontoso.com%2Foauth2%2Fv2.0%2Fauthorize"
        );
    }

    #[test]
    fn a_document_that_leads_astray_is_refused() {
        let authority = authority("https://login.corp", InstanceDiscovery::Off);
        let document = |issuer: &str, endpoint: &str| {
            let document = Configuration { issuer: issuer.to_owned(), token_endpoint: endpoint.to_owned() };
            authority.checked(&document).map_err(|fault| fault.kind)
        };
        assert!(document("https://login.corp/t", "https://login.corp/t/token").is_ok());
        assert_eq!(document("https://evil.example", "https://login.corp/t/token"), Err(Kind::Misconfigured));
        assert_eq!(document("https://login.corp/t", "https://evil.example/token"), Err(Kind::Misconfigured));
        assert_eq!(document("https://login.corp/t", "nonsense"), Err(Kind::Misconfigured));
    }
}
