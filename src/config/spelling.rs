//! A part of the tree in one spelling, to compare two configurations by. Nothing is printed of it.

use config::{Value, ValueKind};

use crate::token::Descent;

/// What is written in `value`, equal for whatever is read alike: however its keys are ordered, and but for those of
/// the names in `except`.
#[must_use]
pub fn of(value: &Value, except: &[&str]) -> String {
    match &value.kind {
        ValueKind::Table(table) => {
            let mut keys: Vec<_> = table.iter().filter(|(key, _)| !except.contains(&key.as_str())).collect();
            keys.sort_by_key(|(key, _)| *key);
            let keys: Vec<String> =
                keys.into_iter().map(|(key, value)| format!("{key:?}:{}", of(value, except))).collect();
            format!("{{{}}}", keys.join(","))
        }
        ValueKind::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| of(item, except)).collect();
            format!("[{}]", items.join(","))
        }
        ValueKind::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

/// The same as a number, with what files hold that are read once.
#[must_use]
pub fn descent(value: &Value, except: &[&str], files: &[&[u8]]) -> Descent {
    let written = of(value, except);
    Descent::of([written.as_bytes()].into_iter().chain(files.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        let mut tree = config::Format::parse(&config::FileFormat::Toml, None, text).unwrap();
        tree.remove("a").unwrap()
    }

    #[test]
    fn what_is_read_alike_is_spelled_alike() {
        let one = value("a = { x = 1, y = [\"b\", { z = true }] }");
        assert_eq!(of(&one, &[]), of(&value("[a]\ny = [\"b\", { z = true }] # that\nx = 1\n"), &[]));
        for other in ["a = { x = 1, y = [\"b\"] }", "a = { x = \"1\", y = [\"b\", { z = true }] }", "a = []", "a = {}"]
        {
            assert_ne!(of(&one, &[]), of(&value(other), &[]), "{other}");
        }
        assert_eq!(of(&one, &["x", "z"]), of(&value("a = { y = [\"b\", {}] }"), &[]));
        assert_ne!(descent(&one, &[], &[b"c"]), descent(&one, &[], &[b"d"]));
    }
}
