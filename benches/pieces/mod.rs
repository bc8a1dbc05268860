//! Rooms put together by hand, for what is measured within one process.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bursar::authority::place::Place;
use bursar::authority::region::Choice;
use bursar::authority::site::Site;
use bursar::authority::{Authority, InstanceDiscovery};
use bursar::clock::Clock;
use bursar::dialect::Ask;
use bursar::name::{ClientId, Name, Resource, Selector, TenantId};
use bursar::source::allowance::Rate;
use bursar::source::application::Parts;
use bursar::source::{Application, Source};
use bursar::token::{Descent, Extras};
use bursar::wire::{Reach, System, Trust, Wire};

/// What an SDK asks for most.
pub(crate) fn ask(resource: &str, tenant: Option<String>) -> Ask {
    let resource = Resource::parse(resource).unwrap();
    Ask { resource, selector: Selector::None, tenant, extras: Extras::default(), challenge: None, rejected: None }
}

/// An application in a tenant of the public cloud, which nobody will ask for a token.
pub(crate) fn source(tenant: &str) -> Source {
    let trust = Trust {
        roots: System::default().or(None),
        connect_timeout: Duration::from_secs(1),
        proxy: None,
        loopback: true,
        reach: Reach::Authority,
    };
    let pattern = Place::pattern("https://login.microsoftonline.com", None).unwrap();
    let place = pattern.in_tenant(&TenantId::parse(tenant).unwrap());
    let site = Arc::new(Site::new(InstanceDiscovery::Off, Choice::Central));
    let authority = Authority::new(place, site, Wire::new(trust).unwrap(), Clock::System);
    Source::Application(Box::new(Application::new(Parts {
        descent: Descent::default(),
        whole: Descent::default(),
        identity: Name::parse("app").unwrap(),
        client_id: ClientId::parse(CLIENT_ID).unwrap(),
        authority: Arc::new(authority),
        credentials: Vec::new(),
        client_capabilities: Arc::new([]),
        extra_body: Arc::new([]),
        timeout: Duration::from_secs(1),
        rate: Rate { of_all: NonZeroU32::MIN, share: None },
        floods: Arc::default(),
        clock: Clock::System,
    })))
}

pub(crate) const CLIENT_ID: &str = "b0b00000-0000-4000-8000-000000000002";
