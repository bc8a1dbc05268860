//! Reads the tenants: directories and the authorities that issue for them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use config::{Value, ValueKind};
use url::Url;
use zeroize::Zeroizing;

use super::key::Key;
use super::mistake::Report;
use super::secret::Surroundings;
use super::section::{Section, duration, parsed, text};
use super::{region, spelling};
use crate::authority::InstanceDiscovery;
use crate::authority::place::{Kind, Place, parse_url};
use crate::authority::site::Site;
use crate::fault::Fault;
use crate::name::{Malformed, Name, TenantId};
use crate::policy;
use crate::token::Descent;
use crate::wire::request::is_ours;
use crate::wire::{Reach, Trust, Wire, is_loopback};

/// A directory and how its authority is reached.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its name and id.
    pub tenant: policy::Tenant,
    /// Where its authority is, and of what kind.
    pub place: Place,
    /// Its host: whether it is confirmed first, and in which region it is asked.
    pub site: Arc<Site>,
    /// The connection.
    pub wire: Wire,
    /// Further parameters of every token request.
    pub extra_body: Arc<[(String, String)]>,
    /// The deadline of a whole flight.
    pub timeout: Duration,
    /// All that is written of it, and what its certificates are: equal where nothing is another.
    pub whole: Descent,
}

/// Notes tenants that are called as another one's id: who asks for that could mean either, and a caller that may
/// ask in one of them would be let into the other.
pub fn check_distinct(tenants: &HashMap<String, Option<Arc<Tenant>>>, report: &Report) {
    let known = tenants.values().flatten().filter_map(|one| Some((one.tenant.name.as_ref()?, &one.tenant.id)));
    let mut known: Vec<(&Name, &TenantId)> = known.collect();
    known.sort_by_key(|(name, _)| *name);
    for (name, _) in &known {
        let is_id =
            |(other, id): &&(&Name, &TenantId)| other != name && id.as_str().eq_ignore_ascii_case(name.as_str());
        if let Some((other, _)) = known.iter().find(is_id) {
            let problem = format!("its name is the id of tenants.{other}");
            report.note(format!("tenants.{name}"), problem, "give it another name");
        }
    }
}

/// Reads one tenant. `own` are our own listeners, which are not asked for anything.
pub fn read(
    name: &str,
    mut section: Section<'_>,
    surroundings: Surroundings<'_>,
    own: &[SocketAddr],
) -> Option<Tenant> {
    let is_any = name == ANY;
    let written = section.rest();
    let note = |malformed: Malformed| section.note("", malformed.to_string(), "rename the tenant");
    let parsed_name = if is_any { Ok(None) } else { Name::parse(name).map(Some).map_err(note) };
    let place = read_place(&mut section, is_any);
    let instance_discovery = section.or("instance_discovery", instance_discovery);
    let has_roots = section.has("ca_file");
    let (roots, pem) = has_roots.then(|| roots(&mut section, surroundings)).flatten().unzip();
    let connect_timeout = section.or("connect_timeout", duration(SHORTEST));
    let timeout = section.or("timeout", duration(SHORTEST));
    let proxy = section.optional("proxy", parsed(proxy_url));
    let region = region::read(&mut section, place.as_ref(), surroundings, own);
    let extra_body = extra_body(&mut section);
    let asks_in_vain = |place: &Place| {
        let doubtful = place.is_doubtful() && !is_loopback(place.url());
        has_roots && doubtful && instance_discovery == InstanceDiscovery::Public
    };
    if place.as_ref().is_some_and(asks_in_vain) {
        let problem = "the public cloud would be asked about this host, and 'ca_file' does not trust it";
        section.note("instance_discovery", problem, "say false to trust the host as it stands, or where to ask");
    }
    let wire = place.as_ref().and_then(|place| {
        let (loopback, reach) = (is_loopback(place.url()), Reach::Authority);
        let roots = surroundings.system.or(roots);
        let trust = Trust { roots, connect_timeout, proxy, loopback, reach };
        let unusable = |fault: Fault| {
            let why = fault.inward().unwrap_or("no TLS client can be made").to_owned();
            section.note("ca_file", why, "name a PEM file of CA certificates, or install the system's");
        };
        Wire::new(trust).map_err(unusable).ok()
    });
    section.end();
    let (name, place, wire) = (parsed_name.ok()?, place?, wire?);
    let tenant = policy::Tenant { name, id: place.tenant().clone() };
    let site = Arc::new(Site::new(instance_discovery, region));
    let whole = spelling::descent(&written, &[], &[pem.as_deref().map_or(&[][..], Vec::as_slice)]);
    Some(Tenant { tenant, place, site, wire, extra_body, timeout, whole })
}

