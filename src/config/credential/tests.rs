use std::collections::HashMap;
use std::path::Path;

use config::FileFormat;

use super::*;
use crate::config::file::parse;
use crate::config::mistake::Report;
use crate::wire::System;

const ONE: &[Key] = &[Key::section("one", KEYS)];

/// What is read of a credential that is written so, and the mistakes in it with their remedies.
fn read_credential(written: &str) -> (Option<Credential>, Vec<String>) {
    let report = Report::default();
    let variables = || HashMap::from([("SECRET".to_owned(), "marked-secret".to_owned())]);
    let text = format!("one = {{ {written} }}");
    let tree = parse("test.toml", &text, FileFormat::Toml, "".into(), variables(), &report).unwrap().tree;
    let mut root = Section::new(String::new(), tree, ONE, &report);
    let variables = variables();
    let surroundings = Surroundings {
        base: Path::new("/nonexistent"),
        variables: &variables,
        system: &System::default(),
        now: Timestamp::from_secs(1_800_000_000),
    };
    let credential = read(root.section("one"), surroundings);
    let told = report.into_mistakes().into_iter();
    (credential, told.map(|told| format!("{}: {}. {}", told.path, told.problem, told.remedy)).collect())
}

#[test]
fn the_end_of_a_secret_is_a_day_or_a_moment() {
    for (written, expected) in [
        ("'2027-01-31'", "2027-02-01T00:00:00Z"),
        ("2027-01-31", "2027-02-01T00:00:00Z"),
        ("2027-12-31", "2028-01-01T00:00:00Z"),
        ("2027-01-31T12:00:00Z", "2027-01-31T12:00:00Z"),
        ("'2027-01-31T12:00:00+02:00'", "2027-01-31T10:00:00Z"),
        ("'2001-01-31'", "2001-02-01T00:00:00Z"),
    ] {
        let (credential, told) = read_credential(&format!("kind = 'secret', env = 'SECRET', expires = {written}"));
        assert!(told.is_empty(), "{told:?}");
        assert_eq!(credential.unwrap().expiry().unwrap().at.to_string(), expected, "{written}");
    }
    for written in ["'soon'", "'2027-02-30'", "'31.01.2027'", "2027-01-31T12:00:00", "12:00:00", "'1960-01-01'", "3"] {
        let (_, told) = read_credential(&format!("kind = 'secret', env = 'SECRET', expires = {written}"));
        assert!(told.len() == 1 && told[0].starts_with("one.expires: this must be "), "{written}: {told:?}");
    }
}

#[test]
fn an_assertion_has_a_file_or_a_url() {
    for (written, is_url) in [
        ("file = 'nowhere'", false),
        ("url = 'https://sts.corp/token?key=marked-secret'", true),
        ("url = 'http://127.0.0.1:1/', bearer = { env = 'SECRET' }", true),
    ] {
        let (credential, told) = read_credential(&format!("kind = 'assertion', {written}"));
        assert!(told.is_empty(), "{told:?}");
        assert_eq!(matches!(credential, Some(Credential::AssertionUrl(_))), is_url);
        assert!(!format!("{credential:?}").contains("marked-secret"));
    }
    for (written, expected) in [
        ("", "one.file: the key is missing. name the file"),
        ("file = 'a', url = 'https://a'", "one.url: both 'file' and 'url' are given"),
        ("url = 'http://sts.corp/'", "one.url: an assertion's URL is https"),
        ("url = 'https://u:marked-secret@sts.corp/'", "one.url: an assertion's URL is https"),
        ("url = 'nonsense'", "one.url: this is no URL"),
        ("file = 'a', bearer = { env = 'SECRET' }", "one.bearer: the key is unknown"),
        ("url = 'https://a', bearer = 'marked-secret'", "one.bearer: a secret must not stand in the configuration"),
        ("url = 'https://a', bearer = { env = 'NOWHERE' }", "one.bearer.env: the variable is not set"),
        ("url = 'https://a', send_x5c = true", "one.send_x5c: the key is unknown"),
    ] {
        let (_, told) = read_credential(&format!("kind = 'assertion', {written}"));
        assert!(told.len() == 1 && told[0].starts_with(expected), "{expected:?} expected, told {told:?}");
        assert!(!told[0].contains("marked-secret"));
    }
}

#[test]
fn an_assertion_that_is_written_down_is_refused_with_the_reason() {
    for key in ["assertion", "client_assertion", "value", "env"] {
        let (_, told) = read_credential(&format!("kind = 'assertion', file = 'a', {key} = 'marked-secret'"));
        assert_eq!(
            told,
            [format!(
                "one.{key}: an assertion expires, mostly within the hour, so one that is written down stops working. name a file or a URL in which its issuer renews it, with 'file' or 'url'"
            )]
        );
    }
}
