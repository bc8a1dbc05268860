//! Which keys are renewed ahead, and in which order. Pure: the time, and whether a key is due and a lane may go, are
//! arguments.
//!
//! A key waits for its time, then stands in its lane until that may send one more. In a lane the most urgent goes
//! first, whenever it came; and of the lanes the one whose head is.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;
use std::time::Duration;

use foldhash::fast::FixedState;

use super::STEP;
use super::renewal::Renewal;
use crate::clock::Timestamp;

/// Keys `K`, of which those in one lane `L` share a budget.
#[derive(Debug)]
pub struct Schedule<L, K> {
    waiting: Heap<(L, K)>,
    /// Hashed without a seed, so that the same history has the same rounds. No caller chooses lanes.
    lanes: HashMap<L, Heap<K>, FixedState>,
    /// The time of the last round.
    seen: Timestamp,
}

/// The soonest first.
type Heap<T> = BinaryHeap<Reverse<Timed<T>>>;

/// Something at its time, which alone orders it.
#[derive(Debug)]
struct Timed<T> {
    at: Timestamp,
    what: T,
}

impl<L, K> Default for Schedule<L, K> {
    fn default() -> Self {
        Self { waiting: BinaryHeap::new(), lanes: HashMap::default(), seen: Timestamp::default() }
    }
}

impl<L: Clone + Eq + Hash, K> Schedule<L, K> {
    /// Has a key looked at when that time has come.
    pub fn put(&mut self, at: Timestamp, lane: L, key: K) {
        self.waiting.push(Reverse(Timed { at, what: (lane, key) }));
    }

    /// Looks at those whose time has come, and gives those that are to be renewed now. What `look` says of a key is
    /// asked once more before it goes, since a caller may have had it fetched meanwhile; `may` takes one from the
    /// budget of a lane.
    pub fn round(
        &mut self,
        now: Timestamp,
        mut look: impl FnMut(&L, &K) -> Renewal,
        mut may: impl FnMut(&L) -> bool,
    ) -> Vec<(L, K)> {
        if now + STEP < self.seen {
            self.hasten(now);
        }
        self.seen = now;
        for _ in 0..MOST {
            if self.waiting.peek().is_none_or(|Reverse(first)| first.at > now) {
                break;
            }
            let Some(Reverse(Timed { what: (lane, key), .. })) = self.waiting.pop() else { break };
            let renewal = look(&lane, &key);
            self.place(renewal, lane, key, now);
        }
        let mut heads: Heap<L> = self.lanes.iter().filter_map(|(lane, keys)| head(lane, keys)).collect();
        let mut going = Vec::new();
        // When a source begins to rest, all of its keys leave their lane.
        for _ in 0..MOST {
            let Some(Reverse(Timed { what: lane, .. })) = heads.pop() else { break };
            let Some(keys) = self.lanes.get_mut(&lane) else { continue };
            let Some(Reverse(Timed { what: key, at })) = keys.pop() else { continue };
            match look(&lane, &key) {
                Renewal::Due(_) if may(&lane) => going.push((lane.clone(), key)),
                Renewal::Due(_) => {
                    keys.push(Reverse(Timed { at, what: key }));
                    continue;
                }
                other => self.place(other, lane.clone(), key, now),
            }
            match self.lanes.get(&lane).and_then(|keys| head(&lane, keys)) {
                Some(next) => heads.push(next),
                None => drop(self.lanes.remove(&lane)),
            }
        }
        going
    }

    /// When there is something to look at next, if ever.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let in_line = (!self.lanes.is_empty()).then(|| now + ROUND);
        let waiting = self.waiting.peek().map(|Reverse(first)| first.at);
        in_line.into_iter().chain(waiting).min()
    }

    /// Forgets the keys that are gone.
    pub fn retain(&mut self, mut is_there: impl FnMut(&K) -> bool) {
        self.waiting.retain(|Reverse(Timed { what: (_, key), .. })| is_there(key));
        for keys in self.lanes.values_mut() {
            keys.retain(|Reverse(Timed { what: key, .. })| is_there(key));
        }
        self.lanes.retain(|_, keys| !keys.is_empty());
    }

    /// Has keys go in other lanes, as `lane` says of each; those that it has none for are forgotten.
    pub fn reroute(&mut self, mut lane: impl FnMut(&L, &K) -> Option<L>) {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        self.waiting = waiting
            .filter_map(|Reverse(Timed { at, what: (old, key) })| {
                Some(Reverse(Timed { at, what: (lane(&old, &key)?, key) }))
            })
            .collect();
        for (old, keys) in std::mem::take(&mut self.lanes) {
            for Reverse(Timed { at, what: key }) in keys {
                if let Some(new) = lane(&old, &key) {
                    self.lanes.entry(new).or_default().push(Reverse(Timed { at, what: key }));
                }
            }
        }
    }

    /// The lanes in which keys wait, or will.
    pub fn lanes(&self) -> impl Iterator<Item = &L> {
        let waiting = self.waiting.iter().map(|Reverse(Timed { what: (lane, _), .. })| lane);
        waiting.chain(self.lanes.keys())
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len() + self.lanes.values().map(BinaryHeap::len).sum::<usize>()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.lanes.is_empty()
    }

    /// Has all that waits looked at. The clock was set back, so that it would wait for longer than it has to by so much:
    /// what is held ready would have no token all the time.
    fn hasten(&mut self, now: Timestamp) {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        self.waiting = waiting.map(|Reverse(one)| Reverse(Timed { at: one.at.min(now), ..one })).collect();
    }

    fn place(&mut self, renewal: Renewal, lane: L, key: K, now: Timestamp) {
        match renewal {
            Renewal::Due(urgency) => {
                self.lanes.entry(lane).or_default().push(Reverse(Timed { at: urgency, what: key }));
            }
            // A time that has come would be looked at again in the same round.
            Renewal::Later(at) => self.put(at.max(now + LEAST), lane, key),
            Renewal::LetGo => {}
        }
    }
}

