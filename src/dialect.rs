//! One wire contract of managed identity: how a request is read and how an answer is written.
//!
//! A dialect is a row of [`table`]. Reading looks at the text of a request alone; it trusts nobody and
//! knows no identities. The facts behind every tolerance are clients that break without it.

use crate::claims::ClaimsRequest;
use crate::clock::Timestamp;
use crate::fault::{Fault, Kind};
use crate::name::{ClientId, FmiPath, Resource, Selector, is_guid};
use crate::token::{Extras, Rejected, Token};

pub mod envelope;
pub mod headers;
pub mod instance;
pub mod page;
mod parameters;
pub mod reply;
pub mod route;
mod spelling;
pub mod table;

pub use envelope::Envelope;
pub use headers::Headers;
use parameters::{Parameters, Values, shown};
pub use reply::Reply;

/// A row: the paths and the rules of one contract.
#[derive(Debug)]
pub struct Dialect {
    /// The name in the configuration, in logs and in metrics.
    pub name: &'static str,
    /// Whether it is served unless the configuration lists others.
    pub is_default: bool,
    /// The paths that it is served on; SDKs are pointed at the first.
    pub paths: &'static [&'static str],
    /// How it is asked.
    pub methods: &'static [Method],
    /// Whether it is served over TLS alone.
    pub needs_tls: bool,
    /// What a request must show before it is looked at.
    pub guard: Guard,
    /// Which `api-version` it takes.
    pub version: Version,
    /// The shape of its errors.
    pub envelope: Envelope,
    /// Whether Bursar's own parameters mean something: `identity`, `tenant`, `claims`, `client_claims`, `fmi_path`.
    pub is_native: bool,
    /// Whether the pages of instance metadata are served beside it.
    pub has_pages: bool,
    /// The environment variables that point an SDK at it, and what they hold.
    pub exports: &'static [(&'static str, Export)],
}

/// How a dialect is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// With its parameters in the query.
    Get,
    /// With its parameters in a form, in the query, or in both.
    Post,
}

impl Method {
    /// The method's name in HTTP.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// What keeps others out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// A secret in this header.
    HeaderSecret(&'static str),
    /// `Metadata: true`, and what a file holds that only a program of this machine can read; which file is told
    /// by a first answer.
    KeyFile,
    /// `Metadata: true` and no sign of a proxy: keeps browsers and forwarded requests out, proves nobody.
    Metadata,
}

impl Guard {
    /// Whether whoever reaches the listener is let in.
    #[must_use]
    pub const fn proves_nobody(self) -> bool {
        matches!(self, Self::Metadata)
    }

    /// Whether it needs a header secret to be configured.
    #[must_use]
    pub const fn needs_secret(self) -> bool {
        matches!(self, Self::HeaderSecret(_))
    }
}

/// The rule for `api-version`.
#[derive(Clone, Copy, Debug)]
pub enum Version {
    /// Required, and not older than this.
    From(&'static str),
    /// Required, and no other.
    Only(&'static str),
    /// Ignored.
    Optional,
}

/// What an exported variable holds.
#[derive(Clone, Copy, Debug)]
pub enum Export {
    /// The scheme, host and port of a token listener.
    Base,
    /// The dialect's whole URL.
    Endpoint,
    /// The header secret.
    HeaderSecret,
    /// The SHA-1 thumbprint of the certificate that the TLS listener shows, in hex.
    Thumbprint,
}

/// The text of a request, free of any web framework.
pub struct Request<'a> {
    /// The query, still percent-encoded.
    pub query: &'a str,
    /// The form in the body, still percent-encoded; empty for a GET, whatever its body.
    pub form: &'a [u8],
    /// Its headers.
    pub headers: &'a Headers<'a>,
}

impl Request<'_> {
    /// What a body says that is no form would be lost, and with it perhaps whose token is asked for.
    fn check_form(&self) -> Result<(), Fault> {
        if self.form.is_empty() {
            return Ok(());
        }
        let kind = self.headers.content_type.unwrap_or(FORM);
        let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        if kind.eq_ignore_ascii_case(FORM) {
            return Ok(());
        }
        let remedy = "send the parameters as application/x-www-form-urlencoded, or in the query alone";
        Err(Fault::new(Kind::InvalidRequest, "the body is no form", remedy))
    }
}

/// A parsed request, before anyone is trusted.
#[derive(Debug, PartialEq, Eq)]
pub struct Ask {
    /// What is asked for.
    pub resource: Resource,
    /// Whose token is asked for.
    pub selector: Selector,
    /// In which tenant: a configured name or a directory id; none means the identity's first.
    pub tenant: Option<String>,
    /// What else the token is to be.
    pub extras: Extras,
    /// What a resource demanded of the token that it refused; no cached token is good enough then.
    pub challenge: Option<ClaimsRequest>,
    /// Which cached tokens are not good enough.
    pub rejected: Option<Rejected>,
}

impl Dialect {
    /// Whether a request with this query is in its version. Contracts that share a path are told apart so.
    #[must_use]
    pub fn takes_version(&self, query: &str) -> bool {
        let parameters = Parameters::parse(query, &[], self.is_native);
        let asked = parameters.version.one().ok().flatten();
        // A row that takes any version is told by none.
        !matches!(self.version, Version::Optional) && asked.is_some_and(|version| self.version.takes(version))
    }

