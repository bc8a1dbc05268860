//! A request as the STS reasons about it: text, without a web framework.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use url::Url;
use uuid::Uuid;

use super::params::Params;
use crate::name::is_guid;

/// What came in. It has no `Debug`, because it carries credentials.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Params,
    /// Names are in lower case.
    pub(super) headers: Params,
    /// Absent when it was larger than the STS reads.
    pub(super) body: Option<Bytes>,
    pub(super) form: Params,
    /// Scheme and host under which the caller knows the STS; absent when the host makes no sense.
    pub(super) base: Option<String>,
    /// Names this request in answers and, as in Entra, in the `uti` of the token.
    pub(super) trace: Uuid,
    /// The caller's own id of the request when it is a GUID, else a fresh one.
    pub(super) correlation: String,
}

impl Request {
    /// The application that asks, from the form or from HTTP Basic.
    pub(super) fn client_id(&self) -> Option<String> {
        let named = self.form.get("client_id").map(str::to_owned);
        named.or_else(|| self.basic().map(|(client_id, _)| client_id))
    }

    /// The secret it shows, from the form or from HTTP Basic.
    pub(super) fn client_secret(&self) -> Option<String> {
        let shown = self.form.get("client_secret").map(str::to_owned);
        shown.or_else(|| self.basic().map(|(_, secret)| secret))
    }

    /// What is asked for, in the words of either endpoint.
    pub(super) fn scope(&self) -> Option<&str> {
        self.form.get("scope").or_else(|| self.form.get("resource"))
    }

    /// The first segment of the path.
    pub(super) fn tenant(&self) -> &str {
        self.path.trim_start_matches('/').split('/').next().unwrap_or_default()
    }

    /// Client id and secret of HTTP Basic, each form-encoded before they were joined (RFC 6749 section 2.3.1).
    fn basic(&self) -> Option<(String, String)> {
        let (scheme, encoded) = self.headers.get("authorization")?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let joined = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
        let (client_id, secret) = joined.split_once(':')?;
        Some((form_decoded(client_id)?, form_decoded(secret)?))
    }
}

/// The base URL that a `Host` header makes, if it is nothing but a host and a port.
pub(super) fn base(scheme: &str, host: &str) -> Option<String> {
    let base = format!("{scheme}://{}", host.to_ascii_lowercase());
    let url = Url::parse(&base).ok()?;
    // What the parser reads back must be what was written: no path, user, query or stray character.
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let default = if scheme == "https" { ":443" } else { ":80" };
    let plain = format!("{scheme}://{}{port}", url.host_str()?);
    (plain == base || format!("{plain}{default}") == base).then_some(base)
}

/// The id that answers and errors name: the caller's if it is a GUID.
pub(super) fn correlation(headers: &Params, fresh: Uuid) -> String {
    let own = headers.get("client-request-id").filter(|id| is_guid(id));
    own.map_or_else(|| fresh.to_string(), str::to_owned)
}

fn form_decoded(text: &str) -> Option<String> {
    let pair = format!("v={text}");
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A POST of that form to that path.
    pub(in crate::sts) fn post(path: &str, form: &str) -> Request {
        Request {
            method: "POST".to_owned(),
            path: path.to_owned(),
            query: Params::default(),
            headers: Params::default(),
            body: Some(Bytes::copy_from_slice(form.as_bytes())),
            form: Params::parse(form.as_bytes()),
            base: Some("http://sts".to_owned()),
            trace: Uuid::nil(),
            correlation: Uuid::nil().to_string(),
        }
    }

    fn with_header(name: &str, value: &str) -> Request {
        Request { headers: [(name.to_owned(), value.to_owned())].into_iter().collect(), ..post("/t/oauth2/token", "") }
    }

    #[test]
    fn basic_carries_encoded_credentials() {
        let encoded = BASE64_STANDARD.encode("app%2D1:s%3Acr+t");
        let request = with_header("authorization", &format!("basic {encoded}"));
        assert_eq!(request.client_id().as_deref(), Some("app-1"));
        assert_eq!(request.client_secret().as_deref(), Some("s:cr t"));
        for odd in ["Basic", "Basic !!", "Bearer abc", "Basic YWJj"] {
            assert_eq!(with_header("authorization", odd).client_id(), None, "{odd}");
        }
    }

    #[test]
    fn a_host_is_only_a_host() {
        for (host, base_url) in [
            ("localhost:4143", Some("http://localhost:4143")),
            ("STS.example", Some("http://sts.example")),
            ("sts:80", Some("http://sts:80")),
            ("[::1]:9", Some("http://[::1]:9")),
            ("", None),
            ("a/b", None),
            ("user@a", None),
            ("a?b", None),
            ("a b", None),
            ("a:port", None),
        ] {
            assert_eq!(base("http", host).as_deref(), base_url, "{host:?}");
        }
    }

    #[test]
    fn only_a_guid_is_a_correlation_id() {
        let id = "5d1b3ad0-2f5c-4b0e-8a4e-6ae1c8a8e0a1";
        let own = with_header("client-request-id", id);
        assert_eq!(correlation(&own.headers, Uuid::nil()), id);
        let odd = with_header("client-request-id", "<b>");
        assert_eq!(correlation(&odd.headers, Uuid::nil()), Uuid::nil().to_string());
    }
}
