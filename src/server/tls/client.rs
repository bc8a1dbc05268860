//! Client certificates: which CA vouches for them, and whom each is for.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::distinguished_name::distinguished_name;
use crate::caller::subject::Subject;
use crate::clock::Timestamp;
use crate::name::Malformed;

/// Who vouches for client certificates.
#[derive(Clone)]
pub struct ClientCa(Arc<dyn ClientCertVerifier>);

impl ClientCa {
    /// Reads the certificates of one CA or of several, PEM.
    ///
    /// # Errors
    /// There is none, or one that nothing can be checked with.
    pub fn from_pem(certificates: &[u8]) -> Result<Self, Malformed> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(certificates) {
            let certificate = certificate.map_err(|_| Malformed("the PEM in the file is broken"))?;
            roots.add(certificate).map_err(|_| Malformed("a certificate in the file cannot be read"))?;
        }
        // A connection without a certificate is for the other proofs; one that is wrong ends the handshake.
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()))
            .allow_unauthenticated()
            .build();
        verifier.map(Self).map_err(|_| Malformed("the file holds no PEM certificate"))
    }

    pub(super) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for ClientCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientCa").finish_non_exhaustive()
    }
}

/// A client certificate that was verified.
#[derive(Debug)]
pub(in crate::server) struct Client {
    /// Whom it is for.
    pub(in crate::server) subject: Subject,
    /// The last second in which it is good.
    pub(in crate::server) until: Timestamp,
}

impl Client {
    /// Reads a certificate, DER.
    ///
    /// # Errors
    /// It is none, or has names that are no text: what cannot be read might be what matters.
    pub(in crate::server) fn read(certificate: &[u8]) -> Result<Self, Malformed> {
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| Malformed(UNREADABLE))?;
        let mut subject = Subject { distinguished_name: distinguished_name(parsed.subject()), ..Subject::default() };
        let names = parsed.subject_alternative_name().map_err(|_| Malformed(UNREADABLE))?;
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::URI(uri) => subject.uris.push((*uri).to_owned()),
                GeneralName::DNSName(name) => subject.dns_names.push(name.to_ascii_lowercase()),
                GeneralName::Invalid(..) => return Err(Malformed("a name in the client certificate is no text")),
                _ => {}
            }
        }
        let until = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default();
        Ok(Self { subject, until: Timestamp::from_secs(until) })
    }
}

const UNREADABLE: &str = "the client certificate cannot be read";

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, date_time_ymd};

    use super::*;

    fn made(names: Vec<SanType>) -> Result<Client, Malformed> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.distinguished_name.push(DnType::OrganizationName, "corp");
        params.not_after = date_time_ymd(2030, 1, 2);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Client::read(certificate.der())
    }

    #[test]
    fn names_and_the_end_are_read() {
        let uri = |text: &str| SanType::URI(text.try_into().unwrap());
        let dns = |text: &str| SanType::DnsName(text.try_into().unwrap());
        let names =
            vec![uri("spiffe://corp/A"), dns("Billing.Shop.SVC"), SanType::IpAddress([10, 0, 0, 1].into()), dns("b")];
        let client = made(names).unwrap();
        assert_eq!(client.subject.uris, ["spiffe://corp/A"]);
        assert_eq!(client.subject.dns_names, ["billing.shop.svc", "b"]);
        assert_eq!(client.until, Timestamp::from_secs(1_893_542_400));
        assert_eq!(client.subject.distinguished_name, "O=corp,CN=rcgen self signed cert");
        assert_eq!(made(Vec::new()).unwrap().subject.uris, [""; 0]);
        assert!(Client::read(b"no certificate").is_err());
    }

    #[test]
    fn a_ca_is_in_the_file() {
        let ca = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
        ClientCa::from_pem(ca.as_bytes()).unwrap();
        ClientCa::from_pem(format!("{ca}{ca}").as_bytes()).unwrap();
        let cut = ca.replacen("-----END", "!----END", 1);
        let garbled = "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n";
        for (text, told) in [("", "no PEM certificate"), (&cut, "broken"), (garbled, "cannot be read")] {
            let problem = ClientCa::from_pem(text.as_bytes()).unwrap_err().to_string();
            assert!(problem.contains(told), "{problem}");
        }
    }
}
