//! The product of all who can ask and all that can be asked for.

use super::cell::{DEFAULT, OTHER};
use super::question::Question;
use super::rules::Rules;
use crate::name::{ClientId, FmiPath, Name, Resource, TenantId};
use crate::policy::Tenant;

/// What the questions are over.
pub(super) struct Matrix {
    /// None is anyone, where callers are not told apart.
    callers: Vec<Option<Name>>,
    /// None is the default.
    identities: Vec<Term<Option<ClientId>>>,
    /// None is the default.
    tenants: Vec<Term<Option<Tenant>>>,
    resources: Vec<Term<Resource>>,
    fmi_paths: Vec<Option<FmiPath>>,
}

/// What is asked for, and how it is shown.
pub(super) struct Term<T> {
    pub(super) asked: T,
    pub(super) shown: String,
}

/// What the command line leaves of a matrix; what is none is not narrowed.
pub(super) struct Narrowing<'a> {
    pub(super) caller: Option<&'a str>,
    /// By its client ids, of which it may have another in another configuration.
    pub(super) identity: Option<Vec<&'a ClientId>>,
    pub(super) tenant: Option<&'a str>,
    pub(super) resource: Option<&'a Resource>,
    pub(super) fmi_path: Option<&'a FmiPath>,
}

impl Matrix {
    /// All that these configurations name, each once, and beside it what none of them names.
    pub(super) fn over(rules: &[&Rules]) -> Self {
        let callers = rules.iter().flat_map(|rules| &rules.callers).cloned().map(Some);
        let anyone = rules.iter().filter(|rules| rules.callers.is_empty()).map(|_| None);
        let paths = rules.iter().flat_map(|rules| &rules.fmi_paths).cloned().map(Some);
        Self {
            callers: distinct(callers.chain(anyone), PartialEq::eq),
            identities: identities(rules),
            tenants: tenants(rules),
            resources: resources(rules),
            fmi_paths: distinct([None].into_iter().chain(paths), PartialEq::eq),
        }
    }

    /// What is left of it. A tenant or resource that it does not have is taken into it.
    pub(super) fn narrowed(mut self, to: &Narrowing<'_>) -> Self {
        if let Some(caller) = to.caller {
            self.callers.retain(|held| held.as_ref().is_some_and(|held| held.as_str() == caller));
        }
        if let Some(ids) = &to.identity {
            self.identities.retain(|held| held.asked.as_ref().is_some_and(|held| ids.contains(&held)));
        }
        if let Some(tenant) = to.tenant {
            self.only_in(tenant);
        }
        if let Some(resource) = to.resource {
            self.resources = vec![Term { asked: resource.clone(), shown: resource.as_str().to_owned() }];
        }
        if let Some(path) = to.fmi_path {
            self.fmi_paths = vec![Some(path.clone())];
        }
        self
    }

    /// The same as one question for each caller: what the command line does not say is left to the defaults.
    pub(super) fn with_defaults(mut self, said: &Narrowing<'_>) -> Self {
        if said.identity.is_none() {
            self.identities = vec![Term { asked: None, shown: DEFAULT.to_owned() }];
        }
        if said.tenant.is_none() {
            self.tenants = vec![Term { asked: None, shown: DEFAULT.to_owned() }];
        }
        if said.fmi_path.is_none() {
            self.fmi_paths = vec![None];
        }
        self
    }

    /// The same for two configurations: each directory stands once, whatever its names, and both names are shown
    /// of what was renamed.
    pub(super) fn of_both(mut self, old: &Rules, new: &Rules) -> Self {
        let is_same = |one: &Term<Option<Tenant>>, other: &Term<Option<Tenant>>| {
            one.asked.as_ref().map(|tenant| &tenant.id) == other.asked.as_ref().map(|tenant| &tenant.id)
        };
        self.tenants = distinct(self.tenants.into_iter(), is_same);
        for Term { asked, shown } in &mut self.identities {
            let name = |rules: &Rules| rules.name_of(asked.as_ref()?).cloned();
            rename(shown, name(old), name(new));
        }
        for Term { asked, shown } in &mut self.tenants {
            let name = |rules: &Rules| rules.names_in(&asked.as_ref()?.id).next().cloned();
            rename(shown, name(old), name(new));
        }
        self
    }

