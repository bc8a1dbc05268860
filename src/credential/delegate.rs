//! Another identity whose token is the assertion: a managed identity that is trusted as a federated
//! credential, or the blueprint of an agent
//! (<https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity>).
//!
//! The credential only says whose token it needs. Whoever applies it is handed that token; it is never
//! fetched from here.

use std::time::Duration;

use crate::fault::{Fault, Kind, Rest};
use crate::name::{Name, Resource};
use crate::secret::Secret;
use crate::token::{Extras, Token};
use crate::wire::request::ClientProof;

/// Whose token, and for what.
#[derive(Clone, Debug)]
pub struct Delegate {
    /// The identity that vouches.
    pub identity: Name,
    /// The audience of its token: what the directory calls a token exchange.
    pub resource: Resource,
    /// The place in its application's tree, which for an agent is the agent's own application.
    pub extras: Extras,
    /// The word that the configuration has for it: `identity` or `managed-identity`.
    pub kind: &'static str,
}

impl Delegate {
    /// The proof, which is the other's token.
    ///
    /// # Errors
    /// The token was not handed over: a bug of ours.
    pub fn prove(&self, token: Option<&Token>) -> Result<ClientProof, Fault> {
        let token = token.ok_or_else(|| Fault::new(Kind::Internal, "an identity's token is missing", "report this"))?;
        Ok(ClientProof::Assertion(Secret::clone(&token.secret)))
    }

    /// The fault of an identity that has no token to vouch with. Nothing that the caller sent is wrong then, and
    /// the authority has seen no credential of the one that is vouched for.
    #[must_use]
    pub fn without_token(fault: Fault) -> Fault {
        let mut fault = fault.about("the identity that vouches for this one has no token");
        fault.kind = match fault.kind {
            Kind::AccessDenied | Kind::InvalidRequest => Kind::Misconfigured,
            Kind::RejectedCredential | Kind::UnusableCredential => {
                // The one that vouches has its own rest, which its new credential ends; asking it costs nothing.
                fault = fault.with_rest(Some(Rest::Fixed(Duration::ZERO))).with_retry_after(None);
                Kind::UnusableCredential
            }
            kind => kind,
        };
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_voucher_is_no_rejection_of_who_is_vouched_for() {
        let id = "5d1b3ad0-2f5c-4b0e-8a4e-6ae1c8a8e0a1";
        let fault = |kind| Fault::new(kind, "p", "r").with_aadsts(Some(7_000_215)).with_correlation_id(Some(id));
        for (kind, expected) in [
            (Kind::RejectedCredential, Kind::UnusableCredential),
            (Kind::UnusableCredential, Kind::UnusableCredential),
            (Kind::InvalidRequest, Kind::Misconfigured),
            (Kind::Misconfigured, Kind::Misconfigured),
            (Kind::Throttled, Kind::Throttled),
            (Kind::Unavailable, Kind::Unavailable),
        ] {
            let told = Delegate::without_token(fault(kind));
            assert_eq!((told.kind, told.status()), (expected, expected.status()));
            let text = told.to_string();
            assert!(text.contains("AADSTS7000215") && text.contains(id), "{text}");
        }
        let told = Delegate::without_token(fault(Kind::RejectedCredential));
        assert_eq!((told.rest(), told.turn()), (Rest::Fixed(Duration::ZERO), Kind::RejectedCredential.turn()));
    }
}
