//! Each mistake in a section, with its path.

use super::*;

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
    (
        "[identities.payroll]",
        "timeout = 30\n[identities.payroll]",
        "tenants.contoso.timeout: this must be a duration such as \"5s\" or \"2m\", from 100ms to 24h",
    ),
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
    ("[\"contoso\"]", "[\"fabrikam\"]", "identities.payroll.tenants[0]: no tenant has this name"),
    ("[\"contoso\"]", "[]", "identities.payroll.tenants: the list is empty"),
    ("resources = [\"*\"]", "", "identities.payroll.resources: the key is missing"),
    ("[\"contoso\"]", "[\"contoso\", \"contoso\"]", "identities.payroll.tenants[1]: this tenant is listed already"),
    (
        "[identities.payroll]",
        "instance_discovery = 'https://u:p@a/x?y'\n[identities.payroll]",
        "tenants.contoso.instance_discovery: an authority has no user",
    ),
    ("[\"*\"]", "[\"*\", \"a\"]", "identities.payroll.resources: \"*\" stands beside others"),
    ("[\"*\"]", "[\"a b\"]", "identities.payroll.resources[0]: a resource must not contain blanks"),
    ("[\"*\"]", "3", "identities.payroll.resources: this must be a list of texts"),
    ("[\"*\"]", "[]", "identities.payroll.resources: the list is empty"),
    ("[\"*\"]", "[\"a\", 3]", "identities.payroll.resources[1]: this must be text in quotes"),
    (
        "[\"*\"]",
        "[\"a\", \"https://vault.azure.net/.default\"]",
        "identities.payroll.resources[1]: a resource is written without '/.default'",
    ),
    (
        "tenants = [",
        "client_capabilities = ['cp1', 'c p']\ntenants = [",
        "identities.payroll.client_capabilities[1]: a client capability is",
    ),
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
    ("tenants = [", "warm = ['https://b c']\ntenants = [", "identities.payroll.warm[0]: a resource must not"),
    ("tenants = [", "warm = ['https://x/.default']\ntenants = [", "identities.payroll.warm[0]: a resource is written"),
    ("tenants = [", "warm = ['*']\ntenants = [", "identities.payroll.warm[0]: what is held ready has a name"),
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
fn a_mistake_in_the_id_or_the_kind_hides_none_in_the_authority() {
    let tenant = |lines: &str| {
        let text = GOOD.replace("id = \"72f988bf-86f1-41af-91ab-2d7cd011db47\"", lines);
        told(read(&text)).iter().map(|told| told.split(": ").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (id, kind, authority) = ("tenants.contoso.id", "tenants.contoso.kind", "tenants.contoso.authority");
    for (lines, expected) in [
        ("id = 'common'\nauthority = 'http://login.corp'", &[id, authority][..]),
        ("id = 'common'\nauthority = 'https://login.microsoftonline.com/common'", &[id, authority]),
        ("id = 'common'\nauthority = 'https://login.microsoftonline.com'", &[id]),
        ("id = 'common'\nauthority = 'https://a.b2clogin.com/a.onmicrosoft.com/policy'", &[id]),
        ("id = 'contoso.com'\nkind = 'saml'\nauthority = 'http://login.corp'", &[kind, authority]),
        ("id = 'contoso.com'\nkind = 'saml'\nauthority = 'https://login.corp/a/b'", &[kind]),
    ] {
        assert_eq!(tenant(lines), expected, "{lines}");
    }
}

#[test]
fn each_plain_section_tells_its_mistakes() {
    for (section, expected) in [
        ("[server]\nlisten = ['127.0.0.1:1', 'localhost:4141']", "server.listen[1]: an address is"),
        ("[server]\nlisten = ['http://127.0.0.1:1']", "server.listen[0]: an address is"),
        ("[server]\nlisten = []", "server.listen: the list is empty"),
        (
            "[server]\nlisten = ['0.0.0.0:4141']",
            "server.listen: other machines can reach it, and nobody is proved by native or imds",
        ),
        ("[server]\ndialects = ['imdsv2']", "server.dialects[0]: no dialect has this name"),
        ("[server]\ndialects = []", "server.dialects: the list is empty"),
        ("[server]\ndialects = ['app-service']", "server.dialects: app-service needs a header secret"),
        (
            "[server]\nheader_secret = []\ndialects = ['app-service']",
            "server.dialects: app-service needs a header secret",
        ),
        (
            "[server]\nheader_secret = ['inline']",
            "server.header_secret[0]: a secret must not stand in the configuration",
        ),
        ("[server]\nheader_secret = [{ value = 'inline' }]", "server.header_secret[0].file: the key is missing"),
        ("[server]\nheader_secret = 3", "server.header_secret: this must be a list"),
        ("[server]\nheader_secret = [3]", "server.header_secret[0]: this must be a table"),
        ("[server]\ndrain = 5", "server.drain: this must be a duration such as \"5s\" or \"2m\", from 0s to 24h"),
        ("[cache]\nbytes = 5", "cache.bytes: this must be a size such as \"256MiB\""),
        ("[server]\nworkers = 0", "server.workers: this must be a whole number from 1 to 1024"),
        ("[server]\nhosts = ['http://x']", "server.hosts[0]: a host is a name"),
        ("[server]\nallow_unauthenticated = 1", "server.allow_unauthenticated: this must be true or false"),
        ("[server]\nstatus_page = 1", "server.status_page: this must be true or false"),
        ("[server.tsl]\ncert = 'x'", "server.tsl: the key is unknown"),
        ("[freshness]\nlate = '10s'", "freshness.last: it is longer than 'late'"),
        ("[freshness]\nrefresh_rate = 0", "freshness.refresh_rate: this must be a whole number"),
        (
            "[server]\nlisten = ['127.0.0.1:5']\nadmin_listen = '127.0.0.1:5'",
            "server.admin_listen: tokens are served there",
        ),
        ("[cache]\nbytes = '1KiB'", "cache.bytes: this must be a size"),
        ("[cache]\ncaller_share = 0.0", "cache.caller_share: a share is a part of one"),
        ("[cache]\ncaller_share = 1.01", "cache.caller_share: a share is a part of one"),
        ("[cache]\ncaller_share = '25%'", "cache.caller_share: this must be a part of one such as 0.25"),
        ("[cache]\ncaller_share = 25", "cache.caller_share: this must be a part of one such as 0.25"),
        ("[metadata]\nfile = 'nowhere'", "metadata.file: the file cannot be read"),
        ("[metadata]\nfile = '/dev/null'", "metadata.file: the file cannot be read: it is no regular file"),
        ("[metadata]\nfile = 3", "metadata.file: this must be text"),
        ("[metadata]\nfiel = 'x'", "metadata.fiel: the key is unknown"),
        ("[log]\nlevel = 'loud'", "log.level: a log level is"),
        ("[log]\naudit = 'nowhere/audit'", "log.audit: the directory of the file is not there"),
        ("[log]\nformat = 'xml'", "log.format: a log format is"),
        ("[callers]", "callers: there is none"),
        ("[callers.x]", "callers.x.proof: the key is missing"),
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
fn a_document_of_the_machine_has_its_shape() {
    let directory = tempfile::tempdir().unwrap();
    for (document, problem) in [
        ("{", "the file is no JSON: EOF while parsing an object at line 1 column 1"),
        ("[]", "the file holds no JSON object"),
        ("{}", "the object has no object 'compute'"),
    ] {
        std::fs::write(directory.path().join("i.json"), document).unwrap();
        let told = told(read_in(directory.path(), &format!("[metadata]\nfile = 'i.json'\n{GOOD}"), &[]));
        assert_eq!(told, [format!("metadata.file: {problem}")]);
    }
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
fn an_off_loopback_listener_may_serve_what_proves_its_callers() {
    let off = "[server]\nlisten = ['0.0.0.0:4141']\nheader_secret = [{ env = 'SECRET' }]\n";
    assert_eq!(with(&format!("{off}dialects = ['app-service']")), [""; 0]);
    assert_eq!(with(&format!("{off}allow_unauthenticated = true")), [""; 0]);
    assert_eq!(with(off).len(), 1);
}

#[test]
fn header_secrets_that_can_be_read_on_the_way_are_warned_of() {
    for (listen, warned) in
        [("0.0.0.0:4141", &["server.listen"][..]), ("https://0.0.0.0:4141", &[]), ("127.0.0.1:1", &[])]
    {
        let server = "dialects = ['app-service']\nheader_secret = [{ env = 'SECRET' }]";
        let config = read(&format!("[server]\nlisten = ['{listen}']\n{server}\n{GOOD}")).unwrap();
        assert_eq!(config.warnings.iter().map(|warning| &*warning.path).collect::<Vec<_>>(), warned, "{listen}");
    }
}

#[test]
fn what_is_rarely_meant_is_a_warning() {
    let warnings = |from: &str, to: &str| -> Vec<String> {
        let config = read(&GOOD.replace(from, to)).unwrap();
        config.warnings.into_iter().map(|warning| format!("{}: {}", warning.path, warning.problem)).collect()
    };
    assert_eq!(warnings("", ""), [""; 0]);
    let no_guid = warnings("11111111-2222-3333-4444-555555555555", "my-app");
    assert_eq!(no_guid, ["identities.payroll.client_id: this is no GUID, and Entra ID knows applications by a GUID"]);
    let issuer = "authority = 'https://issuer.corp'\nkind = 'oidc'\n[identities.payroll]";
    let elsewhere = GOOD.replace("[identities.payroll]", issuer).replace("id = \"72f988bf", "# id = \"72f988bf");
    let elsewhere = elsewhere.replace("11111111-2222-3333-4444-555555555555", "my-app");
    assert_eq!(read(&elsewhere).unwrap().warnings, [], "other kinds of authority have ids of every shape");
    let assertion =
        |file: &str| warnings("kind = \"secret\", env = \"SECRET\"", &format!("kind = 'assertion', file = '{file}'"));
    assert_eq!(assertion("nowhere"), ["identities.payroll.credentials[0].file: the file is not there now"]);
    assert_eq!(assertion("/dev/null"), [""; 0]);
}
