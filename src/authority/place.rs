//! Where an authority is and of what kind: how it is found, what may belong to it, how it is asked.
//!
//! Pure: URLs in, URLs and verdicts out. The kinds differ here and nowhere else.

use url::Url;

use super::cloud::{self, is_label};
use super::region::Region;
use crate::name::{Malformed, ScopeForm, TenantId, is_guid};
use crate::wire;

/// The kinds of authority, as MSAL tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Active Directory Federation Services.
    Adfs,
    /// Azure AD B2C: the policy is part of the path.
    B2c,
    /// External ID, on `*.ciamlogin.com`.
    Ciam,
    /// Entra ID in any cloud.
    Entra,
    /// Any issuer with OpenID Connect discovery.
    Oidc,
}

impl Kind {
    /// Reads the word that the configuration has for it.
    ///
    /// # Errors
    /// Any other word.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        match text {
            "adfs" => Ok(Self::Adfs),
            "b2c" => Ok(Self::B2c),
            "ciam" => Ok(Self::Ciam),
            "entra" => Ok(Self::Entra),
            "oidc" => Ok(Self::Oidc),
            _ => Err(Malformed("a kind of authority is entra, ciam, b2c, adfs or oidc")),
        }
    }

    /// What the URL alone says.
    fn of(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        let mut segments = url.path_segments().into_iter().flatten().map(str::to_ascii_lowercase);
        let (first, second) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
        if host.ends_with(CIAM) {
            Self::Ciam
        } else if is_b2c(host) || second.starts_with("b2c_") {
            Self::B2c
        } else if first == "adfs" {
            Self::Adfs
        } else {
            Self::Entra
        }
    }
}

/// An authority's place: its URL without a slash at the end, its kind, and its tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    kind: Kind,
    url: Url,
    tenant: TenantId,
}

impl Place {
    /// Reads the URL of an authority. Its kind follows from the URL unless it is given; the tenant is
    /// given, or stands in the URL, or is no matter (ADFS, OpenID Connect).
    ///
    /// # Errors
    /// [`Malformed`] says which rule was broken.
    pub fn parse(text: &str, kind: Option<Kind>, id: Option<&TenantId>) -> Result<Self, Malformed> {
        let url = parse_url(text)?;
        let kind = kind.unwrap_or_else(|| Kind::of(&url));
        let path: Vec<String> = segments(&url);
        let host = url.host_str().unwrap_or_default();
        let tenant = match (kind, path.as_slice(), id) {
            (Kind::Entra, [], Some(id)) => id.clone(),
            (Kind::Entra, [], None) => return Err(Malformed("the tenant is missing; give its 'id'")),
            (Kind::Entra, _, _) => {
                return Err(Malformed("an authority of this kind has no path; the tenant goes into 'id'"));
            }
            (Kind::Ciam, [], None) => TenantId::parse(&format!("{}.onmicrosoft.com", label(host)))?,
            (Kind::Ciam, [], Some(id)) => id.clone(),
            (Kind::Ciam, [tenant], _) | (Kind::B2c, [tenant, _], _) => same(TenantId::parse(tenant)?, id)?,
            (Kind::Ciam, _, _) => {
                return Err(Malformed("an External ID authority has a tenant in its path, or nothing"));
            }
            (Kind::B2c, _, _) => return Err(Malformed("a B2C authority has a tenant and a policy in its path")),
            (Kind::Adfs, [adfs], _) if adfs == "adfs" => TenantId::of_host("adfs"),
            (Kind::Adfs, _, _) => return Err(Malformed("an ADFS authority ends in /adfs")),
            (Kind::Oidc, _, _) => id.cloned().unwrap_or_else(|| TenantId::of_host(host)),
        };
        Ok(Self { kind, url, tenant })
    }

