//! The library, in process, beside MSAL for Python: the four workloads that the latter publishes figures of, one or a
//! thousand tenants with ten tokens each, where the token is in the cache and where it is not.
//!
//! Both run on one core, turn by turn. A miss has no socket in either: there a function answers in place of the
//! authority, here the same answer is decoded. Ours is kept then, theirs is not.

use std::path::Path;
use std::process::{Command, Stdio};

use super::contest::{median, notch};
use super::machine::{LOAD, cpu_time, pinned};
use super::verdict::{Limit, Report};

mod library;
mod python;

use library::Library;
use python::Python;

pub(super) fn run(report: &mut Report) {
    let mut python = Python::start();
    println!("\nmsal: µs of processor time for a call, MSAL for Python {}", python.version);
    println!("  {:<28} {:>11} {:>11} {:>11}", "workload", "msal", "bursar", "times");
    for tenants in [1, 1000] {
        let library = Library::with(tenants);
        for (what, limit) in [("hit", 15.0), ("miss", 10.0)] {
            let mut round = |_| match what {
                "hit" => [python.cost(tenants, what, 5000), library.hits(100_000)],
                _ => [python.cost(tenants, what, 2000), library.misses(20_000)],
            };
            let rounds: Vec<[f64; 2]> = (0..ROUNDS).map(&mut round).collect();
            let of = |n: usize| median(rounds.iter().map(|costs| costs[n])) / 1000.0;
            let ratios = || rounds.iter().map(|[theirs, ours]| theirs / ours);
            let (times, noise) = (median(ratios()), notch(ratios()));
            let name = format!("{what}, tenants: {tenants}");
            println!("  {name:<28} {:>11.2} {:>11.2} {times:>11.1}", of(0), of(1));
            report.judge(format!("msal: {name}, times as fast"), times, Limit::AtLeast(limit), noise);
        }
        println!("  a miss over a socket to an authority on loopback: {:.1} µs", library.exchanges(1000) / 1000.0);
    }
}

/// The processor time of each of so many calls of ours, in nanoseconds.
fn own_cost(times: u32, work: impl FnOnce()) -> f64 {
    // A pause, so that what was used is added up.
    let used = || {
        std::thread::sleep(std::time::Duration::from_millis(1));
        cpu_time(std::process::id())
    };
    let before = used();
    work();
    (used() - before) as f64 / f64::from(times)
}

const ROUNDS: usize = 11;
