//! Reads the identities: who callers can be, where, and with which credentials.

use std::collections::HashMap;
use std::sync::Arc;

use super::application::{self, Application};
use super::credential;
use super::key::Key;
use super::mistake::Report;
use super::secret::Surroundings;
use super::section::{Section, flag, parsed};
use super::tenant::{ANY, Tenant};
use crate::authority::place::Kind;
use crate::name::{ClientId, FmiPath, Malformed, Name, Resource, is_guid};
use crate::policy::{self, Resources};
use crate::source::host::{self, HostId};

/// An identity, what policy knows of it, and what proves it.
#[derive(Debug)]
pub struct Identity {
    /// What policy goes by.
    pub rules: policy::Identity,
    /// What mints its tokens.
    pub origin: Origin,
    /// Which of its resources are held ready, in its default tenant.
    pub warm: Vec<Resource>,
}

/// What mints the tokens of an identity.
#[derive(Debug)]
pub enum Origin {
    /// Authorities, for an application with credentials.
    Application(Application),
    /// The host, for a managed identity of its own.
    Host(Option<HostId>),
}

impl Identity {
    /// The application, unless it is the host's.
    #[must_use]
    pub const fn application(&self) -> Option<&Application> {
        match &self.origin {
            Origin::Application(application) => Some(application),
            Origin::Host(_) => None,
        }
    }

    /// Whether the host's managed identity is needed for it.
    #[must_use]
    pub fn needs_host(&self) -> bool {
        self.application().is_none_or(|application| !application.hosts.is_empty())
    }
}

/// Reads one identity.
pub fn read(
    name: &str,
    mut section: Section<'_>,
    tenants: &HashMap<String, Option<Arc<Tenant>>>,
    surroundings: Surroundings<'_>,
) -> Option<Identity> {
    let note = |malformed: Malformed| section.note("", malformed.to_string(), "rename the identity");
    let name = Name::parse(name).map_err(note).ok();
    let from_host = section.optional("source", parsed(source)).is_some();
    let client_id = read_client_id(&mut section, from_host);
    let object_id = section.optional("object_id", parsed(guid));
    let resource_id = section.optional("resource_id", parsed(arm_id));
    let default = section.or("default", flag);
    let resources = read_resources(&mut section);
    let (origin, tenants, fmi_paths) = if from_host {
        let ids = [client_id.as_ref().map(ClientId::as_str), object_id.as_deref(), resource_id.as_deref()];
        (Origin::Host(HostId::of(ids)), host_alone(), Vec::new())
    } else {
        let fmi_paths = section.items("fmi_paths", "correct the path", FmiPath::parse);
        let application = application::read(name.as_ref(), &mut section, tenants, surroundings);
        warn_of_name(&section, client_id.as_ref(), &application);
        let tenants = application.rules();
        (Origin::Application(application), tenants, fmi_paths)
    };
    let warm = read_warm(&mut section, resources.as_ref(), &tenants);
    section.end();
    let name = name?;
    let client_id = client_id.or_else(|| from_host.then(|| ClientId::of_name(&name)))?;
    let resources = resources?;
    let rules = policy::Identity { name, client_id, object_id, resource_id, default, tenants, resources, fmi_paths };
    Some(Identity { rules, origin, warm })
}

/// Only the host knows the application behind its system-assigned identity.
fn read_client_id(section: &mut Section<'_>, from_host: bool) -> Option<ClientId> {
    if from_host {
        return section.optional("client_id", parsed(ClientId::parse));
    }
    section.required("client_id", "give the application (client) id", parsed(ClientId::parse))
}

fn source(text: &str) -> Result<(), Malformed> {
    match text {
        "managed-identity" => Ok(()),
        _ => Err(Malformed("a source is managed-identity; an application has 'tenants' and 'credentials' instead")),
    }
}

/// Where the host decides about it, there is one directory, and nobody has to say which.
fn host_alone() -> policy::Tenants {
    let tenant = policy::Tenant { name: Some(host::place()), id: host::tenant() };
    policy::Tenants::new(vec![tenant], true, false)
}

fn warn_of_name(section: &Section<'_>, client_id: Option<&ClientId>, application: &Application) {
    let in_entra = application.places().any(|place| place.kind() == Kind::Entra);
    if in_entra && client_id.is_some_and(|id| !is_guid(id.as_str())) {
        let remedy = "copy the application (client) id from the overview page of the app registration";
        section.warn("client_id", "this is no GUID, and Entra ID knows applications by a GUID", remedy);
    }
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

/// What tokens may be for.
pub(super) fn read_resources(section: &mut Section<'_>) -> Option<Resources> {
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

/// What is held ready from the start.
fn read_warm(section: &mut Section<'_>, resources: Option<&Resources>, tenants: &policy::Tenants) -> Vec<Resource> {
    let mut known: Vec<Resource> = Vec::new();
    let read = |text: &str| {
        let resource = resource(text)?;
        if text == ANY {
            return Err(Malformed("what is held ready has a name, and \"*\" is none"));
        }
        if !resources.is_none_or(|resources| resources.allow(&resource)) {
            return Err(Malformed("the identity may not be used for this resource"));
        }
        if known.contains(&resource) {
            return Err(Malformed("this resource is listed already"));
        }
        known.push(resource.clone());
        Ok(resource)
    };
    let warm = section.items("warm", "name each of 'resources' that is wanted at the start, once", read);
    let is_known = !tenants.listed().is_empty() || tenants.takes_any();
    if !warm.is_empty() && is_known && tenants.has_none_by_default() {
        let remedy = "put one first in 'tenants', or leave it out";
        section.note("warm", "tokens are held ready in the default tenant, and the identity has none", remedy);
    }
    warm
}

/// What callers name, and never the scope that is made of it: nobody would ask for that by its name.
fn resource(text: &str) -> Result<Resource, Malformed> {
    if text.ends_with("/.default") {
        return Err(Malformed("a resource is written without '/.default', which belongs to scopes"));
    }
    Resource::parse(text)
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

/// What `[identities.NAME]` has.
pub const KEYS: &[Key] = &[
    Key::required(
        "tenants",
        "names of tenants; the first is meant when a caller names none. `\"*\"` means every configured tenant and, \
         with a section for it, any other; if it stands first, callers must say which",
    ),
    Key::optional(
        "source",
        "`\"managed-identity\"`: [the host](#the-hosts-own-identity) mints its tokens, and there are no `tenants` and \
         `credentials`",
    ),
    Key::required("client_id", "the application (client) id"),
    Key::optional("object_id", "a further way to select it, as `object_id=`"),
    Key::optional("resource_id", "a further way to select it, as `msi_res_id=`"),
    Key::value("default", "false", "meant when a caller selects none; an identity that is alone is the default anyway"),
    Key::required(
        "resources",
        "what its tokens may be for, one trailing slash aside and without `/.default`; `[\"*\"]` allows anything",
    ),
    Key::value(
        "client_capabilities",
        "[]",
        "what the programs behind it can do, such as `[\"cp1\"]`: continuous access evaluation. Goes along with every \
         exchange",
    ),
    Key::value("fmi_paths", "[]", "which `fmi_path=` callers may name"),
    Key::value(
        "warm",
        "[]",
        "[held ready](#what-is-held-ready) from the start, such as `[\"https://vault.azure.net\"]`: some of \
         `resources`, in the default tenant",
    ),
    Key::required("credentials", "in the order of preference: see [When one does not work](#when-one-does-not-work)")
        .of(credential::KEYS),
];
