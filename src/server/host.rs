//! Which `Host` names are ours. A browser that was led here by a rebound DNS name shows that name, and
//! is refused by it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The names under which a listener may be asked.
#[derive(Clone, Debug)]
pub struct Hosts {
    names: Vec<String>,
    addresses: Vec<IpAddr>,
    any_address: bool,
}

impl Hosts {
    /// Loopback names, the addresses of the listeners, the metadata address, and `further` names. On a
    /// wildcard listener any IP literal is ours, since rebinding needs a name.
    #[must_use]
    pub fn new(listeners: &[SocketAddr], further: &[String]) -> Self {
        let mut names = vec!["localhost".to_owned()];
        names.extend_from_slice(further);
        let mut addresses = vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([169, 254, 169, 254])];
        addresses.push(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16]));
        addresses.extend(listeners.iter().map(SocketAddr::ip));
        addresses.extend(further.iter().filter_map(|name| name.parse::<IpAddr>().ok()));
        Self { names, addresses, any_address: listeners.iter().any(|listener| listener.ip().is_unspecified()) }
    }

    /// Whether `host`, as it stands in the header, with or without a port, is ours.
    #[must_use]
    pub fn are_ours(&self, host: &str) -> bool {
        let Some(name) = without_port(host) else { return false };
        let address = match name.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').and_then(|text| text.parse::<Ipv6Addr>().ok()).map(IpAddr::V6),
            None => name.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        };
        match address {
            Some(address) => self.any_address || self.addresses.contains(&address),
            None => self.names.iter().any(|ours| ours.eq_ignore_ascii_case(name)),
        }
    }
}

/// The host without its port; none when the port is no port.
fn without_port(host: &str) -> Option<&str> {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => {
            // A connection remembers a host, which so is short.
            let digits = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
            (digits && port.parse::<u16>().is_ok()).then_some(name)
        }
        _ => Some(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_that_are_ours() {
        let listeners = ["127.0.0.1:4141".parse().unwrap(), "192.0.2.7:80".parse().unwrap()];
        let hosts = Hosts::new(&listeners, &["bursar.payments.svc".to_owned(), "192.0.2.9".to_owned()]);
        for ours in [
            "127.0.0.1",
            "127.0.0.1:4141",
            "localhost:1",
            "LOCALHOST",
            "[::1]:4141",
            "[::1]",
            "169.254.169.254",
            "192.0.2.7:80",
            "192.0.2.9",
            "Bursar.Payments.svc:4141",
        ] {
            assert!(hosts.are_ours(ours), "{ours}");
        }
        for foreign in [
            "",
            ":80",
            "evil.com",
            "localhost.evil.com",
            "127.0.0.1.evil.com",
            "192.0.2.8",
            "localhost:x",
            "127.0.0.1:",
            "127.0.0.1:000080",
        ] {
            assert!(!hosts.are_ours(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_wildcard_listener_takes_any_address_and_no_name() {
        let hosts = Hosts::new(&["0.0.0.0:4141".parse().unwrap()], &[]);
        assert!(hosts.are_ours("10.1.2.3:4141"));
        assert!(!hosts.are_ours("rebound.example"));
    }
}
