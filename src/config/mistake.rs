//! What is wrong with a configuration, said so that it can be mended: path, problem, remedy.

use std::cell::RefCell;
use std::fmt;

/// One mistake. No part of it ever repeats a value, since the value may be a secret in the wrong place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The key, such as `tenants.contoso.id`, or the variable.
    pub path: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}. {}.", self.path, self.problem, capital(&self.remedy))
    }
}

/// All mistakes of one configuration, and what else is odd about it.
#[derive(Debug)]
pub struct Mistakes {
    /// What has to be mended.
    pub mistakes: Vec<Mistake>,
    /// What may be meant, and rarely is.
    pub warnings: Vec<Mistake>,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.mistakes {
            writeln!(f, "{mistake}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        Ok(())
    }
}

impl From<Report> for Mistakes {
    fn from(report: Report) -> Self {
        Self { mistakes: report.mistakes.into_inner(), warnings: report.warnings.into_inner() }
    }
}

impl std::error::Error for Mistakes {}

/// Collects mistakes while a configuration is read, so that all are told at once; and beside them warnings,
/// which keep nothing from starting.
#[derive(Debug, Default)]
pub struct Report {
    mistakes: RefCell<Vec<Mistake>>,
    warnings: RefCell<Vec<Mistake>>,
}

impl Report {
    /// Notes a mistake.
    pub fn note(&self, path: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) {
        self.mistakes.borrow_mut().push(Mistake { path: path.into(), problem: problem.into(), remedy: remedy.into() });
    }

    /// Notes what may be meant, and rarely is.
    pub fn warn(&self, path: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) {
        self.warnings.borrow_mut().push(Mistake { path: path.into(), problem: problem.into(), remedy: remedy.into() });
    }

    /// Whether a mistake was noted at `path`, or in the list that is there.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        let is_of = |rest: &str| rest.is_empty() || rest.starts_with('[');
        self.mistakes.borrow().iter().any(|mistake| mistake.path.strip_prefix(path).is_some_and(is_of))
    }

    /// All mistakes that were noted.
    #[must_use]
    pub fn into_mistakes(self) -> Vec<Mistake> {
        self.mistakes.into_inner()
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
