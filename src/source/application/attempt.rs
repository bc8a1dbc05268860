//! One credential's part in a fetch: an exchange, perhaps a second one, and what is learnt of the credential.

use std::sync::Arc;

use tokio::sync::SemaphorePermit;
use url::Url;

use super::Application;
use crate::clock::{Deadline, Timestamp};
use crate::fault::{Fault, Kind};
use crate::metrics::Metrics;
use crate::source::roster::{Held, Turn};
use crate::source::{RETRY_DELAY, Wish, within};
use crate::token::Token;

/// Why an exchange gave no token, and what was shown to the authority.
#[derive(Debug)]
pub(super) struct Failure {
    /// What went wrong.
    pub(super) fault: Fault,
    /// Which one of the credential's generations was sent; none when it could not be applied.
    pub(super) sent: Option<u64>,
}

impl Failure {
    /// A failure before anything was sent.
    pub(super) const fn unsent(fault: Fault) -> Self {
        Self { fault, sent: None }
    }

    /// Whether another credential may do better.
    pub(super) fn is_of_credential(&self) -> bool {
        self.sent.is_none() || self.fault.kind == Kind::RejectedCredential
    }
}

impl Application {
    /// Waits for a credential's turn; a trial has none while another one is under way, or has just failed.
    pub(super) async fn enter<'a>(
        &self,
        turn: &Turn<'a>,
        deadline: Deadline,
    ) -> Result<Option<SemaphorePermit<'a>>, Fault> {
        let standing = &turn.held.standing;
        if turn.is_trial {
            return Ok(standing.try_enter().filter(|_| !standing.rests(self.clock.now())));
        }
        within(deadline, async { Ok(standing.enter().await) }).await
    }

    /// An exchange with one credential, and at most one more: for a passing failure, or when the files of a
    /// rejected credential hold another one.
    pub(super) async fn attempt(
        &self,
        held: &Held,
        endpoint: &Url,
        wish: Wish<'_>,
        deadline: Deadline,
        metrics: &Metrics,
    ) -> Result<Token, Failure> {
        if let Some((_, fault)) = held.standing.rejected(self.clock.now()) {
            return Err(Failure { fault, sent: Some(held.credential.generation()) });
        }
        let mut result = self.exchange(held, endpoint, wish, deadline, metrics).await;
        if let Err(failure) = &result
            && self.may_repeat(failure, held, wish, deadline).await
        {
            result = self.exchange(held, endpoint, wish, deadline, metrics).await;
            // There is no third one, but the next request may do better.
            if let Err(failure) = &result {
                self.is_replaced(failure, held, deadline).await;
            }
        }
        match &result {
            Ok(_) => held.standing.trust(),
            Err(failure) => self.learn(failure, held, wish, metrics),
        }
        result
    }

    /// Does what has to come before a second exchange, and says whether that may help.
    async fn may_repeat(&self, failure: &Failure, held: &Held, wish: Wish<'_>, deadline: Deadline) -> bool {
        let delay = RETRY_DELAY.mul_f64(0.5 + wish.jitter);
        if failure.fault.is_transient() && delay < deadline.left() {
            tokio::time::sleep(delay).await;
            return true;
        }
        self.is_replaced(failure, held, deadline).await
    }

    /// Looks at the files of a rejected credential, and says whether they hold another one by now.
    async fn is_replaced(&self, failure: &Failure, held: &Held, deadline: Deadline) -> bool {
        let is_rejected = failure.fault.kind == Kind::RejectedCredential && failure.sent.is_some();
        if !is_rejected || held.credential.files().is_empty() {
            return false;
        }
        let (credential, now) = (Arc::clone(&held.credential), self.clock.now());
        // Reading may block; a disk that hangs must not outlast the flight.
        let read = tokio::task::spawn_blocking(move || credential.reload(now));
        if let Ok(Ok(looked)) = tokio::time::timeout(deadline.left(), read).await {
            self.tell(held, looked);
            self.follow(held);
        }
        failure.sent != Some(held.credential.generation())
    }

    /// What the failure says of the credential that was used. One that was replaced meanwhile has not failed.
    fn learn(&self, failure: &Failure, held: &Held, wish: Wish<'_>, metrics: &Metrics) {
        let now = self.clock.now();
        match failure.sent {
            None => held.standing.pass_over(&failure.fault, now, wish.jitter),
            Some(sent) if failure.fault.kind == Kind::RejectedCredential && sent == held.credential.generation() => {
                self.follow(held);
                held.standing.reject(&failure.fault, now, wish.jitter);
                metrics.credential_rejected(&self.identity, &held.label);
            }
            Some(_) => {}
        }
    }

    /// Notes that a credential gave a token, and tells when it is another one than before.
    pub(super) fn remember(&self, turn: &Turn<'_>, metrics: &Metrics) {
        let Some(before) = self.roster.works(turn.place, self.clock.now()) else { return };
        let (identity, tenant) = (self.identity.as_str(), self.authority.place().tenant().as_str());
        let credential = &*turn.held.label;
        metrics.credential_preferred(&self.identity, credential);
        if turn.is_trial {
            tracing::info!(identity, tenant, credential, before, "an earlier credential works again and is used first");
        } else {
            tracing::warn!(
                identity,
                tenant,
                credential,
                before,
                "another credential works and is used first from now on"
            );
        }
    }

    /// Looks at the files of a credential, and takes a new one.
    pub(super) fn renew(&self, held: &Held, now: Timestamp) {
        self.tell(held, held.credential.reload(now));
    }

    fn tell(&self, held: &Held, looked: Result<(), Fault>) {
        let (identity, credential) = (self.identity.as_str(), &*held.label);
        if let Err(fault) = looked {
            tracing::warn!(identity, credential, %fault, inward = fault.inward(), "no new credential");
        }
    }

    /// Notes whether a credential is a new one, which this or another source of the identity took.
    pub(super) fn follow(&self, held: &Held) {
        if held.standing.follow(held.credential.generation()) {
            let (identity, tenant) = (self.identity.as_str(), self.authority.place().tenant().as_str());
            tracing::info!(identity, tenant, credential = &*held.label, "a new credential is in use");
        }
    }
}
