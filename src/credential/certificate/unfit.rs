//! Why files are no credential: what is wrong, where, and what to do about it.

/// A reason, in words that never repeat what was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Unfit {
    /// Where.
    pub part: Part,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: &'static str,
}

/// What a certificate credential is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The file with the certificate.
    File,
    /// The private key, wherever it lies.
    Key,
    /// The passphrase.
    Passphrase,
}

impl Part {
    /// What is wrong with a file of its own that is meant to hold the key is wrong with the key.
    pub(super) const fn of_key(self) -> Self {
        match self {
            Self::File | Self::Key => Self::Key,
            Self::Passphrase => Self::Passphrase,
        }
    }
}

impl Unfit {
    pub(super) fn new(part: Part, problem: impl Into<String>, remedy: &'static str) -> Self {
        Self { part, problem: problem.into(), remedy }
    }

    pub(super) fn wrong_passphrase() -> Self {
        Self::new(Part::Passphrase, "the passphrase does not open the key", "name the passphrase that belongs to it")
    }

    pub(super) fn no_rsa_key() -> Self {
        Self::new(Part::Key, "the private key is no RSA key of 2048 to 8192 bits", RSA)
    }
}

const RSA: &str = "make a new one with 'openssl req -x509 -newkey rsa:3072', and register its certificate; Entra takes RSA keys alone";
