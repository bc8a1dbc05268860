//! What a program needs to know to use a running STS.

use std::path::PathBuf;

use serde::{Serialize, Serializer};

use super::settings::Settings;
use crate::secret::Secret;

/// Where the STS is, and an application to try it with. As JSON it is one line for whoever started the STS.
#[derive(Clone, Debug, Serialize)]
pub struct Announcement {
    /// The base URL.
    pub authority: String,
    /// A tenant in which the application is known.
    pub tenant: String,
    /// The first application.
    pub client_id: Option<String>,
    /// Its first secret, if it has any.
    #[serde(serialize_with = "exposed")]
    pub client_secret: Option<Secret>,
    /// The certificate to trust, when the STS serves https.
    pub ca_file: Option<PathBuf>,
}

impl Announcement {
    pub(super) fn new(authority: String, settings: &Settings, ca_file: Option<PathBuf>) -> Self {
        let app = settings.apps.first();
        Self {
            authority,
            tenant: settings.first_tenant().to_owned(),
            client_id: app.map(|app| app.client_id.as_str().to_owned()),
            client_secret: app.and_then(|app| app.secrets.first().cloned()),
            ca_file,
        }
    }
}

/// The one purpose of the line is to hand this secret over; it opens nothing but the emulator.
fn exposed<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_the_secret_and_debug_has_not() {
        let announcement = Announcement::new("http://127.0.0.1:1".to_owned(), &Settings::default(), None);
        assert_eq!(
            serde_json::to_string(&announcement).unwrap(),
            r#"{"authority":"http://127.0.0.1:1","tenant":"b0b00000-0000-4000-8000-000000000001","client_id":"b0b00000-0000-4000-8000-000000000002","client_secret":"bursar-dev-secret","ca_file":null}"#
        );
        assert!(!format!("{announcement:?}").contains("bursar-dev-secret"));
    }
}
