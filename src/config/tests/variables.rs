//! What variables override, and what the `AZURE_*` ones amount to.

use super::*;

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
        "BURSAR__SERVER__TLS__CERT",
        "BURSAR__SERVER__X[400000000]",
    ] {
        let told = told(read_in(Path::new(""), GOOD, &[(bad, "x")]));
        assert_eq!(told, [format!("{bad}: the variable overrides no key")]);
    }
    let told = told(read_in(Path::new(""), GOOD, &[("BURSAR__SERVER__LISTN", "x")]));
    assert_eq!(told, ["BURSAR__SERVER__LISTN: the key is unknown"]);
}

#[test]
fn a_variable_does_not_mend_a_section_that_is_no_table() {
    let told = told(read_in(Path::new(""), &format!("server = 5\n{GOOD}"), &[("BURSAR__SERVER__DRAIN", "1s")]));
    assert_eq!(told, ["server: this must be a table"]);
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
    assert_eq!(application(&config).tenants[0].place.url().as_str(), "https://login.microsoftonline.us/");
    assert_eq!(config.server.admin_listen.to_string(), "127.0.0.1:9");
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

#[test]
fn a_federated_token_file_that_is_not_there_is_a_warning() {
    let config = from_variables(&[
        ("AZURE_CLIENT_ID", "app"),
        ("AZURE_TENANT_ID", "contoso.com"),
        ("AZURE_FEDERATED_TOKEN_FILE", "/nonexistent/token"),
    ]);
    let paths: Vec<String> = config.unwrap().warnings.into_iter().map(|warning| warning.path).collect();
    assert_eq!(paths, ["AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_ID"]);
}

#[test]
fn a_mistake_in_a_variable_is_told_by_its_name() {
    for (variable, value, expected) in [
        ("BURSAR__SERVER__DRAIN", "5", "BURSAR__SERVER__DRAIN: this must be a duration"),
        ("BURSAR__SERVER__LISTEN", "127.0.0.1:1,4141", "BURSAR__SERVER__LISTEN[1]: an address is"),
        ("BURSAR__SERVER__LISTEN", "0.0.0.0:1", "BURSAR__SERVER__LISTEN: other machines can reach it"),
        ("BURSAR__SERVER__HEADER_SECRET", "marked-secret", "BURSAR__SERVER__HEADER_SECRET[0]: the file cannot be read"),
        ("BURSAR__CACHE__BYTES", "5", "BURSAR__CACHE__BYTES: this must be a size"),
    ] {
        let told = told(read_in(Path::new(""), GOOD, &[(variable, value)]));
        assert!(told.len() == 1 && told[0].starts_with(expected), "{told:?}");
        assert!(!told[0].contains("marked"), "{told:?}");
    }
    let both = told(read_in(Path::new(""), GOOD, &[("BURSAR__SERVER__HEADER_SECRET", "marked, marked")]));
    assert_eq!(both.len(), 2, "{both:?}");
    let told = told(read_in(Path::new(""), &format!("[server]\ndrain = 5\n{GOOD}"), &[("BURSAR__LOG__LEVEL", "info")]));
    assert!(told[0].starts_with("server.drain: "), "{told:?}");
}

#[test]
fn a_variable_names_the_files_of_header_secrets() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["new", "old"] {
        std::fs::write(directory.path().join(name), name).unwrap();
    }
    let config = read_in(directory.path(), GOOD, &[("BURSAR__SERVER__HEADER_SECRET", "new, old")]).unwrap();
    let secrets = &config.server.header_secrets;
    assert!(secrets.len() == 2 && secrets[0].matches(b"new") && secrets[1].matches(b"old"));
}

#[test]
fn single_underscores_are_warned_of_and_kubernetes_is_not() {
    let warned = |variable: &str| -> Vec<String> {
        let config = read_in(Path::new(""), GOOD, &[(variable, "x")]).unwrap();
        config.warnings.into_iter().map(|warning| format!("{}: {}", warning.path, warning.remedy)).collect()
    };
    for slip in ["BURSAR_SERVER_LISTEN", "BURSAR_SERVER__LISTEN"] {
        let expected = format!("{slip}: write BURSAR__SERVER__LISTEN if it was meant to override a key");
        assert_eq!(warned(slip), [expected]);
    }
    assert_eq!(warned("BURSAR_LOG_LEVEL").len(), 1);
    for injected in [
        "BURSAR_PORT",
        "BURSAR_SERVICE_HOST",
        "BURSAR_SERVICE_PORT_HTTP",
        "BURSAR_PORT_4141_TCP",
        "BURSAR_PORT_4141_TCP_ADDR",
        "BURSAR_SERVER_SERVICE_HOST",
        "BURSAR_SERVER_PORT",
        "BURSAR_CACHE_PORT_80_TCP_PROTO",
        "BURSAR_LOG_BLUE_SERVICE_PORT",
        "BURSAR_SERVER",
        "BURSAR_HOME",
    ] {
        assert_eq!(warned(injected), [""; 0], "{injected}");
    }
}
