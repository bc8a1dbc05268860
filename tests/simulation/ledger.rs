//! What came of a history, and what must be true of every one.

use std::collections::VecDeque;

use crate::scenario::{Life, MINUTE, SECOND, Scenario};

/// In milliseconds.
const LAST_MOMENT: i64 = 500;

/// Figures, and the promises that were broken.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) asks: u64,
    pub(crate) waits: u64,
    pub(crate) errors: u64,
    /// Answers with less than five minutes left of more than twenty.
    pub(crate) late: u64,
    pub(crate) issued: u64,
    pub(crate) failed: u64,
    pub(crate) renewals: u64,
    /// Renewals, and first fetches, of what nobody had asked for in two lives.
    pub(crate) unasked: u64,
    /// Minutes in which a key that is held ready had no token, of each such key.
    pub(crate) bare: u64,
    /// The most renewals of one client in one second.
    pub(crate) burst: usize,
    /// How few exchanges would have done.
    pub(crate) least: u64,
    broken: Vec<String>,
}

/// The times of one client's latest renewals.
#[derive(Debug, Default)]
pub(crate) struct Second(VecDeque<u64>);

impl Second {
    /// How many there were in the second that ends now, this one included.
    pub(crate) fn add(&mut self, at: u64) -> usize {
        self.0.push_back(at);
        while self.0.front().is_some_and(|first| *first + SECOND <= at) {
            self.0.pop_front();
        }
        self.0.len()
    }

    /// The wall clock was set: what a budget thinks of a second is another one now.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }
}

/// A token as it is handed over: how much of it is left.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "a broken promise is printed whole")]
pub(crate) struct Answer {
    pub(crate) key: usize,
    pub(crate) at: u64,
    pub(crate) life: u64,
    /// By its own end; negative when it has ended.
    pub(crate) left: i64,
    /// The same by the time that passes, however the clock is set.
    pub(crate) lives_for: i64,
    /// As it was counted from the sending, which is less: by the time that it took to be signed.
    pub(crate) counted: i64,
}

impl Ledger {
    pub(crate) const HEADER: &'static str = "history                         asks   waited  errors    late    issued   failed  renewals  a second   unasked      bare  to the least";

    pub(crate) fn answer(&mut self, scenario: &Scenario, answer: Answer) {
        if answer.left <= 0 || (answer.lives_for <= 0 && !scenario.is_just_set(answer.at)) {
            self.broken.push(format!("an expired token: {answer:?}"));
        }
        // Who waits gets the live one when it could not be used for longer, whatever comes then.
        let is_last = answer.counted <= LAST_MOMENT;
        let is_late = answer.life > 20 * MINUTE && answer.left < 5 * i64::try_from(MINUTE).unwrap() && !is_last;
        if is_late {
            self.late += 1;
            if !scenario.is_troubled(answer.at) {
                self.broken.push(format!("a late token though the authority was well: {answer:?}"));
            }
        }
    }

    /// `left` is what the key's last token still had; nothing, if it had none.
    pub(crate) fn error(&mut self, scenario: &Scenario, key: usize, at: u64, left: u64) {
        self.errors += 1;
        // What is counted anew ends with a whole second of the clock as it is set by then.
        let least = if scenario.steps.is_empty() { 0 } else { SECOND };
        if left > least {
            self.broken.push(format!("an error for key {key} at {at} though its token had {left} ms left"));
        }
        if !scenario.is_troubled(at) {
            self.broken.push(format!("an error for key {key} at {at} though the authority was well"));
        }
    }

    pub(crate) fn renewal(&mut self, scenario: &Scenario, client: usize, at: u64, second: &mut Second) {
        self.renewals += 1;
        let burst = second.add(at);
        self.burst = self.burst.max(burst);
        if burst > scenario.rate as usize {
            self.broken.push(format!("{burst} renewals of client {client} in the second before {at}"));
        }
    }

    /// A renewal, or a first fetch, of a key that nobody had asked for in two lives.
    pub(crate) fn unasked(&mut self, scenario: &Scenario, key: usize, at: u64) {
        self.unasked += 1;
        if !scenario.is_warm(key) && scenario.steps.is_empty() {
            self.broken.push(format!("key {key} was renewed at {at} for nobody"));
        }
    }

    /// A key that is held ready has no token that is worth anything.
    pub(crate) fn bare(&mut self, scenario: &Scenario, key: usize, life: Life, at: u64) {
        self.bare += 1;
        if !scenario.may_be_bare(life, at) {
            self.broken.push(format!("key {key} is held ready and has no token at {at}"));
        }
    }

    pub(crate) fn second_flight(&mut self, key: usize, at: u64) {
        self.broken.push(format!("a second flight of key {key} at {at}"));
    }

    /// What holds of every history.
    pub(crate) fn check_promises(&self) {
        assert!(
            self.broken.is_empty(),
            "{} broken, first:\n{}",
            self.broken.len(),
            self.broken[..self.broken.len().min(5)].join("\n")
        );
    }

    /// And what holds of one of the listed ones.
    pub(crate) fn check(&self, scenario: &Scenario) {
        self.check_promises();
        assert!(self.asks > 1000 && self.renewals > 100, "{}: nothing happened", scenario.name);
        assert_eq!(self.unasked > 100, scenario.warm.is_some(), "{}: {} unasked", scenario.name, self.unasked);
        if scenario.is_plain() {
            let may_all = scenario.troubles.is_empty() && self.least < scenario.budget();
            let ratio = self.ratio();
            assert!(ratio <= 1.1, "{}: {} exchanges where {} would do", scenario.name, self.issued, self.least);
            assert!(ratio >= 0.9 || !may_all, "{}: {} of {} exchanges", scenario.name, self.issued, self.least);
        }
        if scenario.troubles.is_empty() {
            assert_eq!((self.errors, self.failed, self.late), (0, 0, 0), "{}", scenario.name);
        }
    }

    fn ratio(&self) -> f64 {
        self.issued as f64 / self.least as f64
    }

    pub(crate) fn line(&self, scenario: &Scenario) -> String {
        let ratio = if scenario.is_plain() { format!("{:.3}", self.ratio()) } else { "-".to_owned() };
        format!(
            "{:<27}{:>9}{:>9}{:>8}{:>8}{:>10}{:>9}{:>10}{:>10}{:>10}{:>10}{:>14}",
            scenario.name,
            self.asks,
            self.waits,
            self.errors,
            self.late,
            self.issued,
            self.failed,
            self.renewals,
            self.burst,
            self.unasked,
            self.bare,
            ratio
        )
    }
}
