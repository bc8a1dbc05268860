//! Service-account tokens, minted with real keys and verified against a key set, or an API server, on loopback.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bursar::caller::account::ServiceAccount;
use bursar::clock::{Clock, ManualClock, Stopwatch, Timestamp};
use bursar::cluster::Cluster;
use bursar::config::Config;
use bursar::fault::{Fault, Kind};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const START: u64 = 1_800_000_000;

/// What a cluster answers with, and what it was asked.
#[derive(Clone, Default)]
struct Api {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<(u16, String)>>,
    /// Whoever holds it keeps answers back.
    gate: Arc<tokio::sync::Mutex<()>>,
}

impl Api {
    async fn that_says(status: u16, body: &Value) -> Self {
        let listener = TcpListener::bind(support::loopback()).await.unwrap();
        let api = Self { url: format!("http://{}", listener.local_addr().unwrap()), ..Self::default() };
        api.say(status, body);
        let server = api.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move { server.answer(socket).await });
            }
        });
        api
    }

    /// Answers with this from now on; with status 0 it hangs up.
    fn say(&self, status: u16, body: &Value) {
        *self.answer.lock().unwrap() = (status, body.to_string());
    }

    /// The requests since this was last called.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    async fn answer(&self, mut socket: TcpStream) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(socket.read_u8().await.unwrap());
        }
        let head = String::from_utf8(request.clone()).unwrap().to_lowercase();
        let length =
            head.split_once("content-length: ").map_or(0, |(_, rest)| rest.lines().next().unwrap().parse().unwrap());
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await.unwrap();
        self.requests.lock().unwrap().push(String::from_utf8([request, body].concat()).unwrap());
        let _open = self.gate.lock().await;
        let (status, body) = self.answer.lock().unwrap().clone();
        if status > 0 {
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} X\r\nlocation: /x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
    }
}

/// A key of a cluster.
struct Issuer {
    signing: EncodingKey,
    algorithm: Algorithm,
    kid: String,
    jwk: Value,
    public_pem: String,
}

impl Issuer {
    fn new(kid: &str, algorithm: Algorithm) -> Self {
        let kind = match algorithm {
            Algorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::ES384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            _ => &rcgen::PKCS_RSA_SHA256,
        };
        let pair = rcgen::KeyPair::generate_for(kind).unwrap();
        let pem = pair.serialize_pem();
        let read = if kind == &rcgen::PKCS_RSA_SHA256 { EncodingKey::from_rsa_pem } else { EncodingKey::from_ec_pem };
        let signing = read(pem.as_bytes()).unwrap();
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&signing, algorithm).unwrap()).unwrap();
        jwk["kid"] = json!(kid);
        jwk["use"] = json!("sig");
        Self { signing, algorithm, kid: kid.to_owned(), jwk, public_pem: pair.public_key_pem() }
    }

    fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.clone()), typ: None, ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, claims, &self.signing).unwrap()
    }
}

fn set(issuers: &[&Issuer]) -> Value {
    json!({ "keys": issuers.iter().map(|issuer| &issuer.jwk).collect::<Vec<_>>() })
}

/// The claims of a token that the kubelet projects into a pod.
fn bound(pod: &str) -> Value {
    json!({
        "aud": ["api://bursar"], "exp": START + 3600, "iat": START, "nbf": START, "jti": pod,
        "iss": "https://kubernetes.default.svc.cluster.local",
        "kubernetes.io": {
            "namespace": "pay", "node": { "name": "node-1", "uid": "n" }, "pod": { "name": pod, "uid": "p" },
            "serviceaccount": { "name": "roll", "uid": "s" }, "warnafter": START + 3607
        },
        "sub": "system:serviceaccount:pay:roll"
    })
}

fn with(mut claims: Value, claim: &str, value: Value) -> Value {
    claims[claim] = value;
    claims
}

/// A service that knows a cluster by these keys of `[kubernetes]`.
struct World {
    cluster: Arc<Cluster>,
    hand: ManualClock,
    directory: tempfile::TempDir,
}

impl World {
    fn with(keys: &str) -> Self {
        Self::within(support::directory(), keys)
    }

