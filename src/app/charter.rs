//! Draws up a charter of a configuration. What is as it was under the one before is the very same.

use std::sync::Arc;

use super::callers::{self, Secrets};
use super::ground::Ground;
use super::sources::{self, Kept};
use crate::caller::roll::Roll;
use crate::cluster::Cluster;
use crate::config::Config;
use crate::config::caller::Caller;
use crate::config::identity::Identity;
use crate::config::kubernetes::Kubernetes;
use crate::fault::Fault;
use crate::name::{Name, Resource};
use crate::policy::Policy;
use crate::server::charter::Charter;
use crate::server::rates::Rates;
use crate::token::Descent;
use crate::vend::cache::Bounds;
use crate::vend::sources::Sources;
use crate::vend::stake::Stakes;
use crate::vend::{self, Terms, Vend};

/// What a charter was drawn up of, by which the next one is.
#[derive(Default)]
pub(super) struct Register {
    roll: Roll,
    kept: Kept,
    cluster: Option<Descent>,
    pub(super) secrets: Secrets,
}

/// The charter of a configuration, in place of the one `before`.
///
/// # Errors
/// The system's trust store cannot be read; nothing has changed then.
pub(super) fn draw(
    config: Config,
    ground: &Ground,
    before: Option<(&Charter, &Register)>,
) -> Result<(Charter, Register), Fault> {
    let (charter, register) = before.unzip();
    let nothing = Register::default();
    let register = register.unwrap_or(&nothing);
    let none = Sources::default();
    let held = charter.map_or(&none, |charter| charter.vend.sources());
    let (sources, kept) = sources::build(&config, ground, held, &register.kept)?;
    // From here on nothing fails, and what stays may be told what is new.
    sources.set_rate(sources::rate(&config));
    let mut roll = register.roll.clone();
    let places: Vec<usize> = config.callers.iter().map(|caller| roll.enter(&caller.entitlement.caller)).collect();
    let stakes = stakes(&config, &places, charter);
    let terms = Terms { sources, warm: warm(&config), stakes, windows: config.windows };
    let vend = match charter {
        Some(charter) => charter.vend.under(terms),
        None => first(terms, config.bounds, ground),
    };
    let rates = rates(&config, &places, charter);
    let (cluster, of_cluster) = cluster(config.kubernetes, ground, charter, register);
    let identities = config.identities.into_iter().map(|identity| identity.rules).collect();
    let callers = places.into_iter().zip(config.callers).collect();
    let (entitlements, callers, secrets) = callers::build(callers, config.server);
    let charter = Charter {
        callers,
        cluster,
        rates: Arc::new(rates),
        policy: Arc::new(Policy::placed(identities, entitlements)),
        instance: Arc::new(config.instance),
        vend,
    };
    Ok((charter, Register { roll, kept, cluster: of_cluster, secrets }))
}

fn first(terms: Terms, bounds: Bounds, ground: &Ground) -> Vend {
    Vend::new(vend::Settings {
        terms,
        bounds,
        clock: ground.clock.clone(),
        metrics: Arc::clone(&ground.metrics),
        sampling: ground.sampling,
        runtime: ground.runtime.clone(),
    })
}

fn warm(config: &Config) -> Vec<(Name, Resource)> {
    let of = |identity: &Identity| {
        identity.warm.iter().map(|resource| (identity.rules.name.clone(), resource.clone())).collect::<Vec<_>>()
    };
    config.identities.iter().flat_map(of).collect()
}

fn stakes(config: &Config, places: &[usize], before: Option<&Charter>) -> Stakes {
    let nothing = Stakes::default();
    let before = before.map_or(&nothing, |charter| charter.vend.stakes());
    match config.caller_share {
        Some(share) => Stakes::of_each(places.iter().copied(), share, config.bounds, before),
        None => Stakes::of_all(before),
    }
}

fn rates(config: &Config, places: &[usize], before: Option<&Charter>) -> Rates {
    let nothing = Rates::default();
    let rate = |(place, caller): (&usize, &Caller)| Some((*place, caller.entitlement.caller.clone(), caller.rate?));
    let rates = places.iter().zip(&config.callers).filter_map(rate);
    Rates::new(rates, before.map_or(&nothing, |charter| &*charter.rates))
}

/// One that is written as it was knows what it knew.
fn cluster(
    written: Option<Kubernetes>,
    ground: &Ground,
    before: Option<&Charter>,
    register: &Register,
) -> (Option<Arc<Cluster>>, Option<Descent>) {
    let Some(Kubernetes { settings, whole }) = written else { return (None, None) };
    let same = before.and_then(|charter| charter.cluster.clone()).filter(|_| register.cluster == Some(whole));
    let new = || Arc::new(Cluster::new(settings, ground.clock.clone(), ground.runtime.clone()));
    (Some(same.unwrap_or_else(new)), Some(whole))
}
