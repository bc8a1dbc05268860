//! The requests of real clients, byte for byte, against the answers that they need. `tests/clients` runs the
//! clients themselves; this holds what they sent and were answered, so that nobody has to install them to see it break.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "wire/golden.rs"]
mod golden;
#[path = "wire/socket.rs"]
mod socket;
mod support;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bursar::clock::Timestamp;
use bursar::dialect::Guard;
use bursar::dialect::table::DIALECTS;
use golden::Golden;
use serde_json::{Map, Value};
use socket::{Answer, send};
use support::{APP, HEADER, Process, TWO_IDENTITIES, World};

const ALL: &str = r#"listen = ["127.0.0.1:0", "https://127.0.0.1:0"]
dialects = ["native", "imds", "app-service", "app-service-2017", "cloud-shell", "arc", "service-fabric"]
"#;
const RESOURCE: &str = "https://vault.azure.net";
const RESOURCE_ID: &str = "/subscriptions/b0b00000-0000-4000-8000-000000000004/resourcegroups/dev/providers/Microsoft.ManagedIdentity/userAssignedIdentities/dev";
/// What stands in records for every request id, the client's own or ours.
const REQUEST_ID: &str = "11111111-1111-4111-8111-111111111111";
/// Where key files lay when answers were recorded.
const KEYS: &str = "/var/opt/azcmagent/tokens";

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

/// The parameter that selects, the field in which clients want to see it again, and its value.
fn selector(golden: &Golden) -> Option<(&'static str, String)> {
    let text = golden.text();
    let (head, form) = text.split_once("\r\n\r\n").unwrap();
    let query = head.lines().next().unwrap().split([' ', '?']).nth(2).unwrap_or_default();
    let pairs = url::form_urlencoded::parse(query.as_bytes()).chain(url::form_urlencoded::parse(form.as_bytes()));
    let fields = |name: &str| match name {
        "client_id" | "clientid" => Some("client_id"),
        "object_id" | "principal_id" => Some("object_id"),
        "msi_res_id" | "mi_res_id" | "resource_id" => Some("msi_res_id"),
        _ => None,
    };
    let mut selectors = pairs.filter(|(_, value)| !value.is_empty());
    selectors.find_map(|(name, value)| fields(&name).map(|field| (field, value.into_owned())))
}

/// Every answer has these headers and the date, and no more unless it says so.
fn check_head(golden: &Golden, answer: &Answer, media: &str, further: &[&str]) {
    let mut names: Vec<String> =
        answer.head.lines().skip(1).map(|line| line.split(':').next().unwrap().to_lowercase()).collect();
    names.sort_unstable();
    let mut expected = vec!["cache-control", "content-length", "content-type", "date", "x-ms-request-id"];
    expected.extend(further);
    // A request with a body is the last of its connection.
    if golden.text().starts_with("POST") {
        expected.push("connection");
    }
    expected.sort_unstable();
    assert_eq!(names, expected, "{}", golden.name);
    assert_eq!(answer.header("content-type"), Some(media), "{}", golden.name);
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{}", golden.name);
    let id = answer.header("x-ms-request-id").unwrap();
    let is_known = golden.text().to_lowercase().contains(&format!("client-request-id: {REQUEST_ID}"));
    assert!(uuid::Uuid::parse_str(id).is_ok(), "{}: {id}", golden.name);
    assert_eq!(id == REQUEST_ID, is_known, "{}: the id is the client's own where it sends one: {id}", golden.name);
}

