//! Reads the identities: who callers can be, where, and with which credentials.

use std::collections::HashMap;
use std::sync::Arc;

use super::credential;
use super::mistake::Report;
use super::secret::Surroundings;
use super::section::{Section, flag, parsed};
use super::tenant::{ANY, Tenant};
use crate::authority::place::Kind;
use crate::credential::Credential;
use crate::name::{ClientId, FmiPath, Malformed, Name, Resource, is_guid};
use crate::policy::{self, Resources};

/// An identity, what policy knows of it, and what proves it.
#[derive(Debug)]
pub struct Identity {
    /// What policy goes by.
    pub rules: policy::Identity,
    /// Where it works; the first is the default, if policy says that there is one.
    pub tenants: Vec<Arc<Tenant>>,
    /// How any other tenant is reached, when callers may name one.
    pub any_tenant: Option<Arc<Tenant>>,
    /// What the programs behind it are capable of.
    pub client_capabilities: Arc<[String]>,
    /// What proves it, in the order of trying.
    pub credentials: Vec<Arc<Credential>>,
}

/// Reads one identity.
pub fn read(
    name: &str,
    mut section: Section<'_>,
    tenants: &HashMap<String, Option<Arc<Tenant>>>,
    surroundings: Surroundings<'_>,
) -> Option<Identity> {
    let parsed_name =
        Name::parse(name).map_err(|malformed| section.note("", malformed.to_string(), "rename the identity"));
    let client_id = section.required("client_id", "give the application (client) id", parsed(ClientId::parse));
    let object_id = section.optional("object_id", parsed(guid));
    let resource_id = section.optional("resource_id", parsed(arm_id));
    let default = section.or("default", false, flag);
    let fmi_paths = section.items("fmi_paths", "correct the path", FmiPath::parse).unwrap_or_default();
    let client_capabilities =
        section.items("client_capabilities", "correct the word", capability).unwrap_or_default().into();
    let (listed, tenants, any_tenant) = read_tenants(&mut section, tenants);
    let resources = read_resources(&mut section);
    let credentials = read_credentials(&mut section, surroundings);
    let in_entra = tenants.iter().chain(&any_tenant).any(|tenant| tenant.place.kind() == Kind::Entra);
    if in_entra && client_id.as_ref().is_some_and(|id: &ClientId| !is_guid(id.as_str())) {
        let remedy = "copy the application (client) id from the overview page of the app registration";
        section.warn("client_id", "this is no GUID, and Entra ID knows applications by a GUID", remedy);
    }
    section.end();
    let rules = policy::Identity {
        name: parsed_name.ok()?,
        client_id: client_id?,
        object_id,
        resource_id,
        default,
        tenants: policy::Tenants {
            listed: tenants.iter().map(|tenant| tenant.tenant.clone()).collect(),
            has_default: listed.first().is_some_and(|first| first != ANY),
            any: any_tenant.is_some(),
        },
        resources: resources?,
        fmi_paths,
    };
    Some(Identity { rules, tenants, any_tenant, client_capabilities, credentials })
}

/// Notes identities that a selector could not tell apart.
pub fn check_distinct(identities: &[Identity], report: &Report) {
    let mut seen: HashMap<String, &Name> = HashMap::new();
    for identity in identities {
        let rules = &identity.rules;
        let default = rules.default.then_some("true");
        for (key, value) in [
            ("client_id", Some(rules.client_id.as_str())),
            ("object_id", rules.object_id.as_deref()),
            ("resource_id", rules.resource_id.as_deref()),
            ("default", default),
        ] {
            let Some(value) = value else { continue };
            if let Some(other) = seen.insert(format!("{key} {}", value.to_ascii_lowercase()), &rules.name) {
                let problem = format!("identities.{other} has the same");
                report.note(
                    format!("identities.{}.{key}", rules.name),
                    problem,
                    "make them differ, so that a caller can mean one",
                );
            }
        }
    }
}

type Found = (Vec<String>, Vec<Arc<Tenant>>, Option<Arc<Tenant>>);

