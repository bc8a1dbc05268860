//! Where a service is reached, and which variables point an SDK there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::shell::{Setting, Shell};
use crate::dialect::{Dialect, Export};
use crate::server::Listen;

/// What has to be known of a service to point an SDK at it. No `Debug`: the text of a header secret may be in it.
pub struct Reach {
    /// The URL of the listener without TLS, with neither path nor slash behind it.
    pub base: Option<String>,
    /// The same with TLS.
    pub tls_base: Option<String>,
    /// What callers show.
    pub header_secret: Option<Setting>,
    /// The SHA-1 thumbprint of the certificate on the listener with TLS, where it was looked for.
    pub thumbprint: Option<String>,
}

impl Reach {
    /// A service that listens there, as programs on this machine reach it.
    #[must_use]
    pub fn new(listens: &[Listen], header_secret: Option<Setting>) -> Self {
        let url = |is_tls| listens.iter().filter(|listen| listen.is_tls() == is_tls).find_map(url_of);
        Self { base: url(false), tls_base: url(true), header_secret, thumbprint: None }
    }

    /// Whether there is any address.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        self.base.is_some() || self.tls_base.is_some()
    }

    /// Where a dialect is served.
    fn base_of(&self, dialect: &Dialect) -> Option<&str> {
        let plain = self.base.as_deref().filter(|_| !dialect.needs_tls);
        plain.or(self.tls_base.as_deref())
    }

    /// The URL of a dialect's tokens.
    #[must_use]
    pub fn endpoint(&self, dialect: &Dialect) -> Option<String> {
        Some(format!("{}{}", self.base_of(dialect)?, dialect.paths[0]))
    }

    /// The variables that point an SDK at `dialects`, each dialect's all or none of them: nothing is exported for
    /// a header secret that is not there.
    #[must_use]
    pub fn exports(&self, dialects: impl IntoIterator<Item = &'static Dialect>) -> Vec<(&'static str, Setting)> {
        let mut lines = Vec::new();
        for dialect in dialects {
            let exports = dialect.exports.iter().map(|(name, export)| Some((*name, self.setting(dialect, *export)?)));
            lines.extend(exports.collect::<Option<Vec<_>>>().unwrap_or_default());
        }
        lines
    }

    fn setting(&self, dialect: &Dialect, export: Export) -> Option<Setting> {
        match export {
            Export::Base => self.base_of(dialect).map(|base| Setting::Text(base.to_owned())),
            Export::Endpoint => self.endpoint(dialect).map(Setting::Text),
            Export::HeaderSecret => self.header_secret.clone(),
            Export::Thumbprint => self.thumbprint.clone().map(Setting::Text),
        }
    }
}

/// The lines that set what points at the usual dialects. An SDK goes by the pair of App Service while that is set,
/// so what points at the host of IMDS beside it is told as a comment.
#[must_use]
pub fn usual_lines(shell: Shell, settings: &[(&str, Setting)]) -> Vec<String> {
    let has_pair = settings.iter().any(|(name, _)| *name == "IDENTITY_ENDPOINT");
    let (second, first): (Vec<_>, Vec<_>) = settings.iter().partition(|(name, _)| has_pair && *name == IMDS_HOST);
    let mut lines: Vec<String> = first.iter().map(|(name, setting)| shell.line(name, setting)).collect();
    for (name, setting) in second {
        lines.push("# instead of the pair, which goes first (Python, Node, Java, .NET):".to_owned());
        lines.push(format!("# {}", shell.line(name, setting)));
    }
    lines
}

/// The URL at which a program on this machine reaches a listener; a unix socket has none.
#[must_use]
pub fn url_of(listen: &Listen) -> Option<String> {
    let scheme = if listen.is_tls() { "https" } else { "http" };
    Some(format!("{scheme}://{}", reachable(listen.address()?)))
}

/// An address that can be connected to, where every one of the machine is listened on.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), address.port()),
        _ => address,
    }
}

/// What is told where there is a unix socket alone.
pub const UNREACHABLE: &str = "no SDK can be pointed at a unix socket, since they speak TCP: listen on an address too, such as 127.0.0.1:4141, or ask with 'bursar token --endpoint unix:PATH' or 'curl --unix-socket PATH'";
const IMDS_HOST: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::table::DIALECTS;

    fn usual() -> impl Iterator<Item = &'static Dialect> {
        DIALECTS.iter().filter(|dialect| dialect.is_default)
    }

    fn listens(texts: &[&str]) -> Vec<Listen> {
        texts.iter().map(|text| crate::config::server::listen(text).unwrap()).collect()
    }

    fn reach(secret: Option<&str>) -> Reach {
        Reach::new(&listens(&["127.0.0.1:1", "https://127.0.0.1:3"]), secret.map(|s| Setting::Text(s.to_owned())))
    }

    #[test]
    fn the_pair_is_exported_whole_or_not_at_all() {
        let names =
            |secret| -> Vec<&str> { reach(secret).exports(usual()).into_iter().map(|(name, _)| name).collect() };
        assert_eq!(names(None), ["AZURE_POD_IDENTITY_AUTHORITY_HOST"]);
        assert_eq!(names(Some("s")), ["IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_POD_IDENTITY_AUTHORITY_HOST"]);
    }

    #[test]
    fn the_host_of_imds_is_a_comment_beside_the_pair() {
        let lines = |secret| usual_lines(Shell::Bash, &reach(secret).exports(usual()));
        assert_eq!(lines(None), ["export AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:1"]);
        let both = lines(Some("s"));
        assert_eq!(both[..2], ["export IDENTITY_ENDPOINT=http://127.0.0.1:1/msi/token", "export IDENTITY_HEADER=s"]);
        assert_eq!(both[3], "# export AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:1");
        assert!(both[2].starts_with("# instead of the pair") && both.len() == 4);
    }

    #[test]
    fn service_fabric_is_reached_over_tls_and_needs_its_thumbprint() {
        let fabric = || DIALECTS.iter().filter(|dialect| dialect.needs_tls);
        let mut reach = reach(Some("s"));
        assert!(reach.exports(fabric()).is_empty());
        reach.thumbprint = Some("AB".to_owned());
        let lines: Vec<String> = reach.exports(fabric()).iter().map(|(n, s)| Shell::Dotenv.line(n, s)).collect();
        assert_eq!(
            lines,
            [
                "IDENTITY_ENDPOINT=https://127.0.0.1:3/fabric/token",
                "IDENTITY_HEADER=s",
                "IDENTITY_SERVER_THUMBPRINT=AB"
            ]
        );
    }

    #[test]
    fn a_wildcard_is_reached_over_loopback() {
        for (listen, url) in [
            ("0.0.0.0:1", "http://127.0.0.1:1"),
            ("[::]:1", "http://[::1]:1"),
            ("10.0.0.1:1", "http://10.0.0.1:1"),
            ("https://0.0.0.0:1", "https://127.0.0.1:1"),
        ] {
            let reach = Reach::new(&listens(&[listen]), None);
            assert_eq!(reach.base.or(reach.tls_base).as_deref(), Some(url));
        }
    }
}
