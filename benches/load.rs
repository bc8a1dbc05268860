//! What a cached token costs the server, and what else has a target, as ratios within one run:
//! `cargo bench --bench load [CONTEST...]`; and, alone, `soak[=SECONDS]`.
//!
//! The server runs on the first core and the load on the second. Contestants take turns, so that what a shared machine
//! does in the meantime falls on all alike, and what is compared is the processor time that a server used for a
//! request: wall-clock time says more of the neighbours. `benches/README.md` tells how to read the tables.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark prints its tables and fails by panicking"
)]
#![expect(clippy::cast_possible_truncation, reason = "figures are rounded anyway")]

use std::process::ExitCode;
use std::time::Duration;

#[path = "load/contest.rs"]
mod contest;
#[path = "load/contestant.rs"]
mod contestant;
#[path = "load/generator.rs"]
mod generator;
#[path = "load/machine.rs"]
mod machine;
#[path = "load/request.rs"]
mod request;
#[path = "load/servers/mod.rs"]
mod servers;
#[path = "load/stage.rs"]
mod stage;
#[path = "load/verdict.rs"]
mod verdict;

#[path = "load/against_msal/mod.rs"]
mod against_msal;
#[path = "load/against_static.rs"]
mod against_static;
#[path = "load/cold.rs"]
mod cold;
#[path = "load/keys.rs"]
mod keys;
#[path = "load/memory.rs"]
mod memory;
#[path = "load/otlp.rs"]
mod otlp;
#[path = "pieces/mod.rs"]
mod pieces;
#[path = "load/recognition.rs"]
mod recognition;
#[path = "load/soak/mod.rs"]
mod soak;
#[path = "load/start.rs"]
mod start;

use verdict::Report;

type Run = fn(&mut Report);

/// Every contest, by the name that chooses it.
const CONTESTS: &[(&str, Run)] = &[
    ("static", against_static::run),
    ("recognition", recognition::run),
    ("otlp", otlp::run),
    ("keys", keys::hundred_thousand),
    ("million", keys::million),
    ("msal", against_msal::run),
    ("cold", cold::run),
    ("memory", memory::run),
    ("start", start::run),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if let [first, rest @ ..] = &words[..]
        && first == servers::SERVE
    {
        servers::run(rest);
        return ExitCode::SUCCESS;
    }
    if let [word] = &words[..]
        && let Some(length) = soak_length(word)
    {
        machine::pin_self(machine::LOAD);
        println!("{}", machine::facts());
        let mut report = Report::default();
        soak::run(length, &mut report);
        return report.finish();
    }
    if let Some(stranger) = words.iter().find(|word| CONTESTS.iter().all(|(name, _)| name != word)) {
        let names: Vec<&str> = CONTESTS.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no contest {stranger:?}, but {}", names.join(", "));
        return ExitCode::FAILURE;
    }
    machine::pin_self(machine::LOAD);
    println!("{}", machine::facts());
    let mut report = Report::default();
    for (name, run) in CONTESTS {
        if words.is_empty() || words.iter().any(|word| word == name) {
            run(&mut report);
        }
    }
    report.finish()
}

/// How long to soak, if the word says to.
fn soak_length(word: &str) -> Option<Duration> {
    match word.strip_prefix("soak")? {
        "" => Some(soak::USUAL),
        rest => rest.strip_prefix('=')?.parse().ok().map(Duration::from_secs),
    }
}
