//! One exchange: a credential is applied, a request is sent, and what came of it is written down.

use std::num::NonZeroU64;
use std::sync::Arc;

use uuid::Uuid;

use super::Application;
use super::attempt::{Attempt, Failure};
use crate::authority::place;
use crate::claims;
use crate::clock::{Stopwatch, Timestamp};
use crate::credential::{Algorithm, Credential, Delegate, Occasion};
use crate::fault::Fault;
use crate::flood::Concern;
use crate::secret::Secret;
use crate::source::{Wish, within};
use crate::token::Token;
use crate::trace;
use crate::wire::request::{ClientCredentials, ClientProof};
use crate::wire::{Content, Outgoing, answer, late};

impl Application {
    /// One exchange, with an assertion of its own. It is logged however it ends, and counted once it is sent.
    /// With the token goes the generation of the credential that got it.
    pub(super) async fn exchange(&self, attempt: Attempt<'_>) -> Result<(Token, u64), Failure> {
        let Attempt { held, wish, deadline, metrics, .. } = attempt;
        let now = self.clock.now();
        // A failure to apply it is charged to what was there when that began.
        let present = held.credential.generation();
        let proved = within(deadline, self.prove(attempt, now)).await;
        let (proof, generation) = proved
            .inspect_err(|fault| self.log_fault(&held.label, wish, fault))
            .map_err(|fault| Failure { fault, generation: present, is_sent: false })?;
        metrics.credential_ends(
            &self.principal.identity,
            &held.label,
            held.credential.expiry().map(|expiry| expiry.at),
        );
        let watch = Stopwatch::start();
        let result = within(deadline, self.send(attempt, &proof)).await;
        metrics.exchanged(&self.principal.identity, &result, watch.elapsed());
        self.record(attempt, &result);
        let token = result.map_err(|fault| Failure { fault, generation, is_sent: true })?;
        Ok((token, generation))
    }

    /// Applies the credential to one request; one that is another identity's token is given that first.
    async fn prove(&self, attempt: Attempt<'_>, now: Timestamp) -> Result<(ClientProof, u64), Fault> {
        let credential = &attempt.held.credential;
        let delegated = self.delegated(credential, attempt).await?;
        // ADFS knows neither PSS nor SHA-256 thumbprints.
        let algorithm = match self.authority.place().kind() {
            place::Kind::Adfs => Algorithm::Rs256,
            _ => Algorithm::Ps256,
        };
        let occasion = Occasion {
            client_id: &self.principal.client_id,
            audience: attempt.endpoint,
            now,
            jti: &Uuid::new_v4().to_string(),
            algorithm,
            request_id: attempt.wish.request_id,
            deadline: attempt.deadline,
            delegated: delegated.as_deref(),
        };
        credential.prove(&occasion).await
    }

    /// The token of the identity that vouches, in half of the time that is left: what comes after, perhaps
    /// with another credential, needs some as well.
    async fn delegated(&self, credential: &Credential, attempt: Attempt<'_>) -> Result<Option<Arc<Token>>, Fault> {
        let Some(delegate) = credential.delegate() else { return Ok(None) };
        let asked = tokio::time::timeout(attempt.deadline.left() / 2, attempt.wish.vouch.token(delegate)).await;
        asked.unwrap_or_else(|_| Err(late())).map(Some).map_err(Delegate::without_token)
    }

    async fn send(&self, attempt: Attempt<'_>, proof: &ClientProof) -> Result<Token, Fault> {
        let wish = attempt.wish;
        let client_claims = wish.extras.client_claims.as_ref();
        let claims = claims::merged(wish.challenge, client_claims, &self.client_capabilities);
        let request = ClientCredentials {
            client_id: &self.principal.client_id,
            scope: wish.scope,
            proof,
            claims: claims.as_deref(),
            fmi_path: wish.extras.fmi_path.as_ref(),
            extra: &self.extra_body,
        };
        let (url, request_id) = (attempt.endpoint.clone(), wish.request_id.to_owned());
        let span = trace::outgoing("exchange");
        span.record("bursar.credential", &*attempt.held.label);
        let content = Some(Content::Form(request.form()));
        let outgoing = Outgoing { url, content, request_id, headers: Vec::new(), span };
        // Not before: whoever vouches may have taken long.
        let sent = self.clock.reading();
        let incoming = self.authority.wire().send(outgoing).await?;
        let known: Vec<Arc<Secret>> = self.roster.iter().filter_map(|one| one.credential.secret()).collect();
        let secrets: Vec<&Secret> = known.iter().map(Arc::as_ref).chain([proof.secret()]).collect();
        answer::token(&incoming, sent, &secrets)
    }

    fn record(&self, attempt: Attempt<'_>, result: &Result<Token, Fault>) {
        let (label, wish) = (&attempt.held.label, attempt.wish);
        match result {
            Ok(token) => self.log_token(label, wish, token),
            Err(fault) => {
                self.throttle.remember(wish.scope, fault, self.clock.now());
                self.log_fault(label, wish, fault);
            }
        }
    }

    fn log_token(&self, step: &str, wish: Wish<'_>, token: &Token) {
        let (identity, tenant) = (self.principal.identity.as_str(), self.authority.place().tenant().as_str());
        let (scope, request_id, expires_at) = (&*wish.scope.text(), wish.request_id, token.expires_at);
        tracing::info!(identity, tenant, scope, step, request_id, %expires_at, "token issued");
    }

    /// Tells of a failure, unless the identity has a flood of its like. `step` is the label of a credential, or what
    /// came before one was needed.
    pub(super) fn log_fault(&self, step: &str, wish: Wish<'_>, fault: &Fault) {
        let concern = Concern::of_exchange(&self.principal.identity, fault.kind);
        let Some(suppressed) = self.floods.pass(concern, self.clock.now()) else { return };
        tracing::warn!(
            identity = self.principal.identity.as_str(),
            tenant = self.authority.place().tenant().as_str(),
            scope = &*wish.scope.text(),
            step,
            request_id = wish.request_id,
            %fault,
            turn = fault.turn().as_str(),
            aadsts = fault.aadsts(),
            correlation_id = fault.correlation_id(),
            authority_said = fault.inward(),
            suppressed = NonZeroU64::new(suppressed),
            "no token"
        );
    }
}
