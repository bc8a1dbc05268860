//! The STS over real sockets, as a foreign client sees it.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::{Algorithm as Digest, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bursar::clock::{Clock, ManualClock, Stopwatch, Timestamp};
use bursar::sts::{Error, Settings, Sts};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};
use tempfile::TempDir;

#[path = "sts/profiles.rs"]
mod profiles;

const TENANT: &str = "b0b00000-0000-4000-8000-000000000001";
const OTHER_TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const DEV_APP: &str = "b0b00000-0000-4000-8000-000000000002";
const DEV_SECRET: &str = "bursar-dev-secret";
const CERT_APP: &str = "c0c00000-0000-4000-8000-000000000003";
const FED_APP: &str = "f0f00000-0000-4000-8000-000000000004";
const SCOPE: &str = "https://vault.azure.net/.default";
const START: u64 = 1_800_000_000;

/// An STS on a manual clock, and a client of it.
struct Lab {
    sts: Sts,
    http: reqwest::Client,
    hand: ManualClock,
}

struct Reply {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Lab {
    async fn with(settings: Settings) -> Self {
        let hand = ManualClock::at(Timestamp::from_secs(START));
        let clock = Clock::Manual(hand.clone());
        let sts = Sts::start(settings, &[loopback()], None, clock).await.unwrap();
        let http = client(None);
        Self { sts, http, hand }
    }

    async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.unwrap();
        Reply {
            status,
            headers,
            body: serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into()),
        }
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(self.http.get(format!("{}{path}", self.sts.url()))).await
    }

    fn post_to(&self, path: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        self.http
            .post(format!("{}{path}", self.sts.url()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.finish())
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Reply {
        self.send(self.post_to(path, form)).await
    }

    fn exchange(&self) -> reqwest::RequestBuilder {
        self.post_to(&v2(TENANT), &secret_form(DEV_SECRET))
    }

    async fn token(&self) -> Reply {
        self.send(self.exchange()).await
    }

    async fn with_assertion(&self, client_id: &str, assertion: &str) -> Reply {
        self.post(&v2(TENANT), &assertion_form(client_id, assertion)).await
    }

    async fn faults(&self, rules: Value) -> Reply {
        let url = format!("{}/_sts/faults", self.sts.url());
        self.send(self.http.post(url).body(rules.to_string())).await
    }

    async fn clear(&self, what: &str) -> Reply {
        self.send(self.http.delete(format!("{}/_sts/{what}", self.sts.url()))).await
    }

    /// The claims, once the signature is verified against the published keys.
    async fn verified(&self, token: &str) -> Value {
        let keys = self.get(&format!("/{TENANT}/discovery/v2.0/keys")).await.body;
        let keys: JwkSet = serde_json::from_value(keys).unwrap();
        let header = jsonwebtoken::decode_header(token).unwrap();
        let key = keys.find(&header.kid.unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::RS256);
        (validation.validate_exp, validation.validate_aud) = (false, false);
        jsonwebtoken::decode(token, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap().claims
    }
}

impl Reply {
    fn token(&self) -> &str {
        self.body["access_token"].as_str().unwrap_or_else(|| panic!("no token: {}", self.body))
    }

    /// Status, OAuth code and AADSTS number; the shape of Entra's error body is checked on the way.
    fn refusal(&self) -> (u16, &str, u64) {
        let text = |name: &str| self.body[name].as_str().unwrap_or_else(|| panic!("no {name}: {}", self.body));
        let number = self.body["error_codes"][0].as_u64().unwrap();
        let description = text("error_description");
        assert!(description.starts_with(&format!("AADSTS{number}: ")), "{description}");
        let tail = format!(
            " Trace ID: {} Correlation ID: {} Timestamp: {}",
            text("trace_id"),
            text("correlation_id"),
            text("timestamp")
        );
        assert!(description.ends_with(&tail), "{description}");
        assert!(text("error_uri").ends_with(&number.to_string()));
        (self.status, text("error"), number)
    }
}

/// An application's RSA key with its certificate.
struct Identity {
    key: EncodingKey,
    cert_pem: String,
    der: Vec<u8>,
}

impl Identity {
    fn new() -> Self {
        let pair = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        let cert = CertificateParams::default().self_signed(&pair).unwrap();
        Self {
            key: EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap(),
            cert_pem: cert.pem(),
            der: cert.der().to_vec(),
        }
    }

    fn thumbprint(&self, kind: &'static Digest) -> Vec<u8> {
        digest(kind, &self.der).as_ref().to_vec()
    }

    fn ps256(&self) -> Header {
        let mut header = Header::new(Algorithm::PS256);
        header.x5t_s256 = Some(BASE64_URL_SAFE_NO_PAD.encode(self.thumbprint(&SHA256)));
        header
    }

    fn rs256(&self) -> Header {
        let mut header = Header::new(Algorithm::RS256);
        header.x5t = Some(BASE64_STANDARD.encode(self.thumbprint(&SHA1_FOR_LEGACY_USE_ONLY)));
        header
    }

    fn sign(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.key).unwrap()
    }

    fn key_set(&self, kid: &str) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, Algorithm::RS256).unwrap();
        jwk.common.key_id = Some(kid.to_owned());
        json!({ "keys": [jwk] })
    }
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn client(ca_file: Option<&Path>) -> reqwest::Client {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let builder = reqwest::Client::builder().no_proxy();
    let builder = match ca_file {
        None => builder,
        Some(file) => {
            let pem = fs::read(file).unwrap();
            builder.tls_certs_only([reqwest::Certificate::from_pem(&pem).unwrap()])
        }
    };
    builder.build().unwrap()
}

