//! The status page, as it is served: to whom, with which headers, and with nothing of a caller's that is markup.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use support::{NATIVE, Reply, TWO_IDENTITIES, World, on_token};

/// Closes whatever it stands in, and turns the direction of what follows.
const HOSTILE: &str = "\"'><script>alert(1)</script><!--\u{301}\u{e001}";

async fn admin(world: &World, path: &str) -> Reply {
    world.send(world.http.get(format!("{}{path}", world.admin()))).await
}

async fn page(world: &World) -> String {
    let reply = admin(world, "/status").await;
    assert_eq!(reply.status, 200);
    reply.body.as_str().unwrap().to_owned()
}

async fn ask(world: &World, resource: &str) -> Reply {
    let url = reqwest::Url::parse_with_params(&format!("{}/token", world.tokens()), [("resource", resource)]).unwrap();
    world.send(world.http.get(url).header("Metadata", "true")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_may_show_it_and_do_nothing_else() {
    let world = World::start().await;
    let reply = admin(&world, "/status").await;
    let style = reply.body.as_str().unwrap().split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = BASE64_STANDARD.encode(digest(&SHA256, style.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("content-security-policy", &policy),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(reply.headers[name], value, "{name}");
    }
    let text = reply.body.as_str().unwrap();
    for none in ["<script", "style=\"", "onload", "src=\"", "href=\"http", "<form", "<iframe"] {
        assert!(!text.contains(none), "{none} is in the page");
    }
    assert_eq!(admin(&world, "/").await.body.as_str().unwrap().len(), text.len(), "it is the first page too");
    let posted = world.send(world.http.post(format!("{}/status", world.admin()))).await;
    assert_eq!(posted.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_callers_make_up_is_text() {
    let world = World::start().await;
    ask(&world, HOSTILE).await.token();
    let shown = "&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;!--\\u{301}\\u{e001}/.default";
    let page = page(&world).await;
    assert!(page.contains(shown), "{page}");
    assert!(!page.contains("<script") && !page.contains(['\u{301}', '\u{e001}']));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_what_there_is_and_what_failed_and_no_token() {
    let world = World::start().await;
    let token = world.ask(NATIVE).await.token().to_owned();
    let words =
        json!({ "error": "invalid_client", "error_description": "AADSTS7000222: the secret keys of app have expired" });
    world.break_sts(on_token(json!({ "status": 401, "body": words, "times": 1 }))).await;
    assert_eq!(world.ask("/token?resource=https://vault.azure.net&identity=second").await.status, 403);
    let page = page(&world).await;
    for expected in [
        "data-column=\"Identity\"><div>first</div></th>",
        "data-column=\"Identity\"><div>second</div></th>",
        "https://vault.azure.net/.default",
        support::TENANT,
        "<div>secret</div></td>",
        "AADSTS7000222",
        "The operator's turn",
        "<span class=\"badge bad\">failing</span>",
        "<meter min=\"0\" max=\"100\"",
    ] {
        assert!(page.contains(expected), "{expected} is missing in {page}");
    }
    assert!(!page.contains("the secret keys of app"), "the authority's words are for the log");
    for part in token.split('.') {
        assert!(!page.contains(part));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_of_any_tenant_has_its_credentials_too() {
    let config = TWO_IDENTITIES
        .replace("tenants = [\"one\"]", "tenants = [\"*\"]")
        .replace("id = \"b0b00000-0000-4000-8000-00000000000a\"\n", "");
    let world =
        World::with(&config.replace("[tenants.two]", "[tenants.\"*\"]").replace("[\"one\", \"two\"]", "[\"one\"]"))
            .await;
    let elsewhere = format!("{NATIVE}&identity=second&tenant={}", support::OTHER_TENANT);
    world.break_sts(on_token(json!({ "status": 400, "body": { "error": "unauthorized_client" }, "times": 1 }))).await;
    assert_eq!(world.ask(&elsewhere).await.status, 403);
    let page = page(&world).await;
    assert!(page.contains("any that a caller names") && page.matches("<div>secret</div></td>").count() == 2, "{page}");
    assert!(page.contains("no token came") && page.contains(support::OTHER_TENANT), "{page}");
    assert!(
        !page.contains(">failing<"),
        "what fails in a tenant of a caller's choice is no failure of the identity: {page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_keys_make_no_long_page() {
    let world = World::start().await;
    for n in 0..150 {
        ask(&world, &format!("{}{n}", "x".repeat(1000))).await.token();
    }
    let page = page(&world).await;
    assert_eq!(page.matches("<meter").count(), 100);
    assert!(page.contains("50 more keys are not shown") && page.len() < 150_000, "{}", page.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn off_loopback_it_is_served_where_the_operator_says_so() {
    let off_loopback = TWO_IDENTITIES.replace("admin_listen = \"127.0.0.1:0\"", "admin_listen = \"0.0.0.0:0\"");
    for (config, status) in
        [(off_loopback.clone(), 404), (off_loopback.replace("[server]", "[server]\nstatus_page = true"), 200)]
    {
        let world = World::with(&config).await;
        for path in ["/", "/status"] {
            let url = format!("{}{path}", world.admin().replace("0.0.0.0", "127.0.0.1"));
            let reply = world.send(world.http.get(url)).await;
            assert_eq!(reply.status, status, "{reply:?}");
            assert!(status == 200 || reply.description().contains("status_page"), "{reply:?}");
        }
        let url = format!("{}/readyz", world.admin().replace("0.0.0.0", "127.0.0.1"));
        assert_eq!(world.send(world.http.get(url)).await.status, 200);
    }
}
