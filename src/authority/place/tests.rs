use super::*;

const T: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const OTHER: &str = "0a5b0c11-7a11-4c5e-9d0e-1f2a3b4c5d6e";

fn place(url: &str, kind: Option<Kind>, id: Option<&str>) -> Result<Place, Malformed> {
    let id = id.map(|id| TenantId::parse(id).unwrap());
    Place::parse(url, kind, id.as_ref())
}

#[test]
fn kind_and_tenant_follow_from_the_url() {
    let t = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    for (url, kind, id, expected, tenant, configuration) in [
        (
            "https://login.microsoftonline.com",
            None,
            Some(t),
            Kind::Entra,
            t,
            "/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
        ),
        ("https://login.corp:8443/", None, Some("contoso.com"), Kind::Entra, "contoso.com", "/contoso.com/v2.0"),
        ("https://foo.ciamlogin.com", None, None, Kind::Ciam, "foo.onmicrosoft.com", "/foo.onmicrosoft.com/v2.0"),
        ("https://foo.ciamlogin.com", None, Some(t), Kind::Ciam, t, "/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0"),
        ("https://foo.ciamlogin.com/bar.com", None, None, Kind::Ciam, "bar.com", "/bar.com/v2.0"),
        ("https://c.b2clogin.com/c.com/B2C_1_x", None, None, Kind::B2c, "c.com", "/c.com/B2C_1_x/v2.0"),
        ("https://login.corp/c.com/b2c_1_x/", None, Some("c.com"), Kind::B2c, "c.com", "/c.com/b2c_1_x/v2.0"),
        ("https://adfs.corp/adfs", None, None, Kind::Adfs, "adfs", "/adfs"),
        ("https://idp.corp/realms/x/", Some(Kind::Oidc), None, Kind::Oidc, "idp.corp", "/realms/x"),
        ("http://127.0.0.1:9", Some(Kind::Oidc), None, Kind::Oidc, "127.0.0.1", ""),
    ] {
        let place = place(url, kind, id).unwrap();
        assert_eq!((place.kind(), place.tenant().as_str()), (expected, tenant), "{url}");
        assert_eq!(
            place.configuration_url().path(),
            format!("{configuration}/.well-known/openid-configuration"),
            "{url}"
        );
    }
}

#[test]
fn what_is_no_place_is_said() {
    for (url, kind, id) in [
        ("login.microsoftonline.com", None, Some("c.com")),
        ("http://login.microsoftonline.com", None, Some("c.com")),
        ("https://login.microsoftonline.com", None, None),
        ("https://login.microsoftonline.com/c.com", None, Some("c.com")),
        ("https://u:p@login.microsoftonline.com", None, Some("c.com")),
        ("https://login.microsoftonline.com?x", None, Some("c.com")),
        ("https://c.b2clogin.com/c.com", None, None),
        ("https://c.b2clogin.com/c.com/b2c_1", None, Some("d.com")),
        ("https://foo.ciamlogin.com/a.com/b", None, None),
        ("https://adfs.corp/other", Some(Kind::Adfs), None),
    ] {
        assert!(place(url, kind, id).is_err(), "{url}");
    }
}

#[test]
fn an_issuer_belongs_by_host_cloud_or_name() {
    let entra = |url| place(url, None, Some("t.com")).unwrap();
    let ciam = place("https://foo.ciamlogin.com", None, None).unwrap();
    let ciam_of = |id| place("https://foo.ciamlogin.com", None, Some(id)).unwrap();
    let oidc = place("https://idp.corp/realms/x", Some(Kind::Oidc), None).unwrap();
    for (place, issuer, belongs) in [
        (entra("https://login.microsoftonline.com"), "https://sts.windows.net/t/", true),
        (entra("https://login.microsoftonline.com"), "https://login.microsoftonline.com/t/v2.0", true),
        (entra("https://login.microsoftonline.us"), "https://login.microsoftonline.com/t/v2.0", false),
        (entra("https://login.corp"), "https://login.corp/t/v2.0", true),
        (entra("https://login.corp"), "https://login.microsoftonline.us/t/v2.0", true),
        (entra("https://login.corp"), "https://eu.login.corp/t", true),
        (entra("https://login.corp"), "https://a.b.login.corp/t", false),
        (entra("https://login.corp"), "https://evillogin.corp/t", false),
        (entra("https://login.corp"), "https://evil.example/t", false),
        (entra("https://login.corp"), "http://login.corp/t", false),
        (entra("https://login.corp"), "https://foo.ciamlogin.com/", false),
        (entra("https://login.corp"), "", false),
        (ciam.clone(), "https://foo.ciamlogin.com/t/v2.0", true),
        (ciam.clone(), "https://bar.ciamlogin.com/t/v2.0", false),
        (ciam.clone(), &format!("https://{T}.ciamlogin.com/{T}/v2.0"), true),
        (ciam.clone(), &format!("https://{T}.ciamlogin.com/{OTHER}/v2.0"), false),
        (ciam, &format!("https://{T}.ciamlogin.com/v2.0"), false),
        (ciam_of(T), &format!("https://{T}.ciamlogin.com/{T}/v2.0"), true),
        (ciam_of(T), &format!("https://{OTHER}.ciamlogin.com/{OTHER}/v2.0"), false),
        (oidc.clone(), "https://idp.corp/realms/x/", true),
        (oidc, "https://idp.example/realms/x", false),
    ] {
        assert_eq!(place.has_issuer(issuer), belongs, "{place:?} {issuer}");
    }
}

