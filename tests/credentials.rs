//! Each kind of credential against an authority that verifies it in earnest.

mod support;

use std::time::Duration;

use bursar::clock::Stopwatch;
use futures_util::future::join_all;
use serde_json::json;
use support::proof::{assertion, world};
use support::{APP, NATIVE, TWO_IDENTITIES, World, until};

const FIRST: &str = r#"[{ kind = "secret", file = "secret" }]"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_signs_a_fresh_assertion_for_every_exchange() {
    let (world, _) = world(r#"[{ kind = "certificate", file = "app.pem", send_x5c = true }]"#).await;
    world.ask(NATIVE).await.token();
    world.ask("/token?resource=other").await.token();
    let exchanges = support::exchanges(&world.http, world.sts.url()).await;
    let [first, second] = &exchanges[..] else { unreachable!("two exchanges, not {}", exchanges.len()) };
    assert_ne!(first["assertion"]["claims"]["jti"], second["assertion"]["claims"]["jti"]);
    let (header, claims) = (&first["assertion"]["header"], &first["assertion"]["claims"]);
    assert_eq!((header["alg"].as_str(), header["x5c"].as_array().map(Vec::len)), (Some("PS256"), Some(1)));
    assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some(APP), Some(APP)));
    assert_eq!(claims["aud"], format!("{}/{}/oauth2/v2.0/token", world.sts.url(), support::TENANT));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_has_an_assertion_of_its_own() {
    let (world, _) = world(r#"[{ kind = "certificate", file = "app.pem" }]"#).await;
    world.break_sts(support::on_token(json!({ "status": 500, "times": 1 }))).await;
    world.ask(NATIVE).await.token();
    let exchanges = support::exchanges(&world.http, world.sts.url()).await;
    assert_eq!(exchanges.len(), 2);
    assert_ne!(exchanges[0]["assertion"]["claims"]["jti"], exchanges[1]["assertion"]["claims"]["jti"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_file_is_read_for_every_exchange() {
    let (world, key) = world(r#"[{ kind = "assertion", file = "assertion" }]"#).await;
    let file = world.directory.path().join("assertion");
    let reply = world.ask(NATIVE).await;
    assert_eq!(reply.status, 403);
    assert!(reply.description().contains("the assertion file cannot be read"), "{reply:?}");

    std::fs::write(&file, assertion(&key, 1_799_999_500)).unwrap();
    let reply = world.ask("/token?resource=a").await;
    assert!(reply.status == 403 && reply.description().contains("AADSTS700024"), "{reply:?}");

    std::fs::write(&file, assertion(&key, 1_800_003_600)).unwrap();
    world.hand.advance(Duration::from_secs(11));
    world.ask(NATIVE).await.token();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_shown_to_the_authority_once_for_a_thousand_requests() {
    let (world, _) = world(r#"[{ kind = "secret", file = "wrong" }]"#).await;
    let targets: Vec<String> = (0..1000).map(|n| format!("/token?resource=https://r{}", n % 20)).collect();
    for wave in targets.chunks(100) {
        for reply in join_all(wave.iter().map(|target| world.ask(target))).await {
            assert_eq!(reply.status, 403, "{reply:?}");
            assert!(reply.retry_after().is_none());
            let text = reply.description();
            assert!(text.contains("AADSTS7000215, correlation id "), "{text}");
            assert!(text.contains("For the operator: the client secret is wrong"), "{text}");
            assert!(!text.contains("wrong-secret") && !text.contains("Trace ID"), "{text}");
        }
    }
    assert_eq!(world.exchanges().await, 1);
    for (seconds, asked) in [(9, 0), (1, 1), (17, 0), (3, 1)] {
        world.hand.advance(Duration::from_secs(seconds));
        assert_eq!(world.ask(NATIVE).await.status, 403);
        assert_eq!(world.exchanges().await, asked, "after {seconds} s more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_ends_while_many_ask_is_shown_a_handful_of_times_and_rests_once() {
    let (world, _) = world(FIRST).await;
    world.ask(NATIVE).await.token();
    world.exchanges().await;
    let ended = json!({ "error": "invalid_client", "error_codes": [7_000_222] });
    world.break_sts(support::on_token(json!({ "status": 401, "body": ended, "delay_ms": 50 }))).await;
    let targets: Vec<String> = (0..200).map(|n| format!("/token?resource=https://r{n}")).collect();
    for reply in join_all(targets.iter().map(|target| world.ask(target))).await {
        assert_eq!(reply.status, 403);
    }
    let asked = world.exchanges().await;
    assert!(asked <= 8, "{asked} exchanges");
    world.mend_sts().await;
    world.hand.advance(Duration::from_secs(11));
    world.ask("/token?resource=https://r1").await.token();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_does_not_make_an_unknown_secret_trusted() {
    let (world, _) = world(r#"[{ kind = "secret", file = "wrong" }]"#).await;
    world.break_sts(support::on_token(json!({ "status": 500, "times": 2 }))).await;
    assert_eq!(world.ask(NATIVE).await.status, 503);
    let targets: Vec<String> = (0..50).map(|n| format!("/token?resource=https://r{n}")).collect();
    join_all(targets.iter().map(|target| world.ask(target))).await;
    assert_eq!(world.exchanges().await, 3, "two in the outage and one that is rejected");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_directory_does_not_know_is_the_operators_turn() {
    let unknown_app = TWO_IDENTITIES.replacen(APP, "b0b00000-0000-4000-8000-0000000000ff", 1);
    let unknown_tenant = TWO_IDENTITIES.replacen(support::TENANT, "contoso.com", 1);
    for (config, number) in [(unknown_app, "AADSTS700016"), (unknown_tenant, "AADSTS90002")] {
        let world = World::with(&config).await;
        let reply = world.ask(NATIVE).await;
        assert_eq!(reply.status, 403, "{reply:?}");
        assert!(reply.description().contains(number) && reply.description().contains("For the operator"), "{reply:?}");
    }
    let world = World::start().await;
    let reply = world.ask("/token?resource=https://nobody.invalid").await;
    assert!(reply.status == 400 && reply.description().contains("AADSTS500011"), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_host_is_confirmed_where_the_operator_says() {
    for (authority, asked, status) in [("127.0.0.1", "127.0.0.1", 200), ("localhost", "127.0.0.1", 403)] {
        let config = TWO_IDENTITIES
            .replace("\"@authority@\"", &format!("\"@authority-of-{authority}@\""))
            .replace("instance_discovery = false", &format!("instance_discovery = \"@authority-of-{asked}@\""));
        let world = World::with(&config).await;
        let reply = world.ask(NATIVE).await;
        assert_eq!(reply.status, status, "{reply:?}");
        assert!(status == 200 || reply.description().contains("AADSTS50049"), "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_exchange_that_hangs_keeps_nobody_from_a_credential_that_never_worked() {
    let world = World::with(&TWO_IDENTITIES.replace("timeout = \"2s\"", "timeout = \"9s\"")).await;
    let scope = |resource: &str| json!({ "path": "/token", "scope": format!("{resource}/.default") });
    world.break_sts(json!([{ "match": scope("hangs"), "delay_ms": 8000 }])).await;
    let watch = Stopwatch::start();
    let hangs = async { world.ask("/token?resource=hangs").await };
    let others = async {
        until("it hangs", async || !support::exchanges(&world.http, world.sts.url()).await.is_empty()).await;
        for resource in ["other", "another"] {
            world.ask(&format!("/token?resource={resource}")).await.token();
        }
        watch.elapsed()
    };
    tokio::select! {
        reply = hangs => unreachable!("{reply:?}"),
        took = others => assert!(took < Duration::from_secs(4), "{took:?}"),
    }
}
