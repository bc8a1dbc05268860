//! The house has floors: a file may import what is listed above it, never what is listed below.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from top to bottom, as `src/lib.rs` lists them. Rooms of one line may import each other.
const FLOORS: &[&[&str]] = &[
    &["clock"],
    &["visible"],
    &["secret"],
    &["name"],
    &["claims"],
    &["fault"],
    &["token"],
    &["trace"],
    &["freshness"],
    &["flood"],
    &["dialect"],
    &["caller"],
    &["policy"],
    &["metrics"],
    &["wire"],
    &["authority"],
    &["credential"],
    &["cluster"],
    &["source"],
    &["vend"],
    &["audit"],
    &["server"],
    &["config"],
    &["telemetry"],
    &["app"],
    &["cli"],
    &["lib", "main"],
];
const WORDS: &[&str] = &["clock", "visible", "secret", "name", "claims", "fault", "token"];

#[test]
fn no_file_imports_what_lies_below_it() {
    let mut edges = Vec::new();
    for (file, room, imports) in files() {
        for import in imports {
            let (Some(from), Some(to)) = (floor(&room), floor(&import)) else { continue };
            if to > from {
                edges.push(format!("{} imports {import}", file.display()));
            }
        }
    }
    assert!(edges.is_empty(), "these imports run down the list:\n{}", edges.join("\n"));
}

#[test]
fn every_room_is_on_the_list() {
    for (file, room, _) in files() {
        assert!(room == "sts" || floor(&room).is_some(), "{} is in no room", file.display());
    }
}

#[test]
fn the_sts_knows_words_alone_and_only_two_commands_know_it() {
    for (file, room, imports) in files() {
        for import in imports {
            if room == "sts" {
                assert!(import == "sts" || WORDS.contains(&import.as_str()), "{} imports {import}", file.display());
            }
            let may = room == "sts" || file.ends_with("cli/dev.rs") || file.ends_with("cli/sts.rs");
            assert!(import != "sts" || may, "{} imports the STS", file.display());
        }
    }
}

#[test]
fn the_web_framework_stays_north() {
    for (file, room, _) in files() {
        let text = fs::read_to_string(&file).unwrap();
        assert!(matches!(room.as_str(), "server" | "sts") || !text.contains("actix"), "{} names actix", file.display());
    }
}

#[test]
fn words_and_rules_do_no_io() {
    for (file, room, _) in files() {
        if floor(&room) <= floor("policy") && room != "sts" {
            let text = code(&file);
            for word in ["async ", ".await", "tokio", "reqwest", "std::fs", "std::net"] {
                assert!(!text.contains(word), "{} has {word:?}", file.display());
            }
        }
    }
}

/// A comparison that ends at the first difference tells by its time how much of a guess is right. A secret has no `==`
/// of its own (`src/secret.rs` proves it), so that it takes its text to make that mistake.
#[test]
fn the_text_of_a_secret_is_compared_nowhere() {
    let mut exposed = 0;
    for (file, _, _) in files() {
        let code = code(&file);
        for statement in code.split([';', '{', '}']).filter(|statement| statement.contains(".expose()")) {
            exposed += 1;
            for word in ["==", "!=", ".eq(", ".ne(", ".cmp(", ".contains(", "starts_with(", "ends_with(", "matches!("] {
                assert!(!statement.contains(word), "{} compares a secret: {}", file.display(), statement.trim());
            }
        }
    }
    assert!(exposed > 10, "{exposed} uses of expose were found");
}

#[test]
fn who_lets_callers_in_compares_by_the_secret_alone() {
    let mut exposed = Vec::new();
    let mut positions = 0;
    for (file, room, _) in files() {
        if !["caller", "dialect", "policy", "server"].contains(&room.as_str()) {
            continue;
        }
        let code = code(&file);
        exposed.extend(code.lines().filter(|line| line.contains("expose")).map(|line| line.trim().to_owned()));
        positions += code.matches("Secret::position(").count() + code.matches("Imprint::position(").count();
        // One by one they would be compared until one fits.
        let one = ["secret.matches(", "imprint.matches(", "held.matches("].into_iter().find(|word| code.contains(word));
        assert!(one.is_none(), "{} compares with one secret of several", file.display());
    }
    exposed.sort_unstable();
    let (written, paid_out) =
        ("file.write_all(key.secret.expose().as_bytes())?;", "let secret = token.secret.expose();");
    assert_eq!(exposed, [written, paid_out], "a token is paid out, a key file is written, and nothing else is seen");
    assert_eq!(positions, 2, "header secrets, and what key files hold");
    let secret = code(Path::new("src/secret.rs"));
    let imprint = secret.split("impl Imprint {").nth(1).unwrap();
    let body = imprint.split("pub fn matches").nth(1).and_then(|rest| rest.split("\n    }").next()).unwrap();
    assert!(body.contains(".ct_eq(") && !body.contains("=="), "a secret is compared in constant time:{body}");
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// Every source file, its room, and the rooms that it imports outside of its tests.
fn files() -> Vec<(PathBuf, String, Vec<String>)> {
    let mut files = Vec::new();
    collect(Path::new("src"), &mut files);
    assert!(files.len() > 30, "the source was not found");
    let described = files.into_iter().filter(|file| !file.ends_with("tests.rs")).map(|file| {
        let room = file.strip_prefix("src").unwrap().iter().next().unwrap().to_str().unwrap();
        let room = room.trim_end_matches(".rs").to_owned();
        let imports = imports(&code(&file));
        (file, room, imports)
    });
    described.collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The text of a file before its tests, without comments.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let before_tests = text.split("#[cfg(test)]").next().unwrap();
    let lines = before_tests.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The rooms behind `crate::`, also in groups such as `crate::{a, b::c}`.
fn imports(code: &str) -> Vec<String> {
    let word =
        |text: &str| -> String { text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let mut imports = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{').and_then(|group| group.split('}').next()) {
            Some(group) => imports.extend(group.split(',').map(word)),
            None => imports.push(word(rest)),
        }
    }
    imports
}
