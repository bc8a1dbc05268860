//! Reads the keys of one section, each exactly once; what is left over was a mistake.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;
use config::{Map, Value, ValueKind};

use super::key::Key;
use super::mistake::Report;
use crate::caller::share::Share;
use crate::name::Malformed;

mod inline;

/// A table of the tree, with the path that leads to it.
pub struct Section<'a> {
    path: String,
    keys: Map<String, Value>,
    declared: &'static [Key],
    known: Vec<&'static str>,
    report: &'a Report,
}

impl<'a> Section<'a> {
    /// The section at `path`, of which those keys may be read that are `declared`; the root has an empty path.
    #[must_use]
    pub const fn new(path: String, keys: Map<String, Value>, declared: &'static [Key], report: &'a Report) -> Self {
        Self { path, keys, declared, known: Vec::new(), report }
    }

    /// The whole path of `key`; an empty one means the section itself.
    #[must_use]
    pub fn path(&self, key: &str) -> String {
        match (self.path.as_str(), key) {
            ("", key) => key.to_owned(),
            (path, "") => path.to_owned(),
            (path, key) => format!("{path}.{key}"),
        }
    }

    /// Notes that there is nothing at `key`, unless something worse was told of it already.
    pub fn note_none(&self, key: &str, problem: &str, remedy: &str) {
        if !self.is_mistaken(key) {
            self.note(key, problem, remedy);
        }
    }

    /// Whether a mistake was noted at `key`, or in the list that is there.
    #[must_use]
    pub fn is_mistaken(&self, key: &str) -> bool {
        self.report.has(&self.path(key))
    }

    /// Notes a mistake at `key`.
    pub fn note(&self, key: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.report.note(self.path(key), problem, remedy);
    }

    /// Notes what may be meant at `key`, and rarely is.
    pub fn warn(&self, key: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.report.warn(self.path(key), problem, remedy);
    }

    /// What is written at `key`, which stays to be read; nothing where there is nothing.
    #[must_use]
    pub fn written(&self, key: &str) -> Value {
        self.keys.get(key).cloned().unwrap_or_else(|| ValueKind::Nil.into())
    }

    /// All that is written in it and was not read yet.
    #[must_use]
    pub fn rest(&self) -> Value {
        self.keys.clone().into()
    }

    /// Whether `key` was written.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// Whether `key` was written, with nothing in it.
    #[must_use]
    pub fn is_empty(&self, key: &str) -> bool {
        self.keys.get(key).is_some_and(|value| matches!(&value.kind, ValueKind::Table(table) if table.is_empty()))
    }

    /// The text of `key`, which stays to be read.
    #[must_use]
    pub fn peek(&self, key: &str) -> Option<String> {
        text(self.keys.get(key)?.clone()).ok()
    }

    /// Takes `key` out, so that nothing more is told of it.
    pub fn leave_out(&mut self, key: &str) {
        self.keys.remove(key);
    }

    /// The value of `key`, if it is written and well-formed, and else what is declared to be meant, if that is one.
    pub fn optional<T, E: Display>(&mut self, key: &str, read: impl Fn(Value) -> Result<T, E>) -> Option<T> {
        debug_assert!(self.declared(key).is_some(), "{key} is read, and not declared at {:?}", self.path);
        let declared = self.declared(key)?;
        self.known.push(declared.name);
        let written = self.keys.remove(key).map(&read).transpose();
        let written = written.map_err(|malformed| self.note(key, malformed.to_string(), REMEDY)).ok().flatten();
        written.or_else(|| read(declared.default.value()?).ok())
    }

    /// The same of a key of which it is declared what is meant when it is not written.
    #[expect(clippy::expect_used, reason = "what is declared is fixed, and read whenever nothing else is written")]
    pub fn or<T, E: Display>(&mut self, key: &str, read: impl Fn(Value) -> Result<T, E>) -> T {
        self.optional(key, read).expect("a value is declared, and is well-formed")
    }

    /// The value of `key`, which must be written; `remedy` says with what.
    pub fn required<T>(&mut self, key: &str, remedy: &str, read: impl Fn(Value) -> Result<T, Malformed>) -> Option<T> {
        if !self.has(key) {
            self.note(key, "the key is missing", remedy);
        }
        self.optional(key, read)
    }

