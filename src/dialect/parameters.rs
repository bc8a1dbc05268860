//! The parameters of a request, in their order: from the query and, where a dialect has one, from the form.

use std::borrow::Cow;

use memchr::memchr2;
use url::form_urlencoded;

use super::spelling::{Spelling, VERSION};
use super::table::NATIVE;
use crate::fault::{Fault, Kind};
use crate::name::{Selector, is_visible_ascii, steers};
use crate::token::Rejected;

/// What the parameters of a request say, as far as anything here asks for it. They are sorted in one pass: each is looked
/// at once, whatever is asked for.
pub(super) struct Parameters<'a> {
    pub(super) version: Values<'a>,
    pub(super) resource: Values<'a>,
    pub(super) tenant: Values<'a>,
    pub(super) fmi_path: Values<'a>,
    pub(super) client_claims: Values<'a>,
    pub(super) claims: Values<'a>,
    /// Of a page.
    pub(super) format: Values<'a>,
    rejected: Values<'a>,
    bypass: Values<'a>,
    /// The one selector, in any client's spelling.
    pub(super) selector: Result<Selector, Fault>,
}

impl<'a> Parameters<'a> {
    pub(super) fn parse(query: &'a str, form: &'a [u8], is_native: bool) -> Self {
        let mut parameters = Self {
            version: Values::of(VERSION),
            resource: Values::of("resource"),
            tenant: Values::of("tenant"),
            fmi_path: Values::of("fmi_path"),
            client_claims: Values::of("client_claims"),
            claims: Values::of("claims"),
            format: Values::of("format"),
            rejected: Values::of("token_sha256_to_refresh"),
            bypass: Values::of("bypass_cache"),
            selector: Ok(Selector::None),
        };
        // An empty value counts as absent.
        for (name, value) in pairs(query).chain(form_urlencoded::parse(form)).filter(|(_, value)| !value.is_empty()) {
            parameters.point(&name, &value, is_native);
            parameters.note(&name, value);
        }
        parameters
    }

    fn note(&mut self, name: &str, value: Cow<'a, str>) {
        let values = match name {
            VERSION => &mut self.version,
            "resource" => &mut self.resource,
            "tenant" => &mut self.tenant,
            "fmi_path" => &mut self.fmi_path,
            "client_claims" => &mut self.client_claims,
            "claims" => &mut self.claims,
            "format" => &mut self.format,
            "token_sha256_to_refresh" => &mut self.rejected,
            "bypass_cache" => &mut self.bypass,
            _ => return,
        };
        values.note(value);
    }

    /// Follows what points at an identity. Of several faults the first is told.
    fn point(&mut self, name: &str, value: &str, is_native: bool) {
        let Ok(found) = &self.selector else { return };
        let selector = match selector(name, value, is_native) {
            Ok(None) => return,
            Ok(Some(selector)) if *found == Selector::None || agree(found, &selector) => Ok(selector),
            Ok(Some(_)) => Err(Fault::new(
                Kind::InvalidRequest,
                "the request points at an identity in two different ways",
                "send one of client_id, object_id and msi_res_id",
            )),
            Err(fault) => Err(fault),
        };
        self.selector = selector;
    }

    /// Which tokens the caller will not be handed again. Whoever names one is content with any other.
    pub(super) fn rejected(&self) -> Result<Option<Rejected>, Fault> {
        if let Some(sum) = self.rejected.one()? {
            return Ok(Some(Rejected::parse(sum)?));
        }
        let bypasses = self.bypass.one()?.is_some_and(|word| word.eq_ignore_ascii_case("true"));
        Ok(bypasses.then_some(Rejected::Every))
    }
}

/// What stands under one name.
pub(super) struct Values<'a> {
    name: &'static str,
    first: Option<Cow<'a, str>>,
    differ: bool,
}

impl<'a> Values<'a> {
    const fn of(name: &'static str) -> Self {
        Self { name, first: None, differ: false }
    }

    fn note(&mut self, value: Cow<'a, str>) {
        match &self.first {
            Some(first) => self.differ |= *first != value,
            None => self.first = Some(value),
        }
    }

    /// The value; two different ones are an error.
    pub(super) fn one(&self) -> Result<Option<&str>, Fault> {
        if self.differ {
            let problem = format!("the parameter '{}' is given twice with different values", self.name);
            return Err(Fault::new(Kind::InvalidRequest, problem, "give it once"));
        }
        Ok(self.first.as_deref())
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
