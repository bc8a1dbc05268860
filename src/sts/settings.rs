//! What the STS knows: its applications and how long their tokens live.

mod file;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::app::{App, Tenants};
use super::error::Error;
use super::realm::Version;
use crate::name::{ClientId, Malformed, TenantId};
use crate::secret::Secret;

/// The settings of an STS.
///
/// The version of a token is the resource's to choose, whichever endpoint it is asked at. In Entra an
/// application that says nothing gets version 1, so that is the default here.
#[derive(Clone)]
pub struct Settings {
    pub(super) token_lifetime: Duration,
    pub(super) refresh_in: Option<Duration>,
    pub(super) version: Version,
    pub(super) versions: HashMap<String, Version>,
    pub(super) apps: Vec<App>,
}

impl Settings {
    /// Reads a TOML file; the paths in it are relative to it.
    ///
    /// # Errors
    /// [`Error::Settings`] with every mistake in it.
    pub fn read(path: &Path) -> Result<Self, Error> {
        file::read(path).map_err(Error::Settings)
    }

    /// The application of that client id.
    pub(super) fn app(&self, client_id: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.is(client_id))
    }

    /// Whether there is such a directory: some application must be known in it.
    pub(super) fn knows(&self, tenant: &str) -> bool {
        self.apps.iter().any(|app| app.tenants.contain(tenant))
    }

    /// The version of the tokens for a resource.
    pub(super) fn version_for(&self, resource: &str) -> Version {
        self.versions.get(resource).copied().unwrap_or(self.version)
    }

    /// A tenant to try first: one that the first application is known in.
    pub(super) fn first_tenant(&self) -> &str {
        match self.apps.first().map(|app| &app.tenants) {
            Some(Tenants::Listed(list)) => list.first().map_or(DEFAULT_TENANT, TenantId::as_str),
            _ => DEFAULT_TENANT,
        }
    }
}

/// One application that every tenant knows, with one secret.
impl Default for Settings {
    fn default() -> Self {
        Self {
            token_lifetime: DEFAULT_LIFETIME,
            refresh_in: None,
            version: Version::V1,
            versions: HashMap::new(),
            apps: default_app().into_iter().collect(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let apps: Vec<_> = self.apps.iter().map(|app| app.client_id.as_str()).collect();
        f.debug_struct("Settings")
            .field("token_lifetime", &self.token_lifetime)
            .field("apps", &apps)
            .finish_non_exhaustive()
    }
}

fn default_app() -> Result<App, Malformed> {
    Ok(App {
        client_id: ClientId::parse(DEFAULT_CLIENT_ID)?,
        object_id: Some(DEFAULT_OBJECT_ID.to_owned()),
        secrets: vec![Secret::from(DEFAULT_SECRET.to_owned())],
        certificates: Vec::new(),
        federated: Vec::new(),
        tenants: Tenants::Any,
        roles: Vec::new(),
    })
}

const DEFAULT_LIFETIME: Duration = Duration::from_hours(1);
const DEFAULT_TENANT: &str = "b0b00000-0000-4000-8000-000000000001";
const DEFAULT_CLIENT_ID: &str = "b0b00000-0000-4000-8000-000000000002";
/// The service principal of the default application, in every tenant.
pub const DEFAULT_OBJECT_ID: &str = "b0b00000-0000-4000-8000-000000000003";
/// No secret at all: it opens nothing but this emulator, and the documentation prints it.
const DEFAULT_SECRET: &str = "bursar-dev-secret";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_app_is_there_and_does_not_print_its_secret() {
        let settings = Settings::default();
        assert!(settings.app(DEFAULT_CLIENT_ID).unwrap().has_secret(DEFAULT_SECRET));
        assert!(settings.knows(DEFAULT_TENANT));
        assert!(!format!("{settings:?}").contains(DEFAULT_SECRET));
    }
}
