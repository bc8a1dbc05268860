//! Where spans go: to a receiver of OTLP, gathered and sent by a thread of their own. What is not taken is lost; nobody
//! waits for it but the end of the process, and that for a moment.

use std::fmt::Display;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::{Layer, Registry};

use super::Sink;
use super::carrier::Carrier;
use super::remote::Remote;
use crate::clock::Clock;
use crate::config;
use crate::fault::{Fault, Kind};
use crate::trace::TARGET;
use crate::wire::{Reach, Trust, is_loopback};

/// What sends spans, until it is ended.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

/// Makes ready to send spans, which then have to be given to the sink. What is sent travels on `runtime`.
///
/// # Errors
/// The system's trust store cannot be read, or a bug of ours.
pub fn open(settings: config::traces::Traces, clock: Clock, runtime: Handle) -> Result<(Sink, Traces), Fault> {
    let exporter = exporter(&settings, clock, runtime)?;
    let config::traces::Batch { delay, queue, size } = settings.batch;
    let batch = BatchConfigBuilder::default().with_scheduled_delay(delay).with_max_queue_size(queue);
    let processor =
        BatchSpanProcessor::builder(exporter).with_batch_config(batch.with_max_export_batch_size(size).build());
    let resource = Resource::builder_empty().with_detector(Box::new(TelemetryResourceDetector));
    let instance = KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string());
    let written = settings.resource.into_iter().map(|(key, value)| KeyValue::new(key, value));
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor.build())
        // What is not sampled has no span.
        .with_sampler(Sampler::AlwaysOn)
        .with_resource(resource.with_attribute(instance).with_attributes(written).build())
        .build();
    let scope = InstrumentationScope::builder("bursar").with_version(env!("CARGO_PKG_VERSION")).build();
    Ok((sink(Remote(provider.tracer_with_scope(scope))), Traces(provider)))
}

impl Traces {
    /// Sends what is gathered, for a moment, and no more after that.
    pub async fn end(self) {
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(MOMENT));
        match timeout(MOMENT, ended).await {
            Ok(Ok(Ok(()))) => {}
            _ => tracing::warn!("the last spans were not delivered in time and are lost"),
        }
    }
}

/// Takes our spans and nothing else: no event of theirs, which is a line of the log, and no span of a library's.
fn sink(tracer: Remote) -> Sink {
    let ours = filter_fn(|metadata| metadata.is_span() && metadata.target() == TARGET);
    let layer: OpenTelemetryLayer<Registry, Remote> = OpenTelemetryLayer::new(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        // The current span is the one that `tracing` has.
        .with_context_activation(false);
    layer.with_filter(ours.with_max_level_hint(LevelFilter::INFO)).boxed()
}

fn exporter(settings: &config::traces::Traces, clock: Clock, runtime: Handle) -> Result<SpanExporter, Fault> {
    let trust = Trust {
        roots: settings.roots.clone(),
        connect_timeout: settings.timeout,
        proxy: None,
        loopback: is_loopback(&settings.endpoint),
        reach: Reach::Authority,
    };
    let client = trust.client()?.timeout(settings.timeout).build().map_err(unmade)?;
    let headers = settings.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
    SpanExporter::builder()
        .with_http()
        .with_http_client(Carrier::new(client, clock, runtime))
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(settings.endpoint.as_str())
        .with_timeout(settings.timeout)
        .with_headers(headers.collect())
        .build()
        .map_err(unmade)
}

fn unmade(error: impl Display) -> Fault {
    let remedy = "check the OTEL_* variables, or unset OTEL_EXPORTER_OTLP_ENDPOINT";
    Fault::new(Kind::Misconfigured, "spans cannot be sent", remedy).with_inward(error.to_string())
}

/// How long the end of the process waits for the last spans.
const MOMENT: Duration = Duration::from_secs(1);