/// All that any client reads of a token's answer, in its order.
fn check_token(golden: &Golden, answer: &Answer, now: Timestamp) {
    let name = &golden.name;
    assert!(answer.head.starts_with("HTTP/1.1 200 OK\r\n"), "{name}: {answer:?}");
    check_head(golden, answer, "application/json; charset=utf-8", &[]);
    let body: Map<String, Value> = serde_json::from_str(&answer.body).unwrap();
    let selector = selector(golden);
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
    expected.extend(selector.as_ref().map(|(field, _)| *field).filter(|field| *field != "client_id"));
    expected.sort_unstable();
    // The order is the body's own: a client that reads both takes the later one of expires_in and expires_on.
    assert_eq!(body.keys().map(String::as_str).collect::<Vec<_>>(), expected, "{name}");
    let text = |field: &str| body[field].as_str().unwrap_or_else(|| panic!("{name}: {field} is no string: {body:?}"));
    assert_eq!((text("token_type"), text("resource"), text("client_id")), ("Bearer", RESOURCE, APP), "{name}");
    if let Some((field, value)) = selector {
        assert_eq!(text(field), value, "{name}: the selector is echoed as it was spelled");
    }
    let number = |field: &str| -> u64 {
        let digits = text(field);
        assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{name}: {field} is {digits}");
        digits.parse().unwrap()
    };
    let (left, end) = (number("expires_in"), number("expires_on"));
    assert_eq!((now.as_secs() + left, number("ext_expires_in")), (end, left), "{name}: both tell of the same end");
    assert!(left > 600 && number("not_before") <= now.as_secs(), "{name}: no client takes it for old: {body:?}");
    let claims = claims(text("access_token"));
    let held = ["aud", "appid"].map(|claim| claims[claim].as_str().unwrap());
    assert_eq!(held, [RESOURCE, APP], "{name}");
    assert_eq!(claims["exp"], end, "{name}: the token ends when the answer says");
}

/// What a JWT says.
fn claims(token: &str) -> Value {
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "{token} is no JWT");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap()
}

/// Exactly the recorded answer, aside from what is another in every run.
fn check_recorded(golden: &Golden, answer: &Answer, keys: &str) {
    let recorded = golden.answer().unwrap();
    let media =
        if recorded.contains("text/plain") { "text/plain; charset=utf-8" } else { "application/json; charset=utf-8" };
    let optional = ["allow", "www-authenticate"].into_iter().filter(|name| recorded.contains(&format!("\r\n{name}: ")));
    check_head(golden, answer, media, &optional.collect::<Vec<_>>());
    assert_eq!(settled(answer, keys), recorded, "{}", golden.name);
}

/// As `tests/clients/matrix/record.py` writes answers down.
fn settled(answer: &Answer, keys: &str) -> String {
    let id = answer.header("x-ms-request-id").unwrap();
    let text = format!("{}\r\n\r\n{}", answer.head, answer.body).replace(id, REQUEST_ID).replace(keys, KEYS);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let (status, headers) = head.split_once("\r\n").unwrap();
    let mut headers: Vec<String> = headers.lines().filter(|line| !line.starts_with("date:")).map(without_key).collect();
    headers.sort_unstable();
    format!("{status}\r\n{}\r\n\r\n{body}", headers.join("\r\n"))
}

