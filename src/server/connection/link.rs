//! What a connection tells of its other end, once and for all its requests.

use crate::caller::peer::User;
use crate::caller::subject::Subject;
use crate::clock::Clock;
use crate::server::tls::client::Client;

/// How a connection came.
#[derive(Debug)]
pub(in crate::server) enum Link {
    /// Over TCP.
    Plain,
    /// Over TLS, with a client certificate or without.
    Tls(Option<Client>),
    /// Over a unix socket.
    Unix(User),
}

impl Link {
    /// Whether it is https.
    pub(in crate::server) const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// The user at the other end of a unix socket, as it was when it connected.
    pub(in crate::server) const fn user(&self) -> Option<User> {
        if let Self::Unix(user) = self { Some(*user) } else { None }
    }

    /// Whom the client certificate is for.
    pub(in crate::server) fn subject(&self) -> Option<&Subject> {
        self.client().map(|client| &client.subject)
    }

    /// Whether it was opened with a certificate that has ended since.
    pub(in crate::server) fn has_ended(&self, clock: &Clock) -> bool {
        self.client().is_some_and(|client| client.until < clock.now())
    }

    fn client(&self) -> Option<&Client> {
        if let Self::Tls(client) = self { client.as_ref() } else { None }
    }
}
