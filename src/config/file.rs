//! What was written: a file in TOML, YAML or JSON, with `BURSAR__SECTION__KEY` variables laid over it.

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use config::{FileFormat, Format, Map, Value, ValueKind};

use super::mistake::{Mistake, Report};
use super::syntax;
use super::unique::Unique;
use crate::credential::file;
use crate::credential::sight::Sight;
use crate::wire::System;

/// The tree of a configuration, before anything in it is believed. No `Debug`: the variables hold secrets.
pub struct Written {
    /// Its sections.
    pub tree: Map<String, Value>,
    /// Where relative paths in it start.
    pub base: PathBuf,
    /// The variables of the process, which it may refer to.
    pub variables: HashMap<String, String>,
    /// What of it came from variables.
    pub from_variables: Vec<FromVariable>,
    /// Whom the system trusts, by the variables.
    pub system: System,
    /// What the file looked like, if it was one.
    pub sight: Option<Sight>,
}

/// A part of the tree that came from a variable, under whose name its mistakes are told.
#[derive(Debug)]
pub struct FromVariable {
    path: String,
    variable: String,
}

impl FromVariable {
    /// What lies at `path` came from `variable`.
    pub fn new(path: impl Into<String>, variable: impl Into<String>) -> Self {
        Self { path: path.into(), variable: variable.into() }
    }

    /// The variable's name for `path`, with the place in the list that it holds; none for what came from
    /// elsewhere.
    fn name(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix(&self.path)?;
        match rest.split_once(']') {
            Some((place, _)) if place.starts_with('[') => Some(format!("{}{place}]", self.variable)),
            _ if rest.is_empty() || rest.starts_with('.') => Some(self.variable.clone()),
            _ => None,
        }
    }
}

impl Written {
    /// Tells mistakes by the names of the variables that they come from, each variable's own mistake alone.
    #[must_use]
    pub fn by_variable(&self, mistakes: Vec<Mistake>) -> Vec<Mistake> {
        let mut told: Vec<Mistake> = Vec::new();
        for mistake in mistakes {
            match self.from_variables.iter().find_map(|part| part.name(&mistake.path)) {
                Some(variable) if told.iter().any(|other| other.path == variable) => {}
                Some(variable) => told.push(Mistake { path: variable, ..mistake }),
                None => told.push(mistake),
            }
        }
        told
    }
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
        report.note(&at, "the format is unknown", format!("end the name in {ENDINGS}"));
    }
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    let written = parse(&at, text, format?, base, variables, report)?;
    Some(Written { sight: Some(Sight::of(&[Some(&bytes)])), ..written })
}

/// What the file at `path` looks like; none when it cannot be read.
pub fn sight(path: &Path) -> Option<Sight> {
    file::read(path, MAX_FILE).ok().map(|bytes| Sight::of(&[Some(&bytes)]))
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
    let unparsable = |error: Box<dyn Error + Send + Sync>| {
        let (name, words) = (name_of(format), syntax::told(&error.to_string()));
        let remedy = format!("correct the syntax, or end the file's name in what its format is: {ENDINGS}");
        report.note(at, format!("the text cannot be parsed as {name}{words}"), remedy);
    };
    // The format alone: a `Config` would take keys with dots and brackets for paths into the tree.
    let parsed = Format::parse(&format, None, text).and_then(|tree| match format {
        FileFormat::Json => Ok(serde_json::from_str::<Unique>(text).map(|_| tree)?),
        _ => Ok(tree),
    });
    let mut tree = parsed.map_err(unparsable).ok()?;
    let from_variables = overlay(&mut tree, &variables, report);
    let system = System::of(&variables);
    Some(Written { tree, base, variables, from_variables, system, sight: None })
}

/// Lays the overriding variables over `tree`, and says which those are.
fn overlay(tree: &mut Map<String, Value>, variables: &HashMap<String, String>, report: &Report) -> Vec<FromVariable> {
    let mut from_variables = Vec::new();
    let mut sorted: Vec<(&String, &String)> = variables.iter().collect();
    sorted.sort();
    for (variable, value) in sorted {
        if !variable.starts_with(PREFIX) {
            warn_of_slip(variable, report);
            continue;
        }
        let Some((section, key)) = plain_key(variable) else {
            let remedy = "unset it, or write BURSAR__SECTION__KEY with a section of server, freshness, cache or log; tenants and identities are written in the file only";
            report.note(variable, "the variable overrides no key", remedy);
            continue;
        };
        from_variables.push(FromVariable::new(format!("{section}.{key}"), variable));
        // A section that is no table is told about when it is read.
        let section = tree.entry(section).or_insert_with(|| Map::<String, Value>::new().into());
        if let ValueKind::Table(keys) = &mut section.kind {
            let value = if key == "header_secret" { files(value) } else { value.as_str().into() };
            keys.insert(key, value);
        }
    }
    from_variables
}

/// A variable may name the files that header secrets lie in; never does it hold a secret.
fn files(paths: &str) -> Value {
    let paths = paths.split(',').map(str::trim).filter(|path| !path.is_empty());
    let named = paths.map(|path| Value::from(Map::from([("file".to_owned(), Value::from(path))])));
    named.collect::<Vec<_>>().into()
}

/// `BURSAR_SERVER_LISTEN` overrides nothing, and looks as if it did. What Kubernetes tells of a Service called
/// bursar or bursar-server looks alike: `BURSAR_PORT_4141_TCP`, `BURSAR_SERVER_SERVICE_HOST`.
fn warn_of_slip(variable: &str, report: &Report) {
    let Some((section, key)) = variable.strip_prefix("BURSAR_").and_then(|rest| rest.split_once('_')) else { return };
    let key = key.trim_start_matches('_');
    let of_kubernetes = ["PORT", "SERVICE_"].iter().any(|word| key.contains(word));
    if SECTIONS.contains(&section.to_ascii_lowercase().as_str()) && !key.is_empty() && !of_kubernetes {
        let remedy = format!("write {PREFIX}{section}__{key} if it was meant to override a key");
        report.warn(variable, "the variable is ignored, since the underscores in it are single", remedy);
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

const fn name_of(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Json => "JSON",
        FileFormat::Yaml => "YAML",
        _ => "TOML",
    }
}

const ENDINGS: &str = ".toml, .yaml, .yml or .json";
const PREFIX: &str = "BURSAR__";
/// The sections whose keys variables can override.
const SECTIONS: [&str; 4] = ["server", "freshness", "cache", "log"];
const MAX_FILE: u64 = 4 << 20;
