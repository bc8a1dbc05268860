//! Every example in `config/`, and the one in the README, is a configuration without mistakes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::fs;

use bursar::clock::Clock;
use bursar::config::Config;

#[test]
fn every_example_loads() {
    let directory = tempfile::tempdir().unwrap();
    let secrets = directory.path().join("secrets");
    fs::create_dir(&secrets).unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["app".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    for name in ["payroll.pem", "reports.pem", "lab-ca.pem"] {
        fs::write(secrets.join(name), format!("{certificate}{}", key.serialize_pem())).unwrap();
    }
    for name in ["client-secret", "header", "header-before"] {
        fs::write(secrets.join(name), "a-secret").unwrap();
    }
    let variables = HashMap::from([("LAB_CLIENT_SECRET".to_owned(), "a-secret".to_owned())]);
    let mut examples: Vec<(String, String)> = fs::read_dir("config").unwrap().map(named_text).collect();
    let readme = fs::read_to_string("README.md").unwrap();
    let block = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    examples.push(("README.toml".to_owned(), block.replace("/run/secrets/", "secrets/")));
    assert!(examples.len() >= 5);
    for (name, text) in examples {
        let copy = directory.path().join(&name);
        fs::write(&copy, text).unwrap();
        if let Err(mistakes) = Config::read(Some(&copy), variables.clone(), Clock::System.now()) {
            unreachable!("{name}:\n{mistakes}");
        }
    }
}

fn named_text(entry: std::io::Result<fs::DirEntry>) -> (String, String) {
    let path = entry.unwrap().path();
    (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
}