/// The names as they are listed, the tenants that they mean, and how any other is reached. `"*"` means every
/// configured tenant, and any other if there is a section for it.
fn read_tenants(section: &mut Section<'_>, known: &HashMap<String, Option<Arc<Tenant>>>) -> Found {
    let missing = "list names from [tenants]; the first is the default";
    let remedy = "name each tenant once, and add a section [tenants.NAME] for one that is not there";
    let mut names: Vec<String> = Vec::new();
    let find = |name: &str| {
        if names.iter().any(|other| other == name) {
            return Err(Malformed("this tenant is listed already"));
        }
        if name != ANY && !known.contains_key(name) {
            return Err(Malformed("no tenant has this name"));
        }
        names.push(name.to_owned());
        // A tenant with mistakes of its own has already been told about.
        Ok(known.get(name).filter(|_| name != ANY).cloned().flatten())
    };
    let found = section.some_items("tenants", Some(missing), remedy, find).unwrap_or_default();
    let mut found: Vec<Arc<Tenant>> = found.into_iter().flatten().collect();
    if !names.iter().any(|name| name == ANY) {
        return (names, found, None);
    }
    let mut others: Vec<&String> = known.keys().filter(|name| *name != ANY && !names.contains(name)).collect();
    others.sort();
    found.extend(others.into_iter().filter_map(|name| known[name].clone()));
    if known.is_empty() {
        section.note("tenants", "there is no tenant to work in", "add a section [tenants.\"*\"] for any");
    }
    (names, found, known.get(ANY).cloned().flatten())
}

fn read_resources(section: &mut Section<'_>) -> Option<Resources> {
    let missing = "list the resources it may be used for, or [\"*\"]";
    let remedy = "write an App ID URI or a GUID, and leave out what stands behind it";
    let listed = section.some_items("resources", Some(missing), remedy, resource)?;
    match &listed[..] {
        [any] if any.as_str() == ANY => return Some(Resources::Any),
        listed if listed.iter().any(|resource| resource.as_str() == ANY) => {
            section.note("resources", "\"*\" stands beside others", "write it alone, or not at all");
        }
        _ => {}
    }
    Some(Resources::Listed(listed))
}

/// What callers name, and never the scope that is made of it: nobody would ask for that by its name.
fn resource(text: &str) -> Result<Resource, Malformed> {
    if text.ends_with("/.default") {
        return Err(Malformed("a resource is written without '/.default', which belongs to scopes"));
    }
    Resource::parse(text)
}

fn read_credentials(section: &mut Section<'_>, surroundings: Surroundings<'_>) -> Vec<Arc<Credential>> {
    let remedy = "add one, such as { kind = \"secret\", file = \"/run/secrets/client-secret\" }";
    let problem = if section.has("credentials") { "there is none in the list" } else { "the key is missing" };
    let listed = section.list("credentials");
    if listed.is_empty() {
        section.note_none("credentials", problem, remedy);
    }
    let read = |one| {
        warn_of_absence(&one, surroundings);
        credential::read(one, surroundings).map(Arc::new)
    };
    listed.into_iter().filter_map(read).collect()
}

/// An assertion's file may come later than we do, or never.
fn warn_of_absence(credential: &Section<'_>, surroundings: Surroundings<'_>) {
    let is_assertion = credential.peek("kind").as_deref() == Some("assertion");
    let file = credential.peek("file").filter(|_| is_assertion).map(|file| surroundings.path(&file));
    if file.is_some_and(|file| !file.exists()) {
        let remedy = "check the path; the file is read for every exchange, and may still come";
        credential.warn("file", "the file is not there now", remedy);
    }
}

fn capability(text: &str) -> Result<String, Malformed> {
    let fits = (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
    if fits { Ok(text.to_owned()) } else { Err(Malformed("a client capability is a short word such as \"cp1\"")) }
}

fn guid(text: &str) -> Result<String, Malformed> {
    if is_guid(text) { Ok(text.to_owned()) } else { Err(Malformed("an object id is a GUID")) }
}

fn arm_id(text: &str) -> Result<String, Malformed> {
    if text.to_ascii_lowercase().starts_with("/subscriptions/") {
        return Ok(text.to_owned());
    }
    Err(Malformed("a resource id begins with /subscriptions/"))
}