    /// Reads the URL of an authority for any directory; [`Place::in_tenant`] says which.
    ///
    /// # Errors
    /// [`Malformed`] says which rule was broken.
    pub fn pattern(text: &str, kind: Option<Kind>) -> Result<Self, Malformed> {
        let stand_in = TenantId::of_host("*");
        let place = Self::parse(text, kind, Some(&stand_in))?;
        if place.tenant != stand_in || !matches!(place.kind, Kind::Ciam | Kind::Entra) {
            return Err(Malformed("only an authority that has tenants, and none in its path, issues for any of them"));
        }
        Ok(place)
    }

    /// The same place for another directory.
    #[must_use]
    pub fn in_tenant(&self, id: &TenantId) -> Self {
        Self { tenant: id.clone(), ..self.clone() }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The cloud that it is known to belong to.
    #[must_use]
    pub fn cloud(&self) -> Option<cloud::Cloud> {
        cloud::of(self.host())
    }

    /// Its URL, which stands for it in keys and logs.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The tenant that it issues for.
    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// How it is asked for a resource.
    #[must_use]
    pub const fn scope_form(&self) -> ScopeForm {
        match self.kind {
            Kind::Adfs => ScopeForm::Resource,
            Kind::B2c | Kind::Ciam | Kind::Entra => ScopeForm::Default,
            Kind::Oidc => ScopeForm::Indicator,
        }
    }

    /// Whether it has to be confirmed before it is trusted: only an Entra host that nobody knows, and
    /// that is not this machine, which nobody else can know.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.kind == Kind::Entra && cloud::of(self.host()).is_none()
    }

    /// Where its OpenID configuration is (OpenID Connect Discovery 1.0, section 4).
    #[must_use]
    pub fn configuration_url(&self) -> Url {
        let path = self.url.path().trim_end_matches('/');
        let base = match (self.kind, path) {
            (Kind::Entra | Kind::Ciam, "") => format!("/{}/v2.0", self.tenant.as_str()),
            (Kind::Entra | Kind::Ciam | Kind::B2c, path) => format!("{path}/v2.0"),
            (Kind::Adfs | Kind::Oidc, path) => path.to_owned(),
        };
        self.at(&format!("{base}/.well-known/openid-configuration"))
    }

    /// Where clients would be authorised, which is what instance discovery is asked about.
    #[must_use]
    pub fn authorize_url(&self) -> Url {
        self.at(&format!("/{}/oauth2/v2.0/authorize", self.tenant.as_str()))
    }

    /// The same place under another name of its host, such as `login.corp` or `login.corp:8443`; none when
    /// that is no name.
    #[must_use]
    pub fn known_as(&self, name: &str) -> Option<Self> {
        let url = Url::parse(&format!("{}://{name}", self.url.scheme())).ok()?;
        let is_bare =
            url.username().is_empty() && url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let mut place = self.clone();
        place.url.set_host(url.host_str().filter(|_| is_bare)).ok()?;
        place.url.set_port(url.port()).ok()?;
        Some(place)
    }

    /// Whether both are on the same host and port.
    #[must_use]
    pub fn has_host_of(&self, other: &Self) -> bool {
        self.has_host_and_port_of(&other.url)
    }

    /// Whether the authority answers in each region too: a well-known host of Entra.
    #[must_use]
    pub fn has_regions(&self) -> bool {
        self.kind == Kind::Entra && cloud::is_central(self.host())
    }

    /// `url`, which is this authority's, on its host in `region`.
    #[must_use]
    pub fn in_region(&self, mut url: Url, region: &Region) -> Url {
        let host = cloud::regional(self.host(), region).filter(|_| self.has_regions());
        if host.is_some_and(|host| url.set_host(Some(&host)).is_ok()) {
            // Invariant: a URL with a host can be without a port.
            url.set_port(None).ok();
        }
        url
    }

    /// Whether a discovered token endpoint may be sent a credential: on the authority's own host, in its
    /// cloud, in a known one when the authority's host is a private name; anywhere for an OpenID Connect
    /// issuer, whose document is the authority on itself once its issuer is right.
    #[must_use]
    pub fn has_endpoint(&self, endpoint: &Url) -> bool {
        let stays = self.has_host_and_port_of(endpoint) || self.shares_cloud(endpoint) || self.kind == Kind::Oidc;
        stays && wire::is_confidential(endpoint)
    }

