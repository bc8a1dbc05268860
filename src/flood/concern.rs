//! What a line of the process's log is about, as far as a flood of such lines is to be told from another.

use crate::fault::{Kind, Turn};
use crate::name::Name;

/// One for all lines that an operator would take for the same. Whoever floods the log buries nobody else's lines,
/// and no failure of one kind those of another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Concern {
    /// What happened.
    pub event: Event,
    /// What went wrong.
    pub kind: Kind,
    /// Whose request it was, where that is known and callers are told apart.
    pub caller: Option<Name>,
    /// Whose token was meant, as far as that is known.
    pub identity: Option<Name>,
}

/// What happened, in the words of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// An authority or a host gave no token.
    Exchange,
    /// The answer to Azure Arc's first request could name no key file.
    KeyFile,
    /// A caller was admitted since its rules are not enforced.
    Overruled,
    /// A request was refused.
    Request,
}

impl Concern {
    /// That of an exchange which failed.
    #[must_use]
    pub fn of_exchange(identity: &Name, kind: Kind) -> Self {
        Self { event: Event::Exchange, kind, caller: None, identity: Some(identity.clone()) }
    }

    /// Whether its lines are there at the usual level alone, and not at that of warnings.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        self.event == Event::Request && self.kind.turn() != Turn::Us
    }
}

impl Event {
    /// The message of the lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exchange => "no token",
            Self::KeyFile => "no key file",
            Self::Overruled => "admitted, since this caller's rules are not enforced",
            Self::Request => "refused",
        }
    }
}
