//! Reads what is said of unix sockets: where their files are, and who may connect.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::config::key::Key;
use crate::config::secret::{Surroundings, has_directory};
use crate::config::section::{Section, parsed};
use crate::name::Malformed;
use crate::server::Listen;

/// The path behind `unix:`.
///
/// # Errors
/// There is none, or it is that of an abstract socket, which has no file and so no permissions.
pub(super) fn path(text: &str) -> Result<PathBuf, Malformed> {
    match text.chars().next() {
        None => Err(Malformed("the path of the socket is missing")),
        Some('@' | '\0') => Err(Malformed("abstract sockets are open to everybody; a socket has a path")),
        Some(_) => Ok(PathBuf::from(text)),
    }
}

/// A listener as it is meant: the file of a socket is looked for from the configuration's directory.
///
/// # Errors
/// A file that no socket can have.
pub(super) fn placed(listen: Listen, surroundings: Surroundings<'_>) -> Result<Listen, Malformed> {
    let Listen::Unix(written) = listen else { return Ok(listen) };
    let path = surroundings.base.join(written);
    if path.as_os_str().as_bytes().len() > LONGEST {
        return Err(Malformed("the path of the socket is too long: the system takes 107 bytes"));
    }
    if !has_directory(&path) {
        return Err(Malformed("the directory of the socket is not there"));
    }
    Ok(Listen::Unix(path))
}

/// Reads `[server.unix]`: the permissions of the files.
pub(super) fn mode(section: &mut Section<'_>, has_socket: bool) -> u32 {
    let mut unix = section.section("unix");
    let mode = unix.or("mode", parsed(octal));
    unix.end();
    if octal(MODE) != Ok(mode) && !has_socket {
        let remedy = "write one into 'listen', such as \"unix:/run/bursar/bursar.sock\"";
        section.note("unix", "there is no unix socket", remedy);
    }
    mode
}

fn octal(text: &str) -> Result<u32, Malformed> {
    let is_octal = matches!(text.len(), 3 | 4) && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o777);
    let mode = mode.ok_or(Malformed("a mode is octal digits for owner, group and others, such as \"0660\""))?;
    if mode & 0o222 == 0 {
        return Err(Malformed("nobody could connect, which takes permission to write"));
    }
    Ok(mode)
}

/// What `[server.unix]` has.
pub(super) const KEYS: &[Key] = &[Key::text(
    "mode",
    MODE,
    "the permissions of the files of unix sockets, in octal digits; connecting takes permission to write",
)];
/// What is meant where none is written.
const MODE: &str = "0660";
/// What fits into an address of the kernel, beside the zero at its end (unix(7)).
const LONGEST: usize = 107;
