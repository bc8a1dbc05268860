//! One line of the audit log.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::Occasion;
use crate::clock::Timestamp;
use crate::name::{Name, Selector};
use crate::policy::Permit;
use crate::token::Token;

/// What happened. Fields that have nothing to say are left out.
#[derive(Debug, Serialize)]
pub(super) struct Record<'a> {
    time: String,
    verdict: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<&'a str>,
    /// What a refused caller pointed at, which need not be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    selector: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fmi_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dialect: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// What else the log may know of it and the caller may not.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    /// The first 16 hex digits of the token's SHA-256.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_sha256: Option<String>,
    /// Entra's id of the token, by which its own sign-in log knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    uti: Option<String>,
    /// How many refusals of this caller were not written since its last line.
    #[serde(skip_serializing_if = "is_zero")]
    suppressed: u64,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Why<'a> {
    /// The key of the configuration that decided.
    pub(super) rule: &'a str,
    /// What the caller is told.
    pub(super) reason: &'a str,
    /// What it is not.
    pub(super) detail: Option<&'a str>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// It was admitted.
    Admitted,
    /// It was admitted since the caller's rules are not enforced, against one of them.
    Audited,
    /// It was refused.
    Refused,
}

impl<'a> Record<'a> {
    pub(super) fn of_token(at: Occasion<'a>, permit: &'a Permit, token: &Token) -> Self {
        let overruled = permit.overruled();
        Self {
            identity: Some(permit.identity().name.as_str()),
            tenant: Some(permit.tenant().to_string()),
            rule: Some(permit.rule(at.caller.map(Name::as_str))),
            reason: overruled.map(|refusal| refusal.reason.problem()),
            token_sha256: Some(token.secret.digest().prefix()),
            uti: uti(token),
            ..Self::about(at, if overruled.is_some() { Outcome::Audited } else { Outcome::Admitted })
        }
    }

    pub(super) fn without_token(at: Occasion<'a>, verdict: Outcome, why: Why<'a>, suppressed: u64) -> Self {
        Self {
            selector: at.ask.and_then(|ask| selector(&ask.selector)),
            tenant: at.ask.and_then(|ask| ask.tenant.as_deref()).map(cut),
            rule: Some(why.rule.to_owned()),
            reason: Some(why.reason),
            detail: why.detail.map(cut),
            suppressed,
            ..Self::about(at, verdict)
        }
    }

    pub(super) fn of_flood(now: Timestamp, caller: Option<&'a str>, suppressed: u64) -> Self {
        Self { suppressed, ..Self::bare(now, Outcome::Refused, caller) }
    }

    fn about(at: Occasion<'a>, verdict: Outcome) -> Self {
        Self {
            peer: Some(at.peer),
            resource: at.ask.map(|ask| ask.resource.as_str()),
            fmi_path: at.ask.and_then(|ask| ask.extras.fmi_path.as_ref()).map(crate::name::FmiPath::as_str),
            dialect: Some(at.dialect),
            request_id: Some(at.request_id),
            ..Self::bare(at.now, verdict, at.caller.map(Name::as_str))
        }
    }

    fn bare(now: Timestamp, verdict: Outcome, caller: Option<&'a str>) -> Self {
        Self {
            time: now.to_string(),
            verdict,
            caller,
            peer: None,
            identity: None,
            selector: None,
            tenant: None,
            resource: None,
            fmi_path: None,
            dialect: None,
            rule: None,
            reason: None,
            detail: None,
            request_id: None,
            token_sha256: None,
            uti: None,
            suppressed: 0,
        }
    }
}

/// What a caller wrote, cut to a length that no line suffers from.
fn selector(selector: &Selector) -> Option<String> {
    let (kind, value) = match selector {
        Selector::ClientId(id) => ("client_id", id),
        Selector::Name(name) => ("identity", name),
        Selector::None => return None,
        Selector::ObjectId(id) => ("object_id", id),
        Selector::ResourceId(id) => ("resource_id", id),
    };
    Some(format!("{kind}={}", cut(value)))
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// The `uti` claim, where the token is a JWT that has one.
fn uti(token: &Token) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Claims {
        uti: String,
    }
    let payload = URL_SAFE_NO_PAD.decode(token.secret.expose().split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    Some(cut(&claims.uti))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Of what a caller wrote, so many characters are repeated.
const LONGEST: usize = 256;
