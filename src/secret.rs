//! Text that must not be seen: client secrets, header secrets, assertions, access tokens.
//!
//! A [`Secret`] has no `Display`, no `Serialize` and no derived `Debug`; it is erased when dropped.

use std::borrow::Borrow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use url::form_urlencoded::byte_serialize;

pub mod digest;

use digest::Digest;

/// A secret in memory. `expose` is the only way to its text, so uses of it can be searched for.
///
/// Two of them are not compared with `==`, which ends at the first byte that differs and so tells by its time how much
/// of a guess is right; [`Secret::matches`] is there for that.
///
/// ```
/// let secret = bursar::secret::Secret::from("hunter2".to_owned());
/// assert!(secret.matches(b"hunter2"));
/// ```
/// ```compile_fail,E0369
/// let secret = bursar::secret::Secret::from("hunter2".to_owned());
/// assert!(secret == secret.clone());
/// ```
/// ```compile_fail,E0277
/// let secret = bursar::secret::Secret::from("hunter2".to_owned());
/// assert!("hunter2" == secret);
/// ```
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
        self.imprint().matches(&Imprint::of(shown))
    }

    /// What it can be recognised by.
    #[must_use]
    pub fn imprint(&self) -> Imprint {
        Imprint::of(self.expose().as_bytes())
    }

    /// What it can be found by, also by others.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.expose().as_bytes())
    }

    /// The last of `held` that `shown` is, as [`Imprint::position`] has it.
    pub fn position<'a>(held: impl IntoIterator<Item = &'a Self>, shown: &[u8]) -> Option<usize> {
        Imprint::position(held.into_iter().map(Self::imprint), shown)
    }

    /// Whether words that come from elsewhere repeat this secret: as it is, in a form, percent-encoded however
    /// often, in hex, or in base64 with whatever stands around it, such as a client id and a colon; in any case of letters.
    #[must_use]
    pub fn is_repeated_in(&self, text: &str) -> bool {
        let held = self.expose();
        let form: String = byte_serialize(held.as_bytes()).collect();
        let hex = held.bytes().map(|byte| format!("{byte:02x}")).collect();
        let mut forms = vec![held.to_owned(), form, hex];
        forms.extend((0..3).flat_map(|offset| base64_cores(held, offset)).filter(|core| core.len() >= SHORTEST_CORE));
        let readings = readings(text);
        let is_read = |form: &String| readings.iter().any(|reading| reading.contains(&form.to_lowercase()));
        !held.is_empty() && forms.iter().any(is_read)
    }
}

/// A text as it is and with its percent-encoding undone, time and again.
fn readings(text: &str) -> Vec<String> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut readings = vec![text.to_lowercase(), decoded(&text.replace('+', " ")).to_lowercase()];
    let mut last = text.to_owned();
    for _ in 0..DEEPEST {
        last = decoded(&last);
        readings.push(last.to_lowercase());
    }
    readings
}

/// What of the base64 of any text with `held` in it depends on `held` alone, when `offset` bytes of a group of
/// three stand before it: in either alphabet.
fn base64_cores(held: &str, offset: usize) -> [String; 2] {
    let padded = [&[0; 2][..offset], held.as_bytes()].concat();
    let core = |encoded: String| {
        let end = encoded.len() - usize::from(!padded.len().is_multiple_of(3));
        encoded.get([0, 2, 3][offset]..end).unwrap_or_default().to_owned()
    };
    [core(STANDARD_NO_PAD.encode(&padded)), core(URL_SAFE_NO_PAD.encode(&padded))]
}

/// What a secret is recognised by: its digest, which here is compared in constant time alone. Whoever compares one
/// text with many secrets hashes it once.
#[derive(Clone)]
pub struct Imprint(Digest);

impl Imprint {
    /// That of any text.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        Self(Digest::of(text))
    }

    /// Whether both are of the same text, in a time that depends on neither.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.bytes().ct_eq(other.0.bytes()).into()
    }

    /// The last of `held` that `shown` is of. Every one is looked at, so that time does not tell which it was.
    pub fn position(held: impl IntoIterator<Item = impl Borrow<Self>>, shown: &[u8]) -> Option<usize> {
        let shown = Self::of(shown);
        let looked_at = held.into_iter().enumerate();
        looked_at.fold(None, |found, (n, held)| held.borrow().matches(&shown).then_some(n).or(found))
    }
}

/// Of a short secret it could be guessed back.
impl fmt::Debug for Imprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
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

/// A shorter piece of base64 stands in many a word.
const SHORTEST_CORE: usize = 8;
/// How often an encoding is undone.
const DEEPEST: usize = 3;
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
    fn every_secret_is_looked_at_whichever_it_is() {
        let held = ["old", "new", "new", "next"].map(|text| Secret::from(text.to_owned()));
        for (shown, expected) in [("old", Some(0)), ("new", Some(2)), ("next", Some(3)), ("none", None), ("", None)] {
            let mut looked_at = 0;
            let found = Secret::position(held.iter().inspect(|_| looked_at += 1), shown.as_bytes());
            assert_eq!((found, looked_at), (expected, held.len()), "{shown:?}");
        }
        assert_eq!(Secret::position([], b"old"), None);
    }

    #[test]
    fn is_recognised_in_words_from_elsewhere() {
        let secret = Secret::from("Zq8~wQ.k/7+Pl&x=Y%9".to_owned());
        for text in [
            "you sent Zq8~wQ.k/7+Pl&x=Y%9!",
            "client_secret=Zq8%7EwQ.k%2F7%2BPl%26x%3DY%259&scope=x",
            "zq8~wq.k/7+pl&x=y%9",
            "Basic WnE4fndRLmsvNytQbCZ4PVklOQ==",
            "Basic Y2xpZW50OlpxOH53US5rLzcrUGwmeD1ZJTk=",
            "Basic YXBwbGljYXRpb246WnE4fndRLmsvNytQbCZ4PVklOQ==",
            "Zq8%257EwQ.k%252F7%252BPl%2526x%253DY%25259",
            "5A71387e77512e6b2f372b506c26783d592539",
        ] {
            assert!(secret.is_repeated_in(text), "{text}");
        }
        for text in ["", "Zq8~wQ.k/7", "AADSTS7000215: Invalid client secret provided."] {
            assert!(!secret.is_repeated_in(text), "{text}");
        }
        assert!(!Secret::from("short".to_owned()).is_repeated_in("c2hvc2hvcnQ"), "a piece of base64 is no proof");
        assert!(!Secret::from(String::new()).is_repeated_in("anything"));
    }
}
