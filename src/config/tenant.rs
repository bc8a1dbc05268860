//! Reads the tenants: directories and the authorities that issue for them.

use std::time::Duration;

use config::{Value, ValueKind};
use url::Url;

use super::secret::Surroundings;
use super::section::{Section, duration, parsed};
use crate::authority::{InstanceDiscovery, cloud, parse_base};
use crate::fault::Fault;
use crate::name::{Malformed, Name, TenantId};
use crate::policy;
use crate::wire::{Trust, Wire, is_loopback};

/// A directory and how its authority is reached.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its name and id.
    pub tenant: policy::Tenant,
    /// The authority's base URL.
    pub base: Url,
    /// Whether the host is confirmed first.
    pub instance_discovery: InstanceDiscovery,
    /// The connection.
    pub wire: Wire,
    /// The deadline of a whole flight.
    pub timeout: Duration,
}

/// Reads one tenant.
pub fn read(name: &str, mut section: Section<'_>, surroundings: Surroundings<'_>) -> Option<Tenant> {
    let parsed_name =
        Name::parse(name).map_err(|malformed| section.note("", malformed.to_string(), "rename the tenant"));
    let id = section.required("id", "give the tenant's GUID or a domain name of it", parsed(TenantId::parse));
    let base = section.or("authority", None, |value| parsed(parse_base)(value).map(Some));
    let base = base.or_else(|| parse_base(PUBLIC).ok());
    section.optional("kind", parsed(entra));
    let instance_discovery = section.or("instance_discovery", InstanceDiscovery::Public, instance_discovery);
    let has_roots = section.has("ca_file");
    let roots = has_roots.then(|| roots(&mut section, surroundings)).flatten();
    let connect_timeout = section.or("connect_timeout", Duration::from_secs(5), duration(SHORTEST));
    let timeout = section.or("timeout", Duration::from_secs(30), duration(SHORTEST));
    let asks_in_vain = |base: &Url| {
        let known = cloud::of(base.host_str().unwrap_or_default()).is_some() || is_loopback(base);
        has_roots && !known && instance_discovery == InstanceDiscovery::Public
    };
    if base.as_ref().is_some_and(asks_in_vain) {
        let problem = "the public cloud would be asked about this host, and 'ca_file' does not trust it";
        section.note("instance_discovery", problem, "say false to trust the host as it stands, or where to ask");
    }
    let wire = base.as_ref().and_then(|base| {
        let trust = Trust { roots, connect_timeout, loopback: is_loopback(base) };
        let unusable = |fault: Fault| {
            let why = fault.inward().unwrap_or("no TLS client can be made").to_owned();
            section.note("ca_file", why, "name a PEM file of CA certificates, or install the system's");
        };
        Wire::new(trust).map_err(unusable).ok()
    });
    section.end();
    let (name, id, base, wire) = (parsed_name.ok()?, id?, base?, wire?);
    Some(Tenant { tenant: policy::Tenant { name, id }, base, instance_discovery, wire, timeout })
}

fn roots(section: &mut Section<'_>, surroundings: Surroundings<'_>) -> Option<Vec<reqwest::Certificate>> {
    let pem = surroundings.bytes(section, "ca_file", "name a PEM file")?;
    let roots = reqwest::Certificate::from_pem_bundle(&pem).ok().filter(|roots| !roots.is_empty());
    if roots.is_none() {
        section.note("ca_file", "the file holds no certificate that can be read", "name a PEM file of CA certificates");
    }
    roots
}

fn instance_discovery(value: Value) -> Result<InstanceDiscovery, Malformed> {
    match value.kind {
        ValueKind::Boolean(true) => Ok(InstanceDiscovery::Public),
        ValueKind::Boolean(false) => Ok(InstanceDiscovery::Off),
        ValueKind::String(url) => parse_base(&url).map(InstanceDiscovery::At),
        _ => Err(Malformed("this must be true, false or a URL")),
    }
}

fn entra(text: &str) -> Result<(), Malformed> {
    if text == "entra" { Ok(()) } else { Err(Malformed("the only kind of authority is entra")) }
}

const PUBLIC: &str = "https://login.microsoftonline.com";
const SHORTEST: Duration = Duration::from_millis(100);
