//! Puts the span of a request below the one that its caller named: rooms that make spans know no more than the header.

use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanBuilder, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, Span};

use crate::trace::{TRACEPARENT, TRACESTATE};

/// A tracer that reads the headers out of a span's fields, and does not send them as such.
#[derive(Debug)]
pub(super) struct Remote(pub(super) SdkTracer);

impl Tracer for Remote {
    type Span = Span;

    fn build_with_context(&self, mut builder: SpanBuilder, parent: &Context) -> Span {
        let shown: HashMap<String, String> = builder.attributes.iter_mut().flat_map(take).collect();
        if shown.is_empty() {
            return self.0.build_with_context(builder, parent);
        }
        let remote = TraceContextPropagator::new().extract_with_context(parent, &shown);
        self.0.build_with_context(builder, &remote)
    }
}

fn take(attributes: &mut Vec<KeyValue>) -> impl Iterator<Item = (String, String)> {
    let is_header = |attribute: &mut KeyValue| [TRACEPARENT, TRACESTATE].contains(&attribute.key.as_str());
    let taken: Vec<KeyValue> = attributes.extract_if(.., is_header).collect();
    taken.into_iter().map(|header| (header.key.to_string(), header.value.to_string()))
}
