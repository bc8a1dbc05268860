//! The keys of a cluster that are known, and when others are to be fetched: decisions alone.

use std::sync::Arc;
use std::time::Duration;

use super::claims::{CHECK_CLUSTER, clipped};
use super::key::{Key, Keys};
use super::refusal;
use crate::clock::{Span, Timestamp};
use crate::fault::{Fault, Kind};

/// How long keys are as good as new.
#[derive(Clone, Copy, Debug)]
pub struct Lives {
    /// Nobody looks for others.
    pub fresh: Duration,
    /// Others are looked for behind; after that first.
    pub recent: Duration,
}

/// Known keys.
pub struct Shelf {
    lives: Lives,
    keys: Keys,
    fresh: Span,
    recent: Span,
    /// For how long keys are used that nobody could fetch anew.
    believed: Span,
    /// For how long they are not fetched again, whoever shows a token with whatever key.
    pause: Span,
    /// Why they could not be fetched the last time.
    failure: Option<Fault>,
}

/// What to do about a key.
#[derive(Debug)]
pub enum Step {
    /// Fetch the keys, and look again.
    Fetch,
    /// There is no such key.
    Refuse(Fault),
    /// Use it, and fetch the keys behind.
    Renew(Arc<Key>),
    /// Use it.
    Use(Arc<Key>),
}

impl Shelf {
    /// No keys yet.
    #[must_use]
    pub fn new(lives: Lives) -> Self {
        let (fresh, recent, believed, pause) = Default::default();
        Self { lives, keys: Keys::new(), fresh, recent, believed, pause, failure: None }
    }

    /// What to do about the key `kid` at `now`. A key that is known is never waited for while fetching fails.
    #[must_use]
    pub fn decide(&self, kid: &str, now: Timestamp) -> Step {
        let rests = self.pause.holds(now);
        match self.known(kid, now) {
            Some(key) if rests || self.fresh.holds(now) => Step::Use(key),
            Some(key) if self.failure.is_some() || self.recent.holds(now) => Step::Renew(key),
            None if rests => Step::Refuse(self.refusal(kid)),
            _ => Step::Fetch,
        }
    }

    /// The key `kid` after the fetch that was decided on.
    ///
    /// # Errors
    /// There is no such key, or that cannot be said.
    pub fn conclude(&self, kid: &str, now: Timestamp) -> Result<Arc<Key>, Fault> {
        self.known(kid, now).ok_or_else(|| self.refusal(kid))
    }

    /// Notes what a fetch that ended `now` brought. Keys stay when it failed. Says whether it went otherwise than
    /// the one before.
    pub fn note(&mut self, fetched: Result<Keys, Fault>, now: Timestamp) -> bool {
        let (failed_before, is_first) = (self.failure.is_some(), self.keys.is_empty());
        let wish = fetched.as_ref().err().and_then(Fault::retry_after).unwrap_or_default();
        self.pause = Span::new(now, wish.clamp(PAUSE, LONGEST_PAUSE));
        match fetched {
            Ok(keys) => {
                self.keys = keys;
                self.fresh = Span::new(now, self.lives.fresh);
                self.recent = Span::new(now, self.lives.recent);
                self.believed = Span::new(now, BELIEVED);
                self.failure = None;
                failed_before || is_first
            }
            Err(fault) => {
                self.failure = Some(fault);
                !failed_before
            }
        }
    }

    fn known(&self, kid: &str, now: Timestamp) -> Option<Arc<Key>> {
        self.keys.get(kid).filter(|_| self.believed.holds(now)).cloned()
    }

    fn refusal(&self, kid: &str) -> Fault {
        match &self.failure {
            Some(fault) => fault.clone(),
            None if self.keys.is_empty() => {
                Fault::new(Kind::Unavailable, "the cluster's keys are not known yet", "ask again in a moment")
            }
            None => {
                let why = format!("no key {:?} among {}", clipped(kid), self.keys.len());
                refusal("it was signed with a key that the cluster does not publish", CHECK_CLUSTER, why)
            }
        }
    }
}

