//! What tells a failure of an authority, and what follows. The rows are in [`mod@table`].
//!
//! Of several rows that fit, the one with the strongest sign counts: what happened on the wire, then the
//! status of an outage or of throttling, then Entra's number, then the OAuth error code. Microsoft says that the
//! numbers may change (<https://learn.microsoft.com/entra/identity-platform/reference-error-codes>), so a
//! number that is not listed leaves the decision to what comes after it.

use std::fmt;

use crate::fault::{Fault, Kind, Rest};

pub mod table;

use table::{OTHERWISE, ROWS};

/// One way to fail. Turn, status, code, exit code and the quick retry follow from the kind.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name in the documentation and in tests.
    pub name: &'static str,
    /// Any of these tells it.
    pub signs: &'static [Sign],
    /// What kind of failure it is.
    pub kind: Kind,
    /// What is wrong, in words fit for any local program.
    pub problem: &'static str,
    /// What to do, for whoever's turn it is.
    pub remedy: &'static str,
    /// How long it rests, if otherwise than its kind.
    pub rest: Option<Rest>,
}

/// What tells a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// There is no answer, or none that is one.
    Event(Event),
    /// An HTTP status from the first to the last.
    Status(u16, u16),
    /// Entra's number.
    Number(u32),
    /// An HTTP status from 400 to 499 for the OpenID configuration.
    NoConfiguration,
    /// The OAuth error code.
    Error(&'static str),
    /// `claims` in the answer.
    Claims,
    /// An answer without an OAuth error code, which no authority gives.
    NoError,
    /// Anything else.
    Otherwise,
}

/// What happened on the way, where there is no answer to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The connection ended before the answer did.
    Broken,
    /// A deadline of ours passed.
    Late,
    /// Whether the host is an authority could not be found out.
    Unconfirmed,
    /// No connection was made.
    Unreachable,
    /// Nobody who is trusted signed the certificate that was shown.
    Untrusted,
    /// A success that holds no token, or a redirection.
    Unusable,
}

/// What an authority was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its OpenID configuration.
    Configuration,
    /// Whether a host is an authority.
    Instance,
    /// A token; the only step that shows a credential.
    Token,
}

/// What is known of an answer that is no success.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// What was asked for.
    pub step: Step,
    /// The HTTP status.
    pub status: u16,
    /// Entra's number.
    pub number: Option<u32>,
    /// The OAuth error code.
    pub error: Option<&'a str>,
    /// Whether it wants claims.
    pub claims: bool,
}

impl Row {
    /// The failure of this row.
    #[must_use]
    pub fn fault(&self) -> Fault {
        Fault::new(self.kind, self.problem, self.remedy).with_rest(self.rest)
    }

    fn is_told_by(&self, rank: usize, fits: impl Fn(&Sign) -> bool) -> bool {
        self.signs.iter().any(|sign| sign.rank() == rank && fits(sign))
    }
}

impl Sign {
    /// Its strength; zero is the strongest.
    const fn rank(&self) -> usize {
        match self {
            Self::Event(_) => 0,
            Self::Status(..) => 1,
            Self::Number(_) => 2,
            Self::NoConfiguration => 3,
            Self::Error(_) => 4,
            Self::Claims => 5,
            Self::NoError => 6,
            Self::Otherwise => 7,
        }
    }

    fn fits(&self, evidence: &Evidence<'_>) -> bool {
        match *self {
            Self::Event(_) => false,
            Self::Status(first, last) => (first..=last).contains(&evidence.status),
            Self::Number(number) => evidence.number == Some(number),
            // A proxy that wants to be paid attention to is no tenant that is missing.
            Self::NoConfiguration => {
                evidence.step == Step::Configuration && (400..500).contains(&evidence.status) && evidence.status != 407
            }
            Self::Error(error) => evidence.error == Some(error),
            Self::Claims => evidence.claims,
            Self::NoError => evidence.error.is_none(),
            Self::Otherwise => true,
        }
    }
}

