//! Every key, every mistake.

use std::path::PathBuf;

use config::FileFormat;

use super::*;
use crate::authority::InstanceDiscovery;
use crate::name::Resource;
use crate::policy;
use application::Application;
use identity::Origin;

mod callers;
mod kubernetes;
mod listeners;
mod mistakes;
mod reference;
mod secrets;
mod text;
mod tls;
mod traces;
mod variables;
mod vouching;
mod warm;

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
listen = ["127.0.0.1:1", "[::1]:1", "https://127.0.0.1:3", "unix:bursar.sock"]
admin_listen = "https://0.0.0.0:2"
status_page = true
hosts = ["bursar.svc"]
dialects = ["app-service", "arc"]
workers = 3
header_secret = [{ file = "header" }, { env = "SECRET" }]
allow_unauthenticated = true
drain = "0s"
[server.tls]
cert = "app.pem"
key = "app.key"
[server.unix]
mode = "0600"
[dialects.arc]
key_dir = "."
[metadata]
file = "instance.json"
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
fmi_paths = ["a/b"]
client_capabilities = ["cp1"]
warm = ["https://vault.azure.net", "https://vault.azure.net/"]
credentials = [
  { kind = "certificate", file = "app.pem", key = "app.key", passphrase = { env = "SECRET" }, send_x5c = true, claims = { tier = 3 }, algorithm = "RS256", kid = "app-1" },
  { kind = "secret", file = "header", expires = 2027-01-31 },
  { kind = "assertion", file = "not-there-yet" },
  { kind = "identity", name = "tree", fmi_path = "a/b", resource = "api://other" },
  { kind = "managed-identity", client_id = "x" },
  { kind = "assertion", url = "https://sts.corp/token", bearer = { env = "SECRET" } },
]
[identities.tree]
tenants = ["contoso"]
client_id = "tree"
resources = ["api://other"]
credentials = [{ kind = "identity", name = "vm" }]
[identities.vm]
source = "managed-identity"
resources = ["*"]
[kubernetes]
issuer = "https://kubernetes.default.svc"
audience = ["api://bursar"]
jwks_url = "https://kubernetes.default.svc/openid/v1/jwks"
ca_file = "app.pem"
token_file = "header"
token_review = true
api_server = "https://kubernetes.default.svc"
legacy_tokens = true
[freshness]
late = "10m"
last = "1m"
join = "250ms"
refresh_rate = 5
[cache]
entries = 7
bytes = "2MiB"
caller_share = 0.5
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
        None => Err(report.into()),
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
    assert!(mistakes.mistakes.iter().all(|mistake| !mistake.remedy.is_empty()));
    mistakes.mistakes.into_iter().map(|mistake| format!("{}: {}", mistake.path, mistake.problem)).collect()
}

fn with(section: &str) -> Vec<String> {
    told(read(&format!("{section}\n{GOOD}")))
}

/// The first identity, which is an application.
fn application(config: &Config) -> &Application {
    config.identities[0].application().unwrap()
}

