//! Reads `[callers.NAME]`: who may ask, what proves them, and what they may have.

use std::convert::Infallible;
use std::num::NonZeroU32;

use super::identity::{self, Identity};
use super::key::Key;
use super::mistake::Report;
use super::secret::{self, Surroundings};
use super::section::{Section, count, parsed, text};
use super::server::{Origin, header_secrets};
use super::tenant::ANY;
use crate::caller::account::AccountRule;
use crate::caller::glob::Glob;
use crate::caller::proof::UserRule;
use crate::caller::subject::SubjectRule;
use crate::caller::{Means, Proof, is_shaped_as_token};
use crate::credential::ClientSecret;
use crate::name::{FmiPath, Malformed, Name, TenantId};
use crate::policy::entitlement::{Entitlement, Identities, Mode};
use crate::policy::{self, Resources};

/// A caller, what proves it, and what policy knows of it.
#[derive(Debug)]
pub struct Caller {
    /// What policy goes by.
    pub entitlement: Entitlement,
    /// What it is recognised by.
    pub proof: Proof,
    /// The header secrets that it shows, where they are its proof; each is read again when its file changes.
    pub secrets: Vec<ClientSecret>,
    /// Where each of them lies, for `bursar env`.
    pub origins: Vec<Origin>,
    /// How many requests a second it may make.
    pub rate: Option<NonZeroU32>,
}

/// What proves a caller, with its secrets and where they lie.
type Proven = (Proof, Vec<ClientSecret>, Vec<Origin>);

/// Reads one caller, and by what means it is known, also where something else about it is wrong. What it names is
/// looked for later, by [`check`].
pub fn read(name: &str, mut section: Section<'_>, surroundings: Surroundings<'_>) -> Option<(Means, Option<Caller>)> {
    let note = |malformed: Malformed| section.note("", malformed.to_string(), "rename the caller");
    let name = Name::parse(name).map_err(note).ok();
    let proven = proof(&mut section, surroundings);
    let identities = identities(&mut section);
    let resources = identity::read_resources(&mut section);
    let tenants = tenants(&mut section);
    let fmi_paths = section.items("fmi_paths", "write each path by itself", fmi_path);
    let default_identity = section.optional("default_identity", parsed(Name::parse));
    let mode = section.or("mode", parsed(mode));
    let rate = section.optional("rate", count(1..=1_000_000)).and_then(NonZeroU32::new);
    section.end();
    let (means, proven) = proven?;
    let caller = || {
        let ((proof, secrets, origins), caller) = (proven?, name?);
        let (identities, resources) = (identities?, resources?);
        let entitlement = Entitlement { caller, identities, default_identity, tenants, resources, fmi_paths, mode };
        Some(Caller { entitlement, proof, secrets, origins, rate })
    };
    Some((means, caller()))
}

fn identities(section: &mut Section<'_>) -> Option<Identities> {
    let missing = "list the identities that it may use, or [\"*\"]";
    let name = |text: &str| if text == ANY { Ok(None) } else { Name::parse(text).map(Some) };
    let listed = section.some_items("identities", Some(missing), "name an identity of the configuration", name)?;
    if is_any(section, "identities", &listed, Option::is_none) {
        return Some(Identities::Any);
    }
    Some(Identities::Listed(listed.into_iter().flatten().collect()))
}

/// Those that are listed; none where any is meant.
fn tenants(section: &mut Section<'_>) -> Option<Vec<String>> {
    let listed = section.some_items("tenants", None, "name a tenant or its id", tenant)?;
    let is_any = is_any(section, "tenants", &listed, |tenant| tenant == ANY);
    (!is_any).then_some(listed)
}

/// Whether `"*"` is in the list, where it must stand alone.
fn is_any<T>(section: &Section<'_>, key: &str, listed: &[T], is_star: impl Fn(&T) -> bool) -> bool {
    let has_star = listed.iter().any(is_star);
    if has_star && listed.len() > 1 {
        section.note(key, "\"*\" stands beside others", "write it alone, or not at all");
    }
    has_star
}

