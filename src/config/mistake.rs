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

/// All mistakes of one configuration.
#[derive(Debug)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.0 {
            writeln!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Collects mistakes while a configuration is read, so that all are told at once.
#[derive(Debug, Default)]
pub struct Report(RefCell<Vec<Mistake>>);

impl Report {
    /// Notes a mistake.
    pub fn note(&self, path: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) {
        self.0.borrow_mut().push(Mistake { path: path.into(), problem: problem.into(), remedy: remedy.into() });
    }

    /// Whether something was noted at `path`.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.0.borrow().iter().any(|mistake| mistake.path == path)
    }

    /// All that was noted.
    #[must_use]
    pub fn into_mistakes(self) -> Vec<Mistake> {
        self.0.into_inner()
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
