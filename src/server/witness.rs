//! Sees what becomes of one request and has it written into the audit log, where there is one.

use std::num::NonZeroU64;

use super::connection;
use super::visit::Visit;
use crate::audit::{Audit, Occasion};
use crate::caller::Caller;
use crate::dialect::Ask;
use crate::fault::{Fault, Kind};
use crate::flood::{Concern, Event};
use crate::name::Name;
use crate::policy::{Permit, Refusal};
use crate::token::Token;
use crate::trace;

/// One request.
#[derive(Clone, Copy)]
pub(super) struct Witness<'a> {
    pub(super) visit: Visit<'a>,
    pub(super) dialect: &'static str,
    /// None where a page is asked for.
    pub(super) ask: Option<&'a Ask>,
}

impl Witness<'_> {
    /// A token is about to be handed over. What is told of it is told once for each caller.
    pub(super) fn vended(&self, permit: &Permit, token: &Token) {
        if self.visit.service.sampling.is_some() && trace::is_sampled() {
            self.trace(permit);
        }
        let is_told = self.visit.service.audit.is_some() || permit.overruled().is_some();
        if !is_told || !token.is_first_for(permit.caller().number(), permit.overruled().is_some()) {
            return;
        }
        if let Some(refusal) = permit.overruled() {
            self.warn(permit, refusal);
        }
        self.tell(Some(permit.caller()), |audit, occasion| audit.vended(occasion, permit, token));
    }

    fn trace(&self, permit: &Permit) {
        let caller = self.visit.charter.name(Some(permit.caller())).map(Name::as_str);
        let tenant = permit.tenant().name.as_ref().map_or(permit.tenant().id.as_str(), Name::as_str);
        trace::vended(self.dialect, caller, permit.identity().name.as_str(), tenant, permit.resource().as_str());
    }

    fn warn(&self, permit: &Permit, refusal: &Refusal) {
        let caller = self.visit.charter.name(Some(permit.caller())).cloned();
        let identity = Some(permit.identity().name.clone());
        let concern = Concern { event: Event::Overruled, kind: Kind::AccessDenied, caller, identity };
        let Some(suppressed) = self.visit.service.floods.pass(concern, self.visit.service.clock.now()) else { return };
        let (request_id, rule, suppressed) = (self.visit.request_id, &refusal.rule, NonZeroU64::new(suppressed));
        tracing::warn!(request_id, rule, suppressed, %refusal, "admitted, since this caller's rules are not enforced");
    }

    /// Policy did not admit the caller.
    pub(super) fn refused(&self, caller: Caller, refusal: &Refusal) {
        self.tell(Some(caller), |audit, occasion| audit.refused(occasion, refusal));
    }

    /// Nobody was recognised, or a caller asks too often.
    pub(super) fn turned_away(&self, caller: Option<Caller>, fault: &Fault) {
        self.tell(caller, |audit, occasion| audit.turned_away(occasion, fault));
    }

    /// There is no token. Of the caller it is said that it had its share, and which rule it was admitted against.
    pub(super) fn unpaid(&self, permit: &Permit, fault: &Fault) {
        if let Some(refusal) = permit.overruled() {
            self.warn(permit, refusal);
            self.tell(Some(permit.caller()), |audit, occasion| audit.overruled(occasion, refusal));
        }
        if fault.kind == Kind::TooMany {
            self.turned_away(Some(permit.caller()), fault);
        }
    }

    fn tell(&self, caller: Option<Caller>, tell: impl FnOnce(&Audit, Occasion<'_>)) {
        let Some(audit) = &self.visit.service.audit else { return };
        let peer = match connection::ledger(self.visit.request).link.user() {
            Some(user) => format!("uid {} gid {}", user.uid, user.gid),
            None => self.visit.request.peer_addr().map_or_else(String::new, |address| address.to_string()),
        };
        let (caller, dialect, ask, request_id) =
            (self.visit.charter.name(caller), self.dialect, self.ask, self.visit.request_id);
        tell(audit, Occasion { now: self.visit.service.clock.now(), peer: &peer, caller, dialect, request_id, ask });
    }
}
