//! Assertions that a URL answers with.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bursar::clock::Stopwatch;
use serde_json::json;
use support::proof::{assertion_named, with_credentials, world};
use support::{NATIVE, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A token service that answers each request with the next of some answers, and then with the last again.
struct TokenService {
    heads: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<Vec<String>>>,
    url: String,
}

impl TokenService {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token?audience=x", listener.local_addr().unwrap());
        let service = Self { heads: Arc::default(), answers: Arc::default(), url };
        let (heads, answers) = (Arc::clone(&service.heads), Arc::clone(&service.answers));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(answer(socket, Arc::clone(&heads), Arc::clone(&answers)));
            }
        });
        service
    }

    /// Answers with these from now on; an empty one is never sent.
    fn say(&self, answers: &[(u16, &str)]) {
        let answer = |(status, body): &(u16, &str)| match *status {
            0 => String::new(),
            status => format!(
                "HTTP/1.1 {status} X\r\nlocation: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                self.url,
                body.len()
            ),
        };
        *self.answers.lock().unwrap() = answers.iter().rev().map(answer).collect();
    }

    /// Answers that it wants to be left alone for so many seconds.
    fn busy(&self, secs: u32) {
        let answer = format!("HTTP/1.1 503 X\r\nretry-after: {secs}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        *self.answers.lock().unwrap() = vec![answer];
    }

    /// The requests since this was last called.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.heads.lock().unwrap())
    }
}

async fn answer(mut socket: TcpStream, heads: Arc<Mutex<Vec<String>>>, answers: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = socket.read_u8().await else { return };
        head.push(byte);
    }
    heads.lock().unwrap().push(String::from_utf8_lossy(&head).to_lowercase());
    let answer = {
        let mut answers = answers.lock().unwrap();
        if answers.len() > 1 { answers.pop() } else { answers.last().cloned() }
    };
    match answer.filter(|answer| !answer.is_empty()) {
        Some(answer) => socket.write_all(answer.as_bytes()).await.unwrap(),
        None => std::future::pending().await,
    }
}

