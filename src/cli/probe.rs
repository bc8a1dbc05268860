//! `bursar probe`: whether a service is ready, for images that have no shell.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use reqwest::header::HeaderMap;
use url::Url;

use super::env::reach::url_of;
use super::http::{Trust, get};
use super::named::{place, service_url};
use super::{Failure, print, variables};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::server::ADMIN;
use crate::fault::{EX_UNAVAILABLE, EX_USAGE};
use crate::server::Listen;
use crate::wire::is_loopback;

mod told;

use told::told;

/// Exit with 0 when a service is ready, and with 69 otherwise
///
/// For container health checks. Prints what each identity holds, or why not, and what is wrong with a new
/// configuration that was refused, which leaves the service as ready as it was. Without a URL it asks the admin
/// listener of the configuration, of BURSAR__SERVER__ADMIN_LISTEN, or 127.0.0.1:4142. Over https, a certificate of this
/// machine is taken as it is, since nothing is told to whoever shows it; that of a URL elsewhere has to be of a CA that
/// the system or SSL_CERT_FILE trusts.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Probe {
    /// What to ask instead; without a path, its /readyz
    #[arg(value_parser = service)]
    url: Option<Url>,
    /// The configuration of the service
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    config: Option<PathBuf>,
}

impl Probe {
    /// Asks once.
    ///
    /// # Errors
    /// The service is not ready, or not there.
    pub async fn run(self) -> Result<(), Failure> {
        let (mut url, trust) = match self.url {
            Some(url) => {
                let trust = if is_loopback(&url) { Trust::Anyone } else { Trust::System };
                (url, trust)
            }
            None => (of_service(&admin_listen(self.config)?)?, Trust::Anyone),
        };
        if url.path() == "/" {
            url.set_path("/readyz");
        }
        let is_readiness = url.path() == "/readyz";
        let (status, body) = get(url, None, HeaderMap::new(), trust, PATIENCE).await?;
        match status {
            200 if is_readiness => print(&told(&body).unwrap_or_default()),
            200 => Ok(()),
            404 if is_readiness => Err(Failure::new(EX_UNAVAILABLE, NO_ADMIN)),
            _ => {
                let why = told(&body).unwrap_or_else(|| format!("HTTP {status} {body}"));
                Err(Failure::new(EX_UNAVAILABLE, format!("not ready: {}", why.trim_end())))
            }
        }
    }
}

/// The URL of a service. The other commands take a configuration's file there, which would be a host here.
fn service(text: &str) -> Result<Url, String> {
    if !text.contains(':') && Path::new(text).is_file() {
        return Err("this is a file; name a configuration with --config".to_owned());
    }
    service_url(text)
}

fn admin_listen(config: Option<PathBuf>) -> Result<Listen, Failure> {
    if let Some(path) = config {
        return Ok(Config::read(Some(&path), variables(), Clock::System.now())?.server.admin_listen);
    }
    let variables = variables();
    let text = variables.get("BURSAR__SERVER__ADMIN_LISTEN").map_or(ADMIN, String::as_str);
    place(text).map_err(|why| Failure::new(EX_USAGE, format!("BURSAR__SERVER__ADMIN_LISTEN: {why}")))
}

fn of_service(listen: &Listen) -> Result<Url, Failure> {
    let url = url_of(listen).and_then(|url| Url::parse(&url).ok());
    // Invariant: the admin listener is at an address.
    url.ok_or_else(|| Failure::new(EX_USAGE, "health is told at an address alone"))
}

const NO_ADMIN: &str = "there is no /readyz at this address: it is no admin listener. Ask where 'admin_listen' says, 127.0.0.1:4142 by default; tokens are served elsewhere.";
/// Health checks give up after a second or a few.
const PATIENCE: Duration = Duration::from_secs(2);
