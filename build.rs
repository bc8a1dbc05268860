//! Names the commit for `bursar --version`: from `BURSAR_COMMIT`, where there is no repository, or from git.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=BURSAR_COMMIT");
    // What is not there would make every build run this again.
    for path in [".git/HEAD", ".git/refs/heads"].into_iter().filter(|path| Path::new(path).exists()) {
        println!("cargo::rerun-if-changed={path}");
    }
    let commit = std::env::var("BURSAR_COMMIT").ok().or_else(head).unwrap_or_else(|| "unknown commit".to_owned());
    println!("cargo::rustc-env=BURSAR_COMMIT={commit}");
}

fn head() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    let commit = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| commit.trim().to_owned())
}
