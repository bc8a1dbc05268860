//! Who issues: an Entra authority in one tenant, its endpoints found lazily and only once for all askers.
//!
//! A credential is sent only where discovery led without leaving the authority's cloud.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::clock::{Clock, Deadline, Timestamp};
use crate::fault::{Fault, Kind};
use crate::name::{Malformed, TenantId};
use crate::wire::{self, Outgoing, Wire, answer};

pub mod cloud;

/// An authority in one tenant, and the connection to it.
#[derive(Debug)]
pub struct Authority {
    base: Url,
    tenant: TenantId,
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
    /// An authority whose base has passed [`parse_base`], reached over `wire`.
    #[must_use]
    pub fn new(base: Url, tenant: TenantId, instance_discovery: InstanceDiscovery, wire: Wire, clock: Clock) -> Self {
        let (knowledge, turn) = Default::default();
        Self { base, tenant, instance_discovery, wire, clock, knowledge, turn }
    }

    /// Its base URL, which stands for it in keys and logs.
    #[must_use]
    pub fn base(&self) -> &str {
        self.base.as_str()
    }

    /// The tenant that it issues for.
    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
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
            let outgoing = Outgoing { url, form: None, request_id: request_id.to_owned() };
            self.wire.send(outgoing).await
        };
        if let Some(url) = self.instance_url() {
            let incoming = get(url).await?;
            answer::success::<Instance>(&incoming, self.clock.now(), &[]).map_err(about_discovery)?;
        }
        let incoming = get(self.configuration_url()).await?;
        let configuration: Configuration =
            answer::success(&incoming, self.clock.now(), &[]).map_err(about_discovery)?;
        self.check_issuer(&configuration.issuer)?;
        self.checked(&configuration.token_endpoint)
    }

    fn knowledge(&self) -> MutexGuard<'_, Knowledge> {
        // Invariant: no code panics while it holds this lock, and the knowledge is whole between statements.
        self.knowledge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where to ask whether the host is an authority at all; none when it is known or trusted. The public
    /// cloud knows nothing of this machine, so it is not asked about loopback.
    fn instance_url(&self) -> Option<Url> {
        let host = self.host();
        let mut url = match &self.instance_discovery {
            InstanceDiscovery::Off => return None,
            _ if cloud::of(host).is_some() => return None,
            InstanceDiscovery::Public if wire::is_loopback(&self.base) => return None,
            InstanceDiscovery::At(url) => url.clone(),
            InstanceDiscovery::Public => Url::parse(PUBLIC).ok()?,
        };
        let mut authorize = self.base.clone();
        authorize.set_path(&format!("/{}/oauth2/v2.0/authorize", self.tenant.as_str()));
        url.set_path("/common/discovery/instance");
        url.query_pairs_mut()
            .append_pair("api-version", "1.1")
            .append_pair("authorization_endpoint", authorize.as_str());
        Some(url)
    }

    fn configuration_url(&self) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/{}/v2.0/.well-known/openid-configuration", self.tenant.as_str()));
        url
    }

    /// The token endpoint, unless it leaves the authority's host and cloud.
    fn checked(&self, endpoint: &str) -> Result<Url, Fault> {
        let stays = |url: &Url| {
            let (here, there) = (self.host(), url.host_str().unwrap_or_default());
            let same_host = here == there && self.base.port_or_known_default() == url.port_or_known_default();
            same_host || (cloud::of(here).is_some() && cloud::of(here) == cloud::of(there))
        };
        let url = Url::parse(endpoint).ok().filter(|url| stays(url) && wire::is_confidential(url));
        url.ok_or_else(|| astray("the authority's configuration names a token endpoint outside its own host and cloud"))
    }

    /// The issuer must be the authority's own host, or an Entra host: of the same cloud when the
    /// authority's host is known, of any when it is a private name for one.
    fn check_issuer(&self, issuer: &str) -> Result<(), Fault> {
        let belongs = |url: &Url| {
            let (here, there) = (self.host(), url.host_str().unwrap_or_default());
            let known =
                cloud::of(there).is_some() && (cloud::of(here).is_none() || cloud::of(here) == cloud::of(there));
            here == there || known
        };
        match Url::parse(issuer) {
            Ok(url) if belongs(&url) && wire::is_confidential(&url) => Ok(()),
            _ => Err(astray("the authority's configuration names an issuer of another host or cloud")),
        }
    }

    fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
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

