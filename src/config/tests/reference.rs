//! The page tells what is declared, and what is declared is what is read.

use std::collections::BTreeSet;

use config::{Map, Value, ValueKind};

use super::super::key::Unwritten;
use super::super::provenance::settled;
use super::*;
use crate::dialect::table::DIALECTS;

/// A configuration in which callers are told apart, with what has no place where they are not.
const APART: &str = r#"
[server]
listen = ["https://127.0.0.1:0"]
proofs = ["mtls", "service-account"]
[server.tls]
cert = "app.pem"
key = "app.key"
client_ca = "app.pem"
[tenants.contoso]
id = "contoso.com"
region = "westeurope"
[identities.payroll]
tenants = ["contoso"]
client_id = "11111111-2222-3333-4444-555555555555"
resources = ["*"]
credentials = [
  { kind = "secret", env = "SECRET" },
  { kind = "certificate", file = "app.pem", key = "app.key", passphrase = { file = "jwks.json" } },
  { kind = "assertion", url = "https://sts.corp/token", bearer = { file = "jwks.json" } },
  { kind = "managed-identity", object_id = "x" },
  { kind = "managed-identity", resource_id = "x" },
]
[callers.mesh]
proof = { kind = "mtls", dns_name = "a.corp" }
identities = ["*"]
resources = ["*"]
[callers.pods]
proof = { kind = "service-account", namespace = "pay" }
identities = ["*"]
resources = ["*"]
[kubernetes]
issuer = "https://kubernetes.default.svc"
audience = ["api://bursar"]
jwks_file = "jwks.json"
[log]
audit = "stdout"
"#;

#[test]
fn the_page_is_what_is_declared() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let made = made(&page);
    if std::env::var_os("UPDATE").is_some() {
        return std::fs::write(&path, &made).unwrap();
    }
    let differ = page.lines().zip(made.lines()).find(|(one, other)| one != other);
    if let Some((stands, belongs)) = differ {
        panic!("docs/configuration.md has\n{stands}\nand src/config declares\n{belongs}\n{COMMAND} writes it there");
    }
    assert_eq!(page, made, "docs/configuration.md ends otherwise; {COMMAND} writes it");
}

#[test]
fn every_section_is_on_the_page() {
    let told: usize = tables().iter().flat_map(|(paths, _)| paths).map(|path| rows("", below(path)).len()).sum();
    assert_eq!(told, rows("", KEYS).len());
    assert!(PAGE.contains(RELOADS) && PAGE.contains(RESTARTS));
}

#[test]
fn each_section_of_the_page_says_whether_it_reloads() {
    for (paths, prose) in tables() {
        let [path] = paths[..] else { continue };
        let section = path.split('.').next().unwrap();
        let waits = settled(KEYS).contains(&vec![section]);
        assert!(prose.starts_with(if waits { "Needs a restart" } else { "Reloads" }), "{path}");
    }
}

#[test]
fn every_key_without_a_row_is_shown_in_its_section() {
    let (introduction, _) = PAGE.split_once("\n## ").unwrap();
    for (paths, text) in tables() {
        for name in paths.iter().flat_map(|path| shown(below(path))) {
            let is_in = |text: &str| text.contains(&format!("{name} = ")) || text.contains(&format!("`{name}`"));
            assert!(is_in(text) || is_in(introduction), "{name} in {paths:?}");
        }
    }
}

#[test]
fn every_key_that_is_declared_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["app".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let jwks = r#"{"keys":[{"kty":"RSA","kid":"one","n":"AQAB","e":"AQAB"}]}"#;
    for (name, text) in
        [("app.pem", &*params.self_signed(&key).unwrap().pem()), ("app.key", &key.serialize_pem()), ("jwks.json", jwks)]
    {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    assert_eq!(told(read_in(directory.path(), APART, &[])), [""; 0]);
    // The others are read without a mistake where they stand.
    let trees = [EVERY_KEY, callers::EVERY_CALLER, APART].map(|text| {
        let tree: Map<String, Value> = config::Format::parse(&FileFormat::Toml, None, text).unwrap();
        Value::from(tree)
    });
    assert_eq!(unwritten("", KEYS, &trees.iter().collect::<Vec<_>>()), [""; 0]);
}

#[test]
fn what_is_required_is_missed() {
    let sections = "[tenants.NAME]\n[identities.NAME]\n[callers.NAME]\n[kubernetes]";
    let mut missed: Vec<String> = told(read(sections))
        .iter()
        .filter_map(|told| Some(told.strip_suffix(": the key is missing")?.to_owned()))
        .collect();
    let required = |path: &str| {
        let keys = below(path).iter().filter(|key| matches!(key.default, Unwritten::Said("required")));
        keys.map(|key| format!("{path}.{}", key.name)).collect::<Vec<_>>()
    };
    let mut declared: Vec<String> =
        ["identities.NAME", "callers.NAME", "kubernetes"].into_iter().flat_map(required).collect();
    missed.sort();
    declared.sort();
    assert_eq!(missed, declared);
}

#[test]
fn the_dialects_that_are_said_to_be_served_are() {
    let declared = below("server").iter().find(|key| key.name == "dialects").unwrap();
    let Unwritten::Said(words) = declared.default else { panic!("which of them are depends on a secret") };
    let served = DIALECTS.iter().filter(|dialect| dialect.is_default).map(|dialect| format!("`{}`", dialect.name));
    assert_eq!(served.collect::<BTreeSet<_>>(), words.split(", ").map(str::to_owned).collect());
}

/// The page with its tables of keys, and what it says of reading them again, made anew.
fn made(page: &str) -> String {
    let (mut made, mut paths) = (Vec::new(), Vec::new());
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("## ") {
            paths = sections(line);
        }
        made.push(match line {
            line if line.ends_with(RELOADS) => format!("| {}{RELOADS}", ticked(&reloading())),
            line if line.ends_with(RESTARTS) => format!("| {}{RESTARTS}", ticked(&restarting())),
            line => line.to_owned(),
        });
        if line == HEAD {
            while lines.next_if(|line| line.starts_with('|')).is_some() {}
            made.push("|---|---|---|".to_owned());
            // What stands in one table with others has its section before it.
            let prefix = |path: &str| if paths.len() > 1 { format!("{path}.") } else { String::new() };
            made.extend(paths.iter().flat_map(|path| rows(&prefix(path), below(path))));
        }
    }
    made.join("\n") + "\n"
}