    fn within(directory: tempfile::TempDir, keys: &str) -> Self {
        let section = format!(
            "{}[kubernetes]\nissuer = 'https://kubernetes.default.svc.cluster.local'\naudience = ['api://bursar']\n{keys}",
            support::TWO_IDENTITIES
        );
        let path = support::write_config(directory.path(), &section, "http://127.0.0.1:1");
        let hand = ManualClock::at(Timestamp::from_secs(START));
        let config = Config::read(Some(&path), std::collections::HashMap::new(), hand.now()).unwrap();
        let (settings, clock) = (config.kubernetes.unwrap().settings, Clock::Manual(hand.clone()));
        let cluster = Arc::new(Cluster::new(settings, clock, tokio::runtime::Handle::current()));
        Self { cluster, hand, directory }
    }

    /// A service that gets the keys of `api`.
    fn of_keys(api: &Api) -> Self {
        Self::with(&format!("jwks_url = '{}/openid/v1/jwks'\ntoken_file = 'secret'", api.url))
    }

    /// A service that has tokens reviewed by `api`.
    fn of_reviews(api: &Api) -> Self {
        Self::with(&format!(
            "token_review = true\napi_server = '{}'\ntoken_file = 'secret'\nlegacy_tokens = true",
            api.url
        ))
    }

    async fn verify(&self, token: &str) -> Result<ServiceAccount, Fault> {
        let verified = self.cluster.verify(token.as_bytes(), None).await.map(|verified| verified.account().clone());
        if let Err(fault) = &verified {
            let told = format!("{fault} {:?}", fault.inward());
            assert!(!token.split('.').any(|part| part.len() > 20 && told.contains(part)), "{told}");
        }
        verified
    }

    async fn status(&self, token: &str) -> u16 {
        self.verify(token).await.map_or_else(|fault| fault.status(), |_| 200)
    }

