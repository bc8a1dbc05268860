//! The line of one caller: some of its flights are under way, the others wait in the order in which they came.
//!
//! However many keys a caller asks for, so many of its exchanges at most stand before those of others at a
//! source; and so many at most hold a connection, also when each goes to a tenant of its own.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::gate::Gate;
use crate::caller::share::{Share, over_share};
use crate::fault::Fault;
use crate::source::Source;
use crate::source::standing::LANES;

/// The flights of one caller.
pub struct Line {
    limits: Limits,
    state: Mutex<State>,
}

/// How many flights of one caller there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Under way at one source.
    pub beside: u32,
    /// Under way at all sources.
    pub flying: u32,
    /// Waiting for their turn.
    pub waiting: u32,
}

impl Limits {
    /// What a caller's share comes to.
    #[must_use]
    pub fn of(share: Share) -> Self {
        Self { beside: share.of(LANES), flying: share.of(FLYING), waiting: share.of(WAITING) }
    }

    /// Those of all callers together. At one source they stand in its own queue.
    #[must_use]
    pub const fn of_all() -> Self {
        Self { beside: FLYING, flying: FLYING, waiting: WAITING }
    }
}

#[derive(Default)]
struct State {
    /// Where those are that are under way.
    flying: Vec<Arc<Source>>,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    source: Arc<Source>,
    gate: Weak<Gate>,
}

/// A caller's turn: it ends, and the next one comes, when this is dropped.
pub struct Pass {
    line: Arc<Line>,
    source: Arc<Source>,
}

impl Line {
    /// An empty line.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    /// A turn for a flight to `source`, if there is one at once; else `gate` is opened when it comes.
    ///
    /// # Errors
    /// So many wait that no more may.
    pub fn stand(self: &Arc<Self>, source: &Arc<Source>, gate: &Arc<Gate>) -> Result<Option<Pass>, Fault> {
        let mut state = self.lock();
        if state.take_off(source, self.limits) {
            return Ok(Some(self.turn(source)));
        }
        state.check(source, self.limits)?;
        state.waiting.push_back(Waiting { source: Arc::clone(source), gate: Arc::downgrade(gate) });
        Ok(None)
    }

    /// A turn for a flight to `source` that nobody waits for, if there is one at once.
    #[must_use]
    pub fn turn_now(self: &Arc<Self>, source: &Arc<Source>) -> Option<Pass> {
        self.lock().take_off(source, self.limits).then(|| self.turn(source))
    }

    /// Whether a flight to `source` could stand here now.
    ///
    /// # Errors
    /// The fault that [`Line::stand`] would give it.
    pub fn check(&self, source: &Arc<Source>) -> Result<(), Fault> {
        self.lock().check(source, self.limits)
    }

    /// Waits no longer for the turn of this flight.
    pub fn leave(&self, gate: &Gate) {
        self.lock().waiting.retain(|waiting| !std::ptr::eq(waiting.gate.as_ptr(), gate));
    }

    /// Gives a turn that is over to those whose it is now. No lock of the line is held while a gate is opened.
    fn pass_on(self: &Arc<Self>, source: &Arc<Source>) {
        self.lock().forget(source);
        loop {
            let next = self.lock().next(self.limits);
            let Some(Waiting { source, gate }) = next else { return };
            let opened = gate.upgrade().is_some_and(|gate| gate.open_for(|| self.turn(&source)));
            if !opened {
                self.lock().forget(&source);
            }
        }
    }

    fn turn(self: &Arc<Self>, source: &Arc<Source>) -> Pass {
        Pass { line: Arc::clone(self), source: Arc::clone(source) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Invariant: no code panics while it holds this lock, and the state is whole between statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self, source: &Arc<Source>, limits: Limits) -> bool {
        let beside = || self.flying.iter().filter(|flying| Arc::ptr_eq(flying, source)).count();
        !at_least(self.flying.len(), limits.flying) && !at_least(beside(), limits.beside)
    }

    /// One more is under way at `source`, if there is room for it.
    fn take_off(&mut self, source: &Arc<Source>, limits: Limits) -> bool {
        let has_room = self.has_room(source, limits);
        if has_room {
            self.flying.push(Arc::clone(source));
        }
        has_room
    }

    fn check(&self, source: &Arc<Source>, limits: Limits) -> Result<(), Fault> {
        let may = self.has_room(source, limits) || !at_least(self.waiting.len(), limits.waiting);
        may.then_some(()).ok_or_else(too_many_flights)
    }

    /// The first whose turn it is, which is under way from now on.
    fn next(&mut self, limits: Limits) -> Option<Waiting> {
        let place = self.waiting.iter().position(|waiting| self.has_room(&waiting.source, limits))?;
        let next = self.waiting.remove(place)?;
        self.flying.push(Arc::clone(&next.source));
        Some(next)
    }

    /// One less is under way at `source`.
    fn forget(&mut self, source: &Arc<Source>) {
        if let Some(place) = self.flying.iter().position(|flying| Arc::ptr_eq(flying, source)) {
            self.flying.swap_remove(place);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.line.pass_on(&self.source);
    }
}

fn at_least(count: usize, most: u32) -> bool {
    usize::try_from(most).is_ok_and(|most| count >= most)
}

fn too_many_flights() -> Fault {
    over_share("more tokens are being fetched for the caller than its share", Duration::from_secs(1))
}

/// Each flight has a connection, and a process has a thousand descriptors where nobody has raised that. All
/// callers together may have more under way; one alone leaves most to the others.
const FLYING: u32 = 256;
/// At Entra's usual pace the last one's turn comes within a minute or so; whoever waits for longer is refused.
const WAITING: u32 = 1024;

#[cfg(test)]
mod tests;
