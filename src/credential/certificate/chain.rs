//! The order of certificates: from the one of the key to the root, as far as the file goes.

use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use rustls_pki_types::CertificateDer;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::unfit::{Part, Unfit};
use crate::clock::Timestamp;

/// A chain, leaf first.
pub struct Chain {
    /// The certificates in DER; there is at least the leaf.
    pub certificates: Vec<Vec<u8>>,
    /// Until when the leaf holds.
    pub not_after: Timestamp,
}

impl Chain {
    /// Finds the leaf by its key and what follows by issuer and subject; what does not belong is left out.
    ///
    /// # Errors
    /// No certificate is the key's, or none of those that are holds now.
    pub fn of(key: &KeyPair, certificates: &[CertificateDer<'_>], now: Timestamp) -> Result<Self, Unfit> {
        let parsed = certificates.iter().map(|der| X509Certificate::from_der(der).map(|(_, parsed)| (parsed, der)));
        let parsed: Vec<(X509Certificate<'_>, _)> = parsed
            .collect::<Result<_, _>>()
            .map_err(|_| Unfit::new(Part::File, "a certificate cannot be read", "write it anew"))?;
        if parsed.is_empty() {
            return Err(Unfit::new(
                Part::File,
                "there is no certificate",
                "write it there as PEM (BEGIN CERTIFICATE), or use a PFX that has it",
            ));
        }
        let own = parsed
            .iter()
            .filter(|(one, _)| one.public_key().subject_public_key.data.as_ref() == key.public_key().as_ref());
        // A renewal may keep the key: the certificate that holds longest is meant.
        let leaf = own.max_by_key(|(one, _)| one.validity().not_after.timestamp());
        let leaf = leaf.ok_or_else(|| {
            Unfit::new(
                Part::Key,
                "the private key belongs to none of the certificates",
                "put the key and the certificate that was made with it together",
            )
        })?;
        check_validity(&leaf.0, now)?;
        let mut chain = vec![leaf];
        while let Some(next) =
            issuer_of(&chain[chain.len() - 1].0, &parsed).filter(|next| !chain.iter().any(|one| one.1 == next.1))
        {
            chain.push(next);
        }
        let certificates = chain.iter().map(|(_, der)| der.to_vec()).collect();
        Ok(Self { certificates, not_after: moment(leaf.0.validity().not_after.timestamp()) })
    }
}

/// The certificate whose subject is the issuer of `one`, and whose key is not known to be another than the
/// one that signed it: authorities renew their keys and keep their names. A self-issued one ends the chain.
fn issuer_of<'a, 'b, D>(
    one: &X509Certificate<'_>,
    all: &'a [(X509Certificate<'b>, D)],
) -> Option<&'a (X509Certificate<'b>, D)> {
    let (name, signer) = (one.issuer().as_raw(), authority_key(one));
    let fits = |other: &X509Certificate<'_>| match (signer, subject_key(other)) {
        (Some(signer), Some(key)) => signer == key,
        _ => true,
    };
    let is_last = one.subject().as_raw() == name;
    all.iter().find(|(other, _)| !is_last && other.subject().as_raw() == name && fits(other))
}

fn authority_key<'a>(one: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    one.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0),
        _ => None,
    })
}

fn subject_key<'a>(one: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    one.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    })
}

fn check_validity(leaf: &X509Certificate<'_>, now: Timestamp) -> Result<(), Unfit> {
    let validity = leaf.validity();
    let (from, until) = (moment(validity.not_before.timestamp()), moment(validity.not_after.timestamp()));
    if now > until {
        return Err(Unfit::new(
            Part::File,
            format!("the certificate expired at {until}"),
            "renew it, and register the new one",
        ));
    }
    if now < from {
        return Err(Unfit::new(
            Part::File,
            format!("the certificate is not valid before {from}"),
            "use one that is, or set this machine's clock",
        ));
    }
    Ok(())
}

fn moment(secs: i64) -> Timestamp {
    Timestamp::from_secs(u64::try_from(secs).unwrap_or(0))
}
