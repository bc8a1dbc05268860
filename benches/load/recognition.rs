//! What it costs to recognise a caller: by a header secret, by a service account's token, or by the connection alone.
//! All three are sent as many bytes, so that what differs is recognition and not the reading of a longer head.

use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bursar::clock::Clock;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::contestant::{Contestant, sts};
use super::machine::{LOAD, pin_self};
use super::table::contest;

const COMMON: &str = r#"
[server]
listen = ["@listen@"]
admin_listen = "@admin@"
dialects = ["native"]
workers = 1
[tenants.one]
id = "b0b00000-0000-4000-8000-000000000001"
authority = "@authority@"
instance_discovery = false
[identities.app]
tenants = ["one"]
client_id = "b0b00000-0000-4000-8000-000000000002"
resources = ["*"]
credentials = [{ kind = "secret", file = "secret" }]
[callers.workload]
identities = ["app"]
resources = ["*"]
"#;
const KUBERNETES: &str =
    "[kubernetes]\nissuer = \"https://cluster\"\naudience = [\"bursar\"]\njwks_file = \"jwks.json\"\n";
const SECRET: &str = "5c0a7f6e2f0d4b64a1c3e8d9b7f60a12";

/// Compares the three.
pub(super) fn run() {
    let directory = tempfile::tempdir().unwrap();
    let (_sts, authority) = sts();
    std::fs::write(directory.path().join("secret"), "bursar-dev-secret").unwrap();
    std::fs::write(directory.path().join("header"), SECRET).unwrap();
    let token = service_account_token(directory.path());
    // What nobody is known by must not be shown; it stands where nobody looks.
    let request = |name: &str| {
        let secret = if name == "header-secret" { "X-IDENTITY-HEADER" } else { "X-IDENTITY-HEADEX" };
        let account = if name == "service-account" { "Authorization" } else { "Authorizatiom" };
        format!(
            "GET /token?resource=https://vault.azure.net HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\
             {secret}: {SECRET}\r\n{account}: Bearer {token}\r\n\r\n"
        )
    };
    let common = COMMON.replace("@authority@", &authority);
    let contestant = |name, more: &str, proof: &str| {
        let config = format!("{common}proof = {proof}\n{more}");
        Contestant::serve(name, directory.path(), &config, &request(name))
    };
    let contestants = [
        contestant("loopback", "", "{ kind = \"loopback\" }"),
        contestant("header-secret", "", "{ kind = \"header-secret\", file = \"header\" }"),
        contestant(
            "service-account",
            KUBERNETES,
            "{ kind = \"service-account\", namespace = \"shop\", service_account = \"billing\" }",
        ),
    ];
    pin_self(LOAD);
    contest("recognition of a caller, cached token", &contestants, 31, 8, 8000);
}

/// A token as kubelet projects one; the key that proves it is left in the directory.
fn service_account_token(directory: &std::path::Path) -> String {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let public: PublicKeyComponents<Vec<u8>> = pair.public_key().into();
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let jwk =
        json!({"kty": "RSA", "kid": "k", "use": "sig", "alg": "RS256", "n": encode(&public.n), "e": encode(&public.e)});
    std::fs::write(directory.join("jwks.json"), json!({ "keys": [jwk] }).to_string()).unwrap();
    let now = Clock::System.now().as_secs();
    let uid = "7c3c9e8c-0000-4000-8000-000000000001";
    let claims = json!({
        "iss": "https://cluster", "aud": ["bursar"], "iat": now, "nbf": now, "exp": now + 3600,
        "sub": "system:serviceaccount:shop:billing", "jti": uid,
        "kubernetes.io": {
            "namespace": "shop",
            "node": { "name": "node-1", "uid": uid },
            "pod": { "name": "billing-6d5f", "uid": uid },
            "serviceaccount": { "name": "billing", "uid": uid },
        },
    });
    let header = Header { kid: Some("k".to_owned()), ..Header::new(Algorithm::RS256) };
    let der = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let pem =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64_STANDARD.encode(der.as_ref()));
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap()).unwrap()
}
