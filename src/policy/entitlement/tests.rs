//! What each rule of a caller admits and refuses, and what is told of it inward and outward.

use crate::caller::{Callers, Means, Peer, Proof, Recognition};
use crate::dialect::{Ask, Guard};
use crate::fault::{Fault, Kind};
use crate::name::{ClientId, FmiPath, Name, Resource, Selector, TenantId};
use crate::policy::{
    Entitlement, Identity, Mode, Policy, Reason, Refusal, Resources, Tenant, Tenants, entitlement::Identities,
};
use crate::secret::Imprint;
use crate::token::Extras;

const GUID: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const OTHER_GUID: &str = "33333333-2222-3333-4444-555555555555";

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn listed(resources: &[&str]) -> Resources {
    Resources::Listed(resources.iter().map(|text| Resource::parse(text).unwrap()).collect())
}

fn paths(texts: &[&str]) -> Vec<FmiPath> {
    texts.iter().map(|text| FmiPath::parse(text).unwrap()).collect()
}

/// `one`, by default, works in contoso and fabrikam for anything at `a/b` and `a/c`; `two` in contoso for the
/// vault; `any` in contoso and whichever tenant is named.
fn identities() -> Vec<Identity> {
    let tenant = |name: &str, id: &str| Tenant { name: Name::parse(name).ok(), id: TenantId::parse(id).unwrap() };
    let (contoso, fabrikam) = (tenant("contoso", "contoso.com"), tenant("fabrikam", GUID));
    let identity = |text: &str, n: u8, tenants: Vec<Tenant>, any: bool, resources: Resources| Identity {
        name: name(text),
        client_id: ClientId::parse(&format!("{n}aaaaaaa-0000-4000-8000-000000000000")).unwrap(),
        object_id: Some(format!("object-{n}")),
        resource_id: None,
        default: text == "one",
        tenants: Tenants::new(tenants, true, any),
        resources,
        fmi_paths: if text == "one" { paths(&["a/b", "a/c"]) } else { Vec::new() },
    };
    vec![
        identity("one", 1, vec![contoso.clone(), fabrikam], false, Resources::Any),
        identity("two", 2, vec![contoso.clone()], false, listed(&["https://vault.azure.net"])),
        identity("any", 3, vec![contoso], true, Resources::Any),
    ]
}

/// A caller that may use `one` for the vault.
fn billing() -> Entitlement {
    Entitlement {
        caller: name("billing"),
        identities: Identities::Listed(vec![name("one")]),
        default_identity: None,
        tenants: None,
        resources: listed(&["https://vault.azure.net"]),
        fmi_paths: Vec::new(),
        mode: Mode::Enforce,
    }
}

fn ask(selector: Selector, tenant: Option<&str>, resource: &str, fmi_path: Option<&str>) -> Ask {
    let fmi_path = fmi_path.map(|text| FmiPath::parse(text).unwrap());
    let extras = Extras { fmi_path, client_claims: None };
    let (resource, tenant) = (Resource::parse(resource).unwrap(), tenant.map(str::to_owned));
    Ask { resource, selector, tenant, extras, challenge: None, rejected: None }
}

fn by_name(name: &str) -> Selector {
    Selector::Name(name.to_owned())
}

/// `one in contoso`, with `*` where a rule was overruled; or the rule that refuses and its status.
fn judged(entitlement: Entitlement, ask: &Ask) -> String {
    let policy = Policy::new(identities(), vec![entitlement]);
    match policy.explain(Some(&name("billing")), ask) {
        Ok(admission) => {
            let overruled = admission.overruled().map(|refusal| format!(" against {}", refusal.rule));
            format!("{} in {}{}", admission.identity().name, admission.tenant(), overruled.unwrap_or_default())
        }
        Err(refusal) => format!("{} {}", refusal.rule, Fault::from(refusal.clone()).status()),
    }
}

const VAULT: &str = "https://vault.azure.net";

#[test]
fn identities_are_listed_or_any() {
    for (identities, selector, expected) in [
        (Identities::Listed(vec![name("one")]), by_name("one"), "one in contoso"),
        (Identities::Listed(vec![name("one")]), by_name("two"), "callers.billing.identities 403"),
        (Identities::Listed(vec![name("one")]), by_name("One"), "identities 403"),
        (Identities::Listed(vec![name("one")]), Selector::ObjectId("OBJECT-1".to_owned()), "one in contoso"),
        (Identities::Listed(vec![name("one")]), Selector::ClientId("object-1".to_owned()), "identities 403"),
        (Identities::Listed(vec![name("two"), name("one")]), by_name("two"), "two in contoso"),
        (Identities::Any, by_name("two"), "two in contoso"),
        (Identities::Any, by_name("nobody"), "identities 400"),
    ] {
        let told = format!("{identities:?} {selector:?}");
        assert_eq!(
            judged(Entitlement { identities, ..billing() }, &ask(selector, None, VAULT, None)),
            expected,
            "{told}"
        );
    }
}

