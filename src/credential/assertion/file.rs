//! An assertion in a file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zeroize::Zeroizing;

use super::{MOST, compact_jws, expiry};
use crate::credential::expiry::{Expiry, Renewal};
use crate::credential::file;
use crate::credential::sight::{Lookout, Sight};
use crate::fault::{Fault, Kind};
use crate::secret::Secret;
use crate::wire::request::ClientProof;

/// A file that holds a signed assertion.
#[derive(Debug)]
pub struct AssertionFile {
    path: PathBuf,
    seen: Mutex<Option<(Sight, Option<Expiry>)>>,
    generation: AtomicU64,
    lookout: Lookout,
}

impl AssertionFile {
    /// The assertion in the file at `path`, whether it is there yet or not.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, seen: Mutex::default(), generation: AtomicU64::default(), lookout: Lookout::default() }
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How often another assertion was seen.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// When the one that was last seen ends.
    #[must_use]
    pub fn expiry(&self) -> Option<Expiry> {
        self.seen().as_ref().and_then(|(_, expiry)| *expiry)
    }

    /// Reads the file as it is now.
    ///
    /// # Errors
    /// The file cannot be read or holds no assertion.
    pub async fn prove(&self) -> Result<ClientProof, Fault> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || file::read(&path, MOST)).await;
        let read = read.unwrap_or_else(|panicked| Err(io::Error::other(panicked)));
        self.assertion(read).map(ClientProof::Assertion)
    }

    /// Looks at the file, so that its end is known although nobody asks for a token.
    ///
    /// # Errors
    /// As [`Self::prove`], once for each state of the file.
    pub fn reload(&self) -> Result<(), Fault> {
        self.lookout.look(|| {
            let read = file::read(&self.path, MOST);
            let sight = Sight::of(&[read.as_ref().ok().map(|bytes| &bytes[..])]);
            (sight, self.assertion(read).map(drop))
        })
    }

    fn assertion(&self, read: io::Result<Zeroizing<Vec<u8>>>) -> Result<Secret, Fault> {
        let bytes = read.map_err(|error| self.fault("the assertion file cannot be read", &error.to_string()))?;
        let problem = "the assertion file holds no signed assertion";
        let text = compact_jws(&bytes).ok_or_else(|| self.fault(problem, "not three base64url parts"))?;
        self.note(text);
        Ok(Secret::from(text.to_owned()))
    }

    fn note(&self, text: &str) {
        let now = (Sight::of(&[Some(text.as_bytes())]), expiry(text, Renewal::Written));
        let before = self.seen().replace(now);
        if before.is_some_and(|before| before.0 != now.0) {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn seen(&self) -> MutexGuard<'_, Option<(Sight, Option<Expiry>)>> {
        // Invariant: no code panics while it holds this lock, and the value is whole at every moment.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self, problem: &'static str, why: &str) -> Fault {
        Fault::new(Kind::UnusableCredential, problem, "check the 'file' of the identity's assertion credential")
            .with_inward(format!("{}: {why}", self.path.display()))
            // Whoever projects the file may be slower than we are, and looking again costs nothing.
            .with_retry_after(Some(Duration::from_secs(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_file_is_read_each_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let assertion = AssertionFile::new(path.clone());
        assert_eq!(assertion.prove().await.unwrap_err().status(), 403);
        for (text, generation) in [("a.b.c", 0), ("d.e.f\n", 1), ("d.e.f", 1)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(assertion.prove().await.unwrap().secret().expose(), text.trim());
            assert_eq!(assertion.generation(), generation);
        }
        for text in ["", "a.b", "a.b.c.d", "a.b c.d", "a..c"] {
            std::fs::write(&path, text).unwrap();
            let fault = assertion.prove().await.unwrap_err();
            assert_eq!(fault.kind, Kind::UnusableCredential, "{text:?}");
            assert!(!fault.to_string().contains(&*path.to_string_lossy()));
        }
        assert_eq!(assertion.generation(), 1);
    }

    #[test]
    fn its_end_is_known_without_a_request_and_a_broken_file_is_told_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let assertion = AssertionFile::new(path.clone());
        assertion.reload().unwrap_err();
        assertion.reload().unwrap();
        std::fs::write(&path, "e30.eyJleHAiOjE4MDAwMDAwMDB9.x").unwrap();
        assertion.reload().unwrap();
        assert_eq!(assertion.expiry().unwrap().at.as_secs(), 1_800_000_000);
        std::fs::write(&path, "e30").unwrap();
        assertion.reload().unwrap_err();
        assertion.reload().unwrap();
        assert!(assertion.expiry().is_some(), "what was last seen");
    }
}
