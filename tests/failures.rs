//! Every row of the table of failures, produced by an authority over a socket; and the page that shows it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use bursar::clock::Clock;
use bursar::fault::{Kind, Rest};
use bursar::sts::{Settings, Sts};
use bursar::wire::failure::table::ROWS;
use bursar::wire::failure::{Event, Row, Sign};
use futures_util::StreamExt;
use serde_json::{Value, json};
use support::{NATIVE, Reply, TWO_IDENTITIES, World};

/// What the rows must come to, written down a second time: name, status, turn, requests to the authority
/// that one ask causes, seconds that the first failure rests.
const EXPECTED: &[(&str, u16, &str, usize, u64)] = &[
    ("unreachable", 503, "It is the authority's turn", 0, 1),
    ("untrusted", 403, "For the operator", 0, 60),
    ("broken", 503, "It is the authority's turn", 2, 1),
    ("late", 503, "It is the authority's turn", 1, 1),
    ("unusable", 503, "It is the authority's turn", 2, 1),
    ("stranger", 503, "It is the authority's turn", 2, 1),
    ("unconfirmed", 503, "It is the authority's turn", 2, 1),
    ("throttled", 429, "It is the authority's turn", 1, 5),
    ("directory-limit", 429, "It is the authority's turn", 1, 5),
    ("down", 503, "It is the authority's turn", 2, 1),
    ("passing", 503, "It is the authority's turn", 2, 1),
    ("secret-wrong", 403, "For the operator", 1, 10),
    ("secret-expired", 403, "For the operator", 1, 10),
    ("certificate-unknown", 403, "For the operator", 1, 10),
    ("assertion-time", 403, "For the operator", 1, 10),
    ("assertion-audience", 403, "For the operator", 1, 10),
    ("assertion-client", 403, "For the operator", 1, 10),
    ("assertion-unreadable", 403, "For the operator", 1, 10),
    ("credential-missing", 403, "For the operator", 1, 10),
    ("federation-mismatch", 403, "For the operator", 1, 10),
    ("mtls-off", 403, "For the operator", 1, 10),
    ("mtls-mismatch", 403, "For the operator", 1, 10),
    ("credential-rejected", 403, "For the operator", 1, 10),
    ("app-unknown", 403, "For the operator", 1, 60),
    ("app-disabled", 403, "For the operator", 1, 60),
    ("tenant-unknown", 403, "For the operator", 1, 60),
    ("no-configuration", 403, "For the operator", 1, 60),
    ("host-unknown", 403, "For the operator", 1, 60),
    ("consent-missing", 403, "For the operator", 1, 60),
    ("assignment-missing", 403, "For the operator", 1, 60),
    ("conditional-access", 403, "For the operator", 1, 60),
    ("mfa-required", 403, "For the operator", 1, 60),
    ("interaction-required", 403, "For the operator", 1, 60),
    ("unauthorized", 403, "For the operator", 1, 60),
    ("resource-unknown", 400, "For the caller", 1, 60),
    ("scope-malformed", 400, "For the caller", 1, 60),
    ("request-unfit", 400, "For the caller", 1, 60),
    ("refused", 403, "For the operator", 1, 60),
];

/// So many worlds at a time.
const AT_ONCE: usize = 4;

const TOKEN: &str = "/oauth2/v2.0/token";
const CONFIGURATION: &str = "openid-configuration";
const INSTANCE: &str = "/common/discovery/instance";
const ID: &str = "5d1b3ad0-2f5c-4b0e-8a4e-6ae1c8a8e0a1";
const TRACE: &str = "5d1b3ad0-2f5c-4b0e-8a4e-6ae1c8a8e0a2";
const CLAIMS: &str = r#"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#;

/// In place of a path: another authority, whose certificate nobody trusts.
const UNTRUSTED: &str = "https://";

