//! Reads what an application needs to get tokens: where it works, and what proves it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::secret::Surroundings;
use super::section::Section;
use super::tenant::{ANY, Tenant};
use super::{credential, delegate, spelling};
use crate::authority::cloud;
use crate::authority::place::Place;
use crate::credential::Credential;
use crate::name::{Malformed, Name};
use crate::policy;
use crate::source::host::HostId;
use crate::token::Descent;

/// An application in its tenants.
#[derive(Debug)]
pub struct Application {
    /// Where it works; the first is the default, if there is one.
    pub tenants: Vec<Arc<Tenant>>,
    /// Whether the first tenant is meant when a caller names none.
    pub has_default: bool,
    /// How any other tenant is reached, when callers may name one.
    pub any_tenant: Option<Arc<Tenant>>,
    /// What the programs behind it are capable of.
    pub client_capabilities: Arc<[String]>,
    /// What proves it, in the order of trying.
    pub credentials: Vec<Arc<Credential>>,
    /// How they are written, but for what is said of their ends: what proves it otherwise is written otherwise.
    pub proved_by: Descent,
    /// The same with their ends.
    pub credentials_whole: Descent,
    /// The identities that vouch for it, and where that is written.
    pub vouchers: Vec<(String, Name)>,
    /// Those of them that are to vouch for a place in their tree, and where that is written.
    pub paths: Vec<(String, Name)>,
    /// The managed identities of the host that vouch for it, by the names under which their tokens are kept.
    pub hosts: Vec<(Name, Option<HostId>)>,
}

impl Application {
    /// How its authorities are reached.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.tenants.iter().chain(&self.any_tenant).map(|tenant| &tenant.place)
    }

    /// How long its flights may take, where it works.
    pub fn timeouts(&self) -> impl Iterator<Item = Duration> {
        self.tenants.iter().chain(&self.any_tenant).map(|tenant| tenant.timeout)
    }

    /// What policy has to know of its tenants.
    #[must_use]
    pub fn rules(&self) -> policy::Tenants {
        let listed = self.tenants.iter().map(|tenant| tenant.tenant.clone()).collect();
        policy::Tenants::new(listed, self.has_default, self.any_tenant.is_some())
    }
}

/// Reads the keys of an application. `name` is its identity's, if that has a proper one.
pub fn read(
    name: Option<&Name>,
    section: &mut Section<'_>,
    tenants: &HashMap<String, Option<Arc<Tenant>>>,
    surroundings: Surroundings<'_>,
) -> Application {
    let client_capabilities = section.items("client_capabilities", "correct the word", capability);
    let (listed, tenants, any_tenant) = read_tenants(section, tenants);
    let mut application = Application {
        tenants,
        has_default: listed.first().is_some_and(|first| first != ANY),
        any_tenant,
        client_capabilities: client_capabilities.into(),
        credentials: Vec::new(),
        proved_by: spelling::descent(&section.written("credentials"), &["expires"], &[]),
        credentials_whole: spelling::descent(&section.written("credentials"), &[], &[]),
        vouchers: Vec::new(),
        paths: Vec::new(),
        hosts: Vec::new(),
    };
    read_credentials(name, section, &mut application, surroundings);
    application
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

/// A mistake in one does not hide those in the others.
fn read_credentials(
    name: Option<&Name>,
    section: &mut Section<'_>,
    application: &mut Application,
    surroundings: Surroundings<'_>,
) {
    let remedy = "add one, such as { kind = \"secret\", file = \"/run/secrets/client-secret\" }";
    let problem = if section.has("credentials") { "there is none in the list" } else { "the key is missing" };
    let listed = section.list("credentials");
    if listed.is_empty() {
        section.note_none("credentials", problem, remedy);
    }
    let audience = cloud::exchange_audience(application.places().next().and_then(Place::cloud));
    for (index, one) in listed.into_iter().enumerate() {
        warn_of_absence(&one, surroundings);
        let (path, fmi_path) = (one.path("name"), one.path("fmi_path"));
        let credential = match (one.peek("kind").as_deref(), name) {
            (Some("identity"), _) => delegate::identity(one, audience).map(|delegate| {
                application.vouchers.push((path, delegate.identity.clone()));
                let in_tree = delegate.extras.fmi_path.is_some();
                application.paths.extend(in_tree.then(|| (fmi_path, delegate.identity.clone())));
                Credential::Delegate(delegate)
            }),
            (Some("managed-identity"), Some(name)) => {
                delegate::host(one, name.implied(index), audience).map(|(delegate, selector)| {
                    application.hosts.push((delegate.identity.clone(), selector));
                    Credential::Delegate(delegate)
                })
            }
            // The name was told about, and everything else can wait for it.
            (Some("managed-identity"), None) => None,
            _ => credential::read(one, surroundings),
        };
        application.credentials.extend(credential.map(Arc::new));
    }
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
