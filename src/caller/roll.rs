//! Which place each caller has, for as long as the process lives.
//!
//! Much is kept by a caller's place: who was handed a token, what it has used. So a place is never given to another
//! name, also when a caller comes or goes.

use crate::name::Name;

/// The names of all callers that there ever were, in their places.
#[derive(Clone, Debug, Default)]
pub struct Roll(Vec<Name>);

impl Roll {
    /// The place of the caller of this name, which is the next free one if it is new.
    pub fn enter(&mut self, name: &Name) -> usize {
        self.0.iter().position(|known| known == name).unwrap_or_else(|| {
            self.0.push(name.clone());
            self.0.len() - 1
        })
    }
}

/// Something of each caller, in its place; those of callers that are gone are empty.
#[derive(Clone, Debug)]
pub struct Placed<T>(Vec<Option<T>>);

impl<T> Placed<T> {
    /// What is in this place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&T> {
        self.0.get(place)?.as_ref()
    }

    /// All of them, by their places.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl<T> FromIterator<(usize, T)> for Placed<T> {
    fn from_iter<I: IntoIterator<Item = (usize, T)>>(all: I) -> Self {
        let mut placed = Vec::new();
        for (place, one) in all {
            placed.resize_with(placed.len().max(place + 1), || None);
            placed[place] = Some(one);
        }
        Self(placed)
    }
}

impl<T> Default for Placed<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_nobody_elses_ever() {
        let mut roll = Roll::default();
        let mut enter = |name: &str| roll.enter(&Name::parse(name).unwrap());
        assert_eq!(["b", "a", "b", "c"].map(&mut enter), [0, 1, 0, 2]);
        let placed: Placed<&str> = [(2, "c"), (0, "b")].into_iter().collect();
        assert_eq!([0, 1, 2, 3].map(|place| placed.get(place).copied()), [Some("b"), None, Some("c"), None]);
        assert_eq!(placed.iter().copied().collect::<Vec<_>>(), ["b", "c"]);
        assert!(!placed.is_empty() && Placed::<u8>::default().is_empty());
    }
}