fn head<L: Clone, K>(lane: &L, keys: &Heap<K>) -> Option<Reverse<Timed<L>>> {
    keys.peek().map(|Reverse(first)| Reverse(Timed { at: first.at, what: lane.clone() }))
}

impl<T> Ord for Timed<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

impl<T> PartialOrd for Timed<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Eq for Timed<T> {}

impl<T> PartialEq for Timed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

/// While some stand in line, so long until the next round.
const ROUND: Duration = Duration::from_millis(50);
const LEAST: Duration = Duration::from_millis(1);
/// So many are looked at in one round: after a machine has slept all may be due at once, and callers must not wait
/// for that.
const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use std::collections::HashMap as Map;

    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    /// One round at that second, in which each lane may send so many; what goes.
    fn round(schedule: &mut Schedule<&'static str, u64>, secs: u64, each: usize) -> Vec<u64> {
        let mut sent: Map<&str, usize> = Map::new();
        let may = |lane: &&'static str| {
            let sent = sent.entry(lane).or_default();
            *sent += 1;
            *sent <= each
        };
        // A key is as urgent as its number says.
        let going = schedule.round(at(secs), |_, key| Renewal::Due(at(*key)), may);
        going.into_iter().map(|(_, key)| key).collect()
    }

    #[test]
    fn the_most_urgent_goes_first_whenever_it_came() {
        let mut schedule = Schedule::default();
        for (secs, key) in [(1, 30), (2, 10), (3, 20), (9, 1)] {
            schedule.put(at(secs), "a", key);
        }
        assert_eq!(schedule.next(at(0)), Some(at(1)));
        assert!(round(&mut schedule, 0, 9).is_empty());
        assert_eq!(round(&mut schedule, 3, 1), [10]);
        assert_eq!(schedule.next(at(3)), Some(at(3) + ROUND), "two stand in line");
        assert_eq!(round(&mut schedule, 4, 9), [20, 30]);
        assert_eq!((schedule.next(at(4)), schedule.len()), (Some(at(9)), 1));
    }

    #[test]
    fn a_lane_without_budget_is_in_nobody_elses_way() {
        let mut schedule = Schedule::default();
        for key in 1..=5 {
            schedule.put(at(0), "full", key);
        }
        schedule.put(at(0), "other", 9);
        assert_eq!(round(&mut schedule, 0, 1), [1, 9]);
        assert_eq!(round(&mut schedule, 1, 0), [0; 0]);
        assert_eq!(round(&mut schedule, 2, 9), [2, 3, 4, 5]);
        assert!(schedule.is_empty());
    }

    #[test]
    fn what_is_not_due_any_more_takes_no_budget() {
        let mut schedule = Schedule::default();
        for key in 1..=3 {
            schedule.put(at(0), "a", key);
        }
        assert!(round(&mut schedule, 0, 0).is_empty());
        let renewals = [Renewal::LetGo, Renewal::Later(at(0)), Renewal::Due(at(3))];
        let mut asked = 0;
        let look = |_: &&str, key: &u64| renewals[usize::try_from(*key).unwrap() - 1];
        let going = schedule.round(at(1), look, |_| {
            asked += 1;
            true
        });
        assert_eq!((going, asked, schedule.len()), (vec![("a", 3)], 1, 1));
        assert_eq!(schedule.next(at(1)), Some(at(1) + LEAST), "it is looked at again, and not in the same round");
    }

    #[test]
    fn a_clock_that_is_set_back_has_all_looked_at() {
        for (back, looked_at) in [(60, vec![]), (61, vec![500, 900])] {
            let mut schedule = Schedule::default();
            assert!(round(&mut schedule, 400, 9).is_empty());
            for key in [900, 500] {
                schedule.put(at(key), "a", key);
            }
            assert_eq!(round(&mut schedule, 400 - back, 9), looked_at, "{back}");
        }
    }

    #[test]
    fn what_is_gone_is_forgotten_and_a_round_has_an_end() {
        let mut schedule = Schedule::default();
        for key in 0..25_000 {
            schedule.put(at(0), "a", key);
        }
        assert!(round(&mut schedule, 0, 0).is_empty());
        assert_eq!((schedule.waiting.len(), schedule.len()), (15_000, 25_000));
        schedule.retain(|key| key % 2 == 0);
        assert_eq!(schedule.len(), 12_500);
        schedule.retain(|_| false);
        assert!(schedule.is_empty() && schedule.next(at(0)).is_none());
    }
}
