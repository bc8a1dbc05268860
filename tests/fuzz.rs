//! The fuzz target over its corpus, and over what proptest makes up; see `fuzz/ask.rs`.

#[path = "../fuzz/ask.rs"]
mod ask;

use std::path::Path;

use proptest::prelude::*;

#[test]
fn the_corpus_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/ask");
    let files: Vec<_> = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 10, "{} files", files.len());
    for file in files {
        ask::ask(&std::fs::read(file).unwrap());
    }
}

/// Pieces of real requests, so that guesses get far.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"GET /token?".to_vec()),
        Just(b"resource=https://vault.azure.net".to_vec()),
        Just(b"&api-version=2019-08-01".to_vec()),
        Just(b"&api-version=2017-09-01".to_vec()),
        Just(b"&client_id=11111111-2222-3333-4444-555555555555".to_vec()),
        Just(b"&tenant=fabrikam.com&claims={}".to_vec()),
        Just(b" HTTP/1.1\r\n".to_vec()),
        Just(b"Metadata: true\r\n".to_vec()),
        Just(b"X-IDENTITY-HEADER: x\r\nsecret: x\r\n".to_vec()),
        Just(b"Via: 1.1 x\r\n".to_vec()),
        Just(b"\r\n\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic_or_pass_a_guard(pieces in proptest::collection::vec(piece(), 0..12)) {
        ask::ask(&pieces.concat());
    }
}
