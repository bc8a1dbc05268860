//! The admin listener: health, readiness, metrics, and the status page. It never hands out anything that is secret.

use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::Payload;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, CROSS_ORIGIN_OPENER_POLICY, CROSS_ORIGIN_RESOURCE_POLICY,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::connection::{self, Ledger};
use super::route::check_host;
use super::status::{self, POLICY, Readiness, Status, body};
use super::token::{fresh_id, refuse, with};
use super::{HttpRequest, HttpResponse, Service, head};
use crate::fault::{Fault, Kind};

/// Answers any request to the admin listener.
pub(super) async fn serve(mut request: HttpRequest, service: Arc<Service>) -> HttpResponse {
    let payload = request.take_payload();
    let ledger = connection::ledger(&request);
    ledger.begin(!matches!(payload, Payload::None));
    let response = page(&request, ledger, &service).await.unwrap_or_else(|fault| refuse(&fault, &fresh_id()));
    connection::end(&request, response, false)
}

async fn page(request: &HttpRequest, ledger: &Ledger, service: &Service) -> Result<HttpResponse, Fault> {
    head::check(request.head().headers(), ledger)?;
    check_host(request, &head::shown(request), &service.admin_hosts)?;
    let known = matches!(request.path(), "/healthz" | "/readyz" | "/metrics" | "/" | "/status");
    if known && !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Fault::new(Kind::MethodNotAllowed, "this path takes GET", "send a GET"));
    }
    Ok(match request.path() {
        "/healthz" => json(true, &json!({ "status": "alive" })),
        "/readyz" => {
            let status = Status::of(service).await;
            json(status.readiness == Readiness::Ready, &body(&status))
        }
        "/metrics" => metrics(service).await,
        "/" | "/status" if service.shows_status => html(&Status::of(service).await),
        "/" | "/status" => {
            let remedy = "set 'server.status_page = true' to have it served where other machines reach it";
            return Err(Fault::new(Kind::NotFound, "the status page is served on loopback alone", remedy));
        }
        _ => {
            let remedy = "ask for /healthz, /readyz, /metrics or /status";
            return Err(Fault::new(Kind::NotFound, "there is nothing at this path", remedy));
        }
    })
}

fn json(is_fine: bool, body: &Value) -> HttpResponse {
    let status = if is_fine { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer(status, "application/json; charset=utf-8", body.to_string())
}

/// The status page, with which a browser can do nothing but show it.
fn html(status: &Status) -> HttpResponse {
    let response = answer(StatusCode::OK, "text/html; charset=utf-8", status::page(status));
    let headers = [
        (CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
        (CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
    ];
    headers.into_iter().fold(response, |response, (name, value)| with(response, name, value))
}

async fn metrics(service: &Service) -> HttpResponse {
    let stock = service.charter.load().vend.stock().await;
    let page = service.metrics.page(stock.tokens, stock.cover);
    answer(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", page)
}

/// An answer that nobody keeps.
fn answer(status: StatusCode, kind: &str, body: impl MessageBody + 'static) -> HttpResponse {
    let response = HttpResponse::with_body(status, BoxBody::new(body));
    with(with(response, CONTENT_TYPE, kind), CACHE_CONTROL, "no-store")
}
