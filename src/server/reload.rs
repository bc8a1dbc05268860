//! What became of what was read again while the process runs.

use arc_swap::ArcSwapOption;

use crate::clock::Timestamp;

/// The last reload of each; none where it was read at the start alone.
#[derive(Debug, Default)]
pub struct Reloads {
    /// Of what https listeners show, with the key and the CA of clients.
    pub certificate: ArcSwapOption<Reload>,
    /// Of the configuration.
    pub configuration: ArcSwapOption<Reload>,
}

/// One reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// When it was.
    pub at: Timestamp,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds, but for what needs a restart: the paths of these keys.
    Taken {
        /// Such as `server.listen`; none where nothing waits.
        waiting: Vec<String>,
    },
    /// Nothing has changed. Each text says what is wrong and what to do, and repeats no value.
    Refused {
        /// All that is wrong.
        mistakes: Vec<String>,
    },
}

impl Reload {
    /// Whether nothing came of it.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        matches!(self.outcome, Outcome::Refused { .. })
    }
}
