//! The pages of instance metadata, which hold nothing that is secret.

use actix_web::http::header::ALLOW;
use actix_web::{HttpRequest, HttpResponse};

use super::charter::Charter;
use super::failed::Failed;
use super::token::{with, write};
use super::witness::Witness;
use super::{Service, head, recognise};
use crate::caller::Caller;
use crate::dialect::page::{Page, Refusal};
use crate::dialect::table::IMDS;
use crate::dialect::{Guard, Reply, Request};
use crate::fault::Fault;

/// Answers a request for `page`.
pub(super) async fn serve(page: &Page, request: &HttpRequest, service: &Service, request_id: &str) -> HttpResponse {
    match show(page, request, service, request_id).await {
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

async fn show(page: &Page, request: &HttpRequest, service: &Service, request_id: &str) -> Result<Reply, Refusal> {
    let header = |name: &'static str| head::shown(request, name);
    let asked = Request { query: request.query_string(), form: &[], header: &header };
    let method = request.method().as_str();
    Page::check(method, &asked)?;
    let charter = service.charter.load();
    let caller = admit(request, service, &charter, request_id).await?;
    page.show(method, &asked, &charter.instance, || charter.policy.default_directory(caller))
}

/// Where callers are told apart, a page is for them alone, and whoever is nobody is told of as one that asks for a
/// token is: else secrets could be guessed here unseen.
async fn admit(
    request: &HttpRequest,
    service: &Service,
    charter: &Charter,
    request_id: &str,
) -> Result<Option<Caller>, Fault> {
    if !charter.policy.tells_apart() {
        return Ok(None);
    }
    let witness = Witness { service, charter, request, dialect: IMDS.name, ask: None, request_id };
    let turned_away = |caller: Option<Caller>, fault: &Fault| {
        witness.turned_away(caller, fault);
        Failed { fault: fault.clone(), caller, identity: None }.log(IMDS.name, request_id, service, charter);
    };
    let caller = recognise::caller(request, Guard::Metadata, false, service, charter).await;
    let caller = caller.inspect_err(|fault| turned_away(None, fault))?;
    charter.rates.take(caller).inspect_err(|fault| turned_away(Some(caller), fault))?;
    Ok(Some(caller))
}
