//! Callers that are told apart: what one asks for, however much, is in nobody else's way.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "fairness/callers.rs"]
mod callers;
#[path = "fairness/rush.rs"]
mod rush;
mod support;

use std::time::Duration;

use bursar::clock::Stopwatch;
use callers::{FLOOD, HANGING, NEIGHBOUR, STRANGER, ask, ask_briefly, hang, has_waited, request, world};
use futures_util::future::join_all;
use rush::{Rush, until};
use serde_json::json;
use support::flood::Flood;
use support::{Reply, TWO_IDENTITIES, World, on_token};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn exchanges_that_hang_are_in_the_way_of_whoever_asked_for_them() {
    let world = world("").await;
    for secret in [FLOOD, NEIGHBOUR, STRANGER] {
        ask(&world, secret, "resource=https://own").await.token();
    }
    hang(&world, (0..20).map(|n| format!("https://spared{n}"))).await;
    world.exchanges().await;
    let mut flood = Rush::new();
    flood.rush(&world, (0..1000).map(|n| format!("resource=https://r{n}")), 1000 - FLYING - WAITING).await;
    for n in 0..20 {
        for secret in [NEIGHBOUR, STRANGER] {
            ask_briefly(&world, secret, &format!("resource=https://spared{n}")).await.token();
        }
    }
    assert_eq!(world.exchanges().await, FLYING + 40, "so many of the flood's have begun, and none has ended");
    let refused = ask_briefly(&world, FLOOD, "resource=https://spared-no-more").await;
    assert!(refused.description().contains("cache.caller_share"), "{refused:?}");
    ask_briefly(&world, FLOOD, "resource=https://own").await.token();
    ask_briefly(&world, FLOOD, "resource=https://spared0").await.token();
    assert_eq!(world.exchanges().await, 0, "what is there is served, whoever had it fetched");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_boards_a_flight_that_waits_in_another_line_flies_it_in_its_own_turn() {
    let world = world("").await;
    ask(&world, NEIGHBOUR, "resource=https://own").await.token();
    hang(&world, std::iter::once("https://spared".to_owned())).await;
    world.exchanges().await;
    let mut flood = Rush::new();
    for resource in ["r0", "r1", "spared"] {
        flood.ask(&world, &format!("resource=https://{resource}"));
        let waiters = 2 + flood.asking.len() - 1;
        until(async || has_waited(&world, waiters).await).await;
    }
    assert_eq!(world.exchanges().await, FLYING, "the third waits in line");
    ask_briefly(&world, NEIGHBOUR, "resource=https://spared").await.token();
    until(async || flood.check() == (0, 1)).await;
    assert_eq!(world.exchanges().await, 1, "both were aboard");
    ask_briefly(&world, NEIGHBOUR, "resource=https://spared").await.token();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_in_its_line_for_too_long_is_told_so_and_nothing_cools() {
    let world = world("").await;
    ask(&world, FLOOD, "resource=https://own&tenant=two").await.token();
    hang(&world, std::iter::once("https://spared".to_owned())).await;
    let mut flood = Rush::new();
    for (resource, waiters) in [("r0", 2), ("r1", 3)] {
        flood.ask(&world, &format!("resource=https://{resource}&tenant=two"));
        until(async || has_waited(&world, waiters).await).await;
    }
    let refused = ask_briefly(&world, FLOOD, "resource=https://spared&tenant=two").await;
    assert_eq!((refused.status, refused.retry_after()), (429, Some(1)), "{refused:?}");
    ask_briefly(&world, NEIGHBOUR, "resource=https://spared&tenant=two").await.token();
    ask_briefly(&world, FLOOD, "resource=https://spared&tenant=two").await.token();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_boards_later_waits_for_its_own_time_and_not_for_the_first_ones() {
    let world = world("").await;
    ask(&world, FLOOD, "resource=https://own&tenant=two").await.token();
    hang(&world, std::iter::once("https://spared".to_owned())).await;
    let mut under_way = JoinSet::new();
    for (n, secret) in [FLOOD, FLOOD, NEIGHBOUR, NEIGHBOUR].into_iter().enumerate() {
        let request = request(&world, secret, &format!("resource=https://r{n}&tenant=two"));
        under_way.spawn(request.send());
        until(async || has_waited(&world, 2 + n).await).await;
    }
    // Exchanges that hang end after four seconds, and nobody waits for its turn for more than two.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let spared = "resource=https://spared&tenant=two";
    let (first, second) = tokio::join!(ask_briefly(&world, FLOOD, spared), async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        ask_briefly(&world, NEIGHBOUR, spared).await
    });
    assert_eq!((first.status, first.retry_after()), (429, Some(1)), "{first:?}");
    second.token();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_slows_nobody_else_by_more_than_a_tenth() {
    let (calm, flooded) = tokio::join!(world(""), world(""));
    for world in [&calm, &flooded] {
        for secret in [FLOOD, NEIGHBOUR, STRANGER] {
            ask(world, secret, "resource=https://own").await.token();
        }
        world.break_sts(on_token(json!({ "delay_ms": PACE }))).await;
    }
    let flood = Flood::of(flooded.server.token_addresses()[0], FLOOD);
    until(async || flood.refused() > 0).await;
    flooded.exchanges().await;
    let (watch, asked, refused) = (Stopwatch::start(), flood.asked(), flood.refused());
    let mut tries = 0;
    let report = loop {
        tries += 1;
        let waited = async |secret| exchanges_waited_for(&calm, &flooded, secret, tries).await;
        let waits = <[_; 2]>::from(tokio::join!(waited(NEIGHBOUR), waited(STRANGER)));
        let rate = f64::from(flood.asked() - asked) / watch.elapsed().as_secs_f64();
        let report =
            format!("{rate:.0} requests a second; exchanges waited for, calm and under the flood: {waits:.2?}");
        // However fast the machine can send them, nearly all must be more than the flood's share.
        let overflow = f64::from(flood.refused() - refused) / f64::from(flood.asked() - asked);
        assert!(rate >= LEAST_RATE && overflow >= 0.9, "that is no flood, {overflow:.2} were refused: {report}");
        if waits.iter().all(|[calm, flooded]| *flooded <= 1.1 * calm) {
            break report;
        }
        // Whatever else the machine does only adds to the waiting, and not each time.
        assert!(tries < 3, "{report}");
    };
    let begun = (flooded.exchanges().await - tries * 2 * ROUNDS) as f64;
    let share = FLYING as f64 * watch.elapsed().as_secs_f64() / Duration::from_millis(PACE).as_secs_f64();
    assert!((0.5 * share..=share + FLYING as f64).contains(&begun), "{begun} of {share} were the flood's: {report}");
    let watch = Stopwatch::start();
    ask(&flooded, FLOOD, "resource=https://own").await.token();
    assert!(watch.elapsed() < Duration::from_millis(PACE), "what is there is served");
}

/// How many exchanges somebody waits for, its own included, that asks for one new token after the other in each of
/// two worlds. It asks in both at once, so that whatever keeps the machine busy slows it in both.
async fn exchanges_waited_for(calm: &World, flooded: &World, secret: &str, word: usize) -> [f64; 2] {
    let mut sums = [0.0; 2];
    for n in 0..ROUNDS {
        let query = format!("resource=https://{secret}-{word}-{n}");
        let one = async |world| {
            let watch = Stopwatch::start();
            ask(world, secret, &query).await.token();
            watch.elapsed().as_secs_f64() / Duration::from_millis(PACE).as_secs_f64()
        };
        let waited = tokio::join!(one(calm), one(flooded));
        sums[0] += waited.0;
        sums[1] += waited.1;
        // Not always when the flood's exchanges end, too.
        tokio::time::sleep(Duration::from_millis(PACE / 4)).await;
    }
    sums
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_keys_pushes_out_nobody_elses() {
    let world = world("[cache]\nentries = 40\n").await;
    for n in 0..8 {
        ask(&world, NEIGHBOUR, &format!("resource=https://n{n}")).await.token();
    }
    assert_eq!(world.exchanges().await, 8);
    let replies = async |range: std::ops::Range<usize>| {
        let mut statuses = Vec::new();
        for n in range {
            let reply = ask(&world, FLOOD, &format!("resource=https://r{n}")).await;
            assert!(reply.status == 200 || reply.retry_after() == Some(5), "{reply:?}");
            statuses.push(reply.status);
        }
        statuses
    };
    let first = replies(0..300).await;
    let granted = first.iter().filter(|status| **status == 200).count();
    assert!(granted == 10 && first.ends_with(&[429; 290]), "a quarter of forty, and then no more: {granted}");
    assert_eq!(world.exchanges().await, 10);
    assert_eq!(replies(0..10).await, [200; 10], "its own are served");
    for n in 0..8 {
        ask(&world, NEIGHBOUR, &format!("resource=https://n{n}")).await.token();
        ask(&world, FLOOD, &format!("resource=https://n{n}")).await.token();
    }
    assert_eq!(world.exchanges().await, 0, "nobody's was pushed out, and what another one had made is found");
    for n in 8..10 {
        ask(&world, NEIGHBOUR, &format!("resource=https://n{n}")).await.token();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_that_a_caller_makes_up_take_no_more_connections_than_its_share() {
    let world = world("[cache]\ncaller_share = 0.1\n").await;
    ask(&world, NEIGHBOUR, "resource=https://own").await.token();
    world.break_sts(json!([{ "match": { "path": "openid-configuration" }, "delay_ms": HANGING }])).await;
    support::journal(&world.http, world.sts.url()).await;
    let tenant = |n: usize| format!("resource=https://own&tenant=b0b00000-0000-4000-8000-{n:012}");
    let mut flood = Rush::new();
    flood.rush(&world, (100..500).map(tenant), 400 - 25 - 102).await;
    let discoveries = support::journal(&world.http, world.sts.url()).await;
    assert_eq!(discoveries.len(), 25, "a tenth of all connections");
    ask_briefly(&world, NEIGHBOUR, "resource=https://new").await.token();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_challenges_leaves_the_others_theirs() {
    let world = world("[freshness]\nrefresh_rate = 2\n").await;
    for (secret, resource) in [(FLOOD, "https://own"), (NEIGHBOUR, "https://new")] {
        ask(&world, secret, &format!("resource={resource}")).await.token();
    }
    let challenged = |resource: &str| format!("resource={resource}&claims=%7B%22a%22%3A1%7D");
    let flood = (0..100).map(|n| challenged(&format!("https://r{n}")));
    let replies: Vec<Reply> = join_all(flood.map(async |query| ask(&world, FLOOD, &query).await)).await;
    let refused = replies.iter().filter(|reply| reply.status == 429).count();
    assert!((50..100).contains(&refused), "{refused}");
    ask(&world, NEIGHBOUR, &challenged("https://new")).await.token();
}

#[tokio::test(flavor = "multi_thread")]
async fn challenges_for_one_key_wait_for_few_of_anothers() {
    let world = world("").await;
    ask(&world, NEIGHBOUR, "resource=https://own").await.token();
    world.break_sts(on_token(json!({ "delay_ms": 250 }))).await;
    let challenged = |n: usize| format!("resource=https://own&claims=%7B%22a%22%3A{n}%7D");
    let mut rush = Rush::new();
    (0..100).for_each(|n| rush.ask(&world, &challenged(n)));
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.exchanges().await;
    for n in 100..103 {
        ask_briefly(&world, NEIGHBOUR, &challenged(n)).await.token();
    }
    let begun = world.exchanges().await;
    assert!(begun <= 3 + 9, "of a hundred that wait already: {begun}");
}

#[tokio::test(flavor = "multi_thread")]
async fn renewals_that_hang_are_in_nobody_elses_way() {
    let world = world("").await;
    let held = |n: usize| format!("resource=https://r{n}");
    for n in 0..20 {
        ask(&world, FLOOD, &held(n)).await.token();
    }
    world.hand.advance(Duration::from_mins(50));
    hang(&world, std::iter::once("https://spared".to_owned())).await;
    world.exchanges().await;
    let watch = Stopwatch::start();
    while watch.elapsed() < Duration::from_secs(2) {
        // One more of the caller's may be renewed, by the rate.
        world.hand.advance(Duration::from_millis(200));
        for n in 0..20 {
            ask(&world, FLOOD, &held(n)).await.token();
        }
    }
    assert_eq!(world.exchanges().await, FLYING, "the others are left to whoever asks when there is room");
    ask_briefly(&world, NEIGHBOUR, "resource=https://spared").await.token();
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_of_one_callers_requests_wait_though_it_be_for_one_exchange() {
    let world = world("[cache]\ncaller_share = 0.05\n").await;
    for secret in [FLOOD, NEIGHBOUR] {
        ask(&world, secret, "resource=https://own").await.token();
    }
    hang(&world, std::iter::once("https://spared".to_owned())).await;
    world.exchanges().await;
    let mut rush = Rush::new();
    rush.rush(&world, (0..300).map(|_| "resource=https://cold".to_owned()), 300 - 204).await;
    assert_eq!(world.exchanges().await, 1);
    ask_briefly(&world, FLOOD, "resource=https://own").await.token();
    for spared in ["https://spared", "https://own"] {
        ask_briefly(&world, NEIGHBOUR, &format!("resource={spared}")).await.token();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_is_told_apart_all_are_one_caller_with_the_whole_share() {
    let world = World::with(&format!("{TWO_IDENTITIES}[cache]\nentries = 40\ncaller_share = 0.1\n")).await;
    for n in 0..60 {
        world.ask(&format!("/token?resource=https://r{n}")).await.token();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_that_nobody_is_told_apart_in_leaves_no_more_than_the_bounds() {
    // The least cache that may be, and keys that are long enough to count in it.
    let patient = TWO_IDENTITIES.replacen("timeout = \"2s\"", "timeout = \"20s\"", 1);
    for (bounds, padding, entries) in [("entries = 40", 1, Some(40)), ("bytes = \"1MiB\"", 990, None)] {
        let world = World::with(&format!("{patient}[cache]\n{bounds}\n")).await;
        let ask = async |n: usize| world.ask(&format!("/token?resource=https://r{n:0>padding$}")).await.token().len();
        for n in (0..350).step_by(10) {
            join_all((n..n + 10).map(ask)).await;
        }
        let each = ask(349).await + 500 + format!("https://r{:0>padding$}/.default", 0).len();
        let most = entries.unwrap_or((1 << 20) / each) as f64;
        let kept = async || world.metric("bursar_tokens").await.unwrap();
        until(async || {
            ask(349).await;
            kept().await <= most
        })
        .await;
        assert!(kept().await >= 0.9 * most, "{bounds}: {} of {most}", kept().await);
        world.exchanges().await;
        ask(349).await;
        assert_eq!(world.exchanges().await, 0, "the last is there");
    }
}

/// So many of one caller's exchanges are under way at one source.
const FLYING: usize = 2;
/// So many more wait.
const WAITING: usize = 256;
/// How long an exchange takes where none hangs, in milliseconds: so long that what a busy machine adds to a request
/// is little beside it.
const PACE: u64 = 2000;
/// How often each of the others asks.
const ROUNDS: usize = 3;
/// Requests a second below which nobody speaks of a flood, two hundred times what one caller's exchanges can be.
const LEAST_RATE: f64 = 200.0;
