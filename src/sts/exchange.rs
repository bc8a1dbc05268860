//! One request to a token endpoint and its answer.

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use super::answer::Answer;
use super::app::App;
use super::claims::Issuance;
use super::key::SigningKey;
use super::profile::Profile;
use super::proof::Proof;
use super::realm::{Realm, Version};
use super::refusal::{Reason, Refusal};
use super::request::Request;
use super::settings::Settings;
use super::target::Target;
use crate::clock::Timestamp;

/// What an exchange is decided from.
pub(super) struct Exchange<'a> {
    pub(super) settings: &'a Settings,
    pub(super) key: &'a SigningKey,
    pub(super) request: &'a Request,
    pub(super) realm: Realm<'a>,
    /// The version of the endpoint.
    pub(super) version: Version,
    pub(super) now: Timestamp,
    pub(super) lifetime: Lifetime,
}

/// How long a token lives, and when to renew it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub(super) expires_in: Duration,
    pub(super) refresh_in: Option<Duration>,
}

impl Exchange<'_> {
    /// The token, or why there is none.
    pub(super) fn answer(&self) -> Result<Answer, Refusal> {
        self.check_grant()?;
        let app = self.app()?;
        let target = self.target(app)?;
        let capabilities = self.capabilities()?;
        let proof = Proof::of(self.request, app, &self.realm, self.key, self.now)?;
        self.check_principal(&target.audience)?;
        let token = self.issue(app, proof, &target, capabilities)?;
        Ok(Answer::json(200, &self.body(token, &target)))
    }

    fn check_grant(&self) -> Result<(), Refusal> {
        match self.request.form.get("grant_type") {
            Some("client_credentials") => Ok(()),
            Some(_) => Err(Refusal::new(
                Reason::GrantUnsupported,
                "The app requested an unsupported grant type; this authority knows 'client_credentials'.",
            )),
            None => Err(Refusal::missing("grant_type")),
        }
    }

    fn app(&self) -> Result<&App, Refusal> {
        let client_id = self.request.client_id().ok_or_else(|| Refusal::missing("client_id"))?;
        let app = self.settings.app(&client_id);
        let profile = self.realm.profile;
        app.filter(|app| !profile.has_tenants() || app.tenants.contain(self.realm.tenant)).ok_or_else(|| {
            let text = format!(
                "Application with identifier '{client_id}' was not found in the directory '{}'. This can happen if \
                 the application has not been installed by the administrator of the tenant.",
                self.realm.tenant
            );
            Refusal::new(Reason::AppUnknown, text)
        })
    }

    fn target(&self, app: &App) -> Result<Target, Refusal> {
        Target::of(&self.request.form, self.realm.profile, self.version, app.client_id.as_str())
    }

    /// What the client says that it is capable of, which the token repeats. Nothing else in a claims request
    /// changes anything here, but one that cannot be read is refused as Entra refuses it.
    fn capabilities(&self) -> Result<Value, Refusal> {
        let Some(text) = self.request.form.get("claims") else {
            return Ok(Value::Null);
        };
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(claims)) => {
                let listed = claims.get("access_token").and_then(|token| token.pointer("/xms_cc/values"));
                Ok(listed.cloned().unwrap_or_default())
            }
            _ => Err(Refusal::new(
                Reason::RequestMalformed,
                "Request is malformed or invalid. The parameter 'claims' is not a JSON object.",
            )),
        }
    }

    /// Every resource exists, except those on a host that ends in `.invalid`, so that a client's handling of
    /// an absent one can be tested.
    fn check_principal(&self, resource: &str) -> Result<(), Refusal> {
        let url = Url::parse(resource).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        if !host.to_ascii_lowercase().ends_with(".invalid") {
            return Ok(());
        }
        let text = format!(
            "The resource principal named {} was not found in the tenant named {}. This can happen if the \
             application has not been installed by the administrator of the tenant.",
            resource, self.realm.tenant
        );
        Err(Refusal::new(Reason::ResourceUnknown, text))
    }

    fn issue(&self, app: &App, proof: Proof, target: &Target, capabilities: Value) -> Result<String, Refusal> {
        let issuance = Issuance {
            app,
            proof,
            realm: self.realm,
            audience: &target.audience,
            scope: target.scope.as_deref(),
            version: self.settings.version_for(&target.audience),
            issued_at: self.now,
            expires_at: self.now + self.lifetime.expires_in,
            trace: self.request.trace,
            fmi_path: self.request.form.get("fmi_path"),
            capabilities,
        };
        let failed = |_| Refusal::new(Reason::Unavailable, "The token could not be signed.");
        self.key.sign(&issuance.claims()).map_err(failed)
    }

    fn body(&self, token: String, target: &Target) -> Value {
        let mut body = match self.realm.profile {
            Profile::Entra | Profile::Ciam => self.entra_body(target),
            Profile::B2c { .. } => self.b2c_body(target),
            Profile::Adfs => json!({"token_type": "bearer", "expires_in": self.lifetime.expires_in.as_secs()}),
            Profile::Oidc => self.plain_body(target),
        };
        body["access_token"] = Value::from(token);
        body
    }

    /// Version 2 writes numbers, version 1 writes them as text and says more.
    fn entra_body(&self, target: &Target) -> Value {
        let seconds = self.lifetime.expires_in.as_secs();
        let number = |seconds: u64| match self.version {
            Version::V1 => Value::from(seconds.to_string()),
            Version::V2 => Value::from(seconds),
        };
        let mut body = json!({
            "token_type": "Bearer",
            "expires_in": number(seconds),
            "ext_expires_in": number(seconds),
        });
        if let Some(refresh_in) = self.lifetime.refresh_in {
            body["refresh_in"] = number(refresh_in.as_secs());
        }
        if self.version == Version::V1 {
            body["expires_on"] = number((self.now + self.lifetime.expires_in).as_secs());
            body["not_before"] = number(self.now.as_secs());
            body["resource"] = Value::from(target.audience.as_str());
        }
        body
    }

    fn b2c_body(&self, target: &Target) -> Value {
        json!({
            "token_type": "Bearer",
            "expires_in": self.lifetime.expires_in.as_secs(),
            "expires_on": (self.now + self.lifetime.expires_in).as_secs(),
            "not_before": self.now.as_secs(),
            "resource": target.audience,
        })
    }

    fn plain_body(&self, target: &Target) -> Value {
        let mut body = json!({"token_type": "Bearer", "expires_in": self.lifetime.expires_in.as_secs()});
        if let Some(scope) = &target.scope {
            body["scope"] = Value::from(scope.as_str());
        }
        body
    }
}
