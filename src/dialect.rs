//! One wire contract of managed identity: how a request is read and how an answer is written.
//!
//! A dialect is a row of [`table`]. Reading looks at the text of a request alone; it trusts nobody and
//! knows no identities. The facts behind every tolerance are clients that break without it.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use crate::claims::ClaimsRequest;
use crate::clock::Timestamp;
use crate::fault::{Fault, Kind, Turn};
use crate::name::{ClientId, FmiPath, Resource, Selector, is_guid};
use crate::token::{Extras, Token};

pub mod table;

/// A row: one path and the rules of its contract.
#[derive(Debug)]
pub struct Dialect {
    /// The name in the configuration, in logs and in metrics.
    pub name: &'static str,
    /// The path that it is served on.
    pub path: &'static str,
    /// What a request must show before it is looked at.
    pub guard: Guard,
    /// Which `api-version` it takes.
    pub version: Version,
    /// The shape of its errors.
    pub envelope: Envelope,
    /// Whether Bursar's own parameters mean something: `identity`, `tenant`, `claims`, `client_claims`, `fmi_path`.
    pub is_native: bool,
    /// The environment variables that point an SDK at it, and what they hold.
    pub exports: &'static [(&'static str, Export)],
}

/// What keeps others out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// A secret in this header.
    HeaderSecret(&'static str),
    /// `Metadata: true` and no `X-Forwarded-For`: keeps browsers and forwarded requests out, proves nobody.
    Metadata,
}

/// The rule for `api-version`.
#[derive(Clone, Copy, Debug)]
pub enum Version {
    /// Required, and not older than this.
    From(&'static str),
    /// Ignored.
    Optional,
}

/// The shape of an error body.
#[derive(Clone, Copy, Debug)]
pub enum Envelope {
    /// `error`, `error_description` (VM IMDS, OAuth).
    OAuth,
    /// These and App Service's own `statusCode`, `message`, `correlationId`; each client reads others.
    Union,
}

/// What an exported variable holds.
#[derive(Clone, Copy, Debug)]
pub enum Export {
    /// The scheme, host and port of a token listener.
    Base,
    /// The dialect's whole URL.
    Endpoint,
    /// The header secret.
    HeaderSecret,
}

/// The text of a request, free of any web framework.
pub struct Request<'a> {
    /// The query, still percent-encoded.
    pub query: &'a str,
    /// Looks a header up by its lower-case name.
    pub header: &'a dyn Fn(&'static str) -> Option<&'a [u8]>,
}

/// A parsed request, before anyone is trusted.
#[derive(Debug, PartialEq, Eq)]
pub struct Ask {
    /// What is asked for.
    pub resource: Resource,
    /// Whose token is asked for.
    pub selector: Selector,
    /// In which tenant: a configured name or a directory id; none means the identity's first.
    pub tenant: Option<String>,
    /// What else the token is to be.
    pub extras: Extras,
    /// What a resource demanded of the token that it refused; no cached token is good enough then.
    pub challenge: Option<ClaimsRequest>,
}

/// An answer, free of any web framework. No `Debug`: the body may hold a token.
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// JSON, never empty.
    pub body: Vec<u8>,
    /// Whole seconds for `Retry-After`.
    pub retry_after: Option<u64>,
}

impl Dialect {
    /// Reads a request.
    ///
    /// # Errors
    /// The caller's fault: the guard's first, then the version's, then a parameter's.
    pub fn read(&self, request: &Request<'_>) -> Result<Ask, Fault> {
        self.guard.check(request)?;
        let parameters = Parameters::parse(request.query);
        self.version.check(parameters.one("api-version")?)?;
        let resource = parameters.one("resource")?.ok_or_else(|| {
            Fault::new(Kind::InvalidRequest, "the parameter 'resource' is missing", "add resource=<App ID URI>")
        })?;
        let native = |name| if self.is_native { parameters.one(name) } else { Ok(None) };
        Ok(Ask {
            resource: Resource::parse(resource)?,
            selector: parameters.selector(self.is_native)?,
            tenant: native("tenant")?.map(str::to_owned),
            extras: Extras {
                fmi_path: native("fmi_path")?.map(FmiPath::parse).transpose()?,
                client_claims: native("client_claims")?.map(ClaimsRequest::parse).transpose()?,
            },
            challenge: native("claims")?.map(ClaimsRequest::parse).transpose()?,
        })
    }

