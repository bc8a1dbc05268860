//! A certificate with its RSA key: signs a fresh assertion for every request (RFC 7523).
//!
//! PS256 with `x5t#S256`, as Entra wants it. An assertion is never reused: a signature costs about a
//! millisecond beside a round trip of fifty, and a second use of one `jti` may be refused as a replay.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PSS_SHA256};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Occasion;
use crate::fault::{Fault, Kind};
use crate::name::Malformed;
use crate::secret::Secret;
use crate::wire::request::ClientProof;

/// A key that signs, and the header that says which certificate it belongs to.
pub struct Certificate {
    key: KeyPair,
    /// Base64url, ready to be put before the claims.
    header: String,
    thumbprint: String,
}

impl Certificate {
    /// Reads PEM text that holds a certificate, its key, and perhaps the chain, in any order. With
    /// `send_x5c` the chain goes along, leaf first, for subject-name-and-issuer trust.
    ///
    /// # Errors
    /// [`Malformed`] says what is missing or does not fit.
    pub fn from_pem(pem: &[u8], send_x5c: bool) -> Result<Self, Malformed> {
        let key = read_key(pem)?;
        let mut chain: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|_| Malformed("a certificate in the file cannot be read"))?;
        if chain.is_empty() {
            return Err(Malformed("the file has no certificate (BEGIN CERTIFICATE)"));
        }
        let leaf = chain.iter().position(|certificate| belongs(certificate, &key));
        let leaf = leaf.ok_or(Malformed("the key in the file belongs to none of its certificates"))?;
        chain[..=leaf].rotate_right(1);
        let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, &chain[0]));
        let mut header = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint });
        if send_x5c {
            header["x5c"] = chain.iter().map(|certificate| STANDARD.encode(certificate)).collect();
        }
        Ok(Self { key, header: URL_SAFE_NO_PAD.encode(header.to_string()), thumbprint })
    }

    /// Signs an assertion for one request.
    ///
    /// # Errors
    /// The key cannot sign, which a key that was read never does.
    pub fn prove(&self, occasion: &Occasion<'_>) -> Result<ClientProof, Fault> {
        let client_id = occasion.client_id.as_str();
        let claims = json!({
            "aud": occasion.audience.as_str(),
            "iss": client_id,
            "sub": client_id,
            "jti": occasion.jti,
            "iat": occasion.now.as_secs(),
            "nbf": (occasion.now - SKEW).as_secs(),
            "exp": (occasion.now + LIFE).as_secs(),
        });
        let input = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(claims.to_string()));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature).map_err(|_| {
            Fault::new(Kind::Internal, "the certificate's key could not sign", "report this with the kind of the key")
        })?;
        Ok(ClientProof::Assertion(Secret::from(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))))
    }
}

/// The thumbprint says which one it is and proves nothing.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("thumbprint", &self.thumbprint).finish_non_exhaustive()
    }
}

fn read_key(pem: &[u8]) -> Result<KeyPair, Malformed> {
    const ENCRYPTED: &[u8] = b"ENCRYPTED";
    if pem.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED) {
        return Err(Malformed("the key is encrypted; store it without a passphrase, readable by this process alone"));
    }
    let mut keys = PrivateKeyDer::pem_slice_iter(pem);
    let key = keys.next().ok_or(Malformed("the file has no private key (BEGIN PRIVATE KEY)"))?;
    if keys.next().is_some() {
        return Err(Malformed("the file has more than one private key"));
    }
    let pair = match key.map_err(|_| Malformed("the private key cannot be read"))? {
        PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
        _ => return Err(Malformed("the private key is no RSA key; Entra takes nothing else")),
    };
    pair.map_err(|_| Malformed("the private key is no RSA key of 2048 to 8192 bits"))
}

fn belongs(certificate: &CertificateDer<'_>, key: &KeyPair) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return false;
    };
    parsed.public_key().subject_public_key.data.as_ref() == key.public_key().as_ref()
}

/// As long as MSAL's.
const LIFE: Duration = Duration::from_mins(10);
/// How far the authority's clock may be behind ours.
const SKEW: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;
    use crate::clock::Timestamp;
    use crate::name::ClientId;

    fn issued(name: &str) -> (String, String) {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn proved(certificate: &Certificate) -> (Value, Value, String) {
        let occasion = Occasion {
            client_id: &ClientId::parse("app").unwrap(),
            audience: &url::Url::parse("https://login/t/oauth2/v2.0/token").unwrap(),
            now: Timestamp::from_secs(1_000_000),
            jti: "one",
        };
        let jwt = certificate.prove(&occasion).unwrap().secret().expose().to_owned();
        let part = |n: usize| {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(jwt.split('.').nth(n).unwrap()).unwrap()).unwrap()
        };
        (part(0), part(1), jwt.clone())
    }

    #[test]
    fn signs_what_entra_wants_and_the_signature_holds() {
        let (cert, key) = issued("app");
        let certificate = Certificate::from_pem(format!("{key}{cert}").as_bytes(), false).unwrap();
        let (header, claims, jwt) = proved(&certificate);
        assert_eq!(header, json!({"alg": "PS256", "typ": "JWT", "x5t#S256": certificate.thumbprint}));
        assert_eq!(
            claims,
            json!({"aud": "https://login/t/oauth2/v2.0/token", "iss": "app", "sub": "app", "jti": "one",
                "iat": 1_000_000, "nbf": 999_940, "exp": 1_000_600})
        );
        let (input, signature) = jwt.rsplit_once('.').unwrap();
        let public = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, certificate.key.public_key().as_ref());
        public.verify(input.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    }

    #[test]
    fn the_leaf_is_the_one_that_the_key_belongs_to() {
        let ((leaf, key), (other, _)) = (issued("leaf"), issued("issuer"));
        let certificate = Certificate::from_pem(format!("{other}{leaf}{key}").as_bytes(), true).unwrap();
        let (header, _, _) = proved(&certificate);
        let alone = Certificate::from_pem(format!("{leaf}{key}").as_bytes(), true).unwrap();
        assert_eq!(certificate.thumbprint, alone.thumbprint);
        assert_eq!(header["x5c"].as_array().unwrap().len(), 2);
        assert_eq!(header["x5c"][0], proved(&alone).0["x5c"][0]);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let ((cert, key), (stranger, other_key)) = (issued("a"), issued("b"));
        let elliptic = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
        for (pem, problem) in [
            (cert.clone(), "no private key"),
            (key.clone(), "no certificate"),
            (format!("{stranger}{key}"), "belongs to none"),
            (format!("{cert}{key}{other_key}"), "more than one"),
            (format!("{cert}{elliptic}"), "RSA"),
            (
                format!("{cert}-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
                "encrypted",
            ),
        ] {
            let problem_told = Certificate::from_pem(pem.as_bytes(), false).unwrap_err().to_string();
            assert!(problem_told.contains(problem), "{problem_told}");
        }
    }

    #[test]
    fn does_not_print_its_key() {
        let (cert, key) = issued("a");
        let certificate = Certificate::from_pem(format!("{cert}{key}").as_bytes(), false).unwrap();
        let printed = format!("{certificate:?}");
        assert_eq!(printed, format!("Certificate {{ thumbprint: {:?}, .. }}", certificate.thumbprint));
    }
}
