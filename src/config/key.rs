//! What may be written in a configuration: each key once, with what holds without it and what it means.
//!
//! A section is read by its declaration: a key that is not declared is not there, and a default is read as if it had
//! been written. The tables of docs/configuration.md are made of the same, so that no page can tell anything else.

use config::{FileFormat, Format, Value};

/// A key of a section, or a section itself.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// How it is written.
    pub name: &'static str,
    /// What holds where it is not.
    pub default: Unwritten,
    /// What it means, in the words of the page; nothing where an example there shows it instead.
    pub meaning: &'static str,
    /// The keys of the section or of the sections that lie there.
    pub keys: &'static [Self],
    /// Whether it holds until a restart, with all that lies in it.
    pub settled: bool,
}

/// What holds where a key is not written.
#[derive(Clone, Copy, Debug)]
pub enum Unwritten {
    /// What no value would say, in the words of the page.
    Said(&'static str),
    /// This text.
    Text(&'static str),
    /// This value, as TOML writes it.
    Value(&'static str),
}

impl Key {
    const fn new(name: &'static str, default: Unwritten, meaning: &'static str) -> Self {
        Self { name, default, meaning, keys: &[], settled: false }
    }

    /// A key without which nothing holds.
    #[must_use]
    pub const fn optional(name: &'static str, meaning: &'static str) -> Self {
        Self::said(name, "none", meaning)
    }

    /// A key that has to be there.
    #[must_use]
    pub const fn required(name: &'static str, meaning: &'static str) -> Self {
        Self::said(name, "required", meaning)
    }

    /// A key without which something holds that the program finds out, or that follows from other keys.
    #[must_use]
    pub const fn said(name: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self::new(name, Unwritten::Said(default), meaning)
    }

    /// A section, or a table of them by their names.
    #[must_use]
    pub const fn section(name: &'static str, keys: &'static [Self]) -> Self {
        Self::value(name, "{}", "").of(keys)
    }

    /// A key of a table that is mostly written in one line: the page shows it in an example.
    #[must_use]
    pub const fn shown(name: &'static str) -> Self {
        Self::optional(name, "")
    }

    /// A key without which a text holds.
    #[must_use]
    pub const fn text(name: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self::new(name, Unwritten::Text(default), meaning)
    }

    /// A key without which any other value holds, as TOML writes it.
    #[must_use]
    pub const fn value(name: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self::new(name, Unwritten::Value(default), meaning)
    }

    /// The same with `keys` in the section, or in each of the sections, that it is.
    #[must_use]
    pub const fn of(self, keys: &'static [Self]) -> Self {
        Self { keys, ..self }
    }

    /// The same, holding until a restart.
    #[must_use]
    pub const fn settled(self) -> Self {
        Self { settled: true, ..self }
    }
}

impl Unwritten {
    /// The value that is meant, if it is one.
    #[must_use]
    pub fn value(&self) -> Option<Value> {
        match self {
            Self::Said(_) => None,
            Self::Text(text) => Some((*text).into()),
            Self::Value(text) => {
                Format::parse(&FileFormat::Toml, None, &format!("value = {text}")).ok()?.remove("value")
            }
        }
    }
}
