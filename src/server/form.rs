//! Reads the form of a request that has one: small, and soon there.

use std::time::Duration;

use actix_web::body::{BodyStream, to_bytes_limited};
use actix_web::dev::Payload;
use actix_web::web::Bytes;

use crate::fault::{Fault, Kind};

/// The whole body, of at most 16 KiB, if it is there within 5 s.
///
/// # Errors
/// The caller's fault.
pub(super) async fn read(payload: Payload) -> Result<Bytes, Fault> {
    match tokio::time::timeout(PATIENCE, to_bytes_limited(BodyStream::new(payload), MOST)).await {
        Ok(Ok(Ok(form))) => Ok(form),
        Ok(Ok(Err(_))) => Err(unread("the body cannot be read", "send a form, in chunks or with its length")),
        Ok(Err(_)) => Err(unread("the body is too large", "send the parameters alone")),
        Err(_) => Err(unread("the body does not come", "send it at once")),
    }
}

fn unread(problem: &'static str, remedy: &'static str) -> Fault {
    Fault::new(Kind::InvalidRequest, problem, remedy)
}

const MOST: usize = 16 << 10;
const PATIENCE: Duration = Duration::from_secs(5);
