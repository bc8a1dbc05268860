//! What a caller meets at a token listener: guards, selectors, tolerances, statuses.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use bursar::clock::Stopwatch;
use serde_json::{Value, json};
use support::{APP, APP_OBJECT, HEADER, NATIVE, OTHER_APP, OTHER_TENANT, TENANT, TWO_IDENTITIES, World, on_token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const IMDS: &str = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net";
const APP_SERVICE: &str = "/msi/token?api-version=2019-08-01&resource=https://vault.azure.net";

/// Sends bytes as they are and reads the answer to its end.
async fn raw(world: &World, request: &str) -> String {
    let mut socket = tokio::net::TcpStream::connect(world.server.token_addresses()[0]).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

fn claims(token: &str) -> Value {
    use base64::Engine;
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_dialect_pays_out_the_same_token() {
    let world = World::start().await;
    let native = world.ask(NATIVE).await;
    let imds = world.ask(IMDS).await;
    let app_service = world.http.get(format!("{}{APP_SERVICE}", world.tokens())).header("X-Identity-Header", HEADER);
    let app_service = world.send(app_service).await;
    assert_eq!(native.token(), imds.token());
    assert_eq!(native.token(), app_service.token());
    for reply in [native, imds, app_service] {
        assert_eq!(reply.headers["cache-control"], "no-store");
        assert_eq!(reply.headers["content-type"], "application/json; charset=utf-8");
        assert!(reply.body.as_object().unwrap().values().all(Value::is_string), "{reply:?}");
        assert_eq!(claims(reply.token())["appid"], APP);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn selectors_lead_to_their_identity_and_unknown_ones_nowhere() {
    let world = World::start().await;
    for (query, app, tenant) in [
        ("", APP, TENANT),
        (&format!("&client_id={}", OTHER_APP.to_uppercase()), OTHER_APP, TENANT),
        (&format!("&object_id={APP_OBJECT}"), APP, TENANT),
        ("&mi_res_id=/subscriptions/S/First", APP, TENANT),
        ("&identity=second", OTHER_APP, TENANT),
        ("&tenant=two", APP, OTHER_TENANT),
        (&format!("&tenant={OTHER_TENANT}&identity=first"), APP, OTHER_TENANT),
    ] {
        let reply = world.ask(&format!("{NATIVE}{query}")).await;
        let claims = claims(reply.token());
        assert_eq!((claims["appid"].as_str(), claims["tid"].as_str()), (Some(app), Some(tenant)), "{query}");
    }
    for query in ["&client_id=nobody", "&object_id=nobody", "&identity=nobody", "&tenant=elsewhere.com"] {
        let reply = world.ask(&format!("{NATIVE}{query}")).await;
        assert_eq!((reply.status, reply.body["error"].as_str()), (400, Some("invalid_request")), "{query}");
    }
    assert!(world.ask(&format!("{IMDS}&client_id=nobody")).await.description().contains("Identity not found"));
    assert_eq!(world.ask("/token?resource=https://graph.microsoft.com&identity=second").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_metadata_header_is_told_at_once_even_while_the_authority_hangs() {
    let world = World::start().await;
    world.break_sts(json!([{ "delay_ms": 5000 }])).await;
    let hanging = tokio::spawn(world.http.get(format!("{}{NATIVE}", world.tokens())).header("metadata", "true").send());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let watch = Stopwatch::start();
    for target in [NATIVE, IMDS, "/metadata/identity/oauth2/token"] {
        let reply = world.send(world.http.get(format!("{}{target}", world.tokens()))).await;
        assert_eq!(reply.status, 400);
        assert!(reply.description().contains("metadata"), "{reply:?}");
    }
    assert!(watch.elapsed() < Duration::from_secs(1), "told after {:?}", watch.elapsed());
    assert_eq!(hanging.await.unwrap().unwrap().status(), 503, "the flight ends by its own deadline");
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarded_requests_and_foreign_hosts_are_refused() {
    let world = World::start().await;
    let with = |name: &'static str, value: &'static str| {
        let request = world.http.get(format!("{}{NATIVE}", world.tokens())).header("Metadata", "TRUE");
        world.send(request.header(name, value))
    };
    assert_eq!(with("x-forwarded-for", "10.0.0.1").await.status, 403);
    assert_eq!(with("host", "evil.com").await.status, 400);
    assert_eq!(with("host", "localhost:4141").await.status, 200);
    assert_eq!(with("host", "169.254.169.254").await.status, 200);
    let admin = world.http.get(format!("{}/metrics", world.admin())).header("host", "evil.com");
    assert_eq!(world.send(admin).await.status, 400);
    for request in [
        "GET /token?resource=r HTTP/1.0\r\nMetadata: true\r\n\r\n",
        "GET http://evil.com/token?resource=r HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\nConnection: close\r\n\r\n",
    ] {
        assert!(raw(&world, request).await.contains(" 400 Bad Request"), "{request}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_secret_is_all_or_nothing() {
    let world = World::start().await;
    for (shown, status) in
        [(None, 401), (Some(""), 401), (Some("the-header-secre"), 401), (Some("wrong"), 401), (Some(HEADER), 200)]
    {
        let mut request = world.http.get(format!("{}{APP_SERVICE}", world.tokens())).header("Metadata", "true");
        if let Some(shown) = shown {
            request = request.header("X-IDENTITY-HEADER", shown);
        }
        let reply = world.send(request).await;
        assert_eq!(reply.status, status, "{shown:?}");
        if status == 401 {
            assert_eq!(reply.body["statusCode"], 401);
            assert!(reply.body["correlationId"].is_string() && reply.body["message"].is_string());
            assert!(!reply.body.to_string().contains("the-header-secre"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods_come_before_the_guard() {
    let world = World::start().await;
    let get = |target: &str| world.send(world.http.get(format!("{}{target}", world.tokens())));
    for target in
        ["/", "/metadata/identity/getplatformmetadata?cred-api-version=2.0", "/metadata/attested/document", "/Token"]
    {
        let reply = get(target).await;
        assert_eq!((reply.status, reply.body["error"].as_str()), (404, Some("not_found")), "{target}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"] {
        let method: reqwest::Method = method.parse().unwrap();
        let reply = world.send(world.http.request(method.clone(), format!("{}{NATIVE}", world.tokens()))).await;
        assert_eq!((reply.status, reply.headers["allow"].to_str().unwrap()), (405, "GET"), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_do_to_targets_is_tolerated() {
    let world = World::start().await;
    for target in [
        "/metadata/identity/oauth2/token/?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net",
        "//metadata/identity/oauth2/token?api-version=2019-08-01&resource=https://vault.azure.net&unknown=1",
        "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2019-08-01&resource=https://vault.azure.net",
    ] {
        let host = if target.starts_with("http:") { "169.254.169.254" } else { "127.0.0.1" };
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nmetadata: true\r\nConnection: close\r\n\r\n");
        assert!(raw(&world, &request).await.starts_with("HTTP/1.1 200 OK"), "{target}");
    }
    let form = "GET /token?resource=r HTTP/1.1\r\nHost: 127.0.0.1\r\nMetadata: true\r\nContent-Type: application/x-www-form-urlencoded;charset=utf-8\r\nConnection: close\r\n\r\n";
    assert!(raw(&world, form).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_its_id_from_answer_to_authority() {
    let world = World::start().await;
    let id = "5d1b3ad0-2f5c-4b0e-8a4e-6ae1c8a8e0a1";
    let with = |id: &str| {
        let request = world.http.get(format!("{}{NATIVE}", world.tokens())).header("Metadata", "true");
        world.send(request.header("x-ms-client-request-id", id))
    };
    assert_eq!(with(id).await.headers["x-ms-request-id"], id);
    let journal = support::exchanges(&world.http, world.sts.url()).await;
    assert_eq!(journal[0]["headers"]["client-request-id"], id);
    assert_ne!(with("not a guid").await.headers["x-ms-request-id"], "not a guid");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_listener_tells_health_and_metrics() {
    let world = World::start().await;
    world.break_sts(on_token(json!({ "status": 500, "times": 2 }))).await;
    assert_eq!(world.ask(NATIVE).await.status, 503);
    world.hand.advance(Duration::from_secs(2));
    world.ask(NATIVE).await.token();
    let get = |target: &'static str| world.send(world.http.get(format!("{}{target}", world.admin())));
    assert_eq!(get("/healthz").await.body, json!({ "status": "alive" }));
    let second = json!({ "name": "second", "state": "idle", "tokens": 0 });
    let identities = [json!({ "name": "first", "state": "ready", "tokens": 1 }), second];
    let ready = json!({ "status": "ready", "tokens": 1, "cover_seconds": 3600, "identities": identities });
    assert_eq!(get("/readyz").await.body, ready);
    assert_eq!(get("/nowhere").await.status, 404);
    let metrics = get("/metrics").await;
    assert_eq!(metrics.headers["cache-control"], "no-store");
    for line in [
        r#"bursar_requests_total{dialect="native",outcome="ok"} 1"#,
        r#"bursar_requests_total{dialect="native",outcome="service_unavailable"} 1"#,
        r#"bursar_exchanges_total{identity="first",outcome="service_unavailable"} 2"#,
        r#"bursar_exchanges_total{identity="first",outcome="ok"} 1"#,
        "bursar_tokens 1",
    ] {
        assert!(metrics.body.as_str().unwrap().contains(line), "{line} is missing in {}", metrics.body);
    }
}

/// A service of the dialect that takes forms.
async fn posting() -> World {
    World::with(&TWO_IDENTITIES.replace("workers = 2", "dialects = [\"cloud-shell\"]")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_16_kib_is_read_and_no_longer_one() {
    let world = posting().await;
    let form = |length: usize| {
        let start = "resource=r&x=";
        format!("{start}{}", "y".repeat(length - start.len()))
    };
    for (length, status) in [(16 << 10, 200), ((16 << 10) + 1, 400)] {
        let body = form(length);
        assert_eq!(body.len(), length);
        let request = world.http.post(format!("{}/oauth2/token", world.tokens())).header("Metadata", "true");
        let reply = world.send(request.body(body)).await;
        assert_eq!(reply.status, status, "{length}: {reply:?}");
        assert!(status == 200 || reply.body["error"]["message"].as_str().unwrap().contains("too large"), "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let world = posting().await;
    let mut socket = tokio::net::TcpStream::connect(world.server.token_addresses()[0]).await.unwrap();
    let head =
        "POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\nContent-Length: 100\r\n\r\nresource=r";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 512];
    let read = tokio::time::timeout(Duration::from_secs(8), socket.read(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("the body does not come"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_body_is_waited_for_before_the_guard_is_content() {
    let world = posting().await;
    for (header, status, told) in
        [("X-A: b", 400, "Required metadata header"), ("Metadata: true\r\nVia: 1.1 x", 403, "was forwarded")]
    {
        let mut socket = tokio::net::TcpStream::connect(world.server.token_addresses()[0]).await.unwrap();
        let head = format!(
            "POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\n{header}\r\nContent-Length: 100\r\n\r\nresource=r"
        );
        let watch = Stopwatch::start();
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 1024];
        let read = tokio::time::timeout(Duration::from_secs(8), socket.read(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(told), "{answer}");
        assert!(watch.elapsed() < Duration::from_secs(3), "told after {:?}", watch.elapsed());
    }
}
