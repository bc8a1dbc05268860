//! Who may have what. One pure function admits an ask; its [`Permit`] is the only way to a token.

use std::collections::HashMap;
use std::sync::Arc;

use crate::caller::Caller;
use crate::caller::roll::Placed;
use crate::claims::ClaimsRequest;
use crate::dialect::Ask;
use crate::fault::{Fault, Kind};
use crate::name::{Name, Resource, Selector, TenantId};
use crate::token::{Extras, Rejected};

pub mod admission;
pub mod entitlement;
pub mod identity;
pub mod refusal;

pub use admission::Admission;
pub use entitlement::{Entitlement, Mode};
pub use identity::{Identity, Resources, Tenant, Tenants};
pub use refusal::{Reason, Refusal};

/// The rules.
#[derive(Debug)]
pub struct Policy {
    identities: Vec<Arc<Identity>>,
    /// The first that is selected so, since there may be thousands.
    selected: HashMap<Selector, Arc<Identity>>,
    /// The one that is meant where nothing is selected.
    marked: Option<Arc<Identity>>,
    /// One for each caller, in the places in which [`Caller`]s know themselves.
    entitlements: Placed<Entitlement>,
}

/// The proof that policy admitted one caller to one identity, tenant and resource.
///
/// Its fields are private, so no other file can make one; `vend` accepts nothing else from a caller. A token
/// that vouches for an application needs none: no caller gets it, it leaves for that application's own authority
/// alone, and that it may is the operator's word in the application's `credentials`.
///
/// ```compile_fail,E0451
/// let permit = bursar::policy::Permit {
///     caller: todo!(), identity: todo!(), tenant: todo!(), resource: todo!(), extras: todo!(), challenge: todo!(), rejected: todo!(), overruled: todo!(),
/// };
/// ```
#[derive(Debug)]
pub struct Permit {
    caller: Caller,
    identity: Arc<Identity>,
    tenant: Tenant,
    resource: Resource,
    extras: Extras,
    challenge: Option<ClaimsRequest>,
    rejected: Option<Rejected>,
    overruled: Option<Refusal>,
}

impl Permit {
    /// Who was admitted.
    #[must_use]
    pub const fn caller(&self) -> Caller {
        self.caller
    }

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

    /// Which cached tokens are not good enough.
    #[must_use]
    pub const fn rejected(&self) -> Option<Rejected> {
        self.rejected
    }

    /// What would have been refused, had the caller's rules been enforced.
    #[must_use]
    pub const fn overruled(&self) -> Option<&Refusal> {
        self.overruled.as_ref()
    }

    /// By which rule, as [`Admission::rule`] says it. `caller` is the name of who was admitted, where callers are
    /// told apart; a permit knows no more than its place.
    #[must_use]
    pub fn rule(&self, caller: Option<&str>) -> String {
        admission::rule(self.overruled(), caller, &self.identity)
    }
}

impl Policy {
    /// Rules over these identities, and over callers where they are told apart, in the places in which they are listed.
    #[must_use]
    pub fn new(identities: Vec<Identity>, entitlements: Vec<Entitlement>) -> Self {
        Self::placed(identities, entitlements.into_iter().enumerate().collect())
    }

    /// The same over callers in places of their own. The configuration has seen to it that selectors differ and that
    /// what an entitlement names is there.
    #[must_use]
    pub fn placed(identities: Vec<Identity>, entitlements: Placed<Entitlement>) -> Self {
        let identities: Vec<_> = identities.into_iter().map(Arc::new).collect();
        let mut selected = HashMap::new();
        for identity in &identities {
            for selector in identity.selectors() {
                selected.entry(selector).or_insert_with(|| Arc::clone(identity));
            }
        }
        let marked = identities.iter().find(|identity| identity.default).cloned();
        Self { identities, selected, marked, entitlements }
    }

    /// Admits `ask`, or says why not.
    ///
    /// Where callers are not told apart, each may use every identity for that identity's resources: recognition
    /// already demanded the proof that its listener was configured for.
    ///
    /// # Errors
    /// The first rule that does not admit it: the caller's own before the identity's, so that nobody learns of
    /// what is not its own.
    pub fn admit(&self, caller: Caller, ask: &Ask) -> Result<Permit, Refusal> {
        let Admission { identity, tenant, overruled, .. } = self.judge(self.entitlement(caller)?, ask)?;
        Ok(Permit {
            caller,
            identity: Arc::clone(identity),
            tenant,
            resource: ask.resource.clone(),
            extras: ask.extras.clone(),
            challenge: ask.challenge.clone(),
            rejected: ask.rejected,
            overruled,
        })
    }

