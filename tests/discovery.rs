//! Discovery that fails, and how long it is left alone.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use serde_json::json;
use support::{NATIVE, TWO_IDENTITIES, World};

const CONFIGURATION: &str = "openid-configuration";
const INSTANCE: &str = "/common/discovery/instance";

/// How often `path` was asked for since this was last called.
async fn asked(world: &World, path: &str) -> usize {
    let requests = support::journal(&world.http, world.sts.url()).await;
    requests.iter().filter(|request| request["path"].as_str().unwrap().contains(path)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_that_fails_for_longer_rests_for_all_keys() {
    for (status, headers, told, rest) in [
        (429, json!({ "retry-after": "30" }), 429, 30),
        (503, json!({ "retry-after": "30" }), 503, 30),
        (404, json!({}), 403, 60),
    ] {
        let world = World::start().await;
        let rule = json!({ "match": { "path": CONFIGURATION }, "status": status, "headers": headers, "body": "" });
        world.break_sts(json!([rule])).await;
        assert_eq!(world.ask("/token?resource=r0").await.status, told);
        world.hand.advance(Duration::from_secs(rest - 1));
        let late = world.ask("/token?resource=r1").await;
        assert_eq!((late.status, asked(&world, CONFIGURATION).await), (told, 1), "{status}");
        assert!(late.retry_after().is_none_or(|secs| secs <= 1), "what is left of it: {late:?}");
        world.mend_sts().await;
        world.hand.advance(Duration::from_secs(1));
        for n in 0..2 {
            world.ask(&format!("/token?resource=r{n}")).await.token();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_confirms_hosts_is_left_alone_by_all_tenants() {
    let any = "[tenants.\"*\"]\nauthority = \"@authority@\"\ninstance_discovery = \"@authority@\"\n[identities.first]";
    let config = TWO_IDENTITIES.replacen("[identities.first]", any, 1);
    let world = World::with(&config.replacen("tenants = [\"one\", \"two\"]", "tenants = [\"one\", \"*\"]", 1)).await;
    let rule = json!({ "match": { "path": INSTANCE }, "status": 429, "headers": { "retry-after": "30" }, "body": "" });
    world.break_sts(json!([rule])).await;
    for n in ["a", "b", "c"] {
        let reply = world.ask(&format!("{NATIVE}&tenant=b0b00000-0000-4000-8000-0000000000{n}{n}")).await;
        assert_eq!(reply.status, 429, "{reply:?}");
    }
    assert_eq!(asked(&world, INSTANCE).await, 1);
    world.mend_sts().await;
    world.hand.advance(Duration::from_secs(30));
    world.ask(&format!("{NATIVE}&tenant=b0b00000-0000-4000-8000-0000000000aa")).await.token();
}
