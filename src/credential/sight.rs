//! What the files of a credential looked like the last time, so that each change is told once.

use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};

use crate::fault::Fault;

/// What was seen, as a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight([u8; 32]);

impl Sight {
    /// What these parts look like; one that is not there differs from one that is empty.
    #[must_use]
    pub fn of(parts: &[Option<&[u8]>]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            context.update(&length.to_be_bytes());
            context.update(part.unwrap_or_default());
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Self(digest)
    }
}

/// Looks at files, one at a time, and remembers what it saw.
#[derive(Debug, Default)]
pub struct Lookout(Mutex<Option<Sight>>);

impl Lookout {
    /// Looks, and says whether `look` found something new. One who comes later sees what is later, so that an
    /// old state never replaces a new one.
    ///
    /// # Errors
    /// What `look` failed with, unless it looked just the same the last time: a file that stays broken is
    /// told about once.
    pub fn look(&self, look: impl FnOnce() -> (Sight, Result<bool, Fault>)) -> Result<bool, Fault> {
        // Invariant: the value is whole at every moment, whatever panics.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (sight, result) = look();
        let is_news = last.replace(sight) != Some(sight);
        result.or_else(|fault| if is_news { Err(fault) } else { Ok(false) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Kind;

    #[test]
    fn a_failure_is_told_once_for_each_sight() {
        let lookout = Lookout::default();
        let failing = |text: &str| {
            let sight = Sight::of(&[Some(text.as_bytes())]);
            lookout.look(|| (sight, Err(Fault::new(Kind::UnusableCredential, "p", "r")))).is_err()
        };
        assert_eq!([failing("a"), failing("a"), failing("b"), failing("a")], [true, false, true, true]);
        assert!(lookout.look(|| (Sight::of(&[]), Ok(true))).unwrap());
        assert!(failing("a"));
    }

    #[test]
    fn parts_are_told_apart() {
        let sights = [
            Sight::of(&[Some(b"ab"), Some(b"c")]),
            Sight::of(&[Some(b"a"), Some(b"bc")]),
            Sight::of(&[Some(b"abc")]),
            Sight::of(&[Some(b"abc"), None]),
            Sight::of(&[Some(b"abc"), Some(b"")]),
        ];
        for (n, one) in sights.iter().enumerate() {
            assert!(!sights[..n].contains(one), "{n}");
        }
    }
}
