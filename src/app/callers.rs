//! Builds what callers are recognised by, and renews it as their header secrets change.

use std::path::Path;

use crate::caller::Callers;
use crate::caller::roll::Placed;
use crate::config::caller::Caller;
use crate::config::server::Server;
use crate::credential::ClientSecret;
use crate::policy::Entitlement;

/// The secrets of each caller, by its place; where callers are not told apart, those of all.
#[derive(Default)]
pub(super) struct Secrets(Vec<(Option<usize>, Vec<ClientSecret>)>);

/// What policy and recognition go by, the configured callers in their places or one for all with the server's secrets; and what
/// of it may change.
pub(super) fn build(callers: Vec<(usize, Caller)>, server: Server) -> (Placed<Entitlement>, Callers, Secrets) {
    if callers.is_empty() {
        let open = Callers::open(&server.header_secrets);
        let secrets = server.header_secrets.into_iter().zip(&server.header_secret_origins);
        let secrets = secrets.map(|(value, origin)| ClientSecret::new(value, origin.file())).collect();
        return (Placed::default(), open, Secrets(vec![(None, secrets)]));
    }
    let (mut entitlements, mut proofs, mut secrets) = (Vec::new(), Vec::new(), Vec::new());
    for (place, caller) in callers {
        entitlements.push((place, caller.entitlement));
        proofs.push((place, caller.proof));
        secrets.push((Some(place), caller.secrets));
    }
    (entitlements.into_iter().collect(), Callers::named(proofs, &server.proofs), Secrets(secrets))
}

impl Secrets {
    /// Where new ones would appear.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.all().filter_map(ClientSecret::file)
    }

    /// Reads what has changed, and gives the callers that show it from now on, if there is something new. A file that
    /// cannot be read leaves its secret as it was.
    pub(super) fn renew(&self, callers: &Callers) -> Option<Callers> {
        let mut is_news = false;
        for secret in self.all() {
            match secret.reload() {
                Ok(changed) => is_news |= changed,
                Err(fault) => {
                    tracing::warn!(%fault, inward = fault.inward(), "a header secret stays as it was");
                }
            }
        }
        if !is_news {
            return None;
        }
        let held = |place: Option<usize>| self.0.iter().filter(move |(of, _)| *of == place);
        let imprints = |place| held(place).flat_map(|(_, held)| held).map(|secret| secret.value().imprint()).collect();
        let renewed = callers.with_secrets(imprints);
        match &renewed {
            Some(_) => tracing::info!("header secrets have changed"),
            None => tracing::error!("two callers would have one header secret; all keep those that they had"),
        }
        renewed
    }

    fn all(&self) -> impl Iterator<Item = &ClientSecret> {
        self.0.iter().flat_map(|(_, secrets)| secrets)
    }
}
