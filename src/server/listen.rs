//! Where something is served: at an address, with TLS or without, or at a file of this machine.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// One place of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An address, without TLS.
    Http(SocketAddr),
    /// An address, with TLS.
    Https(SocketAddr),
    /// A unix socket, by the path of its file.
    Unix(PathBuf),
}

impl Listen {
    /// The address, where it is one.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Http(address) | Self::Https(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// Whether it is https.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        matches!(self, Self::Https(_))
    }

    /// Whether it is a unix socket.
    #[must_use]
    pub const fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// Whether it is an address on loopback.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.address().is_some_and(|address| address.ip().is_loopback())
    }
}

/// As the configuration writes it.
impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(address) => address.fmt(f),
            Self::Https(address) => write!(f, "https://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
