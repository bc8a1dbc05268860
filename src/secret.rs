//! Text that must not be seen: client secrets, header secrets, assertions, access tokens.
//!
//! A [`Secret`] has no `Display`, no `Serialize` and no derived `Debug`; it is erased when dropped.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

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

    /// `text` with every occurrence of this secret replaced, for words that come from elsewhere.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        if self.expose().is_empty() {
            return text.to_owned();
        }
        text.replace(self.expose(), REDACTED)
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
    fn scrubs_words_from_elsewhere() {
        let secret = Secret::from("hunter2".to_owned());
        assert_eq!(secret.scrub("sent hunter2, got hunter2!"), "sent [redacted], got [redacted]!");
        assert_eq!(Secret::from(String::new()).scrub("as it was"), "as it was");
    }
}
