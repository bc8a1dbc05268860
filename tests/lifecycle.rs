//! How the process starts and ends: nothing received whole is cut, and nothing half-started stays.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and says why")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bursar::clock::Stopwatch;
use serde_json::json;
use support::{
    NATIVE, Process, TWO_IDENTITIES, bursar, client, directory, on_token, start_serve, start_sts, write_config,
};

const DRAIN: Duration = Duration::from_secs(2);

/// What a caller saw.
#[derive(Default)]
struct Tally {
    answered: AtomicUsize,
    closing: AtomicUsize,
    cut: AtomicUsize,
}

/// Asks over and over, on connections that are kept or on new ones, until no connection can be made.
async fn load(url: String, fresh: bool, tally: Arc<Tally>) {
    let mut http = impatient();
    loop {
        if fresh {
            http = impatient();
        }
        match http.get(&url).header("metadata", "true").send().await {
            Ok(response) if response.status() == 200 => {
                if response.headers().get("connection").is_some_and(|value| value == "close") {
                    tally.closing.fetch_add(1, Ordering::Relaxed);
                }
                response.bytes().await.unwrap();
                tally.answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) if error.is_connect() => return,
            failed => {
                eprintln!("cut: {failed:?}");
                tally.cut.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
    }
}

/// A client that gives up soon where no connection is made any more.
fn impatient() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().connect_timeout(Duration::from_millis(700)).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_under_load_cuts_nobody_off() {
    let directory = directory();
    let settings = directory.path().join("sts.toml");
    let (_sts, announced) = start_sts(&["--config", settings.to_str().unwrap()]);
    let authority = announced["authority"].as_str().unwrap();
    let config =
        TWO_IDENTITIES.replace("drain = \"0s\"", "drain = \"2s\"").replace("timeout = \"2s\"", "timeout = \"9s\"");
    let config = write_config(directory.path(), &config, authority);
    let (serve, tokens, admin) = start_serve(&config, &[]).await;
    let http = client();
    let url = format!("{tokens}{NATIVE}");
    http.get(&url).header("metadata", "true").send().await.unwrap();
    support::break_sts(&http, authority, &on_token(json!({ "delay_ms": 5000 }))).await;

    let tally = Arc::new(Tally::default());
    let load = |n| tokio::spawn(load(url.clone(), n % 2 == 0, Arc::clone(&tally)));
    let loads: Vec<_> = (0..16).map(load).collect();
    let slow = http.get(format!("{tokens}/token?resource=slow")).header("metadata", "true").send();
    let slow = tokio::spawn(slow);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(tally.closing.load(Ordering::Relaxed), 0);

    let watch = Stopwatch::start();
    serve.terminate();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let ready = http.get(format!("{admin}/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 503);
    assert!(ready.text().await.unwrap().starts_with(r#"{"status":"draining","#));
    let before = tally.answered.load(Ordering::Relaxed);
    for load in loads {
        load.await.unwrap();
    }
    assert!(watch.elapsed() > DRAIN, "accepting goes on for the drain period");
    assert!(tally.answered.load(Ordering::Relaxed) > before, "and so does answering");
    assert!(tally.closing.load(Ordering::Relaxed) > 0, "each answer closes its connection");
    assert_eq!(tally.cut.load(Ordering::Relaxed), 0);

    let slow = slow.await.unwrap().unwrap();
    assert_eq!(slow.status(), 200, "what was being answered is answered");
    assert!(watch.elapsed() > DRAIN + Duration::from_secs(1), "after the listeners closed");
    assert_eq!(serve.ended().await.0, Some(0));
    http.get(&url).send().await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_stops_nothing() {
    let directory = directory();
    let config = format!("[log]\nlevel = \"trace\"\n{TWO_IDENTITIES}");
    let config = write_config(directory.path(), &config, "http://127.0.0.1:1");
    // The admin listener is on a port that was just free: a log that is not read cannot tell.
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (tokens, admin) = (free(), free());
    let mut command = bursar();
    command.arg("serve").arg("--config").arg(config).stderr(std::process::Stdio::piped());
    command.env("BURSAR__SERVER__LISTEN", &tokens).env("BURSAR__SERVER__ADMIN_LISTEN", &admin);
    let mut serve = command.spawn().unwrap();
    let http = client();
    let watch = Stopwatch::start();
    while http.get(format!("http://{admin}/readyz")).send().await.is_err() {
        assert!(watch.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for _ in 0..2000 {
        let refused = http.get(format!("http://{tokens}/token?resource=a%20b")).header("metadata", "true");
        assert_eq!(refused.timeout(Duration::from_secs(5)).send().await.unwrap().status(), 400);
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(serve.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ended = tokio::task::spawn_blocking(move || serve.wait().unwrap().code());
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap().unwrap(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn told_twice_it_ends_at_once() {
    let directory = directory();
    let config = TWO_IDENTITIES.replace("drain = \"0s\"", "drain = \"1h\"");
    let config = write_config(directory.path(), &config, "http://127.0.0.1:1");
    let (serve, _, _) = start_serve(&config, &[]).await;
    serve.terminate();
    serve.logged("draining").await;
    serve.terminate();
    assert_eq!(serve.ended().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_leaves_no_core_dump() {
    let directory = directory();
    let config = write_config(directory.path(), TWO_IDENTITIES, "http://127.0.0.1:1");
    let (serve, _, _) = start_serve(&config, &[]).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", serve.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_told_and_nothing_stays() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = directory();
    let config = TWO_IDENTITIES.replacen("admin_listen = \"127.0.0.1:0\"", &format!("admin_listen = \"{address}\""), 1);
    let config = write_config(directory.path(), &config, "http://127.0.0.1:1");
    let serve = Process::start(bursar().arg("serve").arg("--config").arg(config));
    let (code, stdout, log) = serve.ended().await;
    assert_eq!((code, stdout.as_str()), (Some(69), ""));
    assert!(log.contains(&format!("cannot listen on {address}")), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_with_mistakes_starts_nothing() {
    let directory = directory();
    let config = TWO_IDENTITIES.replace("client_id", "clientid").replace("\"127.0.0.1:0\"]", "\"0.0.0.0:0\"]");
    let config = write_config(directory.path(), &config, "http://127.0.0.1:1");
    let (code, _, log) = Process::start(bursar().arg("serve").arg("--config").arg(config)).ended().await;
    assert_eq!(code, Some(64));
    for path in
        ["server.listen", "identities.first.client_id", "identities.first.clientid", "identities.second.client_id"]
    {
        assert!(log.contains(path), "{path} is missing in\n{log}");
    }
}
