//! Recognises the caller behind a request: gathers what connection and headers show, and has a token verified.

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, HeaderName, HeaderValue};

use super::{Service, connection};
use crate::caller::peer::{IDENTITY_HEADER, SECRET};
use crate::caller::{Caller, Peer, Recognition};
use crate::dialect::Guard;
use crate::fault::{Fault, Kind};

/// The caller, who wants to pass `guard` and `holds_key` or not.
pub(super) async fn caller(
    request: &HttpRequest,
    guard: Guard,
    holds_key: bool,
    service: &Service,
) -> Result<Caller, Fault> {
    let link = &connection::ledger(request).link;
    if link.has_ended(&service.clock) {
        return Err(ended());
    }
    let header = |name: &HeaderName| request.headers().get(name).map(HeaderValue::as_bytes);
    let peer = Peer {
        is_loopback: request.peer_addr().is_some_and(|address| address.ip().to_canonical().is_loopback()),
        user: link.user(),
        subject: link.subject(),
        identity_header: header(&HeaderName::from_static(IDENTITY_HEADER)),
        secret: header(&HeaderName::from_static(SECRET)),
        bearer: header(&AUTHORIZATION).and_then(bearer),
        holds_key,
    };
    match service.callers.load().recognise(guard, &peer)? {
        Recognition::Known(caller) => Ok(caller),
        Recognition::Token { token, instead } => {
            let cluster = service.cluster.as_ref().ok_or_else(no_cluster)?;
            let account = cluster.verify(token).await?;
            let caller = service.callers.load().recognise_account(&account)?;
            Ok(instead.unwrap_or(caller))
        }
    }
}

/// What stands behind the scheme, which is written in any case (RFC 9110, section 11.1).
fn bearer(shown: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = shown.split_at_checked(BEARER.len())?;
    scheme.eq_ignore_ascii_case(BEARER).then(|| token.trim_ascii())
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

const BEARER: &[u8] = b"Bearer ";