    /// Whether its clients pin the certificate of the listener.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.exports.iter().any(|(_, export)| matches!(export, Export::Thumbprint))
    }

    /// Reads a request.
    ///
    /// # Errors
    /// The caller's fault: the guard's first, then the version's, then a parameter's.
    pub fn read(&self, request: &Request<'_>) -> Result<Ask, Fault> {
        self.guard.check(request.headers)?;
        request.check_form()?;
        let parameters = Parameters::parse(request.query, request.form, self.is_native);
        self.version.check(parameters.version.one()?)?;
        let resource = parameters.resource.one()?.ok_or_else(|| {
            Fault::new(Kind::InvalidRequest, "the parameter 'resource' is missing", "add resource=<App ID URI>")
        })?;
        let native = |values| if self.is_native { Values::one(values) } else { Ok(None) };
        Ok(Ask {
            resource: Resource::parse(resource)?,
            selector: parameters.selector.clone()?,
            tenant: native(&parameters.tenant)?.map(|tenant| shown("tenant", tenant)).transpose()?.map(str::to_owned),
            extras: Extras {
                fmi_path: native(&parameters.fmi_path)?.map(FmiPath::parse).transpose()?,
                client_claims: native(&parameters.client_claims)?.map(ClaimsRequest::parse).transpose()?,
            },
            challenge: native(&parameters.claims)?.map(ClaimsRequest::parse).transpose()?,
            rejected: parameters.rejected()?,
        })
    }

    /// Writes a token, with the selector echoed as it was spelled.
    #[must_use]
    pub fn reply(&self, ask: &Ask, client_id: &ClientId, token: &Token, now: Timestamp) -> Reply {
        Reply::of_token(ask, client_id, token, now)
    }

    /// Writes a failure. `request_id` stands in where the authority gave no correlation id.
    #[must_use]
    pub fn refuse(&self, fault: &Fault, request_id: &str) -> Reply {
        self.envelope.refuse(fault, request_id)
    }
}

impl Guard {
    /// Whether the headers hold what it demands of them, a secret or a key aside, which `caller` looks at.
    /// Nothing else of a request has to be there for that.
    ///
    /// # Errors
    /// The caller's fault: the request was forwarded, or `Metadata: true` is missing.
    pub fn check(self, headers: &Headers<'_>) -> Result<(), Fault> {
        if self.needs_secret() {
            return Ok(());
        }
        if headers.is_forwarded {
            return Err(Fault::new(
                Kind::AccessDenied,
                "a request that was forwarded (X-Forwarded-For, Forwarded, Via) is refused",
                "ask from the workload itself, not through a proxy; set NO_PROXY for this host",
            ));
        }
        match headers.metadata {
            Some(value) if value.trim_ascii().eq_ignore_ascii_case(b"true") => Ok(()),
            _ => Err(Fault::new(
                Kind::InvalidRequest,
                "Required metadata header not specified",
                "send the header 'Metadata: true'",
            )),
        }
    }
}

impl Version {
    fn check(self, asked: Option<&str>) -> Result<(), Fault> {
        let (Self::From(wanted) | Self::Only(wanted)) = self else { return Ok(()) };
        let problem = match asked {
            None => "the parameter 'api-version' is missing",
            Some(version) if self.takes(version) => return Ok(()),
            Some(_) => "this api-version is not served here",
        };
        Err(Fault::new(Kind::InvalidRequest, problem, format!("send api-version={wanted}")))
    }

    fn takes(self, version: &str) -> bool {
        match self {
            Self::From(oldest) => is_version(version) && version[..DATE] >= oldest[..DATE],
            Self::Only(one) => version == one,
            Self::Optional => true,
        }
    }
}

/// `2018-02-01`, or the same with a suffix such as `-preview`.
fn is_version(text: &str) -> bool {
    let shaped = |date: &str| {
        date.bytes().enumerate().all(|(i, b)| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() })
    };
    text.is_ascii()
        && text.len() >= DATE
        && shaped(&text[..DATE])
        && (text.len() == DATE || text[DATE..].starts_with('-'))
}

/// The request id to use: the client's own when it is a GUID (it is written to logs and answers), else none.
#[must_use]
pub fn client_request_id<'a>(headers: &Headers<'a>) -> Option<&'a str> {
    let shown = headers.request_id.or(headers.plain_request_id)?;
    std::str::from_utf8(shown).ok().filter(|id| is_guid(id))
}

/// What is shown as the content of a key file, behind the scheme `Basic`, whose case means nothing (RFC 9110, section
/// 11.1). It is that content as it is, and not in base64.
#[must_use]
pub fn shown_key<'a>(headers: &Headers<'a>) -> Option<&'a [u8]> {
    let (scheme, shown) = headers.authorization?.split_at_checked(b"basic ".len())?;
    scheme.eq_ignore_ascii_case(b"basic ").then(|| shown.trim_ascii_start())
}

const FORM: &[u8] = b"application/x-www-form-urlencoded";
const DATE: usize = "2018-02-01".len();

#[cfg(test)]
mod tests;
