//! Recognises the caller behind a request: gathers what connection and headers show, and has a token verified.

use super::connection;
use super::visit::Visit;
use crate::caller::{Caller, Peer, Recognition};
use crate::dialect::Guard;
use crate::fault::{Fault, Kind};

/// The caller, who wants to pass `guard` and `holds_key` or not.
pub(super) async fn caller(visit: Visit<'_>, guard: Guard, holds_key: bool) -> Result<Caller, Fault> {
    let Visit { request, headers, service, charter, .. } = visit;
    let ledger = connection::ledger(request);
    let link = &ledger.link;
    if link.has_ended(&service.clock) {
        return Err(ended());
    }
    let is_loopback = request.peer_addr().is_some_and(|address| address.ip().to_canonical().is_loopback());
    let (user, subject) = (link.user(), link.subject());
    let peer = Peer { is_loopback, user, subject, holds_key, ..Peer::of_headers(headers) };
    let recognition = charter.callers.recognise(guard, &peer)?;
    match recognition {
        Recognition::Known(caller) => Ok(caller),
        Recognition::Token { token, instead } => {
            let cluster = charter.cluster.as_ref().ok_or_else(no_cluster)?;
            // Boxed, so that requests without a token are no larger for it: each of its futures is moved to its place.
            let verified = Box::pin(cluster.verify(token, ledger.verified.take())).await?;
            let caller = charter.callers.recognise_account(verified.account());
            ledger.verified.set(Some(verified));
            Ok(instead.unwrap_or(caller?))
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
