//! Whether a host is an authority at all, and under which names: instance discovery.
//!
//! Asked once for a host, however many tenants there are on it. What confirms a host is somebody else's
//! word, so a host that nobody vouches for gets no credential; while nobody can be asked, everybody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::place::Place;
use crate::clock::Timestamp;
use crate::fault::{Fault, Kind};
use crate::freshness::Respite;
use crate::trace;
use crate::wire::failure::{Event, Step, of_event};
use crate::wire::{self, Outgoing, Wire, answer};

/// Whether a host that is not well known is confirmed before it is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceDiscovery {
    /// Ask this host about it.
    At(Url),
    /// Trust it as it stands: a private cloud, the STS.
    Off,
    /// Ask the public cloud about it.
    Public,
}

impl InstanceDiscovery {
    /// Where to ask about the host of `place`; none when it is known or trusted. The public cloud knows
    /// nothing of this machine, so it is not asked about loopback.
    fn url(&self, place: &Place) -> Option<Url> {
        let mut url = match self {
            _ if !place.is_doubtful() => return None,
            Self::Off => return None,
            Self::Public if wire::is_loopback(place.url()) => return None,
            Self::At(url) => url.clone(),
            Self::Public => Url::parse(PUBLIC).ok()?,
        };
        url.set_path("/common/discovery/instance");
        url.query_pairs_mut()
            .append_pair("api-version", "1.1")
            .append_pair("authorization_endpoint", place.authorize_url().as_str());
        Some(url)
    }
}

/// What is known of one host, shared by all tenants on it.
#[derive(Debug)]
pub struct Instance {
    discovery: InstanceDiscovery,
    asked: AtomicU64,
    verdict: Mutex<Option<Verdict>>,
}

/// What was answered. The other names of the host are as they were written.
#[derive(Clone, Debug)]
enum Verdict {
    /// It is an authority, for ever.
    Host(Arc<[String]>),
    /// It is none, or who knows wants to be left alone: nobody asks again for a while.
    NotNow(Respite, Fault),
    /// Nobody could say, which passes.
    Unknown(Fault),
}

impl Verdict {
    fn of(names: Result<Arc<[String]>, Fault>, now: Timestamp) -> Self {
        match names {
            Ok(names) => Self::Host(names),
            Err(fault) if fault.is_transient() => Self::Unknown(fault),
            Err(fault) => Self::NotNow(Respite::of(&fault, now), fault),
        }
    }

    /// What it says to somebody who comes `now`, if that needs no second question.
    fn standing(&self, now: Timestamp) -> Option<Result<Arc<[String]>, Fault>> {
        match self {
            Self::Host(names) => Some(Ok(Arc::clone(names))),
            Self::NotNow(respite, _) => respite.refusal(now).map(Err),
            Self::Unknown(_) => None,
        }
    }

    /// What it says to those who waited for it.
    fn fresh(&self) -> Result<Arc<[String]>, Fault> {
        match self {
            Self::Host(names) => Ok(Arc::clone(names)),
            Self::NotNow(_, fault) | Self::Unknown(fault) => Err(fault.clone()),
        }
    }
}

impl Instance {
    /// A host of which nothing is known yet.
    #[must_use]
    pub fn new(discovery: InstanceDiscovery) -> Self {
        Self { discovery, asked: AtomicU64::new(0), verdict: Mutex::default() }
    }

    /// Who confirms it.
    #[cfg(test)]
    pub(crate) const fn discovery(&self) -> &InstanceDiscovery {
        &self.discovery
    }

    /// The places that are the same as `place`, after its host was confirmed. Those who wait for the answer
    /// share it, also a failure.
    ///
    /// # Errors
    /// [`Kind::Misconfigured`] when the host is none, [`Kind::Unavailable`] when that cannot be found out now.
    pub async fn aliases(
        &self,
        place: &Place,
        wire: &Wire,
        now: Timestamp,
        request_id: &str,
    ) -> Result<Vec<Place>, Fault> {
        let Some(url) = self.discovery.url(place) else { return Ok(Vec::new()) };
        let asked_before = self.asked.load(Ordering::Acquire);
        let mut verdict = self.verdict.lock().await;
        let is_answered = self.asked.load(Ordering::Acquire) > asked_before;
        let known = verdict.as_ref().and_then(|verdict| {
            let shared = is_answered.then(|| verdict.fresh());
            verdict.standing(now).or(shared)
        });
        let names = match known {
            Some(names) => names,
            None => {
                let names = ask(url, place, wire, now, request_id).await;
                self.asked.fetch_add(1, Ordering::AcqRel);
                *verdict = Some(Verdict::of(names.clone(), now));
                names
            }
        };
        Ok(names?.iter().filter_map(|name| place.known_as(name)).collect())
    }
}

async fn ask(url: Url, place: &Place, wire: &Wire, now: Timestamp, request_id: &str) -> Result<Arc<[String]>, Fault> {
    let (request_id, span) = (request_id.to_owned(), trace::outgoing("instance discovery"));
    let sent = wire.send(Outgoing { url, content: None, request_id, headers: Vec::new(), span });
    let incoming = tokio::time::timeout(LIMIT, sent).await.unwrap_or_else(|_| Err(wire::late()));
    let read = |incoming| answer::document::<Answer>(&incoming, now, Step::Instance);
    Ok(incoming.and_then(read).map_err(unconfirmed)?.names_of(place))
}

