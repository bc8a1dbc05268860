//! The certificate that https listeners show: the operator's, or one of the moment.
//!
//! Service Fabric's clients pin its SHA-1 thumbprint and look at nothing else, so one that nobody signed
//! serves them well.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::{NoServerSessionStorage, WantsServerCert};
use rustls::{ConfigBuilder, ServerConfig, WantsVerifier};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::clock::Timestamp;
use crate::credential::expiry::Expiry;
use crate::fault::{Fault, Kind};

pub mod client;
mod distinguished_name;
pub mod renewal;

use client::ClientCa;

/// What an https listener shows and signs with.
#[derive(Clone)]
pub struct Tls {
    server: Arc<ServerConfig>,
    /// The same for listeners that ask nobody for a certificate.
    asking_nobody: Arc<ServerConfig>,
    thumbprint: String,
    expiry: Option<Expiry>,
}

/// Why two files are nothing to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The key is there, and closed.
    #[error("the private key is encrypted")]
    EncryptedKey,
    /// There is no certificate.
    #[error("the file holds no PEM certificate")]
    NoCertificate,
    /// There is no key.
    #[error("the file holds no PEM private key")]
    NoKey,
    /// There is one, and no client would take it.
    #[error("the certificate is malformed, or not of version 3")]
    OddCertificate,
    /// There are both, and not of one another.
    #[error("the key does not belong to the certificate")]
    OtherKey,
}

impl Tls {
    /// Reads a certificate with its chain, leaf first, and its key, both PEM. Clients are asked for a certificate
    /// of `clients`, if that is some CA.
    ///
    /// # Errors
    /// There is none, or none that clients take, or the key is encrypted or belongs to another.
    pub fn from_pem(certificate: &[u8], key: &[u8], clients: Option<&ClientCa>) -> Result<Self, Unfit> {
        let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or(Unfit::NoCertificate)?;
        if ENCRYPTED.iter().any(|sign| key.windows(sign.len()).any(|part| part == *sign)) {
            return Err(Unfit::EncryptedKey);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| Unfit::NoKey)?;
        Self::of(chain, key, clients).map_err(|error| match error {
            rustls::Error::InvalidCertificate(_) => Unfit::OddCertificate,
            _ => Unfit::OtherKey,
        })
    }

    /// Makes one for these addresses, which holds as long as certificates can.
    ///
    /// # Errors
    /// Only a bug of ours.
    pub fn generate(listeners: &[SocketAddr]) -> Result<Self, Fault> {
        let made = || -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
            let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
            params.distinguished_name.push(DnType::CommonName, "Bursar");
            params.subject_alt_names.extend(listeners.iter().map(|address| SanType::IpAddress(address.ip())));
            let key = KeyPair::generate()?;
            let certificate = params.self_signed(&key)?;
            Ok(Self::of(vec![certificate.into()], key.into(), None)?)
        };
        made().map_err(|error| {
            Fault::new(Kind::Internal, "no certificate can be made for the https listener", "report this")
                .with_inward(error.to_string())
        })
    }

    fn of(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        clients: Option<&ClientCa>,
    ) -> Result<Self, rustls::Error> {
        let thumbprint = chain.first().map(|leaf| thumbprint(leaf)).unwrap_or_default();
        let expiry = chain.first().and_then(|leaf| expiry(leaf));
        let asking_nobody = Arc::new(server(builder()?.with_no_client_auth(), chain.clone(), key.clone_key())?);
        let server = match clients {
            None => Arc::clone(&asking_nobody),
            Some(clients) => {
                let mut server = server(builder()?.with_client_cert_verifier(clients.verifier()), chain, key)?;
                // A session that is resumed brings its certificate along, and nobody verifies that again.
                server.session_storage = Arc::new(NoServerSessionStorage {});
                server.send_tls13_tickets = 0;
                Arc::new(server)
            }
        };
        Ok(Self { server, asking_nobody, thumbprint, expiry })
    }

    /// What clients pin: 40 hex digits in upper case.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// When the certificate ends, where it says so.
    #[must_use]
    pub const fn expiry(&self) -> Option<Expiry> {
        self.expiry
    }
}

fn builder() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, rustls::Error> {
    ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions()
}

fn server(
    builder: ConfigBuilder<ServerConfig, WantsServerCert>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let mut server = builder.with_single_cert(chain, key)?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(server)
}

/// What https listeners show now. A connection goes on with what it was opened with.
#[derive(Clone, Debug)]
pub struct Shown {
    present: Arc<ArcSwap<Tls>>,
    /// Whether clients are asked for a certificate, where there is a CA that vouches for them.
    asks: bool,
}

impl Shown {
    /// This, until it is replaced.
    #[must_use]
    pub fn new(tls: Tls) -> Self {
        Self { present: Arc::new(ArcSwap::from_pointee(tls)), asks: true }
    }

    /// The same, whatever replaces it, for a listener that asks nobody for a certificate.
    pub(super) fn asking_nobody(&self) -> Self {
        Self { present: Arc::clone(&self.present), asks: false }
    }

    /// Shows another from now on.
    pub fn replace(&self, tls: Tls) {
        self.present.store(Arc::new(tls));
    }

    /// What is shown.
    #[must_use]
    pub fn present(&self) -> Arc<Tls> {
        self.present.load_full()
    }

    /// Shakes hands on a listener's next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let tls = self.present.load();
        TlsAcceptor::from(Arc::clone(if self.asks { &tls.server } else { &tls.asking_nobody }))
    }
}

/// The thumbprint says which certificate it is; the key is not shown.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("thumbprint", &self.thumbprint).finish_non_exhaustive()
    }
}

/// The SHA-1 thumbprint of a certificate, as Windows and Service Fabric write it.
#[must_use]
pub fn thumbprint(certificate: &[u8]) -> String {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate).as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
}

fn expiry(certificate: &[u8]) -> Option<Expiry> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let end = u64::try_from(parsed.validity().not_after.timestamp()).ok()?;
    Some(Expiry::of_manual(Timestamp::from_secs(end)))
}

/// What an encrypted key has in its PEM: PKCS#8's own label, and a header of long ago in PKCS#1.
const ENCRYPTED: [&[u8]; 2] = [b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"Proc-Type: 4,ENCRYPTED"];

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        (CertificateParams::new(vec!["a".to_owned()]).unwrap().self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn a_certificate_needs_its_own_key() {
        let ((certificate, key), (_, other)) = (pair(), pair());
        let tls = Tls::from_pem(certificate.as_bytes(), key.as_bytes(), None).unwrap();
        assert!(tls.thumbprint().len() == 40 && tls.thumbprint().bytes().all(|b| b.is_ascii_hexdigit()));
        for (certificate, key, told) in [
            ("", key.as_str(), "no PEM certificate"),
            (certificate.as_str(), "", "no PEM private key"),
            (certificate.as_str(), other.as_str(), "does not belong"),
        ] {
            let problem = Tls::from_pem(certificate.as_bytes(), key.as_bytes(), None).err().unwrap().to_string();
            assert!(problem.contains(told), "{problem}");
        }
        assert_ne!(Tls::generate(&[]).unwrap().thumbprint(), Tls::generate(&[]).unwrap().thumbprint());
    }
}
