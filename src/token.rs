//! A token as it came from an authority, and the key under which it is kept.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::claims::ClaimsRequest;
use crate::clock::{Reading, Timestamp, Uptime};
use crate::name::{FmiPath, Scope};
use crate::secret::Secret;

mod descent;
mod principal;
mod rejected;
mod showing;

pub use descent::Descent;
pub use principal::Principal;
pub use rejected::Rejected;
use showing::Showing;

/// A bearer token and its times.
#[derive(Debug)]
pub struct Token {
    /// What the caller puts behind `Bearer`.
    pub secret: Secret,
    /// The second in which it was asked for, by our clock.
    pub issued_at: Timestamp,
    /// When it ends, by our clock: a whole second.
    pub expires_at: Timestamp,
    /// In seconds, which takes the least room: there are many tokens.
    refresh_in: Option<u32>,
    asked_for: Uptime,
    is_plain: bool,
    showing: Showing,
}

impl Token {
    /// A token that nobody has been handed yet, and that lives so long from the second on in which it was asked for.
    #[must_use]
    pub fn new(secret: Secret, asked_for: Reading, life: Duration, refresh_in: Option<Duration>) -> Self {
        let is_plain = is_plain(secret.expose());
        let issued_at = asked_for.now.whole();
        // Of that second: a clock is set by parts of one too.
        let (expires_at, asked_for) = (issued_at + life, asked_for.uptime - asked_for.now.since(issued_at));
        let refresh_in = refresh_in.and_then(|wish| u32::try_from(wish.as_secs()).ok());
        Self { secret, issued_at, expires_at, refresh_in, asked_for, is_plain, showing: Showing::default() }
    }

    /// The same token with its times by the wall clock as it is set now, if it was set back since the token was asked
    /// for: by the times from before it would be taken for one that lives longer than it does.
    #[must_use]
    pub fn recounted(&self, now: Reading) -> Option<Self> {
        let issued_at = now.wall_at(self.asked_for).whole();
        (issued_at < self.issued_at).then(|| Self {
            secret: self.secret.clone(),
            issued_at,
            expires_at: issued_at + self.life(),
            showing: self.showing.clone(),
            ..*self
        })
    }

    /// After how many whole seconds the authority would like it renewed, if it said so; more than fit are no wish.
    #[must_use]
    pub fn refresh_in(&self) -> Option<Duration> {
        self.refresh_in.map(|secs| Duration::from_secs(secs.into()))
    }

    /// Whether nothing of it has to be escaped in JSON: looked at once, since it is written often.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Whether it is handed to the caller of this number for the first time, or for the first time against the caller's
    /// rules; it is not after this.
    #[must_use]
    pub fn is_first_for(&self, caller: usize, is_overruled: bool) -> bool {
        self.showing.insert(2 * caller + usize::from(is_overruled))
    }

    /// How long it lives from issue to expiry.
    #[must_use]
    pub fn life(&self) -> Duration {
        self.expires_at.since(self.issued_at)
    }
}

/// Whether nothing of a text has to be escaped in JSON. No byte ends the search, so that many are looked at in one step.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |plain, byte| plain & (byte >= b' ') & (byte != b'"') & (byte != b'\\'))
}

/// All that can change a token: who issues it, for whom, for what.
///
/// Tokens are kept under the *requested* scope. An authority may answer with another one, and filing
/// under the answer would make every later request for the same resource miss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenKey {
    /// Whose it is.
    pub principal: Arc<Principal>,
    /// What was asked for.
    pub scope: Scope,
    /// Few keys have any.
    apart: Option<Box<Apart>>,
}

/// What else tells keys apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Apart {
    extras: Extras,
    extension: Extension,
}

/// What follows from the extras is not hashed once more.
impl Hash for TokenKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.principal, &self.scope).hash(state);
        if let Some(apart) = &self.apart {
            apart.extras.hash(state);
        }
    }
}

impl TokenKey {
    /// The key of a token for `scope`. `extras` is what else it is to be; `extension` all that goes into the request
    /// beside the scope, as one short text.
    #[must_use]
    pub fn new(principal: Arc<Principal>, scope: Scope, extras: &Extras, extension: Extension) -> Self {
        let is_plain = *extras == Extras::NONE && extension == Extension::default();
        let apart = (!is_plain).then(|| Box::new(Apart { extras: extras.clone(), extension }));
        Self { principal, scope, apart }
    }

    /// What else the token is to be.
    #[must_use]
    pub fn extras(&self) -> &Extras {
        self.apart.as_ref().map_or(&Extras::NONE, |apart| &apart.extras)
    }

    /// How many bytes of text are this key's alone. Its principal is shared with all keys of its source.
    #[must_use]
    pub fn own_text(&self) -> usize {
        let of_these = |apart: &Apart| {
            let extras = apart.extras.parameters().map(|(_, value)| value.len()).sum::<usize>();
            extras + apart.extension.0.as_ref().map_or(0, |hash| hash.len())
        };
        self.scope.held() + self.apart.as_deref().map_or(0, of_these)
    }
}

