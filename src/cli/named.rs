//! What is named on a command line, in the ways that people write it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use url::Url;

use crate::config::{section, server};
use crate::server::Listen;

/// A configuration's file, with or without `--config` before it.
#[derive(Args, Debug)]
pub struct ConfigFile {
    /// The configuration, in TOML, YAML or JSON
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The same as --config FILE
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
}

impl ConfigFile {
    /// Its path, if one was named.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.config.as_deref().or(self.file.as_deref())
    }
}

/// An address and a port; `localhost` is 127.0.0.1.
///
/// # Errors
/// Anything else.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse::<u16>().ok()) {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    section::address(text).map_err(|malformed| malformed.to_string())
}

/// An address and a port, behind `https://` for TLS, or the path of a unix socket behind `unix:`.
///
/// # Errors
/// Anything else.
pub fn listen(text: &str) -> Result<Listen, String> {
    if text.starts_with("unix:") {
        return server::listen(text).map_err(|malformed| malformed.to_string());
    }
    place(text)
}

/// An address and a port, behind `https://` for TLS.
///
/// # Errors
/// Anything else.
pub fn place(text: &str) -> Result<Listen, String> {
    match text.strip_prefix("https://") {
        Some(rest) => address(rest).map(Listen::Https),
        None => address(text).map(Listen::Http),
    }
}

/// Where a running service is asked for tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The URL of its root.
    pub url: Url,
    /// The unix socket to go through.
    pub socket: Option<PathBuf>,
}

/// The URL of a service, or the path of its unix socket behind `unix:`.
///
/// # Errors
/// Anything else.
pub fn endpoint(text: &str) -> Result<Endpoint, String> {
    match text.strip_prefix("unix:") {
        Some("") => Err("the path of the socket is missing, such as unix:/run/bursar/bursar.sock".to_owned()),
        // A socket has no host, and a request has to name one.
        Some(path) => Ok(Endpoint { url: service_url("localhost")?, socket: Some(path.into()) }),
        None => Ok(Endpoint { url: service_url(text)?, socket: None }),
    }
}

/// The URL of a service; without a scheme it is plain http.
///
/// # Errors
/// What is no URL, or none of http.
pub fn service_url(text: &str) -> Result<Url, String> {
    if text.starts_with("unix:") {
        return Err(
            "a unix socket serves tokens alone; health is told at 'admin_listen', such as http://127.0.0.1:4142"
                .to_owned(),
        );
    }
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&whole).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| "a service has a URL such as http://127.0.0.1:4141".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_named_with_or_without_a_scheme() {
        for (text, url) in [
            ("http://127.0.0.1:4141", "http://127.0.0.1:4141/"),
            ("127.0.0.1:4141", "http://127.0.0.1:4141/"),
            ("localhost:4142/healthz", "http://localhost:4142/healthz"),
            ("https://bursar.svc", "https://bursar.svc/"),
        ] {
            assert_eq!(service_url(text).unwrap().as_str(), url);
        }
        for text in ["", "ftp://a", "http://", "a b"] {
            assert!(service_url(text).unwrap_err().contains("such as http://127.0.0.1:4141"), "{text:?}");
        }
    }

    #[test]
    fn a_unix_socket_is_asked_for_tokens_and_not_for_health() {
        let at = |text| endpoint(text).map(|found| (found.url.to_string(), found.socket)).unwrap();
        assert_eq!(at("unix:/run/b.sock"), ("http://localhost/".to_owned(), Some("/run/b.sock".into())));
        assert_eq!(at("127.0.0.1:1"), ("http://127.0.0.1:1/".to_owned(), None));
        assert!(endpoint("unix:").unwrap_err().contains("the path of the socket is missing"));
        assert!(service_url("unix:/run/b.sock").unwrap_err().contains("'admin_listen'"));
        assert_eq!(listen("unix:/run/b.sock").unwrap().to_string(), "unix:/run/b.sock");
        assert_eq!(listen("https://localhost:1").unwrap().to_string(), "https://127.0.0.1:1");
    }

    #[test]
    fn an_address_has_a_port_and_may_be_localhost() {
        for (text, meant) in [("localhost:4141", "127.0.0.1:4141"), ("[::1]:1", "[::1]:1"), ("0.0.0.0:0", "0.0.0.0:0")]
        {
            assert_eq!(address(text).unwrap().to_string(), meant);
        }
        for text in ["", "4141", ":4141", "localhost", "localhost:x", "example.com:1"] {
            assert!(address(text).unwrap_err().contains("such as 127.0.0.1:4141"), "{text:?}");
        }
    }
}
