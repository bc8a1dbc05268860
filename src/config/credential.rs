//! Reads the credentials of an identity.

use config::{Value, ValueKind};
use url::Url;

use super::key::Key;
use super::secret::{self, Surroundings};
use super::section::{Section, flag, parsed, text};
use crate::clock::Timestamp;
use crate::credential::certificate::client::{Origin, Passphrase};
use crate::credential::certificate::unfit::{Part, Unfit};
use crate::credential::certificate::{Claims, Files, Signing};
use crate::credential::{Algorithm, AssertionFile, AssertionUrl, ClientCertificate, ClientSecret, Credential};
use crate::name::Malformed;
use crate::secret::Secret;
use crate::wire::is_confidential;

/// Reads one credential.
pub fn read(mut section: Section<'_>, surroundings: Surroundings<'_>) -> Option<Credential> {
    for inline in ["value", "secret", "client_secret", "password", "key", "assertion", "client_assertion", "env"] {
        if is_inline(&section, inline) {
            let (problem, remedy) = inline_mistake(&section);
            section.note(inline, problem, remedy);
            section.leave_out(inline);
        }
    }
    let kind = section.required("kind", KINDS, text);
    let credential = match kind.as_deref() {
        Some("secret") => secret(&mut section, surroundings).map(Credential::Secret),
        Some("certificate") => certificate(&mut section, surroundings).map(Box::new).map(Credential::Certificate),
        Some("assertion") => assertion(&mut section, surroundings),
        Some(_) => {
            section.note("kind", "the kind is unknown", KINDS);
            return None;
        }
        None => return None,
    };
    section.end();
    credential
}

fn secret(section: &mut Section<'_>, surroundings: Surroundings<'_>) -> Option<ClientSecret> {
    let expires = section.optional("expires", parsed(end));
    Some(named_secret(section, surroundings)?.with_expiry(expires))
}

/// A secret that is read again when its file changes.
fn named_secret(section: &mut Section<'_>, surroundings: Surroundings<'_>) -> Option<ClientSecret> {
    let file = section.peek("file").map(|written| surroundings.path(&written));
    Some(ClientSecret::new(surroundings.client_secret(section)?, file))
}

