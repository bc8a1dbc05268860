//! Client certificates, made by the `openssl` command: who is known by one, and which are refused. And what https
//! listeners show, which is replaced while they serve.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use support::proof::{Volume, pair};
use support::{APP, HEADER, NATIVE, OTHER_APP, Process, TWO_IDENTITIES, World, bursar, until, write_config};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Who may be known here. Billing is known by any of three certificates, the shop by one, the porter by a header.
const CALLERS: &str = r#"
[callers.billing]
proof = { kind = "mtls", spiffe_id = "spiffe://corp/ns/shop/sa/billing" }
identities = ["first"]
resources = ["*"]
[callers.shop]
proof = { kind = "mtls", spiffe_id = "spiffe://corp/ns/shop/sa/front" }
identities = ["second"]
resources = ["*"]
[callers.named]
proof = { kind = "mtls", dns_name = "*.shop.svc" }
identities = ["second"]
resources = ["*"]
[callers.titled]
proof = { kind = "mtls", subject = "@subject@" }
identities = ["first"]
resources = ["*"]
[callers.porter]
proof = { kind = "header-secret", file = "header" }
identities = ["second"]
resources = ["*"]
"#;

/// The subject of the certificate that is matched by it, as openssl takes it.
const SUBJECT: &str = r"/DC=corp/O=The Shop, Inc/OU=a\+b/CN=batch";

/// Runs lines of shell in `directory`.
fn sh(directory: &Path, script: &str) -> String {
    let output = Command::new("bash").current_dir(directory).args(["-euc", script]).output().unwrap();
    assert!(output.status.success(), "(is openssl installed?)\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A CA with a listener and its clients, and another CA with one client.
const PKI: &str = r#"
ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out $1.crt -subj /CN=$1 -days 3650; }
# leaf NAME CA SUBJECT SAN
leaf() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out $1.csr -subj "$3"
    openssl x509 -req -in $1.csr -CA $2.crt -CAkey $2.key -CAcreateserial -out $1.crt -days 3650 -extfile <(echo "${4:-basicConstraints=CA:FALSE}")
}
ca ours
ca theirs
leaf server ours /CN=server subjectAltName=DNS:localhost,IP:127.0.0.1
leaf billing ours /CN=x subjectAltName=URI:spiffe://corp/ns/shop/sa/billing
leaf front ours /CN=x subjectAltName=URI:spiffe://corp/ns/shop/sa/front
leaf both ours /CN=x subjectAltName=URI:spiffe://corp/ns/shop/sa/billing,URI:spiffe://corp/ns/shop/sa/front
leaf dns ours /CN=x subjectAltName=DNS:other.example,DNS:Till.Shop.svc
leaf batch ours "$SUBJECT"
leaf stranger ours /CN=stranger subjectAltName=URI:spiffe://corp/ns/shop/sa/stranger,DNS:till.market.svc
leaf foreign theirs /CN=x subjectAltName=URI:spiffe://corp/ns/shop/sa/billing
printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\npolicy=p\ndefault_md=sha256\ncopy_extensions=copy\n[p]\ncommonName=supplied\n' > ca.cnf
touch index; echo 01 > serial
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ended.key -out ended.csr -subj /CN=x -addext subjectAltName=URI:spiffe://corp/ns/shop/sa/billing
openssl ca -batch -notext -config ca.cnf -cert ours.crt -keyfile ours.key -in ended.csr -out ended.crt -startdate 20200101000000Z -enddate 20200201000000Z
openssl x509 -in batch.crt -noout -subject -nameopt RFC2253
"#;

