//! What must hold of any bytes that are taken for a request: nothing panics, whatever is given was asked for where it
//! is served, and no permit and no page comes of a request that did not show what its guard demands.
//!
//! `cargo test` runs it over recorded requests and what proptest makes of them, `cargo fuzz` explores from there
//! (CONTRIBUTING.md).

use std::fs;
use std::io;
use std::path::Path;

use bursar::caller::{Callers, Peer, Recognition};
use bursar::clock::Timestamp;
use bursar::dialect::instance::Instance;
use bursar::dialect::page::Page;
use bursar::dialect::route::{Route, Target};
use bursar::dialect::table::DIALECTS;
use bursar::dialect::{Dialect, Guard, Headers, Method, Request, shown_key};
use bursar::name::{ClientId, FmiPath, Name, TenantId};
use bursar::policy::{Identity, Policy, Resources, Tenant, Tenants};
use bursar::secret::Secret;
use bursar::server::keys::Keys;

/// What recorded requests show: the header secret itself, and in the place of what a key file held.
pub(crate) const SECRET: &str = "the-header-secret";
/// The ids that recorded requests select by.
const CLIENT_ID: &str = "b0b00000-0000-4000-8000-000000000002";
const OBJECT_ID: &str = "b0b00000-0000-4000-8000-000000000003";
const RESOURCE_ID: &str = "/subscriptions/b0b00000-0000-4000-8000-000000000004/resourcegroups/dev/providers/Microsoft.ManagedIdentity/userAssignedIdentities/dev";
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An error.
    Nothing,
    /// A page of instance metadata.
    Page,
    /// The way to a token.
    Permit,
}

/// Every dialect, with one identity, one header secret and one key file.
pub(crate) struct House {
    callers: Callers,
    policy: Policy,
    instance: Instance,
    keys: Keys,
    /// What the key file holds.
    key: String,
}

impl House {
    /// A house with its key file in `directory`.
    pub(crate) fn new(directory: &Path) -> io::Result<Self> {
        let keys = Keys::new(directory.to_owned(), NOW);
        let path = keys.issue(NOW).map_err(|fault| io::Error::other(fault.to_string()))?;
        Ok(Self {
            callers: Callers::open(&[Secret::from("another".to_owned()), Secret::from(SECRET.to_owned())]),
            policy: Policy::new(identity().into_iter().collect(), Vec::new()),
            instance: Instance::nameless("westeurope"),
            keys,
            key: fs::read_to_string(path)?,
        })
    }

    /// Takes `bytes` for a request, over http and over https, and says what came of it over https, where all is served.
    pub(crate) fn ask(&self, bytes: &[u8]) -> Outcome {
        let bytes = self.with_key(bytes);
        let raw = Raw::split(&bytes);
        for dialect in DIALECTS {
            // Whatever routing would say.
            self.permits(dialect, &raw);
        }
        self.routed(&raw, false);
        self.routed(&raw, true)
    }

    /// Nobody who records or makes up a request knows what the key file holds.
    fn with_key(&self, bytes: &[u8]) -> Vec<u8> {
        let recorded = format!("Basic {SECRET}").into_bytes();
        match bytes.windows(recorded.len()).position(|window| window == recorded) {
            Some(at) => [&bytes[..at], b"Basic ", self.key.as_bytes(), &bytes[at + recorded.len()..]].concat(),
            None => bytes.to_vec(),
        }
    }

    fn routed(&self, raw: &Raw<'_>, is_tls: bool) -> Outcome {
        let served: Vec<&Dialect> = DIALECTS.iter().collect();
        let target = Target { method: raw.method, path: raw.path, query: raw.query, is_tls };
        match target.route(&served) {
            Err(astray) => {
                assert!(matches!(astray.fault.status(), 404 | 405), "{target:?} is answered {}", astray.fault);
                Outcome::Nothing
            }
            Ok(Route::Page(page)) => self.shows(&page, raw),
            Ok(Route::Token(dialect)) => {
                assert!(is_served(dialect, &target), "{target:?} led to {}", dialect.name);
                if self.permits(dialect, raw) { Outcome::Permit } else { Outcome::Nothing }
            }
        }
    }

    fn shows(&self, page: &Page, raw: &Raw<'_>) -> Outcome {
        let headers = raw.headers();
        let request = Request { query: raw.query, form: &[], headers: &headers };
        if page.show(raw.method, &request, &self.instance, || self.policy.default_directory(None)).is_err() {
            return Outcome::Nothing;
        }
        assert!(raw.method == "GET" && is_of_this_machine(raw), "{page:?} was shown without its guard");
        Outcome::Page
    }

