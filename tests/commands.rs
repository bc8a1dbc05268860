//! The commands, as a person at a shell meets them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::{Command, Output};

use support::{
    HEADER, Process, SECRET, TWO_IDENTITIES, bursar, client, directory, run, start_serve, start_sts, write_config,
};

fn out(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

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
    assert_eq!(out(&run(&["probe", &admin])).0, 0);
    assert_eq!(out(&run(&["probe", admin.trim_start_matches("http://")])).0, 0, "the scheme goes without saying");
    assert_eq!(out(&run(&["probe", &format!("{admin}/nothing")])).0, 69);
    assert_eq!(out(&run(&["probe", "http://127.0.0.1:1"])).0, 69);
    let by_variable =
        bursar().arg("probe").env("BURSAR__SERVER__ADMIN_LISTEN", admin.trim_start_matches("http://")).output();
    assert_eq!(out(&by_variable.unwrap()).0, 0);
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

#[test]
fn env_prints_lines_that_a_shell_understands() {
    let directory = directory();
    let config = TWO_IDENTITIES.replace("\"127.0.0.1:0\"]", "\"127.0.0.1:5151\"]");
    let config = write_config(directory.path(), &config, "https://login.microsoftonline.com");
    let config = config.to_str().unwrap();
    let (code, bash, _) = out(&run(&["env", "--config", config]));
    assert!(code == 0 && !bash.contains(HEADER), "the secret is read when the line runs:\n{bash}");
    let script = format!("{bash}\necho \"$IDENTITY_ENDPOINT $IDENTITY_HEADER $AZURE_POD_IDENTITY_AUTHORITY_HOST\"");
    let mut shell = Command::new("bash");
    let shell = shell.args(["-c", &script]).env_remove("AZURE_POD_IDENTITY_AUTHORITY_HOST");
    let (_, echoed, _) = out(&shell.output().unwrap());
    assert_eq!(echoed.trim(), format!("http://127.0.0.1:5151/msi/token {HEADER}"), "the pair goes alone");
    assert!(bash.contains("\n# export AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:5151\n"), "{bash}");
    for shell in ["sh", "zsh"] {
        assert_eq!(out(&run(&["env", config, "--shell", shell])).1, bash);
    }
    let (_, dotenv, _) = out(&run(&["env", "--config", config, "--shell", "dotenv"]));
    assert!(dotenv.contains(&format!("IDENTITY_HEADER={HEADER}\n")), "{dotenv}");
    let (_, dev, _) = out(&run(&["env"]));
    assert!(dev.contains("export IDENTITY_ENDPOINT=http://127.0.0.1:4141/msi/token"), "{dev}");
}

/// `bursar dev` on free ports, and the addresses of its listeners, without TLS and with it.
async fn dev_with_tls() -> (Process, String, String) {
    let listen = ["--listen", "127.0.0.1:0", "--listen", "https://127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let mut dev = Process::start(bursar().arg("dev").args(listen));
    let mut text = String::new();
    while !text.contains("curl ") {
        text += &dev.line();
    }
    let line = text.lines().find(|line| line.trim().starts_with("tokens ")).unwrap();
    let urls: Vec<&str> = line.split_whitespace().skip(1).collect();
    let plain = urls[0].strip_prefix("http://").unwrap().to_owned();
    assert!(text.contains(&format!("bursar env --listen {plain} --listen {} --client NAME", urls[1])), "{text}");
    (dev, plain, urls[1].to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn env_prints_the_thumbprint_of_the_certificate_that_is_shown() {
    let (_dev, plain, tls) = dev_with_tls().await;
    let http = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).tls_info(true).build();
    let answer = http.unwrap().get(&tls).send().await.unwrap();
    let leaf = answer.extensions().get::<reqwest::tls::TlsInfo>().unwrap().peer_certificate().unwrap().to_vec();
    let args = ["env", "--listen", &plain, "--listen", &tls, "--shell", "dotenv", "--dialect", "service-fabric"];
    let (code, stdout, stderr) = out(&run(&args));
    let expected = [
        format!("IDENTITY_ENDPOINT={tls}/fabric/token"),
        "IDENTITY_HEADER=bursar-dev-header".to_owned(),
        format!("IDENTITY_SERVER_THUMBPRINT={}", bursar::server::tls::thumbprint(&leaf)),
    ];
    assert_eq!(
        (code, stdout.lines().collect::<Vec<_>>()),
        (0, expected.iter().map(String::as_str).collect()),
        "{stderr}"
    );
    // Where nothing listens there is no certificate, and with one in the configuration nobody is asked.
    let (code, _, stderr) = out(&run(&["env", "--listen", "https://127.0.0.1:1", "--dialect", "service-fabric"]));
    assert!(code == 69 && stderr.contains("start the service"), "{code} {stderr}");
    let directory = directory();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(directory.path().join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(directory.path().join("key.pem"), key.serialize_pem()).unwrap();
    let listen =
        "\"https://127.0.0.1:1\"]\ntls = { cert = \"cert.pem\", key = \"key.pem\" }\ndialects = [\"service-fabric\"]";
    let config = TWO_IDENTITIES.replace("\"127.0.0.1:0\"]", listen);
    let config = write_config(directory.path(), &config, "https://login.microsoftonline.com");
    let (code, stdout, stderr) = out(&run(&["env", config.to_str().unwrap(), "--client", "azure-identity-python"]));
    let line = format!("export IDENTITY_SERVER_THUMBPRINT={}\n", bursar::server::tls::thumbprint(certificate.der()));
    assert!(code == 0 && stdout.contains(&line), "{stdout}{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_env_prints_for_a_client_works_in_a_shell_full_of_strays() {
    let (_dev, plain, tls) = dev_with_tls().await;
    let env = format!("\"$BURSAR\" env --listen {plain} --listen {tls} --client");
    let script = format!(
        "eval \"$({env} azure-identity-python)\"
echo \"${{MSI_ENDPOINT-none}} ${{IMDS_ENDPOINT-none}} ${{AZURE_FEDERATED_TOKEN_FILE-none}} $NO_PROXY\"
curl -sSf -H \"X-IDENTITY-HEADER: $IDENTITY_HEADER\" \"$IDENTITY_ENDPOINT?api-version=2019-08-01&resource=r\"
echo
eval \"$({env} terraform)\"
echo $ARM_USE_MSI
curl -sSf -H 'Metadata: true' \"$ARM_MSI_ENDPOINT?api-version=2018-02-01&resource=r\""
    );
    let mut shell = Command::new("bash");
    shell
        .args(["-c", &script])
        .env("BURSAR", env!("CARGO_BIN_EXE_bursar"))
        .env("NO_PROXY", ".corp")
        .env_remove("no_proxy");
    shell.envs([("MSI_ENDPOINT", "stray"), ("IMDS_ENDPOINT", "stray"), ("AZURE_FEDERATED_TOKEN_FILE", "stray")]);
    let (code, stdout, stderr) = out(&shell.output().unwrap());
    let lines: Vec<&str> = stdout.lines().collect();
    assert!(code == 0 && lines.len() == 4, "{stdout}{stderr}");
    assert_eq!(lines[0], "none none none 127.0.0.1,localhost,169.254.169.254,.corp");
    assert_eq!(lines[2], "true");
    assert!([lines[1], lines[3]].iter().all(|line| line.contains("\"access_token\":\"ey")), "{stdout}");
}

#[test]
fn env_knows_its_dialects_and_clients() {
    let directory = directory();
    let config = write_config(directory.path(), TWO_IDENTITIES, "https://login.microsoftonline.com");
    let config = config.to_str().unwrap();
    let (code, list, _) = out(&run(&["env", "--client", "list"]));
    assert!(code == 0 && list.lines().any(|line| line.starts_with("terraform ")), "{list}");
    for (args, code, told) in [
        (&["--client", "nobody"][..], 64, "vault-agent"),
        (&["--dialect", "nothing"], 64, "app-service-2017"),
        (&["--dialect", "native"], 64, "no variable points an SDK at native"),
        (&["--client", "azidentity", "--dialect", "imds"], 64, "does not speak imds"),
        (&["--listen", "nowhere"], 64, "such as 127.0.0.1:4141"),
    ] {
        let (got, stdout, stderr) = out(&run(&[&["env"], args].concat()));
        assert!(got == code && stdout.is_empty() && stderr.contains(told), "{args:?}: {got} {stdout}{stderr}");
    }
    let (code, _, stderr) = out(&run(&["env", config, "--dialect", "arc"]));
    assert!(code == 64 && stderr.contains("arc is not served"), "{stderr}");
    let (code, _, stderr) = out(&run(&["env", config, "--client", "go-autorest"]));
    assert!(code == 64 && stderr.contains("speaks cloud-shell; add one of them"), "{stderr}");
    let (code, _, stderr) = out(&run(&["env", config, "--listen", "127.0.0.1:1"]));
    assert!(code == 64 && stderr.contains("cannot be used with"), "{stderr}");
    let (code, imds, _) = out(&run(&["env", "--dialect", "imds"]));
    assert_eq!((code, imds.as_str()), (0, "export AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:4141\n"));
    let (_, packer, _) = out(&run(&["env", "--client", "packer"]));
    assert!(packer.contains("\n# needs 169.254.169.254"), "{packer}");
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
