//! What the pages under docs/ say of the code is true where a program can tell.

use std::fs;

#[test]
fn the_security_model_names_tests_that_are_there() {
    let page = fs::read_to_string("docs/security.md").unwrap();
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(|word| is_source(word)).collect();
    assert!(named.len() > 60, "the page is read wrongly: {named:?}");
    for name in named {
        assert_eq!(of(name), Ok(()), "{name}");
    }
}

#[test]
fn a_file_alone_shows_nothing() {
    for (name, problem) in [
        ("tests/documents.rs", "no test in it is named"),
        ("tests/nowhere.rs::a_file_alone_shows_nothing", "there is no such file"),
        ("tests/documents.rs::a_file_alone", "there is no such test"),
        ("tests/documents.rs::is_source", "there is no such test"),
    ] {
        assert_eq!(of(name), Err(problem), "{name}");
    }
}

/// Whether it names a test that is there.
fn of(name: &str) -> Result<(), &'static str> {
    let (file, test) = name.split_once("::").ok_or("no test in it is named")?;
    let text = fs::read_to_string(file).map_err(|_| "there is no such file")?;
    let head = format!("fn {test}(");
    let before = |(at, _)| text[..at].trim_end_matches("async ").trim_end();
    // Behind the attribute may stand others, each on a line of its own.
    let is_test = |head: &str| {
        let attributes = head.lines().rev().take_while(|line| line.trim_start().starts_with("#["));
        attributes.map(str::trim).any(|line| line == "#[test]" || line.starts_with("#[tokio::test"))
    };
    if text.match_indices(&head).map(before).any(is_test) { Ok(()) } else { Err("there is no such test") }
}

/// `src/a/b.rs::name`, or a file.
fn is_source(word: &str) -> bool {
    (word.starts_with("tests/") || word.starts_with("src/")) && word.contains(".rs")
}
