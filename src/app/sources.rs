//! Builds the sources: one for each identity in each of its tenants.
//!
//! Identities share their tenant's authority, and with it discovery and connections.

use std::collections::HashMap;
use std::sync::Arc;

use crate::authority::Authority;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::identity::Identity;
use crate::config::tenant::Tenant;
use crate::name::Name;
use crate::source::{Parts, Source};
use crate::vend::sources::{Places, Sources};

/// The sources of a configuration.
pub(super) fn build(config: &Config, clock: &Clock) -> Sources {
    let mut authorities = HashMap::new();
    let each = config.identities.iter().map(|identity| {
        let mut source = |tenant: &Tenant| {
            let make = || authority(tenant, clock);
            let authority = authorities.entry(tenant.tenant.name.clone()).or_insert_with(make);
            Source::new(parts(config, identity, tenant, authority, clock))
        };
        let named = |tenant: &Arc<Tenant>| Some((tenant.tenant.name.clone()?, source(tenant)));
        let listed: Vec<(Name, Source)> = identity.tenants.iter().filter_map(named).collect();
        let any = identity.any_tenant.as_deref().map(source);
        (identity.rules.name.clone(), Places::new(listed, any))
    });
    Sources::new(each)
}

fn authority(tenant: &Tenant, clock: &Clock) -> Arc<Authority> {
    let (place, host) = (tenant.place.clone(), Arc::clone(&tenant.host));
    Arc::new(Authority::new(place, host, tenant.wire.clone(), clock.clone()))
}

fn parts(config: &Config, identity: &Identity, tenant: &Tenant, authority: &Arc<Authority>, clock: &Clock) -> Parts {
    Parts {
        identity: identity.rules.name.clone(),
        client_id: identity.rules.client_id.clone(),
        authority: Arc::clone(authority),
        credentials: identity.credentials.clone(),
        client_capabilities: Arc::clone(&identity.client_capabilities),
        extra_body: Arc::clone(&tenant.extra_body),
        timeout: tenant.timeout,
        refresh_rate: config.refresh_rate,
        clock: clock.clone(),
    }
}
