//! An answer, and the body of one that holds a token.

use serde::Serialize;

use super::Ask;
use crate::clock::Timestamp;
use crate::name::{ClientId, Selector};
use crate::token::{Token, is_plain};

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
        let (client_id, object_id, msi_res_id) = match &ask.selector {
            Selector::ClientId(id) => (id.as_str(), None, None),
            Selector::ObjectId(id) => (client_id.as_str(), Some(id), None),
            Selector::ResourceId(id) => (client_id.as_str(), None, Some(id)),
            Selector::Name(_) | Selector::None => (client_id.as_str(), None, None),
        };
        let secret = token.secret.expose();
        let (resource, left) = (ask.resource.as_str(), token.expires_at.since(now));
        let echoed = [Some(client_id), object_id.map(String::as_str), msi_res_id.map(String::as_str), Some(resource)];
        let size = secret.len() + echoed.into_iter().flatten().map(str::len).sum::<usize>() + SURROUNDINGS;
        let mut body = Body(Vec::with_capacity(size));
        body.literal("{\"access_token\":", secret, token.is_plain());
        body.text(",\"client_id\":", client_id);
        body.number(",\"expires_in\":", left.as_secs());
        body.number(",\"expires_on\":", token.expires_at.as_secs());
        body.number(",\"ext_expires_in\":", left.as_secs());
        msi_res_id.into_iter().for_each(|id| body.text(",\"msi_res_id\":", id));
        body.number(",\"not_before\":", token.issued_at.as_secs());
        object_id.into_iter().for_each(|id| body.text(",\"object_id\":", id));
        body.text(",\"resource\":", resource);
        body.0.extend_from_slice(b",\"token_type\":\"Bearer\"}");
        Self::of_body(body.0)
    }

    /// What is answered well, in JSON.
    pub(super) const fn of_body(body: Vec<u8>) -> Self {
        Self { status: 200, body, is_text: false, retry_after: None }
    }
}

/// An object in JSON that is written member by member into a buffer of its size: a token is most of it, and is copied
/// once.
struct Body(Vec<u8>);

impl Body {
    fn text(&mut self, before: &str, text: &str) {
        self.literal(before, text, is_plain(text));
    }

    fn literal(&mut self, before: &str, text: &str, is_plain: bool) {
        self.0.extend_from_slice(before.as_bytes());
        if is_plain {
            self.0.push(b'"');
            self.0.extend_from_slice(text.as_bytes());
            self.0.push(b'"');
        } else {
            self.0.extend(json(&text));
        }
    }

    fn number(&mut self, before: &str, number: u64) {
        self.literal(before, itoa::Buffer::new().format(number), true);
    }
}

pub(super) fn json(body: &impl Serialize) -> Vec<u8> {
    // Invariant: strings and numbers in a struct always serialise; the fallback is never empty all the same.
    serde_json::to_vec(body).unwrap_or_else(|_| br#"{"error":"server_error"}"#.to_vec())
}

/// What of a token's answer is always the same, and room for its numbers.
const SURROUNDINGS: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_reads_as_it_was(text in any::<String>()) {
            let mut body = Body(Vec::new());
            body.text("", &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&body.0).unwrap(), text);
        }
    }

    #[test]
    fn what_json_escapes_is_not_plain() {
        for byte in 0..=127_u8 {
            let text = char::from(byte).to_string();
            assert_eq!(is_plain(&text), json(&text).len() == 3, "{text:?}");
        }
    }
}
