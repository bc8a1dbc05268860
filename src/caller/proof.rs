//! How a workload proves who it is, and which configured caller a proof is for.

use super::account::AccountRule;
use super::peer::User;
use super::specificity::Specificity;
use super::subject::SubjectRule;
use crate::secret::Imprint;

/// The ways to prove oneself, strongest first: the order in which they are looked at unless the configuration
/// gives another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// A client certificate of the TLS connection.
    Mtls,
    /// A token of a Kubernetes service account.
    ServiceAccount,
    /// A secret in a header.
    HeaderSecret,
    /// The user at the other end of a unix socket.
    Unix,
    /// A connection from this machine.
    Loopback,
}

impl Means {
    /// All of them, strongest first.
    pub const ALL: [Self; 5] = [Self::Mtls, Self::ServiceAccount, Self::HeaderSecret, Self::Unix, Self::Loopback];

    /// The word that the configuration and the audit log use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mtls => "mtls",
            Self::ServiceAccount => "service-account",
            Self::HeaderSecret => "header-secret",
            Self::Unix => "unix",
            Self::Loopback => "loopback",
        }
    }
}

/// What a configured caller is recognised by.
#[derive(Clone, Debug)]
pub enum Proof {
    /// One of these secrets; several allow for rotation.
    HeaderSecret(Vec<Imprint>),
    /// It reaches a listener on this machine's loopback.
    Loopback,
    /// A client certificate such as this.
    Mtls(SubjectRule),
    /// A service account such as this.
    ServiceAccount(AccountRule),
    /// A user such as this.
    Unix(UserRule),
}

impl Proof {
    /// By what means it is shown.
    #[must_use]
    pub const fn means(&self) -> Means {
        match self {
            Self::HeaderSecret(_) => Means::HeaderSecret,
            Self::Loopback => Means::Loopback,
            Self::Mtls(_) => Means::Mtls,
            Self::ServiceAccount(_) => Means::ServiceAccount,
            Self::Unix(_) => Means::Unix,
        }
    }

    /// Which of those who show it are meant, as the configuration writes it. Of secrets it says nothing.
    #[must_use]
    pub fn conditions(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::HeaderSecret(_) | Self::Loopback => Vec::new(),
            Self::Mtls(rule) => rule.conditions(),
            Self::ServiceAccount(rule) => rule.conditions(),
            Self::Unix(rule) => rule.conditions(),
        }
    }
}

/// Which user of this machine is meant; what is none does not matter, and not both are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserRule {
    /// The user.
    pub uid: Option<u32>,
    /// The primary group.
    pub gid: Option<u32>,
}

impl UserRule {
    /// Whether everything that it says is true of the user.
    #[must_use]
    pub fn matches(self, user: User) -> bool {
        self.uid.is_none_or(|uid| uid == user.uid) && self.gid.is_none_or(|gid| gid == user.gid)
    }

    /// What it says, as the configuration writes it.
    #[must_use]
    pub fn conditions(self) -> Vec<(&'static str, String)> {
        let named = [("uid", self.uid), ("gid", self.gid)];
        named.into_iter().filter_map(|(key, id)| Some((key, id?.to_string()))).collect()
    }

    /// How much it says: a user says more than a group.
    #[must_use]
    pub fn specificity(self) -> Specificity {
        Specificity::default().and_exact(usize::from(self.uid.is_some()) * 2 + usize::from(self.gid.is_some()))
    }
}
