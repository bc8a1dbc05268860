//! The ends of credentials, on the metrics page and in the log.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::Command;
use std::time::Duration;

use bursar::clock::{Clock, Stopwatch};
use support::proof::{assertion, issue, with_credentials, world};
use support::{Process, World, start_serve, start_sts, write_config};

/// The ends on the metrics page, by the credentials' labels.
async fn ends(world: &World) -> Vec<(String, u64)> {
    let page = world.send(world.http.get(format!("{}/metrics", world.admin()))).await;
    let line = |line: &str| {
        let rest = line.strip_prefix(r#"bursar_credential_expiry_timestamp_seconds{credential=""#)?;
        let (label, end) = rest.split_once(r#"",identity="first"} "#)?;
        Some((label.to_owned(), end.parse().ok()?))
    };
    page.body.as_str().unwrap().lines().filter_map(line).collect()
}

async fn await_ends(world: &World, expected: &[(&str, u64)]) {
    let watch = Stopwatch::start();
    loop {
        let ends = ends(world).await;
        if ends.iter().map(|(label, end)| (label.as_str(), *end)).eq(expected.iter().copied()) {
            return;
        }
        assert!(watch.elapsed() < Duration::from_secs(2), "{ends:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_that_is_known_is_a_metric_though_nobody_asks_for_a_token() {
    let (world, key) = world(
        r#"[
        { kind = "secret", file = "secret", expires = 2027-01-31 },
        { kind = "secret", file = "secret" },
        { kind = "secret", file = "secret", expires = "2027-03-01T00:00:00Z" },
        { kind = "certificate", file = "app.pem" },
        { kind = "assertion", file = "token" },
    ]"#,
    )
    .await;
    // What rcgen gives to a certificate, the end of that day, and the third one.
    let (certificate, day, moment) = (("certificate", 67_090_118_400), ("secret", 1_801_440_000), 1_803_859_200);
    await_ends(&world, &[certificate, day, ("secret#3", moment)]).await;
    for end in [1_800_003_600, 1_800_007_200] {
        std::fs::write(world.directory.path().join("token"), assertion(&key, end)).unwrap();
        await_ends(&world, &[("assertion", end), certificate, day, ("secret#3", moment)]).await;
    }
}

fn lines<'a>(log: &'a str, words: &str) -> Vec<&'a str> {
    log.lines().filter(|line| line.contains(words)).collect()
}

/// Waits until each of some words is in the log.
async fn logged(serve: &Process, words: &[&str]) {
    for words in words {
        serve.logged(words).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_near_is_warned_of_once() {
    let (_sts, announced) = start_sts(&[]);
    let directory = support::directory();
    let key = issue(directory.path());
    let path = |name: &str| directory.path().join(name);
    let made = Command::new("openssl")
        .current_dir(directory.path())
        .args("req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -subj /CN=a -days 5".split(' '))
        .output()
        .unwrap();
    assert!(made.status.success(), "is openssl installed? {made:?}");
    let now = Clock::System.now();
    let in_a_minute = |n: u64| (now + Duration::from_secs(60 + n)).as_secs();
    std::fs::write(path("token"), assertion(&key, in_a_minute(0))).unwrap();
    let config = with_credentials(
        r#"[
        { kind = "certificate", file = "c.pem", key = "k.pem" },
        { kind = "secret", file = "secret", expires = "2026-01-31" },
        { kind = "assertion", file = "token" },
    ]"#,
    );
    let config = write_config(directory.path(), &config, announced["authority"].as_str().unwrap());
    let (serve, _, _) = start_serve(&config, &[]).await;
    let (soon, past, late) =
        ("the credential expires soon", "the credential has expired", "the assertion has expired or is about to");
    logged(&serve, &[soon, past, late]).await;
    // Two more looks, and then another token that is as old.
    for n in 1..=2 {
        std::fs::write(path("other-secret"), format!("two\nlines {n}")).unwrap();
        let watch = Stopwatch::start();
        while lines(&serve.log(), "no new credential").len() < n {
            assert!(watch.elapsed() < Duration::from_secs(5), "nobody looks\n{}", serve.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    std::fs::write(path("token"), assertion(&key, in_a_minute(7))).unwrap();
    let second = (now + Duration::from_secs(67)).to_string();
    serve.logged(second.split('.').next().unwrap()).await;
    let log = serve.log();
    for (words, count, credential) in [(soon, 1, "certificate"), (past, 1, "secret"), (late, 2, "assertion")] {
        let told = lines(&log, words);
        assert_eq!(told.len(), count, "{log}");
        for part in ["WARN", "identity=\"first\"", &format!("credential=\"{credential}\""), "expires_at=2"] {
            assert!(told[0].contains(part), "{part} in {}", told[0]);
        }
    }
    assert!(lines(&log, soon)[0].contains("days_left=4"), "{log}");
}
