//! Where servers are started: a directory with their configurations, and an authority that they ask.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::contestant::{Process, Server, free_address};
use super::machine::{LOAD, SERVER, pinned};
use super::servers::SERVE;

/// A directory and an authority.
pub(super) struct Stage {
    directory: TempDir,
    pub(super) authority: String,
    process: Process,
}

/// A running `bursar serve`.
pub(super) struct Bursar {
    pub(super) server: Server,
    pub(super) admin: SocketAddr,
}

impl Stage {
    /// With an authority that issues tokens of the targets' length as fast as it can.
    pub(super) fn new() -> Self {
        let directory = directory();
        let address = free_address();
        let process = Process::start(&mut own(LOAD, &["authority", &address.to_string()]));
        let server = Server::awaited(address, process);
        let process = std::rc::Rc::into_inner(server.process).unwrap();
        Self { directory, authority: format!("http://{address}"), process }
    }

    /// With the emulated authority, which signs, and knows what it was asked.
    pub(super) fn with_sts() -> Self {
        Self::with_sts_of("")
    }

    /// The same with settings.
    pub(super) fn with_sts_of(settings: &str) -> Self {
        let directory = directory();
        let mut command = pinned(LOAD, &bursar());
        if !settings.is_empty() {
            let file = directory.path().join("sts.toml");
            std::fs::write(&file, settings).unwrap();
            command.args(["sts", "--config"]).arg(file).args(["--listen", "127.0.0.1:0"]);
        } else {
            command.args(["sts", "--listen", "127.0.0.1:0"]);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Process::start(&mut command);
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let announced: serde_json::Value = serde_json::from_str(&line).unwrap();
        let authority = announced["authority"].as_str().unwrap().to_owned();
        Self { directory, authority, process }
    }

    /// The processor time that the authority has used so far, in nanoseconds.
    pub(super) fn authority_cpu_time(&self) -> u64 {
        self.process.cpu_time()
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// `bursar serve` with one worker, the common configuration and `more` of it.
    pub(super) fn bursar(&self, more: &str) -> Bursar {
        let (mut command, listen, admin) = self.bursar_command(more);
        Bursar { server: Server::awaited(listen, Process::start(&mut command)), admin }
    }

    /// The same before it is started, and where it will listen.
    pub(super) fn bursar_command(&self, more: &str) -> (Command, SocketAddr, SocketAddr) {
        self.command_of("\"native\"", &format!("{IDENTITY}{more}"))
    }

    /// A server of more dialects, whose identities and callers are these alone.
    pub(super) fn bursar_as(&self, identities: &str) -> Bursar {
        let (mut command, listen, admin) = self.command_of("\"native\", \"imds\", \"app-service\"", identities);
        Bursar { server: Server::awaited(listen, Process::start(&mut command)), admin }
    }

    fn command_of(&self, dialects: &str, more: &str) -> (Command, SocketAddr, SocketAddr) {
        let [listen, admin] = [free_address(), free_address()];
        let config = COMMON.replace("@authority@", &self.authority).replace("@dialects@", dialects);
        let config = config.replace("@listen@", &listen.to_string()).replace("@admin@", &admin.to_string());
        let file = self.directory().join(format!("{}.toml", listen.port()));
        std::fs::write(&file, config + more).unwrap();
        let mut command = pinned(SERVER, &bursar());
        let log = File::create(file.with_extension("log")).unwrap();
        command.args(["serve", "--config"]).arg(&file).stderr(log);
        (command, listen, admin)
    }

    /// What takes spans.
    pub(super) fn receiver(&self) -> Server {
        let address = free_address();
        Server::awaited(address, Process::start(&mut own(LOAD, &["receiver", &address.to_string()])))
    }

    /// A server of our own, which gives `answer` as its kind does; `more` is for it alone.
    pub(super) fn own(&self, kind: &str, answer: &[u8], more: &[&str]) -> Server {
        let (mut command, address) = self.own_command(kind, answer, more);
        Server::awaited(address, Process::start(&mut command))
    }

    /// The same before it is started, and where it will listen.
    pub(super) fn own_command(&self, kind: &str, answer: &[u8], more: &[&str]) -> (Command, SocketAddr) {
        let address = free_address();
        let file = self.directory().join(format!("{}.answer", address.port()));
        std::fs::write(&file, answer).unwrap();
        let mut command = own(SERVER, &[kind, &address.to_string()]);
        command.arg(file).args(more);
        (command, address)
    }
}

/// This program as one of its own servers.
fn own(core: &str, words: &[&str]) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut command = pinned(core, program.to_str().unwrap());
    command.arg(SERVE).args(words);
    command
}

/// The program: the one that `BURSAR` names, or else that of this build.
fn bursar() -> String {
    std::env::var("BURSAR").unwrap_or_else(|_| env!("CARGO_BIN_EXE_bursar").to_owned())
}

fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("secret"), "bursar-dev-secret").unwrap();
    directory
}

const COMMON: &str = r#"
[server]
listen = ["@listen@"]
admin_listen = "@admin@"
dialects = [@dialects@]
workers = 1
[tenants.one]
id = "b0b00000-0000-4000-8000-000000000001"
authority = "@authority@"
instance_discovery = false
"#;

const IDENTITY: &str = r#"
[identities.app]
tenants = ["one"]
client_id = "b0b00000-0000-4000-8000-000000000002"
resources = ["*"]
credentials = [{ kind = "secret", file = "secret" }]
"#;
