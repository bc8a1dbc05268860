//! Credentials that are replaced while two thousand requests a second are served, as children of this process.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bursar::clock::{Clock, Stopwatch};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use support::{start_serve, start_sts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};

const RATE: usize = 2000;
const CONNECTIONS: usize = 16;
/// Ten seconds' worth.
const REQUESTS: usize = 10 * RATE;
const SWAP_EVERY: Duration = Duration::from_secs(1);
const USED_WITHIN: Duration = Duration::from_secs(2);
/// Of so many requests for an identity one has a resource of its own, and with it an exchange.
const COLD_OF: usize = 13;
const GENERATIONS: usize = 3;
const KINDS: [&str; 3] = ["secret", "certificate", "assertion"];

/// The text of a file, and how the journal shows that it was used.
struct Version {
    files: Vec<(&'static str, String)>,
    shown: String,
}

/// A credential in a directory as Kubernetes projects it: the files are links through `..data`, which is swapped.
struct Volume {
    directory: PathBuf,
    versions: Vec<Version>,
}

impl Volume {
    fn new(directory: PathBuf, versions: Vec<Version>) -> Self {
        std::fs::create_dir(&directory).unwrap();
        let volume = Self { directory, versions };
        volume.swap(0);
        for (name, _) in &volume.versions[0].files {
            symlink(Path::new("..data").join(name), volume.directory.join(name)).unwrap();
        }
        volume
    }

    fn swap(&self, generation: usize) {
        let version = format!("..version_{generation}");
        std::fs::create_dir(self.directory.join(&version)).unwrap();
        for (name, text) in &self.versions[generation].files {
            std::fs::write(self.directory.join(&version).join(name), text).unwrap();
        }
        symlink(&version, self.directory.join("..data_tmp")).unwrap();
        std::fs::rename(self.directory.join("..data_tmp"), self.directory.join("..data")).unwrap();
    }
}

/// A volume for each kind of credential, and what an authority has to know of all their versions.
fn volumes(directory: &Path) -> HashMap<&'static str, Volume> {
    let signing = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let signing = EncodingKey::from_rsa_pem(signing.serialize_pem().as_bytes()).unwrap();
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&signing, Algorithm::RS256).unwrap()).unwrap();
    jwk["kid"] = json!("cluster");
    std::fs::write(directory.join("jwks.json"), json!({ "keys": [jwk] }).to_string()).unwrap();
    let volume = |kind: &'static str, version: &dyn Fn(usize) -> Version| {
        (kind, Volume::new(directory.join(kind), (0..GENERATIONS).map(version).collect()))
    };
    HashMap::from([
        volume("secret", &secret),
        volume("certificate", &|generation| certificate(directory, generation)),
        volume("assertion", &|generation| assertion(&signing, generation)),
    ])
}

fn secret(generation: usize) -> Version {
    let text = format!("secret-{generation}");
    let mut shown = "sha256:".to_owned();
    for byte in digest(&SHA256, text.as_bytes()).as_ref() {
        write!(shown, "{byte:02x}").unwrap();
    }
    Version { files: vec![("value", text)], shown }
}

fn certificate(directory: &Path, generation: usize) -> Version {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["app".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(directory.join(format!("public-{generation}.pem")), certificate.pem()).unwrap();
    let shown = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, certificate.der()));
    Version { files: vec![("tls.crt", certificate.pem()), ("tls.key", key.serialize_pem())], shown }
}

fn assertion(signing: &EncodingKey, generation: usize) -> Version {
    let shown = format!("token-{generation}");
    let now = Clock::System.now().as_secs();
    let header = Header { kid: Some("cluster".to_owned()), ..Header::new(Algorithm::RS256) };
    let claims = json!({
        "iss": "https://cluster", "sub": "pod", "aud": "api://AzureADTokenExchange",
        "iat": now, "exp": now + 3600, "jti": shown,
    });
    Version { files: vec![("token", jsonwebtoken::encode(&header, &claims, signing).unwrap())], shown }
}

/// All versions are registered, as they are while a credential is being replaced.
const STS: &str = r#"
[[apps]]
client_id = "secret"
secrets = ["secret-0", "secret-1", "secret-2"]
[[apps]]
client_id = "certificate"
certificates = ["public-0.pem", "public-1.pem", "public-2.pem"]
[[apps]]
client_id = "assertion"
federated = [{ issuer = "https://cluster", subject = "pod", jwks_file = "jwks.json" }]
"#;

