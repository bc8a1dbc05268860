//! Reads `[dialects.arc]`: where the key files of Azure Arc lie.

use std::path::PathBuf;

use rustix::fs::Access;

use super::secret::Surroundings;
use super::section::{Section, text};

/// The directory of the key files. It is looked at only where Arc `is_served`.
pub fn key_dir(mut section: Section<'_>, is_served: bool, surroundings: Surroundings<'_>) -> PathBuf {
    let written = section.or("key_dir", KEY_DIR.to_owned(), text);
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
