//! Whether targets are met, and what the whole run came to.

use std::process::ExitCode;

/// What a figure has to be.
#[derive(Clone, Copy)]
pub(super) enum Limit {
    AtLeast(f64),
    AtMost(f64),
    Exactly(f64),
}

/// A figure beside its target.
struct Verdict {
    what: String,
    figure: f64,
    limit: Limit,
    /// By how much a figure may be past its limit without meaning anything.
    noise: f64,
}

/// Every verdict of a run.
#[derive(Default)]
pub(super) struct Report(Vec<Verdict>);

impl Report {
    /// Judges a figure, prints what comes of it, and keeps it for the end.
    pub(super) fn judge(&mut self, what: impl Into<String>, figure: f64, limit: Limit, noise: f64) {
        let verdict = Verdict { what: what.into(), figure, limit, noise };
        println!("{verdict}");
        self.0.push(verdict);
    }

    /// Prints all of it. A target that is missed by more than noise makes the run fail.
    pub(super) fn finish(&self) -> ExitCode {
        println!("\nsummary");
        self.0.iter().for_each(|verdict| println!("{verdict}"));
        if self.0.iter().any(|verdict| verdict.excess() > verdict.noise) {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}

impl Verdict {
    /// How far it is past its limit; nothing or less when the target is met.
    fn excess(&self) -> f64 {
        match self.limit {
            Limit::AtLeast(limit) => limit - self.figure,
            Limit::AtMost(limit) => self.figure - limit,
            Limit::Exactly(limit) => (self.figure - limit).abs(),
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let limit = match self.limit {
            Limit::AtLeast(limit) => format!(">= {limit}"),
            Limit::AtMost(limit) => format!("<= {limit}"),
            Limit::Exactly(limit) => format!("= {limit}"),
        };
        let excess = self.excess();
        let outcome = if excess <= 0.0 {
            "met"
        } else if excess <= self.noise {
            "missed, within noise"
        } else {
            "missed"
        };
        write!(f, "  {:<58} {:>10.3} {limit:>10}  noise {:.3}  {outcome}", self.what, self.figure, self.noise)
    }
}
