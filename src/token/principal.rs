//! Whose a token is.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::name::{ClientId, Name, TenantId};

/// An application in a directory, as its authority knows it (Entra's service principal), and the identity that it is here.
/// A source has one, which all its keys share.
#[derive(Debug, PartialEq, Eq)]
pub struct Principal {
    /// The configured identity.
    pub identity: Name,
    /// The base URL of the authority.
    pub authority: Arc<str>,
    /// The directory.
    pub tenant: TenantId,
    /// The application in that directory.
    pub client_id: ClientId,
}

/// Of what tells principals apart nearly always, since each request pays for it.
impl Hash for Principal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity.hash(state);
        self.tenant.hash(state);
    }
}

#[cfg(test)]
impl Principal {
    /// That of the application `app`, in any directory.
    pub(crate) fn of(identity: &str, tenant: &str) -> Self {
        Self {
            identity: Name::parse(identity).unwrap(),
            authority: "https://login/".into(),
            tenant: TenantId::parse(tenant).unwrap(),
            client_id: ClientId::parse("app").unwrap(),
        }
    }
}
