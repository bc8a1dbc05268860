//! The public keys of a cluster, and what each of them can verify.
//!
//! Which algorithms fit follows from the key, and never from what a token says: a token that was "signed" with a
//! public key as if that were a shared secret finds no key of that kind here (RFC 8725 section 3.1).

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::claims::Shown;
use crate::name::Malformed;

/// Keys by their ids.
pub type Keys = HashMap<String, Arc<Key>>;

/// A public key.
#[derive(Debug)]
pub struct Key {
    decoding: DecodingKey,
    algorithms: Vec<Algorithm>,
}

impl Key {
    /// Reads a key with its id (RFC 7517 section 4); none for what is for another use, of an unknown kind or has
    /// no id.
    fn of(jwk: Value) -> Option<(String, Self)> {
        let kid = jwk.get("kid")?.as_str()?.to_owned();
        if jwk.get("use").is_some_and(|usage| usage != "sig") {
            return None;
        }
        let text = |member: &str| jwk.get(member).and_then(Value::as_str);
        let fitting: &[Algorithm] = match (text("kty")?, text("crv")) {
            ("RSA", _) => &RSA,
            ("EC", Some("P-256")) => &[Algorithm::ES256],
            ("EC", Some("P-384")) => &[Algorithm::ES384],
            _ => return None,
        };
        let is_meant = |algorithm: &&Algorithm| text("alg").is_none_or(|name| named(name) == Some(**algorithm));
        let algorithms: Vec<Algorithm> = fitting.iter().filter(is_meant).copied().collect();
        let jwk: Jwk = serde_json::from_value(jwk).ok()?;
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        (!algorithms.is_empty()).then_some((kid, Self { decoding, algorithms }))
    }

    /// Whether this key signed the token, in a way that is one of its own.
    #[must_use]
    pub fn signed(&self, shown: &Shown<'_>) -> bool {
        let algorithm = named(shown.algorithm()).filter(|algorithm| self.algorithms.contains(algorithm));
        algorithm.is_some_and(|algorithm| {
            let message = shown.message.as_bytes();
            jsonwebtoken::crypto::verify(shown.signature, message, &self.decoding, algorithm).unwrap_or(false)
        })
    }
}

/// Reads a key set (RFC 7517 section 5). Keys that nothing here can use are left out; of two with one id the first
/// counts.
///
/// # Errors
/// It is no key set, or one without a single key of use.
pub fn parse(document: &[u8]) -> Result<Keys, Malformed> {
    let set: Set = serde_json::from_slice(document).map_err(|_| Malformed("this is no JSON Web Key Set"))?;
    let mut keys = Keys::new();
    for (kid, key) in set.keys.into_iter().filter_map(Key::of) {
        keys.entry(kid).or_insert_with(|| Arc::new(key));
    }
    if keys.is_empty() { Err(Malformed("there is no RSA or EC key with a 'kid' in the key set")) } else { Ok(keys) }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

fn named(algorithm: &str) -> Option<Algorithm> {
    Algorithm::from_str(algorithm).ok()
}

const RSA: [Algorithm; 6] =
    [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];

#[cfg(test)]
mod tests {
    use jsonwebtoken::EncodingKey;
    use serde_json::json;

    use super::*;

    fn jwk(algorithm: &'static rcgen::SignatureAlgorithm, signing: Algorithm) -> Value {
        let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let pem = pair.serialize_pem();
        let key = match signing {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(pem.as_bytes()),
            _ => EncodingKey::from_ec_pem(pem.as_bytes()),
        };
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key.unwrap(), signing).unwrap()).unwrap();
        jwk["kid"] = json!("one");
        jwk
    }

    fn algorithms(jwk: &Value, member: &str, value: &Value) -> Option<Vec<Algorithm>> {
        let mut jwk = jwk.clone();
        if value.is_null() {
            jwk.as_object_mut().unwrap().remove(member);
        } else {
            jwk[member] = value.clone();
        }
        Key::of(jwk).map(|(_, key)| key.algorithms)
    }

    #[test]
    fn the_key_says_what_it_can_verify() {
        use Algorithm::{ES256, ES384, PS256, RS256};
        let rsa = jwk(&rcgen::PKCS_RSA_SHA256, RS256);
        for (member, value, expected) in [
            ("alg", Value::Null, Some(RSA.to_vec())),
            ("alg", json!("RS256"), Some(vec![RS256])),
            ("alg", json!("PS256"), Some(vec![PS256])),
            ("alg", json!("HS256"), None),
            ("alg", json!("ES256"), None),
            ("alg", json!("none"), None),
            ("use", json!("enc"), None),
            ("kid", Value::Null, None),
            ("kty", json!("oct"), None),
        ] {
            assert_eq!(algorithms(&rsa, member, &value), expected, "{member} {value}");
        }
        let curve = |algorithm, signing| algorithms(&jwk(algorithm, signing), "alg", &Value::Null);
        assert_eq!(curve(&rcgen::PKCS_ECDSA_P256_SHA256, ES256), Some(vec![ES256]));
        assert_eq!(curve(&rcgen::PKCS_ECDSA_P384_SHA384, ES384), Some(vec![ES384]));
    }

    #[test]
    fn a_set_has_a_key_of_use() {
        let good = jwk(&rcgen::PKCS_ECDSA_P256_SHA256, Algorithm::ES256);
        let odd = json!({"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "two"});
        let count = |set: Value| parse(set.to_string().as_bytes()).map(|keys| keys.len()).ok();
        assert_eq!(count(json!({"keys": [odd, 3, good]})), Some(1));
        for set in [json!({"keys": []}), json!({"keys": [odd]}), json!({}), json!([good])] {
            assert_eq!(count(set.clone()), None, "{set}");
        }
    }
}
