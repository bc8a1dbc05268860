//! Who asks. A caller is recognised by what it shows, in one order for all listeners; whoever shows something
//! wrong is refused, also where nothing would have been enough.

use memchr::memchr_iter;

use crate::dialect::Guard;
use crate::dialect::headers::IDENTITY_HEADER;
use crate::fault::{Fault, Kind};
use crate::secret::{Imprint, Secret};

pub mod account;
pub mod glob;
pub mod peer;
pub mod proof;
pub mod roll;
pub mod share;
pub mod specificity;
pub mod subject;

use account::ServiceAccount;
pub use peer::Peer;
use peer::User;
pub use proof::{Means, Proof};
use specificity::Specificity;
use subject::Subject;

/// A recognised workload. Made only by [`Callers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller(Who);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Whoever passes the guard of its dialect, where the configuration tells no callers apart.
    Anyone,
    /// Whoever holds the configuration, and with it the credentials.
    Operator,
    /// One of the configuration's, by its place among them.
    Named(usize),
}

impl Caller {
    /// Its place among the configured callers, if it is one.
    #[must_use]
    pub const fn place(self) -> Option<usize> {
        match self.0 {
            Who::Named(place) => Some(place),
            Who::Anyone | Who::Operator => None,
        }
    }

    /// Its number among all callers, of whom those that are not told apart are the first.
    #[must_use]
    pub fn number(self) -> usize {
        self.place().map_or(0, |place| place + 1)
    }

    /// Whether no rule is about it, because it could read the credentials themselves.
    #[must_use]
    pub const fn is_operator(self) -> bool {
        matches!(self.0, Who::Operator)
    }
}

/// What callers are recognised by.
#[derive(Clone, Debug, Default)]
pub struct Callers {
    known: Vec<Known>,
    order: Vec<Means>,
    /// Whether some caller is known by a token.
    takes_tokens: bool,
    /// Whether whoever shows nothing may still be somebody.
    is_open: bool,
}

/// A way to be recognised, and as whom.
#[derive(Clone, Debug)]
struct Known {
    caller: Caller,
    proof: Proof,
}

/// What recognition comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recognition<'a> {
    /// It is this one.
    Known(Caller),
    /// It shows a token, which has to be verified; then it is `instead`, or else whoever the token is for.
    Token {
        /// The token, not yet believed.
        token: &'a [u8],
        /// Who it is by a proof that comes first.
        instead: Option<Caller>,
    },
}

/// What one means says of a request.
enum Finding<'a> {
    Nothing,
    Known(Caller),
    Token(&'a [u8]),
}

impl Callers {
    /// One for all: whoever passes its dialect's guard is somebody, and where that demands a secret it is one of
    /// these.
    #[must_use]
    pub fn open(header_secrets: &[Secret]) -> Self {
        let proof = Proof::HeaderSecret(header_secrets.iter().map(Secret::imprint).collect());
        let known = vec![Known { caller: Caller(Who::Anyone), proof }];
        let order = if header_secrets.is_empty() { Vec::new() } else { vec![Means::HeaderSecret] };
        Self { known, order, takes_tokens: false, is_open: true }
    }

    /// These, each in the place in which policy has its rules; nobody else is anybody. What they show is looked at
    /// in `order`.
    #[must_use]
    pub fn named(proofs: impl IntoIterator<Item = (usize, Proof)>, order: &[Means]) -> Self {
        let named = |(place, proof)| Known { caller: Caller(Who::Named(place)), proof };
        let known: Vec<Known> = proofs.into_iter().map(named).collect();
        // What nobody is known by is looked at too: whoever shows it is nobody.
        let left = Means::ALL.iter().filter(|means| !order.contains(means));
        let order = order.iter().chain(left).copied().collect();
        let takes_tokens = known.iter().any(|known| known.proof.means() == Means::ServiceAccount);
        Self { known, order, takes_tokens, is_open: false }
    }

    /// Whoever holds the configuration and with it the credentials.
    #[must_use]
    pub const fn operator() -> Caller {
        Caller(Who::Operator)
    }

    /// The same callers, of whom those that show a header secret show these from now on; none if two of them would
    /// show the same.
    #[must_use]
    pub fn with_secrets(&self, secrets: impl Fn(Option<usize>) -> Vec<Imprint>) -> Option<Self> {
        let mut renewed = self.clone();
        for known in &mut renewed.known {
            if let Proof::HeaderSecret(held) = &mut known.proof {
                *held = secrets(known.caller.place());
            }
        }
        renewed.are_distinct().then_some(renewed)
    }

