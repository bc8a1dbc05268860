//! Reads `[callers.NAME]`: who may ask, what proves them, and what they may have.

use std::num::NonZeroU32;

use super::identity;
use super::mistake::Report;
use super::secret::Surroundings;
use super::section::{Section, count, parsed, text};
use super::server::{Origin, header_secrets};
use super::tenant::ANY;
use crate::caller::account::AccountRule;
use crate::caller::glob::Glob;
use crate::caller::proof::UserRule;
use crate::caller::subject::SubjectRule;
use crate::caller::{Means, Proof};
use crate::credential::ClientSecret;
use crate::name::{FmiPath, Malformed, Name, TenantId};
use crate::policy::grant::{Grant, Identities, Mode};

/// A caller, what proves it, and what policy knows of it.
#[derive(Debug)]
pub struct Caller {
    /// What policy goes by.
    pub grant: Grant,
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

/// Reads one caller. What it names is looked for later, by [`check`].
pub fn read(name: &str, mut section: Section<'_>, surroundings: Surroundings<'_>) -> Option<Caller> {
    let note = |malformed: Malformed| section.note("", malformed.to_string(), "rename the caller");
    let name = Name::parse(name).map_err(note).ok();
    let proven = proof(&mut section, surroundings);
    let identities = identities(&mut section);
    let resources = identity::read_resources(&mut section);
    let tenants = section.some_items("tenants", None, "name a tenant or its id", tenant);
    let fmi_paths = section.items("fmi_paths", "correct the path", FmiPath::parse).unwrap_or_default();
    let default_identity = section.optional("default_identity", parsed(Name::parse));
    let mode = section.or("mode", Mode::Enforce, parsed(mode));
    let rate = section.optional("rate", count(1..=1_000_000)).and_then(NonZeroU32::new);
    section.end();
    let (proof, secrets, origins) = proven?;
    let tenants = tenants.filter(|tenants| tenants.iter().all(|tenant| tenant != ANY));
    let (caller, identities, resources) = (name?, identities?, resources?);
    let grant = Grant { caller, identities, default_identity, tenants, resources, fmi_paths, mode };
    Some(Caller { grant, proof, secrets, origins, rate })
}

fn identities(section: &mut Section<'_>) -> Option<Identities> {
    let missing = "list the identities that it may use, or [\"*\"]";
    let name = |text: &str| if text == ANY { Ok(None) } else { Name::parse(text).map(Some) };
    let listed = section.some_items("identities", Some(missing), "name an identity of the configuration", name)?;
    match &listed[..] {
        [None] => return Some(Identities::Any),
        listed if listed.contains(&None) => {
            section.note("identities", "\"*\" stands beside others", "write it alone, or not at all");
        }
        _ => {}
    }
    Some(Identities::Listed(listed.into_iter().flatten().collect()))
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

fn proof(section: &mut Section<'_>, surroundings: Surroundings<'_>) -> Option<Proven> {
    if !section.has("proof") {
        return section.required("proof", KINDS, |_| Err(Malformed("")));
    }
    let mut section = section.section("proof");
    let bare = |proof| (proof, Vec::new(), Vec::new());
    let proof = match section.required("kind", KINDS, text).as_deref() {
        Some("header-secret") => by_secret(&mut section, surroundings),
        Some("loopback") => Some(bare(Proof::Loopback)),
        Some("mtls") => by_certificate(&mut section).map(Proof::Mtls).map(bare),
        Some("service-account") => by_account(&mut section).map(Proof::ServiceAccount).map(bare),
        Some("unix") => by_user(&mut section).map(Proof::Unix).map(bare),
        Some(_) => {
            section.note("kind", "the kind is unknown", KINDS);
            return None;
        }
        None => return None,
    };
    section.end();
    proof
}

/// One secret, or a list of them for rotation.
fn by_secret(section: &mut Section<'_>, surroundings: Surroundings<'_>) -> Option<Proven> {
    let (values, origins) = if section.has("secrets") {
        if section.has("file") || section.has("env") {
            section.note("secrets", "one is given beside the list", "write it into the list");
        }
        header_secrets(section.list("secrets"), surroundings)
    } else {
        let origin = Origin::peek(section, surroundings);
        let value = surroundings.secret(section)?;
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
    let mut glob = |key| section.optional(key, parsed(Glob::parse));
    let (namespace, service_account, pod, node) =
        (glob("namespace"), glob("service_account"), glob("pod"), glob("node"));
    let unfit = |malformed: Malformed| {
        section.note_none("", &malformed.to_string(), "write 'namespace' and 'service_account'");
    };
    AccountRule::new(namespace, service_account, pod, node).map_err(unfit).ok()
}

fn by_certificate(section: &mut Section<'_>) -> Option<SubjectRule> {
    let spiffe_id = section.optional("spiffe_id", parsed(spiffe_id));
    let dns_name = section.optional("dns_name", parsed(|text| Glob::parse(&text.to_ascii_lowercase())));
    let subject = section.optional("subject", parsed(Glob::parse));
    if spiffe_id.is_none() && dns_name.is_none() && subject.is_none() {
        let remedy = "write 'spiffe_id', 'dns_name' or 'subject'; \"*\" in it stands for anything";
        section.note_none("", "any certificate would do", remedy);
        return None;
    }
    Some(SubjectRule { spiffe_id, dns_name, subject })
}

fn spiffe_id(text: &str) -> Result<Glob, Malformed> {
    if text.starts_with("spiffe://") { Glob::parse(text) } else { Err(Malformed("a SPIFFE id begins with spiffe://")) }
}

fn by_user(section: &mut Section<'_>) -> Option<UserRule> {
    let uid = section.optional("uid", count(0..=u32::MAX));
    let gid = section.optional("gid", count(0..=u32::MAX));
    if uid.is_none() && gid.is_none() {
        section.note_none("", "any user would do", "write 'uid', 'gid' or both");
        return None;
    }
    Some(UserRule { uid, gid })
}

/// Notes callers that name what is not there, and those that nobody could tell apart.
pub fn check(callers: &[Caller], identities: &[String], tenants: &[String], report: &Report) {
    for caller in callers {
        let at = |key: &str| format!("callers.{}.{key}", caller.grant.caller);
        let is_there = |name: &Name| identities.iter().any(|identity| identity == name.as_str());
        if let Identities::Listed(listed) = &caller.grant.identities {
            for (n, _) in listed.iter().enumerate().filter(|(_, name)| !is_there(name)) {
                let key = at(&format!("identities[{n}]"));
                report.note(key, "there is no such identity", "name one of [identities]");
            }
        }
        let grants = |name: &Name| match &caller.grant.identities {
            Identities::Any => is_there(name),
            Identities::Listed(listed) => listed.contains(name),
        };
        if caller.grant.default_identity.as_ref().is_some_and(|name| !grants(name)) {
            report.note(at("default_identity"), "it is none that the caller may use", "name one of its 'identities'");
        }
        for (n, tenant) in caller.grant.tenants.iter().flatten().enumerate() {
            if !tenants.contains(tenant) && TenantId::parse(tenant).is_err() {
                let key = at(&format!("tenants[{n}]"));
                report.note(key, "there is no such tenant", "name one of [tenants], or write its id");
            }
        }
    }
    check_distinct(callers, report);
}

fn check_distinct(callers: &[Caller], report: &Report) {
    for (n, caller) in callers.iter().enumerate() {
        if let Some(other) = callers[..n].iter().find(|other| is_same(&other.proof, &caller.proof)) {
            let problem = format!("callers.{} is proved by the same", other.grant.caller);
            let key = format!("callers.{}.proof", caller.grant.caller);
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
