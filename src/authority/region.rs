//! In which region a tenant's authority is asked, and how that is found out.
//!
//! Entra answers in each Azure region too; only some applications may use that. Tokens are the same, and are
//! kept under the central authority.

use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::cloud::is_label;
use crate::clock::{Span, Timestamp};
use crate::fault::Fault;
use crate::name::Malformed;
use crate::secret::Secret;
use crate::trace;
use crate::wire::{Outgoing, Wire, answer, late};

/// The name of an Azure region, such as `westeurope`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region(String);

impl Region {
    /// Reads a region's name. It becomes a part of a host's name, so it can be nothing else.
    ///
    /// # Errors
    /// [`Malformed`] says how one looks.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Ok(Self(text.to_owned()));
        }
        Err(Malformed("a region is auto, or a name in lower case such as westeurope"))
    }

    /// Reads what a machine says of its region, perhaps as people write it: `West Europe`.
    fn detected(text: &str) -> Result<Self, Malformed> {
        Self::parse(&text.replace(' ', "").to_ascii_lowercase())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// In which region an authority is asked.
#[derive(Debug)]
pub enum Choice {
    /// In the one that this machine is in.
    Auto(Locator),
    /// In none: at the central endpoint.
    Central,
    /// In this one.
    Here(Region),
}

impl Choice {
    /// The region, looked for if it has to be and was not found yet.
    pub async fn region(&self, now: Timestamp, request_id: &str) -> Option<Region> {
        match self {
            Self::Auto(locator) => locator.locate(now, request_id).await,
            Self::Central => None,
            Self::Here(region) => Some(region.clone()),
        }
    }

    /// How long what was decided with `region` holds at most, if that is not for ever.
    #[must_use]
    pub const fn pause(&self, region: Option<&Region>) -> Option<Duration> {
        match (self, region) {
            (Self::Auto(_), None) => Some(PAUSE),
            _ => None,
        }
    }
}

/// Finds out in which region this machine is.
#[derive(Debug)]
pub struct Locator {
    named: Option<String>,
    page: Url,
    wire: Wire,
    finding: Mutex<Finding>,
}

#[derive(Debug, Default)]
struct Finding {
    region: Option<Region>,
    /// For how long nobody looks again.
    pause: Span,
    is_told: bool,
}

impl Locator {
    /// A locator that believes `named`, the platform's own variable, and else asks the instance metadata of
    /// the machine, which is at `metadata`.
    #[must_use]
    pub fn new(named: Option<String>, metadata: &Url, wire: Wire) -> Self {
        let mut page = metadata.clone();
        page.set_path("/metadata/instance/compute");
        page.set_query(Some("api-version=2021-02-01"));
        Self { named, page, wire, finding: Mutex::default() }
    }

    /// The region. Those who ask at the same time share one look; after one in vain nobody looks for a while.
    async fn locate(&self, now: Timestamp, request_id: &str) -> Option<Region> {
        let mut finding = self.finding.lock().await;
        if finding.region.is_none() && !finding.pause.holds(now) {
            // First, so that a look that is cut short by its asker's deadline counts as one in vain.
            finding.pause = Span::new(now, PAUSE);
            finding.region = match self.named() {
                Some(region) => Some(region),
                None => self.ask(request_id).await,
            };
            finding.tell();
        }
        finding.region.clone()
    }

    fn named(&self) -> Option<Region> {
        let named = self.named.as_deref()?;
        let dropped = |malformed| tracing::warn!(%malformed, "REGION_NAME names no region and is ignored");
        Region::detected(named).map_err(dropped).ok()
    }

    async fn ask(&self, request_id: &str) -> Option<Region> {
        let (url, request_id) = (self.page.clone(), request_id.to_owned());
        let headers = vec![("metadata", Secret::from("true".to_owned()))];
        let sent =
            self.wire.send(Outgoing { url, content: None, request_id, headers, span: trace::outgoing("region") });
        let incoming = tokio::time::timeout(LIMIT, sent).await.unwrap_or_else(|_| Err(late()));
        let read = |incoming| answer::success::<Compute>(&incoming, Timestamp::default(), &[]);
        let silent = |fault: Fault| tracing::debug!(%fault, inward = fault.inward(), "no instance metadata");
        let compute = incoming.and_then(read).map_err(silent).ok()?;
        let dropped = |malformed| tracing::warn!(%malformed, "the instance metadata names no region and is ignored");
        Region::detected(&compute.location).map_err(dropped).ok()
    }
}

impl Finding {
    /// Says once how it stands, and once more when that changes.
    fn tell(&mut self) {
        match &self.region {
            Some(region) => tracing::info!(region = region.as_str(), "the region of this machine was found"),
            None if !self.is_told => {
                tracing::info!(
                    "this machine's region is not known: the central endpoint is used, and the region looked for now and then"
                );
            }
            None => {}
        }
        self.is_told = true;
    }
}

/// The one field of the page that matters.
#[derive(Deserialize)]
struct Compute {
    location: String,
}

/// How long a machine that has metadata takes at most to answer.
const LIMIT: Duration = Duration::from_secs(2);
/// How long nobody looks again after a look in vain.
const PAUSE: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_a_part_of_a_name_and_nothing_else() {
        let longest = "a".repeat(63);
        for (text, explicit, detected) in [
            ("westeurope", true, Some("westeurope")),
            ("usgov-virginia1", true, Some("usgov-virginia1")),
            ("a", true, Some("a")),
            (longest.as_str(), true, Some(longest.as_str())),
            ("West Europe", false, Some("westeurope")),
            ("", false, None),
            (" ", false, None),
            ("1west", false, None),
            ("west-", false, None),
            ("-west", false, None),
            ("west.evil", false, None),
            ("evil.example/", false, None),
            ("west@evil", false, None),
            ("wést", false, None),
            ("west\neurope", false, None),
        ] {
            assert_eq!(Region::parse(text).is_ok(), explicit, "{text}");
            assert_eq!(Region::detected(text).ok().as_ref().map(Region::as_str), detected, "{text}");
        }
        assert!(Region::parse(&"a".repeat(64)).is_err());
    }
}
