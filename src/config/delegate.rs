//! Reads the credentials that are another identity's token, and sees to it that nobody vouches for itself.

use std::collections::{HashMap, HashSet};

use super::identity::{Identity, Origin};
use super::mistake::Report;
use super::section::{Section, parsed, text};
use crate::credential::delegate::Delegate;
use crate::name::{ClientId, FmiPath, Name, Resource};
use crate::source::host::HostId;
use crate::token::Extras;

/// Reads `{ kind = "identity", name = ".." }`. Its token is for `audience` unless the credential says otherwise.
pub fn identity(mut section: Section<'_>, audience: &str) -> Option<Delegate> {
    section.optional("kind", text);
    let name = section.required("name", "give the name of the identity that vouches", parsed(Name::parse));
    let fmi_path = section.optional("fmi_path", parsed(FmiPath::parse));
    let resource = read_resource(&mut section, audience);
    section.end();
    let extras = Extras { fmi_path, client_claims: None };
    Some(Delegate { identity: name?, resource: resource?, extras, kind: "identity" })
}

/// Reads `{ kind = "managed-identity" }`: the host's own identity, the system-assigned one unless an id says
/// which. Its token is kept under `name`.
pub fn host(mut section: Section<'_>, name: Name, audience: &str) -> Option<(Delegate, Option<HostId>)> {
    section.optional("kind", text);
    let ids = ["client_id", "object_id", "resource_id"];
    if ids.iter().filter(|id| section.has(id)).count() > 1 {
        section.note(
            "client_id",
            "several ids are given",
            "keep the one that says which identity of the host is meant",
        );
    }
    let client_id = section.optional("client_id", parsed(ClientId::parse));
    let object_id = section.optional("object_id", text);
    let resource_id = section.optional("resource_id", text);
    let resource = read_resource(&mut section, audience);
    section.end();
    let ids = [client_id.as_ref().map(ClientId::as_str), object_id.as_deref(), resource_id.as_deref()];
    let delegate =
        Delegate { identity: name, resource: resource?, extras: Extras::default(), kind: "managed-identity" };
    Some((delegate, HostId::of(ids)))
}

fn read_resource(section: &mut Section<'_>, audience: &str) -> Option<Resource> {
    if section.has("resource") {
        return section.optional("resource", parsed(Resource::parse));
    }
    Resource::parse(audience).ok()
}

/// Notes credentials that name nobody, and identities that vouch for themselves by way of others. `written`
/// are the names of all identities, those with mistakes included.
pub fn check(identities: &[Identity], written: &[String], report: &Report) {
    check_paths(identities, report);
    let vouchers: Vouchers<'_> = identities
        .iter()
        .filter_map(|identity| Some((&identity.rules.name, &identity.application()?.vouchers[..])))
        .collect();
    for name in identities.iter().map(|identity| &identity.rules.name) {
        for (path, other) in vouchers.get(name).copied().unwrap_or_default() {
            if !written.iter().any(|written| written == other.as_str()) {
                report.note(path, "no identity has this name", "name one of [identities]");
            } else if reaches(&vouchers, other, name) {
                let problem = "the identities vouch for each other in a circle, so that none can be the first";
                report.note(path, problem, "let one of them prove itself by a credential of its own");
            }
        }
    }
}

/// Notes a place in an application's tree where there is no application: a host knows no such places.
fn check_paths(identities: &[Identity], report: &Report) {
    let is_of_host = |name: &Name| {
        identities.iter().any(|identity| identity.rules.name == *name && matches!(identity.origin, Origin::Host(_)))
    };
    for (path, name) in identities.iter().filter_map(Identity::application).flat_map(|one| &one.paths) {
        if is_of_host(name) {
            let problem = "the identity is the host's own, which has no places in a tree";
            report.note(path, problem, "remove it, or name an application as the one that vouches");
        }
    }
}

/// Each identity with those whose tokens prove it, and where that is written.
type Vouchers<'a> = HashMap<&'a Name, &'a [(String, Name)]>;

fn reaches(vouchers: &Vouchers<'_>, from: &Name, to: &Name) -> bool {
    let (mut seen, mut open) = (HashSet::new(), vec![from]);
    while let Some(name) = open.pop() {
        if name == to {
            return true;
        }
        if seen.insert(name) {
            open.extend(vouchers.get(name).copied().unwrap_or_default().iter().map(|(_, other)| other));
        }
    }
    false
}
