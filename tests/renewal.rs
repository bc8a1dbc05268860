//! Tokens that are renewed ahead: which, when, how fast, and in whose way that is.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bursar::clock::{Stopwatch, Timestamp};
use futures_util::future::join_all;
use serde_json::{Value, json};
use support::{NATIVE, TWO_IDENTITIES, World, on_token, until};

/// From here on a token that lives for an hour is to be renewed, however the jitter fell.
const AGEING: Duration = Duration::from_mins(46);

/// The usual configuration with so many renewals a second.
fn at_rate(rate: u32) -> String {
    format!("{TWO_IDENTITIES}[freshness]\nrefresh_rate = {rate}\n")
}

async fn ask(world: &World, resource: &str) -> String {
    world.ask(&format!("/token?resource={resource}")).await.token().to_owned()
}

/// Asks for `r0` to `rN` at once.
async fn ask_many(world: &World, many: usize) {
    let resources: Vec<String> = (0..many).map(|n| format!("r{n}")).collect();
    join_all(resources.iter().map(|resource| ask(world, resource))).await;
}

/// The resources of the exchanges since the journal was emptied, in their order, with their times.
async fn exchanged(world: &World) -> Vec<(String, jiff::Timestamp)> {
    let exchanges = support::exchanges(&world.http, world.sts.url()).await;
    let read = |exchange: &Value| {
        let scope = exchange["form"]["scope"].as_str().unwrap().trim_end_matches("/.default").to_owned();
        (scope, exchange["time"].as_str().unwrap().parse().unwrap())
    };
    exchanges.iter().map(read).collect()
}