    /// Every cell of it, callers first.
    pub(super) fn questions(&self) -> impl Iterator<Item = Question<'_>> {
        let pairs = self.callers.iter().flat_map(|caller| self.identities.iter().map(move |one| (caller, one)));
        let triples = pairs.flat_map(|(caller, one)| self.tenants.iter().map(move |tenant| (caller, one, tenant)));
        let paths =
            || self.resources.iter().flat_map(|resource| self.fmi_paths.iter().map(move |path| (resource, path)));
        triples.flat_map(move |(caller, identity, tenant)| {
            paths().map(move |(resource, fmi_path)| Question {
                caller: caller.as_ref(),
                identity,
                tenant,
                resource,
                fmi_path: fmi_path.as_ref(),
            })
        })
    }

    fn only_in(&mut self, tenant: &str) {
        self.tenants.retain(|held| held.asked.as_ref().is_some_and(|held| held.is_called(tenant)));
        if self.tenants.is_empty() {
            let named = TenantId::parse(tenant).ok().map(|id| Tenant { name: None, id });
            self.tenants.push(Term { asked: named, shown: tenant.to_owned() });
        }
    }
}

/// By client ids, since an identity may have another name in another configuration.
fn identities(rules: &[&Rules]) -> Vec<Term<Option<ClientId>>> {
    let all = rules.iter().flat_map(|rules| &rules.identities);
    let terms = all.map(|(name, id)| Term { asked: Some(id.clone()), shown: name.to_string() });
    let lower = |term: &Term<Option<ClientId>>| term.asked.as_ref().map(|id| id.as_str().to_ascii_lowercase());
    distinct(terms, |one, other| lower(one) == lower(other))
}

fn tenants(rules: &[&Rules]) -> Vec<Term<Option<Tenant>>> {
    let all: Vec<Tenant> = rules.iter().flat_map(|rules| &rules.tenants).cloned().collect();
    let all = distinct(all.into_iter(), |one, other| one.name == other.name && one.id == other.id);
    let is_named = |text: &str| all.iter().any(|tenant| tenant.is_called(text));
    let other = if rules.iter().any(|rules| rules.has_any_tenant) { unnamed(".invalid", is_named) } else { None };
    let other = other.and_then(|text| TenantId::parse(&text).ok()).map(|id| Tenant { name: None, id });
    let shown = |tenant: Tenant| Term { shown: tenant.to_string(), asked: Some(tenant) };
    let other = other.map(|tenant| Term { asked: Some(tenant), shown: OTHER.to_owned() });
    all.iter().cloned().map(shown).chain(other).collect()
}

fn resources(rules: &[&Rules]) -> Vec<Term<Resource>> {
    let all = distinct(rules.iter().flat_map(|rules| &rules.resources).cloned(), Resource::matches);
    let is_named = |text: &str| all.iter().any(|resource| resource.as_str() == text);
    let other = unnamed("", is_named).and_then(|text| Resource::parse(&text).ok());
    let other = other.map(|asked| Term { asked, shown: OTHER.to_owned() });
    let shown = |asked: &Resource| Term { asked: asked.clone(), shown: asked.as_str().to_owned() };
    all.iter().map(shown).chain(other).collect()
}

/// Shows two names where the old one is not the new one.
fn rename(shown: &mut String, old: Option<Name>, new: Option<Name>) {
    if let (Some(old), Some(new)) = (old, new)
        && old != new
    {
        *shown = format!("{new} (was {old})");
    }
}

/// A text that is none of those that are named.
fn unnamed(end: &str, is_named: impl Fn(&str) -> bool) -> Option<String> {
    (0_u32..).map(|n| format!("other-{n}{end}")).find(|text| !is_named(text))
}

fn distinct<T>(all: impl Iterator<Item = T>, is_same: impl Fn(&T, &T) -> bool) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for one in all {
        if !kept.iter().any(|held| is_same(held, &one)) {
            kept.push(one);
        }
    }
    kept
}
