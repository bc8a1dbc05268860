//! Credentials that are replaced while two thousand requests a second are served, by children of this process.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use bursar::clock::{Clock, Stopwatch};
use serde_json::Value;
use support::proof::{PROOFS, Volume, assertion_named, issue, pair, shown};
use support::{start_serve, start_sts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};

const RATE: usize = 2000;
/// A machine that is busy with other things sends fewer, and below this it proves nothing.
const LEAST_RATE: f64 = 200.0;
const CONNECTIONS: usize = 16;
/// Ten seconds' worth.
const REQUESTS: usize = 10 * RATE;
const SWAP_EVERY: Duration = Duration::from_secs(1);
const USED_WITHIN: Duration = Duration::from_secs(2);
/// Of so many requests for an identity one has a resource of its own, and with it an exchange.
const COLD_OF: usize = 13;
const GENERATIONS: usize = 3;
const KINDS: [&str; 3] = ["secret", "certificate", "assertion"];

/// A credential, with the files that it has in each generation.
struct Rotating {
    kind: &'static str,
    volume: Volume,
    generations: Vec<Vec<(&'static str, String)>>,
}

impl Rotating {
    fn new(directory: &Path, kind: &'static str, files: impl Fn(usize) -> Vec<(&'static str, String)>) -> Self {
        let generations: Vec<_> = (0..GENERATIONS).map(files).collect();
        Self { kind, volume: Volume::new(directory.join(kind), &borrowed(&generations[0])), generations }
    }

    fn swap(&self, generation: usize) {
        self.volume.swap(&borrowed(&self.generations[generation]));
    }
}

fn borrowed<'a>(files: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    files.iter().map(|(name, text)| (*name, text.as_str())).collect()
}

/// One of each kind. The public parts of all generations are left where the authority looks for them.
fn credentials(directory: &Path) -> [Rotating; 3] {
    let signing = issue(directory);
    let expires = Clock::System.now().as_secs() + 3600;
    let certificate = |generation| {
        let (certificate, key) = pair();
        std::fs::write(directory.join(format!("public-{generation}.pem")), &certificate).unwrap();
        vec![("tls.crt", certificate), ("tls.key", key)]
    };
    let assertion = |generation| vec![("token", assertion_named(&signing, expires, &format!("token-{generation}")))];
    [
        Rotating::new(directory, "secret", |generation| vec![("value", format!("secret-{generation}"))]),
        Rotating::new(directory, "certificate", certificate),
        Rotating::new(directory, "assertion", assertion),
    ]
}

/// All generations are registered, as they are while a credential is being replaced.
fn settings() -> String {
    format!(
        r#"
[[apps]]
client_id = "secret"
secrets = ["secret-0", "secret-1", "secret-2"]
[[apps]]
client_id = "certificate"
certificates = ["public-0.pem", "public-1.pem", "public-2.pem"]
[[apps]]
client_id = "assertion"
{PROOFS}
"#
    )
}

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
async fn every_kind_is_replaced_twice_and_no_request_fails() {
    let directory = tempfile::tempdir().unwrap();
    let credentials = credentials(directory.path());
    let file = directory.path().join("sts.toml");
    std::fs::write(&file, settings()).unwrap();
    let (_sts, announced) = start_sts(&["--config", file.to_str().unwrap()]);
    let authority = announced["authority"].as_str().unwrap();
    let (serve, tokens, _) = start_serve(&support::write_config(directory.path(), CONFIG, authority), &[]).await;
    let address = tokens.trim_start_matches("http://");

    let watch = Stopwatch::start();
    let callers: Vec<_> = (0..CONNECTIONS).map(|caller| tokio::spawn(call(caller, address.to_owned()))).collect();
    let swaps = swap_all(&credentials).await;
    for caller in callers {
        caller.await.unwrap_or_else(|failed| panic!("{failed}\n{}", serve.log()));
    }
    // Late requests are made up for, so the rate is short only where the machine is: what must hold of each request
    // holds of all of them anyway, and they go on until after the last swap.
    let (rate, ended) = (REQUESTS as f64 / watch.elapsed().as_secs_f64(), now());
    assert!(rate > LEAST_RATE && swaps.iter().all(|swap| swap.at < ended), "{rate:.0} requests a second are no load");

    let exchanges = support::exchanges(&support::client(), authority).await;
    for kind in KINDS {
        let uses = uses(kind, &exchanges);
        assert_eq!(uses.last().unwrap().1, GENERATIONS - 1, "{kind}: {uses:?}");
        swaps.iter().filter(|swap| swap.kind == kind).for_each(|swap| swap.check(&uses));
    }
}

