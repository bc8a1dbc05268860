//! `bursar env`: the lines that point an SDK at a running service.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use clap::{Args, ValueEnum};

use super::dev::HEADER_SECRET;
use super::named::ConfigFile;
use super::{Failure, print, variables};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::server::Origin;
use crate::dialect::table::DIALECTS;
use crate::dialect::{Dialect, Export};
use crate::fault::{EX_UNAVAILABLE, EX_USAGE};
use crate::server::Listen;

/// Print the lines that point an SDK at a running service
///
/// Without the configuration of the service they are those of 'bursar dev'. In a shell: eval "$(bursar env)"
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Env {
    #[command(flatten)]
    file: ConfigFile,
    /// Whose syntax to print
    #[arg(long, value_enum, default_value = "bash")]
    shell: Shell,
}

/// Whose syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// Also sh and zsh.
    #[value(aliases = ["sh", "zsh"])]
    Bash,
    /// A file of NAME=value lines, with the header secret in it.
    Dotenv,
    /// Fish.
    Fish,
    /// PowerShell.
    #[value(alias = "pwsh")]
    Powershell,
}

/// What a variable is set to. No `Debug`: the text may be a header secret.
#[derive(Clone)]
pub enum Setting {
    /// A secret, read from where it lies when the line is run, so that it is not printed.
    From(Origin),
    /// This text.
    Text(String),
}

impl Env {
    /// Prints the lines.
    ///
    /// # Errors
    /// Mistakes in the configuration, or a secret that cannot be read for a dotenv file.
    pub fn run(self) -> Result<(), Failure> {
        let lines = match self.file.path() {
            None => exports(usual(DIALECTS), DEV, Some(&Setting::Text(HEADER_SECRET.to_owned()))),
            Some(path) => {
                let config = Config::read(Some(path), variables(), Clock::System.now())?;
                let base = base_url(&config.server.listen);
                let secret = config.server.header_secret_origins.first().cloned().map(Setting::From);
                exports(usual(config.server.dialects.iter().copied()), &base, secret.as_ref())
            }
        };
        if lines.is_empty() {
            let text =
                "no dialect that an SDK can be pointed at is served; serve imds, or app-service with a header_secret";
            return Err(Failure::new(EX_USAGE, text));
        }
        let lines = lines.iter().map(|(name, setting)| Ok((*name, self.shown(setting)?)));
        print(&self.shell.lines(&lines.collect::<Result<Vec<_>, Failure>>()?))
    }

