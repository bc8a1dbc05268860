//! The token listener: one request travels the whole line here, and nothing else happens.

use std::num::NonZeroU64;
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use actix_web::web::Bytes;

use super::failed::Failed;
use super::visit::Visit;
use super::witness::Witness;
use super::{HttpRequest, HttpResponse, Service, connection, form, head, pages, query, recognise, route};
use crate::clock::Stopwatch;
use crate::dialect::route::{Astray, Route};
use crate::dialect::{Ask, Dialect, Envelope, Guard, Method, Reply, Request, client_request_id, shown_key};
use crate::fault::{Fault, Kind, Turn};
use crate::flood::{Concern, Event};

/// Answers any request to a token listener.
pub(super) async fn serve(mut request: HttpRequest, service: Arc<Service>) -> HttpResponse {
    let watch = Stopwatch::start();
    let payload = request.take_payload();
    let ledger = connection::ledger(&request);
    ledger.begin(!matches!(payload, Payload::None));
    let (headers, charter) = (head::shown(&request), service.charter.load());
    let request_id = &client_request_id(&headers).map_or_else(fresh_id, str::to_owned);
    let visit = Visit { request: &request, headers: &headers, service: &service, charter: &charter, request_id };
    let response = match route::of(&request, &headers, ledger, &service) {
        Ok(Route::Page(page)) => Box::pin(pages::serve(&page, visit)).await,
        Ok(Route::Token(dialect)) => {
            let result = answer(dialect, visit, payload).await;
            match &result {
                Ok(_) => tracing::debug!(dialect = dialect.name, request_id, "answered"),
                Err(failed) => failed.log(dialect.name, visit),
            }
            let result = result.map_err(|failed| failed.fault);
            service.metrics.answered(dialect.name, &result, watch.elapsed());
            match result {
                Ok(reply) => write(reply, request_id),
                Err(fault) => refused(dialect, &fault, &service, request_id),
            }
        }
        Err(astray) => lost(&astray, request_id),
    };
    // Whoever connects again shows another certificate.
    let has_ended = ledger.link.has_ended(&service.clock);
    let is_draining = service.phase.is_draining();
    if is_draining {
        service.phase.count();
    }
    connection::end(&request, response, has_ended || is_draining)
}

/// The straight line: read, recognise, admit, vend, reply. A key that is shown pays for one token.
async fn answer(dialect: &Dialect, visit: Visit<'_>, payload: Payload) -> Result<Reply, Failed> {
    let Visit { request, headers, service, .. } = visit;
    let has_form = request.method().as_str() == Method::Post.as_str();
    let form = if has_form {
        // Who is not let in has no body waited for.
        dialect.guard.check(headers)?;
        Box::pin(form::read(payload)).await?
    } else {
        Bytes::new()
    };
    let ask = dialect.read(&Request { query: query(request), form: &form, headers })?;
    let Guard::KeyFile = dialect.guard else {
        return pay(dialect, &ask, visit, false).await;
    };
    if headers.authorization.is_none() {
        return Err(unchallenged().into());
    }
    let key = shown_key(headers).and_then(|shown| service.take_key(shown));
    let paid = pay(dialect, &ask, visit, key.is_some()).await;
    if let Some(key) = key {
        service.settle_key(&key, paid.as_ref().is_err_and(|failed| failed.fault.turn() == Turn::Authority));
    }
    paid
}

async fn pay(dialect: &Dialect, ask: &Ask, visit: Visit<'_>, holds_key: bool) -> Result<Reply, Failed> {
    let (charter, witness) = (visit.charter, Witness { visit, dialect: dialect.name, ask: Some(ask) });
    let caller = recognise::caller(visit, dialect.guard, holds_key).await;
    let caller = caller.inspect_err(|fault| witness.turned_away(None, fault))?;
    let taken = charter.rates.take(caller).inspect_err(|fault| witness.turned_away(Some(caller), fault));
    taken.map_err(|fault| Failed::of(caller, fault))?;
    let permit = charter.policy.admit(caller, ask).inspect_err(|refusal| witness.refused(caller, refusal));
    let permit = permit.map_err(|refusal| Failed::of(caller, refusal))?;
    let vended = charter.vend.vend(&permit, visit.request_id).await.inspect_err(|fault| witness.unpaid(&permit, fault));
    let unpaid = |fault| Failed { identity: Some(permit.identity().name.clone()), ..Failed::of(caller, fault) };
    let vended = vended.map_err(unpaid)?;
    witness.vended(&permit, &vended.token);
    Ok(dialect.reply(ask, &permit.identity().client_id, &vended.token, vended.at))
}

/// A refusal in the words of the dialect. Whoever shows no key, or one that is wrong or spent, is told where one lies:
/// a 401 has a challenge (RFC 9110, section 15.5.2), and azure-identity's async client for Python shows the key of its
/// last request once more to get one.
fn refused(dialect: &Dialect, fault: &Fault, service: &Service, request_id: &str) -> HttpResponse {
    if dialect.guard != Guard::KeyFile || !matches!(fault.kind, Kind::Challenged | Kind::Unauthenticated) {
        return write(dialect.refuse(fault, request_id), request_id);
    }
    match service.challenge() {
        Ok(path) => {
            let response = write(dialect.refuse(fault, request_id), request_id);
            with(response, WWW_AUTHENTICATE, &format!("Basic realm={}", path.display()))
        }
        Err(fault) => {
            let concern = Concern { event: Event::KeyFile, kind: fault.kind, caller: None, identity: None };
            if let Some(suppressed) = service.floods.pass(concern, service.clock.now()) {
                let (dialect, inward, suppressed) = (dialect.name, fault.inward(), NonZeroU64::new(suppressed));
                tracing::warn!(dialect, request_id, %fault, inward, suppressed, "no key file");
            }
            write(dialect.refuse(&fault, request_id), request_id)
        }
    }
}

/// What a first request to Azure Arc meets; the answer tells where a key lies.
fn unchallenged() -> Fault {
    let remedy = "send what the file holds that WWW-Authenticate names, as 'Authorization: Basic', within a minute";
    Fault::new(Kind::Challenged, "the content of a key file is wanted", remedy)
}

pub(super) fn write(reply: Reply, request_id: &str) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::with_body(status, BoxBody::new(reply.body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, if reply.is_text { TEXT } else { JSON });
    headers.insert(CACHE_CONTROL, NO_STORE);
    if let Some(seconds) = reply.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    with(response, REQUEST_ID, request_id)
}

/// Answers what no dialect is asked for.
fn lost(astray: &Astray, request_id: &str) -> HttpResponse {
    let response = refuse(&astray.fault, request_id);
    match &astray.allow {
        Some(methods) => with(response, ALLOW, methods),
        None => response,
    }
}

/// Answers with a fault that is no dialect's.
pub(super) fn refuse(fault: &Fault, request_id: &str) -> HttpResponse {
    tracing::debug!(%fault, request_id, "refused");
    write(Envelope::OAuth.refuse(fault, request_id), request_id)
}

/// The same with a header; one that no header can hold is left out.
pub(super) fn with(mut response: HttpResponse, name: HeaderName, value: &str) -> HttpResponse {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

/// An id for a request that brought none. It has to be unlikely to repeat, not to be unguessable.
pub(super) fn fresh_id() -> String {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid().to_string()
}

/// Made once: of a text, each answer would make its own.
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
