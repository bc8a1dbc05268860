//! The names that requests and configuration are made of, parsed once and then trusted.
//!
//! Knows the spelling rules of each name. Must never know who configured or asked for it.

use std::fmt;
use std::sync::Arc;

mod scope;

pub use scope::{Scope, ScopeForm};

/// Whether a character steers whoever shows a text, a log or a terminal, or hides, instead of being shown: control
/// characters, separators of lines and paragraphs, what turns the direction of text, and what is ignored by default
/// (Unicode's `Default_Ignorable_Code_Point`, variation selectors aside).
#[must_use]
pub fn steers(c: char) -> bool {
    let hides = matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    c.is_control() || hides
}

/// Whether all of a text is visible ASCII. No byte ends the search, so that many are looked at in one step; nearly all
/// that callers send is so, and need not be looked at by character.
#[must_use]
pub fn is_visible_ascii(text: &str) -> bool {
    text.bytes().fold(true, |visible, byte| visible & byte.is_ascii_graphic())
}

/// What a caller asks for: an App ID URI or a GUID, kept byte for byte.
///
/// A trailing slash matters to the `aud` of the token, so it is never removed here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resource(Arc<str>);

impl Resource {
    /// Reads a resource: not empty, at most 1024 bytes, without blanks and control characters.
    ///
    /// # Errors
    /// [`Malformed`] says which rule was broken.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.is_empty() {
            return Err(Malformed("a resource must not be empty"));
        }
        if text.len() > MAX_RESOURCE {
            return Err(Malformed("a resource must not be longer than 1024 bytes"));
        }
        if !is_visible_ascii(text) && text.chars().any(|c| c.is_whitespace() || steers(c)) {
            return Err(Malformed("a resource must not contain blanks, control characters or others that nobody sees"));
        }
        Ok(Self(text.into()))
    }

    /// The resource as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both name the same resource, one trailing slash aside.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        fn bare(text: &str) -> &str {
            text.strip_suffix('/').unwrap_or(text)
        }
        bare(&self.0) == bare(&other.0)
    }
}

/// A directory: a GUID or a verified domain name, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// Reads a GUID or a DNS name. `common`, `organizations` and `consumers` name no directory.
    ///
    /// # Errors
    /// [`Malformed`] says which rule was broken.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let lower = text.to_ascii_lowercase();
        if matches!(lower.as_str(), "common" | "organizations" | "consumers") {
            return Err(Malformed(
                "common, organizations and consumers name no directory; an application needs a GUID or a domain name",
            ));
        }
        if is_guid(&lower) || is_domain(&lower) {
            return Ok(Self(lower.into()));
        }
        Err(Malformed("a tenant is a GUID or a domain name"))
    }

    /// What stands where there are no directories: the host of an issuer.
    #[must_use]
    pub fn of_host(host: &str) -> Self {
        Self(host.to_ascii_lowercase().into())
    }

    /// The tenant in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name that the configuration gives to an identity, a tenant or a caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Name {
    /// Reads a name: 1 to 64 letters, digits, `-`, `_` or `.`.
    ///
    /// # Errors
    /// [`Malformed`] says which rule was broken.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let fits = (1..=MAX_NAME).contains(&text.len());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if fits && text.chars().all(plain) {
            return Ok(Self(text.into()));
        }
        Err(Malformed("a name has 1 to 64 letters, digits, '-', '_' or '.'"))
    }

    /// A name of our own; a word of the program is well-formed.
    #[must_use]
    pub fn of_word(word: &'static str) -> Self {
        Self(word.into())
    }

    /// The name of what stands in another's list without one of its own; nobody can have configured it.
    #[must_use]
    pub fn implied(&self, index: usize) -> Self {
        Self(format!("{}#{index}", self.0).into())
    }

    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The application (client) id that an authority knows an identity by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// Reads a client id: a GUID in any case; other issuers may use other visible text.
    ///
    /// # Errors
    /// [`Malformed`] says which rule was broken.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let fits = (1..=MAX_ID).contains(&text.len());
        if fits && text.chars().all(|c| c.is_ascii_graphic()) {
            return Ok(Self(text.into()));
        }
        Err(Malformed("a client id has 1 to 256 visible ASCII characters"))
    }

    /// What stands for an application that has no id here: the name of its identity.
    #[must_use]
    pub fn of_name(name: &Name) -> Self {
        Self(Arc::clone(&name.0))
    }

    /// The client id as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where in an application's tree of managed identities a token is for (`fmi_path`); only one that the