fn v2(tenant: &str) -> String {
    format!("/{tenant}/oauth2/v2.0/token")
}

fn secret_form(secret: &str) -> [(&str, &str); 4] {
    [("grant_type", "client_credentials"), ("client_id", DEV_APP), ("client_secret", secret), ("scope", SCOPE)]
}

fn assertion_form<'a>(client_id: &'a str, assertion: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("grant_type", "client_credentials"),
        ("client_id", client_id),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
        ("scope", SCOPE),
    ]
}

/// The form with one parameter changed, or left out.
fn changed<'a>(name: &'a str, value: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    let mut form = secret_form(DEV_SECRET).to_vec();
    form.retain(|(held, _)| *held != name);
    form.extend(value.map(|value| (name, value)));
    form
}

fn settings(text: &str, files: &[(&str, &str)]) -> (Settings, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    let path = dir.path().join("sts.toml");
    fs::write(&path, text).unwrap();
    (Settings::read(&path).unwrap(), dir)
}

async fn certificate_lab(identity: &Identity) -> Lab {
    let text = format!("[[apps]]\nclient_id = \"{CERT_APP}\"\ncertificates = [\"app.pem\"]");
    let (settings, _dir) = settings(&text, &[("app.pem", &identity.cert_pem)]);
    Lab::with(settings).await
}

