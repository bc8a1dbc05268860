//! Where secrets lie, and that none is ever repeated.

use super::*;

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
        (
            "file = 'nowhere', passphrase = 'marked-secret'",
            "passphrase",
            "a secret must not stand in the configuration",
        ),
        ("file = 'nowhere', passphrase = { env = 'NOWHERE' }", "passphrase.env", "the variable is not set"),
        ("file = 'nowhere', passphrase = { text = 'x' }", "passphrase.file", "the key is missing"),
        ("file = 'nowhere', send_x5c = 1", "send_x5c", "this must be true or false"),
        ("file = 'nowhere', algorithm = 'HS256'", "algorithm", "an algorithm is PS256 or RS256"),
        ("file = 'nowhere', kid = 'a b'", "kid", "a key id has 1 to 256 visible ASCII characters"),
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
        "identities.b.tenants[1]",
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
    assert!(application(&config).credentials[0].secret().unwrap().matches(b"with a line break"));
}

#[test]
fn blanks_at_an_end_are_no_part_of_a_header_and_rarely_one_of_a_client_secret() {
    let padded = [("SECRET", "s"), ("PADDED", " s")];
    let caller = "[callers.billing]\nproof = { kind = 'header-secret', env = 'PADDED' }\nidentities = ['payroll']\nresources = ['*']\n";
    let server = "[server]\nheader_secret = [{ env = 'PADDED' }]\n";
    for (more, path) in [(server, "server.header_secret[0].env"), (caller, "callers.billing.proof.env")] {
        let told = told(read_in(Path::new(""), &format!("{more}{GOOD}"), &padded));
        assert_eq!(told, [format!("{path}: there are blanks at an end of the secret, which no header has")]);
    }
    let warned = read_in(Path::new(""), &GOOD.replace("SECRET", "PADDED"), &padded).unwrap().warnings;
    assert_eq!(warned.len(), 1);
    assert!(warned[0].to_string().starts_with("identities.payroll.credentials[0].env: there are blanks"), "{warned:?}");
}

/// Wherever a beginner writes it.
#[test]
fn an_inline_secret_is_told_where_it_belongs() {
    for (from, to, path, remedy) in [
        ("[tenants", "[server]\nheader_secret = 'marked'\n[tenants", "server.header_secret", "header_secret = [{ file"),
        ("[tenants", "[server]\nheader_secret = ['marked']\n[tenants", "server.header_secret[0]", "with { file"),
        (
            "tenants = [",
            "client_secret = 'marked'\ntenants = [",
            "identities.payroll.client_secret",
            "credentials = [{",
        ),
        ("tenants = [", "password = ['marked']\ntenants = [", "identities.payroll.password", "credentials = [{"),
        ("id = \"72", "client_secret = 'marked'\nid = \"72", "tenants.contoso.client_secret", "credentials = [{"),
        ("[{ kind = \"secret\", env = \"SECRET\" }]", "'marked'", "identities.payroll.credentials", "credentials = [{"),
        (
            "[{ kind = \"secret\", env = \"SECRET\" }]",
            "['marked']",
            "identities.payroll.credentials[0]",
            "with { kind =",
        ),
    ] {
        let Err(Mistakes { mistakes: told, .. }) = read(&GOOD.replace(from, to)) else {
            panic!("{to}: a mistake was expected")
        };
        assert!(told.len() == 1, "{told:#?}");
        assert_eq!((&*told[0].path, &*told[0].problem), (path, "a secret must not stand in the configuration"));
        assert!(told[0].remedy.contains(remedy) && told[0].remedy.ends_with("renew it"), "{}", told[0].remedy);
    }
    let told = mistakes("tenants = [", "client_secret = { file = 'x' }\ntenants = [");
    assert_eq!(told, ["identities.payroll.client_secret: the key is unknown"], "that is no secret");
}

/// A path may be a secret in the wrong place, so only what exists of it is told.
#[test]
fn an_unreadable_file_is_told_with_the_part_of_its_path_that_exists() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path().display();
    for (file, told_of) in [
        ("marked-secret".to_owned(), format!("; it was looked for in {here}")),
        ("/marked~secret/with+slash=".to_owned(), "; of its path only / exists".to_owned()),
        (format!("{here}/gone/marked-secret"), format!("; of its path only {here} exists")),
        (".".to_owned(), format!("; its path is {here}")),
    ] {
        let text = GOOD.replace("env = \"SECRET\"", &format!("file = '{file}'"));
        let told = told(read_in(directory.path(), &text, &[]));
        assert!(told.len() == 1 && told[0].contains("the file cannot be read"), "{told:?}");
        assert!(told[0].ends_with(&told_of) && !told[0].contains("marked"), "{told:?}");
    }
}
