//! A federated credential: whose foreign tokens prove an application.

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::JwkSet;

use super::jwt::Jwt;
use super::key::SigningKey;
use super::realm::{Realm, Version};
use super::refusal::{Reason, Refusal};

/// One trusted issuer, subject and audience.
#[derive(Clone, Debug)]
pub(super) struct Federation {
    pub(super) issuer: Issuer,
    pub(super) subject: String,
    pub(super) audience: String,
}

/// Who signs.
#[derive(Clone, Debug)]
pub(super) enum Issuer {
    /// Another authority, with its public keys.
    Foreign(String, JwkSet),
    /// The authority itself, in the same tenant: another application's token is the proof.
    Own,
}

impl Issuer {
    fn is(&self, name: &str, realm: &Realm<'_>) -> bool {
        match self {
            Self::Foreign(own, _) => own == name,
            Self::Own => [Version::V1, Version::V2].into_iter().any(|version| realm.token_issuer(version) == name),
        }
    }
}

impl Federation {
    /// The credential that matches the token, or Entra's refusal for the first part that none matches.
    pub(super) fn find<'a>(all: &'a [Self], jwt: &Jwt<'_>, realm: &Realm<'_>) -> Result<&'a Self, Refusal> {
        let (issuer, subject) = (jwt.text("iss").unwrap_or_default(), jwt.text("sub").unwrap_or_default());
        let of_issuer: Vec<_> = all.iter().filter(|one| one.issuer.is(issuer, realm)).collect();
        if of_issuer.is_empty() {
            return Err(mismatch(Reason::FederatedIssuer, "issuer", issuer));
        }
        let of_subject: Vec<_> = of_issuer.into_iter().filter(|one| one.subject == subject).collect();
        if of_subject.is_empty() {
            return Err(mismatch(Reason::FederatedSubject, "subject", subject));
        }
        let audiences = jwt.audiences();
        of_subject
            .into_iter()
            .find(|one| audiences.contains(&one.audience.as_str()))
            .ok_or_else(|| mismatch(Reason::FederatedAudience, "audience", &audiences.join(", ")))
    }

    /// Whether a key of the issuer signed the token; without a key id every key is tried.
    pub(super) fn signed(&self, jwt: &Jwt<'_>, own: &SigningKey) -> bool {
        let Some(algorithm) = jwt.algorithm() else {
            return false;
        };
        let named = jwt.header.get("kid").and_then(|kid| kid.as_str());
        let fits = |kid: Option<&str>| named.is_none() || kid == named;
        let keys = match &self.issuer {
            Issuer::Foreign(_, keys) => keys.clone(),
            Issuer::Own => own.verifiers(),
        };
        keys.keys
            .iter()
            .filter(|key| fits(key.common.key_id.as_deref()))
            .filter_map(|key| DecodingKey::from_jwk(key).ok())
            .any(|key| jwt.is_signed_by(&key, algorithm))
    }
}

fn mismatch(reason: Reason, part: &str, presented: &str) -> Refusal {
    let text = format!(
        "No matching federated identity record found for presented assertion {part} '{presented}'. \
         Please check your federated identity credential Subject, Audience and Issuer against the presented assertion."
    );
    Refusal::new(reason, text)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::super::profile::Profile;
    use super::*;

    fn found(claims: &Value) -> Result<String, Reason> {
        let federation = |audience: &str| Federation {
            issuer: Issuer::Foreign("https://issuer".to_owned(), JwkSet { keys: Vec::new() }),
            subject: "s".to_owned(),
            audience: audience.to_owned(),
        };
        let own = Federation { issuer: Issuer::Own, ..federation("own") };
        let realm = Realm { base: "https://sts", profile: Profile::Entra, tenant: "t" };
        let text = format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()));
        let all = [federation("a"), federation("b"), own];
        Federation::find(&all, &Jwt::parse(&text).unwrap(), &realm)
            .map(|found| found.audience.clone())
            .map_err(|refusal| refusal.reason)
    }

    #[test]
    fn the_first_part_that_differs_is_named() {
        for (claims, expected) in [
            (json!({"iss": "https://issuer", "sub": "s", "aud": "b"}), Ok("b".to_owned())),
            (json!({"iss": "https://issuer", "sub": "s", "aud": ["x", "a"]}), Ok("a".to_owned())),
            (json!({"iss": "https://issuer/", "sub": "s", "aud": "a"}), Err(Reason::FederatedIssuer)),
            (json!({"iss": "https://issuer", "sub": "S", "aud": "a"}), Err(Reason::FederatedSubject)),
            (json!({"iss": "https://issuer", "sub": "s", "aud": "A"}), Err(Reason::FederatedAudience)),
            (json!({"iss": "https://sts/t/v2.0", "sub": "s", "aud": "own"}), Ok("own".to_owned())),
            (json!({"iss": "https://sts/other/v2.0", "sub": "s", "aud": "own"}), Err(Reason::FederatedIssuer)),
            (json!({}), Err(Reason::FederatedIssuer)),
        ] {
            assert_eq!(found(&claims), expected, "{claims}");
        }
    }
}
