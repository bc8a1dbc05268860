//! What was written: a file in TOML, YAML or JSON, with `BURSAR__SECTION__KEY` variables laid over it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat, Map, Value};

use super::mistake::Report;

/// The tree of a configuration, before anything in it is believed.
#[derive(Debug)]
pub struct Written {
    /// Its sections.
    pub tree: Map<String, Value>,
    /// Where relative paths in it start.
    pub base: PathBuf,
    /// The variables of the process, which it may refer to.
    pub variables: HashMap<String, String>,
}

/// Reads the file at `path`.
pub fn read(path: &Path, variables: HashMap<String, String>, report: &Report) -> Written {
    let at = path.display().to_string();
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| {
        report.note(&at, format!("the file cannot be read: {error}"), "name a file that exists and is readable");
        String::new()
    });
    let format = format_of(path).unwrap_or_else(|| {
        report.note(&at, "the format is unknown", "end the name in .toml, .yaml, .yml or .json");
        FileFormat::Toml
    });
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    parse(&at, &text, format, base, variables, report)
}

/// Reads `text` as if it came from a file called `at`.
pub fn parse(
    at: &str,
    text: &str,
    format: FileFormat,
    base: PathBuf,
    variables: HashMap<String, String>,
    report: &Report,
) -> Written {
    let file = Config::builder().add_source(File::from_str(text, format)).build();
    let tree = file.map(|file| file.cache.into_table().unwrap_or_default()).unwrap_or_else(|error| {
        // Only the position: the parsers quote the line, and the line may hold a secret.
        report.note(at, format!("the text cannot be parsed{}", position(&error.to_string())), "correct the syntax");
        Map::new()
    });
    let tree = overlay(tree, &variables, report);
    Written { tree, base, variables }
}

/// Lays the overriding variables over `tree`.
pub fn overlay(
    mut tree: Map<String, Value>,
    variables: &HashMap<String, String>,
    report: &Report,
) -> Map<String, Value> {
    let ours = variables.iter().filter(|(name, _)| name.starts_with(PREFIX) && is_plain(name, report));
    let ours = ours.map(|(name, value)| (name.clone(), value.clone())).collect();
    let environment = Environment::with_prefix("BURSAR").prefix_separator("__").separator("__").source(Some(ours));
    // Invariant: strings from a map always build; an empty tree is what an error would mean.
    let laid = Config::builder().add_source(environment).build().and_then(|laid| laid.cache.into_table());
    for (section, keys) in laid.unwrap_or_default() {
        let mut merged = tree.get(&section).cloned().and_then(|value| value.into_table().ok()).unwrap_or_default();
        merged.extend(keys.into_table().unwrap_or_default());
        tree.insert(section, merged.into());
    }
    tree
}

/// Whether a variable names a key of a plain section; what lies in a map by name is for the file.
fn is_plain(variable: &str, report: &Report) -> bool {
    let lower = variable.to_ascii_lowercase();
    let parts: Vec<&str> = lower.split("__").collect();
    if let ["bursar", section, key] = parts[..]
        && SECTIONS.contains(&section)
        && !key.is_empty()
    {
        return true;
    }
    let remedy = "unset it, or write BURSAR__SECTION__KEY with a section of server, freshness, cache or log; tenants and identities are written in the file only";
    report.note(variable, "the variable overrides no key", remedy);
    false
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