    /// What each text in the list under `key` means, or in the one that is meant when it is not written. One that
    /// means nothing is told of with its place in the list and `remedy`, and left out.
    pub fn items<T>(&mut self, key: &str, remedy: &str, read: impl FnMut(&str) -> Result<T, Malformed>) -> Vec<T> {
        let items = self.or(key, list);
        self.each(key, items, remedy, read)
    }

    /// The same of a list that has to have something in it, and to be there if `missing` says what to write; nothing
    /// where none is meant.
    pub fn some_items<T>(
        &mut self,
        key: &str,
        missing: Option<&str>,
        remedy: &str,
        read: impl FnMut(&str) -> Result<T, Malformed>,
    ) -> Option<Vec<T>> {
        let listed = match missing {
            Some(missing) => self.required(key, missing, list)?,
            None => self.optional(key, list)?,
        };
        let items = self.each(key, listed, remedy, read);
        if items.is_empty() {
            self.note_none(key, "the list is empty", missing.unwrap_or(remedy));
        }
        Some(items)
    }

    /// The section under `key`; an empty one when it is not written.
    pub fn section(&mut self, key: &str) -> Self {
        let keys = self.or(key, plain_table);
        Self::new(self.path(key), keys, self.below(key), self.report)
    }

    /// The section under `key`, which must be written; `remedy` says with what.
    pub fn required_section(&mut self, key: &str, remedy: &str) -> Option<Self> {
        let value = self.required(key, remedy, Ok)?;
        let keys = plain_table(value).map_err(|malformed| self.note(key, malformed.to_string(), remedy));
        Some(Self::new(self.path(key), keys.ok()?, self.below(key), self.report))
    }

    /// The values under `key` by their names, in alphabetical order.
    pub fn table(&mut self, key: &str) -> Vec<(String, Value)> {
        let mut named: Vec<(String, Value)> = self.or(key, plain_table).into_iter().collect();
        named.sort_by(|(a, _), (b, _)| a.cmp(b));
        named
    }

    /// The sections under `key` by their names, in alphabetical order; none for what is no table.
    pub fn sections(&mut self, key: &str) -> Vec<(String, Option<Self>)> {
        let named = self.table(key);
        let (path, below) = (self.path(key), self.below(key));
        let section = |(name, value): (String, Value)| {
            let path = format!("{path}.{name}");
            let keys = plain_table(value).map_err(|malformed| self.report.note(&path, malformed.to_string(), REMEDY));
            (name, keys.ok().map(|keys| Self::new(path, keys, below, self.report)))
        };
        named.into_iter().map(section).collect()
    }

    /// Notes every key that nobody asked for.
    pub fn end(self) {
        let mut left: Vec<&String> = self.keys.keys().collect();
        left.sort();
        for key in left {
            if self.is_inline_secret(key) {
                self.note_inline(key);
                continue;
            }
            let near = self.known.iter().find(|known| strsim::damerau_levenshtein(known, key) <= 2);
            let remedy = match near {
                Some(near) => format!("did you mean '{near}'?"),
                None if self.known.is_empty() => "remove it".to_owned(),
                None => format!("remove it, or use one of {}", self.known.join(", ")),
            };
            self.note(key, "the key is unknown", remedy.trim_end_matches('?'));
        }
    }

    /// What each text of a list means.
    fn each<T>(
        &self,
        key: &str,
        items: Vec<Value>,
        remedy: &str,
        mut read: impl FnMut(&str) -> Result<T, Malformed>,
    ) -> Vec<T> {
        let item = |(n, value): (usize, Value)| {
            let read = text(value).and_then(|text| read(&text));
            read.map_err(|malformed| self.note(&format!("{key}[{n}]"), malformed.to_string(), remedy)).ok()
        };
        items.into_iter().enumerate().filter_map(item).collect()
    }

    /// What is declared of `key`.
    fn declared(&self, key: &str) -> Option<&'static Key> {
        self.declared.iter().find(|declared| declared.name == key)
    }

    /// The keys of the section, or of the sections, under `key`.
    fn below(&self, key: &str) -> &'static [Key] {
        self.declared(key).map_or(&[], |declared| declared.keys)
    }
}

