//! The cluster that callers are in.

use super::super::kubernetes::{self, Kubernetes};
use super::*;
use crate::cluster::Warrant;
use crate::cluster::endpoint::Service;
use crate::cluster::keys::Origin;

const ISSUER: &str = "issuer = 'https://kubernetes.default.svc'\naudience = ['api://bursar']\n";

/// What is read of a section in a pod whose files are in `directory`, and the mistakes and warnings.
fn within(directory: &Path, section: &str) -> (Option<Kubernetes>, Vec<String>, Vec<String>) {
    let report = Report::default();
    let variables = HashMap::new();
    let written = file::parse("t", section, FileFormat::Toml, directory.to_owned(), HashMap::new(), &report).unwrap();
    let surroundings = Surroundings { base: directory, variables: &variables, system: &System::default(), now: NOW };
    let read = kubernetes::read(
        Section::new("kubernetes".to_owned(), written.tree.clone(), kubernetes::KEYS, &report),
        surroundings,
        &directory.join("pod"),
    );
    let Mistakes { mistakes, warnings } = report.into();
    let told = |all: Vec<Mistake>| all.into_iter().map(|one| format!("{}: {}", one.path, one.problem)).collect();
    (read, told(mistakes), told(warnings))
}

/// A directory with a key set, and one with what a pod has.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["ca".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    std::fs::create_dir(directory.path().join("pod")).unwrap();
    for (name, text) in [
        ("pod/token", "the.pods.token"),
        ("pod/ca.crt", &certificate),
        ("ca.pem", &certificate),
        ("own", "another.token.x"),
        ("jwks.json", r#"{"keys":[{"kty":"RSA","kid":"one","n":"AQAB","e":"AQAB"}]}"#),
        ("empty.json", r#"{"keys":[]}"#),
    ] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

#[test]
fn a_pod_knows_its_cluster_and_shows_its_token_to_no_other() {
    let directory = directory();
    for (section, service, url, token) in [
        ("", Service::Keys, "https://kubernetes.default.svc/openid/v1/jwks", Some("pod/token")),
        (
            "token_review = true",
            Service::Review,
            "https://kubernetes.default.svc/apis/authentication.k8s.io/v1/tokenreviews",
            Some("pod/token"),
        ),
        (
            "jwks_url = 'https://oidc.example/a?b=c'\nca_file = 'ca.pem'",
            Service::Keys,
            "https://oidc.example/a?b=c",
            None,
        ),
        (
            "jwks_url = 'https://kubernetes.default.svc.evil.example/'",
            Service::Keys,
            "https://kubernetes.default.svc.evil.example/",
            None,
        ),
        (
            "jwks_url = 'http://127.0.0.1:8001/'\ntoken_file = 'own'",
            Service::Keys,
            "http://127.0.0.1:8001/",
            Some("own"),
        ),
        (
            "token_review = true\napi_server = 'https://rancher.example/k8s/clusters/c-1/'",
            Service::Review,
            "https://rancher.example/k8s/clusters/c-1/apis/authentication.k8s.io/v1/tokenreviews",
            None,
        ),
    ] {
        let (read, mistakes, warnings) = within(directory.path(), &format!("{ISSUER}{section}"));
        assert_eq!((mistakes, warnings), (vec![], vec![]), "{section}");
        let settings = read.unwrap().settings;
        let (Warrant::Keys(Origin::Url(endpoint)) | Warrant::Review(endpoint)) = settings.warrant else {
            panic!("{section}: {:?}", settings.warrant)
        };
        assert_eq!((endpoint.service, endpoint.url.as_str()), (service, url), "{section}");
        assert_eq!(endpoint.token_file, token.map(|token| directory.path().join(token)), "{section}");
    }
}

#[test]
fn the_rules_are_as_written() {
    let directory = directory();
    let (read, mistakes, _) =
        within(directory.path(), "issuer = 'x'\naudience = ['a', 'b']\njwks_file = 'jwks.json'\nlegacy_tokens = true");
    assert_eq!(mistakes, [""; 0]);
    let settings = read.unwrap().settings;
    assert_eq!((settings.rules.issuer.as_str(), settings.rules.legacy), ("x", true));
    assert_eq!(settings.rules.audiences, ["a", "b"]);
    assert!(
        matches!(settings.warrant, Warrant::Keys(Origin::File(path)) if path == directory.path().join("jwks.json"))
    );
}

#[test]
fn each_mistake_is_told() {
    let directory = directory();
    for (section, expected) in [
        ("jwks_file = 'jwks.json'\njwks_url = 'https://x'", "jwks_file: both 'jwks_url' and 'jwks_file' are given"),
        ("jwks_file = 'empty.json'", "jwks_file: there is no RSA or EC key"),
        ("jwks_file = 'ca.pem'", "jwks_file: this is no JSON Web Key Set"),
        ("jwks_file = 'nowhere'", "jwks_file: the file cannot be read"),
        ("jwks_file = 3", "jwks_file: this must be text"),
        ("jwks_url = 'http://cluster.example/'", "jwks_url: this is an https URL"),
        ("jwks_url = 'https://u:p@cluster.example/'", "jwks_url: this is an https URL"),
        ("api_server = 'nonsense'", "api_server: this is an https URL"),
        ("ca_file = 'jwks.json'", "ca_file: the file holds no certificate"),
        ("token_file = ''", "token_file: the text must not be empty"),
        ("token_review = 1", "token_review: this must be true or false"),
        ("legacy_tokens = 'yes'", "legacy_tokens: this must be true or false"),
        ("jkws_file = 'x'", "jkws_file: the key is unknown"),
    ] {
        let (_, mistakes, _) = within(directory.path(), &format!("{ISSUER}{section}"));
        let expected = format!("kubernetes.{expected}");
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(&expected), "{section}: {mistakes:?}");
    }
    for (section, expected) in [
        ("audience = ['a']", "issuer: the key is missing"),
        ("issuer = 'a b'\naudience = ['a']", "issuer: this has no blanks"),
        ("issuer = 'kubernetes/serviceaccount'\naudience = ['a']", "issuer: this is the issuer of legacy tokens"),
        ("issuer = 'x'", "audience: the key is missing"),
        ("issuer = 'x'\naudience = []", "audience: the list is empty"),
        ("issuer = 'x'\naudience = ['a', 'b c']", "audience[1]: this has no blanks"),
    ] {
        let (_, mistakes, _) = within(directory.path(), section);
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(&format!("kubernetes.{expected}")), "{mistakes:?}");
    }
}

#[test]
fn what_is_written_in_vain_is_a_warning() {
    let directory = directory();
    for (section, expected) in [
        ("api_server = 'https://x'", vec!["api_server: the API server is not asked"]),
        ("token_review = true\njwks_url = 'https://x'", vec!["jwks_url: the API server is asked"]),
        ("jwks_file = 'jwks.json'\ntoken_file = 'own'", vec!["token_file: the keys come from a file"]),
        ("token_file = 'later'", vec!["token_file: the file is not there now"]),
    ] {
        let (_, mistakes, warnings) = within(directory.path(), &format!("{ISSUER}{section}"));
        assert_eq!(mistakes, [""; 0], "{section}");
        let fits =
            warnings.iter().zip(&expected).all(|(told, expected)| told.starts_with(&format!("kubernetes.{expected}")));
        assert!(fits && warnings.len() == expected.len(), "{section}: {warnings:?}");
    }
}
