//! The hosts of Entra that are known without asking, by cloud, and those of its regions.

use super::region::Region;

/// A national or sovereign instance of Entra.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Bleu, France.
    Bleu,
    /// Operated by 21Vianet.
    China,
    /// Delos, Germany.
    Delos,
    /// Singapore's government.
    GovSg,
    /// Worldwide.
    Public,
    /// The government of the United States.
    UsGov,
}

/// The cloud of a well-known host, or of a region's host below one.
#[must_use]
pub fn of(host: &str) -> Option<Cloud> {
    let host = host.to_ascii_lowercase();
    let above = host.split_once('.').filter(|(label, _)| is_label(label)).map(|(_, above)| above);
    let row = row_of(&host).or_else(|| row_of(above?));
    row.map(|(cloud, _, _)| *cloud)
}

/// What a token must be for that another directory's application shows as its proof
/// (<https://learn.microsoft.com/entra/workload-id/workload-identity-federation-create-trust>).
#[must_use]
pub const fn exchange_audience(cloud: Option<Cloud>) -> &'static str {
    match cloud {
        Some(Cloud::China) => "api://AzureADTokenExchangeChina",
        Some(Cloud::UsGov) => "api://AzureADTokenExchangeUSGov",
        _ => "api://AzureADTokenExchange",
    }
}

/// Whether `host` itself is well known, and not that of a region.
#[must_use]
pub(super) fn is_central(host: &str) -> bool {
    row_of(host).is_some()
}

/// The host of `region` beside the well-known `host`; none for any other.
#[must_use]
pub fn regional(host: &str, region: &Region) -> Option<String> {
    row_of(host).map(|(_, network, _)| format!("{}.{network}", region.as_str()))
}

/// Whether `text` can be one part of a host's name (RFC 1123 section 2.1), in lower case.
#[must_use]
pub fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

type Row = (Cloud, &'static str, &'static [&'static str]);

fn row_of(host: &str) -> Option<&'static Row> {
    ROWS.iter().find(|(_, _, hosts)| hosts.contains(&host))
}

/// The cloud, the network below which its regions are, its hosts.
const ROWS: &[Row] = &[
    (
        Cloud::Public,
        "login.microsoft.com",
        &["login.microsoftonline.com", "login.microsoft.com", "login.windows.net", "sts.windows.net"],
    ),
    (Cloud::China, "login.partner.microsoftonline.cn", &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"]),
    (Cloud::UsGov, "login.microsoftonline.us", &["login.microsoftonline.us", "login.usgovcloudapi.net"]),
    (Cloud::UsGov, "login-us.microsoftonline.com", &["login-us.microsoftonline.com"]),
    (Cloud::Bleu, "login.sovcloud-identity.fr", &["login.sovcloud-identity.fr"]),
    (Cloud::Delos, "login.sovcloud-identity.de", &["login.sovcloud-identity.de"]),
    (Cloud::GovSg, "login.sovcloud-identity.sg", &["login.sovcloud-identity.sg"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_a_cloud_and_its_region_a_host() {
        let region = Region::parse("westeurope").unwrap();
        for (host, cloud, regional_host) in [
            ("login.microsoftonline.com", Some(Cloud::Public), Some("westeurope.login.microsoft.com")),
            ("login.microsoft.com", Some(Cloud::Public), Some("westeurope.login.microsoft.com")),
            ("login.windows.net", Some(Cloud::Public), Some("westeurope.login.microsoft.com")),
            ("sts.windows.net", Some(Cloud::Public), Some("westeurope.login.microsoft.com")),
            (
                "login.partner.microsoftonline.cn",
                Some(Cloud::China),
                Some("westeurope.login.partner.microsoftonline.cn"),
            ),
            ("login.chinacloudapi.cn", Some(Cloud::China), Some("westeurope.login.partner.microsoftonline.cn")),
            ("login.microsoftonline.us", Some(Cloud::UsGov), Some("westeurope.login.microsoftonline.us")),
            ("login.usgovcloudapi.net", Some(Cloud::UsGov), Some("westeurope.login.microsoftonline.us")),
            ("login-us.microsoftonline.com", Some(Cloud::UsGov), Some("westeurope.login-us.microsoftonline.com")),
            ("login.sovcloud-identity.fr", Some(Cloud::Bleu), Some("westeurope.login.sovcloud-identity.fr")),
            ("login.sovcloud-identity.de", Some(Cloud::Delos), Some("westeurope.login.sovcloud-identity.de")),
            ("login.sovcloud-identity.sg", Some(Cloud::GovSg), Some("westeurope.login.sovcloud-identity.sg")),
            ("westus2.login.microsoft.com", Some(Cloud::Public), None),
            ("WestUs2.Login.Microsoft.com", Some(Cloud::Public), None),
            ("a.login.microsoftonline.us", Some(Cloud::UsGov), None),
            ("a.b.login.microsoft.com", None, None),
            ("-a.login.microsoft.com", None, None),
            (".login.microsoft.com", None, None),
            ("login.microsoft.com.evil.example", None, None),
            ("evillogin.microsoft.com", None, None),
            ("login.corp", None, None),
            ("", None, None),
        ] {
            assert_eq!(of(host), cloud, "{host}");
            assert_eq!(regional(host, &region).as_deref(), regional_host, "{host}");
        }
    }
}
