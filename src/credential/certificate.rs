//! A certificate with its RSA key: signs a fresh assertion for every request (RFC 7523).
//!
//! An assertion is never reused: a signature costs about a millisecond beside a round trip of fifty, and a
//! second use of one `jti` may be refused as a replay.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::{Algorithm, Occasion};
use crate::clock::Timestamp;
use crate::fault::{Fault, Kind};
use crate::name::Malformed;
use crate::secret::Secret;
use crate::wire::request::ClientProof;

pub mod chain;
pub mod client;
pub mod material;
mod pem;
mod pfx;
pub mod unfit;

use chain::Chain;
use material::Material;
use unfit::{Part, Unfit};

/// A key that signs, and the headers that say which certificate it belongs to.
pub struct Certificate {
    key: KeyPair,
    ps256: Header,
    rs256: Header,
    signing: Signing,
    not_after: Timestamp,
}

/// What the files of a credential hold, and what opens them. No `Debug`: they hold keys.
#[derive(Clone, Copy)]
pub struct Files<'a> {
    /// The certificate, perhaps its chain, perhaps its key: PEM or PFX.
    pub file: &'a [u8],
    /// The key, when it lies in a file of its own.
    pub key: Option<&'a [u8]>,
    /// What opens the key or the PFX.
    pub passphrase: Option<&'a Secret>,
}

/// How the assertions of a certificate are made; the default is as the authority's kind wants it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signing {
    /// Sends the chain along, leaf first, for subject-name-and-issuer trust.
    pub send_x5c: bool,
    /// Instead of the one that the authority's kind wants.
    pub algorithm: Option<Algorithm>,
    /// What the authority calls the key, if it does not find it by the thumbprint or by trying (RFC 7515 section 4.1.4).
    pub kid: Option<String>,
    /// Signed into each assertion.
    pub claims: Claims,
}

/// Further claims that are signed into each assertion.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claims(Map<String, Value>);

/// A JOSE header that is ready to be put before the claims.
struct Header {
    encoded: String,
    thumbprint: String,
}

impl Certificate {
    /// Reads a certificate with its key, whose assertions will be made as `signing` says.
    ///
    /// # Errors
    /// [`Unfit`] says what is missing or does not fit.
    pub fn read(files: Files<'_>, signing: Signing, now: Timestamp) -> Result<Self, Unfit> {
        let mut material = Material::read(files.file, files.passphrase)?;
        if let Some(key) = files.key {
            let apart =
                Material::read(key, files.passphrase).map_err(|unfit| Unfit { part: unfit.part.of_key(), ..unfit })?;
            material.keys.extend(apart.keys);
        }
        let key = material.keys.pop().ok_or_else(|| Unfit::new(Part::Key, "there is no private key", ADD_KEY))?;
        if !material.keys.is_empty() {
            return Err(Unfit::new(Part::Key, "there is more than one private key", "keep the one of the certificate"));
        }
        let chain = Chain::of(&key, &material.certificates, now)?;
        Ok(Self {
            key,
            ps256: Header::new(Algorithm::Ps256, &chain, &signing),
            rs256: Header::new(Algorithm::Rs256, &chain, &signing),
            signing,
            not_after: chain.not_after,
        })
    }

    /// Until when the certificate holds.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Signs an assertion for one request.
    ///
    /// # Errors
    /// The key cannot sign, which a key that was read never does.
    pub fn prove(&self, occasion: &Occasion<'_>) -> Result<ClientProof, Fault> {
        let (header, encoding): (_, &dyn RsaEncoding) = match self.signing.algorithm.unwrap_or(occasion.algorithm) {
            Algorithm::Ps256 => (&self.ps256, &RSA_PSS_SHA256),
            Algorithm::Rs256 => (&self.rs256, &RSA_PKCS1_SHA256),
        };
        let claims = self.signing.claims.with(occasion).to_string();
        let input = format!("{}.{}", header.encoded, URL_SAFE_NO_PAD.encode(claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(encoding, &SystemRandom::new(), input.as_bytes(), &mut signature).map_err(|_| {
            Fault::new(Kind::Internal, "the certificate's key could not sign", "report this with the kind of the key")
        })?;
        Ok(ClientProof::Assertion(Secret::from(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))))
    }
}

impl Claims {
    /// Claims by their names.
    ///
    /// # Errors
    /// One of them is set for each assertion anyway.
    pub fn new(claims: Map<String, Value>) -> Result<Self, Malformed> {
        if claims.keys().any(|name| OWN.contains(&name.as_str())) {
            return Err(Malformed(
                "aud, iss, sub, exp, nbf, iat and jti are set for each assertion and cannot be given",
            ));
        }
        Ok(Self(claims))
    }

