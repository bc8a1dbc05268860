//! What applications prove themselves with in the tests, and how it is replaced.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{SECRET, STS_SETTINGS, TWO_IDENTITIES, World};

const FIRST: &str = r#"[{ kind = "secret", file = "secret" }]"#;

pub fn with_credentials(credentials: &str) -> String {
    assert!(TWO_IDENTITIES.contains(FIRST));
    TWO_IDENTITIES.replacen(FIRST, credentials, 1)
}

/// A certificate and its key, each as PEM.
pub fn pair() -> (String, String) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["app".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    (certificate, key.serialize_pem())
}

/// Writes a certificate with its key to `app.pem`, and what the STS needs to `public.pem` and `jwks.json`.
pub fn issue(directory: &Path) -> EncodingKey {
    let (certificate, key) = pair();
    std::fs::write(directory.join("app.pem"), format!("{key}{certificate}")).unwrap();
    std::fs::write(directory.join("public.pem"), &certificate).unwrap();
    let signing = EncodingKey::from_rsa_pem(key.as_bytes()).unwrap();
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&signing, Algorithm::RS256).unwrap()).unwrap();
    jwk["kid"] = json!("one");
    std::fs::write(directory.join("jwks.json"), json!({ "keys": [jwk] }).to_string()).unwrap();
    signing
}

/// A federated token that the STS accepts, valid until `expires`.
pub fn assertion(key: &EncodingKey, expires: u64) -> String {
    assertion_named(key, expires, "one")
}

pub fn assertion_named(key: &EncodingKey, expires: u64, jti: &str) -> String {
    let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::RS256) };
    let claims = json!({
        "iss": "https://cluster", "sub": "system:serviceaccount:pay:roll", "aud": "api://AzureADTokenExchange",
        "iat": expires - 3600, "exp": expires, "jti": jti,
    });
    jsonwebtoken::encode(&header, &claims, key).unwrap()
}

/// How the STS knows an application by `public.pem` and by the federated tokens.
pub const PROOFS: &str = r#"
certificates = ["public.pem"]
federated = [{ issuer = "https://cluster", subject = "system:serviceaccount:pay:roll", jwks_file = "jwks.json" }]
"#;

/// A world whose first application is known by a certificate and a federation as well.
pub async fn world(credentials: &str) -> (World, EncodingKey) {
    let directory = super::directory();
    let key = issue(directory.path());
    let secrets = format!("secrets = [\"{SECRET}\"]");
    let settings = STS_SETTINGS.replacen(&secrets, &format!("{secrets}{PROOFS}"), 1);
    std::fs::write(directory.path().join("sts.toml"), settings).unwrap();
    std::fs::write(directory.path().join("wrong"), "wrong-secret").unwrap();
    (World::within(directory, &with_credentials(credentials)).await, key)
}

/// What an exchange was proved with: the same for one credential, another for the next.
pub fn shown(exchange: &Value) -> String {
    let assertion = &exchange["assertion"];
    let (thumbprint, jti) = (&assertion["header"]["x5t#S256"], &assertion["claims"]["jti"]);
    let mut proofs = [thumbprint, &exchange["form"]["client_secret"], jti].into_iter();
    proofs.find_map(Value::as_str).unwrap().to_owned()
}

/// A directory as Kubernetes projects it: the files are links through `..data`, which is swapped.
pub struct Volume(PathBuf);

impl Volume {
    pub fn new(path: PathBuf, files: &[(&str, &str)]) -> Self {
        std::fs::create_dir_all(&path).unwrap();
        let volume = Self(path);
        volume.swap(files);
        for (name, _) in files {
            symlink(format!("..data/{name}"), volume.0.join(name)).unwrap();
        }
        volume
    }

    /// Replaces all files in one step.
    pub fn swap(&self, files: &[(&str, &str)]) {
        let version = format!("..{}", uuid::Uuid::new_v4());
        std::fs::create_dir(self.0.join(&version)).unwrap();
        for (name, text) in files {
            std::fs::write(self.0.join(&version).join(name), text).unwrap();
        }
        symlink(&version, self.0.join("..data_tmp")).unwrap();
        std::fs::rename(self.0.join("..data_tmp"), self.0.join("..data")).unwrap();
    }
}
