//! The latch on the making of socket files in a directory. Between the look at what is there and the moment when somebody
//! listens, a second process would take our file for that of a dead one.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::clock::Stopwatch;

/// Nobody else who takes it makes a socket file in the directory, for as long as this is held. It is a lock on the
/// directory itself, so that no file is left behind, and ends with the process, however that ends.
#[derive(Debug)]
pub(in crate::server) struct Latch {
    /// None where the directory cannot be locked.
    _directory: Option<File>,
}

impl Latch {
    /// Waits for that of the file at `path`. Where its directory cannot be locked, everybody has it.
    ///
    /// # Errors
    /// Another process holds it for longer than anybody needs.
    pub(in crate::server) fn take(path: &Path) -> Result<Self, Held> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let everybodys = |error: std::io::Error| {
            let directory = parent.display();
            tracing::warn!(%directory, %error, "the directory of a socket cannot be locked: a process that starts now as well could take the socket's place");
            Self { _directory: None }
        };
        let directory = match File::open(parent) {
            Ok(directory) => directory,
            Err(error) => return Ok(everybodys(error)),
        };
        let watch = Stopwatch::start();
        loop {
            match directory.try_lock() {
                Ok(()) => return Ok(Self { _directory: Some(directory) }),
                Err(TryLockError::Error(error)) => return Ok(everybodys(error)),
                Err(TryLockError::WouldBlock) if watch.elapsed() > LONGEST => return Err(Held),
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            }
        }
    }
}

/// Another process holds it.
#[derive(Debug)]
pub(in crate::server) struct Held;

/// Making a socket file takes less than a millisecond.
const LONGEST: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_at_a_time_and_where_there_is_no_directory_everybody_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (directory.path().join("one"), directory.path().join("other"));
        let latch = Latch::take(&one).unwrap();
        let waiting = std::thread::spawn(move || Latch::take(&other).is_ok());
        std::thread::sleep(Duration::from_millis(100));
        assert!(!waiting.is_finished(), "both make a file in one directory");
        drop(latch);
        assert!(waiting.join().unwrap());
        let missing = directory.path().join("missing/socket");
        let (first, second) = (Latch::take(&missing).unwrap(), Latch::take(&missing).unwrap());
        assert!(first._directory.is_none() && second._directory.is_none());
    }
}
