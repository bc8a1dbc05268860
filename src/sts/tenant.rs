//! Which tenant a path means, if there is such a one.

use super::app::derived_guid;
use super::profile::Profile;
use super::refusal::{Reason, Refusal};
use super::settings::Settings;
use crate::name::{TenantId, is_guid};

/// What may stand where a tenant is discovered: a tenant, or a name for all of them.
pub(super) fn discovered(text: &str, profile: Profile<'_>, settings: &Settings) -> Result<String, Refusal> {
    let lower = text.to_ascii_lowercase();
    match (profile, lower.as_str()) {
        (Profile::Entra, "common" | "organizations") => Ok(lower),
        (Profile::Entra, "consumers") => Ok(CONSUMERS.to_owned()),
        _ => known(&lower, profile, settings),
    }
}

/// The id of a tenant that there is. In Entra no domain belongs to any, so a domain is as unknown as a foreign
/// GUID; elsewhere it stands for an id that follows from it.
pub(super) fn known(text: &str, profile: Profile<'_>, settings: &Settings) -> Result<String, Refusal> {
    let lower = text.to_ascii_lowercase();
    if !profile.has_tenants() {
        return Ok(lower);
    }
    if matches!(lower.as_str(), "common" | "organizations" | "consumers") {
        return Err(Refusal::new(Reason::TenantMissing, NO_TENANT));
    }
    let tenant = TenantId::parse(&lower).map_err(|_| {
        let text =
            format!("Specified tenant identifier '{text}' is neither a valid DNS name, nor a valid external domain.");
        Refusal::new(Reason::TenantInvalid, text)
    })?;
    let id = id(&tenant, profile).filter(|id| settings.knows(id));
    id.ok_or_else(|| {
        let text = format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into \
             the correct cloud. This may happen if there are no active subscriptions for the tenant."
        );
        Refusal::new(Reason::TenantUnknown, text)
    })
}

fn id(tenant: &TenantId, profile: Profile<'_>) -> Option<String> {
    if is_guid(tenant.as_str()) {
        return Some(tenant.as_str().to_owned());
    }
    profile.takes_domains().then(|| derived_guid(&["tenant", tenant.as_str()]).to_string())
}

/// The directory that Entra keeps personal accounts in.
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
const NO_TENANT: &str =
    "No tenant-identifying information found in either the request or implied by any provided credentials.";
