//! The audit log: what a caller got and what it was refused, and that one request is found everywhere by its id.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bursar::clock::Stopwatch;
use serde_json::Value;
use support::{NATIVE, Reply, TWO_IDENTITIES, World};

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
    let directory = support::directory();
    for name in ["billing", "trial"] {
        std::fs::write(directory.path().join(name), format!("secret-of-{name}")).unwrap();
    }
    let config = TWO_IDENTITIES.replacen("header_secret = [{ file = \"header\" }]\n", "", 1);
    World::within(directory, &format!("{config}{CALLERS}")).await
}

async fn ask(world: &World, caller: &str, target: &str) -> Reply {
    let request = world.http.get(format!("{}{target}", world.tokens())).header("Metadata", "true");
    world.send(request.header("X-IDENTITY-HEADER", format!("secret-of-{caller}"))).await
}

/// The lines of the log once there are `count`; it is written behind the requests.
async fn lines(world: &World, count: usize) -> Vec<Value> {
    let watch = Stopwatch::start();
    loop {
        let text = std::fs::read_to_string(world.directory.path().join("audit.jsonl")).unwrap();
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
    let world = world().await;
    let mut statuses = Vec::new();
    for _ in 0..200 {
        let reply = ask(&world, "billing", NATIVE).await;
        if reply.status == 429 {
            assert_eq!((reply.retry_after(), reply.body["error"].as_str()), (Some(1), Some("too_many_requests")));
            break;
        }
        statuses.push(reply.status);
    }
    assert!((40..200).contains(&statuses.len()), "{}", statuses.len());
    assert!(statuses.iter().all(|status| *status == 200));
    ask(&world, "trial", NATIVE).await.token();
}