fn own_claims(lab: &Lab) -> Value {
    json!({
        "iss": CERT_APP,
        "sub": CERT_APP,
        "aud": format!("{}{}", lab.sts.url(), v2(TENANT)),
        "jti": "1",
        "exp": START + 600,
    })
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

mod discovery {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_finds_its_way_from_the_authority_to_the_keys() {
        let lab = Lab::start().await;
        for (path, issuer) in [("/v2.0", "/v2.0"), ("", "/")] {
            let found = lab.get(&format!("/{TENANT}{path}/.well-known/openid-configuration")).await;
            assert_eq!(found.status, 200);
            assert_eq!(found.body["issuer"], format!("{}/{TENANT}{issuer}", lab.sts.url()));
            let keys = found.body["jwks_uri"].as_str().unwrap();
            let keys = lab.send(lab.http.get(keys)).await;
            assert_eq!(keys.body["keys"][0]["kty"], "RSA");
            let endpoint = found.body["token_endpoint"].as_str().unwrap();
            assert_eq!(lab.send(lab.http.get(endpoint)).await.status, 405);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn urls_carry_the_name_the_caller_used() {
        let lab = Lab::start().await;
        let url = format!("{}/{TENANT}/v2.0/.well-known/openid-configuration", lab.sts.url());
        let named = lab.send(lab.http.get(&url).header("host", "contoso.ciamlogin.com:8443")).await;
        assert_eq!(named.body["token_endpoint"], format!("http://contoso.ciamlogin.com:8443{}", v2(TENANT)));
        let odd = lab.send(lab.http.get(&url).header("host", "a@b/c")).await;
        assert_eq!(odd.status, 400);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn only_directories_are_discovered() {
        let lab = Lab::start().await;
        let document = |tenant: &str| format!("/{tenant}/v2.0/.well-known/openid-configuration");
        let common = lab.get(&document("common")).await;
        assert_eq!(common.body["issuer"], format!("{}/{{tenantid}}/v2.0", lab.sts.url()));
        for (tenant, number) in [("contoso.com", 90_002), ("contoso", 900_023)] {
            let refused = lab.get(&document(tenant)).await;
            assert_eq!(refused.refusal(), (400, "invalid_request", number));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn instances_are_known_or_not() {
        let lab = Lab::start().await;
        let path = "/common/discovery/instance?api-version=1.1&authorization_endpoint=";
        let own = lab.get(&format!("{path}{}/t/oauth2/v2.0/authorize", lab.sts.url())).await;
        assert_eq!(
            own.body["tenant_discovery_endpoint"],
            format!("{}/t/v2.0/.well-known/openid-configuration", lab.sts.url())
        );
        assert_eq!(own.body["api-version"], "1.1");
        let foreign = lab.get(&format!("{path}https://evil.example/t/oauth2/authorize")).await;
        assert_eq!(foreign.refusal(), (400, "invalid_instance", 50_049));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_unknown_path_is_json_too() {
        let lab = Lab::start().await;
        assert_eq!(lab.get("/nowhere").await.refusal().0, 404);
        assert_eq!(lab.get("/_sts/nowhere").await.refusal().0, 404);
    }
}

mod secrets {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_secret_gets_a_token_that_verifies() {
        let lab = Lab::start().await;
        let reply = lab.token().await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.body["token_type"], "Bearer");
        assert_eq!((&reply.body["expires_in"], &reply.body["ext_expires_in"]), (&json!(3600), &json!(3600)));
        assert_eq!(reply.body.get("refresh_in"), None);
        let claims = lab.verified(reply.token()).await;
        let issuer = format!("{}/{TENANT}/", lab.sts.url());
        for (claim, value) in [
            ("aud", json!("https://vault.azure.net")),
            ("iss", json!(issuer)),
            ("iat", json!(START - 300)),
            ("nbf", json!(START - 300)),
            ("exp", json!(START + 3600)),
            ("appid", json!(DEV_APP)),
            ("appidacr", json!("1")),
            ("idtyp", json!("app")),
            ("sub", claims["oid"].clone()),
            ("tid", json!(TENANT)),
            ("ver", json!("1.0")),
        ] {
            assert_eq!(claims[claim], value, "{claim}");
        }
        assert_eq!(claims.get("roles"), None);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_two_tokens_are_the_same() {
        let lab = Lab::start().await;
        let (one, two) = (lab.token().await, lab.token().await);
        assert_ne!(one.token(), two.token());
        let (one, two) = (lab.verified(one.token()).await, lab.verified(two.token()).await);
        assert_ne!(one["uti"], two["uti"]);
        assert_eq!(one["oid"], two["oid"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn version_1_takes_a_resource_and_answers_with_text() {
        let lab = Lab::start().await;
        let mut form = changed("scope", None);
        form.push(("resource", "https://x/"));
        let reply = lab.post(&format!("/{TENANT}/oauth2/token"), &form).await;
        for (name, value) in [
            ("expires_in", "3600"),
            ("ext_expires_in", "3600"),
            ("expires_on", &(START + 3600).to_string()),
            ("not_before", &START.to_string()),
            ("resource", "https://x/"),
        ] {
            assert_eq!(reply.body[name], value, "{name}");
        }
        assert_eq!(lab.verified(reply.token()).await["aud"], "https://x/");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn http_basic_is_a_secret_as_well() {
        let lab = Lab::start().await;
        let form = [("grant_type", "client_credentials"), ("scope", SCOPE)];
        let request = lab.post_to(&v2(TENANT), &form).basic_auth(DEV_APP, Some(DEV_SECRET));
        assert_eq!(lab.send(request).await.status, 200);
        let request = lab.post_to(&v2(TENANT), &form).basic_auth(DEV_APP, Some("x"));
        assert_eq!(lab.send(request).await.refusal(), (401, "invalid_client", 7_000_215));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn settings_decide_versions_lives_and_roles() {
        let text = format!(
            r#"
            token_lifetime = "2h"
            refresh_in = "1h"
            versions = {{ "https://vault.azure.net" = 2 }}
            [[apps]]
            client_id = "{DEV_APP}"
            object_id = "00000000-0000-4000-8000-00000000000a"
            secrets = ["old", "new"]
            tenants = ["{TENANT}"]
            roles = ["Reader"]
            "#
        );
        let lab = Lab::with(settings(&text, &[]).0).await;
        let reply = lab.post(&v2(TENANT), &secret_form("new")).await;
        assert_eq!((&reply.body["expires_in"], &reply.body["refresh_in"]), (&json!(7200), &json!(3600)));
        let claims = lab.verified(reply.token()).await;
        for (claim, value) in [
            ("iss", json!(format!("{}/{TENANT}/v2.0", lab.sts.url()))),
            ("azp", json!(DEV_APP)),
            ("azpacr", json!("1")),
            ("oid", json!("00000000-0000-4000-8000-00000000000a")),
            ("roles", json!(["Reader"])),
            ("ver", json!("2.0")),
        ] {
            assert_eq!(claims[claim], value, "{claim}");
        }
        let elsewhere = lab.post(&v2(OTHER_TENANT), &secret_form("new")).await;
        assert_eq!(elsewhere.refusal(), (400, "invalid_request", 90_002));
    }
}

mod refusals {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn each_mistake_has_its_number() {
        let lab = Lab::start().await;
        for (name, value, expected) in [
            ("grant_type", None, (400, "invalid_request", 900_144)),
            ("grant_type", Some("password"), (400, "unsupported_grant_type", 70_003)),
            ("client_id", None, (400, "invalid_request", 900_144)),
            ("client_id", Some(CERT_APP), (400, "unauthorized_client", 700_016)),
            ("scope", None, (400, "invalid_request", 900_144)),
            ("scope", Some("https://x"), (400, "invalid_scope", 1_002_012)),
            ("scope", Some("a/.default b/.default"), (400, "invalid_scope", 70_011)),
            ("scope", Some("https://gone.invalid/.default"), (400, "invalid_resource", 500_011)),
            ("claims", Some("{"), (400, "invalid_request", 9_002_313)),
            ("claims", Some("[]"), (400, "invalid_request", 9_002_313)),
            ("client_secret", None, (401, "invalid_client", 7_000_218)),
            ("client_secret", Some("wr0ng"), (401, "invalid_client", 7_000_215)),
            ("client_assertion", Some("abc"), (400, "invalid_request", 900_144)),
        ] {
            let reply = lab.post(&v2(TENANT), &changed(name, value)).await;
            assert_eq!(reply.refusal(), expected, "{name}={value:?}");
            assert!(!reply.body.to_string().contains("wr0ng"));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_tenant_is_a_known_guid() {
        let lab = Lab::start().await;
        for (tenant, number) in
            [("contoso.onmicrosoft.com", 90_002), ("contoso", 900_023), ("common", 50_059), ("organizations", 50_059)]
        {
            let reply = lab.post(&v2(tenant), &secret_form(DEV_SECRET)).await;
            assert_eq!(reply.refusal(), (400, "invalid_request", number), "{tenant}");
        }
        let upper = OTHER_TENANT.to_ascii_uppercase();
        let reply = lab.post(&v2(&upper), &secret_form(DEV_SECRET)).await;
        assert_eq!(lab.verified(reply.token()).await["tid"], OTHER_TENANT);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn claims_and_client_info_are_tolerated() {
        let lab = Lab::start().await;
        let claims = r#"{"access_token":{"xms_cc":{"values":["CP1"]}}}"#;
        let mut form = changed("claims", Some(claims));
        form.push(("client_info", "1"));
        assert_eq!(lab.post(&v2(TENANT), &form).await.status, 200);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn answers_can_be_correlated() {
        let lab = Lab::start().await;
        let id = "5d1b3ad0-2f5c-4b0e-8a4e-6ae1c8a8e0a1";
        let request = lab
            .post_to(&v2(TENANT), &secret_form("x"))
            .header("client-request-id", id)
            .header("return-client-request-id", "true");
        let reply = lab.send(request).await;
        assert_eq!(reply.body["correlation_id"], id);
        assert_eq!(reply.headers["client-request-id"], id);
        assert_eq!(reply.headers["x-ms-request-id"], reply.body["trace_id"].as_str().unwrap());
        assert_eq!(reply.headers["cache-control"], "no-store, no-cache");
        assert_eq!(reply.headers["pragma"], "no-cache");
        assert_eq!(reply.body["timestamp"], "2027-01-15 08:00:00Z");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_body_has_a_limit() {
        let lab = Lab::start().await;
        let padding = "x".repeat(64 << 10);
        let reply = lab.post(&v2(TENANT), &changed("padding", Some(&padding))).await;
        assert_eq!(reply.refusal().0, 413);
    }
}

mod assertions {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn both_kinds_of_certificate_assertion_are_verified() {
        let identity = Identity::new();
        let lab = certificate_lab(&identity).await;
        let claims = own_claims(&lab);
        let issuer = format!("{}/{TENANT}/v2.0", lab.sts.url());
        for (header, claims) in [
            (identity.ps256(), claims.clone()),
            (identity.rs256(), claims.clone()),
            (identity.ps256(), with(&claims, "exp", json!(START as f64 + 600.25))),
            (identity.ps256(), with(&claims, "exp", json!((START + 600).to_string()))),
            (identity.ps256(), with(&claims, "nbf", json!(START + 299))),
            (identity.ps256(), with(&claims, "aud", json!(issuer))),
        ] {
            let reply = lab.with_assertion(CERT_APP, &identity.sign(&header, &claims)).await;
            assert_eq!(lab.verified(reply.token()).await["appidacr"], "2", "{claims}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_flaw_has_its_number() {
        let (identity, stranger) = (Identity::new(), Identity::new());
        let lab = certificate_lab(&identity).await;
        let claims = own_claims(&lab);
        let good = identity.sign(&identity.ps256(), &claims);
        let sign = |name: &str, value: Value| identity.sign(&identity.ps256(), &with(&claims, name, value));
        let mut crossed = identity.rs256();
        crossed.alg = Algorithm::PS256;
        let cut = good.rsplit_once('.').unwrap().0;
        for (what, assertion, expected) in [
            ("expired", sign("exp", json!(START)), (401, "invalid_client", 700_024)),
            ("too early", sign("nbf", json!(START + 301)), (401, "invalid_client", 700_024)),
            ("no end", sign("exp", Value::Null), (401, "invalid_client", 700_024)),
            ("audience", sign("aud", json!("https://x")), (401, "invalid_client", 700_023)),
            ("subject", sign("sub", json!(DEV_APP)), (401, "invalid_client", 700_021)),
            ("issuer", sign("iss", json!(DEV_APP)), (401, "invalid_client", 700_021)),
            ("key", stranger.sign(&identity.ps256(), &claims), (401, "invalid_client", 700_027)),
            ("certificate", stranger.sign(&stranger.ps256(), &claims), (401, "invalid_client", 700_027)),
            ("thumbprint", identity.sign(&crossed, &claims), (401, "invalid_client", 700_027)),
            ("no signature", format!("{cut}."), (401, "invalid_client", 700_027)),
            ("cut", cut.to_owned(), (400, "invalid_request", 50_027)),
            ("text", "abc".to_owned(), (400, "invalid_request", 50_027)),
        ] {
            let reply = lab.with_assertion(CERT_APP, &assertion).await;
            assert_eq!(reply.refusal(), expected, "{what}");
            assert!(!reply.body.to_string().contains(&assertion), "{what}");
        }
        lab.hand.advance(Duration::from_mins(10));
        assert_eq!(lab.with_assertion(CERT_APP, &good).await.refusal().2, 700_024);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_unsigned_assertion_or_another_type_is_malformed() {
        let identity = Identity::new();
        let lab = certificate_lab(&identity).await;
        let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        for alg in ["none", "HS256"] {
            let assertion = format!("{}.{}.c2ln", part(json!({"alg": alg})), part(own_claims(&lab)));
            assert_eq!(lab.with_assertion(CERT_APP, &assertion).await.refusal().2, 50_027);
        }
        let mut form = assertion_form(CERT_APP, "a.b.c");
        form[2].1 = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer";
        assert_eq!(lab.post(&v2(TENANT), &form).await.refusal().2, 9_002_313);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_trusted_issuer_vouches_for_an_app() {
        let (issuer, stranger) = (Identity::new(), Identity::new());
        let text = format!(
            r#"
            [[apps]]
            client_id = "{FED_APP}"
            federated = [{{ issuer = "https://issuer", subject = "sa:x", jwks_file = "jwks.json" }}]
            "#
        );
        let keys = issuer.key_set("one").to_string();
        let lab = Lab::with(settings(&text, &[("jwks.json", &keys)]).0).await;
        let claims = json!({
            "iss": "https://issuer",
            "sub": "sa:x",
            "aud": ["api://AzureADTokenExchange"],
            "exp": START + 600,
        });
        let mut header = Header::new(Algorithm::RS256);
        let reply = lab.with_assertion(FED_APP, &issuer.sign(&header, &claims)).await;
        assert_eq!(reply.status, 200, "without a key id every key is tried");
        header.kid = Some("one".to_owned());
        let reply = lab.with_assertion(FED_APP, &issuer.sign(&header, &claims)).await;
        assert_eq!(lab.verified(reply.token()).await["appidacr"], "2");
        let sign = |name: &str, value: Value| issuer.sign(&header, &with(&claims, name, value));
        let mut other = header.clone();
        other.kid = Some("two".to_owned());
        for (what, assertion, number) in [
            ("issuer", sign("iss", json!("https://other")), 700_211),
            ("subject", sign("sub", json!("sa:y")), 700_213),
            ("audience", sign("aud", json!("api://x")), 700_212),
            ("time", sign("exp", json!(START)), 700_024),
            ("key", stranger.sign(&header, &claims), 700_027),
            ("key id", issuer.sign(&other, &claims), 700_027),
        ] {
            let refused = lab.with_assertion(FED_APP, &assertion).await;
            assert_eq!(refused.refusal(), (401, "invalid_client", number), "{what}");
        }
    }
}

mod faults {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn rules_apply_while_they_last() {
        let lab = Lab::start().await;
        let rules = json!([
            {"match": {"path": "/keys"}, "status": 500},
            {"match": {"path": "/token", "client_id": DEV_APP, "tenant": TENANT, "scope": SCOPE}, "times": 2,
             "status": 429, "headers": {"Retry-After": "7"}, "body": "Too Many Requests"},
        ]);
        assert_eq!(lab.faults(rules).await.body, json!({"faults": 2}));
        for _ in 0..2 {
            let reply = lab.token().await;
            assert_eq!((reply.status, &reply.body), (429, &json!("Too Many Requests")));
            assert_eq!(reply.headers["retry-after"], "7");
        }
        assert_eq!(lab.token().await.status, 200);
        let keys = format!("/{TENANT}/discovery/v2.0/keys");
        assert_eq!(lab.get(&keys).await.status, 500);
        assert_eq!(lab.clear("faults").await.status, 200);
        assert_eq!(lab.get(&keys).await.status, 200);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_share_of_the_requests_fails() {
        let lab = Lab::start().await;
        lab.faults(json!([{"share": 0.25, "status": 503}])).await;
        let mut failed = 0;
        for _ in 0..8 {
            failed += u32::from(lab.token().await.status == 503);
        }
        assert_eq!(failed, 2);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn times_and_clock_can_be_wrong() {
        let lab = Lab::start().await;
        lab.faults(json!([{"expires_in": 60, "refresh_in": 30, "clock_skew_s": -1000}])).await;
        let reply = lab.token().await;
        assert_eq!((&reply.body["expires_in"], &reply.body["refresh_in"]), (&json!(60), &json!(30)));
        assert_eq!(lab.verified(reply.token()).await["exp"], START - 1000 + 60);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_answer_can_be_late_huge_or_json() {
        let lab = Lab::start().await;
        lab.faults(json!([
            {"times": 1, "delay_ms": 300},
            {"times": 1, "body_bytes": 2_000_000},
            {"times": 1, "status": 400, "body": {"error": "invalid_grant"}},
        ]))
        .await;
        let begun = Stopwatch::start();
        assert_eq!(lab.token().await.status, 200);
        assert!(begun.elapsed() >= Duration::from_millis(300));
        assert_eq!(lab.token().await.body.as_str().unwrap().len(), 2_000_000);
        let object = lab.token().await;
        assert_eq!((object.status, &object.body), (400, &json!({"error": "invalid_grant"})));
        assert_eq!(object.headers["content-type"], "application/json; charset=utf-8");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_connection_can_break() {
        let lab = Lab::start().await;
        lab.faults(json!([{"times": 1, "reset": true}, {"times": 1, "truncate_at": 10}])).await;
        assert!(lab.exchange().send().await.is_err());
        let response = lab.exchange().send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.content_length().unwrap() > 1000);
        assert!(response.bytes().await.is_err());
        assert_eq!(lab.token().await.status, 200);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_rule_that_is_not_understood_changes_nothing() {
        let lab = Lab::start().await;
        let refused = lab.faults(json!([{"status": 503}, {"statsu": 503}])).await;
        assert_eq!(refused.status, 400);
        assert!(refused.body["error_description"].as_str().unwrap().contains("unknown field `statsu`"));
        assert_eq!(lab.token().await.status, 200);
    }
}

mod journal {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn requests_are_kept_without_their_secrets() {
        let lab = Lab::start().await;
        lab.token().await;
        let request = lab.post_to(&format!("{}?a=b", v2(TENANT)), &[]).basic_auth(DEV_APP, Some("pass"));
        lab.send(request).await;
        let journal = lab.get("/_sts/requests").await.body;
        let text = journal.to_string();
        assert!(!text.contains(DEV_SECRET) && !text.contains(&BASE64_STANDARD.encode(format!("{DEV_APP}:pass"))));
        assert_eq!(journal.as_array().unwrap().len(), 2);
        assert_eq!(journal[0]["time"], "2027-01-15T08:00:00Z");
        assert_eq!(journal[0]["method"], "POST");
        assert_eq!(journal[0]["path"], v2(TENANT));
        assert_eq!(journal[0]["form"]["scope"], SCOPE);
        let secret = journal[0]["form"]["client_secret"].as_str().unwrap();
        assert!(secret.starts_with("sha256:") && secret.len() == 71);
        assert_eq!(journal[1]["query"], json!({"a": "b"}));
        let basic = journal[1]["headers"]["authorization"].as_str().unwrap();
        assert!(basic.starts_with("sha256:"));
        assert_eq!(lab.clear("requests").await.body, journal, "what is taken out is told");
        assert_eq!(lab.get("/_sts/requests").await.body, json!([]));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn assertions_are_decoded_and_faulty_requests_recorded() {
        let identity = Identity::new();
        let lab = certificate_lab(&identity).await;
        lab.faults(json!([{"status": 503}])).await;
        let claims = own_claims(&lab);
        let assertion = identity.sign(&identity.ps256(), &claims);
        assert_eq!(lab.with_assertion(CERT_APP, &assertion).await.status, 503);
        let journal = lab.get("/_sts/requests").await.body;
        assert_eq!(journal[0]["assertion"]["claims"], claims);
        assert_eq!(journal[0]["assertion"]["header"]["alg"], "PS256");
        assert!(!journal.to_string().contains(&assertion));
    }
}

mod sockets {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn https_is_trusted_by_its_own_authority_alone() {
        let dir = tempfile::tempdir().unwrap();
        let sts = Sts::start(Settings::default(), &[loopback()], Some(dir.path()), Clock::System).await.unwrap();
        let ca_file = sts.announcement().ca_file.unwrap();
        assert!(sts.url().starts_with("https://127.0.0.1:"));
        let path = format!("/{TENANT}/v2.0/.well-known/openid-configuration");
        let url = format!("{}{path}", sts.url());
        assert!(client(None).get(&url).send().await.is_err());
        for url in [url.clone(), url.replace("127.0.0.1", "localhost")] {
            let answer = client(Some(&ca_file)).get(&url).send().await.unwrap();
            let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
            let base = url.strip_suffix(&path).unwrap();
            assert_eq!(body["token_endpoint"], format!("{base}{}", v2(TENANT)));
        }
        sts.stop().await;
        assert!(client(Some(&ca_file)).get(&url).send().await.is_err());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn https_breaks_on_demand_too() {
        let dir = tempfile::tempdir().unwrap();
        let sts = Sts::start(Settings::default(), &[loopback()], Some(dir.path()), Clock::System).await.unwrap();
        let http = client(sts.announcement().ca_file.as_deref());
        let rules = json!([{"times": 1, "reset": true}]).to_string();
        let faults = format!("{}/_sts/faults", sts.url());
        assert_eq!(http.post(faults).body(rules).send().await.unwrap().status(), 200);
        let keys = format!("{}/{TENANT}/discovery/keys", sts.url());
        assert!(http.get(&keys).send().await.is_err());
        assert_eq!(http.get(&keys).send().await.unwrap().status(), 200);
    }

    #[tokio::test]
    async fn it_listens_on_every_address_and_stops_when_dropped() {
        let sts = Sts::start(Settings::default(), &[loopback(), loopback()], None, Clock::System).await.unwrap();
        let url = sts.url().to_owned();
        let address: SocketAddr = url.strip_prefix("http://").unwrap().parse().unwrap();
        let taken = Sts::start(Settings::default(), &[address], None, Clock::System).await;
        assert!(matches!(taken, Err(Error::Listen { .. })));
        let nowhere = Sts::start(Settings::default(), &[], None, Clock::System).await;
        assert!(matches!(nowhere, Err(Error::NoAddress)));
        drop(sts);
        let mut stopped = false;
        for _ in 0..50 {
            stopped = client(None).get(&url).send().await.is_err();
            if stopped {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(stopped);
    }
}