    /// Writes a token: every number a decimal string, `expires_in` before `expires_on`, no
    /// `refresh_in` and no `scope`, the selector echoed as it was spelled.
    #[must_use]
    pub fn reply(&self, ask: &Ask, client_id: &ClientId, token: &Token, now: Timestamp) -> Reply {
        let echoed = |selector: &Selector| match selector {
            Selector::ClientId(id) => (id.clone(), None, None),
            Selector::ObjectId(id) => (client_id.as_str().to_owned(), Some(id.clone()), None),
            Selector::ResourceId(id) => (client_id.as_str().to_owned(), None, Some(id.clone())),
            Selector::Name(_) | Selector::None => (client_id.as_str().to_owned(), None, None),
        };
        let (client_id, object_id, msi_res_id) = echoed(&ask.selector);
        let left = token.expires_at.since(now).as_secs().to_string();
        let body = TokenBody {
            access_token: token.secret.expose(),
            client_id,
            expires_in: left.clone(),
            expires_on: token.expires_at.as_secs().to_string(),
            ext_expires_in: left,
            msi_res_id,
            not_before: token.issued_at.as_secs().to_string(),
            object_id,
            resource: ask.resource.as_str(),
            token_type: "Bearer",
        };
        Reply { status: 200, body: json(&body), retry_after: None }
    }

    /// Writes a failure. `request_id` stands in where the authority gave no correlation id.
    #[must_use]
    pub fn refuse(&self, fault: &Fault, request_id: &str) -> Reply {
        self.envelope.refuse(fault, request_id)
    }
}

impl Guard {
    fn check(self, request: &Request<'_>) -> Result<(), Fault> {
        let Self::Metadata = self else { return Ok(()) };
        if (request.header)("x-forwarded-for").is_some() {
            return Err(Fault::new(
                Kind::AccessDenied,
                "a request that was forwarded (X-Forwarded-For) is refused",
                "ask from the workload itself, not through a proxy; set NO_PROXY for this host",
            ));
        }
        match (request.header)("metadata") {
            Some(value) if value.trim_ascii().eq_ignore_ascii_case(b"true") => Ok(()),
            _ => Err(Fault::new(
                Kind::InvalidRequest,
                "Required metadata header not specified",
                "send the header 'Metadata: true'",
            )),
        }
    }
}

impl Version {
    fn check(self, asked: Option<&str>) -> Result<(), Fault> {
        let Self::From(oldest) = self else {
            return Ok(());
        };
        let remedy = format!("send api-version={oldest}");
        match asked {
            None => Err(Fault::new(Kind::InvalidRequest, "the parameter 'api-version' is missing", remedy)),
            Some(version) if is_version(version) && &version[..DATE] >= oldest => Ok(()),
            Some(_) => Err(Fault::new(Kind::InvalidRequest, "this api-version is not served here", remedy)),
        }
    }
}

impl Envelope {
    /// Writes a failure in this shape.
    #[must_use]
    pub fn refuse(self, fault: &Fault, request_id: &str) -> Reply {
        let text = fault.to_string();
        let union = matches!(self, Self::Union);
        let body = FaultBody {
            error: fault.code(),
            error_description: &text,
            status_code: union.then_some(fault.status()),
            message: union.then_some(&text),
            correlation_id: union.then(|| fault.correlation_id().unwrap_or(request_id)),
            authority_correlation_id: fault.correlation_id(),
            authority_trace_id: fault.trace_id(),
            claims: fault.claims().map(ClaimsRequest::as_str),
        };
        Reply { status: fault.status(), body: json(&body), retry_after: retry_after(fault) }
    }
}

/// Clients sleep for whatever we say, and asking us again is cheap: 1 to 5 whole seconds.
fn retry_after(fault: &Fault) -> Option<u64> {
    if fault.turn() != Turn::Authority {
        return None;
    }
    let wish = fault.retry_after().unwrap_or(Duration::from_secs(1));
    Some(wish.as_secs().saturating_add(u64::from(wish.subsec_nanos() > 0)).clamp(1, MAX_RETRY_AFTER))
}

