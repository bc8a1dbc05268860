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
        const AFTERWARDS: u64 = 3 * MINUTE;
        let troubled = self.troubles.iter().any(|trouble| (trouble.from..=trouble.to + AFTERWARDS).contains(&at));
        // A token that was on its way may be old, or dead, by a clock that was set meanwhile.
        let is_set = self.steps.iter().any(|(from, _)| (*from..=from + MINUTE).contains(&at));
        troubled || is_set
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