#[test]
fn a_region_is_named_or_looked_for_nearby() {
    let text =
        |region: &str| GOOD.replace("[identities.payroll]", &format!("region = '{region}'\n[identities.payroll]"));
    let choice = |region: &str, variables: &[(&str, &str)]| {
        let config = read_in(Path::new("/nonexistent"), &text(region), variables);
        config.map(|config| format!("{:?}", application(&config).tenants[0].site.region))
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
        let told = choice("auto", &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", host)]);
        assert_eq!(told.is_ok(), fine, "{host}: {told:?}");
        let path = told.map_err(|mistakes| mistakes.mistakes[0].path.clone()).err();
        assert!(path.is_none_or(|path| path == "tenants.contoso.region"), "{host}");
        assert!(choice("westeurope", &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", host)]).is_ok(), "it is not looked at");
    }
}

#[test]
fn what_is_not_written_has_its_default() {
    let config = read(GOOD).unwrap();
    assert_eq!(config.server.listen[0].to_string(), "127.0.0.1:4141");
    assert_eq!(config.server.admin_listen.to_string(), "127.0.0.1:4142");
    let dialects: Vec<&str> = config.server.dialects.iter().map(|dialect| dialect.name).collect();
    assert_eq!(dialects, ["native", "imds"], "without a header secret app-service is off");
    assert_eq!(config.server.drain, Duration::from_secs(5));
    assert_eq!((config.windows, config.bounds, config.log), (Windows::default(), Bounds::default(), Log::default()));
    assert_eq!(config.refresh_rate.get(), 20);
    assert_eq!(config.instance, Instance::nameless(""));
    let at = |region| read_in(Path::new(""), GOOD, &[("REGION_NAME", region)]).unwrap().instance;
    assert_eq!(at("West Europe"), Instance::nameless("westeurope"));
    assert_eq!(at("../x"), Instance::nameless(""));
    let tenant = &application(&config).tenants[0];
    assert_eq!(tenant.place.url().as_str(), "https://login.microsoftonline.com/");
    assert_eq!(tenant.timeout, Duration::from_secs(30));
    assert!(!format!("{config:?}").contains("marked-secret"));
}

#[test]
fn what_is_meant_anyway_may_be_written() {
    let bare = read(GOOD).unwrap().server;
    let names = |server: &Server| server.dialects.iter().map(|dialect| dialect.name).collect::<Vec<_>>();
    for (written, warned) in [
        ("proofs = ['mtls', 'service-account', 'header-secret', 'unix', 'loopback']", &[][..]),
        ("unix = { mode = '0660' }", &[]),
        // That one of them is off is not to be missed.
        ("dialects = ['app-service', 'imds', 'native']", &["server.dialects"]),
    ] {
        let Config { server, warnings, .. } = read(&format!("[server]\n{written}\n{GOOD}")).unwrap();
        assert_eq!((&server.proofs, server.unix_mode, names(&server)), (&bare.proofs, bare.unix_mode, names(&bare)));
        assert_eq!(warnings.iter().map(|warning| &*warning.path).collect::<Vec<_>>(), warned);
    }
}

#[test]
fn dialects_are_in_the_order_of_their_table_and_once() {
    let dialects = r#"["cloud-shell", "native", "imds", "cloud-shell", "native"]"#;
    let config = read(&format!("[server]\ndialects = {dialects}\n{GOOD}")).unwrap();
    let names: Vec<&str> = config.server.dialects.iter().map(|dialect| dialect.name).collect();
    assert_eq!(names, ["native", "imds", "cloud-shell"]);
}

#[test]
fn the_machine_s_document_is_told_about_by_line_and_only_where_it_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(directory.path().join("instance.json"), text).unwrap();
    let text =
        |dialects: &str| format!("[server]\ndialects = [\"{dialects}\"]\n[metadata]\nfile = \"instance.json\"\n{GOOD}");
    let read = |dialects: &str| read_in(directory.path(), &text(dialects), &[]);
    write("{\n\"compute\": {\"name\": \"vm\"}\n}");
    assert_eq!(read("imds").unwrap().warnings, []);
    assert_eq!(read("native").unwrap().warnings[0].path, "metadata.file");
    write("{\n\"compute\": {\"name\": vm}\n}");
    assert_eq!(told(read("imds")), ["metadata.file: the file is no JSON: expected value at line 2 column 21"]);
    write("{\"compute\": {\"id\": 123456789012345678901234567890}}");
    let mistakes = read("imds").unwrap_err().to_string();
    assert!(mistakes.contains("at compute.id is not kept") && mistakes.contains("in quotes"), "{mistakes}");
}

#[test]
fn every_key_is_read() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("header"), "shown\n").unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let cert = rcgen::CertificateParams::new(vec!["app".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    std::fs::write(directory.path().join("app.pem"), &cert).unwrap();
    std::fs::write(directory.path().join("app.key"), key.serialize_pem()).unwrap();
    let document = r#"{"compute":{"name":"vm"}}"#;
    std::fs::write(directory.path().join("instance.json"), document).unwrap();
    let config = read_in(directory.path(), EVERY_KEY, &[]).unwrap();
    let unseen = config.warnings.iter().map(ToString::to_string).find(|warning| warning.starts_with("metadata.file"));
    assert!(unseen.unwrap().contains("no dialect that is served has pages"));
    assert_eq!(config.instance, Instance::parse(document.as_bytes()).unwrap());
    let server = &config.server;
    let listen: Vec<String> = server.listen.iter().map(ToString::to_string).collect();
    let socket = format!("unix:{}", directory.path().join("bursar.sock").display());
    assert_eq!(listen, ["127.0.0.1:1", "[::1]:1", "https://127.0.0.1:3", &socket]);
    assert_eq!(server.unix_mode, 0o600);
    assert_eq!(server.tls.as_ref().map(|tls| tls.thumbprint().len()), Some(40));
    assert_eq!(config.key_dir.as_deref(), Some(directory.path()));
    assert_eq!((&*server.admin_listen.to_string(), server.status_page), ("https://0.0.0.0:2", true));
    assert_eq!(
        (&server.hosts[..], server.workers, server.drain),
        (&["bursar.svc".to_owned()][..], Some(3), Duration::ZERO)
    );
    assert_eq!(server.dialects.iter().map(|dialect| dialect.name).collect::<Vec<_>>(), ["app-service", "arc"]);
    assert!(server.header_secrets[0].matches(b"shown") && server.header_secrets[1].matches(b"marked-secret"));
    assert!(server.allow_unauthenticated);
    let (rules, Application { tenants, credentials, .. }) = (&config.identities[0].rules, application(&config));
    assert_eq!((rules.name.as_str(), rules.client_id.as_str(), rules.default), ("payroll", "app", true));
    assert_eq!(rules.object_id.as_deref(), Some("11111111-2222-3333-4444-555555555555"));
    assert_eq!(rules.resource_id.as_deref(), Some("/subscriptions/x"));
    assert!(matches!(&rules.resources, policy::Resources::Listed(listed) if listed.len() == 2));
    let warm: Vec<&str> = config.identities[0].warm.iter().map(Resource::as_str).collect();
    assert_eq!(warm, ["https://vault.azure.net", "https://vault.azure.net/"], "the slash makes another token");
    assert_eq!(
        credentials.iter().map(|one| one.kind()).collect::<Vec<_>>(),
        ["certificate", "secret", "assertion", "identity", "managed-identity", "assertion"]
    );
    assert_eq!(
        (tenants[0].tenant.id.as_str(), tenants[0].place.url().as_str()),
        ("contoso.com", "https://login.corp:8443/")
    );
    let asked = InstanceDiscovery::At("https://idp.corp".parse().unwrap());
    assert_eq!(*tenants[0].site.instance.discovery(), asked);
    assert_eq!(tenants[0].timeout, Duration::from_secs(9));
    assert_eq!(tenants[0].extra_body[..], [("audience".to_owned(), "x".to_owned())]);
    let secs = Duration::from_secs;
    assert_eq!(config.windows, Windows { late: secs(600), last: secs(60), join: Duration::from_millis(250) });
    assert_eq!((config.refresh_rate.get(), config.bounds), (5, Bounds { entries: 7, bytes: 2 << 20 }));
    assert_eq!(config.log, Log { format: Format::Json, level: tracing::Level::TRACE });
    assert!(config.kubernetes.is_some_and(|known| known.settings.rules.legacy));
}

#[test]
fn a_share_is_one_of_each_caller_where_they_are_told_apart() {
    let caller = "[callers.a]\nproof = { kind = 'loopback' }\nidentities = ['*']\nresources = ['*']\n";
    let share = |text: &str| read(&format!("{GOOD}{text}")).unwrap().caller_share;
    assert_eq!(share("[cache]\ncaller_share = 0.5"), None);
    assert_eq!(share(caller), Some(Share::default()));
    for (written, part) in [("0.5", 0.5), ("1", 1.0), ("1.0", 1.0), ("'0.125'", 0.125)] {
        let read = share(&format!("{caller}[cache]\ncaller_share = {written}"));
        assert_eq!(read, Share::parse(part).ok(), "{written}");
    }
}
