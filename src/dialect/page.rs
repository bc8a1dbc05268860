//! The pages of instance metadata that clients read beside its tokens
//! (<https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service>).
//!
//! What else real machines have there (attested data, scheduled events, the credentials of managed identity's
//! second version) is not served: clients take the 404 for the answer that it is.

use serde::Serialize;

use super::instance::{Format, Instance, Missing};
use super::parameters::Parameters;
use super::reply::{Reply, json};
use super::{Guard, Request, Version};
use crate::fault::{Fault, Kind};
use crate::name::TenantId;

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// In which tenant the machine's identity is.
    Info,
    /// What the machine is, or the part of that at this path.
    Instance(String),
    /// Which versions there are.
    Versions,
}

/// Why a page was not shown.
#[derive(Debug)]
pub struct Refusal {
    /// The failure.
    pub fault: Fault,
    /// Whether it lies in the version, so that clients are told the newest ones.
    is_version: bool,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { fault, is_version: false }
    }
}

impl Page {
    /// The page at `path`, which has no doubled and no trailing slashes.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        match path.strip_prefix("/metadata/")? {
            "identity/info" => Some(Self::Info),
            "instance" => Some(Self::Instance(String::new())),
            "versions" => Some(Self::Versions),
            other => other.strip_prefix("instance/").map(|part| Self::Instance(part.to_owned())),
        }
    }

    /// What every page demands of a request, whoever sends it.
    ///
    /// # Errors
    /// The method is another one, or the guard is not passed.
    pub fn check(method: &str, request: &Request<'_>) -> Result<(), Fault> {
        if method != METHOD {
            return Err(Fault::new(Kind::MethodNotAllowed, "this path takes GET", "send a GET"));
        }
        Guard::Metadata.check(request.headers)
    }

    /// Shows the page, of this machine and of the tenant of the default identity.
    ///
    /// # Errors
    /// The caller's fault: the method's first, then the guard's, the version's, and the path's.
    pub fn show(
        &self,
        method: &str,
        request: &Request<'_>,
        instance: &Instance,
        tenant: impl FnOnce() -> Result<TenantId, Fault>,
    ) -> Result<Reply, Refusal> {
        Self::check(method, request)?;
        let parameters = Parameters::parse(request.query, &[], false);
        let version = parameters.version.one()?;
        let check = |oldest| Version::From(oldest).check(version).map_err(|fault| Refusal { fault, is_version: true });
        match self {
            Self::Info => {
                check(FIRST_WITH_IDENTITY)?;
                Ok(Reply::of_body(json(&InfoBody { tenant_id: tenant()?.as_str() })))
            }
            Self::Instance(path) => {
                check(OLDEST)?;
                Ok(part(instance, path, version.unwrap_or_default(), format(&parameters)?)?)
            }
            Self::Versions => Ok(Reply::of_body(json(&VersionsBody { api_versions: VERSIONS }))),
        }
    }
}

impl Refusal {
    /// Writes the failure as these pages have it: a text, and after a wrong version the newest ones.
    #[must_use]
    pub fn reply(&self) -> Reply {
        let newest_versions = self.is_version.then(|| VERSIONS.iter().rev().take(NEWEST).copied().collect());
        let body = RefusalBody { error: self.fault.to_string(), newest_versions };
        Reply { status: self.fault.status(), ..Reply::of_body(json(&body)) }
    }

    /// The one method that pages take, if the request's was another.
    #[must_use]
    pub fn allow(&self) -> Option<&'static str> {
        (self.fault.kind == Kind::MethodNotAllowed).then_some(METHOD)
    }
}

fn part(instance: &Instance, path: &str, version: &str, format: Format) -> Result<Reply, Fault> {
    let text = instance.part(path, version, format).map_err(|missing| match missing {
        Missing::Form => Fault::new(Kind::InvalidRequest, "a single value is not served as JSON", "add format=text"),
        Missing::Part => {
            let remedy = "correct the path, or have the operator add the value to the file that 'metadata.file' names";
            Fault::new(Kind::NotFound, "there is nothing at this path", remedy)
        }
    })?;
    let reply = Reply::of_body(text.into_owned().into_bytes());
    Ok(if format == Format::Text { Reply { is_text: true, ..reply } } else { reply })
}

