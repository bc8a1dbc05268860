//! How clients spell what says which token is meant.
//!
//! Whoever misspells it must not get the token of the default identity, nor a wider one. So what is nearly a spelling
//! is an error, and everything else is ignored, since clients add parameters of their own.

use crate::name::Selector;

/// What the name of a parameter says of which token is asked for.
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
        // Every client of the SDKs sends it, and to compare its letters with those of all words takes longer than to read
        // all the rest.
        if name == VERSION {
            return Self::Other;
        }
        // Nearly every parameter is spelled as it should be.
        let exact = WORDS.iter().find(|word| word.spellings.contains(&name));
        let Some(word) = exact.or_else(|| WORDS.iter().find(|word| word.is_like(name))) else { return Self::Other };
        match word.selector {
            _ if word.place == Place::Native && !is_native => Self::NativeAlone(word.spellings[0]),
            _ if word.place == Place::NearNative && !is_native => Self::Other,
            _ if !word.spellings.contains(&name) => Self::Near(word.spellings[0]),
            Some(selector) => Self::Points(selector),
            None => Self::Other,
        }
    }
}

/// One thing to say.
struct Word {
    /// As clients spell it, the usual one first.
    spellings: &'static [&'static str],
    /// As nobody's client does, and people might.
    guesses: &'static [&'static str],
    /// What its value is; none where it is no identity's.
    selector: Option<fn(String) -> Selector>,
    place: Place,
}

/// In which dialects a word is one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In all.
    Any,
    /// In the native one; in others it would be a wish that nobody heeds.
    Native,
    /// In the native one; in others what is like it is nothing, since their clients know no such wish or, of a
    /// resource, spell it rightly.
    NearNative,
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

/// The parameter that is like no word.
pub(super) const VERSION: &str = "api-version";

const WORDS: &[Word] = &[
    Word {
        spellings: &["client_id", "clientid"],
        guesses: &["msi_client_id", "mi_client_id", "app_id"],
        selector: Some(Selector::ClientId),
        place: Place::Any,
    },
    Word {
        spellings: &["object_id", "objectid", "principal_id", "principalId"],
        guesses: &["msi_object_id", "mi_object_id"],
        selector: Some(Selector::ObjectId),
        place: Place::Any,
    },
    Word {
        spellings: &["msi_res_id", "mi_res_id", "msi-res-id", "resource_id"],
        guesses: &["msi_resource_id", "mi_resource_id"],
        selector: Some(Selector::ResourceId),
        place: Place::Any,
    },
    Word {
        spellings: &["identity"],
        guesses: &["identity_name"],
        selector: Some(Selector::Name),
        place: Place::Native,
    },
    Word { spellings: &["tenant"], guesses: &["tenant_id"], selector: None, place: Place::Native },
    Word { spellings: &["fmi_path"], guesses: &["fmi_paths"], selector: None, place: Place::NearNative },
    Word { spellings: &["claims"], guesses: &["claim"], selector: None, place: Place::NearNative },
    Word { spellings: &["client_claims"], guesses: &["client_claim"], selector: None, place: Place::NearNative },
    Word { spellings: &["resource"], guesses: &["resources"], selector: None, place: Place::NearNative },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_like_no_word() {
        assert!(!WORDS.iter().any(|word| word.is_like(VERSION)));
    }
}
