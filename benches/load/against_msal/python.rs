//! MSAL for Python, in a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout};

use super::{Command, LOAD, Path, Stdio, pinned};
use crate::contestant::Process;

/// The process, which does as often as it is told what it is told.
pub(super) struct Python {
    pub(super) version: String,
    process: Process,
    orders: ChildStdin,
    reports: BufReader<ChildStdout>,
}

impl Python {
    /// Starts it; the first time, MSAL is fetched from PyPI.
    pub(super) fn start() -> Self {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/msal");
        let python = home.join("bin/python");
        if !python.exists() {
            run(Command::new("python3").args(["-m", "venv"]).arg(&home));
        }
        let has_msal = Command::new(&python).args(["-c", "import msal"]).stderr(Stdio::null()).status().unwrap();
        if !has_msal.success() {
            run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "msal"]));
        }
        let mut command = pinned(LOAD, python.to_str().unwrap());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/load/against_msal/workloads.py");
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(&mut command);
        let orders = process.0.stdin.take().unwrap();
        let mut reports = BufReader::new(process.0.stdout.take().unwrap());
        let version = line(&mut reports);
        Self { version, process, orders, reports }
    }

    /// The processor time of each of so many calls, in nanoseconds.
    pub(super) fn cost(&mut self, tenants: u32, what: &str, times: u32) -> f64 {
        let before = self.process.cpu_time();
        writeln!(self.orders, "{tenants} {what} {times}").unwrap();
        assert_eq!(line(&mut self.reports), "done");
        // It may have a last step to take before it waits.
        std::thread::sleep(std::time::Duration::from_millis(1));
        (self.process.cpu_time() - before) as f64 / f64::from(times)
    }
}

fn line(reports: &mut impl BufRead) -> String {
    let mut line = String::new();
    reports.read_line(&mut line).unwrap();
    line.trim().to_owned()
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}
