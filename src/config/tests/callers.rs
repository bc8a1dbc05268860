//! Who asks, by what proof, and every mistake in that.

use super::super::caller::{self, Caller};
use super::*;
use crate::caller::Proof;
use crate::caller::account::ServiceAccount;
use crate::caller::peer::User;
use crate::caller::subject::Subject;
use crate::name::Name;
use crate::policy::entitlement::{Identities, Mode};

/// Every key of a caller, and every kind of proof with all of its keys.
pub(super) const EVERY_CALLER: &str = r#"
[callers.billing]
proof = { kind = "header-secret", file = "header" }
identities = ["payroll", "reports"]
default_identity = "reports"
tenants = ["contoso", "72F988BF-86f1-41af-91ab-2d7cd011db47"]
resources = ["https://vault.azure.net"]
fmi_paths = ["a/b"]
mode = "audit"
rate = 7
[callers.rotated]
proof = { kind = "header-secret", secrets = [{ file = "header" }, { env = "SECRET" }] }
identities = ["*"]
resources = ["*"]
[callers.by-variable]
proof = { kind = "header-secret", env = "SECRET" }
identities = ["*"]
resources = ["*"]
[callers.pods]
proof = { kind = "service-account", namespace = "pay-*", service_account = "roll", pod = "roll-*", node = "node-1" }
identities = ["*"]
resources = ["*"]
[callers.mesh]
proof = { kind = "mtls", spiffe_id = "spiffe://corp/*", dns_name = "A.corp", subject = "CN=a,O=corp" }
identities = ["*"]
resources = ["*"]
[callers.user]
proof = { kind = "unix", uid = 1000, gid = 0 }
identities = ["*"]
resources = ["*"]
[callers.here]
proof = { kind = "loopback" }
identities = ["*"]
resources = ["*"]
"#;

/// A caller without mistakes, of which the tests replace pieces.
const CALLER: &str = r#"
[callers.billing]
proof = { kind = "header-secret", env = "SECRET" }
identities = ["payroll"]
resources = ["*"]
"#;
const PROOF: &str = "{ kind = \"header-secret\", env = \"SECRET\" }";

/// The callers of a text, with the mistakes in their own sections, each with its remedy.
fn callers(text: &str) -> (Vec<Option<Caller>>, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("header"), "shown").unwrap();
    let report = Report::default();
    let variables = HashMap::from([("SECRET".to_owned(), "marked-secret".to_owned())]);
    let base = directory.path().to_owned();
    let written = file::parse("t", text, FileFormat::Toml, base.clone(), HashMap::new(), &report).unwrap();
    let surroundings = Surroundings { base: &base, variables: &variables, system: &System::default(), now: NOW };
    let mut root = Section::new(String::new(), written.tree.clone(), KEYS, &report);
    let sections = root.sections("callers").into_iter();
    let read = sections.map(|(name, section)| caller::read(&name, section.unwrap(), surroundings)?.1).collect();
    (read, report.into_mistakes().iter().map(ToString::to_string).collect())
}

/// `CALLER` with one piece replaced.
fn instead(from: &str, to: &str) -> String {
    assert!(CALLER.contains(from), "{from}");
    CALLER.replacen(from, to, 1)
}

/// What is told of a whole configuration with these sections.
fn whole(sections: &str) -> Vec<String> {
    told(read(&format!("{sections}\n{GOOD}")))
}

#[test]
fn a_caller_that_can_get_nothing_is_warned_of() {
    let identity = GOOD.replace("[\"*\"]", "[\"https://vault.azure.net/\"]");
    let warned = |resources: &str| -> Vec<String> {
        let text = format!("{}{identity}", instead("resources = [\"*\"]", resources));
        read(&text).unwrap().warnings.iter().map(|told| format!("{}: {}", told.path, told.problem)).collect()
    };
    let problem =
        "callers.billing.resources: none of its identities may be used for any of these, so that it gets nothing";
    assert_eq!(warned("resources = ['https://graph.microsoft.com']"), [problem]);
    for some in [
        "resources = ['*']",
        "resources = ['https://graph.microsoft.com', 'https://vault.azure.net']",
        "resources = ['https://graph.microsoft.com']\nmode = 'audit'",
    ] {
        assert_eq!(warned(some), [""; 0], "{some}");
    }
}

