//! Finds the source of an identity in a tenant.
//!
//! Those of the configuration are there from the start. For a tenant that only a caller named, one is made
//! when it is asked for, and the least used are let go: what they knew, an endpoint and a rejection, is
//! learned again in one round trip.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::any_tenant::AnyTenant;
use super::stake::Stake;
use crate::fault::{Fault, Kind};
use crate::name::Name;
use crate::policy::Tenant;
use crate::source::Source;
use crate::source::allowance::Rate;
use crate::token::{Descent, TokenKey};

/// The sources of every identity. Whoever asks adds nothing to these tables, so that their hashes need not be strong.
#[derive(Default)]
pub struct Sources {
    places: HashMap<Name, Places, RandomState>,
    descents: HashSet<Descent, RandomState>,
    wholes: HashSet<Descent, RandomState>,
}

/// The sources of one identity.
pub struct Places {
    listed: HashMap<Name, Arc<Source>, RandomState>,
    /// The names as they are listed.
    order: Vec<Name>,
    any: Option<Arc<AnyTenant>>,
}

impl Places {
    /// The sources for configured tenants, the default one first, and the pattern for any other.
    #[must_use]
    pub fn new(listed: Vec<(Name, Arc<Source>)>, any: Option<Arc<AnyTenant>>) -> Self {
        let order = listed.iter().map(|(name, _)| name.clone()).collect();
        Self { order, listed: listed.into_iter().collect(), any }
    }

    /// The one in the configured tenant of this name.
    #[must_use]
    pub fn listed(&self, tenant: &Name) -> Option<&Arc<Source>> {
        self.listed.get(tenant)
    }

    /// Those in tenants of callers' choice.
    #[must_use]
    pub const fn any(&self) -> Option<&Arc<AnyTenant>> {
        self.any.as_ref()
    }

    /// Each there is, and the pattern of those to come.
    fn each(&self) -> impl Iterator<Item = &Source> {
        self.listed.values().map(Arc::as_ref).chain(self.any.iter().map(|any| &any.pattern))
    }

    /// Those of configured tenants under their names, the default one first.
    pub fn named(&self) -> impl Iterator<Item = (&Name, &Arc<Source>)> {
        self.order.iter().filter_map(|name| Some((name, self.listed.get(name)?)))
    }

    /// How many configured tenants there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// What a source in any other tenant is made of, if callers may name one.
    #[must_use]
    pub fn pattern(&self) -> Option<&Source> {
        self.any.as_ref().map(|any| &any.pattern)
    }

    /// One of them all: what is true of its credentials is true of those of the others.
    #[must_use]
    pub fn one(&self) -> Option<&Source> {
        self.named().map(|(_, source)| source.as_ref()).next().or_else(|| self.pattern())
    }

    /// Those of configured tenants, the default one first.
    fn in_order(&self) -> impl Iterator<Item = &Arc<Source>> {
        self.named().map(|(_, source)| source)
    }

    /// The one whose token proves `other`: in the same directory of the same authority if it works there,
    /// else in its default tenant.
    fn vouching(&self, other: &Source, stake: Option<&Stake>) -> Option<Arc<Source>> {
        if let Some(there) = self.in_order().find(|source| source.is_beside(other)) {
            return Some(Arc::clone(there));
        }
        match (&self.any, other.tenant(), self.in_order().next()) {
            (Some(any), Some(id), first) if first.is_none() || any.pattern.has_authority_of(other) => {
                Some(any.find(id, stake))
            }
            (_, _, first) => first.cloned(),
        }
    }

    fn find(&self, tenant: &Tenant, stake: Option<&Stake>) -> Option<Arc<Source>> {
        match (&tenant.name, &self.any) {
            (Some(name), _) => self.listed.get(name).cloned(),
            (None, Some(any)) => Some(any.find(&tenant.id, stake)),
            (None, None) => None,
        }
    }
}

impl Sources {
    /// Sources by the names of their identities.
    #[must_use]
    pub fn new(identities: impl IntoIterator<Item = (Name, Places)>) -> Self {
        let places: HashMap<Name, Places, RandomState> = identities.into_iter().collect();
        let each = || places.values().flat_map(Places::each);
        Self { descents: each().map(Source::descent).collect(), wholes: each().map(Source::whole).collect(), places }
    }

    /// The sources of one identity.
    #[must_use]
    pub fn of(&self, identity: &Name) -> Option<&Places> {
        self.places.get(identity)
    }

    /// Whether some source would come by the token of this key as it was come by.
    #[must_use]
    pub fn mint(&self, key: &TokenKey) -> bool {
        self.descents.contains(&key.principal.descent)
    }

