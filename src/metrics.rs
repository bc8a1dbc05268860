//! What is counted, as one value with a method for each event. Labels come from the configuration and
//! from enums, never from a caller, so that nobody can make the series grow.

use std::time::Duration;

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder, process_collector::ProcessCollector,
};

use crate::clock::Timestamp;
use crate::fault::Fault;
use crate::name::Name;

mod gone;
mod requests;

pub use gone::Counted;
use requests::Requests;

/// The metrics of one process.
pub struct Metrics {
    registry: Registry,
    requests: Requests,
    exchanges: IntCounterVec,
    exchange_duration: HistogramVec,
    flight_waiters: IntCounter,
    flight_joins: IntCounter,
    refreshes: IntCounterVec,
    refresh_lag: HistogramVec,
    tokens: IntGauge,
    token_remaining: HistogramVec,
    outage_cover: IntGaugeVec,
    credentials: Credentials,
    reloads: Reloads,
}

/// What is counted of reloads, by what was read again.
struct Reloads {
    count: IntCounterVec,
    is_good: IntGaugeVec,
    good_at: IntGaugeVec,
}

/// What is read again while the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// The certificate of https listeners, with its key and the CA of clients.
    Certificate,
    /// The configuration.
    Configuration,
}

impl Reloaded {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Configuration => "configuration",
        }
    }
}

/// What is counted of credentials, each by its identity and its label.
struct Credentials {
    expiry: IntGaugeVec,
    rejections: IntCounterVec,
    preferences: IntCounterVec,
}

