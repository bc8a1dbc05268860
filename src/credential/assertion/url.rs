//! An assertion that a URL answers with, such as the token service of a CI job or a SPIFFE agent.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use super::{MOST, compact_jws, expiry};
use crate::clock::Timestamp;
use crate::credential::expiry::{Expiry, Renewal};
use crate::credential::{ClientSecret, Occasion};
use crate::fault::{Fault, Kind};
use crate::secret::Secret;
use crate::trace;
use crate::wire::request::ClientProof;
use crate::wire::{Incoming, Outgoing, Reach, System, Trust, Wire, answer, is_loopback, late};

/// A URL that answers with a signed assertion.
pub struct AssertionUrl {
    url: Url,
    bearer: Option<ClientSecret>,
    wire: Wire,
    seen: Mutex<Option<Expiry>>,
}

impl AssertionUrl {
    /// The assertion that `url` answers with; `bearer` is what proves us there, and `system` vouches for it.
    ///
    /// # Errors
    /// The system's trust store cannot be read.
    pub fn new(url: Url, bearer: Option<ClientSecret>, system: &System) -> Result<Self, Fault> {
        let wire = Wire::new(Trust {
            roots: system.or(None),
            connect_timeout: CONNECT_TIMEOUT,
            proxy: None,
            loopback: is_loopback(&url),
            reach: Reach::Authority,
        })?;
        Ok(Self { url, bearer, wire, seen: Mutex::default() })
    }

    /// What proves us to the URL.
    #[must_use]
    pub const fn bearer(&self) -> Option<&ClientSecret> {
        self.bearer.as_ref()
    }

    /// When the one that was last fetched ends.
    #[must_use]
    pub fn expiry(&self) -> Option<Expiry> {
        *self.seen()
    }

    /// Fetches one, in half of the time that is left: what comes after needs some as well. With the proof goes
    /// the generation of the bearer that it was fetched with.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] when the URL cannot be reached, is busy or broken; [`Kind::UnusableCredential`]
    /// when it answers with anything but an assertion, or nobody trusts it.
    pub async fn prove(&self, occasion: &Occasion<'_>) -> Result<(ClientProof, u64), Fault> {
        let (bearer, generation) = self.bearer.as_ref().map(ClientSecret::present).unzip();
        let bearer = bearer.map(|bearer| format!("Bearer {}", bearer.expose()));
        let outgoing = Outgoing {
            url: self.url.clone(),
            content: None,
            request_id: occasion.request_id.to_owned(),
            headers: bearer.map(|bearer| ("authorization", Secret::from(bearer))).into_iter().collect(),
            span: trace::outgoing("assertion"),
        };
        let sent = timeout(occasion.deadline.left() / 2, self.wire.send(outgoing)).await;
        let incoming = sent.unwrap_or_else(|_| Err(late().with_inward("no answer in time")));
        let text =
            incoming.map_err(|fault| unreachable(&fault)).and_then(|incoming| assertion(&incoming, occasion.now));
        let text = text.map_err(|fault| self.at(fault))?;
        *self.seen() = expiry(text.expose(), |least| Renewal::Fetched(least, occasion.now));
        Ok((ClientProof::Assertion(text), generation.unwrap_or_default()))
    }

    /// Says where.
    fn at(&self, fault: Fault) -> Fault {
        let why = fault.inward().unwrap_or("-").to_owned();
        fault.with_inward(format!("{}: {why}", self.place()))
    }

    /// The URL without what follows its path, which may be a secret.
    fn place(&self) -> String {
        format!("{}{}", self.url.origin().ascii_serialization(), self.url.path())
    }

    fn seen(&self) -> MutexGuard<'_, Option<Expiry>> {
        // Invariant: no code panics while it holds this lock, and the value is whole at every moment.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for AssertionUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertionUrl").field("place", &self.place()).finish_non_exhaustive()
    }
}

/// Reads the answer: the assertion as text, or as a member of an object in JSON.
fn assertion(incoming: &Incoming, now: Timestamp) -> Result<Secret, Fault> {
    let unusable = |problem, remedy| {
        let why = format!("HTTP {} with {} bytes", incoming.status, incoming.body.len());
        Fault::new(Kind::UnusableCredential, problem, remedy).with_inward(why)
    };
    match incoming.status {
        200 => {}
        408 | 429 | 500.. => {
            return Err(unavailable("the URL of an assertion answers that it cannot serve now")
                .with_retry_after(answer::patience(incoming, now))
                .with_inward(format!("HTTP {}", incoming.status)));
        }
        401 | 403 => return Err(unusable("the URL of an assertion refuses the request", CHECK_BEARER)),
        300..=399 => return Err(unusable("the URL of an assertion redirects, which is never followed", CHECK_URL)),
        _ => return Err(unusable("the URL of an assertion does not answer with one", CHECK_URL)),
    }
    if incoming.body.len() as u64 > MOST {
        return Err(unusable("the answer with an assertion is too large", CHECK_URL));
    }
    let member = member(&incoming.body);
    let text = compact_jws(member.as_ref().map_or(&incoming.body, |member| member.expose().as_bytes()));
    let text = text.ok_or_else(|| unusable("the answer holds no signed assertion", CHECK_URL))?;
    Ok(Secret::from(text.to_owned()))
}

