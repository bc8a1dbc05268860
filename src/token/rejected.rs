//! Which tokens are no good to a caller, though they live.

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use subtle::ConstantTimeEq;

use super::Token;
use crate::name::Malformed;

/// What a caller will not be handed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// Whatever is kept: `bypass_cache=true`.
    Every,
    /// The one with this SHA-256, which a resource has refused: `token_sha256_to_refresh`.
    One([u8; SHA256_OUTPUT_LEN]),
}

impl Rejected {
    /// Reads the SHA-256 of a token, in hex of either case.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(hex: &str) -> Result<Self, Malformed> {
        let mut sum = [0; SHA256_OUTPUT_LEN];
        let is_hex = hex.len() == 2 * sum.len() && hex.bytes().all(|digit| digit.is_ascii_hexdigit());
        for (n, byte) in sum.iter_mut().enumerate().filter(|_| is_hex) {
            // Invariant: every byte of it is a digit.
            *byte = u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap_or_default();
        }
        is_hex.then_some(Self::One(sum)).ok_or(Malformed("'token_sha256_to_refresh' is a SHA-256 in 64 hex digits"))
    }

    /// Whether this token is one of them.
    #[must_use]
    pub fn has(&self, token: &Token) -> bool {
        match self {
            Self::Every => true,
            // Not even how much of a digest is right is told by the time that this takes.
            Self::One(sum) => digest(&SHA256, token.secret.expose().as_bytes()).as_ref().ct_eq(sum).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::clock::{Reading, Timestamp};
    use crate::secret::Secret;

    #[test]
    fn one_token_is_known_by_its_digest() {
        let token = |text: &str| {
            Token::new(
                Secret::from(text.to_owned()),
                Reading::at(Timestamp::from_secs(1)),
                Duration::from_secs(1),
                None,
            )
        };
        // echo -n abc | sha256sum
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for hex in [hex, &hex.to_uppercase()] {
            let rejected = Rejected::parse(hex).unwrap();
            assert!(rejected.has(&token("abc")) && !rejected.has(&token("abd")));
        }
        assert!(Rejected::Every.has(&token("")));
        for wrong in ["", &hex[1..], &format!("{hex}0"), &hex.replace('b', "g"), &hex.replace('b', "é")] {
            assert!(Rejected::parse(wrong).is_err(), "{wrong}");
        }
    }
}
