//! A configuration that is written anew while the process runs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bursar::clock::Stopwatch;
use serde_json::Value;
use support::proof::Volume;
use support::{
    NATIVE, OTHER_TENANT, Reply, TWO_IDENTITIES, World, bursar, directory, directory_of, serving, start_serve,
    start_sts, until, with_callers, write_config,
};

const SECOND: &str = "/token?resource=https://vault.azure.net&identity=second";
const IN_TWO: &str = "/token?resource=https://vault.azure.net&tenant=two";
const THIRD: &str = "\n[identities.third]\ntenants = [\"two\"]\nclient_id = \"b0b00000-0000-4000-8000-000000000005\"\nresources = [\"*\"]\ncredentials = [{ kind = \"secret\", file = \"other-secret\" }]\n";

/// The usual configuration with another text in one place.
fn changed(old: &str, new: &str) -> String {
    assert!(TWO_IDENTITIES.contains(old), "{old}");
    TWO_IDENTITIES.replacen(old, new, 1)
}

/// Third has the client id of second, so that one of them has to go.
fn with_third() -> String {
    TWO_IDENTITIES.split("[identities.second]").next().unwrap().to_owned() + THIRD
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_a_good_one_drops_no_request_and_no_token_that_is_still_right() {
    let world = Arc::new(World::start().await);
    let targets = [NATIVE, IN_TWO, "/token?resource=r2"];
    for target in targets {
        world.ask(target).await.token();
    }
    world.exchanges().await;
    let (is_over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = targets
        .into_iter()
        .cycle()
        .take(6)
        .map(|target| {
            let (world, is_over, asked) = (Arc::clone(&world), Arc::clone(&is_over), Arc::clone(&asked));
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    world.ask(target).await.token();
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    assert_eq!(world.ask("/token?resource=r&identity=third").await.status, 400);
    for config in [
        changed("timeout = \"2s\"", "timeout = \"3s\""),
        with_third(),
        with_third() + "[freshness]\nrefresh_rate = 5\nlate = \"4m\"\n[cache]\ncaller_share = 0.5\n",
        changed("object_id = \"b0b00000-0000-4000-8000-000000000003\"", "fmi_paths = [\"a\"]"),
        with_third() + "[log]\nlevel = \"warn\"\n",
    ] {
        let before = asked.load(Ordering::Relaxed);
        world.rewrite(&config).await;
        until("they go on", async || asked.load(Ordering::Relaxed) > before + 20).await;
    }
    is_over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!((world.reloaded("ok").await, world.reloaded("failed").await), (5.0, 0.0));
    assert_eq!(world.exchanges().await, 0, "every token was still right");
    world.ask("/token?resource=r&identity=third").await.token();
    assert_eq!((world.ask(SECOND).await.status, world.exchanges().await), (400, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_come_by_otherwise_is_exchanged_anew_and_all_else_is_kept() {
    let world = World::start().await;
    let directory = world.directory.path();
    std::fs::copy(directory.join("secret"), directory.join("moved")).unwrap();
    let all = [NATIVE, IN_TWO, SECOND];
    let second = "client_id = \"b0b00000-0000-4000-8000-000000000005\"";
    // What is written anew, and which of the three are exchanged then.
    for (old, new, expected) in [
        ("\"secret\", file = \"secret\"", "\"secret\", file = \"moved\"", [1, 1, 0]),
        ("connect_timeout = \"500ms\"", "connect_timeout = \"400ms\"", [0, 0, 0]),
        ("file = \"other-secret\"", "file = \"other-secret\", expires = \"2040-01-31\"", [0, 0, 0]),
        (second, &format!("{second}\nclient_capabilities = [\"cp1\"]"), [0, 0, 1]),
        ("[tenants.two]", "extra_body = { a = \"b\" }\n[tenants.two]", [1, 0, 1]),
        (OTHER_TENANT, "b0b00000-0000-4000-8000-00000000000c", [0, 1, 0]),
        ("\"@authority@\"", "\"@authority-of-localhost@\"", [1, 0, 1]),
    ] {
        world.rewrite(TWO_IDENTITIES).await;
        for target in all {
            world.ask(target).await.token();
        }
        world.exchanges().await;
        world.rewrite(&changed(old, new)).await;
        for (target, expected) in all.into_iter().zip(expected) {
            world.ask(target).await.token();
            world.ask(target).await.token();
            assert_eq!(world.exchanges().await, expected, "{target} after {new}");
        }
    }
    assert_eq!(world.reloaded("failed").await, 0.0);
    assert_eq!(world.metric("bursar_tokens").await, Some(3.0), "what nobody can ask for is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_one_changes_nothing_and_is_told_once_until_it_is_another() {
    let world = World::start().await;
    let token = world.ask(NATIVE).await.token().to_owned();
    let successful = "bursar_reload_successful{what=\"configuration\"}";
    let good_at = "bursar_reload_success_timestamp_seconds{what=\"configuration\"}";
    assert_eq!((world.metric(successful).await, world.metric(good_at).await), (Some(1.0), Some(1_800_000_000.0)));
    world.hand.advance(Duration::from_secs(10));
    for (n, bad) in [
        changed("default = true", "defualt = true").replace("tenants = [\"one\"]", "tenants = [\"none\"]"),
        "[server".to_owned(),
        String::new(),
        changed("file = \"other-secret\"", "file = \"not-there\""),
    ]
    .iter()
    .enumerate()
    {
        world.rewrite(bad).await;
        assert_eq!(world.ask(NATIVE).await.token(), token);
        world.ask(SECOND).await.token();
        let failed = u32::try_from(n + 1).unwrap();
        assert_eq!((world.reloaded("ok").await, world.reloaded("failed").await), (0.0, f64::from(failed)));
        assert_eq!((world.metric(successful).await, world.metric(good_at).await), (Some(0.0), Some(1_800_000_000.0)));
        let ready = world.send(world.http.get(format!("{}/readyz", world.admin()))).await;
        assert_eq!(ready.status, 200, "a bad reload takes nobody out of service");
        let told = &ready.body["reload"];
        assert_eq!((&told["outcome"], &told["at"]), (&"refused".into(), &"2027-01-15T08:00:10Z".into()), "{told}");
        assert!(told["mistakes"].as_array().is_some_and(|mistakes| !mistakes.is_empty()), "{told}");
        let page = world.send(world.http.get(format!("{}/status", world.admin()))).await;
        assert!(page.body.as_str().is_some_and(|page| page.contains(">refused</span>")), "{page:?}");
    }
    // The same is looked at whenever a file changes, and is not told again; what it lacked may have come.
    std::fs::write(world.directory.path().join("another"), "").unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(world.reloads().await, 4.0);
    std::fs::write(world.directory.path().join("not-there"), support::OTHER_SECRET).unwrap();
    until("it is good by itself", async || world.reloaded("ok").await > 0.0).await;
    assert_eq!((world.metric(successful).await, world.metric(good_at).await), (Some(1.0), Some(1_800_000_010.0)));
    assert_eq!(world.ask(NATIVE).await.token(), token);
    let ready = world.send(world.http.get(format!("{}/readyz", world.admin()))).await;
    assert_eq!(ready.body["reload"]["outcome"], "taken", "{ready:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_ready_is_another_and_nobody_is_kept_waiting_for_it() {
    let warm = |resource: &str| changed("default = true", &format!("default = true\nwarm = [\"{resource}\"]"));
    let world = World::with(&warm("https://one.example")).await;
    let held = async || {
        let ready = world.send(world.http.get(format!("{}/readyz", world.admin()))).await;
        let first = ready.body["identities"].as_array().unwrap().iter().find(|one| one["name"] == "first").cloned();
        (ready.status, first.unwrap()["warm"].clone())
    };
    let is_held = async |resource: &str| {
        let (status, warm) = held().await;
        assert!(status == 200 || resource == "https://one.example", "{warm}");
        warm.as_array().is_some_and(|warm| warm.len() == 1)
            && warm[0]["resource"] == resource
            && warm[0]["state"] == "held"
    };
    until("it is held ready from the start", async || is_held("https://one.example").await).await;
    world.hand.advance(Duration::from_secs(1));
    world.rewrite(&warm("https://two.example")).await;
    until("another is", async || is_held("https://two.example").await).await;
    world.rewrite(&changed("default = true", "default = true\nclient_capabilities = [\"cp1\"]")).await;
    assert_eq!(held().await, (200, Value::Null));
    assert_eq!(world.exchanges().await, 2, "nothing was fetched twice");
}

fn caller(name: &str, identities: &str, resources: &str) -> String {
    format!(
        "[callers.{name}]\nproof = {{ kind = \"header-secret\", file = \"{name}\" }}\nidentities = [\"{identities}\"]\nresources = [\"{resources}\"]\n"
    )
}

async fn ask_as(world: &World, caller: &str, resource: &str) -> Reply {
    let url = format!("{}/msi/token?api-version=2019-08-01&resource={resource}", world.tokens());
    world.send(world.http.get(url).header("X-IDENTITY-HEADER", format!("secret-of-{caller}"))).await
}

const VAULT: &str = "https://vault.azure.net";

#[tokio::test(flavor = "multi_thread")]
async fn callers_come_and_go_and_nobody_is_taken_for_another() {
    let directory = directory_of(&["alpha", "billing", "shop", "zeta"]);
    let log = "[log]\naudit = \"audit.jsonl\"\n";
    let [alpha, billing, shop] = ["alpha", "billing", "shop"].map(|name| caller(name, "first", "*"));
    let world = World::within(directory, &(with_callers(&(alpha.clone() + &billing + &shop)) + log)).await;
    for name in ["alpha", "billing", "shop"] {
        ask_as(&world, name, VAULT).await.token();
    }
    assert_eq!((ask_as(&world, "zeta", VAULT).await.status, world.exchanges().await), (401, 1));
    // The first goes, so that all others are listed in other places; one comes.
    let zeta = caller("zeta", "first", "*");
    world.rewrite(&(with_callers(&(billing.clone() + &shop + &zeta)) + log)).await;
    assert_eq!(ask_as(&world, "alpha", VAULT).await.status, 401, "who is removed is refused at once");
    for name in ["billing", "shop", "zeta"] {
        ask_as(&world, name, VAULT).await.token();
    }
    // A right is revoked, while the token is in the cache.
    let listed = caller("shop", "first", "https://graph.microsoft.com");
    world.rewrite(&(with_callers(&(billing.clone() + &listed + &zeta)) + log)).await;
    assert_eq!(ask_as(&world, "shop", VAULT).await.status, 403);
    ask_as(&world, "billing", VAULT).await.token();
    assert_eq!(world.exchanges().await, 0, "the token was right all the time");
    world.rewrite(&(with_callers(&(alpha + &billing)) + log)).await;
    ask_as(&world, "alpha", VAULT).await.token();
    let path = world.directory.path().join("audit.jsonl");
    let told = || -> Vec<String> {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .map(|line| format!("{} {}", line["caller"].as_str().unwrap_or("-"), line["verdict"].as_str().unwrap()))
            .collect()
    };
    let expected = [
        "alpha admitted",
        "billing admitted",
        "shop admitted",
        "- refused",
        "- refused",
        "zeta admitted",
        "shop refused",
    ];
    until("all is written", async || told().len() >= expected.len()).await;
    assert_eq!(told(), expected, "each is told of a token once, also whoever comes back");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_let_in_against_its_rules_from_now_on_is_told_of_though_it_has_the_token() {
    let log = "[log]\naudit = \"audit.jsonl\"\n";
    let billing = |resources: &str| with_callers(&(caller("billing", "first", resources))) + log;
    let world = World::within(directory_of(&["billing"]), &billing("*")).await;
    ask_as(&world, "billing", VAULT).await.token();
    let audited = billing("https://other.example").replace("[callers.billing]", "[callers.billing]\nmode = \"audit\"");
    world.rewrite(&audited).await;
    for _ in 0..3 {
        ask_as(&world, "billing", VAULT).await.token();
    }
    let path = world.directory.path().join("audit.jsonl");
    let told = || std::fs::read_to_string(&path).unwrap().matches("\"verdict\":\"audited\"").count();
    until("it is told", async || told() > 0).await;
    assert_eq!((told(), world.exchanges().await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_file_lets_nobody_in() {
    let world = World::within(directory_of(&["billing"]), &with_callers(&caller("billing", "first", "*"))).await;
    let path = world.directory.path().join("bursar.toml");
    let whole = std::fs::read_to_string(&path).unwrap();
    let half = &whole[..whole.find("[callers").unwrap()];
    assert_eq!(world.ask(NATIVE).await.status, 401);
    std::fs::write(&path, half).unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(world.ask(NATIVE).await.status, 401, "it may not be whole yet");
    std::fs::write(&path, format!("{whole}# whole\n")).unwrap();
    until("it is taken", async || world.reloaded("ok").await > 0.0).await;
    assert_eq!((world.reloaded("failed").await, world.ask(NATIVE).await.status), (0.0, 401));
    std::fs::write(&path, half).unwrap();
    until("what stays half is refused", async || world.reloaded("failed").await > 0.0).await;
    assert_eq!(world.ask(NATIVE).await.status, 401);
    let ready = world.send(world.http.get(format!("{}/readyz", world.admin()))).await;
    let told = ready.body["reload"]["mistakes"][0].as_str().unwrap().to_owned();
    assert!(told.contains("callers") && told.contains("let in"), "{told}");
    ask_as(&world, "billing", VAULT).await.token();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_used_its_rate_does_not_get_it_again_by_a_reload() {
    let directory = directory_of(&["billing", "shop"]);
    let limited = |rate: u32| caller("billing", "first", "*") + &format!("rate = {rate}\n");
    let world = World::within(directory, &with_callers(&limited(2))).await;
    let refused = async || {
        let mut refused = 0;
        for _ in 0..4 {
            refused += usize::from(ask_as(&world, "billing", VAULT).await.status == 429);
        }
        refused
    };
    assert!(refused().await >= 1);
    world.rewrite(&with_callers(&limited(1_000_000))).await;
    assert_eq!(refused().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_header_secret_is_taken_from_its_file_where_callers_are_not_told_apart_too() {
    let world = World::start().await;
    let status = async |secret: &str| {
        let url = format!("{}/msi/token?api-version=2019-08-01&resource={VAULT}", world.tokens());
        world.send(world.http.get(url).header("X-IDENTITY-HEADER", secret)).await.status
    };
    assert_eq!((status(support::HEADER).await, status("the-next").await), (200, 401));
    std::fs::write(world.directory.path().join("header"), "the-next").unwrap();
    until("the new one is known", async || status("the-next").await == 200).await;
    assert_eq!((status(support::HEADER).await, world.reloads().await), (401, 0.0));
    world.rewrite(&with_third()).await;
    assert_eq!((status(support::HEADER).await, status("the-next").await), (401, 200));
}

/// Which of two callers may have which of two resources, as a number, and the configuration that says so.
fn rights(of: u32) -> String {
    let resources = |name: &str, bits: u32| {
        let listed: Vec<_> = (0..2).filter(|n| bits >> n & 1 == 1).map(|n| format!("\"r{n}\"")).collect();
        let proof = format!("proof = {{ kind = \"header-secret\", file = \"{name}\" }}");
        if listed.is_empty() {
            String::new()
        } else {
            format!("[callers.{name}]\n{proof}\nidentities = [\"first\"]\nresources = [{}]\n", listed.join(", "))
        }
    };
    // One more, so that callers are always told apart.
    with_callers(&(resources("billing", of & 3) + &resources("shop", of >> 2 & 3) + &caller("zeta", "first", "*")))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_let_in_that_neither_the_old_nor_the_new_one_admits() {
    let directory = directory_of(&["billing", "shop", "zeta"]);
    let world = Arc::new(World::within(directory, &rights(15)).await);
    // Those that were written, of which the last may not hold yet, and how many are known to hold.
    let written = Arc::new(std::sync::Mutex::new(vec![15_u32]));
    let (holds, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let tasks: Vec<_> = (0..4_u32)
        .map(|cell| {
            let (world, written, holds, is_over) =
                (Arc::clone(&world), Arc::clone(&written), Arc::clone(&holds), Arc::clone(&is_over));
            tokio::spawn(async move {
                let (name, resource) = (["billing", "shop"][(cell / 2) as usize], format!("r{}", cell % 2));
                let mut seen = [0, 0];
                while !is_over.load(Ordering::Acquire) {
                    let since = holds.load(Ordering::Acquire);
                    let status = ask_as(&world, name, &resource).await.status;
                    let may = written.lock().unwrap()[since..].iter().map(|of| of >> cell & 1 == 1).collect::<Vec<_>>();
                    let is_admitted = status == 200;
                    assert!(may.contains(&is_admitted), "{name} {resource} {status} under {may:?}");
                    assert!(is_admitted || status == 401 || status == 403, "{status}");
                    seen[usize::from(is_admitted)] += 1;
                }
                seen
            })
        })
        .collect();
    for _ in 0..10 {
        let of = fastrand::u32(0..16);
        written.lock().unwrap().push(of);
        world.rewrite(&rights(of)).await;
        holds.store(written.lock().unwrap().len() - 1, Ordering::Release);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    is_over.store(true, Ordering::Release);
    let mut all = [0, 0];
    for task in tasks {
        let seen = task.await.unwrap();
        all = [all[0] + seen[0], all[1] + seen[1]];
    }
    assert!(all[0] > 0 && all[1] > 0, "{all:?}");
    assert_eq!(world.reloaded("failed").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_task_is_left_of_those_before() {
    let world = World::start().await;
    world.ask(NATIVE).await.token();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    world.rewrite(&with_third()).await;
    let before = tasks();
    for n in 0..8 {
        world.rewrite(&changed("timeout = \"2s\"", &format!("timeout = \"{}s\"", n + 3))).await;
        world.ask(NATIVE).await.token();
    }
    until("the tasks of those before end", async || tasks() <= before).await;
    assert_eq!(world.exchanges().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_descriptor_and_no_watch_is_left_of_those_before() {
    let (_sts, announced) = start_sts(&[]);
    let directory = directory();
    let write = |n: usize| {
        // Each names a secret in a directory of its own.
        let place = directory.path().join(n.to_string());
        std::fs::create_dir_all(&place).unwrap();
        std::fs::copy(directory.path().join("other-secret"), place.join("s")).unwrap();
        let config = changed("file = \"other-secret\"", &format!("file = \"{n}/s\""));
        write_config(directory.path(), &config, announced["authority"].as_str().unwrap())
    };
    let (serve, _, _) = start_serve(&write(0), &[]).await;
    let told = || serve.log().lines().filter(|line| line.contains("read again, and holds")).count();
    let process = std::path::PathBuf::from(format!("/proc/{}", serve.pid()));
    let held = || {
        let descriptors = std::fs::read_dir(process.join("fd")).unwrap().count();
        let infos = std::fs::read_dir(process.join("fdinfo")).unwrap();
        let infos = infos.filter_map(|info| std::fs::read_to_string(info.unwrap().path()).ok());
        (descriptors, infos.map(|info| info.matches("inotify wd").count()).sum::<usize>())
    };
    write(1);
    until("it is read", async || told() == 1).await;
    until("the old directory is left alone", async || held().1 == 2).await;
    let before = held();
    for n in 2..10 {
        write(n);
        until("it is read", async || told() == n).await;
    }
    until("nothing is left", async || held() <= before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_has_a_rejected_credential_tried_again_and_a_change_of_the_file_does_not() {
    let (_sts, announced) = start_sts(&[]);
    let (authority, http) = (announced["authority"].as_str().unwrap(), support::client());
    let directory = directory();
    let path = write_config(directory.path(), TWO_IDENTITIES, authority);
    let (serve, tokens, _) = start_serve(&path, &[]).await;
    let ask = async || http.get(format!("{tokens}{NATIVE}")).header("Metadata", "true").send().await.unwrap().status();
    let rejected = serde_json::json!({ "status": 401, "times": 1, "body": { "error": "invalid_client" } });
    http.post(format!("{authority}/_sts/faults")).body(support::on_token(rejected).to_string()).send().await.unwrap();
    assert_eq!(ask().await, 403);
    let read_again = "the configuration was read again, and holds";
    write_config(directory.path(), &format!("{TWO_IDENTITIES}\n# another\n"), authority);
    serve.logged(read_again).await;
    assert_eq!(ask().await, 403, "it rests");
    serve.hang_up();
    let watch = Stopwatch::start();
    until("it is tried again", async || ask().await == 200).await;
    assert!(watch.elapsed() < Duration::from_secs(5), "half of the rest: {:?}", watch.elapsed());
    let asked = support::exchanges(&http, authority).await.len();
    assert_eq!(asked, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_reads_all_of_it_again_and_the_log_tells_what_became_of_it() {
    let (_sts, announced) = start_sts(&[]);
    let authority = announced["authority"].as_str().unwrap();
    let directory = directory();
    let write = |config: &str| write_config(directory.path(), config, authority);
    let path = write(TWO_IDENTITIES);
    let (serve, tokens, _) = start_serve(&path, &[("BURSAR__SERVER__DRAIN", "1s")]).await;
    let told = |words: &str| serve.log().lines().filter(|line| line.contains(words)).count();
    serve.hang_up();
    serve.logged("the configuration was read again, and holds").await;
    assert_eq!(told("wait for a restart"), 0, "a variable overrides as it did at the start");

    write(&changed("workers = 2", "workers = 3").replacen("default = true", "defualt = true", 1));
    for (words, level) in [
        ("has mistakes; nothing has changed", "ERROR"),
        ("identities.first.defualt: the key is unknown. Did you mean 'default'.", "ERROR"),
    ] {
        let line = serve.logged(words).await;
        assert!(line.contains(level), "{line}");
    }
    serve.hang_up();
    until("who asks is told again", async || told("nothing has changed") == 2).await;

    let http = support::client();
    let ask = async || http.get(format!("{tokens}{NATIVE}")).header("Metadata", "true").send().await.unwrap();
    assert_eq!((ask().await.status().as_u16(), told("DEBUG")), (200, 0));
    write(&(changed("workers = 2", "workers = 3") + "[log]\nlevel = \"debug\"\nformat = \"json\"\n"));
    let line = serve.logged("these keys have changed and wait for a restart").await;
    assert!(line.contains("WARN") && line.contains("keys=\"log.format, server.workers\""), "{line}");
    ask().await;
    serve.logged("DEBUG").await;
    write(&(TWO_IDENTITIES.to_owned() + "[log]\nlevel = \"error\"\n"));
    let watch = Stopwatch::start();
    loop {
        let before = told("DEBUG");
        ask().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        if told("DEBUG") == before {
            break;
        }
        assert!(watch.elapsed() < Duration::from_secs(5), "the level stays");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_restart_opens_nothing_with_the_rest() {
    let directory = directory_of(&["billing", "zeta"]);
    let billing = caller("billing", "first", "*");
    let world = World::within(directory, &with_callers(&billing)).await;
    let status = async |secret: &str| {
        let request = world.http.get(format!("{}{NATIVE}", world.tokens())).header("Metadata", "true");
        world.send(request.header("X-IDENTITY-HEADER", secret)).await.status
    };
    let told = async || (world.reloaded("ok").await, world.reloaded("failed").await);
    // Without callers whoever reaches native gets tokens there, which is no longer served then.
    world.rewrite(&changed("workers = 2", "dialects = [\"app-service\"]")).await;
    assert_eq!((told().await, world.ask(NATIVE).await.status), ((0.0, 1.0), 401));
    // Who is looked for first is another one, and so is what somebody may have.
    let order = with_callers(&(billing.clone() + &caller("zeta", "first", "*")));
    let order = order.replacen("workers = 2", "workers = 2\nproofs = [\"loopback\", \"header-secret\"]", 1);
    world.rewrite(&order).await;
    assert_eq!((told().await, status("secret-of-zeta").await), ((0.0, 2.0), 401));
    // Nobody could be proved so until there is such a listener.
    for name in ["ca.pem", "c.pem", "k.pem"] {
        std::fs::write(world.directory.path().join(name), "").unwrap();
    }
    let (certificate, key) = support::proof::pair();
    for (name, text) in [("ca.pem", &certificate), ("c.pem", &certificate), ("k.pem", &key)] {
        std::fs::write(world.directory.path().join(name), text).unwrap();
    }
    let by_mtls = "[callers.till]\nproof = { kind = \"mtls\", dns_name = \"a.b\" }\nidentities = [\"first\"]\nresources = [\"*\"]\n";
    let tls = "\"https://127.0.0.1:0\"]\ntls = { cert = \"c.pem\", key = \"k.pem\", client_ca = \"ca.pem\" }";
    world.rewrite(&with_callers(&(billing.clone() + by_mtls)).replacen("\"127.0.0.1:0\"]", tls, 1)).await;
    assert_eq!(told().await, (0.0, 3.0));
    // What decides nothing of that is taken, and waits for nobody.
    let both = with_callers(&(billing + &caller("zeta", "first", "*"))).replacen("workers = 2", "workers = 3", 1);
    world.rewrite(&both).await;
    assert_eq!((told().await, status("secret-of-zeta").await), ((1.0, 3.0), 200));
    let order = both.replacen("workers = 3", "proofs = [\"loopback\", \"header-secret\"]", 1);
    world.rewrite(&(order + "[freshness]\nlate = \"4m\"\n")).await;
    assert_eq!((told().await, status("secret-of-billing").await), ((2.0, 3.0), 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_file_a_hangup_reads_what_the_variables_name() {
    let (_sts, announced) = start_sts(&[]);
    let mut command = bursar();
    command.arg("serve").envs([
        ("AZURE_CLIENT_ID", announced["client_id"].as_str().unwrap()),
        ("AZURE_TENANT_ID", announced["tenant"].as_str().unwrap()),
        ("AZURE_AUTHORITY_HOST", announced["authority"].as_str().unwrap()),
        ("AZURE_CLIENT_SECRET", support::SECRET),
        ("BURSAR__SERVER__LISTEN", "127.0.0.1:0"),
        ("BURSAR__SERVER__ADMIN_LISTEN", "127.0.0.1:0"),
    ]);
    let (serve, tokens, _) = serving(&mut command).await;
    serve.hang_up();
    serve.logged("there is no configuration file").await;
    let reply = support::client().get(format!("{tokens}{NATIVE}")).header("Metadata", "true").send().await.unwrap();
    assert_eq!(reply.status().as_u16(), 200, "{}", serve.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swapped_link_is_noticed_as_kubernetes_makes_it() {
    let directory = directory();
    let settings = directory.path().join("sts.toml");
    let (_sts, announced) = start_sts(&["--config", settings.to_str().unwrap()]);
    let authority = announced["authority"].as_str().unwrap();
    let absolute = |config: &str| {
        let file = |name: &str| format!("file = \"{}\"", directory.path().join(name).display());
        let names = ["header", "secret", "other-secret"];
        names.iter().fold(config.replace("@authority@", authority), |config, name| {
            config.replace(&format!("file = \"{name}\""), &file(name))
        })
    };
    let volume = Volume::new(directory.path().join("volume"), &[("bursar.toml", &absolute(TWO_IDENTITIES))]);
    let (serve, tokens, _) = start_serve(&directory.path().join("volume/bursar.toml"), &[]).await;
    let http = support::client();
    let status = async |target: &str| {
        let asked = http.get(format!("{tokens}{target}")).header("Metadata", "true").send().await;
        asked.unwrap().status().as_u16()
    };
    assert_eq!((status(SECOND).await, status("/token?resource=r&identity=third").await), (200, 400));
    volume.swap(&[("bursar.toml", &absolute(&with_third()))]);
    serve.logged("the configuration was read again, and holds").await;
    assert_eq!((status(SECOND).await, status("/token?resource=r&identity=third").await), (400, 200));
}
