//! `bursar env`, and what `bursar dev` has to do with it, as a person at a shell meets them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::process::Command;

use support::{HEADER, Process, TWO_IDENTITIES, bursar, client, directory, out, run, write_config};

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

#[test]
fn env_has_the_lines_of_one_caller_where_callers_are_told_apart() {
    let directory = directory();
    for name in ["billing", "shop"] {
        std::fs::write(directory.path().join(name), format!("secret-of-{name}")).unwrap();
    }
    let caller = |name: &str, proof: &str| {
        format!("[callers.{name}]\nproof = {proof}\nidentities = [\"first\"]\nresources = [\"*\"]\n")
    };
    let callers = [
        caller("billing", "{ kind = \"header-secret\", file = \"billing\" }"),
        caller("shop", "{ kind = \"header-secret\", secrets = [{ file = \"shop\" }] }"),
        caller("pod", "{ kind = \"service-account\", namespace = \"a\", service_account = \"b\" }"),
        "[kubernetes]\nissuer = \"https://cluster\"\naudience = [\"bursar\"]\njwks_file = \"jwks.json\"\n".to_owned(),
    ];
    let jwks = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    std::fs::write(directory.path().join("jwks.json"), jwks).unwrap();
    let config = TWO_IDENTITIES.replacen("header_secret = [{ file = \"header\" }]\n", "", 1);
    let config = config.replace("\"127.0.0.1:0\"]", "\"127.0.0.1:5151\"]") + &callers.concat();
    let config = write_config(directory.path(), &config, "https://login.microsoftonline.com");
    let env = |more: &[&str]| {
        let args = [&["env", "--shell", "dotenv", "--config", config.to_str().unwrap()], more].concat();
        out(&run(&args))
    };
    for name in ["billing", "shop"] {
        let (code, said, _) = env(&["--caller", name]);
        assert!(code == 0 && said.contains(&format!("IDENTITY_HEADER=secret-of-{name}\n")), "{said}");
    }
    for (more, told) in [
        (&[][..], "say whose lines with --caller: billing, pod, shop"),
        (&["--caller", "nobody"], "choose from billing, pod, shop"),
        (&["--caller", "pod"], "put the content of its projected token into IDENTITY_HEADER"),
    ] {
        let (code, _, said) = env(more);
        assert!(code == 64 && said.contains(told), "{said}");
    }
    let (code, _, said) = out(&run(&["env", "--caller", "billing"]));
    assert!(code == 64 && said.contains("name it with --config"), "{said}");
}

/// All that `bursar dev` prints.
fn said_by(dev: &mut Process) -> String {
    let mut text = String::new();
    while !text.contains("curl ") {
        text += &dev.line();
    }
    text
}

