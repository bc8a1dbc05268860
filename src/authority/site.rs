//! The site of an authority, its host: what holds for every tenant on it, and is therefore found out once.

use super::instance::{Instance, InstanceDiscovery};
use super::region::Choice;

/// What the tenants on one host share.
#[derive(Debug)]
pub struct Site {
    /// Who says that it is an authority.
    pub instance: Instance,
    /// In which region it is asked.
    pub region: Choice,
}

impl Site {
    /// A site of which nothing has been found out yet.
    #[must_use]
    pub fn new(discovery: InstanceDiscovery, region: Choice) -> Self {
        Self { instance: Instance::new(discovery), region }
    }
}
