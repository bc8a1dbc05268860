//! The kinds of failure, and what follows from each: one row, from which everything else is derived.

use std::time::Duration;

use super::{EX_NOPERM, EX_SOFTWARE, EX_UNAVAILABLE, EX_USAGE};

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
    pub(super) const fn address(self) -> &'static str {
        match self {
            Self::Authority => "It is the authority's turn",
            Self::Caller => "For the caller",
            Self::Operator => "For the operator",
            Self::Us => "For Bursar's developers",
        }
    }
}

/// What went wrong, as far as anyone has to act differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The caller is not admitted to what it asked for.
    AccessDenied,
    /// The caller has to show something first, and the answer tells what: no failure of anybody's.
    Challenged,
    /// A bug of ours.
    Internal,
    /// The ask is malformed, names something unknown, or the authority calls it invalid.
    InvalidRequest,
    /// A request of our own came back to us.
    Loop,
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
    /// The caller asks for more than its share; it has to slow down.
    TooMany,
    /// The caller did not prove itself.
    Unauthenticated,
    /// The ask points at an identity that is not there.
    UnknownIdentity,
    /// The authority cannot be reached or does not answer properly.
    Unavailable,
    /// Something on this machine is in the way of starting.
    Unstartable,
    /// A credential cannot be applied, so that the authority never saw it.
    UnusableCredential,
}

impl Kind {
    /// Who acts next.
    #[must_use]
    pub const fn turn(self) -> Turn {
        row(self).0
    }

    /// The HTTP status that says so.
    #[must_use]
    pub const fn status(self) -> u16 {
        row(self).1
    }

    /// The OAuth error code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        row(self).2
    }

    /// The exit code of a command.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        row(self).3
    }

    /// How long to wait before the same is tried again.
    #[must_use]
    pub const fn rest(self) -> Rest {
        row(self).4
    }
}

/// How long to wait before the same is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Longer after each failure in a row, from `first` to `most`.
    Doubling {
        /// After the first failure.
        first: Duration,
        /// At most.
        most: Duration,
    },
    /// Always that long.
    Fixed(Duration),
}

/// One row per kind: turn, HTTP status, OAuth error code, exit code, rest.
const fn row(kind: Kind) -> (Turn, u16, &'static str, u8, Rest) {
    match kind {
        Kind::AccessDenied => (Turn::Caller, 403, "access_denied", EX_NOPERM, MINUTE),
        Kind::Challenged => (Turn::Caller, 401, "challenged", EX_NOPERM, MINUTE),
        Kind::Internal => (Turn::Us, 500, "server_error", EX_SOFTWARE, PASSING),
        Kind::InvalidRequest => (Turn::Caller, 400, "invalid_request", EX_USAGE, MINUTE),
        Kind::Loop => (Turn::Operator, 508, "loop_detected", EX_USAGE, MINUTE),
        Kind::MethodNotAllowed => (Turn::Caller, 405, "method_not_allowed", EX_USAGE, MINUTE),
        Kind::Misconfigured => (Turn::Operator, 403, "unauthorized_client", EX_NOPERM, MINUTE),
        Kind::NotFound => (Turn::Caller, 404, "not_found", EX_USAGE, MINUTE),
        Kind::RejectedCredential => (Turn::Operator, 403, "invalid_client", EX_NOPERM, REJECTED),
        Kind::Throttled => (Turn::Authority, 429, "too_many_requests", EX_UNAVAILABLE, THROTTLED),
        Kind::TooMany => (Turn::Caller, 429, "too_many_requests", EX_UNAVAILABLE, MINUTE),
        Kind::Unauthenticated => (Turn::Caller, 401, "access_denied", EX_NOPERM, MINUTE),
        Kind::UnknownIdentity => (Turn::Caller, 400, "invalid_request", EX_USAGE, MINUTE),
        Kind::Unavailable => (Turn::Authority, 503, "service_unavailable", EX_UNAVAILABLE, PASSING),
        Kind::Unstartable => (Turn::Operator, 503, "service_unavailable", EX_UNAVAILABLE, MINUTE),
        Kind::UnusableCredential => (Turn::Operator, 403, "invalid_client", EX_NOPERM, MINUTE),
    }
}

const MINUTE: Rest = Rest::Fixed(Duration::from_mins(1));
const PASSING: Rest = Rest::Doubling { first: Duration::from_secs(1), most: Duration::from_mins(1) };
const REJECTED: Rest = Rest::Doubling { first: Duration::from_secs(10), most: Duration::from_mins(5) };
/// Without a word of the authority's own; MSAL takes the same.
const THROTTLED: Rest = Rest::Fixed(Duration::from_secs(5));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_statuses_are_only_for_the_authority() {
        for kind in [
            Kind::AccessDenied,
            Kind::InvalidRequest,
            Kind::Misconfigured,
            Kind::RejectedCredential,
            Kind::Unauthenticated,
        ] {
            assert!((400..404).contains(&kind.status()), "{kind:?}");
        }
    }
}
