//! Recognises the caller behind a request: gathers what connection and headers show, and has a token verified.

use actix_web::HttpRequest;

use super::charter::Charter;
use super::{Service, connection, head};
use crate::caller::{Caller, Peer, Recognition};
use crate::dialect::Guard;
use crate::fault::{Fault, Kind};

/// The caller, who wants to pass `guard` and `holds_key` or not.
pub(super) async fn caller(
    request: &HttpRequest,
    guard: Guard,
    holds_key: bool,
    service: &Service,
    charter: &Charter,
) -> Result<Caller, Fault> {
    let link = &connection::ledger(request).link;
    if link.has_ended(&service.clock) {
        return Err(ended());
    }
    let header = |name: &'static str| head::shown(request, name);
    let is_loopback = request.peer_addr().is_some_and(|address| address.ip().to_canonical().is_loopback());
    let (user, subject) = (link.user(), link.subject());
    let peer = Peer { is_loopback, user, subject, holds_key, ..Peer::of_headers(&header) };
    let recognition = charter.callers.recognise(guard, &peer)?;
    match recognition {
        Recognition::Known(caller) => Ok(caller),
        Recognition::Token { token, instead } => {
            let cluster = charter.cluster.as_ref().ok_or_else(no_cluster)?;
            let account = cluster.verify(token).await?;
            let caller = charter.callers.recognise_account(&account)?;
            Ok(instead.unwrap_or(caller))
        }
    }
}

/// A connection may live longer than the certificate that it was opened with.
fn ended() -> Fault {
    let remedy = "connect again, with a certificate that is good now";
    Fault::new(Kind::Unauthenticated, "the client certificate of this connection has ended", remedy)
}

/// The configuration has callers proved by service account only together with a cluster.
fn no_cluster() -> Fault {
    Fault::new(Kind::Internal, "no cluster verifies service accounts", "report this")
}