/// Each place in an application's tree is granted by itself; a pattern would look like more than it is.
fn fmi_path(text: &str) -> Result<FmiPath, Malformed> {
    if text == ANY { Err(Malformed("\"*\" means no path")) } else { FmiPath::parse(text) }
}

fn tenant(text: &str) -> Result<String, Malformed> {
    let fits = text == ANY || Name::parse(text).is_ok() || TenantId::parse(text).is_ok();
    fits.then(|| text.to_owned()).ok_or(Malformed("a tenant is a name, a GUID or a domain name"))
}

fn mode(text: &str) -> Result<Mode, Malformed> {
    match text {
        "audit" => Ok(Mode::Audit),
        "enforce" => Ok(Mode::Enforce),
        _ => Err(Malformed("a mode is enforce or audit")),
    }
}

/// By what means it is proved, and with what, if that is well-formed.
fn proof(section: &mut Section<'_>, surroundings: Surroundings<'_>) -> Option<(Means, Option<Proven>)> {
    let mut section = section.required_section("proof", KINDS)?;
    let kind = section.required("kind", KINDS, text)?;
    let unknown = |_| section.note("kind", "the kind is unknown", KINDS);
    let means = means(&kind).map_err(unknown).ok()?;
    let bare = |proof| (proof, Vec::new(), Vec::new());
    let proven = match means {
        Means::HeaderSecret => by_secret(&mut section, surroundings),
        Means::Loopback => Some(bare(Proof::Loopback)),
        Means::Mtls => by_certificate(&mut section).map(Proof::Mtls).map(bare),
        Means::ServiceAccount => by_account(&mut section).map(Proof::ServiceAccount).map(bare),
        Means::Unix => by_user(&mut section).map(Proof::Unix).map(bare),
    };
    section.end();
    Some((means, proven))
}

/// One secret, or a list of them for rotation.
fn by_secret(section: &mut Section<'_>, surroundings: Surroundings<'_>) -> Option<Proven> {
    let is_list = section.has("secrets");
    let listed = section.list("secrets");
    let (values, origins) = if is_list {
        for key in ["file", "env"] {
            if section.optional(key, Ok::<_, Infallible>).is_some() {
                section.note(key, "it stands beside the list 'secrets'", "write it into the list");
            }
        }
        header_secrets(listed, surroundings)
    } else {
        let origin = Origin::peek(section, surroundings);
        let value = surroundings.header_secret(section)?;
        (vec![value], vec![origin?])
    };
    if values.is_empty() {
        section.note_none("secrets", "the list is empty", "name a file with secrets = [{ file = \"...\" }]");
        return None;
    }
    let imprints = values.iter().map(crate::secret::Secret::imprint).collect();
    let secrets = values.into_iter().zip(&origins).map(|(value, origin)| ClientSecret::new(value, origin.file()));
    Some((Proof::HeaderSecret(imprints), secrets.collect(), origins))
}

fn by_account(section: &mut Section<'_>) -> Option<AccountRule> {
    let is_named = section.has("namespace") || section.has("service_account");
    let mut glob = |key| section.optional(key, parsed(Glob::parse));
    let (namespace, service_account, pod, node) =
        (glob("namespace"), glob("service_account"), glob("pod"), glob("node"));
    let unfit = |malformed: Malformed| {
        if !is_named {
            section.note_none("", &malformed.to_string(), "write 'namespace' and 'service_account'");
        }
    };
    AccountRule::new(namespace, service_account, pod, node).map_err(unfit).ok()
}

