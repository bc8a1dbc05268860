//! One cell of the matrix: who asks for what, and what becomes of it.

use serde::Serialize;

use crate::policy::{Admission, Refusal};

/// A cell, in the words that are printed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Cell {
    /// The caller's name, or [`ANYONE`].
    pub(super) caller: String,
    pub(super) identity: String,
    pub(super) tenant: String,
    pub(super) resource: String,
    /// Empty where none is asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) fmi_path: String,
    pub(super) verdict: Verdict,
    /// The key or section of the configuration that decides.
    pub(super) rule: String,
    /// Why the rule does not admit it; empty when it does.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) reason: &'static str,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// It is admitted.
    Admitted,
    /// It is admitted because the caller's rules are not enforced, against one of them.
    Audited,
    /// It was refused, and is admitted by the new configuration.
    Gains,
    /// It was admitted, and is refused by the new configuration.
    Loses,
    /// It is refused.
    Refused,
    /// It is as it was.
    Same,
}

impl Cell {
    /// Puts in what policy says.
    pub(super) fn judged(self, said: Result<Admission<'_>, Refusal>) -> Self {
        match said {
            Ok(admission) => {
                let rule = admission.rule();
                let (verdict, reason) = match admission.overruled() {
                    Some(overruled) => (Verdict::Audited, overruled.reason.problem()),
                    None => (Verdict::Admitted, ""),
                };
                Self { verdict, rule, reason, ..self }
            }
            Err(Refusal { reason, rule, .. }) => {
                Self { verdict: Verdict::Refused, rule, reason: reason.problem(), ..self }
            }
        }
    }

    /// Whether both are decided alike.
    pub(super) fn is_decided_as(&self, other: &Self) -> bool {
        self.verdict == other.verdict && self.rule == other.rule
    }
}

impl Verdict {
    pub(super) const fn is_admitted(self) -> bool {
        matches!(self, Self::Admitted | Self::Audited)
    }

    /// The word that is printed.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Audited => "audited",
            Self::Gains => "gains",
            Self::Loses => "loses",
            Self::Refused => "refused",
            Self::Same => "same",
        }
    }
}

/// Whoever passes a dialect's guard, where callers are not told apart.
pub(super) const ANYONE: &str = "anyone";
/// A tenant or resource that no configuration names.
pub(super) const OTHER: &str = "(other)";
/// What the default will be, or would have been.
pub(super) const DEFAULT: &str = "(default)";
