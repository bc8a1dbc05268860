#![no_main]
//! `fuzz/ask.rs` over whatever libFuzzer makes up.

#[path = "../ask.rs"]
mod ask;

use std::sync::LazyLock;

use ask::House;

static HOUSE: LazyLock<House> = LazyLock::new(|| {
    let directory = std::env::temp_dir().join("bursar-fuzz");
    std::fs::create_dir_all(&directory).and_then(|()| House::new(&directory)).expect("a directory for the key file")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    HOUSE.ask(bytes);
});
