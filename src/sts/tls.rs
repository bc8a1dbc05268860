//! A certificate authority of the moment, and the server certificate it signs.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;

use super::discovery::CLOUDS;
use super::error::Error;
use crate::clock::{Clock, Timestamp};

/// What an https listener needs, and what its clients need to trust it.
pub(super) struct Tls {
    pub(super) ca_pem: String,
    pub(super) server: ServerConfig,
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Tls {
    /// Makes both for these addresses, loopback by name, and the names that authorities have in the world.
    pub(super) fn generate(addresses: &[IpAddr]) -> Result<Self, Error> {
        Self::try_generate(addresses).map_err(|source| Error::Keys { what: "the server certificate", source })
    }

    fn try_generate(addresses: &[IpAddr]) -> Result<Self, Cause> {
        // Clients check the validity by the machine's clock, whatever clock the tokens go by.
        let now = Clock::System.now();
        let authority = Issuer::new(authority_params(now), KeyPair::generate()?);
        let ca_pem = authority_params(now).self_signed(authority.key())?.pem();
        let key = KeyPair::generate()?;
        let leaf = server_params(now, addresses)?.signed_by(&key, &authority)?;
        let server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.into()], key.into())?;
        Ok(Self { ca_pem, server })
    }
}

/// OpenSSL's strict mode wants critical constraints and key identifiers, which `rcgen` writes for a CA.
fn authority_params(now: Timestamp) -> CertificateParams {
    let mut params = valid_from(now);
    params.distinguished_name.push(DnType::CommonName, "Bursar STS authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn server_params(now: Timestamp, addresses: &[IpAddr]) -> Result<CertificateParams, Cause> {
    let mut params = valid_from(now);
    params.distinguished_name.push(DnType::CommonName, "Bursar STS");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    for name in CLOUDS.iter().copied().flatten().chain(NAMES) {
        params.subject_alt_names.push(SanType::DnsName((*name).try_into()?));
    }
    params.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
    Ok(params)
}

/// A year, begun yesterday for clients whose clock is behind.
fn valid_from(now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    let day = |time: Timestamp| {
        let date = jiff::Timestamp::from_second(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
            .unwrap_or(jiff::Timestamp::MAX)
            .to_zoned(jiff::tz::TimeZone::UTC);
        date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    params.not_before = day(now - DAY);
    params.not_after = day(now + 365 * DAY);
    params
}

/// Beside the names of the clouds, so that a client which decides by names can be led here by a name.
const NAMES: &[&str] = &[
    "localhost",
    "*.login.microsoft.com",
    "*.login.microsoftonline.com",
    "*.ciamlogin.com",
    "*.b2clogin.com",
    "*.b2clogin.cn",
    "*.b2clogin.us",
    "*.b2clogin.de",
];
const DAY: Duration = Duration::from_hours(24);