    /// What [`admit`](Self::admit) would say to the caller of that name, or where it is none to whoever is not
    /// told apart. It is for whoever holds the configuration: no [`Caller`] is made for it, and no [`Permit`].
    ///
    /// # Errors
    /// The refusal that the caller would meet, which nobody else may read.
    pub fn explain(&self, caller: Option<&Name>, ask: &Ask) -> Result<Admission<'_>, Refusal> {
        let entitlement = self.entitlements.iter().find(|entitlement| Some(&entitlement.caller) == caller);
        if entitlement.is_none() && !self.entitlements.is_empty() {
            return Err(stranger());
        }
        self.judge(entitlement, ask)
    }

    /// The one evaluation of the rules.
    fn judge<'p>(&'p self, entitlement: Option<&'p Entitlement>, ask: &Ask) -> Result<Admission<'p>, Refusal> {
        let mut overruled = None;
        let mut hold = |refused: Option<Refusal>| match (refused, entitlement.map(|entitlement| entitlement.mode)) {
            (Some(refusal), Some(Mode::Audit)) => {
                overruled.get_or_insert(refusal);
                Ok(())
            }
            (Some(refusal), _) => Err(refusal),
            (None, _) => Ok(()),
        };
        let identity = self.select(&ask.selector, entitlement)?;
        hold(refusal(entitlement, Reason::Identity, "identities", |entitlement| {
            entitlement.allows_identity(identity)
        }))?;
        let tenant = identity.tenants.find(ask.tenant.as_deref());
        let tenant = tenant.map_err(|reason| self.no_tenant(reason, entitlement, identity, ask))?;
        hold(refusal(entitlement, Reason::Tenant, "tenants", |entitlement| entitlement.allows_tenant(&tenant)))?;
        hold(refusal(entitlement, Reason::Resource, "resources", |entitlement| {
            entitlement.allows_resource(&ask.resource)
        }))?;
        let fmi_path = ask.extras.fmi_path.as_ref();
        hold(refusal(entitlement, Reason::FmiPath, "fmi_paths", |entitlement| entitlement.allows_fmi_path(fmi_path)))?;
        if !identity.resources.allow(&ask.resource) {
            return Err(Refusal::of_identity(Reason::IdentityResource, &identity.name, "resources"));
        }
        if !fmi_path.is_none_or(|path| identity.fmi_paths.contains(path)) {
            return Err(Refusal::of_identity(Reason::IdentityFmiPath, &identity.name, "fmi_paths"));
        }
        Ok(Admission { entitlement, identity, tenant, overruled })
    }

    /// The rules about `caller`; none where callers are not told apart.
    fn entitlement(&self, caller: Caller) -> Result<Option<&Entitlement>, Refusal> {
        if self.entitlements.is_empty() || caller.is_operator() {
            return Ok(None);
        }
        let entitlement = caller.place().and_then(|place| self.entitlements.get(place));
        entitlement.map(Some).ok_or_else(stranger)
    }

    /// Why there is no tenant for `ask`, by the first rule that says so. Whoever may ask in some tenants alone is
    /// not told in which others an identity works.
    fn no_tenant(&self, reason: Reason, entitlement: Option<&Entitlement>, identity: &Identity, ask: &Ask) -> Refusal {
        let limiting =
            entitlement.filter(|entitlement| entitlement.tenants.is_some() && entitlement.mode == Mode::Enforce);
        let (Some(entitlement), Some(asked)) = (limiting, ask.tenant.as_deref()) else {
            return of_tenants(reason, identity);
        };
        if self.grants_tenant(entitlement, asked) {
            return of_tenants(reason, identity).blurred(true);
        }
        Refusal::of_caller(Reason::Tenant, &entitlement.caller, "tenants")
    }

    /// Whether a caller may ask in what it calls so, wherever identities work.
    fn grants_tenant(&self, entitlement: &Entitlement, asked: &str) -> bool {
        let unnamed = TenantId::parse(asked).ok().map(|id| Tenant { name: None, id });
        let known = self.identities.iter().filter_map(|identity| identity.tenants.find(Some(asked)).ok());
        entitlement.lists_tenant(asked) || known.chain(unnamed).any(|tenant| entitlement.allows_tenant(&tenant))
    }

    /// Whoever may use some identities alone is not told which others there are.
    fn select(&self, selector: &Selector, entitlement: Option<&Entitlement>) -> Result<&Arc<Identity>, Refusal> {
        if *selector == Selector::None {
            return self.default_identity(entitlement);
        }
        self.selected.get(&selector.folded()).ok_or_else(|| {
            let hides = |entitlement: &Entitlement| {
                entitlement.identities != entitlement::Identities::Any && entitlement.mode == Mode::Enforce
            };
            let reason = Reason::UnknownIdentity { by_name: matches!(selector, Selector::Name(_)) };
            Refusal::new(reason, "identities").blurred(entitlement.is_some_and(hides))
        })
    }

    /// The directory that is meant when `caller` names neither identity nor tenant; none is whoever is not told apart.
    ///
    /// # Errors
    /// There is no default that the caller may have, or it is in no directory.
    pub fn default_directory(&self, caller: Option<Caller>) -> Result<TenantId, Fault> {
        let entitlement = caller.map(|caller| self.entitlement(caller)).transpose()?.flatten();
        let identity = self.default_identity(entitlement)?;
        let tenant = identity.tenants.find(None).map_err(|reason| of_tenants(reason, identity))?;
        if entitlement.is_some_and(|entitlement| !entitlement.allows_tenant(&tenant)) {
            let remedy = "name a tenant that this caller may ask in, with the token";
            return Err(Fault::new(Kind::NotFound, "there is no tenant to tell of", remedy));
        }
        TenantId::parse(tenant.id.as_str()).map_err(|_| {
            let remedy = "do without it: such an authority has no tenants";
            Fault::new(Kind::NotFound, "the default identity is in no tenant", remedy)
        })
    }

    /// The caller's own, else the one marked as default, else the only one there is.
    fn default_identity(&self, entitlement: Option<&Entitlement>) -> Result<&Arc<Identity>, Refusal> {
        let own = entitlement.and_then(Entitlement::default_identity);
        let own = own.and_then(|name| self.selected.get(&Selector::Name(name.to_string())));
        let only = || if let [only] = &self.identities[..] { Some(only) } else { None };
        // In audit mode it is meant all the same, and its own rule tells that it is not granted.
        let holds = |entitlement: &Entitlement, identity: &Identity| {
            entitlement.mode == Mode::Audit || entitlement.allows_identity(identity)
        };
        let is_granted = |identity: &&Arc<Identity>| entitlement.is_none_or(|entitlement| holds(entitlement, identity));
        let marked = || self.marked.as_ref().filter(is_granted);
        own.or_else(marked).or_else(only).ok_or_else(|| match entitlement {
            Some(entitlement) => Refusal::of_caller(Reason::NoDefaultIdentity, &entitlement.caller, "default_identity"),
            None => Refusal::new(Reason::NoDefaultIdentity, "identities"),
        })
    }

    /// Whether callers are told apart.
    #[must_use]
    pub fn tells_apart(&self) -> bool {
        !self.entitlements.is_empty()
    }

    /// The name of a caller, where callers are told apart.
    #[must_use]
    pub fn name(&self, caller: Caller) -> Option<&Name> {
        self.entitlements.get(caller.place()?).map(|entitlement| &entitlement.caller)
    }
}

/// The refusal by a rule of the caller that does not hold.
fn refusal(
    entitlement: Option<&Entitlement>,
    reason: Reason,
    key: &str,
    holds: impl Fn(&Entitlement) -> bool,
) -> Option<Refusal> {
    entitlement
        .filter(|entitlement| !holds(entitlement))
        .map(|entitlement| Refusal::of_caller(reason, &entitlement.caller, key))
}

/// The refusal of whoever is none of the callers that are told apart.
fn stranger() -> Refusal {
    Refusal::new(Reason::Stranger, "callers")
}

fn of_tenants(reason: Reason, identity: &Identity) -> Refusal {
    Refusal::of_identity(reason, &identity.name, "tenants")
}

#[cfg(test)]
mod tests;