/// A moment, or the end of a day in UTC.
fn end(text: &str) -> Result<Timestamp, Malformed> {
    let malformed = Malformed("this must be a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z");
    let day = || {
        // A longer text is a time without its offset from UTC, which nobody can place.
        let day: jiff::civil::Date = (text.len() == "2027-01-31".len()).then(|| text.parse().ok())??;
        Some(day.tomorrow().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    };
    let moment: jiff::Timestamp = text.parse().ok().or_else(day).ok_or(malformed)?;
    u64::try_from(moment.as_second()).map(Timestamp::from_secs).map_err(|_| malformed)
}

/// A part that was written with a mistake ends the reading: what follows from it would be told as well.
fn certificate(section: &mut Section<'_>, surroundings: Surroundings<'_>) -> Option<ClientCertificate> {
    let signing = signing(section);
    let path = |key| section.peek(key).map(|written| surroundings.path(&written));
    let (file_path, key_path) = (path("file"), path("key"));
    let has_passphrase = section.has("passphrase");
    let passphrase = passphrase(section, surroundings);
    let has_key = section.has("key");
    let key = if has_key { surroundings.bytes(section, "key", NAME_KEY) } else { None };
    let file = surroundings.bytes(section, "file", "name the PEM or PFX file with the certificate")?;
    if has_key != key.is_some() || has_passphrase != passphrase.is_some() {
        return None;
    }
    let (passphrase, secret) = passphrase.unzip();
    let files = Files { file: &file, key: key.as_ref().map(|key| &key[..]), passphrase: secret.as_ref() };
    let unfit = |unfit: Unfit| {
        let key = match unfit.part {
            Part::Passphrase => "passphrase",
            Part::Key if has_key => "key",
            Part::Key | Part::File => "file",
        };
        section.note(key, unfit.problem, unfit.remedy);
    };
    let origin = Origin { file: file_path?, key: key_path, passphrase, signing };
    ClientCertificate::read(origin, files, surroundings.now).map_err(unfit).ok()
}

fn signing(section: &mut Section<'_>) -> Signing {
    Signing {
        send_x5c: section.optional("send_x5c", flag).unwrap_or_default(),
        algorithm: section.optional("algorithm", parsed(Algorithm::parse)),
        kid: section.optional("kid", parsed(kid)),
        claims: section.optional("claims", claims).unwrap_or_default(),
    }
}

fn kid(text: &str) -> Result<String, Malformed> {
    let fits = (1..=MAX_KID).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
    fits.then(|| text.to_owned()).ok_or(Malformed("a key id has 1 to 256 visible ASCII characters"))
}

/// Where the passphrase lies, and what it is now.
fn passphrase(section: &mut Section<'_>, surroundings: Surroundings<'_>) -> Option<(Passphrase, Secret)> {
    let mut named = section.naming("passphrase")?;
    let file = named.peek("file").map(|written| surroundings.path(&written));
    let secret = surroundings.secret(&mut named);
    named.end();
    let secret = secret?;
    Some((file.map_or_else(|| Passphrase::Given(secret.clone()), Passphrase::File), secret))
}

fn claims(value: Value) -> Result<Claims, Malformed> {
    let ValueKind::Table(table) = value.kind else {
        return Err(Malformed("this must be a table of claims by their names"));
    };
    let claims = table.into_iter().map(|(name, value)| Some((name, claim(value.kind)?)));
    let claims: Option<serde_json::Map<_, _>> = claims.collect();
    Claims::new(claims.ok_or(Malformed("a claim is a text, a number, true or false"))?)
}

fn claim(kind: ValueKind) -> Option<serde_json::Value> {
    match kind {
        ValueKind::Boolean(flag) => Some(flag.into()),
        ValueKind::Float(number) => serde_json::Number::from_f64(number).map(Into::into),
        ValueKind::I64(number) => Some(number.into()),
        ValueKind::String(text) => Some(text.into()),
        ValueKind::U64(number) => Some(number.into()),
        _ => None,
    }
}

/// A file need not be there yet: whoever projects it may be slower than we are, and it is read for every
/// exchange anyway.
fn assertion(section: &mut Section<'_>, surroundings: Surroundings<'_>) -> Option<Credential> {
    if !section.has("url") {
        let written = section.required("file", "name the file that holds the assertion, or a 'url'", text)?;
        return Some(Credential::Assertion(AssertionFile::new(surroundings.path(&written))));
    }
    if section.has("file") {
        section.note("url", "both 'file' and 'url' are given", "keep one of them");
        section.optional("file", text);
    }
    let url = section.optional("url", parsed(assertion_url));
    let has_bearer = section.has("bearer");
    let bearer = bearer(section, surroundings);
    if has_bearer != bearer.is_some() {
        return None;
    }
    let unmade = |_| section.note("url", "no TLS client can be made for it", "install the ca-certificates package");
    AssertionUrl::new(url?, bearer, surroundings.system)
        .map_err(unmade)
        .ok()
        .map(Box::new)
        .map(Credential::AssertionUrl)
}

fn bearer(section: &mut Section<'_>, surroundings: Surroundings<'_>) -> Option<ClientSecret> {
    let mut named = section.naming("bearer")?;
    let bearer = named_secret(&mut named, surroundings);
    named.end();
    bearer
}

fn assertion_url(text: &str) -> Result<Url, Malformed> {
    let url = Url::parse(text).map_err(|_| Malformed("this is no URL"))?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if is_plain && is_confidential(&url) {
        return Ok(url);
    }
    Err(Malformed("an assertion's URL is https, or http on this machine, and has no user, password or fragment"))
}

/// Whether `key` holds a secret: that of a certificate names a file, and nothing else has one.
fn is_inline(section: &Section<'_>, key: &str) -> bool {
    let names_file = || {
        let is_certificate = section.peek("kind").as_deref() == Some("certificate");
        is_certificate && section.peek(key).is_none_or(|value| !value.contains("BEGIN") && !value.contains('\n'))
    };
    // A variable is as static as the configuration: nobody can renew it while we run.
    let is_static = key == "env" && is_assertion(section);
    section.has(key) && (key != "env" || is_static) && !(key == "key" && names_file())
}

fn is_assertion(section: &Section<'_>) -> bool {
    section.peek("kind").as_deref() == Some("assertion")
}

fn inline_mistake(section: &Section<'_>) -> (&'static str, &'static str) {
    if is_assertion(section) {
        return (
            "an assertion expires, mostly within the hour, so one that is written down stops working",
            "name a file or a URL in which its issuer renews it, with 'file' or 'url'",
        );
    }
    (
        "a secret must not stand in the configuration",
        "move it into a file that only this process can read, and name that with 'file'; if it was committed anywhere, renew it",
    )
}

/// What a credential has, of whichever kind.
pub const KEYS: &[Key] = &[
    Key::shown("kind"),
    Key::shown("file"),
    Key::shown("env"),
    Key::shown("expires"),
    Key::shown("key"),
    Key::shown("passphrase").of(secret::KEYS),
    Key::shown("send_x5c"),
    Key::shown("algorithm"),
    Key::shown("kid"),
    Key::shown("claims"),
    Key::shown("url"),
    Key::shown("bearer").of(secret::KEYS),
    Key::shown("name"),
    Key::shown("fmi_path"),
    Key::shown("resource"),
    Key::shown("client_id"),
    Key::shown("object_id"),
    Key::shown("resource_id"),
];
const MAX_KID: usize = 256;
const KINDS: &str = "say secret, certificate, assertion, identity or managed-identity";
const NAME_KEY: &str = "name the file with the private key";

#[cfg(test)]
mod tests;
