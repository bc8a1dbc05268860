//! Why policy does not admit an ask: whole for the operator, short for whoever asked.

use std::fmt;

use crate::fault::{Fault, Kind};
use crate::name::Name;

/// What was not admitted, and by which rule of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// The key of the configuration that decided, such as `callers.billing.resources`.
    pub rule: String,
    /// Whether whoever asked is told no more than that it may not: there may be nothing of what it named.
    pub(super) is_blurred: bool,
}

/// Why an ask is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The caller is not to use the identity that it selects.
    Identity,
    /// None is selected, and several could be meant.
    NoDefaultIdentity,
    /// There is none such.
    UnknownIdentity {
        /// Whether it was selected by its name.
        by_name: bool,
    },
    /// The caller is not to ask in this tenant.
    Tenant,
    /// None is named, and none is the default.
    NoDefaultTenant,
    /// The identity does not work there.
    UnknownTenant,
    /// The caller is not to ask for this resource.
    Resource,
    /// The identity is not for this resource.
    IdentityResource,
    /// The caller is not to name this `fmi_path`.
    FmiPath,
    /// The identity is not for this `fmi_path`.
    IdentityFmiPath,
    /// Callers are told apart, and this one is none of them.
    Stranger,
}

impl Refusal {
    /// A refusal that hides nothing.
    pub(super) fn new(reason: Reason, rule: impl Into<String>) -> Self {
        Self { reason, rule: rule.into(), is_blurred: false }
    }

    /// A refusal by the rule `key` of a caller.
    pub(super) fn of_caller(reason: Reason, caller: &Name, key: &str) -> Self {
        Self::new(reason, format!("callers.{caller}.{key}"))
    }

    /// A refusal by the rule `key` of an identity.
    pub(super) fn of_identity(reason: Reason, identity: &Name, key: &str) -> Self {
        Self::new(reason, format!("identities.{identity}.{key}"))
    }

    /// The same, with what is there and what is not told alike to whoever asked.
    pub(super) fn blurred(self, is_blurred: bool) -> Self {
        Self { is_blurred, ..self }
    }

    /// What whoever asked may know of the reason.
    const fn outward(&self) -> Reason {
        match self.reason {
            Reason::UnknownIdentity { .. } if self.is_blurred => Reason::Identity,
            Reason::UnknownTenant if self.is_blurred => Reason::Tenant,
            reason => reason,
        }
    }
}

impl Reason {
    /// What is wrong, for the operator.
    #[must_use]
    pub const fn problem(self) -> &'static str {
        match self {
            Self::Identity => "the caller may not use this identity",
            Self::NoDefaultIdentity => "several identities exist and none is the default",
            // The words `Identity not found` are what VM IMDS says; clients look for them.
            Self::UnknownIdentity { by_name: true } => "Identity not found: no configured identity has this name",
            Self::UnknownIdentity { by_name: false } => "Identity not found: no configured identity has this id",
            Self::Tenant => "the caller may not ask in this tenant",
            Self::NoDefaultTenant => "the identity works in any tenant, and none is asked for",
            Self::UnknownTenant => "the identity does not work in this tenant",
            Self::Resource => "the caller may not ask for this resource",
            Self::IdentityResource => "the identity may not be used for this resource",
            Self::FmiPath => "the caller may not name this fmi_path",
            Self::IdentityFmiPath => "the identity may not be used for this fmi_path",
            Self::Stranger => "this service knows its callers, and this is none of them",
        }
    }

    /// The same for whoever asked, who does not learn whether there is one.
    const fn outward_problem(self) -> &'static str {
        match self {
            Self::Identity => "the caller may not use this identity, or there is none such",
            _ => self.problem(),
        }
    }

    const fn remedy(self) -> &'static str {
        match self {
            Self::Identity | Self::Tenant | Self::Resource | Self::FmiPath => {
                "ask for what this workload is meant to have, or have the operator look with 'bursar explain'"
            }
            Self::NoDefaultIdentity => {
                "say which one with client_id, or have the operator mark one with 'default = true' or as the caller's 'default_identity'"
            }
            Self::UnknownIdentity { by_name: true } => "correct the name, or have the operator add it",
            Self::UnknownIdentity { by_name: false } => "correct the id, or have the operator add it",
            Self::NoDefaultTenant => {
                "say which one with tenant=, or have the operator put one first in the identity's 'tenants'"
            }
            Self::UnknownTenant => "leave the tenant out, or have the operator add it to the identity's 'tenants'",
            Self::IdentityResource => {
                "ask for a resource that it is meant for, or have the operator add this one to its 'resources'"
            }
            Self::IdentityFmiPath => "leave it out, or have the operator add it to the identity's 'fmi_paths'",
            Self::Stranger => "show the proof that the operator has configured for this workload",
        }
    }

    const fn kind(self) -> Kind {
        match self {
            Self::Identity
            | Self::Tenant
            | Self::Resource
            | Self::IdentityResource
            | Self::FmiPath
            | Self::IdentityFmiPath => Kind::AccessDenied,
            Self::NoDefaultIdentity | Self::NoDefaultTenant | Self::UnknownTenant => Kind::InvalidRequest,
            Self::UnknownIdentity { .. } => Kind::UnknownIdentity,
            Self::Stranger => Kind::Unauthenticated,
        }
    }
}

/// For the operator.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason.problem(), self.rule)
    }
}

/// The rule that decided is for the log alone: it tells names that the caller may not know.
impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let reason = refusal.outward();
        Self::new(reason.kind(), reason.outward_problem(), reason.remedy()).with_rule(refusal.rule)
    }
}
