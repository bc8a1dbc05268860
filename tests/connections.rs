//! Connections that crawl, idle, say nothing or do not listen: they are closed in time, others are served
//! meanwhile, and whoever only waits is not cut.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and says what it leaves out")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use bursar::clock::Stopwatch;
use serde_json::json;
use support::door::{Door, Line, ended_within, statuses, world_with_doors};
use support::{NATIVE, World, on_token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LOST: &str = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n";
const HEAD: &str =
    "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nX-A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const CHUNKED: &str = "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
const LONG: &str = "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n";
/// As many as a machine's processes may hold together.
const MANY: usize = 10_000;
/// Between the limit and what a busy machine may add.
const SOON: Duration = Duration::from_secs(10);

/// Whoever asks meanwhile is served at once.
async fn others_are_served(world: &World) {
    for _ in 0..20 {
        let watch = Stopwatch::start();
        world.ask(NATIVE).await.token();
        assert!(watch.elapsed() < Duration::from_secs(2), "others are served meanwhile");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_whole_is_closed_and_others_are_served() {
    let (world, doors) = world_with_doors("").await;
    world.ask(NATIVE).await.token();
    let mut crawling = Vec::new();
    for door in doors {
        for (name, first, drip) in [
            ("a first head", String::new(), HEAD),
            ("a later head", LOST.to_owned(), HEAD),
            ("empty lines between requests", LOST.to_owned(), "\r\n"),
            ("a later head that begins with the one before", format!("{LOST}GET /no"), "w"),
            ("a later head that goes silent", format!("{LOST}GET /no"), ""),
            ("chunks that nobody reads", CHUNKED.to_owned(), "1\r\na\r\n"),
            ("chunks that nobody reads and that go silent", format!("{CHUNKED}5\r\nab"), ""),
            ("a body that nobody reads", LONG.to_owned(), "a"),
            ("a body that nobody reads after another request", format!("{LOST}{LONG}"), "a"),
            ("silence", String::new(), ""),
        ] {
            let door = door.clone();
            crawling.push(tokio::spawn(async move {
                let lasted = door.drip(&first, drip.as_bytes()).await;
                lasted.is_none_or(|lasted| lasted > SOON).then(|| format!("{}: {name}: {lasted:?}", door.name))
            }));
        }
    }
    others_are_served(&world).await;
    let mut too_long = Vec::new();
    for crawler in crawling {
        too_long.extend(crawler.await.unwrap());
    }
    assert!(too_long.is_empty(), "{too_long:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_crawlers_hold_up_nobody() {
    let (world, [plain, ..]) = world_with_doors("").await;
    world.ask(NATIVE).await.token();
    let crawl = |_| {
        let door = plain.clone();
        tokio::spawn(async move { door.drip(LOST, HEAD.as_bytes()).await })
    };
    let crawling: Vec<_> = (0..50).map(crawl).collect();
    others_are_served(&world).await;
    for crawler in crawling {
        let lasted = crawler.await.unwrap();
        assert!(lasted.is_some_and(|lasted| lasted < SOON), "{lasted:?}");
    }
}

async fn ask(line: &mut dyn Line, request: &str) -> String {
    line.write_all(request.as_bytes()).await.unwrap();
    line.flush().await.unwrap();
    let mut chunk = [0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(20), line.read(&mut chunk)).await.unwrap().unwrap();
    String::from_utf8_lossy(&chunk[..read]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_waits_is_not_cut() {
    let (world, doors) = world_with_doors("").await;
    let waiting = doors.clone().map(|door| {
        tokio::spawn(async move {
            let mut line = door.open().await;
            let first = ask(&mut *line, LOST).await;
            tokio::time::sleep(Duration::from_secs(8)).await;
            (door.name, statuses(&first), statuses(&ask(&mut *line, LOST).await))
        })
    });
    world.break_sts(on_token(json!({ "delay_ms": 8000 }))).await;
    let asking = [doors[0].clone(), doors[1].clone()].map(|door| {
        tokio::spawn(async move {
            let mut line = door.open().await;
            let request = format!("GET {NATIVE} HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n");
            let watch = Stopwatch::start();
            let answer = ask(&mut *line, &request).await;
            // The same connection serves on: what was waited for is forgotten.
            (door.name, watch.elapsed(), answer, statuses(&ask(&mut *line, &request).await))
        })
    });
    for waiting in waiting {
        let (name, first, second) = waiting.await.unwrap();
        assert_eq!((first, second), (vec![404], vec![404]), "idle on {name}");
    }
    for asking in asking {
        let (name, waited, answer, again) = asking.await.unwrap();
        assert_eq!((statuses(&answer), again), (vec![200], vec![200]), "{name}: {answer}");
        assert!(waited > Duration::from_secs(7), "{name} waited for the authority: {waited:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_take_answers_is_closed() {
    let (world, doors) = world_with_doors("").await;
    world.ask(NATIVE).await.token();
    let deaf = doors.map(|door| tokio::spawn(flood_unread(door)));
    for deaf in deaf {
        let (name, is_closed, asked, answered) = deaf.await.unwrap();
        assert!(is_closed, "{name} is open after {asked} requests without a reader");
        assert!(answered < asked, "{name}: all {asked} were answered");
    }
}

/// Asks and asks and reads nothing, until the connection is closed; then reads what there is.
async fn flood_unread(door: Door) -> (&'static str, bool, usize, usize) {
    let mut line = door.open().await;
    let mut asked = 0;
    let flooded = async {
        while line.write_all(LOST.as_bytes()).await.is_ok() {
            asked += 1;
        }
    };
    // A busy machine takes its time until the buffers are full, and no longer than this.
    let is_closed = tokio::time::timeout(Duration::from_secs(60), flooded).await.is_ok();
    let (mut answer, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
    while let Ok(Ok(read)) = tokio::time::timeout(Duration::from_secs(2), line.read(&mut chunk)).await {
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&chunk[..read]);
    }
    (door.name, is_closed, asked, String::from_utf8_lossy(&answer).matches("HTTP/1.1 404").count())
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_shake_no_hands_hold_up_nobody_and_are_closed() {
    let (world, [_, https, _]) = world_with_doors("").await;
    world.ask(NATIVE).await.token();
    let mut silent = Vec::new();
    for n in 0..600 {
        let mut socket = TcpStream::connect(https.address).await.unwrap();
        // Some begin a handshake, and stop after the header of its first record.
        socket.write_all(if n % 2 == 0 { b"" } else { b"\x16\x03\x01\x02\x00" }).await.unwrap();
        silent.push(socket);
    }
    for _ in 0..5 {
        let watch = Stopwatch::start();
        let mut line = https.open().await;
        assert_eq!(statuses(&ask(&mut *line, LOST).await), [404]);
        assert!(watch.elapsed() < Duration::from_secs(1), "https is served beside them: {:?}", watch.elapsed());
        world.ask(NATIVE).await.token();
        assert!(watch.elapsed() < Duration::from_secs(2), "so is http: {:?}", watch.elapsed());
    }
    for mut socket in silent {
        assert!(ended_within(&mut socket, SOON).await, "a silent socket is closed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_leave_room() {
    let (world, doors) = world_with_doors("").await;
    world.ask(NATIVE).await.token();
    let mut idle = Vec::new();
    for door in &doors {
        for _ in 0..150 {
            let mut line = door.open().await;
            assert_eq!(statuses(&ask(&mut *line, LOST).await), [404], "{}", door.name);
            idle.push(line);
        }
    }
    for door in &doors {
        let (watch, mut line) = (Stopwatch::start(), door.open().await);
        assert_eq!(statuses(&ask(&mut *line, LOST).await), [404], "{}", door.name);
        assert!(watch.elapsed() < Duration::from_secs(2), "{} beside {} idle ones", door.name, idle.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_hold_up_no_end() {
    let (world, doors) = world_with_doors("").await;
    let mut idle = Vec::new();
    for door in &doors {
        let mut line = door.open().await;
        assert_eq!(statuses(&ask(&mut *line, LOST).await), [404], "{}", door.name);
        idle.push((door.name, line));
    }
    let watch = Stopwatch::start();
    world.server.shutdown().await;
    assert!(watch.elapsed() < Duration::from_secs(4), "the end took {:?}", watch.elapsed());
    for (name, mut line) in idle {
        assert!(ended_within(&mut *line, Duration::from_secs(1)).await, "{name}");
    }
}

/// How many descriptors this process may have, once it has asked for all that it can get.
fn descriptors() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).ok();
    getrlimit(Resource::Nofile).current.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX)
}

/// Idle on both listeners at once, more than there are descriptors: authorities are reached all the same.
#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_leave_descriptors() {
    let directory = support::directory();
    let (_sts, announcement) = support::start_sts(&[]);
    let authority = announcement["authority"].as_str().unwrap();
    let path = support::write_config(directory.path(), support::TWO_IDENTITIES, authority);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -n 300 && exec \"$0\" serve --config \"$1\"", env!("CARGO_BIN_EXE_bursar")]).arg(path);
    let (serve, tokens, admin) = support::serving(&mut command).await;
    let [tokens, admin] = [tokens, admin].map(|url| url.trim_start_matches("http://").parse::<SocketAddr>().unwrap());
    let mut first = TcpStream::connect(tokens).await.unwrap();
    assert_eq!(statuses(&ask(&mut first, LOST).await), [404]);
    let mut idle = Vec::new();
    for address in [admin, tokens] {
        for _ in 0..200 {
            let mut socket = TcpStream::connect(address).await.unwrap();
            socket.write_all(LOST.as_bytes()).await.unwrap();
            idle.push(socket);
        }
    }
    let mut status = [0; 12];
    let (one_of_admin, one_of_tokens) = idle.split_at_mut(200);
    for socket in [&mut one_of_admin[0], &mut one_of_tokens[0]] {
        socket.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 404");
    }
    let request = format!("GET {NATIVE} HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n");
    let answer = ask(&mut first, &request).await;
    assert_eq!(statuses(&answer), [200], "{answer}");
    let open = std::fs::read_dir(format!("/proc/{}/fd", serve.pid())).unwrap().count();
    assert!(open < 260, "{open} of 300 descriptors are taken");
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
    let mut idle = Vec::new();
    let wanted = descriptors().saturating_sub(500).min(MANY);
    if wanted < MANY {
        eprintln!("only {wanted} connections: the hard limit of descriptors (ulimit -Hn) allows no more");
    }
    assert!(wanted > 0, "a limit of more than 500 descriptors is needed");
    for _ in 0..wanted {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(LOST.as_bytes()).await.unwrap();
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