    /// Whether a discovered issuer belongs to the authority, by MSAL's rules in their order.
    #[must_use]
    pub fn has_issuer(&self, issuer: &str) -> bool {
        let Some(url) = Url::parse(issuer).ok().filter(wire::is_confidential) else { return false };
        let host = url.host_str().unwrap_or_default();
        if issuer.trim_end_matches('/') == self.url.as_str().trim_end_matches('/') {
            return true;
        }
        if self.is_host_of(&url) && self.url.scheme() == url.scheme() {
            return true;
        }
        if host.ends_with(CIAM) {
            return self.has_ciam_issuer(&url);
        }
        let below = host.strip_suffix(self.host()).and_then(|rest| rest.strip_suffix('.'));
        self.shares_cloud(&url) || below.is_some_and(is_label) || is_b2c(host)
    }

    /// An External ID issuer names its tenant in the host and, perhaps, in the path: the one that the authority
    /// names, or its GUID. That of a domain name nobody knows beforehand, so any will do that is said twice; a
    /// credential goes to the authority's own host only.
    fn has_ciam_issuer(&self, issuer: &Url) -> bool {
        let first = segments(&self.url).into_iter().next();
        let wanted = first.unwrap_or_else(|| label(self.host()).to_owned());
        let path = issuer.path().trim_end_matches('/');
        let tenant = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        let named = label(issuer.host_str().unwrap_or_default());
        let of_domain = self.kind == Kind::Ciam && !is_guid(self.tenant.as_str()) && is_guid(named) && named == tenant;
        (named == wanted || named == self.tenant.as_str() || of_domain)
            && (path.is_empty() || path == format!("/{tenant}") || path == format!("/{tenant}/v2.0"))
    }

    fn is_host_of(&self, url: &Url) -> bool {
        self.url.host_str() == url.host_str()
    }

    fn has_host_and_port_of(&self, url: &Url) -> bool {
        self.is_host_of(url) && self.url.port_or_known_default() == url.port_or_known_default()
    }

    /// Whether both are Entra hosts of one cloud, or the other is one and ours is a private name.
    fn shares_cloud(&self, other: &Url) -> bool {
        let (here, there) = (cloud::of(self.host()), other.host_str().and_then(cloud::of));
        there.is_some() && other.scheme() == "https" && (here.is_none() || here == there)
    }

    fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(path);
        url
    }
}

/// Reads a URL to which credentials may go: confidential, and without user, query and fragment.
///
/// # Errors
/// [`Malformed`] says which rule was broken.
pub fn parse_url(text: &str) -> Result<Url, Malformed> {
    let url =
        Url::parse(text).map_err(|_| Malformed("an authority is a URL such as https://login.microsoftonline.com"))?;
    if !wire::is_confidential(&url) {
        return Err(Malformed("an authority is reached over https; plain http is for loopback only"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(Malformed("an authority has no user, query or fragment"));
    }
    Ok(url)
}

fn segments(url: &Url) -> Vec<String> {
    url.path().split('/').filter(|part| !part.is_empty()).map(str::to_ascii_lowercase).collect()
}

fn same(found: TenantId, given: Option<&TenantId>) -> Result<TenantId, Malformed> {
    if given.is_none_or(|given| *given == found) {
        return Ok(found);
    }
    Err(Malformed("the tenant in the path is another one than 'id'"))
}

fn label(host: &str) -> &str {
    host.split('.').next().unwrap_or_default()
}

fn is_b2c(host: &str) -> bool {
    B2C.iter().any(|suffix| host.ends_with(suffix))
}

const CIAM: &str = ".ciamlogin.com";
const B2C: [&str; 4] = [".b2clogin.com", ".b2clogin.cn", ".b2clogin.us", ".b2clogin.de"];

#[cfg(test)]
mod tests;
