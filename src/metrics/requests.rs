//! What is counted of requests for tokens.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Registry};

use super::{OK, counters};
use crate::dialect::Dialect;
use crate::dialect::table::DIALECTS;
use crate::fault::Fault;

/// How many there were, and how long each took.
pub(super) struct Requests {
    answers: IntCounterVec,
    durations: HistogramVec,
    dialects: Vec<Answered>,
}

/// What every answer in one dialect counts in. Found once, since finding it takes two locks, and so that it is there, at
/// zero, before the first answer.
struct Answered {
    dialect: &'static str,
    well: IntCounter,
    duration: Histogram,
}

impl Requests {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let answers = counters("bursar_requests_total", "Token requests answered.", &["dialect", "outcome"])?;
        let durations =
            HistogramOpts::new("bursar_request_duration_seconds", "Time from a token request to its answer.");
        let durations = HistogramVec::new(durations.buckets(BUCKETS.to_vec()), &["dialect"])?;
        let answered = |dialect: &Dialect| Answered {
            dialect: dialect.name,
            well: answers.with_label_values(&[dialect.name, OK]),
            duration: durations.with_label_values(&[dialect.name]),
        };
        let dialects = DIALECTS.iter().map(answered).collect();
        Ok(Self { answers, durations, dialects })
    }

    pub(super) fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.answers.clone()))?;
        registry.register(Box::new(self.durations.clone()))
    }

    pub(super) fn answered<T>(&self, dialect: &'static str, result: &Result<T, Fault>, took: Duration) {
        // Invariant: every dialect is a row of the table.
        let Some(answered) = self.dialects.iter().find(|answered| answered.dialect == dialect) else { return };
        match result {
            Ok(_) => answered.well.inc(),
            Err(fault) => self.answers.with_label_values(&[dialect, fault.code()]).inc(),
        }
        answered.duration.observe(took.as_secs_f64());
    }
}

const BUCKETS: &[f64] = &[0.0001, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 30.0];
