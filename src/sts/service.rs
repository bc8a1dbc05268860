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
use super::route::Route;
use super::rule::Rule;
use super::rules::Rules;
use super::settings::Settings;
use crate::clock::{Clock, Timestamp};
use crate::name::{TenantId, is_guid};

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
            return Rule::default().delivery(|| self.control(name, request, now));
        }
        lock(&self.journal).record(request, now);
        let rule = lock(&self.rules).strike(request).unwrap_or_default();
        rule.delivery(|| self.answer(request, rule.skewed(now), rule.lifetime(self.lifetime())))
    }

    fn control(&self, name: &str, request: &Request, now: Timestamp) -> Answer {
        match (request.method.as_str(), name) {
            ("GET", "requests") => Answer::json(200, &lock(&self.journal).to_json()),
            ("DELETE", "requests") => {
                lock(&self.journal).clear();
                Answer::json(200, &json!({"requests": 0}))
            }
            ("POST", "faults") => self.append_rules(request),
            ("DELETE", "faults") => {
                lock(&self.rules).clear();
                Answer::json(200, &json!({"faults": 0}))
            }
            _ => unknown_path().answer(request, now),
        }
    }

    fn append_rules(&self, request: &Request) -> Answer {
        match Rule::read(request.body.as_deref().unwrap_or_default()) {
            Ok(rules) => Answer::json(200, &json!({"faults": lock(&self.rules).append(rules)})),
            Err(problem) => Answer::json(400, &json!({"error": "invalid_request", "error_description": problem})),
        }
    }

    fn answer(&self, request: &Request, now: Timestamp, lifetime: Lifetime) -> Answer {
        let answer = self.route(request, now, lifetime).unwrap_or_else(|refusal| refusal.answer(request, now));
        let answer = answer.with("x-ms-request-id", &request.trace.to_string());
        if request.headers.get("return-client-request-id") == Some("true") {
            return answer.with("client-request-id", &request.correlation);
        }
        answer
    }

    fn route(&self, request: &Request, now: Timestamp, lifetime: Lifetime) -> Result<Answer, Refusal> {
        let route = Route::of(&request.path);
        let base = check(request, route)?;
        let document = match route {
            Route::Configuration { tenant, version } => {
                let tenant = self.directory(tenant)?;
                discovery::configuration(&realm(base, &tenant), version)
            }
            Route::Instance => discovery::instance(request, base)?,
            Route::Keys { tenant } => {
                let tenant = self.directory(tenant)?;
                self.key.set(&realm(base, &tenant).issuer(Version::V2))
            }
            Route::Token { tenant, version } => {
                let tenant = self.tenant(tenant)?;
                let exchange = Exchange {
                    settings: &self.settings,
                    key: &self.key,
                    request,
                    tenant: &tenant,
                    realm: realm(base, tenant.as_str()),
                    version,
                    now,
                    lifetime,
                };
                return exchange.answer();
            }
            Route::Unknown => return Err(unknown_path()),
        };
        Ok(Answer::json(200, &document))
    }

    /// What may stand where a tenant is discovered: a tenant, or a name for all of them.
    fn directory(&self, text: &str) -> Result<String, Refusal> {
        let lower = text.to_ascii_lowercase();
        match lower.as_str() {
            "common" | "organizations" => Ok(lower),
            "consumers" => Ok(CONSUMERS.to_owned()),
            _ => Ok(self.tenant(&lower)?.as_str().to_owned()),
        }
    }

    /// A tenant that there is. No domain belongs to any, so a domain is as unknown as a foreign GUID.
    fn tenant(&self, text: &str) -> Result<TenantId, Refusal> {
        let lower = text.to_ascii_lowercase();
        if matches!(lower.as_str(), "common" | "organizations" | "consumers") {
            return Err(Refusal::new(Reason::TenantMissing, NO_TENANT));
        }
        let tenant = TenantId::parse(&lower).map_err(|_| {
            let text = format!(
                "Specified tenant identifier '{text}' is neither a valid DNS name, nor a valid external domain."
            );
            Refusal::new(Reason::TenantInvalid, text)
        })?;
        if is_guid(tenant.as_str()) && self.settings.knows(&tenant) {
            return Ok(tenant);
        }
        let text = format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into \
             the correct cloud. This may happen if there are no active subscriptions for the tenant."
        );
        Err(Refusal::new(Reason::TenantUnknown, text))
    }

    fn lifetime(&self) -> Lifetime {
        Lifetime { expires_in: self.settings.token_lifetime, refresh_in: self.settings.refresh_in }
    }
}

impl Rule {
    /// The answer on its way, as the rule wants it.
    fn delivery(&self, usual: impl FnOnce() -> Answer) -> Delivery {
        let whole = self.truncate_at.map_or(Ending::Whole, Ending::Truncated);
        let answer = self.answer(usual);
        Delivery {
            answer: answer.with("cache-control", "no-store, no-cache").with("pragma", "no-cache"),
            delay: self.delay(),
            ending: if self.reset { Ending::Reset } else { whole },
        }
    }
}

/// What must be true of any request; gives the base of its URLs.
fn check<'a>(request: &'a Request, route: Route<'_>) -> Result<&'a str, Refusal> {
    if request.body.is_none() {
        return Err(Refusal::new(Reason::RequestTooLarge, "The request body is too large."));
    }
    if route != Route::Unknown && !route.takes(&request.method) {
        let text = format!("The endpoint does not accept {} requests.", request.method);
        return Err(Refusal::new(Reason::MethodWrong, text));
    }
    let no_base = || Refusal::new(Reason::RequestMalformed, "Request is malformed or invalid: its Host is.");
    request.base.as_deref().ok_or_else(no_base)
}

fn realm<'a>(base: &'a str, tenant: &'a str) -> Realm<'a> {
    Realm { base, tenant }
}

fn unknown_path() -> Refusal {
    Refusal::new(Reason::PathUnknown, "There is nothing at this path.")
}

/// A thread that panicked left whole values behind: every change under these locks is a single call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The directory that Entra keeps personal accounts in.
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
const NO_TENANT: &str =
    "No tenant-identifying information found in either the request or implied by any provided credentials.";
