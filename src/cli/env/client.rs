//! The clients that are known, and how each is pointed at a service: all that is peculiar to one is in its row.

/// A client.
#[derive(Debug)]
pub struct Client {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// The dialects whose variables it reads, the best first. One that reads none speaks IMDS, where its own
    /// variables, its configuration or nobody says.
    pub dialects: &'static [&'static str],
    /// Variables of its own.
    pub own: &'static [(&'static str, Own)],
    /// What else it prefers while it is set.
    pub rivals: &'static [&'static str],
    /// What has to be known beside the variables.
    pub notes: &'static [Note],
}

/// One line that a person has to know; [`IMDS_URL`] stands for the URL of the tokens of IMDS.
#[derive(Clone, Copy, Debug)]
pub enum Note {
    /// Whatever the client speaks.
    Always(&'static str),
    /// When it speaks this dialect.
    In(&'static str, &'static str),
}

impl Note {
    /// What is to be known by a client that speaks `dialect`, if anything.
    #[must_use]
    pub fn text(self, dialect: Option<&str>) -> Option<&'static str> {
        match self {
            Self::Always(text) => Some(text),
            Self::In(name, text) => Some(text).filter(|_| dialect == Some(name)),
        }
    }
}

/// What a client's own variable holds.
#[derive(Clone, Copy, Debug)]
pub enum Own {
    /// The URL of the tokens of IMDS.
    Endpoint,
    /// This text.
    Text(&'static str),
}

/// The client of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Client> {
    CLIENTS.iter().find(|client| client.name == name)
}

/// One line for each client.
#[must_use]
pub fn list() -> String {
    CLIENTS.iter().map(|client| format!("{:<24}{}\n", client.name, client.title)).collect()
}

/// What the URL of IMDS stands for in a note.
pub const IMDS_URL: &str = "@imds@";
/// Workload identity and the chain of `DefaultAzureCredential`, where they come before a managed identity. A stray
/// `AZURE_CLIENT_ID` stays: it chooses the identity.
const OF_AZURE_IDENTITY: &[&str] = &[
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_USERNAME",
    "AZURE_PASSWORD",
    "AZURE_TOKEN_CREDENTIALS",
];
const CLIENT_ID: Note =
    Note::Always("DefaultAzureCredential takes AZURE_CLIENT_ID for the client id of the identity to use");
const TRUST_OF_NODE: Note = Note::In(
    "service-fabric",
    "it does not go by the thumbprint: NODE_EXTRA_CA_CERTS has to name a PEM file with the certificate that is shown there",
);
const TRUST_OF_JAVA: Note = Note::In(
    "service-fabric",
    "it does not go by the thumbprint: the JVM's trust store has to hold the certificate that is shown there",
);
const KEY_FILES: Note = Note::In(
    "arc",
    "it takes key files in /var/opt/azcmagent/tokens alone, and has to be on this machine and allowed to read them",
);
const LINK_LOCAL: Note = Note::Always(
    "needs 169.254.169.254: it reads no variables, so port 80 of that address has to lead to a listener of Bursar (an address on lo, a redirection, a network namespace)",
);

