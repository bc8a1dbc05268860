//! How an authority says no: a status, an OAuth code, a number and a text; Entra's own first, others beside it.
//!
//! Texts follow Entra's wording, because people search for it. They never repeat a secret or an assertion.

use serde_json::{Value, json};

use super::answer::Answer;
use super::profile::Wording;
use super::request::Request;
use crate::clock::Timestamp;

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    AssertionAudience,
    AssertionClient,
    AssertionKey,
    AssertionMalformed,
    AssertionTime,
    AppUnknown,
    FederatedAudience,
    FederatedIssuer,
    FederatedSubject,
    GrantUnsupported,
    InstanceUnknown,
    MethodWrong,
    ParameterMissing,
    PathUnknown,
    ProofMissing,
    RequestMalformed,
    RequestTooLarge,
    ResourceUnknown,
    ScopeInvalid,
    ScopeWithoutDefault,
    SecretWrong,
    TenantInvalid,
    TenantMissing,
    TenantUnknown,
    Throttled,
    Unavailable,
}

impl Reason {
    /// One row per reason: AADSTS number, HTTP status, OAuth error code. Only the number of an unknown path
    /// is not Entra's, which answers that with a page for people.
    const fn row(self) -> (u32, u16, &'static str) {
        match self {
            Self::AssertionAudience => (700_023, 401, "invalid_client"),
            Self::AssertionClient => (700_021, 401, "invalid_client"),
            Self::AssertionKey => (700_027, 401, "invalid_client"),
            Self::AssertionMalformed => (50_027, 400, "invalid_request"),
            Self::AssertionTime => (700_024, 401, "invalid_client"),
            Self::AppUnknown => (700_016, 400, "unauthorized_client"),
            Self::FederatedAudience => (700_212, 401, "invalid_client"),
            Self::FederatedIssuer => (700_211, 401, "invalid_client"),
            Self::FederatedSubject => (700_213, 401, "invalid_client"),
            Self::GrantUnsupported => (70_003, 400, "unsupported_grant_type"),
            Self::InstanceUnknown => (50_049, 400, "invalid_instance"),
            Self::MethodWrong => (900_561, 405, "invalid_request"),
            Self::ParameterMissing => (900_144, 400, "invalid_request"),
            Self::PathUnknown => (900_404, 404, "not_found"),
            Self::ProofMissing => (7_000_218, 401, "invalid_client"),
            Self::RequestMalformed => (9_002_313, 400, "invalid_request"),
            Self::RequestTooLarge => (9_002_313, 413, "invalid_request"),
            Self::ResourceUnknown => (500_011, 400, "invalid_resource"),
            Self::ScopeInvalid => (70_011, 400, "invalid_scope"),
            Self::ScopeWithoutDefault => (1_002_012, 400, "invalid_scope"),
            Self::SecretWrong => (7_000_215, 401, "invalid_client"),
            Self::TenantInvalid => (900_023, 400, "invalid_request"),
            Self::TenantMissing => (50_059, 400, "invalid_request"),
            Self::TenantUnknown => (90_002, 400, "invalid_request"),
            Self::Throttled => (90_055, 429, "temporarily_unavailable"),
            Self::Unavailable => (90_033, 503, "temporarily_unavailable"),
        }
    }

    /// The same for AD FS, whose answer to any bad request is 400: MSIS number and OAuth error code.
    fn adfs_row(self) -> (u32, &'static str) {
        match self {
            Self::AppUnknown => (9607, "invalid_client"),
            Self::ProofMissing | Self::SecretWrong => (9622, "invalid_client"),
            Self::ResourceUnknown | Self::ScopeInvalid | Self::ScopeWithoutDefault => (9602, "invalid_resource"),
            Self::GrantUnsupported => (9611, "unsupported_grant_type"),
            _ => match self.row() {
                (_, _, "invalid_client") => (9623, "invalid_client"),
                (_, _, error) => (9604, error),
            },
        }
    }