fn by_certificate(section: &mut Section<'_>) -> Option<SubjectRule> {
    let is_named = ["spiffe_id", "dns_name", "subject"].iter().any(|key| section.has(key));
    let spiffe_id = section.optional("spiffe_id", parsed(spiffe_id));
    let dns_name = section.optional("dns_name", parsed(|text| Glob::parse(&text.to_ascii_lowercase())));
    let subject = section.optional("subject", parsed(distinguished_name));
    if !is_named {
        let remedy = "write 'spiffe_id', 'dns_name' or 'subject'; \"*\" in the first two stands for anything";
        section.note_none("", "any certificate would do", remedy);
    }
    let is_rule = spiffe_id.is_some() || dns_name.is_some() || subject.is_some();
    is_rule.then_some(SubjectRule { spiffe_id, dns_name, subject })
}

/// It is compared as a whole, as RFC 4514 writes it.
fn distinguished_name(text: &str) -> Result<String, Malformed> {
    let fits = text.len() <= 1024 && text.contains('=') && !text.contains('*') && !text.chars().any(char::is_control);
    let malformed = Malformed("a subject is a whole distinguished name such as CN=billing,O=corp, without '*'");
    fits.then(|| text.to_owned()).ok_or(malformed)
}

fn spiffe_id(text: &str) -> Result<Glob, Malformed> {
    if text.starts_with("spiffe://") { Glob::parse(text) } else { Err(Malformed("a SPIFFE id begins with spiffe://")) }
}

fn by_user(section: &mut Section<'_>) -> Option<UserRule> {
    let is_named = section.has("uid") || section.has("gid");
    let uid = section.optional("uid", count(0..=u32::MAX));
    let gid = section.optional("gid", count(0..=u32::MAX));
    if !is_named {
        section.note_none("", "any user would do", "write 'uid', 'gid' or both");
    }
    (uid.is_some() || gid.is_some()).then_some(UserRule { uid, gid })
}

/// Notes callers that name what is not there, and those that nobody could tell apart.
pub fn check(callers: &[Caller], identities: &[String], tenants: &[String], report: &Report) {
    for caller in callers {
        let at = |key: &str| format!("callers.{}.{key}", caller.entitlement.caller);
        let is_there = |name: &Name| identities.iter().any(|identity| identity == name.as_str());
        if let Identities::Listed(listed) = &caller.entitlement.identities {
            for (n, _) in listed.iter().enumerate().filter(|(_, name)| !is_there(name)) {
                let key = at(&format!("identities[{n}]"));
                report.note(key, "there is no such identity", "name one of [identities]");
            }
        }
        let allows = |name: &Name| match &caller.entitlement.identities {
            Identities::Any => is_there(name),
            Identities::Listed(listed) => listed.contains(name),
        };
        if caller.entitlement.default_identity.as_ref().is_some_and(|name| !allows(name)) {
            report.note(at("default_identity"), "it is none that the caller may use", "name one of its 'identities'");
        }
        for (n, tenant) in caller.entitlement.tenants.iter().flatten().enumerate() {
            if !tenants.contains(tenant) && TenantId::parse(tenant).is_err() {
                let key = at(&format!("tenants[{n}]"));
                report.note(key, "there is no such tenant", "name one of [tenants], or write its id");
            }
        }
    }
    check_distinct(callers, report);
    check_shapes(callers, report);
}

/// Warns of callers that ask for what none of their identities may be used for. What only audits refuses nothing.
pub fn warn_of_vain(callers: &[Caller], identities: &[Identity], names: &[String], report: &Report) {
    // Of an identity that could not be read nobody knows what it allows.
    if identities.len() < names.len() {
        return;
    }
    for entitlement in callers.iter().map(|caller| &caller.entitlement).filter(|one| one.mode == Mode::Enforce) {
        let Resources::Listed(listed) = &entitlement.resources else { continue };
        let mut allowed =
            identities.iter().map(|one| &one.rules).filter(|rules| entitlement.allows_identity(rules)).peekable();
        let is_vain = |rules: &policy::Identity| !listed.iter().any(|resource| rules.resources.allow(resource));
        if allowed.peek().is_some() && allowed.all(is_vain) {
            let problem = "none of its identities may be used for any of these, so that it gets nothing";
            let key = format!("callers.{}.resources", entitlement.caller);
            report.warn(key, problem, "name some of the 'resources' of its identities, or add these there");
        }
    }
}

