//! How the process starts and ends: nothing received whole is cut, and nothing half-started stays.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bursar::clock::Stopwatch;
use serde_json::json;
use support::{
    NATIVE, Process, TWO_IDENTITIES, bursar, client, directory, on_token, start_serve, start_sts, write_config,
};

const DRAIN: Duration = Duration::from_secs(3);

/// What a caller saw.
#[derive(Default)]
struct Tally {
    answered: AtomicUsize,
    closing: AtomicUsize,
    cut: AtomicUsize,
}

/// Asks over and over until told to stop, on connections that are kept or on new ones.
async fn load(url: String, fresh: bool, stop: Arc<AtomicBool>, tally: Arc<Tally>) {
    let mut http = client();
    while !stop.load(Ordering::Relaxed) {
        if fresh {
            http = client();
        }
        match http.get(&url).header("metadata", "true").send().await {
            Ok(response) if response.status() == 200 => {
                if response.headers().get("connection").is_some_and(|value| value == "close") {
                    tally.closing.fetch_add(1, Ordering::Relaxed);
                }
                response.bytes().await.unwrap();
                tally.answered.fetch_add(1, Ordering::Relaxed);
            }
            _ => {
                tally.cut.fetch_add(1, Ordering::Relaxed);
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_under_load_cuts_nobody_off() {
    let directory = directory();
    let settings = directory.path().join("sts.toml");
    let (_sts, announced) = start_sts(&["--config", settings.to_str().unwrap()]);
    let authority = announced["authority"].as_str().unwrap();
    let config =
        TWO_IDENTITIES.replace("drain = \"0s\"", "drain = \"3s\"").replace("timeout = \"2s\"", "timeout = \"9s\"");
    let config = write_config(directory.path(), &config, authority);
    let (serve, tokens, admin) = start_serve(&config, &[]).await;
    let http = client();
    let url = format!("{tokens}{NATIVE}");
    http.get(&url).header("metadata", "true").send().await.unwrap();
    support::break_sts(&http, authority, &on_token(json!({ "delay_ms": 4000 }))).await;

    let (stop, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Tally::default()));
    let loads: Vec<_> = [false, false, true, true]
        .map(|fresh| tokio::spawn(load(url.clone(), fresh, Arc::clone(&stop), Arc::clone(&tally))))
        .into();
    let slow = http.get(format!("{tokens}/token?resource=slow")).header("metadata", "true").send();
    let slow = tokio::spawn(slow);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(tally.answered.load(Ordering::Relaxed) > 20 && tally.closing.load(Ordering::Relaxed) == 0);

    let watch = Stopwatch::start();
    serve.terminate();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let ready = http.get(format!("{admin}/readyz")).send().await.unwrap();
    assert_eq!((ready.status().as_u16(), ready.text().await.unwrap()), (503, r#"{"status":"draining"}"#.to_owned()));
    let before = tally.answered.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::Relaxed);
    for load in loads {
        load.await.unwrap();
    }
    assert!(watch.elapsed() < DRAIN, "the load must stop before the listeners close");
    assert!(tally.answered.load(Ordering::Relaxed) > before + 20, "accepting goes on");
    assert!(tally.closing.load(Ordering::Relaxed) > 20, "each answer closes its connection");
    assert_eq!(tally.cut.load(Ordering::Relaxed), 0);

    let slow = slow.await.unwrap().unwrap();
    assert_eq!(slow.status(), 200, "what was being answered is answered");
    assert!(watch.elapsed() > DRAIN, "after the listeners closed");
    assert_eq!(serve.ended().await.0, Some(0));
    http.get(&url).send().await.unwrap_err();
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