impl Metrics {
    /// Registers every metric.
    ///
    /// # Errors
    /// Only if two of them had one name, which would be a bug.
    pub fn new() -> Result<Self, prometheus::Error> {
        let durations = |name, help, label: &str, buckets: &[f64]| {
            HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), &[label])
        };
        let metrics = Self {
            registry: Registry::new(),
            requests: Requests::new()?,
            exchanges: counters(
                "bursar_exchanges_total",
                "Token exchanges with authorities.",
                &["identity", "outcome"],
            )?,
            exchange_duration: durations(
                "bursar_exchange_duration_seconds",
                "Time that a token exchange took.",
                "identity",
                EXCHANGE_BUCKETS,
            )?,
            flight_waiters: IntCounter::new(
                "bursar_flight_waiters_total",
                "Callers that waited for an exchange, their own or another's.",
            )?,
            flight_joins: IntCounter::new(
                "bursar_flight_joins_total",
                "Callers that waited for an exchange which another caller's request or a renewal had begun.",
            )?,
            refreshes: counters("bursar_refreshes_total", "Renewals ahead of expiry.", &["identity", "outcome"])?,
            refresh_lag: durations(
                "bursar_refresh_lag_seconds",
                "Time from the moment at which a token should be renewed to the end of its renewal.",
                "identity",
                LAG_BUCKETS,
            )?,
            tokens: IntGauge::new("bursar_tokens", "Live tokens in the cache.")?,
            token_remaining: durations(
                "bursar_token_remaining_seconds",
                "Time that tokens had left to live when they were handed to callers.",
                "identity",
                LIFE_BUCKETS,
            )?,
            outage_cover: IntGaugeVec::new(
                Opts::new(
                    "bursar_outage_cover_seconds",
                    "How long every caller of late would still be served if all authorities failed now.",
                ),
                &[],
            )?,
            credentials: Credentials::new()?,
            reloads: Reloads::new()?,
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> Result<(), prometheus::Error> {
        let build = Opts::new("bursar_build_info", "The version that runs.").const_label("version", VERSION);
        let build = IntGauge::with_opts(build)?;
        build.set(1);
        self.registry.register(Box::new(build))?;
        self.requests.register(&self.registry)?;
        self.registry.register(Box::new(self.exchanges.clone()))?;
        self.registry.register(Box::new(self.exchange_duration.clone()))?;
        self.registry.register(Box::new(self.flight_waiters.clone()))?;
        self.registry.register(Box::new(self.flight_joins.clone()))?;
        self.registry.register(Box::new(self.refreshes.clone()))?;
        self.registry.register(Box::new(self.refresh_lag.clone()))?;
        self.registry.register(Box::new(self.token_remaining.clone()))?;
        self.registry.register(Box::new(self.outage_cover.clone()))?;
        self.registry.register(Box::new(self.tokens.clone()))?;
        self.registry.register(Box::new(self.credentials.expiry.clone()))?;
        self.registry.register(Box::new(self.credentials.rejections.clone()))?;
        self.registry.register(Box::new(self.credentials.preferences.clone()))?;
        self.registry.register(Box::new(self.reloads.count.clone()))?;
        self.registry.register(Box::new(self.reloads.is_good.clone()))?;
        self.registry.register(Box::new(self.reloads.good_at.clone()))?;
        self.registry.register(Box::new(ProcessCollector::for_self()))
    }

    /// A token request was answered.
    pub fn answered<T>(&self, dialect: &'static str, result: &Result<T, Fault>, took: Duration) {
        self.requests.answered(dialect, result, took);
    }

    /// An exchange ended.
    pub fn exchanged<T>(&self, identity: &Name, result: &Result<T, Fault>, took: Duration) {
        self.exchanges.with_label_values(&[identity.as_str(), outcome(result)]).inc();
        self.exchange_duration.with_label_values(&[identity.as_str()]).observe(took.as_secs_f64());
    }

    /// A caller starts to wait for a flight.
    pub fn waits(&self) {
        self.flight_waiters.inc();
    }

    /// A caller boards a flight that was begun without it.
    pub fn joins(&self) {
        self.flight_joins.inc();
    }

    /// A renewal ahead of expiry ended, so long after it was due.
    pub fn refreshed<T>(&self, identity: &Name, result: &Result<T, Fault>, lag: Duration) {
        self.refreshes.with_label_values(&[identity.as_str(), outcome(result)]).inc();
        if result.is_ok() {
            self.refresh_lag.with_label_values(&[identity.as_str()]).observe(lag.as_secs_f64());
        }
    }

    /// A token that has so long to live is handed to a caller.
    pub fn handed(&self, identity: &Name, remaining: Duration) {
        self.token_remaining.with_label_values(&[identity.as_str()]).observe(remaining.as_secs_f64());
    }

    /// A credential is there, and ends at that time or nobody knows when. What is counted of it stands at zero from then
    /// on, since Prometheus sees no increase in a series that is new.
    pub fn credential_ends(&self, identity: &Name, credential: &str, at: Option<Timestamp>) {
        let labels = [identity.as_str(), credential];
        self.credentials.rejections.with_label_values(&labels);
        self.credentials.preferences.with_label_values(&labels);
        match at {
            Some(at) => {
                self.credentials.expiry.with_label_values(&labels).set(i64::try_from(at.as_secs()).unwrap_or(i64::MAX));
            }
            // There may be none, which is what is wanted.
            None => drop(self.credentials.expiry.remove_label_values(&labels)),
        }
    }

    /// An authority rejected a credential.
    pub fn credential_rejected(&self, identity: &Name, credential: &str) {
        self.credentials.rejections.with_label_values(&[identity.as_str(), credential]).inc();
    }

    /// A credential is used first from now on.
    pub fn credential_preferred(&self, identity: &Name, credential: &str) {
        self.credentials.preferences.with_label_values(&[identity.as_str(), credential]).inc();
    }

    /// Something was read again at that time, and taken or not.
    pub fn reloaded(&self, what: Reloaded, is_good: bool, at: Timestamp) {
        let what = what.as_str();
        self.reloads.count.with_label_values(&[what, if is_good { OK } else { FAILED }]).inc();
        self.reads(what, is_good, at);
    }

    /// Something was read for the first time, which is no reload.
    pub fn loaded(&self, what: Reloaded, at: Timestamp) {
        for outcome in [OK, FAILED] {
            self.reloads.count.with_label_values(&[what.as_str(), outcome]);
        }
        self.reads(what.as_str(), true, at);
    }

    fn reads(&self, what: &str, is_good: bool, at: Timestamp) {
        self.reloads.is_good.with_label_values(&[what]).set(i64::from(is_good));
        if is_good {
            let at = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
            self.reloads.good_at.with_label_values(&[what]).set(at);
        }
    }

    /// The page for `/metrics`; `tokens` is how many live ones the cache holds now, and `cover` how long they serve
    /// whoever asks, if somebody does.
    #[must_use]
    pub fn page(&self, tokens: usize, cover: Option<Duration>) -> Vec<u8> {
        self.tokens.set(i64::try_from(tokens).unwrap_or(i64::MAX));
        match cover {
            Some(cover) => {
                self.outage_cover.with_label_values(NONE).set(i64::try_from(cover.as_secs()).unwrap_or(i64::MAX));
            }
            None => self.outage_cover.reset(),
        }
        let mut page = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut page) {
            tracing::error!(%error, "the metrics page could not be written");
        }
        page
    }
}

impl Reloads {
    fn new() -> Result<Self, prometheus::Error> {
        let what = &["what"];
        let gauge = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), what);
        Ok(Self {
            count: counters(
                "bursar_reloads_total",
                "Times that the configuration or the listeners' certificate was read again.",
                &["what", "outcome"],
            )?,
            is_good: gauge(
                "bursar_reload_successful",
                "Whether the last reload was taken; 0 if the old one stays in use.",
            )?,
            good_at: gauge(
                "bursar_reload_success_timestamp_seconds",
                "When what is in use was read, since the Unix epoch.",
            )?,
        })
    }
}

