//! What is counted of identities and credentials that a reload has removed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;

use serde_json::json;
use support::proof::with_credentials;
use support::{NATIVE, World, directory, on_token, until};

const BOTH: &str = r#"[{ kind = "secret", file = "secret" }, { kind = "secret", file = "other-secret" }]"#;
const ONE: &str = r#"[{ kind = "secret", file = "secret" }]"#;

/// The lines of `/metrics` with this label.
async fn lines(world: &World, label: &str) -> Vec<String> {
    let page = world.send(world.http.get(format!("{}/metrics", world.admin()))).await;
    page.body.as_str().unwrap().lines().filter(|line| line.contains(label)).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_series_of_what_a_reload_removed_go_also_those_of_requests_that_end_late() {
    let (second, spare) = ("identity=\"second\"", "credential=\"secret#2\"");
    let config = |credentials| with_credentials(credentials).replacen("[\"https://vault.azure.net\"]", "[\"*\"]", 1);
    let world = Arc::new(World::within(directory(), &config(BOTH)).await);
    world.ask(NATIVE).await.token();
    world.ask(&format!("{NATIVE}&identity=second")).await.token();
    until("both are counted", async || !lines(&world, spare).await.is_empty()).await;
    assert!(!lines(&world, second).await.is_empty());
    let exchanges = "bursar_exchanges_total{identity=\"first\",outcome=\"ok\"}";
    let counted = world.metric(exchanges).await;

    world.break_sts(on_token(json!({ "delay_ms": 1500, "times": 1 }))).await;
    world.exchanges().await;
    let late = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.ask("/token?resource=late&identity=second").await }
    });
    until("it is on its way", async || world.exchanges().await > 0).await;
    let without = config(ONE).split("[identities.second]").next().unwrap().to_owned();
    world.rewrite(&without).await;
    until("they are gone", async || lines(&world, second).await.is_empty() && lines(&world, spare).await.is_empty())
        .await;
    assert_eq!(world.metric(exchanges).await, counted, "whoever stays is counted on");
    late.await.unwrap().token();
    assert!(!lines(&world, second).await.is_empty(), "it was let in under the old configuration, and is counted");
    // Whatever changes nearby has everything looked at, as each minute does.
    std::fs::write(world.directory.path().join("another"), "").unwrap();
    until("what came late is gone too", async || lines(&world, second).await.is_empty()).await;
    assert_eq!(world.metric(exchanges).await, counted);
}