#[test]
fn without_a_selector_the_callers_own_default_is_meant_and_never_one_that_is_not_granted() {
    let one_of_two = || Identities::Listed(vec![name("two"), name("any")]);
    for (identities, default_identity, expected) in [
        (Identities::Listed(vec![name("two")]), None, "two in contoso"),
        (Identities::Listed(vec![name("one"), name("two")]), None, "one in contoso"),
        (one_of_two(), None, "callers.billing.default_identity 400"),
        (one_of_two(), Some(name("any")), "any in contoso"),
        (Identities::Any, None, "one in contoso"),
        (Identities::Any, Some(name("two")), "two in contoso"),
    ] {
        let told = format!("{identities:?} {default_identity:?}");
        let entitlement = Entitlement { identities, default_identity, ..billing() };
        assert_eq!(judged(entitlement, &ask(Selector::None, None, VAULT, None)), expected, "{told}");
    }
    let audited = Entitlement { identities: one_of_two(), mode: Mode::Audit, ..billing() };
    assert_eq!(
        judged(audited, &ask(Selector::None, None, VAULT, None)),
        "one in contoso against callers.billing.identities",
        "in audit mode it has what everybody had before"
    );
}

#[test]
fn tenants_are_granted_by_name_or_id_and_all_when_none_is_listed() {
    for (granted, identity, asked, expected) in [
        (None, "one", Some("fabrikam"), "one in fabrikam"),
        (None, "one", Some("nowhere.com"), "identities.one.tenants 400"),
        (None, "any", Some(OTHER_GUID), "any in 33333333-2222-3333-4444-555555555555"),
        (Some("contoso"), "one", None, "one in contoso"),
        (Some("contoso"), "one", Some("CONTOSO.com"), "one in contoso"),
        (Some("contoso"), "one", Some("fabrikam"), "callers.billing.tenants 403"),
        (Some("contoso"), "one", Some(GUID), "callers.billing.tenants 403"),
        (Some("contoso"), "one", Some("nowhere.com"), "callers.billing.tenants 403"),
        (Some("contoso"), "any", Some(OTHER_GUID), "callers.billing.tenants 403"),
        (Some(GUID), "one", Some("fabrikam"), "one in fabrikam"),
        (Some(GUID), "one", None, "callers.billing.tenants 403"),
        (Some(GUID), "two", Some("fabrikam"), "identities.two.tenants 403"),
        (Some("fabrikam"), "two", Some("fabrikam"), "identities.two.tenants 403"),
        (Some("fabrikam"), "two", Some(GUID), "identities.two.tenants 403"),
        (Some("unused"), "two", Some("unused"), "identities.two.tenants 403"),
        (Some("nowhere.com"), "two", Some("NOWHERE.com"), "identities.two.tenants 403"),
        (Some("fabrikam"), "two", Some("unused"), "callers.billing.tenants 403"),
        (Some(OTHER_GUID), "any", Some(OTHER_GUID), "any in 33333333-2222-3333-4444-555555555555"),
        (Some("Contoso"), "one", None, "callers.billing.tenants 403"),
    ] {
        let tenants = granted.map(|tenant| vec![tenant.to_owned()]);
        let entitlement = Entitlement { identities: Identities::Any, tenants, ..billing() };
        assert_eq!(
            judged(entitlement, &ask(by_name(identity), asked, VAULT, None)),
            expected,
            "{granted:?} {identity} {asked:?}"
        );
    }
}

#[test]
fn a_resource_has_to_be_both_the_callers_and_the_identitys() {
    const GRAPH: &str = "https://graph.microsoft.com";
    for (granted, identity, asked, expected) in [
        (listed(&[VAULT]), "one", VAULT, "one in contoso"),
        (listed(&[VAULT]), "one", "https://vault.azure.net/", "one in contoso"),
        (listed(&["https://vault.azure.net/"]), "one", VAULT, "one in contoso"),
        (listed(&[VAULT]), "one", "https://vault.azure.net//", "callers.billing.resources 403"),
        (listed(&[VAULT]), "one", "https://VAULT.azure.net", "callers.billing.resources 403"),
        (listed(&[VAULT]), "one", "https://vault.azure.net/.default", "callers.billing.resources 403"),
        (listed(&[VAULT]), "one", "https://vault.azure.net.evil", "callers.billing.resources 403"),
        (listed(&[VAULT]), "one", GRAPH, "callers.billing.resources 403"),
        (listed(&[VAULT, GRAPH]), "two", GRAPH, "identities.two.resources 403"),
        (Resources::Any, "two", GRAPH, "identities.two.resources 403"),
        (Resources::Any, "one", GRAPH, "one in contoso"),
    ] {
        let told = format!("{granted:?} {identity} {asked}");
        let entitlement = Entitlement { identities: Identities::Any, resources: granted, ..billing() };
        assert_eq!(judged(entitlement, &ask(by_name(identity), None, asked, None)), expected, "{told}");
    }
}

