//! What a service-account token says of itself, judged at a time. Nothing is believed of it until a key of the
//! cluster has verified it (or the API server has); what is plainly wrong needs no key to be refused.
//!
//! Two shapes are known: tokens that the kubelet projects, which end and are bound to a pod, and the legacy ones
//! in Secrets, which never end (<https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/>).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::refusal;
use crate::caller::account::ServiceAccount;
use crate::clock::Timestamp;
use crate::fault::Fault;

/// Which tokens are for this service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Who issues them, as `iss` has it.
    pub issuer: String,
    /// Whom they are meant for; any of these is enough.
    pub audiences: Vec<String>,
    /// Whether legacy tokens are taken too, which have no audience and no end.
    pub legacy: bool,
}

/// The parts of a token.
pub struct Shown<'a> {
    header: Header,
    claims: Claims,
    /// What is signed.
    pub message: &'a str,
    /// The signature, in base64url.
    pub signature: &'a str,
}

/// What a token says once its claims were found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whose it is.
    pub account: ServiceAccount,
    /// When it ends; legacy tokens do not.
    pub expires: Option<Timestamp>,
}

impl<'a> Shown<'a> {
    /// Takes a token apart: three parts in base64url (RFC 7515 section 3.1), of at most 16 KiB together.
    ///
    /// # Errors
    /// 401: it is too large, or no token of the kind.
    pub fn parse(token: &'a str) -> Result<Self, Fault> {
        if token.len() > LARGEST {
            return Err(refusal("it is too large", NO_TOKEN, format!("{} bytes", token.len())));
        }
        let malformed = |what: &str| refusal("it is malformed", NO_TOKEN, what.to_owned());
        let (message, signature) = token.rsplit_once('.').ok_or_else(|| malformed("not three parts"))?;
        let (header, claims) = message.split_once('.').ok_or_else(|| malformed("not three parts"))?;
        let header: Header = object(header).ok_or_else(|| malformed("the header"))?;
        if header.crit.is_some() {
            return Err(malformed("the header has 'crit', and no extension is known"));
        }
        let claims = object(claims).ok_or_else(|| malformed("the claims"))?;
        Ok(Self { header, claims, message, signature })
    }

    /// The id of the key that it says it was signed with.
    ///
    /// # Errors
    /// 401: it names none, as no cluster's token does since Kubernetes 1.16.
    pub fn kid(&self) -> Result<&str, Fault> {
        let kid = self.header.kid.as_deref().filter(|kid| !kid.is_empty());
        kid.ok_or_else(|| refusal("it names no key", NO_TOKEN, "no 'kid' in the header".to_owned()))
    }

    /// How it says it was signed; whether that is a way for its key is the key's to say.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        &self.header.alg
    }

    /// Judges the claims at `now`.
    ///
    /// # Errors
    /// 401: another issuer or audience, past its end, before its beginning, or not a service account's.
    pub fn judge(&self, rules: &Rules, now: Timestamp) -> Result<Told, Fault> {
        let is_legacy = self.claims.iss == LEGACY_ISSUER;
        if is_legacy && !rules.legacy {
            let remedy =
                "show a projected token (a serviceAccountToken volume), or have the operator set legacy_tokens = true";
            return Err(refusal("it is a legacy token, which never ends", remedy, String::new()));
        }
        if !is_legacy && self.claims.iss != rules.issuer {
            let why = format!("issuer {}, expected {}", clipped(&self.claims.iss), rules.issuer);
            return Err(refusal("it is of another issuer", CHECK_CLUSTER, why));
        }
        self.check_audience(rules, is_legacy)?;
        let expires = self.check_times(now, is_legacy)?;
        let account = self.claims.account().ok_or_else(|| {
            let why = "subject and claims name no service account, or two".to_owned();
            refusal("it is no service account's", NO_TOKEN, why)
        })?;
        Ok(Told { account, expires })
    }

    fn check_audience(&self, rules: &Rules, is_legacy: bool) -> Result<(), Fault> {
        let named = self.claims.aud.as_slice();
        let is_ours = named.iter().any(|one| rules.audiences.contains(one));
        if is_ours || (is_legacy && named.is_empty()) {
            return Ok(());
        }
        let why = format!("audiences {}, expected one of {}", clipped(&named.join(" ")), rules.audiences.join(" "));
        let remedy = "set the audience of the projected token to one that this service's operator gives";
        Err(refusal("it is for another audience", remedy, why))
    }

    /// The end of the token, if `now` lies before it. The end is strict; a beginning may lie a moment ahead,
    /// since clocks differ and nobody gains by it.
    fn check_times(&self, now: Timestamp, is_legacy: bool) -> Result<Option<Timestamp>, Fault> {
        let read = |date: Option<f64>| date.map(|date| moment(date).ok_or_else(no_date)).transpose();
        let (exp, nbf, iat) = (read(self.claims.exp)?, read(self.claims.nbf)?, read(self.claims.iat)?);
        if exp.is_none() && !is_legacy {
            return Err(refusal("it never ends", NO_TOKEN, "no 'exp'".to_owned()));
        }
        if let Some(exp) = exp.filter(|exp| *exp <= now) {
            let remedy =
                "read the token's file anew for each request: the kubelet replaces it, and what was read once ends";
            return Err(refusal("it has expired", remedy, format!("at {exp}, and it is {now}")));
        }
        if let Some(begin) = nbf.max(iat).filter(|begin| *begin > now + LEEWAY) {
            let remedy = "set the clocks of both machines, and ask again in a moment";
            return Err(refusal("it is not valid yet", remedy, format!("until {begin}, and it is {now}")));
        }
        Ok(exp)
    }
}

