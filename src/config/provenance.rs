//! Where a configuration came from, so that it can be read again while the process runs.
//!
//! Some of it holds until a restart. What is written there now is checked, and not taken.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::{Map, Value, ValueKind};

use super::file::{self, Written};
use super::key::Key;
use super::mistake::{Mistake, Mistakes, Report};
use super::{Config, KEYS, azure, spelling};
use crate::clock::Timestamp;
use crate::credential::sight::Sight;
use crate::token::Descent;
use crate::wire::System;

/// The file, or the variables, and what holds until a restart.
#[derive(Clone)]
pub struct Provenance(Arc<Parts>);

struct Parts {
    path: Option<PathBuf>,
    variables: HashMap<String, String>,
    /// Read once, however often the rest is.
    system: System,
    /// Of the tree that the process began with.
    settled: Vec<(Vec<&'static str>, Option<Value>)>,
    /// What the file looked like then.
    sight: Option<Sight>,
}

/// A configuration that was read again.
#[derive(Debug)]
pub struct Reread {
    /// What holds from now on.
    pub config: Config,
    /// What was written anew and waits for a restart: the paths of the keys.
    pub waiting: Vec<String>,
}

impl Reread {
    /// Why it cannot be taken in place of what has the rules `held`, if so. Under what holds until the restart, new
    /// rules would let somebody have what neither configuration gives. And where callers were told apart, a file that
    /// ends too early would let everybody in.
    #[must_use]
    pub fn obstacle(&self, held: Descent, told_apart: bool) -> Option<Mistake> {
        if told_apart && self.config.callers.is_empty() {
            return Some(Mistake {
                path: "callers".to_owned(),
                problem: "the section is gone, and without it everybody who reaches a listener would be let in"
                    .to_owned(),
                remedy: "put it back; or, if that is meant, restart the service".to_owned(),
            });
        }
        let decides = |key: &&String| !HARMLESS.iter().any(|harmless| key.starts_with(harmless));
        let deciding: Vec<&str> = self.waiting.iter().filter(decides).map(String::as_str).collect();
        (self.config.rules != held && !deciding.is_empty()).then(|| Mistake {
            path: deciding.join(", "),
            problem: "what decides who is let in waits for a restart, and so does what is written of who may have what"
                .to_owned(),
            remedy: "restart the service, or take back what waits: until then no other rules are taken".to_owned(),
        })
    }
}

/// The paths of what holds until a restart: listeners are bound, and the cache and logs made, once.
#[must_use]
pub(super) fn settled(keys: &[Key]) -> Vec<Vec<&'static str>> {
    let of = |key: &Key| {
        let below = || settled(key.keys).into_iter().map(|rest| [&[key.name][..], &rest].concat()).collect();
        if key.settled { vec![vec![key.name]] } else { below() }
    };
    keys.iter().flat_map(of).collect()
}

/// All that is written in a tree of who may have what.
#[must_use]
pub(super) fn rules(tree: &Map<String, Value>) -> Descent {
    let sections = ["tenants", "identities", "callers", "kubernetes"];
    let written: Vec<String> = sections
        .iter()
        .map(|section| tree.get(*section).map_or_else(String::new, |value| spelling::of(value, &[])))
        .collect();
    Descent::of(written.iter().map(String::as_bytes))
}

impl Provenance {
    /// That of what was read from the file at `path`, or from the variables alone.
    #[must_use]
    pub(super) fn of(path: Option<&Path>, written: &Written) -> Self {
        let held = |path: Vec<&'static str>| {
            let value = at(&written.tree, &path).cloned();
            (path, value)
        };
        let settled = settled(KEYS).into_iter().map(held).collect();
        let (path, variables) = (path.map(Path::to_owned), written.variables.clone());
        let system = written.system.clone();
        Self(Arc::new(Parts { path, variables, system, settled, sight: written.sight }))
    }

    /// The file, if it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// What the file looked like when the process began.
    #[must_use]
    pub fn sight(&self) -> Option<Sight> {
        self.0.sight
    }

    /// What it looks like now; none where there is none, or it cannot be read.
    #[must_use]
    pub fn look(&self) -> Option<Sight> {
        file::sight(self.path()?)
    }

    /// Reads all of it again, with the variables that the process began with, and gives what it comes to as long as
    /// what is settled stays as it is. What has expired `now` is a mistake.
    ///
    /// # Errors
    /// Every mistake at once, of what is written as it stands; or if there is none there, of what would hold until
    /// the restart that it needs.
    pub fn reread(&self, now: Timestamp) -> Result<Reread, Mistakes> {
        let report = Report::default();
        let Some(mut written) = self.written(&report) else { return Err(report.into()) };
        let config = Config::resolve(&written, report, now)?;
        let waiting = self.settle(&mut written.tree);
        if waiting.is_empty() {
            return Ok(Reread { config: Config { provenance: Some(self.clone()), ..config }, waiting });
        }
        let warnings = config.warnings;
        let config = Config::resolve(&written, Report::default(), now).map_err(|mistakes| unfit(mistakes, &waiting))?;
        Ok(Reread { config: Config { provenance: Some(self.clone()), warnings, ..config }, waiting })
    }

    fn written(&self, report: &Report) -> Option<Written> {
        let written = match &self.0.path {
            Some(path) => file::read(path, self.0.variables.clone(), report),
            None => azure::written(self.0.variables.clone(), report),
        };
        written.map(|written| Written { system: self.0.system.clone(), ..written })
    }

    /// Puts back what is settled, and says which keys were others.
    fn settle(&self, tree: &mut Map<String, Value>) -> Vec<String> {
        let mut waiting = BTreeSet::new();
        for (path, held) in &self.0.settled {
            differences(&path.join("."), held.as_ref(), at(tree, path), &mut waiting);
            put(tree, path, held.as_ref());
        }
        waiting.into_iter().collect()
    }
}