#[test]
fn a_credential_never_leaves_the_cloud() {
    for (base, endpoint, fine) in [
        ("https://login.corp", "https://login.corp/t/oauth2/v2.0/token", true),
        ("https://login.corp", "https://login.corp:444/t/oauth2/v2.0/token", false),
        ("https://login.corp", "http://login.corp/t", false),
        ("https://login.corp", "https://login.microsoftonline.com/t", true),
        ("https://login.corp", "https://evil.example/t", false),
        ("https://login.windows.net", "https://login.microsoftonline.com/t", true),
        ("https://login.microsoftonline.us", "https://login.microsoftonline.com/t", false),
    ] {
        let place = place(base, None, Some("t.com")).unwrap();
        assert_eq!(place.has_endpoint(&Url::parse(endpoint).unwrap()), fine, "{base} {endpoint}");
    }
}

#[test]
fn another_name_is_another_host_of_the_same_place() {
    let corp = place("https://login.corp:8443", None, Some("t.com")).unwrap();
    for (name, url) in [
        ("sts.corp", Some("https://sts.corp/")),
        ("sts.corp:444", Some("https://sts.corp:444/")),
        ("LOGIN.corp:8443", Some("https://login.corp:8443/")),
        ("", None),
        ("a b", None),
        ("u@sts.corp", None),
        ("sts.corp/path", None),
        ("sts.corp?x", None),
    ] {
        let alias = corp.known_as(name);
        assert_eq!(alias.as_ref().map(|alias| alias.url().as_str()), url, "{name}");
        assert_eq!(alias.is_some_and(|alias| alias.has_host_of(&corp)), name == "LOGIN.corp:8443", "{name}");
    }
    let alias = corp.known_as("sts.corp").unwrap();
    assert!(alias.has_issuer("https://sts.corp/t/v2.0") && !corp.has_issuer("https://sts.corp/t/v2.0"));
    assert!(alias.has_endpoint(&Url::parse("https://sts.corp/t/token").unwrap()));
    assert!(!alias.has_endpoint(&Url::parse("http://sts.corp/t/token").unwrap()));
}

#[test]
fn a_region_moves_entra_alone() {
    let region = Region::parse("westeurope").unwrap();
    for (base, kind, url, moved) in [
        (
            "https://login.microsoftonline.com",
            None,
            "https://login.microsoftonline.com/t/token",
            "https://westeurope.login.microsoft.com/t/token",
        ),
        (
            "https://login.microsoftonline.com",
            None,
            "https://login.windows.net:443/t?a=b",
            "https://westeurope.login.microsoft.com/t?a=b",
        ),
        (
            "https://login.chinacloudapi.cn",
            None,
            "https://login.chinacloudapi.cn/t",
            "https://westeurope.login.partner.microsoftonline.cn/t",
        ),
        ("https://login.corp", None, "https://login.corp/t", "https://login.corp/t"),
        ("https://login.microsoftonline.com", Some(Kind::Oidc), "https://idp.corp/t", "https://idp.corp/t"),
    ] {
        let place = place(base, kind, Some("t.com")).unwrap();
        assert_eq!(place.in_region(Url::parse(url).unwrap(), &region).as_str(), moved, "{base}");
        assert_eq!(place.has_regions(), url != moved, "{base}");
    }
}
