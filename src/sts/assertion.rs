//! Judges a client assertion: is it the application's own, or that of an issuer it trusts?

use super::app::App;
use super::certificate::Certificate;
use super::federation::Federation;
use super::jwt::Jwt;
use super::key::SigningKey;
use super::profile::Naming;
use super::realm::Realm;
use super::refusal::{Reason, Refusal, timestamp};
use crate::clock::Timestamp;

/// Accepts the assertion as proof of `app`, or says why not.
///
/// An assertion that names the application as its issuer is signed with one of its certificates; any other
/// issuer's needs a federated credential.
pub(super) fn judge(text: &str, app: &App, realm: &Realm<'_>, own: &SigningKey, now: Timestamp) -> Result<(), Refusal> {
    let jwt = Jwt::parse(text).ok_or_else(|| malformed("The token is not a signed JWT"))?;
    if jwt.algorithm().is_none() {
        return Err(malformed("The algorithm is not one that assertions are signed with"));
    }
    if jwt.text("iss").is_some_and(|issuer| app.is(issuer)) {
        judge_own(&jwt, app, realm)?;
    } else {
        judge_federated(&jwt, app, realm, own)?;
    }
    if jwt.claims.get("exp").is_none() {
        return Err(malformed("The claim 'exp' is missing"));
    }
    jwt.is_timely(now).then_some(()).ok_or_else(|| untimely(&jwt, now))
}

fn judge_own(jwt: &Jwt<'_>, app: &App, realm: &Realm<'_>) -> Result<(), Refusal> {
    if !jwt.text("sub").is_some_and(|subject| app.is(subject)) {
        return Err(other_client());
    }
    let naming = realm.profile.naming();
    let Some(certificate) = Certificate::find(&app.certificates, jwt, naming) else {
        return Err(unknown_certificate(naming));
    };
    if !certificate.signed(jwt) {
        return Err(Refusal::new(Reason::AssertionKey, BAD_SIGNATURE));
    }
    if !jwt.audiences().iter().any(|audience| realm.takes_audience(audience)) {
        return Err(Refusal::new(Reason::AssertionAudience, OTHER_AUDIENCE));
    }
    Ok(())
}

fn judge_federated(jwt: &Jwt<'_>, app: &App, realm: &Realm<'_>, own: &SigningKey) -> Result<(), Refusal> {
    if app.federated.is_empty() && !app.certificates.is_empty() {
        return Err(other_client());
    }
    let federation = Federation::find(&app.federated, jwt, realm)?;
    if !federation.signed(jwt, own) {
        return Err(Refusal::new(Reason::AssertionKey, BAD_SIGNATURE));
    }
    Ok(())
}

fn malformed(problem: &str) -> Refusal {
    let text = format!("JWT token is invalid or malformed. {problem}.");
    Refusal::new(Reason::AssertionMalformed, text)
}

fn other_client() -> Refusal {
    Refusal::new(Reason::AssertionClient, OTHER_CLIENT)
}

fn unknown_certificate(naming: Naming) -> Refusal {
    let needed = match naming {
        Naming::Entra => "PS256 needs 'x5t#S256', RS256 needs 'x5t'",
        Naming::Sha1 => "RS256 and 'x5t' are needed",
        Naming::Any => "PS256 or RS256 needs 'x5t#S256', 'x5t' or a 'kid' that is either thumbprint",
    };
    let text = format!(
        "The certificate with identifier used to sign the client assertion is not registered on application. \
         [Reason - The key was not found; {needed}.]"
    );
    Refusal::new(Reason::AssertionKey, text)
}

fn untimely(jwt: &Jwt<'_>, now: Timestamp) -> Refusal {
    let moment = |claim: &str| jwt.claims.get(claim).map_or_else(|| "none".to_owned(), ToString::to_string);
    let text = format!(
        "Client assertion is not within its valid time range. Current time: {}, nbf: {}, exp: {}. \
         Review the clocks, and whether the assertion was renewed.",
        timestamp(now),
        moment("nbf"),
        moment("exp")
    );
    Refusal::new(Reason::AssertionTime, text)
}

const BAD_SIGNATURE: &str =
    "Client assertion failed signature validation. [Reason - The key was found, but its signature does not verify.]";
const OTHER_AUDIENCE: &str = "Client assertion audience claim does not match Realm issuer. \
    Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials.";
const OTHER_CLIENT: &str = "Client assertion application identifier doesn't match 'client_id' parameter. \
    Its 'iss' and 'sub' must both be the client id.";
