//! Reads `[server]`: where to listen, what to serve there, and to whom.

use std::iter;
use std::net::SocketAddr;
use std::time::Duration;

use super::caller::means;
use super::key::Key;
use super::secret::{self, Surroundings};
use super::section::{Section, address, count, duration, flag, parsed};
use crate::caller::Means;
use crate::credential::sight::Sight;
use crate::dialect::Dialect;
use crate::dialect::table::{DIALECTS, names};
use crate::name::Malformed;
use crate::secret::Secret;
use crate::server::Listen;
use crate::server::tls::Tls;
use crate::server::tls::renewal::Files;

mod tls;
mod unix;

/// The listeners and what they serve.
#[derive(Debug)]
pub struct Server {
    /// Where tokens are served.
    pub listen: Vec<Listen>,
    /// The permissions of the files of unix sockets.
    pub unix_mode: u32,
    /// What https listeners show; without one of the operator's, a certificate is made for them.
    pub tls: Option<Tls>,
    /// Where that lies, and what it looked like.
    pub tls_files: Option<(Files, Sight)>,
    /// Where health and metrics are, which is an address.
    pub admin_listen: Listen,
    /// Whether the status page is served also where other machines reach the admin listener.
    pub status_page: bool,
    /// Further `Host` names that are ours.
    pub hosts: Vec<String>,
    /// What is served.
    pub dialects: Vec<&'static Dialect>,
    /// Threads that serve tokens; none means one for each CPU.
    pub workers: Option<usize>,
    /// What callers of the dialects with a header secret show.
    pub header_secrets: Vec<Secret>,
    /// Where each of them lies, for `bursar env`.
    pub header_secret_origins: Vec<Origin>,
    /// Whether dialects that prove nobody are served off loopback.
    pub allow_unauthenticated: bool,
    /// How long requests are accepted after the end was announced.
    pub drain: Duration,
    /// In which order it is looked at what callers show.
    pub proofs: Vec<Means>,
}

impl Server {
    /// Everything that is listened on.
    pub fn places(&self) -> impl Iterator<Item = &Listen> {
        self.listen.iter().chain(iter::once(&self.admin_listen))
    }
}

/// Where a secret was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a variable.
    Env(String),
    /// In a file.
    File(std::path::PathBuf),
}

impl Origin {
    /// Where the secret lies that a section names.
    #[must_use]
    pub fn peek(section: &Section<'_>, surroundings: Surroundings<'_>) -> Option<Self> {
        let file = section.peek("file").map(|file| Self::File(surroundings.path(&file)));
        file.or_else(|| section.peek("env").map(Self::Env))
    }

    /// The file, where it lies in one.
    #[must_use]
    pub fn file(&self) -> Option<std::path::PathBuf> {
        if let Self::File(path) = self { Some(path.clone()) } else { None }
    }
}

/// Reads the section.
pub fn read(mut section: Section<'_>, surroundings: Surroundings<'_>, shown: &[Means]) -> Server {
    // One that is written and cannot be read is told about as such, and not as missing too.
    let listed = section.list("header_secret");
    let has_secret = !listed.is_empty() || shown.iter().any(in_header);
    let (header_secrets, header_secret_origins) = header_secrets(listed, surroundings);
    let placed = |text: &str| unix::placed(listen(text)?, surroundings);
    let listen = section.some_items("listen", None, PLACE, placed).unwrap_or_default();
    // What nobody could read may be what is looked for.
    let is_whole = !section.is_mistaken("listen");
    let (tls, tls_files) = tls::read(&mut section, surroundings, shown.contains(&Means::Mtls)).unzip();
    let server = Server {
        unix_mode: unix::mode(&mut section, !is_whole || listen.iter().any(Listen::is_unix)),
        listen,
        tls,
        tls_files,
        admin_listen: section.or("admin_listen", parsed(place)),
        status_page: section.or("status_page", flag),
        hosts: section.items("hosts", "write the name alone", host_name),
        dialects: dialects(&mut section, has_secret),
        workers: section.optional("workers", count(1..=1024)).map(|workers| workers as usize),
        header_secrets,
        header_secret_origins,
        allow_unauthenticated: section.or("allow_unauthenticated", flag),
        drain: section.or("drain", duration(Duration::ZERO)),
        proofs: proofs(&mut section, shown),
    };
    check_callers(&section, &server, shown);
    if has_secret {
        warn_of_bare_http(&section, &server);
    }
    if shown.is_empty() {
        check_reach(&section, &server);
    }
    if is_whole {
        check_means(&section, &server, shown);
        check_tls(&section, &server);
    }
    if server.status_page && server.admin_listen.is_loopback() {
        section.warn("status_page", "on loopback the page is served anyway", "leave it out");
    }
    check_places(&section, &server);
    section.end();
    server
}

