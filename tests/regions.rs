//! Authorities that are asked in their region: where the requests go, and how a region is found out.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bursar::app::App;
use bursar::clock::{Clock, ManualClock, Timestamp};
use bursar::config::Config;
use bursar::sts::{Settings, Sts};
use serde_json::Value;
use support::{APP, OTHER_TENANT, TENANT, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What was heard at a listener, one text per connection.
type Heard = Arc<Mutex<Vec<String>>>;

/// Reads the head of a request, byte by byte so that nothing behind it is lost.
async fn head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// A proxy that leads every host of the world to `sts`.
async fn proxy(sts: SocketAddr) -> (SocketAddr, Heard) {
    let listener = TcpListener::bind(support::loopback()).await.unwrap();
    let (address, heard) = (listener.local_addr().unwrap(), Heard::default());
    let told = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let line = head(&mut socket).await.lines().next().unwrap().to_owned();
            told.lock().unwrap().push(line);
            tokio::spawn(async move {
                let mut there = TcpStream::connect(sts).await.unwrap();
                socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                tokio::io::copy_bidirectional(&mut socket, &mut there).await.ok();
            });
        }
    });
    (address, heard)
}

/// Instance metadata that answers everything with `body`, or never when that is empty.
async fn metadata(body: &'static str) -> (String, Heard) {
    let listener = TcpListener::bind(support::loopback()).await.unwrap();
    let (url, heard) = (format!("http://{}", listener.local_addr().unwrap()), Heard::default());
    let told = Arc::clone(&heard);
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let head = head(&mut socket).await;
            told.lock().unwrap().push(head);
            if body.is_empty() {
                silent.push(socket);
                continue;
            }
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, heard)
}

/// A service for all tenants of the public cloud, and the proxy that leads it to an STS.
async fn world(region: &str, variables: &[(&str, &str)]) -> (World, Heard) {
    let directory = support::directory();
    certify(directory.path());
    let hand = ManualClock::at(Timestamp::from_secs(1_800_000_000));
    let clock = Clock::Manual(hand.clone());
    let settings = Settings::read(&directory.path().join("sts.toml")).unwrap();
    let tls = Some(directory.path());
    let sts = Sts::start(settings, &[support::loopback()], tls, clock.clone()).await.unwrap();
    let address = sts.url().strip_prefix("https://").unwrap().parse().unwrap();
    let (proxy, heard) = proxy(address).await;
    let config = format!(
        r#"
[server]
listen = ["127.0.0.1:0"]
admin_listen = "127.0.0.1:0"
drain = "0s"
[tenants."*"]
ca_file = "ca.pem"
proxy = "http://{proxy}"
{region}
[identities.first]
tenants = ["*"]
client_id = "{APP}"
resources = ["*"]
credentials = [{{ kind = "certificate", file = "app.pem" }}]
"#
    );
    let path = support::write_config(directory.path(), &config, sts.url());
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let config = Config::read(Some(&path), variables, hand.now()).unwrap();
    let server = App::build(config, clock, tokio::runtime::Handle::current()).unwrap().start().unwrap();
    let http = client(directory.path());
    (World { sts, hand, server, http, directory }, heard)
}

/// A client for the STS's own paths.
fn client(directory: &Path) -> reqwest::Client {
    let ca = reqwest::Certificate::from_pem(&std::fs::read(directory.join("ca.pem")).unwrap()).unwrap();
    reqwest::Client::builder().no_proxy().tls_certs_only([ca]).build().unwrap()
}

/// Gives the application a certificate, since an assertion says for whom it was made.
fn certify(directory: &Path) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["app".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    std::fs::write(directory.join("app.pem"), format!("{certificate}{}", key.serialize_pem())).unwrap();
    std::fs::write(directory.join("public.pem"), &certificate).unwrap();
    let settings = support::STS_SETTINGS.replacen("secrets", "certificates = [\"public.pem\"]\nsecrets", 1);
    std::fs::write(directory.join("sts.toml"), settings).unwrap();
}

fn target(resource: &str, tenant: &str) -> String {
    format!("/token?resource={resource}&tenant={tenant}")
}

fn take(heard: &Heard) -> Vec<String> {
    std::mem::take(&mut *heard.lock().unwrap())
}

fn connects(heard: &Heard) -> Vec<String> {
    let lines = take(heard);
    lines.iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect()
}

