//! Reads the variables of OpenTelemetry: which requests are traced, and where that is sent.
//!
//! Nothing is without an endpoint: one on this machine, which the specification would assume, is there for few, and
//! all others would have a line in their log each minute. Then nothing else is looked at, since such variables are often given to whole clusters.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use reqwest::Certificate;
use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

use super::mistake::Report;
use crate::credential::file;
use crate::secret::Secret;
use crate::trace::Sampling;
use crate::trace::sampling::Share;
use crate::wire::{Roots, System, is_loopback};

/// How to trace.
#[derive(Clone, Debug)]
pub struct Traces {
    /// What.
    pub sampling: Sampling,
    /// Where spans are sent, with the path.
    pub endpoint: Url,
    /// What goes along, such as the key of an account.
    pub headers: Vec<(String, Secret)>,
    /// Who vouches for the receiver.
    pub roots: Roots,
    /// How long sending may take, with what is tried again.
    pub timeout: Duration,
    /// How spans are gathered.
    pub batch: Batch,
    /// Who sends them, such as `service.name`.
    pub resource: Vec<(String, String)>,
}

/// How spans are gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// How long they are gathered.
    pub delay: Duration,
    /// So many wait at most; what comes then is lost.
    pub queue: usize,
    /// So many are sent at once.
    pub size: usize,
}

/// What the variables amount to; none where nothing is to be traced, and where they have mistakes.
pub fn read(variables: &HashMap<String, String>, system: &System, report: &Report) -> Option<Traces> {
    let words = Words { variables, report };
    let (variable, written) = words.first(ENDPOINT)?;
    if words.flag(DISABLED)? || !words.exports()? {
        return None;
    }
    // Everything is read before anything is given up, so that all mistakes are told at once.
    let endpoint = words.endpoint(variable, written);
    let (protocol, sampling, headers) = (words.protocol(), words.sampling(), words.headers());
    let (timeout, batch, resource) = (words.timeout(), words.batch(), words.resource());
    let roots = words.roots();
    words.refuse_unknown();
    if let (Some(url), Some((name, all))) = (&endpoint, &headers)
        && !all.is_empty()
        && url.scheme() == "http"
        && !is_loopback(url)
    {
        let problem = format!("the headers go in the clear, since {variable} is not https");
        report.warn(*name, problem, "name an https endpoint");
    }
    protocol?;
    Some(Traces {
        sampling: sampling?,
        endpoint: endpoint?,
        headers: headers?.1,
        roots: system.or(roots?),
        timeout: timeout?,
        batch: batch?,
        resource: resource?,
    })
}

/// The variables, and where their mistakes go.
struct Words<'a> {
    variables: &'a HashMap<String, String>,
    report: &'a Report,
}

impl<'a> Words<'a> {
    /// An empty one is as if it were not set.
    fn get(&self, name: &str) -> Option<&'a str> {
        self.variables.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The first of these that is set.
    fn first(&self, names: [&'static str; 2]) -> Option<(&'static str, &'a str)> {
        names.into_iter().find_map(|name| Some((name, self.get(name)?)))
    }

    fn note<T>(&self, name: &str, problem: &str, remedy: &str) -> Option<T> {
        self.report.note(name, problem, remedy);
        None
    }

    fn flag(&self, name: &'static str) -> Option<bool> {
        match self.get(name).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false") => Some(false),
            Some("true") => Some(true),
            Some(_) => self.note(name, "it is neither true nor false", "write true or false, or unset it"),
        }
    }

    /// Whether spans are to be sent.
    fn exports(&self) -> Option<bool> {
        match self.get(EXPORTER) {
            None | Some("otlp") => Some(true),
            Some("none") => Some(false),
            Some(_) => self.note(EXPORTER, "spans are sent by OTLP alone", "write otlp or none, or unset it"),
        }
    }

    /// Where this variable says that spans are to be sent.
    fn endpoint(&self, name: &'static str, written: &str) -> Option<Url> {
        let url = Url::parse(written).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(mut url) = url else {
            let remedy = "write the URL of an OTLP/HTTP receiver, such as http://127.0.0.1:4318";
            return self.note(name, "it is no http or https URL", remedy);
        };
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            let remedy =
                "leave out user, password and fragment; what proves this service goes into OTEL_EXPORTER_OTLP_HEADERS";
            return self.note(name, "the URL has parts that are not sent", remedy);
        }
        if name == ENDPOINT[1] {
            let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        Some(url)
    }