/// The header with a fixed name for the key file that it tells of.
fn without_key(header: &str) -> String {
    match header.split_once("/bursar-") {
        Some((directory, file)) => {
            let id = file.strip_suffix(".key").unwrap();
            assert!(
                header.starts_with("www-authenticate: Basic realm=") && uuid::Uuid::parse_str(id).is_ok(),
                "{header}"
            );
            format!("{directory}/bursar-{REQUEST_ID}.key")
        }
        None => header.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_request_gets_what_its_client_needs() {
    let world = world().await;
    let listens = world.server.listens();
    let [plain, tls] = [0, 1].map(|n| listens[n].address().unwrap());
    let keys = world.directory.path().join("keys").display().to_string();
    let hand = world.hand.clone();
    let goldens: Vec<_> = Golden::all().into_iter().filter(|golden| golden.dialect().is_some()).collect();
    assert!(goldens.len() > 300, "{} files", goldens.len());
    let replaying = tokio::task::spawn_blocking(move || {
        for golden in &goldens {
            let is_tls = golden.dialect() == Some("service-fabric");
            let address = if is_tls { tls } else { plain };
            let request = if golden.has_key() { with_key(golden, address) } else { golden.bytes.clone() };
            let answer = send(address, is_tls, &request);
            match golden.answer_name() {
                Some(_) => check_recorded(golden, &answer, &keys),
                None => check_token(golden, &answer, hand.now()),
            }
            hand.advance(Duration::from_secs(1));
        }
    });
    replaying.await.unwrap();
}

/// The request with what a new key file holds in the place of what one held then.
fn with_key(golden: &Golden, address: SocketAddr) -> Vec<u8> {
    let request =
        b"GET /arc/token?api-version=2020-06-01&resource=r HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n";
    let challenge = send(address, false, request);
    let path = challenge.header("www-authenticate").and_then(|header| header.strip_prefix("Basic realm="));
    let key = std::fs::read_to_string(path.unwrap_or_else(|| panic!("no challenge in {challenge:?}"))).unwrap();
    let sent = golden.text();
    assert!(sent.contains(&format!("Basic {HEADER}")), "{sent}");
    sent.replace(&format!("Basic {HEADER}"), &format!("Basic {key}")).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_page_is_shown_as_it_was() {
    let keys = tempfile::tempdir().unwrap();
    let listen = ["--listen", "127.0.0.1:0", "--listen", "https://127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let mut command = support::bursar();
    command.env_remove("REGION_NAME").arg("dev").args(listen).arg("--arc-key-dir").arg(keys.path());
    let mut dev = Process::start(&mut command);
    let told: String = (0..4).map(|_| dev.line()).collect();
    let address = told.split("tokens     http://").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    let address: SocketAddr = address.parse().unwrap_or_else(|_| panic!("no address in {told}"));
    let pages: Vec<_> = Golden::all().into_iter().filter(|golden| golden.dialect().is_none()).collect();
    assert!(pages.len() > 8, "{} pages", pages.len());
    let asking = tokio::task::spawn_blocking(move || {
        for page in &pages {
            check_recorded(page, &send(address, false, &page.bytes), KEYS);
        }
    });
    asking.await.unwrap();
}

/// The clients of the matrix and the dialects that each speaks, as `tests/clients/matrix/clients` lists them.
fn listed() -> Vec<(String, Vec<String>)> {
    #[derive(serde::Deserialize)]
    struct File {
        client: Vec<Client>,
    }
    #[derive(serde::Deserialize)]
    struct Client {
        name: String,
        dialects: Vec<String>,
    }
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/matrix/clients");
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: std::path::PathBuf| -> File {
        let written = config::Config::builder().add_source(config::File::from(path)).build().unwrap();
        written.try_deserialize().unwrap()
    };
    let clients = paths.flat_map(|path| read(path).client);
    clients.map(|client| (client.name, client.dialects)).collect()
}

#[test]
fn each_client_of_the_matrix_was_recorded_in_each_dialect_that_it_speaks() {
    let goldens = Golden::all();
    let listed = listed();
    for (client, dialects) in &listed {
        for dialect in dialects {
            let name = format!("{client}/{dialect}-none");
            assert!(goldens.iter().any(|golden| golden.name == name), "tests/wire/{name}.http is missing");
        }
    }
    for golden in &goldens {
        let client = golden.name.split('/').next().unwrap();
        assert!(listed.iter().any(|(name, _)| name == client), "{}: no client of the matrix", golden.name);
    }
}

#[test]
fn each_client_was_recorded_in_each_case_that_it_has() {
    let goldens = Golden::all();
    let names: BTreeSet<&str> = goldens.iter().map(|golden| golden.name.as_str()).collect();
    let mut used = BTreeSet::new();
    for golden in &goldens {
        used.extend(golden.answer_name());
        let Some(dialect) = golden.dialect() else { continue };
        let (way, _) =
            golden.name.split_once("-none").or_else(|| golden.name.split_once("-client_id")).unwrap_or_default();
        let guard = DIALECTS.iter().find(|row| row.name == dialect).unwrap().guard;
        let has = |case: &str| names.contains(format!("{way}-{case}").as_str());
        if !way.is_empty() {
            assert!(has("wrong-secret") == matches!(guard, Guard::HeaderSecret(_)), "{way}: the wrong secret");
            assert_eq!(has("client_id"), has("unknown"), "{way}: an identity that is not there");
        }
    }
    assert_eq!(used.into_iter().collect::<Vec<_>>(), golden::answers(), "each recorded answer is somebody's");
}
