//! A fault on demand: what a test asks the STS to do wrong, and to whom.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::answer::Answer;
use super::exchange::Lifetime;
use super::request::Request;
use crate::clock::Timestamp;

/// One rule, as it is posted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rule {
    #[serde(rename = "match")]
    pattern: Pattern,
    /// How many times it applies; always without it.
    pub(super) times: Option<u64>,
    /// Which fraction of the matching requests it applies to, spread evenly.
    pub(super) share: Option<f64>,
    status: Option<u16>,
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    body_bytes: Option<usize>,
    delay_ms: u64,
    /// Close the connection without a byte of an answer.
    pub(super) reset: bool,
    /// Promise the whole body, send so many bytes of it, and close.
    pub(super) truncate_at: Option<usize>,
    expires_in: Option<u64>,
    refresh_in: Option<u64>,
    clock_skew_s: i64,
}

/// Which requests a rule is for; what is absent matches everything.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Pattern {
    /// A part of the path, because the tenant stands in front of what tells endpoints apart.
    path: Option<String>,
    tenant: Option<String>,
    client_id: Option<String>,
    /// The whole scope, or the whole resource of a version 1 request.
    scope: Option<String>,
}

impl Rule {
    /// Reads a JSON list of rules; the error says what is wrong with it.
    pub(super) fn read(json: &[u8]) -> Result<Vec<Self>, String> {
        let rules: Vec<Self> = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        for (index, rule) in rules.iter().enumerate() {
            rule.check().map_err(|problem| format!("rule {index}: {problem}"))?;
        }
        Ok(rules)
    }

    fn check(&self) -> Result<(), &'static str> {
        let visible = |text: &str| text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if self.status.is_some_and(|status| !(200..=599).contains(&status)) {
            return Err("status must be from 200 to 599");
        }
        if self.share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Err("share must be from 0 to 1");
        }
        if self.body.is_some() && self.body_bytes.is_some() {
            return Err("body and body_bytes exclude each other");
        }
        if self.body_bytes.is_some_and(|bytes| bytes > MAX_BODY) {
            return Err("body_bytes must not be more than 64 MiB");
        }
        if !self.headers.iter().all(|(name, value)| is_name(name) && visible(value)) {
            return Err("headers must have plain names and visible ASCII values");
        }
        Ok(())
    }

    /// Whether the rule is for that request.
    pub(super) fn matches(&self, request: &Request) -> bool {
        let Pattern { path, tenant, client_id, scope } = &self.pattern;
        let same = |wanted: &Option<String>, given: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| given.is_some_and(|given| wanted.eq_ignore_ascii_case(given)))
        };
        path.as_deref().is_none_or(|part| request.path.contains(part))
            && same(tenant, Some(request.tenant()))
            && same(client_id, request.client_id().as_deref())
            && scope.as_deref().is_none_or(|wanted| request.scope() == Some(wanted))
    }

    pub(super) const fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    /// The STS's own clock as the request sees it.
    pub(super) fn skewed(&self, now: Timestamp) -> Timestamp {
        let skew = Duration::from_secs(self.clock_skew_s.unsigned_abs());
        if self.clock_skew_s < 0 { now - skew } else { now + skew }
    }

    /// How long a token lives that the request gets.
    pub(super) fn lifetime(&self, usual: Lifetime) -> Lifetime {
        Lifetime {
            expires_in: self.expires_in.map_or(usual.expires_in, Duration::from_secs),
            refresh_in: self.refresh_in.map(Duration::from_secs).or(usual.refresh_in),
        }
    }

    /// The answer with what the rule changes. A status or a body replaces it; headers alone are added to it.
    /// A status of an error that comes without a body gets the one that the authority would send.
    pub(super) fn answer(&self, usual: impl FnOnce() -> Answer, refused: impl FnOnce(u16) -> Answer) -> Answer {
        let error = self.status.filter(|status| *status >= 400 && self.body.is_none() && self.body_bytes.is_none());
        let mut answer = match error {
            Some(status) => refused(status),
            None => self.replacement().unwrap_or_else(usual),
        };
        for (name, value) in &self.headers {
            answer = answer.with(name, value);
        }
        answer
    }

    fn replacement(&self) -> Option<Answer> {
        let status = self.status.unwrap_or(200);
        match (&self.body, self.body_bytes) {
            (Some(Value::String(text)), _) => Some(Answer::new(status, TEXT, text.clone())),
            (Some(json), _) => Some(Answer::json(status, json)),
            (None, Some(bytes)) => Some(Answer::new(status, TEXT, vec![b'x'; bytes])),
            (None, None) => self.status.map(|status| Answer::new(status, TEXT, Bytes::new())),
        }
    }
}

