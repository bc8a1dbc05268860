//! The key that tokens are signed with, and its public face.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, errors};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};

use super::error::Error;

/// An RSA key that lives as long as the STS does.
pub(super) struct SigningKey {
    key: EncodingKey,
    /// The thumbprint of the certificate, which Entra uses as the key id too.
    kid: String,
    /// The public members, for the key set.
    public: Value,
}

impl SigningKey {
    /// Makes a new one.
    pub(super) fn generate() -> Result<Self, Error> {
        Self::try_generate().map_err(|source| Error::Keys { what: "the signing key", source })
    }

    fn try_generate() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let pair = KeyPair::generate_for(&PKCS_RSA_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Bursar STS");
        let der = params.self_signed(&pair)?.der().to_vec();
        let kid = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &der));
        let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes())?;
        let public = public_members(&key, &kid, &der)?;
        Ok(Self { key, kid, public })
    }

    /// Signs claims as an access token.
    pub(super) fn sign(&self, claims: &Value) -> Result<String, errors::Error> {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.kid.clone());
        header.x5t = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.key)
    }

    /// The same as the STS itself verifies with.
    pub(super) fn verifiers(&self) -> JwkSet {
        serde_json::from_value(self.set("")).unwrap_or(JwkSet { keys: Vec::new() })
    }

    /// The key set that resource servers verify against.
    pub(super) fn set(&self, issuer: &str) -> Value {
        let mut key = self.public.clone();
        key["issuer"] = Value::from(issuer);
        json!({ "keys": [key] })
    }
}

/// As Entra writes them: without `alg`.
fn public_members(key: &EncodingKey, kid: &str, der: &[u8]) -> Result<Value, errors::Error> {
    let jwk = Jwk::from_encoding_key(key, Algorithm::RS256)?;
    let AlgorithmParameters::RSA(rsa) = jwk.algorithm else {
        return Err(errors::ErrorKind::InvalidKeyFormat.into());
    };
    Ok(json!({
        "kty": "RSA",
        "use": "sig",
        "kid": kid,
        "x5t": kid,
        "n": rsa.n,
        "e": rsa.e,
        "x5c": [BASE64_STANDARD.encode(der)],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_set_has_public_members_only() {
        let set = SigningKey::generate().unwrap().set("i");
        let key = set["keys"][0].as_object().unwrap();
        let names: Vec<&str> = key.keys().map(String::as_str).collect();
        assert_eq!(names, ["kty", "use", "kid", "x5t", "n", "e", "x5c", "issuer"]);
    }
}
