//! Where secrets are named in a configuration, and what is told when one stands there itself.

use std::convert::Infallible;

use config::{Value, ValueKind};

use super::Section;
use crate::config::key::Key;

impl Section<'_> {
    /// The section under `key`, if it is written: one that names a secret, which must not stand there itself.
    pub fn naming(&mut self, key: &str) -> Option<Self> {
        let value = self.unless_inline(key)?;
        self.named(key, value, self.below(key))
    }

    /// The section that `value` is: what stands at `key` and names a secret, by keys that are `declared`.
    fn named(&self, key: &str, value: Value, declared: &'static [Key]) -> Option<Self> {
        if is_inline(&value) {
            self.note_inline(key);
            return None;
        }
        let keys = value.into_table().map_err(|_| self.note(key, "this must be a table", MOVE_HINT)).ok()?;
        Some(Self::new(self.path(key), keys, declared, self.report))
    }

    /// The value of `key`, which is or holds tables that name secrets, unless it is a secret itself.
    fn unless_inline(&mut self, key: &str) -> Option<Value> {
        let value = self.optional(key, Ok::<_, Infallible>)?;
        let inline = matches!(value.kind, ValueKind::String(_));
        if inline {
            self.note_inline(key);
        }
        (!inline).then_some(value)
    }

    /// The sections in the list under `key`, each of which names a secret.
    pub fn list(&mut self, key: &str) -> Vec<Self> {
        let Some(value) = self.unless_inline(key) else { return Vec::new() };
        let ValueKind::Array(items) = value.kind else {
            self.note(key, "this must be a list", format!("write {}", shape(key)));
            return Vec::new();
        };
        let named = |(n, value)| self.named(&format!("{key}[{n}]"), value, self.below(key));
        items.into_iter().enumerate().filter_map(named).collect()
    }

    /// Whether `key`, which does not exist, is called like something that holds a secret, and does.
    pub(super) fn is_inline_secret(&self, key: &str) -> bool {
        NAMES.iter().any(|word| key.contains(word)) && self.keys.get(key).is_some_and(is_inline)
    }

    /// Notes that a secret stands at `key`, where it must not.
    pub(super) fn note_inline(&self, key: &str) {
        self.note(key, INLINE, format!("{MOVE} {}; if it was committed anywhere, renew it", shape(key)));
    }
}

/// Whether text stands where a table that names a secret belongs: it is most likely the secret.
fn is_inline(value: &Value) -> bool {
    match &value.kind {
        ValueKind::Array(items) => items.iter().any(is_inline),
        ValueKind::String(_) => true,
        _ => false,
    }
}

/// How what stands at `key` is to be written.
fn shape(key: &str) -> &'static str {
    match key {
        "bearer" | "passphrase" => "{ file = \"...\" }",
        _ if key.starts_with("header_secret[") || key.starts_with("secrets[") => "{ file = \"...\" }",
        "secret" => "file = \"...\"",
        "secrets" => "secrets = [{ file = \"...\" }]",
        _ if key.contains("header") => "header_secret = [{ file = \"...\" }]",
        _ if key.starts_with("credentials[") => "{ kind = \"secret\", file = \"...\" }",
        _ => "credentials = [{ kind = \"secret\", file = \"...\" }]",
    }
}

const NAMES: [&str; 5] = ["secret", "password", "passphrase", "private_key", "assertion"];
const INLINE: &str = "a secret must not stand in the configuration";
const MOVE: &str = "move it into a file that only this process can read, and name that with";
const MOVE_HINT: &str = "name a file with { file = \"...\" }";
