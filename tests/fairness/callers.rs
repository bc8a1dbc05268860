//! Three callers who are told apart, and a service that they ask.

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use crate::support::{self, Reply, TWO_IDENTITIES, World, on_token};

/// Asks for more than its share.
pub(crate) const FLOOD: &str = "secret-of-flood";
/// Has the same identity.
pub(crate) const NEIGHBOUR: &str = "secret-of-neighbour";
/// Has another one.
pub(crate) const STRANGER: &str = "secret-of-stranger";

const CALLERS: &str = r#"
[callers.flood]
proof = { kind = "header-secret", file = "flood" }
identities = ["first"]
resources = ["*"]
[callers.neighbour]
proof = { kind = "header-secret", file = "neighbour" }
identities = ["first"]
resources = ["*"]
[callers.stranger]
proof = { kind = "header-secret", file = "stranger" }
identities = ["second"]
resources = ["*"]
"#;

const ANY: &str = "[tenants.\"*\"]\nauthority = \"@authority@\"\ninstance_discovery = false\n";

/// A world of three callers, with `more` in its configuration.
pub(crate) async fn world(more: &str) -> World {
    let directory = support::directory();
    for secret in [FLOOD, NEIGHBOUR, STRANGER] {
        let file = secret.trim_start_matches("secret-of-");
        std::fs::write(directory.path().join(file), secret).unwrap();
    }
    let mut config = TWO_IDENTITIES.to_owned();
    for (from, to) in [
        (
            "instance_discovery = false\n[identities.first]",
            "instance_discovery = false\ntimeout = \"4s\"\n[identities.first]",
        ),
        ("header_secret = [{ file = \"header\" }]\n", ""),
        ("timeout = \"2s\"", "timeout = \"50s\""),
        ("tenants = [\"one\", \"two\"]", "tenants = [\"one\", \"two\", \"*\"]"),
        ("resources = [\"https://vault.azure.net\"]", "resources = [\"*\"]"),
    ] {
        assert!(config.contains(from), "{from}");
        config = config.replacen(from, to, 1);
    }
    World::within(directory, &format!("{config}{ANY}{CALLERS}{more}")).await
}

pub(crate) fn request(world: &World, secret: &str, query: &str) -> reqwest::RequestBuilder {
    let request = world.http.get(format!("{}/token?{query}", world.tokens()));
    request.header("Metadata", "true").header("X-IDENTITY-HEADER", secret)
}

pub(crate) async fn ask(world: &World, secret: &str, query: &str) -> Reply {
    world.send(request(world, secret, query)).await
}

/// Asks, and does not wait for more than five seconds.
pub(crate) async fn ask_briefly(world: &World, secret: &str, query: &str) -> Reply {
    let asked = timeout(Duration::from_secs(5), ask(world, secret, query)).await;
    asked.unwrap_or_else(|_| panic!("{secret} waits for somebody else's exchanges"))
}

/// Whether so many requests have waited for a flight since the start.
pub(crate) async fn has_waited(world: &World, times: usize) -> bool {
    let page = world.send(world.http.get(format!("{}/metrics", world.admin()))).await;
    page.body.as_str().unwrap().contains(&format!("\nbursar_flight_waiters_total {times}\n"))
}

/// Every exchange hangs, but for those of these resources.
pub(crate) async fn hang(world: &World, spared: impl Iterator<Item = String>) {
    let spare = |resource: String| json!({ "match": { "scope": format!("{resource}/.default") } });
    world.break_sts(spared.map(spare).collect()).await;
    world.break_sts(on_token(json!({ "delay_ms": HANGING }))).await;
}

/// Longer than any of these tests, in milliseconds.
pub(crate) const HANGING: u64 = 20_000;
