//! What is held ready from the start, and what readiness says of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use bursar::clock::Stopwatch;
use serde_json::{Value, json};
use support::{NATIVE, Reply, STS_SETTINGS, TWO_IDENTITIES, World, directory, on_token, until, with_callers};

/// The usual configuration, with this held ready of the first identity.
fn warm(config: &str, resources: &[String]) -> String {
    let from = "object_id = \"b0b00000-0000-4000-8000-000000000003\"\n";
    assert!(config.contains(from));
    config.replacen(from, &format!("{from}warm = {}\n", json!(resources)), 1)
}

fn vault() -> [String; 1] {
    ["https://vault.azure.net".to_owned()]
}

async fn admin(world: &World, path: &str) -> Reply {
    world.send(world.http.get(format!("{}{path}", world.admin()))).await
}

/// What readiness says: its status, and of the first identity its state and what it has ready.
async fn readiness(world: &World) -> (u16, Value, Value) {
    let reply = admin(world, "/readyz").await;
    let first = reply.body["identities"].as_array().unwrap().iter().find(|one| one["name"] == "first").unwrap();
    (reply.status, reply.body["status"].clone(), first.clone())
}

/// A directory in which tokens of the authority live for so long.
fn short_lived(lifetime: &str) -> tempfile::TempDir {
    let directory = directory();
    let settings = format!("token_lifetime = \"{lifetime}\"\n{STS_SETTINGS}");
    std::fs::write(directory.path().join("sts.toml"), settings).unwrap();
    directory
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_fetched_before_anybody_asks_and_readiness_waits_for_it() {
    let world = World::with(&warm(TWO_IDENTITIES, &vault())).await;
    until("readiness", async || readiness(&world).await.0 == 200).await;
    let (_, status, first) = readiness(&world).await;
    assert_eq!(status, "ready");
    let held = json!([{ "resource": "https://vault.azure.net", "state": "held", "remaining_seconds": 3600 }]);
    assert_eq!((&first["state"], &first["tokens"], &first["warm"]), (&json!("ready"), &json!(1), &held));
    assert_eq!(world.exchanges().await, 1);
    world.ask(NATIVE).await.token();
    assert_eq!(world.exchanges().await, 0, "it was there");
    assert_eq!(world.metric("bursar_flight_waiters_total").await, Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_renewed_though_nobody_ever_asks() {
    let world = World::ticking_within(short_lived("2s"), &warm(TWO_IDENTITIES, &vault())).await;
    let renewals = r#"bursar_refreshes_total{identity="first",outcome="ok"}"#;
    // What callers ask for is let go after two lives, which is four seconds.
    until("eight renewals", async || world.metric(renewals).await.unwrap_or_default() >= 8.0).await;
    assert_eq!(readiness(&world).await.2["tokens"], 1);
    assert_eq!(world.metric("bursar_requests_total").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_down_keeps_nobody_out_of_service_for_longer_than_the_deadline() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = warm(TWO_IDENTITIES, &vault()).replace("@authority@", &format!("http://{free}"));
    let world = World::with(&config).await;
    until("a failure", async || readiness(&world).await.2["state"] == "failing").await;
    let (status, word, first) = readiness(&world).await;
    assert_eq!((status, word), (503, json!("warming")), "it may be back in a moment");
    let fault = &first["warm"][0]["fault"];
    assert_eq!((&fault["code"], &fault["turn"]), (&json!("service_unavailable"), &json!("authority")));
    assert!(fault["remedy"].as_str().unwrap().len() > 10, "{first}");
    assert_eq!(admin(&world, "/healthz").await.status, 200, "nobody restarts it for that");
    world.hand.advance(Duration::from_secs(29));
    assert_eq!(readiness(&world).await.0, 503);
    world.hand.advance(Duration::from_secs(1));
    let (status, word, first) = readiness(&world).await;
    assert_eq!((status, word, &first["state"]), (200, json!("ready"), &json!("failing")), "and the body says why");
    world.hand.set_back(Duration::from_secs(20));
    assert_eq!(readiness(&world).await.0, 200, "what has ended does not begin again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waiting_does_not_mend_is_not_waited_for() {
    let directory = directory();
    std::fs::write(directory.path().join("secret"), "a wrong one").unwrap();
    let world = World::ticking_within(directory, &warm(TWO_IDENTITIES, &["a".to_owned(), "b".to_owned()])).await;
    until("readiness", async || readiness(&world).await.0 == 200).await;
    let (_, _, first) = readiness(&world).await;
    let fault = &first["fault"];
    let told = (&first["state"], &fault["code"], &fault["turn"], &fault["aadsts"]);
    assert_eq!(told, (&json!("failing"), &json!("invalid_client"), &json!("operator"), &json!(7_000_215)));
    assert!(!first.to_string().contains("Invalid client secret"), "the authority's words are for the log: {first}");
    // The next credential is taken within moments, and so are the tokens fetched that were to be held ready.
    std::fs::write(world.directory.path().join("secret"), support::SECRET).unwrap();
    until("the tokens", async || readiness(&world).await.2["state"] == "ready").await;
    let (_, _, first) = readiness(&world).await;
    assert_eq!((&first["tokens"], &first["fault"]), (&json!(2), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_outage_shows_in_the_body_alone() {
    let world = World::ticking_within(short_lived("2s"), &warm(TWO_IDENTITIES, &vault())).await;
    until("readiness", async || readiness(&world).await.0 == 200).await;
    world.break_sts(on_token(json!({ "status": 503 }))).await;
    until("the token's end", async || readiness(&world).await.2["tokens"] == 0).await;
    assert_eq!(world.ask(NATIVE).await.status, 503);
    let (status, word, first) = readiness(&world).await;
    assert_eq!((status, word, &first["state"]), (200, json!("ready"), &json!("failing")));
    assert_eq!(first["fault"]["turn"], "authority");
    world.mend_sts().await;
    // Nobody asks.
    until("the token", async || readiness(&world).await.2["state"] == "ready").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_come_evenly_in_nobodys_share() {
    let caller = "[callers.one]\nproof = { kind = \"loopback\" }\nidentities = [\"first\"]\nresources = [\"*\"]\n";
    let resources: Vec<String> = (0..25).map(|n| format!("r{n}")).collect();
    let more = format!("{caller}[cache]\nentries = 100\ncaller_share = 0.01\n[freshness]\nrefresh_rate = 10\n");
    let world = World::ticking_within(directory(), &warm(&with_callers(&more), &resources)).await;
    let watch = Stopwatch::start();
    until("readiness", async || readiness(&world).await.0 == 200).await;
    assert!(watch.elapsed() > Duration::from_secs(2), "{:?}", watch.elapsed());
    assert_eq!(readiness(&world).await.2["tokens"], 25);
    let exchanges = support::exchanges(&world.http, world.sts.url()).await;
    let mut each_second: BTreeMap<i64, usize> = BTreeMap::new();
    for exchange in &exchanges {
        let time: jiff::Timestamp = exchange["time"].as_str().unwrap().parse().unwrap();
        *each_second.entry(time.as_millisecond() / 500).or_default() += 1;
    }
    assert_eq!(exchanges.len(), 25);
    assert!(each_second.values().all(|count| *count <= 8), "{each_second:?}");
    world.ask("/token?resource=another").await.token();
    let reply = world.ask("/token?resource=yet-another").await;
    assert_eq!(
        reply.status, 429,
        "the caller has one place of a hundred, and what is held ready takes none: {reply:?}"
    );
    for resource in &resources {
        world.ask(&format!("/token?resource={resource}")).await.token();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_keys_pushes_out_nothing_that_is_held_ready() {
    let config = format!("{}[cache]\nentries = 20\n", warm(TWO_IDENTITIES, &vault()));
    let world = World::with(&config).await;
    until("readiness", async || readiness(&world).await.0 == 200).await;
    for n in 0..100 {
        world.ask(&format!("/token?resource=r{n}")).await.token();
    }
    world.exchanges().await;
    world.ask(NATIVE).await.token();
    assert_eq!(world.exchanges().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_hold_ready_is_nothing_to_wait_for() {
    let world = World::with(&TWO_IDENTITIES.replace("@authority@", "http://127.0.0.1:1")).await;
    let reply = admin(&world, "/readyz").await;
    let idle = |name| json!({ "name": name, "state": "idle", "tokens": 0 });
    let body = json!({ "status": "ready", "tokens": 0, "identities": [idle("first"), idle("second")] });
    assert_eq!((reply.status, reply.body), (200, body));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_is_bounded_and_tells_of_those_that_fail_first() {
    let more: String = (0..300)
        .map(|n| {
            let client = format!("b0b00000-0000-4000-8000-{:012}", n + 1000);
            let keys = "resources = [\"*\"]\ncredentials = [{ kind = \"secret\", file = \"secret\" }]";
            format!("[identities.i{n}]\ntenants = [\"one\"]\nclient_id = \"{client}\"\n{keys}\n")
        })
        .collect();
    let world = World::with(&format!("{TWO_IDENTITIES}{more}")).await;
    assert_eq!(world.ask("/token?resource=r&identity=i299").await.status, 403, "the authority does not know it");
    let body = admin(&world, "/readyz").await.body;
    let identities = body["identities"].as_array().unwrap();
    assert_eq!((identities.len(), &body["left_out"]), (50, &json!(252)));
    assert_eq!((&identities[0]["name"], &identities[0]["state"]), (&json!("i299"), &json!("failing")));
    assert!(body.to_string().len() < 20_000);
}