    fn protocol(&self) -> Option<()> {
        match self.first(PROTOCOL) {
            None | Some((_, "http/protobuf")) => Some(()),
            Some((name, _)) => {
                let remedy =
                    "write http/protobuf, and the port of OTLP/HTTP in the endpoint, which is mostly 4318 and not 4317";
                self.note(name, "this protocol is not spoken", remedy)
            }
        }
    }

    fn sampling(&self) -> Option<Sampling> {
        let named = self.get(SAMPLER).unwrap_or("parentbased_always_on");
        let bare = named.strip_prefix("parentbased_");
        let share = match bare.unwrap_or(named) {
            "always_on" => Some(Share::ALL),
            "always_off" => Some(Share::NONE),
            "traceidratio" => self.share(),
            _ => {
                let remedy = "write always_on, always_off or traceidratio, perhaps with parentbased_ in front";
                self.note(SAMPLER, "there is no such sampler", remedy)
            }
        };
        let follows = self.follows();
        Some(Sampling { share: share?, is_parent_based: bare.is_some(), follows: follows? })
    }

    fn share(&self) -> Option<Share> {
        let Some(written) = self.get(SAMPLER_ARG) else { return Some(Share::ALL) };
        let share = written.parse().ok().and_then(Share::of);
        share.or_else(|| self.note(SAMPLER_ARG, "it is no part of one", "write a number from 0 to 1, such as 0.01"))
    }

    /// Whether it is looked at what callers trace. Baggage would be passed on, and nothing is.
    fn follows(&self) -> Option<bool> {
        let Some(written) = self.get(PROPAGATORS) else { return Some(true) };
        let names: Vec<&str> = written.split(',').map(str::trim).collect();
        if names.iter().all(|name| matches!(*name, "tracecontext" | "baggage" | "none")) {
            return Some(names.contains(&"tracecontext"));
        }
        let remedy = "write tracecontext, or none to pay no heed to what callers trace";
        self.note(PROPAGATORS, "only W3C trace context is understood", remedy)
    }

    /// Which variable has headers, and they.
    fn headers(&self) -> Option<(&'static str, Vec<(String, Secret)>)> {
        let Some((name, written)) = self.first(HEADERS) else { return Some((HEADERS[0], Vec::new())) };
        let headers: Option<Vec<(String, Secret)>> = pairs(written)
            .map(|pair| {
                let (key, value) = pair?;
                HeaderName::try_from(&key).ok()?;
                HeaderValue::try_from(&value).ok()?;
                Some((key, Secret::from(value)))
            })
            .collect();
        let headers = headers.or_else(|| self.note(name, "it is no list of headers", PAIRS));
        Some((name, headers?))
    }

    /// Who sends the spans: what the variables say, above what is known.
    fn resource(&self) -> Option<Vec<(String, String)>> {
        let known = [("service.name", "bursar"), ("service.version", env!("CARGO_PKG_VERSION"))];
        let known = known.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let written = self.get(RESOURCE).unwrap_or_default();
        let written: Option<Vec<(String, String)>> = pairs(written).collect();
        let written = written.or_else(|| self.note(RESOURCE, "it is no list of attributes", PAIRS))?;
        let name = self.get(SERVICE_NAME).map(|name| ("service.name".to_owned(), name.to_owned()));
        // The last one with a key is meant.
        let mut all: Vec<(String, String)> = Vec::new();
        for (key, value) in known.into_iter().chain(written).chain(name) {
            all.retain(|(other, _)| *other != key);
            all.push((key, value));
        }
        Some(all)
    }

    fn timeout(&self) -> Option<Duration> {
        let whole = match self.first(TIMEOUT) {
            Some((name, _)) => self.number(name, 1..=LONGEST),
            None => Some(10_000),
        };
        let export = self.number_or(EXPORT_TIMEOUT, 30_000, 1..=LONGEST);
        Some(Duration::from_millis(whole?.min(export?)))
    }

