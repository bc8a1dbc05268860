//! Every key, every mistake.

use std::path::PathBuf;

use config::FileFormat;

use super::*;
use crate::authority::InstanceDiscovery;
use crate::policy;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

const GOOD: &str = r#"
[tenants.contoso]
id = "72f988bf-86f1-41af-91ab-2d7cd011db47"
[identities.payroll]
tenants = ["contoso"]
client_id = "11111111-2222-3333-4444-555555555555"
resources = ["*"]
credentials = [{ kind = "secret", env = "SECRET" }]
"#;

/// A configuration that has every key there is.
const EVERY_KEY: &str = r#"
[server]
listen = ["127.0.0.1:1", "[::1]:1"]
admin_listen = "0.0.0.0:2"
hosts = ["bursar.svc"]
dialects = ["app-service"]
workers = 3
header_secret = [{ file = "header" }, { env = "SECRET" }]
allow_unauthenticated = true
drain = "0s"
[tenants.contoso]
id = "contoso.com"
authority = "https://login.corp:8443"
kind = "entra"
instance_discovery = "https://idp.corp"
ca_file = "app.pem"
connect_timeout = "1s"
timeout = "9s"
proxy = "http://proxy.corp:3128"
extra_body = { audience = "x" }
[identities.payroll]
tenants = ["contoso"]
client_id = "app"
object_id = "11111111-2222-3333-4444-555555555555"
resource_id = "/subscriptions/x"
default = true
resources = ["https://vault.azure.net", "api://x/"]
credentials = [
  { kind = "certificate", file = "app.pem", key = "app.key", passphrase = { env = "SECRET" }, send_x5c = true, claims = { tier = 3 } },
  { kind = "secret", file = "header" },
  { kind = "assertion", file = "not-there-yet" },
]
[freshness]
late = "10m"
last = "1m"
join = "250ms"
refresh_rate = 5
[cache]
entries = 7
bytes = "2MiB"
[log]
format = "json"
level = "trace"
"#;

fn read_in(base: &Path, text: &str, variables: &[(&str, &str)]) -> Result<Config, Mistakes> {
    let report = Report::default();
    let mut variables: HashMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    variables.insert("SECRET".to_owned(), "marked-secret".to_owned());
    let written = file::parse("test.toml", text, FileFormat::Toml, base.to_owned(), variables, &report);
    match written {
        Some(written) => Config::resolve(&written, report, NOW),
        None => Err(Mistakes(report.into_mistakes())),
    }
}

fn read(text: &str) -> Result<Config, Mistakes> {
    read_in(Path::new("/nonexistent"), text, &[])
}

/// The mistakes in `GOOD` with one piece replaced, as `path: problem`.
fn mistakes(from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "{from}");
    told(read(&GOOD.replace(from, to)))
}

fn told(result: Result<Config, Mistakes>) -> Vec<String> {
    let Err(mistakes) = result else { return Vec::new() };
    assert!(mistakes.0.iter().all(|mistake| !mistake.remedy.is_empty()));
    mistakes.0.into_iter().map(|mistake| format!("{}: {}", mistake.path, mistake.problem)).collect()
}

fn with(section: &str) -> Vec<String> {
    told(read(&format!("{section}\n{GOOD}")))
}

