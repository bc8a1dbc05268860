//! What a connection and a request show of who is at the other end.

use super::subject::Subject;
use crate::dialect::headers::SECRET;
use crate::dialect::{Guard, Headers};

/// The raw facts; nobody is trusted yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peer<'a> {
    /// Whether the connection comes from this machine's loopback.
    pub is_loopback: bool,
    /// The user at the other end of a unix socket.
    pub user: Option<User>,
    /// Whom the client certificate is for that the listener has verified.
    pub subject: Option<&'a Subject>,
    /// What stands in `X-IDENTITY-HEADER`.
    pub identity_header: Option<&'a [u8]>,
    /// What stands in `Secret`.
    pub secret: Option<&'a [u8]>,
    /// What stands in `Authorization`.
    pub authorization: Option<&'a [u8]>,
    /// Whether it has shown what a key file held.
    pub holds_key: bool,
}

impl<'a> Peer<'a> {
    /// What the headers of a request show. An empty one shows something, which is wrong: the proof of a workload that
    /// could not read it is no reason to take it for another.
    #[must_use]
    pub fn of_headers(headers: &Headers<'a>) -> Self {
        Self {
            identity_header: headers.identity_header,
            secret: headers.secret,
            authorization: headers.authorization,
            ..Self::default()
        }
    }

    /// The header that a guard demands.
    pub(super) fn demanded(&self, guard: Guard) -> Option<&'a [u8]> {
        match guard {
            Guard::HeaderSecret(name) if name == SECRET => self.secret,
            Guard::HeaderSecret(_) => self.identity_header,
            Guard::KeyFile | Guard::Metadata => None,
        }
    }

    /// What both headers hold.
    pub(super) fn headers(&self) -> impl Iterator<Item = &'a [u8]> {
        self.identity_header.into_iter().chain(self.secret)
    }
}

/// What stands behind the scheme `Bearer`, which is written in any case (RFC 9110, section 11.1).
pub(super) fn bearer(shown: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = shown.split_at_checked(BEARER.len())?;
    let is_scheme = scheme.eq_ignore_ascii_case(BEARER) && token.first().is_none_or(|next| *next == b' ');
    is_scheme.then(|| token.trim_ascii())
}

/// A user of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
}

const BEARER: &[u8] = b"Bearer";