    fn batch(&self) -> Option<Batch> {
        let delay = self.number_or(DELAY, 5_000, 1..=LONGEST);
        let queue = self.number_or(QUEUE, 2_048, 1..=65_536);
        let size = self.number_or(SIZE, 512.min(queue.unwrap_or(512)), 1..=65_536);
        let (delay, queue, size) = (delay?, queue?, size?);
        if size > queue {
            return self.note(
                SIZE,
                "it is more than the queue holds",
                "make it smaller, or OTEL_BSP_MAX_QUEUE_SIZE larger",
            );
        }
        let (queue, size) = (usize::try_from(queue).ok()?, usize::try_from(size).ok()?);
        Some(Batch { delay: Duration::from_millis(delay), queue, size })
    }

    fn number_or(&self, name: &'static str, default: u64, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        if self.get(name).is_some() { self.number(name, range) } else { Some(default) }
    }

    fn number(&self, name: &'static str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let number = self.get(name).and_then(|text| text.parse().ok()).filter(|number| range.contains(number));
        number.or_else(|| {
            let remedy =
                format!("write a whole number from {} to {}; times are milliseconds", range.start(), range.end());
            self.note(name, "it is no number that this can be", &remedy)
        })
    }

    /// The certificates to trust, if some are named; none of both if they cannot be read.
    #[expect(clippy::option_option, reason = "whether it is well, and whether there are any")]
    fn roots(&self) -> Option<Option<Vec<Certificate>>> {
        let Some((name, path)) = self.first(CERTIFICATE) else { return Some(None) };
        let Ok(pem) = file::read(Path::new(path), file::MOST) else {
            return self.note(
                name,
                "the file cannot be read",
                "name a PEM file that exists and is readable by this process",
            );
        };
        match Certificate::from_pem_bundle(&pem) {
            Ok(roots) if !roots.is_empty() => Some(Some(roots)),
            _ => {
                self.note(name, "the file holds no certificate that can be read", "name a PEM file of CA certificates")
            }
        }
    }

    /// What would have to be kept, and is not.
    fn refuse_unknown(&self) {
        for name in COMPRESSION.into_iter().filter(|name| self.get(name).is_some_and(|value| value != "none")) {
            self.report.note(name, "spans are not compressed", "write none, or unset it");
        }
        for name in CLIENT {
            if self.get(name).is_some() {
                let remedy = "unset it; what proves this service goes into OTEL_EXPORTER_OTLP_HEADERS";
                self.report.note(name, "no client certificate is shown to receivers", remedy);
            }
        }
    }
}

/// The pairs of a list such as `a=1,b=2%20c`, decoded; none for each that is no pair.
fn pairs(written: &str) -> impl Iterator<Item = Option<(String, String)>> {
    written.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let decoded = |text: &str| {
            // The decoder leaves an escape that is none as it is, and a key of an account with it would open nothing.
            if !text.split('%').skip(1).all(is_escape) {
                return None;
            }
            let text = percent_encoding::percent_decode_str(text.trim()).decode_utf8().ok()?.into_owned();
            text.chars().all(|c| !c.is_control()).then_some(text)
        };
        let (key, value) = (decoded(key)?, decoded(value)?);
        (!key.is_empty()).then_some((key, value))
    })
}

/// Whether what follows a percent sign begins with two hexadecimal digits.
fn is_escape(rest: &str) -> bool {
    rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

const DISABLED: &str = "OTEL_SDK_DISABLED";
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
/// What is said of traces alone comes before what is said of everything.
const ENDPOINT: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOL: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const TIMEOUT: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const CERTIFICATE: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
const COMPRESSION: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"];
const CLIENT: [&str; 4] = [
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
];
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
const PROPAGATORS: &str = "OTEL_PROPAGATORS";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";
const DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";
const EXPORT_TIMEOUT: &str = "OTEL_BSP_EXPORT_TIMEOUT";
const QUEUE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
const SIZE: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
const PAIRS: &str = "write name=value pairs with commas between, and what is special percent-encoded";
/// A day, in milliseconds.
const LONGEST: u64 = 86_400_000;
