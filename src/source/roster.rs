//! The credentials of a source in the operator's order, and which of them worked last.

use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::standing::Standing;
use crate::clock::Timestamp;
use crate::credential::Credential;
use crate::fault::Fault;

/// The credentials of a source.
#[derive(Debug)]
pub struct Roster {
    held: Vec<Held>,
    /// Where the one lies that is tried first.
    working: AtomicUsize,
}

/// A credential, and what a source remembers of it.
#[derive(Debug)]
pub struct Held {
    /// The credential itself, which the sources of an identity share.
    pub credential: Arc<Credential>,
    /// What this source's authority said of it.
    pub standing: Standing,
    /// Its kind; from the second of a kind on with its number, such as `secret#2`.
    pub label: Box<str>,
}

/// A credential whose turn it is.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its place in the operator's order.
    pub place: usize,
    /// The credential.
    pub held: &'a Held,
    /// Whether it failed before, stands earlier than the one that works, and is only tried out: by one fetch
    /// at a time, while the others go on.
    pub is_trial: bool,
}

impl Held {
    /// Notes whether the credential is a new one, which this or another source of the identity took.
    pub fn follow(&self) {
        self.standing.follow(self.credential.generation());
    }
}

impl Roster {
    /// These credentials, with the first to be tried first.
    #[must_use]
    pub fn new(credentials: Vec<Arc<Credential>>) -> Self {
        let kinds: Vec<&str> = credentials.iter().map(|credential| credential.kind()).collect();
        let labels = labels(&kinds);
        let held = credentials.into_iter().zip(labels);
        let held = held.map(|(credential, label)| {
            let standing = Standing::of(credential.generation());
            Held { credential, standing, label }
        });
        Self { held: held.collect(), working: AtomicUsize::new(0) }
    }

    /// All of them, in the operator's order.
    pub fn iter(&self) -> slice::Iter<'_, Held> {
        self.held.iter()
    }

    /// The place of the one that is tried first, as long as no earlier one may be tried again.
    #[must_use]
    pub fn working(&self) -> usize {
        self.working.load(Ordering::Acquire)
    }

    /// All of them, in the order of trying.
    #[must_use]
    pub fn order(&self, now: Timestamp) -> Vec<Candidate<'_>> {
        let rests: Vec<bool> = self.iter().map(|held| held.standing.rests(now)).collect();
        let order = order(self.working.load(Ordering::Acquire), &rests);
        order.map(|(place, is_trial)| Candidate { place, held: &self.held[place], is_trial }).collect()
    }

    /// The one at `place` gave a token. If it is tried first from now on, and was not before: the label of the
    /// one that it replaces.
    pub fn works(&self, place: usize, now: Timestamp) -> Option<&str> {
        let update = |before: usize| {
            // A fetch that began before the operator's choice worked again must not undo that.
            let is_replaced = place < before || (place > before && self.held[before].standing.rests(now));
            is_replaced.then_some(place)
        };
        let before = self.working.fetch_update(Ordering::AcqRel, Ordering::Acquire, update).ok()?;
        Some(&self.held[before].label)
    }

    /// Until when no credential is to be used, and why the first of them that may be is not; none when one may
    /// be used now.
    #[must_use]
    pub fn barred(&self, now: Timestamp) -> Option<(Timestamp, Fault)> {
        let bars: Option<Vec<_>> = self.iter().map(|held| held.standing.barred(now)).collect();
        bars?.into_iter().min_by_key(|(until, _)| *until)
    }
}

/// What stands before the working one is tried out when its rest is over; then comes the working one, then
/// whatever is left. With each place, whether it is a trial.
fn order(working: usize, rests: &[bool]) -> impl Iterator<Item = (usize, bool)> {
    let (earlier, later) = rests.split_at(working.min(rests.len()));
    let at_rest = |wanted: bool| earlier.iter().enumerate().filter(move |(_, rests)| **rests == wanted);
    let trials = at_rest(false).map(|(place, _)| (place, true));
    let last = at_rest(true).map(|(place, _)| place);
    // The working one is the first of the later ones.
    let (first, others) = (later.iter().take(1), later.iter().skip(1));
    let first = first.zip(working..).map(|(_, place)| place);
    let others = others.zip(working + 1..).map(|(_, place)| place);
    trials.chain(first.chain(last).chain(others).map(|place| (place, false)))
}

fn labels(kinds: &[&str]) -> Vec<Box<str>> {
    let label = |(n, kind): (usize, &&str)| match kinds[..n].iter().filter(|other| *other == kind).count() {
        0 => Box::from(*kind),
        before => format!("{kind}#{}", before + 1).into(),
    };
    kinds.iter().enumerate().map(label).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::credential::ClientSecret;
    use crate::fault::Kind;
    use crate::secret::Secret;

    const NOW: Timestamp = Timestamp::from_secs(1000);

    #[test]
    fn the_working_one_is_first_unless_an_earlier_one_has_rested() {
        for (working, rests, expected) in [
            (0, &[false, false, false][..], &[(0, false), (1, false), (2, false)][..]),
            (0, &[true, false, false], &[(0, false), (1, false), (2, false)]),
            (1, &[true, false, false], &[(1, false), (0, false), (2, false)]),
            (1, &[false, false, false], &[(0, true), (1, false), (2, false)]),
            (2, &[true, false, false], &[(1, true), (2, false), (0, false)]),
            (2, &[true, true, true], &[(2, false), (0, false), (1, false)]),
            (0, &[], &[]),
        ] {
            assert_eq!(order(working, rests).collect::<Vec<_>>(), expected, "{working} {rests:?}");
        }
    }

    #[test]
    fn labels_are_kinds_with_numbers() {
        assert_eq!(
            labels(&["secret", "certificate", "secret", "secret"]).iter().map(|label| &**label).collect::<Vec<_>>(),
            ["secret", "certificate", "secret#2", "secret#3"]
        );
    }

    #[test]
    fn another_one_is_remembered_when_the_first_rests_and_the_first_when_it_works_again() {
        let secret = || Arc::new(Credential::Secret(ClientSecret::new(Secret::from("s".to_owned()), None)));
        let roster = Roster::new(vec![secret(), secret(), secret()]);
        assert_eq!(roster.works(0, NOW), None);
        assert_eq!(roster.works(1, NOW), None, "the first may be tried");
        let fault = Fault::new(Kind::RejectedCredential, "p", "r");
        roster.held[0].standing.reject(0, &fault, NOW, 0.0);
        assert_eq!(roster.works(2, NOW), Some("secret"));
        assert_eq!(roster.works(2, NOW), None);
        assert_eq!(roster.works(1, NOW), Some("secret#3"), "it stands earlier");
        let later = NOW + Duration::from_secs(11);
        assert_eq!(
            roster.order(later).iter().map(|candidate| (candidate.place, candidate.is_trial)).next(),
            Some((0, true))
        );
        roster.held[0].standing.trust(0);
        assert_eq!(roster.works(0, later), Some("secret#2"));
        assert_eq!(roster.works(1, later), None, "a fetch that began before comes late");
    }
}
