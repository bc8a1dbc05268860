//! The rounds of a contest, and the table that they come to.

use std::time::Duration;

use super::contestant::Contestant;
use super::generator::{self, Round};

/// What one contestant did in one round.
struct Turn {
    /// Processor time for a request, in nanoseconds.
    cost: f64,
    latencies: Vec<Duration>,
}

/// Lets the contestants take turns, and prints what each request of theirs costs beside the first one's. A ratio is
/// the median of those of the rounds, since both halves of one round met the same neighbours.
pub(super) fn contest(title: &str, contestants: &[Contestant], rounds: usize, connections: usize, requests: usize) {
    for contestant in contestants {
        turn(contestant, connections, requests);
    }
    // Every other round the other way round, so that nobody always comes first.
    let play = |round: usize| {
        let mut order: Vec<usize> = (0..contestants.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        let mut turns: Vec<_> = order.into_iter().map(|n| (n, turn(&contestants[n], connections, requests))).collect();
        turns.sort_by_key(|(n, _)| *n);
        turns.into_iter().map(|(_, turn)| turn).collect()
    };
    let played: Vec<Vec<Turn>> = (0..rounds).map(play).collect();
    println!("\n{title}: {rounds} rounds of {requests} requests over {connections} connections");
    println!(
        "{:<20} {:>12} {:>10} {:>9} {:>9} {:>9}",
        "contestant", "µs/request", "ratio", "p50 µs", "p99 µs", "p99.9 µs"
    );
    for (n, contestant) in contestants.iter().enumerate() {
        let cost = median(played.iter().map(|turns| turns[n].cost));
        let ratio = median(played.iter().map(|turns| turns[n].cost / turns[0].cost));
        let mut latencies: Vec<Duration> = played.iter().flat_map(|turns| turns[n].latencies.clone()).collect();
        latencies.sort_unstable();
        let at = |share: f64| micros(latencies[((latencies.len() - 1) as f64 * share) as usize]);
        println!(
            "{:<20} {:>12.2} {:>10.3} {:>9.0} {:>9.0} {:>9.0}",
            contestant.name,
            cost / 1000.0,
            ratio,
            at(0.5),
            at(0.99),
            at(0.999)
        );
    }
}

fn turn(contestant: &Contestant, connections: usize, requests: usize) -> Turn {
    let before = contestant.cpu_time();
    let Round { latencies } = generator::round(contestant.address, &contestant.request, connections, requests);
    let used = contestant.cpu_time() - before;
    Turn { cost: used as f64 / latencies.len() as f64, latencies }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
