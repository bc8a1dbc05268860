//! The parameters of a request, in their order: from the query and, where a dialect has one, from the form.

use std::borrow::Cow;

use memchr::memchr2;
use url::form_urlencoded;

use super::spelling::Spelling;
use super::table::NATIVE;
use crate::fault::{Fault, Kind};
use crate::name::{Selector, is_visible_ascii, steers};
use crate::token::Rejected;

/// Names and values, decoded.
pub(super) struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Parameters<'a> {
    pub(super) fn parse(query: &'a str, form: &'a [u8]) -> Self {
        Self(pairs(query).chain(form_urlencoded::parse(form)).collect())
    }

    /// The value of `name`; an empty one counts as absent, and two different ones are an error.
    pub(super) fn one(&self, name: &'static str) -> Result<Option<&str>, Fault> {
        let mut values = self.0.iter().filter(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_ref());
        let first = values.next();
        if values.any(|other| Some(other) != first) {
            let problem = format!("the parameter '{name}' is given twice with different values");
            return Err(Fault::new(Kind::InvalidRequest, problem, "give it once"));
        }
        Ok(first)
    }

    /// Which tokens the caller will not be handed again. Whoever names one is content with any other.
    pub(super) fn rejected(&self) -> Result<Option<Rejected>, Fault> {
        if let Some(sum) = self.one("token_sha256_to_refresh")? {
            return Ok(Some(Rejected::parse(sum)?));
        }
        let bypasses = self.one("bypass_cache")?.is_some_and(|word| word.eq_ignore_ascii_case("true"));
        Ok(bypasses.then_some(Rejected::Every))
    }

    /// The one selector, in any client's spelling.
    pub(super) fn selector(&self, is_native: bool) -> Result<Selector, Fault> {
        let mut found = Selector::None;
        for (name, value) in self.0.iter().filter(|(_, value)| !value.is_empty()) {
            let Some(selector) = selector(name, value, is_native)? else {
                continue;
            };
            if found != Selector::None && !agree(&found, &selector) {
                return Err(Fault::new(
                    Kind::InvalidRequest,
                    "the request points at an identity in two different ways",
                    "send one of client_id, object_id and msi_res_id",
                ));
            }
            found = selector;
        }
        Ok(found)
    }
}

/// The pairs of a query, as [`form_urlencoded`] reads them, which looks at each byte of a pair five times. One in which
/// nothing is escaped is what it is, and that is told in one look.
fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
        if memchr2(b'%', b'+', pair.as_bytes()).is_some() {
            return form_urlencoded::parse(pair.as_bytes()).next();
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((Cow::Borrowed(name), Cow::Borrowed(value)))
    })
}

/// Whether two selectors point in the same way at the same identity: neither GUIDs nor ARM ids know case.
fn agree(one: &Selector, other: &Selector) -> bool {
    match (one, other) {
        (Selector::ClientId(one), Selector::ClientId(other))
        | (Selector::ObjectId(one), Selector::ObjectId(other))
        | (Selector::ResourceId(one), Selector::ResourceId(other)) => one.eq_ignore_ascii_case(other),
        _ => one == other,
    }
}

fn selector(name: &str, value: &str, is_native: bool) -> Result<Option<Selector>, Fault> {
    let invalid = |problem, remedy| Err(Fault::new(Kind::InvalidRequest, problem, remedy));
    let selector = match Spelling::of(name, is_native) {
        Spelling::Points(selector) => selector,
        // Neither repeats the name, which may hold anything between its letters.
        Spelling::Near(meant) => {
            let problem = format!("a parameter is spelled nearly as '{meant}', and not so");
            return invalid(problem, format!("spell it '{meant}'"));
        }
        Spelling::NativeAlone(meant) => {
            let remedy = format!("leave it out, or ask at {} where native is served", NATIVE.paths[0]);
            return invalid(format!("the native dialect alone takes the parameter '{meant}'"), remedy);
        }
        Spelling::Other => return Ok(None),
    };
    Ok(Some(selector(shown(name, value)?.to_owned())))
}

/// The value of a parameter that goes into logs as it is.
pub(super) fn shown<'a>(name: &str, value: &'a str) -> Result<&'a str, Fault> {
    if value.len() <= MAX_SHOWN && (is_visible_ascii(value) || !value.chars().any(steers)) {
        return Ok(value);
    }
    let problem = format!("the parameter '{name}' is too long or has characters that nobody sees");
    Err(Fault::new(Kind::InvalidRequest, problem, "correct it"))
}

const MAX_SHOWN: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_query_is_read_as_a_form_is(query in "([a-z=&%+2Fé]|%[0-9a-fA-F]{2}|\\PC){0,40}") {
            let form: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
            prop_assert_eq!(pairs(&query).collect::<Vec<_>>(), form);
        }
    }
}