/// Each place is listened on once.
fn check_places(section: &Section<'_>, server: &Server) {
    let meets = |one: &Listen, other: &Listen| match other.address() {
        Some(address) => is_taken(one.address(), address),
        None => one == other,
    };
    let twice = (1..server.listen.len()).find(|n| server.listen[..*n].iter().any(|one| meets(one, &server.listen[*n])));
    if let Some(n) = twice {
        let remedy = "name each once; an unspecified address is all of its family";
        section.note("listen", format!("{} is listened on already by another of these", server.listen[n]), remedy);
    }
    if server.listen.iter().any(|one| meets(one, &server.admin_listen)) {
        section.note("admin_listen", "tokens are served there", "choose another port");
    }
}

/// Whether one address cannot be listened on beside another: an unspecified one has all of its family.
fn is_taken(one: Option<SocketAddr>, other: SocketAddr) -> bool {
    let is_all = |address: SocketAddr| address.ip().is_unspecified();
    one.is_some_and(|one| {
        let meet = one.ip() == other.ip() || one.is_ipv4() == other.is_ipv4() && (is_all(one) || is_all(other));
        meet && one.port() == other.port() && one.port() != 0
    })
}

/// In which order what callers show is looked at; every means that one of them has needs a place.
fn proofs(section: &mut Section<'_>, shown: &[Means]) -> Vec<Means> {
    let choice = "choose from mtls, service-account, header-secret, unix, loopback";
    let order = section.some_items("proofs", None, choice, means).unwrap_or_default();
    if order != Means::ALL && shown.is_empty() {
        let remedy = "add a section [callers.NAME], or leave it out";
        section.note_none("proofs", "there are no callers to prove themselves", remedy);
    }
    if let Some(n) = (1..order.len()).find(|n| order[..*n].contains(&order[*n])) {
        section.note(&format!("proofs[{n}]"), "this proof is listed already", "leave it out");
    }
    if let Some(missing) = shown.iter().find(|means| !order.contains(means)) {
        let problem = format!("a caller is proved by {}, which is not in the list", missing.as_str());
        section.note_none("proofs", &problem, "add it, in the place in which it is to be looked at");
    }
    order
}

/// Where callers are told apart, nothing may let in somebody who is none of them.
fn check_callers(section: &Section<'_>, server: &Server, shown: &[Means]) {
    if shown.is_empty() {
        return;
    }
    if !server.header_secrets.is_empty() {
        let remedy = "move it into the 'proof' of a caller, or remove [callers]";
        section.note("header_secret", "callers are told apart, and whoever shows this is none of them", remedy);
    }
    if server.allow_unauthenticated {
        let remedy = "leave it out, or remove [callers]";
        section.note("allow_unauthenticated", "callers are told apart, so nobody is let in without a proof", remedy);
    }
}

/// What callers are proved by needs a listener.
fn check_means(section: &Section<'_>, server: &Server, shown: &[Means]) {
    let is_missing = |means, fits: fn(&Listen) -> bool| shown.contains(&means) && !server.listen.iter().any(fits);
    if is_missing(Means::Loopback, Listen::is_loopback) {
        let remedy = "listen on 127.0.0.1 too, or prove that caller otherwise";
        section.note("listen", "a caller is proved by loopback, and nothing listens there", remedy);
    }
    if is_missing(Means::Unix, Listen::is_unix) {
        let remedy = "add one, such as \"unix:/run/bursar/bursar.sock\", or prove that caller otherwise";
        section.note("listen", "a caller is proved by unix, and there is no unix socket", remedy);
    }
    if is_missing(Means::Mtls, Listen::is_tls) {
        let remedy = "add one, such as \"https://127.0.0.1:4143\", or prove that caller otherwise";
        section.note("listen", "a caller is proved by mtls, and there is no https listener", remedy);
    }
}