    /// Whether policy admits it, which must not be without the guard.
    fn permits(&self, dialect: &Dialect, raw: &Raw<'_>) -> bool {
        let headers = raw.headers();
        let form = if raw.method == Method::Post.as_str() { &raw.form[..] } else { &[] };
        let Ok(ask) = dialect.read(&Request { query: raw.query, form, headers: &headers }) else { return false };
        let key = shown_key(&headers)
            .filter(|_| dialect.guard == Guard::KeyFile)
            .and_then(|shown| self.keys.take(shown, NOW));
        if let Some(path) = &key {
            self.keys.put_back(path, NOW);
        }
        let peer = Peer { holds_key: key.is_some(), ..Peer::of_headers(&headers) };
        let is_permitted = match self.callers.recognise(dialect.guard, &peer) {
            Ok(Recognition::Known(caller)) => self.policy.admit(caller, &ask).is_ok(),
            Ok(Recognition::Token { .. }) | Err(_) => false,
        };
        let is_guarded = self.is_guarded(dialect, raw);
        assert!(is_guarded || !is_permitted, "{} gave a permit without its guard", dialect.name);
        is_permitted
    }

    fn is_guarded(&self, dialect: &Dialect, raw: &Raw<'_>) -> bool {
        match dialect.guard {
            Guard::HeaderSecret(name) => {
                raw.header(name).is_some_and(|shown| shown == SECRET.as_bytes() || shown == b"another")
            }
            Guard::KeyFile => {
                let shown = raw.header("authorization").and_then(|shown| shown.split_at_checked("Basic ".len()));
                let holds = |(scheme, key): (&[u8], &[u8])| {
                    scheme.eq_ignore_ascii_case(b"Basic ") && key.trim_ascii() == self.key.as_bytes()
                };
                is_of_this_machine(raw) && shown.is_some_and(holds)
            }
            Guard::Metadata => is_of_this_machine(raw),
        }
    }
}

/// Whether a request shows `Metadata: true` and no sign of a proxy.
fn is_of_this_machine(raw: &Raw<'_>) -> bool {
    let shows = raw.header("metadata").is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(b"true"));
    shows && ["x-forwarded-for", "forwarded", "via"].into_iter().all(|proxy| raw.header(proxy).is_none())
}

/// Whether the dialect's row has the path and the method, told without the router's own words.
fn is_served(dialect: &Dialect, target: &Target<'_>) -> bool {
    let parts = |path: &str| path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let is_there = dialect.paths.iter().any(|path| parts(path) == parts(target.path));
    is_there
        && dialect.methods.iter().any(|method| method.as_str() == target.method)
        && (target.is_tls || !dialect.needs_tls)
}

/// A request as far as anybody looks at one.
struct Raw<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    headers: Vec<(String, &'a [u8])>,
    form: Vec<u8>,
}

impl<'a> Raw<'a> {
    /// The first line, the headers, and what follows the empty line.
    fn split(bytes: &'a [u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let (head, form) = end.map_or((bytes, &[][..]), |end| (&bytes[..end], &bytes[end + 4..]));
        let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
        let mut words = std::str::from_utf8(lines.next().unwrap_or_default()).unwrap_or_default().split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let named = |line: &'a [u8]| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase(), line[colon + 1..].trim_ascii()))
        };
        let headers: Vec<_> = lines.filter_map(named).collect();
        let is_chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && *value == b"chunked");
        let form = if is_chunked { joined(form) } else { form.to_vec() };
        Self { method, path, query, headers, form }
    }

    fn headers(&self) -> Headers<'_> {
        Headers::of(self.headers.iter().map(|(name, value)| (name.as_str(), *value)))
    }

    fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.iter().find(|(held, _)| held == name).map(|(_, value)| *value)
    }
}

/// A body that came in chunks, as far as those are whole.
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = chunks.windows(2).position(|window| window == b"\r\n") {
        let length = std::str::from_utf8(&chunks[..end]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let Some(chunk) = length.and_then(|length| chunks[end + 2..].get(..length)) else { break };
        body.extend_from_slice(chunk);
        chunks = chunks[end + 2 + chunk.len()..].trim_ascii_start();
    }
    body
}

fn identity() -> Option<Identity> {
    let tenant = Tenant { name: Name::parse("contoso").ok(), id: TenantId::of_host("contoso.com") };
    Some(Identity {
        name: Name::parse("payroll").ok()?,
        client_id: ClientId::parse(CLIENT_ID).ok()?,
        object_id: Some(OBJECT_ID.to_owned()),
        resource_id: Some(RESOURCE_ID.to_owned()),
        default: true,
        tenants: Tenants::new(vec![tenant], true, true),
        resources: Resources::Any,
        fmi_paths: FmiPath::parse("a").into_iter().collect(),
    })
}
