//! Who asks. A caller is recognised by the proof that its dialect's guard demands, and by nothing else.

use crate::dialect::Guard;
use crate::fault::{Fault, Kind};
use crate::secret::Secret;

pub mod account;
pub mod glob;

/// A recognised workload. Made only by [`Callers::recognise`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    proof: Proof,
}

/// How a caller proved itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// It knows a header secret.
    HeaderSecret,
    /// It has read a key file, which only programs of this machine can.
    KeyFile,
    /// It reaches the listener. That is enough only because such listeners are on loopback, or the
    /// operator said `allow_unauthenticated`; the configuration refuses anything else.
    Reach,
}

/// The raw facts of a request that can prove a caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peer<'a> {
    /// The value of the header that the guard names.
    pub shown: Option<&'a [u8]>,
    /// Whether it has shown what a key file held.
    pub holds_key: bool,
}

/// What callers are recognised by.
#[derive(Debug, Default)]
pub struct Callers {
    header_secrets: Vec<Secret>,
}

impl Callers {
    /// Callers that show one of these secrets are recognised; several allow for rotation.
    #[must_use]
    pub const fn new(header_secrets: Vec<Secret>) -> Self {
        Self { header_secrets }
    }

    /// Recognises the caller behind `peer`.
    ///
    /// # Errors
    /// 401 when the guard demands a proof and none or a wrong one is shown. The time taken depends on
    /// the number of secrets alone.
    pub fn recognise(&self, guard: Guard, peer: Peer<'_>) -> Result<Caller, Fault> {
        let header = match guard {
            Guard::HeaderSecret(header) => header,
            Guard::KeyFile if peer.holds_key => return Ok(Caller { proof: Proof::KeyFile }),
            Guard::KeyFile => return Err(no_key()),
            Guard::Metadata => return Ok(Caller { proof: Proof::Reach }),
        };
        let shown = peer.shown.unwrap_or_default();
        if Secret::position(&self.header_secrets, shown).is_some() && !shown.is_empty() {
            return Ok(Caller { proof: Proof::HeaderSecret });
        }
        Err(Fault::new(
            Kind::Unauthenticated,
            format!("the header {header} is missing or wrong"),
            "send the value of IDENTITY_HEADER or MSI_SECRET, and have the operator check that it is the configured header secret",
        ))
    }
}

fn no_key() -> Fault {
    Fault::new(
        Kind::Unauthenticated,
        "the content of the key file is missing or wrong",
        "send it as 'Authorization: Basic' from the file that this answer's WWW-Authenticate names, within a minute and once",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognise(secrets: &[&str], shown: Option<&[u8]>) -> Result<Caller, u16> {
        let callers = Callers::new(secrets.iter().map(|s| Secret::from((*s).to_owned())).collect());
        let guard = Guard::HeaderSecret("x-identity-header");
        callers.recognise(guard, Peer { shown, ..Peer::default() }).map_err(|fault| fault.status())
    }

    #[test]
    fn any_of_the_secrets_is_enough_and_nothing_else_is() {
        let secrets = ["old", "new"];
        assert_eq!(recognise(&secrets, Some(b"old")), Ok(Caller { proof: Proof::HeaderSecret }));
        assert_eq!(recognise(&secrets, Some(b"new")), Ok(Caller { proof: Proof::HeaderSecret }));
        for wrong in [None, Some(&b""[..]), Some(b"ne"), Some(b"new "), Some(b"\xff")] {
            assert_eq!(recognise(&secrets, wrong), Err(401));
        }
        assert_eq!(recognise(&[], Some(b"")), Err(401));
        assert_eq!(recognise(&[""], Some(b"")), Err(401));
    }

    #[test]
    fn the_metadata_guard_proves_nobody() {
        let caller = Callers::default().recognise(Guard::Metadata, Peer::default()).unwrap();
        assert_eq!(caller, Caller { proof: Proof::Reach });
    }
}