#[test]
fn a_path_has_to_be_both_the_callers_and_the_identitys() {
    for (granted, identity, asked, expected) in [
        (&[][..], "one", None, "one in contoso"),
        (&[], "one", Some("a/b"), "callers.billing.fmi_paths 403"),
        (&["a/b"], "one", Some("a/b"), "one in contoso"),
        (&["a/b"], "one", Some("a/c"), "callers.billing.fmi_paths 403"),
        (&["a/b"], "one", Some("a"), "callers.billing.fmi_paths 403"),
        (&["a/b"], "one", Some("a/b/"), "callers.billing.fmi_paths 403"),
        (&["A/b"], "one", Some("a/b"), "callers.billing.fmi_paths 403"),
        (&["a/b", "x"], "one", Some("x"), "identities.one.fmi_paths 403"),
        (&["a/b"], "two", Some("a/b"), "identities.two.fmi_paths 403"),
    ] {
        let entitlement = Entitlement { identities: Identities::Any, fmi_paths: paths(granted), ..billing() };
        assert_eq!(
            judged(entitlement, &ask(by_name(identity), None, VAULT, asked)),
            expected,
            "{granted:?} {identity} {asked:?}"
        );
    }
}

#[test]
fn audit_overrules_each_rule_of_the_caller_and_none_of_the_identity() {
    let strict = || Entitlement { tenants: Some(vec!["contoso".to_owned()]), mode: Mode::Audit, ..billing() };
    for (asked, expected) in [
        (ask(by_name("one"), None, VAULT, None), "one in contoso"),
        (ask(by_name("two"), None, VAULT, None), "two in contoso against callers.billing.identities"),
        (ask(by_name("one"), Some("fabrikam"), VAULT, None), "one in fabrikam against callers.billing.tenants"),
        (ask(by_name("one"), None, "r", None), "one in contoso against callers.billing.resources"),
        (ask(by_name("one"), None, VAULT, Some("a/b")), "one in contoso against callers.billing.fmi_paths"),
        (ask(by_name("two"), None, "r", None), "identities.two.resources 403"),
        (ask(by_name("one"), None, VAULT, Some("x")), "identities.one.fmi_paths 403"),
        (ask(by_name("one"), Some("nowhere.com"), VAULT, None), "identities.one.tenants 400"),
        (ask(by_name("nobody"), None, VAULT, None), "identities 400"),
    ] {
        assert_eq!(judged(strict(), &asked), expected, "{asked:?}");
    }
    // Of several rules the first is told, which is the one that enforcement would refuse by.
    let all = ask(by_name("any"), Some(GUID), "r", Some("a/b"));
    assert_eq!(judged(Entitlement { mode: Mode::Enforce, ..strict() }, &all), "callers.billing.identities 403");
}

#[test]
fn a_caller_of_some_identities_cannot_tell_which_others_there_are() {
    let outward = |selector: Selector, tenant: Option<&str>| {
        let entitlement = Entitlement { tenants: Some(vec!["contoso".to_owned()]), ..billing() };
        let policy = Policy::new(identities(), vec![entitlement]);
        let fault =
            Fault::from(policy.explain(Some(&name("billing")), &ask(selector, tenant, VAULT, None)).unwrap_err());
        (fault.kind, fault.to_string())
    };
    let client_id = |n: u8| Selector::ClientId(format!("{n}aaaaaaa-0000-4000-8000-000000000000"));
    let ungranted = outward(by_name("two"), None);
    assert_eq!(ungranted.0, Kind::AccessDenied);
    for selector in [by_name("nobody"), client_id(2), client_id(9), Selector::ObjectId("object-2".to_owned())] {
        assert_eq!(outward(selector.clone(), None), ungranted, "{selector:?}");
        assert_eq!(outward(selector.clone(), Some("nowhere.com")), ungranted, "{selector:?}");
    }
    assert_eq!(outward(by_name("one"), Some("fabrikam")), outward(by_name("one"), Some("nowhere.com")));
    for (_, told) in [ungranted, outward(by_name("one"), Some("fabrikam"))] {
        assert!(!told.contains("two") && !told.contains("fabrikam") && !told.contains("callers."), "{told}");
    }
}

