//! What real clients sent and what they were answered, as `tests/clients/matrix/record.py` wrote it down.

use std::fs;
use std::path::{Path, PathBuf};

use bursar::dialect::table;

/// One recorded request.
pub(crate) struct Golden {
    /// `CLIENT/DIALECT-CASE`, where a page is a dialect of its own.
    pub(crate) name: String,
    /// All that the client sent.
    pub(crate) bytes: Vec<u8>,
}

impl Golden {
    /// Every one, in the order of their names.
    pub(crate) fn all() -> Vec<Self> {
        let clients = list(&wire()).into_iter().filter(|path| path.is_dir() && !path.ends_with(ANSWERS));
        let mut files: Vec<PathBuf> = clients.flat_map(|client| list(&client)).collect();
        files.sort();
        let read = |path: &PathBuf| {
            let name = path.strip_prefix(wire()).unwrap().with_extension("").display().to_string();
            Self { name, bytes: fs::read(path).unwrap() }
        };
        files.iter().map(read).collect()
    }

    /// The name of the dialect, in the table's words; none for a page.
    pub(crate) fn dialect(&self) -> Option<&'static str> {
        let fits = |name: &&str| self.case().strip_prefix(name).is_some_and(|rest| rest.starts_with('-'));
        table::names().filter(fits).max_by_key(|name| name.len())
    }

    /// What the client sent, which is text in all of them.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    /// Whether it shows what a key file holds.
    pub(crate) fn has_key(&self) -> bool {
        self.name.contains("-with-key")
    }

    /// The name of the recorded answer; none where that is a token.
    pub(crate) fn answer_name(&self) -> Option<String> {
        let is = |part: &str| self.name.contains(part);
        match self.dialect() {
            None => Some(self.case().to_owned()),
            Some("arc") if !self.has_key() => Some("arc-challenge".to_owned()),
            Some(dialect) => {
                let refused = ["probe", "unknown", "wrong-secret"].into_iter().find(|case| is(&format!("-{case}")));
                refused.map(|case| format!("{dialect}-{case}"))
            }
        }
    }

    /// That answer, without what is another in every run.
    pub(crate) fn answer(&self) -> Option<String> {
        let path = wire().join(ANSWERS).join(self.answer_name()?).with_extension("http");
        assert!(path.exists(), "{}: there is no {}", self.name, path.display());
        Some(fs::read_to_string(path).unwrap())
    }

    fn case(&self) -> &str {
        self.name.split_once('/').map_or("", |(_, case)| case)
    }
}

/// The names of all recorded answers.
pub(crate) fn answers() -> Vec<String> {
    let stem = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    list(&wire().join(ANSWERS)).iter().map(stem).collect()
}

fn wire() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire")
}

fn list(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

const ANSWERS: &str = "answers";