    fn pass(&self, secs: u64) {
        self.hand.advance(Duration::from_secs(secs));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_every_kind_of_key_are_verified_with_one_fetch() {
    let issuers: Vec<Issuer> = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384]
        .into_iter()
        .enumerate()
        .map(|(n, algorithm)| Issuer::new(&format!("key-{n}"), algorithm))
        .collect();
    let api = Api::that_says(200, &set(&issuers.iter().collect::<Vec<_>>())).await;
    let world = World::of_keys(&api);
    for (n, issuer) in issuers.iter().enumerate() {
        let token = issuer.sign(&bound(&format!("roll-{n}")));
        for _ in 0..3 {
            let account = world.verify(&token).await.unwrap();
            assert_eq!((account.namespace.as_str(), account.name.as_str()), ("pay", "roll"));
            assert_eq!((account.pod.clone(), account.node.as_deref()), (Some(format!("roll-{n}")), Some("node-1")));
        }
    }
    let asked = api.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].starts_with("GET /openid/v1/jwks HTTP/1.1\r\n"), "{asked:?}");
    assert!(asked[0].contains(&format!("\r\nauthorization: Bearer {}\r\n", support::SECRET)), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_token_is_refused_and_costs_no_fetch() {
    let issuer = Issuer::new("one", Algorithm::RS256);
    let (stranger, other_curve) = (Issuer::new("one", Algorithm::RS256), Issuer::new("one", Algorithm::ES256));
    let api = Api::that_says(200, &set(&[&issuer])).await;
    let world = World::of_keys(&api);
    let good = issuer.sign(&bound("roll"));
    assert_eq!(world.status(&good).await, 200);
    let claims = |claim: &str, value: Value| issuer.sign(&with(bound("roll"), claim, value));
    let (message, signature) = good.rsplit_once('.').unwrap();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = |header: Value| format!("{}.{}", part(&header), part(&bound("roll")));
    let shared = |secret: &[u8]| {
        let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &bound("roll"), &EncodingKey::from_secret(secret)).unwrap()
    };
    let modulus = URL_SAFE_NO_PAD.decode(issuer.jwk["n"].as_str().unwrap()).unwrap();
    let nameless = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &bound("roll"), &issuer.signing).unwrap();
    let moved = issuer.sign(&bound("other"));
    let padded = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::PS256) };
    let padded = jsonwebtoken::encode(&padded, &bound("roll"), &issuer.signing).unwrap();
    for (what, token, words) in [
        ("issuer", claims("iss", json!("https://other")), "it is of another issuer"),
        ("audience", claims("aud", json!(["https://kubernetes.default.svc"])), "it is for another audience"),
        ("expired", claims("exp", json!(START)), "it has expired"),
        ("not yet", claims("nbf", json!(START + 31)), "it is not valid yet"),
        ("endless", claims("exp", Value::Null), "it never ends"),
        ("legacy", claims("iss", json!("kubernetes/serviceaccount")), "it is a legacy token"),
        ("another key's", stranger.sign(&bound("roll")), "its signature is wrong"),
        ("another kind of key's", other_curve.sign(&bound("roll")), "its signature is wrong"),
        ("another algorithm's", padded, "its signature is wrong"),
        ("other claims", format!("{}.{signature}", moved.rsplit_once('.').unwrap().0), "its signature is wrong"),
        ("no signature", format!("{message}."), "its signature is wrong"),
        ("none", format!("{}.", unsigned(json!({"alg": "none", "kid": "one"}))), "its signature is wrong"),
        ("None", format!("{}.{signature}", unsigned(json!({"alg": "None", "kid": "one"}))), "its signature is wrong"),
        ("HS256 with the PEM", shared(issuer.public_pem.as_bytes()), "its signature is wrong"),
        ("HS256 with the modulus", shared(&modulus), "its signature is wrong"),
        ("HS256 with the JWK", shared(issuer.jwk.to_string().as_bytes()), "its signature is wrong"),
        (
            "crit",
            format!("{}.{signature}", unsigned(json!({"alg": "RS256", "kid": "one", "crit": ["x"]}))),
            "malformed",
        ),
        ("no kid", nameless, "it names no key"),
        ("large", format!("{good}{}", "A".repeat(16 << 10)), "it is too large"),
        ("nothing", String::new(), "it is malformed"),
        ("nonsense", "not a token".to_owned(), "it is malformed"),
    ] {
        let fault = world.verify(&token).await.unwrap_err();
        assert!(fault.kind == Kind::Unauthenticated && fault.to_string().contains(words), "{what}: {fault}");
    }
    assert_eq!(api.asked().len(), 1);
    assert_eq!(world.status(&good).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_is_looked_for_every_ten_seconds_and_no_more() {
    let (old, new, stranger) = (
        Issuer::new("old", Algorithm::ES256),
        Issuer::new("new", Algorithm::ES256),
        Issuer::new("x", Algorithm::ES256),
    );
    let api = Api::that_says(200, &set(&[&old])).await;
    let world = World::of_keys(&api);
    assert_eq!(world.status(&old.sign(&bound("a"))).await, 200);
    for n in 0..50 {
        let fault = world.verify(&stranger.sign(&bound(&n.to_string()))).await.unwrap_err();
        assert!(fault.status() == 401 && fault.to_string().contains("does not publish"), "{fault}");
    }
    assert_eq!(api.asked().len(), 1, "the first fetch alone");
    api.say(200, &set(&[&old, &new]));
    assert_eq!(world.status(&new.sign(&bound("b"))).await, 401);
    world.pass(10);
    assert_eq!(world.status(&new.sign(&bound("b"))).await, 200, "a new key works ten seconds later at most");
    for n in 0..50 {
        assert_eq!(world.status(&stranger.sign(&bound(&n.to_string()))).await, 401);
    }
    assert_eq!(api.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_at_once_shares_a_fetch_and_whoever_leaves_takes_it_not_along() {
    let issuer = Issuer::new("one", Algorithm::ES256);
    let api = Api::that_says(200, &set(&[&issuer])).await;
    let world = Arc::new(World::of_keys(&api));
    let closed = api.gate.lock().await;
    let verify = |n: usize| {
        let (world, token) = (Arc::clone(&world), issuer.sign(&bound(&n.to_string())));
        tokio::spawn(async move { world.status(&token).await })
    };
    let first = verify(0);
    while api.requests.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let others: Vec<_> = (1..50).map(verify).collect();
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    drop(closed);
    for other in others {
        assert_eq!(other.await.unwrap(), 200);
    }
    assert_eq!(api.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn known_keys_outlive_an_outage_by_a_day_and_nobody_waits_for_it() {
    let (issuer, stranger) = (Issuer::new("one", Algorithm::ES256), Issuer::new("x", Algorithm::ES256));
    let api = Api::that_says(0, &Value::Null).await;
    let world = World::of_keys(&api);
    let token = |n: u64| issuer.sign(&with(bound(&n.to_string()), "exp", json!(START + 1_000_000)));
    let fault = world.verify(&token(0)).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Unavailable, "{fault}");
    assert!(fault.to_string().contains("cannot be reached. It is the authority's turn"), "{fault}");
    assert_eq!(world.status(&token(1)).await, 503);
    assert_eq!(api.asked().len(), 1, "a failure is shared for ten seconds");
    api.say(200, &set(&[&issuer]));
    world.pass(10);
    assert_eq!(world.status(&token(0)).await, 200);
    let strange = stranger.sign(&with(bound("x"), "exp", json!(START + 1_000_000)));
    for (answer, told) in [(0, 503), (503, 503), (403, 403)] {
        api.say(answer, &json!({}));
        world.pass(3600);
        for n in 0..20 {
            assert_eq!(world.status(&token(n)).await, 200, "{answer}");
        }
        assert_eq!(world.status(&strange).await, told, "what an unknown key gets while the answer is {answer}");
    }
    let (closed, watch) = (api.gate.lock().await, Stopwatch::start());
    world.pass(86_400 - 3 * 3600 - 1);
    for n in 30..50 {
        assert_eq!(world.status(&token(n)).await, 200);
    }
    assert!(watch.elapsed() < Duration::from_secs(2), "the server hangs, and known keys do not wait for it");
    drop(closed);
    world.pass(1);
    assert_eq!(world.status(&token(51)).await, 403, "a day after the last fetch");
    api.say(200, &set(&[&issuer]));
    world.pass(10);
    assert_eq!(world.status(&token(51)).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_left_stops_within_minutes() {
    let (old, new) = (Issuer::new("old", Algorithm::ES256), Issuer::new("new", Algorithm::ES256));
    let api = Api::that_says(200, &set(&[&old, &new])).await;
    let world = World::of_keys(&api);
    let token = old.sign(&bound("a"));
    assert_eq!(world.status(&token).await, 200);
    api.say(200, &set(&[&new]));
    let mut secs = 0;
    while world.status(&token).await == 200 {
        world.pass(30);
        secs += 30;
        assert!(secs < 3600);
    }
    assert!(secs <= 600, "{secs}");
    let idle = World::of_keys(&api);
    api.say(200, &set(&[&old]));
    assert_eq!(idle.status(&token).await, 200);
    api.say(200, &set(&[&new]));
    idle.pass(600);
    assert_eq!(idle.status(&token).await, 401, "also for one that asks rarely");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_remembered_ends_with_the_token() {
    let issuer = Issuer::new("one", Algorithm::ES256);
    let api = Api::that_says(200, &set(&[&issuer])).await;
    let world = World::of_keys(&api);
    let token = issuer.sign(&with(bound("a"), "exp", json!(START + 30)));
    assert_eq!(world.status(&token).await, 200);
    world.pass(29);
    assert_eq!(world.status(&token).await, 200);
    world.pass(1);
    let fault = world.verify(&token).await.unwrap_err();
    assert!(fault.to_string().contains("it has expired. For the caller: read the token's file anew"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn legacy_tokens_are_verified_where_they_are_admitted() {
    let (issuer, stranger) = (Issuer::new("one", Algorithm::RS256), Issuer::new("one", Algorithm::RS256));
    let api = Api::that_says(200, &set(&[&issuer])).await;
    let legacy = json!({
        "iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:pay:roll",
        "kubernetes.io/serviceaccount/namespace": "pay", "kubernetes.io/serviceaccount/secret.name": "roll-token-x7k2p",
        "kubernetes.io/serviceaccount/service-account.name": "roll", "kubernetes.io/serviceaccount/service-account.uid": "s",
    });
    assert_eq!(World::of_keys(&api).status(&issuer.sign(&legacy)).await, 401);
    let world = World::with(&format!("jwks_url = '{}'\nlegacy_tokens = true", api.url));
    let account = world.verify(&issuer.sign(&legacy)).await.unwrap();
    assert_eq!((account.name.as_str(), account.pod.as_deref()), ("roll", None));
    assert_eq!(world.status(&stranger.sign(&legacy)).await, 401);
    assert!(!api.asked()[0].to_lowercase().contains("authorization"), "no token is shown where none is configured");
}

fn replace(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join("next"), text).unwrap();
    std::fs::rename(directory.join("next"), directory.join(name)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_keys_is_read_anew() {
    let (old, new) = (Issuer::new("old", Algorithm::ES256), Issuer::new("new", Algorithm::ES256));
    let directory = support::directory();
    replace(directory.path(), "jwks.json", &set(&[&old]).to_string());
    let world = World::within(directory, "jwks_file = 'jwks.json'");
    let token = |issuer: &Issuer, n: u32| issuer.sign(&bound(&n.to_string()));
    assert_eq!((world.status(&token(&old, 1)).await, world.status(&token(&new, 1)).await), (200, 401));
    replace(world.directory.path(), "jwks.json", &set(&[&new]).to_string());
    world.pass(10);
    assert_eq!((world.status(&token(&old, 2)).await, world.status(&token(&new, 1)).await), (401, 200));
    for broken in ["", "{", r#"{"keys":[]}"#] {
        replace(world.directory.path(), "jwks.json", broken);
        world.pass(10);
        assert_eq!(world.status(&token(&new, 3)).await, 200, "a broken file takes no key away");
        assert_eq!(world.status(&token(&old, 3)).await, 403, "and nobody can say what else was in it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_publishes_the_keys_is_to_be_trusted() {
    let tls = tempfile::tempdir().unwrap();
    let (_sts, announced) = support::start_sts(&["--tls-dir", tls.path().to_str().unwrap()]);
    let (authority, ca) = (announced["authority"].as_str().unwrap(), announced["ca_file"].as_str().unwrap());
    let url = format!("jwks_url = '{authority}/{}/discovery/v2.0/keys'", support::TENANT);
    let token = Issuer::new("one", Algorithm::ES256).sign(&bound("a"));
    let trusting = World::with(&format!("{url}\nca_file = '{ca}'"));
    let fault = trusting.verify(&token).await.unwrap_err();
    assert!(fault.to_string().contains("does not publish"), "the keys were fetched: {fault}");
    let fault = World::with(&url).verify(&token).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Misconfigured, "{fault}");
    assert!(fault.to_string().contains("For the operator: check the 'ca_file' of [kubernetes]"), "{fault}");
}

fn review(pod: &str) -> Value {
    let extra = json!({
        "authentication.kubernetes.io/pod-name": [pod], "authentication.kubernetes.io/node-name": ["node-1"],
    });
    let user = json!({ "username": "system:serviceaccount:pay:roll", "uid": "s", "groups": ["g"], "extra": extra });
    json!({ "kind": "TokenReview", "status": { "authenticated": true, "user": user, "audiences": ["api://bursar"] } })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_is_asked_once_in_ten_seconds() {
    let issuer = Issuer::new("nobody-looks", Algorithm::ES256);
    let api = Api::that_says(201, &review("roll-7f")).await;
    let world = World::of_reviews(&api);
    let token = issuer.sign(&bound("roll-7f"));
    for _ in 0..5 {
        let account = world.verify(&token).await.unwrap();
        assert_eq!((account.pod.as_deref(), account.node.as_deref()), (Some("roll-7f"), Some("node-1")));
    }
    let asked = api.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].starts_with("POST /apis/authentication.k8s.io/v1/tokenreviews HTTP/1.1\r\n"), "{asked:?}");
    assert!(asked[0].contains("\r\ncontent-type: application/json\r\n"), "{asked:?}");
    assert!(asked[0].contains(&format!("\r\nauthorization: Bearer {}\r\n", support::SECRET)), "{asked:?}");
    let spec: Value = serde_json::from_str(asked[0].split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(spec["spec"], json!({ "token": token, "audiences": ["api://bursar"] }));
    replace(world.directory.path(), "secret", "the-next-token\n");
    api.say(201, &json!({ "status": { "error": "pod is gone" } }));
    world.pass(9);
    assert_eq!(world.status(&token).await, 200);
    world.pass(1);
    let fault = world.verify(&token).await.unwrap_err();
    assert!(fault.status() == 401 && fault.inward() == Some("pod is gone"), "{fault:?}");
    assert!(api.asked()[0].contains("\r\nauthorization: Bearer the-next-token\r\n"), "our own token rotates");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_api_server_says_instead_is_told() {
    let issuer = Issuer::new("nobody-looks", Algorithm::ES256);
    let api = Api::that_says(201, &review("roll-7f")).await;
    let world = World::of_reviews(&api);
    let other_user = json!({ "status": { "authenticated": true, "user": { "username": "system:serviceaccount:pay:other" }, "audiences": ["api://bursar"] } });
    let unaware =
        json!({ "status": { "authenticated": true, "user": { "username": "system:serviceaccount:pay:roll" } } });
    for (n, (status, body, expected, words)) in [
        (201, json!({ "status": { "authenticated": false } }), 401, "the API server does not accept it"),
        (201, other_user, 401, "it is another's than it says"),
        (201, unaware, 401, "it is for another audience"),
        (201, json!({}), 403, "does not answer with what it should have"),
        (401, json!({}), 403, "refuses this service. For the operator: bind this service's account to the cluster role system:auth-delegator"),
        (403, json!({}), 403, "system:auth-delegator"),
        (404, json!({}), 403, "does not know of it. For the operator: check the 'api_server'"),
        (302, json!({}), 403, "redirects, which is never followed"),
        (500, json!({}), 503, "cannot serve now. It is the authority's turn"),
        (0, Value::Null, 503, "cannot be reached"),
    ]
    .into_iter()
    .enumerate()
    {
        api.say(status, &body);
        let fault = world.verify(&issuer.sign(&bound(&n.to_string()))).await.unwrap_err();
        assert!(fault.status() == expected && fault.to_string().contains(words), "{status} {body}: {fault}");
    }
    api.asked();
    for claims in [
        with(bound("a"), "aud", json!("x")),
        with(bound("a"), "exp", json!(START)),
        with(bound("a"), "iss", json!("x")),
    ] {
        assert_eq!(world.status(&issuer.sign(&claims)).await, 401);
    }
    assert_eq!(api.asked().len(), 0, "what is plainly wrong is not sent on");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_api_server_refused_is_remembered_for_ten_seconds() {
    let issuer = Issuer::new("nobody-looks", Algorithm::ES256);
    let api = Api::that_says(201, &json!({ "status": { "error": "no" } })).await;
    let world = World::of_reviews(&api);
    let token = issuer.sign(&bound("roll-7f"));
    for _ in 0..5 {
        let fault = world.verify(&token).await.unwrap_err();
        assert_eq!((fault.rule(), fault.inward()), (Some("kubernetes"), Some("no")));
    }
    assert_eq!(api.asked().len(), 1);
    api.say(201, &review("roll-7f"));
    world.pass(9);
    assert_eq!(world.status(&token).await, 401);
    world.pass(1);
    assert_eq!(world.status(&token).await, 200);
    api.say(500, &json!({}));
    world.pass(10);
    assert_eq!(world.status(&token).await, 503);
    api.say(201, &review("roll-7f"));
    assert_eq!(world.status(&token).await, 200, "that nobody can say is not remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_is_asked_for_sixteen_tokens_at_once_and_the_others_wait_their_time() {
    let issuer = Issuer::new("nobody-looks", Algorithm::ES256);
    let api = Api::that_says(201, &json!({ "status": { "error": "no" } })).await;
    let world = Arc::new(World::of_reviews(&api));
    let closed = api.gate.lock().await;
    let forged: Vec<_> = (0..60)
        .map(|n| {
            let (world, token) = (Arc::clone(&world), issuer.sign(&bound(&n.to_string())));
            tokio::spawn(async move { world.verify(&token).await.unwrap_err() })
        })
        .collect();
    let watch = Stopwatch::start();
    for one in forged {
        let fault = one.await.unwrap();
        assert_eq!(fault.status(), 503, "{fault}");
    }
    assert!(watch.elapsed() < Duration::from_secs(11), "{:?}", watch.elapsed());
    // Those whose turn came when the first gave up were asked for too, before their own time was over.
    assert!(api.asked().len() <= 32, "of sixty that came at once");
    drop(closed);
    assert_eq!(world.status(&issuer.sign(&bound("later"))).await, 401, "each turn was given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_takes_no_review_along() {
    let issuer = Issuer::new("nobody-looks", Algorithm::ES256);
    let api = Api::that_says(201, &review("roll-7f")).await;
    let world = Arc::new(World::of_reviews(&api));
    let token = issuer.sign(&bound("roll-7f"));
    let closed = api.gate.lock().await;
    let verify = || {
        let (world, token) = (Arc::clone(&world), token.clone());
        tokio::spawn(async move { world.status(&token).await })
    };
    let first = verify();
    let watch = Stopwatch::start();
    while api.requests.lock().unwrap().is_empty() && watch.elapsed() < Duration::from_secs(5) {
        tokio::task::yield_now().await;
    }
    let second = verify();
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    drop(closed);
    assert_eq!(second.await.unwrap(), 200);
    assert_eq!(api.asked().len(), 1);
}
