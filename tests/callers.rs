//! Callers that are told apart: each gets what is its own, by the proof that is its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use bursar::clock::Stopwatch;
use support::{APP, OTHER_APP, Reply, TWO_IDENTITIES, World};

const CALLERS: &str = r#"
[callers.billing]
proof = { kind = "header-secret", secrets = [{ file = "billing" }, { file = "billing-next" }] }
identities = ["first"]
resources = ["*"]
[callers.shop]
proof = { kind = "header-secret", file = "shop" }
identities = ["second"]
resources = ["*"]
"#;

const APP_SERVICE: &str = "/msi/token?api-version=2019-08-01&resource=https://vault.azure.net";

async fn world() -> World {
    let directory = support::directory();
    for name in ["billing", "billing-next", "shop"] {
        std::fs::write(directory.path().join(name), format!("secret-of-{name}")).unwrap();
    }
    let config = TWO_IDENTITIES.replacen("header_secret = [{ file = \"header\" }]\n", "", 1);
    World::within(directory, &format!("{config}{CALLERS}")).await
}

async fn ask(world: &World, secret: &str, target: &str) -> Reply {
    let request = world.http.get(format!("{}{target}", world.tokens()));
    world.send(request.header("X-IDENTITY-HEADER", secret)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_caller_gets_its_own_identity_without_a_selector_and_nobody_elses() {
    let world = world().await;
    for (secret, own, other) in [("secret-of-billing", APP, OTHER_APP), ("secret-of-shop", OTHER_APP, APP)] {
        let reply = ask(&world, secret, APP_SERVICE).await;
        assert_eq!(reply.body["client_id"], own, "{reply:?}");
        ask(&world, secret, &format!("{APP_SERVICE}&client_id={own}")).await.token();
        let refused = ask(&world, secret, &format!("{APP_SERVICE}&client_id={other}")).await;
        assert_eq!(refused.status, 403, "{refused:?}");
        let unknown =
            ask(&world, secret, &format!("{APP_SERVICE}&client_id=00000000-0000-4000-8000-000000000000")).await;
        assert_eq!(
            (unknown.status, &unknown.body["message"]),
            (403, &refused.body["message"]),
            "nobody can tell which"
        );
    }
    assert_eq!(ask(&world, "secret-of-nobody", APP_SERVICE).await.status, 401);
    assert_eq!(world.ask(support::NATIVE).await.status, 401, "Metadata: true proves nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_rotated_without_a_restart() {
    let world = world().await;
    ask(&world, "secret-of-billing-next", APP_SERVICE).await.token();
    std::fs::write(world.directory.path().join("billing"), "renewed").unwrap();
    let watch = Stopwatch::start();
    while ask(&world, "renewed", APP_SERVICE).await.status != 200 {
        assert!(watch.elapsed() < Duration::from_secs(5), "a new secret is noticed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ask(&world, "secret-of-billing", APP_SERVICE).await.status, 401, "the old one is none any more");
    ask(&world, "secret-of-billing-next", APP_SERVICE).await.token();
    ask(&world, "secret-of-shop", APP_SERVICE).await.token();
    std::fs::write(world.directory.path().join("shop"), "").unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    ask(&world, "secret-of-shop", APP_SERVICE).await.token();
}
