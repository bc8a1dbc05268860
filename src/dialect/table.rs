//! The dialects that Bursar speaks, one row each.

use super::{Dialect, Envelope, Export, Guard, Method, Version};

/// Every dialect. Routes, `bursar env`, the documentation and the tests go through this list.
pub const DIALECTS: &[Dialect] = &[NATIVE, APP_SERVICE, APP_SERVICE_2017, IMDS, CLOUD_SHELL, ARC, SERVICE_FABRIC];

/// The names of all dialects, for the configuration.
pub fn names() -> impl Iterator<Item = &'static str> {
    DIALECTS.iter().map(|dialect| dialect.name)
}

/// Bursar's own: shaped like VM IMDS, and takes an identity by name and a tenant.
pub const NATIVE: Dialect = Dialect {
    name: "native",
    is_default: true,
    paths: &["/token"],
    methods: &[Method::Get],
    needs_tls: false,
    guard: Guard::Metadata,
    version: Version::Optional,
    envelope: Envelope::OAuth,
    is_native: true,
    has_pages: false,
    exports: &[],
};

/// The instance metadata service of a virtual machine
/// (<https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>).
pub const IMDS: Dialect = Dialect {
    name: "imds",
    paths: &["/metadata/identity/oauth2/token"],
    version: Version::From("2018-02-01"),
    is_native: false,
    has_pages: true,
    exports: &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", Export::Base)],
    ..NATIVE
};

/// App Service, Functions and Container Apps; the one contract that every SDK can be pointed at
/// (<https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference>).
const APP_SERVICE: Dialect = Dialect {
    name: "app-service",
    paths: &["/msi/token"],
    guard: Guard::HeaderSecret("x-identity-header"),
    version: Version::From("2019-08-01"),
    envelope: Envelope::Union,
    is_native: false,
    exports: &[("IDENTITY_ENDPOINT", Export::Endpoint), ("IDENTITY_HEADER", Export::HeaderSecret)],
    ..NATIVE
};

/// App Service before 2019, and Azure Machine Learning still.
const APP_SERVICE_2017: Dialect = Dialect {
    name: "app-service-2017",
    is_default: false,
    guard: Guard::HeaderSecret("secret"),
    version: Version::Only("2017-09-01"),
    envelope: Envelope::Pascal,
    exports: &[("MSI_ENDPOINT", Export::Endpoint), ("MSI_SECRET", Export::HeaderSecret)],
    ..APP_SERVICE
};

/// Azure Cloud Shell. Its path is the SDKs' own; go-autorest posts to the path of IMDS, and MSAL for Java sends a GET.
const CLOUD_SHELL: Dialect = Dialect {
    name: "cloud-shell",
    is_default: false,
    paths: &["/oauth2/token", "/metadata/identity/oauth2/token"],
    methods: &[Method::Get, Method::Post],
    envelope: Envelope::Nested,
    is_native: false,
    exports: &[("MSI_ENDPOINT", Export::Endpoint)],
    ..NATIVE
};

/// Machines that Azure Arc manages
/// (<https://learn.microsoft.com/azure/azure-arc/servers/managed-identity-authentication>).
const ARC: Dialect = Dialect {
    name: "arc",
    is_default: false,
    paths: &["/arc/token"],
    guard: Guard::KeyFile,
    version: Version::From("2019-08-15"),
    is_native: false,
    exports: &[("IDENTITY_ENDPOINT", Export::Endpoint), ("IMDS_ENDPOINT", Export::Base)],
    ..NATIVE
};

/// Service Fabric, whose clients pin the certificate of its endpoint
/// (<https://learn.microsoft.com/azure/service-fabric/how-to-managed-identity-service-fabric-app-code>).
const SERVICE_FABRIC: Dialect = Dialect {
    name: "service-fabric",
    is_default: false,
    paths: &["/fabric/token"],
    needs_tls: true,
    guard: Guard::HeaderSecret("secret"),
    version: Version::From("2019-07-01-preview"),
    envelope: Envelope::Nested,
    is_native: false,
    exports: &[
        ("IDENTITY_ENDPOINT", Export::Endpoint),
        ("IDENTITY_HEADER", Export::HeaderSecret),
        ("IDENTITY_SERVER_THUMBPRINT", Export::Thumbprint),
    ],
    ..NATIVE
};
