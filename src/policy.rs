//! Who may have what. One pure function admits an ask; its [`Permit`] is the only way to a token.

use std::sync::Arc;

use crate::caller::Caller;
use crate::claims::ClaimsRequest;
use crate::dialect::Ask;
use crate::fault::{Fault, Kind};
use crate::name::{Resource, Selector, TenantId};
use crate::token::Extras;

pub mod identity;

pub use identity::{Identity, Resources, Tenant, Tenants};

/// The rules.
#[derive(Debug)]
pub struct Policy {
    identities: Vec<Arc<Identity>>,
}

/// The proof that policy admitted one caller to one identity, tenant and resource.
///
/// Its fields are private, so no other file can make one; `vend` accepts nothing else from a caller. A token
/// that vouches for an application needs none: no caller gets it, it leaves for that application's own authority
/// alone, and that it may is the operator's word in the application's `credentials`.
///
/// ```compile_fail
/// let permit = bursar::policy::Permit { identity: todo!(), tenant: todo!(), resource: todo!(), extras: todo!(), challenge: todo!() };
/// ```
#[derive(Debug)]
pub struct Permit {
    identity: Arc<Identity>,
    tenant: Tenant,
    resource: Resource,
    extras: Extras,
    challenge: Option<ClaimsRequest>,
}

impl Permit {
    /// Whose token.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// In which tenant.
    #[must_use]
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// For what.
    #[must_use]
    pub const fn resource(&self) -> &Resource {
        &self.resource
    }

    /// What else the token is to be.
    #[must_use]
    pub const fn extras(&self) -> &Extras {
        &self.extras
    }

    /// What a resource demanded of the token that it refused.
    #[must_use]
    pub const fn challenge(&self) -> Option<&ClaimsRequest> {
        self.challenge.as_ref()
    }
}

impl Policy {
    /// Rules over these identities. The configuration has seen to it that their selectors differ.
    #[must_use]
    pub fn new(identities: Vec<Identity>) -> Self {
        Self { identities: identities.into_iter().map(Arc::new).collect() }
    }

    /// Admits `ask`, or says why not.
    ///
    /// Every recognised caller may use every identity for that identity's resources: recognition
    /// already demanded the proof that its listener was configured for.
    ///
    /// # Errors
    /// 400 for an identity or tenant that is not there, 403 for a resource that is not allowed.
    pub fn admit(&self, _caller: &Caller, ask: &Ask) -> Result<Permit, Fault> {
        let identity = self.select(&ask.selector)?;
        let tenant = identity.tenants.find(ask.tenant.as_deref())?;
        if !identity.resources.allow(&ask.resource) {
            return Err(Fault::new(
                Kind::AccessDenied,
                "the identity may not be used for this resource",
                "ask for a resource that it is meant for, or have the operator add this one to its 'resources'",
            ));
        }
        if !ask.extras.fmi_path.as_ref().is_none_or(|path| identity.fmi_paths.contains(path)) {
            return Err(Fault::new(
                Kind::AccessDenied,
                "the identity may not be used for this fmi_path",
                "leave it out, or have the operator add it to the identity's 'fmi_paths'",
            ));
        }
        Ok(Permit {
            identity: Arc::clone(identity),
            tenant,
            resource: ask.resource.clone(),
            extras: ask.extras.clone(),
            challenge: ask.challenge.clone(),
        })
    }

    fn select(&self, selector: &Selector) -> Result<&Arc<Identity>, Fault> {
        match selector {
            Selector::None => self.default_identity(),
            selector => {
                let found = self.identities.iter().find(|identity| identity.is_selected(selector));
                found.ok_or_else(|| unknown_identity(selector))
            }
        }
    }

    /// The directory that is meant when a caller names neither identity nor tenant. It is no secret.
    ///
    /// # Errors
    /// There is no default, or it is in no directory.
    pub fn default_directory(&self) -> Result<TenantId, Fault> {
        let id = self.default_identity()?.tenants.find(None)?.id;
        TenantId::parse(id.as_str()).map_err(|_| {
            let remedy = "do without it: such an authority has no tenants";
            Fault::new(Kind::NotFound, "the default identity is in no tenant", remedy)
        })
    }

    /// The one marked as default, else the only one there is.
    fn default_identity(&self) -> Result<&Arc<Identity>, Fault> {
        let only = || {
            if self.identities.len() == 1 { self.identities.first() } else { None }
        };
        self.identities.iter().find(|identity| identity.default).or_else(only).ok_or_else(|| {
            Fault::new(
                Kind::InvalidRequest,
                "several identities exist and none is the default",
                "say which one with client_id, or have the operator mark one with 'default = true'",
            )
        })
    }
}

