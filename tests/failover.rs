//! Which of an identity's credentials is used when one of them does not work.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use bursar::clock::Stopwatch;
use serde_json::Value;
use support::proof::world;
use support::{NATIVE, SECRET, World};

/// The credentials that the exchanges since the last look were made with.
async fn used(world: &World) -> Vec<&'static str> {
    let exchanges = support::exchanges(&world.http, world.sts.url()).await;
    let kind = |exchange: &Value| match (exchange["assertion"].is_null(), &exchange["assertion"]["header"]["kid"]) {
        (true, _) => "secret",
        (false, Value::Null) => "certificate",
        (false, _) => "assertion",
    };
    exchanges.iter().map(kind).collect()
}

async fn metric(world: &World, line: &str) -> bool {
    let page = world.send(world.http.get(format!("{}/metrics", world.admin()))).await;
    page.body.as_str().unwrap().lines().any(|one| one == line)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_working_one_is_remembered_and_the_first_tried_now_and_then_until_it_works() {
    let (world, _) =
        world(r#"[{ kind = "secret", file = "wrong" }, { kind = "certificate", file = "app.pem" }]"#).await;
    world.ask(NATIVE).await.token();
    assert_eq!(used(&world).await, ["secret", "certificate"]);
    // Each second of forty: the rejected one rests for ten seconds, then for twenty.
    let mut trials = Vec::new();
    for second in 1..=31 {
        world.hand.advance(Duration::from_secs(1));
        world.ask(&format!("/token?resource=r{second}")).await.token();
        match &used(&world).await[..] {
            ["certificate"] => {}
            ["secret", "certificate"] => trials.push(second),
            other => panic!("{other:?} after {second} s"),
        }
    }
    assert!(matches!(trials[..], [9 | 10, 27..=30]), "{trials:?}");
    for line in [
        r#"bursar_credential_rejections_total{credential="secret",identity="first"} 3"#,
        r#"bursar_credential_preferences_total{credential="certificate",identity="first"} 1"#,
    ] {
        assert!(metric(&world, line).await, "{line}");
    }

    std::fs::write(world.directory.path().join("wrong"), SECRET).unwrap();
    let watch = Stopwatch::start();
    for n in 0.. {
        world.ask(&format!("/token?resource=n{n}")).await.token();
        if used(&world).await == ["secret"] {
            break;
        }
        assert!(watch.elapsed() < Duration::from_secs(2), "a new first one is tried at once");
    }
    assert!(metric(&world, r#"bursar_credential_preferences_total{credential="secret",identity="first"} 1"#).await);
    world.ask("/token?resource=last").await.token();
    assert_eq!(used(&world).await, ["secret"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_holds_nobody_up() {
    let (world, _) =
        world(r#"[{ kind = "secret", file = "wrong" }, { kind = "certificate", file = "app.pem" }]"#).await;
    world.ask(NATIVE).await.token();
    used(&world).await;
    world.hand.advance(Duration::from_secs(11));
    world.break_sts(support::on_token(serde_json::json!({ "delay_ms": 1500, "times": 1 }))).await;
    let targets: Vec<String> = (0..20).map(|n| format!("/token?resource=r{n}")).collect();
    let watch = Stopwatch::start();
    let asks = targets.iter().map(async |target| {
        world.ask(target).await.token();
        watch.elapsed()
    });
    let mut times = futures_util::future::join_all(asks).await;
    times.sort_unstable();
    let delay = Duration::from_millis(1500);
    assert!(times[18] < delay && times[19] >= delay, "{times:?}");
    assert_eq!(
        used(&world).await.iter().filter(|used| **used == "secret").count(),
        1,
        "one fetch tries, the others go on"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_cannot_be_used_gives_way_to_the_next_until_it_can() {
    let (world, key) =
        world(r#"[{ kind = "assertion", file = "missing" }, { kind = "secret", file = "secret" }]"#).await;
    world.ask(NATIVE).await.token();
    assert_eq!(used(&world).await, ["secret"]);
    let token = support::proof::assertion(&key, 1_800_003_600);
    std::fs::write(world.directory.path().join("missing"), token).unwrap();
    world.ask("/token?resource=a").await.token();
    assert_eq!(used(&world).await, ["secret"], "the one that works goes first");
    world.hand.advance(Duration::from_secs(11));
    world.ask("/token?resource=b").await.token();
    assert_eq!(used(&world).await, ["assertion"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_fail_the_operator_is_told() {
    let (world, _) = world(r#"[{ kind = "secret", file = "wrong" }, { kind = "assertion", file = "missing" }]"#).await;
    for _ in 0..3 {
        let reply = world.ask(NATIVE).await;
        assert!(reply.status == 403 && reply.description().contains("For the operator"), "{reply:?}");
    }
    assert_eq!(used(&world).await, ["secret"], "shown once");
}
