//! Which dialect or page a request is for.
//!
//! The form of the head and the host first, then path, then method; headers that a dialect wants come later, because a client that probes
//! for other endpoints must see 404 and not 400.

use std::borrow::Cow;

use actix_web::HttpRequest;
use actix_web::http::header::HOST;

use super::connection::Ledger;
use super::host::Hosts;
use super::{Service, head};
use crate::dialect::Dialect;
use crate::dialect::page::Page;
use crate::fault::{Fault, Kind};
use crate::source::host::MARK;

/// What a request is for.
pub(super) enum Route<'a> {
    /// A page of instance metadata.
    Page(Page),
    /// A token, in the words of this dialect.
    Token(&'a Dialect),
}

/// What is wrong with a request that is for neither.
pub(super) struct Astray {
    /// The fault.
    pub(super) fault: Fault,
    /// The methods that the path takes, where it is the method.
    pub(super) allow: Option<String>,
}

impl From<Fault> for Astray {
    fn from(fault: Fault) -> Self {
        Self { fault, allow: None }
    }
}

/// What a request is for.
pub(super) fn of<'a>(request: &HttpRequest, ledger: &Ledger, service: &'a Service) -> Result<Route<'a>, Astray> {
    head::check(request.headers(), ledger)?;
    refuse_own(request, &service.mark)?;
    if ledger.link.user().is_none() {
        check_host(request, &service.hosts)?;
    }
    let path = plain(request.path());
    let is_here = |dialect: &&Dialect| dialect.paths.contains(&&*path) && (ledger.link.is_tls() || !dialect.needs_tls);
    let here = || service.dialects.iter().copied().filter(is_here);
    let mut fitting = here().filter(|dialect| takes(dialect, request.method().as_str()));
    match (fitting.next(), fitting.next()) {
        (Some(first), None) => Ok(Route::Token(first)),
        // Contracts that share a path and a method are told apart by their versions.
        (Some(first), Some(second)) => {
            let is_second = second.takes_version(request.query_string());
            Ok(Route::Token(if is_second { second } else { first }))
        }
        (None, _) if here().next().is_some() => Err(wrong_method(here())),
        (None, _) => {
            let page = Page::at(&path).filter(|_| service.dialects.iter().any(|dialect| dialect.has_pages));
            page.map(Route::Page).ok_or_else(|| nothing_there(&service.dialects).into())
        }
    }
}

fn takes(dialect: &Dialect, method: &str) -> bool {
    dialect.methods.iter().any(|taken| taken.as_str() == method)
}

fn wrong_method<'a>(here: impl Iterator<Item = &'a Dialect>) -> Astray {
    let mut methods: Vec<&str> = here.flat_map(|dialect| dialect.methods).map(|method| method.as_str()).collect();
    methods.sort_unstable();
    methods.dedup();
    let remedy = format!("send a {}", methods.join(" or a "));
    let fault = Fault::new(Kind::MethodNotAllowed, format!("this path takes {}", methods.join(" and ")), remedy);
    Astray { fault, allow: Some(methods.join(", ")) }
}

/// What points our own managed identity at ourselves would have us wait for ourselves.
fn refuse_own(request: &HttpRequest, mark: &str) -> Result<(), Fault> {
    if request.headers().get(MARK).is_none_or(|shown| shown.as_bytes() != mark.as_bytes()) {
        return Ok(());
    }
    let remedy = "let this service's own managed identity be asked of the host, see docs/configuration.md";
    Err(Fault::new(Kind::Loop, "this service has asked itself for a token", remedy))
}

fn nothing_there(served: &[&Dialect]) -> Fault {
    let mut paths: Vec<&str> = served.iter().flat_map(|dialect| dialect.paths).copied().collect();
    paths.sort_unstable();
    paths.dedup();
    Fault::new(Kind::NotFound, "there is nothing at this path", format!("ask for a token at {}", paths.join(" or ")))
}

/// The header and, in an absolute-form target, the authority must both be ours.
pub(super) fn check_host(request: &HttpRequest, hosts: &Hosts) -> Result<(), Fault> {
    // A header that is no text is nobody's name, and must not count as absent.
    let header = request.headers().get(HOST).map(|host| host.to_str().unwrap_or_default());
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

/// The path without doubled and trailing slashes, which several clients send.
fn plain(path: &str) -> Cow<'_, str> {
    if !path.contains("//") && !path.ends_with('/') {
        return Cow::Borrowed(path);
    }
    let mut plain = String::with_capacity(path.len());
    for part in path.split('/').filter(|part| !part.is_empty()) {
        plain.push('/');
        plain.push_str(part);
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_that_clients_add_are_taken_away() {
        for (sent, meant) in [
            ("/token", "/token"),
            ("/token/", "/token"),
            ("//metadata/identity/oauth2/token", "/metadata/identity/oauth2/token"),
            ("/metadata//identity/oauth2/token//", "/metadata/identity/oauth2/token"),
            ("/", ""),
            ("/Token", "/Token"),
        ] {
            assert_eq!(plain(sent), meant);
        }
    }
}
