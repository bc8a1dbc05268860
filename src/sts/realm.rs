//! An authority under one base URL: where its endpoints lie and what its tokens call their issuer.
//!
//! The base comes from the request, so that the STS can be reached under any name that leads to it.

use super::profile::Profile;

/// Which generation of the protocol, of an endpoint as well as of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// One authority's part of the STS.
#[derive(Clone, Copy, Debug)]
pub(super) struct Realm<'a> {
    /// Scheme and host, without a slash at the end.
    pub(super) base: &'a str,
    pub(super) profile: Profile<'a>,
    /// The tenant by its id; the name of the profile where there are none.
    pub(super) tenant: &'a str,
}

impl Realm<'_> {
    /// What the OpenID configuration says the issuer is. What names no directory has a placeholder in it,
    /// which clients fill with the `tid` of a token.
    pub(super) fn issuer(&self, version: Version) -> String {
        let tenant = if self.is_directory() { self.tenant } else { "{tenantid}" };
        match (self.profile, version) {
            (Profile::Entra, Version::V1) => format!("{}/{tenant}/", self.base),
            (Profile::Entra, Version::V2) => format!("{}/{tenant}/v2.0", self.base),
            (Profile::Ciam, _) => format!("https://{tenant}.ciamlogin.com/{tenant}/v2.0"),
            (Profile::B2c { .. }, _) => format!("{}/{tenant}/v2.0/", self.base),
            (Profile::Adfs | Profile::Oidc, _) => self.at(""),
        }
    }

    /// The `iss` of the tokens. AD FS signs them under the name of its federation service, which is no address
    /// and no https, and tells so as `access_token_issuer`.
    pub(super) fn token_issuer(&self, version: Version) -> String {
        match (self.profile, self.base.split_once("://")) {
            (Profile::Adfs, Some((_, host))) => format!("http://{host}/adfs/services/trust"),
            _ => self.issuer(version),
        }
    }

    /// Whether it is one tenant, and not a name for all of them.
    pub(super) fn is_directory(&self) -> bool {
        !matches!(self.tenant, "common" | "organizations")
    }

    pub(super) fn authorization_endpoint(&self, version: Version) -> String {
        self.oauth(version, "authorize")
    }

    pub(super) fn token_endpoint(&self, version: Version) -> String {
        self.oauth(version, "token")
    }

    pub(super) fn device_authorization_endpoint(&self, version: Version) -> String {
        self.oauth(version, "devicecode")
    }

    pub(super) fn end_session_endpoint(&self, version: Version) -> String {
        self.oauth(version, "logout")
    }

    pub(super) fn jwks_uri(&self, version: Version) -> String {
        match (self.profile, version) {
            (Profile::Oidc, _) => self.at("/keys"),
            (_, Version::V1) => self.at("/discovery/keys"),
            (_, Version::V2) => self.at("/discovery/v2.0/keys"),
        }
    }

    pub(super) fn configuration(&self, version: Version) -> String {
        match version {
            Version::V1 => self.at("/.well-known/openid-configuration"),
            Version::V2 => self.at("/v2.0/.well-known/openid-configuration"),
        }
    }

    /// What an assertion may name as its audience: either token endpoint, or either issuer.
    pub(super) fn takes_audience(&self, audience: &str) -> bool {
        [Version::V1, Version::V2]
            .into_iter()
            .flat_map(|version| [self.token_endpoint(version), self.issuer(version)])
            .any(|own| own.eq_ignore_ascii_case(audience))
    }

    fn oauth(&self, version: Version, name: &str) -> String {
        match (self.profile, version) {
            (Profile::Oidc, _) => self.at(&format!("/{name}")),
            (_, Version::V1) => self.at(&format!("/oauth2/{name}")),
            (_, Version::V2) => self.at(&format!("/oauth2/v2.0/{name}")),
        }
    }

    fn at(&self, path: &str) -> String {
        match self.profile {
            Profile::B2c { tenant, policy } => format!("{}/{tenant}/{policy}{path}", self.base),
            _ => format!("{}/{}{path}", self.base, self.tenant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_directory_has_a_placeholder_for_issuer() {
        let issuer = |tenant, version| {
            let base = "http://sts";
            Realm { base, profile: Profile::Entra, tenant }.issuer(version)
        };
        assert_eq!(issuer("common", Version::V2), "http://sts/{tenantid}/v2.0");
        assert_eq!(issuer("organizations", Version::V1), "http://sts/{tenantid}/");
        assert_eq!(issuer("t", Version::V1), "http://sts/t/");
    }

    #[test]
    fn an_audience_is_one_of_the_tenants_own_urls() {
        let realm = Realm { base: "https://sts:1", profile: Profile::Entra, tenant: "t" };
        for (audience, taken) in [
            ("https://sts:1/t/oauth2/v2.0/token", true),
            ("https://STS:1/t/oauth2/token", true),
            ("https://sts:1/t/v2.0", true),
            ("https://sts:1/t/", true),
            ("https://sts:1/other/oauth2/v2.0/token", false),
            ("https://sts:1", false),
            ("", false),
        ] {
            assert_eq!(realm.takes_audience(audience), taken, "{audience}");
        }
    }

    #[test]
    fn each_profile_has_its_issuer() {
        let b2c = Profile::B2c { tenant: "contoso.com", policy: "B2C_1_in" };
        for (profile, tenant, issuer, endpoint) in [
            (Profile::Ciam, "t", "https://t.ciamlogin.com/t/v2.0", "https://sts:1/t/oauth2/v2.0/token"),
            (b2c, "t", "https://sts:1/t/v2.0/", "https://sts:1/contoso.com/B2C_1_in/oauth2/v2.0/token"),
            (Profile::Oidc, "oidc", "https://sts:1/oidc", "https://sts:1/oidc/token"),
        ] {
            let realm = Realm { base: "https://sts:1", profile, tenant };
            assert_eq!(realm.issuer(Version::V2), issuer);
            assert_eq!(realm.token_issuer(Version::V1), issuer);
            assert_eq!(realm.token_endpoint(Version::V2), endpoint);
        }
        let adfs = Realm { base: "https://sts:1", profile: Profile::Adfs, tenant: "adfs" };
        assert_eq!(adfs.issuer(Version::V1), "https://sts:1/adfs");
        assert_eq!(adfs.token_issuer(Version::V1), "http://sts:1/adfs/services/trust");
        assert_eq!(adfs.token_endpoint(Version::V1), "https://sts:1/adfs/oauth2/token");
    }
}
