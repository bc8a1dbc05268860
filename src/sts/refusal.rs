//! How Entra says no: a status, an OAuth code, an AADSTS number and a text.
//!
//! Texts follow Entra's wording, because people search for it. They never repeat a secret or an assertion.

use serde_json::{Value, json};

use super::answer::Answer;
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
    SigningFailed,
    TenantInvalid,
    TenantMissing,
    TenantUnknown,
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
            Self::SigningFailed => (90_033, 503, "temporarily_unavailable"),
            Self::TenantInvalid => (900_023, 400, "invalid_request"),
            Self::TenantMissing => (50_059, 400, "invalid_request"),
            Self::TenantUnknown => (90_002, 400, "invalid_request"),
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

    /// The refusal as an answer to `request`.
    pub(super) fn answer(&self, request: &Request, now: Timestamp) -> Answer {
        let (_, status, _) = self.reason.row();
        Answer::json(status, &self.body(request, now))
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
        let answer = Refusal::missing("scope").answer(&request, Timestamp::from_secs(1_700_000_000));
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
