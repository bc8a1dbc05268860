//! What the black-box tests share: an authority and a service on loopback, in this process on a manual
//! clock, or as children of it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use bursar::app::App;
use bursar::clock::{Clock, ManualClock, Stopwatch, Timestamp};
use bursar::config::Config;
use bursar::server::Server;
use bursar::sts::{Settings, Sts};
use serde_json::{Value, json};
use tempfile::TempDir;

pub mod door;
pub mod flood;
pub mod proof;
pub mod receiver;
pub mod ways;

pub const TENANT: &str = "b0b00000-0000-4000-8000-000000000001";
pub const OTHER_TENANT: &str = "b0b00000-0000-4000-8000-00000000000a";
pub const APP: &str = "b0b00000-0000-4000-8000-000000000002";
pub const APP_OBJECT: &str = "b0b00000-0000-4000-8000-000000000003";
pub const OTHER_APP: &str = "b0b00000-0000-4000-8000-000000000005";
pub const SECRET: &str = "bursar-dev-secret";
pub const OTHER_SECRET: &str = "another-secret";
pub const HEADER: &str = "the-header-secret";
pub const NATIVE: &str = "/token?resource=https://vault.azure.net";

/// What the STS knows: two applications.
pub const STS_SETTINGS: &str = r#"
[[apps]]
client_id = "b0b00000-0000-4000-8000-000000000002"
secrets = ["bursar-dev-secret"]
[[apps]]
client_id = "b0b00000-0000-4000-8000-000000000005"
secrets = ["another-secret"]
"#;

/// A configuration with both applications in two tenants; `@authority@` is the STS.
pub const TWO_IDENTITIES: &str = r#"
[server]
listen = ["127.0.0.1:0"]
admin_listen = "127.0.0.1:0"
header_secret = [{ file = "header" }]
workers = 2
drain = "0s"
[tenants.one]
id = "b0b00000-0000-4000-8000-000000000001"
authority = "@authority@"
instance_discovery = false
connect_timeout = "500ms"
timeout = "2s"
[tenants.two]
id = "b0b00000-0000-4000-8000-00000000000a"
authority = "@authority@"
instance_discovery = false
[identities.first]
tenants = ["one", "two"]
client_id = "b0b00000-0000-4000-8000-000000000002"
object_id = "b0b00000-0000-4000-8000-000000000003"
resource_id = "/subscriptions/s/first"
default = true
resources = ["*"]
credentials = [{ kind = "secret", file = "secret" }]
[identities.second]
tenants = ["one"]
client_id = "b0b00000-0000-4000-8000-000000000005"
resources = ["https://vault.azure.net"]
credentials = [{ kind = "secret", file = "other-secret" }]
"#;

/// A service and its authority in this process, both on one clock that is moved by hand.
pub struct World {
    pub sts: Sts,
    pub hand: ManualClock,
    pub server: Server,
    pub http: reqwest::Client,
    pub directory: TempDir,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Reply {
    /// The token, or a panic that shows the answer.
    pub fn token(&self) -> &str {
        self.body["access_token"].as_str().unwrap_or_else(|| panic!("no token in {self:?}"))
    }

    pub fn description(&self) -> &str {
        self.body["error_description"].as_str().unwrap_or_else(|| panic!("no description in {self:?}"))
    }

    pub fn retry_after(&self) -> Option<u64> {
        self.headers.get("retry-after")?.to_str().ok()?.parse().ok()
    }
}

impl World {
    pub async fn start() -> Self {
        Self::with(TWO_IDENTITIES).await
    }

    /// A service of this configuration, with the usual files beside it.
    pub async fn with(config: &str) -> Self {
        Self::within(directory(), config).await
    }

    /// A service of this configuration, with the files of `directory` beside it.
    pub async fn within(directory: TempDir, config: &str) -> Self {
        Self::interrupted(directory, config, |_| {}).await
    }

    /// The same, and what happens in the directory after the configuration was read and before it is used.
    pub async fn interrupted(directory: TempDir, config: &str, between: impl FnOnce(&Path)) -> Self {
        let hand = ManualClock::at(Timestamp::from_secs(1_800_000_000));
        Self::at(Clock::Manual(hand.clone()), hand, directory, config, between).await
    }

    /// A service of this configuration on the machine's own clock, for what goes by itself as time passes.
    pub async fn ticking(config: &str) -> Self {
        Self::ticking_within(directory(), config).await
    }

