//! An answer, and the body of one that holds a token.

use serde::Serialize;

use super::Ask;
use crate::clock::Timestamp;
use crate::name::{ClientId, Selector};
use crate::token::Token;

/// An answer, free of any web framework. No `Debug`: the body may hold a token.
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// JSON, never empty, or the text of a page.
    pub body: Vec<u8>,
    /// Whether it is text.
    pub is_text: bool,
    /// Whole seconds for `Retry-After`.
    pub retry_after: Option<u64>,
}

impl Reply {
    /// Writes a token: every number a decimal string, `expires_in` before `expires_on`, no
    /// `refresh_in` and no `scope`, the selector echoed as it was spelled.
    pub(super) fn of_token(ask: &Ask, client_id: &ClientId, token: &Token, now: Timestamp) -> Self {
        let echoed = |selector: &Selector| match selector {
            Selector::ClientId(id) => (id.clone(), None, None),
            Selector::ObjectId(id) => (client_id.as_str().to_owned(), Some(id.clone()), None),
            Selector::ResourceId(id) => (client_id.as_str().to_owned(), None, Some(id.clone())),
            Selector::Name(_) | Selector::None => (client_id.as_str().to_owned(), None, None),
        };
        let (client_id, object_id, msi_res_id) = echoed(&ask.selector);
        let left = token.expires_at.since(now).as_secs().to_string();
        let body = TokenBody {
            access_token: token.secret.expose(),
            client_id,
            expires_in: left.clone(),
            expires_on: token.expires_at.as_secs().to_string(),
            ext_expires_in: left,
            msi_res_id,
            not_before: token.issued_at.as_secs().to_string(),
            object_id,
            resource: ask.resource.as_str(),
            token_type: "Bearer",
        };
        Self::of_body(json(&body))
    }

    /// What is answered well, in JSON.
    pub(super) const fn of_body(body: Vec<u8>) -> Self {
        Self { status: 200, body, is_text: false, retry_after: None }
    }
}

#[derive(Serialize)]
struct TokenBody<'a> {
    access_token: &'a str,
    client_id: String,
    expires_in: String,
    expires_on: String,
    ext_expires_in: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    msi_res_id: Option<String>,
    not_before: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_id: Option<String>,
    resource: &'a str,
    token_type: &'static str,
}

pub(super) fn json(body: &impl Serialize) -> Vec<u8> {
    // Invariant: strings and numbers in a struct always serialise; the fallback is never empty all the same.
    serde_json::to_vec(body).unwrap_or_else(|_| br#"{"error":"server_error"}"#.to_vec())
}