/// As the documentation has it.
impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(Event::Broken) => f.write_str("the connection breaks"),
            Self::Event(Event::Late) => f.write_str("no answer within `timeout`"),
            Self::Event(Event::Unconfirmed) => f.write_str("instance discovery fails in passing"),
            Self::Event(Event::Unreachable) => f.write_str("no connection (DNS, TCP, TLS)"),
            Self::Event(Event::Untrusted) => f.write_str("a certificate that nobody who is trusted has signed"),
            Self::Event(Event::Unusable) => f.write_str("a success that is no JSON or no token, a redirection"),
            Self::Status(first, last) if first == last => write!(f, "HTTP {first}"),
            Self::Status(first, last) => write!(f, "HTTP {first} to {last}"),
            Self::Number(number) => write!(f, "AADSTS{number}"),
            Self::NoConfiguration => f.write_str("HTTP 4xx for the OpenID configuration"),
            Self::Error(error) => write!(f, "`{error}`"),
            Self::Claims => f.write_str("`claims` in the answer"),
            Self::NoError => f.write_str("an error without an OAuth code"),
            Self::Otherwise => f.write_str("anything else"),
        }
    }
}

/// The row of something that happened on the way.
#[must_use]
pub fn of_event(event: Event) -> &'static Row {
    find(|row, rank| row.is_told_by(rank, |sign| *sign == Sign::Event(event)))
}

/// The row of an answer. Where no credential was shown, none can have been rejected.
#[must_use]
pub fn of_answer(evidence: &Evidence<'_>) -> &'static Row {
    let may = |row: &Row| evidence.step == Step::Token || row.kind != Kind::RejectedCredential;
    find(|row, rank| may(row) && row.is_told_by(rank, |sign| sign.fits(evidence)))
}

fn find(fits: impl Fn(&Row, usize) -> bool) -> &'static Row {
    let ranks = 0..=Sign::Otherwise.rank();
    ranks.into_iter().find_map(|rank| ROWS.iter().find(|row| fits(row, rank))).unwrap_or(&OTHERWISE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Evidence<'_> =
        Evidence { step: Step::Token, status: 400, number: None, error: Some("new"), claims: false };

    fn name(evidence: Evidence<'_>) -> &'static str {
        of_answer(&evidence).name
    }

    #[test]
    fn a_name_and_a_sign_stand_once() {
        let mut names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        let mut signs: Vec<String> = ROWS.iter().flat_map(|row| row.signs).map(ToString::to_string).collect();
        let counts = (names.len(), signs.len());
        names.sort_unstable();
        names.dedup();
        signs.sort_unstable();
        signs.dedup();
        assert_eq!((names.len(), signs.len()), counts);
        assert!(ROWS.iter().all(|row| !row.signs.is_empty()));
    }

    #[test]
    fn the_stronger_sign_decides() {
        let secret = Some(7_000_215);
        for (evidence, row) in [
            (Evidence { status: 503, number: secret, ..PLAIN }, "down"),
            (Evidence { status: 429, number: secret, ..PLAIN }, "throttled"),
            (Evidence { number: secret, error: Some("invalid_scope"), ..PLAIN }, "secret-wrong"),
            (Evidence { number: Some(1), error: Some("invalid_scope"), ..PLAIN }, "scope-malformed"),
            (Evidence { error: Some("invalid_client"), claims: true, ..PLAIN }, "credential-rejected"),
            (Evidence { claims: true, ..PLAIN }, "interaction-required"),
            (Evidence { error: None, ..PLAIN }, "stranger"),
            (PLAIN, "refused"),
        ] {
            assert_eq!(name(evidence), row, "{evidence:?}");
        }
        assert_eq!(of_event(Event::Late).name, "late");
    }

    #[test]
    fn discovery_cannot_reject_a_credential() {
        let asked = |step| Evidence { step, status: 401, error: Some("invalid_client"), ..PLAIN };
        assert_eq!(name(asked(Step::Configuration)), "no-configuration");
        assert_eq!(name(Evidence { number: Some(7_000_215), ..asked(Step::Instance) }), "refused");
        assert_eq!(name(Evidence { number: Some(90_002), ..asked(Step::Configuration) }), "tenant-unknown");
        assert_eq!(name(Evidence { error: Some("invalid_instance"), ..asked(Step::Instance) }), "host-unknown");
        for status in [407, 503] {
            let fault = of_answer(&Evidence { status, error: None, ..asked(Step::Configuration) }).fault();
            assert!(fault.is_transient(), "{status}");
        }
    }
}
