//! What was written: a file in TOML, YAML or JSON, with `BURSAR__SECTION__KEY` variables laid over it.

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use config::{FileFormat, Format, Map, Value, ValueKind};

use super::mistake::Report;
use crate::credential::file;

/// The tree of a configuration, before anything in it is believed. No `Debug`: the variables hold secrets.
pub struct Written {
    /// Its sections.
    pub tree: Map<String, Value>,
    /// Where relative paths in it start.
    pub base: PathBuf,
    /// The variables of the process, which it may refer to.
    pub variables: HashMap<String, String>,
}

/// Reads the file at `path`; none when that cannot be done.
pub fn read(path: &Path, variables: HashMap<String, String>, report: &Report) -> Option<Written> {
    let at = path.display().to_string();
    let unreadable = |error: std::io::Error| {
        report.note(&at, format!("the file cannot be read: {error}"), "name a file that exists and is readable");
    };
    let bytes = file::read(path, MAX_FILE).map_err(unreadable).ok()?;
    let no_text = |_| report.note(&at, "the file is no UTF-8 text", "save it as UTF-8");
    let text = std::str::from_utf8(&bytes).map_err(no_text).ok()?;
    let format = format_of(path);
    if format.is_none() {
        report.note(&at, "the format is unknown", "end the name in .toml, .yaml, .yml or .json");
    }
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    parse(&at, text, format?, base, variables, report)
}

/// Reads `text` as if it came from a file called `at`; none when it cannot be parsed.
pub fn parse(
    at: &str,
    text: &str,
    format: FileFormat,
    base: PathBuf,
    variables: HashMap<String, String>,
    report: &Report,
) -> Option<Written> {
    // Only the position: the parsers quote the line, and the line may hold a secret.
    let unparsable = |error: Box<dyn Error + Send + Sync>| {
        report.note(at, format!("the text cannot be parsed{}", position(&error.to_string())), "correct the syntax");
    };
    // The format alone: a `Config` would take keys with dots and brackets for paths into the tree.
    let mut tree = Format::parse(&format, None, text).map_err(unparsable).ok()?;
    overlay(&mut tree, &variables, report);
    Some(Written { tree, base, variables })
}

/// Lays the overriding variables over `tree`.
fn overlay(tree: &mut Map<String, Value>, variables: &HashMap<String, String>, report: &Report) {
    for (variable, value) in variables.iter().filter(|(variable, _)| variable.starts_with(PREFIX)) {
        let Some((section, key)) = plain_key(variable) else {
            let remedy = "unset it, or write BURSAR__SECTION__KEY with a section of server, freshness, cache or log; tenants and identities are written in the file only";
            report.note(variable, "the variable overrides no key", remedy);
            continue;
        };
        // A section that is no table is told about when it is read.
        let section = tree.entry(section).or_insert_with(|| Map::<String, Value>::new().into());
        if let ValueKind::Table(keys) = &mut section.kind {
            keys.insert(key, value.as_str().into());
        }
    }
}

/// The section and key that a variable names; what lies in a map by name is for the file.
fn plain_key(variable: &str) -> Option<(String, String)> {
    let (section, key) = variable.strip_prefix(PREFIX)?.split_once("__")?;
    let (section, key) = (section.to_ascii_lowercase(), key.to_ascii_lowercase());
    let plain = !key.is_empty() && !key.contains("__") && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    (plain && SECTIONS.contains(&section.as_str())).then_some((section, key))
}

fn format_of(path: &Path) -> Option<FileFormat> {
    match path.extension()?.to_str()? {
        "toml" => Some(FileFormat::Toml),
        "yaml" | "yml" => Some(FileFormat::Yaml),
        "json" => Some(FileFormat::Json),
        _ => None,
    }
}

/// ` at line 3, column 7`, as far as a parser's words tell.
fn position(words: &str) -> String {
    let number_after = |word: &str| {
        let digits = &words[words.find(word)? + word.len()..];
        let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
        (!digits.is_empty()).then_some(digits)
    };
    match (number_after("line "), number_after("column ")) {
        (Some(line), Some(column)) => format!(" at line {line}, column {column}"),
        (Some(line), None) => format!(" at line {line}"),
        _ => String::new(),
    }
}

const PREFIX: &str = "BURSAR__";
/// The sections whose keys variables can override.
const SECTIONS: [&str; 4] = ["server", "freshness", "cache", "log"];
const MAX_FILE: u64 = 4 << 20;
