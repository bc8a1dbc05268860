//! What to print for a client: which dialect it is to speak, and every line that takes.

use std::collections::HashMap;

use super::client::{Client, IMDS_URL, Own};
use super::proxy::exempt;
use super::reach::Reach;
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
    served: &[&'static Dialect],
) -> Result<Option<&'static Dialect>, Failure> {
    let none = |problem: String| Err(Failure::new(EX_USAGE, format!("{} {problem}", client.title)));
    if client.dialects.is_empty() {
        return match asked {
            Some(_) => none("reads no dialect's variables; leave --dialect out".to_owned()),
            None if serves_imds(served) => Ok(None),
            None => none("speaks imds, which is not served; add it to 'server.dialects'".to_owned()),
        };
    }
    let spoken = client.dialects.join(", ");
    if let Some(asked) = asked {
        let speaks = client.dialects.contains(&asked.name);
        return if speaks {
            Ok(Some(asked))
        } else {
            none(format!("does not speak {}; it speaks {spoken}", asked.name))
        };
    }
    let best = client.dialects.iter().find_map(|name| served.iter().find(|dialect| dialect.name == *name));
    best.map_or_else(|| none(format!("speaks {spoken}; add one of them to 'server.dialects'")), |best| Ok(Some(*best)))
}

/// Every line for a client that is to speak `dialect`.
pub(super) fn lines(
    client: &Client,
    dialect: Option<&'static Dialect>,
    served: &[&Dialect],
    reach: &Reach,
    shell: Shell,
    variables: &HashMap<String, String>,
) -> Vec<String> {
    let imds = reach.endpoint(&IMDS).filter(|_| serves_imds(served));
    let mut settings = reach.exports(dialect);
    settings.extend(client.own.iter().filter_map(|(name, own)| Some((*name, own_setting(*own, imds.as_deref())?))));
    for name in ["NO_PROXY", "no_proxy"] {
        // Those who read the other spelling read it first, if it is there.
        let before = variables.get(name);
        if before.is_some() || name == "NO_PROXY" {
            let base = reach.base.as_deref().or(reach.tls_base.as_deref());
            settings.push((name, Setting::Text(exempt(base, before.map(String::as_str)))));
        }
    }
    let mut lines =
        vec![format!("# {}{}", client.title, dialect.map(|d| format!(", by {}", d.name)).unwrap_or_default())];
    lines.extend(unset(client, dialect).into_iter().map(|name| shell.unset(name)));
    lines.extend(settings.iter().map(|(name, setting)| shell.line(name, setting)));
    let notes = client.notes.iter().filter(|note| imds.is_some() || !note.contains(IMDS_URL));
    lines.extend(notes.map(|note| format!("# {}", note.replace(IMDS_URL, imds.as_deref().unwrap_or_default()))));
    if reach.thumbprint.is_some() && dialect.is_some_and(Dialect::is_pinned) {
        lines.push(format!("# {PINNED}"));
    }
    lines
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

fn serves_imds(served: &[&Dialect]) -> bool {
    served.iter().any(|dialect| dialect.name == IMDS.name)
}

const PINNED: &str =
    "the certificate is pinned: without 'server.tls' each start makes another, and this has to be run again";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::env::client::{CLIENTS, find};
    use crate::config::server::listen;

    fn named(names: &[&str]) -> Vec<&'static Dialect> {
        names.iter().map(|name| DIALECTS.iter().find(|dialect| dialect.name == *name).unwrap()).collect()
    }

    fn reach() -> Reach {
        let listens = ["127.0.0.1:1", "https://127.0.0.1:3"].map(|text| listen(text).unwrap());
        let reach = Reach::new(&listens, Some(Setting::Text("s".to_owned())));
        Reach { thumbprint: Some("AB".to_owned()), ..reach }
    }

    fn printed(name: &str, asked: Option<&str>, variables: &[(&str, &str)]) -> String {
        let client = find(name).unwrap();
        let served: Vec<&Dialect> = DIALECTS.iter().collect();
        let asked = asked.map(|name| named(&[name])[0]);
        let spoken = dialect(client, asked, &served).unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        lines(client, spoken, &served, &reach(), Shell::Bash, &variables).join("\n")
    }

    #[test]
    fn a_client_gets_the_best_dialect_that_is_served() {
        let speaks = |name, asked: Option<&str>, served: &[&str]| {
            let found = dialect(find(name).unwrap(), asked.map(|name| named(&[name])[0]), &named(served));
            found.map(|dialect| dialect.map(|dialect| dialect.name)).map_err(|failure| failure.text)
        };
        assert_eq!(speaks("msal-python", None, &["native", "imds", "app-service"]), Ok(Some("app-service")));
        assert_eq!(speaks("msal-python", None, &["native", "imds"]), Ok(Some("imds")));
        assert_eq!(speaks("msal-python", Some("arc"), &["arc", "imds"]), Ok(Some("arc")));
        assert!(speaks("azidentity", None, &["imds"]).unwrap_err().contains("speaks app-service, arc"));
        assert!(speaks("azidentity", Some("imds"), &["imds"]).unwrap_err().contains("does not speak imds"));
        assert_eq!(speaks("terraform", None, &["imds"]), Ok(None));
        assert!(speaks("terraform", None, &["app-service"]).unwrap_err().contains("speaks imds, which is not served"));
        assert!(speaks("packer", Some("imds"), &["imds"]).unwrap_err().contains("leave --dialect out"));
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
        assert!(printed("packer", None, &[]).contains("# needs 169.254.169.254"));
        assert!(
            printed("google-auth", None, &[]).contains("http://127.0.0.1:1/metadata/identity/oauth2/token?api-version")
        );
        assert!(printed("azcopy", None, &[]).contains("export AZCOPY_AUTO_LOGIN_TYPE=MSI\n"));
    }

    #[test]
    fn both_spellings_of_no_proxy_are_set_where_both_are_read() {
        let text = printed("curl", None, &[("no_proxy", ".corp")]);
        assert!(text.contains("export no_proxy=127.0.0.1,localhost,169.254.169.254,.corp"), "{text}");
        assert!(!printed("curl", None, &[]).contains("no_proxy"));
    }
}
