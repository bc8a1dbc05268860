//! The thumbprint of the certificate that a running https listener shows.

use std::time::Duration;

use reqwest::tls::TlsInfo;
use reqwest::{Client, redirect};

use crate::cli::Failure;
use crate::fault::{EX_SOFTWARE, EX_UNAVAILABLE};
use crate::server::tls::thumbprint;
use crate::wire::install_crypto_provider;

/// Connects to `base` and looks at the certificate, which nobody has to have signed: it is about to be pinned.
/// Whoever could stand there instead of the service could as well serve its port.
///
/// # Errors
/// Nothing there speaks TLS.
pub(super) async fn of(base: &str) -> Result<String, Failure> {
    install_crypto_provider();
    let client = Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .tls_info(true)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .map_err(|error| Failure::new(EX_SOFTWARE, error.to_string()))?;
    let answer = client.get(base).send().await.ok();
    let info = answer.as_ref().and_then(|answer| answer.extensions().get::<TlsInfo>());
    info.and_then(TlsInfo::peer_certificate).map(thumbprint).ok_or_else(|| {
        let problem =
            format!("the https listener at {base} cannot be reached, and its certificate has to be looked at");
        Failure::new(EX_UNAVAILABLE, format!("{problem}; start the service, or configure 'server.tls'"))
    })
}

/// It is this machine, and answers at once or not at all.
const PATIENCE: Duration = Duration::from_secs(5);
