//! Where a flight waits until it is the turn of somebody aboard.
//!
//! Whoever boards a flight that still waits stands in a line of its own for it, so nobody waits in another
//! caller's line. The first whose turn comes flies it, and the others leave their lines. Whoever has waited for too
//! long leaves its line alone: the flight stays for the others, until nobody is aboard.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::line::{Line, Pass};
use crate::caller::share::over_share;
use crate::clock::Deadline;
use crate::fault::Fault;
use crate::source::Source;

/// The gate of one flight.
pub struct Gate {
    state: Mutex<State>,
    opened: Notify,
}

enum State {
    /// It is nobody's turn yet of those who are aboard.
    Closed(Vec<Boarder>),
    /// The flight may go, in the turn of a caller or in nobody's. Whoever flies it takes that along.
    Open(Option<Pass>),
}

/// A caller aboard, in the line in which it waits.
struct Boarder {
    line: Arc<Line>,
    /// How long the last of its requests waits.
    until: Deadline,
}

impl Gate {
    /// A gate that opens when it is somebody's turn.
    #[must_use]
    pub fn closed() -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State::Closed(Vec::new())), opened: Notify::new() })
    }

    /// The gate of a flight that goes at once: in this turn, in one that lasts, or in nobody's.
    #[must_use]
    pub fn open(turn: Option<Pass>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State::Open(turn)), opened: Notify::new() })
    }

    /// Boards: stands in `line` too, unless the flight is under way, and waits there `until` then. Whoever has no
    /// line opens the gate.
    ///
    /// # Errors
    /// The line is too long.
    pub fn board(
        self: &Arc<Self>,
        line: Option<&Arc<Line>>,
        source: &Arc<Source>,
        until: Deadline,
    ) -> Result<(), Fault> {
        let mut state = self.lock();
        let State::Closed(aboard) = &mut *state else { return Ok(()) };
        let Some(line) = line else {
            self.swing(state, None);
            return Ok(());
        };
        if let Some(known) = aboard.iter_mut().find(|known| Arc::ptr_eq(&known.line, line)) {
            known.until = until;
            return Ok(());
        }
        match line.stand(source, self)? {
            Some(turn) => self.swing(state, Some(turn)),
            None => aboard.push(Boarder { line: Arc::clone(line), until }),
        }
        Ok(())
    }

    /// Opens for a turn that has come, unless another one's came first; says whether it did.
    pub fn open_for(&self, turn: impl FnOnce() -> Pass) -> bool {
        let state = self.lock();
        let is_closed = matches!(*state, State::Closed(_));
        if is_closed {
            self.swing(state, Some(turn()));
        }
        is_closed
    }

    /// Whether the flight may go, or has gone.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(*self.lock(), State::Open(_))
    }

    /// Whether nobody waits here, and the flight never went.
    #[must_use]
    pub fn is_deserted(&self) -> bool {
        matches!(&*self.lock(), State::Closed(aboard) if aboard.is_empty())
    }

    /// Waits until the gate is open, or until everybody who was aboard has waited for too long; says whether it is
    /// open.
    pub async fn opens(&self) -> bool {
        while let Some(left) = self.patience() {
            // Its end says nothing that the state does not.
            timeout(left, self.opened.notified()).await.ok();
        }
        self.is_open()
    }

    /// The turn for which the gate has opened, for whoever flies; none if it is nobody's.
    #[must_use]
    pub fn turn(&self) -> Option<Pass> {
        match &mut *self.lock() {
            State::Closed(_) => None,
            State::Open(turn) => turn.take(),
        }
    }

    /// How long the next one aboard goes on waiting, if anybody does. Who has waited for too long leaves its line.
    fn patience(&self) -> Option<Duration> {
        let mut state = self.lock();
        let State::Closed(aboard) = &mut *state else { return None };
        aboard.extract_if(.., |boarder| boarder.until.left().is_zero()).for_each(|gone| gone.line.leave(self));
        aboard.iter().map(|boarder| boarder.until.left()).min()
    }

    /// Opens, and everybody aboard leaves its line.
    fn swing(&self, mut state: MutexGuard<'_, State>, turn: Option<Pass>) {
        let before = std::mem::replace(&mut *state, State::Open(turn));
        drop(state);
        self.opened.notify_one();
        if let State::Closed(aboard) = before {
            aboard.iter().for_each(|boarder| boarder.line.leave(self));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Invariant: no code panics while it holds this lock, and the state is whole between statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}

/// What whoever has waited in its line for too long is told.
#[must_use]
pub fn waited_too_long() -> Fault {
    over_share("the caller's other exchanges were in the way of this one for too long", Duration::from_secs(1))
}
