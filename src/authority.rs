//! Who issues: an Entra authority in one tenant, its endpoints found lazily and only once for all askers.
//!
//! A credential is sent only where discovery led without leaving the authority's cloud.

use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use crate::clock::{Clock, Timestamp};
use crate::fault::{Fault, Kind};
use crate::name::{Malformed, TenantId};
use crate::wire::{self, Outgoing, Wire, answer};

pub mod cloud;

/// An authority in one tenant.
#[derive(Debug)]
pub struct Authority {
    base: Url,
    tenant: TenantId,
    instance_discovery: InstanceDiscovery,
    clock: Clock,
    discovery: Mutex<Discovery>,
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

/// What is known of the endpoints.
#[derive(Debug, Default)]
struct Discovery {
    found: Option<(Url, Timestamp)>,
    failed: Option<(Fault, Timestamp)>,
}

impl Authority {
    /// An authority whose base has passed [`parse_base`].
    #[must_use]
    pub fn new(base: Url, tenant: TenantId, instance_discovery: InstanceDiscovery, clock: Clock) -> Self {
        Self { base, tenant, instance_discovery, clock, discovery: Mutex::default() }
    }

    /// Its base URL, which stands for it in keys and logs.
    #[must_use]
    pub fn base(&self) -> &str {
        self.base.as_str()
    }

    /// The token endpoint, from memory or by discovery. Askers at the same time share one discovery and
    /// also its failure; an endpoint that is known stays in use when renewing the knowledge fails.
    ///
    /// # Errors
    /// The discovery's fault.
    pub async fn token_endpoint(&self, wire: &Wire, request_id: &str) -> Result<Url, Fault> {
        let asked_at = self.clock.now();
        let mut discovery = self.discovery.lock().await;
        match &discovery.found {
            Some((endpoint, at)) if asked_at.since(*at) < DISCOVERY_LIFE => return Ok(endpoint.clone()),
            _ => {}
        }
        if let Some((fault, _)) = discovery.failed.as_ref().filter(|(_, at)| *at >= asked_at) {
            return Err(fault.clone());
        }
        match (self.discover(wire, request_id).await, &discovery.found) {
            (Ok(endpoint), _) => {
                *discovery = Discovery { found: Some((endpoint.clone(), self.clock.now())), failed: None };
                Ok(endpoint)
            }
            (Err(fault), Some((endpoint, _))) => {
                tracing::warn!(%fault, "rediscovery failed; the known endpoint stays in use");
                Ok(endpoint.clone())
            }
            (Err(fault), None) => {
                discovery.failed = Some((fault.clone(), self.clock.now()));
                Err(fault)
            }
        }
    }

    async fn discover(&self, wire: &Wire, request_id: &str) -> Result<Url, Fault> {
        let get = async |url: Url| {
            let outgoing = Outgoing { url, form: None, request_id: request_id.to_owned() };
            wire.send(outgoing).await
        };
        if let Some(url) = self.instance_url() {
            let incoming = get(url).await?;
            answer::success::<Instance>(&incoming, self.clock.now(), &[]).map_err(about_discovery)?;
        }
        let incoming = get(self.configuration_url()).await?;
        let configuration: Configuration =
            answer::success(&incoming, self.clock.now(), &[]).map_err(about_discovery)?;
        self.checked(&configuration.token_endpoint)
    }

    /// Where to ask whether the host is an authority at all; none when it is known or trusted. The public
    /// cloud knows nothing of this machine, so it is not asked about loopback.
    fn instance_url(&self) -> Option<Url> {
        let host = self.base.host_str().unwrap_or_default();
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
            let (here, there) = (self.base.host_str().unwrap_or_default(), url.host_str().unwrap_or_default());
            let same_host = here == there && self.base.port_or_known_default() == url.port_or_known_default();
            same_host || (cloud::of(here).is_some() && cloud::of(here) == cloud::of(there))
        };
        match Url::parse(endpoint) {
            Ok(url) if stays(&url) && wire::is_confidential(&url) => Ok(url),
            _ => Err(Fault::new(
                Kind::Misconfigured,
                "the authority's configuration names a token endpoint outside its own host and cloud",
                "check the tenant's 'authority'; a credential is never sent elsewhere",
            )),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(base: &str, instance_discovery: InstanceDiscovery) -> Authority {
        let tenant = TenantId::parse("contoso.com").unwrap();
        Authority::new(parse_base(base).unwrap(), tenant, instance_discovery, Clock::System)
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
}
