//! What the core holds at one moment, and why it does not hold more: for whoever operates it. It has no token, no secret
//! and no word of an authority's.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::Vend;
use super::census::Census;
use super::sources::Places;
use super::warm::Warmth;
use crate::clock::Timestamp;
use crate::credential::expiry::Expiry;
use crate::fault::outline::Outline;
use crate::fault::recent::Entry;
use crate::name::{Name, Resource, TenantId};
use crate::source::Source;
use crate::source::roster::{Held, Roster};

/// What there is now.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// When that was.
    pub at: Timestamp,
    /// Those that fail first, then by their names; at most [`SHOWN`].
    pub identities: Vec<Identity>,
    /// How many more there are.
    pub left_out: usize,
    /// All keys; none if there are so many that they are being looked at for the first time.
    pub census: Option<Arc<Census>>,
    /// Failures of exchanges, the last one first.
    pub faults: Vec<Entry>,
}

/// An identity and what it holds.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name in the configuration.
    pub name: Name,
    /// How it is with it.
    pub state: State,
    /// How many live tokens it has, where that is known.
    pub tokens: Option<usize>,
    /// What is held ready.
    pub warm: Vec<(Resource, Warmth)>,
    /// How its last exchange failed, unless a token came since.
    pub fault: Option<Outline>,
    /// Where it works: the first of them, at most [`SHOWN_TENANTS`].
    pub tenants: Vec<Tenant>,
    /// How many more there are.
    pub tenants_left_out: usize,
    /// Whether callers may name any other.
    pub takes_any_tenant: bool,
    /// What proves it, and how that stands in its default tenant.
    pub credentials: Vec<Credential>,
}

/// How it is with an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// What is to be held ready is not, or the last exchange failed.
    Failing,
    /// What is to be held ready is being fetched.
    Warming,
    /// There are tokens, or a token came last.
    Ready,
    /// Nobody has asked lately, and nothing is to be held ready.
    Idle,
}

impl State {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Warming => "warming",
            Self::Ready => "ready",
            Self::Idle => "idle",
        }
    }

    /// Decides by what is to be held ready, by how the last exchange went and by whether it is still the time to wait.
    fn of(warm: &[(&Resource, Warmth)], tokens: Option<usize>, has_failed: bool, is_warming_up: bool) -> Self {
        let lacks = warm.iter().any(|(_, warmth)| !matches!(warmth, Warmth::Held(_)));
        match (lacks, has_failed) {
            (true, false) if is_warming_up => Self::Warming,
            (true, _) | (_, true) => Self::Failing,
            (false, false) if tokens == Some(0) => Self::Idle,
            (false, false) => Self::Ready,
        }
    }
}

/// A directory in which an identity works.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its name in the configuration.
    pub name: Name,
    /// The directory, if it is one.
    pub id: Option<TenantId>,
    /// Who issues.
    pub authority: Box<str>,
}

/// A credential and how it stands.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Its kind, with a number from the second of a kind on.
    pub label: Box<str>,
    /// When it ends, as far as anybody knows.
    pub expiry: Option<Expiry>,
    /// Whether it is tried first.
    pub is_first: bool,
    /// Why it is not to be used now, and until when.
    pub barred: Option<(Timestamp, Outline)>,
}

impl Vend {
    /// What there is now.
    pub async fn inventory(&self) -> Inventory {
        let census = self.census().await;
        let at = self.0.clock.now();
        let mut found: Vec<Found<'_>> = self.found(census.as_deref(), at);
        found.sort_by_key(|one| (one.state != State::Failing, one.name));
        let left_out = found.len().saturating_sub(SHOWN);
        let identities = found.into_iter().take(SHOWN).map(|one| one.told(at)).collect();
        let faults = self.0.recent().entries().cloned().collect();
        Inventory { at, identities, left_out, census, faults }
    }

    /// All keys, as they are now or were a moment ago: probes wait for nobody who looks at a million.
    async fn census(&self) -> Option<Arc<Census>> {
        let parts = Arc::clone(&self.0);
        let look = self.0.runtime.spawn(async move {
            let _looking = parts.census.looking.lock().await;
            if let Some(good) = parts.census.good() {
                return Some(good);
            }
            let looking = Arc::clone(&parts);
            let look = move || looking.census.look(&looking.cache, looking.clock.now());
            // Nobody else may wait for it.
            parts.runtime.spawn_blocking(look).await.ok()
        });
        let looked = timeout(PATIENCE, look).await.ok().and_then(Result::ok).flatten();
        looked.or_else(|| self.0.census.last())
    }

