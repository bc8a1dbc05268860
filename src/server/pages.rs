//! The pages of instance metadata, which hold nothing that is secret.

use actix_web::http::header::ALLOW;

use super::failed::Failed;
use super::token::{with, write};
use super::visit::Visit;
use super::witness::Witness;
use super::{HttpResponse, query, recognise};
use crate::caller::Caller;
use crate::dialect::page::{Page, Refusal};
use crate::dialect::table::IMDS;
use crate::dialect::{Guard, Reply, Request};
use crate::fault::Fault;

/// Answers a request for `page`.
pub(super) async fn serve(page: &Page, visit: Visit<'_>) -> HttpResponse {
    let request_id = visit.request_id;
    match show(page, visit).await {
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

async fn show(page: &Page, visit: Visit<'_>) -> Result<Reply, Refusal> {
    let Visit { request, headers, charter, .. } = visit;
    let asked = Request { query: query(request), form: &[], headers };
    let method = request.method().as_str();
    Page::check(method, &asked)?;
    let caller = admit(visit).await?;
    page.show(method, &asked, &charter.instance, || charter.policy.default_directory(caller))
}

/// Where callers are told apart, a page is for them alone, and whoever is nobody is told of as one that asks for a
/// token is: else secrets could be guessed here unseen.
async fn admit(visit: Visit<'_>) -> Result<Option<Caller>, Fault> {
    let charter = visit.charter;
    if !charter.policy.tells_apart() {
        return Ok(None);
    }
    let witness = Witness { visit, dialect: IMDS.name, ask: None };
    let turned_away = |caller: Option<Caller>, fault: &Fault| {
        witness.turned_away(caller, fault);
        Failed { fault: fault.clone(), caller, identity: None }.log(IMDS.name, visit);
    };
    let caller = recognise::caller(visit, Guard::Metadata, false).await;
    let caller = caller.inspect_err(|fault| turned_away(None, fault))?;
    charter.rates.take(caller).inspect_err(|fault| turned_away(Some(caller), fault))?;
    Ok(Some(caller))
}
