//! Tenants that only callers name.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bursar::clock::Stopwatch;
use serde_json::Value;
use support::{NATIVE, OTHER_TENANT, SECRET, TENANT, TWO_IDENTITIES, World};

const THIRD: &str = "b0b00000-0000-4000-8000-00000000000c";
const ANY: &str = "[tenants.\"*\"]\nauthority = \"@authority@\"\ninstance_discovery = false\n\n[identities.first]";

fn config(tenants: &str) -> String {
    let listed = "tenants = [\"one\", \"two\"]";
    assert!(TWO_IDENTITIES.contains(listed));
    TWO_IDENTITIES.replacen("[identities.first]", ANY, 1).replacen(listed, &format!("tenants = {tenants}"), 1)
}

fn tenant_of(token: &str) -> String {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["tid"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_may_name_any_tenant_where_any_is_allowed() {
    let world = World::with(&config("[\"two\", \"*\"]")).await;
    for (extra, tenant) in [
        (String::new(), OTHER_TENANT),
        ("&tenant=one".to_owned(), TENANT),
        (format!("&tenant={THIRD}"), THIRD),
        (format!("&tenant={}", THIRD.to_uppercase()), THIRD),
    ] {
        let reply = world.ask(&format!("{NATIVE}{extra}")).await;
        assert_eq!(tenant_of(reply.token()), tenant, "{extra}");
    }
    assert_eq!(world.exchanges().await, 3, "a tenant in another case is the same");
    let reply = world.ask(&format!("{NATIVE}&tenant=nobody.example")).await;
    assert!(reply.status == 403 && reply.description().contains("AADSTS90002"), "{reply:?}");
    for tenant in ["*", "common", "a%2Fb.example"] {
        let reply = world.ask(&format!("{NATIVE}&tenant={tenant}")).await;
        assert_eq!(reply.status, 400, "{tenant}: {reply:?}");
    }
    let reply = world.ask(&format!("{NATIVE}&identity=second&tenant={THIRD}")).await;
    assert_eq!(reply.status, 400, "the other identity lists its tenants: {reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_alone_is_no_default() {
    let world = World::with(&config("[\"*\"]")).await;
    let reply = world.ask(NATIVE).await;
    assert!(reply.status == 400 && reply.description().contains("say which one with tenant="), "{reply:?}");
    world.ask(&format!("{NATIVE}&tenant=one")).await.token();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_reaches_tenants_that_callers_named() {
    let config = config("[\"*\"]").replacen("file = \"secret\"", "file = \"wrong\"", 1);
    let directory = support::directory();
    std::fs::write(directory.path().join("wrong"), "wrong").unwrap();
    let world = World::within(directory, &config).await;
    let target = format!("{NATIVE}&identity=first&tenant={THIRD}");
    assert_eq!(world.ask(&target).await.status, 403);
    std::fs::write(world.directory.path().join("wrong"), SECRET).unwrap();
    let watch = Stopwatch::start();
    while world.ask(&target).await.status != 200 {
        assert!(watch.elapsed() < Duration::from_secs(2), "the rejection ends with the secret");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_section_for_any_tenant_is_checked_as_one() {
    let directory = support::directory();
    for (written, told) in [
        ("id = \"contoso.com\"", "tenants.*.id: this section is for any tenant that a caller names"),
        ("authority = \"https://adfs.corp/adfs\"", "only an authority that has tenants"),
        ("authority = \"https://idp.corp\"\nkind = \"oidc\"", "only an authority that has tenants"),
    ] {
        let text = config("[\"*\"]").replacen(
            "authority = \"@authority@\"\ninstance_discovery = false\n\n[id",
            &format!("{written}\n\n[id"),
            1,
        );
        let path = support::write_config(directory.path(), &text, "http://127.0.0.1:1");
        let output = support::bursar().args(["check", "--config"]).arg(path).output().unwrap();
        assert_eq!(output.status.code(), Some(64));
        let told_of = String::from_utf8(output.stdout).unwrap();
        assert!(told_of.contains(told), "{told_of}");
    }
}
