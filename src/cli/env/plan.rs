//! What to print for a client: which dialect it is to speak, and every line that takes.

use std::collections::HashMap;

use super::client::{Client, IMDS_URL, Own};
use super::proxy::exempt;
use super::reach::Reach;
use super::service::{Absent, Service};
use super::shell::{Setting, Shell};
use crate::cli::Failure;
use crate::dialect::Dialect;
use crate::dialect::table::{DIALECTS, IMDS};
use crate::fault::EX_USAGE;

/// The dialect that a client is to speak: the one that is asked for, else the best that is served; none for a
/// client that reads no dialect's variables.
///
/// # Errors
/// It does not speak that one, or none that is served.
pub(super) fn dialect(
    client: &Client,
    asked: Option<&'static Dialect>,
    service: &Service,
) -> Result<Option<&'static Dialect>, Failure> {
    let failure = |text| Err(Failure::new(EX_USAGE, text));
    let (name, spoken) = (client.name, client.dialects.join(", "));
    let absence = |dialect: &str| service.absence(dialect).map(Absent::told);
    match asked {
        None if client.dialects.is_empty() => {
            absence(IMDS.name).map_or(Ok(None), |absence| failure(format!("{name} speaks imds alone, and {absence}")))
        }
        None => best(client, service).map(Some),
        Some(_) if client.dialects.is_empty() => {
            failure(format!("{name} reads no dialect's variables; leave --dialect out"))
        }
        Some(asked) if !client.dialects.contains(&asked.name) => {
            failure(format!("{name} does not speak {}; it speaks {spoken}", asked.name))
        }
        Some(asked) => absence(asked.name).map_or(Ok(Some(asked)), failure),
    }
}

/// The best dialect that is served, of those whose variables the client reads.
fn best(client: &Client, service: &Service) -> Result<&'static Dialect, Failure> {
    let served = |name: &&str| service.served.iter().copied().find(|dialect| dialect.name == *name);
    client.dialects.iter().find_map(served).ok_or_else(|| {
        let remedy = client.dialects.iter().find_map(|name| service.absence(name)).map(Absent::remedy);
        let spoken = client.dialects.join(", ");
        let problem = format!("{} speaks {spoken}, and nothing of that is served", client.name);
        Failure::new(EX_USAGE, format!("{problem}; {}", remedy.unwrap_or_default()))
    })
}

/// Every line for a client that is to speak `dialect`.
pub(super) fn lines(
    client: &Client,
    dialect: Option<&'static Dialect>,
    service: &Service,
    shell: Shell,
    variables: &HashMap<String, String>,
) -> Vec<String> {
    let reach = &service.reach;
    let imds = reach.endpoint(&IMDS).filter(|_| service.absence(IMDS.name).is_none());
    let mut settings = reach.exports(dialect);
    settings.extend(client.own.iter().filter_map(|(name, own)| Some((*name, own_setting(*own, imds.as_deref())?))));
    settings.extend(exemptions(reach, variables));
    let mut lines =
        vec![format!("# {}{}", client.title, dialect.map(|d| format!(", by {}", d.name)).unwrap_or_default())];
    lines.extend(unset(client, dialect).into_iter().map(|name| shell.unset(name)));
    lines.extend(settings.iter().map(|(name, setting)| shell.line(name, setting)));
    lines.extend(notes(client, dialect, imds.as_deref()).into_iter().map(|note| format!("# {note}")));
    if reach.thumbprint.is_some() && dialect.is_some_and(Dialect::is_pinned) {
        lines.push(format!("# {PINNED}"));
    }
    lines
}

/// What keeps a proxy from coming between.
fn exemptions(reach: &Reach, variables: &HashMap<String, String>) -> Vec<(&'static str, Setting)> {
    let base = reach.base.as_deref().or(reach.tls_base.as_deref());
    // Those who read the other spelling read it first, if it is there.
    let read = ["NO_PROXY", "no_proxy"].into_iter().filter(|name| *name == "NO_PROXY" || variables.contains_key(*name));
    read.map(|name| (name, Setting::Text(exempt(base, variables.get(name).map(String::as_str))))).collect()
}

