//! What a request is for, once its head can be read in one way, and it is seen to be meant for this host and not
//! sent by ourselves.

use super::connection::Ledger;
use super::host::Hosts;
use super::{HttpRequest, Service, head, query};
use crate::dialect::Headers;
use crate::dialect::route::{Astray, Route, Target};
use crate::fault::{Fault, Kind};

/// What a request is for.
pub(super) fn of(
    request: &HttpRequest,
    headers: &Headers<'_>,
    ledger: &Ledger,
    service: &Service,
) -> Result<Route, Astray> {
    head::check(request.head().headers(), ledger)?;
    refuse_own(headers, &service.mark)?;
    if ledger.link.user().is_none() {
        check_known_host(request, headers, ledger, &service.hosts)?;
    }
    let target = Target {
        method: request.method().as_str(),
        path: request.path(),
        query: query(request),
        is_tls: ledger.link.is_tls(),
    };
    target.route(&service.dialects)
}

/// What points our own managed identity at ourselves would have us wait for ourselves.
fn refuse_own(headers: &Headers<'_>, mark: &str) -> Result<(), Fault> {
    if headers.mark.is_none_or(|shown| shown != mark.as_bytes()) {
        return Ok(());
    }
    let remedy = "let this service's own managed identity be asked of the host, see docs/configuration.md";
    Err(Fault::new(Kind::Loop, "this service has asked itself for a token", remedy))
}

/// The same as [`check_host`], of which only what its connection has not shown before costs anything.
fn check_known_host(request: &HttpRequest, headers: &Headers<'_>, ledger: &Ledger, hosts: &Hosts) -> Result<(), Fault> {
    let alone = headers.host.filter(|_| request.uri().authority().is_none());
    if alone.is_some_and(|host| ledger.knows_host(host)) {
        return Ok(());
    }
    check_host(request, headers, hosts)?;
    alone.into_iter().for_each(|host| ledger.know_host(host));
    Ok(())
}

/// The header and, in an absolute-form target, the authority must both be ours.
pub(super) fn check_host(request: &HttpRequest, headers: &Headers<'_>, hosts: &Hosts) -> Result<(), Fault> {
    // A header that is no text is nobody's name, and must not count as absent.
    let header = headers.host.map(|host| std::str::from_utf8(host).unwrap_or_default());
    let target = request.uri().authority().map(actix_web::http::uri::Authority::as_str);
    let ours =
        header.or(target).is_some_and(|host| hosts.are_ours(host)) && target.is_none_or(|host| hosts.are_ours(host));
    if ours {
        return Ok(());
    }
    Err(Fault::new(
        Kind::InvalidRequest,
        "the Host header names another host",
        "ask by address or by localhost, or have the operator add the name to 'server.hosts'",
    ))
}
