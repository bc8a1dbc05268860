//! Reads the form of a request that has one: small, and soon there.

use std::time::Duration;

use actix_web::body::{BodyStream, to_bytes_limited};
use actix_web::dev::Payload;
use actix_web::web::Bytes;

use super::connection::Ledger;
use crate::fault::{Fault, Kind};

/// The whole body, of at most 16 KiB, if it is there within 5 s.
///
/// # Errors
/// The caller's fault.
pub(super) async fn read(payload: Payload, ledger: &Ledger) -> Result<Bytes, Fault> {
    match tokio::time::timeout(PATIENCE, to_bytes_limited(BodyStream::new(payload), MOST)).await {
        Ok(Ok(Ok(form))) => {
            ledger.body_is_read();
            Ok(form)
        }
        Ok(Ok(Err(_))) => Err(unread("the body cannot be read", "send a form, in chunks or with its length")),
        Ok(Err(_)) => Err(unread("the body is too large", "send the parameters alone")),
        Err(_) => Err(unread("the body does not come", "send it at once")),
    }
}

/// Refuses a body that is no form by its type: what points at an identity in it would be lost. None at all is taken
/// for a form, and an empty body for none.
///
/// # Errors
/// The caller's fault.
pub(super) fn check(media: Option<&[u8]>, body: &[u8]) -> Result<(), Fault> {
    let named = media.and_then(|media| media.split(|byte| *byte == b';').next()).map(<[u8]>::trim_ascii);
    if body.is_empty() || named.is_none_or(|named| named.eq_ignore_ascii_case(FORM)) {
        return Ok(());
    }
    let remedy = "send the parameters as 'application/x-www-form-urlencoded', or in the query with no body";
    Err(unread("the body is no form by its Content-Type", remedy))
}

fn unread(problem: &'static str, remedy: &'static str) -> Fault {
    Fault::new(Kind::InvalidRequest, problem, remedy)
}

const FORM: &[u8] = b"application/x-www-form-urlencoded";
const MOST: usize = 16 << 10;
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_a_form_or_nothing() {
        for (media, body, is_taken) in [
            (None, "client_id=x", true),
            (Some("application/x-www-form-urlencoded"), "client_id=x", true),
            (Some(" Application/X-WWW-Form-Urlencoded ; charset=utf-8"), "client_id=x", true),
            (Some("application/json"), "", true),
            (Some("application/json"), "{\"client_id\":\"x\"}", false),
            (Some("multipart/form-data; boundary=application/x-www-form-urlencoded"), "--x", false),
            (Some(""), "client_id=x", false),
        ] {
            assert_eq!(check(media.map(str::as_bytes), body.as_bytes()).is_ok(), is_taken, "{media:?} {body}");
        }
    }
}