#[test]
fn the_operator_can_tell_what_the_caller_cannot() {
    let refused = |selector: Selector, tenant: Option<&str>| {
        let tenants = Some(vec!["contoso".to_owned(), "fabrikam".to_owned()]);
        let policy = Policy::new(identities(), vec![Entitlement { tenants, ..two_only() }]);
        policy.explain(Some(&name("billing")), &ask(selector, tenant, VAULT, None)).unwrap_err()
    };
    let outward = |refusal: &Refusal| {
        let fault = Fault::from(refusal.clone());
        (fault.kind, fault.to_string())
    };
    let (not_its, none_such) = (refused(by_name("one"), None), refused(by_name("nobody"), None));
    assert_eq!(not_its.to_string(), "the caller may not use this identity (callers.billing.identities)");
    assert_eq!(none_such.to_string(), "Identity not found: no configured identity has this name (identities)");
    assert_eq!(outward(&not_its), outward(&none_such));
    let (not_there, not_granted) = (refused(by_name("two"), Some("fabrikam")), refused(by_name("two"), Some("x.com")));
    assert_eq!(not_there.to_string(), "the identity does not work in this tenant (identities.two.tenants)");
    assert_eq!(not_granted.to_string(), "the caller may not ask in this tenant (callers.billing.tenants)");
    assert_eq!(outward(&not_there), outward(&not_granted));
}

/// A caller that may use `two` for the vault.
fn two_only() -> Entitlement {
    Entitlement { identities: Identities::Listed(vec![name("two")]), ..billing() }
}

#[test]
fn who_is_none_of_the_callers_is_admitted_to_nothing() {
    let policy = Policy::new(identities(), vec![billing()]);
    let asked = ask(by_name("one"), None, VAULT, None);
    for caller in [None, Some(name("other"))] {
        let refusal = policy.explain(caller.as_ref(), &asked).unwrap_err();
        assert_eq!((refusal.reason, refusal.rule.as_str()), (Reason::Stranger, "callers"));
        assert_eq!(Fault::from(refusal).status(), 401);
    }
    // A caller of another configuration, whose place means nobody here, and one of a configuration without callers.
    let secret = |text: &str| Proof::HeaderSecret(vec![Imprint::of(text.as_bytes())]);
    let two = Callers::named([secret("a"), secret("b")].into_iter().enumerate(), &Means::ALL);
    let recognised = |callers: &Callers, shown: Option<&[u8]>| {
        let peer = Peer { secret: shown, ..Peer::default() };
        let Ok(Recognition::Known(caller)) = callers.recognise(Guard::Metadata, &peer) else { panic!("it is known") };
        caller
    };
    for stranger in [recognised(&two, Some(b"b")), recognised(&Callers::open(&[]), None)] {
        let refusal = policy.admit(stranger, &asked).unwrap_err();
        assert_eq!(refusal.reason, Reason::Stranger);
    }
    let permit = policy.admit(recognised(&two, Some(b"a")), &asked).unwrap();
    assert_eq!((permit.identity().name.as_str(), permit.overruled()), ("one", None));
    assert!(policy.admit(Callers::operator(), &ask(by_name("two"), None, VAULT, None)).is_ok());
}

#[test]
fn where_callers_are_not_told_apart_the_identity_alone_decides() {
    let policy = Policy::new(identities(), Vec::new());
    for caller in [None, Some(name("whoever"))] {
        let admission = policy.explain(caller.as_ref(), &ask(by_name("two"), None, VAULT, None)).unwrap();
        assert_eq!(admission.rule(), "identities.two");
        let refusal = policy.explain(caller.as_ref(), &ask(by_name("two"), None, "r", None)).unwrap_err();
        assert_eq!(refusal.rule, "identities.two.resources");
    }
}

#[test]
fn a_caller_is_told_of_no_directory_but_its_own() {
    let callers = Callers::named([(0, Proof::Loopback)], &[]);
    let peer = Peer { is_loopback: true, ..Peer::default() };
    let Ok(Recognition::Known(caller)) = callers.recognise(Guard::Metadata, &peer) else { panic!("a caller") };
    let told = |entitlement: Entitlement| {
        let policy = Policy::new(identities(), vec![entitlement]);
        policy.default_directory(Some(caller)).map_or_else(|fault| fault.status().to_string(), |id| id.to_string())
    };
    let with = |identities: &[&str]| Entitlement {
        identities: Identities::Listed(identities.iter().map(|text| name(text)).collect()),
        ..billing()
    };
    assert_eq!(told(with(&["one"])), "contoso.com");
    let own = Entitlement { default_identity: Some(name("two")), ..with(&["one", "two"]) };
    assert_eq!(told(Entitlement { tenants: Some(vec![GUID.to_owned()]), ..own }), "404", "two works in contoso alone");
    assert_ne!(told(with(&["two", "any"])), "contoso.com", "the default is another caller's, and it has two");
    assert_eq!(Policy::new(identities(), Vec::new()).default_directory(None).unwrap().as_str(), "contoso.com");
}
