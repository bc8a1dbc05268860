//! A client secret: sent as it is, in the body and never in a header.

use crate::secret::Secret;
use crate::wire::request::ClientProof;

/// The value of a client secret.
#[derive(Debug)]
pub struct ClientSecret(Secret);

impl ClientSecret {
    /// A credential of this value.
    #[must_use]
    pub const fn new(value: Secret) -> Self {
        Self(value)
    }

    /// The value.
    #[must_use]
    pub const fn value(&self) -> &Secret {
        &self.0
    }

    /// The proof, which is the secret itself.
    #[must_use]
    pub fn prove(&self) -> ClientProof {
        ClientProof::Secret(self.0.clone())
    }
}
