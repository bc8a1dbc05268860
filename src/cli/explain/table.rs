//! Cells as text: a table in which cells that differ in nothing that matters share a row.

use super::cell::{ANYONE, Cell, DEFAULT, OTHER, Verdict};

/// The table of verdicts, with what a reader has to know about it.
pub(super) fn of_verdicts(cells: &[Cell]) -> String {
    let rows = folded(cells, rest_of_verdicts);
    let reason = if let [only] = cells { only.reason } else { "" };
    written(&rows) + &legend(&rows, "whatever stands in no other row there", reason)
}

/// The table of what changes.
pub(super) fn of_changes(cells: &[Cell]) -> String {
    // What does not change is left out afterwards, so that no row can stand for what is in no other.
    let rows: Vec<Cell> = folded(cells, |_, _| None).into_iter().filter(|row| row.verdict != Verdict::Same).collect();
    if rows.is_empty() {
        return "nobody gains and nobody loses anything\n".to_owned();
    }
    written(&rows) + &legend(&rows, "whatever neither configuration names", "")
}

/// Which of several classes of rows is told last, as that of whatever is not told before.
type Rest = fn(&[Class], &Column) -> Option<usize>;

/// What is decided alike under several values of one column: its rows, once for each value.
type Class = Vec<Vec<Cell>>;

/// Rows for groups that are decided alike, caller by caller.
fn folded(cells: &[Cell], rest: Rest) -> Vec<Cell> {
    let callers = cells.chunk_by(|one, other| one.caller == other.caller);
    callers.flat_map(|group| fold(group, &COLUMNS[1..], rest)).collect()
}

/// Rows for cells that are alike in all columns before these.
fn fold(cells: &[Cell], columns: &[Column], rest: Rest) -> Vec<Cell> {
    let Some((column, further)) = columns.split_first() else { return cells.to_vec() };
    let mut classes: Vec<Class> = Vec::new();
    for group in cells.chunk_by(|one, other| (column.of)(one) == (column.of)(other)) {
        let rows = fold(group, further, rest);
        match classes.iter_mut().find(|class| is_alike(&class[0], &rows, column)) {
            Some(class) => class.push(rows),
            None => classes.push(vec![rows]),
        }
    }
    if let [only] = &mut classes[..]
        && only.len() > 1
    {
        return renamed(only.swap_remove(0), column, ALL);
    }
    let last = rest(&classes, column).map(|n| classes.remove(n));
    let last = last.map(|mut class| renamed(class.swap_remove(0), column, OTHER));
    classes.into_iter().flatten().flatten().chain(last.into_iter().flatten()).collect()
}

/// Whether both are decided alike, whatever stands in that column.
fn is_alike(one: &[Cell], other: &[Cell], except: &Column) -> bool {
    let further = || COLUMNS.iter().filter(|column| column.heading != except.heading);
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| {
            one.is_decided_as(other) && further().all(|column| (column.of)(one) == (column.of)(other))
        })
}

/// The class of what no configuration names, or else the largest one that is refused for several values.
fn rest_of_verdicts(classes: &[Class], column: &Column) -> Option<usize> {
    let is_other = |rows: &Vec<Cell>| (column.of)(&rows[0]) == OTHER;
    let is_refused = |class: &Class| class[0].iter().all(|row| row.verdict == Verdict::Refused);
    let other = classes.iter().position(|class| class.iter().any(is_other));
    let refused = || {
        let several = classes.iter().enumerate().filter(|(_, class)| class.len() > 1 && is_refused(class));
        several.max_by_key(|(_, class)| class.len()).map(|(n, _)| n)
    };
    other.or_else(refused)
}

fn renamed(mut rows: Vec<Cell>, column: &Column, name: &str) -> Vec<Cell> {
    rows.iter_mut().for_each(|row| name.clone_into((column.within)(row)));
    rows
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

/// What the words in the table mean, as far as they are there; and the reason, if there is one to tell.
fn legend(rows: &[Cell], other: &str, reason: &str) -> String {
    let has = |word: &str| rows.iter().any(|row| COLUMNS.iter().any(|column| (column.of)(row) == word));
    // No configuration admits a path that it does not list.
    let has_all_paths =
        rows.iter().any(|row| row.fmi_path == ALL && matches!(row.verdict, Verdict::Admitted | Verdict::Audited));
    let is_audited = rows.iter().any(|row| row.verdict == Verdict::Audited);
    let lines = [
        (has(ALL), format!("{ALL}: whatever is asked for there")),
        (has_all_paths, format!("{ALL} as FMI_PATH: every one that is written, and none; any other is refused")),
        (has(OTHER), format!("{OTHER}: {other}")),
        (has(DEFAULT), format!("{DEFAULT}: what is meant when the caller says nothing")),
        (has(ANYONE), format!("{ANYONE}: callers are not told apart; whoever passes a dialect's guard may ask")),
        (is_audited, "audited: the rule does not admit it, and the caller's mode is audit".to_owned()),
        (!reason.is_empty(), format!("The reason: {reason}.")),
    ];
    let used: String = lines.iter().filter(|(is_used, _)| *is_used).map(|(_, line)| format!("{line}\n")).collect();
    if used.is_empty() { used } else { format!("\n{used}") }
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
