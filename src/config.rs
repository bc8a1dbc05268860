//! What is true: a configuration that was read whole, with nothing left to doubt.
//!
//! [`mod@file`] is what was written. Everything is parsed here, once, into the rooms' own types; whatever is
//! wrong is told at once, and then nothing starts. [`crate::app`] consumes the result.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::audit::Destination;
use crate::caller::Means;
use crate::caller::share::Share;
use crate::clock::Timestamp;
use crate::dialect::Guard;
use crate::dialect::instance::Instance;
use crate::freshness::Windows;
use crate::name::Malformed;
use crate::server::Listen;
use crate::source::host::Address;
use crate::token::Descent;
use crate::vend::cache::Bounds;
use crate::wire::System;

pub mod application;
pub mod arc;
pub mod azure;
pub mod caller;
pub mod credential;
pub mod delegate;
pub mod file;
pub mod host;
pub mod identity;
pub mod key;
pub mod kubernetes;
pub mod metadata;
pub mod mistake;
pub mod provenance;
pub mod region;
pub mod secret;
pub mod section;
pub mod server;
pub mod spelling;
pub mod syntax;
pub mod tenant;
pub mod traces;
pub mod unique;

use caller::Caller;
use file::Written;
use identity::Identity;
use key::Key;
use kubernetes::{Kubernetes, POD};
use mistake::{Mistake, Mistakes, Report};
use provenance::Provenance;
use secret::{Surroundings, has_directory};
use section::{Section, count, duration, parsed, share, size, text};
use server::Server;
use tenant::Tenant;
use traces::Traces;

/// A whole configuration.
#[derive(Debug)]
pub struct Config {
    /// The listeners.
    pub server: Server,
    /// Where the key files of Azure Arc lie, when that is served.
    pub key_dir: Option<PathBuf>,
    /// What instance metadata tells of this machine.
    pub instance: Instance,
    /// Who callers can be.
    pub identities: Vec<Identity>,
    /// Who asks, where callers are told apart, and what they may have.
    pub callers: Vec<Caller>,
    /// Where the host's managed identity is asked, when some identity needs it.
    pub host: Option<Address>,
    /// The cluster that callers are in, if they are to be known by their service accounts.
    pub kubernetes: Option<Kubernetes>,
    /// The windows of freshness.
    pub windows: Windows,
    /// Renewals a second for each identity in each tenant.
    pub refresh_rate: NonZeroU32,
    /// The bounds of the cache.
    pub bounds: Bounds,
    /// How much of slots and exchanges each caller may have, where callers are told apart.
    pub caller_share: Option<Share>,
    /// How to log.
    pub log: Log,
    /// Where it is written who got what.
    pub audit: Option<Destination>,
    /// What is traced, and where that is sent.
    pub traces: Option<Traces>,
    /// Whom the system trusts.
    pub system: System,
    /// What may be meant, and rarely is.
    pub warnings: Vec<Mistake>,
    /// All that is written of who may have what, to be compared with that of another one.
    pub rules: Descent,
    /// Where all of it can be read again, if it can.
    pub provenance: Option<Provenance>,
}

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// For people or for machines.
    pub format: Format,
    /// Our own words up to this level; other crates never below `info`.
    pub level: tracing::Level,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: Format::Text, level: tracing::Level::INFO }
    }
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object each.
    Json,
    /// Words.
    Text,
}

impl Config {
    /// Reads the file at `path`, or without one what the `AZURE_*` variables mean. What has expired `now` is a
    /// mistake.
    ///
    /// # Errors
    /// Every mistake at once.
    pub fn read(path: Option<&Path>, variables: HashMap<String, String>, now: Timestamp) -> Result<Self, Mistakes> {
        let report = Report::default();
        let written = match path {
            Some(path) => file::read(path, variables, &report),
            None => azure::written(variables, &report),
        };
        match written {
            Some(written) => {
                let provenance = Some(Provenance::of(path, &written));
                Self::resolve(&written, report, now).map(|config| Self { provenance, ..config })
            }
            // Where nothing can be read, everything would be missing.
            None => Err(report.into()),
        }
    }

    /// Turns what was written into what is true.
    ///
    /// # Errors
    /// Every mistake at once, those that `report` holds already included.
    pub fn resolve(written: &Written, report: Report, now: Timestamp) -> Result<Self, Mistakes> {
        let config = Self::believe(written, &report, now);
        let Mistakes { mistakes, warnings } = report.into();
        let (mistakes, warnings) = (written.by_variable(mistakes), written.by_variable(warnings));
        if mistakes.is_empty() { Ok(Self { warnings, ..config }) } else { Err(Mistakes { mistakes, warnings }) }
    }

