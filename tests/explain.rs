//! `bursar explain`, as an operator meets it: the matrices of the examples, single verdicts, and what a new
//! configuration would change.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "policy/expected.rs"]
#[expect(dead_code, reason = "what is said of requests is for tests/policy.rs")]
mod expected;
mod support;

use std::path::{Path, PathBuf};

use expected::{Cell, EXAMPLES, Example, MIXED, SHARED};
use serde_json::Value;
use support::run;

fn explain(args: &[&str]) -> (i32, String, String) {
    let output = run(&[&["explain"], args].concat());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// An example among its files, with some pieces of its text replaced.
fn written(directory: &Path, example: &Example, name: &str, pieces: &[(&str, &str)]) -> PathBuf {
    let text = pieces.iter().fold(example.text(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// What a sign of the table is in the words of the command.
fn told(cell: &Cell) -> (&'static str, String) {
    let (section, key) = match cell.sign {
        '+' => return ("admitted", format!("callers.{}", cell.caller)),
        '~' => return ("audited", format!("callers.{}", cell.caller)),
        'i' => ("callers", "identities"),
        't' => ("callers", "tenants"),
        'r' => ("callers", "resources"),
        'f' => ("callers", "fmi_paths"),
        'T' => ("identities", "tenants"),
        'R' => ("identities", "resources"),
        'F' => ("identities", "fmi_paths"),
        sign => unreachable!("{sign}"),
    };
    let name = if section == "callers" { cell.caller } else { cell.identity };
    ("refused", format!("{section}.{name}.{key}"))
}

#[test]
fn the_whole_matrix_is_the_one_that_was_written_by_hand() {
    for example in EXAMPLES {
        let directory = example.directory();
        let path = directory.path().join(example.file);
        let (code, stdout, stderr) = explain(&["--config", path.to_str().unwrap(), "-o", "json"]);
        assert!(code == 0 && stderr.is_empty(), "{code} {stderr}");
        let shown: Vec<Value> = serde_json::from_str(&stdout).unwrap();
        let cells = example.cells();
        assert_eq!(shown.len(), cells.len(), "{}", example.file);
        for cell in cells {
            let tenant = match cell.tenant {
                "guest" => Example::meant(example.tenants, "guest"),
                "any" => "(other)",
                name => name,
            };
            let resource = match cell.resource {
                "other" => "(other)",
                name => Example::meant(example.resources, name),
            };
            let is_it = |shown: &&Value| {
                shown["caller"] == cell.caller
                    && shown["identity"] == cell.identity
                    && shown["tenant"] == tenant
                    && shown["resource"] == resource
                    && shown["fmi_path"].as_str() == cell.fmi_path
            };
            let shown = shown.iter().find(is_it).unwrap();
            let (verdict, rule) = told(&cell);
            let is_named = shown["rule"].as_str().unwrap().starts_with(&rule);
            assert!(shown["verdict"] == verdict && is_named, "{cell:?}: {shown}");
            assert_eq!(shown["reason"].is_string(), verdict != "admitted", "{shown}");
        }
    }
}

#[test]
fn as_text_it_says_the_same_in_few_rows() {
    let directory = SHARED.directory();
    let path = directory.path().join(SHARED.file);
    let (code, stdout, _) = explain(&[path.to_str().unwrap()]);
    let expected = "\
CALLER     IDENTITY  TENANT    RESOURCE                     VERDICT   RULE
billing    payroll   contoso   https://vault.azure.net      admitted  callers.billing
billing    payroll   contoso   (other)                      refused   callers.billing.resources
billing    payroll   fabrikam  *                            refused   callers.billing.tenants
billing    reports   *         *                            refused   callers.billing.identities
people     payroll   *         https://graph.microsoft.com  admitted  callers.people
people     payroll   *         (other)                      refused   callers.people.resources
people     reports   *         *                            refused   callers.people.identities
warehouse  payroll   *         https://vault.azure.net      admitted  callers.warehouse
warehouse  payroll   *         https://storage.azure.com    refused   identities.payroll.resources
warehouse  payroll   *         (other)                      refused   callers.warehouse.resources
warehouse  reports   contoso   https://vault.azure.net      refused   identities.reports.resources
warehouse  reports   contoso   https://storage.azure.com    admitted  callers.warehouse
warehouse  reports   contoso   (other)                      refused   callers.warehouse.resources
warehouse  reports   fabrikam  *                            refused   identities.reports.tenants

*: whatever is asked for there
(other): whatever stands in no other row there
";
    assert_eq!((code, stdout.as_str()), (0, expected));
    assert!(stdout.lines().all(|line| line.len() <= 100));
    let path = written(directory.path(), &SHARED, "narrow.toml", &[]);
    let (_, narrowed, _) = explain(&[path.to_str().unwrap(), "--caller", "billing", "--tenant", "fabrikam"]);
    let rows: Vec<&str> = narrowed.lines().skip(1).take_while(|line| !line.is_empty()).collect();
    assert!(
        rows.len() == 2 && rows.iter().all(|row| row.contains("fabrikam") && row.contains("refused")),
        "{narrowed}"
    );
}

#[test]
fn one_question_is_asked_as_a_workload_would() {
    let directory = MIXED.directory();
    let path = directory.path().join(MIXED.file);
    let path = path.to_str().unwrap();
    let vault = ["--resource", "https://vault.azure.net"];
    for (args, code, row) in [
        (
            &["--caller", "operators"][..],
            0,
            "operators platform contoso https://vault.azure.net admitted callers.operators",
        ),
        (
            &["--caller", "agents"],
            77,
            "agents (default) (default) https://vault.azure.net refused callers.agents.resources",
        ),
        (
            &["--caller", "customers"],
            77,
            "customers (default) (default) https://vault.azure.net refused callers.customers.tenants",
        ),
        (
            &["--caller", "customers", "--tenant", "fabrikam"],
            0,
            "customers tenant-bot fabrikam https://vault.azure.net admitted callers.customers",
        ),
        (
            &["--caller", "customers", "--identity", "platform", "--tenant", "66666666-2222-3333-4444-555555555555"],
            0,
            "customers platform 66666666-2222-3333-4444-555555555555 https://vault.azure.net admitted callers.customers",
        ),
        (
            &["--caller", "operators", "--tenant", "88888888-2222-3333-4444-555555555555"],
            0,
            "operators platform 88888888-2222-3333-4444-555555555555 https://vault.azure.net admitted callers.operators",
        ),
        (
            &["--caller", "newcomer", "--identity", "platform"],
            0,
            "newcomer platform contoso https://vault.azure.net audited callers.newcomer.identities",
        ),
        (
            &["--caller", "operators", "--fmi-path", "agents/triage"],
            77,
            "operators (default) (default) https://vault.azure.net agents/triage refused callers.operators.fmi_paths",
        ),
    ] {
        let (got, stdout, stderr) = explain(&[&[path], &vault[..], args].concat());
        let shown = stdout.lines().nth(1).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!((got, shown.as_str()), (code, row), "{args:?}: {stdout}{stderr}");
        assert_eq!(stdout.contains("\nThe reason: the "), !row.contains(" admitted "), "{stdout}");
        assert!(stderr.is_empty(), "{stderr}");
    }
    let (code, everybody, _) = explain(&[&[path], &vault[..]].concat());
    assert!(code == 0 && everybody.lines().filter(|line| line.contains("https://vault")).count() == 4, "{everybody}");
    let (code, slash, _) = explain(&[path, "--resource", "https://vault.azure.net//", "--caller", "newcomer"]);
    assert!(code == 77 && slash.contains("https://vault.azure.net//  refused"), "{slash}");
}

#[test]
fn what_is_not_there_is_a_mistake_and_the_operator_is_told_what_is() {
    let directory = MIXED.directory();
    let path = directory.path().join(MIXED.file);
    let path = path.to_str().unwrap();
    for (args, words) in [
        (&["--caller", "nobody"][..], "Name one with --caller: agents, customers, newcomer, operators."),
        (&["--identity", "nobody"], "Name one with --identity: blueprint, platform, tenant-bot."),
        (&["--tenant", "nowhere"], "Name one with --tenant: contoso, fabrikam."),
        (&["--resource", "a b"], "a resource must not contain blanks"),
        (&["--fmi-path", "a b"], "an fmi_path has 1 to 1024 visible"),
        (&["--config", "other.toml"], "cannot be used with"),
        (&["--against", "nowhere.toml"], "nowhere.toml has mistakes, and nothing was compared with it"),
    ] {
        let (code, stdout, stderr) = explain(&[&[path], args].concat());
        assert!(code == 64 && stdout.is_empty() && stderr.contains(words), "{args:?}: {code} {stdout}{stderr}");
    }
}

#[test]
fn where_callers_are_not_told_apart_it_says_so() {
    let directory = SHARED.directory();
    let text = SHARED.text();
    let (before, _) = text.split_once("[callers.billing]").unwrap();
    let open = directory.path().join("open.toml");
    let header = "header_secret = [{ file = \"secrets/billing\" }]\ndialects = ";
    std::fs::write(&open, before.replace("dialects = ", header)).unwrap();
    let open = open.to_str().unwrap();
    let (code, stdout, _) = explain(&[open]);
    assert!(code == 0 && stdout.contains("\nanyone  payroll   *         https://vault.azure.net"), "{stdout}");
    assert!(stdout.contains("anyone: callers are not told apart; whoever passes"), "{stdout}");
    let (code, _, stderr) = explain(&[open, "--caller", "billing"]);
    assert!(code == 64 && stderr.contains("does not tell callers apart"), "{stderr}");
    // Telling them apart takes from each what is not its own, and from everybody else all there is.
    let path = directory.path().join(SHARED.file);
    let (code, stdout, _) = explain(&[path.to_str().unwrap(), "--against", open]);
    let rows: Vec<String> = stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for row in [
        "anyone payroll * https://vault.azure.net loses callers",
        "billing payroll contoso https://graph.microsoft.com loses callers.billing.resources",
        "billing payroll fabrikam https://vault.azure.net loses callers.billing.tenants",
        "billing reports contoso https://storage.azure.com loses callers.billing.identities",
    ] {
        assert!(rows.iter().any(|held| held == row), "{row} is missing in\n{stdout}");
    }
    assert!(code == 0 && !stdout.contains("gains"), "{stdout}");
}

#[test]
fn two_configurations_are_compared_by_the_tokens_that_they_pay_out() {
    let directory = MIXED.directory();
    let old = written(directory.path(), &MIXED, "old.toml", &[]);
    let same = [
        ("[identities.platform]", "[identities.base]"),
        ("\"platform\", \"tenant-bot\"", "\"base\", \"tenant-bot\""),
        ("[tenants.fabrikam]", "[tenants.fab]"),
        ("\"fabrikam\"", "\"fab\""),
        ("default_identity = \"tenant-bot\"", "default_identity = \"base\""),
    ];
    let compare = |pieces: &[(&str, &str)], args: &[&str]| {
        let new = written(directory.path(), &MIXED, "new.toml", pieces);
        let compared = [new.to_str().unwrap(), "--against", old.to_str().unwrap()];
        let (code, stdout, stderr) = explain(&[&compared[..], args].concat());
        assert!(code == 0 && stderr.is_empty(), "{code} {stderr}");
        stdout
    };
    assert_eq!(compare(&same, &[]), "nobody gains and nobody loses anything\n", "names are no tokens");
    assert_eq!(compare(&same, &["-o", "json"]), "[]\n");

    let changed = [
        &same[..],
        &[
            ("mode = \"audit\"", ""),
            ("fmi_paths = [\"agents/triage\"]", "fmi_paths = [\"agents/triage\", \"agents/summary\"]"),
            ("66666666-2222-3333-4444-555555555555", "88888888-2222-3333-4444-555555555555"),
        ],
    ];
    let stdout = compare(&changed.concat(), &[]);
    let expected = "\
CALLER     IDENTITY             TENANT                                RESOURCE                    FMI_PATH        VERDICT  RULE
agents     blueprint            contoso                               api://AzureADTokenExchange  agents/summary  gains    callers.agents
customers  base (was platform)  88888888-2222-3333-4444-555555555555  https://vault.azure.net     -               gains    callers.customers
customers  base (was platform)  66666666-2222-3333-4444-555555555555  https://vault.azure.net     -               loses    callers.customers.tenants
newcomer   base (was platform)  *                                     *                           -               loses    callers.newcomer.identities
newcomer   blueprint            contoso                               api://AzureADTokenExchange  *               loses    callers.newcomer.identities

*: whatever is asked for there
";
    assert_eq!(stdout, expected);
    let narrowed = compare(&changed.concat(), &["--identity", "platform", "--caller", "customers", "-o", "json"]);
    let narrowed: Vec<Value> = serde_json::from_str(&narrowed).unwrap();
    let verdicts: Vec<&str> = narrowed.iter().map(|cell| cell["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["gains", "loses"], "{narrowed:?}");

    // Another application under the same name is another token.
    let other = compare(&[("11111111-2222-3333-4444-555555555555", "12121212-2222-3333-4444-555555555555")], &[]);
    assert!(other.contains("operators  platform") && other.contains("gains") && other.contains("loses"), "{other}");
}

#[test]
fn who_is_known_by_something_else_is_told_and_no_secret_is() {
    let directory = MIXED.directory();
    std::fs::write(directory.path().join("secrets/moved"), "a-secret-of-agents").unwrap();
    let secret = |name: &str| format!("{{ kind = \"header-secret\", file = \"secrets/{name}\" }}");
    let listen = ("[\"127.0.0.1:4141\"]", "[\"127.0.0.1:4141\", \"unix:socket\"]");
    let old = written(directory.path(), &MIXED, "old.toml", &[listen]);
    let pieces = [
        (&*secret("operators"), "{ kind = \"unix\", uid = 7, gid = 8 }"),
        (&*secret("newcomer"), "{ kind = \"loopback\" }"),
        (&*secret("agents"), &*secret("moved")),
        listen,
    ];
    let new = written(directory.path(), &MIXED, "new.toml", &pieces);
    let place =
        |name: &str| format!("header-secret with file {}", directory.path().join("secrets").join(name).display());
    let compare = |args: &[&str]| {
        let compared = [new.to_str().unwrap(), "--against", old.to_str().unwrap()];
        let (code, stdout, _) = explain(&[&compared[..], args].concat());
        assert!(code == 0 && !stdout.contains("secret-of"), "{code} {stdout}");
        stdout
    };
    let expected = format!(
        "nobody gains and nobody loses anything\n\
         callers.agents is known by {} instead of {}\n\
         callers.newcomer is known by loopback instead of {}\n\
         callers.operators is known by unix with uid 7, gid 8 instead of {}\n",
        place("moved"),
        place("agents"),
        place("newcomer"),
        place("operators"),
    );
    assert_eq!(compare(&[]), expected);
    let told: Value = serde_json::from_str(&compare(&["--caller", "newcomer", "-o", "json"])).unwrap();
    let change = serde_json::json!({ "caller": "newcomer", "proof": "loopback", "instead_of": place("newcomer") });
    assert_eq!(told, serde_json::json!([change]));
}

#[test]
fn the_same_account_of_another_cluster_is_somebody_else() {
    let directory = MIXED.directory();
    let of = |name: &str, cluster: &str| {
        let cluster = format!("[kubernetes]\n{cluster}\n\n[identities.platform]");
        let account = "{ kind = \"service-account\", namespace = \"pay\" }";
        let pieces = [
            ("{ kind = \"header-secret\", file = \"secrets/operators\" }", account),
            ("[identities.platform]", &*cluster),
        ];
        written(directory.path(), &MIXED, name, &pieces)
    };
    let first = "issuer = \"https://one\"\naudience = [\"api://bursar\", \"b\"]\njwks_url = \"https://one/jwks\"";
    let old = of("old.toml", first);
    let known =
        |issuer: &str, rest: &str| format!("service-account with namespace pay, issuer {issuer}, audience {rest}");
    let before = known("https://one", "api://bursar or b, jwks_url https://one/jwks");
    for (cluster, after) in [
        (first.replace("\"api://bursar\", \"b\"", "\"b\", \"api://bursar\""), None),
        (
            first.replace("//one\"", "//two\""),
            Some(known("https://two", "api://bursar or b, jwks_url https://one/jwks")),
        ),
        (first.replace(", \"b\"", ""), Some(known("https://one", "api://bursar, jwks_url https://one/jwks"))),
        (
            first.replace("jwks_url = \"https://one/jwks\"", "api_server = \"https://two\"\ntoken_review = true"),
            Some(known(
                "https://one",
                "api://bursar or b, token_review https://two/apis/authentication.k8s.io/v1/tokenreviews",
            )),
        ),
        (
            format!("{first}\nlegacy_tokens = true"),
            Some(known("https://one", "api://bursar or b, jwks_url https://one/jwks, legacy_tokens true")),
        ),
    ] {
        let new = of("new.toml", &cluster);
        let (code, stdout, _) = explain(&[new.to_str().unwrap(), "--against", old.to_str().unwrap()]);
        let change = after.map(|after| format!("callers.operators is known by {after} instead of {before}\n"));
        let expected = format!("nobody gains and nobody loses anything\n{}", change.unwrap_or_default());
        assert_eq!((code, stdout), (0, expected), "{cluster}");
    }
}