    /// All identities, of which only the first are told of.
    fn found(&self, census: Option<&Census>, now: Timestamp) -> Vec<Found<'_>> {
        let is_warming_up = !self.is_warmed_up();
        let recent = self.0.recent();
        let found = |(name, places)| {
            let tokens = census.map(|census| census.tokens.get(name).copied().unwrap_or_default());
            let warm: Vec<_> = self.0.warmup.of(name, now).collect();
            let fault = recent.last(name).cloned();
            let state = State::of(&warm, tokens, fault.is_some(), is_warming_up);
            Found { name, places, state, tokens, warm, fault }
        };
        self.0.sources.each().map(found).collect()
    }
}

/// An identity, before it is decided whether it is told of.
struct Found<'a> {
    name: &'a Name,
    places: &'a Places,
    state: State,
    tokens: Option<usize>,
    warm: Vec<(&'a Resource, Warmth)>,
    fault: Option<Outline>,
}

impl Found<'_> {
    fn told(self, now: Timestamp) -> Identity {
        let tenant = |(name, source): (&Name, &Arc<Source>)| Tenant {
            name: name.clone(),
            id: source.tenant().cloned(),
            authority: source.authority().as_str().into(),
        };
        Identity {
            name: self.name.clone(),
            state: self.state,
            tokens: self.tokens,
            warm: self.warm.into_iter().map(|(resource, warmth)| (resource.clone(), warmth)).collect(),
            fault: self.fault,
            tenants: self.places.named().take(SHOWN_TENANTS).map(tenant).collect(),
            tenants_left_out: self.places.len().saturating_sub(SHOWN_TENANTS),
            takes_any_tenant: self.places.pattern().is_some(),
            credentials: self
                .places
                .one()
                .and_then(Source::roster)
                .map(|roster| papers(roster, now))
                .unwrap_or_default(),
        }
    }
}

fn papers(roster: &Roster, now: Timestamp) -> Vec<Credential> {
    let paper = |(place, held): (usize, &Held)| Credential {
        label: held.label.clone(),
        expiry: held.credential.expiry(),
        is_first: place == roster.working(),
        barred: held.standing.barred(now).map(|(until, fault)| (until, Outline::from(&fault))),
    };
    roster.iter().enumerate().map(paper).collect()
}

/// So many identities are told of.
pub const SHOWN: usize = 100;
/// So many of the tenants of each.
pub const SHOWN_TENANTS: usize = 5;
/// Half of what `bursar probe` waits.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Fault, Kind};

    #[test]
    fn an_identity_fails_by_what_it_lacks_or_by_its_last_exchange() {
        let resource = Resource::parse("r").unwrap();
        let warm = |warmth| vec![(&resource, warmth)];
        let outline = Outline::from(&Fault::new(Kind::Unavailable, "p", "r"));
        let held = warm(Warmth::Held(Timestamp::from_secs(1)));
        let (failing, waiting) = (warm(Warmth::Failing(outline)), warm(Warmth::Waiting));
        for (warm, tokens, has_failed, is_warming_up, expected) in [
            (&held, Some(1), false, false, State::Ready),
            (&held, Some(1), true, false, State::Failing),
            (&failing, Some(0), true, true, State::Failing),
            (&failing, Some(3), false, false, State::Failing),
            (&waiting, Some(0), false, true, State::Warming),
            (&waiting, Some(0), false, false, State::Failing),
            (&Vec::new(), Some(0), false, true, State::Idle),
            (&Vec::new(), Some(1), false, true, State::Ready),
            (&Vec::new(), Some(1), true, false, State::Failing),
            (&Vec::new(), None, false, false, State::Ready),
        ] {
            assert_eq!(
                State::of(warm, tokens, has_failed, is_warming_up),
                expected,
                "{warm:?} {tokens:?} {has_failed}"
            );
        }
    }
}
