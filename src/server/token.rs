//! The token listener: one request travels the whole line here, and nothing else happens.

use std::borrow::Cow;

use actix_web::http::Method;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, http::StatusCode, web};

use super::Service;
use super::host::Hosts;
use crate::caller::Peer;
use crate::clock::Stopwatch;
use crate::dialect::{Dialect, Envelope, Guard, Reply, Request, client_request_id};
use crate::fault::{Fault, Kind, Turn};
use crate::source::host::MARK;

/// Answers any request to a token listener.
pub async fn serve(request: HttpRequest, service: web::Data<Service>) -> HttpResponse {
    let watch = Stopwatch::start();
    let header = |name: &'static str| request.headers().get(name).map(HeaderValue::as_bytes);
    let text = Request { query: request.query_string(), header: &header };
    let request_id = client_request_id(&text).map_or_else(fresh_id, str::to_owned);
    let mut response = match route(&request, &service) {
        Ok(dialect) => {
            let result = answer(dialect, &text, &service, &request_id).await;
            service.metrics.answered(dialect.name, &result, watch.elapsed());
            log(dialect.name, &result, &request_id);
            write(result.unwrap_or_else(|fault| dialect.refuse(&fault, &request_id)), &request_id)
        }
        Err(fault) => refuse(&fault, &request_id),
    };
    if service.phase.is_draining() {
        service.phase.count();
        response.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
    }
    response
}

/// The straight line: read, recognise, admit, vend, reply.
async fn answer(dialect: &Dialect, text: &Request<'_>, service: &Service, request_id: &str) -> Result<Reply, Fault> {
    let ask = dialect.read(text)?;
    let shown = match dialect.guard {
        Guard::HeaderSecret(name) => (text.header)(name),
        Guard::Metadata => None,
    };
    let caller = service.callers.recognise(dialect.guard, Peer { shown })?;
    let permit = service.policy.admit(&caller, &ask)?;
    let token = service.vend.vend(&permit, request_id).await?;
    Ok(dialect.reply(&ask, &permit.identity().client_id, &token, service.clock.now()))
}

/// The dialect that a request is for. Host first, then path, then method; headers that a dialect wants
/// come later, because a client that probes for other endpoints must see 404 and not 400.
fn route<'a>(request: &HttpRequest, service: &'a Service) -> Result<&'a Dialect, Fault> {
    refuse_own(request, &service.mark)?;
    check_host(request, &service.hosts)?;
    let path = plain(request.path());
    let dialect = service.dialects.iter().find(|dialect| dialect.path == path);
    let dialect = dialect.ok_or_else(|| nothing_there(&service.dialects))?;
    if request.method() != Method::GET {
        return Err(Fault::new(Kind::MethodNotAllowed, "this path takes GET", "send a GET"));
    }
    Ok(dialect)
}

/// What points our own managed identity at ourselves would have us wait for ourselves.
fn refuse_own(request: &HttpRequest, mark: &str) -> Result<(), Fault> {
    if request.headers().get(MARK).is_none_or(|shown| shown.as_bytes() != mark.as_bytes()) {
        return Ok(());
    }
    let remedy = "let this service's own managed identity be asked of the host, see docs/configuration.md";
    Err(Fault::new(Kind::Loop, "this service has asked itself for a token", remedy))
}

fn nothing_there(served: &[&Dialect]) -> Fault {
    let paths: Vec<&str> = served.iter().map(|dialect| dialect.path).collect();
    Fault::new(Kind::NotFound, "there is nothing at this path", format!("ask for a token at {}", paths.join(" or ")))
}

/// The header and, in an absolute-form target, the authority must both be ours.
pub(super) fn check_host(request: &HttpRequest, hosts: &Hosts) -> Result<(), Fault> {
    // A header that is no text is nobody's name, and must not count as absent.
    let header = request.headers().get(HOST).map(|host| host.to_str().unwrap_or_default());
    let target = request.uri().authority().map(actix_web::http::uri::Authority::as_str);
    let ours =
        header.or(target).is_some_and(|host| hosts.are_ours(host)) && target.is_none_or(|host| hosts.are_ours(host));
    if ours {
        return Ok(());
    }
    Err(Fault::new(
        Kind::InvalidRequest,
        "the Host header names another host",
        "ask by address or by localhost, or have the operator add the name to 'server.hosts'",
    ))
}

/// The path without doubled and trailing slashes, which several clients send.
fn plain(path: &str) -> Cow<'_, str> {
    if !path.contains("//") && !path.ends_with('/') {
        return Cow::Borrowed(path);
    }
    let mut plain = String::with_capacity(path.len());
    for part in path.split('/').filter(|part| !part.is_empty()) {
        plain.push('/');
        plain.push_str(part);
    }
    Cow::Owned(plain)
}

fn write(reply: Reply, request_id: &str) -> HttpResponse {
    let mut response = start(reply.status, request_id);
    if let Some(seconds) = reply.retry_after {
        response.insert_header((RETRY_AFTER, seconds));
    }
    response.body(reply.body)
}

/// Answers what no dialect is asked for.
pub(super) fn refuse(fault: &Fault, request_id: &str) -> HttpResponse {
    tracing::debug!(%fault, request_id, "refused");
    let mut response = write(Envelope::OAuth.refuse(fault, request_id), request_id);
    if fault.kind == Kind::MethodNotAllowed {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
    }
    response
}

fn start(status: u16, request_id: &str) -> HttpResponseBuilder {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response
        .insert_header((CONTENT_TYPE, "application/json; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("x-ms-request-id", request_id));
    response
}

/// An id for a request that brought none. It has to be unlikely to repeat, not to be unguessable.
pub(super) fn fresh_id() -> String {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid().to_string()
}

fn log(dialect: &str, result: &Result<Reply, Fault>, request_id: &str) {
    let Err(fault) = result else {
        tracing::debug!(dialect, request_id, "answered");
        return;
    };
    let (turn, correlation_id) = (fault.turn().as_str(), fault.correlation_id());
    match fault.turn() {
        Turn::Us => tracing::error!(dialect, request_id, turn, correlation_id, %fault, "refused"),
        // The exchange that failed has warned already, once for all who waited.
        Turn::Authority | Turn::Caller | Turn::Operator => {
            tracing::info!(dialect, request_id, turn, correlation_id, %fault, "refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_that_clients_add_are_taken_away() {
        for (sent, meant) in [
            ("/token", "/token"),
            ("/token/", "/token"),
            ("//metadata/identity/oauth2/token", "/metadata/identity/oauth2/token"),
            ("/metadata//identity/oauth2/token//", "/metadata/identity/oauth2/token"),
            ("/", ""),
            ("/Token", "/Token"),
        ] {
            assert_eq!(plain(sent), meant);
        }
    }
}