/// The parts of the page that have a table of keys: the sections that they are about, and what stands there.
fn tables() -> Vec<(Vec<&'static str>, &'static str)> {
    let parts = PAGE.split("\n## ").filter(|part| part.contains(HEAD));
    parts.filter_map(|part| part.split_once("\n\n")).map(|(heading, text)| (sections(heading), text)).collect()
}

/// The sections that a heading names.
fn sections(heading: &str) -> Vec<&str> {
    heading.split('`').filter_map(|word| word.strip_prefix('[')?.strip_suffix(']')).collect()
}

/// The keys of the section at `path`, or of any that lies there by its name.
fn below(path: &str) -> &'static [Key] {
    let below = |keys: &'static [Key], name| keys.iter().find(|key| key.name == name).map_or(&[][..], |key| key.keys);
    path.split('.').filter(|part| *part != "NAME").fold(KEYS, below)
}

fn rows(prefix: &str, keys: &[Key]) -> Vec<String> {
    let of = |key: &Key| {
        let path = format!("{prefix}{}", key.name);
        let default = match key.default {
            Unwritten::Said(words) => words.to_owned(),
            Unwritten::Text(text) => format!("`{text:?}`"),
            Unwritten::Value(value) => format!("`{value}`"),
        };
        match key.meaning {
            "" => rows(&format!("{path}."), key.keys),
            meaning => vec![format!("| `{path}` | {default} | {meaning} |")],
        }
    };
    keys.iter().flat_map(of).collect()
}

/// What is in no row of a table.
fn shown(keys: &[Key]) -> Vec<&'static str> {
    let here = keys.iter().filter(|key| key.meaning.is_empty() && key.keys.is_empty()).map(|key| key.name);
    here.chain(keys.iter().flat_map(|key| shown(key.keys))).collect()
}

/// What is taken when the file changes: sections, and keys of those of which a part has to wait.
fn reloading() -> Vec<String> {
    let of = |key: &Key| match settled(key.keys)[..] {
        _ if key.settled => Vec::new(),
        [] => vec![key.name.to_owned()],
        _ => key.keys.iter().filter(|one| !one.settled).map(|one| format!("{}.{}", key.name, one.name)).collect(),
    };
    KEYS.iter().flat_map(of).collect()
}

fn restarting() -> Vec<String> {
    settled(KEYS).iter().map(|path| path.join(".")).collect()
}

fn ticked(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// The keys that stand in none of the `values`, each of which is a section, or holds some by their names or in a list.
fn unwritten(prefix: &str, keys: &[Key], values: &[&Value]) -> Vec<String> {
    let of = |key: &Key| {
        let found: Vec<&Value> = values.iter().flat_map(|value| found(value, key.name)).collect();
        let path = format!("{prefix}{}", key.name);
        if found.is_empty() { vec![path] } else { unwritten(&format!("{path}."), key.keys, &found) }
    };
    keys.iter().flat_map(of).collect()
}

fn found<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
    let here = |value: &'a Value| if let ValueKind::Table(table) = &value.kind { table.get(name) } else { None };
    match &value.kind {
        ValueKind::Array(items) => items.iter().filter_map(here).collect(),
        ValueKind::Table(named) => {
            here(value).map_or_else(|| named.values().filter_map(here).collect(), |one| vec![one])
        }
        _ => Vec::new(),
    }
}

const PAGE: &str = include_str!("../../../docs/configuration.md");
const HEAD: &str = "| key | default | meaning |";
const RELOADS: &str = " | when the configuration file changes, and on SIGHUP |";
const RESTARTS: &str = ", all variables | at a restart |";
const COMMAND: &str = "`UPDATE=1 cargo test --lib reference`";
