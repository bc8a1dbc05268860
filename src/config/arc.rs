//! Reads `[dialects.arc]`: where the key files of Azure Arc lie.

use std::path::PathBuf;

use rustix::fs::Access;

use super::key::Key;
use super::secret::Surroundings;
use super::section::{Section, text};

/// The directory of the key files. It is looked at only where Arc `is_served`.
pub fn key_dir(mut section: Section<'_>, is_served: bool, surroundings: Surroundings<'_>) -> PathBuf {
    let written = section.or("key_dir", text);
    let directory = surroundings.path(&written);
    if is_served && !directory.is_dir() {
        let problem = "the directory of the key files is not there";
        section.note("key_dir", problem, "make it, writable for this process and readable for its callers' group");
    }
    // A directory on a read-only file system is not writable for root either.
    let may_write = rustix::fs::access(&directory, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    if is_served && directory.is_dir() && !may_write {
        let problem = "no key file can be written into this directory";
        section.note("key_dir", problem, "make it writable for this process");
    }
    section.end();
    directory
}

/// Where clients insist that the files lie.
pub const KEY_DIR: &str = "/var/opt/azcmagent/tokens";

/// What `[dialects.arc]` has.
pub const KEYS: &[Key] = &[Key::text(
    "key_dir",
    KEY_DIR,
    "where the key files of Azure Arc lie; clients accept no other. The directory must be there, writable for \
         Bursar, and is best owned by a group of those who may have tokens: the files are readable for the directory's \
         group if it has the set-group-ID bit",
)];
