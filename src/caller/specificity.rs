//! How much a rule says of whom it means. Of all callers that fit, the one that is told most of is meant.

use super::glob::Glob;

/// The greater is the narrower: exact conditions count before patterns, more conditions before fewer, and a
/// pattern that fixes more of a name before one that fixes less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Specificity {
    exact: usize,
    patterns: usize,
    literals: usize,
}

impl Specificity {
    /// That of a rule with these conditions, as far as they are written.
    #[must_use]
    pub fn of<'a>(conditions: impl IntoIterator<Item = &'a Option<Glob>>) -> Self {
        conditions.into_iter().flatten().fold(Self::default(), |sum, glob| {
            if glob.is_exact() {
                Self { exact: sum.exact + 1, ..sum }
            } else {
                Self { patterns: sum.patterns + 1, literals: sum.literals + glob.literals(), ..sum }
            }
        })
    }

    /// The same with so many further conditions without patterns.
    #[must_use]
    pub const fn and_exact(self, conditions: usize) -> Self {
        Self { exact: self.exact + conditions, ..self }
    }
}
