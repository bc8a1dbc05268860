//! What every head must be, whatever it asks for: one that two programs cannot read in two ways.

use std::borrow::Cow;

use actix_web::http::header::{HeaderMap, HeaderName};

use super::HttpRequest;
use super::connection::Ledger;
use crate::dialect::Headers;
use crate::fault::{Fault, Kind};

/// Refuses a head that proxies and we may read differently.
pub(super) fn check(headers: &HeaderMap, ledger: &Ledger) -> Result<(), Fault> {
    if ledger.has_bare_line() {
        return Err(refused("a line of the request ends with a line feed alone", "end each line with CR and LF"));
    }
    // Nearly no request repeats anything, so that only few are looked at more closely.
    if headers.len() == headers.len_keys() {
        return Ok(());
    }
    match ONCE.iter().find(|name| headers.get_all(**name).len() > 1) {
        Some(name) => Err(refused(format!("the header '{name}' comes more than once"), "send it once")),
        None => Ok(()),
    }
}

/// What a request shows in its headers.
pub(super) fn shown(request: &HttpRequest) -> Headers<'_> {
    Headers::of(request.head().headers().iter().map(|(name, value)| (HeaderName::as_str(name), value.as_bytes())))
}

fn refused(problem: impl Into<Cow<'static, str>>, remedy: &'static str) -> Fault {
    Fault::new(Kind::InvalidRequest, problem, remedy)
}

/// The headers that let somebody in. A second `Host` is refused by the framework.
const ONCE: [&str; 4] = ["authorization", "metadata", "secret", "x-identity-header"];