/// A failure on the way, in words about this URL and not about the authority.
fn unreachable(fault: &Fault) -> Fault {
    match fault.kind {
        Kind::Unavailable => {
            unavailable("the URL of an assertion cannot be reached").with_inward(fault.inward().unwrap_or("-"))
        }
        // The tenant's 'ca_file' is for its authority alone.
        _ => {
            let problem =
                "the URL of an assertion cannot be asked, mostly because nobody who is trusted signed its certificate";
            Fault::new(Kind::UnusableCredential, problem, CHECK_TRUST).with_inward(fault.inward().unwrap_or("-"))
        }
    }
}

fn unavailable(problem: &'static str) -> Fault {
    let remedy = "ask again in a moment; if it stays so, the operator should check the 'url' of the identity's assertion credential and what answers there";
    Fault::new(Kind::Unavailable, problem, remedy)
}

/// The member of an object that is the assertion, under one of the names that token services use.
fn member(body: &[u8]) -> Option<Secret> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = ["access_token", "token", "value"].into_iter().find_map(|name| body.get(name)?.as_str())?;
    Some(Secret::from(text.to_owned()))
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CHECK_TRUST: &str = "add who signed the certificate of that URL to those that this machine trusts, and check the 'url' and the 'bearer' of the identity's assertion credential";
const CHECK_URL: &str = "check the 'url' of the identity's assertion credential";
const CHECK_BEARER: &str = "check the 'bearer' of the identity's assertion credential";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::failure::{Event, of_event};

    fn read(status: u16, body: &str) -> Result<String, (Kind, String)> {
        let incoming =
            Incoming { status, retry_after: None, content_type: None, id: None, body: body.to_owned().into() };
        let read = assertion(&incoming, Timestamp::from_secs(1000));
        read.map(|text| text.expose().to_owned()).map_err(|fault| (fault.kind, format!("{fault} {:?}", fault.inward())))
    }

    #[test]
    fn an_assertion_is_text_or_a_member() {
        for body in [
            "a.b.c\n",
            r#"{"value": "a.b.c", "count": 3}"#,
            r#"{"token": "a.b.c"}"#,
            r#"{"access_token": null, "value": "a.b.c"}"#,
            r#"{"access_token": "a.b.c", "expires_in": 3, "value": "d.e.f"}"#,
        ] {
            assert_eq!(read(200, body).unwrap(), "a.b.c", "{body}");
        }
    }

    #[test]
    fn anything_else_is_told_without_its_text() {
        let large = format!("a.b.{}", "marked".repeat(12_000));
        for (status, body, kind, problem) in [
            (200, "", Kind::UnusableCredential, "holds no signed assertion"),
            (200, "marked", Kind::UnusableCredential, "holds no signed assertion"),
            (200, r#"{"value": "marked"}"#, Kind::UnusableCredential, "holds no signed assertion"),
            (200, r#"{"value": 3, "text": "a.b.marked"}"#, Kind::UnusableCredential, "holds no signed assertion"),
            (200, &large, Kind::UnusableCredential, "too large"),
            (204, "", Kind::UnusableCredential, "does not answer with one"),
            (302, "a.b.marked", Kind::UnusableCredential, "redirects"),
            (401, "a.b.marked", Kind::UnusableCredential, "check the 'bearer'"),
            (404, "a.b.marked", Kind::UnusableCredential, "check the 'url'"),
            (429, "a.b.marked", Kind::Unavailable, "cannot serve now"),
            (500, "a.b.marked", Kind::Unavailable, "cannot serve now"),
        ] {
            let (told_kind, told) = read(status, body).unwrap_err();
            assert!(told_kind == kind && told.contains(problem), "{status} {body}: {told}");
            assert!(!told.contains("marked"), "{told}");
        }
    }

    #[test]
    fn who_is_busy_says_for_how_long() {
        for (status, written, expected) in
            [(429, Some("17"), Some(17)), (503, Some("Thu, 01 Jan 1970 00:17:00 GMT"), Some(20)), (503, None, None)]
        {
            let retry_after = written.map(str::to_owned);
            let incoming = Incoming { status, retry_after, content_type: None, id: None, body: String::new().into() };
            let fault = assertion(&incoming, Timestamp::from_secs(1000)).unwrap_err();
            assert_eq!(fault.retry_after(), expected.map(Duration::from_secs));
            assert_eq!(fault.is_transient(), expected.is_none());
        }
    }

    #[test]
    fn whom_nobody_trusts_is_the_operators_matter() {
        let untrusted = of_event(Event::Untrusted).fault().with_inward("UnknownIssuer");
        let fault = unreachable(&untrusted);
        assert_eq!((fault.kind, fault.inward()), (Kind::UnusableCredential, Some("UnknownIssuer")));
        assert!(!fault.to_string().contains("ca_file"), "{fault}");
    }
}
