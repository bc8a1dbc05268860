//! Which key is asked for when; and how few exchanges that takes.

use fastrand::Rng;

use crate::scenario::{Life, Scenario};

/// Asks at random times for keys by Zipf's law: the n-th key is asked for a part of 1/n.
pub(crate) struct Demand {
    rng: Rng,
    /// The sum of the parts of all keys up to each.
    sums: Vec<f64>,
    mean_pause: f64,
}

impl Demand {
    pub(crate) fn of(scenario: &Scenario) -> Self {
        let mut sum = 0.0;
        let sums = (1..=scenario.keys).map(|n| {
            sum += 1.0 / n as f64;
            sum
        });
        let sums = sums.collect();
        Self { rng: Rng::with_seed(scenario.seed), sums, mean_pause: 1000.0 / scenario.asks_per_second }
    }

    /// How many milliseconds after the last ask the next one comes, and for which key.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a pause is small and not negative")]
    pub(crate) fn next(&mut self) -> (u64, usize) {
        let pause = -(1.0 - self.rng.f64()).ln() * self.mean_pause;
        let drawn = self.rng.f64() * self.sums.last().copied().unwrap_or_default();
        let key = self.sums.partition_point(|sum| *sum <= drawn).min(self.sums.len() - 1);
        (pause as u64, key)
    }
}

/// How many exchanges one key takes at least, if none fails: one when somebody asks and there is
/// no token or an ageing one, and one at each refresh point while somebody has asked in two lives, or always. Written
/// apart from what it judges, as design.md has it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of an interval is smaller than it")]
pub(crate) fn least(asks: &[u64], is_warm: bool, life: Life, until: u64, rng: &mut Rng) -> u64 {
    let interval = life.interval();
    let mut draw = |sent: u64| sent + USUAL + (interval as f64 * (1.0 - 0.1 * rng.f64())) as u64;
    let (first, later) = match asks.split_first() {
        _ if is_warm => (0, asks),
        Some((first, later)) => (*first, later),
        None => return 0,
    };
    let (mut exchanges, mut asked, mut refresh_at) = (1, first, draw(first));
    for ask in later.iter().copied().chain([until]) {
        // Renewals that come before this ask.
        while refresh_at < ask && (is_warm || refresh_at - asked <= 2 * life.millis) {
            exchanges += 1;
            refresh_at = draw(refresh_at);
        }
        if ask >= refresh_at && ask < until {
            exchanges += 1;
            refresh_at = draw(ask);
        }
        asked = ask;
    }
    exchanges
}

/// How long an exchange usually takes, in milliseconds.
const USUAL: u64 = 220;
