//! The variables of OpenTelemetry.

use super::*;
use crate::config::traces::Batch;
use crate::secret::Secret;
use crate::trace::sampling::Share;
use crate::wire::Roots;

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");

fn with(variables: &[(&str, &str)]) -> Result<Config, Mistakes> {
    let all: Vec<_> = [ENDPOINT].into_iter().chain(variables.iter().copied()).collect();
    read_in(Path::new(""), GOOD, &all)
}

fn read_traces(variables: &[(&str, &str)]) -> Traces {
    with(variables).unwrap().traces.unwrap()
}

#[test]
fn the_defaults_are_those_of_the_specification() {
    let traces = read_traces(&[]);
    assert_eq!(traces.endpoint.as_str(), "http://127.0.0.1:4318/v1/traces");
    assert_eq!(traces.timeout, Duration::from_secs(10));
    assert_eq!(traces.batch, Batch { delay: Duration::from_secs(5), queue: 2048, size: 512 });
    let sampling = traces.sampling;
    assert_eq!((sampling.share, sampling.is_parent_based, sampling.follows), (Share::ALL, true, true));
    assert!(traces.headers.is_empty() && matches!(traces.roots, Roots::System(_)));
    let version = env!("CARGO_PKG_VERSION");
    let expected = [("service.name", "bursar"), ("service.version", version)];
    assert_eq!(traces.resource, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
}

#[test]
fn what_is_said_of_traces_comes_first() {
    let traces = read_traces(&[
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector.example/here?x=1"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2500"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "Api-Key = b%3d2 , c=3,"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("OTEL_PROPAGATORS", "baggage"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=one,host=a%2Cb"),
    ]);
    assert_eq!(traces.endpoint.as_str(), "https://collector.example/here?x=1", "it is taken as it is");
    assert_eq!(traces.timeout, Duration::from_millis(2500));
    let headers: Vec<(&str, &str)> = traces.headers.iter().map(|(name, value)| (&**name, value.expose())).collect();
    assert_eq!(headers, [("Api-Key", "b=2"), ("c", "3")]);
    assert_eq!((traces.batch.queue, traces.batch.size), (100, 100));
    let sampling = traces.sampling;
    assert_eq!((Some(sampling.share), sampling.is_parent_based, sampling.follows), (Share::of(0.25), false, false));
    assert!(traces.resource.contains(&("host".to_owned(), "a,b".to_owned())), "{:?}", traces.resource);
    assert!(traces.resource.contains(&("service.name".to_owned(), "one".to_owned())));
}

#[test]
fn each_variable_tells_its_own_mistake() {
    let (app, missing) = (("OTEL_EXPORTER_OTLP_CERTIFICATE", file!()), ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere"));
    for (variable, value) in [
        ("OTEL_SDK_DISABLED", "yes"),
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "unix:/run/otel.sock"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://user:marked@collector.example"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "marked"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=marked"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=marked%0d%0ab"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=marked%zz"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=marked%2"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=marked%"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "%é=marked"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "key.pem"),
        ("OTEL_TRACES_SAMPLER", "parentbased_parentbased_always_on"),
        ("OTEL_TRACES_SAMPLER", "xray"),
        ("OTEL_PROPAGATORS", "tracecontext,b3"),
        ("OTEL_RESOURCE_ATTRIBUTES", "marked"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=marked%-1"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5s"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "-1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "1000000"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096"),
        app,
        missing,
    ] {
        let mistakes = with(&[(variable, value)]).unwrap_err();
        let all = mistakes.to_string();
        assert_eq!((mistakes.mistakes.len(), &*mistakes.mistakes[0].path), (1, variable), "{value}: {all}");
        assert!(!all.contains("marked"), "{all}");
    }
    for part in ["2", "-0.1", "NaN", "one"] {
        let told = told(with(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", part)]));
        assert_eq!(told, ["OTEL_TRACES_SAMPLER_ARG: it is no part of one"]);
    }
}

#[test]
fn without_an_endpoint_nothing_else_is_looked_at() {
    let odd =
        [("OTEL_TRACES_SAMPLER", "xray"), ("OTEL_SDK_DISABLED", "perhaps"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    assert!(read_in(Path::new(""), GOOD, &odd).unwrap().traces.is_none());
    for off in [("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_TRACES_EXPORTER", "none")] {
        assert!(with(&[off, ("OTEL_TRACES_SAMPLER", "xray")]).unwrap().traces.is_none(), "{off:?}");
    }
}

#[test]
fn headers_that_go_in_the_clear_are_warned_of_and_never_shown() {
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=marked");
    let elsewhere = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/v1/traces");
    let config = with(&[headers, elsewhere]).unwrap();
    let warned: Vec<&str> = config.warnings.iter().map(|warning| &*warning.path).collect();
    assert_eq!(warned, ["OTEL_EXPORTER_OTLP_HEADERS"]);
    assert!(!format!("{:?} {:?}", config.traces, config.warnings).contains("marked"));
    assert!(with(&[headers]).unwrap().warnings.is_empty(), "on this machine nobody listens");
    let secret: &Secret = &config.traces.unwrap().headers[0].1;
    assert_eq!(secret.expose(), "marked");
}