/// What callers show on every request is not to be read on the way.
fn warn_of_bare_http(section: &Section<'_>, server: &Server) {
    let is_bare = |listen: &Listen| matches!(listen, Listen::Http(_)) && !listen.is_loopback();
    if server.listen.iter().any(is_bare) {
        let problem = "other machines can reach it without TLS, so that proofs and tokens can be read on the way";
        section.warn("listen", problem, "write https:// before the address, with a certificate in 'tls'");
    }
}

/// Whether it is shown in a header.
fn in_header(means: &Means) -> bool {
    matches!(means, Means::HeaderSecret | Means::ServiceAccount)
}

/// A listener that other machines reach serves only what proves its callers. Whom a unix socket lets in, its mode
/// decides.
fn check_reach(section: &Section<'_>, server: &Server) {
    let proves_nobody = |dialect: &&&Dialect| dialect.guard.proves_nobody();
    let open: Vec<&str> = server.dialects.iter().filter(proves_nobody).map(|dialect| dialect.name).collect();
    let exposed = server.listen.iter().any(|listen| !listen.is_loopback() && !listen.is_unix());
    if exposed && !open.is_empty() && !server.allow_unauthenticated {
        let problem = format!("other machines can reach it, and nobody is proved by {}", open.join(" or "));
        let remedy = "listen on loopback, or serve dialects = [\"app-service\"] with a header_secret, or say allow_unauthenticated = true";
        section.note("listen", problem, remedy);
    }
}

/// What is served over TLS alone needs such a listener.
fn check_tls(section: &Section<'_>, server: &Server) {
    let is_https = server.listen.iter().any(Listen::is_tls);
    if let Some(dialect) = server.dialects.iter().find(|dialect| dialect.needs_tls && !is_https) {
        let problem = format!("{} is served over https alone, and there is no such listener", dialect.name);
        section.note("listen", problem, "add one, such as \"https://127.0.0.1:4143\"");
    }
    if server.tls.is_some() && !server.places().any(Listen::is_tls) {
        section.note("tls", "there is no https listener to show the certificate", "write https:// before an address");
    }
}

/// An address, behind `https://` for TLS, or the path of a unix socket behind `unix:`.
///
/// # Errors
/// Anything else.
pub fn listen(text: &str) -> Result<Listen, Malformed> {
    match text.strip_prefix("unix:") {
        Some(path) => unix::path(path).map(Listen::Unix),
        None => place(text),
    }
}

/// An address, behind `https://` for TLS.
///
/// # Errors
/// Anything else, a unix socket too.
pub fn place(text: &str) -> Result<Listen, Malformed> {
    match text.strip_prefix("https://") {
        Some(rest) => address(rest).map(Listen::Https),
        None => address(text).map(Listen::Http),
    }
}

/// What is served: what is listed, else what is by default and can be.
fn dialects(section: &mut Section<'_>, has_secret: bool) -> Vec<&'static Dialect> {
    let can_serve = |dialect: &&Dialect| has_secret || !dialect.guard.needs_secret();
    let find = |name: &str| {
        let found = DIALECTS.iter().find(|dialect| dialect.name == name);
        found.ok_or(Malformed("no dialect has this name"))
    };
    let choice = format!("choose from {}", names().collect::<Vec<_>>().join(", "));
    let Some(found) = section.some_items("dialects", None, &choice, find) else {
        return DIALECTS.iter().filter(|dialect| dialect.is_default).filter(can_serve).collect();
    };
    // In the table's order, and each once: which of two a request is for must not hang on how they are listed.
    let is_listed = |dialect: &Dialect| found.iter().any(|listed| listed.name == dialect.name);
    let served = DIALECTS.iter().filter(|dialect| is_listed(dialect));
    let Some(dialect) = found.iter().find(|dialect| !can_serve(dialect)) else { return served.collect() };
    let remedy = "set header_secret = [{ file = \"...\" }], or a caller that is proved so";
    if DIALECTS.iter().all(|dialect| dialect.is_default == is_listed(dialect)) {
        section.warn("dialects", format!("{} is off without a header secret", dialect.name), remedy);
        return served.filter(can_serve).collect();
    }
    let problem = format!("{} needs a header secret, and none is configured", dialect.name);
    section.note("dialects", problem, remedy);
    served.collect()
}

/// The secrets that the sections of a list name, and where each lies.
pub fn header_secrets(listed: Vec<Section<'_>>, surroundings: Surroundings<'_>) -> (Vec<Secret>, Vec<Origin>) {
    let read = |mut one: Section<'_>| {
        let origin = Origin::peek(&one, surroundings);
        let secret = surroundings.header_secret(&mut one);
        one.end();
        Some((secret?, origin?))
    };
    listed.into_iter().filter_map(read).unzip()
}