/// The certificates, and the configuration that goes by them.
fn pki() -> (TempDir, String) {
    let directory = support::directory();
    let said = sh(directory.path(), &format!("SUBJECT='{SUBJECT}'\n{PKI}"));
    // Whom callers are vouched for by may change, and whom they trust not.
    fs::copy(directory.path().join("ours.crt"), directory.path().join("clients.crt")).unwrap();
    // The words of openssl are what an operator copies.
    let subject = said.lines().last().unwrap().strip_prefix("subject=").unwrap().to_owned();
    assert_eq!(subject, r"CN=batch,OU=a\+b,O=The Shop\, Inc,DC=corp");
    let tls = "tls = { cert = \"server.crt\", key = \"server.key\", client_ca = \"clients.crt\" }";
    let listen = format!("[\"127.0.0.1:0\", \"https://127.0.0.1:0\"]\n{tls}");
    let base = TWO_IDENTITIES.replacen("[\"127.0.0.1:0\"]", &listen, 1);
    let base =
        base.replacen("header_secret = [{ file = \"header\" }]\n", "dialects = [\"native\", \"app-service\"]\n", 1);
    (directory, format!("{base}{}", CALLERS.replace("@subject@", &subject.replace('\\', r"\\"))))
}

async fn world() -> World {
    let (directory, config) = pki();
    World::within(directory, &config).await
}

