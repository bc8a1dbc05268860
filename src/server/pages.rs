//! The pages of instance metadata, which hold nothing that is secret.

use actix_web::http::header::ALLOW;
use actix_web::{HttpRequest, HttpResponse};

use super::token::{with, write};
use super::{Service, head, recognise};
use crate::dialect::page::{Page, Refusal};
use crate::dialect::{Guard, Reply, Request};

/// Answers a request for `page`.
pub(super) async fn serve(page: &Page, request: &HttpRequest, service: &Service, request_id: &str) -> HttpResponse {
    match show(page, request, service).await {
        Ok(reply) => write(reply, request_id),
        Err(refusal) => {
            tracing::debug!(fault = %refusal.fault, request_id, "page refused");
            let response = write(refusal.reply(), request_id);
            match refusal.allow() {
                Some(method) => with(response, ALLOW, method),
                None => response,
            }
        }
    }
}

/// Where callers are told apart, a page is for them alone.
async fn show(page: &Page, request: &HttpRequest, service: &Service) -> Result<Reply, Refusal> {
    let header = |name: &'static str| head::shown(request, name);
    let asked = Request { query: request.query_string(), form: &[], header: &header };
    let method = request.method().as_str();
    Page::check(method, &asked)?;
    if service.policy.callers().next().is_some() {
        recognise::caller(request, Guard::Metadata, false, service).await?;
    }
    page.show(method, &asked, &service.instance, || service.policy.default_directory())
}