    /// The same with the files of `directory` beside it.
    pub async fn ticking_within(directory: TempDir, config: &str) -> Self {
        let hand = ManualClock::at(Clock::System.now());
        Self::at(Clock::System, hand, directory, config, |_| {}).await
    }

    async fn at(
        clock: Clock,
        hand: ManualClock,
        directory: TempDir,
        config: &str,
        between: impl FnOnce(&Path),
    ) -> Self {
        let settings = Settings::read(&directory.path().join("sts.toml")).unwrap();
        let sts = Sts::start(settings, &[loopback()], None, clock.clone()).await.unwrap();
        let path = write_config(directory.path(), config, sts.url());
        let config = Config::read(Some(&path), std::collections::HashMap::new(), hand.now()).unwrap();
        between(directory.path());
        let server = App::build(config, clock, tokio::runtime::Handle::current()).unwrap().start().unwrap();
        let http = client();
        Self { sts, hand, server, http, directory }
    }

    pub fn tokens(&self) -> String {
        format!("http://{}", self.server.token_addresses()[0])
    }

    pub fn admin(&self) -> String {
        let scheme = if self.server.admin_listens()[0].is_tls() { "https" } else { "http" };
        format!("{scheme}://{}", self.server.admin_addresses()[0])
    }

    /// Asks with `Metadata: true`.
    pub async fn ask(&self, target: &str) -> Reply {
        self.send(self.http.get(format!("{}{target}", self.tokens())).header("Metadata", "true")).await
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Reply { status, headers, body }
    }

    pub async fn break_sts(&self, rules: Value) {
        break_sts(&self.http, self.sts.url(), &rules).await;
    }

    /// What `/metrics` says of a series; none if it is not there.
    pub async fn metric(&self, series: &str) -> Option<f64> {
        let page = self.send(self.http.get(format!("{}/metrics", self.admin()))).await;
        let value = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
        page.body.as_str().unwrap().lines().find_map(value)
    }

    /// Writes the configuration anew, and waits until it was read.
    pub async fn rewrite(&self, config: &str) {
        let before = self.reloads().await;
        // Only another file is read again.
        let config = format!("{config}\n# {}\n", uuid::Uuid::new_v4());
        write_config(self.directory.path(), &config, self.sts.url());
        until("the configuration is read again", async || self.reloads().await > before).await;
    }

    /// How often the configuration was read again, with success or without.
    pub async fn reloads(&self) -> f64 {
        self.reloaded("ok").await + self.reloaded("failed").await
    }

    /// How often that ended so.
    pub async fn reloaded(&self, outcome: &str) -> f64 {
        let series = format!("bursar_reloads_total{{outcome=\"{outcome}\",what=\"configuration\"}}");
        self.metric(&series).await.unwrap_or_default()
    }

    pub async fn mend_sts(&self) {
        self.http.delete(format!("{}/_sts/faults", self.sts.url())).send().await.unwrap();
    }

