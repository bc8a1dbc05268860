//! What the STS was asked, for tests to look at. Secrets and assertions are in it as their SHA-256.

use std::collections::VecDeque;
use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::jwt::Jwt;
use super::request::Request;
use crate::clock::Timestamp;

/// The newest requests, oldest first.
#[derive(Default)]
pub(super) struct Journal(VecDeque<Value>);

impl Journal {
    /// Writes a request down; the oldest makes room.
    pub(super) fn record(&mut self, request: &Request, now: Timestamp) {
        if self.0.len() == MAX_ENTRIES {
            self.0.pop_front();
        }
        self.0.push_back(entry(request, now));
    }

    /// All of it, taken out: whoever looks again and again sees each request once.
    pub(super) fn take(&mut self) -> Value {
        self.0.drain(..).collect()
    }

    /// All of it.
    pub(super) fn to_json(&self) -> Value {
        self.0.iter().cloned().collect()
    }
}

fn entry(request: &Request, now: Timestamp) -> Value {
    let mut entry = json!({
        "time": now.to_string(),
        "method": request.method,
        "path": request.path,
        "query": request.query.to_json(shown),
        "headers": request.headers.to_json(shown),
        "form": request.form.to_json(shown),
    });
    if let Some(jwt) = request.form.get("client_assertion").and_then(Jwt::parse) {
        entry["assertion"] = json!({"header": jwt.header, "claims": jwt.claims});
    }
    entry
}

fn shown(name: &str, value: &str) -> String {
    if !SECRET.contains(&name) {
        return value.to_owned();
    }
    let mut hashed = "sha256:".to_owned();
    for byte in digest(&SHA256, value.as_bytes()).as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(hashed, "{byte:02x}");
    }
    hashed
}

const MAX_ENTRIES: usize = 10_000;
/// The parameters and headers that prove or grant something.
const SECRET: &[&str] = &[
    "assertion",
    "authorization",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "cookie",
    "device_code",
    "password",
    "refresh_token",
    "user_federated_identity_credential",
];

#[cfg(test)]
mod tests {
    use super::super::request::tests::post;
    use super::*;

    #[test]
    fn secrets_are_hashed_and_assertions_decoded() {
        let request = post("/t/oauth2/token", "client_secret=abc&client_assertion=e30.e30.c2ln&scope=s");
        let entry = entry(&request, Timestamp::from_secs(0));
        assert_eq!(
            entry["form"]["client_secret"],
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(entry["form"]["scope"], "s");
        assert_eq!(entry["assertion"], json!({"header": {}, "claims": {}}));
        assert!(!entry.to_string().contains("c2ln"));
    }

    #[test]
    fn it_keeps_the_newest() {
        let mut journal = Journal::default();
        for number in 0..=MAX_ENTRIES {
            journal.record(&post(&format!("/{number}"), ""), Timestamp::default());
        }
        let kept = journal.to_json();
        assert_eq!(kept.as_array().unwrap().len(), MAX_ENTRIES);
        assert_eq!(kept[0]["path"], "/1");
    }
}
