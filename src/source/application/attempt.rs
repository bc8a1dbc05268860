//! One credential's part in a fetch: an exchange, perhaps a second one, and what is learnt of the credential.

use std::sync::Arc;

use url::Url;

use super::Application;
use crate::clock::{Deadline, Timestamp};
use crate::fault::{Fault, Kind};
use crate::metrics::Metrics;
use crate::source::roster::{Candidate, Held};
use crate::source::standing::Turn;
use crate::source::{Wish, may_retry, within};
use crate::token::Token;

/// What one credential is tried for.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    /// The credential.
    pub(super) held: &'a Held,
    /// Where the authority pays out tokens.
    pub(super) endpoint: &'a Url,
    /// What for.
    pub(super) wish: Wish<'a>,
    /// When nobody waits any more.
    pub(super) deadline: Deadline,
    /// Where it is counted.
    pub(super) metrics: &'a Metrics,
}

/// Why an exchange gave no token, and what was shown to the authority.
#[derive(Debug)]
pub(super) struct Failure {
    /// What went wrong.
    pub(super) fault: Fault,
    /// Which one of the credential's generations was to prove the client.
    pub(super) generation: u64,
    /// Whether the authority saw it; not when it could not be applied.
    pub(super) is_sent: bool,
}

impl Failure {
    /// Whether another credential may do better.
    pub(super) fn is_of_credential(&self) -> bool {
        !self.is_sent || self.is_rejection()
    }

    /// Whether the authority rejected what it saw.
    fn is_rejection(&self) -> bool {
        self.is_sent && self.fault.kind == Kind::RejectedCredential
    }
}

impl Application {
    /// Waits for a credential's turn; a trial has none while another one is under way, or has just failed.
    pub(super) async fn enter<'a>(
        &self,
        candidate: &Candidate<'a>,
        deadline: Deadline,
    ) -> Result<Option<Turn<'a>>, Fault> {
        let standing = &candidate.held.standing;
        if candidate.is_trial {
            return Ok(standing.try_enter().filter(|_| !standing.rests(self.clock.now())));
        }
        within(deadline, async { Ok(standing.enter().await) }).await
    }

    /// An exchange with one credential, and at most one more: for a passing failure, or when the files of a
    /// rejected credential hold another one.
    pub(super) async fn attempt(&self, attempt: Attempt<'_>) -> Result<Token, Failure> {
        let Attempt { held, deadline, .. } = attempt;
        if let Some((_, fault)) = held.standing.barred(self.clock.now()) {
            return Err(Failure { fault, generation: held.credential.generation(), is_sent: false });
        }
        let mut result = self.exchange(attempt).await;
        if let Err(failure) = &result
            && self.may_repeat(failure, attempt).await
        {
            result = self.exchange(attempt).await;
            // There is no third one, but the next request may do better.
            if let Err(failure) = &result {
                self.is_replaced(failure, held, deadline).await;
            }
        }
        held.follow();
        match &result {
            Ok((_, generation)) => held.standing.trust(*generation),
            Err(failure) => self.learn(failure, attempt),
        }
        result.map(|(token, _)| token)
    }

    /// Does what has to come before a second exchange, and says whether that may help.
    async fn may_repeat(&self, failure: &Failure, attempt: Attempt<'_>) -> bool {
        may_retry(&failure.fault, attempt.wish.jitter, attempt.deadline).await
            || self.is_replaced(failure, attempt.held, attempt.deadline).await
    }

    /// Looks at the files of a rejected credential, and says whether they hold another one by now.
    async fn is_replaced(&self, failure: &Failure, held: &Held, deadline: Deadline) -> bool {
        if !failure.is_rejection() || held.credential.files().is_empty() {
            return false;
        }
        let (credential, now) = (Arc::clone(&held.credential), self.clock.now());
        // Reading may block; a disk that hangs must not outlast the flight.
        let read = tokio::task::spawn_blocking(move || credential.reload(now));
        if let Ok(Ok(looked)) = tokio::time::timeout(deadline.left(), read).await {
            self.tell(held, looked);
        }
        failure.generation != held.credential.generation()
    }

    /// What the failure says of the credential that was used. One that was replaced meanwhile has not failed.
    fn learn(&self, failure: &Failure, attempt: Attempt<'_>) {
        let (held, fault, now) = (attempt.held, &failure.fault, self.clock.now());
        let (generation, jitter) = (failure.generation, attempt.wish.jitter);
        if !failure.is_sent {
            held.standing.pass_over(generation, fault, now, jitter);
        } else if failure.is_rejection() && held.standing.reject(generation, fault, now, jitter) {
            attempt.metrics.credential_rejected(&self.principal.identity, &held.label);
        }
    }

    /// Notes that a credential gave a token, and tells when it is another one than before.
    pub(super) fn remember(&self, candidate: &Candidate<'_>, metrics: &Metrics) {
        let Some(before) = self.roster.works(candidate.place, self.clock.now()) else { return };
        let (identity, tenant) = (self.principal.identity.as_str(), self.authority.place().tenant().as_str());
        let credential = &*candidate.held.label;
        metrics.credential_preferred(&self.principal.identity, credential);
        if candidate.is_trial {
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

    /// Whoever took a new credential tells of it; the other sources that have it say nothing.
    fn tell(&self, held: &Held, looked: Result<bool, Fault>) {
        let (identity, credential) = (self.principal.identity.as_str(), &*held.label);
        match looked {
            Ok(true) => tracing::info!(identity, credential, "a new credential is in use"),
            Ok(false) => {}
            Err(fault) => {
                tracing::warn!(identity, credential, %fault, inward = fault.inward(), "no new credential");
            }
        }
    }
}
