//! Identities that vouch for others, and the host's own.

use super::*;

const CHAIN: &str = r#"
[tenants.contoso]
id = "contoso.com"
[identities.agent]
tenants = ["contoso"]
client_id = "11111111-2222-3333-4444-555555555555"
resources = ["*"]
credentials = [{ kind = "identity", name = "blueprint", fmi_path = "agent" }]
[identities.blueprint]
tenants = ["contoso"]
client_id = "11111111-2222-3333-4444-666666666666"
resources = ["*"]
credentials = [{ kind = "managed-identity", client_id = "11111111-2222-3333-4444-777777777777" }]
[identities.host]
source = "managed-identity"
resources = ["https://vault.azure.net"]
"#;

fn told(text: &str, variables: &[(&str, &str)]) -> String {
    read_in(Path::new(""), text, variables).unwrap_err().to_string()
}

#[test]
fn a_chain_ends_at_the_host() {
    let config = read(CHAIN).unwrap();
    let (name, selector) = &config.identities[1].application().unwrap().hosts[0];
    assert_eq!(name.as_str(), "blueprint#0");
    assert_eq!(selector.as_ref().unwrap().id, "11111111-2222-3333-4444-777777777777");
    assert_eq!(application(&config).credentials[0].delegate().unwrap().resource.as_str(), "api://AzureADTokenExchange");
    assert!(matches!(config.identities[2].origin, Origin::Host(None)));
    assert_eq!(config.identities[2].rules.client_id.as_str(), "host", "only the host knows it");
    assert_eq!(config.host.unwrap().url.as_str(), "http://169.254.169.254/metadata/identity/oauth2/token");
    assert!(
        read_in(Path::new(""), GOOD, &[("SECRET", "x"), ("IDENTITY_ENDPOINT", "nonsense")]).unwrap().host.is_none(),
        "nobody needs it"
    );
}

#[test]
fn another_cloud_calls_an_exchange_otherwise() {
    for (host, resource) in [
        ("login.microsoftonline.us", "api://AzureADTokenExchangeUSGov"),
        ("login.partner.microsoftonline.cn", "api://AzureADTokenExchangeChina"),
    ] {
        let there = format!("id = \"contoso.com\"\nauthority = \"https://{host}\"");
        let config = read(&CHAIN.replacen("id = \"contoso.com\"", &there, 1)).unwrap();
        assert_eq!(application(&config).credentials[0].delegate().unwrap().resource.as_str(), resource);
    }
}

#[test]
fn nobody_vouches_for_itself() {
    let circle = "identities vouch for each other in a circle";
    for (name, agent, blueprint) in [("agent", true, false), ("blueprint", false, false)] {
        let text = CHAIN.replacen("name = \"blueprint\"", &format!("name = \"{name}\""), 1);
        let mistakes = read(&text).err().map(|mistakes| mistakes.to_string()).unwrap_or_default();
        assert_eq!(
            mistakes.contains("identities.agent.credentials[0].name: the identities vouch"),
            agent,
            "{mistakes}"
        );
        assert_eq!(mistakes.contains("identities.blueprint"), blueprint, "{mistakes}");
    }
    let text = CHAIN.replacen(
        "{ kind = \"managed-identity\"",
        "{ kind = \"identity\", name = \"agent\" }, { kind = \"managed-identity\"",
        1,
    );
    let mistakes = told(&text, &[]);
    assert_eq!(mistakes.matches(circle).count(), 2, "each place of it is told: {mistakes}");
}

#[test]
fn what_is_wrong_with_them_is_told_where_it_stands() {
    for (piece, instead, expected) in [
        ("name = \"blueprint\", ", "", "agent.credentials[0].name: the key is missing"),
        ("name = \"blueprint\"", "name = \"nobody\"", "agent.credentials[0].name: no identity has this name"),
        ("fmi_path = \"agent\"", "fmi_path = \"a b\"", "agent.credentials[0].fmi_path: an fmi_path has"),
        ("name = \"blueprint\"", "name = \"host\"", "agent.credentials[0].fmi_path: the identity is the host's own"),
        ("fmi_path", "fmi_pth", "agent.credentials[0].fmi_pth: the key is unknown"),
        ("client_id = \"11111111-2222-3333-4444-7", "object_id = \"x\", client_id = \"7", "client_id: several ids"),
        ("source = \"managed-identity\"", "source = \"imds\"", "identities.host.source: a source is managed-identity"),
        ("source = ", "fmi_paths = [\"a\"]\nsource = ", "identities.host.fmi_paths: the key is unknown"),
        ("source = ", "tenants = [\"contoso\"]\nsource = ", "identities.host.tenants: the key is unknown"),
    ] {
        assert!(CHAIN.contains(piece), "{piece}");
        let mistakes = told(&CHAIN.replacen(piece, instead, 1), &[]);
        assert!(mistakes.contains(expected), "{expected} is not in {mistakes}");
    }
    for port in [4141, 4142] {
        let endpoint = format!("http://127.0.0.1:{port}/msi/token");
        let mistakes = told(CHAIN, &[("IDENTITY_ENDPOINT", &endpoint), ("IDENTITY_HEADER", "x")]);
        assert!(mistakes.contains("IDENTITY_ENDPOINT: the variable points at this service itself"), "{mistakes}");
    }
}
