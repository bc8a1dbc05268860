//! Identities that vouch for others, and the host's own: the first two legs of an agent, and a managed
//! identity as a federated credential.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::time::Duration;

use bursar::clock::Stopwatch;
use serde_json::json;
use support::{APP, APP_OBJECT, HEADER, NATIVE, OTHER_APP, SECRET, STS_SETTINGS, TENANT, TWO_IDENTITIES, World};
use tokio::net::{TcpListener, TcpStream};

const OWN: &str = r#"[{ kind = "secret", file = "other-secret" }]"#;

/// The second application is proved by the first one's token, and has the given credentials.
fn config(credentials: &str) -> String {
    assert!(TWO_IDENTITIES.contains(OWN));
    TWO_IDENTITIES.replacen(OWN, credentials, 1)
}

/// An STS on which the second application trusts tokens of the STS itself with this subject.
fn directory(subject: &str) -> tempfile::TempDir {
    let directory = support::directory();
    let other = format!("client_id = \"{OTHER_APP}\"");
    let settings =
        STS_SETTINGS.replacen(&other, &format!("{other}\nfederated = [{{ subject = \"{subject}\" }}]"), 1).replacen(
            &format!("client_id = \"{APP}\""),
            &format!("client_id = \"{APP}\"\nobject_id = \"{APP_OBJECT}\""),
            1,
        );
    std::fs::write(directory.path().join("sts.toml"), settings).unwrap();
    directory
}

fn agent_subject() -> String {
    format!("/eid1/c/pub/t/{TENANT}/a/{APP}/agents/one")
}