fn host_name(name: &str) -> Result<String, Malformed> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if plain { Ok(name.to_owned()) } else { Err(Malformed("a host is a name without scheme, port and path")) }
}

/// What `[server]` has.
pub const KEYS: &[Key] = &[
    Key::value(
        "listen",
        r#"["127.0.0.1:4141"]"#,
        "IP addresses with ports for tokens, also `[::1]:4141`, `https://127.0.0.1:4143` for TLS, which Service \
         Fabric's clients need, and `unix:/run/bursar/bursar.sock` for a [unix socket](#unix-sockets)",
    ),
    Key::section("tls", tls::KEYS),
    Key::section("unix", unix::KEYS),
    Key::text(
        "admin_listen",
        ADMIN,
        "an IP address with a port, also `https://127.0.0.1:4142` for [TLS](endpoints.md#the-admin-listener), for `/healthz`, `/readyz`, `/metrics` and, on loopback, the [status page](endpoints.md#the-admin-listener); \
         nothing secret is there",
    ),
    Key::value(
        "status_page",
        "false",
        "serve the status page also where other machines reach the admin listener. It names identities, tenants, \
         client-made resources and faults to whoever reaches it. On loopback it is always served",
    ),
    Key::value(
        "hosts",
        "[]",
        "further `Host` names that are ours. `localhost`, the listeners' addresses and 169.254.169.254 are; on a \
         wildcard listener any IP is. Everything else is refused, so that a web page cannot reach Bursar through a \
         rebound name",
    ),
    Key::said(
        "dialects",
        "`native`, `imds`, `app-service`",
        "what is served, of all that [endpoints.md](endpoints.md) lists; those that take a header secret need one \
         (`app-service` is off without), `service-fabric` needs an https listener, `arc` the directory \
         `dialects.arc.key_dir`",
    ),
    Key::said("workers", "number of CPUs", "threads that serve tokens, 1 to 1024"),
    Key::value(
        "header_secret",
        "[]",
        "what callers show in `X-IDENTITY-HEADER` (App Service) or `Secret` (its contract of 2017, Service Fabric); \
         any of the list is accepted, so that one can replace another",
    )
    .of(secret::KEYS),
    Key::value(
        "allow_unauthenticated",
        "false",
        "serve `native`, `imds` and `cloud-shell`, which prove nobody, also where other machines reach them; every \
         start logs a warning",
    ),
    Key::value(
        "proofs",
        r#"["mtls", "service-account", "header-secret", "unix", "loopback"]"#,
        "where [callers](#callersname) are told apart: the order in which what they show is looked at. The first that \
         is shown decides, every other one has to be right too, and each kind that a caller has must be in the list. \
         What nobody is known by is wrong when it is shown",
    ),
    Key::text(
        "drain",
        "5s",
        "how long requests are still accepted after SIGTERM; `/readyz` is 503 and each answer closes its connection \
         meanwhile. Whoever has connected by then and asks within seconds is answered too",
    ),
];
const PLACE: &str = "correct it, or make what is missing";
/// Where health and metrics are unless the configuration says otherwise.
pub const ADMIN: &str = "127.0.0.1:4142";
