//! One request to a token endpoint and its answer.

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use super::answer::Answer;
use super::app::App;
use super::claims::Issuance;
use super::key::SigningKey;
use super::proof::Proof;
use super::realm::{Realm, Version};
use super::refusal::{Reason, Refusal};
use super::request::Request;
use super::settings::Settings;
use crate::clock::Timestamp;
use crate::name::{Resource, TenantId};

/// What an exchange is decided from.
pub(super) struct Exchange<'a> {
    pub(super) settings: &'a Settings,
    pub(super) key: &'a SigningKey,
    pub(super) request: &'a Request,
    pub(super) tenant: &'a TenantId,
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
        let resource = self.resource()?;
        self.check_claims()?;
        let proof = Proof::of(self.request, app, &self.realm, self.now)?;
        self.check_principal(&resource)?;
        let token = self.issue(app, proof, &resource)?;
        Ok(Answer::json(200, &self.body(token, &resource)))
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
        app.filter(|app| app.tenants.contain(self.tenant)).ok_or_else(|| {
            let text = format!(
                "Application with identifier '{client_id}' was not found in the directory '{}'. This can happen if \
                 the application has not been installed by the administrator of the tenant.",
                self.tenant
            );
            Refusal::new(Reason::AppUnknown, text)
        })
    }

    fn resource(&self) -> Result<Resource, Refusal> {
        match self.version {
            Version::V1 => {
                let text = self.request.form.get("resource");
                valid(text.ok_or_else(|| Refusal::missing("resource"))?)
            }
            Version::V2 => {
                let text = self.request.form.get("scope");
                scope_resource(text.ok_or_else(|| Refusal::missing("scope"))?)
            }
        }
    }

    /// A claims request changes nothing here, but one that cannot be read is refused as Entra refuses it.
    fn check_claims(&self) -> Result<(), Refusal> {
        let Some(text) = self.request.form.get("claims") else {
            return Ok(());
        };
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(_)) => Ok(()),
            _ => Err(Refusal::new(
                Reason::RequestMalformed,
                "Request is malformed or invalid. The parameter 'claims' is not a JSON object.",
            )),
        }
    }

    /// Every resource exists, except those on a host that ends in `.invalid`, so that a client's handling of
    /// an absent one can be tested.
    fn check_principal(&self, resource: &Resource) -> Result<(), Refusal> {
        let url = Url::parse(resource.as_str()).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        if !host.to_ascii_lowercase().ends_with(".invalid") {
            return Ok(());
        }
        let text = format!(
            "The resource principal named {} was not found in the tenant named {}. This can happen if the \
             application has not been installed by the administrator of the tenant.",
            resource.as_str(),
            self.tenant
        );
        Err(Refusal::new(Reason::ResourceUnknown, text))
    }

    fn issue(&self, app: &App, proof: Proof, resource: &Resource) -> Result<String, Refusal> {
        let issuance = Issuance {
            app,
            proof,
            realm: self.realm,
            resource: resource.as_str(),
            version: self.settings.version_for(resource.as_str()),
            issued_at: self.now,
            expires_at: self.now + self.lifetime.expires_in,
            trace: self.request.trace,
        };
        let failed = |_| Refusal::new(Reason::SigningFailed, "The token could not be signed.");
        self.key.sign(&issuance.claims()).map_err(failed)
    }

    /// Version 2 writes numbers, version 1 writes them as text and says more.
    fn body(&self, token: String, resource: &Resource) -> Value {
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
            body["resource"] = Value::from(resource.as_str());
        }
        body["access_token"] = Value::from(token);
        body
    }
}

/// The resource of a scope, which must be the only one.
fn scope_resource(text: &str) -> Result<Resource, Refusal> {
    // MSAL for Go sends the OpenID scopes along, and Entra lets them pass.
    let mut scopes = text.split_whitespace().filter(|scope| !OPENID.contains(scope));
    let (Some(scope), None) = (scopes.next(), scopes.next()) else {
        return Err(invalid_scope());
    };
    let resource = scope.strip_suffix("/.default").ok_or_else(|| {
        Refusal::new(
            Reason::ScopeWithoutDefault,
            "The provided value for scope is not valid. Client credential flows must have a scope value with \
             /.default suffixed to the resource identifier (application ID URI).",
        )
    })?;
    valid(resource)
}

fn valid(resource: &str) -> Result<Resource, Refusal> {
    Resource::parse(resource).map_err(|_| invalid_scope())
}

fn invalid_scope() -> Refusal {
    Refusal::new(
        Reason::ScopeInvalid,
        "The provided request must include a 'scope' input parameter. The provided value for the input parameter \
         'scope' is not valid: it must name exactly one resource.",
    )
}

const OPENID: [&str; 4] = ["openid", "profile", "offline_access", "email"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_names_exactly_one_resource() {
        for (scope, expected) in [
            ("https://x/.default", Ok("https://x")),
            ("https://x//.default", Ok("https://x/")),
            (" openid a/.default offline_access profile ", Ok("a")),
            ("https://x", Err(Reason::ScopeWithoutDefault)),
            ("https://x/User.Read", Err(Reason::ScopeWithoutDefault)),
            ("a/.default b/.default", Err(Reason::ScopeInvalid)),
            ("openid", Err(Reason::ScopeInvalid)),
            ("/.default", Err(Reason::ScopeInvalid)),
        ] {
            let resource = scope_resource(scope);
            let found = resource.as_ref().map(Resource::as_str).map_err(|refusal| refusal.reason);
            assert_eq!(found, expected, "{scope}");
        }
    }
}
