//! The shapes of an error body. Every client reads others of these fields, and some read nothing else.

use std::time::Duration;

use serde::Serialize;

use super::reply::{Reply, json};
use crate::claims::ClaimsRequest;
use crate::fault::{Fault, Kind, Turn};

/// The shape of an error body.
#[derive(Clone, Copy, Debug)]
pub enum Envelope {
    /// An object under `error`, with `code` and `message` (Cloud Shell, Service Fabric).
    Nested,
    /// `error`, `error_description` (VM IMDS, OAuth).
    OAuth,
    /// `StatusCode`, `Message`, `CorrelationId` (App Service of 2017), and in lower case what Node's clients read.
    Pascal,
    /// OAuth's and App Service's own `statusCode`, `message`, `correlationId`.
    Union,
}

impl Envelope {
    /// Writes a failure in this shape. `request_id` stands in where the authority gave no correlation id.
    #[must_use]
    pub fn refuse(self, fault: &Fault, request_id: &str) -> Reply {
        let text = fault.to_string();
        let correlation_id = fault.correlation_id().unwrap_or(request_id);
        let plain = FaultBody {
            error: Some(Error::Code(fault.code())),
            error_description: Some(&text),
            // Under Entra's own names, and only when the authority gave them.
            authority_correlation_id: fault.correlation_id(),
            authority_trace_id: fault.trace_id(),
            claims: fault.claims().map(ClaimsRequest::as_str),
            ..FaultBody::default()
        };
        let body = match self {
            Self::Nested => {
                let error = Some(Error::Object { code: nested_code(fault), message: &text });
                FaultBody { error, error_description: None, ..plain }
            }
            Self::OAuth => plain,
            Self::Pascal => FaultBody {
                pascal_status_code: Some(fault.status()),
                pascal_message: Some(&text),
                pascal_correlation_id: Some(correlation_id),
                message: Some(&text),
                ..plain
            },
            Self::Union => FaultBody {
                status_code: Some(fault.status()),
                message: Some(&text),
                correlation_id: Some(correlation_id),
                ..plain
            },
        };
        Reply { status: fault.status(), body: json(&body), is_text: false, retry_after: retry_after(fault) }
    }
}

/// As Service Fabric calls what it has a word for.
const fn nested_code(fault: &Fault) -> &'static str {
    match fault.kind {
        Kind::Unauthenticated => "SecretHeaderNotFound",
        Kind::UnknownIdentity => "ManagedIdentityNotFound",
        _ => fault.code(),
    }
}

/// Clients sleep for whatever we say, and asking us again is cheap: 1 to 5 whole seconds.
fn retry_after(fault: &Fault) -> Option<u64> {
    if fault.turn() != Turn::Authority && fault.kind != Kind::TooMany {
        return None;
    }
    let wish = fault.retry_after().unwrap_or(Duration::from_secs(1));
    Some(wish.as_secs().saturating_add(u64::from(wish.subsec_nanos() > 0)).clamp(1, MAX_RETRY_AFTER))
}

#[derive(Default, Serialize)]
struct FaultBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Error<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_description: Option<&'a str>,
    #[serde(rename = "statusCode", skip_serializing_if = "Option::is_none")]
    status_code: Option<u16>,
    #[serde(rename = "StatusCode", skip_serializing_if = "Option::is_none")]
    pascal_status_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(rename = "Message", skip_serializing_if = "Option::is_none")]
    pascal_message: Option<&'a str>,
    #[serde(rename = "correlationId", skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    #[serde(rename = "CorrelationId", skip_serializing_if = "Option::is_none")]
    pascal_correlation_id: Option<&'a str>,
    #[serde(rename = "correlation_id", skip_serializing_if = "Option::is_none")]
    authority_correlation_id: Option<&'a str>,
    #[serde(rename = "trace_id", skip_serializing_if = "Option::is_none")]
    authority_trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Error<'a> {
    Code(&'a str),
    Object { code: &'a str, message: &'a str },
}

const MAX_RETRY_AFTER: u64 = 5;
