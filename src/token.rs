//! A token as it came from an authority, and the key under which it is kept.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::name::{ClientId, Name, Scope, TenantId};
use crate::secret::Secret;

/// A bearer token and its times.
#[derive(Debug)]
pub struct Token {
    /// What the caller puts behind `Bearer`.
    pub secret: Secret,
    /// When it was issued, by our clock.
    pub issued_at: Timestamp,
    /// When it ends, by our clock.
    pub expires_at: Timestamp,
    /// After which time the authority would like it renewed, if it said so.
    pub refresh_in: Option<Duration>,
}

impl Token {
    /// How long it lives from issue to expiry.
    #[must_use]
    pub fn life(&self) -> Duration {
        self.expires_at.since(self.issued_at)
    }
}

/// All that can change a token: who issues it, for whom, for what.
///
/// Tokens are kept under the *requested* scope. An authority may answer with another one, and filing
/// under the answer would make every later request for the same resource miss.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenKey {
    /// The configured identity.
    pub identity: Name,
    /// The base URL of the authority.
    pub authority: Arc<str>,
    /// The directory.
    pub tenant: TenantId,
    /// The application in that directory.
    pub client_id: ClientId,
    /// What was asked for.
    pub scope: Scope,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_not_print_its_secret() {
        let token = Token {
            secret: Secret::from("eyJmarked".to_owned()),
            issued_at: Timestamp::from_secs(1),
            expires_at: Timestamp::from_secs(3601),
            refresh_in: None,
        };
        assert!(!format!("{token:?}").contains("eyJmarked"));
        assert_eq!(token.life(), Duration::from_hours(1));
    }
}
