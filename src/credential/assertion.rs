//! An assertion in a file, such as a projected Kubernetes token, that its issuer renews.
//!
//! It is read for every exchange: such files live for an hour, and whoever holds the text of an old one
//! is refused with AADSTS700024.

use std::path::PathBuf;
use std::time::Duration;

use super::file;
use crate::fault::{Fault, Kind};
use crate::secret::Secret;
use crate::wire::request::ClientProof;

/// A file that holds a signed assertion.
#[derive(Debug)]
pub struct AssertionFile(PathBuf);

impl AssertionFile {
    /// The assertion in the file at `path`, whether it is there yet or not.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Reads the file as it is now.
    ///
    /// # Errors
    /// The file cannot be read or holds no assertion.
    pub async fn prove(&self) -> Result<ClientProof, Fault> {
        let path = self.0.clone();
        let read = tokio::task::spawn_blocking(move || file::read(&path, MAX_ASSERTION)).await;
        let read = read.unwrap_or_else(|panicked| Err(std::io::Error::other(panicked)));
        let bytes = read.map_err(|error| self.fault("the assertion file cannot be read", &error.to_string()))?;
        let text = std::str::from_utf8(&bytes).map(str::trim).unwrap_or_default();
        if !is_compact_jws(text) {
            return Err(self.fault("the assertion file holds no signed assertion", "not three base64url parts"));
        }
        Ok(ClientProof::Assertion(Secret::from(text.to_owned())))
    }

    fn fault(&self, problem: &'static str, why: &str) -> Fault {
        Fault::new(Kind::UnusableCredential, problem, "check the 'file' of the identity's assertion credential")
            .with_inward(format!("{}: {why}", self.0.display()))
            // Whoever projects the file may be slower than we are, and looking again costs nothing.
            .with_retry_after(Some(Duration::from_secs(1)))
    }
}

/// Three base64url parts with dots between (RFC 7515 section 3.1).
fn is_compact_jws(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=".contains(&b));
    text.split('.').count() == 3 && text.split('.').all(part)
}

const MAX_ASSERTION: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_file_is_read_each_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let assertion = AssertionFile::new(path.clone());
        assert_eq!(assertion.prove().await.unwrap_err().status(), 403);
        for text in ["a.b.c", "d.e.f\n"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(assertion.prove().await.unwrap().secret().expose(), text.trim());
        }
        for text in ["", "a.b", "a.b.c.d", "a.b c.d", "a..c"] {
            std::fs::write(&path, text).unwrap();
            let fault = assertion.prove().await.unwrap_err();
            assert_eq!(fault.kind, Kind::UnusableCredential, "{text:?}");
            assert!(!fault.to_string().contains(&*path.to_string_lossy()));
        }
    }
}