impl Credentials {
    fn new() -> Result<Self, prometheus::Error> {
        let expiry = Opts::new(
            "bursar_credential_expiry_timestamp_seconds",
            "When a credential ends, where that is known, since the Unix epoch.",
        );
        Ok(Self {
            expiry: IntGaugeVec::new(expiry, CREDENTIAL)?,
            rejections: counters(
                "bursar_credential_rejections_total",
                "Credentials that authorities rejected.",
                CREDENTIAL,
            )?,
            preferences: counters(
                "bursar_credential_preferences_total",
                "Times that a credential became the one that is used first.",
                CREDENTIAL,
            )?,
        })
    }
}

fn counters(name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    IntCounterVec::new(Opts::new(name, help), labels)
}

fn outcome<T>(result: &Result<T, Fault>) -> &'static str {
    match result {
        Ok(_) => OK,
        Err(fault) => fault.code(),
    }
}

const OK: &str = "ok";
const FAILED: &str = "failed";
const NONE: &[&str] = &[];
const CREDENTIAL: &[&str] = &["identity", "credential"];
const VERSION: &str = env!("CARGO_PKG_VERSION");
const EXCHANGE_BUCKETS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

const LAG_BUCKETS: &[f64] = &[0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];
/// With the edges at which Azure SDKs (300 s) and Bursar itself (30 s) take a token for one that ends.
const LIFE_BUCKETS: &[f64] =
    &[0.0, 30.0, 60.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 21600.0, 43200.0, 86400.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_reaches_the_page() {
        let metrics = Metrics::new().unwrap();
        let payroll = Name::parse("payroll").unwrap();
        metrics.answered("imds", &Ok(()), Duration::from_millis(2));
        metrics.exchanged(&payroll, &Err::<(), _>(Fault::new(crate::fault::Kind::Throttled, "p", "r")), Duration::ZERO);
        metrics.refreshed(&payroll, &Ok(()), Duration::from_secs(2));
        metrics.joins();
        metrics.handed(&payroll, Duration::from_mins(5));
        metrics.waits();
        metrics.credential_rejected(&payroll, "secret");
        metrics.credential_preferred(&payroll, "secret#2");
        metrics.credential_ends(&payroll, "secret", Some(Timestamp::from_secs(1_800_000_000)));
        metrics.credential_ends(&payroll, "assertion", Some(Timestamp::from_secs(1)));
        metrics.credential_ends(&payroll, "assertion", None);
        metrics.loaded(Reloaded::Certificate, Timestamp::from_secs(1_800_000_000));
        metrics.reloaded(Reloaded::Configuration, true, Timestamp::from_secs(1_800_000_001));
        metrics.reloaded(Reloaded::Configuration, false, Timestamp::from_secs(1_800_000_002));
        let page = String::from_utf8(metrics.page(3, Some(Duration::from_secs(70)))).unwrap();
        let unknown = r#"bursar_credential_expiry_timestamp_seconds{credential="assertion""#;
        assert!(!page.contains(unknown), "what is not known is not there");
        for line in [
            r#"bursar_credential_rejections_total{credential="assertion",identity="payroll"} 0"#,
            r#"bursar_credential_preferences_total{credential="assertion",identity="payroll"} 0"#,
            r#"bursar_requests_total{dialect="imds",outcome="ok"} 1"#,
            r#"bursar_exchanges_total{identity="payroll",outcome="too_many_requests"} 1"#,
            r#"bursar_refreshes_total{identity="payroll",outcome="ok"} 1"#,
            "bursar_flight_waiters_total 1",
            "bursar_flight_joins_total 1",
            r#"bursar_refresh_lag_seconds_bucket{identity="payroll",le="5"} 1"#,
            r#"bursar_token_remaining_seconds_bucket{identity="payroll",le="300"} 1"#,
            "bursar_outage_cover_seconds 70",
            "bursar_tokens 3",
            r#"bursar_credential_expiry_timestamp_seconds{credential="secret",identity="payroll"} 1800000000"#,
            r#"bursar_credential_rejections_total{credential="secret",identity="payroll"} 1"#,
            r#"bursar_credential_preferences_total{credential="secret#2",identity="payroll"} 1"#,
            r#"bursar_reloads_total{outcome="failed",what="configuration"} 1"#,
            r#"bursar_reload_successful{what="certificate"} 1"#,
            r#"bursar_reload_successful{what="configuration"} 0"#,
            r#"bursar_reload_success_timestamp_seconds{what="configuration"} 1800000001"#,
            "bursar_build_info{version=",
            "process_resident_memory_bytes",
        ] {
            assert!(page.contains(line), "{line} is missing in\n{page}");
        }
        let page = String::from_utf8(metrics.page(0, None)).unwrap();
        assert!(!page.contains("bursar_outage_cover_seconds 70"), "where nobody asks there is nothing to cover");
    }
}
