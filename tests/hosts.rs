//! The host's own managed identity, as hosts answer: what is asked of them, and what comes of each answer.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bursar::app::App;
use bursar::clock::{Clock, ManualClock, Timestamp};
use bursar::config::Config;
use bursar::server::Server;
use serde_json::Value;
use support::Reply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The token endpoint of a host, which answers each request with the next of some texts, and then with the last.
struct Machine {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Machine {
    async fn that_says(answers: &[(u16, &str, &str)]) -> Self {
        let listener = TcpListener::bind(support::loopback()).await.unwrap();
        let machine = Self { url: format!("http://{}", listener.local_addr().unwrap()), heads: Arc::default() };
        let heads = Arc::clone(&machine.heads);
        let mut answers: Vec<String> = answers.iter().rev().map(|answer| written(*answer)).collect();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(socket.read_u8().await.unwrap());
                }
                heads.lock().unwrap().push(String::from_utf8(head).unwrap());
                let answer = if answers.len() > 1 { answers.pop() } else { answers.last().cloned() };
                socket.write_all(answer.unwrap().as_bytes()).await.unwrap();
            }
        });
        machine
    }

    /// How many requests there were since they were last taken.
    fn count(&self) -> usize {
        self.heads.lock().unwrap().len()
    }

    /// The requests since this was last called.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.heads.lock().unwrap())
    }
}

fn written((status, headers, body): (u16, &str, &str)) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\n{headers}content-type: application/json; charset=utf-8\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// A service on that machine.
struct Guest {
    hand: ManualClock,
    server: Server,
    _directory: tempfile::TempDir,
}

const IMDS: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";

impl Guest {
    fn on(machine: &Machine, ids: &str) -> Self {
        Self::with(&[(IMDS, &machine.url)], ids)
    }

