//! What a hostile program on the wire meets: smuggled and malformed requests, tricks with paths, floods,
//! connections that crawl or idle.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use bursar::clock::Stopwatch;
use support::{NATIVE, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TARGET: &str = "/token?resource=https://vault.azure.net";

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// Sends bytes as they are, and reads until the connection is closed or quiet.
async fn raw(world: &World, request: &[u8]) -> String {
    let mut socket = connect(world.server.token_addresses()[0]).await;
    // The other side may close before it has read everything.
    socket.write_all(request).await.ok();
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(Ok(read)) = tokio::time::timeout(Duration::from_millis(700), socket.read(&mut chunk)).await {
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&chunk[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answer: &str) -> Vec<u16> {
    let lines =
        answer.split("\r\n").filter_map(|line| line.rsplit("HTTP/1.1 ").next().filter(|_| line.contains("HTTP/1.1 ")));
    lines.filter_map(|line| line.split(' ').next()?.parse().ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_one_length_and_whole_lines() {
    let world = World::start().await;
    world.ask(NATIVE).await.token();
    let good = format!("GET {TARGET} HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n");
    let smuggled = format!("GET {TARGET}x HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n");
    assert_eq!(statuses(&raw(&world, good.as_bytes()).await), [200]);
    for (name, headers, body) in [
        ("two lengths", "Content-Length: 0\r\nContent-Length: 60\r\n", smuggled.as_str()),
        ("length and chunks", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("an unknown coding", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        ("a negative length", "Content-Length: -1\r\n", ""),
        ("a folded header", "X-A: b\r\n c: d\r\n", ""),
        ("a blank before the colon", "X-A : b\r\n", ""),
        ("a control character", "X-A: b\u{1}c\r\n", ""),
        ("a null", "X-A: b\0c\r\n", ""),
    ] {
        let request = format!("GET {TARGET} HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n{headers}\r\n{body}");
        let answer = raw(&world, request.as_bytes()).await;
        assert!(!answer.contains("access_token"), "{name}: {answer}");
        assert!(statuses(&answer).iter().all(|status| *status == 400), "{name}: {answer}");
    }
    let bare = good.replace("\r\n", "\n");
    let answer = raw(&world, bare.as_bytes()).await;
    assert!(statuses(&answer).len() <= 1, "bare line feeds end at most one request: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_taken_as_it_is_written() {
    let world = World::start().await;
    for path in [
        "/%74oken",
        "/token%2f",
        "/token%3Fresource=r",
        "/tok%65n",
        "/\\token",
        "/token\\",
        "/./token",
        "/x/../token",
        "/..%2ftoken",
        "/token;a=b",
        "/token/x",
        "/TOKEN",
        "/metadata/identity/oauth2%2Ftoken",
        "/metadata/identity/../identity/oauth2/token",
        "/Metadata/identity/oauth2/token",
        "/msi%00/token",
    ] {
        let request = format!(
            "GET {path}?api-version=2019-08-01&resource=r HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n"
        );
        let answer = raw(&world, request.as_bytes()).await;
        assert!(!answer.contains("access_token"), "{path}: {answer}");
        assert!(statuses(&answer).iter().all(|status| [400, 404].contains(status)), "{path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_and_other_names_are_kept_out() {
    let world = World::start().await;
    for header in ["X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1", "Via: 1.1 proxy"] {
        let request = format!("GET {TARGET} HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n{header}\r\n\r\n");
        assert_eq!(statuses(&raw(&world, request.as_bytes()).await), [403], "{header}");
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "localhost, evil.example"] {
        let request = format!("GET {TARGET} HTTP/1.1\r\nHost: {host}\r\nMetadata: true\r\n\r\n");
        assert_eq!(statuses(&raw(&world, request.as_bytes()).await), [400], "{host:?}");
    }
    let two = format!("GET {TARGET} HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nMetadata: true\r\n\r\n");
    let answer = raw(&world, two.as_bytes()).await;
    assert!(!answer.contains("access_token"), "two names: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_refused_and_pipelined_requests_are_answered_in_turn() {
    let world = World::start().await;
    world.ask(NATIVE).await.token();
    for (name, request) in [
        ("a long target", format!("GET {TARGET}&x={} HTTP/1.1\r\nHost: localhost\r\n\r\n", "y".repeat(200 << 10))),
        (
            "a long header",
            format!("GET {TARGET} HTTP/1.1\r\nHost: localhost\r\nX-A: {}\r\n\r\n", "y".repeat(200 << 10)),
        ),
        ("many headers", format!("GET {TARGET} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X-A: b\r\n".repeat(5000))),
    ] {
        let answer = raw(&world, request.as_bytes()).await;
        assert!(!answer.contains("access_token"), "{name}: {answer}");
        assert!(statuses(&answer).iter().all(|status| (400..500).contains(status)), "{name}: {answer}");
    }
    let one = |n: usize| {
        let resource = if n.is_multiple_of(2) { "" } else { "/" };
        format!("GET {TARGET}{resource} HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n")
    };
    let ten: String = (0..10).map(one).collect();
    let answer = raw(&world, ten.as_bytes()).await;
    assert_eq!(statuses(&answer), [200; 10]);
    let asked: Vec<bool> = answer.split("HTTP/1.1 200").skip(1).map(|one| one.contains("azure.net/\"")).collect();
    assert_eq!(asked, [false, true, false, true, false, true, false, true, false, true], "each answer in its turn");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_crawls_is_closed_and_others_are_served() {
    let world = World::start().await;
    world.ask(NATIVE).await.token();
    let address = world.server.token_addresses()[0];
    let crawling: Vec<_> = (0..50)
        .map(|_| {
            tokio::spawn(async move {
                let (mut socket, watch) = (connect(address).await, Stopwatch::start());
                let mut closed = [0; 512];
                for byte in b"GET /token?resource=r HTTP/1.1\r\nHost: localhost\r\n".iter().cycle().take(30) {
                    let sent = socket.write_all(&[*byte]).await;
                    let waited = tokio::time::timeout(Duration::from_secs(1), socket.read(&mut closed)).await;
                    if sent.is_err() || waited.is_ok() {
                        return watch.elapsed();
                    }
                }
                watch.elapsed()
            })
        })
        .collect();
    for _ in 0..20 {
        let watch = Stopwatch::start();
        world.ask(NATIVE).await.token();
        assert!(watch.elapsed() < Duration::from_secs(2), "others are served meanwhile");
    }
    for crawler in crawling {
        let lasted = crawler.await.unwrap();
        assert!(lasted < Duration::from_secs(15), "closed only after {lasted:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_idle_connections_leave_room() {
    let directory = support::directory();
    let (_sts, announcement) = support::start_sts(&[]);
    let authority = announcement["authority"].as_str().unwrap();
    let path = support::write_config(directory.path(), support::TWO_IDENTITIES, authority);
    // Idle between requests: a connection that has asked nothing yet is closed within seconds.
    let (_serve, tokens, _) = support::start_serve(&path, &[]).await;
    let address: SocketAddr = tokens.trim_start_matches("http://").parse().unwrap();
    let head = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut idle = Vec::new();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(500).min(10_000);
    for _ in 0..wanted {
        let mut socket = connect(address).await;
        socket.write_all(head).await.unwrap();
        let mut status = [0; 12];
        socket.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 404");
        idle.push(socket);
    }
    let http = support::client();
    let watch = Stopwatch::start();
    let response = http.get(format!("{tokens}{NATIVE}")).header("Metadata", "true").send().await.unwrap();
    assert_eq!(response.status(), 200, "beside {} idle ones", idle.len());
    assert!(watch.elapsed() < Duration::from_secs(5));
}