    /// The same in the words of RFC 6749 and, for a resource, RFC 8707: HTTP status and OAuth error code.
    fn plain_row(self) -> (u16, &'static str) {
        match self {
            Self::AppUnknown | Self::AssertionMalformed => (401, "invalid_client"),
            Self::ResourceUnknown => (400, "invalid_target"),
            _ => {
                let (_, status, error) = self.row();
                (status, error)
            }
        }
    }
}

/// A request that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: Reason,
    text: String,
}

impl Refusal {
    pub(super) fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }

    /// The refusal of a form that lacks a parameter.
    pub(super) fn missing(parameter: &str) -> Self {
        let text = format!("The request body must contain the following parameter: '{parameter}'.");
        Self::new(Reason::ParameterMissing, text)
    }

    /// What fits a status that a test asked for.
    pub(super) fn of_status(status: u16) -> Self {
        match status {
            401 => Self::new(Reason::SecretWrong, "The credential is refused, because a test wants it so."),
            404 => Self::new(Reason::PathUnknown, "There is nothing here, because a test wants it so."),
            429 => Self::new(Reason::Throttled, "Too many requests, because a test wants it so."),
            500.. => Self::new(Reason::Unavailable, "The service is unavailable, because a test wants it so."),
            _ => Self::new(Reason::RequestMalformed, "The request is refused, because a test wants it so."),
        }
    }

    /// The refusal as an answer to `request`.
    pub(super) fn answer(&self, request: &Request, wording: Wording, now: Timestamp) -> Answer {
        let (_, status, _) = self.reason.row();
        match wording {
            Wording::Entra => Answer::json(status, &self.body(request, now)),
            Wording::Adfs => {
                let (number, error) = self.reason.adfs_row();
                let status = if status == 401 { 400 } else { status };
                Answer::json(status, &described(error, &format!("MSIS{number}: {}", self.text)))
            }
            Wording::Plain => self.plain(request),
        }
    }

    fn plain(&self, request: &Request) -> Answer {
        let (status, error) = self.reason.plain_row();
        let answer = Answer::json(status, &described(error, &self.text));
        if status == 401 && request.headers.get("authorization").is_some() {
            return answer.with("www-authenticate", "Basic realm=\"oidc\"");
        }
        answer
    }

    fn body(&self, request: &Request, now: Timestamp) -> Value {
        let (number, _, error) = self.reason.row();
        let (trace, correlation, time) = (request.trace, &request.correlation, timestamp(now));
        let base = request.base.as_deref().unwrap_or_default();
        json!({
            "error": error,
            "error_description": format!(
                "AADSTS{number}: {} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}",
                self.text
            ),
            "error_codes": [number],
            "timestamp": time,
            "trace_id": trace.to_string(),
            "correlation_id": correlation,
            "error_uri": format!("{base}/error?code={number}"),
        })
    }
}

fn described(error: &str, text: &str) -> Value {
    json!({"error": error, "error_description": text})
}

/// Entra's own spelling of a moment.
pub(super) fn timestamp(now: Timestamp) -> String {
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::post;
    use super::*;

    #[test]
    fn a_refusal_speaks_as_entra_does() {
        let request = post("/t/oauth2/v2.0/token", "");
        let answer = Refusal::missing("scope").answer(&request, Wording::Entra, Timestamp::from_secs(1_700_000_000));
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        let nil = "00000000-0000-0000-0000-000000000000";
        assert_eq!(answer.status, 400);
        assert_eq!(
            body,
            json!({
                "error": "invalid_request",
                "error_description": format!("AADSTS900144: The request body must contain the following parameter: 'scope'. Trace ID: {nil} Correlation ID: {nil} Timestamp: 2023-11-14 22:13:20Z"),
                "error_codes": [900_144],
                "timestamp": "2023-11-14 22:13:20Z",
                "trace_id": nil,
                "correlation_id": nil,
                "error_uri": "http://sts/error?code=900144",
            })
        );
    }
}
