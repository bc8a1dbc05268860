//! Credentials that are replaced while they are in use.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::HashSet;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bursar::clock::Stopwatch;
use serde_json::{Value, json};
use support::proof::{PROOFS, Volume, assertion_named, issue, pair, with_credentials, world};
use support::{APP, NATIVE, OTHER_APP, SECRET, World, start_serve, start_sts};

const THIRD_APP: &str = "b0b00000-0000-4000-8000-000000000006";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_is_taken_within_moments_and_tokens_stay() {
    let (world, _) = world(r#"[{ kind = "secret", file = "wrong" }]"#).await;
    for target in [NATIVE, "/token?resource=https://vault.azure.net&tenant=two"] {
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
    std::fs::write(&file, "").unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    world.ask("/token?resource=another").await.token();
    assert_eq!(world.ask(NATIVE).await.token(), token, "a broken file changes nothing");
}

/// An authority that knows three applications, each by the three proofs that it comes to have.
fn three_applications(certificates: &[String]) -> String {
    format!(
        r#"
[[apps]]
client_id = "{APP}"
{PROOFS}
[[apps]]
client_id = "{OTHER_APP}"
secrets = ["secret-0", "secret-1", "secret-2"]
[[apps]]
client_id = "{THIRD_APP}"
certificates = {certificates:?}
"#
    )
}

fn three_identities() -> String {
    let second = with_credentials(r#"[{ kind = "assertion", file = "assertion/token" }]"#);
    let second = second.replacen("file = \"other-secret\"", "file = \"other/secret\"", 1);
    format!(
        r#"{second}
[identities.third]
tenants = ["one"]
client_id = "{THIRD_APP}"
resources = ["*"]
credentials = [{{ kind = "certificate", file = "certificate/tls.crt", key = "certificate/tls.key" }}]
"#
    )
    .replacen("resources = [\"https://vault.azure.net\"]", "resources = [\"*\"]", 1)
}

/// What an exchange was proved with: the same for one credential, another for the next.
fn proof(exchange: &Value) -> String {
    let assertion = &exchange["assertion"];
    let (thumbprint, jti) = (&assertion["header"]["x5t#S256"], &assertion["claims"]["jti"]);
    let shown = [thumbprint, &exchange["form"]["client_secret"], jti].into_iter().find(|shown| !shown.is_null());
    shown.and_then(Value::as_str).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_replaced_twice_under_load_and_no_request_fails() {
    let directory = support::directory();
    let signing = issue(directory.path());
    let token = |n: usize| assertion_named(&signing, 1_800_003_600, &format!("token-{n}"));
    let pairs: Vec<_> = (0..3).map(|_| pair()).collect();
    let path = |name: &str| directory.path().join(name);
    for (n, (certificate, _)) in pairs.iter().enumerate() {
        std::fs::write(path(&format!("public-{n}.pem")), certificate).unwrap();
    }
    let names: Vec<String> = (0..3).map(|n| format!("public-{n}.pem")).collect();
    std::fs::write(path("sts.toml"), three_applications(&names)).unwrap();
    let assertions = Volume::new(path("assertion"), &[("token", &token(0))]);
    let secrets = Volume::new(path("other"), &[("secret", "secret-0")]);
    let certificates = Volume::new(path("certificate"), &[("tls.crt", &pairs[0].0), ("tls.key", &pairs[0].1)]);
    let world = Arc::new(World::within(directory, &three_identities()).await);

    let targets = ["first", "second", "third"].map(|name| format!("/token?identity={name}&resource=https://r"));
    let mut held = Vec::new();
    for target in &targets {
        held.push(world.ask(target).await.token().to_owned());
    }
    let (ended, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let (world, ended, asked, targets) =
                (Arc::clone(&world), Arc::clone(&ended), Arc::clone(&asked), targets.clone());
            tokio::spawn(async move {
                // Together two thousand requests a second, or as many as this machine can do.
                let mut pace = tokio::time::interval(Duration::from_millis(4));
                pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                while !ended.load(Ordering::Relaxed) {
                    pace.tick().await;
                    let n = asked.fetch_add(1, Ordering::Relaxed);
                    let target = &targets[n % 3];
                    let is_cold = n % 20 < 3;
                    let resource = if is_cold { format!("-{caller}-{n}") } else { String::new() };
                    let reply = world.ask(&format!("{target}{resource}")).await;
                    assert_eq!(reply.status, 200, "{reply:?}");
                }
            })
        })
        .collect();

    let mut seen: HashSet<String> = HashSet::new();
    for round in 0..3 {
        for (app, kind) in [(APP, "assertion"), (OTHER_APP, "secret"), (THIRD_APP, "certificate")] {
            let (certificate, key) = &pairs[round];
            match kind {
                _ if round == 0 => {}
                "assertion" => assertions.swap(&[("token", &token(round))]),
                "secret" => secrets.swap(&[("secret", &format!("secret-{round}"))]),
                _ => certificates.swap(&[("tls.crt", certificate), ("tls.key", key)]),
            }
            let watch = Stopwatch::start();
            loop {
                let exchanges = support::exchanges(&world.http, world.sts.url()).await;
                let own = exchanges.iter().filter(|exchange| exchange["form"]["client_id"] == app);
                if own.map(proof).fold(false, |is_new, proof| seen.insert(proof) || is_new) {
                    break;
                }
                assert!(watch.elapsed() < Duration::from_secs(2), "{kind} {round}: seen {seen:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    ended.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(seen.len(), 9);
    assert!(asked.load(Ordering::Relaxed) > 1000, "{asked:?} requests are no load");
    for (target, held) in targets.iter().zip(held) {
        assert_eq!(world.ask(target).await.token(), held, "cached tokens stay");
    }
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

/// A secret behind a link into a directory that nobody watches, so that only a look finds what is new.
async fn linked_world() -> World {
    let directory = support::directory();
    std::fs::create_dir(directory.path().join("elsewhere")).unwrap();
    std::fs::write(directory.path().join("elsewhere/secret"), "wrong").unwrap();
    symlink("elsewhere/secret", directory.path().join("linked")).unwrap();
    World::within(directory, &with_credentials(r#"[{ kind = "secret", file = "linked" }]"#)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_secret_is_looked_at_at_once_and_a_new_one_is_used_for_the_same_request() {
    let world = linked_world().await;
    std::fs::write(world.directory.path().join("elsewhere/secret"), SECRET).unwrap();
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
        seen.extend(support::exchanges(&world.http, world.sts.url()).await.iter().map(proof));
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
    std::fs::write(world.directory.path().join("elsewhere/secret"), SECRET).unwrap();
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
    // Each of these makes it look again; only the last is news.
    for n in 0..3 {
        std::fs::write(path("unrelated"), n.to_string()).unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    std::fs::write(path("tls.crt"), "").unwrap();
    serve.logged("the file is empty").await;
    assert_eq!(count("no new credential"), 2, "{}", serve.log());
    assert_eq!(count("a new credential is in use"), 0);

    std::fs::write(path("tls.key"), second_key).unwrap();
    std::fs::write(path("tls.crt"), second).unwrap();
    serve.logged("a new credential is in use").await;
}
