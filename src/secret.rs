//! Text that must not be seen: client secrets, header secrets, assertions, access tokens.
//!
//! A [`Secret`] has no `Display`, no `Serialize` and no derived `Debug`; it is erased when dropped.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use url::form_urlencoded::byte_serialize;

/// A secret in memory. `expose` is the only way to its text, so uses of it can be searched for.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The text itself, for the one place that puts it on the wire.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether `shown` is this secret, in a time that depends on neither text.
    ///
    /// Digests are compared, so that not even the length of the secret can be measured.
    #[must_use]
    pub fn matches(&self, shown: &[u8]) -> bool {
        let held = digest(&SHA256, self.expose().as_bytes());
        let shown = digest(&SHA256, shown);
        held.as_ref().ct_eq(shown.as_ref()).into()
    }

    /// Whether words that come from elsewhere repeat this secret: as it is, percent-encoded as in a form,
    /// or in base64, in any case of letters.
    #[must_use]
    pub fn is_repeated_in(&self, text: &str) -> bool {
        let held = self.expose();
        let form: String = byte_serialize(held.as_bytes()).collect();
        let forms = [held.to_owned(), form, STANDARD_NO_PAD.encode(held), URL_SAFE_NO_PAD.encode(held)];
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().to_lowercase();
        let readings = [text.to_lowercase(), decoded(text), decoded(&text.replace('+', " "))];
        let is_read = |form: &String| readings.iter().any(|reading| reading.contains(&form.to_lowercase()));
        !held.is_empty() && forms.iter().any(is_read)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(SecretString::from(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

const REDACTED: &str = "[redacted]";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_not_print() {
        let secret = Secret::from("hunter2".to_owned());
        assert_eq!(format!("{secret:?} {secret:#?}"), "[redacted] [redacted]");
    }

    #[test]
    fn matches_only_itself() {
        let secret = Secret::from("hunter2".to_owned());
        assert!(secret.matches(b"hunter2"));
        for other in [&b""[..], b"hunter", b"hunter22", b"Hunter2"] {
            assert!(!secret.matches(other));
        }
    }

    #[test]
    fn is_recognised_in_words_from_elsewhere() {
        let secret = Secret::from("Zq8~wQ.k/7+Pl&x=Y%9".to_owned());
        for text in [
            "you sent Zq8~wQ.k/7+Pl&x=Y%9!",
            "client_secret=Zq8%7EwQ.k%2F7%2BPl%26x%3DY%259&scope=x",
            "zq8~wq.k/7+pl&x=y%9",
            "Basic WnE4fndRLmsvNytQbCZ4PVklOQ==",
        ] {
            assert!(secret.is_repeated_in(text), "{text}");
        }
        for text in ["", "Zq8~wQ.k/7", "AADSTS7000215: Invalid client secret provided."] {
            assert!(!secret.is_repeated_in(text), "{text}");
        }
        assert!(!Secret::from(String::new()).is_repeated_in("anything"));
    }
}
