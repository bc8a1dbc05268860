//! Encodes a token request (RFC 6749 section 4.4, RFC 7523 section 2.2) as Entra wants it.

use reqwest::header::{HeaderMap, HeaderValue};
use url::form_urlencoded::Serializer;

use crate::name::{ClientId, FmiPath, Scope};
use crate::secret::Secret;

/// One credential, applied to one request.
#[derive(Debug)]
pub enum ClientProof {
    /// A signed assertion.
    Assertion(Secret),
    /// The client secret itself.
    Secret(Secret),
}

impl ClientProof {
    /// The text that must not appear anywhere.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        match self {
            Self::Assertion(secret) | Self::Secret(secret) => secret,
        }
    }
}

/// Whether a parameter is ours to set, so that an extra one must not have its name.
#[must_use]
pub fn is_ours(parameter: &str) -> bool {
    OURS.contains(&parameter)
}

/// A client-credentials request.
#[derive(Debug)]
pub struct ClientCredentials<'a> {
    /// The application.
    pub client_id: &'a ClientId,
    /// What is asked for.
    pub scope: &'a Scope,
    /// What proves the application.
    pub proof: &'a ClientProof,
    /// What the token should carry, as JSON.
    pub claims: Option<&'a str>,
    /// Where in the application's tree it is for.
    pub fmi_path: Option<&'a FmiPath>,
    /// Further parameters, which come last.
    pub extra: &'a [(String, String)],
}

impl ClientCredentials<'_> {
    /// Its form.
    #[must_use]
    pub fn form(&self) -> Secret {
        let mut form = Serializer::new(String::new());
        form.append_pair("client_id", self.client_id.as_str()).append_pair("grant_type", "client_credentials");
        match self.proof {
            ClientProof::Assertion(jwt) => {
                form.append_pair("client_assertion_type", JWT_BEARER).append_pair("client_assertion", jwt.expose());
            }
            ClientProof::Secret(secret) => {
                form.append_pair("client_secret", secret.expose());
            }
        }
        form.append_pair(self.scope.parameter(), &self.scope.text());
        form.extend_pairs(self.claims.map(|claims| ("claims", claims)));
        form.extend_pairs(self.fmi_path.map(|path| ("fmi_path", path.as_str())));
        form.extend_pairs(self.extra);
        Secret::from(form.finish())
    }
}

/// What every request tells the authority about us (the names are MSAL's, the values ours).
#[must_use]
pub fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-client-sku", "Bursar"),
        ("x-client-ver", env!("CARGO_PKG_VERSION")),
        ("x-client-os", std::env::consts::OS),
        ("x-ms-lib-capability", "retry-after, h429"),
        ("return-client-request-id", "true"),
        ("user-agent", concat!("bursar/", env!("CARGO_PKG_VERSION"))),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
}

const OURS: [&str; 9] = [
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "claims",
    "fmi_path",
    "grant_type",
    "resource",
    "scope",
];
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{Resource, ScopeForm};

    fn form(proof: &ClientProof) -> String {
        let scope = Scope::of(&Resource::parse("https://vault.azure.net/").unwrap(), ScopeForm::Default);
        let client_id = &ClientId::parse("app").unwrap();
        ClientCredentials { client_id, scope: &scope, proof, claims: None, fmi_path: None, extra: &[] }
            .form()
            .expose()
            .to_owned()
    }

    #[test]
    fn a_secret_goes_into_the_body() {
        let proof = ClientProof::Secret(Secret::from("a b&c=d+é".to_owned()));
        assert_eq!(
            form(&proof),
            "client_id=app&grant_type=client_credentials&client_secret=a+b%26c%3Dd%2B%C3%A9&scope=https%3A%2F%2Fvault.azure.net%2F%2F.default"
        );
    }

    #[test]
    fn an_assertion_goes_with_its_type() {
        let proof = ClientProof::Assertion(Secret::from("h.p.s".to_owned()));
        assert_eq!(
            form(&proof),
            "client_id=app&grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=h.p.s&scope=https%3A%2F%2Fvault.azure.net%2F%2F.default"
        );
    }

    #[test]
    fn what_else_is_wanted_comes_last() {
        let scope = Scope::of(&Resource::parse("r").unwrap(), ScopeForm::Indicator);
        let request = ClientCredentials {
            client_id: &ClientId::parse("app").unwrap(),
            scope: &scope,
            proof: &ClientProof::Secret(Secret::from("s".to_owned())),
            claims: Some(r#"{"a":1}"#),
            fmi_path: Some(&FmiPath::parse("agents/one").unwrap()),
            extra: &[("audience".to_owned(), "x".to_owned())],
        };
        assert_eq!(
            request.form().expose(),
            "client_id=app&grant_type=client_credentials&client_secret=s&scope=r&claims=%7B%22a%22%3A1%7D&fmi_path=agents%2Fone&audience=x"
        );
    }

    #[test]
    fn a_proof_does_not_print() {
        let proof = ClientProof::Secret(Secret::from("hunter2".to_owned()));
        assert!(!format!("{proof:?}").contains("hunter2"));
    }
}
