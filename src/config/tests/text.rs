//! The formats, and what cannot be parsed.

use super::*;

#[test]
fn a_syntax_error_tells_the_place_and_not_the_line() {
    let told = told(read("[server]\nheader = 'marked-secret\n"));
    assert!(
        told.len() == 1 && told[0].starts_with("test.toml: the text cannot be parsed as TOML at line 2, column"),
        "{told:?}"
    );
    assert!(!told.join("").contains("marked-secret"));
}

#[test]
fn yaml_and_json_are_read_as_well() {
    let variables = || HashMap::from([("SECRET".to_owned(), "s".to_owned())]);
    let json = r#"{"tenants":{"Contoso.A":{"id":"contoso.com"}},"identities":{"p":{"tenants":["Contoso.A"],"client_id":"a","resources":["*"],"credentials":[{"kind":"secret","env":"SECRET"}]}}}"#;
    let yaml = "tenants:\n  Contoso.A:\n    id: contoso.com\nidentities:\n  p:\n    tenants: [Contoso.A]\n    client_id: a\n    resources: ['*']\n    credentials:\n      - kind: secret\n        env: SECRET\n";
    for (text, format) in [(json, FileFormat::Json), (yaml, FileFormat::Yaml)] {
        let report = Report::default();
        let written = file::parse("test", text, format, PathBuf::new(), variables(), &report);
        let config = Config::resolve(&written.unwrap(), report, NOW).unwrap();
        assert_eq!(application(&config).tenants[0].tenant.to_string(), "Contoso.A", "names keep their case");
    }
}

#[test]
fn a_syntax_error_names_the_format_and_a_reason_and_quotes_nothing() {
    let (toml, yaml, json) = (FileFormat::Toml, FileFormat::Yaml, FileFormat::Json);
    for (text, format, place, reason) in [
        ("a = marked", toml, "as TOML at line 1, column 5", ": string values must be quoted"),
        ("marked = 1\nmarked = 2", toml, "as TOML at line 2, column 1", ": duplicate key"),
        ("marked", toml, "as TOML at line 1, column", ": key with no value"),
        ("a = ['marked' 1]", toml, "as TOML at line 1, column", ": missing comma between array elements"),
        ("a: marked: b", yaml, "as YAML at line 1, column", ": mapping values are not allowed in this context"),
        ("a: 'marked", yaml, "as YAML at line", ": found unexpected end of stream"),
        ("marked: 1\nmarked: 2", yaml, "as YAML", ""),
        ("{\"a\": marked}", json, "as JSON at line 1, column 7", ": expected value"),
        ("{\"a\": [{\"marked\": 1,\n \"marked\": null}]}", json, "as JSON at line 2, column", ": duplicate key"),
        ("{\"marked\": 1,}", json, "as JSON at line 1, column 14", ": trailing comma"),
    ] {
        let report = Report::default();
        assert!(file::parse("test", text, format, PathBuf::new(), HashMap::new(), &report).is_none(), "{text}");
        let told = Mistakes::from(report).mistakes;
        let place = format!("the text cannot be parsed {place}");
        assert!(
            told.len() == 1 && told[0].problem.starts_with(&place) && told[0].problem.ends_with(reason),
            "{told:?}"
        );
        assert!(!told[0].to_string().contains("marked"), "{told:?}");
    }
}
