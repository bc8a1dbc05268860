//! What lies in a file: private keys and certificates, in no order that means anything.

use aws_lc_rs::rsa::KeyPair;
use rustls_pki_types::CertificateDer;

use super::unfit::{Part, Unfit};
use super::{pem, pfx};
use crate::secret::Secret;

/// The keys and certificates of a file. No `Debug`: it holds keys.
#[derive(Default)]
pub struct Material {
    /// Private keys.
    pub keys: Vec<KeyPair>,
    /// Certificates.
    pub certificates: Vec<CertificateDer<'static>>,
}

impl Material {
    /// Reads PEM or PFX, whichever it is by its content; names of files say little.
    ///
    /// # Errors
    /// It is neither, or not one that can be opened.
    pub fn read(bytes: &[u8], passphrase: Option<&Secret>) -> Result<Self, Unfit> {
        match bytes.trim_ascii_start().first() {
            None => Err(Unfit::new(Part::File, "the file is empty", "write the certificate and its key there")),
            Some(&DER_SEQUENCE) => pfx::read(bytes, passphrase),
            Some(_) => pem::read(bytes, passphrase),
        }
    }
}

/// '0' begins no PEM text, and every PFX.
const DER_SEQUENCE: u8 = 0x30;
