//! A tenant under one base URL: where its endpoints lie and what its tokens call their issuer.
//!
//! The base comes from the request, so that the STS can be reached under any name that leads to it.

/// Which generation of the protocol, of an endpoint as well as of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// One tenant's part of the STS.
#[derive(Clone, Copy, Debug)]
pub(super) struct Realm<'a> {
    /// Scheme and host, without a slash at the end.
    pub(super) base: &'a str,
    /// The tenant as it stands in the path.
    pub(super) tenant: &'a str,
}

impl Realm<'_> {
    /// The `iss` of the tokens, and what the OpenID configuration says it is. What names no directory has a
    /// placeholder in it, which clients fill with the `tid` of a token.
    pub(super) fn issuer(&self, version: Version) -> String {
        let tenant = if self.is_directory() { self.tenant } else { "{tenantid}" };
        match version {
            Version::V1 => format!("{}/{tenant}/", self.base),
            Version::V2 => format!("{}/{tenant}/v2.0", self.base),
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
        match version {
            Version::V1 => self.at("/discovery/keys"),
            Version::V2 => self.at("/discovery/v2.0/keys"),
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
        match version {
            Version::V1 => self.at(&format!("/oauth2/{name}")),
            Version::V2 => self.at(&format!("/oauth2/v2.0/{name}")),
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{}{path}", self.base, self.tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_directory_has_a_placeholder_for_issuer() {
        let issuer = |tenant, version| {
            let base = "http://sts";
            Realm { base, tenant }.issuer(version)
        };
        assert_eq!(issuer("common", Version::V2), "http://sts/{tenantid}/v2.0");
        assert_eq!(issuer("organizations", Version::V1), "http://sts/{tenantid}/");
        assert_eq!(issuer("t", Version::V1), "http://sts/t/");
    }

    #[test]
    fn an_audience_is_one_of_the_tenants_own_urls() {
        let realm = Realm { base: "https://sts:1", tenant: "t" };
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
}
