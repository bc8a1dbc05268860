//! The requests of real clients, byte for byte, against the answers that they need. `tests/clients` runs the
//! clients themselves; this holds what they sent, so that nobody has to install them to see it break.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};
use serde_json::Value;
use support::{HEADER, TWO_IDENTITIES, World};

const ALL: &str = r#"listen = ["127.0.0.1:0", "https://127.0.0.1:0"]
dialects = ["native", "imds", "app-service", "app-service-2017", "cloud-shell", "arc", "service-fabric"]
"#;
const RESOURCE_ID: &str = "/subscriptions/b0b00000-0000-4000-8000-000000000004/resourcegroups/dev/providers/Microsoft.ManagedIdentity/userAssignedIdentities/dev";

/// The same ids as in `bursar dev`, which is what the clients were recorded against.
async fn world() -> World {
    let directory = support::directory();
    std::fs::create_dir(directory.path().join("keys")).unwrap();
    let config = TWO_IDENTITIES
        .replacen("listen = [\"127.0.0.1:0\"]\n", ALL, 1)
        .replacen("[tenants.one]", "[dialects.arc]\nkey_dir = \"keys\"\n\n[tenants.one]", 1)
        .replacen("/subscriptions/s/first", RESOURCE_ID, 1);
    World::within(directory, &config).await
}

struct Golden {
    name: String,
    bytes: Vec<u8>,
}

impl Golden {
    fn all() -> Vec<Self> {
        let wire = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire");
        let list = |directory: &Path| -> Vec<PathBuf> {
            std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
        };
        let files = list(&wire).into_iter().filter(|path| path.is_dir()).flat_map(|client| list(&client));
        let mut files: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|extension| extension == "http")).collect();
        files.sort();
        let read = |path: &PathBuf| Self {
            name: path.strip_prefix(&wire).unwrap().display().to_string(),
            bytes: std::fs::read(path).unwrap(),
        };
        files.iter().map(read).collect()
    }

    fn is(&self, part: &str) -> bool {
        self.name.contains(part)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// With what a key file holds in the place of what it held then.
    fn with_key(&self, key: &str) -> Vec<u8> {
        self.text().replace(&format!("Basic {HEADER}"), &format!("Basic {key}")).into_bytes()
    }

    /// The selector that was sent, and the field in which clients want to see it again.
    fn selector(&self) -> Option<(&'static str, String)> {
        let text = self.text();
        let decoded = |name: &str| {
            let start = text.find(&format!("{name}="))? + name.len() + 1;
            let value = text[start..].split(['&', ' ', '\r', '\n']).next().unwrap_or_default();
            let pair = format!("{name}={value}");
            url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
        };
        [
            ("client_id", "client_id"),
            ("clientid", "client_id"),
            ("object_id", "object_id"),
            ("principal_id", "object_id"),
            ("msi_res_id", "msi_res_id"),
            ("mi_res_id", "msi_res_id"),
            ("resource_id", "msi_res_id"),
        ]
        .into_iter()
        .find_map(|(name, field)| decoded(name).filter(|value| !value.is_empty()).map(|value| (field, value)))
    }
}

/// An answer as it came: its head and its JSON.
struct Answer {
    head: String,
    body: Value,
}

impl Answer {
    fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(held, _)| held.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

fn exchange(mut stream: impl Read + Write, request: &[u8]) -> Answer {
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).unwrap();
        answer.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if let Ok(body) = serde_json::from_str(body) {
            return Answer { head: head.to_owned(), body };
        }
        assert!(read > 0, "no JSON in {text}");
    }
}

fn send(address: SocketAddr, is_tls: bool, request: &[u8]) -> Answer {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    if !is_tls {
        return exchange(stream, request);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(Anything)).with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    exchange(StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream), request)
}

/// Service Fabric's clients pin a thumbprint, which is not what this is about.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// All that any client reads of a token's answer, in its order.
fn check_token(golden: &Golden, answer: &Answer) {
    let name = &golden.name;
    assert_eq!(answer.status(), 200, "{name}: {}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"), "{name}");
    let body = answer.body.as_object().unwrap();
    let selector = golden.selector();
    let further = selector.as_ref().map(|(field, _)| *field).filter(|field| *field != "client_id");
    let mut expected = vec![
        "access_token",
        "client_id",
        "expires_in",
        "expires_on",
        "ext_expires_in",
        "not_before",
        "resource",
        "token_type",
    ];
    expected.extend(further);
    expected.sort_unstable();
    assert_eq!(body.keys().map(String::as_str).collect::<Vec<_>>(), expected, "{name}");
    assert!(body.values().all(Value::is_string), "{name}: every number is a string: {}", answer.body);
    assert_eq!(
        (&body["token_type"], &body["resource"]),
        (&"Bearer".into(), &"https://vault.azure.net".into()),
        "{name}"
    );
    if let Some((field, value)) = selector {
        assert_eq!(body[field], value.as_str(), "{name}: the selector is echoed as it was spelled");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_request_gets_what_its_client_needs() {
    let world = world().await;
    let listens = world.server.listens();
    let [plain, tls] = [0, 1].map(|n| listens[n].address().unwrap());
    let (goldens, hand) = (Golden::all(), world.hand.clone());
    assert!(goldens.len() > 100, "{} files", goldens.len());
    tokio::task::spawn_blocking(move || {
        for golden in &goldens {
            let is_tls = golden.is("/service-fabric");
            let address = if is_tls { tls } else { plain };
            if golden.is("-with-key") {
                let answer = send(address, is_tls, &golden.with_key(&key(address)));
                check_token(golden, &answer);
            } else if golden.is("/arc-") {
                let answer = send(address, is_tls, &golden.bytes);
                let challenge = answer.header("www-authenticate").unwrap_or_default();
                assert!(
                    answer.status() == 401 && challenge.starts_with("Basic realm=/"),
                    "{}: {challenge}",
                    golden.name
                );
            } else if golden.is("-probe") {
                let answer = send(address, is_tls, &golden.bytes);
                assert_eq!(answer.status(), 400, "{}: what probes must see the host", golden.name);
            } else {
                check_token(golden, &send(address, is_tls, &golden.bytes));
            }
            // Only so many challenges may be open at a time.
            hand.advance(Duration::from_secs(5));
        }
    })
    .await
    .unwrap();
}

/// What a new key file holds.
fn key(address: SocketAddr) -> String {
    let request =
        b"GET /arc/token?api-version=2020-06-01&resource=r HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n";
    let answer = send(address, false, request);
    let path = answer.header("www-authenticate").and_then(|header| header.strip_prefix("Basic realm="));
    std::fs::read_to_string(path.unwrap_or_else(|| panic!("no challenge in {}", answer.head))).unwrap()
}
