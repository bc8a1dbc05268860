//! What proves our client to an authority. One kind, one file; each applies itself to one request.

use std::path::Path;
use std::sync::Arc;

use url::Url;

use crate::clock::{Deadline, Timestamp};
use crate::fault::Fault;
use crate::name::{ClientId, Malformed};
use crate::secret::Secret;
use crate::token::Token;
use crate::wire::request::ClientProof;

pub mod assertion;
pub mod calendar;
pub mod certificate;
pub mod delegate;
pub mod expiry;
pub mod file;
pub mod secret;
pub mod sight;
pub mod watch;

pub use assertion::file::AssertionFile;
pub use assertion::url::AssertionUrl;
pub use certificate::client::ClientCertificate;
pub use delegate::Delegate;
pub use secret::ClientSecret;

use expiry::Expiry;

/// A credential of an identity.
#[derive(Debug)]
pub enum Credential {
    /// An assertion that another issuer signed, in a file.
    Assertion(AssertionFile),
    /// An assertion that another issuer signed, fetched from a URL.
    AssertionUrl(Box<AssertionUrl>),
    /// A certificate with its key.
    Certificate(Box<ClientCertificate>),
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
    /// The id of the request that wants a token.
    pub request_id: &'a str,
    /// When nobody waits any more.
    pub deadline: Deadline,
    /// The token of the identity that vouches, for a credential that is one.
    pub delegated: Option<&'a Token>,
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

impl Algorithm {
    /// Reads its name (RFC 7518 section 3.1).
    ///
    /// # Errors
    /// Any other name.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        match text {
            "PS256" => Ok(Self::Ps256),
            "RS256" => Ok(Self::Rs256),
            _ => Err(Malformed("an algorithm is PS256 or RS256")),
        }
    }
}

impl Credential {
    /// Applies the credential to one request.
    ///
    /// # Errors
    /// The operator's fault: a file that cannot be read, a key that cannot sign.
    pub async fn prove(&self, occasion: &Occasion<'_>) -> Result<ClientProof, Fault> {
        match self {
            Self::Assertion(assertion) => assertion.prove().await,
            Self::AssertionUrl(assertion) => assertion.prove(occasion).await,
            Self::Certificate(certificate) => certificate.prove(occasion),
            Self::Delegate(delegate) => delegate.prove(occasion.delegated),
            Self::Secret(secret) => Ok(secret.prove()),
        }
    }

    /// What an authority could repeat although another credential was sent.
    #[must_use]
    pub fn secret(&self) -> Option<Arc<Secret>> {
        match self {
            Self::Assertion(_) | Self::AssertionUrl(_) | Self::Certificate(_) | Self::Delegate(_) => None,
            Self::Secret(secret) => Some(secret.value()),
        }
    }

    /// The files in which a new one would appear.
    #[must_use]
    pub fn files(&self) -> Vec<&Path> {
        match self {
            Self::Assertion(assertion) => vec![assertion.path()],
            Self::AssertionUrl(assertion) => assertion.bearer().and_then(ClientSecret::file).into_iter().collect(),
            Self::Certificate(certificate) => certificate.files(),
            Self::Delegate(_) => Vec::new(),
            Self::Secret(secret) => secret.file().into_iter().collect(),
        }
    }

    /// How often a new one was taken. One that is fetched for every exchange is never known to be another.
    #[must_use]
    pub fn generation(&self) -> u64 {
        match self {
            Self::Assertion(assertion) => assertion.generation(),
            Self::AssertionUrl(_) | Self::Delegate(_) => 0,
            Self::Certificate(certificate) => certificate.generation(),
            Self::Secret(secret) => secret.generation(),
        }
    }

    /// Looks whether there is a new one that holds `now`, and takes it.
    ///
    /// # Errors
    /// There is, and it cannot be used; the old one stays. Each state of the files is told about once.
    pub fn reload(&self, now: Timestamp) -> Result<(), Fault> {
        match self {
            Self::Assertion(assertion) => assertion.reload(),
            Self::AssertionUrl(assertion) => assertion.bearer().map_or(Ok(()), ClientSecret::reload),
            Self::Certificate(certificate) => certificate.reload(now),
            Self::Delegate(_) => Ok(()),
            Self::Secret(secret) => secret.reload(),
        }
    }

    /// When it ends, as far as anybody knows.
    #[must_use]
    pub fn expiry(&self) -> Option<Expiry> {
        match self {
            Self::Assertion(assertion) => assertion.expiry(),
            Self::AssertionUrl(assertion) => assertion.expiry(),
            Self::Certificate(certificate) => Some(Expiry::of_manual(certificate.not_after())),
            // Its token is renewed ahead as any other is.
            Self::Delegate(_) => None,
            Self::Secret(secret) => secret.expires().map(Expiry::of_manual),
        }
    }

    /// Whose token it is, if it is another identity's.
    #[must_use]
    pub const fn delegate(&self) -> Option<&Delegate> {
        match self {
            Self::Delegate(delegate) => Some(delegate),
            _ => None,
        }
    }

    /// The word for its kind, in the configuration and in logs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Assertion(_) | Self::AssertionUrl(_) => "assertion",
            Self::Certificate(_) => "certificate",
            Self::Delegate(delegate) => delegate.kind,
            Self::Secret(_) => "secret",
        }
    }
}
