//! Days of traffic over virtual time: the real slots, schedule and budgets, against an authority that is modelled.
//!
//! Everything is drawn from a seed. Each answer is held against what must be true of all of them (`ledger`); the
//! figures are printed as a table (`cargo test --test simulation -- --nocapture`).
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test prints and fails by panicking")]

#[path = "simulation/authority.rs"]
mod authority;
#[path = "simulation/demand.rs"]
mod demand;
#[path = "simulation/ledger.rs"]
mod ledger;
#[path = "simulation/scenario.rs"]
mod scenario;
#[path = "simulation/world.rs"]
mod world;

use authority::Mood::{Down, Slow, Throttling};
use ledger::Ledger;
use proptest::prelude::*;
use scenario::{HOUR, Life, MINUTE, SECOND, Scenario, Step, Trouble};
use world::World;

const HOURLY: &[Life] = &[Life { millis: HOUR, refresh_in: None }];
const DAILY: &[Life] =
    &[Life { millis: 24 * HOUR, refresh_in: None }, Life { millis: 24 * HOUR, refresh_in: Some(12 * HOUR) }];
const MIXED: &[Life] = &[
    Life { millis: 5 * MINUTE, refresh_in: None },
    Life { millis: HOUR, refresh_in: None },
    Life { millis: HOUR, refresh_in: Some(20 * MINUTE) },
    Life { millis: 75 * MINUTE, refresh_in: None },
    Life { millis: 8 * HOUR, refresh_in: None },
    Life { millis: 24 * HOUR, refresh_in: Some(12 * HOUR) },
];

/// Day and night without anything that happens.
fn calm() -> Scenario {
    Scenario {
        name: "calm, an hour each",
        seed: 1,
        keys: 2_000,
        clients: 4,
        rate: 20,
        hours: 36,
        warm: None,
        asks_per_second: 1.6,
        lives: HOURLY,
        troubles: Vec::new(),
        steps: Vec::new(),
        restarts: Vec::new(),
    }
}

fn scenarios() -> Vec<Scenario> {
    let base = calm();
    let outage = |from: u64, length: u64| Trouble { from, to: from + length, mood: Down };
    let outages = vec![
        outage(3 * HOUR, MINUTE),
        outage(6 * HOUR, 10 * MINUTE),
        outage(10 * HOUR, HOUR),
        outage(16 * HOUR, 6 * HOUR),
    ];
    let spells = vec![
        Trouble { from: 4 * HOUR, to: 5 * HOUR, mood: Slow },
        Trouble { from: 8 * HOUR, to: 8 * HOUR + 20 * MINUTE, mood: Throttling },
        Trouble { from: 20 * HOUR, to: 20 * HOUR + 5 * MINUTE, mood: Slow },
    ];
    let steps =
        vec![(5 * HOUR, Step::Forward(HOUR)), (11 * HOUR, Step::Back(2 * HOUR)), (20 * HOUR, Step::Back(MINUTE))];
    let both = outages.iter().chain(&spells).copied().collect();
    vec![
        base.clone(),
        Scenario { name: "lives of all kinds", lives: MIXED, ..base.clone() },
        Scenario { name: "a seventh held ready", lives: MIXED, warm: Some(7), ..base.clone() },
        Scenario {
            name: "one client, a small budget",
            keys: 5_000,
            clients: 1,
            rate: 1,
            warm: Some(7),
            asks_per_second: 4.0,
            ..base.clone()
        },
        Scenario { name: "outages", warm: Some(7), lives: MIXED, troubles: outages, ..base.clone() },
        Scenario { name: "slow and throttling", warm: Some(7), troubles: spells, ..base.clone() },
        Scenario { name: "clock steps", warm: Some(7), lives: MIXED, steps: steps.clone(), ..base.clone() },
        Scenario {
            name: "restarts",
            warm: Some(7),
            restarts: vec![7 * HOUR, 15 * HOUR, 15 * HOUR + MINUTE],
            ..base.clone()
        },
        Scenario {
            name: "everything at once",
            warm: Some(7),
            lives: MIXED,
            troubles: both,
            steps,
            restarts: vec![9 * HOUR, 30 * HOUR],
            ..base.clone()
        },
        Scenario {
            name: "a million keys",
            keys: 1_000_000,
            clients: 10,
            rate: 100,
            hours: 50,
            warm: Some(499),
            asks_per_second: 5.0,
            lives: DAILY,
            troubles: vec![outage(30 * HOUR, 2 * HOUR)],
            ..base
        },
    ]
}

fn run(scenario: &Scenario) -> Ledger {
    World::new(scenario).run()
}

#[test]
fn every_answer_of_days_keeps_the_promises() {
    println!("{}", Ledger::HEADER);
    for scenario in scenarios() {
        let ledger = run(&scenario);
        println!("{}", ledger.line(&scenario));
        ledger.check(&scenario);
    }
}

#[test]
fn the_same_seed_is_the_same_history() {
    let eventful = scenarios().into_iter().find(|scenario| scenario.name == "everything at once").unwrap();
    let scenario = Scenario { hours: 6, ..eventful };
    assert_eq!(run(&scenario).line(&scenario), run(&scenario).line(&scenario));
    let other = Scenario { seed: 2, ..scenario.clone() };
    assert_ne!(run(&scenario).line(&scenario), run(&other).line(&other));
}

fn any_trouble() -> impl Strategy<Value = Trouble> {
    let mood = prop_oneof![Just(Down), Just(Slow), Just(Throttling)];
    (0..12 * HOUR, SECOND..6 * HOUR, mood).prop_map(|(from, length, mood)| Trouble { from, to: from + length, mood })
}

fn any_step() -> impl Strategy<Value = (u64, Step)> {
    let step = prop_oneof![(1..4 * HOUR).prop_map(Step::Forward), (1..4 * HOUR).prop_map(Step::Back)];
    (0..12 * HOUR, step)
}

prop_compose! {
    fn any_scenario()(
        seed in any::<u64>(),
        keys in 1_usize..60,
        clients in 1_usize..4,
        rate in 1_u32..40,
        warm in proptest::option::of(1_usize..8),
        asks_per_second in 0.002..0.2,
        lives in prop_oneof![Just(HOURLY), Just(DAILY), Just(MIXED)],
        troubles in proptest::collection::vec(any_trouble(), 0..4),
        steps in proptest::collection::vec(any_step(), 0..3),
        restarts in proptest::collection::vec(0..12 * HOUR, 0..3),
    ) -> Scenario {
        Scenario { name: "any", seed, keys, clients, rate, hours: 14, warm, asks_per_second, lives, troubles, steps, restarts }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn no_history_breaks_a_promise(scenario in any_scenario()) {
        run(&scenario).check_promises();
    }
}
