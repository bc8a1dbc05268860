//! How the tokens of each source are come by: what of a configuration makes a token another one.
//!
//! That is who issues, for which application, with which further parameters, and what proves the application, as it is
//! configured. What a file holds is not, since its credential is replaced in place; nor is how an authority is reached.

use std::collections::HashMap;

use crate::config::application::Application;
use crate::config::identity::Identity;
use crate::config::tenant::Tenant;
use crate::name::Name;
use crate::source::host::{Endpoint, HostId};
use crate::token::Descent;

/// The descents of a configuration's identities.
pub(super) struct Descents<'a> {
    identities: HashMap<&'a Name, &'a Identity>,
    /// What is the same in all tenants of an identity.
    own: HashMap<&'a Name, Descent>,
}

impl<'a> Descents<'a> {
    pub(super) fn of(identities: &'a [Identity]) -> Self {
        let named = identities.iter().map(|identity| (&identity.rules.name, identity)).collect();
        let mut descents = Self { identities: named, own: HashMap::new() };
        for identity in identities {
            descents.own(&identity.rules.name);
        }
        descents
    }

    /// That of the tokens of an identity in one tenant, or where the tenant is a pattern, in any that a caller names.
    pub(super) fn in_tenant(&self, identity: &Name, tenant: &Tenant) -> Descent {
        let own = self.own.get(identity).copied().unwrap_or_default();
        Descent::of([&own.bytes()[..], &in_tenant(tenant).bytes()])
    }

    /// That of what the host mints.
    pub(super) fn of_host(identity: &Name, selector: Option<&HostId>, endpoint: &Endpoint) -> Descent {
        let (parameter, id) = selector.map_or(("", ""), |selector| (selector.parameter, selector.id.as_str()));
        let parts = ["host", identity.as_str(), parameter, id, endpoint.address.url.as_str()];
        Descent::of(parts.map(str::as_bytes))
    }

    fn own(&mut self, name: &'a Name) -> Descent {
        if let Some(known) = self.own.get(name) {
            return *known;
        }
        // The configuration has no circle of identities that vouch; this ends one all the same.
        self.own.insert(name, Descent::default());
        let identity = self.identities.get(name).copied();
        let own = identity.map(|identity| match identity.application() {
            Some(application) => self.of_application(identity, application),
            // What the host mints for it has a descent of its own.
            None => Descent::of([name.as_str().as_bytes(), identity.rules.client_id.as_str().as_bytes()]),
        });
        let own = own.unwrap_or_default();
        self.own.insert(name, own);
        own
    }

    fn of_application(&mut self, identity: &'a Identity, application: &'a Application) -> Descent {
        let mut parts: Vec<Vec<u8>> = vec![
            identity.rules.name.as_str().into(),
            identity.rules.client_id.as_str().into(),
            application.proved_by.bytes().into(),
        ];
        parts.extend(application.client_capabilities.iter().map(|capability| capability.as_bytes().into()));
        for (_, voucher) in &application.vouchers {
            // In whichever of its tenants it vouches.
            parts.push(self.own(voucher).bytes().into());
            let voucher = self.identities.get(voucher).and_then(|identity| identity.application());
            let tenants = voucher.into_iter().flat_map(|voucher| voucher.tenants.iter().chain(&voucher.any_tenant));
            parts.extend(tenants.map(|tenant| in_tenant(tenant).bytes().into()));
        }
        Descent::of(parts.iter().map(Vec::as_slice))
    }
}

/// What makes a token of a tenant.
fn in_tenant(tenant: &Tenant) -> Descent {
    let place = &tenant.place;
    let kind = format!("{:?}", place.kind());
    let pairs = tenant.extra_body.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    let parts = [kind.as_str(), place.url().as_str(), place.tenant().as_str()].into_iter().chain(pairs);
    Descent::of(parts.map(str::as_bytes))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use config::FileFormat;

    use super::*;
    use crate::clock::Timestamp;
    use crate::config::mistake::Report;
    use crate::config::{Config, file};

    const CONFIG: &str = r#"
[tenants.one]
id = "b0b00000-0000-4000-8000-000000000001"
timeout = "5s"
[tenants.two]
id = "b0b00000-0000-4000-8000-000000000002"
[identities.agent]
tenants = ["one"]
client_id = "b0b00000-0000-4000-8000-000000000003"
resources = ["r"]
credentials = [{ kind = "identity", name = "blueprint", resource = "api://x" }]
[identities.blueprint]
tenants = ["one", "two"]
client_id = "b0b00000-0000-4000-8000-000000000004"
resources = ["r"]
credentials = [{ kind = "secret", env = "S", expires = "2027-01-31" }]
"#;

    /// That of each identity in its first tenant.
    fn descents(config: &str) -> Vec<Descent> {
        let (variables, report) = ([("S".to_owned(), "s".to_owned())].into(), Report::default());
        let written = file::parse("test", config, FileFormat::Toml, PathBuf::new(), variables, &report).unwrap();
        let config = Config::resolve(&written, report, Timestamp::from_secs(1_800_000_000)).unwrap();
        let descents = Descents::of(&config.identities);
        let first = |identity: &Identity| identity.application().unwrap().tenants[0].clone();
        config.identities.iter().map(|one| descents.in_tenant(&one.rules.name, &first(one))).collect()
    }

    #[test]
    fn what_makes_another_token_has_another_descent_and_so_has_whoever_it_vouches_for() {
        let before = descents(CONFIG);
        assert_ne!(before[0], before[1]);
        for (old, new, others) in [
            (
                "timeout = \"5s\"",
                "timeout = \"6s\"\nproxy = \"http://127.0.0.1:1\"\nregion = \"westeurope\"",
                [false, false],
            ),
            ("2027-01-31", "2027-02-01", [false, false]),
            ("resources = [\"r\"]", "resources = [\"*\"]\ndefault = true", [false, false]),
            ("8000-000000000003", "8000-000000000005", [true, false]),
            ("8000-000000000004", "8000-000000000005", [true, true]),
            ("api://x", "api://y", [true, false]),
            ("{ kind = \"secret\"", "{ kind = \"assertion\", file = \"a\" }, { kind = \"secret\"", [true, true]),
            ("tenants = [\"one\", \"two\"]", "tenants = [\"one\"]", [true, false]),
            ("timeout = \"5s\"", "extra_body = { a = \"b\" }", [true, true]),
            ("timeout = \"5s\"", "authority = \"https://login.microsoftonline.us\"", [true, true]),
            ("tenants = [\"one\"]", "client_capabilities = [\"cp1\"]\ntenants = [\"one\"]", [true, false]),
        ] {
            assert!(CONFIG.contains(old), "{old}");
            let after = descents(&CONFIG.replacen(old, new, 1));
            assert_eq!([after[0] != before[0], after[1] != before[1]], others, "{new}");
        }
    }
}
