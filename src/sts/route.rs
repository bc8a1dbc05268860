//! Which endpoint a path names.

use super::realm::Version;

/// An endpoint, with what its path says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// The OpenID configuration of a tenant.
    Configuration { tenant: &'a str, version: Version },
    /// Instance discovery: which clouds there are.
    Instance,
    /// The public keys that tokens are signed with.
    Keys { tenant: &'a str },
    /// The token endpoint.
    Token { tenant: &'a str, version: Version },
    /// Nothing is there.
    Unknown,
}

impl<'a> Route<'a> {
    /// Reads a path.
    pub(super) fn of(path: &'a str) -> Self {
        use Version::{V1, V2};
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match *segments.as_slice() {
            ["common", "discovery", "instance"] => Self::Instance,
            [tenant, ".well-known", "openid-configuration"] => Self::Configuration { tenant, version: V1 },
            [tenant, "v2.0", ".well-known", "openid-configuration"] => Self::Configuration { tenant, version: V2 },
            [tenant, "discovery", "keys"] | [tenant, "discovery", "v2.0", "keys"] => Self::Keys { tenant },
            [tenant, "oauth2", "token"] => Self::Token { tenant, version: V1 },
            [tenant, "oauth2", "v2.0", "token"] => Self::Token { tenant, version: V2 },
            _ => Self::Unknown,
        }
    }

    /// Whether the endpoint takes requests of that method.
    pub(super) fn takes(&self, method: &str) -> bool {
        match self {
            Self::Token { .. } => method == "POST",
            _ => matches!(method, "GET" | "HEAD"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_endpoints() {
        let tenant = "t";
        for (path, route) in [
            ("/common/discovery/instance", Route::Instance),
            ("/t/discovery/instance", Route::Unknown),
            ("/t/.well-known/openid-configuration", Route::Configuration { tenant, version: Version::V1 }),
            ("/t/v2.0/.well-known/openid-configuration", Route::Configuration { tenant, version: Version::V2 }),
            ("/t/discovery/keys", Route::Keys { tenant }),
            ("/t/discovery/v2.0/keys", Route::Keys { tenant }),
            ("/t/oauth2/token", Route::Token { tenant, version: Version::V1 }),
            ("/t/oauth2/v2.0/token", Route::Token { tenant, version: Version::V2 }),
            ("/t/oauth2/v2.0/token/", Route::Unknown),
            ("/", Route::Unknown),
            ("", Route::Unknown),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
