//! Where a secret lies: in a file or in a variable, never in the configuration itself.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};

use super::key::Key;
use super::section::{Section, text};
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::credential::file;
use crate::credential::secret::one_line;
use crate::secret::Secret;
use crate::wire::System;

/// What secrets and relative paths are resolved against. No `Debug`: the variables hold secrets.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Where relative paths start: the directory of the configuration file.
    pub base: &'a Path,
    /// The variables of the process.
    pub variables: &'a HashMap<String, String>,
    /// Whom the system trusts.
    pub system: &'a System,
    /// The present.
    pub now: Timestamp,
}

impl Surroundings<'_> {
    /// A path as it is meant.
    #[must_use]
    pub fn path(&self, written: &str) -> PathBuf {
        self.base.join(written)
    }

    /// The bytes of the file under `key`. Its path is not repeated, since it may be a secret in the wrong place:
    /// only the part of it that exists is, which no secret does.
    pub fn bytes(&self, section: &mut Section<'_>, key: &str, remedy: &str) -> Option<Zeroizing<Vec<u8>>> {
        let path = self.path(&section.required(key, remedy, text)?);
        let unreadable = |error: std::io::Error| {
            let remedy = "name a file that exists and is readable by this process; relative paths start at the configuration's directory";
            section.note(key, format!("the file cannot be read: {error}{}", existing(&path)), remedy);
        };
        file::read(&path, file::MOST).map_err(unreadable).ok()
    }

    /// The same of one that callers show in a header, which nobody can where there are blanks at an end of it: they are
    /// no part of a header's value (RFC 9110 section 5.5).
    pub fn header_secret(&self, section: &mut Section<'_>) -> Option<Secret> {
        let problem = "there are blanks at an end of the secret, which no header has";
        self.looked_at(section, |section, key| section.note(key, problem, "write it without them"))
    }

    /// The same of one that an authority is shown, which may have blanks at its ends but hardly ever does.
    pub fn client_secret(&self, section: &mut Section<'_>) -> Option<Secret> {
        let problem = "there are blanks at an end of the secret, and they are sent";
        self.looked_at(section, |section, key| section.warn(key, problem, "remove them if they are none of it"))
    }

    fn looked_at(&self, section: &mut Section<'_>, padded: impl FnOnce(&Section<'_>, &str)) -> Option<Secret> {
        let key = if section.has("env") { "env" } else { "file" };
        let secret = self.secret(section)?;
        if is_padded(&secret) {
            padded(section, key);
        }
        Some(secret)
    }

    /// The secret that a section's `file` or `env` leads to, without the line break at its end.
    pub fn secret(&self, section: &mut Section<'_>) -> Option<Secret> {
        if section.has("file") && section.has("env") {
            section.note("env", "both 'file' and 'env' are given", "keep one of them");
            section.optional("file", Ok::<_, Infallible>);
        }
        if section.has("env") {
            let name = section.optional("env", text)?;
            let Some(value) = self.variables.get(&name) else {
                section.note("env", "the variable is not set", "set it for this process, or name another");
                return None;
            };
            return noted(section, "env", value);
        }
        let bytes = self.bytes(section, "file", "name the file that holds the secret, or a variable with 'env'")?;
        noted(section, "file", &String::from_utf8_lossy(&bytes))
    }
}

fn is_padded(secret: &Secret) -> bool {
    secret.expose().trim_matches([' ', '\t']).len() < secret.expose().len()
}

/// Whether a file could be made at `path`, as far as its directory goes. The parent of a bare name is empty, and means here.
#[must_use]
pub fn has_directory(path: &Path) -> bool {
    path.parent().is_none_or(|parent| parent.as_os_str().is_empty() || parent.is_dir())
}

/// `; its path is /run/secrets/x` of a path that exists, and of one that does not the directory that it was looked for in.
fn existing(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_default();
    match absolute.ancestors().find(|part| part.exists()) {
        Some(whole) if whole == absolute => format!("; its path is {}", whole.display()),
        Some(part) if Some(part) == absolute.parent() => format!("; it was looked for in {}", part.display()),
        Some(part) => format!("; of its path only {} exists", part.display()),
        None => String::new(),
    }
}

fn noted(section: &Section<'_>, key: &str, text: &str) -> Option<Secret> {
    let remedy = "write the secret there and nothing else: no further lines, no byte order mark";
    one_line(text).map_err(|malformed| section.note(key, malformed.to_string(), remedy)).ok()
}

/// What names a secret.
pub const KEYS: &[Key] = &[Key::shown("file"), Key::shown("env")];