/// How an authority comes to show `sign`: at which path, and what it does there. Nothing at all is no path.
fn produce(sign: Sign) -> Vec<(&'static str, Value)> {
    let token = |rule| vec![(TOKEN, rule)];
    match sign {
        Sign::Event(Event::Unreachable) => vec![("", json!({}))],
        Sign::Event(Event::Untrusted) => vec![(UNTRUSTED, json!({}))],
        Sign::Event(Event::Broken) => vec![(TOKEN, json!({ "reset": true })), (TOKEN, json!({ "truncate_at": 40 }))],
        Sign::Event(Event::Late) => token(json!({ "delay_ms": 3000 })),
        Sign::Event(Event::Unusable) => vec![
            (TOKEN, json!({ "headers": { "content-type": "text/html; charset=utf-8" } })),
            (
                TOKEN,
                json!({ "status": 200, "body": "<html>sign in</html>", "headers": { "content-type": "text/html" } }),
            ),
            (TOKEN, json!({ "status": 200, "body": "" })),
            (TOKEN, json!({ "expires_in": 0 })),
            (TOKEN, json!({ "body": { "access_token": "t", "expires_in": -1 } })),
            (TOKEN, json!({ "status": 302, "headers": { "location": "http://127.0.0.1:1/" } })),
            (TOKEN, json!({ "body_bytes": 2_000_000 })),
            (CONFIGURATION, json!({ "headers": { "content-type": "text/html" } })),
        ],
        Sign::Event(Event::Unconfirmed) => vec![
            (INSTANCE, json!({ "status": 503 })),
            (INSTANCE, json!({ "reset": true })),
            (INSTANCE, json!({ "status": 200, "body": "<html>" })),
            (INSTANCE, json!({ "status": 403, "body": "<html>" })),
        ],
        Sign::Status(first, last) => [first, last].map(|status| (TOKEN, json!({ "status": status }))).to_vec(),
        // The OAuth code is one of another class: the number must decide.
        Sign::Number(number) => token(json!({ "status": 400, "body": {
            "error": "something_new", "error_codes": [number], "error_description": format!("AADSTS{number}: words"),
            "correlation_id": ID, "trace_id": TRACE,
        } })),
        Sign::Error("invalid_instance") => vec![(INSTANCE, error("invalid_instance"))],
        Sign::Error(code) => token(error(code)),
        Sign::NoConfiguration => vec![
            (CONFIGURATION, json!({ "status": 404, "body": "<html>not here</html>" })),
            (CONFIGURATION, json!({ "status": 400, "body": { "error": "invalid_client" } })),
        ],
        Sign::Claims => token(json!({ "status": 400, "body": { "error": "something_new", "claims": CLAIMS } })),
        Sign::NoError => vec![
            (TOKEN, json!({ "status": 403, "body": "<html>blocked</html>" })),
            (TOKEN, json!({ "status": 407, "body": "" })),
            (CONFIGURATION, json!({ "status": 407, "body": "" })),
        ],
        Sign::Otherwise => token(error("something_new")),
    }
}

fn error(code: &str) -> Value {
    json!({ "status": 400, "body": { "error": code, "error_description": "words", "correlation_id": "no guid" } })
}

/// A service whose authority can fail at `path`.
async fn world(path: &str) -> World {
    let discovery = format!("instance_discovery = {}", if path == INSTANCE { "\"@authority@\"" } else { "false" });
    let config = TWO_IDENTITIES.replacen("instance_discovery = false", &discovery, 1);
    let authority = match path {
        "" => format!("http://{}", std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()),
        UNTRUSTED => untrusted().await,
        _ => "@authority@".to_owned(),
    };
    World::with(&config.replace("@authority@", &authority)).await
}

/// The URL of an authority with a certificate of its own making, which lives as long as the test's runtime.
async fn untrusted() -> String {
    let directory = support::directory();
    let settings = Settings::read(&directory.path().join("sts.toml")).unwrap();
    let sts = Sts::start(settings, &[support::loopback()], Some(directory.path()), Clock::System).await.unwrap();
    let url = sts.url().to_owned();
    tokio::spawn(async move {
        std::future::pending::<()>().await;
        drop(sts);
    });
    url
}

