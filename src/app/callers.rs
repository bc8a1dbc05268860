//! Builds what callers are recognised by, and renews it as their header secrets change.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::caller::{Callers, Means};
use crate::config::caller::Caller;
use crate::credential::ClientSecret;
use crate::credential::watch::Watch;
use crate::policy::Entitlement;
use crate::secret::Secret;

/// The callers, and the secrets of each, in their places.
pub(super) struct Renewing {
    callers: Arc<ArcSwap<Callers>>,
    secrets: Vec<Vec<ClientSecret>>,
}

/// What policy and recognition go by: the configured callers, or one for all with these secrets.
pub(super) fn build(callers: Vec<Caller>, header_secrets: &[Secret], order: &[Means]) -> (Vec<Entitlement>, Renewing) {
    if callers.is_empty() {
        let callers = Arc::new(ArcSwap::from_pointee(Callers::open(header_secrets)));
        return (Vec::new(), Renewing { callers, secrets: Vec::new() });
    }
    let (mut entitlements, mut proofs, mut secrets) = (Vec::new(), Vec::new(), Vec::new());
    for caller in callers {
        entitlements.push(caller.entitlement);
        proofs.push(caller.proof);
        secrets.push(caller.secrets);
    }
    (entitlements, Renewing { callers: Arc::new(ArcSwap::from_pointee(Callers::named(proofs, order))), secrets })
}

impl Renewing {
    /// Watches the files for as long as the callers are in use.
    pub(super) fn watch(self) -> Arc<ArcSwap<Callers>> {
        let callers = Arc::clone(&self.callers);
        let files: Vec<_> = self.secrets.iter().flatten().filter_map(ClientSecret::file).map(Path::to_owned).collect();
        if files.is_empty() {
            return callers;
        }
        let mut watch = Watch::over(files.iter().map(|file| &**file));
        let (held, mut secrets) = (Arc::downgrade(&self.callers), self.secrets);
        drop(self.callers);
        tokio::spawn(async move {
            while let Some(callers) = held.upgrade() {
                // Reading may block.
                let renewed = tokio::task::spawn_blocking(move || {
                    renew(&callers, &secrets);
                    secrets
                });
                let Ok(back) = renewed.await else { return };
                secrets = back;
                watch.change().await;
            }
        });
        callers
    }
}

/// Reads what has changed; a file that cannot be read leaves its secret as it was.
fn renew(callers: &ArcSwap<Callers>, secrets: &[Vec<ClientSecret>]) {
    let mut is_news = false;
    for secret in secrets.iter().flatten() {
        match secret.reload() {
            Ok(changed) => is_news |= changed,
            Err(fault) => {
                tracing::warn!(%fault, inward = fault.inward(), "the header secret of a caller stays as it was");
            }
        }
    }
    if is_news {
        let held = |place: Option<usize>| place.and_then(|place| secrets.get(place)).into_iter().flatten();
        let imprints = |place| held(place).map(|secret| secret.value().imprint()).collect();
        match callers.load().with_secrets(imprints) {
            Some(renewed) => {
                callers.store(Arc::new(renewed));
                tracing::info!("the header secrets of callers have changed");
            }
            None => tracing::error!("two callers would have one header secret; all keep those that they had"),
        }
    }
}
