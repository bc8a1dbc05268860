//! The command line: one command, one file. Data goes to stdout, logs to stderr.

use std::collections::HashMap;
use std::future::Future;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::mistake::Mistakes;
use crate::fault::{EX_SOFTWARE, EX_UNAVAILABLE, EX_USAGE, Fault};
use crate::name::steers;

pub mod check;
pub mod dev;
pub mod env;
pub mod explain;
pub mod http;
pub mod named;
pub mod probe;
pub mod serve;
pub mod sts;
pub mod token;

/// Pays out access tokens over the managed-identity endpoints that every Azure SDK speaks.
#[derive(Parser)]
#[command(name = "bursar", version = VERSION, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Check),
    Dev(dev::Dev),
    Env(env::Env),
    Explain(explain::Explain),
    Probe(probe::Probe),
    Serve(serve::Serve),
    Sts(sts::Sts),
    Token(token::Token),
}

/// Why a command ends badly: what to print, and the exit code.
#[derive(Debug)]
pub struct Failure {
    text: String,
    code: u8,
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let text = failure.text.trim_end();
            if !text.is_empty() {
                // Nobody is left to tell when stderr is gone.
                writeln!(io::stderr(), "bursar: {}", visible(text)).ok();
            }
            ExitCode::from(failure.code)
        }
    }
}

fn run() -> Result<(), Failure> {
    forbid_core_dumps()?;
    raise_descriptor_limit();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(shown) => {
            shown.print().ok();
            let code = if shown.use_stderr() { EX_USAGE } else { 0 };
            return if code == 0 { Ok(()) } else { Err(Failure { text: String::new(), code }) };
        }
    };
    match cli.command {
        Command::Check(check) => check.run(),
        Command::Dev(dev) => on_runtime(dev.run()),
        Command::Env(env) => on_runtime(env.run()),
        Command::Explain(explain) => explain.run(),
        Command::Probe(probe) => on_runtime(probe.run()),
        Command::Serve(serve) => on_runtime(serve.run()),
        Command::Sts(sts) => on_runtime(sts.run()),
        Command::Token(token) => on_runtime(token.run()),
    }
}

/// What a service or a file said goes to a terminal, and must not be able to steer it.
fn visible(text: &str) -> String {
    text.chars().map(|c| if steers(c) && c != '\n' { ' ' } else { c }).collect()
}

/// Every connection takes a descriptor; the soft limit is for programs that cannot handle many.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    // Where it is not allowed, the limit stays and the listeners go by it.
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).ok();
}

/// A dump of our memory would be a file full of secrets.
fn forbid_core_dumps() -> Result<(), Failure> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .map_err(|error| Failure::new(EX_SOFTWARE, format!("core dumps cannot be forbidden: {error}")))
}

/// The main runtime: flights and background work live here, not on the server's workers.
fn on_runtime(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(EX_UNAVAILABLE, format!("no runtime: {error}")))?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

/// The variables of the process. What is no UTF-8 in a value is marked, and found wrong where it is read.
fn variables() -> HashMap<String, String> {
    let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, text(value)))).collect()
}

/// Writes data.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Failure::new(EX_UNAVAILABLE, format!("stdout cannot be written: {error}")))
}

/// Waits until the process is told to end.
async fn told_to_end() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error| Failure::new(EX_SOFTWARE, format!("signals cannot be received: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

impl Failure {
    fn new(code: u8, text: impl Into<String>) -> Self {
        Self { text: text.into(), code }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let inward = fault.inward().or(fault.rule()).map(|text| format!(" ({text})")).unwrap_or_default();
        Self::new(fault.exit_code(), format!("{fault}{inward}"))
    }
}

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Self {
        Self::new(EX_USAGE, format!("the configuration has mistakes, and nothing was started\n{mistakes}"))
    }
}

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BURSAR_COMMIT"), ")");
const AFTER_HELP: &str = "\
Start with 'bursar dev': it needs no configuration and no cloud.

Exit codes: 0 ok, 64 usage or configuration, 69 unavailable, 77 refused, 70 a bug of ours.";