/// What has to be known beside the variables.
fn notes(client: &Client, dialect: Option<&Dialect>, imds: Option<&str>) -> Vec<String> {
    let told = client.notes.iter().filter_map(|note| note.text(dialect.map(|dialect| dialect.name)));
    let told = told.filter(|text| imds.is_some() || !text.contains(IMDS_URL));
    told.map(|text| text.replace(IMDS_URL, imds.unwrap_or_default())).collect()
}

fn own_setting(own: Own, imds: Option<&str>) -> Option<Setting> {
    match own {
        Own::Endpoint => imds.map(|url| Setting::Text(url.to_owned())),
        Own::Text(text) => Some(Setting::Text(text.to_owned())),
    }
}

/// What would lead the client elsewhere: the variables of all other dialects, and what the client prefers.
fn unset(client: &Client, dialect: Option<&'static Dialect>) -> Vec<&'static str> {
    let sets = |name: &str| dialect.is_some_and(|dialect| dialect.exports.iter().any(|(set, _)| *set == name));
    let others = DIALECTS.iter().filter(|_| dialect.is_some()).flat_map(|dialect| dialect.exports);
    let mut names: Vec<&str> = others.map(|(name, _)| *name).filter(|name| !sets(name)).collect();
    names.sort_unstable();
    names.dedup();
    names.extend(client.rivals);
    names
}

const PINNED: &str =
    "the certificate is pinned: without 'server.tls' each start makes another, and this has to be run again";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dev::stage::Stage;
    use crate::cli::env::client::{CLIENTS, find};
    use crate::cli::env::service::tests::configured;
    use crate::config::server::listen;

    fn named(name: &str) -> &'static Dialect {
        DIALECTS.iter().find(|dialect| dialect.name == name).unwrap()
    }

    /// What `bursar dev` is with https and key files.
    fn dev() -> Service {
        let listen = ["127.0.0.1:1", "https://127.0.0.1:3"].map(|text| listen(text).unwrap());
        let keys = tempfile::tempdir().unwrap();
        let stage = Stage { listen: &listen, arc_key_dir: keys.path() };
        let mut service = Service::of_dev(stage, Setting::Text("s".to_owned()));
        service.reach.thumbprint = Some("AB".to_owned());
        service
    }

    fn printed(name: &str, asked: Option<&str>, variables: &[(&str, &str)]) -> String {
        let client = find(name).unwrap();
        let service = dev();
        let spoken = dialect(client, asked.map(named), &service).unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        lines(client, spoken, &service, Shell::Bash, &variables).join("\n")
    }

    #[test]
    fn a_client_gets_the_best_dialect_that_is_served() {
        let speaks = |name, asked: Option<&str>, served: &[&str]| {
            let found = dialect(find(name).unwrap(), asked.map(named), &configured(served, &[]));
            found.map(|dialect| dialect.map(|dialect| dialect.name)).map_err(|failure| failure.text)
        };
        for (name, asked, served, expected) in [
            ("msal-python", None, &["native", "imds", "app-service"][..], Some("app-service")),
            ("msal-python", None, &["native", "imds"], Some("imds")),
            ("msal-python", Some("arc"), &["arc", "imds"], Some("arc")),
            ("azidentity", None, &["service-fabric", "cloud-shell"], Some("cloud-shell")),
            ("terraform", None, &["imds"], None),
        ] {
            assert_eq!(speaks(name, asked, served), Ok(expected), "{name} {asked:?}");
        }
        for (name, asked, served, expected) in [
            (
                "kubelogin",
                None,
                "imds",
                "kubelogin speaks app-service, and nothing of that is served; add \"app-service\" to 'server.dialects'",
            ),
            ("azidentity", Some("imds"), "imds", "azidentity does not speak imds; it speaks app-service, arc, "),
            ("azidentity", Some("arc"), "imds", "arc is not served; add \"arc\" to 'server.dialects'"),
            (
                "go-autorest",
                None,
                "imds",
                "go-autorest speaks cloud-shell, and nothing of that is served; add \"cloud-shell\"",
            ),
            ("terraform", None, "app-service", "terraform speaks imds alone, and imds is not served; add \"imds\""),
            ("packer", Some("imds"), "imds", "packer reads no dialect's variables; leave --dialect out"),
        ] {
            let told = speaks(name, asked, &[served]).unwrap_err();
            assert!(told.starts_with(expected), "{told}");
        }
    }

    #[test]
    fn nothing_is_set_and_unset() {
        for client in CLIENTS {
            let dialects = client.dialects.iter().map(|name| Some(*name));
            for asked in dialects.chain([None]) {
                let text = printed(client.name, asked, &[]);
                let names = |word: &str| -> Vec<String> {
                    let rest = text.lines().filter_map(|line| line.strip_prefix(word));
                    rest.map(|rest| rest.split('=').next().unwrap().to_owned()).collect()
                };
                let (set, unset) = (names("export "), names("unset "));
                assert!(set.iter().all(|name| !unset.contains(name)), "{text}");
                let mut once = set.clone();
                once.dedup();
                assert_eq!(once, set, "{text}");
                assert!(text.contains("export NO_PROXY=127.0.0.1,localhost,169.254.169.254"), "{text}");
                assert!(!text.contains(IMDS_URL), "{text}");
            }
        }
    }

    #[test]
    fn each_way_has_its_lines() {
        let text = printed("azure-identity-python", None, &[]);
        for line in [
            "export IDENTITY_ENDPOINT=http://127.0.0.1:1/msi/token",
            "export IDENTITY_HEADER=s",
            "unset IDENTITY_SERVER_THUMBPRINT",
            "unset IMDS_ENDPOINT",
            "unset MSI_ENDPOINT",
            "unset MSI_SECRET",
            "unset AZURE_FEDERATED_TOKEN_FILE",
        ] {
            assert!(text.lines().any(|printed| printed == line), "{line} is missing in\n{text}");
        }
        let text = printed("msal-node", Some("service-fabric"), &[]);
        assert!(text.contains("# the certificate is pinned") && !printed("msal-node", None, &[]).contains("pinned"));
        assert!(text.contains("IDENTITY_SERVER_THUMBPRINT=AB") && text.contains("https://127.0.0.1:3/fabric/token"));
        let text = printed("msal-go", Some("arc"), &[]);
        assert!(text.contains("export IMDS_ENDPOINT=http://127.0.0.1:1\n") && text.contains("unset IDENTITY_HEADER\n"));
        let text = printed("terraform", None, &[]);
        assert!(
            text.contains(
                "export ARM_USE_MSI=true\nexport ARM_MSI_ENDPOINT=http://127.0.0.1:1/metadata/identity/oauth2/token\n"
            ),
            "{text}"
        );
        assert!(!text.contains("IDENTITY_ENDPOINT"), "{text}");
        for rival in ["ARM_CLIENT_SECRET_FILE_PATH", "ARM_OIDC_TOKEN_FILE_PATH", "ARM_USE_AKS_WORKLOAD_IDENTITY"] {
            assert!(text.contains(&format!("unset {rival}\n")), "{rival} stays in\n{text}");
        }
        assert!(printed("packer", None, &[]).contains("# needs 169.254.169.254"));
        assert!(
            printed("google-auth", None, &[]).contains("http://127.0.0.1:1/metadata/identity/oauth2/token?api-version")
        );
        assert!(printed("azcopy", None, &[]).contains("export AZCOPY_AUTO_LOGIN_TYPE=MSI\n"));
    }

    #[test]
    fn what_holds_in_one_dialect_is_told_there_alone() {
        for (name, dialect, words) in [
            ("azure-identity-node", "service-fabric", "NODE_EXTRA_CA_CERTS"),
            ("msal-java", "service-fabric", "trust store"),
            ("azure-identity-python", "arc", "# it takes key files in /var/opt/azcmagent/tokens alone"),
            (
                "curl",
                "imds",
                "# then: curl -sS -H 'Metadata: true' 'http://127.0.0.1:1/metadata/identity/oauth2/token?",
            ),
            ("curl", "cloud-shell", "\"$MSI_ENDPOINT\""),
        ] {
            assert!(printed(name, Some(dialect), &[]).contains(words), "{name} {dialect}");
            assert!(!printed(name, Some("app-service"), &[]).contains(words), "{name} {dialect}");
        }
    }

    #[test]
    fn both_spellings_of_no_proxy_are_set_where_both_are_read() {
        let text = printed("curl", None, &[("no_proxy", ".corp")]);
        assert!(text.contains("export no_proxy=127.0.0.1,localhost,169.254.169.254,.corp"), "{text}");
        assert!(!printed("curl", None, &[]).contains("no_proxy"));
    }
}
