//! What a token should carry beyond its scope: the `claims` parameter
//! (OpenID Connect Core 1.0, section 5.5), asked for by a caller or by a challenge.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::name::Malformed;

/// A JSON object that was checked and is kept as it was written, since caches go by its text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClaimsRequest(Arc<str>);

impl ClaimsRequest {
    /// Reads a JSON object of at most 4096 bytes.
    ///
    /// # Errors
    /// It is none; the text is not repeated.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.len() > MAX_LENGTH {
            return Err(Malformed("a claims request must not be longer than 4096 bytes"));
        }
        match serde_json::from_str(text) {
            Ok(Value::Object(_)) => Ok(Self(text.into())),
            _ => Err(Malformed("a claims request is a JSON object")),
        }
    }

    /// The object as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether some name or text in it, freed of JSON's escapes, is such a one.
    pub fn has_text(&self, such: &impl Fn(&str) -> bool) -> bool {
        has_text(&self.object(), such)
    }

    fn object(&self) -> Value {
        // Invariant: the text was parsed before it was kept.
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

/// It may speak of people.
impl fmt::Debug for ClaimsRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimsRequest(..)")
    }
}

/// The value of the `claims` parameter: the challenge, over it what the caller asks for by itself, over both
/// what the client is capable of, as MSAL merges them. None when there is nothing to say.
///
/// What a challenge says of capabilities is dropped: its token takes the place of everybody's, and others may not
/// be capable of the same.
#[must_use]
pub fn merged(
    challenge: Option<&ClaimsRequest>,
    client: Option<&ClaimsRequest>,
    capabilities: &[String],
) -> Option<String> {
    let capable = (!capabilities.is_empty()).then(|| json!({"access_token": {"xms_cc": {"values": capabilities}}}));
    let mut whole = challenge.map_or_else(|| Value::Object(Map::new()), ClaimsRequest::object);
    if let Some(Value::Object(access_token)) = whole.get_mut("access_token") {
        access_token.remove("xms_cc");
    }
    client.map(ClaimsRequest::object).into_iter().chain(capable).for_each(|one| lay_over(&mut whole, one));
    whole.as_object().is_some_and(|whole| !whole.is_empty()).then(|| whole.to_string())
}

fn has_text(value: &Value, such: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| has_text(item, such)),
        Value::Object(object) => object.iter().any(|(name, value)| such(name) || has_text(value, such)),
        Value::String(text) => such(text),
        _ => false,
    }
}

/// Lays `upper` over `lower`: objects are joined, and of anything else the upper one stays.
fn lay_over(lower: &mut Value, upper: Value) {
    match (lower, upper) {
        (Value::Object(lower), Value::Object(upper)) => {
            for (name, value) in upper {
                lay_over(lower.entry(name).or_insert(Value::Null), value);
            }
        }
        (lower, upper) => *lower = upper,
    }
}

const MAX_LENGTH: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(challenge: Option<&str>, client: Option<&str>, capabilities: &[&str]) -> Option<Value> {
        let parse = |text| ClaimsRequest::parse(text).unwrap();
        let (challenge, client) = (challenge.map(parse), client.map(parse));
        let capabilities: Vec<String> = capabilities.iter().map(|&one| one.to_owned()).collect();
        merged(challenge.as_ref(), client.as_ref(), &capabilities).map(|text| serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn capabilities_go_over_the_caller_and_the_caller_over_the_challenge() {
        assert_eq!(merge(None, None, &[]), None);
        assert_eq!(merge(Some("{}"), None, &[]), None);
        assert_eq!(merge(None, None, &["cp1"]), Some(json!({"access_token": {"xms_cc": {"values": ["cp1"]}}})));
        let challenge = r#"{"access_token":{"nbf":{"essential":true,"value":"1"},"xms_cc":{"values":["no"]},"a":1}}"#;
        let client = r#"{"access_token":{"a":{"value":2}},"id_token":null}"#;
        let whole = merge(Some(challenge), Some(client), &["cp1", "cp2"]);
        let access = json!({
            "nbf": {"essential": true, "value": "1"}, "xms_cc": {"values": ["cp1", "cp2"]}, "a": {"value": 2},
        });
        assert_eq!(whole, Some(json!({"access_token": access, "id_token": null})));
        let lifted = r#"{"access_token":{"xms_cc":{"values":["evil"]},"a":1}}"#;
        assert_eq!(merge(Some(lifted), None, &[]), Some(json!({"access_token": {"a": 1}})), "others share its token");
        assert_eq!(merge(None, Some(lifted), &[]), serde_json::from_str(lifted).ok(), "a key of its own");
        assert_eq!(
            merge(Some(r#"{"access_token":"odd"}"#), None, &["cp1"]),
            Some(json!({"access_token": {"xms_cc": {"values": ["cp1"]}}}))
        );
    }

    #[test]
    fn only_objects_of_a_bounded_length_are_claims_and_none_is_printed() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_LENGTH));
        let deep = format!("{}1{}", r#"{"a":"#.repeat(500), "}".repeat(500));
        for text in ["", "[]", "\"marked\"", "{\"marked\":", "1", "null", &long, &deep] {
            let told = ClaimsRequest::parse(text).unwrap_err().to_string();
            assert!(!told.contains("marked"), "{told}");
        }
        assert_eq!(format!("{:?}", ClaimsRequest::parse(r#"{"marked":1}"#).unwrap()), "ClaimsRequest(..)");
    }
}
