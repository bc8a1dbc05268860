//! A failure that knows whose turn it is, whether and when to try again, and what to do.
//!
//! Status codes, error codes, log levels, metric labels and exit codes are derived from its kind, so
//! that they cannot contradict each other. It has two texts: `Display` is for any program that can
//! reach a listener; [`Fault::inward`] is for the log alone.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::name::Malformed;

/// Who acts next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The authority is slow, down or throttling; waiting helps.
    Authority,
    /// The program that asked.
    Caller,
    /// Whoever configured Bursar or the directory.
    Operator,
    /// Bursar itself: a bug.
    Us,
}

impl Turn {
    /// The word that logs and texts use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::Caller => "caller",
            Self::Operator => "operator",
            Self::Us => "bursar",
        }
    }

    /// How a remedy is addressed.
    const fn address(self) -> &'static str {
        match self {
            Self::Authority => "It is the authority's turn",
            Self::Caller => "For the caller",
            Self::Operator => "For the operator",
            Self::Us => "For Bursar's developers",
        }
    }
}

/// What went wrong, as far as anyone has to act differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The caller is not admitted to what it asked for.
    AccessDenied,
    /// A bug of ours.
    Internal,
    /// The ask is malformed, names something unknown, or the authority calls it invalid.
    InvalidRequest,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The directory or the configuration must change before this can work.
    Misconfigured,
    /// There is nothing at that path.
    NotFound,
    /// The authority does not accept the credential.
    RejectedCredential,
    /// The authority asks for patience.
    Throttled,
    /// The caller did not prove itself.
    Unauthenticated,
    /// The authority cannot be reached or does not answer properly.
    Unavailable,
    /// Something on this machine is in the way of starting.
    Unstartable,
    /// A credential cannot be applied, so that the authority never saw it.
    UnusableCredential,
}

/// One row per kind: turn, HTTP status, OAuth error code, exit code.
const fn row(kind: Kind) -> (Turn, u16, &'static str, u8) {
    match kind {
        Kind::AccessDenied => (Turn::Caller, 403, "access_denied", EX_NOPERM),
        Kind::Internal => (Turn::Us, 500, "server_error", EX_SOFTWARE),
        Kind::InvalidRequest => (Turn::Caller, 400, "invalid_request", EX_USAGE),
        Kind::MethodNotAllowed => (Turn::Caller, 405, "method_not_allowed", EX_USAGE),
        Kind::Misconfigured => (Turn::Operator, 403, "unauthorized_client", EX_NOPERM),
        Kind::NotFound => (Turn::Caller, 404, "not_found", EX_USAGE),
        Kind::RejectedCredential => (Turn::Operator, 403, "invalid_client", EX_NOPERM),
        Kind::Throttled => (Turn::Authority, 429, "too_many_requests", EX_UNAVAILABLE),
        Kind::Unauthenticated => (Turn::Caller, 401, "access_denied", EX_NOPERM),
        Kind::Unavailable => (Turn::Authority, 503, "service_unavailable", EX_UNAVAILABLE),
        Kind::Unstartable => (Turn::Operator, 503, "service_unavailable", EX_UNAVAILABLE),
        Kind::UnusableCredential => (Turn::Operator, 403, "invalid_client", EX_NOPERM),
    }
}

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
    aadsts: Option<u32>,
    correlation_id: Option<String>,
    retry_after: Option<Duration>,
}

impl Fault {
    /// A failure with what is wrong and what to do about it, both fit for any local program's eyes.
    pub fn new(kind: Kind, problem: impl Into<Cow<'static, str>>, remedy: impl Into<Cow<'static, str>>) -> Self {
        let details = Details {
            problem: problem.into(),
            remedy: remedy.into(),
            inward: None,
            aadsts: None,
            correlation_id: None,
            retry_after: None,
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
        self.details.correlation_id = id.filter(|id| crate::name::is_guid(id)).map(str::to_owned);
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
        row(self.kind).0
    }

    /// The HTTP status that says so.
    #[must_use]
    pub const fn status(&self) -> u16 {
        row(self.kind).1
    }

    /// The OAuth error code; also the label in metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        row(self.kind).2
    }

    /// The exit code of a command that fails with it (sysexits.h).
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        row(self.kind).3
    }

    /// What a log must say of it and an answer must not.
    #[must_use]
    pub fn inward(&self) -> Option<&str> {
        self.details.inward.as_deref()
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

/// The outward text: problem, number, id, and the remedy for whoever's turn it is.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.details.problem)?;
        match (self.details.aadsts, &self.details.correlation_id) {
            (Some(number), Some(id)) => write!(f, " (AADSTS{number}, correlation id {id})")?,
            (Some(number), None) => write!(f, " (AADSTS{number})")?,
            (None, Some(id)) => write!(f, " (correlation id {id})")?,
            (None, None) => {}
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
    }

    #[test]
    fn an_id_that_is_no_guid_is_dropped() {
        let fault = Fault::new(Kind::Unavailable, "p", "r").with_correlation_id(Some("<script>"));
        assert_eq!(fault.correlation_id(), None);
    }

    #[test]
    fn only_an_impatient_outage_is_transient() {
        let outage = Fault::new(Kind::Unavailable, "p", "r");
        assert!(outage.is_transient());
        assert!(!outage.with_retry_after(Some(Duration::from_secs(3))).is_transient());
        assert!(!Fault::new(Kind::Throttled, "p", "r").is_transient());
    }

    #[test]
    fn waiting_statuses_are_only_for_the_authority() {
        for kind in [
            Kind::AccessDenied,
            Kind::InvalidRequest,
            Kind::Misconfigured,
            Kind::RejectedCredential,
            Kind::Unauthenticated,
        ] {
            assert!((400..404).contains(&row(kind).1), "{kind:?}");
        }
    }
}
