//! Callers that are told apart: each gets what is its own, by the proof that is its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bursar::clock::Stopwatch;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use support::{APP, NATIVE, OTHER_APP, Reply, TWO_IDENTITIES, World};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const CALLERS: &str = r#"
[callers.billing]
proof = { kind = "header-secret", secrets = [{ file = "billing" }, { file = "billing-next" }] }
identities = ["first"]
resources = ["*"]
[callers.shop]
proof = { kind = "header-secret", file = "shop" }
identities = ["second"]
resources = ["*"]
"#;

const APP_SERVICE: &str = "/msi/token?api-version=2019-08-01&resource=https://vault.azure.net";

async fn world() -> World {
    let directory = support::directory();
    for name in ["billing", "billing-next", "shop"] {
        std::fs::write(directory.path().join(name), format!("secret-of-{name}")).unwrap();
    }
    let config = TWO_IDENTITIES.replacen("header_secret = [{ file = \"header\" }]\n", "", 1);
    World::within(directory, &format!("{config}{CALLERS}")).await
}

async fn ask(world: &World, secret: &str, target: &str) -> Reply {
    let request = world.http.get(format!("{}{target}", world.tokens()));
    world.send(request.header("X-IDENTITY-HEADER", secret)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_caller_gets_its_own_identity_without_a_selector_and_nobody_elses() {
    let world = world().await;
    for (secret, own, other) in [("secret-of-billing", APP, OTHER_APP), ("secret-of-shop", OTHER_APP, APP)] {
        let reply = ask(&world, secret, APP_SERVICE).await;
        assert_eq!(reply.body["client_id"], own, "{reply:?}");
        ask(&world, secret, &format!("{APP_SERVICE}&client_id={own}")).await.token();
        let refused = ask(&world, secret, &format!("{APP_SERVICE}&client_id={other}")).await;
        assert_eq!(refused.status, 403, "{refused:?}");
        let unknown =
            ask(&world, secret, &format!("{APP_SERVICE}&client_id=00000000-0000-4000-8000-000000000000")).await;
        assert_eq!(
            (unknown.status, &unknown.body["message"]),
            (403, &refused.body["message"]),
            "nobody can tell which"
        );
    }
    assert_eq!(ask(&world, "secret-of-nobody", APP_SERVICE).await.status, 401);
    assert_eq!(world.ask(NATIVE).await.status, 401, "Metadata: true proves nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_the_machine_are_for_callers_alone() {
    let world = world().await;
    for (page, needs) in
        [("versions", ""), ("instance", "?api-version=2021-02-01"), ("identity/info", "?api-version=2021-02-01")]
    {
        let target = format!("{}/metadata/{page}{needs}", world.tokens());
        let bare = || world.http.get(&target).header("Metadata", "true");
        let unknown = world.send(bare()).await;
        assert!(unknown.status == 401 && unknown.body["error"].is_string(), "{page}: {unknown:?}");
        assert_eq!(world.send(bare().header("X-IDENTITY-HEADER", "wrong")).await.status, 401, "{page}");
        assert_eq!(world.send(bare().header("X-IDENTITY-HEADER", "secret-of-shop")).await.status, 200, "{page}");
        assert_eq!(world.send(world.http.get(&target)).await.status, 400, "the guard comes first: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_rotated_without_a_restart() {
    let world = world().await;
    ask(&world, "secret-of-billing-next", APP_SERVICE).await.token();
    std::fs::write(world.directory.path().join("billing"), "renewed").unwrap();
    let watch = Stopwatch::start();
    while ask(&world, "renewed", APP_SERVICE).await.status != 200 {
        assert!(watch.elapsed() < Duration::from_secs(5), "a new secret is noticed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ask(&world, "secret-of-billing", APP_SERVICE).await.status, 401, "the old one is none any more");
    ask(&world, "secret-of-billing-next", APP_SERVICE).await.token();
    ask(&world, "secret-of-shop", APP_SERVICE).await.token();
    // What cannot be a secret, or is another's, changes nothing.
    for wrong in ["", "renewed"] {
        std::fs::write(world.directory.path().join("shop"), wrong).unwrap();
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(ask(&world, "secret-of-shop", APP_SERVICE).await.body["client_id"], OTHER_APP, "{wrong:?}");
        assert_eq!(ask(&world, "renewed", APP_SERVICE).await.body["client_id"], APP, "{wrong:?}");
    }
}

const ACCOUNTS: &str = r#"
[kubernetes]
issuer = "https://cluster"
audience = ["api://bursar"]
jwks_file = "jwks.json"
[callers.billing]
proof = { kind = "service-account", namespace = "shop", service_account = "billing" }
identities = ["second"]
resources = ["*"]
[callers.here]
proof = { kind = "loopback" }
identities = ["first"]
resources = ["*"]
"#;

/// A service that knows a service account, and whoever is on this machine; and the key of the cluster.
async fn cluster() -> (World, EncodingKey) {
    let directory = support::directory();
    let pair = rcgen::KeyPair::generate().unwrap();
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap()).unwrap();
    jwk["kid"] = json!("k");
    std::fs::write(directory.path().join("jwks.json"), json!({ "keys": [jwk] }).to_string()).unwrap();
    let config = TWO_IDENTITIES.replacen("header_secret = [{ file = \"header\" }]\n", "", 1);
    (World::within(directory, &format!("{config}{ACCOUNTS}")).await, key)
}

fn claims(account: &str) -> Value {
    json!({
        "iss": "https://cluster", "aud": ["api://bursar"], "iat": 1_800_000_000, "nbf": 1_800_000_000,
        "exp": 1_800_003_600, "sub": format!("system:serviceaccount:shop:{account}"),
        "kubernetes.io": { "namespace": "shop", "serviceaccount": { "name": account, "uid": "u" } },
    })
}

fn signed(key: &EncodingKey, claims: &Value) -> String {
    let header = Header { kid: Some("k".to_owned()), ..Header::new(Algorithm::ES256) };
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_is_known_by_its_token_wherever_it_shows_it() {
    let (world, key) = cluster().await;
    let token = signed(&key, &claims("billing"));
    assert_eq!(ask(&world, &token, APP_SERVICE).await.body["client_id"], OTHER_APP);
    let bare = || world.http.get(format!("{}{NATIVE}", world.tokens())).header("Metadata", "true");
    let bearer = world.send(bare().bearer_auth(&token)).await;
    assert_eq!(bearer.body["client_id"], OTHER_APP, "{bearer:?}");
    let lower = world.send(bare().header("Authorization", format!("bearer {token}"))).await;
    assert_eq!(lower.body["client_id"], OTHER_APP);
    assert_eq!(world.send(bare()).await.body["client_id"], APP, "whoever shows nothing is from here");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_connection_showed_before_lets_nobody_else_in() {
    let (world, key) = cluster().await;
    let good = signed(&key, &claims("billing"));
    let wrong = [good.replacen('.', ".A", 1), signed(&key, &claims("shipping")), good[..good.len() - 1].to_owned()];
    let mut connection = BufReader::new(TcpStream::connect(world.server.token_addresses()[0]).await.unwrap());
    let mut ask = async |token: &str| {
        let head = format!(
            "GET {NATIVE} HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        status_of_whole_answer(&mut connection).await
    };
    for wrong in wrong {
        assert_eq!(ask(&good).await, 200);
        assert_eq!(ask(&good).await, 200, "it is remembered");
        assert_eq!(ask(&wrong).await, 401, "{wrong}");
    }
    assert_eq!(ask(&good).await, 200);
    world.hand.advance(Duration::from_secs(3600));
    assert_eq!(ask(&good).await, 401, "it has ended");
}

/// Reads an answer to its end, so that the connection can be used again.
async fn status_of_whole_answer(connection: &mut BufReader<TcpStream>) -> u16 {
    let (mut status, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).await.unwrap();
        match line.trim_end().split_once([' ', ':']) {
            Some(("HTTP/1.1", rest)) => status = rest[..3].parse().unwrap(),
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().unwrap();
            }
            Some(_) => {}
            None => break,
        }
    }
    connection.read_exact(&mut vec![0; length]).await.unwrap();
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn another_scheme_is_no_way_around_a_proof_and_means_nothing_where_none_is_asked_for() {
    let (world, key) = cluster().await;
    let open = World::start().await;
    let token = signed(&key, &claims("billing"));
    for shown in [format!("Bearer\t{token}"), format!("Token {token}"), token, "Basic YTpi".to_owned(), "x".to_owned()]
    {
        for (world, status) in [(&world, 401), (&open, 200)] {
            let request = world.http.get(format!("{}{NATIVE}", world.tokens())).header("Metadata", "true");
            let reply = world.send(request.header("Authorization", &shown)).await;
            assert_eq!(reply.status, status, "{shown}: {reply:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_nobody_although_everybody_here_is_somebody() {
    let (world, key) = cluster().await;
    let good = signed(&key, &claims("billing"));
    let other = EncodingKey::from_ec_pem(rcgen::KeyPair::generate().unwrap().serialize_pem().as_bytes()).unwrap();
    let with = |claim: &str, value: Value| {
        let mut claims = claims("billing");
        claims[claim] = value;
        signed(&key, &claims)
    };
    let none = |token: &str| {
        let head = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"k"}"#);
        format!("{head}.{}.", token.split('.').nth(1).unwrap())
    };
    for (name, token) in [
        ("another key", signed(&other, &claims("billing"))),
        ("another account", signed(&key, &claims("shipping"))),
        ("another issuer", with("iss", json!("https://other"))),
        ("another audience", with("aud", json!(["https://kubernetes.default.svc"]))),
        ("ended", with("exp", json!(1_799_999_999))),
        ("not yet", with("nbf", json!(1_800_000_600))),
        ("unsigned", none(&good)),
        ("cut", good[..good.len() - 4].to_owned()),
        ("no token", "a.b.c".to_owned()),
        ("nothing", String::new()),
    ] {
        let request = world.http.get(format!("{}{NATIVE}", world.tokens())).header("Metadata", "true");
        let reply = world.send(request.header("Authorization", format!("Bearer {token}"))).await;
        assert_eq!(reply.status, 401, "{name}: {reply:?}");
        assert!(token.is_empty() || !reply.body.to_string().contains(&token), "{name}: {reply:?}");
        assert_eq!(ask(&world, &token, APP_SERVICE).await.status, 401, "{name}");
    }
    let huge = format!("{good}{}", "A".repeat(40_000));
    let request = world.http.get(format!("{}{NATIVE}", world.tokens())).header("Metadata", "true");
    let refused = request.bearer_auth(huge).send().await.map_or(400, |answer| answer.status().as_u16());
    assert!((400..500).contains(&refused), "{refused}");
}
