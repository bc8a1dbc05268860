//! PEM text (RFC 7468): certificates, and keys in PKCS#1 or PKCS#8, the latter perhaps encrypted.

use aws_lc_rs::rsa::KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Kdf;
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::material::Material;
use super::unfit::{Part, Unfit};
use crate::secret::Secret;

/// Reads every key and certificate in the text; other sections are passed over.
pub(super) fn read(text: &[u8], passphrase: Option<&Secret>) -> Result<Material, Unfit> {
    if contains(text, b"Proc-Type: 4,ENCRYPTED") {
        return Err(Unfit::new(
            Part::Key,
            "the key is encrypted in a form of long ago (Proc-Type: 4,ENCRYPTED)",
            CONVERT,
        ));
    }
    let certificates: Result<_, _> = CertificateDer::pem_slice_iter(text).collect();
    let certificates = certificates.map_err(|_| Unfit::new(Part::File, "a certificate cannot be read", REWRITE))?;
    let plain = PrivateKeyDer::pem_slice_iter(text).map(|key| match key {
        Ok(key) => plain_key(&key),
        Err(_) => Err(Unfit::new(Part::Key, "the private key cannot be read", REWRITE)),
    });
    let encrypted = encrypted_sections(text).map(|section| encrypted_key(section, passphrase));
    Ok(Material { keys: plain.chain(encrypted).collect::<Result<_, _>>()?, certificates })
}

fn plain_key(key: &PrivateKeyDer<'_>) -> Result<KeyPair, Unfit> {
    let pair = match key {
        PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
        _ => return Err(Unfit::no_rsa_key()),
    };
    pair.map_err(|_| Unfit::no_rsa_key())
}

/// The base64 text of each encrypted key; the PEM reader of rustls knows only those that are not.
fn encrypted_sections(text: &[u8]) -> impl Iterator<Item = &str> {
    let text = std::str::from_utf8(text).unwrap_or_default();
    text.split(BEGIN).skip(1).map(|rest| rest.split(END).next().unwrap_or_default())
}

fn encrypted_key(section: &str, passphrase: Option<&Secret>) -> Result<KeyPair, Unfit> {
    let unreadable = || Unfit::new(Part::Key, "the encrypted private key cannot be read", CONVERT);
    let compact: String = section.split_ascii_whitespace().collect();
    let der = STANDARD.decode(compact).map_err(|_| unreadable())?;
    let info = EncryptedPrivateKeyInfoRef::try_from(&der[..]).map_err(|_| unreadable())?;
    if !is_affordable(&info.encryption_algorithm) {
        return Err(Unfit::new(Part::Key, "the key's encryption is not supported, or costs too much to open", CONVERT));
    }
    let passphrase = passphrase.ok_or_else(|| {
        Unfit::new(Part::Passphrase, "the key is encrypted, and no passphrase is given", NAME_PASSPHRASE)
    })?;
    let opened: SecretDocument = info.decrypt(passphrase.expose()).map_err(|_| Unfit::wrong_passphrase())?;
    KeyPair::from_pkcs8(opened.as_bytes()).map_err(|_| Unfit::no_rsa_key())
}

/// A key derivation names its own price; beyond these, a file could hold up the start for minutes.
fn is_affordable(scheme: &EncryptionScheme) -> bool {
    match scheme.pbes2().map(|parameters| &parameters.kdf) {
        Some(Kdf::Pbkdf2(kdf)) => kdf.iteration_count <= MAX_ITERATIONS,
        Some(Kdf::Scrypt(kdf)) => {
            let memory = kdf.cost_parameter.saturating_mul(u64::from(kdf.block_size)).saturating_mul(128);
            memory <= MAX_SCRYPT_MEMORY && kdf.parallelization <= 16
        }
        _ => false,
    }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
/// That of other readers: <https://github.com/openjdk/jdk> takes five million, OpenSSL ten.
const MAX_ITERATIONS: u32 = 10_000_000;
const MAX_SCRYPT_MEMORY: u64 = 256 << 20;
const CONVERT: &str = "convert it with 'openssl pkcs8 -topk8 -v2 aes256 -in OLD -out NEW'";
const REWRITE: &str = "write it anew, whole, as PEM";
pub(super) const NAME_PASSPHRASE: &str = "name it with passphrase = { file = \"...\" } or { env = \"NAME\" }";
