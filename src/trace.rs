//! The spans of a request, of the flight that it waits for, and of what is sent south for it; in the words of `tracing`
//! alone. Who exports them is none of this room's business, and where nobody does nothing is made.
//!
//! A span is made for what is sampled only: that is decided first ([`sampling`]), and whatever happens on behalf of a
//! request that is not sampled finds no span to be below of. No token, no secret and no header's value is in any of them, and of what
//! callers write only what was checked before.

use tracing::field::Empty;
use tracing::{Span, info_span};
use url::Url;

use crate::fault::Fault;
use crate::token::TokenKey;

pub mod parent;
pub mod sampling;

pub use parent::Parent;
pub use sampling::Sampling;

/// The target of all spans, by which they are told from everything else.
pub const TARGET: &str = "bursar::trace";
/// The field in which a request's span holds what its caller sent, for whoever exports it.
pub const TRACEPARENT: &str = "traceparent";
/// The field of what goes along with it.
pub const TRACESTATE: &str = "tracestate";

/// What a request is, as far as its span tells.
#[derive(Debug)]
pub struct Asked<'a> {
    /// One of the methods that everybody knows; none for another word.
    pub method: Option<&'static str>,
    /// The path that is served; none where nothing is.
    pub path: Option<&'static str>,
    /// Whether it came over TLS.
    pub is_tls: bool,
    /// The name of ours that it was sent to.
    pub host: Option<&'a str>,
    /// What its caller traces it as, well-formed.
    pub traceparent: Option<&'a str>,
    /// What goes along with that, bounded and clean.
    pub tracestate: Option<&'a str>,
}

/// The span of a sampled request (semantic conventions of HTTP servers).
#[must_use]
pub fn request(asked: &Asked<'_>) -> Span {
    let name = match (asked.method, asked.path) {
        (Some(method), Some(path)) => format!("{method} {path}"),
        (method, _) => method.unwrap_or("HTTP").to_owned(),
    };
    info_span!(
        target: TARGET,
        parent: None,
        "request",
        otel.kind = "server",
        otel.name = name,
        otel.status_code = Empty,
        "error.type" = Empty,
        http.request.method = asked.method.unwrap_or("_OTHER"),
        http.response.status_code = Empty,
        http.route = asked.path,
        url.path = asked.path,
        url.scheme = if asked.is_tls { "https" } else { "http" },
        server.address = asked.host,
        bursar.request_id = Empty,
        bursar.dialect = Empty,
        bursar.caller = Empty,
        bursar.identity = Empty,
        bursar.tenant = Empty,
        bursar.resource = Empty,
        bursar.outcome = Empty,
        traceparent = asked.traceparent,
        tracestate = asked.tracestate,
    )
}

/// Notes how a request was answered. That a caller did wrong is no error of the service.
pub fn answered(span: &Span, status: u16, request_id: Option<&str>) {
    span.record("http.response.status_code", i64::from(status));
    request_id.map(|id| span.record("bursar.request_id", id));
    if status >= 500 {
        fail(span, &status.to_string());
    }
}

/// Notes in the span of the present request whose token was handed over.
pub fn vended(dialect: &str, caller: Option<&str>, identity: &str, tenant: &str, resource: &str) {
    let span = Span::current();
    span.record("bursar.tenant", tenant);
    span.record("bursar.resource", resource);
    tell(&span, dialect, caller, Some(identity), "ok");
}

/// Notes in the span of the present request why there is no token.
pub fn refused(dialect: &str, caller: Option<&str>, identity: Option<&str>, fault: &Fault) {
    tell(&Span::current(), dialect, caller, identity, fault.code());
}

fn tell(span: &Span, dialect: &str, caller: Option<&str>, identity: Option<&str>, outcome: &str) {
    span.record("bursar.dialect", dialect);
    caller.map(|caller| span.record("bursar.caller", caller));
    identity.map(|identity| span.record("bursar.identity", identity));
    span.record("bursar.outcome", outcome);
}

/// The span of a sampled renewal, for which nobody asked.
#[must_use]
pub fn renewal() -> Span {
    info_span!(target: TARGET, parent: None, "renewal")
}

/// The span of a flight, below that of whoever has it begin; none if that is not sampled.
#[must_use]
pub fn flight() -> Span {
    if !is_sampled() {
        return Span::none();
    }
    info_span!(
        target: TARGET,
        "flight",
        otel.status_code = Empty,
        "error.type" = Empty,
        bursar.request_id = Empty,
        bursar.identity = Empty,
        bursar.tenant = Empty,
        bursar.scope = Empty,
        bursar.outcome = Empty,
        bursar.aadsts = Empty,
        bursar.correlation_id = Empty,
    )
}

/// Notes what a flight is for. `request_id` is what its authority knows it by.
pub fn departed(span: &Span, request_id: &str, key: &TokenKey) {
    span.record("bursar.request_id", request_id);
    span.record("bursar.identity", key.principal.identity.as_str());
    span.record("bursar.tenant", key.principal.tenant.as_str());
    span.record("bursar.scope", &*key.scope.text());
}

/// Notes how a flight ended.
pub fn landed<T>(span: &Span, result: &Result<T, Fault>) {
    match result {
        Ok(_) => {
            span.record("bursar.outcome", "ok");
        }
        Err(fault) => {
            span.record("bursar.outcome", fault.code());
            fault.aadsts().map(|number| span.record("bursar.aadsts", i64::from(number)));
            fault.correlation_id().map(|id| span.record("bursar.correlation_id", id));
            fail(span, fault.code());
        }
    }
}

/// The span of one request southward, such as an `exchange`, below the present one; none if that is not sampled.
#[must_use]
pub fn outgoing(name: &'static str) -> Span {
    if !is_sampled() {
        return Span::none();
    }
    info_span!(
        target: TARGET,
        "outgoing",
        otel.kind = "client",
        otel.name = name,
        otel.status_code = Empty,
        "error.type" = Empty,
        http.request.method = Empty,
        http.response.status_code = Empty,
        url.full = Empty,
        server.address = Empty,
        server.port = Empty,
        bursar.credential = Empty,
    )
}

/// Notes where a request is sent. What follows the path may be a secret.
pub fn sent(span: &Span, method: &str, url: &Url) {
    if span.is_none() {
        return;
    }
    span.record("http.request.method", method);
    span.record("url.full", format!("{}{}", url.origin().ascii_serialization(), url.path()));
    url.host_str().map(|host| span.record("server.address", host));
    url.port_or_known_default().map(|port| span.record("server.port", i64::from(port)));
}

/// Notes with which status an answer came, or why none did.
pub fn came(span: &Span, result: Result<u16, &Fault>) {
    match result {
        _ if span.is_none() => {}
        Ok(status) => {
            span.record("http.response.status_code", i64::from(status));
            if status >= 400 {
                fail(span, &status.to_string());
            }
        }
        Err(fault) => fail(span, fault.code()),
    }
}

fn fail(span: &Span, error: &str) {
    span.record("otel.status_code", "error");
    span.record("error.type", error);
}

/// Whether what is done now is traced. There are no spans but those of this room.
#[must_use]
pub fn is_sampled() -> bool {
    !Span::current().is_none()
}
