//! One exchange per key at a time, however many ask; and keys never mix.

mod support;

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use support::{NATIVE, World, on_token};

async fn wave(world: &World, size: usize) -> HashSet<String> {
    let replies = join_all((0..size).map(|_| world.ask(NATIVE))).await;
    replies.iter().map(|reply| reply.token().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_callers_cause_one_exchange_and_the_next_hundred_none() {
    let world = World::start().await;
    world.break_sts(on_token(json!({ "delay_ms": 300 }))).await;
    let first = wave(&world, 100).await;
    assert_eq!((first.len(), world.exchanges().await), (1, 1));
    let second = wave(&world, 100).await;
    assert_eq!((second, world.exchanges().await), (first, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_leaves_costs_the_others_nothing() {
    let world = World::start().await;
    world.break_sts(on_token(json!({ "delay_ms": 400 }))).await;
    let request = || world.http.get(format!("{}{NATIVE}", world.tokens())).header("Metadata", "true");
    let leaving = request().timeout(Duration::from_millis(100)).send();
    let (left, stayed) = tokio::join!(leaving, async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        wave(&world, 10).await
    });
    assert!(left.unwrap_err().is_timeout());
    assert_eq!((stayed.len(), world.exchanges().await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flight_goes_on_when_everybody_left() {
    let world = World::start().await;
    world.break_sts(on_token(json!({ "delay_ms": 300 }))).await;
    let request = world.http.get(format!("{}{NATIVE}", world.tokens())).header("Metadata", "true");
    request.timeout(Duration::from_millis(100)).send().await.unwrap_err();
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.ask(NATIVE).await.token();
    assert_eq!(world.exchanges().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_identities_and_tenants_never_share_a_token() {
    let world = World::start().await;
    let targets = [
        NATIVE.to_owned(),
        "/token?resource=https://vault.azure.net/".to_owned(),
        "/token?resource=https://graph.microsoft.com".to_owned(),
        format!("{NATIVE}&identity=second"),
        format!("{NATIVE}&tenant=two"),
    ];
    let replies = join_all(targets.iter().map(|target| world.ask(target))).await;
    let tokens: HashSet<&str> = replies.iter().map(support::Reply::token).collect();
    assert_eq!((tokens.len(), world.exchanges().await), (targets.len(), targets.len()));
}
