//! The audit log: what a caller got and what it was refused, and that one request is found everywhere by its id.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bursar::clock::Stopwatch;
use serde_json::Value;
use support::{NATIVE, Reply, World, proof};

fn prefix(token: &str) -> String {
    digest(&SHA256, token.as_bytes()).as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

const CALLERS: &str = r#"
[callers.billing]
proof = { kind = "header-secret", file = "billing" }
identities = ["first"]
resources = ["https://vault.azure.net"]
rate = 40
[callers.trial]
proof = { kind = "header-secret", file = "trial" }
identities = ["second"]
resources = ["https://nothing.example"]
mode = "audit"
[log]
audit = "audit.jsonl"
"#;

async fn world() -> World {
    World::within(directory(), &config()).await
}

fn config() -> String {
    support::with_callers(CALLERS)
}

fn directory() -> tempfile::TempDir {
    support::directory_of(&["billing", "trial"])
}

async fn ask(world: &World, caller: &str, target: &str) -> Reply {
    let request = world.http.get(format!("{}{target}", world.tokens())).header("Metadata", "true");
    world.send(request.header("X-IDENTITY-HEADER", format!("secret-of-{caller}"))).await
}

/// The lines of the log once there are `count`; it is written behind the requests.
async fn lines(world: &World, count: usize) -> Vec<Value> {
    lines_in(world.directory.path(), count).await
}

async fn lines_in(directory: &Path, count: usize) -> Vec<Value> {
    let watch = Stopwatch::start();
    loop {
        let text = std::fs::read_to_string(directory.join("audit.jsonl")).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if lines.len() >= count || watch.elapsed() > Duration::from_secs(3) {
            assert_eq!(lines.len(), count, "{text}");
            return lines;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_is_found_by_its_id_in_answer_audit_and_authority() {
    let world = world().await;
    let reply = ask(&world, "billing", NATIVE).await;
    let request_id = reply.headers["x-ms-request-id"].to_str().unwrap().to_owned();
    let line = &lines(&world, 1).await[0];
    assert_eq!(line["verdict"], "admitted");
    assert_eq!(line["request_id"], request_id);
    for (field, value) in [
        ("caller", "billing"),
        ("identity", "first"),
        ("tenant", "one"),
        ("resource", "https://vault.azure.net"),
        ("dialect", "native"),
        ("rule", "callers.billing"),
        ("time", "2027-01-15T08:00:00Z"),
    ] {
        assert_eq!(line[field], value, "{line}");
    }
    assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
    assert_eq!(line["token_sha256"], prefix(reply.token()));
    assert!(line["uti"].as_str().is_some_and(|uti| !uti.is_empty()), "{line}");
    assert!(!line.to_string().contains(reply.token()));
    let exchange = &support::exchanges(&world.http, world.sts.url()).await[0];
    assert_eq!(exchange["headers"]["client-request-id"], request_id, "{exchange}");
    let metrics = world.http.get(format!("{}/metrics", world.admin())).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("bursar_requests_total{dialect=\"native\",outcome=\"ok\"} 1"), "{metrics}");
}

/// The process with its log, and an authority in a process of its own.
#[tokio::test(flavor = "multi_thread")]
async fn one_request_is_followed_by_its_id_through_every_record() {
    const GOOD: &str = "6f1d2c3b-0000-4000-8000-00000000000a";
    const FAILED: &str = "6f1d2c3b-0000-4000-8000-00000000000b";
    const REFUSED: &str = "6f1d2c3b-0000-4000-8000-00000000000c";
    let directory = directory();
    let (_sts, announced) = support::start_sts(&["--config", directory.path().join("sts.toml").to_str().unwrap()]);
    let sts = announced["authority"].as_str().unwrap();
    let file = support::write_config(directory.path(), &config(), sts);
    let (serve, tokens, admin) = support::start_serve(&file, &[]).await;
    let http = support::client();
    let ask = |id: &'static str, target: &str| {
        let request = http.get(format!("{tokens}{target}")).header("Metadata", "true");
        request.header("X-IDENTITY-HEADER", "secret-of-billing").header("x-ms-client-request-id", id).send()
    };
    let good = ask(GOOD, NATIVE).await.unwrap();
    assert_eq!((good.status().as_u16(), good.headers()["x-ms-request-id"].to_str().unwrap()), (200, GOOD));
    let fails = serde_json::json!({ "status": 400, "body": { "error": "unauthorized_client" } });
    support::break_sts(&http, sts, &support::on_token(fails)).await;
    let failed = ask(FAILED, &format!("{NATIVE}&client_claims=%7B%22n%22:1%7D")).await.unwrap();
    assert_eq!((failed.status().as_u16(), failed.headers()["x-ms-request-id"].to_str().unwrap()), (403, FAILED));
    let refused = ask(REFUSED, "/token?resource=https://graph.microsoft.com").await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["x-ms-request-id"].to_str().unwrap()), (403, REFUSED));

    serve.logged(REFUSED).await;
    let logged = |id: &str, words: &str| {
        let log = serve.log();
        let found = log.lines().filter(|line| line.contains(&format!("request_id=\"{id}\"")) && line.contains(words));
        assert_eq!(found.count(), 1, "{id} {words}\n{log}");
    };
    logged(GOOD, "token issued");
    logged(FAILED, "no token");
    logged(FAILED, "refused dialect=");
    logged(REFUSED, "rule=\"callers.billing.resources\"");
    assert!(!serve.log().contains("secret-of"), "{}", serve.log());
    let told: Vec<(String, String)> = lines_in(directory.path(), 2).await.iter().map(verdict).collect();
    assert_eq!(told, [("admitted".to_owned(), GOOD.to_owned()), ("refused".to_owned(), REFUSED.to_owned())]);
    let exchanges = support::exchanges(&http, sts).await;
    let ids: Vec<&str> = exchanges.iter().map(|one| one["headers"]["client-request-id"].as_str().unwrap()).collect();
    assert_eq!(ids, [GOOD, FAILED]);
    let metrics = http.get(format!("{admin}/metrics")).send().await.unwrap().text().await.unwrap();
    for (metric, count) in [
        ("bursar_exchanges_total{identity=\"first\",outcome=\"ok\"}", 1),
        ("bursar_exchanges_total{identity=\"first\",outcome=\"unauthorized_client\"}", 1),
        ("bursar_requests_total{dialect=\"native\",outcome=\"ok\"}", 1),
        ("bursar_requests_total{dialect=\"native\",outcome=\"unauthorized_client\"}", 1),
        ("bursar_requests_total{dialect=\"native\",outcome=\"access_denied\"}", 1),
    ] {
        assert!(metrics.contains(&format!("{metric} {count}\n")), "{metric}\n{metrics}");
    }
}