#[test]
fn every_key_of_a_caller_is_read() {
    let (read, mistakes) = callers(EVERY_CALLER);
    assert_eq!(mistakes, [""; 0]);
    let find = |name: &str| {
        let found = read.iter().flatten().find(|caller| caller.entitlement.caller.as_str() == name);
        found.unwrap_or_else(|| panic!("{name} is not read"))
    };
    let billing = find("billing");
    let entitlement = &billing.entitlement;
    let names = |names: &[&str]| Identities::Listed(names.iter().map(|name| Name::parse(name).unwrap()).collect());
    assert_eq!(entitlement.identities, names(&["payroll", "reports"]));
    assert_eq!(entitlement.default_identity.as_ref().map(Name::as_str), Some("reports"));
    assert_eq!(entitlement.tenants.as_ref().unwrap()[1], "72F988BF-86f1-41af-91ab-2d7cd011db47");
    assert!(matches!(&entitlement.resources, policy::Resources::Listed(listed) if listed.len() == 1));
    assert_eq!(
        (entitlement.fmi_paths[0].as_str(), entitlement.mode, billing.rate.map(NonZeroU32::get)),
        ("a/b", Mode::Audit, Some(7))
    );
    let here = find("here");
    assert_eq!(
        (&here.entitlement.identities, here.entitlement.mode, here.rate),
        (&Identities::Any, Mode::Enforce, None)
    );
    assert!(here.entitlement.tenants.is_none() && matches!(here.entitlement.resources, policy::Resources::Any));
    let secrets = |name: &str| -> Vec<String> {
        find(name).secrets.iter().map(|secret| secret.value().expose().to_owned()).collect()
    };
    assert_eq!(secrets("billing"), ["shown"]);
    assert_eq!(secrets("rotated"), ["shown", "marked-secret"]);
    assert_eq!((secrets("by-variable"), secrets("here")), (vec!["marked-secret".to_owned()], Vec::new()));
    let account = |node: &str| ServiceAccount {
        namespace: "pay-1".to_owned(),
        name: "roll".to_owned(),
        pod: Some("roll-7f".to_owned()),
        node: Some(node.to_owned()),
    };
    let Proof::ServiceAccount(rule) = &find("pods").proof else { panic!("it is a service account") };
    assert_eq!([rule.matches(&account("node-1")), rule.matches(&account("node-2"))], [true, false]);
    let Proof::Mtls(rule) = &find("mesh").proof else { panic!("it is a certificate") };
    let subject = |uri: &str| Subject {
        uris: vec![uri.to_owned()],
        dns_names: vec!["a.corp".to_owned()],
        distinguished_name: "CN=a,O=corp".to_owned(),
    };
    assert_eq!([rule.matches(&subject("spiffe://corp/a")), rule.matches(&subject("spiffe://x/a"))], [true, false]);
    let Proof::Unix(rule) = find("user").proof else { panic!("it is a user") };
    assert_eq!([rule.matches(User { uid: 1000, gid: 0 }), rule.matches(User { uid: 1000, gid: 1 })], [true, false]);
    assert!(matches!(here.proof, Proof::Loopback));
}