/// Where tokens are shown in the headers of secrets, a secret that looks like one is taken for one.
fn check_shapes(callers: &[Caller], report: &Report) {
    if !callers.iter().any(|caller| caller.proof.means() == Means::ServiceAccount) {
        return;
    }
    let is_taken_for_token =
        |caller: &&Caller| caller.secrets.iter().any(|secret| is_shaped_as_token(secret.value().expose().as_bytes()));
    for caller in callers.iter().filter(is_taken_for_token) {
        let problem = "the secret has the shape of a token, and would be verified as that of a service account";
        let key = format!("callers.{}.proof", caller.entitlement.caller);
        report.note(key, problem, "take a secret that is no JWT, such as 'openssl rand -hex 32' prints");
    }
}

fn check_distinct(callers: &[Caller], report: &Report) {
    for (n, caller) in callers.iter().enumerate() {
        if let Some(other) = callers[..n].iter().find(|other| is_same(&other.proof, &caller.proof)) {
            let problem = format!("callers.{} is proved by the same", other.entitlement.caller);
            let key = format!("callers.{}.proof", caller.entitlement.caller);
            report.note(key, problem, "make them differ, so that one of them is meant");
        }
    }
}

fn is_same(one: &Proof, other: &Proof) -> bool {
    match (one, other) {
        (Proof::HeaderSecret(one), Proof::HeaderSecret(other)) => {
            one.iter().any(|one| other.iter().any(|other| one.matches(other)))
        }
        (Proof::Loopback, Proof::Loopback) => true,
        (Proof::Mtls(one), Proof::Mtls(other)) => one == other,
        (Proof::ServiceAccount(one), Proof::ServiceAccount(other)) => one == other,
        (Proof::Unix(one), Proof::Unix(other)) => one == other,
        _ => false,
    }
}

/// The means that the configuration calls so.
///
/// # Errors
/// There is none such.
pub fn means(text: &str) -> Result<Means, Malformed> {
    let named = Means::ALL.into_iter().find(|means| means.as_str() == text);
    named.ok_or(Malformed("no proof has this name"))
}

const KINDS: &str = "write proof = { kind = \"...\" } with header-secret, service-account, unix, mtls or loopback";

/// What `[callers.NAME]` has.
pub const KEYS: &[Key] = &[
    Key::required("proof", "what shows that it is this caller; see below").of(PROOF),
    Key::required(
        "identities",
        "whose tokens it may have, by their names; `[\"*\"]` means every one, also those that are added later",
    ),
    Key::said("default_identity", "see below", "whose token is meant when it selects none"),
    Key::said(
        "tenants",
        "all",
        "in which tenants it may ask, by their names or ids; without the key, in all in which the identity works",
    ),
    Key::required(
        "resources",
        "what its tokens may be for, one trailing slash aside; `[\"*\"]` leaves that to the identity. It gets what \
         both lists have",
    ),
    Key::value("fmi_paths", "[]", "which `fmi_path=` it may name; the identity has to list it too"),
    Key::text(
        "mode",
        "enforce",
        "`\"audit\"` admits what these lists would refuse, and logs which of them: for finding out what a workload \
         needs. What the identity itself is limited to holds all the same",
    ),
    Key::optional("rate", "how many requests a second it may make, 1 to 1000000; beyond that 429"),
];
/// What a proof has, of whichever kind.
const PROOF: &[Key] = &[
    Key::shown("kind"),
    Key::shown("file"),
    Key::shown("env"),
    Key::shown("secrets").of(secret::KEYS),
    Key::shown("namespace"),
    Key::shown("service_account"),
    Key::shown("pod"),
    Key::shown("node"),
    Key::shown("uid"),
    Key::shown("gid"),
    Key::shown("spiffe_id"),
    Key::shown("dns_name"),
    Key::shown("subject"),
];
