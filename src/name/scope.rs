//! What an authority is asked for, and how a resource becomes that.

use std::borrow::Cow;
use std::sync::Arc;

use super::Resource;

/// What an authority is asked for. It is kept as the resource that it is about, so that none is written out to be looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    shape: Shape,
    resource: Arc<str>,
}

/// What becomes of the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Shape {
    /// `scope=RESOURCE/.default`
    Default,
    /// `scope=RESOURCE`
    Plain,
    /// `resource=RESOURCE`
    Indicator,
}

/// How an authority is asked for a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeForm {
    /// `scope=RESOURCE/.default`: Entra and its kin.
    Default,
    /// `resource=RESOURCE` for a URI (RFC 8707), and for anything else `scope=`: OpenID Connect.
    Indicator,
    /// `resource=RESOURCE`: ADFS.
    Resource,
}

impl Scope {
    /// The one place where a resource becomes a scope.
    ///
    /// `/.default` is appended verbatim, so `https://x/` gives `https://x//.default`: Entra needs the
    /// double slash to issue a token whose audience keeps the slash
    /// (<https://learn.microsoft.com/entra/identity-platform/scopes-oidc#trailing-slash-and-default>).
    #[must_use]
    pub fn of(resource: &Resource, form: ScopeForm) -> Self {
        let plain = || Arc::clone(&resource.0);
        let (shape, resource) = match form {
            // One scope is one value, however its resource was written.
            ScopeForm::Default => (Shape::Default, resource.0.strip_suffix(DEFAULT).map_or_else(plain, Arc::from)),
            ScopeForm::Indicator if !resource.0.contains(':') => (Shape::Plain, plain()),
            ScopeForm::Indicator | ScopeForm::Resource => (Shape::Indicator, plain()),
        };
        Self { shape, resource }
    }

    /// The form parameter that it goes into.
    #[must_use]
    pub const fn parameter(&self) -> &'static str {
        match self.shape {
            Shape::Default | Shape::Plain => "scope",
            Shape::Indicator => "resource",
        }
    }

    /// The value of that parameter.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match self.shape {
            Shape::Default => Cow::Owned([&self.resource, DEFAULT].concat()),
            Shape::Plain | Shape::Indicator => Cow::Borrowed(&self.resource),
        }
    }

    /// How many bytes of text are held for it.
    #[must_use]
    pub fn held(&self) -> usize {
        self.resource.len()
    }
}

const DEFAULT: &str = "/.default";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_keeps_its_bytes_and_gives_one_scope() {
        for (resource, scope) in [
            ("https://vault.azure.net", "https://vault.azure.net/.default"),
            ("https://vault.azure.net/", "https://vault.azure.net//.default"),
            ("api://AzureADTokenExchange", "api://AzureADTokenExchange/.default"),
            ("https://graph.microsoft.com/.default", "https://graph.microsoft.com/.default"),
            ("00000003-0000-0000-c000-000000000000", "00000003-0000-0000-c000-000000000000/.default"),
        ] {
            let resource = Resource::parse(resource).unwrap();
            assert_eq!(Scope::of(&resource, ScopeForm::Default).text(), scope);
        }
    }

    #[test]
    fn a_scope_is_one_however_its_resource_is_written() {
        let scope = |text| Scope::of(&Resource::parse(text).unwrap(), ScopeForm::Default);
        assert_eq!(scope("https://x/.default"), scope("https://x"));
        assert_ne!(scope("https://x//.default"), scope("https://x"));
    }

    #[test]
    fn authorities_are_asked_in_their_own_form() {
        for (resource, form, parameter, text) in [
            ("https://x/", ScopeForm::Default, "scope", "https://x//.default"),
            ("https://x/", ScopeForm::Resource, "resource", "https://x/"),
            ("https://x/", ScopeForm::Indicator, "resource", "https://x/"),
            ("urn:x", ScopeForm::Indicator, "resource", "urn:x"),
            ("read", ScopeForm::Indicator, "scope", "read"),
        ] {
            let scope = Scope::of(&Resource::parse(resource).unwrap(), form);
            assert_eq!((scope.parameter(), &*scope.text()), (parameter, text));
        }
    }
}
