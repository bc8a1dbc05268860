//! Exchanges that callers demand: `bypass_cache=true`, and `token_sha256_to_refresh` for a token that was refused.

mod support;

use std::collections::HashSet;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use futures_util::future::join_all;
use serde_json::json;
use support::ways::{self, ways};
use support::{NATIVE, Reply, TWO_IDENTITIES, World, on_token, until};

const BYPASS: &str = "bypass_cache=true";
const CHALLENGE: &str = "claims=%7B%22access_token%22%3A%7B%22nbf%22%3A%7B%22value%22%3A%221%22%7D%7D%7D";

/// The demand for another token than this one.
fn rejecting(token: &str) -> String {
    let sum = digest(&SHA256, token.as_bytes());
    let hex: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("token_sha256_to_refresh={hex}")
}

async fn demand(world: &World, parameters: &str) -> Reply {
    world.ask(&format!("{NATIVE}&{parameters}")).await
}

async fn token(world: &World) -> String {
    world.ask(NATIVE).await.token().to_owned()
}

fn outage() -> serde_json::Value {
    on_token(json!({ "status": 503, "headers": { "retry-after": "60" } }))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_dialect_takes_both_demands() {
    let world = ways::world().await;
    for (row, path, method) in ways() {
        let asked = format!("{} {} {path}", row.name, method.as_str());
        let ask = async |parameters: &str| ways::ask(&world, row, path, method, parameters).await.token().to_owned();
        let first = ask("").await;
        let second = ask(BYPASS).await;
        assert_ne!(second, first, "{asked}");
        let third = ask(&rejecting(&second)).await;
        assert_ne!(third, second, "{asked}");
        world.exchanges().await;
        for cached in ["", "bypass_cache=false", "bypass_cache=1", "bypass_cache=", &rejecting(&first)] {
            assert_eq!(ask(cached).await, third, "{asked} {cached}");
        }
        assert_eq!(world.exchanges().await, 0, "{asked}");
        let malformed = ways::ask(&world, row, path, method, "token_sha256_to_refresh=abc").await;
        assert_eq!(malformed.status, 400, "{asked} {malformed:?}");
        assert!(malformed.body.to_string().contains("'token_sha256_to_refresh' is a SHA-256 in 64 hex digits"));
        // The demands of all ways are for one key.
        world.hand.advance(Duration::from_secs(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_is_hex_of_either_case_and_decides_over_the_other_demand() {
    let world = World::start().await;
    let first = token(&world).await;
    let second = demand(&world, &rejecting(&first).to_uppercase().replace("TOKEN_SHA256_TO_REFRESH", HASH)).await;
    assert_ne!(second.token(), first);
    world.exchanges().await;
    let both = demand(&world, &format!("{BYPASS}&{}", rejecting(&first))).await;
    assert_eq!((both.token(), world.exchanges().await), (second.token(), 0), "whoever names one takes any other");
    let both = demand(&world, &format!("{BYPASS}&{}", rejecting(second.token()))).await;
    assert!(both.token() != second.token() && world.exchanges().await == 1);
    let hex = rejecting(&first).split_off(HASH.len() + 1);
    for wrong in [&hex[1..], &format!("{hex}0"), &hex.replacen(&hex[..1], "g", 1), "%C3%A9", &hex.repeat(99)] {
        let reply = demand(&world, &format!("{HASH}={wrong}")).await;
        assert_eq!(reply.status, 400, "{wrong}: {reply:?}");
        assert!(reply.description().contains("64 hex digits") && !reply.body.to_string().contains(&hex), "{reply:?}");
    }
    let twice = demand(&world, &format!("{}&{}", rejecting(&first), rejecting(second.token()))).await;
    assert!(twice.status == 400 && twice.description().contains("given twice"), "{twice:?}");
    assert_eq!(world.exchanges().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_reject_a_token_there_is_one_exchange_and_the_others_wait_for_nothing() {
    let world = World::start().await;
    let old = token(&world).await;
    world.exchanges().await;
    world.break_sts(on_token(json!({ "delay_ms": 500 }))).await;
    let demands: Vec<String> = (0..40).map(|n| if n % 2 == 0 { rejecting(&old) } else { BYPASS.to_owned() }).collect();
    let (replies, plain) = tokio::join!(join_all(demands.iter().map(|one| demand(&world, one))), async {
        until("a flight", async || world.metric("bursar_flight_waiters_total").await >= Some(2.0)).await;
        let watch = bursar::clock::Stopwatch::start();
        (token(&world).await, watch.elapsed())
    });
    assert!(plain.0 == old && plain.1 < Duration::from_millis(400), "whoever demands nothing has the live one");
    let tokens: HashSet<&str> = replies.iter().map(Reply::token).collect();
    assert!(tokens.len() == 1 && !tokens.contains(old.as_str()));
    assert_eq!(world.exchanges().await, 1);
    assert!(tokens.contains(token(&world).await.as_str()), "it takes the place of the rejected one");
}

#[tokio::test(flavor = "multi_thread")]
async fn demands_are_bounded_by_a_rate() {
    let slow = "[freshness]\nrefresh_rate = 2\n[server]";
    let world = World::with(&TWO_IDENTITIES.replacen("[server]", slow, 1)).await;
    let cold = demand(&world, BYPASS).await;
    assert_eq!((cold.status, world.exchanges().await), (200, 1), "what is not there is fetched once");
    for second in 0..2 {
        let mut last = token(&world).await;
        for _ in 0..2 {
            let next = demand(&world, &rejecting(&last)).await.token().to_owned();
            assert_ne!(next, last);
            last = next;
        }
        for parameters in [BYPASS, &rejecting(&last), CHALLENGE] {
            let reply = demand(&world, parameters).await;
            assert_eq!((reply.status, reply.retry_after()), (429, Some(1)), "{second} {reply:?}");
        }
        assert_eq!((token(&world).await, world.exchanges().await), (last, 2), "the others go on");
        world.hand.advance(Duration::from_secs(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_forces_an_exchange_that_fails_is_told_and_the_others_keep_the_live_token() {
    let world = World::start().await;
    let live = token(&world).await;
    world.break_sts(outage()).await;
    for parameters in [BYPASS, &rejecting(&live)] {
        world.exchanges().await;
        let failed = demand(&world, parameters).await;
        assert_eq!(failed.status, 503, "{failed:?}");
        assert!(failed.retry_after().is_some() && !failed.body.to_string().contains(&live));
        assert!(world.exchanges().await > 0);
        let again = demand(&world, parameters).await;
        assert_eq!((again.status, world.exchanges().await), (503, 0), "the authority is left alone");
        assert_eq!(token(&world).await, live);
        assert_eq!(demand(&world, &rejecting("another")).await.token(), live, "it was not this one that was refused");
        world.hand.advance(Duration::from_secs(60));
    }
    world.mend_sts().await;
    assert_ne!(demand(&world, &rejecting(&live)).await.token(), live);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_cold_or_dead_is_fetched_once() {
    let world = World::start().await;
    for is_dead in [false, true] {
        for (n, parameters) in [BYPASS, &rejecting("another"), CHALLENGE].into_iter().enumerate() {
            world.ask(&format!("/token?resource=https://r{n}&{parameters}")).await.token();
            assert_eq!(world.exchanges().await, 1, "{parameters}, dead: {is_dead}");
        }
        world.hand.advance(Duration::from_hours(2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_repeats_itself_has_nothing_for_whoever_rejects_its_token() {
    let world = World::start().await;
    let same = json!({ "access_token": "the.same.token", "expires_in": 3600, "token_type": "Bearer" });
    world.break_sts(on_token(json!({ "status": 200, "body": same }))).await;
    // Cold too: what comes is looked at.
    for exchanges in [2, 1] {
        let reply = demand(&world, &rejecting("the.same.token")).await;
        assert_eq!((reply.status, world.exchanges().await), (503, exchanges), "{reply:?}");
        assert!(reply.description().contains("gave the rejected one once more"), "{reply:?}");
        assert_eq!(token(&world).await, "the.same.token", "which is good enough for others");
    }
    assert_eq!(demand(&world, BYPASS).await.token(), "the.same.token", "and for whoever wants it from the authority");
    world.mend_sts().await;
    assert_ne!(demand(&world, &rejecting("the.same.token")).await.token(), "the.same.token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_beside_it_goes_to_the_authority() {
    let world = World::start().await;
    let old = token(&world).await;
    world.exchanges().await;
    let mut last = old.clone();
    for beside in [rejecting(&old), rejecting("another"), BYPASS.to_owned()] {
        let reply = demand(&world, &format!("{CHALLENGE}&{beside}")).await;
        assert_ne!(reply.token(), last);
        let sent = support::exchanges(&world.http, world.sts.url()).await;
        assert_eq!(sent.len(), 1);
        assert!(sent[0]["form"]["claims"].as_str().unwrap().contains("nbf"), "{sent:?}");
        last = reply.token().to_owned();
    }
    assert_eq!(token(&world).await, last);
}

const HASH: &str = "token_sha256_to_refresh";