/// `bursar dev` on free ports, and the addresses of its listeners, without TLS and with it.
async fn dev_with_tls() -> (Process, String, String) {
    let listen = ["--listen", "127.0.0.1:0", "--listen", "https://127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let mut dev = Process::start(bursar().arg("dev").args(listen));
    let text = said_by(&mut dev);
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
    let (comments, lines): (Vec<&str>, Vec<&str>) = stdout.lines().partition(|line| line.starts_with('#'));
    assert_eq!((code, lines), (0, expected.iter().map(String::as_str).collect()), "{stderr}");
    assert!(comments.concat().contains("not every client speaks service-fabric; these do: "), "{stdout}");
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
    assert!(code == 64 && stderr.contains("go-autorest speaks cloud-shell, and nothing of that is served"), "{stderr}");
    let (code, _, stderr) = out(&run(&["env", config, "--listen", "127.0.0.1:1"]));
    assert!(code == 64 && stderr.contains("cannot be used with"), "{stderr}");
    let (code, imds, _) = out(&run(&["env", "--dialect", "imds"]));
    assert_eq!((code, imds.as_str()), (0, "export AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:4141\n"));
    let (_, packer, _) = out(&run(&["env", "--client", "packer"]));
    assert!(packer.contains("\n# needs 169.254.169.254"), "{packer}");
}

/// A service with a header secret and an https listener that serves these dialects, its key files in `directory`.
fn serving(directory: &Path, dialects: &[&str]) -> String {
    let listen = format!("\"127.0.0.1:5151\", \"https://127.0.0.1:1\"]\ndialects = {dialects:?}");
    let config = TWO_IDENTITIES.replace("\"127.0.0.1:0\"]", &listen);
    let config = format!("{config}[dialects.arc]\nkey_dir = {directory:?}\n");
    write_config(directory, &config, "https://login.microsoftonline.com").to_str().unwrap().to_owned()
}

#[test]
fn env_points_at_the_best_of_what_is_served_and_tells_its_catch() {
    let directory = directory();
    for (dialects, lines, catch) in [
        (
            &["native", "cloud-shell", "arc"][..],
            "IDENTITY_ENDPOINT=http://127.0.0.1:5151/arc/token\nIMDS_ENDPOINT=http://127.0.0.1:5151",
            "the key files in /var/opt/azcmagent/tokens",
        ),
        (
            &["app-service-2017", "cloud-shell"],
            "MSI_ENDPOINT=http://127.0.0.1:5151/oauth2/token",
            "these do: azure-identity-python, azure-identity-node, azure-identity-java",
        ),
        (
            &["app-service-2017"],
            "MSI_ENDPOINT=http://127.0.0.1:5151/msi/token\nMSI_SECRET=the-header-secret",
            "client id alone",
        ),
        (&["imds", "arc"], "AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:5151", ""),
    ] {
        let (code, stdout, stderr) = out(&run(&["env", &serving(directory.path(), dialects), "--shell", "dotenv"]));
        let (comments, set): (Vec<&str>, Vec<&str>) = stdout.lines().partition(|line| line.starts_with('#'));
        assert_eq!((code, set.join("\n").as_str()), (0, lines), "{dialects:?} {stderr}");
        assert!(comments.concat().contains(catch) && comments.is_empty() == catch.is_empty(), "{stdout}");
    }
    // The certificate that its clients pin is known to the running service alone.
    let (code, stdout, stderr) = out(&run(&["env", &serving(directory.path(), &["service-fabric"])]));
    assert!(
        code == 69 && stdout.is_empty() && stderr.contains("https://127.0.0.1:1 cannot be reached"),
        "{code} {stderr}"
    );
    let (code, stdout, stderr) = out(&run(&["env", &serving(directory.path(), &["native"])]));
    let told = "only native is served, and no variable points an SDK at it; add \"imds\" to 'server.dialects', or add \"app-service\" to";
    assert!(code == 64 && stdout.is_empty() && stderr.contains(told), "{code} {stderr}");
}

#[test]
fn env_tells_what_dev_does_not_serve() {
    let directory = directory();
    let keys = directory.path().to_str().unwrap();
    let nowhere = directory.path().join("none");
    let nowhere = nowhere.to_str().unwrap();
    for client in [&["--client", "azidentity"][..], &[]] {
        let env = |args: &[&str]| out(&run(&[&["env"], args, client].concat()));
        let (code, stdout, stderr) = env(&["--listen", "127.0.0.1:1", "--dialect", "service-fabric"]);
        assert!(code == 64 && stdout.is_empty(), "{code} {stdout}");
        assert!(
            stderr.contains("served over https alone") && stderr.contains("--listen https://127.0.0.1:4143"),
            "{stderr}"
        );
        let (code, stdout, stderr) = env(&["--dialect", "arc", "--arc-key-dir", nowhere]);
        assert!(code == 64 && stdout.is_empty(), "{code} {stdout}");
        assert!(
            stderr.contains(&format!("there is no directory {nowhere}")) && stderr.contains("--arc-key-dir"),
            "{stderr}"
        );
        let (code, stdout, stderr) = env(&["--dialect", "arc", "--arc-key-dir", keys]);
        assert!(code == 0 && stdout.contains("export IMDS_ENDPOINT=http://127.0.0.1:4141\n"), "{code} {stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_says_how_env_finds_it() {
    let directory = directory();
    let keys = directory.path().to_str().unwrap();
    let mut dev =
        Process::start(bursar().args(["dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).args([
            "--header-secret",
            "it's mine",
            "--arc-key-dir",
            keys,
        ]));
    let text = said_by(&mut dev);
    assert!(
        text.contains("without    service-fabric: it is served over https alone") && !text.contains("without    arc"),
        "{text}"
    );
    let line = text.lines().find_map(|line| line.trim().strip_prefix("bursar env ")).unwrap();
    let script = format!(
        "eval \"$('{}' env {} --dialect app-service-2017)\"
curl -sSf -H \"secret: $MSI_SECRET\" \"$MSI_ENDPOINT?api-version=2017-09-01&resource=r\"",
        env!("CARGO_BIN_EXE_bursar"),
        line.replace("NAME", "curl")
    );
    let (code, stdout, stderr) = out(&Command::new("bash").args(["-c", &script]).output().unwrap());
    assert!(code == 0 && stdout.contains("\"access_token\":\"ey"), "{script}\n{stdout}{stderr}");
    assert!(line.contains(&format!(" --arc-key-dir={keys} ")), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_env_says_to_do_with_curl_gives_a_token() {
    let (_dev, plain, tls) = dev_with_tls().await;
    for dialect in ["app-service", "imds", "cloud-shell", "app-service-2017"] {
        let args = ["env", "--listen", &plain, "--listen", &tls, "--client", "curl", "--dialect", dialect];
        let (code, lines, stderr) = out(&run(&args));
        assert_eq!(code, 0, "{stderr}");
        let commands = lines.lines().filter_map(|line| line.strip_prefix("# then: ").or(line.strip_prefix("# or: ")));
        let commands: Vec<&str> = commands.collect();
        assert!(!commands.is_empty(), "{lines}");
        for command in commands {
            let script = format!("{lines}\n{command}");
            let (_, stdout, stderr) = out(&Command::new("bash").args(["-c", &script]).output().unwrap());
            assert!(stdout.contains("\"access_token\":\"ey"), "{command}\n{stdout}{stderr}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn further_names_of_dev_take_none_away_from_containers() {
    for further in [None, Some("dev.corp, dev"), Some("")] {
        let mut command = bursar();
        command.args(["dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        command.envs(further.map(|names| ("BURSAR__SERVER__HOSTS", names)));
        let mut dev = Process::start(&mut command);
        let text = said_by(&mut dev);
        let url = text.split_whitespace().find(|word| word.starts_with("http://127.0.0.1:")).unwrap();
        let is_known = further.is_some_and(|names| !names.is_empty());
        for (name, status) in [
            ("host.docker.internal", 200),
            ("host.containers.internal", 200),
            ("dev.corp", if is_known { 200 } else { 400 }),
            ("elsewhere", 400),
        ] {
            let ask = client().get(format!("{url}/token?resource=r")).header("metadata", "true").header("host", name);
            assert_eq!(ask.send().await.unwrap().status(), status, "{further:?} {name}");
        }
    }
}
