//! Unix sockets: who connects is known by its user, the file's mode says who may, and the file is left to nobody.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and says what it leaves out")]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bursar::clock::Stopwatch;
use serde_json::json;
use support::door::{Line, ended_within, statuses};
use support::{APP, NATIVE, OTHER_APP, Process, TWO_IDENTITIES, World, bursar, on_token, start_sts, write_config};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// A user and a group that own nothing.
const BILLING: u32 = 65_501;
const SHOP: u32 = 65_502;
const NOBODY: u32 = 65_503;

/// The usual configuration, on a socket beside an address.
fn config(mode: &str, callers: &str) -> String {
    let base = TWO_IDENTITIES.replacen("[\"127.0.0.1:0\"]", "[\"127.0.0.1:0\", \"unix:run/bursar.sock\"]", 1);
    let base = base.replacen("[tenants.one]", &format!("[server.unix]\nmode = \"{mode}\"\n[tenants.one]"), 1);
    let base =
        if callers.is_empty() { base } else { base.replacen("header_secret = [{ file = \"header\" }]\n", "", 1) };
    format!("{base}{callers}")
}

fn caller(name: &str, proof: &str, identity: &str) -> String {
    format!(
        "[callers.{name}]\nproof = {{ kind = \"unix\", {proof} }}\nidentities = [\"{identity}\"]\nresources = [\"*\"]\n"
    )
}

/// The directory of the files, with another for the socket, which every user may look into.
fn directory() -> TempDir {
    let directory = support::directory();
    let run = directory.path().join("run");
    fs::create_dir(&run).unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o711)).unwrap();
    fs::set_permissions(&run, Permissions::from_mode(0o755)).unwrap();
    directory
}

fn socket(directory: &TempDir) -> PathBuf {
    directory.path().join("run/bursar.sock")
}

fn through(socket: &Path) -> reqwest::Client {
    bursar::wire::install_crypto_provider();
    reqwest::Client::builder().no_proxy().unix_socket(socket).build().unwrap()
}

