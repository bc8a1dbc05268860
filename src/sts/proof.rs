//! What proved the application that asks.

use super::app::App;
use super::assertion;
use super::key::SigningKey;
use super::realm::Realm;
use super::refusal::{Reason, Refusal};
use super::request::Request;
use crate::clock::Timestamp;

/// How an application proved itself; the token says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Assertion,
    Secret,
}

impl Proof {
    /// Judges what the request shows; an assertion is looked at first.
    pub(super) fn of(
        request: &Request,
        app: &App,
        realm: &Realm<'_>,
        own: &SigningKey,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        if let Some(shown) = request.form.get("client_assertion") {
            assertion_type(request)?;
            return assertion::judge(shown, app, realm, own, now).map(|()| Self::Assertion);
        }
        match request.client_secret() {
            Some(shown) if app.has_secret(&shown) => Ok(Self::Secret),
            Some(_) => Err(Refusal::new(Reason::SecretWrong, wrong_secret(app))),
            None => Err(Refusal::new(Reason::ProofMissing, MISSING)),
        }
    }

    /// The value of `authmethod` in AD FS.
    pub(super) const fn authentication_method(self) -> &'static str {
        match self {
            Self::Assertion => "http://schemas.microsoft.com/ws/2012/12/authmethod/clientassertion",
            Self::Secret => "http://schemas.microsoft.com/ws/2012/12/authmethod/clientsecret",
        }
    }

    /// The value of `appidacr` and `azpacr`.
    pub(super) const fn authentication_class(self) -> &'static str {
        match self {
            Self::Assertion => "2",
            Self::Secret => "1",
        }
    }
}

fn assertion_type(request: &Request) -> Result<(), Refusal> {
    match request.form.get("client_assertion_type") {
        Some(JWT_BEARER) => Ok(()),
        Some(_) => Err(Refusal::new(
            Reason::RequestMalformed,
            format!("Request is malformed or invalid. The client_assertion_type must be '{JWT_BEARER}'."),
        )),
        None => Err(Refusal::missing("client_assertion_type")),
    }
}

fn wrong_secret(app: &App) -> String {
    format!(
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, \
         not the client secret ID, for a secret added to app '{}'.",
        app.client_id
    )
}

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const MISSING: &str = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
