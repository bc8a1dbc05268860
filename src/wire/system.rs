//! The system's trust store. Hundreds of files may have to be read for it, so all clients share what was read, and it is
//! read when the first connection wants it: until then nobody waits for it, and who trusts a `ca_file` alone never does.

use std::collections::HashMap;
use std::env::split_paths;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use rustls_native_certs::load_certs_from_paths;

use super::Roots;

/// A trust store. Clones are the same, and read it once.
#[derive(Clone, Debug, Default)]
pub struct System(Arc<Store>);

#[derive(Debug, Default)]
struct Store {
    file: Option<PathBuf>,
    directories: Vec<PathBuf>,
    read: OnceLock<Arc<WebPkiServerVerifier>>,
}

impl System {
    /// The one that is where these variables of the process say, or else where systems have it.
    #[must_use]
    pub fn of(variables: &HashMap<String, String>) -> Self {
        let directories = variables.get("SSL_CERT_DIR").into_iter().flat_map(split_paths);
        Self(Arc::new(Store {
            file: variables.get("SSL_CERT_FILE").filter(|path| !path.is_empty()).map(PathBuf::from),
            directories: directories.filter(|path| !path.as_os_str().is_empty()).collect(),
            read: OnceLock::new(),
        }))
    }

    /// These certificates if there are any to trust instead, or else this.
    #[must_use]
    pub fn or(&self, these: Option<Vec<reqwest::Certificate>>) -> Roots {
        these.map_or_else(|| Roots::System(self.clone()), Roots::These)
    }

    /// TLS that trusts whom the system trusts.
    ///
    /// # Errors
    /// The system has no trust store, or not where the variables say that it is.
    pub(super) fn trust(self) -> Result<ClientConfig, Error> {
        let builder = ClientConfig::builder();
        let lazy = Lazy { provider: Arc::clone(builder.crypto_provider()), store: self.0 };
        // Whoever reads it says best what is wrong.
        if !lazy.store.is_there() {
            lazy.store.verifier(&lazy.provider)?;
        }
        let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(lazy)).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl Store {
    const fn is_named(&self) -> bool {
        self.file.is_some() || !self.directories.is_empty()
    }

    /// Where it is to be, in words.
    fn place(&self) -> String {
        let named = self.file.as_deref().into_iter().chain(self.directories.iter().map(PathBuf::as_path));
        let named: Vec<String> = named.map(|path| path.display().to_string()).collect();
        if named.is_empty() {
            return "where this system would have them".to_owned();
        }
        format!("where SSL_CERT_FILE and SSL_CERT_DIR say: {}", named.join(", "))
    }

    /// Whether there is something where it is named, or else where systems have it.
    fn is_there(&self) -> bool {
        let has_text = |file: &Path| file.metadata().is_ok_and(|file| file.len() > 0);
        let has_files = |directory: &Path| directory.read_dir().is_ok_and(|mut files| files.next().is_some());
        if self.is_named() {
            return self.file.as_deref().is_none_or(has_text) && self.directories.iter().all(|path| has_files(path));
        }
        let (file, directories) = usual();
        file.as_deref().is_some_and(has_text) || directories.iter().any(|path| has_files(path))
    }

    /// Reads it, unless that was done.
    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<&Arc<WebPkiServerVerifier>, Error> {
        if let Some(read) = self.read.get() {
            return Ok(read);
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.certificates());
        if roots.is_empty() {
            return Err(Error::General(format!("no CA certificate lies {}", self.place())));
        }
        let read = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
        let read = read.map_err(|error| Error::General(error.to_string()))?;
        Ok(self.read.get_or_init(|| read))
    }

    /// All that can be read, each once.
    fn certificates(&self) -> Vec<CertificateDer<'static>> {
        let (file, directories) = if self.is_named() { (self.file.clone(), self.directories.clone()) } else { usual() };
        let file = file.iter().map(|file| (file, load_certs_from_paths(Some(file), None)));
        let directories = directories.iter().map(|directory| (directory, load_certs_from_paths(None, Some(directory))));
        let mut certificates = Vec::new();
        for (path, found) in file.chain(directories) {
            for error in found.errors {
                tracing::debug!(%error, "a part of the system's CA certificates cannot be read");
            }
            // The others may hold enough, and then nothing else would tell.
            if self.is_named() && found.certs.is_empty() {
                tracing::warn!(path = %path.display(), "no CA certificate lies where SSL_CERT_FILE or SSL_CERT_DIR says");
            }
            certificates.extend(found.certs);
        }
        certificates.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
        certificates.dedup();
        certificates
    }
}

/// Where systems have it: a file, and directories.
fn usual() -> (Option<PathBuf>, Vec<PathBuf>) {
    let usual = openssl_probe::probe();
    (usual.cert_file, usual.cert_dir)
}

/// Verifies as the system does, once it was asked to.
#[derive(Debug)]
struct Lazy {
    provider: Arc<CryptoProvider>,
    store: Arc<Store>,
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
        let verifier = self.store.verifier(&self.provider).map_err(|error| {
            tracing::error!(%error, "the system's CA certificates cannot be read, so nobody is trusted");
            Error::Other(OtherError(Arc::new(error)))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(variables: &[(&str, &Path)]) -> Store {
        let variables = variables.iter().map(|(name, path)| ((*name).to_owned(), path.display().to_string()));
        Arc::into_inner(System::of(&variables.collect()).0).unwrap()
    }

    #[test]
    fn it_is_where_the_variables_say() {
        let base = tempfile::tempdir().unwrap();
        let made = |name: &str| {
            let key = rcgen::KeyPair::generate().unwrap();
            let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.self_signed(&key).unwrap().pem()
        };
        let path = |name: &str| base.path().join(name);
        for (directory, names) in [("one", &["a", "b"][..]), ("two", &["c"]), ("none", &[])] {
            std::fs::create_dir(path(directory)).unwrap();
            names.iter().for_each(|name| std::fs::write(path(directory).join(name), made(name)).unwrap());
        }
        std::fs::write(path("file"), made("d") + &made("e")).unwrap();
        let both = PathBuf::from(format!("{}:{}", path("one").display(), path("two").display()));
        let (file, one, none) = (path("file"), path("one"), path("none"));
        let within = one.join("a");
        for (variables, is_there, found) in [
            (&[("SSL_CERT_FILE", &*file)][..], true, 2),
            (&[("SSL_CERT_DIR", &*both)], true, 3),
            (&[("SSL_CERT_FILE", &*file), ("SSL_CERT_DIR", &*both)], true, 5),
            (&[("SSL_CERT_FILE", &*within), ("SSL_CERT_DIR", &*one)], true, 2),
            (&[("SSL_CERT_FILE", &*file), ("SSL_CERT_DIR", &*none)], false, 2),
            (&[("SSL_CERT_DIR", &*none)], false, 0),
            (&[("SSL_CERT_FILE", Path::new("/nowhere"))], false, 0),
        ] {
            let store = at(variables);
            assert_eq!((store.is_there(), store.certificates().len()), (is_there, found), "{variables:?}");
        }
        for empty in ["SSL_CERT_DIR", "SSL_CERT_FILE"] {
            assert!(!at(&[(empty, Path::new(""))]).is_named(), "what is empty names nothing");
        }
        let provider = Arc::clone(ClientConfig::builder().crypto_provider());
        let why = at(&[("SSL_CERT_FILE", Path::new("/nowhere"))]).verifier(&provider).unwrap_err().to_string();
        assert!(why.contains("SSL_CERT_FILE") && why.contains("/nowhere"), "{why}");
    }
}
