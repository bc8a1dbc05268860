//! One exchange on the wire. [`request`] encodes, [`answer`] decodes, and neither does I/O; [`Wire::send`]
//! is the single place that does.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, NoProxy, Proxy, RequestBuilder, Response, StatusCode, redirect};
use tracing::{Instrument, Span};
use url::{Host, Url};

use crate::fault::{Fault, Kind};
use crate::name::is_guid;
use crate::secret::Secret;
use crate::trace;

pub mod answer;
pub mod failure;
pub mod request;
mod system;

use failure::{Event, of_event};
pub use system::System;

/// What goes out.
#[derive(Debug)]
pub struct Outgoing {
    /// Where to.
    pub url: Url,
    /// What to POST; without it it is a GET.
    pub content: Option<Content>,
    /// Goes along as `client-request-id`, so that the authority's log can be searched for it.
    pub request_id: String,
    /// Headers that the endpoint demands, such as `Metadata: true`; their values may be secrets.
    pub headers: Vec<(&'static str, Secret)>,
    /// What is traced of it.
    pub span: Span,
}

/// The body of a request.
#[derive(Debug)]
pub enum Content {
    /// A form.
    Form(Secret),
    /// A JSON document.
    Json(Secret),
}

/// What came back: everything that the decoder may look at.
pub struct Incoming {
    /// The HTTP status.
    pub status: u16,
    /// The header `Retry-After`, as it was written.
    pub retry_after: Option<String>,
    /// The header `Content-Type`, as it was written.
    pub content_type: Option<String>,
    /// The id under which the authority's own log has it, if it is a GUID.
    pub id: Option<String>,
    /// The body, of at most one mebibyte.
    pub body: Bytes,
}

/// An HTTP client with the trust and the timeouts of one tenant.
#[derive(Clone, Debug)]
pub struct Wire {
    client: Client,
    reach: Reach,
}

/// Where requests may go without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// An authority: this machine only.
    Authority,
    /// A service of the host, such as its instance metadata: this machine and link-local addresses, which no
    /// router forwards. Never through a proxy.
    Host,
}

/// Who vouches for the other end.
#[derive(Clone, Debug)]
pub enum Roots {
    /// Whom the system trusts.
    System(System),
    /// These certificates alone.
    These(Vec<reqwest::Certificate>),
}

/// What an HTTP client is made with.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Who vouches for whoever is there.
    pub roots: Roots,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// The proxy to go through instead of the one that the environment names.
    pub proxy: Option<Url>,
    /// Whether the authority is on this machine, where no proxy may come between.
    pub loopback: bool,
    /// What is at the other end.
    pub reach: Reach,
}

impl Trust {
    /// What a client is made of that trusts so: no redirects (they would carry a credential elsewhere), bounded
    /// connects, pooled.
    ///
    /// # Errors
    /// The system has no trust store.
    pub fn client(self) -> Result<ClientBuilder, Fault> {
        install_crypto_provider();
        let mut builder = Client::builder()
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(POOL_IDLE);
        builder = match self.roots {
            Roots::These(roots) => builder.tls_certs_only(roots),
            Roots::System(system) => builder.tls_backend_preconfigured(system.trust().map_err(|error| unmade(&error))?),
        };
        if self.loopback || self.reach == Reach::Host {
            builder = builder.no_proxy();
        } else if let Some(url) = self.proxy {
            let proxy = Proxy::all(url).map_err(|error| unmade(&error))?;
            builder = builder.proxy(proxy.no_proxy(NoProxy::from_env()));
        }
        Ok(builder)
    }
}

impl Wire {
    /// Makes a client.
    ///
    /// # Errors
    /// The system has no trust store.
    pub fn new(trust: Trust) -> Result<Self, Fault> {
        let reach = trust.reach;
        let client = trust.client()?.default_headers(request::headers()).build();
        Ok(Self { client: client.map_err(|error| unmade(&error))?, reach })
    }

    /// Sends one request and reads the bounded answer. It has no deadline of its own but the connect
    /// timeout: the flight's deadline covers it.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] when no whole answer arrives; [`Kind::Misconfigured`] for plain http to
    /// another machine, before anything is sent.
    pub async fn send(&self, outgoing: Outgoing) -> Result<Incoming, Fault> {
        if !self.may_reach(&outgoing.url) {
            return Err(Fault::new(
                Kind::Misconfigured,
                "the authority's endpoint is not https, and credentials are never sent in the clear",
                "use an https authority",
            ));
        }
        let post = |url: Url, media: &'static str, text: Secret| {
            self.client.post(url).header(CONTENT_TYPE, media).body(Bytes::from_owner(Body(text)))
        };
        let method = if outgoing.content.is_some() { "POST" } else { "GET" };
        trace::sent(&outgoing.span, method, &outgoing.url);
        let mut request = match outgoing.content {
            Some(Content::Form(form)) => post(outgoing.url, FORM, form),
            Some(Content::Json(json)) => post(outgoing.url, JSON, json),
            None => self.client.get(outgoing.url),
        };
        for (name, value) in outgoing.headers {
            request = request.header(name, sensitive(&value)?);
        }
        let request = request.header(ACCEPT, JSON).header("client-request-id", &outgoing.request_id);
        let came = obtain(request, &outgoing.request_id).instrument(outgoing.span.clone()).await;
        trace::came(&outgoing.span, came.as_ref().map(|incoming| incoming.status));
        came
    }

    fn may_reach(&self, url: &Url) -> bool {
        is_confidential(url) || (self.reach == Reach::Host && url.scheme() == "http" && is_link_local(url))
    }
}

