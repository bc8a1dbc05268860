//! Whose a token is.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::Descent;
use crate::name::{ClientId, Name, TenantId};

/// An application in a directory, as its authority knows it (Entra's service principal), and the identity that it is here.
/// A source has one, which all its keys share.
#[derive(Debug, PartialEq, Eq)]
pub struct Principal {
    /// How its tokens are come by. Under another configuration that is another one, and so is the principal.
    pub descent: Descent,
    /// The configured identity.
    pub identity: Name,
    /// The base URL of the authority.
    pub authority: Arc<str>,
    /// The directory.
    pub tenant: TenantId,
    /// The application in that directory.
    pub client_id: ClientId,
}

/// What a descent was made of is not hashed once more, since each request pays for it.
impl Hash for Principal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.descent, &self.tenant).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Principal {
        /// That of the application `app`, in any directory.
        pub(crate) fn of(identity: &str, tenant: &str) -> Self {
            Self {
                descent: Descent::of([identity.as_bytes()]),
                identity: Name::parse(identity).unwrap(),
                authority: "https://login/".into(),
                tenant: TenantId::parse(tenant).unwrap(),
                client_id: ClientId::parse("app").unwrap(),
            }
        }
    }
}
