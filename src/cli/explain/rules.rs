//! The rules of one configuration, and all that it names in them.

use super::proof::Proof;
use crate::config::Config;
use crate::config::caller::Caller;
use crate::name::{ClientId, FmiPath, Name, Resource, TenantId};
use crate::policy::entitlement::Entitlement;
use crate::policy::{Identity, Policy, Resources, Tenant};

/// Policy, and what can be asked of it.
pub(super) struct Rules {
    pub(super) policy: Policy,
    pub(super) callers: Vec<Name>,
    /// What each of them is known by.
    pub(super) proofs: Vec<(Name, Proof)>,
    pub(super) identities: Vec<(Name, ClientId)>,
    pub(super) tenants: Vec<Tenant>,
    /// Whether some identity works in any tenant that a caller names.
    pub(super) has_any_tenant: bool,
    pub(super) resources: Vec<Resource>,
    pub(super) fmi_paths: Vec<FmiPath>,
}

impl Rules {
    /// Those of a whole configuration.
    pub(super) fn of(config: Config) -> Self {
        let identities: Vec<Identity> = config.identities.into_iter().map(|identity| identity.rules).collect();
        let cluster = config.kubernetes.as_ref().map(|kubernetes| &kubernetes.settings);
        let proof = |caller: &Caller| (caller.entitlement.caller.clone(), Proof::of(caller, cluster));
        let proofs = config.callers.iter().map(proof).collect();
        let entitlements: Vec<Entitlement> = config.callers.into_iter().map(|caller| caller.entitlement).collect();
        let listed = identities.iter().map(|identity| &identity.resources);
        let resources = listed.chain(entitlements.iter().map(|entitlement| &entitlement.resources));
        let paths = identities.iter().map(|identity| &identity.fmi_paths);
        let paths = paths.chain(entitlements.iter().map(|entitlement| &entitlement.fmi_paths));
        Self {
            proofs,
            callers: entitlements.iter().map(|entitlement| entitlement.caller.clone()).collect(),
            identities: identities.iter().map(|one| (one.name.clone(), one.client_id.clone())).collect(),
            tenants: tenants(&identities, &entitlements),
            has_any_tenant: identities.iter().any(|identity| identity.tenants.takes_any()),
            resources: resources.flat_map(named).cloned().collect(),
            fmi_paths: paths.flatten().cloned().collect(),
            policy: Policy::new(identities, entitlements),
        }
    }

    pub(super) fn caller_names(&self) -> Vec<String> {
        self.callers.iter().map(ToString::to_string).collect()
    }

    pub(super) fn identity_names(&self) -> Vec<String> {
        self.identities.iter().map(|(name, _)| name.to_string()).collect()
    }

    /// The client id of the identity of that name, if there is one.
    pub(super) fn client_ids(&self, name: &str) -> impl Iterator<Item = &ClientId> {
        self.identities.iter().filter(move |(held, _)| held.as_str() == name).map(|(_, id)| id)
    }

    pub(super) fn tenant_names(&self) -> Vec<String> {
        self.tenants.iter().filter_map(|tenant| tenant.name.as_ref()).map(ToString::to_string).collect()
    }

    /// The names that callers may ask for a directory by, beside its id.
    pub(super) fn names_in(&self, directory: &TenantId) -> impl Iterator<Item = &Name> {
        self.tenants.iter().filter(move |tenant| tenant.id == *directory).filter_map(|tenant| tenant.name.as_ref())
    }

    /// The name of the identity with that client id, if there is one.
    pub(super) fn name_of(&self, id: &ClientId) -> Option<&Name> {
        let is_it = |held: &ClientId| held.as_str().eq_ignore_ascii_case(id.as_str());
        self.identities.iter().find(|(_, held)| is_it(held)).map(|(name, _)| name)
    }
}

fn named(resources: &Resources) -> &[Resource] {
    match resources {
        Resources::Any => &[],
        Resources::Listed(listed) => listed,
    }
}

/// Those in which identities work, and those that callers name by an id alone.
fn tenants(identities: &[Identity], entitlements: &[Entitlement]) -> Vec<Tenant> {
    let mut tenants: Vec<Tenant> = Vec::new();
    for tenant in identities.iter().flat_map(|identity| identity.tenants.listed()) {
        if !tenants.iter().any(|held| held.name == tenant.name && held.id == tenant.id) {
            tenants.push(tenant.clone());
        }
    }
    for text in entitlements.iter().filter_map(|entitlement| entitlement.tenants.as_ref()).flatten() {
        let Ok(id) = TenantId::parse(text) else { continue };
        if !tenants.iter().any(|tenant| tenant.is_called(text)) {
            tenants.push(Tenant { name: None, id });
        }
    }
    tenants
}