    /// Reads everything there is, noting what is wrong and going on with defaults.
    fn believe(written: &Written, report: &Report, now: Timestamp) -> Self {
        let surroundings =
            Surroundings { base: &written.base, variables: &written.variables, system: &written.system, now };
        let mut root = Section::new(String::new(), written.tree.clone(), KEYS, report);
        let (shown, callers) = callers(&mut root, surroundings);
        let server = server::read(root.section("server"), surroundings, &shown);
        let serves_arc = server.dialects.iter().any(|dialect| dialect.guard == Guard::KeyFile);
        let mut dialects = root.section("dialects");
        let key_dir = arc::key_dir(dialects.section("arc"), serves_arc, surroundings);
        dialects.end();
        let has_pages = server.dialects.iter().any(|dialect| dialect.has_pages);
        let instance = metadata::read(root.section("metadata"), has_pages, surroundings);
        let own: Vec<SocketAddr> = server.places().filter_map(Listen::address).collect();
        let tenants = tenants(&mut root, surroundings, &own);
        tenant::check_distinct(&tenants, report);
        let read = |(name, section): (String, Option<_>)| identity::read(&name, section?, &tenants, surroundings);
        let named = root.sections("identities");
        if named.is_empty() {
            root.note_none("identities", "there is none", "add a section [identities.NAME]; see config/ for examples");
        }
        let names: Vec<String> = named.iter().map(|(name, _)| name.clone()).collect();
        let identities: Vec<Identity> = named.into_iter().filter_map(read).collect();
        identity::check_distinct(&identities, report);
        delegate::check(&identities, &names, report);
        let tenants: Vec<String> = tenants.into_keys().collect();
        caller::check(&callers, &names, &tenants, report);
        caller::warn_of_vain(&callers, &identities, &names, report);
        let needs_host = identities.iter().any(Identity::needs_host);
        let host = needs_host.then(|| host::address(surroundings, &own, report)).flatten();
        let (in_cluster, section) = (root.has("kubernetes"), root.section("kubernetes"));
        let kubernetes = in_cluster.then(|| kubernetes::read(section, surroundings, Path::new(POD))).flatten();
        check_cluster(&root, in_cluster, shown.contains(&Means::ServiceAccount));
        let (windows, refresh_rate) = freshness(root.section("freshness"));
        let (bounds, share) = cache(root.section("cache"));
        let caller_share = (!callers.is_empty()).then_some(share);
        let (log, audit) = log(root.section("log"), surroundings);
        root.end();
        let traces = traces::read(&written.variables, &written.system, report);
        Self {
            server,
            key_dir: serves_arc.then_some(key_dir),
            instance,
            identities,
            callers,
            host,
            kubernetes,
            windows,
            refresh_rate,
            bounds,
            caller_share,
            log,
            audit,
            traces,
            system: written.system.clone(),
            warnings: Vec::new(),
            rules: provenance::rules(&written.tree),
            provenance: None,
        }
    }
}

/// What callers are proved by, also those of which something else is wrong, and the callers.
fn callers(root: &mut Section<'_>, surroundings: Surroundings<'_>) -> (Vec<Means>, Vec<Caller>) {
    let read = |(name, section): (String, Option<_>)| caller::read(&name, section?, surroundings);
    if root.is_empty("callers") {
        root.note("callers", "there is none", "add a section [callers.NAME], or leave it out to tell none apart");
    }
    let read: Vec<(Means, Option<Caller>)> = root.sections("callers").into_iter().filter_map(read).collect();
    (read.iter().map(|(means, _)| *means).collect(), read.into_iter().filter_map(|(_, caller)| caller).collect())
}

/// Service accounts are verified by their cluster, and nothing else is.
fn check_cluster(root: &Section<'_>, is_there: bool, is_needed: bool) {
    if is_needed && !is_there {
        let problem = "a caller is proved by its service account, and nothing says of which cluster";
        root.note("kubernetes", problem, "add a section [kubernetes] with 'issuer' and 'audience'");
    }
    if is_there && !is_needed {
        let remedy = "give a caller proof = { kind = \"service-account\", ... }, or remove the section";
        root.warn("kubernetes", "no caller is proved by its service account", remedy);
    }
}

/// The tenants by name; one that was written with mistakes is there, and is none.
fn tenants(
    root: &mut Section<'_>,
    surroundings: Surroundings<'_>,
    own: &[SocketAddr],
) -> HashMap<String, Option<Arc<Tenant>>> {
    let read = |(name, section): (String, Option<_>)| {
        let tenant = section.and_then(|section| tenant::read(&name, section, surroundings, own)).map(Arc::new);
        (name, tenant)
    };
    root.sections("tenants").into_iter().map(read).collect()
}

