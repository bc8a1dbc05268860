#![no_main]
//! `cargo +nightly fuzz run ask`, with the corpus in `fuzz/corpus/ask`.

#[path = "../ask.rs"]
mod ask;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ask::ask(bytes));