    /// Whether no secret is that of two callers.
    fn are_distinct(&self) -> bool {
        let is_others = |n: usize, held: &Imprint| self.known[..n].iter().any(|other| other.has(held));
        let mut secrets =
            self.known.iter().enumerate().flat_map(|(n, known)| known.secrets().iter().map(move |held| (n, held)));
        secrets.all(|(n, held)| !is_others(n, held))
    }

    /// Recognises the caller behind `peer`, who wants to pass `guard`.
    ///
    /// # Errors
    /// 401 when the guard demands what is not shown, when what is shown is wrong, or when it is nobody's. The time
    /// taken depends on the number of secrets alone.
    pub fn recognise<'a>(&self, guard: Guard, peer: &Peer<'a>) -> Result<Recognition<'a>, Fault> {
        if guard == Guard::KeyFile && !peer.holds_key {
            return Err(no_key());
        }
        if guard.needs_secret() && peer.demanded(guard).is_none() {
            return Err(no_secret(guard));
        }
        let (mut caller, mut token) = (None, None);
        for means in &self.order {
            match self.find(*means, guard, peer)? {
                Finding::Nothing => {}
                Finding::Known(found) => caller = caller.or_else(|| token.is_none().then_some(found)),
                Finding::Token(shown) => token = Some(shown),
            }
        }
        match (token, caller) {
            (Some(token), instead) => Ok(Recognition::Token { token, instead }),
            (None, Some(caller)) => Ok(Recognition::Known(caller)),
            (None, None) if self.is_open && !guard.needs_secret() => Ok(Recognition::Known(Caller(Who::Anyone))),
            (None, None) => Err(nobody()),
        }
    }

    /// Recognises the workload that a verified token is for.
    ///
    /// # Errors
    /// 401 when no caller is it.
    pub fn recognise_account(&self, account: &ServiceAccount) -> Result<Caller, Fault> {
        let specificity = |proof: &Proof| match proof {
            Proof::ServiceAccount(rule) if rule.matches(account) => Some(rule.specificity()),
            _ => None,
        };
        self.most_specific(specificity).ok_or_else(strange_account)
    }

    fn find<'a>(&self, means: Means, guard: Guard, peer: &Peer<'a>) -> Result<Finding<'a>, Fault> {
        match means {
            Means::HeaderSecret => self.by_header(peer).ok_or_else(|| no_secret(guard)),
            Means::Loopback => Ok(Finding::of(self.by_loopback(peer))),
            Means::Mtls => peer.subject.map_or(Ok(Finding::Nothing), |subject| self.by_subject(subject)),
            Means::ServiceAccount => self.by_token(guard, peer),
            Means::Unix => Ok(Finding::of(peer.user.and_then(|user| self.by_user(user)))),
        }
    }

    /// Every header that is shown and is no token has to hold the secret of one and the same caller. Each is
    /// compared with every secret, so that the time does not tell whose was near.
    fn by_header<'a>(&self, peer: &Peer<'a>) -> Option<Finding<'a>> {
        let mut shown = peer.headers().filter(|shown| !self.is_token(shown)).map(|shown| self.by_secret(shown));
        let Some(first) = shown.next() else { return Some(Finding::Nothing) };
        let first = first?;
        shown.all(|other| other == Some(first)).then_some(Finding::Known(first))
    }

    fn by_secret(&self, shown: &[u8]) -> Option<Caller> {
        let held = || self.known.iter().flat_map(|known| known.secrets().iter().map(|held| (known.caller, held)));
        let place = Imprint::position(held().map(|(_, held)| held), shown).filter(|_| !shown.is_empty())?;
        held().nth(place).map(|(caller, _)| caller)
    }

    /// A token where nobody is known by one is as wrong as any other, and so is whatever else stands in
    /// `Authorization`: it is meant to say who asks. What a key file held was looked at before.
    fn by_token<'a>(&self, guard: Guard, peer: &Peer<'a>) -> Result<Finding<'a>, Fault> {
        let authorization = peer.authorization.filter(|_| guard != Guard::KeyFile);
        let bearer = authorization.map(|shown| peer::bearer(shown).ok_or_else(strange_scheme)).transpose()?;
        let mut shown = peer.headers().filter(|shown| self.is_token(shown)).chain(bearer);
        let Some(token) = shown.next() else { return Ok(Finding::Nothing) };
        if !self.takes_tokens || shown.any(|other| other != token) {
            return Err(strange_account());
        }
        Ok(Finding::Token(token))
    }

    /// The first of them, since a listener sees no more of a connection than that.
    fn by_loopback(&self, peer: &Peer<'_>) -> Option<Caller> {
        let is_loopback =
            |proof: &Proof| (matches!(proof, Proof::Loopback) && peer.is_loopback).then(Specificity::default);
        self.most_specific(is_loopback)
    }

    fn by_subject<'a>(&self, subject: &Subject) -> Result<Finding<'a>, Fault> {
        let specificity = |proof: &Proof| match proof {
            Proof::Mtls(rule) if rule.matches(subject) => Some(rule.specificity()),
            _ => None,
        };
        self.most_specific(specificity).map(Finding::Known).ok_or_else(strange_certificate)
    }

    /// A user whom no caller is has shown nothing wrong: every connection to a socket tells of one.
    fn by_user(&self, user: User) -> Option<Caller> {
        self.most_specific(|proof| match proof {
            Proof::Unix(rule) if rule.matches(user) => Some(rule.specificity()),
            _ => None,
        })
    }

    /// Of all callers that fit, the one whose proof says most; of those, the first.
    fn most_specific(&self, specificity: impl Fn(&Proof) -> Option<Specificity>) -> Option<Caller> {
        let fitting = self.known.iter().filter_map(|known| Some((specificity(&known.proof)?, known.caller)));
        let most = fitting.reduce(|most, other| if other.0 > most.0 { other } else { most });
        most.map(|(_, caller)| caller)
    }

    /// Whether a header holds a token rather than a secret.
    fn is_token(&self, shown: &[u8]) -> bool {
        self.takes_tokens && is_shaped_as_token(shown)
    }
}

