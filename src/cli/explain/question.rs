//! One question to policy, and its answer.

use super::cell::{ANYONE, Cell, DEFAULT, Verdict};
use super::matrix::Term;
use super::rules::Rules;
use crate::dialect::Ask;
use crate::name::{ClientId, FmiPath, Name, Resource, Selector};
use crate::policy::{Admission, Tenant};
use crate::token::Extras;

/// Who asks for what.
pub(super) struct Question<'a> {
    pub(super) caller: Option<&'a Name>,
    pub(super) identity: &'a Term<Option<ClientId>>,
    pub(super) tenant: &'a Term<Option<Tenant>>,
    pub(super) resource: &'a Term<Resource>,
    pub(super) fmi_path: Option<&'a FmiPath>,
}

impl Question<'_> {
    /// The cell, decided by these rules.
    pub(super) fn cell(&self, rules: &Rules) -> Cell {
        let tenant = self.tenant.asked.as_ref().map(ToString::to_string);
        let said = rules.policy.explain(self.caller, &self.ask(tenant));
        let mut cell = self.blank();
        if let Ok(admission) = &said {
            self.fill_defaults(&mut cell, admission);
        }
        cell.judged(said)
    }

    /// The same for the directory, by whichever of its names is admitted.
    pub(super) fn cell_of_directory(&self, rules: &Rules) -> Cell {
        let Some(tenant) = &self.tenant.asked else { return self.cell(rules) };
        let spellings = rules.names_in(&tenant.id).map(Name::as_str).chain([tenant.id.as_str()]);
        let said = spellings.map(|tenant| rules.policy.explain(self.caller, &self.ask(Some(tenant.to_owned()))));
        match said.reduce(|best, other| if best.is_ok() { best } else { other.or(best) }) {
            Some(said) => self.blank().judged(said),
            None => self.blank(),
        }
    }

    fn ask(&self, tenant: Option<String>) -> Ask {
        let selector = self.identity.asked.as_ref().map(|id| Selector::ClientId(id.as_str().to_owned()));
        Ask {
            resource: self.resource.asked.clone(),
            selector: selector.unwrap_or(Selector::None),
            tenant,
            extras: Extras { fmi_path: self.fmi_path.cloned(), client_claims: None },
            challenge: None,
            rejected: None,
        }
    }

    fn blank(&self) -> Cell {
        Cell {
            caller: self.caller.map_or_else(|| ANYONE.to_owned(), ToString::to_string),
            identity: self.identity.shown.clone(),
            tenant: self.tenant.shown.clone(),
            resource: self.resource.shown.clone(),
            fmi_path: self.fmi_path.map(|path| path.as_str().to_owned()).unwrap_or_default(),
            verdict: Verdict::Same,
            rule: String::new(),
            reason: "",
        }
    }

    /// What was left to the defaults is known when it is admitted.
    fn fill_defaults(&self, cell: &mut Cell, admission: &Admission<'_>) {
        if cell.identity == DEFAULT {
            cell.identity = admission.identity().name.to_string();
        }
        if cell.tenant == DEFAULT {
            cell.tenant = admission.tenant().to_string();
        }
    }
}
