use std::time::Duration;

use super::table::DIALECTS;
use super::*;
use crate::clock::Reading;
use crate::secret::Secret;

fn dialect(name: &str) -> &'static Dialect {
    DIALECTS.iter().find(|dialect| dialect.name == name).unwrap()
}

fn read(name: &str, query: &str, headers: &[(&str, &'static str)]) -> Result<Ask, Fault> {
    let headers = Headers::of(headers.iter().map(|(name, value)| (*name, value.as_bytes())));
    dialect(name).read(&Request { query, form: &[], headers: &headers })
}

fn selector_of(query: &str) -> Result<Selector, Fault> {
    read("native", &format!("resource=r&{query}"), METADATA).map(|ask| ask.selector)
}

const METADATA: &[(&str, &str)] = &[("metadata", "true")];

#[test]
fn the_metadata_header_is_needed_in_any_case_and_forwarded_requests_are_refused() {
    for good in ["true", "True", "TRUE", " true "] {
        assert!(read("native", "resource=r", &[("metadata", good)]).is_ok(), "{good:?}");
    }
    for bad in ["", "false", "truee", "1"] {
        assert_eq!(read("native", "resource=r", &[("metadata", bad)]).unwrap_err().status(), 400, "{bad:?}");
    }
    assert_eq!(read("imds", "", &[]).unwrap_err().status(), 400);
    for proxy in ["x-forwarded-for", "forwarded", "via"] {
        let forwarded = [("metadata", "true"), (proxy, "10.0.0.1")];
        assert_eq!(read("native", "resource=r", &forwarded).unwrap_err().status(), 403, "{proxy}");
    }
}

#[test]
fn the_api_version_is_held_to_the_row() {
    for (name, version, fine) in [
        ("native", "", true),
        ("native", "api-version=x", true),
        ("imds", "", false),
        ("imds", "api-version=2018-02-01", true),
        ("imds", "api-version=2019-08-01", true),
        ("imds", "api-version=2019-07-01-preview", true),
        ("imds", "api-version=2017-09-01", false),
        ("imds", "api-version=2018-2-1", false),
        ("imds", "api-version=latest", false),
        ("imds", "api-version=2018-02-01%C3%A9", false),
        ("app-service", "api-version=2019-08-01", true),
        ("app-service", "api-version=2017-09-01", false),
        ("app-service", "", false),
        ("app-service-2017", "api-version=2017-09-01", true),
        ("app-service-2017", "api-version=2018-02-01", false),
        ("cloud-shell", "", true),
        ("arc", "api-version=2019-08-15", true),
        ("arc", "api-version=2019-01-01", false),
        ("service-fabric", "api-version=2019-07-01-preview", true),
        ("service-fabric", "api-version=2020-05-01", true),
        ("service-fabric", "api-version=2019-06-30", false),
    ] {
        let got = read(name, &format!("resource=r&{version}"), METADATA);
        assert_eq!(got.is_ok(), fine, "{name} {version}");
    }
}

#[test]
fn every_selector_spelling_is_taken_on_every_dialect() {
    let id = || "abc".to_owned();
    for (spelling, expected) in [
        ("client_id", Selector::ClientId(id())),
        ("clientid", Selector::ClientId(id())),
        ("object_id", Selector::ObjectId(id())),
        ("objectid", Selector::ObjectId(id())),
        ("principal_id", Selector::ObjectId(id())),
        ("principalId", Selector::ObjectId(id())),
        ("msi_res_id", Selector::ResourceId(id())),
        ("mi_res_id", Selector::ResourceId(id())),
        ("msi-res-id", Selector::ResourceId(id())),
        ("resource_id", Selector::ResourceId(id())),
    ] {
        for row in DIALECTS {
            let version = if let Version::Only(one) = row.version { one } else { "2024-01-01" };
            let query = format!("api-version={version}&resource=r&{spelling}=abc");
            assert_eq!(read(row.name, &query, METADATA).unwrap().selector, expected, "{} {spelling}", row.name);
        }
    }
}

#[test]
fn two_ways_of_pointing_are_an_error_and_an_empty_one_is_none() {
    assert_eq!(selector_of("client_id=a&clientid=a").unwrap(), Selector::ClientId("a".to_owned()));
    assert_eq!(selector_of("clientid=").unwrap(), Selector::None);
    for bad in ["client_id=a&client_id=b", "client_id=a&object_id=a", "identity=a&client_id=b", "client_id=a%0Ab"] {
        assert_eq!(selector_of(bad).unwrap_err().status(), 400, "{bad}");
    }
}

#[test]
fn what_would_steer_a_log_or_a_terminal_is_an_error() {
    let long = "x".repeat(1025);
    for value in ["a%0ab", "a%1b%5b2J", "a%E2%80%AEb", "%E2%81%A7a", &long] {
        for name in ["client_id", "object_id", "msi_res_id", "identity", "tenant", "resource"] {
            let query =
                if name == "resource" { format!("resource={value}") } else { format!("resource=r&{name}={value}") };
            let fault = read("native", &query, METADATA).unwrap_err();
            assert_eq!(fault.status(), 400, "{query}");
            assert!(!fault.to_string().contains(['\n', '\u{1b}', '\u{202e}', '\u{2067}']), "{fault}");
        }
    }
}

#[test]
fn whatever_is_unknown_is_ignored() {
    let flood = "x".repeat(2000);
    let unknown = format!("xms_cc={flood}&foo=a%0Ab&authority=%00&id=7&resource_group=g&client=c&=x&_-_=y");
    assert_eq!(selector_of(&unknown).unwrap(), Selector::None);
}

#[test]
fn ids_that_differ_in_case_alone_agree() {
    for name in ["client_id", "object_id", "msi_res_id"] {
        assert!(selector_of(&format!("{name}=ab&{name}=AB")).is_ok(), "{name}");
        assert!(selector_of(&format!("{name}=ab&{name}=AC")).is_err(), "{name}");
    }
}

#[test]
fn what_is_nearly_a_selector_is_an_error_that_tells_the_right_one() {
    for (name, told) in [
        ("CLIENT_ID", "'client_id'"),
        ("clientId", "'client_id'"),
        ("client-id", "'client_id'"),
        ("client__id%5B%5D%0A", "'client_id'"),
        ("ObjectId", "'object_id'"),
        ("principalid", "'object_id'"),
        ("resourceId", "'msi_res_id'"),
        ("mi-res-id", "'msi_res_id'"),
        ("msi_resource_id", "'msi_res_id'"),
        ("mi_resource_id", "'msi_res_id'"),
        ("msi_client_id", "'client_id'"),
        ("mi_client_id", "'client_id'"),
        ("app_id", "'client_id'"),
        ("msi_object_id", "'object_id'"),
    ] {
        for row in DIALECTS {
            let version = if let Version::Only(one) = row.version { one } else { "2024-01-01" };
            let query = |value| format!("api-version={version}&resource=r&{name}={value}");
            let fault = read(row.name, &query("abc"), METADATA).unwrap_err().to_string();
            assert!(fault.contains(told) && !fault.contains('\n'), "{} {name}: {fault}", row.name);
            assert_eq!(read(row.name, &query(""), METADATA).unwrap().selector, Selector::None, "{} {name}", row.name);
        }
    }
}

#[test]
fn names_and_tenants_are_for_the_native_dialect_alone() {
    for (parameter, native) in [
        ("identity=payroll", true),
        ("tenant=contoso", true),
        ("Identity=payroll", false),
        ("identityName=payroll", false),
        ("TENANT=contoso", false),
        ("tenant_id=contoso", false),
    ] {
        for row in DIALECTS {
            let version = if let Version::Only(one) = row.version { one } else { "2024-01-01" };
            let read = read(row.name, &format!("api-version={version}&resource=r&{parameter}"), METADATA);
            assert_eq!(read.is_ok(), row.is_native && native, "{} {parameter}", row.name);
            assert!(row.is_native || read.unwrap_err().to_string().contains("native dialect alone"), "{parameter}");
        }
    }
    let query = "resource=r&identity=payroll&tenant=contoso&bypass_cache=true&xms_cc=cp1";
    let ask = read("native", query, METADATA).unwrap();
    assert_eq!((ask.selector, ask.tenant), (Selector::Name("payroll".to_owned()), Some("contoso".to_owned())));
}

#[test]
fn what_is_nearly_a_parameter_of_the_native_dialect_is_an_error_there() {
    for (name, told) in [
        ("Fmi_path", "'fmi_path'"),
        ("fmiPath", "'fmi_path'"),
        ("fmi-path", "'fmi_path'"),
        ("fmi_paths", "'fmi_path'"),
        ("Claims", "'claims'"),
        ("claims%5B%5D", "'claims'"),
        ("claim", "'claims'"),
        ("clientClaims", "'client_claims'"),
        ("client-claims", "'client_claims'"),
        ("Resource", "'resource'"),
        ("resources", "'resource'"),
    ] {
        for row in DIALECTS {
            let version = if let Version::Only(one) = row.version { one } else { "2024-01-01" };
            let read = read(row.name, &format!("api-version={version}&resource=r&{name}=abc"), METADATA);
            assert_eq!(read.is_ok(), !row.is_native, "{} {name}", row.name);
            assert!(read.err().is_none_or(|fault| fault.to_string().contains(told)), "{name}");
        }
    }
    let query = "resource=r&fmi_path=a/b&claims=%7B%22a%22:1%7D&client_claims=%7B%22b%22:1%7D";
    let ask = read("native", query, METADATA).unwrap();
    assert!(ask.extras.fmi_path.is_some() && ask.extras.client_claims.is_some() && ask.challenge.is_some());
    assert_eq!(read("imds", &format!("api-version=2018-02-01&{query}"), METADATA).unwrap().extras, Extras::default());
}

#[test]
fn the_resource_is_decoded_once_and_kept() {
    for (written, meant) in [
        ("https://management.azure.com", "https://management.azure.com"),
        ("https%3A%2F%2Fmanagement.core.windows.net%2F", "https://management.core.windows.net/"),
        ("api%3A%2F%2Fa%2520b", "api://a%20b"),
    ] {
        let ask = read("native", &format!("resource={written}"), METADATA).unwrap();
        assert_eq!(ask.resource.as_str(), meant);
    }
    for bad in ["", "resource=", "resource=a+b", "resource=a%00b", "resource=a&resource=b"] {
        assert_eq!(read("native", bad, METADATA).unwrap_err().status(), 400, "{bad}");
    }
}

fn reply(selector: Selector) -> serde_json::Value {
    let issued = Timestamp::from_secs(1_700_000_000);
    let (secret, life) = (Secret::from("tok".to_owned()), Duration::from_secs(3599));
    let token = Token::new(secret, Reading::at(issued), life, Some(Duration::from_secs(9)));
    let resource = Resource::parse("https://r/").unwrap();
    let ask = Ask { resource, selector, tenant: None, extras: Extras::default(), challenge: None, rejected: None };
    let client_id = ClientId::parse("11111111-2222-3333-4444-555555555555").unwrap();
    let reply = dialect("imds").reply(&ask, &client_id, &token, issued + Duration::from_millis(99_500));
    serde_json::from_slice(&reply.body).unwrap()
}

#[test]
fn a_token_body_satisfies_every_client() {
    let expected = r#"{"access_token":"tok","client_id":"11111111-2222-3333-4444-555555555555","expires_in":"3499","expires_on":"1700003599","ext_expires_in":"3499","not_before":"1700000000","resource":"https://r/","token_type":"Bearer"}"#;
    assert_eq!(reply(Selector::None).to_string(), expected);
}

#[test]
fn the_selector_is_echoed_as_it_was_spelled() {
    let id = || "ABC".to_owned();
    assert_eq!(reply(Selector::ClientId(id()))["client_id"], "ABC");
    assert_eq!(reply(Selector::ObjectId(id()))["object_id"], "ABC");
    assert_eq!(reply(Selector::ResourceId(id()))["msi_res_id"], "ABC");
}

#[test]
fn each_envelope_has_its_fields() {
    let fault = Fault::new(Kind::InvalidRequest, "p", "r");
    let body = |name: &str| {
        let reply = dialect(name).refuse(&fault, "5d1b3ad0-2f5c-4b0e-8a4e-6ae1c8a8e0a1");
        String::from_utf8(reply.body).unwrap()
    };
    assert_eq!(body("imds"), r#"{"error":"invalid_request","error_description":"p. For the caller: r."}"#);
    assert_eq!(
        body("app-service"),
        r#"{"error":"invalid_request","error_description":"p. For the caller: r.","statusCode":400,"message":"p. For the caller: r.","correlationId":"5d1b3ad0-2f5c-4b0e-8a4e-6ae1c8a8e0a1"}"#
    );
}

#[test]
fn what_the_authority_said_to_look_up_or_to_claim_goes_out() {
    let (one, other) = ("5d1b3ad0-2f5c-4b0e-8a4e-6ae1c8a8e0a1", "5d1b3ad0-2f5c-4b0e-8a4e-6ae1c8a8e0a2");
    let fault = Fault::new(Kind::Misconfigured, "p", "r")
        .with_correlation_id(Some(one))
        .with_trace_id(Some(other))
        .with_claims(ClaimsRequest::parse(r#"{"a":1}"#).ok());
    for name in ["imds", "app-service"] {
        let body: serde_json::Value = serde_json::from_slice(&dialect(name).refuse(&fault, "").body).unwrap();
        let shown = ["correlation_id", "trace_id", "claims"].map(|field| body[field].as_str().unwrap_or_default());
        assert_eq!(shown, [one, other, r#"{"a":1}"#], "{name}");
    }
}

#[test]
fn retry_after_is_one_to_five_whole_seconds_and_only_when_waiting_helps() {
    let secs = Duration::from_secs;
    for (kind, wish, expected) in [
        (Kind::Unavailable, None, Some(1)),
        (Kind::Unavailable, Some(Duration::from_millis(1200)), Some(2)),
        (Kind::Throttled, Some(secs(3600)), Some(5)),
        (Kind::Throttled, Some(Duration::ZERO), Some(1)),
        (Kind::Throttled, Some(Duration::MAX), Some(5)),
        (Kind::RejectedCredential, Some(secs(3)), None),
        (Kind::InvalidRequest, None, None),
    ] {
        let fault = Fault::new(kind, "p", "r").with_retry_after(wish);
        assert_eq!(dialect("imds").refuse(&fault, "").retry_after, expected, "{kind:?} {wish:?}");
    }
}

#[test]
fn every_dialect_has_its_row_in_the_documentation() {
    let page = include_str!("../../docs/endpoints.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).take(DIALECTS.len() + 1).collect();
    for dialect in DIALECTS {
        let guard = match dialect.guard {
            Guard::HeaderSecret(header) => format!("`{}`: a header secret", header.to_ascii_uppercase()),
            Guard::KeyFile => "`Metadata: true`, then `Authorization: Basic` with what a key file holds".to_owned(),
            Guard::Metadata => "`Metadata: true`".to_owned(),
        };
        let version = match dialect.version {
            Version::From(oldest) => format!("`{oldest}` or later"),
            Version::Only(one) => format!("`{one}`"),
            Version::Optional => "not needed".to_owned(),
        };
        let also =
            if dialect.is_native { "also `identity`, `tenant`, `claims`, `client_claims`, `fmi_path`" } else { "" };
        let errors = match dialect.envelope {
            Envelope::Nested => "`error` with `code` and `message`",
            Envelope::OAuth => "`error`, `error_description`",
            Envelope::Pascal => "these, `message`, `StatusCode`, `Message`, `CorrelationId`",
            Envelope::Union => "these, `statusCode`, `message`, `correlationId`",
        };
        let exports: Vec<String> = dialect.exports.iter().map(|(name, _)| format!("`{name}`")).collect();
        let paths: Vec<String> = dialect.paths.iter().map(|path| format!("`{path}`")).collect();
        let scheme = if dialect.needs_tls { ", https alone" } else { "" };
        let methods: Vec<&str> = dialect.methods.iter().map(|method| method.as_str()).collect();
        let asked = format!("{} {}{scheme}", methods.join(" or "), paths.join(", "));
        let (name, exports) = (dialect.name, exports.join(", "));
        let row = format!("| `{name}` | {asked} | {guard} | {version} | {also} | {errors} | {exports} |");
        assert!(rows.contains(&row.replace("  ", " ").as_str()), "docs/endpoints.md has no row\n{row}");
    }
    let documented = rows.iter().take_while(|row| row.matches('|').count() == 8).count();
    assert_eq!(documented, DIALECTS.len(), "a row of docs/endpoints.md is of no dialect");
}
