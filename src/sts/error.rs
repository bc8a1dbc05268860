//! Why an STS does not start.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::fault::{EX_SOFTWARE, EX_UNAVAILABLE, EX_USAGE};

/// Why an STS does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key or a certificate could not be made.
    #[error("cannot make {what}; this is a bug")]
    Keys {
        /// Which one.
        what: &'static str,
        /// What the library said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}; choose an address of this machine whose port is free")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// There was no address at all.
    #[error("there is no address to listen on; name at least one")]
    NoAddress,
    /// The settings have mistakes, all of which are listed.
    #[error("{}", lines(.0))]
    Settings(Vec<Mistake>),
    /// The certificate cannot be left where clients look for it.
    #[error("cannot write {}; name a directory that can be written to", path.display())]
    TlsDir {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// The exit code of a command that fails with it (sysexits.h).
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Keys { .. } => EX_SOFTWARE,
            Self::Listen { .. } | Self::TlsDir { .. } => EX_UNAVAILABLE,
            Self::NoAddress | Self::Settings(_) => EX_USAGE,
        }
    }
}

/// One mistake in the settings. It names places, never values, because a value may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where: the file, or the key in it.
    pub path: String,
    /// What is wrong there.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

impl Mistake {
    pub(super) fn new(path: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.path, self.problem, self.remedy)
    }
}

fn lines(mistakes: &[Mistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
