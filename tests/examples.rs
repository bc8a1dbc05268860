//! Every example in `config/` is a configuration without mistakes.

use std::collections::HashMap;
use std::fs;

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
    let mut loaded = 0;
    for example in fs::read_dir("config").unwrap() {
        let example = example.unwrap().path();
        let copy = directory.path().join(example.file_name().unwrap());
        fs::copy(&example, &copy).unwrap();
        if let Err(mistakes) = Config::read(Some(&copy), variables.clone()) {
            unreachable!("{}:\n{mistakes}", example.display());
        }
        loaded += 1;
    }
    assert!(loaded >= 4);
}
