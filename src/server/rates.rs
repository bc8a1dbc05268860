//! How often each caller may ask.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::caller::Caller;
use crate::fault::{Fault, Kind};
use crate::name::Name;

/// The rates of the callers, in their places.
pub struct Rates(Vec<Rate>);

struct Rate {
    caller: Name,
    limit: Option<DefaultDirectRateLimiter>,
}

impl Rates {
    /// So many requests a second, and as many at once, for each caller that has a limit.
    #[must_use]
    pub fn new(rates: impl IntoIterator<Item = (Name, Option<NonZeroU32>)>) -> Self {
        let rate = |(caller, most): (Name, Option<_>)| Rate {
            caller,
            limit: most.map(|most| RateLimiter::direct(Quota::per_second(most))),
        };
        Self(rates.into_iter().map(rate).collect())
    }

    /// Takes one request from the caller's rate.
    ///
    /// # Errors
    /// 429 when there is none left; the next second brings more.
    pub fn take(&self, caller: Caller) -> Result<(), Fault> {
        let Some(rate) = caller.place().and_then(|place| self.0.get(place)) else { return Ok(()) };
        match &rate.limit {
            Some(limit) if limit.check().is_err() => Err(too_many(&rate.caller)),
            _ => Ok(()),
        }
    }
}

fn too_many(caller: &Name) -> Fault {
    let remedy = "keep tokens until they are about to end, or have the operator raise the caller's 'rate'";
    Fault::new(Kind::TooMany, "the caller asks more often than it may", remedy)
        .with_retry_after(Some(Duration::from_secs(1)))
        .with_rule(format!("callers.{caller}.rate"))
}