/// One connection's share of the requests, all over that one connection, none of which fails. What is cached
/// stays the same token.
async fn call(caller: usize, address: String) {
    let mut connection = TcpStream::connect(&address).await.unwrap();
    connection.set_nodelay(true).unwrap();
    let mut pace = interval(Duration::from_secs(1).mul_f64(CONNECTIONS as f64 / RATE as f64));
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut held: HashMap<&str, String> = HashMap::new();
    for n in 0..REQUESTS / CONNECTIONS {
        pace.tick().await;
        let kind = KINDS[n % KINDS.len()];
        let turn = n / KINDS.len();
        let is_cold = turn % COLD_OF == caller % COLD_OF;
        let resource = if is_cold { format!("r{caller}-{turn}") } else { "warm".to_owned() };
        let target = format!("/token?identity={kind}&resource=https://{resource}");
        let request = format!("GET {target} HTTP/1.1\r\nhost: {address}\r\nmetadata: true\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let answer = answer(&mut connection).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{target}: {answer}");
        if !is_cold {
            let held = held.entry(kind).or_insert_with(|| token(&answer));
            assert!(answer.contains(held.as_str()), "{target}: {answer}");
        }
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

fn token(answer: &str) -> String {
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    body["access_token"].as_str().unwrap().to_owned()
}

/// A new generation of a credential, and when it was put in place.
struct Swap {
    kind: &'static str,
    generation: usize,
    at: jiff::Timestamp,
}

/// Each credential twice, one after the other.
async fn swap_all(credentials: &[Rotating]) -> Vec<Swap> {
    let mut pace = interval(SWAP_EVERY);
    pace.tick().await;
    let mut swaps = Vec::new();
    for generation in 1..GENERATIONS {
        for credential in credentials {
            pace.tick().await;
            credential.swap(generation);
            swaps.push(Swap { kind: credential.kind, generation, at: now() });
        }
    }
    swaps
}

impl Swap {
    /// The authority sees the new generation in time, and from then on no older one.
    fn check(&self, uses: &[(jiff::Timestamp, usize)]) {
        let Self { kind, generation, at } = self;
        let latest = *at + USED_WITHIN;
        let first = uses.iter().find(|(_, used)| used == generation).unwrap().0;
        assert!(first <= latest, "{kind} {generation} after {:#}", first - *at);
        let old = uses.iter().find(|(when, used)| *when > latest && used < generation);
        assert!(old.is_none(), "{kind} {generation} was in place, yet {old:?}");
    }
}

/// When which generation was used, counted from what was shown first.
fn uses(kind: &str, exchanges: &[Value]) -> Vec<(jiff::Timestamp, usize)> {
    let mut known: Vec<String> = Vec::new();
    let own = exchanges.iter().filter(|exchange| exchange["form"]["client_id"] == kind);
    own.map(|exchange| {
        let proof = shown(exchange);
        let generation = known.iter().position(|one| *one == proof).unwrap_or_else(|| {
            known.push(proof);
            known.len() - 1
        });
        (exchange["time"].as_str().unwrap().parse().unwrap(), generation)
    })
    .collect()
}

fn now() -> jiff::Timestamp {
    Clock::System.now().to_string().parse().unwrap()
}
