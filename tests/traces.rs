//! What is traced, as a receiver of OTLP sees it; and that nobody waits for one who is not there.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::time::Duration;

use bursar::clock::Stopwatch;
use reqwest::Client;
use serde_json::{Value, json};
use support::receiver::{Manner, Receiver, Told};
use support::{
    HEADER, NATIVE, Process, SECRET, STS_SETTINGS, TWO_IDENTITIES, break_sts, bursar, client, directory, journal,
    loopback, on_token, out, start_serve, start_sts, write_config,
};
use tempfile::TempDir;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const SERVER: i32 = 2;
const INTERNAL: i32 = 1;
const CLIENT: i32 = 3;

/// A service that traces, its authority and its receiver.
struct World {
    receiver: Receiver,
    serve: Process,
    sts: String,
    tokens: String,
    http: Client,
    _sts: Process,
    _directory: TempDir,
}

impl World {
    async fn start(manner: Manner, variables: &[(&str, &str)]) -> Self {
        Self::with(manner, TWO_IDENTITIES, variables).await
    }

    async fn with(manner: Manner, config: &str, variables: &[(&str, &str)]) -> Self {
        Self::of(manner, config, "", variables).await
    }

    /// With an authority that has these settings beside the usual ones.
    async fn of(manner: Manner, config: &str, more: &str, variables: &[(&str, &str)]) -> Self {
        let directory = directory();
        let settings = directory.path().join("sts.toml");
        std::fs::write(&settings, format!("{more}{STS_SETTINGS}")).unwrap();
        let (process, announced) = start_sts(&["--listen", "127.0.0.1:0", "--config", settings.to_str().unwrap()]);
        let sts = announced["authority"].as_str().unwrap().to_owned();
        let config = write_config(directory.path(), config, &sts);
        let receiver = Receiver::start(manner).await;
        let url = receiver.url();
        let usual = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*url), ("OTEL_BSP_SCHEDULE_DELAY", "20")];
        let variables: Vec<(&str, &str)> = usual.into_iter().chain(variables.iter().copied()).collect();
        let (serve, tokens, _) = start_serve(&config, &variables).await;
        Self { receiver, serve, sts, tokens, http: client(), _sts: process, _directory: directory }
    }

    /// Asks, with these headers beside the usual one, and gives status and body.
    async fn ask(&self, target: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        let mut request = self.http.get(format!("{}{target}", self.tokens)).header("Metadata", "true");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }

    /// Ends the process, and says how long that took and what it logged.
    async fn end(self) -> (Duration, String) {
        let watch = Stopwatch::start();
        self.serve.terminate();
        let (code, _, log) = self.serve.ended().await;
        assert_eq!(code, Some(0), "{log}");
        (watch.elapsed(), log)
    }
}

fn parent(flags: &str) -> String {
    format!("00-{TRACE}-{SPAN}-{flags}")
}

fn one(spans: &[Told], name: &str) -> Told {
    let mut found = spans.iter().filter(|span| span.name == name);
    let one = found.next().unwrap_or_else(|| panic!("no {name} in {spans:#?}"));
    assert!(found.next().is_none(), "more than one {name} in {spans:#?}");
    one.clone()
}

#[tokio::test]
async fn a_request_its_flight_and_its_exchange_are_one_trace_below_the_callers() {
    let world = World::start(Manner::Takes, &[]).await;
    let request_id = "6d7a3c1e-0000-4000-8000-000000000077";
    let sent = [("traceparent", &*parent("01")), ("tracestate", "vendor=1"), ("x-ms-client-request-id", request_id)];
    assert_eq!(world.ask(NATIVE, &sent).await.0, 200);
    world.receiver.named("GET /token", 1).await;
    let spans = world.receiver.spans();
    assert_eq!(spans.len(), 4, "{spans:#?}");
    let [request, flight, discovery, exchange] =
        ["GET /token", "flight", "discovery", "exchange"].map(|name| one(&spans, name));
    assert!(spans.iter().all(|span| span.trace == TRACE && !span.is_error && span.links.is_empty()));
    assert_eq!((request.kind, flight.kind, discovery.kind, exchange.kind), (SERVER, INTERNAL, CLIENT, CLIENT));
    assert_eq!((&*request.parent, &*request.state), (SPAN, "vendor=1"));
    assert_eq!((&flight.parent, &discovery.parent, &exchange.parent), (&request.id, &flight.id, &flight.id));
    assert!(exchange.took <= flight.took, "{spans:#?}");
    let port: u16 = world.sts.rsplit_once(':').unwrap().1.parse().unwrap();
    let of_request = json!({
        "http.request.method": "GET", "http.response.status_code": 200, "http.route": "/token", "url.path": "/token",
        "url.scheme": "http", "server.address": "127.0.0.1", "bursar.request_id": request_id,
        "bursar.dialect": "native", "bursar.identity": "first", "bursar.tenant": "one",
        "bursar.resource": "https://vault.azure.net", "bursar.outcome": "ok",
    });
    let of_flight = json!({
        "bursar.request_id": request_id, "bursar.identity": "first", "bursar.tenant": support::TENANT,
        "bursar.scope": "https://vault.azure.net/.default", "bursar.outcome": "ok",
    });
    let of_exchange = json!({
        "http.request.method": "POST", "http.response.status_code": 200, "server.address": "127.0.0.1",
        "server.port": port, "url.full": format!("{}/{}/oauth2/v2.0/token", world.sts, support::TENANT),
        "bursar.credential": "secret",
    });
    for (span, expected) in [(request, of_request), (flight, of_flight), (exchange, of_exchange)] {
        assert_eq!(span.attributes.into_iter().collect::<Value>(), expected);
    }
}