    /// Whether `source` is one of these, or just like one.
    #[must_use]
    pub fn have(&self, source: &Source) -> bool {
        self.wholes.contains(&source.whole())
    }

    /// The one that comes by the same tokens as `old` now: this one, unless there is another in its place.
    #[must_use]
    pub fn present<'a>(&'a self, old: &'a Arc<Source>) -> Option<&'a Arc<Source>> {
        if self.have(old) {
            return Some(old);
        }
        let is_it = |source: &&Arc<Source>| source.descent() == old.descent() && source.tenant() == old.tenant();
        self.places.get(old.identity())?.listed.values().find(is_it)
    }

    /// Sets how often all of them may renew and answer; what is so already goes on.
    pub fn set_rate(&self, rate: Rate) {
        self.all().for_each(|source| source.allowance().set(rate));
        let patterns = self.places.values().filter_map(|places| places.any.as_ref());
        patterns.for_each(|any| any.pattern.allowance().set(rate));
    }

    /// The source of `identity` in a tenant that policy permitted. Whoever has `stake` names the tenant, if the
    /// configuration does not.
    ///
    /// # Errors
    /// Only a bug of ours: the configuration makes a source for every pair that policy can permit.
    pub fn find(&self, identity: &Name, tenant: &Tenant, stake: Option<&Stake>) -> Result<Arc<Source>, Fault> {
        let places = self.places.get(identity).ok_or_else(missing)?;
        places.find(tenant, stake).ok_or_else(missing)
    }

    /// The source of an identity whose token proves the application of `other`.
    ///
    /// # Errors
    /// Only a bug of ours: the configuration has seen to it that there is one.
    pub fn vouching(&self, identity: &Name, other: &Source, stake: Option<&Stake>) -> Result<Arc<Source>, Fault> {
        let places = self.places.get(identity).ok_or_else(missing)?;
        places.vouching(other, stake).ok_or_else(missing)
    }

    /// The source of an identity in its default tenant.
    #[must_use]
    pub fn first_of(&self, identity: &Name) -> Option<&Arc<Source>> {
        self.places.get(identity)?.in_order().next()
    }

    /// Whether the configuration names the tenant of a source, and no caller did.
    #[must_use]
    pub fn lists(&self, source: &Source) -> bool {
        let places = self.places.get(source.identity());
        places.is_some_and(|places| places.listed.values().any(|listed| std::ptr::eq(Arc::as_ptr(listed), source)))
    }

    /// Each identity and its sources.
    pub fn each(&self) -> impl Iterator<Item = (&Name, &Places)> {
        self.places.iter()
    }

    /// All that there are now.
    pub fn all(&self) -> impl Iterator<Item = Arc<Source>> {
        self.places.values().flat_map(|places| {
            let made = places.any.iter().flat_map(|any| any.made.iter().map(|(_, source)| source));
            places.listed.values().cloned().chain(made)
        })
    }

    /// One of each identity: what is true of its credentials is true of those of the others.
    pub fn each_identity(&self) -> impl Iterator<Item = &Source> {
        self.places.values().filter_map(Places::one)
    }

    /// The files in which new credentials would appear.
    pub fn files(&self) -> impl Iterator<Item = &std::path::Path> {
        self.each_identity().flat_map(Source::files)
    }
}

fn missing() -> Fault {
    Fault::new(Kind::Internal, "the identity has no source", "report this")
}