/// The members that matter (RFC 7515 section 4.1). One that is written twice is an error to serde.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    #[serde(default)]
    aud: Audience,
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
    #[serde(rename = "kubernetes.io")]
    bound: Option<Bound>,
    #[serde(rename = "kubernetes.io/serviceaccount/namespace")]
    legacy_namespace: Option<String>,
    #[serde(rename = "kubernetes.io/serviceaccount/service-account.name")]
    legacy_name: Option<String>,
}

impl Claims {
    /// The account, of which the subject and the cluster's own claims must say the same.
    fn account(&self) -> Option<ServiceAccount> {
        let account = match (&self.bound, &self.legacy_namespace, &self.legacy_name) {
            (Some(bound), None, None) => bound.account(),
            (None, Some(namespace), Some(name)) => {
                ServiceAccount { namespace: namespace.clone(), name: name.clone(), pod: None, node: None }
            }
            _ => return None,
        };
        let (namespace, name) = named(&self.sub)?;
        (account.namespace == namespace && account.name == name).then_some(account)
    }
}

/// The claims of a bound token.
#[derive(Deserialize)]
struct Bound {
    namespace: String,
    serviceaccount: Named,
    pod: Option<Named>,
    node: Option<Named>,
}

impl Bound {
    fn account(&self) -> ServiceAccount {
        let name = |named: &Option<Named>| named.as_ref().map(|named| named.name.clone());
        ServiceAccount {
            namespace: self.namespace.clone(),
            name: self.serviceaccount.name.clone(),
            pod: name(&self.pod),
            node: name(&self.node),
        }
    }
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// One audience, or several (RFC 7519 section 4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    Many(Vec<String>),
    One(String),
}

impl Audience {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::Many(many) => many,
            Self::One(one) => std::slice::from_ref(one),
        }
    }
}

impl Default for Audience {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// Namespace and name of the account that the API server knows under this user name, which is also the subject of
/// its tokens.
#[must_use]
pub fn named(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    let plain = |part: &str| !part.is_empty() && !part.contains(':');
    (plain(namespace) && plain(name)).then_some((namespace, name))
}

/// A foreign text for the log: short and in one line.
pub(super) fn clipped(text: &str) -> String {
    text.chars().take(MOST_WORDS).flat_map(char::escape_debug).collect()
}

/// A token as a text.
///
/// # Errors
/// 401: it is none.
pub fn text(token: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(token).map_err(|_| refusal("it is malformed", NO_TOKEN, "no text".to_owned()))
}

fn object<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// A NumericDate, which may have a fraction (RFC 7519 section 2).
fn moment(date: f64) -> Option<Timestamp> {
    Some(Timestamp::default() + Duration::try_from_secs_f64(date).ok()?)
}

fn no_date() -> Fault {
    refusal("it is malformed", NO_TOKEN, "a time that is none".to_owned())
}

/// Ten times what a bound token has, and as much as a head of a request may hold.
const LARGEST: usize = 16 << 10;
const LEEWAY: Duration = Duration::from_secs(30);
const MOST_WORDS: usize = 200;
/// Who issued the tokens in Secrets.
pub const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";
pub(super) const NO_TOKEN: &str = "show the content of a projected service-account token's file, as it is";
pub(super) const CHECK_CLUSTER: &str = "show a token of the cluster that this service serves, and have the operator compare 'issuer' in [kubernetes] with the cluster's";

#[cfg(test)]
mod tests;
