//! Cells as text: a table in which cells that differ in nothing that matters share a row.

use super::cell::{ANYONE, Cell, OTHER, Verdict};

/// The table of verdicts, with what a reader has to know about it.
pub(super) fn of_verdicts(cells: &[Cell]) -> String {
    let rows = folded(cells);
    let mut text = written(&rows) + &legend(&rows);
    if let [only] = cells
        && !only.reason.is_empty()
    {
        text += &format!("\n{}: {}\n", only.verdict.as_str(), only.reason);
    }
    text
}

/// The table of what changes.
pub(super) fn of_changes(cells: &[Cell]) -> String {
    let rows: Vec<Cell> = folded(cells).into_iter().filter(|row| row.verdict != Verdict::Same).collect();
    if rows.is_empty() {
        return "nobody gains and nobody loses anything\n".to_owned();
    }
    written(&rows) + &legend(&rows)
}

/// One row for each group of neighbours that are decided alike, caller by caller.
fn folded(cells: &[Cell]) -> Vec<Cell> {
    cells.chunk_by(|one, other| one.caller == other.caller).flat_map(|group| fold(group, &COLUMNS[1..])).collect()
}

/// Of a group that is alike in all columns before these, the rows.
fn fold(group: &[Cell], columns: &[Column]) -> Vec<Cell> {
    let ([first, rest @ ..], [column, further @ ..]) = (group, columns) else { return group.to_vec() };
    if rest.iter().all(|cell| cell.is_decided_as(first)) {
        let mut row = first.clone();
        for column in columns {
            if rest.iter().any(|cell| (column.of)(cell) != (column.of)(first)) {
                *(column.within)(&mut row) = ALL.to_owned();
            }
        }
        return vec![row];
    }
    let groups = group.chunk_by(|one, other| (column.of)(one) == (column.of)(other));
    groups.flat_map(|group| fold(group, further)).collect()
}

/// The rows under their headings, each column as wide as it needs to be.
fn written(rows: &[Cell]) -> String {
    let shown = COLUMNS.iter().filter(|column| rows.iter().any(|row| !(column.of)(row).is_empty()));
    let shown: Vec<&Column> = shown.collect();
    let heading = shown.iter().map(|column| column.heading).chain(["VERDICT", "RULE"]).collect();
    let mut lines: Vec<Vec<&str>> = vec![heading];
    for row in rows {
        let cells = shown.iter().map(|column| if (column.of)(row).is_empty() { NONE } else { (column.of)(row) });
        lines.push(cells.chain([row.verdict.as_str(), row.rule.as_str()]).collect());
    }
    let width = |n: usize| lines.iter().map(|line| line[n].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..shown.len() + 2).map(width).collect();
    let padded = |line: &Vec<&str>| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    lines.iter().map(padded).collect()
}

fn legend(rows: &[Cell]) -> String {
    let has = |word: &str| rows.iter().any(|row| COLUMNS.iter().any(|column| (column.of)(row) == word));
    let is = |verdict: Verdict| rows.iter().any(|row| row.verdict == verdict);
    [
        (has(ALL), "*: whatever is asked for there"),
        (has(OTHER), "(other): one that no configuration names"),
        (has(ANYONE), "anyone: callers are not told apart, and whoever passes a dialect's guard may ask"),
        (is(Verdict::Audited), "audited: admitted since the caller's mode is audit; its rule does not admit it"),
    ]
    .iter()
    .filter(|(is_used, _)| *is_used)
    .map(|(_, line)| format!("{line}\n"))
    .fold(String::new(), |text, line| if text.is_empty() { format!("\n{line}") } else { text + &line })
}

/// A column of names, in the order in which cells come.
struct Column {
    heading: &'static str,
    of: fn(&Cell) -> &str,
    within: fn(&mut Cell) -> &mut String,
}

const COLUMNS: [Column; 5] = [
    Column { heading: "CALLER", of: |cell| &cell.caller, within: |cell| &mut cell.caller },
    Column { heading: "IDENTITY", of: |cell| &cell.identity, within: |cell| &mut cell.identity },
    Column { heading: "TENANT", of: |cell| &cell.tenant, within: |cell| &mut cell.tenant },
    Column { heading: "RESOURCE", of: |cell| &cell.resource, within: |cell| &mut cell.resource },
    Column { heading: "FMI_PATH", of: |cell| &cell.fmi_path, within: |cell| &mut cell.fmi_path },
];
/// Several are meant.
const ALL: &str = "*";
/// None is asked for.
const NONE: &str = "-";
