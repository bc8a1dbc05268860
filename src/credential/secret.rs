//! A client secret: sent as it is, in the body and never in a header; read again when its file changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::file;
use super::sight::{Lookout, Sight};
use crate::clock::Timestamp;
use crate::fault::{Fault, Kind};
use crate::name::Malformed;
use crate::secret::Secret;
use crate::wire::request::ClientProof;

/// The value of a client secret, and the file that it came from.
#[derive(Debug)]
pub struct ClientSecret {
    present: ArcSwap<Present>,
    file: Option<PathBuf>,
    expires: Option<Timestamp>,
    lookout: Lookout,
}

/// A value, and how many there were before it.
#[derive(Debug)]
struct Present {
    value: Arc<Secret>,
    generation: u64,
}

impl ClientSecret {
    /// A credential of this value. One that came from a file can change with it.
    #[must_use]
    pub fn new(value: Secret, file: Option<PathBuf>) -> Self {
        Self {
            present: ArcSwap::from_pointee(Present { value: Arc::new(value), generation: 0 }),
            file,
            expires: None,
            lookout: Lookout::default(),
        }
    }

    /// The same, with what the operator says of its end.
    #[must_use]
    pub fn with_expiry(self, expires: Option<Timestamp>) -> Self {
        Self { expires, ..self }
    }

    /// When it ends, as far as the operator said; nothing else knows.
    #[must_use]
    pub const fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// Where a new value would appear.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// How often the value has changed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.present.load().generation
    }

    /// Reads the file again, and takes a new value; says whether there was one.
    ///
    /// # Errors
    /// The file holds no secret; the old value stays. Each state of the file is told about once.
    pub fn reload(&self) -> Result<bool, Fault> {
        let Some(path) = &self.file else { return Ok(false) };
        self.lookout.look(|| {
            let read = file::read(path, file::MOST);
            let sight = Sight::of(&[read.as_ref().ok().map(|bytes| &bytes[..])]);
            let value = read.map_err(|error| error.to_string()).and_then(|bytes| {
                one_line(&String::from_utf8_lossy(&bytes)).map_err(|malformed| malformed.to_string())
            });
            (sight, value.map(|value| self.take(value)).map_err(|why| broken(path, &why)))
        })
    }

    /// Called by one at a time, who looks at the file.
    fn take(&self, value: Secret) -> bool {
        let present = self.present.load();
        let is_new = !present.value.matches(value.expose().as_bytes());
        if is_new {
            let generation = present.generation + 1;
            self.present.store(Arc::new(Present { value: Arc::new(value), generation }));
        }
        is_new
    }

    /// The present value.
    #[must_use]
    pub fn value(&self) -> Arc<Secret> {
        Arc::clone(&self.present.load().value)
    }

    /// The present value with its generation.
    #[must_use]
    pub fn present(&self) -> (Arc<Secret>, u64) {
        let present = self.present.load();
        (Arc::clone(&present.value), present.generation)
    }

    /// The proof, which is the secret itself, and its generation.
    #[must_use]
    pub fn prove(&self) -> (ClientProof, u64) {
        let (value, generation) = self.present();
        (ClientProof::Secret(Secret::clone(&value)), generation)
    }
}

fn broken(path: &Path, why: &str) -> Fault {
    let problem = "the file of a secret changed and cannot be used; the old secret stays in use";
    Fault::new(Kind::UnusableCredential, problem, "mend the file").with_inward(format!("{}: {why}", path.display()))
}

/// Reads a secret: one line of text, since anything else would be sent as something that nobody sees. A
/// line break at its end is no part of it.
///
/// # Errors
/// It is empty, has further lines or a byte order mark, or is no UTF-8.
pub fn one_line(text: &str) -> Result<Secret, Malformed> {
    let text = text.trim_end_matches(['\r', '\n']);
    let odd = |c: char| c.is_control() || matches!(c, char::REPLACEMENT_CHARACTER | '\u{feff}');
    if text.is_empty() || text.contains(odd) {
        return Err(Malformed("there is no secret: one line of UTF-8 text"));
    }
    Ok(Secret::from(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_value_is_taken_and_a_broken_file_keeps_the_old() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, "first\n").unwrap();
        let secret = ClientSecret::new(Secret::from("first".to_owned()), Some(path.clone()));
        secret.reload().unwrap();
        assert_eq!(secret.generation(), 0);
        std::fs::write(&path, "second\n").unwrap();
        secret.reload().unwrap();
        for broken in ["", "two\nlines"] {
            std::fs::write(&path, broken).unwrap();
            assert_eq!(secret.reload().unwrap_err().kind, Kind::UnusableCredential);
            secret.reload().unwrap();
        }
        std::fs::remove_file(&path).unwrap();
        secret.reload().unwrap_err();
        assert!(secret.value().matches(b"second"));
        assert_eq!(secret.generation(), 1);
    }
}
