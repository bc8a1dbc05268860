//! A JSON Web Token that someone presents, read leniently.
//!
//! MSAL for Python writes `exp` as a fraction, MSAL for .NET as text and `x5c` as one string; Entra takes
//! them all. A typed header would refuse what Entra accepts, so this one is JSON. Times are compared by the
//! caller's clock; only the signature is left to a library.

use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde_json::Value;

use crate::clock::Timestamp;

/// A token whose signature has yet to be checked.
pub(super) struct Jwt<'a> {
    pub(super) header: Value,
    pub(super) claims: Value,
    message: &'a str,
    signature: &'a str,
}

impl<'a> Jwt<'a> {
    /// Reads three parts, the first two being JSON objects.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (message, signature) = text.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        Some(Self { header: object(header)?, claims: object(claims)?, message, signature })
    }

    /// How it says it was signed, if that is a way that involves a public key.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        let algorithm = Algorithm::from_str(self.header.get("alg")?.as_str()?).ok()?;
        matches!(algorithm.family(), AlgorithmFamily::Rsa | AlgorithmFamily::Ec).then_some(algorithm)
    }

    /// Whether that key signed it with that algorithm.
    pub(super) fn is_signed_by(&self, key: &DecodingKey, algorithm: Algorithm) -> bool {
        let signature = self.signature.trim_end_matches('=');
        jsonwebtoken::crypto::verify(signature, self.message.as_bytes(), key, algorithm).unwrap_or(false)
    }

    /// A claim that is text.
    pub(super) fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }

    /// Every audience it names: one as text, or several in a list.
    pub(super) fn audiences(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(one)) => vec![one],
            _ => Vec::new(),
        }
    }

    /// Whether `now` lies in its validity. Entra forgives a clock that runs ahead, never an assertion past its end.
    pub(super) fn is_timely(&self, now: Timestamp) -> bool {
        let seconds = |time: Timestamp| Duration::from_millis(time.as_millis()).as_secs_f64();
        let ends = self.moment("exp").is_some_and(|exp| seconds(now) < exp);
        let begins = self.moment("nbf").is_none_or(|nbf| nbf <= seconds(now + SKEW));
        ends && begins
    }

    fn moment(&self, claim: &str) -> Option<f64> {
        match self.claims.get(claim)? {
            Value::String(text) => text.parse().ok(),
            other => other.as_f64(),
        }
    }
}

fn object(part: &str) -> Option<Value> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&json).ok().filter(Value::is_object)
}

const SKEW: Duration = Duration::from_mins(5);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(header), part(claims))
    }

    #[test]
    fn exp_is_strict_and_nbf_is_not() {
        let now = Timestamp::from_secs(1000);
        for (claims, timely) in [
            (json!({"exp": 1001}), true),
            (json!({"exp": 1000.5}), true),
            (json!({"exp": "1001"}), true),
            (json!({"exp": 1000}), false),
            (json!({"exp": "soon"}), false),
            (json!({}), false),
            (json!({"exp": 2000, "nbf": 1300}), true),
            (json!({"exp": 2000, "nbf": 1301}), false),
        ] {
            let jwt = text(&json!({"alg": "PS256"}), &claims);
            assert_eq!(Jwt::parse(&jwt).unwrap().is_timely(now), timely, "{claims}");
        }
    }

    #[test]
    fn a_shared_key_or_none_is_no_signature() {
        for (alg, accepted) in [("PS256", true), ("ES256", true), ("HS256", false), ("none", false), ("EdDSA", false)] {
            let jwt = text(&json!({"alg": alg}), &json!({}));
            assert_eq!(Jwt::parse(&jwt).unwrap().algorithm().is_some(), accepted, "{alg}");
        }
    }

    #[test]
    fn what_is_not_three_parts_of_json_is_no_jwt() {
        for text in ["", "a.b", "a.b.c", "e30.e30", "e30.W10.c2ln", "..", "e30.e30=.x y"] {
            assert_eq!(Jwt::parse(text).is_some(), text == "e30.e30=.x y", "{text}");
        }
    }
}
