//! `bursar explain`: who may have what by a configuration, and by which of its rules.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::named::ConfigFile;
use super::{Failure, print, variables};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::mistake::Mistakes;
use crate::fault::{EX_NOPERM, EX_SOFTWARE, EX_USAGE};
use crate::name::{FmiPath, Resource, TenantId};

mod cell;
mod change;
mod matrix;
mod proof;
mod question;
mod rules;
mod table;

use cell::{Cell, Verdict};
use matrix::{Matrix, Narrowing};
use rules::Rules;

/// Say who may have what, and which rule decides
///
/// With --resource it is one question, asked as a workload would: without --identity and --tenant the
/// defaults are meant, and without --caller each caller asks. Without --resource it is the whole matrix of
/// callers, identities, tenants and resources, as far as the other options leave it.
///
/// Exits with 0 when somebody is admitted to something, with 77 when nobody is, and with 64 for mistakes.
/// With --against it exits with 0 whatever changes.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Explain {
    #[command(flatten)]
    file: ConfigFile,
    /// Who asks, by the name in the configuration
    #[arg(long, value_name = "N")]
    caller: Option<String>,
    /// Whose token, by its name in the configuration
    #[arg(long, value_name = "N")]
    identity: Option<String>,
    /// In which tenant, by its name in the configuration or its id
    #[arg(long, value_name = "T")]
    tenant: Option<String>,
    /// What the token is for, an App ID URI
    #[arg(long, value_name = "R", value_parser = resource)]
    resource: Option<Resource>,
    /// The place in the application's tree that the token is for
    #[arg(long, value_name = "P", value_parser = fmi_path)]
    fmi_path: Option<FmiPath>,
    /// The configuration that was there before: who gains and who loses what by the new one, and who is known
    /// by something else
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// How to print it
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

/// How to print it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One JSON array with an object for each cell, and for each caller that is known by something else.
    Json,
    /// A table, in which what does not matter is left out.
    Text,
}

/// What a comparison tells.
#[derive(Serialize)]
#[serde(untagged)]
enum Item<'a> {
    Cell(&'a Cell),
    Proof(&'a proof::Change<'a>),
}

impl Explain {
    /// Prints verdicts, or what changes.
    ///
    /// # Errors
    /// Nobody is admitted, or there are mistakes.
    pub fn run(self) -> Result<(), Failure> {
        let new = Rules::of(Config::read(self.file.path(), variables(), Clock::System.now())?);
        match &self.against {
            None => self.explain(&new),
            Some(against) => {
                let old = Config::read(Some(against), variables(), Clock::System.now());
                self.compare(&Rules::of(old.map_err(|mistakes| unfit(against, &mistakes))?), &new)
            }
        }
    }

    fn explain(&self, rules: &Rules) -> Result<(), Failure> {
        let matrix = self.matrix(&[rules])?;
        let matrix = if self.resource.is_some() { matrix.with_defaults(&self.narrowing(&[rules])) } else { matrix };
        let cells: Vec<Cell> = matrix.questions().map(|question| question.cell(rules)).collect();
        match self.output {
            Output::Json => print(&json(&cells)?)?,
            Output::Text => print(&table::of_verdicts(&cells))?,
        }
        let is_admitted = cells.iter().any(|cell| cell.verdict.is_admitted());
        if is_admitted { Ok(()) } else { Err(Failure::new(EX_NOPERM, "")) }
    }

    fn compare(&self, old: &Rules, new: &Rules) -> Result<(), Failure> {
        let cells = change::between(old, new, self.matrix(&[new, old])?);
        let mut proofs = proof::changes(&old.proofs, &new.proofs);
        proofs.retain(|change| self.caller.as_deref().is_none_or(|caller| caller == change.caller));
        match self.output {
            Output::Json => {
                let changed = cells.iter().filter(|cell| cell.verdict != Verdict::Same).map(Item::Cell);
                let changed: Vec<Item<'_>> = changed.chain(proofs.iter().map(Item::Proof)).collect();
                print(&json(&changed)?)
            }
            Output::Text => {
                let proofs: String = proofs.iter().map(ToString::to_string).collect();
                print(&(table::of_changes(&cells) + &proofs))
            }
        }
    }

    /// The matrix over all that these configurations name, as far as the options leave it.
    fn matrix(&self, rules: &[&Rules]) -> Result<Matrix, Failure> {
        self.check_names(rules)?;
        Ok(Matrix::over(rules).narrowed(&self.narrowing(rules)))
    }

    fn narrowing<'a>(&'a self, rules: &[&'a Rules]) -> Narrowing<'a> {
        let ids = |name| rules.iter().flat_map(|rules| rules.client_ids(name)).collect();
        Narrowing {
            caller: self.caller.as_deref(),
            identity: self.identity.as_deref().map(ids),
            tenant: self.tenant.as_deref(),
            resource: self.resource.as_ref(),
            fmi_path: self.fmi_path.as_ref(),
        }
    }

    /// Whoever holds the configuration may be told the names in it, as callers may not.
    fn check_names(&self, rules: &[&Rules]) -> Result<(), Failure> {
        let names = |of: fn(&Rules) -> Vec<String>| rules.iter().flat_map(|rules| of(rules)).collect::<Vec<_>>();
        let callers = names(Rules::caller_names);
        if self.caller.is_some() && callers.is_empty() {
            let text = "the configuration does not tell callers apart, so that anyone may ask. Leave --caller out.";
            return Err(Failure::new(EX_USAGE, text));
        }
        check_name("caller", self.caller.as_deref(), callers)?;
        check_name("identity", self.identity.as_deref(), names(Rules::identity_names))?;
        let tenant = self.tenant.as_deref().filter(|tenant| TenantId::parse(tenant).is_err());
        check_name("tenant", tenant, names(Rules::tenant_names))
    }
}

fn check_name(what: &str, named: Option<&str>, mut known: Vec<String>) -> Result<(), Failure> {
    if named.is_none_or(|named| known.iter().any(|known| known == named)) {
        return Ok(());
    }
    known.sort_unstable();
    known.dedup();
    let text = format!("the configuration has no {what} of this name. Name one with --{what}: {}.", known.join(", "));
    Err(Failure::new(EX_USAGE, text))
}

fn unfit(path: &Path, mistakes: &Mistakes) -> Failure {
    let shown = path.display();
    Failure::new(EX_USAGE, format!("{shown} has mistakes, and nothing was compared with it\n{mistakes}"))
}

fn json(cells: &[impl Serialize]) -> Result<String, Failure> {
    let written = serde_json::to_string_pretty(cells);
    written.map(|text| text + "\n").map_err(|error| Failure::new(EX_SOFTWARE, format!("no JSON can be made: {error}")))
}

fn resource(text: &str) -> Result<Resource, String> {
    Resource::parse(text).map_err(|malformed| malformed.to_string())
}

fn fmi_path(text: &str) -> Result<FmiPath, String> {
    FmiPath::parse(text).map_err(|malformed| malformed.to_string())
}