const CONFIG: &str = r#"
[server]
listen = ["127.0.0.1:0"]
admin_listen = "127.0.0.1:0"
drain = "0s"
[tenants.one]
id = "b0b00000-0000-4000-8000-000000000001"
authority = "@authority@"
instance_discovery = false
[identities.secret]
tenants = ["one"]
client_id = "secret"
resources = ["*"]
credentials = [{ kind = "secret", file = "secret/value" }]
[identities.certificate]
tenants = ["one"]
client_id = "certificate"
resources = ["*"]
credentials = [{ kind = "certificate", file = "certificate/tls.crt", key = "certificate/tls.key" }]
[identities.assertion]
tenants = ["one"]
client_id = "assertion"
resources = ["*"]
credentials = [{ kind = "assertion", file = "assertion/token" }]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_credential_is_replaced_twice_and_no_request_fails() {
    let directory = tempfile::tempdir().unwrap();
    let volumes = volumes(directory.path());
    let settings = directory.path().join("sts.toml");
    std::fs::write(&settings, STS).unwrap();
    let (_sts, announced) = start_sts(&["--config", settings.to_str().unwrap()]);
    let authority = announced["authority"].as_str().unwrap();
    let config = support::write_config(directory.path(), CONFIG, authority);
    let (serve, tokens, _) = start_serve(&config, &[]).await;
    let address = tokens.trim_start_matches("http://");

    let watch = Stopwatch::start();
    let callers: Vec<_> = (0..CONNECTIONS).map(|caller| tokio::spawn(call(caller, address.to_owned()))).collect();
    let swaps = swap_all(&volumes).await;
    for caller in callers {
        caller.await.unwrap_or_else(|failed| panic!("{failed}\n{}", serve.log()));
    }
    // Late requests are made up for, so the rate is short only where the machine is.
    let rate = REQUESTS as f64 / watch.elapsed().as_secs_f64();
    assert!(rate > 0.5 * RATE as f64, "{rate:.0} requests a second are no load");

    let exchanges = support::exchanges(&support::client(), authority).await;
    for swap in &swaps {
        swap.check(&volumes[swap.kind], &exchanges);
    }
}

/// One connection's share of the requests, all over that one connection, none of which fails.
async fn call(caller: usize, address: String) {
    let mut connection = TcpStream::connect(&address).await.unwrap();
    connection.set_nodelay(true).unwrap();
    let mut pace = interval(Duration::from_secs(1).mul_f64(CONNECTIONS as f64 / RATE as f64));
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for n in 0..REQUESTS / CONNECTIONS {
        pace.tick().await;
        let kind = KINDS[n % KINDS.len()];
        let turn = n / KINDS.len();
        let resource = if turn % COLD_OF == caller % COLD_OF { format!("r{caller}-{turn}") } else { "warm".to_owned() };
        let target = format!("/token?identity={kind}&resource=https://{resource}");
        let request = format!("GET {target} HTTP/1.1\r\nhost: {address}\r\nmetadata: true\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let answer = answer(&mut connection).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{target}: {answer}");
    }
}

/// One answer, whose body is as long as its head says.
async fn answer(connection: &mut TcpStream) -> String {
    let mut read = Vec::with_capacity(4096);
    loop {
        assert!(connection.read_buf(&mut read).await.unwrap() > 0, "the connection was closed");
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = |line: &str| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok();
        if body.len() >= head.lines().find_map(length).unwrap_or_else(|| panic!("no length in {head}")) {
            return text.into_owned();
        }
    }
}

/// A new version of a credential, and when it was put in place.
struct Swap {
    kind: &'static str,
    generation: usize,
    at: jiff::Timestamp,
}

/// Each credential twice, one after the other.
async fn swap_all(volumes: &HashMap<&'static str, Volume>) -> Vec<Swap> {
    let mut pace = interval(SWAP_EVERY);
    pace.tick().await;
    let mut swaps = Vec::new();
    for generation in 1..GENERATIONS {
        for kind in KINDS {
            pace.tick().await;
            volumes[kind].swap(generation);
            swaps.push(Swap { kind, generation, at: now() });
        }
    }
    swaps
}

impl Swap {
    /// The authority sees the new version in time, and from then on no older one.
    fn check(&self, volume: &Volume, exchanges: &[Value]) {
        let latest = self.at + USED_WITHIN;
        let own = exchanges.iter().filter(|exchange| exchange["form"]["client_id"] == self.kind);
        let used: Vec<(jiff::Timestamp, usize)> = own.map(|exchange| (time(exchange), volume.used(exchange))).collect();
        let first = used.iter().find(|(_, generation)| *generation == self.generation);
        let first = first.unwrap_or_else(|| panic!("{} {} was never used: {used:?}", self.kind, self.generation));
        assert!(first.0 <= latest, "{} {} after {:#}", self.kind, self.generation, first.0 - self.at);
        let old = used.iter().find(|(at, generation)| *at > latest && *generation < self.generation);
        assert!(old.is_none(), "{} {} was in place, yet {old:?}", self.kind, self.generation);
    }
}

impl Volume {
    /// Which version an exchange was proved with.
    fn used(&self, exchange: &Value) -> usize {
        let assertion = &exchange["assertion"];
        let shown = [&exchange["form"]["client_secret"], &assertion["header"]["x5t#S256"], &assertion["claims"]["jti"]];
        let is_shown = |version: &Version| shown.iter().any(|shown| **shown == version.shown);
        self.versions.iter().position(is_shown).unwrap_or_else(|| panic!("an unknown proof in {exchange}"))
    }
}

fn time(exchange: &Value) -> jiff::Timestamp {
    exchange["time"].as_str().unwrap().parse().unwrap()
}

fn now() -> jiff::Timestamp {
    Clock::System.now().to_string().parse().unwrap()
}
