//! A request that got no token, and the line that the process's log has of it.

use std::num::NonZeroU64;

use super::visit::Visit;
use crate::caller::Caller;
use crate::fault::{Fault, Kind, Turn};
use crate::flood::{Concern, Event};
use crate::name::Name;
use crate::trace;

/// Why it got none, and as far as that is known whose it was.
pub(super) struct Failed {
    pub(super) fault: Fault,
    /// Who asked.
    pub(super) caller: Option<Caller>,
    /// Whose token it was admitted to.
    pub(super) identity: Option<Name>,
}

/// Nobody was recognised yet.
impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self { fault, caller: None, identity: None }
    }
}

impl Failed {
    /// Of a request of `caller`.
    pub(super) fn of(caller: Caller, fault: impl Into<Fault>) -> Self {
        Self { fault: fault.into(), caller: Some(caller), identity: None }
    }

    /// Writes the line, unless there is a flood of its like.
    pub(super) fn log(&self, dialect: &str, visit: Visit<'_>) {
        let Visit { service, charter, request_id, .. } = visit;
        let fault = &self.fault;
        if service.sampling.is_some() {
            let (caller, identity) = (charter.name(self.caller), self.identity.as_ref());
            trace::refused(dialect, caller.map(Name::as_str), identity.map(Name::as_str), fault);
        }
        if fault.kind == Kind::Challenged {
            tracing::debug!(dialect, request_id, "challenged");
            return;
        }
        let caller = charter.name(self.caller);
        let identity = self.identity.as_ref();
        let concern =
            Concern { event: Event::Request, kind: fault.kind, caller: caller.cloned(), identity: identity.cloned() };
        let Some(suppressed) = service.floods.pass(concern, service.clock.now()) else { return };
        let (caller, identity, suppressed) =
            (caller.map(Name::as_str), identity.map(Name::as_str), NonZeroU64::new(suppressed));
        let (turn, correlation_id) = (fault.turn().as_str(), fault.correlation_id());
        match fault.turn() {
            Turn::Caller => {
                let (rule, inward) = (fault.rule(), fault.inward());
                tracing::info!(dialect, request_id, caller, identity, turn, rule, inward, suppressed, %fault, "refused");
            }
            Turn::Us => {
                tracing::error!(dialect, request_id, caller, identity, turn, correlation_id, suppressed, %fault, "refused");
            }
            // The exchange that failed has warned already, once for all who waited.
            Turn::Authority | Turn::Operator => {
                tracing::info!(dialect, request_id, caller, identity, turn, correlation_id, suppressed, %fault, "refused");
            }
        }
    }
}
