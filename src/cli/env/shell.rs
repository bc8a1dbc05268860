//! Lines in a shell's syntax.

use std::path::Path;

use clap::ValueEnum;

use crate::config::server::Origin;

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

impl Shell {
    /// One line that sets `name`.
    #[must_use]
    pub fn line(self, name: &str, setting: &Setting) -> String {
        match (self, setting) {
            (Self::Bash, Setting::Text(text)) => format!("export {name}={}", quoted(text)),
            (Self::Bash, Setting::From(Origin::Env(variable))) => format!("export {name}=\"${variable}\""),
            (Self::Bash, Setting::From(Origin::File(path))) => {
                format!("export {name}=\"$(cat {})\"", quoted(&absolute(path)))
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

    /// One line that takes `name` away. A dotenv file cannot, and only says so.
    #[must_use]
    pub fn unset(self, name: &str) -> String {
        match self {
            Self::Bash => format!("unset {name}"),
            Self::Dotenv => format!("# unset {name}"),
            Self::Fish => format!("set -e {name}"),
            Self::Powershell => format!("Remove-Item Env:{name} -ErrorAction SilentlyContinue"),
        }
    }
}

/// The lines may be run in another directory.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

/// A word of a command line, in the syntax of bash.
#[must_use]
pub fn quoted(text: &str) -> String {
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
    fn each_shell_takes_away_in_its_own_way() {
        for (shell, line) in [
            (Shell::Bash, "unset X"),
            (Shell::Dotenv, "# unset X"),
            (Shell::Fish, "set -e X"),
            (Shell::Powershell, "Remove-Item Env:X -ErrorAction SilentlyContinue"),
        ] {
            assert_eq!(shell.unset("X"), line);
        }
    }

    #[test]
    fn a_relative_file_is_found_from_anywhere() {
        let here = std::env::current_dir().unwrap();
        let line = Shell::Bash.line("X", &Setting::From(Origin::File(PathBuf::from("secrets/h"))));
        assert_eq!(line, format!("export X=\"$(cat {}/secrets/h)\"", here.display()));
    }
}