/// A proof, and what is told of it at `callers.billing.`, with the beginning of the remedy.
const PROOFS: &[(&str, &str)] = &[
    ("'loopback'", "proof: this must be a table. Write proof = { kind = "),
    ("{ env = 'SECRET' }", "proof.kind: the key is missing. Write proof = { kind = "),
    ("{ kind = 'password' }", "proof.kind: the kind is unknown. Write proof = { kind = "),
    ("{ kind = 3 }", "proof.kind: this must be text in quotes. "),
    ("{ kind = 'header-secret' }", "proof.file: the key is missing. Name the file that holds the secret"),
    ("{ kind = 'header-secret', file = 'nowhere' }", "proof.file: the file cannot be read"),
    ("{ kind = 'header-secret', env = 'NOWHERE' }", "proof.env: the variable is not set. Set it"),
    ("{ kind = 'header-secret', env = 'SECRET', file = 'header' }", "proof.env: both 'file' and 'env' are given. Keep"),
    ("{ kind = 'header-secret', secrets = [] }", "proof.secrets: the list is empty. Name a file with secrets = [{"),
    ("{ kind = 'header-secret', secrets = [{ file = 'nowhere' }] }", "proof.secrets[0].file: the file cannot be read"),
    (
        "{ kind = 'header-secret', secrets = [{ file = 'header' }], env = 'SECRET' }",
        "proof.env: it stands beside the list 'secrets'. Write it into the list",
    ),
    (
        "{ kind = 'header-secret', secrets = ['inline'] }",
        "proof.secrets[0]: a secret must not stand in the configuration. Move it into a file that only this process can read, and name that with { file",
    ),
    (
        "{ kind = 'header-secret', secrets = 'inline' }",
        "proof.secrets: a secret must not stand in the configuration. Move it into a file that only this process can read, and name that with secrets = [{ file",
    ),
    ("{ kind = 'loopback', port = 3 }", "proof.port: the key is unknown. Remove it"),
    ("{ kind = 'mtls' }", "proof: any certificate would do. Write 'spiffe_id', 'dns_name' or 'subject'"),
    ("{ kind = 'mtls', spiffe_id = 'corp/a' }", "proof.spiffe_id: a SPIFFE id begins with spiffe://. "),
    ("{ kind = 'mtls', dns_name = '' }", "proof.dns_name: the text must not be empty. "),
    ("{ kind = 'mtls', subject = 'CN=*,O=corp' }", "proof.subject: a subject is a whole distinguished name"),
    ("{ kind = 'mtls', subject = 3 }", "proof.subject: this must be text in quotes. "),
    (
        "{ kind = 'mtls', subject = 'CN=a', spife_id = 'spiffe://a' }",
        "proof.spife_id: the key is unknown. Did you mean 'spiffe_id'",
    ),
    ("{ kind = 'service-account' }", "proof: a service account is known by its namespace or its name"),
    ("{ kind = 'service-account', pod = 'a-*' }", "proof: a service account is known by its namespace or its name"),
    ("{ kind = 'service-account', namespace = '' }", "proof.namespace: the text must not be empty. "),
    ("{ kind = 'service-account', service_account = \"a\\nb\" }", "proof.service_account: a name has 1 to 1024 bytes"),
    ("{ kind = 'unix' }", "proof: any user would do. Write 'uid', 'gid' or both"),
    ("{ kind = 'unix', uid = -1 }", "proof.uid: this must be a whole number"),
    ("{ kind = 'unix', gid = 'wheel' }", "proof.gid: this must be a whole number"),
];

#[test]
fn each_mistake_in_a_proof_is_told_once_with_its_remedy() {
    for (proof, expected) in PROOFS {
        assert_told(&instead(PROOF, proof), expected);
    }
    assert_told(&instead(&format!("proof = {PROOF}"), ""), "proof: the key is missing. Write proof = { kind = ");
    let (_, told) = callers(&instead(PROOF, "{ kind = 'header-secret', secret = 'inline' }"));
    let inline = "callers.billing.proof.secret: a secret must not stand in the configuration.";
    let told: Vec<&String> = told.iter().filter(|told| told.starts_with(inline)).collect();
    assert!(told.len() == 1 && told[0].contains("name that with file = \"...\""), "{told:?}");
}

#[test]
fn each_mistake_in_what_a_caller_may_have_is_told_once_with_its_remedy() {
    for (from, to, expected) in [
        ("identities = [\"payroll\"]", "", "identities: the key is missing. List the identities that it may use"),
        ("[\"payroll\"]", "[]", "identities: the list is empty. List the identities that it may use"),
        ("[\"payroll\"]", "['*', 'payroll']", "identities: \"*\" stands beside others. Write it alone"),
        ("[\"payroll\"]", "['pay roll']", "identities[0]: a name has 1 to 64 letters"),
        ("[\"payroll\"]", "3", "identities: this must be a list of texts"),
        ("resources = [\"*\"]", "", "resources: the key is missing. List the resources"),
        ("[\"*\"]", "[]", "resources: the list is empty. List the resources"),
        ("[\"*\"]", "['*', 'a']", "resources: \"*\" stands beside others. Write it alone"),
        ("[\"*\"]", "['a b']", "resources[0]: a resource must not contain blanks"),
        ("[\"*\"]", "['a/.default']", "resources[0]: a resource is written without '/.default'"),
        ("resources", "tenants = []\nresources", "tenants: the list is empty. Name a tenant or its id"),
        ("resources", "tenants = ['a b']\nresources", "tenants[0]: a tenant is a name, a GUID or a domain name"),
        ("resources", "tenants = ['*', 'contoso']\nresources", "tenants: \"*\" stands beside others. Write it alone"),
        ("resources", "fmi_paths = ['a', 'a b']\nresources", "fmi_paths[1]: an fmi_path has 1 to 1024"),
        ("resources", "fmi_paths = ['*']\nresources", "fmi_paths[0]: \"*\" means no path. Write each path"),
        ("resources", "default_identity = 'a b'\nresources", "default_identity: a name has 1 to 64 letters"),
        ("resources", "mode = 'log'\nresources", "mode: a mode is enforce or audit"),
        ("resources", "rate = 0\nresources", "rate: this must be a whole number"),
        ("resources", "rate = '10/s'\nresources", "rate: this must be a whole number"),
        ("resources", "resource = 'x'\nresources", "resource: the key is unknown. Did you mean 'resources'"),
    ] {
        assert_told(&instead(from, to), expected);
    }
    let (_, told) = callers(&instead("[callers.billing]", "[callers.'bill ing']"));
    assert!(told.len() == 1 && told[0].starts_with("callers.bill ing: a name has 1 to 64"), "{told:?}");
}

