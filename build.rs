//! Names the commit for `bursar --version`: from `BURSAR_COMMIT`, where there is no repository, or from git.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=BURSAR_COMMIT");
    println!("cargo::rerun-if-changed=.git/HEAD");
    println!("cargo::rerun-if-changed=.git/refs/heads");
    let commit = std::env::var("BURSAR_COMMIT").ok().or_else(head).unwrap_or_else(|| "unknown commit".to_owned());
    println!("cargo::rustc-env=BURSAR_COMMIT={commit}");
}

fn head() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    let commit = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| commit.trim().to_owned())
}
