//! The failures of late, bounded, and which identities have had no token since. Pure: the time is an argument.

use std::collections::{HashMap, VecDeque};

use super::outline::Outline;
use super::{Fault, Kind, Turn};
use crate::clock::Timestamp;
use crate::name::{Name, TenantId};

/// Failures of exchanges, the last ones last.
#[derive(Debug, Default)]
pub struct Recent {
    entries: VecDeque<Entry>,
    /// How the last exchange of each identity failed, and where; there is nothing of those that did well.
    last: HashMap<Name, (Option<TenantId>, Outline)>,
}

/// Where an exchange was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// For whom.
    pub identity: Name,
    /// In which directory, if the identity is in one.
    pub tenant: Option<TenantId>,
    /// Whether the configuration names it. Those that callers make up are told apart by nothing, so that nobody can
    /// push out the failures of others by naming ever new ones.
    pub is_listed: bool,
}

/// Failures that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When the last of them was.
    pub at: Timestamp,
    /// Where that was.
    pub spot: Spot,
    /// What it was.
    pub outline: Outline,
    /// How many there were since they began to stand here.
    pub count: u64,
    /// Whether a token came from there since.
    pub is_over: bool,
}

impl Recent {
    /// An exchange failed.
    pub fn fail(&mut self, now: Timestamp, spot: Spot, fault: &Fault) {
        let outline = Outline::from(fault);
        // What is wrong with a request, or with a tenant that a caller made up, says nothing of the identity.
        if spot.is_listed && outline.turn() != Turn::Caller {
            self.last.insert(spot.identity.clone(), (spot.tenant.clone(), outline.clone()));
        }
        let before = self.entries.iter().position(|entry| entry.is_alike(&spot, fault.kind));
        let count = before.and_then(|place| self.entries.remove(place)).map_or(0, |entry| entry.count);
        if self.entries.len() >= MOST {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { at: now, spot, outline, count: count.saturating_add(1), is_over: false });
    }

    /// An exchange gave a token.
    pub fn succeed(&mut self, spot: &Spot) {
        if self.last.get(&spot.identity).is_some_and(|(tenant, _)| *tenant == spot.tenant) {
            self.last.remove(&spot.identity);
        }
        self.entries.iter_mut().filter(|entry| entry.spot == *spot).for_each(|entry| entry.is_over = true);
    }

    /// How the last exchange of an identity failed in a tenant of the configuration, unless a token came from there since.
    #[must_use]
    pub fn last(&self, identity: &Name) -> Option<&Outline> {
        self.last.get(identity).map(|(_, outline)| outline)
    }

    /// The failures, the last one first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev()
    }
}

impl Entry {
    fn is_alike(&self, spot: &Spot, kind: Kind) -> bool {
        let same_place = self.spot.tenant == spot.tenant || !spot.is_listed;
        self.outline.kind == kind
            && self.spot.identity == spot.identity
            && self.spot.is_listed == spot.is_listed
            && same_place
    }
}

/// So many kinds of failure in so many places are remembered.
const MOST: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn spot(identity: &str, tenant: &str, is_listed: bool) -> Spot {
        Spot { identity: Name::parse(identity).unwrap(), tenant: TenantId::parse(tenant).ok(), is_listed }
    }

    fn fault(kind: Kind) -> Fault {
        Fault::new(kind, "p", "r")
    }

    fn shown(recent: &Recent) -> Vec<(u64, String, u64, bool)> {
        let shown = |entry: &Entry| {
            let place = format!("{} {}", entry.spot.identity, entry.spot.tenant.as_ref().unwrap());
            (entry.at.as_secs(), place, entry.count, entry.is_over)
        };
        recent.entries().map(shown).collect()
    }

    #[test]
    fn what_is_alike_is_counted_and_the_last_stands_first() {
        let mut recent = Recent::default();
        let (here, there) = (spot("a", "a.com", true), spot("a", "b.com", true));
        recent.fail(at(1), here.clone(), &fault(Kind::Unavailable));
        recent.fail(at(2), there.clone(), &fault(Kind::Unavailable));
        recent.fail(at(3), here.clone(), &fault(Kind::Unavailable));
        recent.succeed(&there);
        assert_eq!(shown(&recent), [(3, "a a.com".to_owned(), 2, false), (2, "a b.com".to_owned(), 1, true)]);
        recent.fail(at(4), there, &fault(Kind::Unavailable));
        assert_eq!(shown(&recent)[0], (4, "a b.com".to_owned(), 2, false), "it is not over any more");
        recent.fail(at(5), here, &fault(Kind::Throttled));
        assert_eq!(shown(&recent).len(), 3);
    }

    #[test]
    fn an_identity_has_failed_until_a_token_comes_from_the_same_place() {
        let mut recent = Recent::default();
        let (here, there) = (spot("a", "a.com", true), spot("a", "b.com", true));
        recent.fail(at(1), here.clone(), &fault(Kind::InvalidRequest));
        assert!(recent.last(&here.identity).is_none(), "a wrong request is its caller's");
        recent.fail(at(2), here.clone(), &fault(Kind::RejectedCredential));
        recent.succeed(&there);
        assert_eq!(recent.last(&here.identity).map(Outline::code), Some("invalid_client"));
        recent.succeed(&here);
        assert!(recent.last(&here.identity).is_none());
    }

    #[test]
    fn tenants_that_callers_make_up_push_out_nobody() {
        let mut recent = Recent::default();
        recent.fail(at(1), spot("a", "a.com", true), &fault(Kind::Unavailable));
        for n in 0..1000 {
            recent.fail(at(2), spot("a", &format!("t{n}.com"), false), &fault(Kind::Misconfigured));
        }
        assert_eq!(recent.last(&Name::parse("a").unwrap()).map(Outline::code), Some("service_unavailable"));
        assert_eq!(shown(&recent), [(2, "a t999.com".to_owned(), 1000, false), (1, "a a.com".to_owned(), 1, false)]);
        for n in 0..1000 {
            recent.fail(at(3), spot(&format!("i{n}"), "a.com", true), &fault(Kind::Unavailable));
        }
        assert_eq!(recent.entries().count(), MOST);
    }
}
