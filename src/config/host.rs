//! Finds the host's managed identity endpoint, as the SDKs do: by the variables that the host sets.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use super::mistake::Report;
use super::secret::Surroundings;
use crate::secret::Secret;
use crate::source::host::{Address, Contract};
use crate::wire::{is_confidential, is_link_local};

/// The endpoint that the environment tells of; instance metadata where it tells nothing. Never one of our
/// own listeners, at `own`: the variables that point workloads at this service are easily given to it too.
pub fn address(surroundings: Surroundings<'_>, own: &[SocketAddr], report: &Report) -> Option<Address> {
    let get = |name: &str| surroundings.variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let (variable, written, path, contract) = match (get(ENDPOINT), get(HEADER), get(AUTHORITY_HOST)) {
        (Some(url), Some(header), _) => (ENDPOINT, url, "", Contract::AppService(Secret::from(header.to_owned()))),
        (Some(_), None, _) => {
            let remedy = "set IDENTITY_HEADER too (App Service), or unset both for instance metadata; other contracts are not spoken";
            report.note(ENDPOINT, "the variable is set without IDENTITY_HEADER", remedy);
            return None;
        }
        (None, _, Some(base)) => (AUTHORITY_HOST, base, IMDS_PATH, Contract::Imds),
        (None, _, None) => (AUTHORITY_HOST, IMDS, IMDS_PATH, Contract::Imds),
    };
    let url = Url::parse(&format!("{}{path}", written.trim_end_matches('/'))).ok();
    let Some(url) = url.filter(|url| is_confidential(url) || is_link_local(url)) else {
        let remedy = "name an https URL, or an http one on this machine or its link (169.254.0.0/16)";
        report.note(variable, "the host's managed identity cannot be asked there", remedy);
        return None;
    };
    if is_own(&url, own) {
        let remedy = "unset it for this service, so that its own managed identity is asked of the host";
        report.note(variable, "the variable points at this service itself", remedy);
        return None;
    }
    Some(Address { url, contract })
}

/// Whether `url` leads to one of the listeners.
pub(super) fn is_own(url: &Url, own: &[SocketAddr]) -> bool {
    let port = url.port_or_known_default();
    let reaches = |listener: IpAddr| match url.host() {
        Some(Host::Domain(name)) => {
            let here = name.eq_ignore_ascii_case("localhost");
            here && (listener.is_loopback() || listener.is_unspecified())
        }
        Some(Host::Ipv4(ip)) => listener == IpAddr::V4(ip) || (listener.is_unspecified() && ip.is_loopback()),
        Some(Host::Ipv6(ip)) => listener == IpAddr::V6(ip) || (listener.is_unspecified() && ip.is_loopback()),
        None => false,
    };
    own.iter().any(|listener| Some(listener.port()) == port && reaches(listener.ip()))
}

const ENDPOINT: &str = "IDENTITY_ENDPOINT";
const HEADER: &str = "IDENTITY_HEADER";
const AUTHORITY_HOST: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
const IMDS: &str = "http://169.254.169.254";
const IMDS_PATH: &str = "/metadata/identity/oauth2/token";

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::Path;

    use super::*;
    use crate::clock::Timestamp;
    use crate::wire::System;

    fn found(variables: &[(&str, &str)]) -> Result<String, String> {
        let variables: HashMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let surroundings = Surroundings {
            base: Path::new(""),
            variables: &variables,
            system: &System::default(),
            now: Timestamp::from_secs(1),
        };
        let own = ["127.0.0.1:4141", "[::]:4150"].map(|address| address.parse().unwrap());
        let report = Report::default();
        match address(surroundings, &own, &report) {
            Some(Address { url, contract: Contract::Imds }) => Ok(format!("imds {url}")),
            Some(Address { url, contract: Contract::AppService(_) }) => Ok(format!("app-service {url}")),
            None => Err(report.into_mistakes().remove(0).to_string()),
        }
    }

    #[test]
    fn the_variables_lead_to_the_host() {
        let header = ("IDENTITY_HEADER", "marked");
        for (variables, expected) in [
            (vec![], "imds http://169.254.169.254/metadata/identity/oauth2/token"),
            (vec![header], "imds http://169.254.169.254/metadata/identity/oauth2/token"),
            (
                vec![("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:2579/")],
                "imds http://127.0.0.1:2579/metadata/identity/oauth2/token",
            ),
            (
                vec![header, ("IDENTITY_ENDPOINT", "http://169.254.129.2:8081/msi/token")],
                "app-service http://169.254.129.2:8081/msi/token",
            ),
            (vec![header, ("IDENTITY_ENDPOINT", "http://127.0.0.1:4142/x")], "app-service http://127.0.0.1:4142/x"),
        ] {
            assert_eq!(found(&variables).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn no_listener_of_ours_and_nothing_in_the_clear_is_asked() {
        let header = ("IDENTITY_HEADER", "marked");
        for (url, told) in [
            ("http://127.0.0.1:4141/msi/token", "points at this service itself"),
            ("http://localhost:4141/msi/token", "points at this service itself"),
            ("http://127.0.0.1:4150/msi/token", "points at this service itself"),
            ("http://[::1]:4150/msi/token", "points at this service itself"),
            ("http://login.example/msi/token", "cannot be asked there"),
            ("http://10.0.0.1/msi/token", "cannot be asked there"),
            ("nonsense", "cannot be asked there"),
        ] {
            let mistake = found(&[header, ("IDENTITY_ENDPOINT", url)]).unwrap_err();
            assert!(mistake.starts_with("IDENTITY_ENDPOINT: ") && mistake.contains(told), "{mistake}");
            assert!(!mistake.contains("marked"));
        }
        let alone = found(&[("IDENTITY_ENDPOINT", "http://127.0.0.1:1/")]).unwrap_err();
        assert!(alone.contains("without IDENTITY_HEADER"), "{alone}");
    }
}