/// configuration lists is ever asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FmiPath(Arc<str>);

impl FmiPath {
    /// Reads a path: 1 to 1024 visible ASCII characters.
    ///
    /// # Errors
    /// [`Malformed`] says which rule was broken.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let fits = (1..=MAX_RESOURCE).contains(&text.len());
        if fits && text.chars().all(|c| c.is_ascii_graphic()) {
            return Ok(Self(text.into()));
        }
        Err(Malformed("an fmi_path has 1 to 1024 visible ASCII characters"))
    }

    /// The path as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a caller points at an identity, as the caller spelled it; ids compare without case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// By application (client) id.
    ClientId(String),
    /// By the name in the configuration (native dialect).
    Name(String),
    /// Not at all: the default identity is meant.
    None,
    /// By the object (principal) id of the service principal.
    ObjectId(String),
    /// By the ARM id of a user-assigned identity.
    ResourceId(String),
}

impl Selector {
    /// The same with an id in lower case, which is equal for all that mean the same.
    #[must_use]
    pub fn folded(&self) -> Self {
        match self {
            Self::ClientId(id) => Self::ClientId(id.to_ascii_lowercase()),
            Self::Name(_) | Self::None => self.clone(),
            Self::ObjectId(id) => Self::ObjectId(id.to_ascii_lowercase()),
            Self::ResourceId(id) => Self::ResourceId(id.to_ascii_lowercase()),
        }
    }
}

/// A name that broke its spelling rule; the text says the rule and never repeats the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(crate) &'static str);

/// Whether the text is a GUID in its usual hyphenated form, in any case.
#[must_use]
pub fn is_guid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

fn is_domain(text: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    let numeric = |l: &str| l.bytes().all(|b| b.is_ascii_digit());
    text.len() <= 253
        && text.contains('.')
        && text.split('.').all(label)
        && !text.rsplit('.').next().is_some_and(numeric)
}

const MAX_RESOURCE: usize = 1024;
const MAX_NAME: usize = 64;
const MAX_ID: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_matches_itself_one_slash_aside() {
        let parse = |text| Resource::parse(text).unwrap();
        assert!(parse("https://x/").matches(&parse("https://x")));
        assert!(!parse("https://x//").matches(&parse("https://x")));
        assert!(!parse("https://x").matches(&parse("https://X")));
    }

    #[test]
    fn blanks_controls_and_floods_are_no_resource() {
        for text in [
            "",
            "https://a b",
            "a\nb",
            "a\u{a0}b",
            "a\0",
            "a\u{202e}b",
            "\u{200f}a",
            "a\u{2067}",
            "a\u{200b}b",
            "a\u{ad}b",
            "\u{feff}a",
            "a\u{e0041}",
            "a\u{3164}",
            &"x".repeat(1025),
        ] {
            assert!(Resource::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_tenant_is_a_guid_or_a_domain() {
        for good in ["72F988BF-86f1-41af-91ab-2d7cd011db47", "Contoso.OnMicrosoft.com", "a.b"] {
            assert_eq!(TenantId::parse(good).unwrap().as_str(), good.to_ascii_lowercase());
        }
        for bad in [
            "",
            "contoso",
            "common",
            "a..b",
            "-a.b",
            "a.b/c",
            "a.b?x",
            "127.0.0.1",
            "{72f988bf-86f1-41af-91ab-2d7cd011db47}",
        ] {
            assert!(TenantId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
