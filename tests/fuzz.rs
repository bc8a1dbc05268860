//! The fuzz target over what real clients sent, over what is wrong with that, and over what proptest makes of it; see
//! `fuzz/ask.rs`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../fuzz/ask.rs"]
mod ask;
#[path = "wire/golden.rs"]
#[expect(dead_code, reason = "each test file uses a part of it")]
mod golden;

use std::path::Path;

use ask::{House, Outcome, SECRET};
use golden::Golden;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

/// What has to come of a recorded request.
fn due(golden: &Golden) -> Outcome {
    match golden.answer() {
        None => Outcome::Permit,
        Some(answer) if answer.starts_with("HTTP/1.1 200 ") => Outcome::Page,
        Some(_) => Outcome::Nothing,
    }
}

#[test]
fn recorded_requests_come_as_far_as_they_came() {
    let directory = tempfile::tempdir().unwrap();
    let house = House::new(directory.path()).unwrap();
    let goldens = Golden::all();
    for golden in &goldens {
        assert_eq!(house.ask(&golden.bytes), due(golden), "{}", golden.name);
    }
    for outcome in [Outcome::Nothing, Outcome::Page, Outcome::Permit] {
        assert!(goldens.iter().filter(|golden| due(golden) == outcome).count() > 4, "{outcome:?}");
    }
}

#[test]
fn without_what_its_guard_demands_no_recorded_request_comes_anywhere() {
    let directory = tempfile::tempdir().unwrap();
    let house = House::new(directory.path()).unwrap();
    for golden in Golden::all().iter().filter(|golden| due(golden) != Outcome::Nothing) {
        let asked = |text: &str| house.ask(text.as_bytes());
        let text = golden.text();
        let lines = text.split_inclusive("\r\n");
        let is_proof = |line: &&str| {
            let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
            ["metadata", "x-identity-header", "secret", "authorization"].contains(&name.as_str())
        };
        let stripped: String = lines.filter(|line| !is_proof(line)).collect();
        assert_eq!(asked(&stripped), Outcome::Nothing, "{} without a proof", golden.name);
        if text.contains(SECRET) {
            for wrong in [&SECRET[1..], &SECRET[..SECRET.len() - 1], "", "the-header-secreT"] {
                assert_eq!(asked(&text.replace(SECRET, wrong)), Outcome::Nothing, "{} with {wrong:?}", golden.name);
            }
        } else {
            let (first, rest) = text.split_once("\r\n").unwrap();
            for proxy in ["X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1", "Via: 1.1 proxy"] {
                let forwarded = format!("{first}\r\n{proxy}\r\n{rest}");
                assert_eq!(asked(&forwarded), Outcome::Nothing, "{} with {proxy}", golden.name);
            }
        }
    }
}

/// What no recorded client sends, by the names of the files: what is refused says so.
#[test]
fn seeds_come_as_far_as_their_names_say() {
    let directory = tempfile::tempdir().unwrap();
    let house = House::new(directory.path()).unwrap();
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let files: Vec<_> = std::fs::read_dir(seeds).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 4, "{} seeds", files.len());
    for file in files {
        let is_refused = file.file_name().unwrap().to_str().unwrap().starts_with("refused-");
        let due = if is_refused { Outcome::Nothing } else { Outcome::Permit };
        assert_eq!(house.ask(&std::fs::read(&file).unwrap()), due, "{}", file.display());
    }
}

/// One thing that is done to a request.
#[derive(Clone, Debug)]
enum Change {
    /// A piece is put in.
    Insert(Index, Vec<u8>),
    /// A byte is another.
    Replace(Index, u8),
    /// What lies between two places is taken out.
    Cut(Index, Index),
    /// From here on it is another recorded request.
    Splice(Index, Index),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>, goldens: &[Golden]) {
        let place = |index: &Index| index.index(bytes.len() + 1);
        match self {
            Self::Insert(at, piece) => {
                let at = place(at);
                bytes.splice(at..at, piece.iter().copied());
            }
            Self::Replace(at, byte) => {
                let at = place(at);
                bytes.splice(at..bytes.len().min(at + 1), [*byte]);
            }
            Self::Cut(one, other) => {
                let (one, other) = (place(one), place(other));
                bytes.drain(one.min(other)..one.max(other));
            }
            Self::Splice(at, which) => {
                let at = place(at);
                let other = &which.get(goldens).bytes;
                bytes.truncate(at);
                bytes.extend_from_slice(&other[at.min(other.len())..]);
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<Index>;
    prop_oneof![
        (place(), piece()).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (place(), any::<u8>()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        (place(), place()).prop_map(|(one, other)| Change::Cut(one, other)),
        (place(), place()).prop_map(|(at, which)| Change::Splice(at, which)),
    ]
}

/// Pieces of real requests, so that guesses get far.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"GET /token?resource=https://vault.azure.net HTTP/1.1\r\n".to_vec()),
        Just(b"POST ".to_vec()),
        Just(b"/metadata/instance/compute?".to_vec()),
        Just(b"/".to_vec()),
        Just(b"&api-version=2019-08-01".to_vec()),
        Just(b"&api-version=2017-09-01".to_vec()),
        Just(b"&client_id=b0b00000-0000-4000-8000-000000000002".to_vec()),
        Just(b"&tenant=fabrikam.com&claims={}".to_vec()),
        Just(b"\r\nMetadata: true\r\n".to_vec()),
        Just(b"\r\nX-IDENTITY-HEADER: x\r\nsecret: x\r\n".to_vec()),
        Just(format!("\r\nAuthorization: Basic {SECRET}\r\n").into_bytes()),
        Just(b"\r\nVia: 1.1 x\r\n".to_vec()),
        Just(b"\r\n\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ]
}

#[test]
fn no_bytes_panic_or_pass_a_guard() {
    let directory = tempfile::tempdir().unwrap();
    let house = House::new(directory.path()).unwrap();
    let goldens = Golden::all();
    let config = ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() };
    let changes = (any::<Index>(), proptest::collection::vec(change(), 0..6));
    let pieces = proptest::collection::vec(piece(), 0..12);
    TestRunner::new(config.clone())
        .run(&pieces, |pieces| {
            house.ask(&pieces.concat());
            Ok(())
        })
        .unwrap();
    TestRunner::new(config)
        .run(&changes, |(which, changes)| {
            let mut bytes = which.get(&goldens).bytes.clone();
            changes.iter().for_each(|change| change.apply(&mut bytes, &goldens));
            house.ask(&bytes);
            Ok(())
        })
        .unwrap();
}