#[tokio::test]
async fn who_sends_is_told_and_nothing_that_is_secret() {
    let variables = [
        ("OTEL_SERVICE_NAME", "tokens"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.name=other"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=the%20key"),
    ];
    let world = World::start(Manner::Takes, &variables).await;
    let (_, body) = world.ask(NATIVE, &[("traceparent", &parent("01"))]).await;
    world.receiver.named("GET /token", 1).await;
    let resource = world.receiver.resource();
    assert_eq!(
        (&resource["service.name"], &resource["deployment.environment.name"]),
        (&json!("tokens"), &json!("test"))
    );
    assert_eq!((&resource["service.version"], &resource["telemetry.sdk.language"]), (&json!("0.1.0"), &json!("rust")));
    let came = world.receiver.came();
    let head = &came[0].head;
    assert!(head.starts_with("post /v1/traces http/1.1") && head.contains("\r\napi-key: the key\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/x-protobuf\r\n"), "{head}");
    // What callers trace is no business of authorities.
    let asked = json!(journal(&world.http, &world.sts).await).to_string();
    assert!(asked.contains("oauth2/v2.0/token") && !asked.contains("traceparent") && !asked.contains(TRACE), "{asked}");
    let token = body["access_token"].as_str().unwrap();
    for came in came {
        let text = String::from_utf8_lossy(&came.body).into_owned();
        assert!(![token, SECRET, HEADER, "the key"].iter().any(|secret| text.contains(secret)), "{text}");
    }
}

#[tokio::test]
async fn a_renewal_that_nobody_asked_for_is_a_trace_of_its_own() {
    let life = "token_lifetime = \"4s\"\n";
    let world = World::of(Manner::Takes, TWO_IDENTITIES, life, &[]).await;
    assert_eq!(world.ask(NATIVE, &[]).await.0, 200);
    let renewal = world.receiver.named("renewal", 1).await.remove(0);
    let spans = world.receiver.spans();
    let of = |name: &str| spans.iter().find(|span| span.name == name && span.trace == renewal.trace).unwrap();
    let (flight, exchange) = (of("flight"), of("exchange"));
    assert_eq!((&*renewal.parent, &flight.parent, &exchange.parent), ("", &renewal.id, &flight.id));
    assert!(spans.iter().all(|span| span.name != "GET /token" || span.trace != renewal.trace));
}

#[tokio::test]
async fn those_who_wait_are_linked_and_a_hit_has_no_flight() {
    let world = World::start(Manner::Takes, &[]).await;
    break_sts(&world.http, &world.sts, &on_token(json!({ "delay_ms": 600, "times": 1 }))).await;
    let traceparent = |n: usize| format!("00-{n:032x}-{n:016x}-01");
    let traces: Vec<String> = (1..=4).map(traceparent).collect();
    let asked = traces.iter().enumerate().map(async |(n, parent)| {
        // The first one begins the flight.
        tokio::time::sleep(Duration::from_millis(100 * (n as u64).min(1))).await;
        world.ask(NATIVE, &[("traceparent", parent)]).await.0
    });
    assert_eq!(futures_util::future::join_all(asked).await, [200; 4]);
    let requests = world.receiver.named("GET /token", 4).await;
    let flight = world.receiver.named("flight", 1).await.remove(0);
    let of = |n: usize| requests.iter().find(|request| request.trace == format!("{n:032x}")).unwrap();
    assert_eq!((&flight.trace, &flight.parent), (&of(1).trace, &of(1).id));
    let mut expected: Vec<String> = (2..=4).map(|n| format!("{}-{}", of(n).trace, of(n).id)).collect();
    let mut links = flight.links.clone();
    expected.sort();
    links.sort();
    assert_eq!(links, expected);
    assert_eq!(world.ask(NATIVE, &[("traceparent", &parent("01"))]).await.0, 200);
    assert_eq!(world.receiver.named("GET /token", 5).await[4].trace, TRACE);
    assert_eq!(world.receiver.named("flight", 1).await.len(), 1);
}

