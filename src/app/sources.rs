//! Builds the sources: one for each identity in each of its tenants, and one for each identity of the host.
//!
//! Identities share their tenant's authority, and with it discovery and connections. What is just as it was before a
//! reload is the very same, with all that it remembers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::descent::Descents;
use super::ground::Ground;
use crate::authority::Authority;
use crate::config::Config;
use crate::config::application::Application as Written;
use crate::config::identity::{Identity, Origin};
use crate::config::tenant::Tenant;
use crate::credential::Credential;
use crate::fault::Fault;
use crate::name::Name;
use crate::source::allowance::Rate;
use crate::source::application::Parts;
use crate::source::host::{self, Endpoint, HostId};
use crate::source::{Application, Host, Source};
use crate::token::Descent;
use crate::vend::any_tenant::AnyTenant;
use crate::vend::sources::{Places, Sources};
use crate::wire::{Reach, System, Trust, Wire};

/// What sources are made of, for those that come after a reload.
#[derive(Default)]
pub(super) struct Kept {
    endpoint: Option<Arc<Endpoint>>,
    /// By their tenants' names; that of any other tenant has none.
    authorities: HashMap<Option<Name>, (Descent, Arc<Authority>)>,
    /// By their identities.
    credentials: HashMap<Name, (Descent, Vec<Arc<Credential>>)>,
}

/// The sources of a configuration. Those that are just like some of `before` are these.
///
/// # Errors
/// The system's trust store cannot be read.
pub(super) fn build(config: &Config, ground: &Ground, before: &Sources, kept: &Kept) -> Result<(Sources, Kept), Fault> {
    let endpoint = || match &kept.endpoint {
        Some(endpoint) => Ok(Some(Arc::clone(endpoint))),
        None => config.host.clone().map(|address| endpoint(address, &ground.mark, &config.system)).transpose(),
    };
    let keeps = Kept { endpoint: endpoint()?, ..Kept::default() };
    let descents = Descents::of(&config.identities);
    let mut builder = Builder { config, ground, descents, before, kept, keeps };
    let mut sources = HashMap::new();
    for identity in &config.identities {
        let name = identity.rules.name.clone();
        match &identity.origin {
            Origin::Application(application) => {
                sources.insert(name, builder.application(identity, application));
                let hosts =
                    application.hosts.iter().map(|(name, selector)| (name.clone(), builder.host(name, selector)));
                sources.extend(hosts);
            }
            Origin::Host(selector) => {
                sources.insert(name.clone(), builder.host(&name, selector));
            }
        }
    }
    Ok((Sources::new(sources), builder.keeps))
}

/// How often the sources of a configuration renew and answer.
pub(super) const fn rate(config: &Config) -> Rate {
    Rate { of_all: config.refresh_rate, share: config.caller_share }
}

struct Builder<'a> {
    config: &'a Config,
    ground: &'a Ground,
    descents: Descents<'a>,
    before: &'a Sources,
    kept: &'a Kept,
    keeps: Kept,
}

