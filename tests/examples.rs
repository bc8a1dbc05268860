//! Every example in `config/`, and those of the README and of the first steps, are configurations without mistakes;
//! those of the page about the STS do what they say.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use bursar::clock::Clock;
use bursar::config::Config;
use bursar::sts::Settings;

#[test]
fn every_example_loads() {
    let directory = tempfile::tempdir().unwrap();
    let secrets = directory.path().join("secrets");
    fs::create_dir(&secrets).unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["app".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    for name in ["payroll.pem", "reports.pem", "lab-ca.pem", "listener.pem", "clients-ca.pem"] {
        fs::write(secrets.join(name), format!("{certificate}{}", key.serialize_pem())).unwrap();
    }
    for name in ["client-secret", "header", "header-before"] {
        fs::write(secrets.join(name), "a-secret").unwrap();
    }
    let variables = HashMap::from([("LAB_CLIENT_SECRET".to_owned(), "a-secret".to_owned())]);
    let mut examples: Vec<(String, String)> = fs::read_dir("config").unwrap().map(named_text).collect();
    for page in ["README", "docs/getting-started"] {
        let block = blocks(&format!("{page}.md"), "toml bursar.toml").remove(0);
        examples.push((format!("{}.toml", page.replace('/', "-")), block.replace("/run/secrets/", "secrets/")));
    }
    assert!(examples.len() >= 9);
    let named = examples.iter().flat_map(|(_, text)| text.split("\"secrets/").skip(1));
    for name in named.filter_map(|rest| rest.split('"').next()) {
        let path = secrets.join(name);
        if !path.exists() {
            fs::write(path, format!("secret-of-{name}")).unwrap();
        }
    }
    for (name, text) in examples {
        let copy = directory.path().join(&name);
        fs::write(&copy, text.replace("unix:/run/bursar/", "unix:")).unwrap();
        if let Err(mistakes) = Config::read(Some(&copy), variables.clone(), Clock::System.now()) {
            unreachable!("{name}:\n{mistakes}");
        }
    }
}

/// The blocks of this language on a page.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let page = fs::read_to_string(page).unwrap();
    let opening = format!("```{language}\n");
    page.split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_commands_on_the_page_about_the_sts_run_as_written() {
    let directory = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let blocks = blocks("docs/sts.md", "sh");
    assert!(blocks.len() >= 2);
    let script = format!("set -eu\n{}\nkill %1", blocks.concat().replace("4140", &free.to_string()));
    let programs = Path::new(env!("CARGO_BIN_EXE_bursar")).parent().unwrap().display();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
    let mut command = Command::new("timeout");
    command.args(["60", "bash", "-c", &script]).current_dir(directory.path()).env("PATH", path);
    for (name, _) in std::env::vars().filter(|(name, _)| name.to_lowercase().ends_with("_proxy")) {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    let (said, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{log}");
    assert!(said.contains("\"client_secret\":\"bursar-dev-secret\""), "{said}\n{log}");
    assert!(said.contains("\"access_token\":\"ey"), "{said}\n{log}");
}

#[test]
fn the_settings_on_the_page_about_the_sts_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["app".to_owned()]).unwrap().self_signed(&key).unwrap();
    let settings = directory.path().join("sts.toml");
    fs::write(&settings, &blocks("docs/sts.md", "toml")[0]).unwrap();
    let told = Settings::read(&settings).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(told.contains("app.pem") && told.contains("jwks.json"), "files that are named must be there: {told}");
    fs::write(directory.path().join("app.pem"), certificate.pem()).unwrap();
    fs::write(directory.path().join("jwks.json"), r#"{"keys":[]}"#).unwrap();
    if let Err(error) = Settings::read(&settings) {
        unreachable!("{error}");
    }
}

fn named_text(entry: std::io::Result<fs::DirEntry>) -> (String, String) {
    let path = entry.unwrap().path();
    (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
}
