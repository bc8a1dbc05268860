//! What it costs to recognise a caller: by a header secret, by a service account's token, or by the connection alone.
//! All are sent as many bytes, so that what differs is recognition and not the reading of a longer head.

use std::path::Path;

use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bursar::clock::Clock;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::contest::Contest;
use super::contestant::Contestant;
use super::request::Request;
use super::stage::Stage;
use super::verdict::{Limit, Report};

/// Compares them.
pub(super) fn run(report: &mut Report) {
    let stage = Stage::new();
    std::fs::write(stage.directory().join("header"), SECRET).unwrap();
    let token = service_account_token(stage.directory());
    let contestant = |name: &str, proof: &str, more: &str| {
        let config =
            format!("[callers.workload]\nidentities = [\"app\"]\nresources = [\"*\"]\nproof = {proof}\n{more}");
        Contestant::new(name, &stage.bursar(&config).server, &request(name, &token))
    };
    let contest = Contest { title: "recognition: a cached token", heats: 3, rounds: 15, requests: 8000 };
    let played = contest.play(|| {
        let [loopback, once_more] =
            ["loopback", "loopback, once more"].map(|name| contestant(name, "{ kind = \"loopback\" }", ""));
        let header = contestant("header-secret", "{ kind = \"header-secret\", file = \"header\" }", "");
        let account = contestant("service-account", ACCOUNT, KUBERNETES);
        vec![loopback, once_more, header, account]
    });
    let noise = played.noise(1, 0);
    report.judge("recognition: cost by header secret", played.ratio(2, 0), Limit::AtMost(1.03), noise);
    report.judge("recognition: cost by service account", played.ratio(3, 0), Limit::AtMost(1.08), noise);
}

/// What nobody is known by must not be shown; it stands where nobody looks.
fn request(name: &str, token: &str) -> Request {
    let secret = if name == "header-secret" { "X-IDENTITY-HEADER" } else { "X-IDENTITY-HEADEX" };
    let account = if name == "service-account" { "Authorization" } else { "Authorizatiom" };
    Request::of(&format!(
        "GET /token?resource=https://vault.azure.net HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\
         {secret}: {SECRET}\r\n{account}: Bearer {token}\r\n\r\n"
    ))
}

/// A token as kubelet projects one; the key that proves it is left in the directory.
fn service_account_token(directory: &Path) -> String {
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

const SECRET: &str = "5c0a7f6e2f0d4b64a1c3e8d9b7f60a12";
const ACCOUNT: &str = "{ kind = \"service-account\", namespace = \"shop\", service_account = \"billing\" }";
const KUBERNETES: &str =
    "[kubernetes]\nissuer = \"https://cluster\"\naudience = [\"bursar\"]\njwks_file = \"jwks.json\"\n";