impl Builder<'_> {
    fn application(&mut self, identity: &Identity, written: &Written) -> Places {
        let name = &identity.rules.name;
        let credentials = self.credentials(name, written);
        let before = self.before.of(name);
        let mut listed = Vec::new();
        for tenant in &written.tenants {
            let Some(place) = tenant.tenant.name.clone() else { continue };
            let parts = self.parts(identity, written, tenant, &credentials);
            let same = before.and_then(|before| before.listed(&place)).filter(|source| source.whole() == parts.whole);
            let new = || Arc::new(Source::Application(Box::new(Application::new(parts))));
            listed.push((place, same.cloned().unwrap_or_else(new)));
        }
        let any = written.any_tenant.as_ref().map(|tenant| {
            let parts = self.parts(identity, written, tenant, &credentials);
            let same = before.and_then(Places::any).filter(|any| any.pattern().whole() == parts.whole);
            let new = || Arc::new(AnyTenant::new(Source::Application(Box::new(Application::new(parts)))));
            same.cloned().unwrap_or_else(new)
        });
        Places::new(listed, any)
    }

    /// All sources of an identity have the same ones, so that each is read again once.
    fn credentials(&mut self, identity: &Name, written: &Written) -> Vec<Arc<Credential>> {
        let same = self.kept.credentials.get(identity).filter(|(whole, _)| *whole == written.credentials_whole);
        let credentials = same.map_or_else(|| written.credentials.clone(), |(_, credentials)| credentials.clone());
        self.keeps.credentials.insert(identity.clone(), (written.credentials_whole, credentials.clone()));
        credentials
    }

    fn authority(&mut self, tenant: &Tenant) -> Arc<Authority> {
        let name = &tenant.tenant.name;
        let same = |(whole, _): &&(Descent, Arc<Authority>)| *whole == tenant.whole;
        let known = self.keeps.authorities.get(name).or_else(|| self.kept.authorities.get(name).filter(same));
        let authority = known.map(|(_, authority)| Arc::clone(authority)).unwrap_or_else(|| {
            let (place, site) = (tenant.place.clone(), Arc::clone(&tenant.site));
            Arc::new(Authority::new(place, site, tenant.wire.clone(), self.ground.clock.clone()))
        });
        self.keeps.authorities.insert(name.clone(), (tenant.whole, Arc::clone(&authority)));
        authority
    }

    fn parts(
        &mut self,
        identity: &Identity,
        written: &Written,
        tenant: &Tenant,
        credentials: &[Arc<Credential>],
    ) -> Parts {
        let descent = self.descents.in_tenant(&identity.rules.name, tenant);
        let parts = [descent, tenant.whole, written.credentials_whole].map(Descent::bytes);
        Parts {
            descent,
            whole: Descent::of(parts.iter().map(|part| &part[..])),
            identity: identity.rules.name.clone(),
            client_id: identity.rules.client_id.clone(),
            authority: self.authority(tenant),
            credentials: credentials.to_vec(),
            client_capabilities: Arc::clone(&written.client_capabilities),
            extra_body: Arc::clone(&tenant.extra_body),
            timeout: tenant.timeout,
            rate: rate(self.config),
            floods: Arc::clone(&self.ground.floods),
            clock: self.ground.clock.clone(),
        }
    }

    /// The host is in one place, which policy knows by one name.
    fn host(&self, identity: &Name, selector: &Option<HostId>) -> Places {
        let source = self.keeps.endpoint.as_ref().map(|endpoint| {
            let descent = Descents::of_host(identity, selector.as_ref(), endpoint);
            let before = self.before.of(identity).and_then(|before| before.listed(&host::place()));
            let new = || {
                let parts = host::Parts {
                    descent,
                    whole: descent,
                    identity: identity.clone(),
                    selector: selector.clone(),
                    endpoint: Arc::clone(endpoint),
                    timeout: HOST_TIMEOUT,
                    rate: rate(self.config),
                    floods: Arc::clone(&self.ground.floods),
                    clock: self.ground.clock.clone(),
                };
                Arc::new(Source::Host(Box::new(Host::new(parts))))
            };
            let same = before.filter(|source| source.whole() == descent).cloned();
            (host::place(), same.unwrap_or_else(new))
        });
        Places::new(source.into_iter().collect(), None)
    }
}

fn endpoint(address: host::Address, mark: &Arc<str>, system: &System) -> Result<Arc<Endpoint>, Fault> {
    let connect_timeout = Duration::from_secs(2);
    let trust = Trust { roots: system.or(None), connect_timeout, proxy: None, loopback: false, reach: Reach::Host };
    Ok(Arc::new(Endpoint { address, wire: Wire::new(trust)?, mark: Arc::clone(mark) }))
}

/// A host answers within milliseconds, or has to fetch a token itself.
pub(super) const HOST_TIMEOUT: Duration = Duration::from_secs(10);
