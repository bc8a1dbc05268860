//! What one caller may have, as the configuration says.

use super::identity::{Identity, Resources, Tenant};
use crate::name::{FmiPath, Name, Resource};

/// The rules about one caller. What an identity itself is limited to holds beside them.
#[derive(Debug)]
pub struct Entitlement {
    /// The caller's name in the configuration.
    pub caller: Name,
    /// Whose tokens it may have.
    pub identities: Identities,
    /// Whose are meant when it selects none.
    pub default_identity: Option<Name>,
    /// In which tenants, by their names or ids; none means all in which the identity works.
    pub tenants: Option<Vec<String>>,
    /// For what.
    pub resources: Resources,
    /// Which places in an application's tree it may name.
    pub fmi_paths: Vec<FmiPath>,
    /// What becomes of an ask against these rules.
    pub mode: Mode,
}

/// Which identities a caller may use.
#[derive(Debug, PartialEq, Eq)]
pub enum Identities {
    /// Every one (`["*"]`).
    Any,
    /// These.
    Listed(Vec<Name>),
}

/// What becomes of an ask against a caller's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is admitted all the same, and told in the log: for finding out what a workload needs.
    Audit,
    /// It is refused.
    Enforce,
}

impl Entitlement {
    /// Whether it may use the identity.
    #[must_use]
    pub fn allows_identity(&self, identity: &Identity) -> bool {
        match &self.identities {
            Identities::Any => true,
            Identities::Listed(listed) => listed.contains(&identity.name),
        }
    }

    /// The identity that is meant when it selects none: that of its own, or the only one that it may use.
    pub(super) fn default_identity(&self) -> Option<&Name> {
        match (&self.default_identity, &self.identities) {
            (Some(name), _) => Some(name),
            (None, Identities::Listed(listed)) => {
                if let [only] = &listed[..] {
                    Some(only)
                } else {
                    None
                }
            }
            (None, Identities::Any) => None,
        }
    }

    pub(super) fn allows_tenant(&self, tenant: &Tenant) -> bool {
        self.tenants.as_ref().is_none_or(|granted| granted.iter().any(|granted| tenant.is_called(granted)))
    }

    /// Whether a tenant is listed by this very text.
    pub(super) fn lists_tenant(&self, text: &str) -> bool {
        self.tenants.iter().flatten().any(|granted| granted == text)
    }

    pub(super) fn allows_resource(&self, resource: &Resource) -> bool {
        self.resources.allow(resource)
    }

    pub(super) fn allows_fmi_path(&self, path: Option<&FmiPath>) -> bool {
        path.is_none_or(|path| self.fmi_paths.contains(path))
    }
}

#[cfg(test)]
mod tests;
