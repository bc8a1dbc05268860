//! What callers see while the authority is down, and while tokens age.

mod support;

use std::time::Duration;

use bursar::clock::Stopwatch;
use serde_json::{Value, json};
use support::{NATIVE, TWO_IDENTITIES, World, on_token};

const HOUR: Duration = Duration::from_hours(1);

/// Every way in which an authority can fail, and the status that callers get without a live token.
fn failures() -> Vec<(&'static str, Value, u16)> {
    vec![
        ("reset", json!({ "reset": true }), 503),
        ("timeout", json!({ "delay_ms": 4000 }), 503),
        ("500", json!({ "status": 500, "body": { "error": "server_error" } }), 503),
        (
            "503 with a date",
            json!({ "status": 503, "headers": { "retry-after": "Fri, 15 Jan 2027 08:00:30 GMT" } }),
            503,
        ),
        ("429", json!({ "status": 429, "headers": { "retry-after": "17" }, "body": "Too Many Requests" }), 429),
        ("html", json!({ "status": 403, "body": "<html>blocked</html>" }), 503),
        ("html as success", json!({ "status": 200, "body": "<html>sign in</html>" }), 503),
        ("empty success", json!({ "status": 200, "body": "" }), 503),
        ("truncated", json!({ "truncate_at": 40 }), 503),
        ("ten megabytes", json!({ "body_bytes": 10_000_000 }), 503),
        ("redirect", json!({ "status": 302, "headers": { "location": "http://127.0.0.1:1/" } }), 503),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_live_token_the_answer_is_prompt_and_says_when_to_ask_again() {
    for (name, rule, status) in failures() {
        let world = World::start().await;
        world.break_sts(on_token(rule)).await;
        let watch = Stopwatch::start();
        let reply = world.ask(NATIVE).await;
        assert_eq!(reply.status, status, "{name}: {reply:?}");
        assert!((1..=5).contains(&reply.retry_after().unwrap()), "{name}: {reply:?}");
        assert!(watch.elapsed() < Duration::from_secs(4), "{name} took {:?}", watch.elapsed());
        assert!(reply.description().contains("It is the authority's turn: "), "{name}: {reply:?}");
        let asked = world.exchanges().await;
        assert!((1..=2).contains(&asked), "{name}: one try and at most one quick second, not {asked}");
        assert_eq!(world.ask(NATIVE).await.status, status, "{name}: it cools");
        assert_eq!(world.exchanges().await, 0, "{name}: it cools");
        world.mend_sts().await;
        world.hand.advance(Duration::from_secs(31));
        world.ask(NATIVE).await.token();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_token_is_served_until_it_expires() {
    // A hang costs each of the asks below the flight's whole deadline; it has a test of its own.
    for (name, rule, status) in failures().into_iter().filter(|(name, _, _)| *name != "timeout") {
        let world = World::start().await;
        let token = world.ask(NATIVE).await.token().to_owned();
        world.break_sts(on_token(rule)).await;
        for minutes in [46, 8, 4, 1] {
            world.hand.advance(Duration::from_mins(minutes));
            assert_eq!(world.ask(NATIVE).await.token(), token, "{name}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        world.hand.advance(Duration::from_secs(50));
        assert_eq!(world.ask(NATIVE).await.token(), token, "{name}, ten seconds before the end");
        world.hand.advance(Duration::from_secs(10));
        let reply = world.ask(NATIVE).await;
        assert_eq!(reply.status, status, "{name}: {reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ended_on_its_way_is_handed_to_nobody() {
    let world = World::start().await;
    world.break_sts(on_token(json!({ "expires_in": 60, "delay_ms": 500, "times": 1 }))).await;
    let asleep = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        world.hand.advance(Duration::from_mins(2));
    };
    let (reply, ()) = tokio::join!(world.ask(NATIVE), asleep);
    assert_eq!((reply.status, reply.retry_after().is_some()), (503, true), "{reply:?}");
    assert!(reply.description().contains("had ended before"), "{reply:?}");
    world.ask(NATIVE).await.token();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_does_not_outwait_a_live_token() {
    let world = World::start().await;
    let token = world.ask(NATIVE).await.token().to_owned();
    world.break_sts(on_token(json!({ "delay_ms": 4000 }))).await;
    world.hand.advance(HOUR - Duration::from_secs(1));
    let watch = Stopwatch::start();
    assert_eq!(world.ask(NATIVE).await.token(), token);
    assert!(watch.elapsed() < Duration::from_millis(1500), "served after {:?}", watch.elapsed());
    tokio::time::sleep(Duration::from_millis(2200)).await;
    let metrics = world.send(world.http.get(format!("{}/metrics", world.admin()))).await.body.to_string();
    assert!(
        metrics.contains(r#"bursar_exchanges_total{identity=\"first\",outcome=\"service_unavailable\"} 1"#),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_neither_prolongs_tokens_nor_refusals() {
    let world = World::start().await;
    let token = world.ask(NATIVE).await.token().to_owned();
    world.break_sts(on_token(json!({ "status": 500, "times": 2 }))).await;
    assert_eq!(world.ask("/token?resource=other").await.status, 503);
    world.hand.set_back(HOUR);
    assert_ne!(world.ask(NATIVE).await.token(), token);
    world.ask("/token?resource=other").await.token();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_not_there_is_told_promptly() {
    // A port that was just free: connections to it are refused.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = World::with(&TWO_IDENTITIES.replace("@authority@", &format!("http://{free}"))).await;
    let watch = Stopwatch::start();
    let reply = world.ask(NATIVE).await;
    assert_eq!(reply.status, 503);
    assert!(reply.description().contains("no connection to the authority can be made"), "{reply:?}");
    assert!(watch.elapsed() < Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_failure_is_retried_once_and_never_shown() {
    let world = World::start().await;
    world.break_sts(on_token(json!({ "status": 500, "times": 1 }))).await;
    world.ask(NATIVE).await.token();
    assert_eq!(world.exchanges().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_is_not_retried_and_outlasts_what_callers_are_told() {
    let world = World::start().await;
    let throttled = json!({ "status": 429, "headers": { "retry-after": "17" }, "times": 1 });
    world.break_sts(on_token(throttled)).await;
    let reply = world.ask(NATIVE).await;
    assert_eq!((reply.status, reply.retry_after(), world.exchanges().await), (429, Some(5), 1));
    world.hand.advance(Duration::from_secs(16));
    assert_eq!((world.ask(NATIVE).await.retry_after(), world.exchanges().await), (Some(1), 0));
    world.hand.advance(Duration::from_secs(1));
    world.ask(NATIVE).await.token();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ageing_token_is_served_at_once_and_renewed_behind() {
    let world = World::start().await;
    let old = world.ask(NATIVE).await.token().to_owned();
    world.break_sts(on_token(json!({ "delay_ms": 500 }))).await;
    world.hand.advance(Duration::from_mins(46));
    let watch = Stopwatch::start();
    for _ in 0..10 {
        assert_eq!(world.ask(NATIVE).await.token(), old);
    }
    assert!(watch.elapsed() < Duration::from_millis(450), "nobody waits for a renewal");
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_ne!(world.ask(NATIVE).await.token(), old);
    assert_eq!(world.exchanges().await, 2, "one at first and one renewal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_token_is_replaced_if_that_takes_no_longer_than_a_second() {
    let world = World::start().await;
    let old = world.ask(NATIVE).await.token().to_owned();
    world.hand.advance(HOUR - Duration::from_mins(4));
    let fresh = world.ask(NATIVE).await.token().to_owned();
    assert_ne!(fresh, old, "the authority is quick, so the caller gets the fresh one");
    world.break_sts(on_token(json!({ "delay_ms": 1900 }))).await;
    world.hand.advance(HOUR - Duration::from_mins(4));
    let watch = Stopwatch::start();
    assert_eq!(world.ask(NATIVE).await.token(), fresh, "the authority is slow, so the live one is served");
    assert!((900..1800).contains(&watch.elapsed().as_millis()), "after {:?}", watch.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_in_moves_the_renewal() {
    let world = World::start().await;
    world.break_sts(on_token(json!({ "expires_in": 86400, "refresh_in": 600, "times": 1 }))).await;
    let old = world.ask(NATIVE).await.token().to_owned();
    world.hand.advance(Duration::from_mins(11));
    assert_eq!(world.ask(NATIVE).await.token(), old);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_ne!(world.ask(NATIVE).await.token(), old);
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_is_asked_once_for_many_keys_and_its_failure_is_shared() {
    let world = World::start().await;
    world.break_sts(json!([{ "match": { "path": "openid-configuration" }, "status": 500, "delay_ms": 100 }])).await;
    let asks = (0..20).map(|n| {
        let world = &world;
        async move { world.ask(&format!("/token?resource=r{n}")).await.status }
    });
    let watch = Stopwatch::start();
    let statuses = futures_util::future::join_all(asks).await;
    assert_eq!(statuses, [503; 20]);
    assert!(watch.elapsed() < Duration::from_secs(3), "nobody queues behind the others' failures");
    let discoveries = support::journal(&world.http, world.sts.url()).await.len();
    assert!(discoveries <= 8, "{discoveries} discoveries for 20 keys and a retry each");
    world.mend_sts().await;
    world.hand.advance(Duration::from_secs(2));
    for target in [NATIVE, "/token?resource=other", "/token?resource=https://vault.azure.net&identity=second"] {
        world.ask(target).await.token();
    }
    let requests = support::journal(&world.http, world.sts.url()).await;
    assert_eq!(requests.iter().filter(|request| request["method"] == "GET").count(), 1, "a tenant is discovered once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_endpoint_stays_in_use_while_discovery_hangs() {
    let world = World::start().await;
    world.ask(NATIVE).await.token();
    world.break_sts(json!([{ "match": { "path": "openid-configuration" }, "delay_ms": 4000 }])).await;
    world.hand.advance(Duration::from_hours(25));
    let watch = Stopwatch::start();
    for n in 0..5 {
        world.ask(&format!("/token?resource=r{n}")).await.token();
    }
    assert!(watch.elapsed() < Duration::from_secs(2), "{:?}", watch.elapsed());
    let requests = support::journal(&world.http, world.sts.url()).await;
    assert_eq!(requests.iter().filter(|request| request["method"] == "GET").count(), 2, "the first, and one behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_has_the_endpoint_looked_for_again() {
    let world = World::start().await;
    world.ask(NATIVE).await.token();
    support::journal(&world.http, world.sts.url()).await;
    world.hand.set_back(Duration::from_hours(2));
    world.ask("/token?resource=other").await.token();
    support::until("somebody looks behind", async || {
        let requests = support::journal(&world.http, world.sts.url()).await;
        requests.iter().any(|request| request["method"] == "GET")
    })
    .await;
}
