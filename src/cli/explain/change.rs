//! What a new configuration gives and takes.

use super::cell::{Cell, Verdict};
use super::matrix::Matrix;
use super::rules::Rules;

/// Every cell, of which those are [`Verdict::Same`] that are admitted by both configurations or by neither; the
/// rule and the reason are those of the new one.
///
/// An identity is known by its client id and a directory by its own id, whatever their names are: what counts is
/// which token is paid out. Where a configuration tells no callers apart, every caller is anyone there.
pub(super) fn between(old: &Rules, new: &Rules, matrix: Matrix) -> Vec<Cell> {
    let matrix = matrix.of_both(old, new);
    let compared = matrix.questions().map(|question| {
        let (before, after) = (question.cell_of_directory(old), question.cell_of_directory(new));
        match (before.verdict.is_admitted(), after.verdict.is_admitted()) {
            (false, true) => Cell { verdict: Verdict::Gains, ..after },
            (true, false) => Cell { verdict: Verdict::Loses, ..after },
            _ => Cell { verdict: Verdict::Same, rule: String::new(), reason: "", ..after },
        }
    });
    compared.collect()
}
