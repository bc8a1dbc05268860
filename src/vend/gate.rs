//! Where a flight waits until it is the turn of somebody aboard.
//!
//! Whoever boards a flight that still waits stands in a line of its own for it, so nobody waits in another
//! caller's line. The first whose turn comes flies it, and the others leave their lines.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::line::{Line, Pass, over_share};
use crate::fault::Fault;
use crate::source::Source;

/// The gate of one flight.
pub struct Gate {
    state: Mutex<State>,
    opened: Notify,
}

enum State {
    /// It is nobody's turn yet of those who stand in these lines.
    Closed(Vec<Arc<Line>>),
    /// The flight may go, in the turn of a caller or in nobody's. Whoever flies it takes that along.
    Open(Option<Pass>),
}

impl Gate {
    /// A gate that opens when it is somebody's turn.
    #[must_use]
    pub fn closed() -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State::Closed(Vec::new())), opened: Notify::new() })
    }

    /// The gate of a flight that is nobody's, or that goes on in a turn that lasts.
    #[must_use]
    pub fn open() -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State::Open(None)), opened: Notify::new() })
    }

    /// Boards: stands in `line` too, unless the flight is under way. Whoever has no line opens the gate.
    ///
    /// # Errors
    /// The line is too long.
    pub fn board(self: &Arc<Self>, line: Option<&Arc<Line>>, source: &Arc<Source>) -> Result<(), Fault> {
        let mut state = self.lock();
        let State::Closed(lines) = &mut *state else { return Ok(()) };
        let Some(line) = line else {
            self.swing(state, None);
            return Ok(());
        };
        if lines.iter().any(|known| Arc::ptr_eq(known, line)) {
            return Ok(());
        }
        match line.stand(source, self)? {
            Some(turn) => self.swing(state, Some(turn)),
            None => lines.push(Arc::clone(line)),
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

    /// Waits until the gate is open, for at most `limit`, and takes the turn along.
    ///
    /// # Errors
    /// It was nobody's turn in time; then nobody stands in line for the flight any more.
    pub async fn passed(&self, limit: Duration) -> Result<Option<Pass>, Fault> {
        if !self.is_open() {
            // Its end says nothing that the state does not.
            timeout(limit, self.opened.notified()).await.ok();
        }
        let mut state = self.lock();
        if let State::Open(turn) = &mut *state {
            return Ok(turn.take());
        }
        self.swing(state, None);
        Err(over_share("the caller's other exchanges were in the way of this one for too long", Duration::from_secs(1)))
    }

    /// Opens, and leaves the lines.
    fn swing(&self, mut state: MutexGuard<'_, State>, turn: Option<Pass>) {
        let before = std::mem::replace(&mut *state, State::Open(turn));
        drop(state);
        self.opened.notify_one();
        if let State::Closed(lines) = before {
            lines.iter().for_each(|line| line.leave(self));
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
