//! The token listener where requests are traced: which of them are is decided before anything is made for it, and the
//! others are answered as they are everywhere else.

use std::sync::Arc;

use actix_web::http::header::{HOST, HeaderName};
use tracing::{Instrument, Span};

use super::token::REQUEST_ID;
use super::{HttpRequest, HttpResponse, Service, connection, query, token};
use crate::dialect::route::{Route, Target};
use crate::trace::{self, Asked, Parent, TRACEPARENT, TRACESTATE};

/// Answers any request to a token listener, within a span if it is sampled.
pub(super) async fn serve(request: HttpRequest, service: Arc<Service>) -> HttpResponse {
    let Some(span) = open(&request, &service) else { return token::serve(request, service).await };
    // Boxed, so that those that are not sampled are no larger for it.
    let response = Box::pin(token::serve(request, service).instrument(span.clone())).await;
    let request_id = response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    trace::answered(&span, response.status().as_u16(), request_id);
    response
}

/// The span of a request, if it is sampled.
fn open(request: &HttpRequest, service: &Service) -> Option<Span> {
    let sampling = service.sampling?;
    let traceparent = if sampling.follows { once(request, TRACEPARENT) } else { None };
    let parent = traceparent.and_then(Parent::parse);
    sampling
        .samples(parent, fastrand::u64(..))
        .then(|| span(request, service, traceparent.filter(|_| parent.is_some())))
}

fn span(request: &HttpRequest, service: &Service, traceparent: Option<&str>) -> Span {
    let is_tls = connection::ledger(request).link.is_tls();
    let host = once(request, HOST.as_str()).filter(|host| service.hosts.are_ours(host));
    let tracestate = traceparent.and_then(|_| once(request, TRACESTATE)).filter(|state| state.len() <= LONGEST_STATE);
    trace::request(&Asked {
        method: METHODS.into_iter().find(|method| *method == request.method().as_str()),
        path: path(request, service, is_tls),
        is_tls,
        host: host.map(bare),
        traceparent,
        tracestate,
    })
}

/// A host without its port, and an IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    let name = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(host, |(name, _)| name);
    name.trim_matches(['[', ']'])
}

/// The path as it is served: what a caller makes up is not told.
fn path(request: &HttpRequest, service: &Service, is_tls: bool) -> Option<&'static str> {
    let (method, path, query) = (request.method().as_str(), request.path(), query(request));
    match (Target { method, path, query, is_tls }).route(&service.dialects).ok()? {
        Route::Token(dialect) => {
            dialect.paths.iter().copied().find(|known| *known == path).or(dialect.paths.first().copied())
        }
        Route::Page(_) => Some("/metadata"),
    }
}

/// What a request shows in a header that it shows once, if that is clean.
fn once<'a>(request: &'a HttpRequest, name: &'static str) -> Option<&'a str> {
    let mut all = request.head().headers().get_all(HeaderName::from_static(name));
    let text = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(text)
}

/// The methods that are called by their names (semantic conventions of HTTP).
const METHODS: [&str; 9] = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"];
/// What is passed on at least (<https://www.w3.org/TR/trace-context-1/#tracestate-limits>).
const LONGEST_STATE: usize = 512;
