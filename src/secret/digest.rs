//! What a text is found by where the text itself is not kept: its SHA-256.

use std::fmt;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

/// The SHA-256 of a text, to look up by. Whoever lets somebody in by a secret compares [`Imprint`](super::Imprint)s.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; SHA256_OUTPUT_LEN]);

impl Digest {
    /// That of any text.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        bytes.copy_from_slice(digest(&SHA256, text).as_ref());
        Self(bytes)
    }

    /// The first 16 of its hex digits: enough to find a token by.
    #[must_use]
    pub fn prefix(&self) -> String {
        self.0[..PREFIX].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) const fn bytes(&self) -> &[u8; SHA256_OUTPUT_LEN] {
        &self.0
    }
}

/// Of a short secret it could be guessed back.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(super::REDACTED)
    }
}

/// In bytes.
const PREFIX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_sha_256_and_does_not_print() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.prefix(), "ba7816bf8f01cfea", "the example of FIPS 180-4");
        assert_ne!(digest, Digest::of(b"abd"));
        assert_eq!(format!("{digest:?}"), "[redacted]");
    }
}