/// The authority is not to blame for who should have vouched for it.
fn unconfirmed(fault: Fault) -> Fault {
    if fault.kind != Kind::Unavailable {
        return fault;
    }
    let inward = format!("{fault} {}", fault.inward().unwrap_or_default());
    of_event(Event::Unconfirmed).fault().with_retry_after(fault.retry_after()).with_inward(inward)
}

/// That it is given confirms the host. The `tenant_discovery_endpoint`, which is the other half of it, is not
/// followed: it is often that of version 1, whose token endpoint wants other parameters.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "tenant_discovery_endpoint")]
    _tenant_discovery_endpoint: String,
    #[serde(default)]
    metadata: Vec<Network>,
}

#[derive(Deserialize)]
struct Network {
    #[serde(default)]
    aliases: Vec<String>,
}

impl Answer {
    /// The names in the list that has the host of `place`.
    fn names_of(self, place: &Place) -> Arc<[String]> {
        let is_here = |name: &String| place.known_as(name).is_some_and(|alias| alias.has_host_of(place));
        let own = self.metadata.into_iter().find(|network| network.aliases.iter().any(is_here));
        own.map(|network| network.aliases.into_iter().take(MAX_NAMES).collect()).unwrap_or_default()
    }
}

/// Where unknown hosts are asked about.
const PUBLIC: &str = "https://login.microsoftonline.com";
/// As in MSAL for .NET.
const LIMIT: Duration = Duration::from_secs(10);
const MAX_NAMES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::TenantId;

    fn place(url: &str) -> Place {
        Place::parse(url, None, Some(&TenantId::parse("contoso.com").unwrap())).unwrap()
    }

    #[test]
    fn only_unknown_hosts_are_asked_about() {
        let at = InstanceDiscovery::At(Url::parse("https://idp.corp").unwrap());
        for (url, discovery, asks) in [
            ("https://login.microsoftonline.com", InstanceDiscovery::Public, None),
            ("https://westeurope.login.microsoft.com", InstanceDiscovery::Public, None),
            ("https://login.microsoftonline.us", at.clone(), None),
            ("https://foo.ciamlogin.com", InstanceDiscovery::Public, None),
            ("https://login.corp", InstanceDiscovery::Off, None),
            ("http://127.0.0.1:9", InstanceDiscovery::Public, None),
            ("https://login.corp", InstanceDiscovery::Public, Some("login.microsoftonline.com")),
            ("https://login.corp", at, Some("idp.corp")),
        ] {
            let asked = discovery.url(&place(url));
            assert_eq!(asked.as_ref().and_then(Url::host_str), asks, "{url}");
        }
        let url = InstanceDiscovery::Public.url(&place("https://login.corp:8443")).unwrap();
        assert_eq!(
            url.as_str(),
            "https://login.microsoftonline.com/common/discovery/instance?api-version=1.1&authorization_endpoint=https%3A%2F%2Flogin.corp%3A8443%2Fcontoso.com%2Foauth2%2Fv2.0%2Fauthorize"
        );
    }

    #[test]
    fn the_names_are_those_of_the_own_network() {
        let names = |metadata: &str| {
            let answer = format!(r#"{{"tenant_discovery_endpoint":"https://x","metadata":{metadata}}}"#);
            let answer: Answer = serde_json::from_str(&answer).unwrap();
            answer.names_of(&place("https://login.corp")).to_vec()
        };
        let networks = r#"[{"aliases":["a.example"]},{"preferred_network":"x","aliases":["sts.corp","login.corp"]}]"#;
        assert_eq!(names(networks), ["sts.corp", "login.corp"]);
        for none in ["[]", "[{}]", r#"[{"aliases":["a.example"]}]"#, r#"[{"aliases":["login.corp:444"]}]"#] {
            assert!(names(none).is_empty(), "{none}");
        }
        assert!(serde_json::from_str::<Answer>(r#"{"metadata":[]}"#).is_err(), "that confirms nothing");
    }

    #[test]
    fn only_what_passes_by_itself_is_asked_again_at_once() {
        let now = Timestamp::from_secs(1_000_000);
        let after = |secs| now + Duration::from_secs(secs);
        assert!(Verdict::of(Ok([].into()), now).standing(after(3_600_000)).is_some_and(|names| names.is_ok()));
        let patient = |kind| Fault::new(kind, "p", "r").with_retry_after(Some(Duration::from_secs(20)));
        for (fault, rest) in [
            (Fault::new(Kind::Misconfigured, "p", "r"), 60),
            (patient(Kind::Throttled), 20),
            (patient(Kind::Unavailable), 20),
            (Fault::new(Kind::Unavailable, "p", "r"), 0),
        ] {
            let verdict = Verdict::of(Err(fault), now);
            assert_eq!(verdict.standing(now).is_some(), rest > 0);
            assert!(rest == 0 || verdict.standing(after(rest - 1)).is_some());
            assert!(verdict.standing(after(rest)).is_none());
            assert!(verdict.fresh().is_err());
        }
    }
}
