//! Where a secret lies: in a file or in a variable, never in the configuration itself.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::section::{Section, text};
use crate::secret::Secret;

/// What secrets and relative paths are resolved against.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Where relative paths start: the directory of the configuration file.
    pub base: &'a Path,
    /// The variables of the process.
    pub variables: &'a HashMap<String, String>,
}

impl Surroundings<'_> {
    /// A path as it is meant.
    #[must_use]
    pub fn path(&self, written: &str) -> PathBuf {
        self.base.join(written)
    }

    /// The bytes of the file under `key`.
    pub fn bytes(&self, section: &mut Section<'_>, key: &'static str, remedy: &str) -> Option<Vec<u8>> {
        let path = self.path(&section.required(key, remedy, text)?);
        let unreadable = |error: std::io::Error| {
            let problem = format!("the file {} cannot be read: {error}", path.display());
            section.note(key, problem, "name a file that exists and is readable by this process");
        };
        std::fs::read(&path).map_err(unreadable).ok()
    }

    /// The secret that a section's `file` or `env` leads to, without the line break at its end.
    pub fn secret(&self, section: &mut Section<'_>) -> Option<Secret> {
        if section.has("file") && section.has("env") {
            section.note("env", "both 'file' and 'env' are given", "keep one of them");
        }
        if section.has("env") {
            let name = section.optional("env", text)?;
            let found = self.variables.get(&name).filter(|value| !value.is_empty()).cloned();
            if found.is_none() {
                section.note("env", format!("the variable {name} is not set"), "set it for this process");
            }
            return found.map(Secret::from);
        }
        let bytes = self.bytes(section, "file", "name the file that holds the secret, or a variable with 'env'")?;
        let text = String::from_utf8(bytes).unwrap_or_default();
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() || text.contains(char::is_control) {
            section.note(
                "file",
                "the file holds no secret: one line of UTF-8 text",
                "write the secret into it, and nothing else",
            );
            return None;
        }
        Some(Secret::from(text.to_owned()))
    }
}
