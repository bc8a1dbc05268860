//! The pages of instance metadata, which hold nothing that is secret.

use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use super::Service;
use super::token::{with, write};
use crate::dialect::Request;
use crate::dialect::page::Page;

/// Answers a request for `page`.
pub(super) fn serve(page: &Page, request: &HttpRequest, service: &Service, request_id: &str) -> HttpResponse {
    let header = |name: &'static str| request.headers().get(name).map(HeaderValue::as_bytes);
    let asked = Request { query: request.query_string(), form: &[], header: &header };
    let tenant = || service.policy.default_directory();
    match page.show(request.method().as_str(), &asked, &service.instance, tenant) {
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