const AGENT: &str = "/token?resource=https://vault.azure.net&identity=second";
const VOUCHED: &str = r#"[{ kind = "identity", name = "first", fmi_path = "agents/one" }]"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_blueprint_vouches_for_its_agent() {
    let world = World::within(directory(&agent_subject()), &config(VOUCHED)).await;
    world.ask(AGENT).await.token();
    let exchanges = support::exchanges(&world.http, world.sts.url()).await;
    let [first, second] = &exchanges[..] else { unreachable!("two legs, not {}", exchanges.len()) };
    assert_eq!((&first["form"]["client_id"], &first["form"]["fmi_path"]), (&json!(APP), &json!("agents/one")));
    assert_eq!(first["form"]["scope"], "api://AzureADTokenExchange/.default");
    assert_eq!(second["form"]["client_id"], OTHER_APP);
    assert_eq!(second["form"]["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert_eq!(second["assertion"]["claims"]["sub"], agent_subject());
    assert!(second["form"].get("fmi_path").is_none());

    world.ask("/token?resource=https://vault.azure.net/&identity=second").await.token();
    assert_eq!(world.exchanges().await, 1, "the first leg's token is kept");
    let reply = world.ask("/token?resource=api://AzureADTokenExchange&identity=first&fmi_path=agents/one").await;
    assert_eq!(reply.status, 403, "and it is no caller's: {reply:?}");
}

/// What vouches goes in the turn, and into the room, of what it vouches for.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_with_one_turn_and_one_place_gets_what_another_identity_vouches_for() {
    let config = config(VOUCHED).replacen("header_secret = [{ file = \"header\" }]\n", "", 1);
    let caller = "[callers.only]\nproof = { kind = \"loopback\" }\nidentities = [\"*\"]\nresources = [\"*\"]\n";
    let narrow = format!("{config}{caller}[cache]\nentries = 10\ncaller_share = 0.001\n");
    let world = World::within(directory(&agent_subject()), &narrow).await;
    world.ask(AGENT).await.token();
    assert_eq!(world.exchanges().await, 2);
    let next = world.ask("/token?resource=https://vault.azure.net/&identity=second").await;
    assert_eq!((next.status, next.retry_after()), (429, Some(5)), "{next:?}");
    world.ask(AGENT).await.token();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_vouches_is_renewed_ahead_beside_what_it_vouches_for() {
    let world = World::within(directory(&agent_subject()), &config(VOUCHED)).await;
    let old = world.ask(AGENT).await.token().to_owned();
    world.exchanges().await;
    world.hand.advance(Duration::from_mins(46));
    assert_eq!(world.ask(AGENT).await.token(), old);
    let renewed = async |identity: &str| {
        world.metric(&format!("bursar_refreshes_total{{identity=\"{identity}\",outcome=\"ok\"}}")).await
    };
    for identity in ["first", "second"] {
        support::until(identity, async || renewed(identity).await == Some(1.0)).await;
    }
    assert_eq!(world.exchanges().await, 2, "one for each");
    assert_ne!(world.ask(AGENT).await.token(), old);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cannot_vouch_gives_way_and_is_told_of() {
    let wrong = config(VOUCHED).replacen("file = \"secret\"", "file = \"other-secret\"", 1);
    let world = World::within(directory(&agent_subject()), &wrong).await;
    let reply = world.ask(AGENT).await;
    assert_eq!(reply.status, 403, "{reply:?}");
    let told = reply.description();
    assert!(told.starts_with("the identity that vouches for this one has no token: "), "{told}");
    assert!(told.contains("AADSTS7000215") && told.contains("For the operator"), "{told}");

    let both = VOUCHED.replacen('[', r#"[{ kind = "identity", name = "first", resource = "https://x.invalid" }, "#, 1);
    let world = World::within(directory(&agent_subject()), &config(&both)).await;
    world.ask(AGENT).await.token();

    let alone = r#"[{ kind = "identity", name = "first", resource = "https://x.invalid" }]"#;
    let world = World::within(directory(&agent_subject()), &config(alone)).await;
    let reply = world.ask(AGENT).await;
    assert_eq!(reply.status, 403, "the resource is the operator's choice: {reply:?}");
    assert!(reply.description().contains("For the operator"), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_voucher_is_one_of_the_authority() {
    let world = World::within(directory(&agent_subject()), &config(VOUCHED)).await;
    world.break_sts(support::on_token(json!({ "status": 503 }))).await;
    let reply = world.ask(AGENT).await;
    assert_eq!(reply.status, 503, "{reply:?}");
    world.mend_sts().await;
    world.hand.advance(Duration::from_secs(90));
    world.ask(AGENT).await.token();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voucher_with_a_new_secret_vouches_at_once() {
    let directory = directory(&agent_subject());
    std::fs::write(directory.path().join("wrong"), "wrong-secret").unwrap();
    let world = World::within(directory, &config(VOUCHED).replacen("file = \"secret\"", "file = \"wrong\"", 1)).await;
    for target in [AGENT, "/token?resource=https://vault.azure.net/&identity=second"] {
        let reply = world.ask(target).await;
        assert!(reply.status == 403 && reply.description().contains("AADSTS7000215"), "{reply:?}");
    }
    let exchanges = support::exchanges(&world.http, world.sts.url()).await;
    assert!(exchanges.iter().all(|exchange| exchange["form"]["client_id"] == APP), "nothing was shown of the second");
    let page = world.send(world.http.get(format!("{}/metrics", world.admin()))).await;
    let counted = |line: &&str| line.starts_with("bursar_credential_rejections") && !line.ends_with(" 0");
    let rejected = page.body.as_str().unwrap().lines().filter(counted);
    assert!(!rejected.clone().any(|line| line.contains("second")), "{:?}", rejected.collect::<Vec<_>>());
    std::fs::write(world.directory.path().join("wrong"), SECRET).unwrap();
    let watch = Stopwatch::start();
    while world.ask(AGENT).await.status != 200 {
        assert!(watch.elapsed() < Duration::from_secs(2), "the rejection ends with the secret, on a clock that stands");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voucher_that_hangs_leaves_time_for_the_next_credential() {
    let both = VOUCHED.replacen(']', r#", { kind = "secret", file = "other-secret" }]"#, 1);
    let world = World::within(directory(&agent_subject()), &config(&both)).await;
    world.break_sts(json!([{ "match": { "client_id": APP }, "delay_ms": 60_000 }])).await;
    let watch = Stopwatch::start();
    world.ask(AGENT).await.token();
    assert!(watch.elapsed() < Duration::from_secs(2), "within the flight's timeout");
}

/// A service whose host is `world`, asked in the way that `environment` tells.
async fn guest(world: &World, directory: &Path, environment: &[(&str, &str)]) -> (support::Process, String) {
    let text = format!(
        r#"
[server]
listen = ["127.0.0.1:0"]
admin_listen = "127.0.0.1:0"
[tenants.one]
id = "{TENANT}"
authority = "@authority@"
instance_discovery = false
[identities.host]
source = "managed-identity"
resources = ["*"]
default = true
[identities.nobody]
source = "managed-identity"
client_id = "b0b00000-0000-4000-8000-0000000000ff"
resources = ["*"]
[identities.app]
tenants = ["one"]
client_id = "{OTHER_APP}"
resources = ["*"]
credentials = [{{ kind = "managed-identity", client_id = "{APP}" }}]
"#
    );
    let path = support::write_config(directory, &text, world.sts.url());
    let (process, tokens, _) = support::start_serve(&path, environment).await;
    (process, tokens)
}

async fn ask(world: &World, tokens: &str, target: &str) -> support::Reply {
    world.send(world.http.get(format!("{tokens}{target}")).header("Metadata", "true")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_identity_is_a_source_and_a_voucher() {
    // On the real time, which the guest keeps.
    let world = World::within(directory(APP_OBJECT), TWO_IDENTITIES).await;
    let (now, hand) = (bursar::clock::Clock::System.now(), world.hand.now());
    world.hand.set_back(hand.since(now));
    world.hand.advance(now.since(hand));
    let base = world.tokens();
    let endpoint = format!("{base}/msi/token");
    for environment in [
        vec![("AZURE_POD_IDENTITY_AUTHORITY_HOST", base.as_str())],
        vec![("IDENTITY_ENDPOINT", endpoint.as_str()), ("IDENTITY_HEADER", HEADER)],
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (_guest, tokens) = guest(&world, directory.path(), &environment).await;
        let own = world.ask(NATIVE).await.token().to_owned();
        assert_eq!(ask(&world, &tokens, NATIVE).await.token(), own, "it is the host's token");
        ask(&world, &tokens, &format!("{NATIVE}&identity=app")).await.token();
        let reply = ask(&world, &tokens, &format!("{NATIVE}&identity=nobody")).await;
        assert!(reply.status == 403 && reply.description().contains("the host refused a token"), "{reply:?}");
        let reply = ask(&world, &tokens, &format!("{NATIVE}&claims=%7B%7D")).await;
        assert!(reply.status == 400 && reply.description().contains("takes no claims"), "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_there_is_an_outage() {
    let world = World::start().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let base = format!("http://{closed}");
    let (_guest, tokens) = guest(&world, directory.path(), &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", &base)]).await;
    let reply = ask(&world, &tokens, NATIVE).await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.description().contains("the host's managed identity endpoint does not answer"), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_led_back_to_us_is_recognised() {
    let world = World::start().await;
    let detour = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let base = format!("http://{}", detour.local_addr().unwrap());
    let (_guest, tokens) = guest(&world, directory.path(), &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", &base)]).await;
    let back = tokens.trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((mut came, _)) = detour.accept().await {
            let mut went = TcpStream::connect(&back).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut came, &mut went).await });
        }
    });
    let reply = ask(&world, &tokens, NATIVE).await;
    assert_eq!(reply.status, 403, "{reply:?}");
    assert!(reply.description().contains("endpoint is this service itself"), "{reply:?}");
}
