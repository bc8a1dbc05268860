//! Each contract of managed identity over a real socket, beyond what the pure tests can see.

mod support;

use std::time::Duration;

use bursar::dialect::table::DIALECTS;
use reqwest::StatusCode;
use serde_json::Value;
use support::ways::{VAULT, ask, at, ways, world};
use support::{APP, APP_OBJECT, HEADER, OTHER_APP, Reply, TWO_IDENTITIES, World};

async fn get(world: &World, target: &str, headers: &[(&str, &str)]) -> Reply {
    let request = world.http.get(format!("{}{target}", world.tokens()));
    world.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

async fn post(world: &World, target: &str, body: &'static str) -> Reply {
    let url = format!("{}{target}", world.tokens());
    world.send(world.http.post(url).header("Metadata", "true").body(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_dialect_pays_out_by_any_selector_and_refuses_two() {
    let world = world().await;
    for (row, path, method) in ways() {
        let asked = format!("{} {} {path}", row.name, method.as_str());
        for (parameters, client_id) in [
            ("authority=x&bypass_cache=true&xms_cc=cp1&foo=b&resourceGroup=rg&id=7", APP),
            (&format!("client_id={OTHER_APP}"), OTHER_APP),
            (&format!("objectid={APP_OBJECT}"), APP),
            ("mi_res_id=/subscriptions/s/FIRST", APP),
        ] {
            let reply = ask(&world, row, path, method, parameters).await;
            assert!(!reply.token().is_empty(), "{asked} {parameters}");
            assert_eq!(reply.body["client_id"], client_id, "{asked} {parameters}");
        }
        let nobody = ask(&world, row, path, method, "objectid=nobody").await;
        assert!(nobody.status == 400 && nobody.body.to_string().contains("Identity not found"), "{asked} {nobody:?}");
        let two = ask(&world, row, path, method, &format!("client_id={APP}&object_id={APP_OBJECT}")).await;
        assert_eq!(two.status, 400, "{asked} {two:?}");
        assert!(two.body.to_string().contains("in two different ways"), "{asked} {two:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_points_nearly_at_an_identity_is_never_the_default_one() {
    let world = world().await;
    for (row, path, method) in ways() {
        for (name, told) in [
            ("CLIENT_ID", "'client_id'"),
            ("clientId", "'client_id'"),
            ("ClientID", "'client_id'"),
            ("client_id%5B%5D", "'client_id'"),
            ("object-id", "'object_id'"),
            ("principal-id", "'object_id'"),
            ("resourceId", "'msi_res_id'"),
            ("Mi_Res_Id", "'msi_res_id'"),
            ("Identity", if row.is_native { "'identity'" } else { "native" }),
            ("tenant_id", if row.is_native { "'tenant'" } else { "native" }),
        ] {
            let reply = ask(&world, row, path, method, &format!("{name}={OTHER_APP}")).await;
            let is_told = reply.status == 400 && reply.body.to_string().contains(told);
            assert!(is_told, "{} {} {path} {name}: {reply:?}", row.name, method.as_str());
        }
        for parameter in ["identity=second", "tenant=two"] {
            let reply = ask(&world, row, path, method, parameter).await;
            let expected = if row.is_native { 200 } else { 400 };
            assert_eq!(reply.status, expected, "{} {parameter}: {reply:?}", row.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_tells_its_methods_before_its_guard() {
    let world = world().await;
    for row in DIALECTS {
        let (base, http) = at(&world, row);
        for path in row.paths {
            let there = DIALECTS.iter().filter(|other| other.paths.contains(path));
            let mut methods: Vec<&str> = there.flat_map(|row| row.methods).map(|method| method.as_str()).collect();
            methods.sort_unstable();
            methods.dedup();
            for method in ["HEAD", "OPTIONS", "PUT"] {
                let request = http.request(method.parse().unwrap(), format!("{base}{path}?{VAULT}"));
                let reply = world.send(request).await;
                let allow = reply.headers["allow"].to_str().unwrap();
                assert_eq!((reply.status, allow), (405, &*methods.join(", ")), "{method} {path}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_does_not_depend_on_the_order_in_the_configuration() {
    let served = |dialects: &str| TWO_IDENTITIES.replace("workers = 2", &format!("dialects = {dialects}"));
    let shared = "/metadata/identity/oauth2/token?resource=r";
    for dialects in [r#"["imds", "cloud-shell"]"#, r#"["cloud-shell", "imds", "cloud-shell", "imds"]"#] {
        let world = World::with(&served(dialects)).await;
        let reply = world.ask(shared).await;
        assert!(
            reply.status == 400 && reply.description().contains("'api-version' is missing"),
            "{dialects} {reply:?}"
        );
    }
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

    for kind in ["application/json", "multipart/form-data; boundary=x", "text/plain"] {
        let request = world.http.post(format!("{}/oauth2/token?resource=r", world.tokens())).header("Metadata", "true");
        let reply = world.send(request.header("Content-Type", kind).body(r#"{"client_id":"nobody"}"#)).await;
        assert!(reply.status == 400 && reply.body.to_string().contains("the body is no form"), "{kind}: {reply:?}");
    }
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
    let key = format!("bAsIc  {}", std::fs::read_to_string(&path).unwrap());
    world.break_sts(support::on_token(serde_json::json!({ "status": 503, "times": 2 }))).await;
    let reply = ask(&[("Metadata", "true"), ("Authorization", &key)]).await;
    assert_eq!(reply.status, 503, "clients repeat it with the same key: {reply:?}");
    world.hand.advance(Duration::from_secs(5));
    let reply = ask(&[("Metadata", "true"), ("Authorization", &key)]).await;
    assert_eq!((reply.token().is_empty(), reply.body["client_id"].as_str()), (false, Some(APP)));
    // azure-identity for Python sends the key of its last request along, and goes by the new challenge.
    let next = challenge(&ask(&[("Metadata", "true"), ("Authorization", &key)]).await);
    assert!(!std::path::Path::new(&path).exists() && next != path);
    let key = format!("Basic {}", std::fs::read_to_string(&next).unwrap());
    ask(&[("Metadata", "true"), ("Authorization", &key)]).await.token();
    for wrong in ["", "Basic", "Basic wrong", "Bearer wrong", "Basicwrong", "\u{e9}"] {
        let reply = ask(&[("Metadata", "true"), ("Authorization", wrong)]).await;
        assert!(std::path::Path::new(&challenge(&reply)).exists(), "{wrong:?}");
    }

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
    let plain = get(&world, &target, &[("Secret", HEADER)]).await;
    assert_eq!(plain.status, StatusCode::NOT_FOUND);
    assert!(plain.description().contains("over https alone"), "{plain:?}");
    let lost = world.ask("/nowhere").await;
    assert!(lost.description().contains("/arc/token") && !lost.description().contains("/fabric/token"), "{lost:?}");
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