#[derive(Serialize)]
struct TokenBody<'a> {
    access_token: &'a str,
    client_id: String,
    expires_in: String,
    expires_on: String,
    ext_expires_in: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    msi_res_id: Option<String>,
    not_before: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_id: Option<String>,
    resource: &'a str,
    token_type: &'static str,
}

#[derive(Serialize)]
struct FaultBody<'a> {
    error: &'a str,
    error_description: &'a str,
    #[serde(rename = "statusCode", skip_serializing_if = "Option::is_none")]
    status_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(rename = "correlationId", skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    /// These three under Entra's own names, and only when the authority gave them.
    #[serde(rename = "correlation_id", skip_serializing_if = "Option::is_none")]
    authority_correlation_id: Option<&'a str>,
    #[serde(rename = "trace_id", skip_serializing_if = "Option::is_none")]
    authority_trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<&'a str>,
}

/// The query's parameters in their order, decoded.
struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Parameters<'a> {
    fn parse(query: &'a str) -> Self {
        Self(url::form_urlencoded::parse(query.as_bytes()).collect())
    }

    /// The value of `name`; an empty one counts as absent, and two different ones are an error.
    fn one(&self, name: &'static str) -> Result<Option<&str>, Fault> {
        let mut values = self.0.iter().filter(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_ref());
        let first = values.next();
        if values.any(|other| Some(other) != first) {
            let problem = format!("the parameter '{name}' is given twice with different values");
            return Err(Fault::new(Kind::InvalidRequest, problem, "give it once"));
        }
        Ok(first)
    }

    /// The one selector, in any client's spelling.
    fn selector(&self, is_native: bool) -> Result<Selector, Fault> {
        let mut found = Selector::None;
        for (name, value) in self.0.iter().filter(|(_, value)| !value.is_empty()) {
            let Some(selector) = selector(name, value, is_native)? else {
                continue;
            };
            if found != Selector::None && found != selector {
                return Err(Fault::new(
                    Kind::InvalidRequest,
                    "the request points at an identity in two different ways",
                    "send one of client_id, object_id and msi_res_id",
                ));
            }
            found = selector;
        }
        Ok(found)
    }
}

fn selector(name: &str, value: &str, is_native: bool) -> Result<Option<Selector>, Fault> {
    let selector = match name {
        "client_id" | "clientid" => Selector::ClientId,
        "object_id" | "principal_id" | "principalId" => Selector::ObjectId,
        "msi_res_id" | "mi_res_id" | "msi-res-id" | "resource_id" => Selector::ResourceId,
        "identity" if is_native => Selector::Name,
        _ => return Ok(None),
    };
    if value.len() > MAX_SELECTOR || value.chars().any(char::is_control) {
        let problem = format!("the parameter '{name}' is too long or has control characters");
        return Err(Fault::new(Kind::InvalidRequest, problem, "correct it"));
    }
    Ok(Some(selector(value.to_owned())))
}

/// `2018-02-01`, or the same with a suffix such as `-preview`.
fn is_version(text: &str) -> bool {
    let shaped = |date: &str| {
        date.bytes().enumerate().all(|(i, b)| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() })
    };
    text.is_ascii()
        && text.len() >= DATE
        && shaped(&text[..DATE])
        && (text.len() == DATE || text[DATE..].starts_with('-'))
}

fn json(body: &impl Serialize) -> Vec<u8> {
    // Invariant: strings and numbers in a struct always serialise; the fallback is never empty all the same.
    serde_json::to_vec(body).unwrap_or_else(|_| br#"{"error":"server_error"}"#.to_vec())
}

/// The request id to use: the client's own when it is a GUID (it is written to logs and answers), else none.
#[must_use]
pub fn client_request_id<'a>(request: &Request<'a>) -> Option<&'a str> {
    let shown = (request.header)("x-ms-client-request-id").or_else(|| (request.header)("client-request-id"))?;
    std::str::from_utf8(shown).ok().filter(|id| is_guid(id))
}

const MAX_RETRY_AFTER: u64 = 5;
const MAX_SELECTOR: usize = 1024;
const DATE: usize = "2018-02-01".len();

#[cfg(test)]
mod tests;