#[tokio::test]
async fn the_caller_decides_where_it_may_and_the_sampler_elsewhere() {
    let (sampled, unsampled) = (parent("01"), parent("00"));
    for (variables, expected) in [
        (vec![], [true, false, true, true]),
        (vec![("OTEL_TRACES_SAMPLER", "always_on")], [true; 4]),
        (vec![("OTEL_TRACES_SAMPLER", "parentbased_always_off")], [true, false, false, false]),
        (vec![("OTEL_TRACES_SAMPLER", "always_off")], [false; 4]),
        (
            vec![("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0")],
            [true, false, false, false],
        ),
        (vec![("OTEL_PROPAGATORS", "none"), ("OTEL_TRACES_SAMPLER", "parentbased_always_off")], [false; 4]),
    ] {
        let world = World::start(Manner::Takes, &variables).await;
        let mut count = 0;
        for (parent, expected) in [&*sampled, &*unsampled, "", "00-nonsense-01"].into_iter().zip(expected) {
            let headers = [("traceparent", parent)];
            let headers = if parent.is_empty() { &[][..] } else { &headers[..] };
            assert_eq!(world.ask(NATIVE, headers).await.0, 200);
            count += usize::from(expected);
        }
        // The end sends what is left.
        let receiver = world.receiver.address;
        let World { receiver: kept, serve, .. } = world;
        serve.terminate();
        assert_eq!(serve.ended().await.0, Some(0));
        let requests = kept.spans().iter().filter(|span| span.name == "GET /token").count();
        assert_eq!(requests, count, "{variables:?} at {receiver}");
    }
}

#[tokio::test]
async fn what_callers_write_is_told_as_far_as_it_is_known() {
    let world = World::start(Manner::Takes, &[]).await;
    let long = format!("v={}", "x".repeat(600));
    for (target, status, headers) in [
        ("/a-secret-in-the-path", 404, vec![]),
        (
            "/token?resource=https://vault.azure.net&marker=in-the-query",
            200,
            vec![("tracestate", &*long), ("traceparent", &*parent("01"))],
        ),
        ("/token?identity=marker-unknown&resource=r", 400, vec![]),
        ("/token?resource=https://vault.azure.net", 400, vec![("traceparent", &*parent("01")), ("metadata", "true")]),
    ] {
        assert_eq!(world.ask(target, &headers).await.0, status, "{target}");
    }
    world.receiver.named("GET /token", 3).await;
    let spans = world.receiver.spans();
    let astray = one(&spans, "GET");
    assert_eq!(astray.attributes.get("url.path"), None);
    assert_eq!(astray.attributes["http.response.status_code"], json!(404));
    let unknown = spans.iter().find(|span| span.attributes.get("bursar.outcome") == Some(&json!("invalid_request")));
    let unknown = unknown.unwrap();
    assert!(!unknown.is_error && unknown.attributes["http.response.status_code"] == 400, "{unknown:?}");
    let all = format!("{spans:?}");
    assert!(!all.contains("a-secret-in-the-path") && !all.contains("marker") && !all.contains("xxxx"), "{all}");
}

#[tokio::test]
async fn a_failure_is_told_where_it_happened() {
    let world = World::start(Manner::Takes, &[]).await;
    let rule = json!({ "status": 401, "body": { "error": "invalid_client", "error_description": "AADSTS7000215: marked words" } });
    break_sts(&world.http, &world.sts, &on_token(rule)).await;
    assert_eq!(world.ask(NATIVE, &[]).await.0, 403);
    world.receiver.named("GET /token", 1).await;
    let spans = world.receiver.spans();
    let (request, flight, exchange) = (one(&spans, "GET /token"), one(&spans, "flight"), one(&spans, "exchange"));
    assert!(!request.is_error && flight.is_error && exchange.is_error, "{spans:#?}");
    assert_eq!(request.attributes["bursar.outcome"], json!("invalid_client"));
    assert_eq!(request.attributes["bursar.identity"], json!("first"));
    assert_eq!(flight.attributes["bursar.aadsts"], json!(7_000_215));
    assert_eq!(flight.attributes["error.type"], json!("invalid_client"));
    assert_eq!(exchange.attributes["error.type"], json!("401"));
    assert!(!format!("{spans:?}").contains("marked words"));
}

