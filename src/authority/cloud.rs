//! The hosts of Entra that are known without asking, by cloud.

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

/// The cloud of a well-known host.
#[must_use]
pub fn of(host: &str) -> Option<Cloud> {
    HOSTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(host)).map(|(_, cloud)| *cloud)
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

const HOSTS: &[(&str, Cloud)] = &[
    ("login.microsoftonline.com", Cloud::Public),
    ("login.microsoft.com", Cloud::Public),
    ("login.windows.net", Cloud::Public),
    ("sts.windows.net", Cloud::Public),
    ("login.partner.microsoftonline.cn", Cloud::China),
    ("login.chinacloudapi.cn", Cloud::China),
    ("login.microsoftonline.us", Cloud::UsGov),
    ("login.usgovcloudapi.net", Cloud::UsGov),
    ("login-us.microsoftonline.com", Cloud::UsGov),
    ("login.sovcloud-identity.fr", Cloud::Bleu),
    ("login.sovcloud-identity.de", Cloud::Delos),
    ("login.sovcloud-identity.sg", Cloud::GovSg),
];
