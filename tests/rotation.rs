//! Credentials that are replaced while they are in use.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::HashSet;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use bursar::clock::Stopwatch;
use serde_json::json;
use support::proof::{PROOFS, Volume, issue, pair, shown, with_credentials};
use support::{NATIVE, SECRET, World, start_serve, start_sts};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_is_taken_within_moments_and_tokens_stay() {
    let second = "/token?resource=https://vault.azure.net&identity=second";
    let directory = support::directory();
    for name in ["wrong", "other-secret"] {
        std::fs::write(directory.path().join(name), "wrong-secret").unwrap();
    }
    let world = World::within(directory, &with_credentials(r#"[{ kind = "secret", file = "wrong" }]"#)).await;
    for target in [NATIVE, "/token?resource=https://vault.azure.net&tenant=two", second] {
        assert_eq!(world.ask(target).await.status, 403);
    }
    let file = world.directory.path().join("wrong");
    std::fs::write(world.directory.path().join("new"), SECRET).unwrap();
    std::fs::rename(world.directory.path().join("new"), &file).unwrap();
    let watch = Stopwatch::start();
    while world.ask(NATIVE).await.status != 200 {
        assert!(watch.elapsed() < Duration::from_secs(2), "the rejection ends with the secret, on a clock that stands");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.ask("/token?resource=https://vault.azure.net&tenant=two").await.token();
    let token = world.ask(NATIVE).await.token().to_owned();
    // Whoever sees the second file, which is written later, has seen the first one too.
    std::fs::write(&file, "").unwrap();
    std::fs::write(world.directory.path().join("other-secret"), support::OTHER_SECRET).unwrap();
    let watch = Stopwatch::start();
    while world.ask(second).await.status != 200 {
        assert!(watch.elapsed() < Duration::from_secs(2), "nobody looks at the files");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.ask("/token?resource=another").await.token();
    assert_eq!(world.ask(NATIVE).await.token(), token, "a broken file changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_of_a_certificate_ends_with_it() {
    let directory = support::directory();
    issue(directory.path());
    let path = |name: &str| directory.path().join(name);
    let good = std::fs::read_to_string(path("app.pem")).unwrap();
    let (certificate, key) = pair();
    let volume = Volume::new(path("volume"), &[("app.pem", &format!("{certificate}{key}"))]);
    std::fs::write(path("sts.toml"), support::STS_SETTINGS.replacen("secrets", &format!("{PROOFS}\nsecrets"), 1))
        .unwrap();
    let config = with_credentials(r#"[{ kind = "certificate", file = "volume/app.pem" }]"#);
    let world = World::within(directory, &config).await;
    for target in [NATIVE, "/token?resource=a", NATIVE] {
        let reply = world.ask(target).await;
        assert!(reply.status == 403 && reply.description().contains("AADSTS700027"), "{reply:?}");
    }
    assert_eq!(world.exchanges().await, 1);
    volume.swap(&[("app.pem", &good)]);
    let watch = Stopwatch::start();
    while world.ask(NATIVE).await.status != 200 {
        assert!(watch.elapsed() < Duration::from_secs(2), "the rejection ends, on a clock that stands");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A wrong secret in a directory that is itself a link, beside the right one in another. Nobody watches where the link
/// lies, so that only a look finds what is new.
async fn linked_world() -> World {
    let directory = support::directory();
    for (name, secret) in [("old", "wrong"), ("new", SECRET)] {
        std::fs::create_dir_all(directory.path().join("away").join(name)).unwrap();
        std::fs::write(directory.path().join("away").join(name).join("secret"), secret).unwrap();
    }
    symlink("old", directory.path().join("away/present")).unwrap();
    let credentials = with_credentials(r#"[{ kind = "secret", file = "away/present/secret" }]"#);
    let world = World::within(directory, &credentials).await;
    // The first look, which finds what changed while the service started, must not find what changes now.
    tokio::time::sleep(Duration::from_millis(500)).await;
    world
}

/// Has the link lead to the right secret.
fn swap(world: &World) {
    let away = world.directory.path().join("away");
    symlink("new", away.join("next")).unwrap();
    std::fs::rename(away.join("next"), away.join("present")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_secret_is_looked_at_at_once_and_a_new_one_is_used_for_the_same_request() {
    let world = linked_world().await;
    swap(&world);
    world.ask(NATIVE).await.token();
    assert_eq!(world.exchanges().await, 2, "the old one and the new one");
    world.ask("/token?resource=a").await.token();
    assert_eq!(world.exchanges().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_while_the_service_started_is_not_missed() {
    let directory = support::directory();
    std::fs::create_dir(directory.path().join("elsewhere")).unwrap();
    std::fs::write(directory.path().join("elsewhere/secret"), SECRET).unwrap();
    symlink("elsewhere/secret", directory.path().join("linked")).unwrap();
    let settings = support::STS_SETTINGS.replacen(SECRET, &format!("{SECRET}\", \"the-next"), 1);
    std::fs::write(directory.path().join("sts.toml"), settings).unwrap();
    let config = with_credentials(r#"[{ kind = "secret", file = "linked" }]"#);
    let replace = |directory: &Path| std::fs::write(directory.join("elsewhere/secret"), "the-next").unwrap();
    let world = World::interrupted(directory, &config, replace).await;
    let watch = Stopwatch::start();
    let mut seen = HashSet::new();
    for n in 0.. {
        world.ask(&format!("/token?resource=r{n}")).await.token();
        seen.extend(support::exchanges(&world.http, world.sts.url()).await.iter().map(shown));
        // At most one exchange was before the first look.
        if seen.len() == 2 || n > 0 && watch.elapsed() > Duration::from_millis(500) {
            break;
        }
    }
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"the-next");
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(seen.contains(&format!("sha256:{hash}")), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_second_exchange_whatever_for() {
    let world = linked_world().await;
    world.break_sts(support::on_token(json!({ "status": 500, "times": 1 }))).await;
    swap(&world);
    assert_eq!(world.ask(NATIVE).await.status, 403);
    assert_eq!(world.exchanges().await, 2, "the retry was taken by the outage");
    world.ask("/token?resource=a").await.token();
    assert_eq!(world.exchanges().await, 1, "but the new secret was found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_did_not_change_is_not_sent_again() {
    let world = linked_world().await;
    assert_eq!(world.ask(NATIVE).await.status, 403);
    assert_eq!(world.ask("/token?resource=a").await.status, 403);
    assert_eq!(world.exchanges().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_certificate_is_told_once_and_the_old_one_stays_until_it_is_whole() {
    let (_sts, announced) = start_sts(&[]);
    let directory = support::directory();
    let path = |name: &str| directory.path().join(name);
    let ((first, first_key), (second, second_key)) = (pair(), pair());
    std::fs::write(path("tls.crt"), first).unwrap();
    std::fs::write(path("tls.key"), first_key).unwrap();
    let config = with_credentials(r#"[{ kind = "certificate", file = "tls.crt", key = "tls.key" }]"#);
    let config = support::write_config(directory.path(), &config, announced["authority"].as_str().unwrap());
    let (serve, _, _) = start_serve(&config, &[]).await;
    let count = |words: &str| serve.log().lines().filter(|line| line.contains(words)).count();

    std::fs::write(path("tls.crt"), &second).unwrap();
    let told = serve.logged("the private key belongs to none of the certificates").await;
    for part in ["WARN", "no new credential", "the old certificate stays in use", "identity=\"first\"", "tls.crt"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    // Each of these makes it look again, as the log says of the other identity; only the last is news.
    let broken = |identity: &str| {
        let identity = format!("identity=\"{identity}\"");
        let log = serve.log();
        log.lines().filter(|line| line.contains("no new credential") && line.contains(&identity)).count()
    };
    for n in 1..=3 {
        std::fs::write(path("other-secret"), format!("two\nlines {n}")).unwrap();
        let watch = Stopwatch::start();
        while broken("second") < n {
            assert!(watch.elapsed() < Duration::from_secs(5), "nobody looks\n{}", serve.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    std::fs::write(path("tls.crt"), "").unwrap();
    serve.logged("the file is empty").await;
    assert_eq!(broken("first"), 2, "{}", serve.log());
    assert_eq!(count("a new credential is in use"), 0);

    std::fs::write(path("tls.key"), second_key).unwrap();
    std::fs::write(path("tls.crt"), second).unwrap();
    serve.logged("a new credential is in use").await;
}