/// Whether it could be a JWT, which begins with the base64 of `{"` and has three parts.
#[must_use]
pub fn is_shaped_as_token(shown: &[u8]) -> bool {
    shown.starts_with(b"eyJ") && memchr_iter(b'.', shown).count() == 2
}

impl Known {
    fn has(&self, secret: &Imprint) -> bool {
        self.secrets().iter().any(|own| own.matches(secret))
    }

    fn secrets(&self) -> &[Imprint] {
        if let Proof::HeaderSecret(held) = &self.proof { held } else { &[] }
    }
}

impl Finding<'_> {
    fn of(caller: Option<Caller>) -> Self {
        caller.map_or(Self::Nothing, Self::Known)
    }
}

fn no_key() -> Fault {
    Fault::new(
        Kind::Unauthenticated,
        "the content of the key file is missing or wrong",
        "send it as 'Authorization: Basic' from the file that this answer's WWW-Authenticate names, within a minute and once",
    )
}

/// The same words for a secret that is missing, near or far.
fn no_secret(guard: Guard) -> Fault {
    let header = if let Guard::HeaderSecret(header) = guard { header } else { IDENTITY_HEADER };
    let remedy = "send the value of IDENTITY_HEADER or MSI_SECRET, and have the operator check that it is the configured header secret";
    Fault::new(Kind::Unauthenticated, format!("the header {header} is missing or wrong"), remedy)
}

fn strange_certificate() -> Fault {
    Fault::new(
        Kind::Unauthenticated,
        "no caller has this client certificate",
        "use the certificate of a configured caller, or have the operator add a caller with 'proof'",
    )
}

fn strange_account() -> Fault {
    Fault::new(
        Kind::Unauthenticated,
        "no caller is this service account",
        "show one token, of a configured service account, or have the operator add a caller with 'proof'",
    )
}

fn strange_scheme() -> Fault {
    Fault::new(
        Kind::Unauthenticated,
        "no caller is known by what Authorization shows",
        "show a service-account token as 'Authorization: Bearer', or leave the header out",
    )
}

fn nobody() -> Fault {
    Fault::new(
        Kind::Unauthenticated,
        "this service knows its callers, and nothing tells which one asks",
        "show the proof that the operator has configured for this workload",
    )
}

#[cfg(test)]
mod tests;
