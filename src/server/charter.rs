//! What requests are served under: all that a reload replaces, as one value that never changes.
//!
//! Whoever was let in under one charter is served under it to the end, whatever comes after.

use std::sync::Arc;

use super::rates::Rates;
use crate::caller::{Caller, Callers};
use crate::cluster::Cluster;
use crate::dialect::instance::Instance;
use crate::name::Name;
use crate::policy::Policy;
use crate::vend::Vend;

/// Who is let in, what each may have, and where it comes from.
#[derive(Clone)]
pub struct Charter {
    /// Who is recognised.
    pub callers: Callers,
    /// What verifies the tokens of service accounts, where callers show them.
    pub cluster: Option<Arc<Cluster>>,
    /// How often each of them may ask.
    pub rates: Arc<Rates>,
    /// Who may have what.
    pub policy: Arc<Policy>,
    /// What the pages of instance metadata tell of this machine.
    pub instance: Arc<Instance>,
    /// Where tokens come from.
    pub vend: Vend,
}

impl Charter {
    /// The name of a caller, where callers are told apart.
    #[must_use]
    pub fn name(&self, caller: Option<Caller>) -> Option<&Name> {
        self.policy.name(caller?)
    }
}
