//! Reads `[server.tls]`: what https listeners show, and who signs what is shown to them.

use zeroize::Zeroizing;

use crate::config::key::Key;
use crate::config::secret::Surroundings;
use crate::config::section::{Section, text};
use crate::credential::expiry::Stage;
use crate::credential::sight::Sight;
use crate::name::Malformed;
use crate::server::tls::client::ClientCa;
use crate::server::tls::renewal::{Files, sight};
use crate::server::tls::{Tls, Unfit};

/// Reads the section. Where a caller is proved by its certificate, one is asked for.
pub(super) fn read(
    section: &mut Section<'_>,
    surroundings: Surroundings<'_>,
    asks: bool,
) -> Option<(Tls, (Files, Sight))> {
    let is_written = section.has("tls");
    let mut section = section.section("tls");
    let path = |section: &Section<'_>, key| section.peek(key).map(|written| surroundings.path(&written));
    let (certificate_file, key_file) = (path(&section, "cert"), path(&section, "key"));
    let ca_file = path(&section, "client_ca");
    let clients = client_ca(&mut section, surroundings, asks);
    if !is_written {
        return None;
    }
    let certificate = surroundings.bytes(&mut section, "cert", "name the PEM file with the certificate");
    let key = surroundings.bytes(&mut section, "key", "name the PEM file with its private key");
    let (certificate, key) = (certificate?, key?);
    let (clients, ca) = clients.unzip();
    let tls = Tls::from_pem(&certificate, &key, clients.as_ref()).map_err(|unfit| note_unfit(&section, unfit)).ok();
    if let Some((expiry, stage)) =
        tls.as_ref().and_then(Tls::expiry).and_then(|end| Some((end, end.stage(surroundings.now)?)))
    {
        let ends = if stage == Stage::Past { "expired" } else { "expires" };
        section.warn("cert", format!("the certificate {ends} at {}", expiry.at), "renew it");
    }
    section.end();
    let files = Files { certificate: certificate_file?, key: key_file?, client_ca: ca_file };
    Some((tls?, (files, sight(&certificate, &key, ca.as_ref().map(|ca| &ca[..])))))
}

/// A certificate is optional in the handshake, so that a CA alone would guard nothing.
fn client_ca(
    section: &mut Section<'_>,
    surroundings: Surroundings<'_>,
    asks: bool,
) -> Option<(ClientCa, Zeroizing<Vec<u8>>)> {
    if !section.has("client_ca") {
        if asks {
            let remedy = "name the PEM file of the CA that signs them, beside 'cert' and 'key'";
            section.note("client_ca", "a caller is proved by mtls, and no CA vouches for certificates", remedy);
        }
        // Asked for, so that it is a known key.
        return section.optional("client_ca", text).and(None);
    }
    if !asks {
        let remedy = "add a caller with proof = { kind = \"mtls\", ... }, or leave it out";
        section.note(
            "client_ca",
            "no caller is proved by mtls, so that it lets nobody in and keeps nobody out",
            remedy,
        );
    }
    let remedy = "name the PEM file of the CA that signs client certificates";
    let certificates = surroundings.bytes(section, "client_ca", remedy)?;
    let unfit = |malformed: Malformed| section.note("client_ca", malformed.to_string(), remedy);
    ClientCa::from_pem(&certificates).map_err(unfit).ok().map(|ca| (ca, certificates))
}

fn note_unfit(section: &Section<'_>, unfit: Unfit) {
    let (key, remedy) = match unfit {
        Unfit::EncryptedKey => {
            ("key", "decrypt it with 'openssl pkey -in OLD -out NEW', and let this process alone read it")
        }
        Unfit::NoCertificate => ("cert", "name the PEM file with the certificate, leaf first"),
        Unfit::OddCertificate => ("cert", "have it issued anew with extensions, subjectAltName first of all"),
        Unfit::NoKey => ("key", "name the PEM file with the private key"),
        Unfit::OtherKey => ("key", "name the certificate and the key that was made with it"),
    };
    section.note(key, unfit.to_string(), remedy);
}

/// What `[server.tls]` has.
pub(super) const KEYS: &[Key] = &[
    Key::said(
        "cert",
        "a certificate of the moment",
        "a PEM file: what https listeners show, leaf first. `check` and each start \
         warn when it ends within 30 days",
    ),
    Key::said("key", "that certificate's", "a PEM file: its private key, not encrypted"),
    Key::optional(
        "client_ca",
        "a PEM file: the CA, or several, that sign [client certificates](#client-certificates). Required for callers \
         that are proved by `mtls`, and a mistake without one",
    ),
];