async fn world_of(service: &TokenService, further: &str) -> (World, jsonwebtoken::EncodingKey) {
    world(&format!(r#"[{{ kind = "assertion", url = "{}", bearer = {{ file = "header" }} }}{further}]"#, service.url))
        .await
}

const SECRET: &str = r#", { kind = "secret", file = "secret" }"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_url_is_asked_before_every_exchange() {
    let service = TokenService::start().await;
    let (world, key) = world_of(&service, "").await;
    let token = |jti: &str| assertion_named(&key, 1_800_003_600, jti);
    let (first, second, third) = (token("a"), token("b"), token("c"));
    let value = json!({ "count": 1, "value": second }).to_string();
    service.say(&[(200, &first), (503, "busy"), (200, &value), (200, &third)]);
    for (n, jti) in ["a", "b", "c"].into_iter().enumerate() {
        world.ask(&format!("/token?resource=r{n}")).await.token();
        let exchanges = support::exchanges(&world.http, world.sts.url()).await;
        assert_eq!(exchanges.len(), 1);
        assert_eq!(exchanges[0]["assertion"]["claims"]["jti"], jti);
    }
    let asked = service.asked();
    assert_eq!(asked.len(), 4);
    for head in asked {
        assert!(head.starts_with("get /token?audience=x http/1.1"), "{head}");
        assert!(head.contains("\r\nauthorization: bearer the-header-secret\r\n"), "{head}");
        assert!(head.contains("\r\nclient-request-id: "), "{head}");
    }
    let page = world.send(world.http.get(format!("{}/metrics", world.admin()))).await;
    let line = r#"bursar_credential_expiry_timestamp_seconds{credential="assertion",identity="first"} 1800003600"#;
    assert!(page.body.as_str().unwrap().contains(line), "{page:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_answers_instead_is_told_and_never_repeated() {
    let service = TokenService::start().await;
    let (world, _) = world_of(&service, "").await;
    for (n, (status, body, expected, words)) in [
        (302, "a.b.marked", 403, "redirects"),
        (401, "a.b.marked", 403, "refuses the request. For the operator: check the 'bearer'"),
        (404, "a.b.marked", 403, "does not answer with one. For the operator: check the 'url'"),
        (200, "marked", 403, "no signed assertion"),
        (500, "a.b.marked", 503, "cannot serve now. It is the authority's turn"),
    ]
    .into_iter()
    .enumerate()
    {
        service.say(&[(status, body)]);
        world.hand.advance(Duration::from_secs(61));
        let reply = world.ask(&format!("/token?resource=r{n}")).await;
        assert_eq!(reply.status, expected, "{reply:?}");
        assert!(reply.description().contains(words), "{reply:?}");
        assert!(!reply.description().contains("marked") && !reply.description().contains("the-header"), "{reply:?}");
    }
    assert_eq!(service.asked().len(), 6, "a passing failure is tried twice, and nothing is followed");
    assert_eq!(world.exchanges().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_leaves_time_for_the_next_credential_and_is_not_waited_for_again() {
    let service = TokenService::start().await;
    let (world, _) = world_of(&service, SECRET).await;
    service.say(&[(0, "")]);
    let watch = Stopwatch::start();
    world.ask(NATIVE).await.token();
    assert!(watch.elapsed() < Duration::from_secs(2), "within the flight's timeout");
    service.asked();
    for n in 0..5 {
        world.ask(&format!("/token?resource=r{n}")).await.token();
    }
    assert_eq!(service.asked().len(), 0, "the one that works is remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_not_there_gives_way_too() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (world, _) = world(&format!(r#"[{{ kind = "assertion", url = "http://{gone}/" }}{SECRET}]"#)).await;
    world.ask(NATIVE).await.token();
    let (world, _) = support::proof::world(&format!(r#"[{{ kind = "assertion", url = "http://{gone}/" }}]"#)).await;
    let reply = world.ask(NATIVE).await;
    assert!(reply.status == 503 && reply.description().contains("cannot be reached"), "{reply:?}");
    assert!(!reply.description().contains(&gone.to_string()), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_bearer_is_shown_at_once() {
    let service = TokenService::start().await;
    let credential = format!(r#"[{{ kind = "assertion", url = "{}", bearer = {{ file = "wrong" }} }}]"#, service.url);
    let (world, key) = world(&credential).await;
    service.say(&[(401, "")]);
    assert_eq!(world.ask(NATIVE).await.status, 403);
    assert!(service.asked()[0].contains("\r\nauthorization: bearer wrong-secret\r\n"));
    service.say(&[(200, &assertion_named(&key, 1_800_003_600, "a"))]);
    assert_eq!(world.ask("/token?resource=r").await.status, 403);
    assert_eq!(service.asked().len(), 0, "whoever refuses is not asked again by every key");
    let path = |name: &str| world.directory.path().join(name);
    std::fs::write(path("next"), "the-next-bearer").unwrap();
    std::fs::rename(path("next"), path("wrong")).unwrap();
    let watch = Stopwatch::start();
    while world.ask(NATIVE).await.status != 200 {
        assert!(watch.elapsed() < Duration::from_secs(2), "the refusal ends with the bearer, on a clock that stands");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let asked = service.asked();
    assert!(asked.iter().all(|head| head.contains("\r\nauthorization: bearer the-next-bearer\r\n")), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_ends_the_rest_of_all_whoever_failed_last() {
    let service = TokenService::start().await;
    let url = &service.url;
    let credentials = format!(r#"[{{ kind = "secret", file = "wrong" }}, {{ kind = "assertion", url = "{url}" }}]"#);
    let (world, _) = world(&credentials).await;
    service.say(&[(401, "")]);
    let reply = world.ask(NATIVE).await;
    assert!(reply.status == 403 && reply.description().contains("check the 'bearer'"), "{reply:?}");
    std::fs::write(world.directory.path().join("wrong"), support::SECRET).unwrap();
    let watch = Stopwatch::start();
    while world.ask(NATIVE).await.status != 200 {
        assert!(watch.elapsed() < Duration::from_secs(2), "on a clock that stands");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_busy_is_left_alone() {
    let service = TokenService::start().await;
    let (world, key) = world_of(&service, "").await;
    service.busy(17);
    for n in 0..3 {
        assert_eq!(world.ask(&format!("/token?resource=r{n}")).await.status, 503);
    }
    assert_eq!(service.asked().len(), 1, "no quick retry, and no other key");
    service.say(&[(200, &assertion_named(&key, 1_800_003_600, "a"))]);
    world.hand.advance(Duration::from_secs(16));
    assert_eq!(world.ask(NATIVE).await.status, 503);
    world.hand.advance(Duration::from_secs(1));
    world.ask(NATIVE).await.token();
}

/// The bearer goes to the URL and nowhere else, also where that repeats it.
#[tokio::test(flavor = "multi_thread")]
async fn the_bearer_shows_nowhere() {
    const BEARER: &str = "marked-bearer-of-the-url";
    let service = TokenService::start().await;
    let directory = support::directory();
    std::fs::write(directory.path().join("bearer"), BEARER).unwrap();
    let credentials = format!(r#"[{{ kind = "assertion", url = "{}", bearer = {{ file = "bearer" }} }}]"#, service.url);
    let config = with_credentials(&credentials) + "[log]\nlevel = \"trace\"\n";
    let (_sts, announced) = support::start_sts(&["--config", directory.path().join("sts.toml").to_str().unwrap()]);
    let file = support::write_config(directory.path(), &config, announced["authority"].as_str().unwrap());
    let (serve, tokens, admin) = support::start_serve(&file, &[]).await;
    let http = support::client();
    let mut shown = String::new();
    for (n, status) in [401, 500, 200].into_iter().enumerate() {
        service.say(&[(status, &format!("bearer {BEARER} is odd"))]);
        let target = format!("{tokens}/token?resource=r{n}");
        shown += &http.get(target).header("Metadata", "true").send().await.unwrap().text().await.unwrap();
    }
    shown += &http.get(format!("{admin}/metrics")).send().await.unwrap().text().await.unwrap();
    serve.logged("no token").await;
    shown += &serve.log();
    assert!(!shown.contains(BEARER), "{shown}");
    // Others may still ask for what was at this port before.
    let asked: Vec<String> = service.asked().into_iter().filter(|head| head.contains("audience=x")).collect();
    assert!(!asked.is_empty() && asked.iter().all(|head| head.contains(BEARER)), "it was shown to the URL: {asked:?}");
}
