//! Which endpoint of which authority a host and a path name.

use super::profile::Profile;
use super::realm::Version;

/// An endpoint and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route<'a> {
    pub(super) profile: Profile<'a>,
    /// The first segment of the path.
    pub(super) tenant: &'a str,
    pub(super) endpoint: Endpoint,
}

/// An endpoint, with what its path says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// The OpenID configuration.
    Configuration(Version),
    /// Instance discovery: which clouds there are.
    Instance,
    /// The public keys that tokens are signed with.
    Keys,
    /// The token endpoint.
    Token(Version),
    /// Nothing is there.
    Unknown,
}

impl<'a> Route<'a> {
    /// Reads a path, and the base URL under which it was asked for.
    pub(super) fn of(base: &str, path: &'a str) -> Self {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let (tenant, rest) = segments.split_first().map_or(("", &[][..]), |(first, rest)| (*first, rest));
        let (profile, rest) = profile(base, tenant, rest);
        let endpoint = match (profile, tenant, rest) {
            (_, "common", ["discovery", "instance"]) => Endpoint::Instance,
            (Profile::Oidc, _, _) => Endpoint::plain(rest),
            _ => Endpoint::of(rest),
        };
        Self { profile, tenant, endpoint: endpoint.offered_by(profile) }
    }
}

impl Endpoint {
    /// Whether the endpoint takes requests of that method.
    pub(super) fn takes(self, method: &str) -> bool {
        match self {
            Self::Token(_) => method == "POST",
            _ => matches!(method, "GET" | "HEAD"),
        }
    }

    fn of(segments: &[&str]) -> Self {
        use Version::{V1, V2};
        match segments {
            [".well-known", "openid-configuration"] => Self::Configuration(V1),
            ["v2.0", ".well-known", "openid-configuration"] => Self::Configuration(V2),
            ["discovery", "keys"] | ["discovery", "v2.0", "keys"] => Self::Keys,
            ["oauth2", "token"] => Self::Token(V1),
            ["oauth2", "v2.0", "token"] => Self::Token(V2),
            _ => Self::Unknown,
        }
    }

    fn plain(segments: &[&str]) -> Self {
        match segments {
            [".well-known", "openid-configuration"] => Self::Configuration(Version::V2),
            ["keys"] => Self::Keys,
            ["token"] => Self::Token(Version::V2),
            _ => Self::Unknown,
        }
    }

    /// AD FS never had a second version, and B2C has lost its first.
    fn offered_by(self, profile: Profile<'_>) -> Self {
        use Version::{V1, V2};
        match (profile, self) {
            (Profile::Adfs, Self::Configuration(V2) | Self::Token(V2))
            | (Profile::B2c { .. }, Self::Configuration(V1) | Self::Token(V1)) => Self::Unknown,
            (_, offered) => offered,
        }
    }
}

/// The profile, and what is left of the path behind it.
fn profile<'a, 'b>(base: &str, tenant: &'a str, rest: &'b [&'a str]) -> (Profile<'a>, &'b [&'a str]) {
    if base.trim_end_matches(|c: char| c.is_ascii_digit() || c == ':').ends_with(CIAM) {
        return (Profile::Ciam, rest);
    }
    match (tenant, rest.split_first()) {
        _ if tenant.eq_ignore_ascii_case("adfs") => (Profile::Adfs, rest),
        ("oidc", _) => (Profile::Oidc, rest),
        (_, Some((policy, rest))) if is_policy(policy) => (Profile::B2c { tenant, policy }, rest),
        _ => (Profile::Entra, rest),
    }
}

fn is_policy(segment: &str) -> bool {
    segment.to_ascii_lowercase().starts_with("b2c_")
}

const CIAM: &str = ".ciamlogin.com";

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(path: &str) -> Endpoint {
        Route::of("http://sts", path).endpoint
    }

    #[test]
    fn paths_lead_to_endpoints() {
        for (path, expected) in [
            ("/common/discovery/instance", Endpoint::Instance),
            ("/t/discovery/instance", Endpoint::Unknown),
            ("/t/.well-known/openid-configuration", Endpoint::Configuration(Version::V1)),
            ("/t/v2.0/.well-known/openid-configuration", Endpoint::Configuration(Version::V2)),
            ("/t/discovery/keys", Endpoint::Keys),
            ("/t/discovery/v2.0/keys", Endpoint::Keys),
            ("/t/oauth2/token", Endpoint::Token(Version::V1)),
            ("/t/oauth2/v2.0/token", Endpoint::Token(Version::V2)),
            ("/t/oauth2/v2.0/token/", Endpoint::Unknown),
            ("/adfs/oauth2/token", Endpoint::Token(Version::V1)),
            ("/adfs/oauth2/v2.0/token", Endpoint::Unknown),
            ("/t/B2C_1_in/oauth2/v2.0/token", Endpoint::Token(Version::V2)),
            ("/t/B2C_1_in/oauth2/token", Endpoint::Unknown),
            ("/oidc/token", Endpoint::Token(Version::V2)),
            ("/oidc/oauth2/token", Endpoint::Unknown),
            ("/", Endpoint::Unknown),
            ("", Endpoint::Unknown),
        ] {
            assert_eq!(endpoint(path), expected, "{path}");
        }
    }

    #[test]
    fn host_and_path_decide_the_profile() {
        let b2c = Profile::B2c { tenant: "t", policy: "b2c_1_in" };
        for (base, path, profile) in [
            ("http://sts:1", "/t/oauth2/token", Profile::Entra),
            ("http://sts:1", "/ADFS/oauth2/token", Profile::Adfs),
            ("http://sts:1", "/oidc/token", Profile::Oidc),
            ("http://sts:1", "/t/b2c_1_in/oauth2/v2.0/token", b2c),
            ("https://foo.ciamlogin.com", "/t/oauth2/token", Profile::Ciam),
            ("https://foo.ciamlogin.com:8443", "/adfs/oauth2/token", Profile::Ciam),
            ("https://foociamlogin.com", "/t/oauth2/token", Profile::Entra),
            ("https://foo.ciamlogin.com.evil", "/t/oauth2/token", Profile::Entra),
        ] {
            assert_eq!(Route::of(base, path).profile, profile, "{base}{path}");
        }
    }
}