    /// How often the token endpoint was asked since this was last called.
    pub async fn exchanges(&self) -> usize {
        exchanges(&self.http, self.sts.url()).await.len()
    }
}

pub async fn break_sts(http: &reqwest::Client, sts: &str, rules: &Value) {
    let posted = http.post(format!("{sts}/_sts/faults")).body(rules.to_string()).send().await.unwrap();
    assert_eq!(posted.status(), 200, "{}", posted.text().await.unwrap());
}

/// The token requests in the journal, which is emptied.
pub async fn exchanges(http: &reqwest::Client, sts: &str) -> Vec<Value> {
    let requests = journal(http, sts).await;
    requests.into_iter().filter(|request| request["method"] == "POST").collect()
}

/// Waits, bounded, until something is so.
pub async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let watch = Stopwatch::start();
    while !is_so().await {
        assert!(watch.elapsed() < Duration::from_secs(20), "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// All requests in the journal, which is emptied.
pub async fn journal(http: &reqwest::Client, sts: &str) -> Vec<Value> {
    let taken = http.delete(format!("{sts}/_sts/requests")).send().await.unwrap();
    serde_json::from_str(&taken.text().await.unwrap()).unwrap()
}

/// A rule for the token endpoint alone.
pub fn on_token(rule: Value) -> Value {
    let mut rule = rule;
    rule["match"] = json!({ "path": "/oauth2/v2.0/token" });
    json!([rule])
}

pub fn client() -> reqwest::Client {
    bursar::wire::install_crypto_provider();
    // A connection that was opened ahead and asks nothing is closed after five seconds, perhaps just when it is used.
    reqwest::Client::builder().no_proxy().pool_idle_timeout(Duration::from_secs(3)).build().unwrap()
}

pub fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A directory with the secrets and the STS settings that the tests use.
pub fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in
        [("secret", SECRET), ("other-secret", OTHER_SECRET), ("header", HEADER), ("sts.toml", STS_SETTINGS)]
    {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

/// The same for callers that are told apart: `secret-of-NAME` is what each shows.
pub fn directory_of(callers: &[&str]) -> TempDir {
    let directory = directory();
    for name in callers {
        std::fs::write(directory.path().join(name), format!("secret-of-{name}")).unwrap();
    }
    directory
}

/// The usual configuration with these callers, beside whom no header secret is everybody's.
pub fn with_callers(callers: &str) -> String {
    TWO_IDENTITIES.replacen("header_secret = [{ file = \"header\" }]\n", "", 1) + callers
}

pub fn write_config(directory: &Path, config: &str, authority: &str) -> PathBuf {
    // Whoever reads it again while it is written sees the old one, or the new one whole.
    let path = directory.join("bursar.toml.new");
    let localhost = authority.replace("127.0.0.1", "localhost");
    let config = config.replace("@authority@", authority).replace("@authority-of-127.0.0.1@", authority);
    std::fs::write(&path, config.replace("@authority-of-localhost@", &localhost)).unwrap();
    std::fs::rename(&path, directory.join("bursar.toml")).unwrap();
    directory.join("bursar.toml")
}

/// A child process whose stderr is kept in a file; it is killed when dropped.
pub struct Process {
    child: Child,
    pub stdout: BufReader<std::process::ChildStdout>,
    log: PathBuf,
    _directory: TempDir,
}

pub fn bursar() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bursar"));
    for (name, _) in std::env::vars() {
        if name.starts_with("AZURE_")
            || name.starts_with("BURSAR__")
            || name.starts_with("OTEL_")
            || name.to_lowercase().ends_with("_proxy")
        {
            command.env_remove(name);
        }
    }
    command
}

/// What a command that has ended gave: its exit code, stdout and stderr.
pub fn out(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// Runs a command to its end.
pub fn run(args: &[&str]) -> Output {
    bursar().args(args).output().unwrap()
}

impl Process {
    pub fn start(command: &mut Command) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let stderr = std::fs::File::create(&log).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout, log, _directory: directory }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits, bounded, until the log has a line with `words`, and gives that line.
    pub async fn logged(&self, words: &str) -> String {
        for _ in 0..500 {
            if let Some(line) = self.log().lines().find(|line| line.contains(words)) {
                return line.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no {words:?} in the log\n{}", self.log());
    }

    pub fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    pub fn hang_up(&self) {
        self.signal(rustix::process::Signal::HUP);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// The exit code, within a bound, and what was left on stdout.
    pub async fn ended(mut self) -> (Option<i32>, String, String) {
        let watch = Stopwatch::start();
        while watch.elapsed() < Duration::from_secs(40) {
            if let Some(status) = self.child.try_wait().unwrap() {
                let mut rest = String::new();
                self.stdout.read_to_string(&mut rest).unwrap();
                return (status.code(), rest, self.log());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the process does not end\n{}", self.log());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The STS as a child, and what it announced.
pub fn start_sts(args: &[&str]) -> (Process, Value) {
    let mut sts = Process::start(bursar().arg("sts").args(args));
    let announcement = serde_json::from_str(&sts.line()).unwrap();
    (sts, announcement)
}

/// `bursar serve` as a child, and where it serves tokens and admin pages.
pub async fn start_serve(config: &Path, environment: &[(&str, &str)]) -> (Process, String, String) {
    let mut command = bursar();
    command.arg("serve").arg("--config").arg(config).envs(environment.iter().copied());
    serving(&mut command).await
}

/// The same of a command that serves.
pub async fn serving(command: &mut Command) -> (Process, String, String) {
    let serve = Process::start(command);
    let line = serve.logged("serving").await;
    let addresses: Vec<String> = line
        .split(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':'))
        .filter(|part| part.starts_with("127.0.0.1:"))
        .map(|address| format!("http://{address}"))
        .collect();
    (serve, addresses[0].clone(), addresses[1].clone())
}