/// The authority's place, of `authority`, `kind` and `id` together.
fn read_place(section: &mut Section<'_>, is_any: bool) -> Option<Place> {
    let id_was_written = section.has("id");
    let id = section.optional("id", parsed(TenantId::parse));
    let kind_was_written = section.has("kind");
    let kind = section.optional("kind", parsed(Kind::parse));
    let url = section.or("authority", text);
    if is_any && id_was_written {
        section.note(
            "id",
            "this section is for any tenant that a caller names",
            "remove the id, or rename the section",
        );
    }
    // Of an id that was written and is none, it is not told that it is missing too.
    let misplaced = |malformed: Malformed| {
        let key = if id.is_none() && malformed.to_string().contains("give its 'id'") { "id" } else { "authority" };
        section.note_none(key, &malformed.to_string(), "correct the authority, its kind or the tenant's id");
    };
    if kind_was_written && kind.is_none() {
        // What else it has to be depends on its kind.
        parse_url(&url).map_err(misplaced).ok();
        return None;
    }
    let place = if is_any { Place::pattern(&url, kind) } else { Place::parse(&url, kind, id.as_ref()) };
    place.map_err(misplaced).ok().filter(|_| id.is_some() || !id_was_written)
}

/// The certificates in the `ca_file` of the section.
pub(super) fn roots(section: &mut Section<'_>, surroundings: Surroundings<'_>) -> Option<Roots> {
    let pem = surroundings.bytes(section, "ca_file", "name a PEM file")?;
    let roots = reqwest::Certificate::from_pem_bundle(&pem).ok().filter(|roots| !roots.is_empty());
    if roots.is_none() {
        section.note("ca_file", "the file holds no certificate that can be read", "name a PEM file of CA certificates");
    }
    roots.map(|roots| (roots, pem))
}

/// Certificates to trust, as they were read and as they were written.
pub(super) type Roots = (Vec<reqwest::Certificate>, Zeroizing<Vec<u8>>);

fn extra_body(section: &mut Section<'_>) -> Arc<[(String, String)]> {
    let mut pairs = Vec::new();
    for (name, value) in section.table("extra_body") {
        let key = format!("extra_body.{name}");
        match text(value) {
            _ if is_ours(&name) => section.note(&key, "this parameter is Bursar's own to set", "remove it"),
            Ok(text) => pairs.push((name, text)),
            Err(malformed) => section.note(&key, malformed.to_string(), "write it as text"),
        }
    }
    pairs.into()
}

/// A password in it would stand in the configuration, so there is none.
fn proxy_url(text: &str) -> Result<Url, Malformed> {
    let plain =
        |url: &Url| matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    let url = Url::parse(text).ok().filter(plain);
    url.ok_or(Malformed("a proxy is an http or https URL without a user and password"))
}

fn instance_discovery(value: Value) -> Result<InstanceDiscovery, Malformed> {
    match value.kind {
        ValueKind::Boolean(true) => Ok(InstanceDiscovery::Public),
        ValueKind::Boolean(false) => Ok(InstanceDiscovery::Off),
        ValueKind::String(url) => parse_url(&url).map(InstanceDiscovery::At),
        _ => Err(Malformed("this must be true, false or a URL")),
    }
}

/// The name of the section for tenants that only a caller names.
pub const ANY: &str = "*";
/// What `[tenants.NAME]` has.
pub const KEYS: &[Key] = &[
    Key::said(
        "id",
        "required for Entra",
        "the tenant's GUID or a domain name of it; other kinds have it in the authority or need none",
    ),
    Key::text(
        "authority",
        "https://login.microsoftonline.com",
        "the URL of the authority; plain http on loopback only",
    ),
    Key::said("kind", "follows from the URL", "`entra`, `ciam`, `b2c`, `adfs` or `oidc`"),
    Key::value(
        "instance_discovery",
        "true",
        "`true`: a host that is neither well known nor loopback is confirmed with the public cloud before anything is \
         sent to it, and its other names are learned. `false`: it is trusted as it stands (private clouds, the STS). A \
         URL: it is confirmed there",
    ),
    Key::optional(
        "region",
        "ask a well-known host of Entra in this Azure region, such as `\"westeurope\"`; `\"auto\"` finds the region of \
         this machine. Only some applications may; see below",
    ),
    Key::said("ca_file", "the system's", "PEM certificates to trust instead"),
    Key::said(
        "proxy",
        "what the environment says",
        "the URL of an http proxy, without user and password; `NO_PROXY` is honoured",
    ),
    Key::value("extra_body", "{}", "further parameters of every token request; tokens are kept apart by them"),
    Key::text("connect_timeout", "5s", "for one connection"),
    Key::text("timeout", "30s", "for a whole flight: discovery, the quick retry and further credentials included"),
];
const SHORTEST: Duration = Duration::from_millis(100);