#[cfg(test)]
pub(super) mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::authority::place::Place;
    use crate::authority::region::Choice;
    use crate::authority::site::Site;
    use crate::authority::{Authority, InstanceDiscovery};
    use crate::caller::share::Share;
    use crate::clock::Clock;
    use crate::name::{ClientId, TenantId};
    use crate::source::Application;
    use crate::source::application::Parts;
    use crate::vend::cache::Bounds;
    use crate::wire::{Reach, System, Trust, Wire};

    pub(in crate::vend) fn source(authority: &str, tenant: &str) -> Source {
        let trust = Trust {
            roots: System::default().or(None),
            connect_timeout: Duration::from_secs(1),
            proxy: None,
            loopback: true,
            reach: Reach::Authority,
        };
        let place = Place::pattern(authority, None).unwrap().in_tenant(&TenantId::parse(tenant).unwrap());
        let site = Arc::new(Site::new(InstanceDiscovery::Off, Choice::Central));
        let authority = Authority::new(place, site, Wire::new(trust).unwrap(), Clock::System);
        let parts = Parts {
            descent: Descent::default(),
            whole: Descent::default(),
            identity: Name::parse("app").unwrap(),
            client_id: ClientId::parse("app").unwrap(),
            authority: Arc::new(authority),
            credentials: Vec::new(),
            client_capabilities: Arc::new([]),
            extra_body: Arc::new([]),
            timeout: Duration::from_secs(1),
            rate: Rate { of_all: NonZeroU32::MIN, share: None },
            floods: Arc::default(),
            clock: Clock::System,
        };
        Source::Application(Box::new(Application::new(parts)))
    }

    fn pattern() -> Source {
        source(PUBLIC, "any.example")
    }

    const PUBLIC: &str = "https://login.microsoftonline.com";

    #[test]
    fn whoever_vouches_does_so_beside_the_other_or_in_its_first_tenant() {
        let name = |n: usize| Name::parse(&format!("t{n}")).unwrap();
        let listed = [
            ("https://login.corp", "a.example"),
            ("https://login.partner", "b.example"),
            (PUBLIC, "b.example"),
            (PUBLIC, "b.example"),
        ];
        // More than once, since the order of a map is another one each time.
        for _ in 0..20 {
            let listed = listed.iter().enumerate().map(|(n, (at, id))| (name(n), Arc::new(source(at, id)))).collect();
            let places = Places::new(listed, None);
            for (authority, tenant, expected) in [
                (PUBLIC, "b.example", 2),
                ("https://login.partner", "b.example", 1),
                ("https://login.corp", "b.example", 0),
                (PUBLIC, "c.example", 0),
            ] {
                let found = places.vouching(&source(authority, tenant), None).unwrap();
                assert!(Arc::ptr_eq(&found, &places.listed[&name(expected)]), "{authority} {tenant}");
            }
        }
    }

    #[test]
    fn a_pattern_vouches_on_its_own_authority() {
        let first = || vec![(Name::parse("first").unwrap(), Arc::new(source("https://login.corp", "a.example")))];
        for (listed, authority, expected) in [
            (first(), PUBLIC, "c.example"),
            (first(), "https://login.partner", "a.example"),
            (Vec::new(), "https://login.partner", "c.example"),
        ] {
            let places = Places::new(listed, Some(Arc::new(AnyTenant::new(pattern()))));
            let found = places.vouching(&source(authority, "c.example"), None).unwrap();
            assert_eq!(found.tenant().unwrap().as_str(), expected, "{authority}");
        }
    }

    #[test]
    fn more_tenants_than_the_bound_leave_no_more_behind() {
        let app = Name::parse("app").unwrap();
        let sources = Sources::new([(app.clone(), Places::new(Vec::new(), Some(Arc::new(AnyTenant::new(pattern())))))]);
        let tenant = |n: u32| Tenant { name: None, id: TenantId::parse(&format!("t{n}.example")).unwrap() };
        let made = || &sources.places[&app].any.as_ref().unwrap().made;
        // The first are found more often than any that come after.
        for n in (0..10_000).chain(0..10_000).chain(0..12_500) {
            let source = sources.find(&app, &tenant(n), None).unwrap();
            assert_eq!(source.tenant(), Some(&tenant(n).id));
        }
        made().run_pending_tasks();
        assert!(sources.all().count() <= 10_000);
        let late = tenant(99_999);
        let before = sources.find(&app, &late, None).unwrap();
        made().run_pending_tasks();
        let again = sources.find(&app, &late, None).unwrap();
        assert!(Arc::ptr_eq(&before, &again), "a newcomer is not turned away");
    }

    #[test]
    fn a_caller_that_names_ever_new_tenants_displaces_its_own_alone() {
        let app = Name::parse("app").unwrap();
        let sources = Sources::new([(app.clone(), Places::new(Vec::new(), Some(Arc::new(AnyTenant::new(pattern())))))]);
        let share = Share::parse(0.01).unwrap();
        let stakes: Vec<Stake> = (0..2).map(|place| Stake::new(place, share, Bounds::default())).collect();
        let find = |n: u32, place: usize| {
            let tenant = Tenant { name: None, id: TenantId::parse(&format!("t{n}.example")).unwrap() };
            sources.find(&app, &tenant, Some(&stakes[place])).unwrap()
        };
        let own = find(1, 1);
        for n in 2..2000 {
            find(n, 0);
        }
        assert!(Arc::ptr_eq(&own, &find(1, 1)));
        let made = &sources.places[&app].any.as_ref().unwrap().made;
        made.run_pending_tasks();
        assert_eq!(sources.all().count(), 101);
    }
}
