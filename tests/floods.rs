//! The log of the process is bounded: a flood of lines is counted and buries nobody else's, and what is no flood is
//! told line by line.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::json;
use support::{NATIVE, World};
use tokio::sync::{Mutex as Turns, MutexGuard};

const CALLERS: &str = r#"
[callers.billing]
proof = { kind = "header-secret", file = "billing" }
identities = ["first", "second"]
resources = ["https://vault.azure.net"]
[callers.trial]
proof = { kind = "header-secret", file = "trial" }
identities = ["second"]
resources = ["https://nothing.example"]
mode = "audit"
"#;

/// What this process logs, for one test at a time.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    async fn start() -> (Self, MutexGuard<'static, ()>) {
        static LOG: OnceLock<Log> = OnceLock::new();
        static TURNS: Turns<()> = Turns::const_new(());
        let turn = TURNS.lock().await;
        let log = LOG.get_or_init(|| {
            let log = Self::default();
            let writer = log.clone();
            let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
            tracing::subscriber::set_global_default(subscriber).unwrap();
            log
        });
        log.0.lock().unwrap().clear();
        (log.clone(), turn)
    }

    /// The lines that have all of these words.
    fn lines(&self, words: &[&str]) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned).collect()
    }
}

fn config() -> String {
    support::with_callers(CALLERS)
}

fn directory() -> tempfile::TempDir {
    support::directory_of(&["billing", "trial"])
}

async fn ask(http: &reqwest::Client, tokens: &str, caller: &str, target: &str) -> u16 {
    let request = http.get(format!("{tokens}{target}")).header("Metadata", "true");
    request.header("X-IDENTITY-HEADER", format!("secret-of-{caller}")).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_refusals_leave_a_few_lines_and_their_count() {
    let (log, _turn) = Log::start().await;
    let world = World::within(directory(), &config()).await;
    let tokens = world.tokens();
    let ask = |caller, target| ask(&world.http, &tokens, caller, target);
    for _ in 0..1000 {
        assert_eq!(ask("nobody", NATIVE).await, 401);
    }
    assert_eq!(log.lines(&["refused"]).len(), 30);
    // It is in nobody else's way, nor in that of what else is wrong.
    assert_eq!(ask("billing", "/token?resource=https://graph.microsoft.com").await, 403);
    assert_eq!(log.lines(&["refused", "caller=\"billing\"", "callers.billing.resources"]).len(), 1);
    assert_eq!(ask("nobody", "/token").await, 400);
    assert_eq!(log.lines(&["refused"]).len(), 32);
    world.hand.advance(Duration::from_mins(1));
    assert_eq!(ask("nobody", NATIVE).await, 401);
    assert_eq!(log.lines(&["refused", "suppressed=970"]).len(), 1);
    assert_eq!(log.lines(&["refused"]).len(), 33);
    assert_eq!(ask("billing", NATIVE).await, 200);
}

/// Whoever may write client claims brings about an exchange with each request.
#[tokio::test(flavor = "multi_thread")]
async fn failed_exchanges_are_bounded_for_each_identity_and_kind() {
    let (log, _turn) = Log::start().await;
    let world = World::within(directory(), &config()).await;
    let ask = |caller, target: String| {
        let (http, tokens) = (&world.http, world.tokens());
        async move { ask(http, &tokens, caller, &target).await }
    };
    let wish = |n: u32, identity: &str| format!("{NATIVE}&identity={identity}&client_claims=%7B%22n%22:{n}%7D");
    world.break_sts(support::on_token(json!({ "status": 400, "body": { "error": "invalid_scope" } }))).await;
    for n in 0..100 {
        assert_eq!(ask("billing", wish(n, "first")).await, 400);
    }
    let failed = |identity| log.lines(&["no token", &format!("identity=\"{identity}\"")]).len();
    assert_eq!((failed("first"), log.lines(&["refused", "identity=\"first\""]).len()), (30, 30));
    assert_eq!(ask("billing", wish(0, "second")).await, 400);
    assert_eq!(failed("second"), 1, "another identity's is told");
    world.mend_sts().await;
    world.break_sts(support::on_token(json!({ "status": 400, "body": { "error": "unauthorized_client" } }))).await;
    assert_eq!(ask("billing", wish(100, "first")).await, 403);
    assert_eq!(failed("first"), 31, "and so is another failure");
    for n in 200..300 {
        assert_eq!(ask("trial", wish(n, "second")).await, 403);
    }
    assert_eq!(log.lines(&["rules are not enforced"]).len(), 30);
    world.hand.advance(Duration::from_mins(1));
    world.mend_sts().await;
    world.break_sts(support::on_token(json!({ "status": 400, "body": { "error": "invalid_scope" } }))).await;
    assert_eq!(ask("billing", wish(101, "first")).await, 400);
    assert_eq!(log.lines(&["no token", "identity=\"first\"", "suppressed=70"]).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_bounds_its_logs_too_and_tells_at_its_end_what_is_in_none() {
    let directory = directory();
    let config = config() + "[log]\naudit = \"audit\"\n";
    let file = support::write_config(directory.path(), &config, "http://127.0.0.1:1");
    let (serve, tokens, _) = support::start_serve(&file, &[]).await;
    let http = support::client();
    for _ in 0..1000 {
        assert_eq!(ask(&http, &tokens, "nobody", NATIVE).await, 401);
    }
    assert_eq!(ask(&http, &tokens, "billing", "/token?resource=https://graph.microsoft.com").await, 403);
    // It is written in order, behind the requests.
    serve.logged("callers.billing.resources").await;
    assert_eq!(serve.log().matches("refused").count(), 31, "{}", serve.log());
    serve.terminate();
    let (code, _, log) = serve.ended().await;
    let told: Vec<&str> = log.lines().filter(|line| line.contains("lines of a flood were not written")).collect();
    assert!(code == Some(0) && told.len() == 1 && told[0].contains("suppressed=970"), "{code:?} {told:?}");
    let audit = std::fs::read_to_string(directory.path().join("audit")).unwrap();
    let suppressed = audit.lines().filter(|line| line.contains("\"suppressed\":970")).count();
    assert_eq!((audit.lines().count(), suppressed), (32, 1), "{audit}");
}
