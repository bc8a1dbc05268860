//! The file of a unix socket. It takes the place of one that nobody serves any more and of nothing else, and goes
//! away with its listener.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::fault::{Fault, Kind};

mod latch;

use latch::Latch;

/// A file that this process has made.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode, by which another program's file of the same name is told apart. It cannot be given to
    /// that one while we hold the socket.
    made: Option<(u64, u64)>,
    /// Held until somebody listens, since until then the file is like that of a dead process.
    latch: Option<Latch>,
}

impl SocketFile {
    /// Makes room at `path`, and keeps others who would from doing so until [`listen`](Self::listen).
    ///
    /// # Errors
    /// A program listens there, or something is there that is no socket.
    pub(super) fn clear(path: &Path) -> Result<Self, Fault> {
        let held = |_| taken(path, "another program keeps its directory locked", "end it, or configure another path");
        let free = Self { path: path.to_owned(), made: None, latch: Some(Latch::take(path).map_err(held)?) };
        let Ok(found) = fs::symlink_metadata(path) else { return Ok(free) };
        if !found.file_type().is_socket() {
            return Err(taken(path, "something is there that is no socket", "move it away, or configure another path"));
        }
        if !is_dead(path) {
            let remedy = "end the program that listens there, or configure another path";
            return Err(taken(path, "a program listens there", remedy));
        }
        tracing::info!(path = %path.display(), "a socket that nobody serves any more is replaced");
        // What cannot be removed is in the way of `bind`, which tells why.
        fs::remove_file(path).ok();
        Ok(free)
    }

    /// Binds `socket` to it.
    ///
    /// # Errors
    /// The file cannot be made, or cannot have this mode.
    pub(super) fn bind(mut self, socket: &Socket, mode: u32) -> io::Result<Self> {
        socket.bind(&SockAddr::unix(&self.path)?)?;
        self.made = identity(&self.path);
        fs::set_permissions(&self.path, Permissions::from_mode(mode))?;
        Ok(self)
    }

    /// Listens: from now on whoever connects is served, and nobody takes the file for that of a dead process.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn listen(&mut self, socket: &Socket, backlog: i32) -> io::Result<()> {
        socket.listen(backlog)?;
        self.latch = None;
        Ok(())
    }

    /// Removes it, if it is still the one that was made.
    pub(super) fn remove(&mut self) {
        let Some(made) = self.made.take() else { return };
        if identity(&self.path) == Some(made) {
            fs::remove_file(&self.path).ok();
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Whether nobody listens. A program whose queue is full does, and is not waited for.
fn is_dead(path: &Path) -> bool {
    let connected = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    connected().is_err_and(|error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn taken(path: &Path, why: &str, remedy: &'static str) -> Fault {
    Fault::new(Kind::Unstartable, format!("cannot listen on unix:{}: {why}", path.display()), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(path: &Path, mode: u32) -> (Socket, SocketFile) {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        let file = SocketFile::clear(path).unwrap().bind(&socket, mode).unwrap();
        (socket, file)
    }

    #[test]
    fn a_file_has_its_mode_before_anybody_can_connect_and_goes_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        for mode in [0o660, 0o666, 0o600] {
            let (socket, mut file) = bound(&path, mode);
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode);
            assert!(is_dead(&path), "nobody can connect yet");
            file.listen(&socket, 1).unwrap();
            assert!(!is_dead(&path));
            drop(file);
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_dead_socket_is_replaced_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let (socket, mut file) = bound(&path, 0o600);
        file.listen(&socket, 0).unwrap();
        // More than its queue takes: it is alive all the same, and nobody waits for it.
        let probes: Vec<Socket> = (0..4)
            .map(|_| {
                let probe = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
                probe.set_nonblocking(true).unwrap();
                probe.connect(&SockAddr::unix(&path).unwrap()).ok();
                probe
            })
            .collect();
        assert!(SocketFile::clear(&path).unwrap_err().to_string().contains("a program listens there"));
        drop(probes);
        let (plain, link) = (directory.path().join("plain"), directory.path().join("link"));
        fs::write(&plain, "kept").unwrap();
        std::os::unix::fs::symlink(directory.path().join("s"), &link).unwrap();
        for other in [&plain, &link, &directory.path().to_owned()] {
            assert!(SocketFile::clear(other).unwrap_err().to_string().contains("no socket"), "{}", other.display());
            assert!(fs::symlink_metadata(other).is_ok());
        }
    }

    #[test]
    fn anothers_file_is_not_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let (_socket, file) = bound(&path, 0o600);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another's").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "another's");
    }
}
