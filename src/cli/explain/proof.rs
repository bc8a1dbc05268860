//! What callers are known by, in words, and for whom a new configuration changes that.

use std::fmt;

use serde::Serialize;

use crate::caller::Means;
use crate::cluster::claims::Rules;
use crate::cluster::{Settings, Warrant, keys};
use crate::config::caller::Caller;
use crate::config::server::Origin;
use crate::name::Name;

/// What a caller is known by: the means, and the conditions that are written for it. Of secrets it is the places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub(super) struct Proof {
    means: &'static str,
    conditions: Vec<(&'static str, String)>,
}

/// A caller that is known by something else than before.
#[derive(Debug, Serialize)]
pub(super) struct Change<'a> {
    pub(super) caller: &'a str,
    proof: &'a Proof,
    instead_of: &'a Proof,
}

impl Proof {
    /// That of a configured caller. An account is one of a cluster: the same names in another are somebody else.
    pub(super) fn of(caller: &Caller, cluster: Option<&Settings>) -> Self {
        let places = caller.origins.iter().map(|origin| match origin {
            Origin::Env(name) => ("env", name.clone()),
            Origin::File(path) => ("file", path.display().to_string()),
        });
        let means = caller.proof.means();
        let cluster = cluster.filter(|_| means == Means::ServiceAccount).into_iter().flat_map(of_cluster);
        let conditions = caller.proof.conditions().into_iter().chain(places).chain(cluster).collect();
        Self { means: means.as_str(), conditions }
    }
}

/// What makes a token one of this cluster and for this service, as the configuration writes it. How its keys are
/// reached is not compared.
fn of_cluster(cluster: &Settings) -> Vec<(&'static str, String)> {
    let Rules { issuer, audiences, legacy } = &cluster.rules;
    let mut audiences = audiences.clone();
    audiences.sort_unstable();
    let warrant = match &cluster.warrant {
        Warrant::Keys(keys::Origin::File(path)) => ("jwks_file", path.display().to_string()),
        Warrant::Keys(keys::Origin::Url(endpoint)) => ("jwks_url", endpoint.url.to_string()),
        Warrant::Review(endpoint) => ("token_review", endpoint.url.to_string()),
    };
    let told = [("issuer", issuer.clone()), ("audience", audiences.join(" or ")), warrant];
    told.into_iter().chain(legacy.then(|| ("legacy_tokens", true.to_string()))).collect()
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.means)?;
        for (n, (key, value)) in self.conditions.iter().enumerate() {
            let before = if n == 0 { " with " } else { ", " };
            write!(f, "{before}{key} {value}")?;
        }
        Ok(())
    }
}

impl From<Proof> for String {
    fn from(proof: Proof) -> Self {
        proof.to_string()
    }
}

impl fmt::Display for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "callers.{} is known by {} instead of {}", self.caller, self.proof, self.instead_of)
    }
}

/// The callers of both configurations that are known by something else in the new one.
pub(super) fn changes<'a>(old: &'a [(Name, Proof)], new: &'a [(Name, Proof)]) -> Vec<Change<'a>> {
    let before = |caller: &Name| old.iter().find(|(held, _)| held == caller).map(|(_, proof)| proof);
    let changed = new.iter().filter_map(|(caller, proof)| {
        let instead_of = before(caller).filter(|before| *before != proof)?;
        Some(Change { caller: caller.as_str(), proof, instead_of })
    });
    changed.collect()
}
