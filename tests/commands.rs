//! The commands, as a person at a shell meets them.

mod support;

use std::process::Command;

use support::{
    Process, SECRET, TWO_IDENTITIES, World, bursar, client, directory, out, run, start_serve, start_sts, write_config,
};

#[tokio::test(flavor = "multi_thread")]
async fn dev_prints_what_works_when_pasted() {
    let mut dev = Process::start(bursar().args([
        "dev",
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "[::1]:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--header-secret",
        "it's mine",
    ]));
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &String| !line.contains("curl ")) {
        lines.push(dev.line());
    }
    let text = lines.concat();
    for words in [
        "tokens     http://127.0.0.1:",
        "client_id b0b00000-0000-4000-8000-000000000002",
        "authority  http://127.0.0.1:",
    ] {
        assert!(text.contains(words), "{words} is missing in\n{text}");
    }
    // What stands there instead of the pair is a comment.
    let bare = lines.iter().map(|line| line.trim().trim_start_matches("# ")).filter(|line| line.starts_with("export "));
    let exports = bare.collect::<Vec<_>>().join("\n");
    assert!(text.contains("\n  export IDENTITY_ENDPOINT=") && text.contains("\n  # export AZURE_POD_"), "{text}");
    let host = format!(
        "{exports}\ncurl -sSf -H 'Metadata: true' \"$AZURE_POD_IDENTITY_AUTHORITY_HOST/metadata/identity/oauth2/token?api-version=2018-02-01&resource=r\"
curl -sSf -H \"X-IDENTITY-HEADER: $IDENTITY_HEADER\" \"$IDENTITY_ENDPOINT?api-version=2019-08-01&resource=r\""
    );
    for script in [lines.last().unwrap().trim().to_owned(), host] {
        let (code, stdout, stderr) = out(&Command::new("bash").args(["-c", &script]).output().unwrap());
        assert!(code == 0 && stdout.contains("\"access_token\":\"ey"), "{script}\n{stdout}\n{stderr}");
    }
    dev.terminate();
    assert_eq!(dev.ended().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn token_asks_a_service_or_the_authority_itself() {
    let directory = directory();
    let settings = directory.path().join("sts.toml");
    let tls = directory.path().join("tls");
    let (_sts, announced) = start_sts(&["--config", settings.to_str().unwrap(), "--tls-dir", tls.to_str().unwrap()]);
    let config = TWO_IDENTITIES.replace("[tenants.two]", "ca_file = \"tls/ca.pem\"\n[tenants.two]");
    let config = write_config(directory.path(), &config, announced["authority"].as_str().unwrap());
    let (_serve, tokens, _) = start_serve(&config, &[]).await;
    let config = config.to_str().unwrap();
    for origin in [["--endpoint", &tokens], ["--config", config]] {
        let token = |rest: &[&str]| {
            let args = [&["token", "--resource", "https://vault.azure.net"], &origin[..], rest].concat();
            out(&run(&args))
        };
        let (code, json, _) = token(&[]);
        assert!(code == 0 && json.starts_with("{\"access_token\":"), "{json}");
        assert!(token(&["-o", "raw"]).1.starts_with("ey"));
        assert!(
            token(&["-o", "header", "--identity", "second", "--tenant", "one"])
                .1
                .starts_with("Authorization: Bearer ey")
        );
        let (code, stdout, stderr) = token(&["--identity", "nobody"]);
        assert!(code == 64 && stdout.is_empty() && stderr.contains("Identity not found"), "{code} {stderr}");
        // Who holds the configuration may know what else there is; who asks a service may not.
        assert_eq!(stderr.contains("Name one with --identity: first, second."), origin[0] == "--config", "{stderr}");
        assert_eq!(stderr.contains("no configured identity has this name"), origin[0] == "--endpoint", "{stderr}");
        // The second tenant does not trust the STS's certificate, and waiting would not mend that.
        let (code, _, stderr) = token(&["--tenant", "two"]);
        assert!(code == 77 && stderr.contains("For the operator: set the tenant's 'ca_file'"), "{code} {stderr}");
        let hint = "belongs to scopes: leave it out.";
        let scope = ["token", "--resource", "https://vault.azure.net/.default", "--identity", "second"];
        let (code, _, stderr) = out(&run(&[&scope[..], &origin].concat()));
        assert!(code == 77 && stderr.contains(hint), "{code} {stderr}");
        let refused =
            ["token", "--resource", "https://graph.microsoft.com", "--identity", "second", origin[0], origin[1]];
        assert_eq!(out(&run(&refused)).0, 77);
    }
    let (code, _, stderr) = out(&run(&["token", "--resource", "r", "--endpoint", "127.0.0.1:1"]));
    assert!(code == 69 && stderr.contains("is it running there?"), "{code} {stderr}");
    let several = TWO_IDENTITIES.replace("default = true\n", "");
    let several = write_config(directory.path(), &several, "http://127.0.0.1:1");
    let (code, _, stderr) = out(&run(&["token", "--resource", "r", "--config", several.to_str().unwrap()]));
    assert!(code == 64 && stderr.contains("none is the default. Name one with --identity: first, second."), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_asks_the_wrong_listener_says_so() {
    let directory = directory();
    let config = TWO_IDENTITIES.replace("workers = 2", "dialects = [\"app-service\"]");
    let config = write_config(directory.path(), &config, "http://127.0.0.1:1");
    let (_serve, tokens, admin) = start_serve(&config, &[]).await;
    let token = |endpoint: &str| out(&run(&["token", "--resource", "r", "--endpoint", endpoint]));
    let (code, _, stderr) = token(&tokens);
    assert!(code == 64 && stderr.contains("does not serve the native dialect"), "{code} {stderr}");
    let (code, _, stderr) = token(&admin);
    assert!(code == 64 && stderr.contains("the admin listener is there"), "{code} {stderr}");
    let (code, _, stderr) = out(&run(&["probe", &tokens]));
    assert!(code == 69 && stderr.contains("it is no admin listener"), "{code} {stderr}");
    let nothing = client().get(format!("{tokens}/nothing")).send().await.unwrap().text().await.unwrap();
    assert!(nothing.contains("For the caller: ask for a token at /msi/token."), "{nothing}");
}

#[test]
fn dev_says_how_to_choose_another_address() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, stdout, stderr) = out(&run(&["dev", "--listen", &address, "--admin-listen", "127.0.0.1:0"]));
    assert!(code == 69 && stdout.is_empty(), "{code} {stdout}");
    assert!(stderr.contains("cannot listen on") && stderr.contains("--listen and --admin-listen"), "{stderr}");
}

#[test]
fn help_is_plain_text() {
    for command in ["check", "dev", "env", "explain", "probe", "serve", "sts", "token"] {
        let (code, stdout, _) = out(&run(&[command, "--help"]));
        assert!(code == 0 && !stdout.contains('`'), "{stdout}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn probe_tells_readiness_by_its_exit_code() {
    let directory = directory();
    let config = write_config(directory.path(), TWO_IDENTITIES, "http://127.0.0.1:1");
    let (serve, _, admin) = start_serve(&config, &[("BURSAR_SERVER_LISTEN", "127.0.0.1:1")]).await;
    assert!(serve.logged("BURSAR_SERVER_LISTEN: the variable is ignored").await.contains("WARN"));
    let ready = "ready\n  first: idle, tokens: 0\n  second: idle, tokens: 0\n";
    assert_eq!(out(&run(&["probe", &admin])), (0, ready.to_owned(), String::new()));
    assert_eq!(out(&run(&["probe", &format!("{admin}/healthz")])), (0, String::new(), String::new()));
    assert_eq!(out(&run(&["probe", admin.trim_start_matches("http://")])).0, 0, "the scheme goes without saying");
    assert_eq!(out(&run(&["probe", &format!("{admin}/nothing")])).0, 69);
    assert_eq!(out(&run(&["probe", "http://127.0.0.1:1"])).0, 69);
    let by_variable =
        bursar().arg("probe").env("BURSAR__SERVER__ADMIN_LISTEN", admin.trim_start_matches("http://")).output();
    assert_eq!(out(&by_variable.unwrap()).0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn probe_tells_what_is_waited_for() {
    let directory = directory();
    let config = TWO_IDENTITIES.replace("default = true", "default = true\nwarm = [\"https://vault.azure.net\"]");
    let config = write_config(directory.path(), &config, "http://127.0.0.1:1");
    let (_serve, _, admin) = start_serve(&config, &[]).await;
    let (code, stdout, stderr) = out(&run(&["probe", &admin]));
    assert_eq!((code, stdout.as_str()), (69, ""));
    assert!(stderr.starts_with("bursar: not ready: warming\n  first: "), "{stderr}");
    assert!(stderr.contains("\n    https://vault.azure.net: "), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn probe_tells_of_a_configuration_that_was_refused_and_the_service_is_ready() {
    let world = World::start().await;
    world.rewrite(&TWO_IDENTITIES.replace("default = true", "defualt = true")).await;
    let (code, stdout, stderr) = out(&run(&["probe", &world.admin()]));
    assert_eq!((code, stderr.as_str()), (0, ""));
    let told = "ready\n  the configuration that was read at 2027-01-15T08:00:00Z was refused, and the one before it holds:\n    identities.first.defualt:";
    assert!(stdout.starts_with(told), "{stdout}");
    assert!(stdout.ends_with("\n  first: idle, tokens: 0\n  second: idle, tokens: 0\n"), "{stdout}");
}

#[test]
fn check_tells_all_mistakes_on_stdout() {
    let directory = directory();
    let good = write_config(directory.path(), TWO_IDENTITIES, "https://login.microsoftonline.com");
    let (code, stdout, _) = out(&run(&["check", "--config", good.to_str().unwrap()]));
    assert!(code == 0 && stdout.contains("identity first: in one, two, proved by secret"), "{stdout}");
    let bad = TWO_IDENTITIES.replace("client_id", "clientid").replace("default = true", "default = 1");
    let bad = write_config(directory.path(), &bad, "http://login.corp");
    let (code, stdout, _) = out(&run(&["check", "--config", bad.to_str().unwrap()]));
    assert_eq!((code, stdout.lines().count()), (64, 7), "{stdout}");
    let (code, stdout, _) = out(&run(&["check", "--config", "nowhere.toml"]));
    assert!(code == 64 && stdout.starts_with("nowhere.toml: the file cannot be read"), "{stdout}");
    let (code, stdout, _) = out(&run(&["check"]));
    assert!(code == 64 && stdout.contains("AZURE_CLIENT_ID"), "{stdout}");
    let path = write_config(directory.path(), TWO_IDENTITIES, "https://login.microsoftonline.com");
    let mut warned = bursar();
    warned.args(["check", path.to_str().unwrap()]).env("BURSAR_SERVER_LISTEN", "127.0.0.1:1");
    let (code, stdout, _) = out(&warned.output().unwrap());
    let expected = "\nwarning: BURSAR_SERVER_LISTEN: the variable is ignored";
    assert!(code == 0 && stdout.starts_with("no mistakes") && stdout.contains(expected), "{code} {stdout}");
    let (code, stdout, _) = out(&warned.env("BURSAR__SERVER__DRAIN", "5").output().unwrap());
    assert!(
        code == 64 && stdout.starts_with("BURSAR__SERVER__DRAIN: ") && stdout.contains(expected),
        "{code} {stdout}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_takes_the_azure_variables() {
    let (_sts, announced) = start_sts(&[]);
    let text = |key: &str| announced[key].as_str().unwrap().to_owned();
    let mut command = bursar();
    command.arg("serve").envs([
        ("AZURE_CLIENT_ID", text("client_id")),
        ("AZURE_TENANT_ID", text("tenant")),
        ("AZURE_AUTHORITY_HOST", text("authority")),
        ("AZURE_CLIENT_SECRET", text("client_secret")),
        ("BURSAR__SERVER__LISTEN", "127.0.0.1:0".to_owned()),
        ("BURSAR__SERVER__ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
    ]);
    let serve = Process::start(&mut command);
    let line = serve.logged("serving").await;
    let address = line.split("tokens=[").nth(1).unwrap().split(']').next().unwrap();
    let request = client().get(format!("http://{address}/token?resource=r")).header("metadata", "true");
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert!(!serve.log().contains(SECRET));
}

#[test]
fn a_wrong_command_line_is_64_and_help_is_0() {
    for args in [&["--help"][..], &["--version"], &["dev", "--help"], &["token", "--help"]] {
        let (code, stdout, _) = out(&run(args));
        assert!(code == 0 && stdout.contains("ursar"), "{args:?} {stdout}");
    }
    for args in [&[][..], &["nothing"], &["token"], &["serve", "--nothing"], &["dev", "--listen", "nowhere"]] {
        let (code, stdout, stderr) = out(&run(args));
        assert!(code == 64 && stdout.is_empty() && !stderr.is_empty(), "{args:?} {code} {stderr}");
    }
}

#[test]
fn a_file_is_no_service_to_probe() {
    let (code, _, stderr) = out(&run(&["probe", "Cargo.toml"]));
    assert!(code == 64 && stderr.contains("name a configuration with --config"), "{code} {stderr}");
}
