//! The settings as they are written, and how they become true.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Config, ConfigError, File, FileFormat};
use jiff::SignedDuration;
use jsonwebtoken::jwk::JwkSet;
use serde::Deserialize;

use super::super::app::{App, Tenants};
use super::super::certificate::Certificate;
use super::super::error::Mistake;
use super::super::federation::{Federation, Issuer};
use super::super::realm::Version;
use super::{DEFAULT_LIFETIME, Settings};
use crate::name::{ClientId, TenantId, is_guid};
use crate::secret::Secret;

/// Reads the file and tells every mistake in it.
pub(super) fn read(path: &Path) -> Result<Settings, Vec<Mistake>> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| {
        let problem = format!("cannot be read ({})", error.kind());
        vec![Mistake::new(&shown, problem, "name a file that can be read")]
    })?;
    let written = parse(&text).map_err(|error| vec![syntax_mistake(&shown, &error)])?;
    let mut reader =
        Reader { dir: path.parent().map(Path::to_path_buf).unwrap_or_default(), file: shown, mistakes: Vec::new() };
    let settings = reader.settings(written);
    if reader.mistakes.is_empty() {
        return Ok(settings);
    }
    Err(reader.mistakes)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    token_lifetime: Option<String>,
    refresh_in: Option<String>,
    token_version: Option<i64>,
    #[serde(default)]
    versions: HashMap<String, i64>,
    #[serde(default)]
    apps: Vec<WrittenApp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenApp {
    client_id: String,
    object_id: Option<String>,
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    certificates: Vec<PathBuf>,
    #[serde(default)]
    federated: Vec<WrittenFederation>,
    #[serde(default = "every_tenant")]
    tenants: Vec<String>,
    #[serde(default)]
    roles: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFederation {
    issuer: Option<String>,
    subject: String,
    #[serde(default = "exchange_audience")]
    audience: String,
    jwks_file: Option<PathBuf>,
}

/// Turns what is written into what is true, and collects what cannot be.
struct Reader {
    file: String,
    dir: PathBuf,
    mistakes: Vec<Mistake>,
}

impl Reader {
    fn settings(&mut self, written: Written) -> Settings {
        let lifetime = written.token_lifetime.map(|text| self.duration("token_lifetime", &text));
        let version = written.token_version.map(|number| self.version("token_version", number));
        let refresh_in = written.refresh_in.map(|text| self.duration("refresh_in", &text));
        let versions = written.versions.into_iter().map(|(resource, number)| {
            let version = self.version(&format!("versions.\"{resource}\""), number);
            (resource, version)
        });
        Settings {
            versions: versions.collect(),
            token_lifetime: lifetime.unwrap_or(DEFAULT_LIFETIME),
            refresh_in,
            version: version.unwrap_or(Version::V1),
            apps: self.apps(written.apps),
        }
    }

    fn apps(&mut self, written: Vec<WrittenApp>) -> Vec<App> {
        let mut apps: Vec<App> = Vec::new();
        for (index, written) in written.into_iter().enumerate() {
            let key = format!("apps[{index}]");
            if apps.iter().any(|app| app.is(&written.client_id)) {
                self.mistake(&format!("{key}.client_id"), "is that of another app", "give each app its own");
            }
            apps.extend(self.app(&key, written));
        }
        if apps.is_empty() && self.mistakes.is_empty() {
            self.mistake("apps", "is empty", "list at least one app");
        }
        apps
    }

    fn app(&mut self, key: &str, written: WrittenApp) -> Option<App> {
        let client_id = ClientId::parse(&written.client_id);
        if let Err(malformed) = &client_id {
            self.mistake(&format!("{key}.client_id"), &malformed.to_string(), "correct it");
        }
        if written.object_id.as_deref().is_some_and(|id| !is_guid(id)) {
            self.mistake(&format!("{key}.object_id"), "is no GUID", "correct it or leave it out");
        }
        if written.secrets.iter().any(String::is_empty) {
            self.mistake(&format!("{key}.secrets"), "has an empty secret", "remove it");
        }
        Some(App {
            certificates: self.certificates(key, written.certificates),
            federated: self.federated(key, written.federated),
            tenants: self.tenants(key, &written.tenants),
            client_id: client_id.ok()?,
            object_id: written.object_id,
            secrets: written.secrets.into_iter().map(Secret::from).collect(),
            roles: written.roles,
        })
    }

    fn certificates(&mut self, key: &str, files: Vec<PathBuf>) -> Vec<Certificate> {
        let read = files.into_iter().enumerate().filter_map(|(index, file)| {
            let key = format!("{key}.certificates[{index}]");
            let certificate = Certificate::from_pem(&self.bytes(&key, &file)?);
            self.kept(&key, certificate, "name a PEM file with the app's public certificate")
        });
        read.collect()
    }

    fn federated(&mut self, key: &str, written: Vec<WrittenFederation>) -> Vec<Federation> {
        let read = written.into_iter().enumerate().filter_map(|(index, written)| {
            let key = format!("{key}.federated[{index}].jwks_file");
            let issuer = self.issuer(&key, written.issuer, written.jwks_file)?;
            Some(Federation { issuer, subject: written.subject, audience: written.audience })
        });
        read.collect()
    }

    /// Without a name and a file it is the STS itself.
    fn issuer(&mut self, key: &str, name: Option<String>, file: Option<PathBuf>) -> Option<Issuer> {
        let (name, file) = match (name, file) {
            (Some(name), Some(file)) => (name, file),
            (None, None) => return Some(Issuer::Own),
            (Some(_), None) => {
                self.mistake(key, "is missing", "name a file with the issuer's public keys");
                return None;
            }
            (None, Some(_)) => {
                self.mistake(key, "stands there without an 'issuer'", "give both, or neither for the STS itself");
                return None;
            }
        };
        let json = self.bytes(key, &file)?;
        let keys = serde_json::from_slice::<JwkSet>(&json).map_err(|_| "is no JSON Web Key Set");
        Some(Issuer::Foreign(name, self.kept(key, keys, "name a file with the issuer's public keys")?))
    }

    fn tenants(&mut self, key: &str, written: &[String]) -> Tenants {
        if written.iter().any(|tenant| tenant == "*") {
            return Tenants::Any;
        }
        let read = written.iter().enumerate().filter_map(|(index, tenant)| {
            let guid = TenantId::parse(tenant).ok().filter(|_| is_guid(tenant));
            let key = format!("{key}.tenants[{index}]");
            self.kept(&key, guid.ok_or("is no GUID"), "write a GUID, or \"*\" for all of them")
        });
        Tenants::Listed(read.collect())
    }

    fn duration(&mut self, key: &str, text: &str) -> Duration {
        let read = text.parse::<SignedDuration>().ok();
        let whole = read.and_then(|duration| Duration::try_from(duration).ok());
        let positive = whole.filter(|duration| duration.as_secs() > 0);
        let read = positive.ok_or("is no duration of a second or more");
        self.kept(key, read, "write one such as \"90s\" or \"1h\"").unwrap_or_default()
    }

    fn version(&mut self, key: &str, number: i64) -> Version {
        let read = match number {
            1 => Ok(Version::V1),
            2 => Ok(Version::V2),
            _ => Err("is no version of a token"),
        };
        self.kept(key, read, "write 1 or 2").unwrap_or(Version::V1)
    }

    fn bytes(&mut self, key: &str, file: &Path) -> Option<Vec<u8>> {
        let path = self.dir.join(file);
        let read = fs::read(&path).map_err(|error| format!("{} cannot be read ({})", path.display(), error.kind()));
        self.kept(key, read, "name a file that can be read")
    }

    fn kept<T>(&mut self, key: &str, read: Result<T, impl ToString>, remedy: &str) -> Option<T> {
        read.map_err(|problem| self.mistake(key, &problem.to_string(), remedy)).ok()
    }

    fn mistake(&mut self, key: &str, problem: &str, remedy: &str) {
        self.mistakes.push(Mistake::new(format!("{}: {key}", self.file), problem, remedy));
    }
}

fn parse(text: &str) -> Result<Written, ConfigError> {
    Config::builder().add_source(File::from_str(text, FileFormat::Toml)).build()?.try_deserialize()
}

/// The mistake behind an error of the parser, without the values and source lines that the parser quotes.
fn syntax_mistake(file: &str, error: &ConfigError) -> Mistake {
    let (key, problem) = located(error);
    // The parser leaves out the dot behind an index.
    let dotted = |key: &str| key.replace(']', "].").trim_end_matches('.').replace("..", ".");
    let path = key.map_or_else(|| file.to_owned(), |key| format!("{file}: {}", dotted(key)));
    Mistake::new(path, problem, "docs/sts.md has every setting")
}

fn located(error: &ConfigError) -> (Option<&str>, String) {
    match error {
        ConfigError::At { error, key, .. } => {
            let (inner, problem) = located(error);
            (key.as_deref().or(inner), problem)
        }
        ConfigError::Type { expected, key, .. } => (key.as_deref(), format!("is not {expected}")),
        ConfigError::FileParse { cause, .. } => {
            let text = cause.to_string();
            let place = text.lines().next().unwrap_or_default().trim();
            (None, format!("is no TOML ({place})"))
        }
        ConfigError::Message(text) if text.starts_with("unknown field") || text.starts_with("missing field") => {
            (None, format!("has an {text}").replace("an missing", "a missing"))
        }
        ConfigError::NotFound(key) => (Some(key), "is missing".to_owned()),
        _ => (None, "has a value of the wrong kind".to_owned()),
    }
}

fn every_tenant() -> Vec<String> {
    vec!["*".to_owned()]
}

fn exchange_audience() -> String {
    "api://AzureADTokenExchange".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sts.toml");
        fs::write(&path, text).unwrap();
        let found = read(&path).err().unwrap_or_default();
        found.iter().map(|mistake| mistake.to_string().replace(path.to_str().unwrap(), "F")).collect()
    }

    #[test]
    fn a_whole_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("jwks.json"), r#"{"keys":[]}"#).unwrap();
        let path = dir.path().join("sts.toml");
        fs::write(
            &path,
            r#"
            token_lifetime = "2h"
            refresh_in = "30m"
            token_version = 2
            versions = { "https://vault.azure.net" = 1 }
            [[apps]]
            client_id = "app"
            secrets = ["one", "two"]
            federated = [{ issuer = "i", subject = "s", jwks_file = "jwks.json" }]
            tenants = ["72F988BF-86f1-41af-91ab-2d7cd011db47"]
            roles = ["Reader"]
            "#,
        )
        .unwrap();
        let settings = read(&path).unwrap();
        let app = settings.app("APP").unwrap();
        assert!(app.has_secret("two") && !app.has_secret("three"));
        assert_eq!(app.federated[0].audience, "api://AzureADTokenExchange");
        assert_eq!(settings.first_tenant(), "72f988bf-86f1-41af-91ab-2d7cd011db47");
        assert_eq!(settings.version_for("https://vault.azure.net"), Version::V1);
        assert_eq!(settings.version_for("api://x"), Version::V2);
        assert_eq!(settings.token_lifetime, Duration::from_hours(2));
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let told = mistakes(
            r#"
            token_lifetime = "soon"
            token_version = 3
            [[apps]]
            client_id = "a b"
            object_id = "x"
            secrets = [""]
            certificates = ["none.pem"]
            tenants = ["contoso.com"]
            "#,
        );
        let keys: Vec<_> =
            told.iter().filter_map(|line| line.strip_prefix("F: ")?.split_once(':').map(|(key, _)| key)).collect();
        assert_eq!(
            keys,
            [
                "token_lifetime",
                "token_version",
                "apps[0].client_id",
                "apps[0].object_id",
                "apps[0].secrets",
                "apps[0].certificates[0]",
                "apps[0].tenants[0]"
            ]
        );
    }

    #[test]
    fn no_mistake_echoes_a_value() {
        for text in [
            "[[apps]]\nclient_id = \"a\"\nsecrets = \"hunter2\"",
            "[[apps]]\nclient_id = \"a\"\nsecrets = { hunter2 = 1 }",
            "[[apps]]\nclient_id = \"a\"\nsecrets = [[\"hunter2\"]]",
            "[[apps]]\nclient_id = \"a\"\nsecrets = [\"hunter2\" \"hunter2\"]",
            "token_version = \"hunter2\"",
            "apps = \"hunter2\"",
            "token_lifetime = \"hunter2\"",
        ] {
            let told = mistakes(text);
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(!told[0].contains("hunter2"), "{told:?}");
        }
    }

    #[test]
    fn an_unknown_key_and_an_absent_file_are_mistakes() {
        let unknown = &mistakes("tokens = 1")[0];
        assert!(unknown.contains("unknown field `tokens`") && unknown.contains("docs/sts.md"), "{unknown}");
        assert!(mistakes("[[apps]]\nsecrets = []")[0].starts_with("F: apps[0].client_id: is missing"));
        assert!(mistakes("")[0].contains("apps: is empty"));
        let absent = read(Path::new("absent.toml")).err().unwrap();
        assert!(absent[0].problem.contains("cannot be read"));
    }
}
