//! What happens in one history. Times are in milliseconds from its start.

use crate::authority::Mood;

pub(crate) const SECOND: u64 = 1000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
pub(crate) const HOUR: u64 = 60 * MINUTE;

/// A history before it is run.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) seed: u64,
    pub(crate) keys: usize,
    /// Each has its budget, and every so-manieth key.
    pub(crate) clients: usize,
    /// Renewals a second for each client.
    pub(crate) rate: u32,
    pub(crate) hours: u64,
    /// Of so many keys one is held ready, whether anybody asks or not.
    pub(crate) warm: Option<usize>,
    /// All keys together; which one is drawn by Zipf's law.
    pub(crate) asks_per_second: f64,
    /// Each key has one of them.
    pub(crate) lives: &'static [Life],
    pub(crate) troubles: Vec<Trouble>,
    /// What happens to the wall clock.
    pub(crate) steps: Vec<(u64, Step)>,
    /// When the process starts anew, with nothing.
    pub(crate) restarts: Vec<u64>,
}

/// How long a key's tokens live, and when the authority would like them renewed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) millis: u64,
    pub(crate) refresh_in: Option<u64>,
}

impl Life {
    /// How long after its issue a token is due to be renewed, at the latest. Written apart from what it judges, as
    /// design.md has it.
    pub(crate) fn interval(self) -> u64 {
        let late = (5 * MINUTE).min(self.millis / 4);
        let own = if self.millis >= 120 * MINUTE { self.millis / 2 } else { self.millis * 3 / 4 };
        self.refresh_in.unwrap_or(own).min(self.millis - 2 * late)
    }

    /// How much of it is left then.
    fn spare(self) -> u64 {
        self.millis - self.interval()
    }
}

/// A time in which the authority is not itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) mood: Mood,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Forward(u64),
    Back(u64),
}

impl Scenario {
    /// Whether there is, or was until just now, a reason for an exchange to fail or to take longer than a caller
    /// with a late token waits: a flight that began in trouble may still be under way, and what was said in it holds
    /// for a while.
    pub(crate) fn is_troubled(&self, at: u64) -> bool {
        let troubled = self.troubles.iter().any(|trouble| (trouble.from..=trouble.to + AFTERWARDS).contains(&at));
        // A token that was on its way may be old, or dead, by a clock that was set meanwhile.
        troubled || self.is_just_set(at)
    }

    /// Whether the clock was set so lately that nobody may have seen it.
    pub(crate) fn is_just_set(&self, at: u64) -> bool {
        self.steps.iter().any(|(from, _)| (*from..=from + MINUTE).contains(&at))
    }

    pub(crate) fn is_warm(&self, key: usize) -> bool {
        self.warm.is_some_and(|every| key % every == every - 1)
    }

    /// Whether a key that is held ready may be without a token at this time: the budget is too small for all keys; the
    /// process or its clock was set a moment ago; or the authority has not been itself for longer than a token of
    /// this life has left once it is due.
    pub(crate) fn may_be_bare(&self, life: Life, at: u64) -> bool {
        let refill = self.refill();
        // What comes soon after a trouble meets those that wait for their turn since.
        let mut since = at;
        let reaches = |trouble: &&Trouble, since| trouble.from < since && since <= trouble.to + AFTERWARDS + refill;
        while let Some(earlier) =
            self.troubles.iter().filter(|trouble| reaches(trouble, since)).map(|one| one.from).min()
        {
            since = earlier;
        }
        let set = self.restarts.iter().copied().chain(self.steps.iter().map(|(from, _)| *from)).chain([0]);
        let is_anew = set.filter(|set| *set <= at).any(|set| set + MINUTE + refill >= since);
        !self.is_roomy() || is_anew || since + life.spare() <= at + refill
    }

    /// In which time one client's keys are all fetched.
    fn refill(&self) -> u64 {
        2 * SECOND * self.keys.div_ceil(self.clients) as u64 / self.capacity() + MINUTE
    }

    /// Whether each client has time for all of its keys, and for those who wait.
    fn is_roomy(&self) -> bool {
        let most_often = self.lives.iter().map(|life| life.interval()).min().unwrap_or(u64::MAX);
        self.keys.div_ceil(self.clients) as u64 * SECOND * 3 <= self.capacity() * most_often * 2
    }

    /// How many renewals a client makes in a second at most: six at a time, of the usual length.
    fn capacity(&self) -> u64 {
        u64::from(self.rate).min(15)
    }

    /// Whether the least number of exchanges can be told from the asks alone.
    pub(crate) fn is_plain(&self) -> bool {
        self.steps.is_empty() && self.restarts.is_empty()
    }

    /// How many renewals there may be in all.
    pub(crate) fn budget(&self) -> u64 {
        u64::from(self.rate) * self.clients as u64 * self.hours * HOUR / SECOND
    }
}

/// For so long what was said in a trouble may hold, or what was begun in it be under way.
const AFTERWARDS: u64 = 3 * MINUTE;
