//! Builds the sources: one for each identity in each of its tenants, and one for each identity of the host.
//!
//! Identities share their tenant's authority, and with it discovery and connections.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::authority::Authority;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::application::Application as Written;
use crate::config::identity::{Identity, Origin};
use crate::config::tenant::Tenant;
use crate::fault::Fault;
use crate::flood::{Concern, Floods};
use crate::name::Name;
use crate::source::application::Parts;
use crate::source::host::{self, Endpoint, HostId};
use crate::source::{Application, Host, Source};
use crate::vend::sources::{Places, Sources};
use crate::wire::{Reach, Trust, Wire};

/// The sources of a configuration, which log no more than `floods` let pass. Requests to the host carry `mark`.
///
/// # Errors
/// The system's trust store cannot be read.
pub(super) fn build(
    config: &Config,
    clock: &Clock,
    floods: &Arc<Floods<Concern>>,
    mark: &Arc<str>,
) -> Result<Sources, Fault> {
    let endpoint = config.host.clone().map(|address| endpoint(address, mark)).transpose()?;
    let builder = Builder { config, clock, floods, endpoint };
    let mut authorities = HashMap::new();
    let mut sources = HashMap::new();
    for identity in &config.identities {
        let name = identity.rules.name.clone();
        match &identity.origin {
            Origin::Application(application) => {
                sources.insert(name, builder.application(identity, application, &mut authorities));
                let hosts =
                    application.hosts.iter().map(|(name, selector)| (name.clone(), builder.host(name, selector)));
                sources.extend(hosts);
            }
            Origin::Host(selector) => {
                sources.insert(name.clone(), builder.host(&name, selector));
            }
        }
    }
    Ok(Sources::new(sources))
}

struct Builder<'a> {
    config: &'a Config,
    clock: &'a Clock,
    floods: &'a Arc<Floods<Concern>>,
    endpoint: Option<Arc<Endpoint>>,
}

type Authorities = HashMap<Option<Name>, Arc<Authority>>;

impl Builder<'_> {
    fn application(&self, identity: &Identity, application: &Written, authorities: &mut Authorities) -> Places {
        let mut source = |tenant: &Tenant| {
            let authority = authorities.entry(tenant.tenant.name.clone()).or_insert_with(|| self.authority(tenant));
            let parts = self.parts(identity, application, tenant, authority);
            Source::Application(Box::new(Application::new(parts)))
        };
        let named = |tenant: &Arc<Tenant>| Some((tenant.tenant.name.clone()?, source(tenant)));
        let listed: Vec<(Name, Source)> = application.tenants.iter().filter_map(named).collect();
        let any = application.any_tenant.as_deref().map(source);
        Places::new(listed, any)
    }

    fn authority(&self, tenant: &Tenant) -> Arc<Authority> {
        let (place, site) = (tenant.place.clone(), Arc::clone(&tenant.site));
        Arc::new(Authority::new(place, site, tenant.wire.clone(), self.clock.clone()))
    }

    fn parts(&self, identity: &Identity, written: &Written, tenant: &Tenant, authority: &Arc<Authority>) -> Parts {
        Parts {
            identity: identity.rules.name.clone(),
            client_id: identity.rules.client_id.clone(),
            authority: Arc::clone(authority),
            credentials: written.credentials.clone(),
            client_capabilities: Arc::clone(&written.client_capabilities),
            extra_body: Arc::clone(&tenant.extra_body),
            timeout: tenant.timeout,
            refresh_rate: self.config.refresh_rate,
            caller_share: self.config.caller_share,
            floods: Arc::clone(self.floods),
            clock: self.clock.clone(),
        }
    }

    /// The host is in one place, which policy knows by one name.
    fn host(&self, identity: &Name, selector: &Option<HostId>) -> Places {
        let source = self.endpoint.as_ref().map(|endpoint| {
            let parts = host::Parts {
                identity: identity.clone(),
                selector: selector.clone(),
                endpoint: Arc::clone(endpoint),
                timeout: HOST_TIMEOUT,
                refresh_rate: self.config.refresh_rate,
                caller_share: self.config.caller_share,
                floods: Arc::clone(self.floods),
                clock: self.clock.clone(),
            };
            (host::place(), Source::Host(Box::new(Host::new(parts))))
        });
        Places::new(source.into_iter().collect(), None)
    }
}

fn endpoint(address: host::Address, mark: &Arc<str>) -> Result<Arc<Endpoint>, Fault> {
    let connect_timeout = Duration::from_secs(2);
    let trust = Trust { roots: None, connect_timeout, proxy: None, loopback: false, reach: Reach::Host };
    Ok(Arc::new(Endpoint { address, wire: Wire::new(trust)?, mark: Arc::clone(mark) }))
}

/// A host answers within milliseconds, or has to fetch a token itself.
pub(super) const HOST_TIMEOUT: Duration = Duration::from_secs(10);