#[tokio::test]
async fn lines_are_the_same_whether_traced_or_not() {
    for format in ["json", "text"] {
        let config = format!("{TWO_IDENTITIES}[log]\nformat = \"{format}\"\nlevel = \"debug\"\n");
        let mut told = Vec::new();
        for sampler in ["always_on", "always_off"] {
            let world = World::with(Manner::Takes, &config, &[("OTEL_TRACES_SAMPLER", sampler)]).await;
            let request_id = ("x-ms-client-request-id", "6d7a3c1e-0000-4000-8000-000000000077");
            assert_eq!(world.ask(NATIVE, &[request_id]).await.0, 200);
            assert_eq!(world.ask("/token?resource=", &[request_id]).await.0, 400);
            let (_, log) = world.end().await;
            let lines = log.lines().filter(|line| line.contains("6d7a3c1e"));
            // Times differ.
            let word = |line: &str| line.split_once("bursar::").map(|(_, rest)| rest.to_owned());
            told.push(
                lines
                    .map(|line| keys(line).or_else(|| word(line)).unwrap())
                    .map(|line| without_times(&line))
                    .collect::<Vec<_>>(),
            );
        }
        assert!(told[0].len() >= 3, "{told:?}");
        assert_eq!(told[0], told[1]);
    }
}

/// The names in a line that is JSON.
fn keys(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    Some(line.as_object()?.keys().cloned().collect::<Vec<_>>().join(" "))
}

fn without_times(line: &str) -> String {
    line.split(' ')
        .filter(|word| !word.contains("expires_at") && !word.contains("authority_request_id"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[tokio::test]
async fn a_receiver_that_is_down_slow_or_broken_holds_up_nobody() {
    for manner in [Manner::Refuses(503), Manner::Refuses(400), Manner::Hangs] {
        let world =
            World::start(manner, &[("OTEL_BSP_MAX_QUEUE_SIZE", "64"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")]).await;
        held_up_by_nothing(world, matches!(manner, Manner::Hangs)).await;
    }
    let gone = std::net::TcpListener::bind(loopback()).unwrap().local_addr().unwrap();
    let url = format!("http://{gone}");
    let world = World::start(Manner::Takes, &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &url)]).await;
    held_up_by_nothing(world, false).await;
}

async fn held_up_by_nothing(world: World, hangs: bool) {
    let watch = Stopwatch::start();
    for _ in 0..300 {
        assert_eq!(world.ask(NATIVE, &[]).await.0, 200);
    }
    let asked = watch.elapsed();
    assert!(asked < Duration::from_secs(5), "{asked:?}");
    if !hangs {
        world.serve.logged("spans cannot be delivered").await;
    }
    let (took, log) = world.end().await;
    // Without tracing it is about a third of a second.
    assert!(took < Duration::from_secs(3), "{took:?}\n{log}");
    let warnings = log.lines().filter(|line| line.contains("spans")).count();
    assert!((1..=2).contains(&warnings), "{log}");
}

#[tokio::test]
async fn nothing_is_traced_without_an_endpoint_or_where_it_is_switched_off() {
    for variables in [
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", ""), ("OTEL_TRACES_SAMPLER", "nonsense")][..],
        &[("OTEL_SDK_DISABLED", "true"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
        &[("OTEL_TRACES_EXPORTER", "none")],
    ] {
        let world = World::start(Manner::Takes, variables).await;
        assert_eq!(world.ask(NATIVE, &[("traceparent", &parent("01"))]).await.0, 200);
        let World { receiver, serve, .. } = world;
        serve.terminate();
        assert_eq!(serve.ended().await.0, Some(0));
        assert!(receiver.came().is_empty(), "{variables:?}");
    }
}

#[test]
fn a_variable_that_is_wrong_starts_nothing() {
    let directory = directory();
    let config = write_config(directory.path(), TWO_IDENTITIES, "http://127.0.0.1:1");
    let command = |name: &str, config: &Path, variables: &[(&str, &str)]| {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        let mut command = bursar();
        command.arg(name).arg("--config").arg(config).envs([endpoint]).envs(variables.iter().copied());
        out(&command.output().unwrap())
    };
    let all = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a-marked-secret"),
        ("OTEL_TRACES_SAMPLER", "parentbased_jaeger_remote"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5s"),
    ];
    for name in ["serve", "check"] {
        let (code, stdout, stderr) = command(name, &config, &all);
        let told = stdout + &stderr;
        assert_eq!(code, 64, "{told}");
        assert!(all.iter().all(|(variable, _)| told.contains(&format!("{variable}: "))), "{told}");
        assert!(told.contains("Write http/protobuf, and the port of OTLP/HTTP") && !told.contains("marked"), "{told}");
    }
}
