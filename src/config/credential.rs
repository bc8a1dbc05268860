//! Reads the credentials of an identity.

use config::{Value, ValueKind};

use super::secret::Surroundings;
use super::section::{Section, flag, parsed, text};
use crate::credential::certificate::unfit::{Part, Unfit};
use crate::credential::certificate::{Claims, Files, Signing};
use crate::credential::{Algorithm, AssertionFile, Certificate, ClientSecret, Credential};
use crate::name::Malformed;
use crate::secret::Secret;

/// Reads one credential.
pub fn read(mut section: Section<'_>, surroundings: Surroundings<'_>) -> Option<Credential> {
    for inline in ["value", "secret", "client_secret", "password", "key", "assertion", "client_assertion"] {
        if is_inline(&section, inline) {
            let remedy = "move it into a file that only this process can read, and name that with 'file'; if it was committed anywhere, renew it";
            section.note(inline, "a secret must not stand in the configuration", remedy);
            section.optional(inline, |_| Ok(()));
        }
    }
    let kind = section.required("kind", "say secret, certificate or assertion", text);
    let credential = match kind.as_deref() {
        Some("secret") => secret(&mut section, surroundings).map(Credential::Secret),
        Some("certificate") => certificate(&mut section, surroundings).map(Box::new).map(Credential::Certificate),
        Some("assertion") => assertion(&mut section, surroundings).map(Credential::Assertion),
        Some(_) => {
            section.note("kind", "the kind is unknown", "say secret, certificate or assertion");
            return None;
        }
        None => return None,
    };
    section.end();
    credential
}

fn secret(section: &mut Section<'_>, surroundings: Surroundings<'_>) -> Option<ClientSecret> {
    let file = section.peek("file").map(|written| surroundings.path(&written));
    Some(ClientSecret::new(surroundings.secret(section)?, file))
}

/// A part that was written with a mistake ends the reading: what follows from it would be told as well.
fn certificate(section: &mut Section<'_>, surroundings: Surroundings<'_>) -> Option<Certificate> {
    let signing = signing(section);
    let has_passphrase = section.has("passphrase");
    let passphrase = passphrase(section, surroundings);
    let has_key = section.has("key");
    let key = if has_key { surroundings.bytes(section, "key", NAME_KEY) } else { None };
    let file = surroundings.bytes(section, "file", "name the PEM or PFX file with the certificate")?;
    if has_key != key.is_some() || has_passphrase != passphrase.is_some() {
        return None;
    }
    let files = Files { file: &file, key: key.as_ref().map(|key| &key[..]), passphrase: passphrase.as_ref() };
    let unfit = |unfit: Unfit| {
        let key = match unfit.part {
            Part::Passphrase => "passphrase",
            Part::Key if has_key => "key",
            Part::Key | Part::File => "file",
        };
        section.note(key, unfit.problem, unfit.remedy);
    };
    Certificate::read(files, signing, surroundings.now).map_err(unfit).ok()
}

fn signing(section: &mut Section<'_>) -> Signing {
    Signing {
        send_x5c: section.or("send_x5c", false, flag),
        algorithm: section.optional("algorithm", parsed(Algorithm::parse)),
        kid: section.optional("kid", parsed(kid)),
        claims: section.or("claims", Claims::default(), claims),
    }
}

fn kid(text: &str) -> Result<String, Malformed> {
    let fits = (1..=MAX_KID).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
    fits.then(|| text.to_owned()).ok_or(Malformed("a key id has 1 to 256 visible ASCII characters"))
}

fn passphrase(section: &mut Section<'_>, surroundings: Surroundings<'_>) -> Option<Secret> {
    let mut named = section.naming("passphrase")?;
    let passphrase = surroundings.secret(&mut named);
    named.end();
    passphrase
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

/// The file need not be there yet: whoever projects it may be slower than we are, and it is read for
/// every exchange anyway.
fn assertion(section: &mut Section<'_>, surroundings: Surroundings<'_>) -> Option<AssertionFile> {
    let written = section.required("file", "name the file that holds the assertion", text)?;
    Some(AssertionFile::new(surroundings.path(&written)))
}

/// Whether `key` holds a secret: that of a certificate names a file, and nothing else has one.
fn is_inline(section: &Section<'_>, key: &str) -> bool {
    let names_file = || {
        let is_certificate = section.peek("kind").as_deref() == Some("certificate");
        is_certificate && section.peek(key).is_none_or(|value| !value.contains("BEGIN") && !value.contains('\n'))
    };
    section.has(key) && !(key == "key" && names_file())
}

const MAX_KID: usize = 256;
const NAME_KEY: &str = "name the file with the private key";