/// The variables hold secrets.
impl fmt::Debug for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provenance").field("path", &self.0.path).finish_non_exhaustive()
    }
}

/// What would have to hold together until the restart, and does not.
fn unfit(mistakes: Mistakes, waiting: &[String]) -> Mistakes {
    let told = |mistake: Mistake| {
        let problem = format!("what waits for a restart ({}) does not go with the rest", waiting.join(", "));
        Mistake { path: mistake.path, problem: format!("{problem}: {}", mistake.problem), remedy: RESTART.to_owned() }
    };
    Mistakes { mistakes: mistakes.mistakes.into_iter().map(told).collect(), warnings: mistakes.warnings }
}

fn at<'a>(tree: &'a Map<String, Value>, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let value = tree.get(*first)?;
    match (rest, &value.kind) {
        ([], _) => Some(value),
        (rest, ValueKind::Table(table)) => at(table, rest),
        _ => None,
    }
}

/// Sets what is at `path`, or removes it. A section that is not there is made for what has to be in it.
fn put(tree: &mut Map<String, Value>, path: &[&str], held: Option<&Value>) {
    match (path, held) {
        ([], _) => {}
        ([key], Some(value)) => drop(tree.insert((*key).to_owned(), value.clone())),
        ([key], None) => drop(tree.remove(*key)),
        ([key, rest @ ..], held) => {
            if held.is_none() && !tree.contains_key(*key) {
                return;
            }
            let section = tree.entry((*key).to_owned()).or_insert_with(|| Map::<String, Value>::new().into());
            if let ValueKind::Table(table) = &mut section.kind {
                put(table, rest, held);
            }
        }
    }
}

/// The paths of all keys at and below `path` in which the two differ.
fn differences(path: &str, one: Option<&Value>, other: Option<&Value>, found: &mut BTreeSet<String>) {
    let table = |value: Option<&Value>| match value.map(|value| &value.kind) {
        Some(ValueKind::Table(table)) => Some(table.clone()),
        None => Some(Map::new()),
        Some(_) => None,
    };
    match (table(one), table(other)) {
        _ if one.map(|one| spelling::of(one, &[])) == other.map(|other| spelling::of(other, &[])) => {}
        (Some(one), Some(other)) if !(one.is_empty() && other.is_empty()) => {
            for key in one.keys().chain(other.keys()).collect::<BTreeSet<_>>() {
                differences(&format!("{path}.{key}"), one.get(key), other.get(key), found);
            }
        }
        (Some(_), Some(_)) => {}
        _ => drop(found.insert(path.to_owned())),
    }
}

/// What of all that is settled decides nothing of who is let in.
const HARMLESS: [&str; 7] =
    ["cache.", "log.", "server.admin_listen", "server.drain", "server.tls.cert", "server.tls.key", "server.workers"];
const RESTART: &str = "restart the service, or take that back";

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Map<String, Value> {
        config::Format::parse(&config::FileFormat::Toml, None, text).unwrap()
    }

    fn settled(held: &str, new: &str) -> (Vec<String>, String) {
        let parse = |text: &str| {
            let (at, report) = ("test", Report::default());
            file::parse(at, text, config::FileFormat::Toml, PathBuf::new(), HashMap::new(), &report).unwrap()
        };
        let mut new = parse(new).tree;
        let waiting = Provenance::of(None, &parse(held)).settle(&mut new);
        (waiting, spelling::of(&new.into(), &[]))
    }

    #[test]
    fn what_is_settled_stays_and_what_differs_is_named() {
        let held = "[server]\nlisten = [\"a\"]\n[server.tls]\ncert = \"c\"\nkey = \"k\"\n[log]\nlevel = \"info\"";
        assert_eq!(settled(held, held).0, Vec::<String>::new());
        let (waiting, kept) = settled(
            held,
            "[server]\nlisten = [\"b\"]\ndrain = \"1s\"\n[server.tls]\ncert = \"d\"\nkey = \"k\"\n[log]\nlevel = \"warn\"\nformat = \"json\"\n[cache]\nentries = 1\ncaller_share = 1.0",
        );
        assert_eq!(waiting, ["cache.entries", "log.format", "server.drain", "server.listen", "server.tls.cert"]);
        let expected = tree(&format!("{held}\n[cache]\ncaller_share = 1.0").replace("info", "warn"));
        assert_eq!(kept, spelling::of(&expected.into(), &[]));
        assert_eq!(settled(held, "").0, ["server.listen", "server.tls.cert", "server.tls.key"]);
        assert_eq!(settled("", held).0, ["server.listen", "server.tls.cert", "server.tls.key"]);
        assert_eq!(settled("[server]", "").0, Vec::<String>::new(), "an empty section says nothing");
    }
}
