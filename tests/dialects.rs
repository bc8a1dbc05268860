//! Each contract of managed identity over a real socket, beyond what the pure tests can see.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use support::{APP, HEADER, Reply, TWO_IDENTITIES, World};

const VAULT: &str = "resource=https%3A%2F%2Fvault.azure.net";
const ALL: &str =
    r#"dialects = ["native", "imds", "app-service", "app-service-2017", "cloud-shell", "arc", "service-fabric"]"#;

/// A service that speaks every dialect, also over TLS.
async fn world() -> World {
    let directory = support::directory();
    std::fs::create_dir(directory.path().join("keys")).unwrap();
    let listen = "listen = [\"127.0.0.1:0\"]\n";
    assert!(TWO_IDENTITIES.contains(listen));
    let all = format!("listen = [\"127.0.0.1:0\", \"https://127.0.0.1:0\"]\n{ALL}\n");
    let config = TWO_IDENTITIES.replacen(listen, &all, 1).replacen(
        "[tenants.one]",
        "[dialects.arc]\nkey_dir = \"keys\"\n\n[tenants.one]",
        1,
    );
    World::within(directory, &config).await
}

async fn get(world: &World, target: &str, headers: &[(&str, &str)]) -> Reply {
    let request = world.http.get(format!("{}{target}", world.tokens()));
    world.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

async fn post(world: &World, target: &str, body: &'static str) -> Reply {
    let url = format!("{}{target}", world.tokens());
    world.send(world.http.post(url).header("Metadata", "true").body(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_generations_of_app_service_share_a_path() {
    let world = world().await;
    let old = format!("/msi/token?api-version=2017-09-01&{VAULT}");
    get(&world, &format!("{old}&clientid={}", APP.to_uppercase()), &[("secret", HEADER)]).await.token();
    get(&world, &format!("/msi/token?api-version=2019-08-01&{VAULT}"), &[("x-identity-header", HEADER)]).await.token();
    for (target, header) in
        [(old.as_str(), "x-identity-header"), ("/msi/token?api-version=2019-08-01&resource=r", "secret")]
    {
        assert_eq!(get(&world, target, &[(header, HEADER)]).await.status, 401, "the other one's header: {target}");
    }
    let reply = get(&world, &format!("{old}&clientid=nobody"), &[("secret", HEADER)]).await;
    assert_eq!(reply.status, 400);
    for field in ["error", "error_description", "message", "Message", "CorrelationId"] {
        assert!(reply.body[field].is_string(), "{field} in {reply:?}");
    }
    assert_eq!(reply.body["StatusCode"], 400);
    let reply = get(&world, "/msi/token?resource=r", &[("x-identity-header", HEADER)]).await;
    assert!(reply.description().contains("api-version=2019-08-01"), "the newer one is recommended: {reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cloud_shell_takes_a_form_or_a_query() {
    let world = world().await;
    for (target, body) in [
        ("/oauth2/token", "resource=https%3A%2F%2Fvault.azure.net"),
        ("/oauth2/token?resource=https://vault.azure.net", ""),
        ("/metadata/identity/oauth2/token", "resource=r&client_id=b0b00000-0000-4000-8000-000000000002"),
        ("/metadata/identity/oauth2/token?api-version=2018-02-01", "resource=r"),
    ] {
        let reply = post(&world, target, body).await;
        assert!(reply.body["resource"].is_string() && !reply.token().is_empty(), "{target}");
    }
    let reply = post(&world, "/oauth2/token", "resource=r&client_id=nobody").await;
    assert_eq!((reply.status, &reply.body["error"]["code"]), (400, &Value::from("ManagedIdentityNotFound")));
    assert!(reply.body["error"]["message"].as_str().unwrap().contains("Identity not found"), "{reply:?}");

    let large = Box::leak(format!("resource=r&x={}", "y".repeat(17 << 10)).into_boxed_str());
    let reply = post(&world, "/oauth2/token", large).await;
    assert!(reply.status == 400 && reply.body["error"]["message"].as_str().unwrap().contains("too large"), "{reply:?}");
    let java = format!("/oauth2/token?{VAULT}");
    get(&world, &java, &[("Metadata", "true"), ("ContentType", "application/x-www-form-urlencoded")]).await.token();
    let reply =
        get(&world, "/metadata/identity/oauth2/token?api-version=2017-01-01&resource=r", &[("Metadata", "true")]).await;
    assert_eq!(reply.status, 400, "a GET there is for IMDS: {reply:?}");
    let request = world.http.delete(format!("{}/metadata/identity/oauth2/token", world.tokens()));
    let reply = world.send(request).await;
    assert_eq!((reply.status, reply.headers["allow"].to_str().unwrap()), (405, "GET, POST"));
}

#[tokio::test(flavor = "multi_thread")]
async fn arc_challenges_with_a_file_that_serves_once() {
    let world = world().await;
    let target = format!("/arc/token?api-version=2020-06-01&{VAULT}&client_id={APP}");
    let ask = async |headers: &[(&str, &str)]| get(&world, &target, headers).await;
    let challenge = |reply: &Reply| {
        let header = reply.headers["www-authenticate"].to_str().unwrap().to_owned();
        assert_eq!((reply.status, header.matches('=').count()), (401, 1), "{header}");
        header.strip_prefix("Basic realm=").unwrap().to_owned()
    };
    assert_eq!(ask(&[]).await.status, 400, "Metadata: true comes first");
    let path = challenge(&ask(&[("Metadata", "true")]).await);
    assert!(path.ends_with(".key"), "{path}");
    let key = format!("Basic {}", std::fs::read_to_string(&path).unwrap());
    let reply = ask(&[("Metadata", "true"), ("Authorization", "Basic wrong")]).await;
    assert!(reply.status == 401 && reply.headers.get("www-authenticate").is_none(), "no second chance: {reply:?}");
    world.break_sts(support::on_token(serde_json::json!({ "status": 503, "times": 2 }))).await;
    let reply = ask(&[("Metadata", "true"), ("Authorization", &key)]).await;
    assert_eq!(reply.status, 503, "clients repeat it with the same key: {reply:?}");
    world.hand.advance(Duration::from_secs(5));
    let reply = ask(&[("Metadata", "true"), ("Authorization", &key)]).await;
    assert_eq!((reply.token().is_empty(), reply.body["client_id"].as_str()), (false, Some(APP)));
    assert_eq!(ask(&[("Metadata", "true"), ("Authorization", &key)]).await.status, 401);
    assert!(!std::path::Path::new(&path).exists());

    let late = challenge(&ask(&[("Metadata", "true")]).await);
    let key = format!("Basic {}", std::fs::read_to_string(&late).unwrap());
    world.hand.advance(Duration::from_mins(1));
    assert_eq!(ask(&[("Metadata", "true"), ("Authorization", &key)]).await.status, 401, "a minute is over");
    let first = challenge(&ask(&[("Metadata", "true")]).await);
    for _ in 0..16 {
        challenge(&ask(&[("Metadata", "true")]).await);
    }
    assert!(!std::path::Path::new(&first).exists(), "the oldest gives way to a seventeenth");
    assert_eq!(std::fs::read_dir(world.directory.path().join("keys")).unwrap().count(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn service_fabric_is_served_over_tls_alone() {
    let world = world().await;
    let listens = world.server.listens();
    let tls = listens.iter().find(|listen| listen.is_tls()).unwrap();
    let http = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).build().unwrap();
    let target = format!("/fabric/token?api-version=2019-07-01-preview&{VAULT}");
    let url = format!("{tls}{target}");
    let reply = world.send(http.get(&url).header("Secret", HEADER)).await;
    assert_eq!(reply.body["token_type"], "Bearer");
    reply.token();
    let reply = world.send(http.get(&url).header("Secret", "wrong")).await;
    assert_eq!((reply.status, &reply.body["error"]["code"]), (401, &Value::from("SecretHeaderNotFound")));
    assert_eq!(get(&world, &target, &[("Secret", HEADER)]).await.status, StatusCode::NOT_FOUND);
    // The others are served there too.
    world.send(http.get(format!("{tls}/token?{VAULT}")).header("Metadata", "true")).await.token();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_usual_ones_are_served_unasked() {
    let world = World::start().await;
    for target in ["/arc/token", "/fabric/token", "/oauth2/token"] {
        assert_eq!(world.ask(target).await.status, 404, "{target}");
    }
    let old = get(&world, &format!("/msi/token?api-version=2017-09-01&{VAULT}"), &[("secret", HEADER)]).await;
    assert!(old.status == 400 && old.description().contains("api-version=2019-08-01"), "{old:?}");
}

#[test]
fn what_a_dialect_needs_has_to_be_there() {
    let directory = support::directory();
    for (dialect, told) in [
        ("arc", "dialects.arc.key_dir: the directory of the key files is not there"),
        ("service-fabric", "server.listen: service-fabric is served over https alone"),
    ] {
        let listed = format!("[server]\ndialects = [\"{dialect}\"]");
        let missing = "[dialects.arc]\nkey_dir = \"nowhere\"\n\n[tenants.one]";
        let text = TWO_IDENTITIES.replacen("[server]", &listed, 1).replacen("[tenants.one]", missing, 1);
        let path = support::write_config(directory.path(), &text, "http://127.0.0.1:1");
        let output = support::bursar().args(["check", "--config"]).arg(path).output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.code() == Some(64) && shown.contains(told), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_not_waited_for() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = world().await;
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
async fn both_loopbacks_can_be_listened_on_and_methods_are_told() {
    let both = "listen = [\"127.0.0.1:0\", \"[::1]:0\"]";
    let world = World::with(&TWO_IDENTITIES.replacen("listen = [\"127.0.0.1:0\"]", both, 1)).await;
    for address in world.server.token_addresses() {
        let url = format!("http://{address}/token?{VAULT}");
        world.send(world.http.get(&url).header("Metadata", "true")).await.token();
        let options = world.send(world.http.request(reqwest::Method::OPTIONS, &url)).await;
        assert_eq!((options.status, options.headers["allow"].to_str().unwrap()), (405, "GET"));
        let head = world.send(world.http.head(&url).header("Metadata", "true")).await;
        assert_eq!(head.status, 405);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn arc_leaves_room_for_others_while_asks_fail() {
    let world = world().await;
    let ask = async |client_id: &str| {
        let target = format!("/arc/token?api-version=2020-06-01&{VAULT}&client_id={client_id}");
        let challenged = get(&world, &target, &[("Metadata", "true")]).await;
        let path = challenged.headers["www-authenticate"].to_str().unwrap().strip_prefix("Basic realm=").unwrap();
        let key = format!("Basic {}", std::fs::read_to_string(path).unwrap());
        get(&world, &target, &[("Metadata", "true"), ("Authorization", &key)]).await
    };
    for _ in 0..20 {
        assert_eq!(ask("nobody").await.status, 400);
    }
    world.break_sts(support::on_token(serde_json::json!({ "status": 503 }))).await;
    for _ in 0..20 {
        assert_eq!(ask(APP).await.status, 503);
    }
    world.mend_sts().await;
    world.hand.advance(Duration::from_secs(5));
    ask(APP).await.token();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_is_no_refusal_in_the_metrics() {
    let world = world().await;
    let target = format!("/arc/token?api-version=2020-06-01&{VAULT}");
    assert_eq!(get(&world, &target, &[("Metadata", "true")]).await.status, 401);
    let page = world.http.get(format!("{}/metrics", world.admin())).send().await.unwrap().text().await.unwrap();
    assert!(page.contains(r#"bursar_requests_total{dialect="arc",outcome="challenged"} 1"#), "{page}");
    std::fs::remove_dir_all(world.directory.path().join("keys")).unwrap();
    let reply = get(&world, &target, &[("Metadata", "true")]).await;
    assert!(reply.status == 403 && reply.description().contains("no key file can be written"), "{reply:?}");
}