    fn with(variables: &[(&str, &str)], ids: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let text = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nadmin_listen = \"127.0.0.1:0\"\ndrain = \"0s\"\n[identities.host]\nsource = \"managed-identity\"\nresources = [\"*\"]\n{ids}"
        );
        let path = support::write_config(directory.path(), &text, "-");
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let hand = ManualClock::at(Timestamp::from_secs(1_800_000_000));
        let config = Config::read(Some(&path), variables, hand.now()).unwrap();
        let clock = Clock::Manual(hand.clone());
        let server = App::build(config, clock, tokio::runtime::Handle::current()).unwrap().start().unwrap();
        Self { hand, server, _directory: directory }
    }

    async fn ask(&self, resource: &str) -> Reply {
        let url = format!("http://{}/token?resource={resource}", self.server.token_addresses()[0]);
        let response = support::client().get(url).header("Metadata", "true").send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        Reply { status, headers, body }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_is_told_in_every_way_that_hosts_have() {
    for (times, expires_on) in [
        (r#""expires_in": "3599", "expires_on": "1800003599""#, 1_800_003_599_u64),
        (r#""expires_in": 3599"#, 1_800_003_599),
        (r#""expires_in": "3599""#, 1_800_003_599),
        (r#""expires_on": "1800086400""#, 1_800_086_400),
        (r#""expires_on": 1800086400"#, 1_800_086_400),
    ] {
        let body = format!(
            r#"{{"access_token": "the.machines.token", {times}, "not_before": "1799999700", "resource": "r", "token_type": "Bearer", "client_id": "x"}}"#
        );
        let machine = Machine::that_says(&[(200, "", &body)]).await;
        let guest = Guest::on(&machine, "");
        let reply = guest.ask("https://vault.azure.net").await;
        assert_eq!(reply.token(), "the.machines.token");
        assert_eq!(reply.body["expires_on"].as_str().unwrap(), expires_on.to_string(), "{times}");
        guest.ask("https://vault.azure.net").await.token();
        let asked = machine.asked();
        assert_eq!(asked.len(), 1, "it is kept");
        let line = "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net HTTP/1.1\r\n";
        assert!(asked[0].starts_with(line), "{asked:?}");
        assert!(asked[0].to_lowercase().contains("\r\nmetadata: true\r\n"), "{asked:?}");
    }
}

const TOKEN: &str = r#"{"access_token": "the.machines.token", "expires_in": "3599", "token_type": "Bearer"}"#;
const GUID: &str = "b0b00000-0000-4000-8000-0000000000ff";

#[tokio::test(flavor = "multi_thread")]
async fn each_id_goes_under_the_name_that_the_host_has_for_it() {
    let resource_id = "/subscriptions/s/resourcegroups/g/providers/p/userAssignedIdentities/u";
    for (ids, expected) in [
        (format!("client_id = \"{GUID}\""), format!("&client_id={GUID} ")),
        (format!("object_id = \"{GUID}\""), format!("&object_id={GUID} ")),
        (format!("resource_id = \"{resource_id}\""), format!("&msi_res_id={} ", resource_id.replace('/', "%2F"))),
    ] {
        let machine = Machine::that_says(&[(200, "", TOKEN)]).await;
        Guest::on(&machine, &ids).ask("r").await.token();
        let asked = machine.asked();
        assert!(asked[0].contains(&format!("&resource=r{expected}")), "{ids}: {asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn app_service_is_shown_its_header() {
    let machine = Machine::that_says(&[(200, "", TOKEN)]).await;
    let endpoint = format!("{}/msi/token", machine.url);
    Guest::with(&[("IDENTITY_ENDPOINT", &endpoint), ("IDENTITY_HEADER", "the-header")], "").ask("r").await.token();
    let asked = machine.asked();
    assert!(asked[0].starts_with("GET /msi/token?api-version=2019-08-01&resource=r HTTP/1.1\r\n"), "{asked:?}");
    assert!(asked[0].to_lowercase().contains("\r\nx-identity-header: the-header\r\n"), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_in_a_moment_is_tried_once_more() {
    for status in [404, 410, 500, 503] {
        let machine = Machine::that_says(&[(status, "", "{}"), (200, "", TOKEN)]).await;
        Guest::on(&machine, "").ask("r").await.token();
        assert_eq!(machine.asked().len(), 2, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_says_whose_turn_it_is() {
    let invalid = |code: &str| format!(r#"{{"error": "{code}", "error_description": "Identity not found"}}"#);
    for (status, body, told, requests, words) in [
        (404, "{}".to_owned(), 503, 2, "endpoint is not ready. It is the authority's turn: ask again"),
        (410, "{}".to_owned(), 503, 2, "endpoint is not ready. It is the authority's turn: ask again"),
        (500, r#"{"error": "unknown"}"#.to_owned(), 503, 2, "It is the authority's turn"),
        (400, invalid("invalid_request"), 403, 1, "the host refused a token of its managed identity. For the operator"),
        (401, invalid("unknown_source"), 403, 1, "the host refused a token of its managed identity. For the operator"),
        (403, invalid("forbidden"), 403, 1, "the host refused a token of its managed identity. For the operator"),
        (400, invalid("invalid_resource"), 400, 1, "For the caller"),
    ] {
        let machine = Machine::that_says(&[(status, "", &body)]).await;
        let reply = Guest::on(&machine, "").ask("r").await;
        assert_eq!((reply.status, machine.asked().len()), (told, requests), "{status} {body}: {reply:?}");
        assert!(reply.description().contains(words), "{status} {body}: {reply:?}");
        assert!(!reply.description().contains("Identity not found"), "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_throttles_is_left_alone() {
    let machine = Machine::that_says(&[(429, "retry-after: 17\r\n", "{}"), (200, "", TOKEN)]).await;
    let guest = Guest::on(&machine, "");
    let reply = guest.ask("r").await;
    assert_eq!((reply.status, reply.retry_after()), (429, Some(5)), "{reply:?}");
    guest.hand.advance(Duration::from_secs(16));
    assert_eq!(guest.ask("r").await.status, 429);
    assert_eq!(machine.asked().len(), 1);
    guest.hand.advance(Duration::from_secs(1));
    guest.ask("r").await.token();
}

/// The host's words go to the log, unless they repeat what it was shown.
#[tokio::test(flavor = "multi_thread")]
async fn the_header_of_the_host_shows_nowhere() {
    const HEADER: &str = "marked-header-of-the-host";
    let echo = format!(r#"{{"error": "invalid_request", "error_description": "the header {HEADER} is odd"}}"#);
    let machine = Machine::that_says(&[(400, "", &echo), (200, "", TOKEN)]).await;
    let directory = tempfile::tempdir().unwrap();
    let text = "[server]\nlisten = [\"127.0.0.1:0\"]\nadmin_listen = \"127.0.0.1:0\"\n[identities.host]\nsource = \"managed-identity\"\nresources = [\"*\"]\n[log]\nlevel = \"trace\"\n";
    let path = support::write_config(directory.path(), text, "-");
    let endpoint = format!("{}/msi/token", machine.url);
    let variables = [("IDENTITY_ENDPOINT", endpoint.as_str()), ("IDENTITY_HEADER", HEADER)];
    let (serve, tokens, admin) = support::start_serve(&path, &variables).await;
    let http = support::client();
    let mut shown = String::new();
    for (resource, status) in [("a", 403), ("b", 200)] {
        let request = http.get(format!("{tokens}/token?resource={resource}")).header("Metadata", "true");
        let reply = request.send().await.unwrap();
        assert_eq!(reply.status(), status);
        shown += &reply.text().await.unwrap();
    }
    shown += &http.get(format!("{admin}/metrics")).send().await.unwrap().text().await.unwrap();
    serve.logged("the words are withheld").await;
    serve.logged("the host issued a token").await;
    shown += &serve.log();
    assert!(!shown.contains(HEADER), "{shown}");
    let asked = machine.asked();
    assert!(asked.iter().all(|head| head.contains(HEADER)), "it was shown to the host: {asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_tokens_are_renewed_ahead_and_a_demand_goes_past_its_own_cache() {
    let machine = Machine::that_says(&[(200, "", TOKEN)]).await;
    let guest = Guest::on(&machine, "");
    guest.ask("r").await.token();
    guest.ask("other").await.token();
    machine.asked();
    guest.hand.advance(Duration::from_mins(46));
    guest.ask("r").await.token();
    support::until("both renewals", async || {
        // One more a second, at the rate of twenty.
        guest.hand.advance(Duration::from_millis(50));
        machine.count() == 2
    })
    .await;
    let asked = machine.asked();
    assert!(asked.iter().all(|head| !head.contains("bypass_cache")), "{asked:?}");
    guest.ask("r&bypass_cache=true").await.token();
    let forced = machine.asked();
    assert!(forced.len() == 1 && forced[0].contains("&resource=r&bypass_cache=true "), "{forced:?}");
    guest.ask("r&bypass_cache=false").await.token();
    assert_eq!(machine.count(), 0);
}
