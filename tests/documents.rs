//! What the pages under docs/ say of the code is true where a program can tell.

use std::fs;
use std::path::Path;

#[test]
fn the_security_model_names_tests_that_are_there() {
    let page = fs::read_to_string("docs/security.md").unwrap();
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(|word| is_source(word)).collect();
    assert!(named.len() > 40, "the page is read wrongly: {named:?}");
    for name in named {
        let (file, test) = name.split_once("::").map_or((name, None), |(file, test)| (file, Some(test)));
        assert!(Path::new(file).is_file(), "{file} is not there");
        let text = fs::read_to_string(file).unwrap();
        assert!(test.is_none_or(|test| text.contains(&format!("fn {test}("))), "{name} is not there");
        assert!(text.contains("#[test]") || text.contains("#[tokio::test"), "{file} has no test");
    }
}

/// `tests/a.rs`, `src/a/b.rs::name`.
fn is_source(word: &str) -> bool {
    (word.starts_with("tests/") || word.starts_with("src/")) && word.contains(".rs")
}
