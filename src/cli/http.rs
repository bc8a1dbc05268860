//! Asks a running service, for the commands that do.

use std::path::Path;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, redirect};
use url::Url;

use super::Failure;
use crate::fault::{EX_SOFTWARE, EX_UNAVAILABLE};
use crate::wire::install_crypto_provider;

/// Whose certificate is taken over https.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Anybody's: for listeners of this machine, where nothing is asked that is secret, and nothing is shown. They may
    /// have a certificate of the moment, or one for the names that others call them by.
    Anyone,
    /// One for the host that is asked, of a CA that the system trusts.
    System,
}

/// Sends a GET, through the unix `socket` if there is one, and gives status and body. No proxy comes between: it
/// would add `X-Forwarded-For`.
///
/// # Errors
/// The service cannot be reached or does not answer within `limit`.
pub async fn get(
    url: Url,
    socket: Option<&Path>,
    headers: HeaderMap,
    trust: Trust,
    limit: Duration,
) -> Result<(u16, String), Failure> {
    install_crypto_provider();
    let mut client = Client::builder().timeout(limit).redirect(redirect::Policy::none()).no_proxy();
    if trust == Trust::Anyone {
        client = client.tls_danger_accept_invalid_certs(true);
    }
    if let Some(path) = socket {
        client = client.unix_socket(path);
    }
    let client = client.build().map_err(|error| Failure::new(EX_SOFTWARE, error.to_string()))?;
    let place = match socket {
        Some(path) => format!("unix:{}", path.display()),
        None => format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default()),
    };
    let is_secure = url.scheme() == "https";
    let answer = async {
        let mut response = client.get(url).headers(headers).send().await?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await?
            && body.len() <= MAX_BODY
        {
            body.extend_from_slice(&chunk);
        }
        Ok::<_, reqwest::Error>((response.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
    };
    answer.await.map_err(|error| {
        let why = if error.is_timeout() { "does not answer in time" } else { "cannot be reached" };
        let may = if socket.is_some() { ", and may you connect to it" } else { "" };
        let told = match is_secure {
            true => format!("the service at {place} {why} over https ({}); is it running there?", cause(&error)),
            false if !error.is_timeout() && !error.is_connect() => {
                format!("the service at {place} does not speak HTTP; is it served over https:// there?")
            }
            false => format!("the service at {place} {why}; is it running there{may}?"),
        };
        Failure::new(EX_UNAVAILABLE, told)
    })
}

/// What an error comes from in the end.
fn cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), cause)
}

/// Far more than any answer of ours; the rest is not read.
const MAX_BODY: usize = 2 << 20;
