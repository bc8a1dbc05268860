//! A failure that knows whose turn it is, whether and when to try again, and what to do.
//!
//! Status codes, error codes, log levels, metric labels and exit codes are derived from its [`kind`], so
//! that they cannot contradict each other. It has two texts: `Display` is for any program that can
//! reach a listener; [`Fault::inward`] is for the log alone.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::claims::ClaimsRequest;
use crate::name::{Malformed, is_guid};

pub mod kind;
pub mod outline;
pub mod recent;

pub use kind::{Kind, Rest, Turn};

/// A failure and all that is known about it.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What kind of failure, which decides everything that is derived.
    pub kind: Kind,
    /// Boxed, so that a `Result` stays small on the path where nothing fails.
    details: Box<Details>,
}

#[derive(Clone, Debug)]
struct Details {
    problem: Cow<'static, str>,
    remedy: Cow<'static, str>,
    inward: Option<String>,
    rule: Option<String>,
    aadsts: Option<u32>,
    correlation_id: Option<String>,
    trace_id: Option<String>,
    claims: Option<ClaimsRequest>,
    retry_after: Option<Duration>,
    rest: Option<Rest>,
}

impl Fault {
    /// A failure with what is wrong and what to do about it, both fit for any local program's eyes.
    pub fn new(kind: Kind, problem: impl Into<Cow<'static, str>>, remedy: impl Into<Cow<'static, str>>) -> Self {
        let details = Details {
            problem: problem.into(),
            remedy: remedy.into(),
            inward: None,
            rule: None,
            aadsts: None,
            correlation_id: None,
            trace_id: None,
            claims: None,
            retry_after: None,
            rest: None,
        };
        Self { kind, details: Box::new(details) }
    }

    /// The same, said of what it happened to.
    #[must_use]
    pub fn about(mut self, what: &str) -> Self {
        self.details.problem = format!("{what}: {}", self.details.problem).into();
        self
    }

    /// Adds words for the log alone: an authority's description, the text of an I/O error.
    #[must_use]
    pub fn with_inward(mut self, text: impl Into<String>) -> Self {
        self.details.inward = Some(text.into());
        self
    }

    /// Adds the key of the configuration that decided, for the log alone: it tells names that a caller may not know.
    #[must_use]
    pub fn with_rule(mut self, key: impl Into<String>) -> Self {
        self.details.rule = Some(key.into());
        self
    }

    /// Adds Entra's error number.
    #[must_use]
    pub fn with_aadsts(mut self, number: Option<u32>) -> Self {
        self.details.aadsts = number;
        self
    }

    /// Adds the id under which the authority's own log knows the failure. It is dropped unless it is a
    /// GUID: an id is for looking things up, not a way for an authority to write into answers.
    #[must_use]
    pub fn with_correlation_id(mut self, id: Option<&str>) -> Self {
        self.details.correlation_id = id.filter(|id| is_guid(id)).map(str::to_owned);
        self
    }

    /// Adds the id of the one answer in the authority's own log, under the same rule.
    #[must_use]
    pub fn with_trace_id(mut self, id: Option<&str>) -> Self {
        self.details.trace_id = id.filter(|id| is_guid(id)).map(str::to_owned);
        self
    }

    /// Adds what the authority wants a further request to claim, for whoever can satisfy it.
    #[must_use]
    pub fn with_claims(mut self, claims: Option<ClaimsRequest>) -> Self {
        self.details.claims = claims;
        self
    }

    /// Lets this failure rest otherwise than others of its kind.
    #[must_use]
    pub const fn with_rest(mut self, rest: Option<Rest>) -> Self {
        self.details.rest = rest;
        self
    }

    /// Adds how long the authority wants to be left alone.
    #[must_use]
    pub fn with_retry_after(mut self, after: Option<Duration>) -> Self {
        self.details.retry_after = after;
        self
    }

    /// Who acts next.
    #[must_use]
    pub const fn turn(&self) -> Turn {
        self.kind.turn()
    }