/// Asks with curl: the status and the answer, or curl's exit code when there is none.
fn ask(directory: &Path, url: &str, certificate: Option<&str>, secret: Option<&str>) -> Result<(u16, String), i32> {
    let mut command = Command::new("curl");
    command.current_dir(directory).args(["-s", "--noproxy", "*", "-w", "%{http_code}", "--cacert", "ours.crt"]);
    if let Some(name) = certificate {
        command.args(["--cert", &format!("{name}.crt"), "--key", &format!("{name}.key")]);
    }
    if let Some(secret) = secret {
        command.args(["-H", &format!("X-IDENTITY-HEADER: {secret}")]);
    }
    let output = command.args(["-H", "Metadata: true"]).arg(format!("{url}{NATIVE}")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    match output.status.code().unwrap() {
        0 => Ok((text[text.len() - 3..].parse().unwrap(), text)),
        code => Err(code),
    }
}

fn https(world: &World) -> String {
    format!("https://{}", world.server.token_addresses()[1])
}

#[tokio::test(flavor = "multi_thread")]
async fn each_certificate_is_its_own_caller_and_no_other() {
    let world = world().await;
    let (directory, url) = (world.directory.path(), https(&world));
    for (certificate, secret, expected) in [
        (Some("billing"), None, Ok(APP)),
        (Some("front"), None, Ok(OTHER_APP)),
        (Some("dns"), None, Ok(OTHER_APP)),
        (Some("batch"), None, Ok(APP)),
        (Some("both"), None, Err(401)),
        (Some("stranger"), None, Err(401)),
        (None, None, Err(401)),
        // Both are right, and the certificate comes first.
        (Some("billing"), Some(HEADER), Ok(APP)),
        (None, Some(HEADER), Ok(OTHER_APP)),
        // One of them is wrong, and the other makes no good of it.
        (Some("billing"), Some("wrong"), Err(401)),
        (Some("stranger"), Some(HEADER), Err(401)),
        (None, Some("wrong"), Err(401)),
    ] {
        let (status, answer) = ask(directory, &url, certificate, secret).unwrap();
        let case = format!("{certificate:?} {secret:?}: {answer}");
        match expected {
            Ok(client_id) => assert!(status == 200 && answer.contains(client_id), "{case}"),
            Err(expected) => assert_eq!(status, expected, "{case}"),
        }
    }
    let plain = world.tokens();
    assert_eq!(ask(directory, &plain, Some("billing"), None).unwrap().0, 401, "nothing is shown without TLS");
    assert_eq!(ask(directory, &plain, None, Some(HEADER)).unwrap().0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_certificate_ends_the_handshake_whatever_else_is_shown() {
    let (directory, config) = pki();
    let config = config.replacen("\"127.0.0.1:0\", ", "", 1);
    let path = write_config(directory.path(), &format!("{config}\n[log]\nlevel = \"debug\"\n"), "http://127.0.0.1:1");
    let serve = Process::start(bursar().arg("serve").arg("--config").arg(path));
    let line = serve.logged("serving").await;
    let url = line.split([' ', ',', '[', ']']).find(|part| part.starts_with("https://127.0.0.1:")).unwrap().to_owned();
    for (certificate, reason) in [("ended", "expired"), ("foreign", "UnknownIssuer")] {
        for secret in [None, Some(HEADER)] {
            let refused = ask(directory.path(), &url, Some(certificate), secret);
            assert!(refused.is_err(), "{certificate}: {refused:?}");
        }
        let line = serve.logged(reason).await;
        assert!(line.contains("DEBUG") && line.contains("is closed"), "{line}");
    }
    // Others are served: their authority is not there, but they were let in.
    assert_eq!(ask(directory.path(), &url, None, Some(HEADER)).unwrap().0, 503);
    assert_eq!(ask(directory.path(), &url, Some("billing"), None).unwrap().0, 503);
    let line = serve.logged("CA vouches for").await;
    assert!(line.contains("spiffe://corp/ns/shop/sa/billing"), "operators see what to write: {line}");
}

fn trusting(directory: &Path, certificate: &str) -> Arc<ClientConfig> {
    bursar::wire::install_crypto_provider();
    let pem = |name: String| fs::read(directory.join(name)).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem("ours.crt".to_owned())).unwrap()).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(&pem(format!("{certificate}.crt"))).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(&pem(format!("{certificate}.key"))).unwrap();
    Arc::new(ClientConfig::builder().with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap())
}

type Stream = tokio_rustls::client::TlsStream<TcpStream>;

async fn connect(world: &World, config: &Arc<ClientConfig>) -> Stream {
    connect_to(world, config, "localhost").await
}

/// The same under another name.
async fn connect_to(world: &World, config: &Arc<ClientConfig>, name: &'static str) -> Stream {
    let socket = TcpStream::connect(world.server.token_addresses()[1]).await.unwrap();
    let name = ServerName::try_from(name).unwrap();
    TlsConnector::from(Arc::clone(config)).connect(name, socket).await.unwrap()
}

/// Asks on a connection that is there, and reads one answer.
async fn ask_on(line: &mut Stream) -> String {
    let request = format!("GET {NATIVE} HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n");
    line.write_all(request.as_bytes()).await.unwrap();
    let mut chunk = [0; 16_384];
    let read = tokio::time::timeout(Duration::from_secs(10), line.read(&mut chunk)).await.unwrap().unwrap();
    String::from_utf8_lossy(&chunk[..read]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_nobodys_once_its_certificate_has_ended() {
    let world = world().await;
    let mut line = connect(&world, &trusting(world.directory.path(), "billing")).await;
    for _ in 0..2 {
        assert!(ask_on(&mut line).await.starts_with("HTTP/1.1 200"));
    }
    world.hand.advance(Duration::from_secs(11 * 366 * 86_400));
    let answer = ask_on(&mut line).await;
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("connect again"), "{answer}");
    assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_verified_on_every_connection() {
    let world = world().await;
    let config = trusting(world.directory.path(), "billing");
    for _ in 0..3 {
        let mut line = connect(&world, &config).await;
        assert!(ask_on(&mut line).await.starts_with("HTTP/1.1 200"));
        assert_eq!(line.get_ref().1.handshake_kind(), Some(HandshakeKind::Full), "no session is resumed");
    }
}

/// How often a certificate was read again, with this outcome.
async fn reloaded(world: &World, outcome: &str) -> f64 {
    let series = format!("bursar_reloads_total{{outcome=\"{outcome}\",what=\"certificate\"}}");
    world.metric(&series).await.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_ca_vouches_from_the_next_connection_on_and_no_broken_one_does() {
    let world = world().await;
    let (directory, url) = (world.directory.path(), https(&world));
    let mut line = connect(&world, &trusting(directory, "billing")).await;
    assert!(ask_on(&mut line).await.starts_with("HTTP/1.1 200"));
    // What curl trusts is a file of its own.
    let (ours, theirs) =
        (fs::read(directory.join("ours.crt")).unwrap(), fs::read(directory.join("theirs.crt")).unwrap());
    let replace = |text: &[u8]| {
        fs::write(directory.join("ca.new"), text).unwrap();
        fs::rename(directory.join("ca.new"), directory.join("clients.crt")).unwrap();
    };
    let status = |certificate: &str| ask(directory, &url, Some(certificate), None).map(|(status, _)| status);
    assert!(status("billing") == Ok(200) && status("foreign").is_err());
    replace(b"no certificate");
    until("a broken one is told", async || reloaded(&world, "failed").await > 0.0).await;
    assert!(status("billing") == Ok(200) && status("foreign").is_err(), "the old one stays");
    replace(&theirs);
    until("the new one is taken", async || reloaded(&world, "ok").await > 0.0).await;
    assert!(status("foreign") == Ok(200) && status("billing").is_err());
    assert!(ask_on(&mut line).await.starts_with("HTTP/1.1 200"), "a connection goes on with what it was opened with");
    replace(&[ours, theirs].concat());
    until("both are taken", async || reloaded(&world, "ok").await > 1.0).await;
    assert_eq!((status("foreign"), status("billing")), (Ok(200), Ok(200)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_on_new_connections_and_a_broken_one_on_none() {
    bursar::wire::install_crypto_provider();
    let directory = support::directory();
    let [(first, first_key), (second, second_key)] = [pair(), pair()];
    let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let volume = Volume::new(directory.path().join("tls"), &[("tls.crt", &first), ("tls.key", &first_key)]);
    let tls = "\"127.0.0.1:0\", \"https://127.0.0.1:0\"]\ntls = { cert = \"tls/tls.crt\", key = \"tls/tls.key\" }";
    let world = World::within(directory, &TWO_IDENTITIES.replacen("\"127.0.0.1:0\"]", tls, 1)).await;
    let mut roots = RootCertStore::empty();
    for certificate in [&first, &second] {
        roots.add(der(certificate)).unwrap();
    }
    let config = Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth());
    let shown = |line: &Stream| line.get_ref().1.peer_certificates().unwrap()[0].clone();
    let mut old = connect_to(&world, &config, "app").await;
    assert!(shown(&old) == der(&first) && ask_on(&mut old).await.starts_with("HTTP/1.1 200"));
    let successful = "bursar_reload_successful{what=\"certificate\"}";

    volume.swap(&[("tls.crt", &second), ("tls.key", &first_key)]);
    until("a pair that does not match is told", async || reloaded(&world, "failed").await > 0.0).await;
    assert_eq!(world.metric(successful).await, Some(0.0));
    let ready = world.send(world.http.get(format!("{}/readyz", world.admin()))).await;
    let told = &ready.body["certificate"];
    assert_eq!((ready.status, told["outcome"].as_str()), (200, Some("refused")), "{ready:?}");
    let why = told["mistakes"][0].as_str().unwrap().to_owned();
    assert!(why.contains("the key does not belong to the certificate") && why.contains("server.tls"), "{why}");
    assert!(ready.body.get("reload").is_none(), "the configuration is as it was: {ready:?}");
    let page = world.send(world.http.get(format!("{}/status", world.admin()))).await;
    assert!(page.body.as_str().unwrap().contains("does not belong to the certificate"));
    assert_eq!(shown(&connect_to(&world, &config, "app").await), der(&first), "the old one stays");
    volume.swap(&[("tls.crt", "no certificate"), ("tls.key", &first_key)]);
    until("a broken one is told", async || reloaded(&world, "failed").await > 1.0).await;
    assert_eq!(shown(&connect_to(&world, &config, "app").await), der(&first));

    volume.swap(&[("tls.crt", &first), ("tls.key", &first_key)]);
    until("what is put back is told", async || world.metric(successful).await == Some(1.0)).await;
    let ready = world.send(world.http.get(format!("{}/readyz", world.admin()))).await;
    assert_eq!(ready.body["certificate"]["outcome"], "taken", "{ready:?}");

    volume.swap(&[("tls.crt", &second), ("tls.key", &second_key)]);
    until("the new one is taken", async || reloaded(&world, "ok").await > 1.0).await;
    assert_eq!(shown(&connect_to(&world, &config, "app").await), der(&second));
    assert!(ask_on(&mut old).await.starts_with("HTTP/1.1 200"), "a connection goes on with what it was opened with");
    assert_eq!((world.metric(successful).await, world.reloads().await), (Some(1.0), 0.0));
}
