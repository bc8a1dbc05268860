//! The pages of instance metadata that clients read, over a real socket.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::HashMap;

use serde_json::{Value, json};
use support::{Reply, TENANT, TWO_IDENTITIES, World};

const DOCUMENT: &str = r#"{"compute":{"location":"northeurope","name":"vm-7","resourceGroupName":"rg","subscriptionId":"s","vmSize":"Standard_D2s_v5",
"tagsList":[{"name":"team","value":"pay"}],"cost centre/ü+%":"pay-7"},"network":{"interface":[{"macAddress":"0022482D44AC"}]}}"#;

/// A service whose machine is described.
async fn world() -> World {
    let directory = support::directory();
    std::fs::write(directory.path().join("instance.json"), DOCUMENT).unwrap();
    let config = TWO_IDENTITIES.replacen("[tenants.one]", "[metadata]\nfile = \"instance.json\"\n[tenants.one]", 1);
    World::within(directory, &config).await
}

fn media(reply: &Reply) -> &str {
    reply.headers["content-type"].to_str().unwrap()
}

/// Asks with neither `Metadata: true` nor anything else.
async fn bare(world: &World, target: &str) -> Reply {
    world.send(world.http.get(format!("{}{target}", world.tokens()))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_find_what_they_read() {
    let world = world().await;
    // MSAL looks for its region.
    let reply = world.ask("/metadata/instance/compute?api-version=2021-02-01").await;
    assert_eq!((reply.status, &reply.body["location"]), (200, &json!("northeurope")));
    assert_eq!(media(&reply), "application/json; charset=utf-8");
    let location = world.ask("/metadata/instance/compute/location?format=text&api-version=2020-06-01").await;
    assert_eq!((media(&location), &location.body), ("text/plain; charset=utf-8", &json!("northeurope")));
    // The agent of Vault.
    let reply = world.ask("/metadata/instance?api-version=2018-02-01").await;
    assert_eq!(reply.body["compute"]["resourceGroupName"], "rg");
    // Packer decodes a map of strings.
    let reply = world.ask("/metadata/instance/compute?api-version=2017-08-01").await;
    let flat: HashMap<String, String> = serde_json::from_value(reply.body).unwrap();
    assert_eq!(flat["name"], "vm-7");
    // azcopy, and what adds slashes.
    for target in ["/metadata/instance/compute/vmSize", "//metadata/instance/compute//vmSize/"] {
        let reply = world.ask(&format!("{target}?api-version=2019-03-11&format=text")).await;
        assert_eq!(reply.body, "Standard_D2s_v5", "{target}");
    }
    let tag = world.ask("/metadata/instance/compute/tagsList/0/value?api-version=2021-02-01&format=text").await;
    assert_eq!(tag.body, "pay");
    // What cannot stand in a path is encoded, once.
    let odd = "/metadata/instance/compute/cost%20centre%2F%C3%BC+%25?api-version=2021-02-01&format=text";
    assert_eq!(world.ask(odd).await.body, "pay-7");
    let reply = world.ask("/metadata/identity/info?api-version=2018-02-01").await;
    assert_eq!((reply.status, reply.body), (200, json!({ "tenantId": TENANT })));
    let versions = world.ask("/metadata/versions").await;
    assert!(versions.body["apiVersions"].as_array().unwrap().contains(&json!("2021-02-01")), "{versions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request_is_told_in_order() {
    let world = world().await;
    for gone in [
        "/metadata/identity/getplatformmetadata?cred-api-version=2.0",
        "/metadata/identity/issuecredential?cred-api-version=2.0",
        "/metadata/attested/document?api-version=2021-02-01",
        "/metadata/loadbalancer?api-version=2020-10-01",
        "/metadata/scheduledevents?api-version=2020-07-01",
        "/metadata",
    ] {
        for reply in [bare(&world, gone).await, world.ask(gone).await] {
            assert!(reply.status == 404 && reply.body["error"].is_string(), "{gone}: {reply:?}");
        }
    }
    let whole = "/metadata/instance?api-version=2021-02-01";
    let posted = world.send(world.http.post(format!("{}{whole}", world.tokens())).header("Metadata", "true")).await;
    assert_eq!((posted.status, posted.headers["allow"].to_str().unwrap()), (405, "GET"));
    assert!(posted.body["error"].is_string(), "{posted:?}");
    let reply = bare(&world, whole).await;
    assert_eq!((reply.status, only_error(&reply)), (400, true), "{reply:?}");
    for proxy in ["X-Forwarded-For", "Forwarded", "Via"] {
        let request = world.http.get(format!("{}{whole}", world.tokens())).header("Metadata", "true");
        assert_eq!(world.send(request.header(proxy, "1.2.3.4")).await.status, 403, "{proxy}");
    }
    let request = world.http.get(format!("{}{whole}", world.tokens())).header("Metadata", "true");
    assert_eq!(world.send(request.header("Host", "rebound.example")).await.status, 400);
    let reply = world.ask("/metadata/instance").await;
    assert_eq!((reply.status, reply.body["newest-versions"].as_array().unwrap().len()), (400, 3), "{reply:?}");
    let reply = world.ask("/metadata/instance/compute/vmSize?api-version=2021-02-01").await;
    assert_eq!((reply.status, only_error(&reply)), (400, true), "{reply:?}");
    let reply = world.ask("/metadata/instance/compute/nothing?api-version=2021-02-01&format=text").await;
    assert_eq!((reply.status, only_error(&reply)), (404, true), "{reply:?}");
    let twice = world.ask("/metadata/instance?api-version=2021-02-01&api-version=2017-08-01").await;
    assert_eq!((twice.status, only_error(&twice)), (400, true), "{twice:?}");
}

fn only_error(reply: &Reply) -> bool {
    reply.body.as_object().is_some_and(|body| body.len() == 1 && body["error"].as_str().is_some_and(|e| !e.is_empty()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_nobody_described_has_a_page_too() {
    let world = World::start().await;
    let reply = world.ask("/metadata/instance?api-version=2021-02-01").await;
    assert_eq!((&reply.body["compute"]["name"], &reply.body["compute"]["location"]), (&json!("bursar"), &json!("")));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_served_beside_the_tokens_of_imds_alone() {
    let config = TWO_IDENTITIES.replace("workers = 2", "dialects = [\"native\", \"app-service\"]");
    let world = World::with(&config).await;
    for target in ["/metadata/instance?api-version=2021-02-01", "/metadata/versions", "/metadata/identity/info"] {
        assert_eq!(world.ask(target).await.status, 404, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tenant_is_that_of_the_default_identity_if_there_is_one() {
    let info = "/metadata/identity/info?api-version=2018-02-01";
    let several = World::with(&TWO_IDENTITIES.replace("default = true\n", "")).await;
    let reply = several.ask(info).await;
    assert!(reply.status == 400 && only_error(&reply), "{reply:?}");
    let body: &Value = &reply.body;
    assert!(body["error"].as_str().unwrap().contains("none is the default"), "{reply:?}");
}
