//! Finds the source of an identity in a tenant.
//!
//! Those of the configuration are there from the start. For a tenant that only a caller named, one is made
//! when it is asked for, and the least used are let go: what they knew, an endpoint and a rejection, is
//! learned again in one round trip.

use std::collections::HashMap;
use std::sync::Arc;

use moka::future::Cache;

use crate::fault::{Fault, Kind};
use crate::name::{Name, TenantId};
use crate::policy::Tenant;
use crate::source::Source;

/// The sources of every identity.
#[derive(Default)]
pub struct Sources(HashMap<Name, Places>);

/// The sources of one identity.
pub struct Places {
    listed: HashMap<Name, Arc<Source>>,
    first: Option<Name>,
    any: Option<AnyTenant>,
}

/// The sources that callers made up.
struct AnyTenant {
    pattern: Source,
    made: Cache<TenantId, Arc<Source>>,
}

impl Places {
    /// The sources for configured tenants, the default one first, and the pattern for any other.
    #[must_use]
    pub fn new(listed: Vec<(Name, Source)>, any: Option<Source>) -> Self {
        Self {
            first: listed.first().map(|(name, _)| name.clone()),
            listed: listed.into_iter().map(|(name, source)| (name, Arc::new(source))).collect(),
            any: any.map(|pattern| AnyTenant { pattern, made: Cache::new(MOST) }),
        }
    }

    async fn find(&self, tenant: &Tenant) -> Option<Arc<Source>> {
        match (&tenant.name, &self.any) {
            (Some(name), _) => self.listed.get(name).cloned(),
            (None, Some(any)) => Some(any.find(&tenant.id).await),
            (None, None) => None,
        }
    }
}

impl AnyTenant {
    async fn find(&self, id: &TenantId) -> Arc<Source> {
        self.made.get_with_by_ref(id, async { Arc::new(self.pattern.in_tenant(id)) }).await
    }
}

impl Sources {
    /// Sources by the names of their identities.
    #[must_use]
    pub fn new(identities: impl IntoIterator<Item = (Name, Places)>) -> Self {
        Self(identities.into_iter().collect())
    }

    /// The source of `identity` in a tenant that policy permitted.
    ///
    /// # Errors
    /// Only a bug of ours: the configuration makes a source for every pair that policy can permit.
    pub async fn find(&self, identity: &Name, tenant: &Tenant) -> Result<Arc<Source>, Fault> {
        let places = self.0.get(identity).ok_or_else(missing)?;
        places.find(tenant).await.ok_or_else(missing)
    }

    /// The source of an identity whose token proves another in the directory `id`: there if it works there,
    /// else in its default tenant.
    ///
    /// # Errors
    /// Only a bug of ours: the configuration has seen to it that there is one.
    pub async fn vouching(&self, identity: &Name, id: Option<&TenantId>) -> Result<Arc<Source>, Fault> {
        let places = self.0.get(identity).ok_or_else(missing)?;
        if let Some(there) = places.listed.values().find(|source| source.tenant() == id) {
            return Ok(Arc::clone(there));
        }
        if let (Some(any), Some(id)) = (&places.any, id) {
            return Ok(any.find(id).await);
        }
        places.first.as_ref().and_then(|first| places.listed.get(first)).cloned().ok_or_else(missing)
    }

    /// All that there are now.
    pub fn all(&self) -> impl Iterator<Item = Arc<Source>> {
        self.0.values().flat_map(|places| {
            let made = places.any.iter().flat_map(|any| any.made.iter().map(|(_, source)| source));
            places.listed.values().cloned().chain(made)
        })
    }

    /// One of each identity: what is true of its credentials is true of those of the others.
    pub fn each_identity(&self) -> impl Iterator<Item = &Source> {
        self.0.values().filter_map(|places| {
            let pattern = places.any.as_ref().map(|any| &any.pattern);
            places.listed.values().next().map(Arc::as_ref).or(pattern)
        })
    }

    /// The files in which new credentials would appear.
    pub fn files(&self) -> impl Iterator<Item = &std::path::Path> {
        self.each_identity().flat_map(Source::files)
    }
}

fn missing() -> Fault {
    Fault::new(Kind::Internal, "the identity has no source", "report this")
}

/// So many tenants of callers' choice are known for each identity; a source is some two kilobytes.
const MOST: u64 = 10_000;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::authority::host::Host;
    use crate::authority::place::Place;
    use crate::authority::region::Choice;
    use crate::authority::{Authority, InstanceDiscovery};
    use crate::clock::Clock;
    use crate::name::ClientId;
    use crate::source::Application;
    use crate::source::application::Parts;
    use crate::wire::{Reach, Trust, Wire};

    fn pattern() -> Source {
        let trust = Trust {
            roots: None,
            connect_timeout: Duration::from_secs(1),
            proxy: None,
            loopback: true,
            reach: Reach::Authority,
        };
        let place = Place::pattern("https://login.microsoftonline.com", None).unwrap();
        let host = Arc::new(Host::new(InstanceDiscovery::Off, Choice::Central));
        let authority = Authority::new(place, host, Wire::new(trust).unwrap(), Clock::System);
        let parts = Parts {
            identity: Name::parse("app").unwrap(),
            client_id: ClientId::parse("app").unwrap(),
            authority: Arc::new(authority),
            credentials: Vec::new(),
            client_capabilities: Arc::new([]),
            extra_body: Arc::new([]),
            timeout: Duration::from_secs(1),
            refresh_rate: NonZeroU32::MIN,
            clock: Clock::System,
        };
        Source::Application(Box::new(Application::new(parts)))
    }

    #[tokio::test]
    async fn more_tenants_than_the_bound_leave_no_more_behind() {
        let app = Name::parse("app").unwrap();
        let sources = Sources::new([(app.clone(), Places::new(Vec::new(), Some(pattern())))]);
        let tenant = |n: u32| Tenant { name: None, id: TenantId::parse(&format!("t{n}.example")).unwrap() };
        for n in 0..25_000 {
            let source = sources.find(&app, &tenant(n)).await.unwrap();
            assert_eq!(source.tenant(), Some(&tenant(n).id));
        }
        sources.0[&app].any.as_ref().unwrap().made.run_pending_tasks().await;
        assert!(sources.all().count() <= 10_000);
        let last = tenant(24_999);
        let again = sources.find(&app, &last).await.unwrap();
        assert!(Arc::ptr_eq(&again, &sources.find(&app, &last).await.unwrap()), "a known one is found");
    }
}
