//! What a parser says is wrong with a text, without what it quotes of that text: a line may hold a secret.

/// ` at line 3, column 7: unclosed array`, as far as a parser's `words` tell a place, and a reason that is known.
#[must_use]
pub fn told(words: &str) -> String {
    let place = match (number_after(words, "line "), number_after(words, "column ")) {
        (Some(line), Some(column)) => format!(" at line {line}, column {column}"),
        (Some(line), None) => format!(" at line {line}"),
        _ => String::new(),
    };
    // The reason is ours to write: what merely looks like one may be a piece of the text.
    match REASONS.iter().find(|reason| words.contains(**reason)) {
        Some(reason) => format!("{place}: {reason}"),
        None => place,
    }
}

fn number_after(words: &str, word: &str) -> Option<String> {
    let digits = &words[words.find(word)? + word.len()..];
    let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

/// What the parsers of TOML, YAML and JSON say most; the first that fits is told.
const REASONS: &[&str] = &[
    "string values must be quoted",
    "invalid literal string",
    "invalid basic string",
    "invalid multi-line basic string",
    "missing opening quote",
    "duplicate key",
    "key with no value",
    "missing value for key",
    "missing assignment between key-value pairs",
    "missing comma between array elements",
    "missing comma between key-value pairs",
    "extra comma in array",
    "extra comma in inline table",
    "unclosed array table",
    "unclosed array",
    "unclosed inline table",
    "unclosed table",
    "unquoted keys cannot be empty",
    "invalid unquoted key",
    "unexpected key or value",
    "unexpected content",
    "mapping values are not allowed in this context",
    "block sequence entries are not allowed in this context",
    "tabs disallowed",
    "tab cannot be used as indentation",
    "invalid indentation",
    "simple key expect",
    "found unexpected end of stream",
    "while scanning a quoted scalar",
    "while parsing a flow sequence",
    "while parsing a flow mapping",
    "while parsing a block mapping",
    "trailing comma",
    "trailing characters",
    "key must be a string",
    "expected `,` or `}`",
    "expected `,` or `]`",
    "expected `:`",
    "expected value",
    "EOF while parsing a string",
    "EOF while parsing a list",
    "EOF while parsing an object",
    "EOF while parsing a value",
    "control character (\\u0000-\\u001F) found while parsing a string",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_and_a_known_reason_are_told_and_nothing_else() {
        for (words, expected) in [
            (
                "TOML parse error at line 2, column 10\n  |\n2 | a = marked\n  |  ^\nstring values must be quoted, expected literal string\n",
                " at line 2, column 10: string values must be quoted",
            ),
            ("duplicate entry with key \"marked\" at line 7", " at line 7"),
            ("expected `,` or `}` at line 1 column 9", " at line 1, column 9: expected `,` or `}`"),
            ("marked", ""),
        ] {
            assert_eq!(told(words), expected);
        }
    }
}
