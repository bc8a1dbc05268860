//! Carries spans to their receiver. What gathers them is a thread that belongs to no runtime, on which an HTTP client
//! of the library's own would die without a word; so what it sends goes to the main runtime.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use reqwest::Client;
use tokio::runtime::Handle;

use crate::clock::{Clock, Span};
use crate::wire::chain;

/// An HTTP client on a runtime.
#[derive(Debug)]
pub(super) struct Carrier {
    client: Client,
    clock: Clock,
    runtime: Handle,
    trouble: Mutex<Trouble>,
}

/// What was told of failures.
#[derive(Debug, Default)]
struct Trouble {
    /// Since the last line.
    quiet: Option<Span>,
    failures: u64,
}

/// What to tell of an attempt.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    /// It failed, and so many before it of which nothing was told.
    Failed(u64),
    /// It went well, after some that failed.
    Recovered,
}

impl Carrier {
    pub(super) fn new(client: Client, clock: Clock, runtime: Handle) -> Self {
        Self { client, clock, runtime, trouble: Mutex::default() }
    }

    /// Tells of what goes wrong, once a minute at most, and when it has gone well again.
    fn tell(&self, result: &Result<Response<Bytes>, HttpError>) {
        let why = match result {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("HTTP {}", response.status().as_u16())),
            Err(error) => Some(chain(&**error)),
        };
        let line = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).after(why.is_some(), &self.clock);
        match (line, why) {
            (Some(Line::Failed(before)), Some(why)) => {
                tracing::warn!(why, before, "spans cannot be delivered; those that find no room are lost");
            }
            (Some(Line::Recovered), _) => tracing::info!("spans are delivered again"),
            _ => {}
        }
    }
}

impl Trouble {
    fn after(&mut self, is_failure: bool, clock: &Clock) -> Option<Line> {
        let now = clock.now();
        if !is_failure {
            self.failures = 0;
            return self.quiet.take().map(|_| Line::Recovered);
        }
        if self.quiet.is_some_and(|quiet| quiet.holds(now)) {
            self.failures += 1;
            return None;
        }
        self.quiet = Some(Span::new(now, QUIET));
        Some(Line::Failed(std::mem::take(&mut self.failures)))
    }
}

#[async_trait]
impl HttpClient for Carrier {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.runtime.spawn(send(self.client.clone(), request)).await;
        let result = sent.unwrap_or_else(|died| Err(died.into()));
        self.tell(&result);
        result
    }
}

async fn send(client: Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let mut response = client.execute(request.try_into()?).await.map_err(reqwest::Error::without_url)?;
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > MOST {
            return Err("the receiver's answer is too large".into());
        }
        body.extend_from_slice(&chunk);
    }
    let mut answer = Response::new(Bytes::from(body));
    (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
    Ok(answer)
}

/// Nothing more is told of failures for so long.
const QUIET: Duration = Duration::from_mins(1);
/// A receiver has hardly anything to say.
const MOST: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Timestamp};

    #[test]
    fn failures_are_told_once_a_minute_and_their_end_once() {
        let hand = ManualClock::at(Timestamp::from_secs(1_800_000_000));
        let clock = Clock::Manual(hand.clone());
        let mut trouble = Trouble::default();
        assert_eq!(trouble.after(false, &clock), None, "nothing to tell of what goes well");
        assert_eq!(trouble.after(true, &clock), Some(Line::Failed(0)));
        for _ in 0..7 {
            assert_eq!(trouble.after(true, &clock), None);
        }
        hand.advance(Duration::from_mins(1));
        assert_eq!(trouble.after(true, &clock), Some(Line::Failed(7)));
        assert_eq!(trouble.after(false, &clock), Some(Line::Recovered));
        assert_eq!((trouble.after(false, &clock), trouble.after(true, &clock)), (None, Some(Line::Failed(0))));
    }
}