fn sensitive(value: &Secret) -> Result<HeaderValue, Fault> {
    let mut value = HeaderValue::from_str(value.expose()).map_err(|_| {
        Fault::new(Kind::Misconfigured, "a header's value has characters that no header can have", "correct the value")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn unmade(error: &(dyn std::error::Error + 'static)) -> Fault {
    let remedy = "install the ca-certificates package, or set 'ca_file' for the tenant";
    Fault::new(Kind::Misconfigured, "no TLS client could be made", remedy).with_inward(chain(error))
}

/// A body on its way out: lent to the HTTP client, and erased with the last use of it.
struct Body(Secret);

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

async fn obtain(request: RequestBuilder, request_id: &str) -> Result<Incoming, Fault> {
    let response = request.send().await.map_err(lost)?;
    let id = answer_id(&response);
    log_answer(response.status(), id.as_deref(), request_id);
    receive(response, id).await
}

async fn receive(mut response: Response, id: Option<String>) -> Result<Incoming, Fault> {
    let announced = response.content_length().unwrap_or(0);
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if announced > MAX_BODY || body.len() as u64 + chunk.len() as u64 > MAX_BODY {
            return Err(unusable("the authority's answer is too large"));
        }
        body.extend_from_slice(&chunk);
    }
    let text = |name| text(response.headers(), name);
    Ok(Incoming {
        status: response.status().as_u16(),
        retry_after: text(RETRY_AFTER),
        content_type: text(CONTENT_TYPE),
        id,
        body: body.freeze(),
    })
}

/// Only a GUID: nobody who answers in an authority's place writes into our log.
fn answer_id(response: &Response) -> Option<String> {
    text(response.headers(), HeaderName::from_static("x-ms-request-id")).filter(|id| is_guid(id))
}

/// The id that the authority gave the answer. That of a failure goes with its fault, whose lines are bounded.
fn log_answer(status: StatusCode, authority_request_id: Option<&str>, request_id: &str) {
    if status.is_success() && authority_request_id.is_some() {
        let status = status.as_u16();
        tracing::info!(request_id, status, authority_request_id, "the authority answered");
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Whether a credential may travel to `url`: https, or this machine.
#[must_use]
pub fn is_confidential(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

/// Whether `url` names this machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Whether `url` names an address of the local link, as instance metadata has it (RFC 3927).
#[must_use]
pub fn is_link_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_link_local(),
        Some(Host::Ipv6(ip)) => ip.is_unicast_link_local(),
        Some(Host::Domain(_)) | None => false,
    }
}

/// The authority answered, but not in a way that anyone can use.
fn unusable(problem: &'static str) -> Fault {
    failure::Row { problem, ..*of_event(Event::Unusable) }.fault()
}

/// The authority did not answer before a deadline of ours.
#[must_use]
pub fn late() -> Fault {
    of_event(Event::Late).fault()
}

fn lost(error: reqwest::Error) -> Fault {
    let event = match error.is_connect() {
        _ if is_untrusted(&error) => Event::Untrusted,
        true => Event::Unreachable,
        false => Event::Broken,
    };
    of_event(event).fault().with_inward(chain(&error.without_url()))
}

/// Whether nobody who is trusted signed the certificate that was shown, or nobody is trusted at all, which
/// [`System`] says in words of its own: waiting does not mend that.
fn is_untrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    const UNTRUSTED: rustls::Error = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
    // An I/O error gives the cause of what it wraps, and not that itself.
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    let is_it =
        error.downcast_ref().is_some_and(|error| *error == UNTRUSTED || matches!(error, rustls::Error::Other(_)));
    is_it || wrapped.is_some_and(|wrapped| is_untrusted(wrapped)) || error.source().is_some_and(is_untrusted)
}

/// An error and its causes in one line.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

/// One provider for the process; rustls wants it installed, and a second installation is no error.
pub fn install_crypto_provider() {
    let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const MAX_BODY: u64 = 1 << 20;
const POOL_IDLE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use std::io;

    use rustls::{CertificateError, Error};

    use super::*;

    #[test]
    fn an_untrusted_certificate_is_found_however_deep_it_lies() {
        let wrapped = |error: CertificateError| io::Error::other(io::Error::other(Error::InvalidCertificate(error)));
        assert!(is_untrusted(&Error::InvalidCertificate(CertificateError::UnknownIssuer)));
        assert!(is_untrusted(&wrapped(CertificateError::UnknownIssuer)));
        assert!(is_untrusted(&Error::Other(rustls::OtherError(std::sync::Arc::new(io::Error::other("no roots"))))));
        assert!(!is_untrusted(&wrapped(CertificateError::Expired)));
        assert!(!is_untrusted(&io::Error::other("UnknownIssuer")));
    }

    #[test]
    fn credentials_travel_over_https_or_not_at_all() {
        for (url, fine) in [
            ("https://login.microsoftonline.com/t", true),
            ("http://127.0.0.1:8080/", true),
            ("http://127.9.9.9/", true),
            ("http://[::1]/", true),
            ("http://localhost:1/", true),
            ("http://login.microsoftonline.com/", false),
            ("http://localhost.evil.com/", false),
            ("http://127.0.0.1.evil.com/", false),
            ("http://10.0.0.1/", false),
            ("ftp://127.0.0.1/", false),
        ] {
            assert_eq!(is_confidential(&Url::parse(url).unwrap()), fine, "{url}");
        }
    }
}
