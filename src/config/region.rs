//! Reads in which region an authority is asked, and where this machine tells its own.

use std::net::SocketAddr;
use std::time::Duration;

use url::Url;

use super::host::is_own;
use super::secret::Surroundings;
use super::section::{Section, text};
use crate::authority::place::Place;
use crate::authority::region::{Choice, Locator, Region};
use crate::fault::Fault;
use crate::name::Malformed;
use crate::wire::{Reach, Trust, Wire, is_link_local, is_loopback};

/// In which region the authority is asked.
pub fn read(
    section: &mut Section<'_>,
    place: Option<&Place>,
    surroundings: Surroundings<'_>,
    own: &[SocketAddr],
) -> Choice {
    let Some(written) = section.optional("region", text) else { return Choice::Central };
    if place.is_some_and(|place| !place.has_regions()) {
        section.note(
            "region",
            "this authority has no regions",
            "remove it; only the well-known hosts of Entra have them",
        );
    }
    if written == "auto" {
        return locator(section, surroundings, own).map_or(Choice::Central, Choice::Auto);
    }
    let malformed = |malformed: Malformed| section.note("region", malformed.to_string(), "correct the value");
    Region::parse(&written).map_err(malformed).map_or(Choice::Central, Choice::Here)
}

/// What finds the region of this machine out.
fn locator(section: &Section<'_>, surroundings: Surroundings<'_>, own: &[SocketAddr]) -> Option<Locator> {
    let variable = |name: &str| surroundings.variables.get(name).filter(|value| !value.trim().is_empty());
    let Some(metadata) = near(variable(METADATA_HOST).map_or(METADATA, String::as_str), own) else {
        let problem = format!("the variable {METADATA_HOST} leads to no instance metadata of this machine");
        let remedy = "set it to an http URL on loopback or a link-local address, which is not this service's own, or unset it, or name the region";
        section.note("region", problem, remedy);
        return None;
    };
    let (roots, proxy, loopback) = (surroundings.system.or(None), None, false);
    let trust = Trust { roots, connect_timeout: CONNECT_TIMEOUT, proxy, loopback, reach: Reach::Host };
    let unusable = |fault: Fault| section.note("region", fault.to_string(), "name the region");
    let wire = Wire::new(trust).map_err(unusable).ok()?;
    Some(Locator::new(variable("REGION_NAME").cloned(), &metadata, wire))
}

/// Instance metadata is on this machine or its own link, and nobody farther away knows the region. The variable
/// that points workloads at this service is easily given to it too.
fn near(text: &str, own: &[SocketAddr]) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_near = url.scheme() == "http" && url.username().is_empty() && (is_loopback(&url) || is_link_local(&url));
    (is_near && !is_own(&url, own)).then_some(url)
}

/// As the SDKs call it.
const METADATA_HOST: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
const METADATA: &str = "http://169.254.169.254";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
