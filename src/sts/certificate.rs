//! The public certificate of a registered application.

use aws_lc_rs::digest::{Algorithm as Digest, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};
use jsonwebtoken::{Algorithm, DecodingKey};
use x509_parser::pem::Pem;
use x509_parser::public_key::PublicKey;

use super::jwt::Jwt;
use super::profile::Naming;

/// What the STS needs to know of a certificate: its thumbprints and its key.
#[derive(Clone)]
pub(super) struct Certificate {
    sha1: Vec<u8>,
    sha256: Vec<u8>,
    key: DecodingKey,
}

impl Certificate {
    /// Reads the first certificate of a PEM text; the error says what is wrong with it.
    pub(super) fn from_pem(text: &[u8]) -> Result<Self, &'static str> {
        let pem = Pem::iter_from_buffer(text)
            .filter_map(Result::ok)
            .find(|pem| pem.label == "CERTIFICATE")
            .ok_or("has no CERTIFICATE block")?;
        let certificate = pem.parse_x509().map_err(|_| "has a certificate that cannot be read")?;
        let key = certificate.public_key();
        if !matches!(key.parsed(), Ok(PublicKey::RSA(_))) {
            return Err("has no RSA key, the only kind that Entra takes");
        }
        Ok(Self {
            sha1: digest(&SHA1_FOR_LEGACY_USE_ONLY, &pem.contents).as_ref().to_vec(),
            sha256: digest(&SHA256, &pem.contents).as_ref().to_vec(),
            key: DecodingKey::from_rsa_der(&key.subject_public_key.data),
        })
    }

    /// The certificate that the header of the assertion points at.
    pub(super) fn find<'a>(all: &'a [Self], jwt: &Jwt<'_>, naming: Naming) -> Option<&'a Self> {
        let algorithm = jwt.algorithm()?;
        match (naming, algorithm) {
            (Naming::Entra, Algorithm::PS256) => Self::named(all, jwt, "x5t#S256"),
            (Naming::Entra | Naming::Sha1, Algorithm::RS256) => Self::named(all, jwt, "x5t"),
            (Naming::Any, Algorithm::PS256 | Algorithm::RS256) => Self::named_anyhow(all, jwt),
            _ => None,
        }
    }

    fn named_anyhow<'a>(all: &'a [Self], jwt: &Jwt<'_>) -> Option<&'a Self> {
        let named = NAMES.iter().find(|name| jwt.header.get(**name).is_some());
        match (named, all) {
            (Some(name), _) => Self::named(all, jwt, name),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    fn named<'a>(all: &'a [Self], jwt: &Jwt<'_>, name: &str) -> Option<&'a Self> {
        let thumbprint = thumbprint_bytes(jwt.header.get(name)?.as_str()?)?;
        all.iter().find(|certificate| match name {
            "x5t#S256" => certificate.sha256 == thumbprint,
            "x5t" => certificate.sha1 == thumbprint,
            // A key id says nothing of its making.
            _ => [&certificate.sha1, &certificate.sha256].contains(&&thumbprint),
        })
    }

    /// Whether the key of this certificate signed the assertion.
    pub(super) fn signed(&self, jwt: &Jwt<'_>) -> bool {
        jwt.algorithm().is_some_and(|algorithm| jwt.is_signed_by(&self.key, algorithm))
    }
}

/// A thumbprint in either base64 alphabet, padded or not, or in hexadecimal as portals show it: the MSALs differ
/// and Entra takes them all.
fn thumbprint_bytes(text: &str) -> Option<Vec<u8>> {
    let spellings = [STANDARD.decode(text).ok(), URL_SAFE.decode(text).ok(), hexadecimal(text)];
    let is_thumbprint = |bytes: &Vec<u8>| THUMBPRINTS.iter().any(|kind| kind.output_len() == bytes.len());
    spellings.into_iter().flatten().find(is_thumbprint)
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect()
}

/// What may name a certificate, the strongest first.
const NAMES: [&str; 3] = ["x5t#S256", "x5t", "kid"];
const THUMBPRINTS: [&Digest; 2] = [&SHA1_FOR_LEGACY_USE_ONLY, &SHA256];
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_may_be_spelled_in_five_ways() {
        let bytes = [0xfb_u8; 20];
        for text in [
            "-_v7-_v7-_v7-_v7-_v7-_v7-_s",
            "-_v7-_v7-_v7-_v7-_v7-_v7-_s=",
            "+/v7+/v7+/v7+/v7+/v7+/v7+/s",
            "+/v7+/v7+/v7+/v7+/v7+/v7+/s=",
        ] {
            assert_eq!(thumbprint_bytes(text).as_deref(), Some(&bytes[..]), "{text}");
        }
        assert_eq!(thumbprint_bytes(&"fB".repeat(20)).as_deref(), Some(&bytes[..]));
        assert_eq!(thumbprint_bytes("-_v7"), None);
    }

    #[test]
    fn only_an_rsa_certificate_will_do() {
        let elliptic = rcgen::generate_simple_self_signed(vec!["app".to_owned()]).unwrap();
        let read = |text: &str| Certificate::from_pem(text.as_bytes()).map(|_| ());
        assert_eq!(read(&elliptic.cert.pem()), Err("has no RSA key, the only kind that Entra takes"));
        assert_eq!(read("nothing"), Err("has no CERTIFICATE block"));
        assert_eq!(read(&elliptic.signing_key.serialize_pem()), Err("has no CERTIFICATE block"));
    }
}
