//! How often each caller may ask.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::caller::Caller;
use crate::caller::roll::Placed;
use crate::fault::{Fault, Kind};
use crate::name::Name;

/// The rates of the callers that have one, in their places.
#[derive(Default)]
pub struct Rates(Placed<Arc<Rate>>);

struct Rate {
    caller: Name,
    most: NonZeroU32,
    limit: DefaultDirectRateLimiter,
}

impl Rates {
    /// So many requests a second, and as many at once, for the callers in these places. Who had the same rate `before`
    /// goes on with what it has used.
    #[must_use]
    pub fn new(rates: impl IntoIterator<Item = (usize, Name, NonZeroU32)>, before: &Self) -> Self {
        let rate = |(place, caller, most): (usize, Name, NonZeroU32)| {
            let same = before.0.get(place).filter(|rate| rate.most == most).cloned();
            let limit = || RateLimiter::direct(Quota::per_second(most));
            (place, same.unwrap_or_else(|| Arc::new(Rate { caller, most, limit: limit() })))
        };
        Self(rates.into_iter().map(rate).collect())
    }

    /// Takes one request from the caller's rate.
    ///
    /// # Errors
    /// 429 when there is none left; the next second brings more.
    pub fn take(&self, caller: Caller) -> Result<(), Fault> {
        let Some(rate) = caller.place().and_then(|place| self.0.get(place)) else { return Ok(()) };
        rate.limit.check().map_err(|_| too_many(&rate.caller))
    }
}

fn too_many(caller: &Name) -> Fault {
    let remedy = "keep tokens until they are about to end, or have the operator raise the caller's 'rate'";
    Fault::new(Kind::TooMany, "the caller asks more often than it may", remedy)
        .with_retry_after(Some(Duration::from_secs(1)))
        .with_rule(format!("callers.{caller}.rate"))
}
