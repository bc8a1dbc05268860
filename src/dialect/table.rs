//! The dialects that Bursar speaks, one row each.

use super::{Dialect, Envelope, Export, Guard, Version};

/// Every dialect. Routes, `bursar env` and the tests go through this list.
pub const DIALECTS: &[Dialect] = &[NATIVE, APP_SERVICE, IMDS];

/// The names of all dialects, for the configuration.
pub fn names() -> impl Iterator<Item = &'static str> {
    DIALECTS.iter().map(|dialect| dialect.name)
}

/// Bursar's own: shaped like VM IMDS, and takes an identity by name and a tenant.
pub const NATIVE: Dialect = Dialect {
    name: "native",
    path: "/token",
    guard: Guard::Metadata,
    version: Version::Optional,
    envelope: Envelope::OAuth,
    is_native: true,
    exports: &[],
};

/// The instance metadata service of a virtual machine
/// (<https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>).
const IMDS: Dialect = Dialect {
    name: "imds",
    path: "/metadata/identity/oauth2/token",
    guard: Guard::Metadata,
    version: Version::From("2018-02-01"),
    envelope: Envelope::OAuth,
    is_native: false,
    exports: &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", Export::Base)],
};

/// App Service, Functions and Container Apps; the one contract that every SDK can be pointed at
/// (<https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference>).
const APP_SERVICE: Dialect = Dialect {
    name: "app-service",
    path: "/msi/token",
    guard: Guard::HeaderSecret("x-identity-header"),
    version: Version::From("2019-08-01"),
    envelope: Envelope::Union,
    is_native: false,
    exports: &[("IDENTITY_ENDPOINT", Export::Endpoint), ("IDENTITY_HEADER", Export::HeaderSecret)],
};
