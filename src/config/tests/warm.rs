//! What is held ready, and where the status page is served.

use super::*;

fn payroll(keys: &str) -> Vec<String> {
    mistakes("resources = [\"*\"]", keys)
}

#[test]
fn each_resource_that_is_held_ready_is_listed_and_stands_there_once() {
    let vault = "resources = ['https://vault.azure.net']";
    for (warm, expected) in [
        ("['https://vault.azure.net', 'https://vault.azure.net/']", None),
        ("[]", None),
        ("'https://vault.azure.net'", None),
        ("['https://vault.azure.net', 'https://vault.azure.net']", Some("warm[1]: this resource is listed already")),
        ("['https://graph.microsoft.com']", Some("warm[0]: the identity may not be used for this resource")),
        ("['']", Some("warm[0]: the text must not be empty")),
        ("{ a = 'b' }", Some("warm: this must be a list")),
    ] {
        let told = payroll(&format!("{vault}\nwarm = {warm}"));
        let expected: Vec<String> = expected.iter().map(|text| format!("identities.payroll.{text}")).collect();
        assert!(told.len() == expected.len(), "{warm}: {told:?}");
        assert!(told.iter().zip(&expected).all(|(told, expected)| told.starts_with(expected)), "{warm}: {told:?}");
    }
}

#[test]
fn what_is_held_ready_needs_a_default_tenant() {
    let any = |tenants: &str| {
        let text = GOOD.replace("[\"contoso\"]", tenants).replace("resources", "warm = ['r']\nresources");
        told(read(&format!("{text}[tenants.\"*\"]\nauthority = 'https://login.microsoftonline.com'\n")))
    };
    assert!(any("['contoso', '*']").is_empty());
    let mistakes = any("['*']");
    assert!(
        mistakes.len() == 1 && mistakes[0].starts_with("identities.payroll.warm: tokens are held ready"),
        "{mistakes:?}"
    );
    // One mistake is enough: nobody knows yet which tenants there are.
    let unknown =
        told(read(&GOOD.replace("[\"contoso\"]", "['nowhere']").replace("resources", "warm = ['r']\nresources")));
    assert_eq!(unknown.len(), 1, "{unknown:?}");
}

#[test]
fn the_host_s_identity_is_held_ready_too() {
    let text = "[identities.host]\nsource = 'managed-identity'\nresources = ['*']\nwarm = ['r']\n";
    let config = read(text).unwrap();
    assert_eq!(config.identities[0].warm.len(), 1);
}

#[test]
fn a_page_that_is_served_anyway_is_warned_of() {
    let warned = |server: &str| {
        let config = read(&format!("[server]\n{server}\n{GOOD}")).unwrap();
        config.warnings.iter().any(|warning| warning.to_string().starts_with("server.status_page: on loopback"))
    };
    assert!(warned("status_page = true"));
    assert!(!warned("status_page = true\nadmin_listen = '0.0.0.0:2'"));
    assert!(!warned("status_page = false"));
}
