//! The rounds of a contest, and the table that they come to.

use std::time::Duration;

use super::contestant::Contestant;
use super::generator;

/// How a contest is held.
pub(super) struct Contest<'a> {
    pub(super) title: &'a str,
    /// How often all servers are started anew: how a process happens to lie in memory changes what it costs.
    pub(super) heats: usize,
    /// Rounds in each heat.
    pub(super) rounds: usize,
    /// Requests of each turn, over eight connections.
    pub(super) requests: usize,
}

/// What one contestant did in one round.
struct Turn {
    /// Processor time for a request, in nanoseconds.
    cost: f64,
    latencies: Vec<Duration>,
}

/// What all did in all rounds.
pub(super) struct Played(Vec<Vec<Turn>>);

impl Contest<'_> {
    /// Lets the contestants take turns, and prints what each request of theirs costs.
    pub(super) fn play(&self, start: impl Fn() -> Vec<Contestant>) -> Played {
        let (mut names, mut played) = (Vec::new(), Vec::new());
        for _ in 0..self.heats {
            let contestants = start();
            names = contestants.iter().map(|contestant| contestant.name.clone()).collect();
            // What is slow once only, such as the first exchange, is not counted.
            for contestant in &contestants {
                turn(contestant, self.requests);
            }
            played.extend((0..self.rounds).map(|round| self.round(&contestants, round)));
        }
        let played = Played(played);
        println!("\n{}: {} x {} rounds of {} requests", self.title, self.heats, self.rounds, self.requests);
        played.print(&names);
        played
    }

    /// Every other round the other way round, so that nobody always comes first.
    fn round(&self, contestants: &[Contestant], round: usize) -> Vec<Turn> {
        let mut order: Vec<usize> = (0..contestants.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        let mut turns: Vec<_> = order.into_iter().map(|n| (n, turn(&contestants[n], self.requests))).collect();
        turns.sort_by_key(|(n, _)| *n);
        turns.into_iter().map(|(_, turn)| turn).collect()
    }
}

impl Played {
    /// The cost of one beside that of another: the median of the rounds, since both halves of one round met the same
    /// neighbours.
    pub(super) fn ratio(&self, one: usize, other: usize) -> f64 {
        median(self.ratios(one, other))
    }

    /// What the ratio of two that are the same is off by: how far its median is from 1, and how far that median could
    /// be elsewhere in another run.
    pub(super) fn noise(&self, one: usize, same: usize) -> f64 {
        (self.ratio(one, same) - 1.0).abs() + notch(self.ratios(one, same))
    }

    fn ratios(&self, one: usize, other: usize) -> impl Iterator<Item = f64> {
        self.0.iter().map(move |turns| turns[one].cost / turns[other].cost)
    }

    fn print(&self, names: &[String]) {
        let head = ["µs/request", "cost ratio", "p50 µs", "p99 µs", "p99.9 µs"];
        println!("  {:<28} {:>11} {:>11} {:>9} {:>9} {:>9}", "contestant", head[0], head[1], head[2], head[3], head[4]);
        for (n, name) in names.iter().enumerate() {
            let cost = median(self.0.iter().map(|turns| turns[n].cost)) / 1000.0;
            let mut latencies: Vec<Duration> = self.0.iter().flat_map(|turns| turns[n].latencies.clone()).collect();
            latencies.sort_unstable();
            let at = |share: f64| micros(latencies[((latencies.len() - 1) as f64 * share) as usize]);
            let (ratio, p50, p99, p999) = (self.ratio(n, 0), at(0.5), at(0.99), at(0.999));
            println!("  {name:<28} {cost:>11.2} {ratio:>11.3} {p50:>9.0} {p99:>9.0} {p999:>9.0}");
        }
    }
}

fn turn(contestant: &Contestant, requests: usize) -> Turn {
    let before = contestant.server.cpu_time();
    let latencies = generator::round(contestant.server.address, &contestant.request, CONNECTIONS, requests);
    let used = contestant.server.cpu_time() - before;
    Turn { cost: used as f64 / latencies.len() as f64, latencies }
}

pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How far the median of such values could be elsewhere in another run: half of its 95 % interval, by the notch of
/// McGill, Tukey and Larsen (1978).
pub(super) fn notch(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let quartiles = values[values.len() * 3 / 4] - values[values.len() / 4];
    1.57 * quartiles / (values.len() as f64).sqrt()
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

const CONNECTIONS: usize = 8;
