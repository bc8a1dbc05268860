//! The parameters of a request, in their order: from the query and, where a dialect has one, from the form.

use std::borrow::Cow;

use crate::fault::{Fault, Kind};
use crate::name::Selector;

/// Names and values, decoded.
pub(super) struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Parameters<'a> {
    pub(super) fn parse(query: &'a str, form: &'a [u8]) -> Self {
        let query = url::form_urlencoded::parse(query.as_bytes());
        Self(query.chain(url::form_urlencoded::parse(form)).collect())
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

    /// The one selector, in any client's spelling.
    pub(super) fn selector(&self, is_native: bool) -> Result<Selector, Fault> {
        let mut found = Selector::None;
        for (name, value) in self.0.iter().filter(|(_, value)| !value.is_empty()) {
            let Some(selector) = selector(name, value, is_native)? else {
                continue;
            };
            if found != Selector::None && found != selector {
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

fn selector(name: &str, value: &str, is_native: bool) -> Result<Option<Selector>, Fault> {
    let selector = match name {
        "client_id" | "clientid" => Selector::ClientId,
        "object_id" | "principal_id" | "principalId" => Selector::ObjectId,
        "msi_res_id" | "mi_res_id" | "msi-res-id" | "resource_id" => Selector::ResourceId,
        "identity" if is_native => Selector::Name,
        _ => return Ok(None),
    };
    if value.len() > MAX_SELECTOR || value.chars().any(char::is_control) {
        let problem = format!("the parameter '{name}' is too long or has control characters");
        return Err(Fault::new(Kind::InvalidRequest, problem, "correct it"));
    }
    Ok(Some(selector(value.to_owned())))
}

const MAX_SELECTOR: usize = 1024;