#[test]
fn a_region_is_named_or_looked_for_nearby() {
    let text =
        |region: &str| GOOD.replace("[identities.payroll]", &format!("region = '{region}'\n[identities.payroll]"));
    let choice = |region: &str, variables: &[(&str, &str)]| {
        let config = read_in(Path::new("/nonexistent"), &text(region), variables).map_err(|mistakes| mistakes.0)?;
        Ok::<String, Vec<mistake::Mistake>>(format!("{:?}", config.identities[0].tenants[0].host.region))
    };
    assert_eq!(choice("westeurope", &[]).unwrap(), r#"Here(Region("westeurope"))"#);
    assert!(choice("auto", &[("REGION_NAME", "East US")]).unwrap().contains("East US"));
    assert!(choice("auto", &[]).unwrap().contains("169.254.169.254"));
    for (host, fine) in [
        ("http://127.0.0.1:8080/", true),
        ("http://localhost:8080", true),
        ("http://[fe80::1]:80", true),
        ("", true),
        ("http://10.0.0.1", false),
        ("https://169.254.169.254", false),
        ("http://u:p@127.0.0.1", false),
        ("http://localhost:4141", false),
        ("nonsense", false),
    ] {
        let told =
            choice("auto", &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", host)]).map_err(|mistakes| mistakes[0].path.clone());
        assert_eq!(told.is_ok(), fine, "{host}: {told:?}");
        assert!(fine || told == Err("tenants.contoso.region".to_owned()));
        assert!(choice("westeurope", &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", host)]).is_ok(), "it is not looked at");
    }
}

#[test]
fn what_is_not_written_has_its_default() {
    let config = read(GOOD).unwrap();
    assert_eq!(config.server.listen, ["127.0.0.1:4141".parse().unwrap()]);
    assert_eq!(config.server.admin_listen, "127.0.0.1:4142".parse().unwrap());
    let dialects: Vec<&str> = config.server.dialects.iter().map(|dialect| dialect.name).collect();
    assert_eq!(dialects, ["native", "imds"], "without a header secret app-service is off");
    assert_eq!(config.server.drain, Duration::from_secs(5));
    assert_eq!((config.windows, config.bounds, config.log), (Windows::default(), Bounds::default(), Log::default()));
    assert_eq!(config.refresh_rate.get(), 20);
    let tenant = &config.identities[0].tenants[0];
    assert_eq!(tenant.place.url().as_str(), "https://login.microsoftonline.com/");
    assert_eq!(tenant.timeout, Duration::from_secs(30));
    assert!(!format!("{config:?}").contains("marked-secret"));
}

#[test]
fn every_key_is_read() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("header"), "shown\n").unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let cert = rcgen::CertificateParams::new(vec!["app".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    std::fs::write(directory.path().join("app.pem"), &cert).unwrap();
    std::fs::write(directory.path().join("app.key"), key.serialize_pem()).unwrap();
    let config = read_in(directory.path(), EVERY_KEY, &[]).unwrap();
    let server = &config.server;
    assert_eq!(server.listen, ["127.0.0.1:1".parse().unwrap(), "[::1]:1".parse().unwrap()]);
    assert_eq!(server.admin_listen, "0.0.0.0:2".parse().unwrap());
    assert_eq!(
        (&server.hosts[..], server.workers, server.drain),
        (&["bursar.svc".to_owned()][..], Some(3), Duration::ZERO)
    );
    assert_eq!(server.dialects.iter().map(|dialect| dialect.name).collect::<Vec<_>>(), ["app-service"]);
    assert!(server.header_secrets[0].matches(b"shown") && server.header_secrets[1].matches(b"marked-secret"));
    assert!(server.allow_unauthenticated);
    let Identity { rules, tenants, credentials, .. } = &config.identities[0];
    assert_eq!((rules.name.as_str(), rules.client_id.as_str(), rules.default), ("payroll", "app", true));
    assert_eq!(rules.object_id.as_deref(), Some("11111111-2222-3333-4444-555555555555"));
    assert_eq!(rules.resource_id.as_deref(), Some("/subscriptions/x"));
    assert!(matches!(&rules.resources, policy::Resources::Listed(listed) if listed.len() == 2));
    assert_eq!(credentials.iter().map(|one| one.kind()).collect::<Vec<_>>(), ["certificate", "secret", "assertion"]);
    assert_eq!(
        (tenants[0].tenant.id.as_str(), tenants[0].place.url().as_str()),
        ("contoso.com", "https://login.corp:8443/")
    );
    let asked = InstanceDiscovery::At("https://idp.corp".parse().unwrap());
    assert_eq!(*tenants[0].host.instance.discovery(), asked);
    assert_eq!(tenants[0].timeout, Duration::from_secs(9));
    assert_eq!(tenants[0].extra_body[..], [("audience".to_owned(), "x".to_owned())]);
    let secs = Duration::from_secs;
    assert_eq!(config.windows, Windows { late: secs(600), last: secs(60), join: Duration::from_millis(250) });
    assert_eq!((config.refresh_rate.get(), config.bounds), (5, Bounds { entries: 7, bytes: 2 << 20 }));
    assert_eq!(config.log, Log { format: Format::Json, level: tracing::Level::TRACE });
}

#[test]
fn every_key_is_documented() {
    let page = include_str!("../../docs/configuration.md");
    let mut section = "";
    for line in EVERY_KEY.lines() {
        if let Some(header) = line.strip_prefix('[') {
            section = header.split(['.', ']']).next().unwrap();
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with(' ')) {
            let documented = page.contains(&format!("`{key}`")) || page.contains(&format!("`{section}.{key}`"));
            assert!(documented, "{section}.{key} is not in docs/configuration.md");
        } else if line.starts_with("  { kind") {
            for (key, _) in line.split(", ").filter_map(|part| part.trim_start_matches([' ', '{']).split_once(" = ")) {
                assert!(
                    page.contains(&format!("{key} = ")),
                    "the {key} of a credential is not in docs/configuration.md"
                );
            }
        }
    }
}

/// A piece of `GOOD`, what stands in its place, and what is told of that.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("id = \"72f988bf-86f1-41af-91ab-2d7cd011db47\"", "", "tenants.contoso.id: the tenant is missing"),
    ("72f988bf-86f1-41af-91ab-2d7cd011db47", "common", "tenants.contoso.id: common, organizations"),
    (
        "[identities.payroll]",
        "authority = 'http://login.corp'\n[identities.payroll]",
        "tenants.contoso.authority: an authority is reached",
    ),
    ("[identities.payroll]", "kind = 'saml'\n[identities.payroll]", "tenants.contoso.kind: a kind of authority is"),
    ("[identities.payroll]", "ca_file = 'nowhere'\n[identities.payroll]", "tenants.contoso.ca_file: the file"),
    ("[identities.payroll]", "timeout = 30\n[identities.payroll]", "tenants.contoso.timeout: this must be text"),
    (
        "[identities.payroll]",
        "timeout = '-3s'\n[identities.payroll]",
        "tenants.contoso.timeout: this must be a duration",
    ),
    (
        "[identities.payroll]",
        "instance_discovery = 'http://a'\n[identities.payroll]",
        "tenants.contoso.instance_discovery: an authority is reached",
    ),
    ("[identities.payroll]", "proxy = 'http://u:p@proxy'\n[identities.payroll]", "tenants.contoso.proxy: a proxy is"),
    (
        "[identities.payroll]",
        "extra_body = { scope = 'x' }\n[identities.payroll]",
        "tenants.contoso.extra_body.scope: this parameter",
    ),
    (
        "[identities.payroll]",
        "extra_body = { a = 1 }\n[identities.payroll]",
        "tenants.contoso.extra_body.a: this must be text",
    ),
    (
        "[identities.payroll]",
        "region = 'West Europe'\n[identities.payroll]",
        "tenants.contoso.region: a region is auto",
    ),
    ("[identities.payroll]", "region = true\n[identities.payroll]", "tenants.contoso.region: this must be text"),
    (
        "[identities.payroll]",
        "authority = 'https://login.corp'\nregion = 'auto'\n[identities.payroll]",
        "tenants.contoso.region: this authority has no regions",
    ),
    (
        "[identities.payroll]",
        "authority = 'https://foo.ciamlogin.com'\nregion = 'westeurope'\n[identities.payroll]",
        "tenants.contoso.region: this authority has no regions",
    ),
    ("[identities.payroll]", "regoin = 'x'\n[identities.payroll]", "tenants.contoso.regoin: the key is unknown"),
    ("[\"contoso\"]", "[\"fabrikam\"]", "identities.payroll.tenants: a name in the list is no tenant"),
    ("[\"contoso\"]", "[]", "identities.payroll.tenants: the list is empty"),
    ("resources = [\"*\"]", "", "identities.payroll.resources: the key is missing"),
    ("[\"contoso\"]", "[\"contoso\", \"contoso\"]", "identities.payroll.tenants: a tenant is listed twice"),
    (
        "[identities.payroll]",
        "instance_discovery = 'https://u:p@a/x?y'\n[identities.payroll]",
        "tenants.contoso.instance_discovery: an authority has no user",
    ),
    ("[\"*\"]", "[\"*\", \"a\"]", "identities.payroll.resources: \"*\" stands beside others"),
    ("[\"*\"]", "[\"a b\"]", "identities.payroll.resources: a resource must not contain blanks"),
    ("env = \"SECRET\"", "env = \"NOWHERE\"", "identities.payroll.credentials[0].env: the variable is not set"),
    ("env = \"SECRET\"", "file = \"nowhere\"", "identities.payroll.credentials[0].file: the file cannot be read"),
    ("env = \"SECRET\"", "", "identities.payroll.credentials[0].file: the key is missing"),
    ("kind = \"secret\"", "kind = \"pfx\"", "identities.payroll.credentials[0].kind: the kind is unknown"),
    (
        "credentials = [{ kind = \"secret\", env = \"SECRET\" }]",
        "",
        "identities.payroll.credentials: the key is missing",
    ),
    ("[{ kind = \"secret\", env = \"SECRET\" }]", "[]", "identities.payroll.credentials: there is none in the list"),
    ("tenants = [", "object_id = 'x'\ntenants = [", "identities.payroll.object_id: an object id is a GUID"),
    ("tenants = [", "resource_id = 'x'\ntenants = [", "identities.payroll.resource_id: a resource id begins"),
    ("tenants = [", "warm = []\ntenants = [", "identities.payroll.warm: the key is unknown"),
    ("[identities.payroll]", "[identities.\"pay roll\"]", "identities.pay roll: a name has"),
];

#[test]
fn each_mistake_is_told_with_its_path() {
    for (from, to, expected) in MISTAKES {
        let told = mistakes(from, to);
        assert!(told.len() == 1 && told[0].starts_with(expected), "{expected:?} expected, told {told:#?}");
    }
}

#[test]
fn each_mistake_in_a_certificate_is_told() {
    const SECRET: &str = "kind = \"secret\", env = \"SECRET\"";
    for (parts, at, problem) in [
        ("file = 'nowhere'", "file", "the file cannot be read"),
        ("file = 3", "file", "this must be text"),
        ("send_x5c = true", "file", "the key is missing"),
        ("file = '/dev/null', key = 3", "key", "this must be text"),
        ("file = '/dev/zero'", "file", "the file cannot be read: it is no regular file"),
        ("file = 'nowhere', key = '-----BEGIN PRIVATE KEY-----'", "key", "a secret must not stand"),
        ("file = 'nowhere', passphrase = 'marked-secret'", "passphrase", "this must be a table; a secret is named"),
        ("file = 'nowhere', passphrase = { env = 'NOWHERE' }", "passphrase.env", "the variable is not set"),
        ("file = 'nowhere', passphrase = { text = 'x' }", "passphrase.file", "the key is missing"),
        ("file = 'nowhere', send_x5c = 1", "send_x5c", "this must be true or false"),
        ("file = 'nowhere', claims = 1", "claims", "this must be a table of claims"),
        ("file = 'nowhere', claims = { a = [1] }", "claims", "a claim is a text, a number"),
        ("file = 'nowhere', claims = { a = nan }", "claims", "a claim is a text, a number"),
        ("file = 'nowhere', claims = { jti = '1' }", "claims", "aud, iss, sub, exp, nbf, iat and jti are set"),
    ] {
        let told = mistakes(SECRET, &format!("kind = 'certificate', {parts}"));
        let expected = format!("identities.payroll.credentials[0].{at}: {problem}");
        assert!(told.iter().any(|told| told.starts_with(&expected)), "{expected:?} expected, told {told:#?}");
        assert!(!told.join("").contains("marked-secret"));
    }
    let told = mistakes("env = \"SECRET\"", "env = \"SECRET\", key = 'k'");
    assert_eq!(told, ["identities.payroll.credentials[0].key: a secret must not stand in the configuration"]);
}

#[test]
fn each_plain_section_tells_its_mistakes() {
    for (section, expected) in [
        ("[server]\nlisten = ['localhost:4141']", "server.listen: an address is"),
        ("[server]\nlisten = ['unix:/run/bursar.sock']", "server.listen: an address is"),
        ("[server]\nlisten = []", "server.listen: the list is empty"),
        (
            "[server]\nlisten = ['0.0.0.0:4141']",
            "server.listen: other machines can reach it, and nobody is proved by native or imds",
        ),
        ("[server]\ndialects = ['arc']", "server.dialects: a name in the list is no dialect"),
        ("[server]\ndialects = []", "server.dialects: the list is empty"),
        ("[server]\ndialects = ['app-service']", "server.dialects: app-service needs a header secret"),
        (
            "[server]\nheader_secret = []\ndialects = ['app-service']",
            "server.dialects: app-service needs a header secret",
        ),
        ("[server]\nheader_secret = ['inline']", "server.header_secret[0]: this must be a table; a secret"),
        ("[server]\nheader_secret = [{ value = 'inline' }]", "server.header_secret[0].file: the key is missing"),
        ("[server]\nworkers = 0", "server.workers: this must be a whole number"),
        ("[server]\nhosts = ['http://x']", "server.hosts: a host is a name"),
        ("[server]\nallow_unauthenticated = 1", "server.allow_unauthenticated: this must be true or false"),
        ("[server]\nstatus_page = true", "server.status_page: the key is unknown"),
        ("[server.tls]\ncert = 'x'", "server.tls: the key is unknown"),
        ("[freshness]\nlate = '10s'", "freshness.last: it is longer than 'late'"),
        ("[freshness]\nrefresh_rate = 0", "freshness.refresh_rate: this must be a whole number"),
        (
            "[server]\nlisten = ['127.0.0.1:5']\nadmin_listen = '127.0.0.1:5'",
            "server.admin_listen: tokens are served there",
        ),
        ("[cache]\nbytes = '1KiB'", "cache.bytes: this must be a size"),
        ("[cache]\ncaller_share = 0.25", "cache.caller_share: the key is unknown"),
        ("[log]\nlevel = 'loud'", "log.level: a log level is"),
        ("[log]\nformat = 'xml'", "log.format: a log format is"),
        ("[callers.x]", "callers: the key is unknown"),
        ("server = 3", "server: this must be a table"),
        ("'server.drain' = '1s'", "server.drain: the key is unknown"),
        ("'server[400000000]' = 1", "server[400000000]: the key is unknown"),
    ] {
        let told = with(section);
        assert!(
            !told.is_empty() && told[0].starts_with(expected),
            "{section:?}: {expected:?} expected, told {told:#?}"
        );
    }
}

#[test]
fn all_mistakes_are_told_at_once_and_none_repeats_a_value() {
    let text = r#"
[server]
listn = "x"
header_secret = ["marked-secret"]
[tenants.a]
id = "marked-secret"
[identities.b]
tenants = ["a", "c"]
client_id = "app"
resources = []
credentials = [
  { kind = "secret", value = "marked-secret" },
  { kind = "secret", client_secret = "marked-secret" },
  { kind = "marked-secret" },
  { kind = "secret", env = "marked-secret" },
  { kind = "secret", file = "marked-secret" },
]
"#;
    let told = told(read(text)).join("\n");
    for path in [
        "server.listn",
        "server.header_secret[0]",
        "tenants.a.id",
        "identities.b.tenants",
        "identities.b.resources",
        "identities.b.credentials[0].value: a secret must not stand in the configuration",
        "identities.b.credentials[1].client_secret: a secret must not stand in the configuration",
        "identities.b.credentials[2].kind",
        "identities.b.credentials[3].env",
        "identities.b.credentials[4].file",
    ] {
        assert!(told.contains(path), "{path} is missing in\n{told}");
    }
    assert!(!told.contains("marked-secret"), "{told}");
}

#[test]
fn an_unknown_key_suggests_its_neighbour() {
    let Err(mistakes) = read(&GOOD.replace("client_id", "clientid")) else { panic!("a mistake was expected") };
    let text = mistakes.to_string();
    assert!(text.contains("identities.payroll.clientid: the key is unknown. Did you mean 'client_id'."), "{text}");
}

#[test]
fn identities_must_be_distinguishable() {
    let second = GOOD[GOOD.find("[identities").unwrap()..].replace("payroll", "second");
    let told = told(read(&format!("{GOOD}{second}").replace("tenants = [", "default = true\ntenants = [")));
    assert_eq!(
        told,
        [
            "identities.second.client_id: identities.payroll has the same",
            "identities.second.default: identities.payroll has the same"
        ]
    );
}

#[test]
fn a_syntax_error_tells_the_place_and_not_the_line() {
    let told = told(read("[server]\nheader = 'marked-secret\n"));
    assert!(
        told.len() == 1 && told[0].starts_with("test.toml: the text cannot be parsed at line 2, column"),
        "{told:?}"
    );
    assert!(!told.join("").contains("marked-secret"));
}

#[test]
fn variables_override_plain_sections_and_nothing_else() {
    let variables = [
        ("BURSAR__SERVER__LISTEN", "127.0.0.1:7,[::1]:7"),
        ("BURSAR__SERVER__WORKERS", "9"),
        ("BURSAR__CACHE__ENTRIES", "12"),
        ("BURSAR__LOG__FORMAT", "json"),
        ("BURSAR_PORT", "tcp://10.0.0.1:4141"),
    ];
    let config = read_in(Path::new(""), &format!("[server]\nworkers = 2\ndrain = '9s'\n{GOOD}"), &variables).unwrap();
    assert_eq!((config.server.listen.len(), config.server.workers), (2, Some(9)));
    assert_eq!(config.server.drain, Duration::from_secs(9), "what is not overridden stays");
    assert_eq!((config.bounds.entries, config.log.format), (12, Format::Json));
    for bad in [
        "BURSAR__TENANTS__CONTOSO__ID",
        "BURSAR__IDENTITIES__X",
        "BURSAR__SERVER",
        "BURSAR__SERVER__A__B",
        "BURSAR__SERVER__X[400000000]",
    ] {
        let told = told(read_in(Path::new(""), GOOD, &[(bad, "x")]));
        assert_eq!(told, [format!("{bad}: the variable overrides no key")]);
    }
    let told = told(read_in(Path::new(""), GOOD, &[("BURSAR__SERVER__LISTN", "x")]));
    assert_eq!(told, ["server.listn: the key is unknown"]);
}

#[test]
fn a_variable_does_not_mend_a_section_that_is_no_table() {
    let told = told(read_in(Path::new(""), &format!("server = 5\n{GOOD}"), &[("BURSAR__SERVER__DRAIN", "1s")]));
    assert_eq!(told, ["server: this must be a table"]);
}

#[test]
fn a_secret_is_one_line_wherever_it_lies() {
    for bad in ["", "two\nlines", "\u{feff}marked", "\u{fffd}"] {
        let told = told(read_in(Path::new(""), &GOOD.replace("SECRET", "ODD"), &[("ODD", bad)]));
        assert_eq!(
            told,
            ["identities.payroll.credentials[0].env: there is no secret: one line of UTF-8 text"],
            "{bad:?}"
        );
    }
    let config = read_in(Path::new(""), &GOOD.replace("SECRET", "ODD"), &[("ODD", "with a line break\n")]).unwrap();
    assert!(config.identities[0].credentials[0].secret().unwrap().matches(b"with a line break"));
}

#[test]
fn an_off_loopback_listener_may_serve_what_proves_its_callers() {
    let off = "[server]\nlisten = ['0.0.0.0:4141']\nheader_secret = [{ env = 'SECRET' }]\n";
    assert_eq!(with(&format!("{off}dialects = ['app-service']")), [""; 0]);
    assert_eq!(with(&format!("{off}allow_unauthenticated = true")), [""; 0]);
    assert_eq!(with(off).len(), 1);
}

#[test]
fn yaml_and_json_are_read_as_well() {
    let variables = || HashMap::from([("SECRET".to_owned(), "s".to_owned())]);
    let json = r#"{"tenants":{"Contoso.A":{"id":"contoso.com"}},"identities":{"p":{"tenants":["Contoso.A"],"client_id":"a","resources":["*"],"credentials":[{"kind":"secret","env":"SECRET"}]}}}"#;
    let yaml = "tenants:\n  Contoso.A:\n    id: contoso.com\nidentities:\n  p:\n    tenants: [Contoso.A]\n    client_id: a\n    resources: ['*']\n    credentials:\n      - kind: secret\n        env: SECRET\n";
    for (text, format) in [(json, FileFormat::Json), (yaml, FileFormat::Yaml)] {
        let report = Report::default();
        let written = file::parse("test", text, format, PathBuf::new(), variables(), &report);
        let config = Config::resolve(&written.unwrap(), report, NOW).unwrap();
        assert_eq!(config.identities[0].tenants[0].tenant.to_string(), "Contoso.A", "names keep their case");
    }
}

fn from_variables(variables: &[(&str, &str)]) -> Result<Config, Mistakes> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::read(None, variables, NOW)
}

#[test]
fn azure_variables_are_a_configuration() {
    let id = "11111111-2222-3333-4444-555555555555";
    let config = from_variables(&[
        ("AZURE_CLIENT_ID", id),
        ("AZURE_TENANT_ID", "contoso.com"),
        ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/"),
        ("AZURE_CLIENT_SECRET", "marked-secret"),
        ("BURSAR__SERVER__ADMIN_LISTEN", "127.0.0.1:9"),
    ])
    .unwrap();
    assert_eq!(config.identities[0].tenants[0].place.url().as_str(), "https://login.microsoftonline.us/");
    assert_eq!(config.server.admin_listen.port(), 9);
}

#[test]
fn azure_variables_tell_their_mistakes_by_their_own_names() {
    let id = ("AZURE_CLIENT_ID", "app");
    assert_eq!(
        told(from_variables(&[])),
        [
            "AZURE_CLIENT_ID: the variable is not set",
            "AZURE_TENANT_ID: the variable is not set",
            "AZURE_CLIENT_SECRET: none of the credential variables is set",
        ]
    );
    let both = [id, ("AZURE_TENANT_ID", "nonsense"), ("AZURE_CLIENT_SECRET", "s"), ("AZURE_FEDERATED_TOKEN_FILE", "f")];
    assert_eq!(
        told(from_variables(&both)),
        [
            "AZURE_CLIENT_SECRET: several credential variables are set",
            "AZURE_TENANT_ID: a tenant is a GUID or a domain name"
        ]
    );
    let file = [id, ("AZURE_TENANT_ID", "contoso.com"), ("AZURE_CLIENT_CERTIFICATE_PATH", "/nonexistent")];
    assert!(told(from_variables(&file))[0].starts_with("AZURE_CLIENT_CERTIFICATE_PATH: the file cannot be read"));
}
