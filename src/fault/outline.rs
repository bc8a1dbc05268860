//! What may be shown of a failure: our own words and the authority's numbers, and never what it said.

use std::borrow::Cow;

use super::{Fault, Kind, Turn};

/// A failure as it may stand on a page that anybody reads who reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// What kind of failure.
    pub kind: Kind,
    /// What is wrong.
    pub problem: Cow<'static, str>,
    /// What to do about it, for whoever's turn it is.
    pub remedy: Cow<'static, str>,
    /// Entra's error number.
    pub aadsts: Option<u32>,
    /// The id under which the authority's own log knows it, a GUID.
    pub correlation_id: Option<String>,
}

impl Outline {
    /// Who acts next.
    #[must_use]
    pub const fn turn(&self) -> Turn {
        self.kind.turn()
    }

    /// The OAuth error code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.kind.code()
    }
}

impl From<&Fault> for Outline {
    fn from(fault: &Fault) -> Self {
        let details = &fault.details;
        Self {
            kind: fault.kind,
            problem: details.problem.clone(),
            remedy: details.remedy.clone(),
            aadsts: details.aadsts,
            correlation_id: details.correlation_id.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_an_answer_says_and_nothing_that_is_for_the_log() {
        let fault = Fault::new(Kind::RejectedCredential, "the problem", "the remedy")
            .with_aadsts(Some(7_000_215))
            .with_correlation_id(Some("5d1b3ad0-2f5c-4b0e-8a4e-6ae1c8a8e0a1"))
            .with_inward("what the authority said")
            .with_rule("identities.payroll");
        let outline = Outline::from(&fault);
        assert_eq!(
            (outline.code(), outline.turn(), outline.aadsts),
            ("invalid_client", Turn::Operator, Some(7_000_215))
        );
        let shown = format!("{outline:?}");
        assert!(shown.contains("the problem") && shown.contains("the remedy") && shown.contains("5d1b3ad0"));
        assert!(!shown.contains("what the authority said") && !shown.contains("payroll"), "{shown}");
    }
}