const MAX_BODY: usize = 64 << 20;
const TEXT: &str = "text/plain; charset=utf-8";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::request::tests::post;
    use super::*;

    fn rule(json: &Value) -> Rule {
        Rule::read(json!([json]).to_string().as_bytes()).unwrap().remove(0)
    }

    #[test]
    fn a_pattern_matches_what_it_names() {
        let request = post("/T1/oauth2/v2.0/token", "client_id=App&scope=r%2F.default");
        for (pattern, matches) in [
            (json!({}), true),
            (json!({"path": "/token"}), true),
            (json!({"path": "/keys"}), false),
            (json!({"tenant": "t1"}), true),
            (json!({"tenant": "t"}), false),
            (json!({"client_id": "app"}), true),
            (json!({"client_id": "other"}), false),
            (json!({"scope": "r/.default"}), true),
            (json!({"scope": "r"}), false),
            (json!({"scope": "r/.default", "tenant": "t2"}), false),
        ] {
            assert_eq!(rule(&json!({"match": pattern})).matches(&request), matches, "{pattern}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in [
            json!([{"statsu": 500}]),
            json!([{"match": {"paht": "/"}}]),
            json!({"status": 500}),
            json!([{"status": 100}]),
            json!([{"share": 1.5}]),
            json!([{"body": "a", "body_bytes": 1}]),
            json!([{"body_bytes": (64 << 20) + 1}]),
            json!([{"headers": {"a b": "c"}}]),
            json!([{"headers": {"a": "c\r\nd: e"}}]),
            json!([{"times": -1}]),
        ] {
            assert!(Rule::read(bad.to_string().as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn headers_alone_are_added_and_the_rest_replaces() {
        let usual = || Answer::json(200, &json!({"a": 1}));
        let refused = |status| Answer::json(status, &json!({"error": "refused"}));
        let headers = rule(&json!({"headers": {"Retry-After": "7"}})).answer(usual, refused);
        assert_eq!(headers, usual().with("retry-after", "7"));
        let status = rule(&json!({"status": 503})).answer(usual, refused);
        assert_eq!(status, refused(503));
        for (rule, expected) in [
            (rule(&json!({"status": 503, "body": ""})), 503),
            (rule(&json!({"status": 302})), 302),
            (rule(&json!({"status": 429, "body_bytes": 0})), 429),
        ] {
            let empty = rule.answer(usual, refused);
            assert_eq!((empty.status, empty.body.len()), (expected, 0));
        }
        let text = rule(&json!({"body": "slow down"})).answer(usual, refused);
        assert_eq!((text.status, &text.body[..]), (200, &b"slow down"[..]));
        let object = rule(&json!({"body": {"error": "x"}, "status": 400})).answer(usual, refused);
        assert_eq!(object, Answer::json(400, &json!({"error": "x"})));
        assert_eq!(rule(&json!({"body_bytes": 3})).answer(usual, refused).body, "xxx");
    }

    #[test]
    fn a_clock_goes_wrong_both_ways() {
        let now = Timestamp::from_secs(100);
        assert_eq!(rule(&json!({"clock_skew_s": -40})).skewed(now), Timestamp::from_secs(60));
        assert_eq!(rule(&json!({"clock_skew_s": 40})).skewed(now), Timestamp::from_secs(140));
    }
}