/// Whoever makes up key ids makes us ask this often and no more.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// As long as a night in which nobody mends the API server.
const BELIEVED: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::key::parse;

    const LIVES: Lives = Lives { fresh: Duration::from_secs(180), recent: Duration::from_secs(360) };

    /// The ids of the keys that came, or for how long the server wants to be left alone.
    type Fetched<'a> = Result<&'a [&'a str], Option<u64>>;

    /// A shelf that got the keys `kids` at second 1000, and what came at other seconds.
    fn shelf(kids: &[&str], later: &[(u64, Fetched<'_>)]) -> Shelf {
        let keys = |kids: &[&str]| {
            // The exponent does for the modulus: nothing is verified here.
            let keys: Vec<_> =
                kids.iter().map(|kid| json!({"kty": "RSA", "kid": kid, "n": "AQAB", "e": "AQAB"})).collect();
            parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
        };
        let mut shelf = Shelf::new(LIVES);
        shelf.note(Ok(keys(kids)), Timestamp::from_secs(1000));
        for (at, fetched) in later {
            let failure = |wish: Option<u64>| {
                Fault::new(Kind::Unavailable, "p", "r").with_retry_after(wish.map(Duration::from_secs))
            };
            shelf.note(fetched.map(keys).map_err(failure), Timestamp::from_secs(*at));
        }
        shelf
    }

    fn step(shelf: &Shelf, kid: &str, now: u64) -> String {
        match shelf.decide(kid, Timestamp::from_secs(now)) {
            Step::Fetch => "fetch".to_owned(),
            Step::Refuse(fault) => format!("refuse {}", fault.status()),
            Step::Renew(_) => "renew".to_owned(),
            Step::Use(_) => "use".to_owned(),
        }
    }

    #[test]
    fn known_keys_are_used_renewed_and_at_last_fetched() {
        let fetched = shelf(&["a"], &[]);
        for (now, known, unknown) in [
            (1000, "use", "refuse 401"),
            (1009, "use", "refuse 401"),
            (1010, "use", "fetch"),
            (1179, "use", "fetch"),
            (1180, "renew", "fetch"),
            (1360, "fetch", "fetch"),
            (999, "fetch", "fetch"),
        ] {
            assert_eq!(
                (step(&fetched, "a", now).as_str(), step(&fetched, "b", now).as_str()),
                (known, unknown),
                "{now}"
            );
        }
    }

    #[test]
    fn known_keys_outlive_an_outage_of_a_day() {
        let down = shelf(&["a"], &[(1400, Err(None))]);
        let (day, end) = (1000 + 86_399, 1000 + 86_400);
        for (now, known, unknown) in [
            (1400, "use", "refuse 503"),
            (1409, "use", "refuse 503"),
            (1410, "renew", "fetch"),
            (day, "renew", "fetch"),
            (end, "fetch", "fetch"),
        ] {
            assert_eq!((step(&down, "a", now).as_str(), step(&down, "b", now).as_str()), (known, unknown), "{now}");
        }
        let late = shelf(&["a"], &[(end, Err(None))]);
        assert_eq!(step(&late, "a", end), "refuse 503");
        assert_eq!(late.conclude("a", Timestamp::from_secs(end)).unwrap_err().status(), 503);
    }

    #[test]
    fn a_server_that_wants_to_be_left_alone_is_within_bounds() {
        for (wish, rests_until) in [(Some(1), 1410), (Some(60), 1460), (Some(86_400), 1700)] {
            let down = shelf(&["a"], &[(1400, Err(wish))]);
            assert_eq!(step(&down, "b", rests_until - 1), "refuse 503", "{wish:?}");
            assert_eq!(step(&down, "b", rests_until), "fetch", "{wish:?}");
        }
    }

    #[test]
    fn a_key_that_left_is_gone_and_each_turn_is_told_once() {
        let mut turned = shelf(&["a"], &[(1400, Ok(&["b"]))]);
        assert_eq!((step(&turned, "a", 1400).as_str(), step(&turned, "b", 1400).as_str()), ("refuse 401", "use"));
        let now = Timestamp::from_secs(1500);
        let mut down = || turned.note(Err(Fault::new(Kind::Unavailable, "p", "r")), now);
        assert_eq!((down(), down()), (true, false));
        let unknown = Shelf::new(LIVES).conclude("a", now).unwrap_err();
        assert_eq!(unknown.kind, Kind::Unavailable, "who was never told of a key cannot say that it is wrong");
    }
}
