//! How a process is told to read its configuration again, and how much it says of one that it refuses.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::process::Command;

use support::{Process, TWO_IDENTITIES, bursar, directory, out, run, start_serve, until, write_config};

/// Whether a process has a handler for SIGHUP, by what the kernel says of it.
fn hears_hangups(serve: &Process) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", serve.pid())).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & 1 == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_before_anybody_listens_ends_nothing() {
    let directory = directory();
    let pipe = directory.path().join("audit");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let config = format!("{TWO_IDENTITIES}\n[log]\naudit = \"audit\"\n");
    let config = write_config(directory.path(), &config, "http://127.0.0.1:1");
    let serve = Process::start(bursar().arg("serve").arg("--config").arg(config));
    // The start waits for whoever reads the audit log, so that it is not over before the signal comes.
    until("it is heard", async || hears_hangups(&serve)).await;
    serve.hang_up();
    let reads = tokio::task::spawn_blocking(move || fs::File::open(pipe)).await.unwrap().unwrap();
    serve.logged("serving").await;
    serve.logged("the configuration was read again, and holds").await;
    serve.terminate();
    assert_eq!(serve.ended().await.0, Some(0));
    drop(reads);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_a_link_leads_to_is_read_again_when_it_changes_where_it_lies() {
    let (here, there) = (directory(), tempfile::tempdir().unwrap());
    let target = write_config(there.path(), TWO_IDENTITIES, "http://127.0.0.1:1");
    let link = here.path().join("bursar.toml");
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let (serve, _, _) = start_serve(&link, &[]).await;
    write_config(there.path(), &TWO_IDENTITIES.replacen("\"2s\"", "\"3s\"", 1), "http://127.0.0.1:1");
    // Sooner than the look of each minute.
    serve.logged("the configuration was read again, and holds").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_thousands_of_mistakes_the_log_has_a_few_and_says_what_lists_all() {
    let directory = directory();
    let write = |config: &str| write_config(directory.path(), config, "http://127.0.0.1:1");
    let path = write(TWO_IDENTITIES);
    let (serve, _, _) = start_serve(&path, &[]).await;
    let wrong: String = (0..5000).map(|n| format!("wrong_{n} = 1\n")).collect();
    write(&(wrong + TWO_IDENTITIES));
    let line = serve.logged("a command lists the other mistakes").await;
    let command = format!("bursar check --config {}", path.display());
    assert!(line.contains("more=4980") && line.contains(&command), "{line}");
    let told = |text: &str| text.lines().filter(|line| line.contains("wrong_")).count();
    assert_eq!(told(&serve.log()), 20);
    let (code, stdout, stderr) = out(&run(&["check", "--config", path.to_str().unwrap()]));
    assert_eq!((code, told(&stdout) + told(&stderr)), (64, 5000));
}