fn format(parameters: &Parameters<'_>) -> Result<Format, Fault> {
    match parameters.format.one()? {
        None => Ok(Format::Json),
        Some(format) if format.eq_ignore_ascii_case("json") => Ok(Format::Json),
        Some(format) if format.eq_ignore_ascii_case("text") => Ok(Format::Text),
        Some(_) => {
            Err(Fault::new(Kind::InvalidRequest, "this format is not served", "send format=json or format=text"))
        }
    }
}

#[derive(Serialize)]
struct InfoBody<'a> {
    #[serde(rename = "tenantId")]
    tenant_id: &'a str,
}

#[derive(Serialize)]
struct VersionsBody {
    #[serde(rename = "apiVersions")]
    api_versions: &'static [&'static str],
}

#[derive(Serialize)]
struct RefusalBody {
    error: String,
    #[serde(rename = "newest-versions", skip_serializing_if = "Option::is_none")]
    newest_versions: Option<Vec<&'static str>>,
}

const METHOD: &str = "GET";
/// As the real service lists them. Any version in between or after is taken too: clients that know a newer one
/// have no use for a refusal.
const VERSIONS: &[&str] = &[
    "2017-03-01",
    "2017-04-02",
    "2017-08-01",
    "2017-10-01",
    "2017-12-01",
    "2018-02-01",
    "2018-04-02",
    "2018-10-01",
    "2019-02-01",
    "2019-03-11",
    "2019-04-30",
    "2019-06-01",
    "2019-06-04",
    "2019-08-01",
    "2019-08-15",
    "2019-11-01",
    "2020-06-01",
    "2020-07-15",
    "2020-09-01",
    "2020-10-01",
    "2020-12-01",
    "2021-01-01",
    "2021-02-01",
    "2021-03-01",
    "2021-05-01",
    "2021-10-01",
    "2021-11-01",
    "2021-11-15",
    "2021-12-13",
    "2023-07-01",
    "2023-11-15",
    "2025-04-07",
];
const OLDEST: &str = "2017-03-01";
const FIRST_WITH_IDENTITY: &str = "2018-02-01";
/// How many versions a refusal tells.
const NEWEST: usize = 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::dialect::Headers;

    fn show(path: &str, query: &str, headers: &[(&str, &'static str)]) -> (u16, bool, Value) {
        let headers = Headers::of(headers.iter().map(|(name, value)| (*name, value.as_bytes())));
        let request = Request { query, form: &[], headers: &headers };
        let page = Page::at(path).unwrap();
        let shown = page
            .show("GET", &request, &Instance::nameless("westeurope"), || Ok(TenantId::parse("the.tenant").unwrap()));
        let reply = shown.unwrap_or_else(|refusal| refusal.reply());
        let text = String::from_utf8(reply.body).unwrap();
        (reply.status, reply.is_text, if reply.is_text { text.into() } else { serde_json::from_str(&text).unwrap() })
    }

    const METADATA: &[(&str, &str)] = &[("metadata", "true")];

    #[test]
    fn only_what_clients_read_is_a_page() {
        for (path, page) in [
            ("/metadata/instance", Some(Page::Instance(String::new()))),
            ("/metadata/instance/compute/vmId", Some(Page::Instance("compute/vmId".to_owned()))),
            ("/metadata/versions", Some(Page::Versions)),
            ("/metadata/identity/info", Some(Page::Info)),
            ("/metadata/instances", None),
            ("/metadata", None),
            ("/metadata/identity/getplatformmetadata", None),
            ("/metadata/identity/issuecredential", None),
            ("/metadata/attested/document", None),
            ("/metadata/loadbalancer", None),
            ("/metadata/scheduledevents", None),
            ("/instance", None),
        ] {
            assert_eq!(Page::at(path), page, "{path}");
        }
    }

    #[test]
    fn each_page_is_shown_as_clients_read_it() {
        let compute = "/metadata/instance/compute";
        let leaf = "/metadata/instance/compute/vmSize";
        assert_eq!(show(compute, "api-version=2021-02-01", METADATA).2["location"], "westeurope");
        assert_eq!(show("/metadata/instance", "api-version=2018-02-01", METADATA).2["compute"]["name"], "bursar");
        assert_eq!(show(leaf, "api-version=2019-03-11&format=text", METADATA), (200, true, "Standard_B1s".into()));
        let info = show("/metadata/identity/info", "api-version=2018-02-01", METADATA);
        assert_eq!(info, (200, false, json!({ "tenantId": "the.tenant" })));
        let versions = show("/metadata/versions", "", METADATA);
        assert_eq!((versions.0, &versions.2["apiVersions"][0]), (200, &Value::from(OLDEST)));
    }

    #[test]
    fn a_refusal_is_a_text_and_after_a_wrong_version_the_newest_ones() {
        for (path, query, status, newest) in [
            ("/metadata/instance", "", 400, true),
            ("/metadata/instance", "format=json", 400, true),
            ("/metadata/instance", "api-version=latest", 400, true),
            ("/metadata/instance", "api-version=2016-01-01", 400, true),
            ("/metadata/identity/info", "", 400, true),
            ("/metadata/identity/info", "api-version=2017-08-01", 400, true),
            ("/metadata/instance/compute/vmSize", "api-version=2019-03-11", 400, false),
            ("/metadata/instance/compute/vmSize", "api-version=2019-03-11&format=json", 400, false),
            ("/metadata/instance/compute", "api-version=2019-03-11&format=xml", 400, false),
            ("/metadata/instance/nothing", "api-version=2019-03-11", 404, false),
        ] {
            let (got, is_text, body) = show(path, query, METADATA);
            assert_eq!((got, is_text, body["error"].is_string()), (status, false, true), "{path}?{query}");
            let told = body["newest-versions"].as_array().map(Vec::len);
            assert_eq!(told, newest.then_some(NEWEST), "{path}?{query}");
        }
        assert_eq!(show("/metadata/instance", "", METADATA).2["newest-versions"][0], *VERSIONS.last().unwrap());
    }

    #[test]
    fn the_guard_is_that_of_tokens() {
        for path in ["/metadata/instance", "/metadata/versions", "/metadata/identity/info"] {
            let query = "api-version=2021-02-01";
            assert_eq!(show(path, query, &[]).0, 400, "{path}");
            assert_eq!(show(path, query, &[("metadata", "false")]).0, 400, "{path}");
            assert_eq!(show(path, query, &[("metadata", "true"), ("x-forwarded-for", "1.2.3.4")]).0, 403, "{path}");
            assert_eq!(show(path, query, &[("metadata", "True")]).0, 200, "{path}");
        }
    }

    fn status<'a>(path: &str, query: &'a str, headers: &'a Headers<'a>) -> Option<u16> {
        let tenant = || Err(Fault::new(Kind::NotFound, "none", "none"));
        let request = Request { query, form: &[], headers };
        let shown = Page::at(path)?.show("GET", &request, &Instance::nameless(""), tenant);
        Some(shown.unwrap_or_else(|refusal| refusal.reply()).status)
    }

    proptest! {
        #[test]
        fn nothing_is_shown_without_the_guard(
            path in "/metadata(/(instance|compute|vmId|0|versions|identity|info|.{0,4})){1,6}",
            query in ".{0,40}|api-version=(2021-02-01|.{0,12})(&format=(text|json|.))?",
        ) {
            prop_assert!(matches!(status(&path, &query, &Headers::default()), None | Some(400)));
            let metadata = Headers { metadata: Some(b"true"), ..Headers::default() };
            prop_assert!(matches!(status(&path, &query, &metadata), None | Some(200 | 400 | 404)));
        }
    }

    #[test]
    fn versions_are_in_order() {
        assert!(VERSIONS.is_sorted() && VERSIONS.contains(&OLDEST) && VERSIONS.contains(&FIRST_WITH_IDENTITY));
    }
}
