//! The documents by which a client finds the endpoints.

use serde_json::{Value, json};
use url::Url;

use super::profile::Profile;
use super::realm::{Realm, Version};
use super::refusal::{Reason, Refusal};
use super::request::Request;

/// The OpenID configuration of an authority.
pub(super) fn configuration(realm: &Realm<'_>, version: Version) -> Value {
    match realm.profile {
        Profile::Entra | Profile::Ciam | Profile::B2c { .. } => entra(realm, version),
        Profile::Adfs => adfs(realm, version),
        Profile::Oidc => plain(realm, version),
    }
}

/// What any OpenID provider tells.
fn plain(realm: &Realm<'_>, version: Version) -> Value {
    json!({
        "issuer": realm.issuer(version),
        "authorization_endpoint": realm.authorization_endpoint(version),
        "token_endpoint": realm.token_endpoint(version),
        "jwks_uri": realm.jwks_uri(version),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["PS256", "RS256"],
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid"],
    })
}

fn adfs(realm: &Realm<'_>, version: Version) -> Value {
    let mut document = plain(realm, version);
    document["access_token_issuer"] = Value::from(realm.token_issuer(version));
    document["token_endpoint_auth_signing_alg_values_supported"] = json!(["RS256"]);
    document["device_authorization_endpoint"] = Value::from(realm.device_authorization_endpoint(version));
    document["end_session_endpoint"] = Value::from(realm.end_session_endpoint(version));
    document
}

/// With the members of Entra's own.
fn entra(realm: &Realm<'_>, version: Version) -> Value {
    json!({
        "token_endpoint": realm.token_endpoint(version),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": realm.jwks_uri(version),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": realm.issuer(version),
        "request_uri_parameter_supported": false,
        "authorization_endpoint": realm.authorization_endpoint(version),
        "device_authorization_endpoint": realm.device_authorization_endpoint(version),
        "http_logout_supported": true,
        "frontchannel_logout_supported": true,
        "end_session_endpoint": realm.end_session_endpoint(version),
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nbf", "tid", "oid", "ver"],
        "tenant_region_scope": if realm.is_directory() { Value::from("WW") } else { Value::Null },
        "cloud_instance_name": "microsoftonline.com",
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": "graph.microsoft.com",
        "rbac_url": "https://pas.windows.net",
    })
}

/// The answer to "may I trust this authority?", and where to go on.
pub(super) fn instance(request: &Request, base: &str) -> Result<Value, Refusal> {
    let asked =
        request.query.get("authorization_endpoint").ok_or_else(|| Refusal::missing("authorization_endpoint"))?;
    let asked = Url::parse(asked).map_err(|_| unknown_instance())?;
    let own = own_host(base);
    let host = asked.host_str().unwrap_or_default().to_ascii_lowercase();
    if host != own && !CLOUDS.iter().any(|cloud| cloud.contains(&host.as_str())) {
        return Err(unknown_instance());
    }
    let origin = asked.origin().ascii_serialization();
    let realm = Realm {
        // MSAL for Python asks with the port left out, so the own host is known by the base of the request.
        base: if host == own { base } else { &origin },
        profile: Profile::Entra,
        tenant: asked.path().trim_start_matches('/').split('/').next().unwrap_or_default(),
    };
    let is_v2 = asked.path().contains("/v2.0/");
    Ok(json!({
        "tenant_discovery_endpoint": realm.configuration(if is_v2 { Version::V2 } else { Version::V1 }),
        "api-version": request.query.get("api-version").unwrap_or("1.0"),
        "metadata": metadata(base, &own),
    }))
}

fn metadata(base: &str, own: &str) -> Vec<Value> {
    let network = base.split_once("://").map_or(base, |(_, network)| network);
    let mut aliases = vec![network];
    aliases.extend((own != network).then_some(own));
    let ours = json!({"preferred_network": network, "preferred_cache": network, "aliases": aliases});
    let clouds = CLOUDS.iter().filter_map(|aliases| {
        let (network, rest) = aliases.split_first()?;
        // Of the public cloud alone, the name that caches prefer is another one.
        let cache = rest.first().filter(|name| **name == "login.windows.net");
        Some(json!({"preferred_network": network, "preferred_cache": cache.unwrap_or(network), "aliases": aliases}))
    });
    std::iter::once(ours).chain(clouds).collect()
}

fn own_host(base: &str) -> String {
    let url = Url::parse(base).ok();
    url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

fn unknown_instance() -> Refusal {
    Refusal::new(Reason::InstanceUnknown, "Unknown or invalid instance.")
}

/// The clouds of Entra and the names of each, the network's own name first.
pub(super) const CLOUDS: &[&[&str]] = &[
    &["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"],
    &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
    &["login.microsoftonline.de"],
    &["login.microsoftonline.us", "login.usgovcloudapi.net"],
    &["login-us.microsoftonline.com"],
    &["login.sovcloud-identity.fr"],
    &["login.sovcloud-identity.de"],
    &["login.sovcloud-identity.sg"],
];

#[cfg(test)]
mod tests {
    use super::super::params::Params;
    use super::super::request::tests::post;
    use super::*;

    fn asked(endpoint: &str) -> Result<Value, Reason> {
        let query = format!("api-version=1.1&authorization_endpoint={endpoint}");
        let request = Request { query: Params::parse(query.as_bytes()), ..post("/common/discovery/instance", "") };
        instance(&request, "https://sts:4143").map_err(|refusal| refusal.reason)
    }

    #[test]
    fn the_own_host_and_the_clouds_are_known() {
        for (endpoint, discovery) in [
            ("https://sts:4143/t/oauth2/v2.0/authorize", "https://sts:4143/t/v2.0/.well-known/openid-configuration"),
            ("https://sts/t/oauth2/authorize", "https://sts:4143/t/.well-known/openid-configuration"),
            (
                "https://login.microsoftonline.us/t/oauth2/v2.0/authorize",
                "https://login.microsoftonline.us/t/v2.0/.well-known/openid-configuration",
            ),
        ] {
            assert_eq!(asked(endpoint).unwrap()["tenant_discovery_endpoint"], discovery);
        }
    }

    #[test]
    fn other_hosts_are_not() {
        for endpoint in ["https://evil.example/t/oauth2/v2.0/authorize", "sts", "https://sts.evil/t"] {
            assert_eq!(asked(endpoint), Err(Reason::InstanceUnknown));
        }
        assert_eq!(asked(""), Err(Reason::ParameterMissing));
    }

    #[test]
    fn each_cloud_tells_its_names() {
        let metadata = metadata("https://sts:1", "sts");
        assert_eq!(metadata[0]["aliases"], json!(["sts:1", "sts"]));
        assert_eq!(metadata[1]["preferred_cache"], "login.windows.net");
        assert_eq!(metadata[2]["preferred_cache"], "login.partner.microsoftonline.cn");
    }
}
