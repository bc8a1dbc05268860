//! A registered application: where it is known, how it proves itself, what it may do.

use aws_lc_rs::digest::{SHA256, digest};
use uuid::{Builder, Uuid};

use super::certificate::Certificate;
use super::federation::Federation;
use crate::name::{ClientId, TenantId, is_guid};
use crate::secret::Secret;

/// One application.
#[derive(Clone)]
pub(super) struct App {
    pub(super) client_id: ClientId,
    pub(super) object_id: Option<String>,
    pub(super) secrets: Vec<Secret>,
    pub(super) certificates: Vec<Certificate>,
    pub(super) federated: Vec<Federation>,
    pub(super) tenants: Tenants,
    pub(super) roles: Vec<String>,
}

impl App {
    /// Whether that is its client id; case does not matter in a GUID.
    pub(super) fn is(&self, client_id: &str) -> bool {
        self.client_id.as_str().eq_ignore_ascii_case(client_id)
    }

    /// Whether the text is one of its secrets. Every one is compared, so that time tells nothing.
    pub(super) fn has_secret(&self, shown: &str) -> bool {
        let matching = self.secrets.iter().filter(|secret| secret.matches(shown.as_bytes()));
        matching.count() > 0
    }

    /// The id of its service principal in that tenant: as configured, else always the same one.
    pub(super) fn object_id(&self, tenant: &str) -> String {
        let derived = || derived_guid(&[tenant, self.client_id.as_str()]).to_string();
        self.object_id.clone().unwrap_or_else(derived)
    }
}

/// In which tenants an application is known.
#[derive(Clone, Debug)]
pub(super) enum Tenants {
    /// In every tenant whose id is a GUID.
    Any,
    /// In these alone.
    Listed(Vec<TenantId>),
}

impl Tenants {
    /// Whether the tenant is among them.
    pub(super) fn contain(&self, tenant: &str) -> bool {
        match self {
            Self::Any => is_guid(tenant),
            Self::Listed(list) => list.iter().any(|listed| listed.as_str() == tenant),
        }
    }
}

/// A GUID that follows from the words, so that ids survive a restart.
pub(super) fn derived_guid(words: &[&str]) -> Uuid {
    let hash = digest(&SHA256, words.join("/").to_ascii_lowercase().as_bytes());
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(hash.as_ref()) {
        *to = *from;
    }
    Builder::from_random_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_guid_is_one_and_stays() {
        let guid = derived_guid(&["Tenant", "client"]);
        assert_eq!(guid, derived_guid(&["tenant", "CLIENT"]));
        assert_ne!(guid, derived_guid(&["tenant2", "client"]));
        assert!(is_guid(&guid.to_string()));
    }

    #[test]
    fn any_tenant_is_any_guid() {
        assert!(Tenants::Any.contain("72f988bf-86f1-41af-91ab-2d7cd011db47"));
        assert!(!Tenants::Any.contain("contoso.com"));
        assert!(!Tenants::Listed(Vec::new()).contain("contoso.com"));
    }
}
