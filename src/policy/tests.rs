use super::*;
use crate::caller::Callers;
use crate::name::{ClientId, FmiPath, Name, TenantId};

fn identity(name: &str, n: u8, default: bool, resources: Resources) -> Identity {
    let tenant = |name: &str, id: &str| Tenant { name: Name::parse(name).ok(), id: TenantId::parse(id).unwrap() };
    let listed = vec![tenant("contoso", "contoso.com"), tenant("fabrikam", "72f988bf-86f1-41af-91ab-2d7cd011db47")];
    Identity {
        name: Name::parse(name).unwrap(),
        client_id: ClientId::parse(&format!("{n}AAAAAAA-0000-4000-8000-000000000000")).unwrap(),
        object_id: Some(format!("object-{n}")),
        resource_id: Some(format!("/subscriptions/{n}")),
        default,
        tenants: Tenants::new(listed, true, false),
        resources,
        fmi_paths: Vec::new(),
    }
}

fn admit(policy: &Policy, selector: Selector, tenant: Option<&str>, resource: &str) -> Result<String, u16> {
    let (resource, tenant) = (Resource::parse(resource).unwrap(), tenant.map(str::to_owned));
    let ask = Ask { resource, selector, tenant, extras: Extras::default(), challenge: None, rejected: None };
    let permit = policy.admit(Callers::operator(), &ask).map_err(|refusal| Fault::from(refusal).status())?;
    Ok(format!("{} in {} for {}", permit.identity().name, permit.tenant(), permit.resource().as_str()))
}

fn two() -> Policy {
    let vault = Resources::Listed(vec![Resource::parse("https://vault.azure.net").unwrap()]);
    Policy::new(vec![identity("one", 1, false, Resources::Any), identity("two", 2, true, vault)], Vec::new())
}

#[test]
fn each_selector_points_at_its_identity_without_case() {
    let policy = two();
    let one = Ok("one in contoso for r".to_owned());
    assert_eq!(admit(&policy, Selector::ClientId("1aaaaaaa-0000-4000-8000-000000000000".into()), None, "r"), one);
    assert_eq!(admit(&policy, Selector::ObjectId("OBJECT-1".into()), None, "r"), one);
    assert_eq!(admit(&policy, Selector::ResourceId("/SUBSCRIPTIONS/1".into()), None, "r"), one);
    assert_eq!(admit(&policy, Selector::Name("one".into()), None, "r"), one);
}

#[test]
fn an_unknown_selector_is_never_the_default() {
    let policy = two();
    for selector in [
        Selector::ClientId("object-1".into()),
        Selector::ObjectId("nobody".into()),
        Selector::ResourceId("/".into()),
        Selector::Name("One".into()),
    ] {
        assert_eq!(admit(&policy, selector, None, "https://vault.azure.net"), Err(400));
    }
}

#[test]
fn the_default_is_the_marked_one_or_the_only_one() {
    let vault = "https://vault.azure.net/";
    assert_eq!(admit(&two(), Selector::None, None, vault), Ok(format!("two in contoso for {vault}")));
    let only = Policy::new(vec![identity("only", 1, false, Resources::Any)], Vec::new());
    assert_eq!(admit(&only, Selector::None, None, "r"), Ok("only in contoso for r".to_owned()));
    let both = vec![identity("a", 1, false, Resources::Any), identity("b", 2, false, Resources::Any)];
    let unmarked = Policy::new(both, Vec::new());
    assert_eq!(admit(&unmarked, Selector::None, None, "r"), Err(400));
}

#[test]
fn a_resource_that_is_not_listed_is_denied() {
    assert_eq!(admit(&two(), Selector::None, None, "https://vault.azure.net.evil"), Err(403));
    assert_eq!(admit(&two(), Selector::None, None, "https://graph.microsoft.com"), Err(403));
}

#[test]
fn a_tenant_goes_by_name_or_id() {
    let select = |tenant| admit(&two(), Selector::Name("one".into()), Some(tenant), "r");
    assert_eq!(select("fabrikam"), Ok("one in fabrikam for r".to_owned()));
    assert_eq!(select("72F988BF-86F1-41AF-91AB-2D7CD011DB47"), Ok("one in fabrikam for r".to_owned()));
    assert_eq!(select("elsewhere.com"), Err(400));
}

#[test]
fn only_a_listed_place_is_permitted() {
    let path = |text| FmiPath::parse(text).unwrap();
    let mut one = identity("one", 1, false, Resources::Any);
    one.fmi_paths = vec![path("a/b")];
    let policy = Policy::new(vec![one], Vec::new());
    for (asked, status) in [(None, None), (Some("a/b"), None), (Some("a"), Some(403)), (Some("a/b/c"), Some(403))] {
        let extras = Extras { fmi_path: asked.map(path), client_claims: None };
        let (resource, selector) = (Resource::parse("r").unwrap(), Selector::None);
        let ask = Ask { resource, selector, tenant: None, extras, challenge: None, rejected: None };
        assert_eq!(
            policy.admit(Callers::operator(), &ask).err().map(|refusal| Fault::from(refusal).status()),
            status,
            "{asked:?}"
        );
    }
}
