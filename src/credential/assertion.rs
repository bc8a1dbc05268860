//! An assertion that another issuer signs and renews, such as a projected Kubernetes token. It comes from a
//! file or a URL, anew for every exchange: whoever holds the text of an old one is refused with AADSTS700024.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::expiry::{Expiry, Renewal};
use crate::clock::Timestamp;

pub mod file;
pub mod url;

/// The text of an assertion: three base64url parts with dots between (RFC 7515 section 3.1), and perhaps a
/// line break around them.
fn compact_jws(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=".contains(&b));
    (text.split('.').count() == 3 && text.split('.').all(part)).then_some(text)
}

/// When an assertion ends, as far as it says so itself; nobody verifies that here. `renewal` is made of what
/// should be left of its life at least.
fn expiry(jws: &str, renewal: impl FnOnce(Duration) -> Renewal) -> Option<Expiry> {
    let claims = URL_SAFE_NO_PAD.decode(jws.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    let claims: Times = serde_json::from_slice(&claims).ok()?;
    let at = moment(claims.exp?)?;
    let life = claims.iat.and_then(moment).map(|issued_at| at.since(issued_at));
    let least = life.map_or(LEAST, |life| LEAST.min(life / 6));
    Some(Expiry { at, renewal: renewal(least) })
}

/// A NumericDate, which may have a fraction (RFC 7519 section 2).
fn moment(date: f64) -> Option<Timestamp> {
    Some(Timestamp::default() + Duration::try_from_secs_f64(date).ok()?)
}

#[derive(Deserialize)]
struct Times {
    exp: Option<f64>,
    iat: Option<f64>,
}

/// More than any assertion has.
const MOST: u64 = 64 << 10;
/// What a token of an hour still has when Kubernetes renews it is more than this; a shorter one has as much
/// less.
const LEAST: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn with_claims(claims: &str) -> String {
        format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn the_end_is_what_the_assertion_says() {
        let (end, ten) = (1_800_003_600, Duration::from_mins(10));
        for (claims, expected) in [
            (r#"{"exp": 1800003600, "iat": 1800000000}"#, Some((end, ten))),
            (r#"{"exp": 1800003600, "iat": 1800003300}"#, Some((end, Duration::from_secs(50)))),
            (r#"{"exp": 1800003600}"#, Some((end, ten))),
            (r#"{"exp": 1800003600.5, "iat": 9e18}"#, Some((end, Duration::ZERO))),
            (r#"{"exp": -1}"#, None),
            (r#"{"exp": 1e300}"#, None),
            (r#"{"exp": "soon"}"#, None),
            (r#"{"iat": 1800000000}"#, None),
            ("[]", None),
            ("no JSON", None),
        ] {
            let told = expiry(&with_claims(claims), Renewal::Written).map(|expiry| match expiry.renewal {
                Renewal::Written(least) => (expiry.at.as_secs(), least),
                _ => unreachable!("it is written"),
            });
            assert_eq!(told, expected, "{claims}");
        }
        assert_eq!(expiry("a.b.c", Renewal::Written), None);
    }

    #[test]
    fn only_a_compact_jws_is_an_assertion() {
        assert_eq!(compact_jws(b" a.b-_.c=\n"), Some("a.b-_.c="));
        for text in ["", "a.b", "a.b.c.d", "a.b c.d", "a..c", "\u{feff}a.b.c"] {
            assert_eq!(compact_jws(text.as_bytes()), None, "{text:?}");
        }
    }
}