/// Asks as another user, with curl: the status and the answer, or curl's exit code.
fn ask_as(user: u32, group: u32, socket: &Path) -> Result<(u16, String), i32> {
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={user}"), &format!("--regid={group}"), "--clear-groups", "curl", "-sS"]);
    command.args(["-w", "%{http_code}", "-H", "Metadata: true", "--unix-socket"]).arg(socket);
    let output = command.arg(format!("http://localhost{NATIVE}")).stderr(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    match output.status.code().unwrap() {
        0 => Ok((text[text.len() - 3..].parse().unwrap(), text)),
        code => Err(code),
    }
}

fn may_change_user() -> bool {
    let may = rustix::process::getuid().is_root();
    if !may {
        eprintln!("left out: only root can ask as another user");
    }
    may
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_are_two_callers_and_a_third_is_nobody() {
    if !may_change_user() {
        return;
    }
    let callers = [caller("billing", "uid = 65501", "first"), caller("shop", "gid = 65502", "second")].concat();
    let directory = directory();
    let socket = socket(&directory);
    let _world = World::within(directory, &config("0666", &callers)).await;
    for (user, group, client_id) in [(BILLING, NOBODY, APP), (NOBODY, SHOP, OTHER_APP), (BILLING, SHOP, APP)] {
        let (status, answer) = ask_as(user, group, &socket).unwrap();
        assert!(status == 200 && answer.contains(client_id), "{user}:{group}: {answer}");
    }
    let (status, answer) = ask_as(NOBODY, NOBODY, &socket).unwrap();
    assert_eq!(status, 401, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mode_says_who_may_connect() {
    if !may_change_user() {
        return;
    }
    for (mode, answered) in [("0660", false), ("0666", true)] {
        let directory = directory();
        let socket = socket(&directory);
        let _world = World::within(directory, &config(mode, "")).await;
        assert_eq!(ask_as(BILLING, BILLING, &socket).is_ok(), answered, "{mode}");
        assert_eq!(ask_as(0, 0, &socket).unwrap().0, 200, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_at_the_other_end_is_the_proof() {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    for (proof, status) in [
        (format!("uid = {uid}"), 200),
        (format!("gid = {gid}"), 200),
        (format!("uid = {uid}, gid = {gid}"), 200),
        (format!("uid = {}", uid + 1), 401),
        (format!("uid = {uid}, gid = {}", gid + 1), 401),
    ] {
        let directory = directory();
        let http = through(&socket(&directory));
        let world = World::within(directory, &config("0600", &caller("own", &proof, "second"))).await;
        let reply = world.send(http.get(format!("http://localhost{NATIVE}")).header("metadata", "true")).await;
        assert_eq!(reply.status, status, "{proof}: {reply:?}");
        assert!(status == 401 || reply.body["client_id"] == OTHER_APP, "{proof}: {reply:?}");
        assert_eq!(world.ask(NATIVE).await.status, 401, "an address tells of no user");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_is_asked_under_any_name_and_with_the_header() {
    let directory = directory();
    let http = through(&socket(&directory));
    let alone = config("0600", "").replacen("\"127.0.0.1:0\", ", "", 1);
    let world = World::within(directory, &alone).await;
    assert_eq!(world.server.token_addresses(), []);
    assert!(world.server.listens()[0].to_string().ends_with("/run/bursar.sock"));
    for (host, header, status) in [("localhost", true, 200), ("bursar.example", true, 200), ("localhost", false, 400)] {
        let mut request = http.get(format!("http://{host}{NATIVE}"));
        if header {
            request = request.header("metadata", "true");
        }
        assert_eq!(world.send(request).await.status, status, "{host} {header}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_crawls_on_a_socket_is_closed() {
    let directory = directory();
    let path = socket(&directory);
    let _world = World::within(directory, &config("0600", "")).await;
    let mut line = UnixStream::connect(&path).await.unwrap();
    line.write_all(b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\nGET /no").await.unwrap();
    let mut answer = [0; 12];
    line.read_exact(&mut answer).await.unwrap();
    assert_eq!(statuses(&format!("{} ", String::from_utf8_lossy(&answer))), [404]);
    assert!(ended_within(&mut line, Duration::from_secs(10)).await);
}

fn serve(config: &Path) -> Process {
    Process::start(bursar().arg("serve").arg("--config").arg(config))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_left_behind_is_replaced_and_one_in_use_is_not() {
    let directory = directory();
    let path = socket(&directory);
    let config = write_config(directory.path(), &config("0640", ""), "http://127.0.0.1:1");
    let killed = serve(&config);
    killed.logged("serving").await;
    drop(killed);
    let left = fs::symlink_metadata(&path).unwrap();
    let first = serve(&config);
    assert!(first.logged("serving").await.contains("/run/bursar.sock"));
    let made = fs::symlink_metadata(&path).unwrap();
    assert_ne!((left.ino(), left.ctime_nsec()), (made.ino(), made.ctime_nsec()));
    assert_eq!(made.mode() & 0o7777, 0o640);

    let (code, _, log) = serve(&config).ended().await;
    assert_eq!(code, Some(69));
    assert!(log.contains("a program listens there") && log.contains("configure another path"), "{log}");
    assert_eq!(fs::symlink_metadata(&path).unwrap().ino(), made.ino());
    first.terminate();
    assert_eq!(first.ended().await.0, Some(0));
    assert!(!path.exists(), "it goes away with its listener");

    fs::write(&path, "kept").unwrap();
    let (code, _, log) = serve(&config).ended().await;
    assert_eq!((code, log.contains("no socket")), (Some(69), true), "{log}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_makes_a_socket_file_does_so_alone() {
    let directory = directory();
    let path = socket(&directory);
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let stale = fs::metadata(&path).unwrap().ino();
    // Somebody has found the same file dead, and is about to replace it.
    let turn = fs::File::open(path.parent().unwrap()).unwrap();
    turn.lock().unwrap();
    let serve = serve(&write_config(directory.path(), &config("0600", ""), "http://127.0.0.1:1"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fs::metadata(&path).unwrap().ino(), stale, "it is not replaced by two at once");
    let live = std::os::unix::net::UnixListener::bind(path.with_extension("new")).unwrap();
    fs::rename(path.with_extension("new"), &path).unwrap();
    turn.unlock().unwrap();
    let (code, _, log) = serve.ended().await;
    assert!(code != Some(0) && log.contains("a program listens there"), "{log}");
    drop(live);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_start_at_once_on_a_dead_socket_one_serves() {
    let directory = directory();
    let path = socket(&directory);
    let file = write_config(directory.path(), &config("0600", ""), "http://127.0.0.1:1");
    for _ in 0..5 {
        fs::remove_file(&path).ok();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let all: Vec<Process> = (0..3).map(|_| serve(&file)).collect();
        let mut served = Vec::new();
        for one in all {
            let watch = Stopwatch::start();
            let is_decided = |log: &str| log.contains("serving") || log.contains("a program listens there");
            while !is_decided(&one.log()) && watch.elapsed() < Duration::from_secs(20) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(is_decided(&one.log()), "{}", one.log());
            if one.log().contains("serving") {
                served.push(one);
            }
        }
        assert_eq!(served.len(), 1);
        assert!(UnixStream::connect(&path).await.is_ok(), "and it is the one whose file is there");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_leaves_no_file() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = format!("admin_listen = \"{}\"", taken.local_addr().unwrap());
    let directory = directory();
    let config = config("0600", "").replacen("admin_listen = \"127.0.0.1:0\"", &admin, 1);
    let config = write_config(directory.path(), &config, "http://127.0.0.1:1");
    assert_eq!(serve(&config).ended().await.0, Some(69));
    assert!(!socket(&directory).exists());
}

/// Asks over and over on connections of its own until there is no socket; how often it was answered and cut.
async fn load(path: PathBuf, answered: Arc<AtomicUsize>) -> usize {
    let mut cut = 0;
    loop {
        let asked = through(&path).get(format!("http://localhost{NATIVE}")).header("metadata", "true").send().await;
        match asked {
            Ok(response) if response.status() == 200 => {
                response.bytes().await.unwrap();
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) if error.is_connect() => return cut,
            failed => {
                eprintln!("cut: {failed:?}");
                cut += 1;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_under_load_cuts_nobody_off() {
    let directory = directory();
    let path = socket(&directory);
    let settings = directory.path().join("sts.toml");
    let (_sts, announced) = start_sts(&["--config", settings.to_str().unwrap()]);
    let authority = announced["authority"].as_str().unwrap();
    let text = config("0600", "").replace("drain = \"0s\"", "drain = \"1s\"").replace("\"2s\"", "\"9s\"");
    let serve = serve(&write_config(directory.path(), &text, authority));
    serve.logged("serving").await;
    let http = through(&path);
    http.get(format!("http://localhost{NATIVE}")).header("metadata", "true").send().await.unwrap();
    support::break_sts(&support::client(), authority, &on_token(json!({ "delay_ms": 3000 }))).await;

    let answered = Arc::new(AtomicUsize::new(0));
    let loads: Vec<_> = (0..8).map(|_| tokio::spawn(load(path.clone(), Arc::clone(&answered)))).collect();
    let slow = http.get("http://localhost/token?resource=slow").header("metadata", "true").send();
    let slow = tokio::spawn(slow);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let watch = Stopwatch::start();
    serve.terminate();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = answered.load(Ordering::Relaxed);
    for load in loads {
        assert_eq!(load.await.unwrap(), 0, "requests were cut");
    }
    assert!(watch.elapsed() > Duration::from_secs(1), "accepting goes on for the drain period");
    assert!(answered.load(Ordering::Relaxed) > before, "and so does answering");
    assert!(!path.exists(), "the file goes first");
    assert_eq!(slow.await.unwrap().unwrap().status(), 200, "what was being answered is answered");
    assert_eq!(serve.ended().await.0, Some(0));
}

/// Connections that were made in time, of which one asks late and one never.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_connected_is_answered_though_the_file_is_gone() {
    let directory = directory();
    let path = socket(&directory);
    let text = config("0600", "").replace("\"2s\"", "\"9s\"");
    let serve = serve(&write_config(directory.path(), &text, "http://127.0.0.1:1"));
    let line = serve.logged("serving").await;
    let address = line.split([' ', ',', '[', ']']).find(|part| part.starts_with("127.0.0.1:")).unwrap();
    let (mut near, mut far) = (UnixStream::connect(&path).await.unwrap(), TcpStream::connect(address).await.unwrap());
    let mut silent = UnixStream::connect(&path).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    serve.terminate();
    serve.logged("draining").await;
    tokio::time::sleep(Duration::from_millis(1000)).await;
    assert!(!path.exists());
    for line in [&mut near as &mut dyn Line, &mut far] {
        line.write_all(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        line.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 404");
    }
    assert!(ended_within(&mut silent, Duration::from_secs(10)).await, "who asks nothing holds up nobody for long");
    assert_eq!(serve.ended().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn told_twice_it_still_takes_its_file_away() {
    let directory = directory();
    let text = config("0600", "").replace("drain = \"0s\"", "drain = \"1h\"");
    let serve = serve(&write_config(directory.path(), &text, "http://127.0.0.1:1"));
    serve.logged("serving").await;
    serve.terminate();
    serve.logged("draining").await;
    serve.terminate();
    assert_eq!(serve.ended().await.0, Some(0));
    assert!(!socket(&directory).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_speak_to_a_socket_or_say_that_they_cannot() {
    let directory = directory();
    let path = socket(&directory);
    let endpoint = format!("unix:{}", path.display());
    let alone = config("0600", "").replacen("\"127.0.0.1:0\", ", "", 1);
    let token = ["token", "--resource", "https://vault.azure.net", "-o", "raw", "--endpoint", &endpoint];
    let told = |args: &[&str]| {
        let output = support::run(args);
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    };
    let (code, text) = told(&token);
    assert!(code == 69 && text.contains(&endpoint) && text.contains("may you connect"), "{text}");
    let world = World::within(directory, &alone).await;
    let (code, text) = told(&token);
    assert!(code == 0 && text.starts_with("eyJ"), "{text}");
    let file = world.directory.path().join("bursar.toml");
    let (code, text) = told(&["env", "--config", file.to_str().unwrap()]);
    assert!(code == 64 && text.contains("they speak TCP"), "{text}");
    let (code, text) = told(&["probe", &endpoint]);
    assert!(code == 2 || code == 64, "{text}");
    assert!(text.contains("'admin_listen'"), "{text}");
}
