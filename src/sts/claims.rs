//! The claims of an access token for an application.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use uuid::Uuid;

use super::app::App;
use super::profile::Profile;
use super::proof::Proof;
use super::realm::{Realm, Version};
use crate::clock::Timestamp;

/// Everything that a token says.
pub(super) struct Issuance<'a> {
    pub(super) app: &'a App,
    pub(super) proof: Proof,
    pub(super) realm: Realm<'a>,
    pub(super) audience: &'a str,
    /// The scopes that go by their own names.
    pub(super) scope: Option<&'a str>,
    pub(super) version: Version,
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
    /// The id of the request, which makes every token another one.
    pub(super) trace: Uuid,
    /// The place in the application's tree that the token is for.
    pub(super) fmi_path: Option<&'a str>,
    /// The client's capabilities, or null.
    pub(super) capabilities: Value,
}

impl Issuance<'_> {
    /// The claims in the words of the authority and of the token's version.
    pub(super) fn claims(&self) -> Value {
        let mut claims = match self.realm.profile {
            Profile::Entra | Profile::Ciam => self.entra(),
            Profile::B2c { policy, .. } => self.b2c(policy),
            Profile::Adfs => self.adfs(),
            Profile::Oidc => self.plain(),
        };
        if !self.app.roles.is_empty() {
            claims["roles"] = Value::from(self.app.roles.clone());
        }
        claims
    }

    fn entra(&self) -> Value {
        let mut claims = self.common();
        if let Some(path) = self.fmi_path {
            claims["sub"] = Value::from(format!("/eid1/c/pub/t/{}/a/{}/{path}", self.realm.tenant, self.client()));
        }
        if !self.capabilities.is_null() {
            claims["xms_cc"] = self.capabilities.clone();
        }
        let (client, class) = (self.client(), self.proof.authentication_class());
        match self.version {
            Version::V1 => {
                claims["appid"] = Value::from(client);
                claims["appidacr"] = Value::from(class);
                claims["ver"] = Value::from("1.0");
            }
            Version::V2 => {
                claims["azp"] = Value::from(client);
                claims["azpacr"] = Value::from(class);
                claims["ver"] = Value::from("2.0");
            }
        }
        claims
    }

    /// The policy stands in `tfp`, or in `acr` for older applications; both are told.
    fn b2c(&self, policy: &str) -> Value {
        let mut claims = self.common();
        claims["azp"] = Value::from(self.client());
        claims["azpacr"] = Value::from(self.proof.authentication_class());
        claims["tfp"] = Value::from(policy);
        claims["acr"] = Value::from(policy);
        claims["ver"] = Value::from("1.0");
        claims
    }

    fn adfs(&self) -> Value {
        let mut claims = self.bare();
        claims["appid"] = Value::from(self.client());
        claims["apptype"] = Value::from("Confidential");
        claims["authmethod"] = Value::from(self.proof.authentication_method());
        claims["auth_time"] = Value::from(self.issued_at.to_string());
        claims["ver"] = Value::from("1.0");
        claims["scp"] = Value::from(self.scope.unwrap_or("openid"));
        claims
    }

    /// As RFC 9068 section 2.2 wants them.
    fn plain(&self) -> Value {
        let mut claims = self.bare();
        claims["sub"] = Value::from(self.client());
        claims["client_id"] = Value::from(self.client());
        claims["jti"] = Value::from(self.trace.to_string());
        if let Some(scope) = self.scope {
            claims["scope"] = Value::from(scope);
        }
        claims
    }

    fn bare(&self) -> Value {
        json!({
            "aud": self.audience,
            "iss": self.realm.token_issuer(self.version),
            "iat": self.issued_at.as_secs(),
            "nbf": self.issued_at.as_secs(),
            "exp": self.expires_at.as_secs(),
        })
    }

    fn client(&self) -> &str {
        self.app.client_id.as_str()
    }

    fn common(&self) -> Value {
        let object_id = self.app.object_id(self.realm.tenant);
        let issuer = self.realm.token_issuer(self.version);
        // Entra dates tokens back, for resource servers whose clock is behind.
        let begins = (self.issued_at - BACKDATED).as_secs();
        json!({
            "aud": self.audience,
            "iss": issuer,
            "iat": begins,
            "nbf": begins,
            "exp": self.expires_at.as_secs(),
            "aio": opaque(&["aio", &self.trace.to_string()]),
            "idp": issuer,
            "idtyp": "app",
            "oid": object_id,
            "rh": format!("1.{}.", opaque(&["rh", self.realm.tenant, self.app.client_id.as_str()])),
            "sub": object_id,
            "tid": self.realm.tenant,
            "uti": BASE64_URL_SAFE_NO_PAD.encode(self.trace.as_bytes()),
        })
    }
}

/// Text that means nothing to a reader, as some claims of Entra do.
fn opaque(words: &[&str]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, words.join("/").as_bytes()))
}

const BACKDATED: Duration = Duration::from_mins(5);
