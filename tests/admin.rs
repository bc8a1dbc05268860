//! The admin listener over https: what it serves, whom it asks for a certificate, what it shows, and `bursar probe`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rcgen::{CertificateParams, KeyPair, SanType};
use reqwest::{Certificate, Client};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use support::proof::Volume;
use support::{NATIVE, TWO_IDENTITIES, World, bursar, directory, out, run, start_serve, until, write_config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A certificate for this machine and its key, each as PEM.
fn made() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.subject_alt_names.extend([[127, 0, 0, 1], [0, 0, 0, 0]].map(|ip| SanType::IpAddress(ip.into())));
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// A client that trusts this certificate and nothing else. Each of its requests shakes hands anew.
fn trusting(certificate: &str) -> Client {
    bursar::wire::install_crypto_provider();
    let roots = [Certificate::from_pem(certificate.as_bytes()).unwrap()];
    Client::builder().no_proxy().tls_certs_only(roots).pool_max_idle_per_host(0).build().unwrap()
}

/// The configuration with the admin listener over https, and more of `[server]`.
fn secured(more: &str) -> String {
    let plain = "admin_listen = \"127.0.0.1:0\"\n";
    assert!(TWO_IDENTITIES.contains(plain));
    TWO_IDENTITIES.replacen(plain, &format!("admin_listen = \"https://127.0.0.1:0\"\n{more}\n"), 1)
}

const FILES: &str = "tls = { cert = \"tls/tls.crt\", key = \"tls/tls.key\" }";

/// A world of it whose certificate is in a volume, and that certificate.
async fn world() -> (World, Volume, String) {
    let (directory, (certificate, key)) = (directory(), made());
    let volume = Volume::new(directory.path().join("tls"), &[("tls.crt", &certificate), ("tls.key", &key)]);
    let mut world = World::within(directory, &secured(FILES)).await;
    world.http = trusting(&certificate);
    (world, volume, certificate)
}

async fn status(world: &World, path: &str) -> Option<u16> {
    let answer = world.http.get(format!("{}{path}", world.admin())).send().await.ok()?;
    Some(answer.status().as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_pages_are_served_over_https_and_nothing_in_the_clear() {
    let (world, _volume, _) = world().await;
    assert!(world.admin().starts_with("https://"));
    world.ask(NATIVE).await.token();
    for path in ["/healthz", "/readyz", "/metrics", "/status", "/"] {
        assert_eq!(status(&world, path).await, Some(200), "{path}");
    }
    assert_eq!(world.metric("bursar_tokens").await, Some(1.0));
    let mut line = TcpStream::connect(world.server.admin_addresses()[0]).await.unwrap();
    line.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // It may be reset, since what was sent is not read to its end.
    line.read_to_end(&mut answer).await.ok();
    assert!(!answer.windows(5).any(|part| part == b"alive" || part == b"HTTP/"), "{answer:?}");
    assert_eq!(status(&world, "/healthz").await, Some(200), "whoever comes next is served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_there_too() {
    let (mut world, volume, _) = world().await;
    let (certificate, key) = made();
    volume.swap(&[("tls.crt", &certificate), ("tls.key", &key)]);
    world.http = trusting(&certificate);
    until("the new one is shown", async || status(&world, "/healthz").await == Some(200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_for_a_certificate_there_though_callers_are() {
    let (directory, (certificate, key), (ca, _)) = (directory(), made(), made());
    let _volume = Volume::new(directory.path().join("tls"), &[("tls.crt", &certificate), ("tls.key", &key)]);
    fs::write(directory.path().join("clients.pem"), &ca).unwrap();
    let files = FILES.replace("tls.key\" }", "tls.key\", client_ca = \"clients.pem\" }");
    let caller =
        "[callers.shop]\nproof = { kind = \"mtls\", dns_name = \"shop\" }\nidentities = [\"*\"]\nresources = [\"*\"]\n";
    let config = secured(&files).replacen("[\"127.0.0.1:0\"]", "[\"https://127.0.0.1:0\"]", 1).replacen(
        "header_secret = [{ file = \"header\" }]\n",
        "",
        1,
    );
    let mut world = World::within(directory, &format!("{config}{caller}")).await;
    world.http = trusting(&certificate);
    assert_eq!(status(&world, "/readyz").await, Some(200));
    let asks = |address| asks_for_a_certificate(address, &certificate);
    assert!(asks(world.server.token_addresses()[0]).await && !asks(world.server.admin_addresses()[0]).await);
}

/// Has no certificate to show, and remembers that it was asked for one.
#[derive(Debug, Default)]
struct Asked(AtomicBool);

impl ResolvesClientCert for Asked {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Whether a listener asks for a certificate in the handshake.
async fn asks_for_a_certificate(address: SocketAddr, certificate: &str) -> bool {
    let asked = Arc::new(Asked::default());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots);
    let config = Arc::new(config.with_client_cert_resolver(Arc::clone(&asked) as Arc<dyn ResolvesClientCert>));
    let name = ServerName::try_from("localhost").unwrap();
    let socket = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(config).connect(name, socket).await.unwrap();
    asked.0.load(Ordering::Relaxed)
}

/// What `bursar probe` says and ends with.
fn probe(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let (code, stdout, stderr) =
        out(&bursar().arg("probe").args(arguments).envs(variables.iter().copied()).output().unwrap());
    (code, stdout + &stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probe_takes_whatever_certificate_this_machine_shows() {
    let directory = directory();
    let config = write_config(directory.path(), &secured(""), "http://127.0.0.1:1");
    let (_serve, _, admin) = start_serve(&config, &[]).await;
    let (address, url) = (admin.trim_start_matches("http://"), admin.replacen("http", "https", 1));
    let (code, told) = probe(&[&url], &[]);
    assert!(code == 0 && told.starts_with("ready\n"), "a certificate of the moment: {told}");
    let variable = "BURSAR__SERVER__ADMIN_LISTEN";
    assert_eq!(probe(&[], &[(variable, &url)]).0, 0);
    let named = fs::read_to_string(&config).unwrap().replacen("https://127.0.0.1:0", &url, 1);
    fs::write(&config, named).unwrap();
    assert_eq!(probe(&["--config", config.to_str().unwrap()], &[]).0, 0);
    assert_eq!(probe(&[&format!("{url}/healthz")], &[]), (0, String::new()));
    let (code, told) = probe(&[address], &[]);
    assert!(code == 69 && told.contains("is it served over https:// there?"), "{told}");
    let (code, told) = probe(&[], &[(variable, "https://127.0.0.1")]);
    assert!(code == 64 && told.contains(variable) && told.contains("such as 127.0.0.1:4141"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probe_takes_no_certificate_of_another_machine_that_nobody_vouches_for() {
    let (world, _volume, certificate) = world().await;
    // No name of loopback, and led there all the same.
    let elsewhere = world.admin().replacen("127.0.0.1", "0.0.0.0", 1);
    let (code, told) = probe(&[&elsewhere], &[]);
    assert!(code == 69 && told.contains("over https (invalid peer certificate"), "{told}");
    let trusted = world.directory.path().join("trusted.pem");
    fs::write(&trusted, certificate).unwrap();
    let (code, told) = probe(&[&elsewhere], &[("SSL_CERT_FILE", trusted.to_str().unwrap())]);
    // The certificate is taken, and then `Host` is not one of ours.
    assert!(code == 69 && told.contains("not ready") && told.contains("Host"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_serves_it_over_https_too() {
    let admin = "https://127.0.0.1:0";
    let mut dev = support::Process::start(bursar().args(["dev", "--listen", "127.0.0.1:0", "--admin-listen", admin]));
    let mut line = String::new();
    while !line.contains("admin      https://127.0.0.1:") {
        line = dev.line();
    }
    let url = line.split_whitespace().nth(1).unwrap();
    assert_eq!(out(&run(&["probe", url])).0, 0, "{line}");
    dev.terminate();
}

#[test]
fn a_certificate_that_only_the_admin_listener_shows_is_no_mistake() {
    let (directory, (certificate, key)) = (directory(), made());
    let _volume = Volume::new(directory.path().join("tls"), &[("tls.crt", &certificate), ("tls.key", &key)]);
    let check = |config: &str| {
        let path = write_config(directory.path(), config, "http://127.0.0.1:1");
        out(&run(&["check", "--config", path.to_str().unwrap()]))
    };
    let (code, _, stderr) = check(&secured(FILES));
    assert_eq!(code, 0, "{stderr}");
    let (code, stdout, stderr) = check(&secured(FILES).replacen("https://", "", 1));
    assert!(code == 64 && (stdout + &stderr).contains("there is no https listener to show the certificate"));
    let taken = secured("").replacen("\"127.0.0.1:0\"", "\"127.0.0.1:5\"", 1).replacen("1:0\"\n", "1:5\"\n", 1);
    let (code, stdout, stderr) = check(&taken);
    assert!(code == 64 && (stdout + &stderr).contains("admin_listen: tokens are served there"), "{taken}");
}
