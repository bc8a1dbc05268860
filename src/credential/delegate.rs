//! Another identity whose token is the assertion: a managed identity that is trusted as a federated
//! credential, or the blueprint of an agent
//! (<https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity>).
//!
//! The credential only says whose token it needs. Whoever applies it is handed that token; it is never
//! fetched from here.

use crate::fault::{Fault, Kind};
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

    /// The fault of an identity that has no token to vouch with. Nothing that the caller sent is wrong then.
    #[must_use]
    pub fn without_token(fault: Fault) -> Fault {
        let mut fault = fault.about("the identity that vouches for this one has no token");
        if matches!(fault.kind, Kind::InvalidRequest | Kind::AccessDenied) {
            fault.kind = Kind::Misconfigured;
        }
        fault
    }
}