/// Every request that the STS saw, by its host, and the audience of the assertion.
async fn seen(world: &World) -> (Vec<String>, Value) {
    let requests = support::journal(&world.http, world.sts.url()).await;
    let hosts = requests.iter().map(|request| request["headers"]["host"].as_str().unwrap().to_owned()).collect();
    (hosts, requests.last().unwrap()["assertion"]["claims"]["aud"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_and_exchange_go_to_the_named_region() {
    let (metadata, probed) = metadata("{}").await;
    let variables = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", metadata.as_str()), ("REGION_NAME", "eastus")];
    let (world, heard) = world("region = \"westeurope\"", &variables).await;
    world.ask(&target("vault", TENANT)).await.token();
    let hosts = connects(&heard);
    assert!(!hosts.is_empty() && hosts.iter().all(|host| host == "westeurope.login.microsoft.com:443"), "{hosts:?}");
    let (hosts, audience) = seen(&world).await;
    assert_eq!(hosts, ["westeurope.login.microsoft.com"; 2]);
    assert_eq!(audience, format!("https://westeurope.login.microsoft.com/{TENANT}/oauth2/v2.0/token"));
    assert!(take(&probed).is_empty(), "a named region is not looked for");

    let central = format!("https://login.microsoftonline.com/{OTHER_TENANT}");
    let document = serde_json::json!({
        "issuer": format!("{central}/v2.0"), "token_endpoint": format!("{central}/oauth2/v2.0/token"),
    });
    let rule = serde_json::json!([{ "match": { "path": "openid-configuration" }, "body": document }]);
    world.break_sts(rule).await;
    world.ask(&target("vault", OTHER_TENANT)).await.token();
    assert_eq!(seen(&world).await.0, ["westeurope.login.microsoft.com"; 2], "whatever the document says");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_fails_is_named() {
    let (world, _) = world("region = \"westeurope\"", &[]).await;
    let rule = serde_json::json!([{ "match": { "path": "openid-configuration" }, "status": 503 }]);
    world.break_sts(rule).await;
    let reply = world.ask(&target("vault", TENANT)).await;
    assert_eq!(reply.status, 503);
    assert!(reply.description().starts_with("in region westeurope: the authority has a failure"), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_region_the_central_endpoint_is_asked() {
    let (world, heard) = world("", &[]).await;
    world.ask(&target("vault", TENANT)).await.token();
    assert_eq!(connects(&heard)[0], "login.microsoftonline.com:443");
    assert_eq!(seen(&world).await.0, ["login.microsoftonline.com"; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_region_of_this_machine_is_asked_for_once() {
    let (url, probed) = metadata(r#"{"location":"West Europe","name":"vm"}"#).await;
    let (world, _) = world("region = \"auto\"", &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", &url)]).await;
    world.ask(&target("vault", TENANT)).await.token();
    assert_eq!(seen(&world).await.0, ["westeurope.login.microsoft.com"; 2]);
    world.hand.advance(Duration::from_hours(25));
    world.ask(&target("other", TENANT)).await.token();
    let probed = take(&probed);
    assert_eq!(probed.len(), 1);
    assert!(probed[0].starts_with("GET /metadata/instance/compute?api-version=2021-02-01 HTTP/1.1\r\n"), "{probed:?}");
    assert!(probed[0].to_lowercase().contains("\r\nmetadata: true\r\n"), "{probed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platforms_variable_goes_before_the_metadata() {
    let (url, probed) = metadata(r#"{"location":"northeurope"}"#).await;
    for (named, host, probes) in
        [("West Europe", "westeurope.login.microsoft.com", 0), ("evil.example/", "northeurope.login.microsoft.com", 1)]
    {
        let variables = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", url.as_str()), ("REGION_NAME", named)];
        let (world, _) = world("region = \"auto\"", &variables).await;
        world.ask(&target("vault", TENANT)).await.token();
        assert_eq!(seen(&world).await.0, [host; 2]);
        assert_eq!(take(&probed).len(), probes, "{named}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_is_not_found_is_looked_for_again_later() {
    for body in [r#"{"location":"evil.example/"}"#, "{}", "[]"] {
        let (url, probed) = metadata(body).await;
        let (world, _) = world("region = \"auto\"", &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", &url)]).await;
        world.ask(&target("vault", TENANT)).await.token();
        world.hand.advance(Duration::from_mins(30));
        world.ask(&target("other", TENANT)).await.token();
        assert_eq!(take(&probed).len(), 1, "{body}");
        assert!(seen(&world).await.0.iter().all(|host| host == "login.microsoftonline.com"), "{body}");
        world.hand.advance(Duration::from_mins(31));
        world.ask(&target("third", TENANT)).await.token();
        for _ in 0..250 {
            if !probed.lock().unwrap().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(take(&probed).len(), 1, "{body}: behind the third");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_has_the_region_looked_for_again() {
    let (url, probed) = metadata("{}").await;
    let (world, _) = world("region = \"auto\"", &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", &url)]).await;
    world.ask(&target("vault", TENANT)).await.token();
    world.hand.set_back(Duration::from_hours(5));
    world.ask(&target("vault", OTHER_TENANT)).await.token();
    assert_eq!(take(&probed).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_does_not_answer_costs_two_seconds_once() {
    let (url, probed) = metadata("").await;
    let (world, _) = world("region = \"auto\"", &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", &url)]).await;
    let watch = bursar::clock::Stopwatch::start();
    world.ask(&target("vault", TENANT)).await.token();
    assert!((1900..5000).contains(&watch.elapsed().as_millis()), "{:?}", watch.elapsed());
    world.hand.advance(Duration::from_mins(59));
    world.ask(&target("vault", OTHER_TENANT)).await.token();
    assert_eq!(take(&probed).len(), 1, "tenants of one host share what is known of it");
}