/// Every client that is known.
pub const CLIENTS: &[Client] = &[
    Client {
        name: "azure-identity-python",
        title: "azure-identity for Python, also async",
        dialects: &["app-service", "imds", "arc", "cloud-shell", "app-service-2017", "service-fabric"],
        own: &[],
        rivals: OF_AZURE_IDENTITY,
        notes: &[KEY_FILES, CLIENT_ID],
    },
    Client {
        name: "azure-identity-node",
        title: "@azure/identity for Node",
        dialects: &["app-service", "imds", "arc", "cloud-shell", "app-service-2017", "service-fabric"],
        own: &[],
        rivals: OF_AZURE_IDENTITY,
        notes: &[KEY_FILES, CLIENT_ID, TRUST_OF_NODE],
    },
    Client {
        name: "azure-identity-java",
        title: "azure-identity for Java",
        dialects: &["app-service", "imds", "arc", "cloud-shell", "service-fabric"],
        own: &[],
        rivals: OF_AZURE_IDENTITY,
        notes: &[KEY_FILES, CLIENT_ID, TRUST_OF_JAVA],
    },
    Client {
        name: "azure-identity-dotnet",
        title: "Azure.Identity for .NET",
        dialects: &["app-service", "imds", "arc", "cloud-shell", "app-service-2017", "service-fabric"],
        own: &[],
        rivals: OF_AZURE_IDENTITY,
        notes: &[
            KEY_FILES,
            CLIENT_ID,
            Note::Always(
                "with --dialect imds use ManagedIdentityCredential: DefaultAzureCredential probes for the real address",
            ),
        ],
    },
    Client {
        name: "azure-identity-cpp",
        title: "Azure.Identity for C++",
        dialects: &["app-service", "imds", "arc", "cloud-shell", "app-service-2017"],
        own: &[],
        rivals: OF_AZURE_IDENTITY,
        notes: &[KEY_FILES],
    },
    Client {
        name: "azure-identity-rust",
        title: "azure_identity for Rust",
        dialects: &["app-service"],
        own: &[],
        rivals: &[],
        notes: &[Note::Always(
            "an identity is chosen by client id or object id; by resource id only at 169.254.169.254",
        )],
    },
    Client {
        name: "azidentity",
        title: "azidentity for Go, and what is built on it",
        dialects: &["app-service", "arc", "cloud-shell", "app-service-2017", "service-fabric"],
        own: &[],
        rivals: OF_AZURE_IDENTITY,
        notes: &[KEY_FILES, CLIENT_ID, Note::Always("IMDS is asked at 169.254.169.254 alone")],
    },
    Client {
        name: "msal-python",
        title: "ManagedIdentityClient of MSAL for Python",
        dialects: &["app-service", "imds", "arc", "app-service-2017", "service-fabric"],
        own: &[],
        rivals: &[],
        notes: &[KEY_FILES],
    },
    Client {
        name: "msal-node",
        title: "ManagedIdentityApplication of @azure/msal-node",
        dialects: &["app-service", "imds", "arc", "cloud-shell", "app-service-2017", "service-fabric"],
        own: &[],
        rivals: &[],
        notes: &[KEY_FILES, Note::Always("it looks at the variables once in the life of a process"), TRUST_OF_NODE],
    },
    Client {
        name: "msal-go",
        title: "managedidentity of MSAL for Go",
        dialects: &["app-service", "arc", "cloud-shell", "app-service-2017", "service-fabric"],
        own: &[],
        rivals: &[],
        notes: &[KEY_FILES, Note::Always("IMDS is asked at 169.254.169.254 alone")],
    },
    Client {
        name: "msal-java",
        title: "ManagedIdentityApplication of MSAL4J",
        dialects: &["app-service", "imds", "arc", "cloud-shell", "service-fabric"],
        own: &[],
        rivals: &[],
        notes: &[KEY_FILES, TRUST_OF_JAVA],
    },
    Client {
        name: "msal-dotnet",
        title: "ManagedIdentityApplication of MSAL.NET",
        dialects: &["app-service", "imds", "arc", "cloud-shell", "app-service-2017", "service-fabric"],
        own: &[],
        rivals: &[],
        notes: &[KEY_FILES],
    },
    Client {
        name: "azure-cli",
        title: "az, from version 2.74",
        dialects: &["app-service", "imds", "arc"],
        own: &[],
        rivals: &[],
        notes: &[KEY_FILES, Note::Always("then: az login --identity [--client-id ID] [--allow-no-subscriptions]")],
    },
    Client {
        name: "azcopy",
        title: "azcopy",
        dialects: &["app-service"],
        own: &[("AZCOPY_AUTO_LOGIN_TYPE", Own::Text("MSI"))],
        rivals: &[],
        notes: &[Note::Always("set AZCOPY_MSI_CLIENT_ID for another identity than the default one")],
    },
    Client {
        name: "kubelogin",
        title: "kubelogin -l msi",
        dialects: &["app-service"],
        own: &[],
        rivals: &[],
        notes: &[Note::Always("then: kubelogin get-token -l msi --server-id ID [--client-id ID]")],
    },
    Client {
        name: "go-autorest",
        title: "programs with go-autorest",
        dialects: &["cloud-shell"],
        own: &[],
        rivals: &[],
        notes: &[],
    },
    Client {
        name: "terraform",
        title: "Terraform's azurerm and azuread",
        dialects: &[],
        own: &[("ARM_USE_MSI", Own::Text("true")), ("ARM_MSI_ENDPOINT", Own::Endpoint)],
        rivals: &[
            "ARM_CLIENT_SECRET",
            "ARM_CLIENT_SECRET_FILE_PATH",
            "ARM_CLIENT_CERTIFICATE",
            "ARM_CLIENT_CERTIFICATE_PATH",
            "ARM_USE_OIDC",
            "ARM_OIDC_TOKEN",
            "ARM_OIDC_TOKEN_FILE_PATH",
            "ARM_OIDC_REQUEST_TOKEN",
            "ARM_OIDC_REQUEST_URL",
            "ARM_OIDC_AZURE_SERVICE_CONNECTION_ID",
            "ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID",
            "ARM_USE_AKS_WORKLOAD_IDENTITY",
        ],
        notes: &[Note::Always(
            "set ARM_TENANT_ID and ARM_SUBSCRIPTION_ID, and ARM_CLIENT_ID for another identity than the default one",
        )],
    },
    Client {
        name: "packer",
        title: "Packer's azure plugin",
        dialects: &[],
        own: &[],
        rivals: &[],
        notes: &[
            LINK_LOCAL,
            Note::Always("it reads subscriptionId and resourceGroupName from the file that 'metadata.file' names"),
        ],
    },
    Client {
        name: "vault-agent",
        title: "auto-auth azure of the Vault agent",
        dialects: &[],
        own: &[],
        rivals: &[],
        notes: &[
            LINK_LOCAL,
            Note::Always("it sends what the file that 'metadata.file' names says of the machine to Vault"),
        ],
    },
    Client {
        name: "google-auth",
        title: "Google's external_account credentials",
        dialects: &[],
        own: &[],
        rivals: &[],
        notes: &[
            Note::Always("in the credential configuration, credential_source is"),
            Note::Always(
                r#"{"url": "@imds@?api-version=2018-02-01&resource=APP_ID_URI", "headers": {"Metadata": "True"}, "format": {"type": "json", "subject_token_field_name": "access_token"}}"#,
            ),
        ],
    },
    Client {
        name: "curl",
        title: "curl and scripts",
        dialects: &["app-service", "imds", "arc", "cloud-shell", "app-service-2017", "service-fabric"],
        own: &[],
        rivals: &[],
        notes: &[
            Note::In(
                "app-service",
                r#"then: curl -sS -H "X-IDENTITY-HEADER: $IDENTITY_HEADER" "$IDENTITY_ENDPOINT?api-version=2019-08-01&resource=https://vault.azure.net""#,
            ),
            Note::In(
                "app-service",
                "or: curl -sS -H 'Metadata: true' '@imds@?api-version=2018-02-01&resource=https://vault.azure.net'",
            ),
            Note::In(
                "imds",
                "then: curl -sS -H 'Metadata: true' '@imds@?api-version=2018-02-01&resource=https://vault.azure.net'",
            ),
            Note::In(
                "arc",
                r#"then: curl -sS -i -H 'Metadata: true' "$IDENTITY_ENDPOINT?api-version=2020-06-01&resource=https://vault.azure.net", and the same with -H "Authorization: Basic $(cat FILE)" for the FILE that was answered"#,
            ),
            Note::In(
                "cloud-shell",
                r#"then: curl -sS -H 'Metadata: true' -d resource=https://vault.azure.net "$MSI_ENDPOINT""#,
            ),
            Note::In(
                "app-service-2017",
                r#"then: curl -sS -H "secret: $MSI_SECRET" "$MSI_ENDPOINT?api-version=2017-09-01&resource=https://vault.azure.net""#,
            ),
            Note::In(
                "service-fabric",
                r#"then: curl -sS --cacert FILE -H "secret: $IDENTITY_HEADER" "$IDENTITY_ENDPOINT?api-version=2019-07-01-preview&resource=https://vault.azure.net", with the certificate in FILE"#,
            ),
        ],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::dialect::table::DIALECTS;

    #[test]
    fn every_row_is_of_this_house() {
        let mut names = HashSet::new();
        for client in CLIENTS {
            assert!(names.insert(client.name) && client.name != "list", "{} is there twice", client.name);
            for name in client.dialects {
                let dialect = DIALECTS.iter().find(|dialect| dialect.name == *name);
                assert!(dialect.is_some_and(|dialect| !dialect.exports.is_empty()), "{}: {name}", client.name);
            }
            let set: HashSet<&str> = client.own.iter().map(|(name, _)| *name).collect();
            assert!(client.rivals.iter().all(|rival| !set.contains(rival)), "{} sets its own rival", client.name);
            for note in client.notes {
                let (dialect, text) = match note {
                    Note::Always(text) => (None, text),
                    Note::In(dialect, text) => (Some(dialect), text),
                };
                assert!(dialect.is_none_or(|name| client.dialects.contains(name)), "{}: {dialect:?}", client.name);
                assert!(!text.contains('\n'), "{}: a note is one line", client.name);
            }
            assert_eq!(find(client.name).unwrap().title, client.title);
            assert!(list().contains(client.title), "{} is not listed", client.name);
        }
        assert!(find("nobody").is_none());
        assert_eq!(list().lines().count(), CLIENTS.len());
    }

    #[test]
    fn what_every_sdk_can_be_pointed_at_comes_first() {
        for client in CLIENTS.iter().filter(|client| client.dialects.len() > 1) {
            assert_eq!(client.dialects[0], "app-service", "{}", client.name);
        }
    }
}
