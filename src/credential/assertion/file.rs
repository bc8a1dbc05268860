//! An assertion in a file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zeroize::Zeroizing;

use super::{MOST, compact_jws, expiry};
use crate::credential::expiry::{Expiry, Renewal};
use crate::credential::file;
use crate::credential::sight::{Lookout, Sight};
use crate::fault::{Fault, Kind, Rest};
use crate::secret::Secret;
use crate::wire::request::ClientProof;

/// A file that holds a signed assertion.
#[derive(Debug)]
pub struct AssertionFile {
    reader: Arc<Reader>,
    told: AtomicU64,
    lookout: Lookout,
}

/// Reads the file, and knows what was read last.
#[derive(Debug)]
struct Reader {
    path: PathBuf,
    /// One reads at a time: what was read earlier must not be taken for news because its reader was slower.
    turn: Mutex<()>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    sight: Option<Sight>,
    expiry: Option<Expiry>,
    generation: u64,
}

impl AssertionFile {
    /// The assertion in the file at `path`, whether it is there yet or not.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        let reader = Reader { path, turn: Mutex::default(), seen: Mutex::default() };
        Self { reader: Arc::new(reader), told: AtomicU64::default(), lookout: Lookout::default() }
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.reader.path
    }

    /// How often another assertion was seen.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.reader.seen().generation
    }

    /// When the one that was last seen ends.
    #[must_use]
    pub fn expiry(&self) -> Option<Expiry> {
        self.reader.seen().expiry
    }

    /// Reads the file as it is now; with the proof goes its generation.
    ///
    /// # Errors
    /// The file cannot be read or holds no assertion.
    pub async fn prove(&self) -> Result<(ClientProof, u64), Fault> {
        let reader = Arc::clone(&self.reader);
        let read = tokio::task::spawn_blocking(move || reader.read().1).await;
        let read = read.unwrap_or_else(|panicked| Err(self.reader.unreadable(&panicked.to_string())));
        read.map(|(assertion, generation)| (ClientProof::Assertion(assertion), generation))
    }

    /// Looks at the file, so that its end is known although nobody asks for a token. Says whether another
    /// assertion was seen since the last look, by this or by [`Self::prove`].
    ///
    /// # Errors
    /// As [`Self::prove`], once for each state of the file.
    pub fn reload(&self) -> Result<bool, Fault> {
        self.lookout.look(|| {
            let (sight, read) = self.reader.read();
            (sight, read.map(|(_, generation)| self.told.swap(generation, Ordering::AcqRel) < generation))
        })
    }
}

impl Reader {
    /// What the file looks like, and the assertion in it with its generation.
    fn read(&self) -> (Sight, Result<(Secret, u64), Fault>) {
        // Invariant: there is nothing behind this lock that a panic could leave torn.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let read = file::read(&self.path, MOST);
        let sight = Sight::of(&[read.as_ref().ok().map(|bytes| &bytes[..])]);
        (sight, self.assertion(read))
    }

    fn assertion(&self, read: io::Result<Zeroizing<Vec<u8>>>) -> Result<(Secret, u64), Fault> {
        let bytes = read.map_err(|error| self.unreadable(&error.to_string()))?;
        let problem = "the assertion file holds no signed assertion";
        let text = compact_jws(&bytes).ok_or_else(|| self.fault(problem, "not three base64url parts"))?;
        Ok((Secret::from(text.to_owned()), self.note(text)))
    }

    /// Remembers what was seen, and counts it if it is another one.
    fn note(&self, text: &str) -> u64 {
        let sight = Sight::of(&[Some(text.as_bytes())]);
        let mut seen = self.seen();
        if seen.sight.replace(sight).is_some_and(|before| before != sight) {
            seen.generation += 1;
        }
        seen.expiry = expiry(text, Renewal::Written);
        seen.generation
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Invariant: no code panics while it holds this lock, and the value is whole between statements.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unreadable(&self, why: &str) -> Fault {
        self.fault("the assertion file cannot be read", why)
    }

    fn fault(&self, problem: &'static str, why: &str) -> Fault {
        Fault::new(Kind::UnusableCredential, problem, "check the 'file' of the identity's assertion credential")
            .with_inward(format!("{}: {why}", self.path.display()))
            // Whoever projects the file may be slower than we are, and looking again costs nothing.
            .with_rest(Some(Rest::Fixed(Duration::ZERO)))
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
            let (proof, proved) = assertion.prove().await.unwrap();
            assert_eq!((proof.secret().expose(), proved), (text.trim(), generation));
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

    #[test]
    fn a_slow_reader_is_no_news() {
        let directory = tempfile::tempdir().unwrap();
        let (path, next) = (directory.path().join("token"), directory.path().join("next"));
        std::fs::write(&path, "a.b.0").unwrap();
        let assertion = AssertionFile::new(path.clone());
        let written = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while written.load(Ordering::Acquire) < 400 {
                        let (_, read) = assertion.reader.read();
                        let (text, generation) = read.unwrap();
                        let number: u64 = text.expose().trim_start_matches("a.b.").parse().unwrap();
                        assert!(generation <= number, "{generation} of {number}");
                    }
                });
            }
            for n in 1..=400 {
                std::fs::write(&next, format!("a.b.{n}")).unwrap();
                std::fs::rename(&next, &path).unwrap();
                written.store(n, Ordering::Release);
            }
        });
    }
}
