//! What a cached token costs the server, as ratios within one run: `cargo bench --bench load [CONTEST...]`.
//!
//! The server runs on the first core and the load on the second. Contestants take turns, so that what a shared machine
//! does in the meantime falls on all alike, and what is compared is the processor time that a server used for a
//! request: wall-clock time says more of the neighbours. `benches/README.md` tells how to read the table.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark prints its table and fails by panicking"
)]
#![expect(clippy::cast_possible_truncation, reason = "figures are rounded anyway")]

#[path = "load/contestant.rs"]
mod contestant;
#[path = "load/generator.rs"]
mod generator;
#[path = "load/machine.rs"]
mod machine;
#[path = "load/recognition.rs"]
mod recognition;
#[path = "load/table.rs"]
mod table;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    println!("{}", machine::facts());
    if is_wanted("recognition") {
        recognition::run();
    }
}