fn freshness(mut section: Section<'_>) -> (Windows, NonZeroU32) {
    let least = Duration::from_millis(1);
    let windows = Windows {
        late: section.or("late", duration(least)),
        last: section.or("last", duration(least)),
        join: section.or("join", duration(least)),
    };
    if windows.last > windows.late {
        section.note("last", "it is longer than 'late', inside which it lies", "make it shorter");
    }
    let rate = section.or("refresh_rate", count(1..=10_000));
    section.end();
    (windows, NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN))
}

fn cache(mut section: Section<'_>) -> (Bounds, Share) {
    let bounds =
        Bounds { entries: section.or("entries", count(1..=100_000_000)).into(), bytes: section.or("bytes", size) };
    let share = section.or("caller_share", share);
    section.end();
    (bounds, share)
}

fn log(mut section: Section<'_>, surroundings: Surroundings<'_>) -> (Log, Option<Destination>) {
    let format = section.or("format", parsed(format));
    let level = section.or("level", parsed(level));
    let audit = section.optional("audit", text).map(|written| match &*written {
        "stdout" => Destination::Stdout,
        path => Destination::File(surroundings.path(path)),
    });
    if let Some(Destination::File(path)) = &audit
        && !has_directory(path)
    {
        section.note("audit", "the directory of the file is not there", "make it, or name another path");
    }
    section.end();
    (Log { format, level }, audit)
}

fn format(text: &str) -> Result<Format, Malformed> {
    match text {
        "json" => Ok(Format::Json),
        "text" => Ok(Format::Text),
        _ => Err(Malformed("a log format is text or json")),
    }
}

fn level(text: &str) -> Result<tracing::Level, Malformed> {
    text.parse().map_err(|_| Malformed("a log level is error, warn, info, debug or trace"))
}

/// What a configuration has.
pub const KEYS: &[Key] = &[
    Key::section("server", server::KEYS).settled(),
    Key::section("dialects", &[Key::section("arc", arc::KEYS)]).settled(),
    Key::section("tenants", tenant::KEYS),
    Key::section("identities", identity::KEYS),
    Key::section("callers", caller::KEYS),
    Key::section("kubernetes", kubernetes::KEYS),
    Key::section("metadata", metadata::KEYS),
    Key::section("freshness", FRESHNESS),
    Key::section("cache", CACHE),
    Key::section("log", LOG),
];
/// What `[freshness]` has.
const FRESHNESS: &[Key] = &[
    Key::text(
        "late",
        "5m",
        "from this long before expiry (at most a quarter of the token's life) callers wait briefly for a fresh token",
    ),
    Key::text(
        "last",
        "30s",
        "from this long before expiry (at most a twentieth) they wait for the whole exchange; a live token is served \
         if it fails",
    ),
    Key::text("join", "1s", "how long they wait briefly"),
    Key::value(
        "refresh_rate",
        "20",
        "renewals ahead of expiry a second, 1 to 10000, for each identity in each tenant, [evenly](#what-is-renewed-ahead); and as \
         many answers a second to what callers demand beyond a live token (`claims`, `bypass_cache`, \
         `token_sha256_to_refresh`), of which all may come at once. Neither takes from the other",
    ),
];
/// What `[cache]` has.
const CACHE: &[Key] = &[
    Key::value("entries", "100000", "the most keys, 1 to 100000000; beyond that those go first that nobody asks for any more")
        .settled(),
    Key::text(
        "bytes",
        "256MiB",
        "the most bytes, at least `\"1MiB\"`, of tokens, of what they are kept under, and 500 for what surrounds each. Both bounds hold at every \
         instant, but for what is in flight or held ready. It may give up what was used least when it is \
         nearly full. What is dead goes each minute, whether somebody asks or not",
    )
    .settled(),
    Key::value(
        "caller_share",
        "0.25",
        "how much of the cache and of exchanges one caller may have, more than 0 and at most 1; only where `callers` \
         tells them apart",
    ),
];
/// What `[log]` has.
const LOG: &[Key] = &[
    Key::text("format", "text", "or `\"json\"`; to stderr").settled(),
    Key::text(
        "level",
        "info",
        "of Bursar's own words; libraries never log below `info`. Of lines about the same refusal or failed exchange \
         (one kind of failure, one caller, one identity) 30 a minute are written and the others counted: the next one, \
         or a line of its own within two minutes, says how many were `suppressed`. The metrics count all",
    ),
    Key::optional(
        "audit",
        "where it is written [who got what](#the-audit-log): `\"stdout\"`, or the path of a file, to whose end lines \
         are added",
    )
    .settled(),
];

#[cfg(test)]
mod tests;
