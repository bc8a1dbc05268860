//! The system's trust store. Hundreds of files may have to be read for it, so all clients share what was read, and it is
//! read when the first connection wants it: until then nobody waits for it, and who trusts a `ca_file` alone never does.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;

/// TLS that trusts whom the system trusts.
///
/// # Errors
/// The system has no trust store, or not where the environment says that it is.
pub(super) fn trust() -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder();
    let lazy = Lazy { provider: Arc::clone(builder.crypto_provider()) };
    // Whoever reads it says best what is wrong.
    if !is_there() {
        read(&lazy.provider)?;
    }
    let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(lazy)).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Whether there is something where the environment says that it is, or else where systems have it.
fn is_there() -> bool {
    let named = |name| std::env::var_os(name).map(PathBuf::from);
    let has_text = |file: &Path| file.metadata().is_ok_and(|file| file.len() > 0);
    let has_files = |directory: &Path| directory.read_dir().is_ok_and(|mut files| files.next().is_some());
    match (named("SSL_CERT_FILE"), named("SSL_CERT_DIR")) {
        (None, None) => {
            let usual = openssl_probe::probe();
            usual.cert_file.as_deref().is_some_and(has_text)
                || usual.cert_dir.iter().any(|directory| has_files(directory))
        }
        (file, directories) => {
            let mut directories = directories.iter().flat_map(std::env::split_paths);
            file.as_deref().is_none_or(has_text) && directories.all(|directory| has_files(&directory))
        }
    }
}

/// Reads it, unless that was done.
fn read(provider: &Arc<CryptoProvider>) -> Result<&'static Verifier, Error> {
    if let Some(read) = READ.get() {
        return Ok(read);
    }
    let read = Verifier::new(Arc::clone(provider))?;
    Ok(READ.get_or_init(|| read))
}

/// Verifies as the platform does, once it was asked to.
#[derive(Debug)]
struct Lazy {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lazy {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verifier = read(&self.provider).map_err(|error| {
            tracing::error!(%error, "the system's CA certificates cannot be read, so nobody is trusted");
            Error::InvalidCertificate(CertificateError::UnknownIssuer)
        })?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

static READ: OnceLock<Verifier> = OnceLock::new();