/// Text.
///
/// # Errors
/// Anything else.
pub fn text(value: Value) -> Result<String, Malformed> {
    match value.kind {
        ValueKind::String(text) if !text.is_empty() => Ok(text),
        ValueKind::String(_) => Err(Malformed("the text must not be empty")),
        _ => Err(Malformed("this must be text in quotes")),
    }
}

/// Text that `parse` understands.
///
/// # Errors
/// No text, or what `parse` says.
pub fn parsed<T>(parse: impl Fn(&str) -> Result<T, Malformed>) -> impl Fn(Value) -> Result<T, Malformed> {
    move |value| parse(&text(value)?)
}

/// A list; a single text is a list too, with commas between, as variables write it.
fn list(value: Value) -> Result<Vec<Value>, Malformed> {
    match value.kind {
        ValueKind::Array(items) => Ok(items),
        ValueKind::String(list) => {
            Ok(list.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect())
        }
        _ => Err(Malformed("this must be a list of texts such as [\"one\", \"two\"]")),
    }
}

/// `true` or `false`.
///
/// # Errors
/// Anything else.
pub fn flag(value: Value) -> Result<bool, Malformed> {
    match value.kind {
        ValueKind::Boolean(flag) => Ok(flag),
        ValueKind::String(text) if text == "true" => Ok(true),
        ValueKind::String(text) if text == "false" => Ok(false),
        _ => Err(Malformed("this must be true or false")),
    }
}

/// A whole number that fits `range`.
///
/// # Errors
/// Anything else.
pub fn count(range: std::ops::RangeInclusive<u32>) -> impl Fn(Value) -> Result<u32, String> {
    move |value| {
        let number = match value.kind {
            ValueKind::I64(number) => u32::try_from(number).ok(),
            ValueKind::U64(number) => u32::try_from(number).ok(),
            ValueKind::String(text) => text.parse().ok(),
            _ => None,
        };
        let problem = || format!("this must be a whole number from {} to {}", range.start(), range.end());
        number.filter(|number| range.contains(number)).ok_or_else(problem)
    }
}

/// A duration such as `30s`, `5m` or `1h 30m`, of at least `least`.
///
/// # Errors
/// Anything else.
pub fn duration(least: Duration) -> impl Fn(Value) -> Result<Duration, String> {
    move |value| {
        let span: Option<jiff::SignedDuration> = text(value).ok().and_then(|text| text.parse().ok());
        let span = span.and_then(|span| Duration::try_from(span).ok()).filter(|span| (least..=LONGEST).contains(span));
        let named = |end| jiff::SignedDuration::try_from(end).map_or_else(|_| String::new(), |end| format!("{end:#}"));
        span.ok_or_else(|| {
            format!("this must be a duration such as \"5s\" or \"2m\", from {} to {}", named(least), named(LONGEST))
        })
    }
}

/// A size such as `256MiB`.
///
/// # Errors
/// Anything else.
pub fn size(value: Value) -> Result<u64, Malformed> {
    let size: Option<ByteSize> = text(value).ok().and_then(|text| text.parse().ok());
    size.map(|size| size.as_u64())
        .filter(|size| *size >= 1 << 20)
        .ok_or(Malformed("this must be a size such as \"256MiB\", of at least 1MiB"))
}

/// A part of one, such as `0.25`.
///
/// # Errors
/// Anything else, also nothing and more than all.
pub fn share(value: Value) -> Result<Share, Malformed> {
    let part = match value.kind {
        ValueKind::Float(part) => Some(part),
        ValueKind::I64(1) | ValueKind::U64(1) => Some(1.0),
        ValueKind::String(text) => text.parse().ok(),
        _ => None,
    };
    part.ok_or(Malformed("this must be a part of one such as 0.25")).and_then(Share::parse)
}

/// An address and a port.
///
/// # Errors
/// Anything else, also the forms that later versions may serve.
pub fn address(text: &str) -> Result<SocketAddr, Malformed> {
    text.parse().map_err(|_| Malformed("an address is an IP and a port, such as 127.0.0.1:4141 or [::1]:4141"))
}

fn plain_table(value: Value) -> Result<Map<String, Value>, Malformed> {
    value.into_table().map_err(|_| Malformed("this must be a table"))
}

const REMEDY: &str = "correct the value";
const LONGEST: Duration = Duration::from_hours(24);