    /// All claims of an assertion.
    fn with(&self, occasion: &Occasion<'_>) -> Value {
        let client_id = occasion.client_id.as_str();
        let mut all = json!({
            "aud": occasion.audience.as_str(),
            "iss": client_id,
            "sub": client_id,
            "jti": occasion.jti,
            "iat": occasion.now.as_secs(),
            "nbf": (occasion.now - SKEW).as_secs(),
            "exp": (occasion.now + LIFE).as_secs(),
        });
        for (name, value) in &self.0 {
            all[name] = value.clone();
        }
        all
    }
}

impl Header {
    fn new(algorithm: Algorithm, chain: &Chain, signing: &Signing) -> Self {
        let (alg, name, digester) = match algorithm {
            Algorithm::Ps256 => ("PS256", "x5t#S256", &SHA256),
            Algorithm::Rs256 => ("RS256", "x5t", &SHA1_FOR_LEGACY_USE_ONLY),
        };
        let thumbprint = URL_SAFE_NO_PAD.encode(digest(digester, &chain.certificates[0]));
        let mut header = json!({ "alg": alg, "typ": "JWT", name: thumbprint });
        if let Some(kid) = &signing.kid {
            header["kid"] = kid.as_str().into();
        }
        if signing.send_x5c {
            header["x5c"] = chain.certificates.iter().map(|certificate| STANDARD.encode(certificate)).collect();
        }
        Self { encoded: URL_SAFE_NO_PAD.encode(header.to_string()), thumbprint }
    }
}

/// The thumbprint says which one it is and proves nothing.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("thumbprint", &self.ps256.thumbprint).finish_non_exhaustive()
    }
}

