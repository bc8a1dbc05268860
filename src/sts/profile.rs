//! What kind of authority a path and a host name: the profiles that MSAL tells apart.
//!
//! A profile is data: the places of its endpoints are [`Realm`](super::realm::Realm)'s, the rest is said here.

/// One kind of authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile<'a> {
    /// Entra ID: a tenant stands first in the path.
    Entra,
    /// External ID: as Entra, on a host of `ciamlogin.com`.
    Ciam,
    /// Azure AD B2C: a tenant and a policy. The tenant is kept as it was written.
    B2c { tenant: &'a str, policy: &'a str },
    /// AD FS, which has no tenants and one version.
    Adfs,
    /// Any other OpenID provider.
    Oidc,
}

impl Profile<'_> {
    /// Whether an authority of that kind keeps its applications in tenants.
    pub(super) const fn has_tenants(self) -> bool {
        !matches!(self, Self::Adfs | Self::Oidc)
    }

    /// Whether a domain name may stand for a tenant.
    pub(super) const fn takes_domains(self) -> bool {
        matches!(self, Self::B2c { .. } | Self::Ciam)
    }

    /// How an assertion has to name the certificate it was signed with.
    pub(super) const fn naming(self) -> Naming {
        match self {
            Self::Entra | Self::Ciam | Self::B2c { .. } => Naming::Entra,
            Self::Adfs => Naming::Sha1,
            Self::Oidc => Naming::Any,
        }
    }

    /// In whose words a request is refused.
    pub(super) const fn wording(self) -> Wording {
        match self {
            Self::Entra | Self::Ciam | Self::B2c { .. } => Wording::Entra,
            Self::Adfs => Wording::Adfs,
            Self::Oidc => Wording::Plain,
        }
    }
}

/// How an assertion points at its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// PS256 with SHA-256, or RS256 with SHA-1.
    Entra,
    /// RS256 with SHA-1 alone.
    Sha1,
    /// Either algorithm with either thumbprint, with a key id, or with nothing where there is no choice.
    Any,
}

/// The shape of an error body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wording {
    /// AADSTS numbers and ids.
    Entra,
    /// An MSIS number in the description.
    Adfs,
    /// RFC 6749 section 5.2 and nothing else.
    Plain,
}
