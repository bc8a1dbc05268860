//! How clients spell what points at an identity or a tenant.
//!
//! Whoever misspells it must not get the token of the default one. So what is nearly a spelling is an error, and
//! everything else is ignored, since clients add parameters of their own.

use crate::name::Selector;

/// What the name of a parameter says of whose token is asked for.
pub(super) enum Spelling {
    /// That the value points at it in this way.
    Points(fn(String) -> Selector),
    /// What the native dialect alone takes, under this name.
    NativeAlone(&'static str),
    /// What is to be spelled like this.
    Near(&'static str),
    /// Nothing.
    Other,
}

impl Spelling {
    /// Of the parameter `name`.
    pub(super) fn of(name: &str, is_native: bool) -> Self {
        let Some(word) = WORDS.iter().find(|word| word.is_like(name)) else { return Self::Other };
        match word.selector {
            _ if word.is_native && !is_native => Self::NativeAlone(word.spellings[0]),
            _ if !word.spellings.contains(&name) => Self::Near(word.spellings[0]),
            Some(selector) => Self::Points(selector),
            None => Self::Other,
        }
    }
}

/// One thing to point with.
struct Word {
    /// As clients spell it, the usual one first.
    spellings: &'static [&'static str],
    /// As nobody's client does, and people might.
    guesses: &'static [&'static str],
    /// What its value is; none where it is no identity's.
    selector: Option<fn(String) -> Selector>,
    is_native: bool,
}

impl Word {
    fn is_like(&self, name: &str) -> bool {
        self.spellings.iter().chain(self.guesses).any(|spelling| letters(spelling).eq(letters(name)))
    }
}

/// What is left where neither case nor anything between the letters counts.
fn letters(name: &str) -> impl Iterator<Item = u8> + '_ {
    name.bytes().filter(u8::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase())
}

const WORDS: &[Word] = &[
    Word {
        spellings: &["client_id", "clientid"],
        guesses: &["msi_client_id", "mi_client_id", "app_id"],
        selector: Some(Selector::ClientId),
        is_native: false,
    },
    Word {
        spellings: &["object_id", "objectid", "principal_id", "principalId"],
        guesses: &["msi_object_id", "mi_object_id"],
        selector: Some(Selector::ObjectId),
        is_native: false,
    },
    Word {
        spellings: &["msi_res_id", "mi_res_id", "msi-res-id", "resource_id"],
        guesses: &["msi_resource_id", "mi_resource_id"],
        selector: Some(Selector::ResourceId),
        is_native: false,
    },
    Word { spellings: &["identity"], guesses: &["identity_name"], selector: Some(Selector::Name), is_native: true },
    Word { spellings: &["tenant"], guesses: &["tenant_id"], selector: None, is_native: true },
];
