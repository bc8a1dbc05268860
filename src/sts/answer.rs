//! What the STS answers: a status, headers and a body.

use bytes::Bytes;
use serde_json::Value;

/// An answer, not yet on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Answer {
    /// A body of JSON.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json; charset=utf-8", body.to_string())
    }

    /// Any body of that content type.
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let answer = Self { status, headers: Vec::new(), body: body.into() };
        answer.with("content-type", content_type)
    }

    /// Sets a header, in place of one of the same name.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(held, _)| !held.eq_ignore_ascii_case(name));
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }
}
