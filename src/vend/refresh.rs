//! Which tokens are renewed ahead, without anybody waiting for it: what the one task of renewals goes by.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::line::Pass;
use super::slot::Slot;
use super::sources::Sources;
use super::stake::Stakes;
use crate::clock::{Reading, Timestamp};
use crate::freshness::Renewal;
use crate::freshness::schedule::Schedule;
use crate::source::Source;
use crate::source::allowance::Renewing;

/// The slots that are taken up for renewal.
#[derive(Default)]
pub struct Refresh {
    schedule: Mutex<Schedule<Lane, Appointment>>,
    bell: Notify,
}

/// The tokens of one source that one caller had fetched.
#[derive(Clone)]
pub struct Lane {
    /// Where they come from.
    pub source: Arc<Source>,
    /// The caller's place, where callers are told apart.
    pub owner: Option<usize>,
}

/// A slot, as it was taken up. It may be evicted, and then is forgotten.
struct Appointment {
    slot: Weak<Slot>,
    ticket: u32,
}

/// A renewal counts among its source's and, where callers are told apart, among those exchanges of its caller's that
/// are under way: one that hangs takes a lane from its caller alone.
pub type Passage = (Renewing, Option<Pass>);

/// One that is to be renewed now.
pub struct Due {
    /// Which.
    pub slot: Arc<Slot>,
    /// From where, for whom.
    pub lane: Lane,
    /// Its part of the budget, and its caller's turn, until it is over.
    pub passage: Passage,
}

impl Refresh {
    /// Takes up a slot, which is looked at then.
    pub fn put(&self, at: Timestamp, lane: Lane, slot: &Arc<Slot>, ticket: u32) {
        let mut schedule = self.lock();
        let is_first = schedule.next(at).is_none_or(|next| at < next);
        schedule.put(at, lane, Appointment { slot: Arc::downgrade(slot), ticket });
        drop(schedule);
        if is_first {
            self.ring();
        }
    }

    /// Has the next round now.
    pub fn ring(&self) {
        self.bell.notify_one();
    }

    /// Those that are to be renewed now, and how long it is until the next round.
    #[must_use]
    pub fn round(&self, reading: Reading, stakes: &Stakes) -> (Vec<Due>, Duration) {
        let (mut passages, now) = (Vec::new(), reading.now);
        let look = |lane: &Lane, appointment: &Appointment| appointment.look(&lane.source, reading);
        let may = |lane: &Lane| lane.passage(stakes, now).map(|passage| passages.push(passage)).is_some();
        let mut schedule = self.lock();
        let going = schedule.round(now, look, may);
        let pause = schedule.next(now).map_or(LONGEST, |next| next.since(now).min(LONGEST));
        drop(schedule);
        let due = |((lane, appointment), passage): ((Lane, Appointment), Passage)| {
            Some(Due { slot: appointment.slot.upgrade()?, lane, passage })
        };
        (going.into_iter().zip(passages).filter_map(due).collect(), pause)
    }

    /// Waits for the next round.
    pub async fn rest(&self, pause: Duration) {
        // Either way it is time.
        timeout(pause, self.bell.notified()).await.ok();
    }

    /// Forgets the slots that were evicted, and goes on with the others at `sources` alone.
    pub fn sweep(&self, sources: &Sources) {
        let mut schedule = self.lock();
        schedule.retain(|appointment| appointment.slot.strong_count() > 0);
        if schedule.lanes().all(|lane| sources.have(&lane.source)) {
            return;
        }
        schedule.reroute(|lane, appointment| {
            let present = lane.present(sources);
            if present.is_none() {
                appointment.let_go();
            }
            present
        });
    }

    fn lock(&self) -> MutexGuard<'_, Schedule<Lane, Appointment>> {
        // Invariant: no code panics while it holds this lock, and the schedule is whole between statements.
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    /// Where its tokens are renewed now, if they still are.
    #[must_use]
    pub fn present(&self, sources: &Sources) -> Option<Self> {
        Some(Self { source: Arc::clone(sources.present(&self.source)?), owner: self.owner })
    }

    /// What one more renewal takes, if there is all of it.
    fn passage(&self, stakes: &Stakes, now: Timestamp) -> Option<Passage> {
        let pass = match stakes.at(self.owner) {
            Some(stake) => Some(stake.line.turn_now(&self.source)?),
            None => None,
        };
        Some((self.source.allowance().renew(self.owner, now)?, pass))
    }
}

impl Appointment {
    fn let_go(&self) {
        if let Some(slot) = self.slot.upgrade() {
            slot.let_go(self.ticket);
        }
    }

    fn look(&self, source: &Source, reading: Reading) -> Renewal {
        let now = reading.now;
        let Some(slot) = self.slot.upgrade() else { return Renewal::LetGo };
        let resting = source.resting(&slot.key().scope, now).map(|(until, _)| until);
        let renewal = slot.renewal(self.ticket, reading, resting);
        match (renewal, resting) {
            // A new credential ends its rest, and so does a token that another key gets with it.
            (Renewal::Later(at), Some(until)) if now < until => {
                Renewal::Later(at.min(slot.due_at().unwrap_or(now).max(now + GLANCE)))
            }
            _ => renewal,
        }
    }
}

/// The same source is the same lane; two that are alike are not.
impl PartialEq for Lane {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source) && self.owner == other.owner
    }
}

impl Eq for Lane {}

impl Hash for Lane {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (Arc::as_ptr(&self.source), self.owner).hash(state);
    }
}

/// While a source rests, what is due is looked at so often.
const GLANCE: Duration = Duration::from_secs(5);
/// Wall-clock time may be set, or stand still while a machine sleeps, so nothing is waited for longer.
const LONGEST: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    impl Refresh {
        /// Where they come from.
        pub(in crate::vend) fn sources(&self) -> Vec<Arc<Source>> {
            self.lock().lanes().map(|lane| Arc::clone(&lane.source)).collect()
        }

        /// How many are taken up, evicted ones included.
        pub(in crate::vend) fn len(&self) -> usize {
            self.lock().len()
        }
    }
}
