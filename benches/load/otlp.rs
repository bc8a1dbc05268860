//! A cached token where one request in a hundred is traced, beside the same server without tracing. The spans go to a
//! receiver that takes all and keeps nothing; what sending them takes is part of the cost.

use super::contest::Contest;
use super::contestant::{Contestant, Process, Server};
use super::generator;
use super::request::Request;
use super::stage::Stage;
use super::verdict::{Limit, Report};

/// Compares them.
pub(super) fn run(report: &mut Report) {
    let stage = Stage::new();
    let receiver = stage.receiver();
    let request = Request::of(
        "GET /token?resource=https://vault.azure.net HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n",
    );
    let endpoint = format!("http://{}", receiver.address);
    let traced = |share: &str| {
        let (mut command, listen, _) = stage.bursar_command("");
        command.envs([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", share),
        ]);
        Server::awaited(listen, Process::start(&mut command))
    };
    let contest = Contest { title: "otlp: a cached token", heats: 3, rounds: 15, requests: 8000 };
    let played = contest.play(|| {
        let [without, once_more] =
            ["without", "without, once more"].map(|name| Contestant::new(name, &stage.bursar("").server, &request));
        let none = Contestant::new("none sampled", &traced("0"), &request);
        vec![without, once_more, none, Contestant::new("1 % sampled", &traced("0.01"), &request)]
    });
    let came = generator::once(receiver.address, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let came = String::from_utf8_lossy(&came);
    let came = came.rsplit("\r\n").next().and_then(|count| count.parse::<u64>().ok()).unwrap();
    assert!(came > 0, "no span came");
    println!("  the receiver was sent {came} batches");
    let noise = played.noise(0, 1);
    report.judge("otlp: capacity with 1 % sampled beside none", played.ratio(0, 3), Limit::AtLeast(0.95), noise);
}
