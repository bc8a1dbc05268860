//! That policy admits an ask, for whoever holds the configuration to read. No token comes of it.

use std::sync::Arc;

use super::entitlement::Entitlement;
use super::identity::{Identity, Tenant};
use super::refusal::Refusal;

/// What policy admits, and by which rule. It is no `Permit`: it has no caller, and `vend` does not take it.
///
/// ```compile_fail,E0308
/// async fn pay(vend: &bursar::vend::Vend, policy: &bursar::policy::Policy, ask: &bursar::dialect::Ask) {
///     let admission = policy.explain(None, ask).unwrap();
///     vend.vend(&admission, "").await.unwrap();
/// }
/// ```
#[derive(Debug)]
pub struct Admission<'p> {
    pub(super) entitlement: Option<&'p Entitlement>,
    pub(super) identity: &'p Arc<Identity>,
    pub(super) tenant: Tenant,
    pub(super) overruled: Option<Refusal>,
}

impl Admission<'_> {
    /// Whose token.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        self.identity
    }

    /// In which tenant.
    #[must_use]
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// What would have been refused, had the caller's rules been enforced.
    #[must_use]
    pub const fn overruled(&self) -> Option<&Refusal> {
        self.overruled.as_ref()
    }

    /// The section of the configuration that admits it, such as `callers.billing`: the caller's own, or the
    /// identity's where callers are not told apart. What was overruled names the key that does not.
    #[must_use]
    pub fn rule(&self) -> String {
        rule(self.overruled.as_ref(), self.entitlement.map(|entitlement| entitlement.caller.as_str()), self.identity)
    }
}

/// By which rule `identity` is admitted to a caller, or to anyone where callers are not told apart.
pub(super) fn rule(overruled: Option<&Refusal>, caller: Option<&str>, identity: &Identity) -> String {
    match (overruled, caller) {
        (Some(refusal), _) => refusal.rule.clone(),
        (None, Some(caller)) => format!("callers.{caller}"),
        (None, None) => format!("identities.{}", identity.name),
    }
}
