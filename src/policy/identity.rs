//! What policy knows of an identity: how it is selected, where it works, what its tokens may be for.

use std::collections::HashMap;
use std::fmt;

use super::refusal::Reason;
use crate::name::{ClientId, FmiPath, Name, Resource, Selector, TenantId};

/// A named principal that callers can obtain tokens for.
#[derive(Debug)]
pub struct Identity {
    /// Its name in the configuration.
    pub name: Name,
    /// The application in its tenants.
    pub client_id: ClientId,
    /// The service principal, when callers may select by it.
    pub object_id: Option<String>,
    /// The ARM id, when callers may select by it.
    pub resource_id: Option<String>,
    /// Whether it is meant when a caller names none.
    pub default: bool,
    /// Where it works.
    pub tenants: Tenants,
    /// What tokens may be for.
    pub resources: Resources,
    /// Which places in the application's tree a caller may name.
    pub fmi_paths: Vec<FmiPath>,
}

impl Identity {
    /// Every way in which a caller may select it, folded.
    pub fn selectors(&self) -> impl Iterator<Item = Selector> {
        let named = [Selector::Name(self.name.to_string()), Selector::ClientId(self.client_id.to_string())];
        let object_id = self.object_id.clone().map(Selector::ObjectId);
        let resource_id = self.resource_id.clone().map(Selector::ResourceId);
        named.into_iter().chain(object_id).chain(resource_id).map(|selector| selector.folded())
    }
}

/// A directory as identities refer to it.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its name in the configuration; none for one that a caller named.
    pub name: Option<Name>,
    /// The directory.
    pub id: TenantId,
}

impl Tenant {
    /// Whether `text` means it: its name as it is written, or its id in any case.
    #[must_use]
    pub fn is_called(&self, text: &str) -> bool {
        self.name.as_ref().is_some_and(|name| name.as_str() == text) || self.id.as_str().eq_ignore_ascii_case(text)
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_ref().map_or(self.id.as_str(), Name::as_str))
    }
}

/// In which directories an identity works.
#[derive(Debug)]
pub struct Tenants {
    listed: Vec<Tenant>,
    /// The place of the first that has a name, since there may be thousands.
    names: HashMap<Box<str>, usize>,
    /// The same by its id.
    ids: HashMap<Box<str>, usize>,
    has_default: bool,
    any: bool,
}

impl Tenants {
    /// Those of the configuration; whether the first of them is meant when a caller names none; and whether a caller
    /// may name `any` other.
    #[must_use]
    pub fn new(listed: Vec<Tenant>, has_default: bool, any: bool) -> Self {
        let (mut names, mut ids) = (HashMap::new(), HashMap::new());
        for (place, tenant) in listed.iter().enumerate() {
            ids.entry(tenant.id.as_str().into()).or_insert(place);
            if let Some(name) = &tenant.name {
                names.entry(name.as_str().into()).or_insert(place);
            }
        }
        Self { listed, names, ids, has_default, any }
    }

    /// Those of the configuration.
    #[must_use]
    pub fn listed(&self) -> &[Tenant] {
        &self.listed
    }

    /// Whether a caller has to name one.
    #[must_use]
    pub const fn has_none_by_default(&self) -> bool {
        !self.has_default
    }

    /// Whether a caller may name any other.
    #[must_use]
    pub const fn takes_any(&self) -> bool {
        self.any
    }

    /// The one that a caller asks for, by its name or its id.
    ///
    /// # Errors
    /// The identity does not work in it, or none is asked for and none is the default.
    pub fn find(&self, asked: Option<&str>) -> Result<Tenant, Reason> {
        let Some(asked) = asked else { return self.default() };
        let named = || TenantId::parse(asked).ok().filter(|_| self.any).map(|id| Tenant { name: None, id });
        self.called(asked).cloned().or_else(named).ok_or(Reason::UnknownTenant)
    }

    /// The first that [is called](Tenant::is_called) so; every id is in lower case.
    fn called(&self, asked: &str) -> Option<&Tenant> {
        let found = [self.names.get(asked), self.ids.get(asked.to_ascii_lowercase().as_str())];
        self.listed.get(*found.into_iter().flatten().min()?)
    }

    fn default(&self) -> Result<Tenant, Reason> {
        self.listed.first().filter(|_| self.has_default).cloned().ok_or(Reason::NoDefaultTenant)
    }
}

/// What an identity's tokens may be for.
#[derive(Debug)]
pub enum Resources {
    /// Anything the authority issues for (`["*"]`).
    Any,
    /// These, one trailing slash aside.
    Listed(Vec<Resource>),
}

impl Resources {
    /// Whether `resource` is among them.
    #[must_use]
    pub fn allow(&self, resource: &Resource) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(listed) => listed.iter().any(|allowed| allowed.matches(resource)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_found_by_name_or_id_and_any_other_only_where_any_is_allowed() {
        let contoso = || Tenant { name: Name::parse("contoso").ok(), id: TenantId::parse("contoso.com").unwrap() };
        let one = Tenants::new(vec![contoso()], true, false);
        let any = Tenants::new(vec![contoso()], false, true);
        for (asked, in_one, in_any) in [
            (None, Some("contoso"), None),
            (Some("contoso"), Some("contoso"), Some("contoso")),
            (Some("Contoso.COM"), Some("contoso"), Some("contoso")),
            (Some("Contoso"), None, None),
            (Some("fabrikam.com"), None, Some("fabrikam.com")),
            (Some("72F988BF-86f1-41af-91ab-2d7cd011db47"), None, Some("72f988bf-86f1-41af-91ab-2d7cd011db47")),
            (Some("*"), None, None),
            (Some("common"), None, None),
            (Some("a/b.com"), None, None),
        ] {
            let found = |tenants: &Tenants| tenants.find(asked).ok().map(|tenant| tenant.to_string());
            assert_eq!(found(&one).as_deref(), in_one, "{asked:?}");
            assert_eq!(found(&any).as_deref(), in_any, "{asked:?}");
        }
    }

    #[test]
    fn the_first_of_those_that_are_called_so_is_meant() {
        let tenant = |name: &str, id: &str| Tenant { name: Name::parse(name).ok(), id: TenantId::parse(id).unwrap() };
        let listed =
            [tenant("b.com", "a.com"), tenant("A.com", "b.com"), tenant("a.com", "c.com"), tenant("", "b.com")];
        let tenants = Tenants::new(listed.to_vec(), false, false);
        for asked in ["a.com", "A.com", "A.COM", "b.com", "B.com", "c.com", "C.com", "d.com", ""] {
            let first = listed.iter().find(|tenant| tenant.is_called(asked)).map(|tenant| tenant.id.clone());
            assert_eq!(tenants.find(Some(asked)).ok().map(|tenant| tenant.id), first, "{asked}");
        }
    }
}
