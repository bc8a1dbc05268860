//! What a token is to be beyond its resource: claims, capabilities, and places in an application's tree.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bursar::clock::Stopwatch;
use futures_util::future::join_all;
use serde_json::{Value, json};
use support::{NATIVE, TWO_IDENTITIES, World};

const CHALLENGE: &str =
    "%7B%22access_token%22%3A%7B%22nbf%22%3A%7B%22essential%22%3Atrue%2C%22value%22%3A%221%22%7D%7D%7D";
const OTHER: &str = "%7B%22access_token%22%3A%7B%22nbf%22%3A%7B%22value%22%3A%222%22%7D%7D%7D";

async fn world() -> World {
    let capable = "default = true\nclient_capabilities = [\"cp1\"]\nfmi_paths = [\"agents/one\"]";
    assert!(TWO_IDENTITIES.contains("default = true"));
    World::with(&TWO_IDENTITIES.replacen("default = true", capable, 1)).await
}

fn claims_of(token: &str) -> Value {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

async fn forms(world: &World) -> Vec<Value> {
    let exchanges = support::exchanges(&world.http, world.sts.url()).await;
    exchanges.into_iter().map(|exchange| exchange["form"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn capabilities_go_along_always_and_a_challenge_over_them_past_the_cache() {
    let world = world().await;
    let plain = world.ask(NATIVE).await.token().to_owned();
    assert_eq!(claims_of(&plain)["xms_cc"], json!(["cp1"]));
    let challenged = world.ask(&format!("{NATIVE}&claims={CHALLENGE}")).await.token().to_owned();
    assert_ne!(challenged, plain);
    assert_eq!(world.ask(NATIVE).await.token(), challenged, "it takes the place of the refused one");
    let sent: Vec<Value> = forms(&world)
        .await
        .iter()
        .map(|form| serde_json::from_str(form["claims"].as_str().unwrap()).unwrap())
        .collect();
    let capable = json!({ "values": ["cp1"] });
    let nbf = json!({ "essential": true, "value": "1" });
    assert_eq!(
        sent,
        [
            json!({ "access_token": { "xms_cc": capable } }),
            json!({ "access_token": { "nbf": nbf, "xms_cc": capable } }),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn those_with_one_challenge_share_a_flight_and_others_wait_for_their_own() {
    let world = world().await;
    world.ask(NATIVE).await.token();
    world.exchanges().await;
    world.break_sts(support::on_token(json!({ "delay_ms": 300 }))).await;
    let targets: Vec<String> =
        (0..20).map(|n| format!("{NATIVE}&claims={}", if n % 2 == 0 { CHALLENGE } else { OTHER })).collect();
    let replies = join_all(targets.iter().map(|target| world.ask(target))).await;
    assert_eq!(world.exchanges().await, 2);
    for (n, reply) in replies.iter().enumerate() {
        assert_eq!(reply.token(), replies[n % 2].token(), "the token of its own challenge");
    }
    assert_ne!(replies[0].token(), replies[1].token());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_that_fails_is_nobody_elses_failure() {
    let world = world().await;
    let refused =
        json!({ "error": "invalid_request", "error_description": "AADSTS9002313: no", "error_codes": [9_002_313] });
    world.break_sts(support::on_token(json!({ "status": 400, "body": refused, "delay_ms": 200, "times": 1 }))).await;
    // Cold: whoever asks while the challenge is in the air waits, and then has an exchange of its own.
    let challenged = format!("{NATIVE}&claims={CHALLENGE}");
    let (challenged, plain) = tokio::join!(world.ask(&challenged), async {
        // Boards while the challenge flies; asking earlier would fly first and be answered by itself.
        let waits = |page: &support::Reply| page.body.as_str().unwrap().contains("\nbursar_flight_waiters_total 1\n");
        let watch = Stopwatch::start();
        while !waits(&world.send(world.http.get(format!("{}/metrics", world.admin()))).await) {
            assert!(watch.elapsed() < Duration::from_secs(2), "nobody flies");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.ask(NATIVE).await
    });
    assert_eq!(challenged.status, 403, "{challenged:?}");
    let live = plain.token().to_owned();

    world.break_sts(support::on_token(json!({ "status": 503, "headers": { "retry-after": "60" }, "times": 1 }))).await;
    let reply = world.ask(&format!("{NATIVE}&claims={CHALLENGE}")).await;
    assert_eq!(reply.status, 503, "the token that was refused is not served in its place: {reply:?}");
    assert_eq!(world.ask(NATIVE).await.token(), live, "and the others keep it");
    world.exchanges().await;
    let reply = world.ask(&format!("{NATIVE}&claims={OTHER}")).await;
    assert_eq!((reply.status, world.exchanges().await), (503, 0), "the authority is left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn challenges_do_not_take_from_renewals() {
    let slow = "[freshness]\nrefresh_rate = 4\n[server]";
    let world = World::with(&TWO_IDENTITIES.replacen("[server]", slow, 1)).await;
    world.ask("/token?resource=ageing").await.token();
    world.hand.advance(Duration::from_mins(46));
    for n in 0..5 {
        world.ask(&format!("{NATIVE}&claims=%7B%22a%22%3A{n}%7D")).await;
    }
    world.ask("/token?resource=ageing").await.token();
    let renewed = async || world.metric(r#"bursar_refreshes_total{identity="first",outcome="ok"}"#).await;
    support::until("the renewal", async || renewed().await == Some(1.0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn challenges_are_bounded_as_renewals_are() {
    let slow = "[freshness]\nrefresh_rate = 2\n[server]";
    let world = World::with(&TWO_IDENTITIES.replacen("[server]", slow, 1)).await;
    let mut statuses = Vec::new();
    for n in 0..10 {
        let reply = world.ask(&format!("{NATIVE}&claims=%7B%22a%22%3A{n}%7D")).await;
        assert!(reply.status != 429 || reply.retry_after() == Some(1), "{reply:?}");
        statuses.push(reply.status);
    }
    assert!(statuses.contains(&200) && statuses.contains(&429), "{statuses:?}");
    assert!(world.exchanges().await < 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_asks_for_by_itself_is_kept_apart() {
    let world = world().await;
    let plain = world.ask(NATIVE).await.token().to_owned();
    let own = world.ask(&format!("{NATIVE}&client_claims={CHALLENGE}")).await.token().to_owned();
    let path = world.ask(&format!("{NATIVE}&fmi_path=agents/one")).await.token().to_owned();
    assert_eq!(world.ask(&format!("{NATIVE}&client_claims={CHALLENGE}")).await.token(), own);
    assert_eq!(world.ask(&format!("{NATIVE}&fmi_path=agents/one")).await.token(), path);
    assert_eq!(world.ask(NATIVE).await.token(), plain);
    let forms = forms(&world).await;
    assert_eq!(forms.len(), 3);
    let claims: Value = serde_json::from_str(forms[1]["claims"].as_str().unwrap()).unwrap();
    assert_eq!(claims["access_token"]["nbf"]["value"], "1");
    assert!(forms.iter().all(|form| form.get("client_claims").is_none()), "no authority knows that name");
    assert_eq!(forms[2]["fmi_path"], "agents/one");
    assert!(claims_of(&path)["sub"].as_str().unwrap().ends_with("/agents/one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_listed_places_and_whole_objects_are_forwarded() {
    let world = world().await;
    for (extra, status, told) in [
        ("fmi_path=agents/two", 403, "fmi_path"),
        ("fmi_path=a%20b", 400, "visible ASCII"),
        ("claims=%5B%5D", 400, "JSON object"),
        ("claims=%7Bmarked", 400, "JSON object"),
        ("client_claims=marked", 400, "JSON object"),
        ("claims=%7B%7D&claims=%7B%22a%22%3A1%7D", 400, "twice"),
    ] {
        let reply = world.ask(&format!("{NATIVE}&{extra}")).await;
        assert_eq!(reply.status, status, "{extra}: {reply:?}");
        assert!(reply.description().contains(told) && !reply.description().contains("marked"), "{extra}: {reply:?}");
    }
    assert_eq!(world.exchanges().await, 0);
    // Where names mean nothing, these do not either.
    let imds = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=r&claims=x&fmi_path=agents/two";
    world.ask(imds).await.token();
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_is_remembered_for_the_scope_whatever_else_is_wanted() {
    let world = world().await;
    world.break_sts(support::on_token(json!({ "status": 429, "headers": { "retry-after": "30" }, "times": 1 }))).await;
    assert_eq!(world.ask(NATIVE).await.status, 429);
    world.exchanges().await;
    assert_eq!(world.ask(&format!("{NATIVE}&fmi_path=agents/one")).await.status, 429);
    assert_eq!(world.exchanges().await, 0);
    world.ask("/token?resource=another").await.token();
    world.hand.advance(Duration::from_secs(31));
    world.ask(&format!("{NATIVE}&fmi_path=agents/one")).await.token();
}
