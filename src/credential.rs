//! What proves our client to an authority. One kind, one file; each applies itself to one request.

use std::path::Path;
use std::sync::Arc;

use url::Url;

use crate::clock::Timestamp;
use crate::fault::Fault;
use crate::name::ClientId;
use crate::secret::Secret;
use crate::wire::request::ClientProof;

pub mod assertion;
pub mod certificate;
pub mod delegate;
pub mod file;
pub mod secret;
pub mod watch;

pub use assertion::AssertionFile;
pub use certificate::Certificate;
use delegate::Delegate;
pub use secret::ClientSecret;

/// A credential of an identity.
#[derive(Debug)]
pub enum Credential {
    /// An assertion that another issuer signed, in a file.
    Assertion(AssertionFile),
    /// A certificate with its key.
    Certificate(Box<Certificate>),
    /// Another identity's token.
    Delegate(Delegate),
    /// A client secret.
    Secret(ClientSecret),
}

/// The request that a proof is for.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// The application that proves itself.
    pub client_id: &'a ClientId,
    /// The token endpoint, which is the assertion's audience.
    pub audience: &'a Url,
    /// The present.
    pub now: Timestamp,
    /// An id that no other assertion has.
    pub jti: &'a str,
    /// How an assertion of ours is signed.
    pub algorithm: Algorithm,
}

/// How an assertion is signed, and with it which thumbprint names the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// PS256 with `x5t#S256`, as Entra wants it
    /// (<https://learn.microsoft.com/entra/identity-platform/certificate-credentials#assertion-format>).
    Ps256,
    /// RS256 with `x5t`, the SHA-1 of RFC 7515 section 4.1.7: all that AD FS knows.
    Rs256,
}

impl Credential {
    /// Applies the credential to one request.
    ///
    /// # Errors
    /// The operator's fault: a file that cannot be read, a key that cannot sign.
    pub async fn prove(&self, occasion: &Occasion<'_>) -> Result<ClientProof, Fault> {
        match self {
            Self::Assertion(assertion) => assertion.prove().await,
            Self::Certificate(certificate) => certificate.prove(occasion),
            Self::Secret(secret) => Ok(secret.prove()),
        }
    }

    /// What an authority could repeat although another credential was sent.
    #[must_use]
    pub fn secret(&self) -> Option<Arc<Secret>> {
        match self {
            Self::Assertion(_) | Self::Certificate(_) => None,
            Self::Secret(secret) => Some(secret.value()),
        }
    }

    /// The file in which a new one would appear; none for what is read for every request anyway.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Assertion(_) | Self::Certificate(_) => None,
            Self::Secret(secret) => secret.file(),
        }
    }

    /// How often a new one was taken.
    #[must_use]
    pub fn generation(&self) -> u64 {
        match self {
            Self::Assertion(_) | Self::Certificate(_) => 0,
            Self::Secret(secret) => secret.generation(),
        }
    }

    /// Looks whether there is a new one, and takes it.
    ///
    /// # Errors
    /// There is, and it cannot be used; the old one stays.
    pub fn reload(&self) -> Result<(), Fault> {
        match self {
            Self::Assertion(_) | Self::Certificate(_) => Ok(()),
            Self::Secret(secret) => secret.reload(),
        }
    }

    /// The word for its kind, in the configuration and in logs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Assertion(_) => "assertion",
            Self::Certificate(_) => "certificate",
            Self::Secret(_) => "secret",
        }
    }
}