/// The words `Identity not found` are what VM IMDS says; clients look for them.
fn unknown_identity(selector: &Selector) -> Fault {
    let (problem, remedy) = if matches!(selector, Selector::Name(_)) {
        ("Identity not found: no configured identity has this name", "correct the name, or have the operator add it")
    } else {
        ("Identity not found: no configured identity has this id", "correct the id, or have the operator add it")
    };
    Fault::new(Kind::UnknownIdentity, problem, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::{Callers, Peer};
    use crate::dialect::Guard;
    use crate::name::{ClientId, FmiPath, Name, TenantId};

    fn identity(name: &str, n: u8, default: bool, resources: Resources) -> Identity {
        let tenant = |name: &str, id: &str| Tenant { name: Name::parse(name).ok(), id: TenantId::parse(id).unwrap() };
        let listed = vec![tenant("contoso", "contoso.com"), tenant("fabrikam", "72f988bf-86f1-41af-91ab-2d7cd011db47")];
        Identity {
            name: Name::parse(name).unwrap(),
            client_id: ClientId::parse(&format!("{n}AAAAAAA-0000-4000-8000-000000000000")).unwrap(),
            object_id: Some(format!("object-{n}")),
            resource_id: Some(format!("/subscriptions/{n}")),
            default,
            tenants: Tenants { listed, has_default: true, any: false },
            resources,
            fmi_paths: Vec::new(),
        }
    }

    fn admit(policy: &Policy, selector: Selector, tenant: Option<&str>, resource: &str) -> Result<String, u16> {
        let caller = Callers::default().recognise(Guard::Metadata, Peer::default()).unwrap();
        let (resource, tenant) = (Resource::parse(resource).unwrap(), tenant.map(str::to_owned));
        let ask = Ask { resource, selector, tenant, extras: Extras::default(), challenge: None };
        let permit = policy.admit(&caller, &ask).map_err(|fault| fault.status())?;
        Ok(format!("{} in {} for {}", permit.identity().name, permit.tenant(), permit.resource().as_str()))
    }

    fn two() -> Policy {
        let vault = Resources::Listed(vec![Resource::parse("https://vault.azure.net").unwrap()]);
        Policy::new(vec![identity("one", 1, false, Resources::Any), identity("two", 2, true, vault)])
    }

    #[test]
    fn each_selector_points_at_its_identity_without_case() {
        let policy = two();
        let one = Ok("one in contoso for r".to_owned());
        assert_eq!(admit(&policy, Selector::ClientId("1aaaaaaa-0000-4000-8000-000000000000".into()), None, "r"), one);
        assert_eq!(admit(&policy, Selector::ObjectId("OBJECT-1".into()), None, "r"), one);
        assert_eq!(admit(&policy, Selector::ResourceId("/SUBSCRIPTIONS/1".into()), None, "r"), one);
        assert_eq!(admit(&policy, Selector::Name("one".into()), None, "r"), one);
    }

    #[test]
    fn an_unknown_selector_is_never_the_default() {
        let policy = two();
        for selector in [
            Selector::ClientId("object-1".into()),
            Selector::ObjectId("nobody".into()),
            Selector::ResourceId("/".into()),
            Selector::Name("One".into()),
        ] {
            assert_eq!(admit(&policy, selector, None, "https://vault.azure.net"), Err(400));
        }
    }

    #[test]
    fn the_default_is_the_marked_one_or_the_only_one() {
        let vault = "https://vault.azure.net/";
        assert_eq!(admit(&two(), Selector::None, None, vault), Ok(format!("two in contoso for {vault}")));
        let only = Policy::new(vec![identity("only", 1, false, Resources::Any)]);
        assert_eq!(admit(&only, Selector::None, None, "r"), Ok("only in contoso for r".to_owned()));
        let unmarked =
            Policy::new(vec![identity("a", 1, false, Resources::Any), identity("b", 2, false, Resources::Any)]);
        assert_eq!(admit(&unmarked, Selector::None, None, "r"), Err(400));
    }

    #[test]
    fn a_resource_that_is_not_listed_is_denied() {
        assert_eq!(admit(&two(), Selector::None, None, "https://vault.azure.net.evil"), Err(403));
        assert_eq!(admit(&two(), Selector::None, None, "https://graph.microsoft.com"), Err(403));
    }

    #[test]
    fn a_tenant_goes_by_name_or_id() {
        let select = |tenant| admit(&two(), Selector::Name("one".into()), Some(tenant), "r");
        assert_eq!(select("fabrikam"), Ok("one in fabrikam for r".to_owned()));
        assert_eq!(select("72F988BF-86F1-41AF-91AB-2D7CD011DB47"), Ok("one in fabrikam for r".to_owned()));
        assert_eq!(select("elsewhere.com"), Err(400));
    }

    #[test]
    fn only_a_listed_place_is_permitted() {
        let path = |text| FmiPath::parse(text).unwrap();
        let mut one = identity("one", 1, false, Resources::Any);
        one.fmi_paths = vec![path("a/b")];
        let policy = Policy::new(vec![one]);
        let caller = Callers::default().recognise(Guard::Metadata, Peer::default()).unwrap();
        for (asked, status) in [(None, None), (Some("a/b"), None), (Some("a"), Some(403)), (Some("a/b/c"), Some(403))] {
            let extras = Extras { fmi_path: asked.map(path), client_claims: None };
            let (resource, selector) = (Resource::parse("r").unwrap(), Selector::None);
            let ask = Ask { resource, selector, tenant: None, extras, challenge: None };
            assert_eq!(policy.admit(&caller, &ask).err().map(|fault| fault.status()), status, "{asked:?}");
        }
    }
}
