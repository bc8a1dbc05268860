//! The machine that the figures are of, and which of its cores does what.

use std::fs;
use std::process::Command;

/// The server's core.
pub(super) const SERVER: &str = "0";
/// That of the load generator, and of whatever else is not measured.
pub(super) const LOAD: &str = "1";

/// What a reader has to know to compare.
pub(super) fn facts() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let model = model.trim_start_matches(['\t', ' ', ':']);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = cpuinfo.matches("processor\t").count();
    let load = load.split(' ').next().unwrap_or_default();
    format!("machine: {model}, {cores} cores, Linux {}, load average {load} at the start", kernel.trim())
}

/// A program that runs on one core alone.
pub(super) fn pinned(core: &str, program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core, program]);
    command
}

/// Keeps this process, with the threads that it will start, on one core.
pub(super) fn pin_self(core: &str) {
    let pid = std::process::id().to_string();
    let pinned = Command::new("taskset").args(["-a", "-c", "-p", core, &pid]).output().unwrap();
    assert!(pinned.status.success(), "taskset: {}", String::from_utf8_lossy(&pinned.stderr));
}

/// The processor time that a process has used so far, in nanoseconds: that of all its threads. What one that is
/// running uses is only added when it pauses, so it is asked of processes that wait.
pub(super) fn cpu_time(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let used = threads.filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok());
    used.filter_map(|stat| stat.split(' ').next()?.parse::<u64>().ok()).sum()
}

/// The memory of a process that is resident, in bytes.
pub(super) fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    resident.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
