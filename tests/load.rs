//! Credentials that are replaced while two thousand requests a second use them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bursar::clock::Stopwatch;
use jsonwebtoken::EncodingKey;
use support::proof::{PROOFS, Volume, assertion_named, issue, pair, shown, with_credentials};
use support::{APP, OTHER_APP, World};
use tokio::time::MissedTickBehavior;

const THIRD_APP: &str = "b0b00000-0000-4000-8000-000000000006";

/// The applications with what each proves itself with, and where a service asks for its tokens.
const KINDS: [(&str, &str, &str); 3] = [
    (APP, "assertion", "/token?identity=first&resource=https://r"),
    (OTHER_APP, "secret", "/token?identity=second&resource=https://r"),
    (THIRD_APP, "certificate", "/token?identity=third&resource=https://r"),
];

/// An authority that knows each application by the three proofs that it comes to have.
fn three_applications() -> String {
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
certificates = ["public-0.pem", "public-1.pem", "public-2.pem"]
"#
    )
}

fn three_identities() -> String {
    let two = with_credentials(r#"[{ kind = "assertion", file = "assertion/token" }]"#)
        .replacen("file = \"other-secret\"", "file = \"other/secret\"", 1)
        .replacen("resources = [\"https://vault.azure.net\"]", "resources = [\"*\"]", 1);
    format!(
        r#"{two}
[identities.third]
tenants = ["one"]
client_id = "{THIRD_APP}"
resources = ["*"]
credentials = [{{ kind = "certificate", file = "certificate/tls.crt", key = "certificate/tls.key" }}]
"#
    )
}

/// A world with a credential of each kind, in three generations.
struct Rotation {
    world: Arc<World>,
    signing: EncodingKey,
    pairs: Vec<(String, String)>,
    volumes: [Volume; 3],
}

impl Rotation {
    async fn start() -> Self {
        let directory = support::directory();
        let path = |name: &str| directory.path().join(name);
        let signing = issue(directory.path());
        let pairs: Vec<_> = (0..3).map(|_| pair()).collect();
        for (n, (certificate, _)) in pairs.iter().enumerate() {
            std::fs::write(path(&format!("public-{n}.pem")), certificate).unwrap();
        }
        std::fs::write(path("sts.toml"), three_applications()).unwrap();
        let volumes = [
            Volume::new(path("assertion"), &[("token", &token(&signing, 0))]),
            Volume::new(path("other"), &[("secret", "secret-0")]),
            Volume::new(path("certificate"), &[("tls.crt", &pairs[0].0), ("tls.key", &pairs[0].1)]),
        ];
        let world = Arc::new(World::within(directory, &three_identities()).await);
        Self { world, signing, pairs, volumes }
    }

    fn replace(&self, kind: &str, generation: usize) {
        let (certificate, key) = &self.pairs[generation];
        let [assertion, secret, pair] = &self.volumes;
        match kind {
            "assertion" => assertion.swap(&[("token", &token(&self.signing, generation))]),
            "secret" => secret.swap(&[("secret", &format!("secret-{generation}"))]),
            _ => pair.swap(&[("tls.crt", certificate), ("tls.key", key)]),
        }
    }

    /// Waits, bounded, until `app` proves itself with something that was not seen before.
    async fn await_another(&self, app: &str, seen: &mut HashSet<String>) {
        let watch = Stopwatch::start();
        loop {
            let exchanges = support::exchanges(&self.world.http, self.world.sts.url()).await;
            let own = exchanges.iter().filter(|exchange| exchange["form"]["client_id"] == app);
            let before = seen.len();
            seen.extend(own.map(shown));
            if seen.len() > before {
                return;
            }
            assert!(watch.elapsed() < Duration::from_secs(2), "{app}: seen {seen:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn token(signing: &EncodingKey, generation: usize) -> String {
    assertion_named(signing, 1_800_003_600, &format!("token-{generation}"))
}

/// Asks 250 times a second, or as often as this machine can, mostly for what is cached.
async fn call(world: Arc<World>, ended: Arc<AtomicBool>, asked: Arc<AtomicUsize>) {
    let mut pace = tokio::time::interval(Duration::from_millis(4));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !ended.load(Ordering::Relaxed) {
        pace.tick().await;
        let n = asked.fetch_add(1, Ordering::Relaxed);
        let resource = if n % 20 < 3 { n.to_string() } else { String::new() };
        let reply = world.ask(&format!("{}{resource}", KINDS[n % 3].2)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_replaced_twice_and_no_request_fails() {
    let rotation = Rotation::start().await;
    let mut held = Vec::new();
    for (_, _, target) in KINDS {
        held.push(rotation.world.ask(target).await.token().to_owned());
    }
    let (ended, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let caller = |_| tokio::spawn(call(Arc::clone(&rotation.world), Arc::clone(&ended), Arc::clone(&asked)));
    let callers: Vec<_> = (0..8).map(caller).collect();
    let mut seen = HashSet::new();
    for (app, _, _) in KINDS {
        rotation.await_another(app, &mut seen).await;
    }
    for generation in 1..3 {
        for (app, kind, _) in KINDS {
            rotation.replace(kind, generation);
            rotation.await_another(app, &mut seen).await;
        }
    }
    ended.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(seen.len(), 9, "{seen:?}");
    assert!(asked.load(Ordering::Relaxed) > 500, "{asked:?} requests are no load");
    for ((_, _, target), held) in KINDS.iter().zip(held) {
        assert_eq!(rotation.world.ask(target).await.token(), held, "cached tokens stay");
    }
}