async fn asked(world: &World, path: &str) -> usize {
    let requests = support::journal(&world.http, world.sts.url()).await;
    requests.iter().filter(|request| request["path"].as_str().unwrap().contains(path)).count()
}

/// One sign of one row: told as the table says, retried if that helps, then left alone for as long as it says.
async fn check(row: &Row, path: &str, rule: Value) {
    let (name, status, turn, requests, rest) = *EXPECTED.iter().find(|expected| expected.0 == row.name).unwrap();
    let about = format!("{name}: {path} {rule}");
    let world = world(path).await;
    let mut rules = rule;
    rules["match"] = json!({ "path": path });
    world.break_sts(json!([rules])).await;
    let reply = world.ask(NATIVE).await;
    let told = reply.description();
    assert_eq!(reply.status, status, "{about}: {reply:?}");
    assert!(told.ends_with(&format!(" {turn}: {}.", row.remedy)), "{about}: {told}");
    assert_eq!(reply.retry_after().is_some(), status == 429 || status == 503, "{about}");
    assert_eq!(asked(&world, path).await, requests, "{about}");
    // Jitter takes at most a tenth.
    world.hand.advance(Duration::from_secs(rest).mul_f64(0.89));
    assert_eq!(world.ask(NATIVE).await.status, status, "{about}: it rests");
    assert_eq!(asked(&world, path).await, 0, "{about}: it rests");
    if path.is_empty() || path == UNTRUSTED {
        return;
    }
    world.hand.advance(Duration::from_secs(rest).mul_f64(0.11) + Duration::from_millis(1));
    world.mend_sts().await;
    world.ask(NATIVE).await.token();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn every_row_is_told_retried_and_rested_as_it_says() {
    let expected: Vec<&str> = EXPECTED.iter().map(|(name, ..)| *name).collect();
    assert_eq!(ROWS.iter().map(|row| row.name).collect::<Vec<_>>(), expected, "each row, and in its order");
    let signs = ROWS.iter().flat_map(|row| row.signs.iter().map(move |sign| (row, *sign)));
    let cases = signs.flat_map(|(row, sign)| produce(sign).into_iter().map(move |(path, rule)| (row, path, rule)));
    // Each in a task of its own, and few enough for a thread each: building a world keeps a thread busy, and the
    // others' connections must not wait for it until they are closed.
    let checks = cases.map(async |(row, path, rule)| tokio::spawn(check(row, path, rule)).await.unwrap());
    futures_util::stream::iter(checks).buffer_unordered(AT_ONCE).collect::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_spreads_slowly_is_tried_each_minute() {
    for (number, minutes_apart) in [(700_211, 1), (7_000_229, 1), (7_000_215, 5)] {
        let world = World::start().await;
        world
            .break_sts(support::on_token(json!({ "status": 401, "body": { "error": "x", "error_codes": [number] } })))
            .await;
        for _ in 0..8 {
            world.ask(NATIVE).await;
            world.hand.advance(Duration::from_mins(5));
        }
        world.ask(NATIVE).await;
        world.exchanges().await;
        world.hand.advance(Duration::from_mins(minutes_apart).mul_f64(0.85));
        world.ask(NATIVE).await;
        assert_eq!(world.exchanges().await, 0, "{number}");
        world.hand.advance(Duration::from_mins(minutes_apart).mul_f64(0.15));
        world.ask(NATIVE).await;
        assert_eq!(world.exchanges().await, 1, "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_counts_whatever_fails_and_however_it_is_written() {
    for (status, text, rest, told) in [
        (503, "17", 17, Some(5)),
        (429, "17", 17, Some(5)),
        (400, "17", 17, None),
        (503, "Fri, 15 Jan 2027 08:00:03 GMT", 3, Some(3)),
        (429, "7200", 3600, Some(5)),
        (429, "99999999999999999999", 3600, Some(5)),
        (429, "soon", 5, Some(1)),
        (429, "0", 5, Some(1)),
    ] {
        let world = World::start().await;
        let rule = json!({ "status": status, "headers": { "retry-after": text }, "body": { "error": "new" } });
        world.break_sts(support::on_token(rule)).await;
        assert_eq!(world.ask(NATIVE).await.retry_after(), told, "{status} {text}");
        assert_eq!(world.exchanges().await, 1, "{status} {text}: whoever asks for patience is not asked twice");
        world.hand.advance(Duration::from_secs(rest) - Duration::from_millis(1));
        world.ask(NATIVE).await;
        assert_eq!(world.exchanges().await, 0, "{status} {text}");
        world.hand.advance(Duration::from_millis(1));
        world.ask(NATIVE).await;
        assert_ne!(world.exchanges().await, 0, "{status} {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_and_claims_come_back_to_the_caller() {
    let world = World::start().await;
    let body = json!({
        "error": "interaction_required", "error_codes": [53_003], "error_description": "AADSTS53003: the-words",
        "correlation_id": ID, "trace_id": TRACE, "claims": CLAIMS,
    });
    world.break_sts(support::on_token(json!({ "status": 400, "body": body }))).await;
    let native = world.ask(NATIVE).await;
    let app_service = format!("{}/msi/token?api-version=2019-08-01&resource=https://vault.azure.net", world.tokens());
    let app_service = world.send(world.http.get(app_service).header("X-IDENTITY-HEADER", support::HEADER)).await;
    for Reply { status, body, .. } in [&native, &app_service] {
        assert_eq!(*status, 403);
        let fields = ["correlation_id", "trace_id", "claims"].map(|field| body[field].as_str().unwrap());
        assert_eq!(fields, [ID, TRACE, CLAIMS]);
        assert!(!body.to_string().contains("the-words"));
    }
    let looked_up = format!("(AADSTS53003, correlation id {ID}, trace id {TRACE})");
    assert!(native.description().contains(&looked_up), "{native:?}");
    assert_eq!(app_service.body["correlationId"], ID);
    assert_eq!(world.exchanges().await, 1, "both asked for the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_that_were_wanted_are_shown_at_once() {
    let world = World::start().await;
    let body = json!({ "error": "interaction_required", "claims": CLAIMS });
    world.break_sts(support::on_token(json!({ "status": 400, "body": body, "times": 1 }))).await;
    let wanted = world.ask(NATIVE).await.body["claims"].as_str().unwrap().to_owned();
    let wanted: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
    assert_eq!(world.ask(NATIVE).await.status, 403, "without them it rests");
    let token = world.ask(&format!("{NATIVE}&claims={wanted}")).await.token().to_owned();
    assert_eq!(world.ask(NATIVE).await.token(), token, "what came of it is for all");
    assert_eq!(support::exchanges(&world.http, world.sts.url()).await[1]["form"]["claims"], CLAIMS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_confirmed_once_for_all_who_wait() {
    let world = world(INSTANCE).await;
    world.break_sts(json!([{ "match": { "path": INSTANCE }, "delay_ms": 100 }])).await;
    let targets: Vec<String> = (0..5).map(|n| format!("/token?resource=r{n}")).collect();
    for reply in futures_util::future::join_all(targets.iter().map(|target| world.ask(target))).await {
        reply.token();
    }
    assert_eq!(asked(&world, INSTANCE).await, 1);
    world.hand.advance(Duration::from_hours(25));
    world.ask("/token?resource=another").await.token();
    assert_eq!(asked(&world, INSTANCE).await, 0, "also when discovery is old");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_confirmed_once_for_all_its_tenants() {
    let any = "[tenants.\"*\"]\nauthority = \"@authority@\"\ninstance_discovery = \"@authority@\"\n[identities.first]";
    let config = TWO_IDENTITIES.replacen("[identities.first]", any, 1);
    let world = World::with(&config.replacen("tenants = [\"one\", \"two\"]", "tenants = [\"one\", \"*\"]", 1)).await;
    for n in ["a", "b", "c"] {
        world.ask(&format!("{NATIVE}&tenant=b0b00000-0000-4000-8000-0000000000{n}{n}")).await.token();
    }
    let requests = support::journal(&world.http, world.sts.url()).await;
    let count = |part: &str| requests.iter().filter(|request| request["path"].as_str().unwrap().contains(part)).count();
    assert_eq!((count(INSTANCE), count(CONFIGURATION), count(TOKEN)), (1, 3, 3));
}

/// A credential goes to a name that only instance discovery vouches for, and to no other.
#[tokio::test(flavor = "multi_thread")]
async fn other_names_of_a_host_are_the_same_authority() {
    for (is_vouched_for, status) in [(true, 200), (false, 403)] {
        let world = world(INSTANCE).await;
        let other = world.sts.url().replace("127.0.0.1", "localhost");
        let name = |url: &str| url.strip_prefix("http://").unwrap().to_owned();
        let mut aliases = vec![name(world.sts.url())];
        aliases.extend(is_vouched_for.then(|| name(&other)));
        let instance =
            json!({ "tenant_discovery_endpoint": "https://evil.example", "metadata": [{ "aliases": aliases }] });
        let configuration = json!({
            "issuer": format!("{other}/{{tenantid}}/v2.0"), "token_endpoint": format!("{other}/{{tenant}}/oauth2/v2.0/token"),
        });
        world
            .break_sts(json!([
                { "match": { "path": INSTANCE }, "body": instance },
                { "match": { "path": CONFIGURATION }, "body": configuration },
            ]))
            .await;
        let reply = world.ask(NATIVE).await;
        assert_eq!(reply.status, status, "{reply:?}");
        let exchanges = support::exchanges(&world.http, world.sts.url()).await;
        let hosts: Vec<&str> = exchanges.iter().map(|exchange| exchange["headers"]["host"].as_str().unwrap()).collect();
        assert_eq!(hosts, if is_vouched_for { vec![name(&other)] } else { Vec::new() });
    }
}

/// The page is the table. Where it is not, what it should be is left beside the test's other files.
#[test]
fn the_page_shows_the_table() {
    let page = std::fs::read_to_string("docs/failures.md").unwrap();
    let head = page.split("\n| failure |").next().unwrap();
    let wanted = format!("{head}\n{}", table());
    if page != wanted {
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("failures.md");
        std::fs::write(&path, wanted).unwrap();
        panic!("docs/failures.md is not the table; put {} in its place", path.display());
    }
}

fn table() -> String {
    let mut table =
        "| failure | told by | who acts | status | quick retry | rest | remedy |\n|---|---|---|---|---|---|---|\n"
            .to_owned();
    for row in ROWS {
        let fault = row.fault();
        let signs: Vec<String> = row.signs.iter().map(ToString::to_string).collect();
        let cells = [
            row.name.to_owned(),
            signs.join(", "),
            fault.turn().as_str().to_owned(),
            fault.status().to_string(),
            if fault.is_transient() { "one" } else { "no" }.to_owned(),
            rest(fault.rest()),
            row.remedy.to_owned(),
        ];
        table.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    table
}

fn rest(rest: Rest) -> String {
    match rest {
        Rest::Doubling { first, most } => format!("{} s, doubling to {} s", first.as_secs(), most.as_secs()),
        Rest::Fixed(rest) => format!("{} s", rest.as_secs()),
    }
}

/// A credential rests in its source, whatever key it failed for; everything else rests with its key alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_credential_rests_for_all_keys_and_nothing_else_does() {
    for row in ROWS.iter().filter(|row| matches!(row.signs[0], Sign::Number(_))) {
        let world = World::start().await;
        let (_, rule) = produce(row.signs[0]).remove(0);
        world.break_sts(support::on_token(rule)).await;
        world.ask(NATIVE).await;
        world.exchanges().await;
        world.ask("/token?resource=other").await;
        let rests = world.exchanges().await == 0;
        assert_eq!(rests, row.kind == Kind::RejectedCredential, "{}", row.name);
    }
}