    /// A dotenv file runs nothing, so the secret itself has to go into it.
    fn shown(&self, setting: &Setting) -> Result<Setting, Failure> {
        let (Shell::Dotenv, Setting::From(origin)) = (self.shell, setting) else {
            return Ok(setting.clone());
        };
        let found = match origin {
            Origin::Env(name) => variables().remove(name).unwrap_or_default(),
            Origin::File(path) => std::fs::read_to_string(path).map_err(|error| {
                Failure::new(EX_UNAVAILABLE, format!("the header secret in {} cannot be read: {error}", path.display()))
            })?,
        };
        Ok(Setting::Text(found.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

impl Shell {
    /// The lines that set `settings`. An SDK goes by the pair of App Service while that is set, so what points at
    /// the host of IMDS beside it is told as a comment.
    #[must_use]
    pub fn lines(self, settings: &[(&str, Setting)]) -> String {
        let has_pair = settings.iter().any(|(name, _)| *name == "IDENTITY_ENDPOINT");
        let (second, first): (Vec<_>, Vec<_>) = settings.iter().partition(|(name, _)| has_pair && *name == IMDS_HOST);
        let mut text = String::new();
        // Writing into a String cannot fail.
        for (name, setting) in first {
            writeln!(text, "{}", self.line(name, setting)).ok();
        }
        for (name, setting) in second {
            writeln!(text, "# instead of the pair, which goes first (Python, Node, Java, .NET):").ok();
            writeln!(text, "# {}", self.line(name, setting)).ok();
        }
        text
    }

    /// One line that sets `name`.
    #[must_use]
    pub fn line(self, name: &str, setting: &Setting) -> String {
        match (self, setting) {
            (Self::Bash, Setting::Text(text)) => format!("export {name}={}", bash(text)),
            (Self::Bash, Setting::From(Origin::Env(variable))) => format!("export {name}=\"${variable}\""),
            (Self::Bash, Setting::From(Origin::File(path))) => {
                format!("export {name}=\"$(cat {})\"", bash(&absolute(path)))
            }
            (Self::Dotenv, Setting::Text(text)) => format!("{name}={text}"),
            (Self::Dotenv, Setting::From(_)) => format!("{name}="),
            (Self::Fish, Setting::Text(text)) => format!("set -gx {name} {}", fish(text)),
            (Self::Fish, Setting::From(Origin::Env(variable))) => format!("set -gx {name} \"${variable}\""),
            (Self::Fish, Setting::From(Origin::File(path))) => {
                format!("set -gx {name} (cat {})", fish(&absolute(path)))
            }
            (Self::Powershell, Setting::Text(text)) => format!("$env:{name} = {}", powershell(text)),
            (Self::Powershell, Setting::From(Origin::Env(variable))) => format!("$env:{name} = $env:{variable}"),
            (Self::Powershell, Setting::From(Origin::File(path))) => {
                format!("$env:{name} = (Get-Content -Raw {}).TrimEnd()", powershell(&absolute(path)))
            }
        }
    }
}

/// Those that SDKs are pointed at unless they are told otherwise.
fn usual(dialects: impl IntoIterator<Item = &'static Dialect>) -> impl Iterator<Item = &'static Dialect> {
    dialects.into_iter().filter(|dialect| dialect.is_default)
}

/// The variables that point an SDK at `dialects` served on `base`. Nothing is exported for a header
/// secret that is not there.
pub fn exports(
    dialects: impl IntoIterator<Item = &'static Dialect>,
    base: &str,
    header_secret: Option<&Setting>,
) -> Vec<(&'static str, Setting)> {
    let setting = |dialect: &Dialect, export: Export| match export {
        Export::Base => Some(Setting::Text(base.to_owned())),
        Export::Endpoint => Some(Setting::Text(format!("{base}{}", dialect.paths[0]))),
        Export::HeaderSecret => header_secret.cloned(),
        Export::Thumbprint => None,
    };
    let mut lines = Vec::new();
    for dialect in dialects {
        let exports = dialect.exports.iter().map(|(name, export)| Some((*name, setting(dialect, *export)?)));
        lines.extend(exports.collect::<Option<Vec<_>>>().unwrap_or_default());
    }
    lines
}

/// The URL of the first address that a program on this machine can connect to.
#[must_use]
pub fn base_url(listens: &[Listen]) -> String {
    let first = listens.iter().find(|listen| !listen.is_tls);
    first.map(|listen| plain_url(listen.address)).unwrap_or_default()
}

/// The URL at which a program on this machine reaches `address`.
#[must_use]
pub fn plain_url(address: SocketAddr) -> String {
    format!("http://{}", reachable(address))
}

/// An address that can be connected to, where every one of the machine is listened on.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), address.port()),
        _ => address,
    }
}

/// The lines may be run in another directory.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

fn bash(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._/:@%+=,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn fish(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

fn powershell(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

const IMDS_HOST: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
/// Where `bursar dev` serves tokens unless it is told otherwise.
const DEV: &str = "http://127.0.0.1:4141";

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn each_shell_quotes_in_its_own_way() {
        let text = Setting::Text("a'b\\c $d".to_owned());
        let file = Setting::From(Origin::File(PathBuf::from("/run/my secrets/h")));
        let env = Setting::From(Origin::Env("HEADER".to_owned()));
        for (shell, lines) in [
            (
                Shell::Bash,
                [r"export X='a'\''b\c $d'", "export X=\"$(cat '/run/my secrets/h')\"", "export X=\"$HEADER\""],
            ),
            (Shell::Fish, [r"set -gx X 'a\'b\\c $d'", "set -gx X (cat '/run/my secrets/h')", "set -gx X \"$HEADER\""]),
            (
                Shell::Powershell,
                [
                    r"$env:X = 'a''b\c $d'",
                    "$env:X = (Get-Content -Raw '/run/my secrets/h').TrimEnd()",
                    "$env:X = $env:HEADER",
                ],
            ),
        ] {
            assert_eq!([&text, &file, &env].map(|setting| shell.line("X", setting)), lines);
        }
        assert_eq!(
            Shell::Bash.line("X", &Setting::Text("http://127.0.0.1:1/msi".into())),
            "export X=http://127.0.0.1:1/msi"
        );
        assert_eq!(Shell::Dotenv.line("X", &text), r"X=a'b\c $d");
    }

    #[test]
    fn the_pair_is_exported_whole_or_not_at_all() {
        let names = |secret: Option<&Setting>| -> Vec<&str> {
            exports(usual(DIALECTS), "http://h", secret).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(None), ["AZURE_POD_IDENTITY_AUTHORITY_HOST"]);
        let secret = Setting::Text("s".to_owned());
        assert_eq!(names(Some(&secret)), ["IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_POD_IDENTITY_AUTHORITY_HOST"]);
    }

    #[test]
    fn the_host_of_imds_is_a_comment_beside_the_pair() {
        let secret = Setting::Text("s".to_owned());
        let lines = |secret| Shell::Bash.lines(&exports(usual(DIALECTS), "http://h", secret));
        assert_eq!(lines(None), "export AZURE_POD_IDENTITY_AUTHORITY_HOST=http://h\n");
        let both = lines(Some(&secret));
        let both: Vec<&str> = both.lines().collect();
        assert_eq!(both[..2], ["export IDENTITY_ENDPOINT=http://h/msi/token", "export IDENTITY_HEADER=s"]);
        assert_eq!(both[3], "# export AZURE_POD_IDENTITY_AUTHORITY_HOST=http://h");
        assert!(both[2].starts_with("# instead of the pair") && both.len() == 4);
    }

    #[test]
    fn a_relative_file_is_found_from_anywhere() {
        let here = std::env::current_dir().unwrap();
        let line = Shell::Bash.line("X", &Setting::From(Origin::File(PathBuf::from("secrets/h"))));
        assert_eq!(line, format!("export X=\"$(cat {}/secrets/h)\"", here.display()));
    }

    #[test]
    fn a_wildcard_is_reached_over_loopback() {
        for (listen, url) in
            [("0.0.0.0:1", "http://127.0.0.1:1"), ("[::]:1", "http://[::1]:1"), ("10.0.0.1:1", "http://10.0.0.1:1")]
        {
            assert_eq!(base_url(&[Listen { address: listen.parse().unwrap(), is_tls: false }]), url);
        }
    }
}