fn verdict(line: &Value) -> (String, String) {
    let word = |field: &str| line[field].as_str().unwrap().to_owned();
    (word("verdict"), word("request_id"))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_to_the_standard_output_and_the_log_does_not() {
    let directory = directory();
    let (_sts, announced) = support::start_sts(&["--config", directory.path().join("sts.toml").to_str().unwrap()]);
    let stdout = config().replace("audit = \"audit.jsonl\"", "audit = \"stdout\"\nlevel = \"debug\"");
    let file = support::write_config(directory.path(), &stdout, announced["authority"].as_str().unwrap());
    let (mut serve, tokens, _) = support::start_serve(&file, &[]).await;
    let http = support::client();
    for (caller, status) in [("billing", 200), ("nobody", 401)] {
        let request = http.get(format!("{tokens}{NATIVE}")).header("Metadata", "true");
        let reply = request.header("X-IDENTITY-HEADER", format!("secret-of-{caller}")).send().await.unwrap();
        assert_eq!(reply.status(), status);
    }
    let lines: Vec<Value> = (0..2).map(|_| serde_json::from_str(&serve.line()).unwrap()).collect();
    assert_eq!((&lines[0]["verdict"], &lines[0]["caller"]), (&"admitted".into(), &"billing".into()));
    assert_eq!((&lines[1]["verdict"], lines[1].get("caller")), (&"refused".into(), None));
    serve.terminate();
    let (code, rest, log) = serve.ended().await;
    assert_eq!((code, rest.as_str()), (Some(0), ""), "nothing else is written there");
    assert!(log.contains("refused") && !log.contains("\"verdict\""), "{log}");
    assert!(!directory.path().join("stdout").exists());
}

/// What the log may know of a refusal and the caller may not.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_refused_caller_is_not_told_is_told_here() {
    const ACCOUNTS: &str = r#"
[callers.shop]
proof = { kind = "service-account", namespace = "shop" }
identities = ["first"]
resources = ["https://vault.azure.net"]
[kubernetes]
issuer = "https://this.cluster"
audience = "api://bursar"
jwks_file = "jwks.json"
[callers.billing]"#;
    let directory = directory();
    let key = proof::issue(directory.path());
    let world = World::within(directory, &config().replace("\n[callers.billing]", ACCOUNTS)).await;
    let token = proof::assertion(&key, 1_800_003_600);
    let request = world.http.get(format!("{}{NATIVE}", world.tokens())).header("Metadata", "true");
    let reply = world.send(request.bearer_auth(&token)).await;
    assert!(reply.status == 401 && !reply.body.to_string().contains("https://cluster"), "{reply:?}");
    let line = &lines(&world, 1).await[0];
    assert!(line["detail"].as_str().is_some_and(|detail| detail.contains("https://cluster")), "{line}");
    assert!(line["reason"].as_str().is_some_and(|reason| !reason.contains("https://cluster")), "{line}");
    assert_eq!(line["rule"], "kubernetes");
    assert!(!line.to_string().contains(&token), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_told_once_for_each_caller_and_again_when_it_is_another() {
    let world = world().await;
    for _ in 0..3 {
        ask(&world, "billing", NATIVE).await.token();
    }
    lines(&world, 1).await;
    world.hand.advance(Duration::from_hours(2));
    ask(&world, "billing", NATIVE).await.token();
    let lines = lines(&world, 2).await;
    assert_ne!(lines[0]["token_sha256"], lines[1]["token_sha256"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_told_with_the_rule_and_what_is_not_enforced_too() {
    let world = world().await;
    assert_eq!(ask(&world, "billing", "/token?resource=https://graph.microsoft.com").await.status, 403);
    let refused = ask(&world, "billing", &format!("{NATIVE}&identity=second")).await;
    assert_eq!(refused.status, 403);
    assert!(!refused.body.to_string().contains("callers."), "the rule is for the operator: {refused:?}");
    assert_eq!(ask(&world, "nobody", NATIVE).await.status, 401);
    ask(&world, "trial", NATIVE).await.token();
    let first = lines(&world, 4).await;
    let told =
        |n: usize| ["verdict", "caller", "rule", "selector"].map(|field| first[n][field].as_str().unwrap_or("-"));
    assert_eq!(told(0), ["refused", "billing", "callers.billing.resources", "-"]);
    assert_eq!(told(1), ["refused", "billing", "callers.billing.identities", "identity=second"]);
    assert_eq!(told(2), ["refused", "-", "callers", "-"]);
    assert_eq!(told(3), ["audited", "trial", "callers.trial.resources", "-"]);
    // Also where the authority gives nothing.
    world
        .break_sts(support::on_token(serde_json::json!({ "status": 400, "body": { "error": "invalid_scope" } })))
        .await;
    assert_eq!(ask(&world, "trial", &format!("{NATIVE}&client_claims=%7B%7D")).await.status, 400);
    let last = &lines(&world, 5).await[4];
    assert_eq!((last["verdict"].as_str(), last["rule"].as_str()), (Some("audited"), Some("callers.trial.resources")));
    assert!(last.get("token_sha256").is_none(), "{last}");
    assert!(!std::fs::read_to_string(world.directory.path().join("audit.jsonl")).unwrap().contains("secret-of"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_counted_and_fills_no_disk() {
    let world = world().await;
    for _ in 0..100 {
        assert_eq!(ask(&world, "nobody", NATIVE).await.status, 401);
    }
    lines(&world, 30).await;
    world.hand.advance(Duration::from_mins(1));
    assert_eq!(ask(&world, "nobody", NATIVE).await.status, 401);
    assert_eq!(lines(&world, 31).await[30]["suppressed"], 70);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_more_often_than_it_may_is_told_to_wait() {
    // However slowly a busy machine asks, it asks more often than this.
    let world = World::within(directory(), &config().replacen("rate = 40", "rate = 4", 1)).await;
    let mut statuses = Vec::new();
    for _ in 0..200 {
        let reply = ask(&world, "billing", NATIVE).await;
        if reply.status == 429 {
            assert_eq!((reply.retry_after(), reply.body["error"].as_str()), (Some(1), Some("too_many_requests")));
            break;
        }
        statuses.push(reply.status);
    }
    assert!((4..200).contains(&statuses.len()), "{}", statuses.len());
    assert!(statuses.iter().all(|status| *status == 200));
    ask(&world, "trial", NATIVE).await.token();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_demands_more_fresh_tokens_than_there_is_a_budget_for_is_told_of() {
    let config = config().replacen("[server]", "[freshness]\nrefresh_rate = 1\n[server]", 1);
    let world = World::within(directory(), &config).await;
    let demanded = format!("{NATIVE}&bypass_cache=true");
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(ask(&world, "billing", &demanded).await.status);
    }
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert!(refused > 0 && statuses[0] == 200, "{statuses:?}");
    let lines = lines(&world, statuses.len()).await;
    let told = lines.iter().filter(|line| line["rule"] == "freshness.refresh_rate" && line["caller"] == "billing");
    assert_eq!(told.count(), refused, "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_no_place_to_guess_a_secret_unseen() {
    let config = config().replace("workers = 2", "workers = 2\ndialects = [\"native\", \"imds\"]");
    let config = config.replacen("rate = 40", "rate = 4", 1);
    let world = World::within(directory(), &config).await;
    let (instance, info) =
        ("/metadata/instance?api-version=2021-02-01", "/metadata/identity/info?api-version=2018-02-01");
    assert_eq!(ask(&world, "nobody", instance).await.status, 401);
    let line = &lines(&world, 1).await[0];
    assert_eq!((line["verdict"].as_str(), line["dialect"].as_str()), (Some("refused"), Some("imds")), "{line}");
    assert!(line["reason"].as_str().unwrap().contains("x-identity-header") && line.get("resource").is_none(), "{line}");
    let mut statuses = Vec::new();
    for _ in 0..60 {
        statuses.push(ask(&world, "billing", instance).await.status);
    }
    assert!(statuses.contains(&200) && statuses.contains(&429), "a page takes from the caller's rate: {statuses:?}");
    assert_eq!(ask(&world, "trial", info).await.status, 200, "its rules are not enforced");
}
