//! The configuration that the `AZURE_*` variables amount to, when there is no file.

use std::collections::HashMap;

use config::FileFormat;
use serde_json::json;

use super::file::{FromVariable, Written, parse};
use super::mistake::Report;

/// Writes the configuration that the variables mean: one identity in one tenant, with one credential.
pub fn written(variables: HashMap<String, String>, report: &Report) -> Option<Written> {
    let get = |name: &str| variables.get(name).filter(|value| !value.is_empty());
    for (name, remedy) in [
        ("AZURE_CLIENT_ID", "set it to the application (client) id, or name a file with --config"),
        ("AZURE_TENANT_ID", "set it to the tenant's GUID or domain, or name a file with --config"),
    ] {
        if get(name).is_none() {
            report.note(name, "the variable is not set", remedy);
        }
    }
    let credentials: Vec<_> = CREDENTIALS
        .iter()
        .filter_map(|(name, kind, key)| {
            let value = get(name)?;
            let mut credential = json!({ "kind": kind, *key: if *key == "env" { *name } else { value.as_str() } });
            if *kind == "certificate" && get(PASSPHRASE).is_some() {
                credential["passphrase"] = json!({ "env": PASSPHRASE });
            }
            Some(credential)
        })
        .collect();
    if credentials.len() != 1 {
        let problem = if credentials.is_empty() {
            "none of the credential variables is set"
        } else {
            "several credential variables are set"
        };
        let names = CREDENTIALS.map(|(name, _, _)| name).join(", ");
        report.note("AZURE_CLIENT_SECRET", problem, format!("set exactly one of {names}"));
    }
    let tree = json!({
        "tenants": { "default": {
            "id": get("AZURE_TENANT_ID"),
            "authority": get("AZURE_AUTHORITY_HOST").map_or(PUBLIC, String::as_str).trim_end_matches('/'),
        } },
        "identities": { "default": {
            "tenants": ["default"],
            "client_id": get("AZURE_CLIENT_ID"),
            "default": true,
            "resources": ["*"],
            "credentials": credentials,
        } },
    });
    let file = CREDENTIALS.iter().find(|(name, _, key)| *key == "file" && get(name).is_some());
    let file = file.map(|(name, _, _)| ("identities.default.credentials[0].file", *name));
    let parts = WRITTEN_OF.into_iter().chain(file).chain(REST);
    let from_variables: Vec<FromVariable> = parts.map(|(path, name)| FromVariable::new(path, name)).collect();
    let base = std::path::PathBuf::new();
    let mut written = parse("the AZURE_* variables", &tree.to_string(), FileFormat::Json, base, variables, report)?;
    written.from_variables.extend(from_variables);
    Some(written)
}

/// Variable, kind of credential, and the key that takes its value.
const CREDENTIALS: [(&str, &str, &str); 3] = [
    ("AZURE_CLIENT_SECRET", "secret", "env"),
    ("AZURE_CLIENT_CERTIFICATE_PATH", "certificate", "file"),
    ("AZURE_FEDERATED_TOKEN_FILE", "assertion", "file"),
];

/// As the SDKs call it.
const PASSPHRASE: &str = "AZURE_CLIENT_CERTIFICATE_PASSWORD";

/// What is written of a variable.
const WRITTEN_OF: [(&str, &str); 4] = [
    ("tenants.default.id", "AZURE_TENANT_ID"),
    ("tenants.default.authority", "AZURE_AUTHORITY_HOST"),
    ("identities.default.client_id", "AZURE_CLIENT_ID"),
    ("identities.default.credentials[0].passphrase", PASSPHRASE),
];

/// What else is wrong with the credential.
const REST: [(&str, &str); 2] = [
    ("identities.default.credentials[0]", "AZURE_CLIENT_SECRET"),
    ("identities.default.credentials", "AZURE_CLIENT_SECRET"),
];

const PUBLIC: &str = "https://login.microsoftonline.com";