/// How many exchanges the authority has seen, as we count them.
async fn counted(world: &World) -> f64 {
    world.metric(r#"bursar_exchanges_total{identity="first",outcome="ok"}"#).await.unwrap_or_default()
}

async fn renewed(world: &World, outcome: &str) -> f64 {
    let series = format!("bursar_refreshes_total{{identity=\"first\",outcome=\"{outcome}\"}}");
    world.metric(&series).await.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_demand_is_renewed_by_itself_and_let_go_after_two_lives() {
    let world = World::ticking(TWO_IDENTITIES).await;
    world.break_sts(on_token(json!({ "expires_in": 3 }))).await;
    let first = world.ask(NATIVE).await.token().to_owned();
    // Each is renewed when half of its life is over, which is counted from the last whole second, and six seconds
    // after the ask nobody wants it any more.
    until("three renewals", async || counted(&world).await >= 4.0).await;
    assert_eq!(world.metric("bursar_flight_waiters_total").await, Some(1.0), "nobody waited for them");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let let_go = counted(&world).await;
    assert!((4.0..=8.0).contains(&let_go), "{let_go}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((counted(&world).await, world.metric("bursar_tokens").await), (let_go, Some(0.0)));
    assert_ne!(world.ask(NATIVE).await.token(), first);
    until("another renewal", async || counted(&world).await >= let_go + 2.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_fails_is_tried_again_after_its_rest_and_shows_in_the_metrics_alone() {
    let world = World::start().await;
    let old = ask(&world, "r").await;
    world.break_sts(on_token(json!({ "status": 503 }))).await;
    world.hand.advance(AGEING);
    for failures in 1..=2 {
        assert_eq!(ask(&world, "r").await, old);
        until("a renewal", async || renewed(&world, "service_unavailable").await >= f64::from(failures)).await;
        assert_eq!(ask(&world, "r").await, old);
        assert_eq!(renewed(&world, "service_unavailable").await, f64::from(failures), "it rests");
        world.hand.advance(Duration::from_secs(2));
    }
    world.mend_sts().await;
    // From here on nobody asks.
    until("the renewal", async || renewed(&world, "ok").await == 1.0).await;
    assert_ne!(ask(&world, "r").await, old);
    assert_eq!(world.metric(r#"bursar_requests_total{dialect="native",outcome="ok"}"#).await, Some(6.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_handed_over_until_its_own_end_and_no_moment_longer() {
    let world = World::start().await;
    world.hand.advance(Duration::from_millis(999));
    let answer = world.ask(NATIVE).await;
    let payload = URL_SAFE_NO_PAD.decode(answer.token().split('.').nth(1).unwrap()).unwrap();
    let exp = serde_json::from_slice::<Value>(&payload).unwrap()["exp"].as_u64().unwrap();
    let told: [u64; 2] =
        ["expires_in", "expires_on"].map(|field| answer.body[field].as_str().unwrap().parse().unwrap());
    let left = Timestamp::from_secs(exp).since(world.hand.now());
    assert_eq!(told, [left.as_secs(), exp]);
    world.break_sts(on_token(json!({ "status": 503 }))).await;
    world.hand.advance(left - Duration::from_millis(1));
    assert_eq!(world.ask(NATIVE).await.token(), answer.token());
    world.hand.advance(Duration::from_millis(1));
    assert_eq!(world.ask(NATIVE).await.status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_that_are_due_at_once_go_evenly_at_the_rate() {
    let world = World::ticking(&at_rate(10)).await;
    world.break_sts(on_token(json!({ "expires_in": 10 }))).await;
    ask_many(&world, 25).await;
    exchanged(&world).await;
    until("all renewals", async || renewed(&world, "ok").await >= 25.0).await;
    let times: Vec<jiff::Timestamp> = exchanged(&world).await.into_iter().map(|(_, time)| time).take(25).collect();
    let between = |from: usize, to: usize| times[to].duration_since(times[from]).as_millis();
    assert!((2200..4000).contains(&between(0, 24)), "{times:?}");
    // A machine that is busy delays some, so that they arrive with those behind them.
    let crowded = (0..24).filter(|n| between(*n, n + 1) < 50).count();
    assert!((0..10).all(|n| between(n, n + 14) > 900) && crowded < 8, "{crowded} {times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_urgent_goes_first() {
    let world = World::with(&at_rate(1)).await;
    // The last one that was asked for ends first.
    for n in 0..5 {
        world.break_sts(on_token(json!({ "expires_in": 3600 - 200 * n, "times": 1 }))).await;
        ask(&world, &format!("r{n}")).await;
    }
    exchanged(&world).await;
    world.hand.advance(Duration::from_secs(2750));
    ask(&world, "r0").await;
    for n in 1..=5 {
        until("the next", async || renewed(&world, "ok").await == f64::from(n)).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert_eq!(renewed(&world, "ok").await, f64::from(n), "one a second");
        world.hand.advance(Duration::from_secs(1));
    }
    let order: Vec<String> = exchanged(&world).await.into_iter().map(|(resource, _)| resource).collect();
    assert_eq!(order, ["r4", "r3", "r2", "r1", "r0"]);
}

/// How many of 40 keys are renewed in two seconds, of ten renewals each, while new keys are asked for.
async fn renewals_beside(new_keys: usize) -> f64 {
    let world = World::with(&at_rate(10)).await;
    ask_many(&world, 40).await;
    world.hand.advance(AGEING);
    ask(&world, "r0").await;
    for tick in 0..20 {
        if tick < new_keys {
            ask(&world, &format!("new{tick}")).await;
        }
        world.hand.advance(Duration::from_millis(100));
        // More than one round.
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    renewed(&world, "ok").await
}

#[tokio::test(flavor = "multi_thread")]
async fn renewals_stand_back_for_those_who_wait_and_are_not_starved() {
    let (calm, busy) = tokio::join!(renewals_beside(0), renewals_beside(20));
    assert!((19.0..=22.0).contains(&calm), "{calm}");
    assert!((8.0..=13.0).contains(&busy), "{busy} beside callers, {calm} without");
}

#[tokio::test(flavor = "multi_thread")]
async fn renewals_that_hang_leave_lanes_for_those_who_wait() {
    let world = World::with(&at_rate(1000)).await;
    ask_many(&world, 10).await;
    exchanged(&world).await;
    let hang = |n| json!({ "match": { "scope": format!("r{n}/.default") }, "delay_ms": 1500 });
    world.break_sts((0..10).map(hang).collect()).await;
    world.hand.advance(AGEING);
    ask(&world, "r0").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let watch = Stopwatch::start();
    ask(&world, "new").await;
    assert!(watch.elapsed() < Duration::from_secs(1), "a caller waits for renewals: {:?}", watch.elapsed());
    let sent: Vec<String> = exchanged(&world).await.into_iter().map(|(resource, _)| resource).collect();
    assert_eq!((sent.len(), sent.last().unwrap().as_str()), (7, "new"), "six abreast: {sent:?}");
    until("the others", async || renewed(&world, "ok").await == 10.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_serves_nothing_dead_and_renewals_go_on() {
    let world = World::start().await;
    let ask_both = async || (ask(&world, "r").await, ask(&world, "other").await);
    let mut last = ask_both().await;
    exchanged(&world).await;
    // The machine slept; then its clock was set back; then it slept once more.
    for has_slept in [true, false, true] {
        match has_slept {
            true => world.hand.advance(Duration::from_hours(8)),
            false => world.hand.set_back(Duration::from_hours(3)),
        }
        let next = ask_both().await;
        let fetched = exchanged(&world).await.len();
        // A token that lives is as good as a new one, once it is counted anew.
        assert!(!has_slept || (next.0 != last.0 && next.1 != last.1 && fetched == 2), "{fetched} were fetched");
        world.hand.advance(AGEING);
        assert_eq!(ask(&world, "r").await, next.0);
        until("both renewals", async || {
            // One more a second, at the rate of twenty.
            world.hand.advance(Duration::from_millis(50));
            ask(&world, "r").await != next.0 && ask(&world, "other").await != next.1
        })
        .await;
        assert_eq!(exchanged(&world).await.len(), 2, "each is renewed once");
        last = (ask(&world, "r").await, ask(&world, "other").await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_credential_ends_the_rest_of_renewals() {
    let world = World::start().await;
    let old = ask(&world, "r").await;
    let secret = world.directory.path().join("secret");
    std::fs::write(&secret, "wrong").unwrap();
    let refused = json!({ "error": "invalid_client", "error_codes": [7_000_215] });
    world.break_sts(on_token(json!({ "status": 401, "body": refused }))).await;
    world.hand.advance(AGEING);
    ask(&world, "r").await;
    until("a rejection", async || renewed(&world, "invalid_client").await == 1.0).await;
    // The rejected one rests for ten seconds, which a round has seen before there is another one. Nobody asks.
    world.hand.advance(Duration::from_secs(2));
    tokio::time::sleep(Duration::from_millis(1300)).await;
    world.mend_sts().await;
    std::fs::write(&secret, support::SECRET).unwrap();
    world.hand.advance(Duration::from_secs(7));
    until("the renewal", async || renewed(&world, "ok").await == 1.0).await;
    assert_ne!(ask(&world, "r").await, old);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_how_well_callers_are_served() {
    let world = World::start().await;
    assert_eq!(world.metric("bursar_outage_cover_seconds").await, None, "nobody has asked");
    world.break_sts(on_token(json!({ "delay_ms": 500 }))).await;
    join_all((0..5).map(|_| ask(&world, "r"))).await;
    assert_eq!(world.metric("bursar_flight_waiters_total").await, Some(5.0));
    assert_eq!(world.metric("bursar_flight_joins_total").await, Some(4.0));
    let within = async |secs: u64| {
        let series = format!("bursar_token_remaining_seconds_bucket{{identity=\"first\",le=\"{secs}\"}}");
        world.metric(&series).await
    };
    assert_eq!((within(1800).await, within(3600).await), (Some(0.0), Some(5.0)));
    assert_eq!(world.metric("bursar_outage_cover_seconds").await, Some(3600.0));
    world.hand.advance(AGEING);
    ask(&world, "r").await;
    assert_eq!(within(1200).await, Some(1.0));
    assert_eq!(world.metric("bursar_outage_cover_seconds").await, Some(840.0));
    until("the renewal", async || renewed(&world, "ok").await == 1.0).await;
    let lag = world.metric(r#"bursar_refresh_lag_seconds_sum{identity="first"}"#).await.unwrap();
    assert!((59.0..340.0).contains(&lag), "due a minute ago, or earlier by a tenth of 45 minutes: {lag}");
    assert_eq!(world.metric("bursar_flight_waiters_total").await, Some(5.0), "nobody waited for it");
    // The authority is away for good.
    world.mend_sts().await;
    world.break_sts(on_token(json!({ "status": 503 }))).await;
    let other = ask(&world, "r").await;
    world.hand.advance(Duration::from_mins(59));
    assert_eq!(world.metric("bursar_outage_cover_seconds").await, Some(60.0));
    assert_eq!(ask(&world, "r").await, other);
    world.hand.advance(Duration::from_mins(1));
    assert_eq!(world.ask("/token?resource=r").await.status, 503);
    assert_eq!(world.metric("bursar_outage_cover_seconds").await, Some(0.0));
    world.hand.advance(Duration::from_hours(3));
    assert_eq!(world.metric("bursar_outage_cover_seconds").await, None, "nobody has asked of late");
}
