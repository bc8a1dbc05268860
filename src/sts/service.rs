//! The authority itself: from a request to what is delivered, without a socket.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;

use super::answer::Answer;
use super::discovery;
use super::exchange::{Exchange, Lifetime};
use super::journal::Journal;
use super::key::SigningKey;
use super::realm::{Realm, Version};
use super::refusal::{Reason, Refusal};
use super::request::Request;
use super::route::{Endpoint, Route};
use super::rule::Rule;
use super::rules::Rules;
use super::settings::Settings;
use super::tenant;
use crate::clock::{Clock, Timestamp};

/// Settings, key, and what changes while it runs.
pub(super) struct Service {
    settings: Settings,
    key: SigningKey,
    clock: Clock,
    journal: Mutex<Journal>,
    rules: Mutex<Rules>,
}

/// An answer and how it gets to the caller.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) answer: Answer,
    pub(super) delay: Duration,
    pub(super) ending: Ending,
}

/// How much of an answer arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Not a byte: the connection closes.
    Reset,
    /// So many bytes of the body, then the connection closes.
    Truncated(usize),
    /// All of it.
    Whole,
}

impl Service {
    pub(super) fn new(settings: Settings, key: SigningKey, clock: Clock) -> Self {
        Self { settings, key, clock, journal: Mutex::default(), rules: Mutex::default() }
    }

    /// Decides what to deliver. What lies under `/_sts/` is neither recorded nor ever at fault.
    pub(super) fn respond(&self, request: &Request) -> Delivery {
        let now = self.clock.now();
        if let Some(name) = request.path.strip_prefix("/_sts/") {
            return Delivery::plain(self.control(name, request, now));
        }
        lock(&self.journal).record(request, now);
        let rule = lock(&self.rules).strike(request).unwrap_or_default();
        let now = rule.skewed(now);
        let error = |status| Answer { status, ..refused(&Refusal::of_status(status), request, now) };
        rule.delivery(|| self.answer(request, now, rule.lifetime(self.lifetime())), error)
    }

    fn control(&self, name: &str, request: &Request, now: Timestamp) -> Answer {
        match (request.method.as_str(), name) {
            ("GET", "requests") => Answer::json(200, &lock(&self.journal).to_json()),
            ("DELETE", "requests") => Answer::json(200, &lock(&self.journal).take()),
            ("POST", "faults") => self.append_rules(request),
            ("DELETE", "faults") => {
                lock(&self.rules).clear();
                Answer::json(200, &json!({"faults": 0}))
            }
            _ => refused(&unknown_path(), request, now),
        }
    }

    fn append_rules(&self, request: &Request) -> Answer {
        match Rule::read(request.body.as_deref().unwrap_or_default()) {
            Ok(rules) => Answer::json(200, &json!({"faults": lock(&self.rules).append(rules)})),
            Err(problem) => Answer::json(400, &json!({"error": "invalid_request", "error_description": problem})),
        }
    }

    fn answer(&self, request: &Request, now: Timestamp, lifetime: Lifetime) -> Answer {
        let answer = self.route(request, now, lifetime).unwrap_or_else(|refusal| refused(&refusal, request, now));
        let answer = answer.with("x-ms-request-id", &request.trace.to_string());
        if request.headers.get("return-client-request-id") == Some("true") {
            return answer.with("client-request-id", &request.correlation);
        }
        answer
    }

    fn route(&self, request: &Request, now: Timestamp, lifetime: Lifetime) -> Result<Answer, Refusal> {
        let Route { profile, tenant, endpoint } = route(request);
        let base = check(request, endpoint)?;
        let document = match endpoint {
            Endpoint::Configuration(version) => {
                let tenant = tenant::discovered(tenant, profile, &self.settings)?;
                discovery::configuration(&Realm { base, profile, tenant: &tenant }, version)
            }
            Endpoint::Instance => discovery::instance(request, base)?,
            Endpoint::Keys => {
                let tenant = tenant::discovered(tenant, profile, &self.settings)?;
                self.key.set(&Realm { base, profile, tenant: &tenant }.issuer(Version::V2))
            }
            Endpoint::Token(version) => {
                let tenant = tenant::known(tenant, profile, &self.settings)?;
                let exchange = Exchange {
                    settings: &self.settings,
                    key: &self.key,
                    request,
                    realm: Realm { base, profile, tenant: &tenant },
                    version,
                    now,
                    lifetime,
                };
                return exchange.answer();
            }
            Endpoint::Unknown => return Err(unknown_path()),
        };
        Ok(Answer::json(200, &document))
    }

    fn lifetime(&self) -> Lifetime {
        Lifetime { expires_in: self.settings.token_lifetime, refresh_in: self.settings.refresh_in }
    }
}

impl Delivery {
    /// An answer as it is.
    fn plain(answer: Answer) -> Self {
        Self { answer: uncached(answer), delay: Duration::ZERO, ending: Ending::Whole }
    }
}

impl Rule {
    /// The answer on its way, as the rule wants it.
    fn delivery(&self, usual: impl FnOnce() -> Answer, refused: impl FnOnce(u16) -> Answer) -> Delivery {
        let whole = self.truncate_at.map_or(Ending::Whole, Ending::Truncated);
        Delivery {
            answer: uncached(self.answer(usual, refused)),
            delay: self.delay(),
            ending: if self.reset { Ending::Reset } else { whole },
        }
    }
}

fn uncached(answer: Answer) -> Answer {
    answer.with("cache-control", "no-store, no-cache").with("pragma", "no-cache")
}

/// What must be true of any request; gives the base of its URLs.
fn check(request: &Request, endpoint: Endpoint) -> Result<&str, Refusal> {
    if request.body.is_none() {
        return Err(Refusal::new(Reason::RequestTooLarge, "The request body is too large."));
    }
    if endpoint != Endpoint::Unknown && !endpoint.takes(&request.method) {
        let text = format!("The endpoint does not accept {} requests.", request.method);
        return Err(Refusal::new(Reason::MethodWrong, text));
    }
    let no_base = || Refusal::new(Reason::RequestMalformed, "Request is malformed or invalid: its Host is.");
    request.base.as_deref().ok_or_else(no_base)
}

fn route(request: &Request) -> Route<'_> {
    Route::of(request.base.as_deref().unwrap_or_default(), &request.path)
}

/// A refusal in the words of the authority that was asked.
fn refused(refusal: &Refusal, request: &Request, now: Timestamp) -> Answer {
    refusal.answer(request, route(request).profile.wording(), now)
}

fn unknown_path() -> Refusal {
    Refusal::new(Reason::PathUnknown, "There is nothing at this path.")
}

/// A thread that panicked left whole values behind: every change under these locks is a single call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