    /// The HTTP status that says so.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.kind.status()
    }

    /// The OAuth error code; also the label in metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// The exit code of a command that fails with it (sysexits.h).
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        self.kind.exit_code()
    }

    /// What a log must say of it and an answer must not.
    #[must_use]
    pub fn inward(&self) -> Option<&str> {
        self.details.inward.as_deref()
    }

    /// The key of the configuration that decided, such as `callers.billing.rate`, where one did.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.details.rule.as_deref()
    }

    /// Entra's error number.
    #[must_use]
    pub const fn aadsts(&self) -> Option<u32> {
        self.details.aadsts
    }

    /// The id under which the authority's own log knows it.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.details.correlation_id.as_deref()
    }

    /// The id of the one answer in the authority's own log.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        self.details.trace_id.as_deref()
    }

    /// What the authority wants a further request to claim.
    #[must_use]
    pub const fn claims(&self) -> Option<&ClaimsRequest> {
        self.details.claims.as_ref()
    }

    /// How long to wait before the same is tried again, unless the authority says how long.
    #[must_use]
    pub fn rest(&self) -> Rest {
        self.details.rest.unwrap_or_else(|| self.kind.rest())
    }

    /// How long the authority wants to be left alone, as it said.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.details.retry_after
    }

    /// Whether one quick second try may help: the authority failed and did not ask for patience.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.kind == Kind::Unavailable && self.details.retry_after.is_none()
    }
}

/// The outward text: problem, number, ids, and the remedy for whoever's turn it is.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.details.problem)?;
        let number = self.details.aadsts.map(|number| format!("AADSTS{number}"));
        let correlation = self.correlation_id().map(|id| format!("correlation id {id}"));
        let trace = self.trace_id().map(|id| format!("trace id {id}"));
        let looked_up: Vec<String> = [number, correlation, trace].into_iter().flatten().collect();
        if !looked_up.is_empty() {
            write!(f, " ({})", looked_up.join(", "))?;
        }
        write!(f, ". {}: {}.", self.turn().address(), self.details.remedy)
    }
}

impl std::error::Error for Fault {}

/// A malformed name in a request is the caller's to mend.
impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Self::new(Kind::InvalidRequest, malformed.to_string(), "correct the request")
    }
}

/// Exit code: the configuration or the command line is wrong.
pub const EX_USAGE: u8 = 64;
/// Exit code: something needed is not available.
pub const EX_UNAVAILABLE: u8 = 69;
/// Exit code: a bug of ours.
pub const EX_SOFTWARE: u8 = 70;
/// Exit code: refused.
pub const EX_NOPERM: u8 = 77;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outward_text_has_number_id_and_remedy_but_not_the_description() {
        let id = "5d1b3ad0-2f5c-4b0e-8a4e-6ae1c8a8e0a1";
        let fault = Fault::new(Kind::RejectedCredential, "the authority rejected the credential", "renew the secret")
            .with_aadsts(Some(7_000_215))
            .with_correlation_id(Some(id))
            .with_inward("AADSTS7000215: Invalid client secret provided");
        assert_eq!(
            fault.to_string(),
            format!(
                "the authority rejected the credential (AADSTS7000215, correlation id {id}). For the operator: renew the secret."
            )
        );
        assert_eq!((fault.status(), fault.exit_code()), (403, EX_NOPERM));
        let traced = fault.with_trace_id(Some(id)).to_string();
        assert!(traced.contains(&format!("correlation id {id}, trace id {id}). For")), "{traced}");
    }

    #[test]
    fn an_id_that_is_no_guid_is_dropped() {
        let fault = Fault::new(Kind::Unavailable, "p", "r");
        let fault = fault.with_correlation_id(Some("<script>")).with_trace_id(Some("1"));
        assert_eq!((fault.correlation_id(), fault.trace_id()), (None, None));
    }

    #[test]
    fn only_an_impatient_outage_is_transient() {
        let outage = Fault::new(Kind::Unavailable, "p", "r");
        assert!(outage.is_transient());
        assert!(!outage.with_retry_after(Some(Duration::from_secs(3))).is_transient());
        assert!(!Fault::new(Kind::Throttled, "p", "r").is_transient());
    }
}
