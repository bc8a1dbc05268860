//! How the tokens of a source are come by, as one number.

use aws_lc_rs::digest::{Context, SHA256};

/// Who issues, for whom, and what proves that to whoever issues, as it is configured. Where any of it is another, a
/// token would have been obtained otherwise, and is none of the same descent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Descent(u128);

impl Descent {
    /// That of these parts. Each stands behind its length, so that no two lists read the same.
    #[must_use]
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut half = [0; size_of::<u128>()];
        half.copy_from_slice(&context.finish().as_ref()[..size_of::<u128>()]);
        Self(u128::from_be_bytes(half))
    }

    /// The bytes, for a descent that depends on this one.
    #[must_use]
    pub const fn bytes(self) -> [u8; size_of::<u128>()] {
        self.0.to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart() {
        let of = |parts: &[&str]| Descent::of(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        let different = [of(&[]), of(&["ab"]), of(&["a", "b"]), of(&["b", "a"]), of(&["ab", ""]), of(&["", "ab"])];
        for (n, one) in different.iter().enumerate() {
            assert!(!different[..n].contains(one), "{n}");
        }
        assert_ne!(Descent::of([&of(&["a"]).bytes()[..]]), of(&["a"]));
    }
}
