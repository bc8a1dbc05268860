//! Reads the credentials of an identity.

use super::secret::Surroundings;
use super::section::{Section, flag, text};
use crate::credential::{AssertionFile, Certificate, ClientSecret, Credential};

/// Reads one credential.
pub fn read(mut section: Section<'_>, surroundings: Surroundings<'_>) -> Option<Credential> {
    for inline in ["value", "secret", "client_secret", "password", "key", "assertion", "client_assertion"] {
        if section.has(inline) {
            let remedy = "move it into a file that only this process can read, and name that with 'file'; if it was committed anywhere, renew it";
            section.note(inline, "a secret must not stand in the configuration", remedy);
            section.optional(inline, |_| Ok(()));
        }
    }
    let kind = section.required("kind", "say secret, certificate or assertion", text);
    let credential = match kind.as_deref() {
        Some("secret") => secret(&mut section, surroundings).map(Credential::Secret),
        Some("certificate") => certificate(&mut section, surroundings).map(Credential::Certificate),
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

fn certificate(section: &mut Section<'_>, surroundings: Surroundings<'_>) -> Option<Certificate> {
    let send_x5c = section.or("send_x5c", false, flag);
    let pem = surroundings.bytes(section, "file", "name the PEM file with the certificate and its key")?;
    let unfit = |malformed: crate::name::Malformed| {
        section.note(
            "file",
            malformed.to_string(),
            "put the certificate and its unencrypted RSA key into one PEM file",
        );
    };
    Certificate::from_pem(&pem, send_x5c).map_err(unfit).ok()
}

/// The file need not be there yet: whoever projects it may be slower than we are, and it is read for
/// every exchange anyway.
fn assertion(section: &mut Section<'_>, surroundings: Surroundings<'_>) -> Option<AssertionFile> {
    let written = section.required("file", "name the file that holds the assertion", text)?;
    Some(AssertionFile::new(surroundings.path(&written)))
}