fn assert_told(text: &str, expected: &str) {
    let (_, told) = callers(text);
    let expected = format!("callers.billing.{expected}");
    assert!(told.len() == 1 && told[0].starts_with(&expected), "{expected:?} expected, told {told:#?}");
    assert!(!told[0].contains("marked-secret") && !told[0].contains("inline"), "{told:?}");
}

#[test]
fn what_a_caller_names_has_to_be_there() {
    assert_eq!(whole(CALLER), [""; 0]);
    for (from, to, expected) in [
        ("[\"payroll\"]", "['payroll', 'nobody']", "callers.billing.identities[1]: there is no such identity"),
        ("resources", "default_identity = 'nobody'\nresources", "callers.billing.default_identity: it is none that"),
        ("resources", "tenants = ['nowhere']\nresources", "callers.billing.tenants[0]: there is no such tenant"),
    ] {
        let told = whole(&instead(from, to));
        assert!(told.len() == 1 && told[0].starts_with(expected), "{expected:?} expected, told {told:#?}");
    }
    let any = instead("[\"payroll\"]", "['*']").replace("resources", "default_identity = 'payroll'\nresources");
    assert_eq!(whole(&any), [""; 0]);
    for tenants in ["['contoso']", "['nowhere.example']", "['72F988BF-86F1-41af-91ab-2d7cd011db47']", "['*']"] {
        assert_eq!(whole(&instead("resources", &format!("tenants = {tenants}\nresources"))), [""; 0], "{tenants}");
    }
}

#[test]
fn callers_have_to_be_told_apart() {
    let second = "{ kind = 'header-secret', secrets = [{ file = '/dev/null' }, { env = 'SECRET' }] }";
    let second = second.replace("{ file = '/dev/null' }, ", "");
    let two =
        |one: &str, other: &str| format!("{}{}", instead(PROOF, one), instead(PROOF, other).replace("billing", "x"));
    for (one, other) in [
        (PROOF, second.as_str()),
        ("{ kind = 'loopback' }", "{ kind = 'loopback' }"),
        ("{ kind = 'mtls', dns_name = 'A.corp' }", "{ kind = 'mtls', dns_name = 'a.corp' }"),
        ("{ kind = 'service-account', namespace = 'a' }", "{ kind = 'service-account', namespace = 'a' }"),
        ("{ kind = 'unix', uid = 1 }", "{ kind = 'unix', uid = 1 }"),
    ] {
        let told = whole(&two(one, other));
        let expected = "callers.x.proof: callers.billing is proved by the same";
        assert!(told.iter().any(|told| told == expected), "{expected:?} expected, told {told:#?}");
    }
    let told = whole(&two("{ kind = 'unix', uid = 1 }", "{ kind = 'unix', gid = 1 }"));
    assert!(!told.iter().any(|told| told.contains("proved by the same")), "the narrower one is meant: {told:?}");
}

#[test]
fn where_callers_are_told_apart_nobody_else_is_let_in() {
    let here = instead(PROOF, "{ kind = 'loopback' }");
    for (server, callers, expected) in [
        (
            "header_secret = [{ env = 'SECRET' }]",
            here.as_str(),
            "server.header_secret: callers are told apart, and whoever",
        ),
        ("allow_unauthenticated = true", CALLER, "server.allow_unauthenticated: callers are told apart, so nobody"),
        (
            "listen = ['0.0.0.0:4141']",
            &here,
            "server.listen: a caller is proved by loopback, and nothing listens there",
        ),
        ("dialects = ['app-service']", &here, "server.dialects: app-service needs a header secret"),
        (
            "proofs = ['loopback']",
            CALLER,
            "server.proofs: a caller is proved by header-secret, which is not in the list",
        ),
        ("proofs = ['header-secret', 'password']", CALLER, "server.proofs[1]: no proof has this name"),
        ("proofs = []", CALLER, "server.proofs: the list is empty"),
        ("proofs = ['header-secret', 'header-secret']", CALLER, "server.proofs[1]: this proof is listed already"),
        ("proofs = ['header-secret']", "", "server.proofs: there are no callers to prove themselves"),
    ] {
        let told = whole(&format!("[server]\n{server}\n{callers}"));
        assert!(told.len() == 1 && told[0].starts_with(expected), "{expected:?} expected, told {told:#?}");
    }
    let off = format!("[server]\nlisten = ['0.0.0.0:4141']\n{CALLER}");
    assert_eq!(whole(&off), [""; 0], "every dialect proves its callers, where they are told apart");
    for none in ["callers = {}", "[callers]"] {
        assert!(whole(none)[0].starts_with("callers: there is none"), "{none}");
    }
    assert!(whole("callers = 3")[0].starts_with("callers: this must be a table"));
    assert!(whole("callers.x = 3")[0].starts_with("callers.x: this must be a table"));
}

