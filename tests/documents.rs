//! What the pages under docs/ say of the code is true where a program can tell.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

#[test]
fn the_security_model_names_tests_that_are_there() {
    let page = fs::read_to_string("docs/security.md").unwrap();
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(|word| is_source(word)).collect();
    assert!(named.len() > 60, "the page is read wrongly: {named:?}");
    for name in named {
        assert_eq!(of(name), Ok(()), "{name}");
    }
}

#[test]
fn a_file_alone_shows_nothing() {
    for (name, problem) in [
        ("tests/documents.rs", "no test in it is named"),
        ("tests/nowhere.rs::a_file_alone_shows_nothing", "there is no such file"),
        ("tests/documents.rs::a_file_alone", "there is no such test"),
        ("tests/documents.rs::is_source", "there is no such test"),
    ] {
        assert_eq!(of(name), Err(problem), "{name}");
    }
}

/// Whether it names a test that is there.
fn of(name: &str) -> Result<(), &'static str> {
    let (file, test) = name.split_once("::").ok_or("no test in it is named")?;
    let text = fs::read_to_string(file).map_err(|_| "there is no such file")?;
    let head = format!("fn {test}(");
    let before = |(at, _)| text[..at].trim_end_matches("async ").trim_end();
    // Behind the attribute may stand others, each on a line of its own.
    let is_test = |head: &str| {
        let attributes = head.lines().rev().take_while(|line| line.trim_start().starts_with("#["));
        attributes.map(str::trim).any(|line| line == "#[test]" || line.starts_with("#[tokio::test"))
    };
    if text.match_indices(&head).map(before).any(is_test) { Ok(()) } else { Err("there is no such test") }
}

/// `src/a/b.rs::name`, or a file.
fn is_source(word: &str) -> bool {
    (word.starts_with("tests/") || word.starts_with("src/")) && word.contains(".rs")
}

#[test]
fn the_operators_page_has_every_line_of_the_log_with_its_fields() {
    let mut written: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for call in sources().iter().flat_map(|text| calls(text)) {
        // What the configuration warns of is no line of its own.
        if call.message.starts_with('{') {
            continue;
        }
        let (levels, fields) = written.entry(call.message).or_default();
        levels.insert(call.level);
        fields.extend(call.fields);
    }
    assert!(written.len() > 40, "the sources are read wrongly: {written:?}");
    let words = |cell: &str| cell.split(", ").filter(|word| !word.is_empty()).map(str::to_owned).collect();
    let told = rows("line").into_iter().map(|row| (row[0].clone(), (words(&row[1]), words(&row[2])))).collect();
    same(&written, &told);
}

#[test]
fn the_operators_page_has_every_metric() {
    let quoted = |text: &String| text.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let is_metric =
        |word: &String| word.starts_with("bursar_") && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let written = sources().iter().flat_map(quoted).filter(is_metric).collect();
    same::<BTreeSet<String>>(&written, &named("metric"));
}

#[test]
fn the_operators_page_has_every_alert() {
    let alerts = fs::read_to_string("charts/bursar/files/alerts.yaml").unwrap();
    let name = |line: &str| Some(line.trim().strip_prefix("- alert: ")?.to_owned());
    same::<BTreeSet<String>>(&alerts.lines().filter_map(name).collect(), &named("alert"));
}

#[test]
fn a_call_is_read_to_its_end() {
    let source =
        "tracing::warn!(%a.b, c = ?f(\"x, (\"), d, \"it's so (1, 2)\"); tracing::debug!(\"no\"); tracing::info!(\"i\")";
    let read: Vec<_> = calls(source).into_iter().map(|call| (call.level, call.fields, call.message)).collect();
    let fields = ["a.b", "c", "d"].map(str::to_owned).to_vec();
    let expected =
        [("warn".to_owned(), fields, "it's so (1, 2)".to_owned()), ("info".to_owned(), vec![], "i".to_owned())];
    assert_eq!(read, expected);
}

/// A line of the log, where it is written.
struct Call {
    level: String,
    fields: Vec<String>,
    message: String,
}

/// The calls at info and above in a source; what is an argument of one is told by quotes and brackets.
fn calls(source: &str) -> Vec<Call> {
    source.split("tracing::").skip(1).filter_map(call).collect()
}

fn call(rest: &str) -> Option<Call> {
    let (level, rest) = rest.split_once("!(").filter(|(level, _)| ["info", "warn", "error"].contains(level))?;
    let mut parts = arguments(rest);
    let message = parts.pop()?.trim_matches('"').to_owned();
    let name = |part: &String| {
        let name = part.split('=').next().unwrap_or(part);
        name.trim().trim_start_matches(['%', '?']).to_owned()
    };
    Some(Call { level: level.to_owned(), fields: parts.iter().map(name).collect(), message })
}

/// What stands between the commas, up to the bracket that closes the call.
fn arguments(rest: &str) -> Vec<String> {
    let (mut parts, mut depth, mut is_quoted) = (vec![String::new()], 0_u32, false);
    for c in rest.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            '(' | '[' | '{' if !is_quoted => depth += 1,
            ')' | ']' | '}' if !is_quoted && depth == 0 => break,
            ')' | ']' | '}' if !is_quoted => depth -= 1,
            ',' if !is_quoted && depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(c);
    }
    parts.iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// Every source file, without its tests.
fn sources() -> Vec<String> {
    let mut directories = vec![PathBuf::from("src")];
    let mut texts = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if !path.ends_with("tests.rs") {
                let text = fs::read_to_string(path).unwrap();
                texts.push(text.split("#[cfg(test)]\nmod ").next().unwrap().to_owned());
            }
        }
    }
    texts
}

/// The rows of the operator's table whose first column is called so, without the marks of code.
fn rows(head: &str) -> Vec<Vec<String>> {
    let page = fs::read_to_string("docs/operating.md").unwrap();
    let table = page.lines().skip_while(|line| !line.starts_with(&format!("| {head} |"))).skip(2);
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
    table.take_while(|line| line.starts_with('|')).map(cells).collect()
}

/// What the first column of that table names, a few in one row at times.
fn named(head: &str) -> BTreeSet<String> {
    rows(head).iter().flat_map(|row| row[0].split(", ")).map(str::to_owned).collect()
}

/// Fails where the page and the program tell different things, with what differs.
fn same<T: IntoIterator<Item: Ord + std::fmt::Debug> + Clone>(written: &T, told: &T) {
    let gathered = |all: &T| all.clone().into_iter().collect::<BTreeSet<_>>();
    let (written, told) = (gathered(written), gathered(told));
    let (lacks, has): (Vec<_>, Vec<_>) = (written.difference(&told).collect(), told.difference(&written).collect());
    assert!(lacks.is_empty() && has.is_empty(), "docs/operating.md lacks {lacks:#?}\nand has {has:#?}");
}
