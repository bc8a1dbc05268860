//! Reads a file that is meant to be small and whole, and nothing else that may lie at its path.
//!
//! A pipe would block whoever reads it, and a device never ends; both are refused before a byte is read.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// The bytes of the regular file at `path`, if there are at most `most`; they are erased after use.
///
/// # Errors
/// It cannot be opened, is no regular file, or is larger.
pub fn read(path: &Path, most: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    // Without O_NONBLOCK the opening of a pipe waits for its writer.
    let file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    // Reserved at once: growing would leave copies behind that nobody erases.
    let size = usize::try_from(file.metadata()?.len().min(most) + 1).unwrap_or(0);
    let mut bytes = Zeroizing::new(Vec::with_capacity(size));
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is too large"));
    }
    Ok(bytes)
}

/// More than any secret, key or list of certificates needs.
pub const MOST: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_small_regular_files_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(**read(&path, 5).unwrap(), *b"12345");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(**read(&link, 5).unwrap(), *b"12345");
        let fifo = directory.path().join("fifo");
        std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        for (path, problem) in [
            (path.as_path(), "too large"),
            (fifo.as_path(), "no regular file"),
            (Path::new("/dev/zero"), "no regular file"),
            (directory.path(), "no regular file"),
            (Path::new("/nonexistent"), "No such file"),
        ] {
            let told = read(path, 4).unwrap_err().to_string();
            assert!(told.contains(problem), "{told}");
        }
    }
}
