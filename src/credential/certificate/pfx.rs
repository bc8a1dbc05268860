//! PFX files (PKCS#12, RFC 7292), with the ciphers of today (PBES2) and those of `-legacy` (RC2-40, 3DES).
//!
//! The crate leaves a copy of the opened key in memory that is freed and not erased: its type has no way
//! to its bytes. Core dumps are forbidden for the whole process.

use aws_lc_rs::rsa::KeyPair;
use p12_keystore::Pkcs12Archive;
use p12_keystore::error::Error;
use rustls_pki_types::CertificateDer;

use super::material::Material;
use super::pem::NAME_PASSPHRASE;
use super::unfit::{Part, Unfit};
use crate::secret::Secret;

/// Reads every key and certificate, also those without a local key id: what belongs together is found by
/// the keys themselves.
pub(super) fn read(bytes: &[u8], passphrase: Option<&Secret>) -> Result<Material, Unfit> {
    // A PFX without a passphrase has an empty one.
    let opened = Pkcs12Archive::from_pkcs12(bytes, passphrase.map_or("", Secret::expose));
    let archive = opened.map_err(|error| unfit(&error, passphrase.is_some()))?;
    let keys = archive.keys.iter().map(|bag| KeyPair::from_pkcs8(bag.key.as_der()).map_err(|_| Unfit::no_rsa_key()));
    let certificates = archive.certs.iter().map(|bag| CertificateDer::from(bag.cert.as_der().to_vec()));
    Ok(Material { keys: keys.collect::<Result<_, _>>()?, certificates: certificates.collect() })
}

fn unfit(error: &Error, has_passphrase: bool) -> Unfit {
    match error {
        Error::MacError(_) | Error::Pkcs5Error(_) | Error::UnpadError if has_passphrase => Unfit::wrong_passphrase(),
        Error::MacError(_) | Error::Pkcs5Error(_) | Error::UnpadError => {
            Unfit::new(Part::Passphrase, "the PFX is encrypted, and no passphrase is given", NAME_PASSPHRASE)
        }
        Error::UnsupportedEncryptionScheme | Error::UnsupportedMacAlgorithm | Error::InvalidParameters => {
            Unfit::new(Part::File, "the encryption of the PFX is not supported, or costs too much to open", EXPORT)
        }
        _ => Unfit::new(Part::File, "the file is neither PEM nor a PFX that can be read", EXPORT),
    }
}

const EXPORT: &str = "write it anew as PEM, or with 'openssl pkcs12 -export' of OpenSSL 3";
