//! What a token is asked for: its audience, and the scopes that go by their own names.

use super::params::Params;
use super::profile::Profile;
use super::realm::Version;
use super::refusal::{Reason, Refusal};
use crate::name::{Resource, is_guid};

/// What a form asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The `aud` of the token.
    pub(super) audience: String,
    /// What is granted by name, where the authority knows such scopes.
    pub(super) scope: Option<String>,
}

impl Target {
    /// Reads the form as that endpoint does.
    pub(super) fn of(form: &Params, profile: Profile<'_>, version: Version, client_id: &str) -> Result<Self, Refusal> {
        match (profile, version) {
            (Profile::Adfs, _) => Self::adfs(form, client_id),
            (Profile::Oidc, _) => Self::plain(form, client_id),
            (_, Version::V1) => {
                let text = form.get("resource").ok_or_else(|| Refusal::missing("resource"))?;
                Ok(Self::whole(&valid(text)?))
            }
            (_, Version::V2) => {
                let text = form.get("scope").ok_or_else(|| Refusal::missing("scope"))?;
                Ok(Self::whole(&scope_resource(text)?))
            }
        }
    }

    fn whole(resource: &Resource) -> Self {
        Self { audience: resource.as_str().to_owned(), scope: None }
    }

    /// AD FS takes a resource, or one in front of a scope; without either the token is for the application
    /// itself. What it knows by an id and not by a URL gets a prefix.
    fn adfs(form: &Params, client_id: &str) -> Result<Self, Refusal> {
        let asked = Asked::read(form.get("scope").unwrap_or_default())?;
        let resource = match form.get("resource") {
            Some(text) => valid(text)?.as_str().to_owned(),
            None => asked.resource.unwrap_or_else(|| client_id.to_owned()),
        };
        let is_id = is_guid(&resource) || resource == client_id;
        let audience = if is_id { format!("{ADFS_PREFIX}{resource}") } else { resource };
        Ok(Self { audience, scope: asked.scope })
    }

    /// A resource indicator (RFC 8707), else that of a `/.default` as MSAL's users write it, else the client.
    fn plain(form: &Params, client_id: &str) -> Result<Self, Refusal> {
        let scope = form.get("scope").map(str::to_owned);
        let text = scope.as_deref().unwrap_or_default();
        let defaults = text.split_whitespace().find_map(|scope| scope.strip_suffix(DEFAULT));
        let audience = match form.get("resource").or(defaults) {
            Some(resource) => valid(resource)?.as_str().to_owned(),
            None => client_id.to_owned(),
        };
        Ok(Self { audience, scope })
    }
}

/// A scope parameter of AD FS, taken apart.
#[derive(Default)]
struct Asked {
    resource: Option<String>,
    scope: Option<String>,
}

impl Asked {
    fn read(text: &str) -> Result<Self, Refusal> {
        let mut resources = Vec::new();
        let mut names = Vec::new();
        for scope in text.split_whitespace() {
            let (resource, name) = parted(scope);
            resources.extend(resource);
            names.extend(name);
        }
        resources.dedup();
        let resource = match *resources.as_slice() {
            [] => None,
            [one] => Some(valid(one)?.as_str().to_owned()),
            _ => return Err(invalid_scope()),
        };
        Ok(Self { resource, scope: (!names.is_empty()).then(|| names.join(" ")) })
    }
}

/// `https://x/openid` is a scope of a resource, `openid` one of none, and `https://x` a resource alone.
fn parted(scope: &str) -> (Option<&str>, Option<&str>) {
    if let Some(resource) = scope.strip_suffix(DEFAULT) {
        return (Some(resource), None);
    }
    match scope.rsplit_once('/') {
        Some((resource, name)) if !resource.ends_with('/') && !name.is_empty() => (Some(resource), Some(name)),
        Some(_) => (Some(scope), None),
        None => (None, Some(scope)),
    }
}

/// The resource of a scope, which must be the only one.
fn scope_resource(text: &str) -> Result<Resource, Refusal> {
    // MSAL for Go sends the OpenID scopes along, and Entra lets them pass.
    let mut scopes = text.split_whitespace().filter(|scope| !OPENID.contains(scope));
    let (Some(scope), None) = (scopes.next(), scopes.next()) else {
        return Err(invalid_scope());
    };
    let resource = scope.strip_suffix(DEFAULT).ok_or_else(|| {
        Refusal::new(
            Reason::ScopeWithoutDefault,
            "The provided value for scope is not valid. Client credential flows must have a scope value with \
             /.default suffixed to the resource identifier (application ID URI).",
        )
    })?;
    valid(resource)
}

fn valid(resource: &str) -> Result<Resource, Refusal> {
    Resource::parse(resource).map_err(|_| invalid_scope())
}

fn invalid_scope() -> Refusal {
    Refusal::new(
        Reason::ScopeInvalid,
        "The provided request must include a 'scope' input parameter. The provided value for the input parameter \
         'scope' is not valid: it must name exactly one resource.",
    )
}

const ADFS_PREFIX: &str = "microsoft:identityserver:";
const DEFAULT: &str = "/.default";
const OPENID: [&str; 4] = ["openid", "profile", "offline_access", "email"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_names_exactly_one_resource() {
        for (scope, expected) in [
            ("https://x/.default", Ok("https://x")),
            ("https://x//.default", Ok("https://x/")),
            (" openid a/.default offline_access profile ", Ok("a")),
            ("https://x", Err(Reason::ScopeWithoutDefault)),
            ("https://x/User.Read", Err(Reason::ScopeWithoutDefault)),
            ("a/.default b/.default", Err(Reason::ScopeInvalid)),
            ("openid", Err(Reason::ScopeInvalid)),
            ("/.default", Err(Reason::ScopeInvalid)),
        ] {
            let resource = scope_resource(scope);
            let found = resource.as_ref().map(Resource::as_str).map_err(|refusal| refusal.reason);
            assert_eq!(found, expected, "{scope}");
        }
    }

    fn target(profile: Profile<'_>, form: &str) -> (String, Option<String>) {
        let target = Target::of(&Params::parse(form.as_bytes()), profile, Version::V1, "app").unwrap();
        (target.audience, target.scope)
    }

    #[test]
    fn adfs_takes_a_resource_in_several_ways() {
        for (form, audience, scope) in [
            ("resource=https://x", "https://x", None),
            ("resource=https://x&scope=openid", "https://x", Some("openid")),
            ("scope=https://x/.default", "https://x", None),
            ("scope=https://x/read+https://x/write", "https://x", Some("read write")),
            ("scope=https://x", "https://x", None),
            ("scope=openid", "microsoft:identityserver:app", Some("openid")),
            ("", "microsoft:identityserver:app", None),
            (
                "resource=b0b00000-0000-4000-8000-000000000001",
                "microsoft:identityserver:b0b00000-0000-4000-8000-000000000001",
                None,
            ),
        ] {
            assert_eq!(target(Profile::Adfs, form), (audience.to_owned(), scope.map(str::to_owned)), "{form}");
        }
    }

    #[test]
    fn any_provider_takes_plain_scopes() {
        for (form, audience, scope) in [
            ("scope=a+b", "app", Some("a b")),
            ("scope=a&resource=https://x", "https://x", Some("a")),
            ("scope=https://x/.default", "https://x", Some("https://x/.default")),
            ("", "app", None),
        ] {
            assert_eq!(target(Profile::Oidc, form), (audience.to_owned(), scope.map(str::to_owned)), "{form}");
        }
    }
}