#[test]
fn a_caller_with_a_mistake_is_a_caller_all_the_same() {
    let broken = instead("env = \"SECRET\"", "file = 'nowhere'");
    let server =
        "[server]\nlisten = ['0.0.0.0:4141']\ndialects = ['app-service', 'imds']\nproofs = ['header-secret']\n";
    let told = whole(&format!("{server}{broken}"));
    assert!(told.len() == 1 && told[0].starts_with("callers.billing.proof.file: the file cannot be read"), "{told:#?}");
}

#[test]
fn proofs_are_looked_at_strongest_first_or_in_the_order_that_is_written() {
    let order = |server: &str| read(&format!("{server}{CALLER}{GOOD}")).unwrap().server.proofs;
    assert_eq!(order(""), Means::ALL);
    let written = "[server]\nproofs = ['loopback', 'header-secret']\n";
    assert_eq!(order(written), [Means::Loopback, Means::HeaderSecret]);
}

#[test]
fn a_tenant_is_not_called_as_another_ones_id() {
    let two = "[tenants.'72f988bf-86f1-41af-91ab-2d7cd011db47']\nid = 'fabrikam.com'\n";
    let told = whole(two);
    let expected = "tenants.72f988bf-86f1-41af-91ab-2d7cd011db47: its name is the id of tenants.contoso";
    assert_eq!(told, [expected], "a caller that may ask in one of them could have meant the other");
    assert_eq!(whole("[tenants.'fabrikam.com']\nid = 'fabrikam.com'\n"), [""; 0]);
}

#[test]
fn a_secret_that_would_be_taken_for_a_token_is_a_mistake() {
    let directory = tempfile::tempdir().unwrap();
    let pod = "[callers.pod]\nproof = { kind = 'service-account', namespace = 'pay' }\nidentities = ['*']\nresources = ['*']\n";
    let told = |secret: &str, more: &str| {
        std::fs::write(directory.path().join("s"), secret).unwrap();
        let billing = instead(PROOF, "{ kind = 'header-secret', file = 's' }");
        let told = told(read_in(directory.path(), &format!("{billing}{more}{GOOD}"), &[]));
        told.into_iter().filter(|line| line.starts_with("callers.billing")).collect::<Vec<_>>()
    };
    let cluster = format!("{pod}[kubernetes]\nissuer = 'https://c'\naudience = ['a']\njwks_file = 's'\n");
    let expected = "callers.billing.proof: the secret has the shape of a token, and would be verified as that of a service account";
    assert_eq!(told("eyJh.eyJi.c", &cluster), [expected]);
    for (secret, more) in [("eyJh.eyJi.c", ""), ("eyJh.c", &cluster), ("eyJ", &cluster), ("a.b.c", &cluster)] {
        assert_eq!(told(secret, more), [""; 0], "{secret} {more}");
    }
}

#[test]
fn proofs_that_can_be_read_on_the_way_are_warned_of() {
    for (listen, proof, is_warned) in [
        ("0.0.0.0:1", PROOF, true),
        ("[::]:1", PROOF, true),
        ("10.0.0.1:1", PROOF, true),
        ("127.0.0.1:1", PROOF, false),
        ("unix:/tmp/s", PROOF, false),
        ("https://0.0.0.0:1", PROOF, false),
        ("0.0.0.0:1', '127.0.0.1:2", "{ kind = 'loopback' }", false),
    ] {
        let config = read(&format!("[server]\nlisten = ['{listen}']\n{}{GOOD}", instead(PROOF, proof))).unwrap();
        let warned =
            config.warnings.iter().any(|one| one.path == "server.listen" && one.problem.contains("on the way"));
        assert_eq!(warned, is_warned, "{listen} {proof}: {:?}", config.warnings);
    }
}