/// As long as MSAL's.
const LIFE: Duration = Duration::from_mins(10);
/// How far the authority's clock may be behind ours.
const SKEW: Duration = Duration::from_mins(1);
const OWN: [&str; 7] = ["aud", "iss", "sub", "exp", "nbf", "iat", "jti"];
const ADD_KEY: &str = "add it to the file as PEM (BEGIN PRIVATE KEY), or name its file with 'key'";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::ClientId;
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn issued(name: &str) -> (String, String) {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn from_pem(pem: &str, send_x5c: bool) -> Result<Certificate, Unfit> {
        let files = Files { file: pem.as_bytes(), key: None, passphrase: None };
        Certificate::read(files, Signing { send_x5c, ..Signing::default() }, NOW)
    }

    fn proved(certificate: &Certificate) -> (Value, Value, String) {
        proved_with(certificate, Algorithm::Ps256)
    }

    fn proved_with(certificate: &Certificate, algorithm: Algorithm) -> (Value, Value, String) {
        let occasion = Occasion {
            client_id: &ClientId::parse("app").unwrap(),
            audience: &url::Url::parse("https://login/t/oauth2/v2.0/token").unwrap(),
            now: Timestamp::from_secs(1_000_000),
            jti: "one",
            algorithm,
            request_id: "request",
            deadline: crate::clock::Deadline::after(Duration::ZERO),
            delegated: None,
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
        let certificate = from_pem(&format!("{key}{cert}"), false).unwrap();
        let (header, claims, jwt) = proved(&certificate);
        assert_eq!(header, json!({"alg": "PS256", "typ": "JWT", "x5t#S256": certificate.ps256.thumbprint}));
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
    fn signs_what_adfs_wants_and_the_claims_that_were_given() {
        let (cert, key) = issued("app");
        let given = json!({"tier": 3, "on": true, "name": "x"}).as_object().unwrap().clone();
        let files = Files { file: cert.as_bytes(), key: Some(key.as_bytes()), passphrase: None };
        let signing = Signing { claims: Claims::new(given).unwrap(), ..Signing::default() };
        let certificate = Certificate::read(files, signing, NOW).unwrap();
        let (header, claims, jwt) = proved_with(&certificate, Algorithm::Rs256);
        assert_eq!(header, json!({"alg": "RS256", "typ": "JWT", "x5t": certificate.rs256.thumbprint}));
        assert_eq!(certificate.rs256.thumbprint.len(), 27, "20 bytes of SHA-1");
        assert_eq!((&claims["tier"], &claims["on"], &claims["name"]), (&json!(3), &json!(true), &json!("x")));
        assert_eq!(claims["iss"], "app");
        let (input, signature) = jwt.rsplit_once('.').unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, certificate.key.public_key().as_ref());
        public.verify(input.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        for name in OWN {
            assert!(Claims::new(Map::from_iter([(name.to_owned(), json!(1))])).is_err());
        }
    }

    #[test]
    fn signs_as_it_was_told_whatever_the_kind_of_authority_wants() {
        let (cert, key) = issued("app");
        let pem = format!("{cert}{key}");
        let files = Files { file: pem.as_bytes(), key: None, passphrase: None };
        for (told, alg, thumbprint) in [(Algorithm::Rs256, "RS256", "x5t"), (Algorithm::Ps256, "PS256", "x5t#S256")] {
            let signing = Signing { algorithm: Some(told), kid: Some("app-1".to_owned()), ..Signing::default() };
            let certificate = Certificate::read(files, signing, NOW).unwrap();
            for wanted in [Algorithm::Ps256, Algorithm::Rs256] {
                let (header, _, _) = proved_with(&certificate, wanted);
                let own = if told == Algorithm::Rs256 { &certificate.rs256 } else { &certificate.ps256 };
                assert_eq!(header, json!({"alg": alg, "typ": "JWT", thumbprint: own.thumbprint, "kid": "app-1"}));
            }
        }
    }

    #[test]
    fn the_leaf_is_the_one_that_the_key_belongs_to() {
        let ((leaf, key), (other, _)) = (issued("leaf"), issued("issuer"));
        let certificate = from_pem(&format!("{other}{leaf}{key}"), true).unwrap();
        let (header, _, _) = proved(&certificate);
        let alone = from_pem(&format!("{leaf}{key}"), true).unwrap();
        assert_eq!(certificate.ps256.thumbprint, alone.ps256.thumbprint);
        assert_eq!(header["x5c"].as_array().unwrap().len(), 1, "a stranger is left out");
        assert_eq!(header["x5c"][0], proved(&alone).0["x5c"][0]);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let ((cert, key), (stranger, other_key)) = (issued("a"), issued("b"));
        let elliptic = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
        for (pem, problem) in [
            (cert.clone(), "there is no private key"),
            (key.clone(), "there is no certificate"),
            (format!("{stranger}{key}"), "belongs to none"),
            (format!("{cert}{key}{other_key}"), "more than one"),
            (format!("{cert}{elliptic}"), "RSA"),
            (
                format!("{cert}-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
                "encrypted private key cannot be read",
            ),
            (format!("{cert}Proc-Type: 4,ENCRYPTED\n"), "long ago"),
            (" \n".to_owned(), "is empty"),
            ("0\u{3}\u{2}\u{1}\u{0}".to_owned(), "neither PEM nor a PFX"),
        ] {
            let problem_told = from_pem(&pem, false).unwrap_err().to_string();
            assert!(problem_told.contains(problem), "{problem_told}");
        }
    }

    #[test]
    fn does_not_print_its_key() {
        let (cert, key) = issued("a");
        let certificate = from_pem(&format!("{cert}{key}"), false).unwrap();
        let printed = format!("{certificate:?}");
        assert_eq!(printed, format!("Certificate {{ thumbprint: {:?}, .. }}", certificate.ps256.thumbprint));
    }
}
