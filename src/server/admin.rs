//! The admin listener: health, readiness, metrics. It never hands out anything that is secret.

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};

use super::connection::{self, Ledger};
use super::route::check_host;
use super::token::{fresh_id, refuse};
use super::{Service, head};
use crate::fault::{Fault, Kind};

/// Answers any request to the admin listener.
pub async fn serve(request: HttpRequest, payload: web::Payload, service: web::Data<Service>) -> HttpResponse {
    let ledger = connection::ledger(&request);
    ledger.begin(!matches!(payload.into_inner(), Payload::None));
    let response = page(&request, ledger, &service).await.unwrap_or_else(|fault| refuse(&fault, &fresh_id()));
    connection::end(&request, response, false)
}

async fn page(request: &HttpRequest, ledger: &Ledger, service: &Service) -> Result<HttpResponse, Fault> {
    head::check(request.headers(), ledger)?;
    check_host(request, &service.admin_hosts)?;
    let known = matches!(request.path(), "/healthz" | "/readyz" | "/metrics");
    if known && !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Fault::new(Kind::MethodNotAllowed, "this path takes GET", "send a GET"));
    }
    Ok(match request.path() {
        "/healthz" => status(true, "alive"),
        "/readyz" if service.phase.is_ready() => status(true, "ready"),
        "/readyz" if service.phase.is_draining() => status(false, "draining"),
        "/readyz" => status(false, "starting"),
        "/metrics" => metrics(service).await,
        _ => {
            let remedy = "ask for /healthz, /readyz or /metrics";
            return Err(Fault::new(Kind::NotFound, "there is nothing at this path", remedy));
        }
    })
}

fn status(fine: bool, word: &str) -> HttpResponse {
    let mut response = if fine { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response
        .insert_header((CONTENT_TYPE, "application/json; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(format!(r#"{{"status":"{word}"}}"#))
}

async fn metrics(service: &Service) -> HttpResponse {
    let stock = service.charter.load().vend.stock().await;
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(service.metrics.page(stock.tokens, stock.cover))
}
