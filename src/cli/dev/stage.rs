//! What `bursar dev` was told, as far as it decides which dialects can be emulated. `bursar env` is told the same.

use std::path::Path;

use crate::dialect::table::DIALECTS;
use crate::dialect::{Dialect, Guard};
use crate::server::Listen;

/// What it was told.
#[derive(Clone, Copy, Debug)]
pub struct Stage<'a> {
    /// Where it listens.
    pub listen: &'a [Listen],
    /// Where the key files of Azure Arc are to lie.
    pub arc_key_dir: &'a Path,
}

/// What keeps a dialect from being emulated.
#[derive(Debug)]
pub struct Lack {
    /// What is not there.
    pub problem: String,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Stage<'_> {
    /// Every dialect that can be emulated.
    pub fn dialects(self) -> impl Iterator<Item = &'static Dialect> {
        DIALECTS.iter().filter(move |dialect| self.lack(dialect).is_none())
    }

    /// What a dialect lacks; none where it is emulated.
    #[must_use]
    pub fn lack(self, dialect: &Dialect) -> Option<Lack> {
        if dialect.needs_tls && !self.listen.iter().any(Listen::is_tls) {
            let problem = "it is served over https alone, and there is no such listener".to_owned();
            return Some(Lack { problem, remedy: "add --listen https://127.0.0.1:4143" });
        }
        if dialect.guard == Guard::KeyFile && !self.arc_key_dir.is_dir() {
            let problem = format!("there is no directory {}", self.arc_key_dir.display());
            return Some(Lack { problem, remedy: "make it, or name another with --arc-key-dir" });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::named::listen;

    #[test]
    fn each_dialect_is_emulated_or_lacks_something() {
        let directory = tempfile::tempdir().unwrap();
        let nowhere = directory.path().join("none");
        for (place, keys, left_out) in [
            ("https://127.0.0.1:1", directory.path(), &[][..]),
            ("127.0.0.1:1", directory.path(), &["service-fabric"]),
            ("127.0.0.1:1", &nowhere, &["arc", "service-fabric"]),
        ] {
            let listen = [listen(place).unwrap()];
            let stage = Stage { listen: &listen, arc_key_dir: keys };
            let lacking: Vec<&str> = DIALECTS.iter().filter(|d| stage.lack(d).is_some()).map(|d| d.name).collect();
            assert_eq!(lacking, left_out);
            assert_eq!(stage.dialects().count() + lacking.len(), DIALECTS.len());
        }
    }
}