/// Reads the base URL of an Entra authority: a scheme, a host, perhaps a port, and nothing else.
///
/// # Errors
/// [`Malformed`] says which rule was broken.
pub fn parse_base(text: &str) -> Result<Url, Malformed> {
    let url =
        Url::parse(text).map_err(|_| Malformed("an authority is a URL such as https://login.microsoftonline.com"))?;
    if !wire::is_confidential(&url) {
        return Err(Malformed("an authority is reached over https; plain http is for loopback only"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(Malformed("an authority has no user, query or fragment"));
    }
    if url.path() != "/" {
        return Err(Malformed("an authority has no path; the tenant goes into 'id'"));
    }
    let host = url.host_str().unwrap_or_default();
    if host.ends_with(".ciamlogin.com") || host.contains(".b2clogin.") {
        return Err(Malformed("only Entra authorities are served, not External ID or B2C"));
    }
    Ok(url)
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

    fn authority(base: &str, instance_discovery: InstanceDiscovery) -> Authority {
        let tenant = TenantId::parse("contoso.com").unwrap();
        let trust = wire::Trust { roots: None, connect_timeout: Duration::from_secs(1), loopback: false };
        let wire = Wire::new(trust).unwrap();
        Authority::new(parse_base(base).unwrap(), tenant, instance_discovery, wire, Clock::System)
    }

    #[test]
    fn a_base_is_a_confidential_host_and_nothing_else() {
        for good in
            ["https://login.microsoftonline.com", "https://login.partner.microsoftonline.cn/", "http://127.0.0.1:9"]
        {
            assert!(parse_base(good).is_ok(), "{good}");
        }
        for bad in [
            "login.microsoftonline.com",
            "http://login.microsoftonline.com",
            "https://login.microsoftonline.com/contoso",
            "https://u:p@login.microsoftonline.com",
            "https://login.microsoftonline.com?x",
            "https://contoso.ciamlogin.com",
        ] {
            assert!(parse_base(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_unknown_hosts_are_asked_about() {
        let at = InstanceDiscovery::At(Url::parse("https://idp.corp").unwrap());
        for (base, discovery, asks) in [
            ("https://login.microsoftonline.com", InstanceDiscovery::Public, None),
            ("https://login.microsoftonline.us", InstanceDiscovery::Public, None),
            ("https://login.corp", InstanceDiscovery::Off, None),
            ("http://127.0.0.1:9", InstanceDiscovery::Public, None),
            ("https://login.corp", InstanceDiscovery::Public, Some("login.microsoftonline.com")),
            ("https://login.corp", at, Some("idp.corp")),
        ] {
            let url = authority(base, discovery).instance_url();
            assert_eq!(url.as_ref().and_then(Url::host_str), asks, "{base}");
        }
        let url = authority("https://login.corp:8443", InstanceDiscovery::Public).instance_url().unwrap();
        assert_eq!(
            url.as_str(),
            "https://login.microsoftonline.com/common/discovery/instance?api-version=1.1&authorization_endpoint=https%3A%2F%2Flogin.corp%3A8443%2Fcontoso.com%2Foauth2%2Fv2.0%2Fauthorize"
        );
    }

    #[test]
    fn a_credential_never_leaves_the_cloud() {
        for (base, endpoint, fine) in [
            ("https://login.corp", "https://login.corp/t/oauth2/v2.0/token", true),
            ("https://login.corp", "https://login.corp:444/t/oauth2/v2.0/token", false),
            ("https://login.corp", "http://login.corp/t", false),
            ("https://login.corp", "https://login.microsoftonline.com/t", false),
            ("https://login.windows.net", "https://login.microsoftonline.com/t", true),
            ("https://login.microsoftonline.us", "https://login.microsoftonline.com/t", false),
            ("https://login.corp", "nonsense", false),
        ] {
            assert_eq!(authority(base, InstanceDiscovery::Off).checked(endpoint).is_ok(), fine, "{base} {endpoint}");
        }
    }

    #[test]
    fn an_issuer_belongs_to_the_host_or_the_cloud() {
        for (base, issuer, fine) in [
            ("https://login.microsoftonline.com", "https://sts.windows.net/t/", true),
            ("https://login.microsoftonline.com", "https://login.microsoftonline.com/t/v2.0", true),
            ("https://login.microsoftonline.us", "https://login.microsoftonline.com/t/v2.0", false),
            ("https://login.corp", "https://login.corp/t/v2.0", true),
            ("https://login.corp", "https://login.microsoftonline.us/t/v2.0", true),
            ("https://login.corp", "https://evil.example/t", false),
            ("https://login.corp", "http://login.corp/t", false),
            ("https://login.corp", "", false),
        ] {
            assert_eq!(authority(base, InstanceDiscovery::Off).check_issuer(issuer).is_ok(), fine, "{base} {issuer}");
        }
    }
}
