//! What the parser of an ask must hold against any bytes: it does not panic, and no permit comes of a
//! request that did not show what its dialect's guard demands.
//!
//! `cargo test` runs it over the corpus and what proptest makes up, `cargo fuzz run ask` explores.

use bursar::caller::{Callers, Peer};
use bursar::dialect::table::DIALECTS;
use bursar::dialect::{Dialect, Guard, Header, Request};
use bursar::name::{ClientId, Name, TenantId};
use bursar::policy::{Identity, Policy, Resources, Tenant, Tenants};
use bursar::secret::Secret;

/// The header secret that opens, and that no input is told.
const SECRET: &str = "a-secret-of-32-bytes-nobody-guesses";

/// A raw request, as far as a dialect looks at one.
struct Raw<'a> {
    query: &'a str,
    headers: Vec<(String, &'a [u8])>,
    form: &'a [u8],
}

/// Reads `bytes` as a request on every dialect, and holds what comes of it against the guard.
pub(crate) fn ask(bytes: &[u8]) {
    let raw = split(bytes);
    let header = |name: &'static str| raw.headers.iter().find(|(held, _)| held == name).map(|(_, value)| *value);
    let (callers, policy) = (Callers::new(vec![Secret::from(SECRET.to_owned())]), policy());
    for dialect in DIALECTS {
        let Ok(ask) = dialect.read(&Request { query: raw.query, form: raw.form, header: &header }) else { continue };
        let shown = match dialect.guard {
            Guard::HeaderSecret(name) => header(name),
            Guard::KeyFile | Guard::Metadata => None,
        };
        let Ok(caller) = callers.recognise(dialect.guard, Peer { shown, ..Peer::default() }) else { continue };
        if policy.admit(&caller, &ask).is_ok() {
            assert!(is_guarded(dialect, &header), "{} gave a permit without its guard", dialect.name);
        }
    }
}

fn is_guarded(dialect: &Dialect, header: &Header<'_>) -> bool {
    match dialect.guard {
        Guard::HeaderSecret(name) => header(name) == Some(SECRET.as_bytes()),
        // Nothing was redeemed, so nobody can have been let in.
        Guard::KeyFile => false,
        Guard::Metadata => {
            let shows = header("metadata").is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(b"true"));
            shows && ["x-forwarded-for", "forwarded", "via"].into_iter().all(|proxy| header(proxy).is_none())
        }
    }
}

/// The query of the first line, the headers, and what follows the empty line.
fn split(bytes: &[u8]) -> Raw<'_> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let (head, form) = end.map_or((bytes, &[][..]), |end| (&bytes[..end], &bytes[end + 4..]));
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let target = lines.next().unwrap_or_default();
    let query = target.iter().position(|byte| *byte == b'?').map_or(&[][..], |start| &target[start + 1..]);
    let query = query.split(|byte| *byte == b' ').next().unwrap_or_default();
    let named = |line: &'_ [u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase(), colon))
    };
    let headers = lines.filter_map(|line| named(line).map(|(name, colon)| (name, line[colon + 1..].trim_ascii())));
    Raw { query: std::str::from_utf8(query).unwrap_or_default(), headers: headers.collect(), form }
}

fn policy() -> Policy {
    let tenant = Tenant { name: Name::parse("contoso").ok(), id: TenantId::of_host("contoso.com") };
    let identity = |name: &str| {
        Some(Identity {
            name: Name::parse(name).ok()?,
            client_id: ClientId::parse("11111111-2222-3333-4444-555555555555").ok()?,
            object_id: None,
            resource_id: None,
            default: true,
            tenants: Tenants { listed: vec![tenant.clone()], has_default: true, any: true },
            resources: Resources::Any,
            fmi_paths: Vec::new(),
        })
    };
    Policy::new(identity("payroll").into_iter().collect())
}