/// What a caller wants of a token beyond its resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Extras {
    /// Where in the application's tree the token is for.
    pub fmi_path: Option<FmiPath>,
    /// Claims that the caller asks for by itself, as against those of a challenge.
    pub client_claims: Option<ClaimsRequest>,
}

impl Extras {
    /// Nothing but the resource.
    pub const NONE: Self = Self { fmi_path: None, client_claims: None };

    /// The parameters that tell tokens apart, by MSAL's names.
    fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let path = self.fmi_path.as_ref().map(|path| ("fmi_path", path.as_str()));
        path.into_iter().chain(self.client_claims.as_ref().map(|claims| ("client_claims", claims.as_str())))
    }
}

/// Parameters that change a token beside its scope, as one short text; empty when there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Extension(Option<Arc<str>>);

impl Extension {
    /// The hash of a tenant's own parameters and of what a caller wants.
    #[must_use]
    pub fn with<'a>(own: impl IntoIterator<Item = (&'a str, &'a str)>, extras: &'a Extras) -> Self {
        Self::of(own.into_iter().chain(extras.parameters()))
    }

    /// Hashes the parameters as every MSAL does: those with a value, sorted by name, each name and value
    /// behind its length, so that no two lists read the same.
    #[must_use]
    pub fn of<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut parameters: Vec<_> = parameters.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        parameters.sort_unstable();
        if parameters.is_empty() {
            return Self(None);
        }
        let framed = |(name, value): &(&str, &str)| format!("{}:{name}{}:{value}", name.len(), value.len());
        let text: String = parameters.iter().map(framed).collect();
        let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()));
        Self(Some(hash.to_lowercase().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::name::{Resource, ScopeForm};

    #[test]
    fn an_extension_hashes_as_in_msal() {
        let hash = |parameters: &[(&str, &str)]| Extension::of(parameters.iter().copied()).0;
        let two = hash(&[("key1", "value1"), ("key2", "value2")]);
        assert_eq!(two.as_deref(), Some("latlwkpewb_a0rcsmjvkecqt0_huumkw4sflzociike"));
        assert_eq!(two, hash(&[("key2", "value2"), ("empty", ""), ("key1", "value1")]));
        let path = hash(&[("fmi_path", "agent-app-id")]);
        assert_eq!(path.as_deref(), Some("a0ry_zl4gccsdp7gnw927x8s0mrmnodv6tyilt0u07m"));
        assert_ne!(hash(&[("a", "b1:c")]), hash(&[("a", "b"), ("c", "")]));
        assert_eq!(hash(&[]), None);
    }

    #[test]
    fn a_key_is_measured_by_what_it_shares_with_no_other() {
        let text = |extras: Extras| {
            let extension = Extension::with([], &extras);
            let scope = Scope::of(&Resource::parse("r").unwrap(), ScopeForm::Default);
            TokenKey::new(Arc::new(Principal::of("app", "contoso.com")), scope, &extras, extension).own_text()
        };
        let scope = "r".len();
        assert_eq!(text(Extras::default()), scope);
        let claims = "{\"a\":1}";
        let client_claims = Some(ClaimsRequest::parse(claims).unwrap());
        let hash = 43;
        assert_eq!(text(Extras { fmi_path: None, client_claims }), scope + claims.len() + hash);
        let fmi_path = Some(FmiPath::parse("agents/one").unwrap());
        assert_eq!(text(Extras { fmi_path, client_claims: None }), scope + "agents/one".len() + hash);
    }

    #[test]
    fn does_not_print_its_secret() {
        let secret = Secret::from("eyJmarked".to_owned());
        let token = Token::new(secret, Reading::at(Timestamp::from_secs(1)), Duration::from_hours(1), None);
        assert!(!format!("{token:?}").contains("eyJmarked"));
        assert_eq!(token.life(), Duration::from_hours(1));
    }

    #[test]
    fn it_is_counted_anew_by_a_clock_that_was_set_back() {
        const SECOND: Duration = Duration::from_secs(1);
        let hand = ManualClock::at(Timestamp::from_secs(10_000) + SECOND / 2);
        let clock = Clock::Manual(hand.clone());
        let token = Token::new(Secret::from("t".to_owned()), clock.reading(), Duration::from_hours(1), None);
        assert!(token.is_first_for(3, false));
        hand.advance(Duration::from_mins(30));
        assert!(token.recounted(clock.reading()).is_none());
        hand.set_back(Duration::from_mins(20));
        let recounted = token.recounted(clock.reading()).unwrap();
        assert_eq!((recounted.issued_at, recounted.life()), (Timestamp::from_secs(8800), token.life()));
        assert!(!recounted.is_first_for(3, false) && recounted.secret.expose() == "t");
        hand.advance(Duration::from_mins(1));
        assert!(recounted.recounted(clock.reading()).is_none(), "once is enough");
        hand.set_back(SECOND);
        let once_more = recounted.recounted(clock.reading()).unwrap();
        assert_eq!(once_more.expires_at, recounted.expires_at - SECOND);
        hand.set_back(SECOND / 2);
        let by_half = once_more.recounted(clock.reading()).unwrap();
        assert_eq!(by_half.expires_at, once_more.expires_at - SECOND, "it may end with that half");
    }
}
