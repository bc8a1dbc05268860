//! Text of somebody else's as it is shown to people: nothing in it is hidden, turns the direction, or goes on for ever.

use std::fmt;

/// A text, of which only the beginning is shown, and what cannot be seen as it is written in Rust: `\u{202e}`.
#[derive(Clone, Copy, Debug)]
pub struct Visible<'a>(pub &'a str);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars().take(MOST) {
            match c {
                '"' | '\'' => write!(f, "{c}")?,
                _ => write!(f, "{}", c.escape_debug())?,
            }
        }
        if self.0.chars().nth(MOST).is_some() { f.write_str("…") } else { Ok(()) }
    }
}

/// More characters than any name of a resource that people have made up.
const MOST: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        for (text, shown) in [
            ("https://vault.azure.net", "https://vault.azure.net"),
            ("it's \"so\" <b>", "it's \"so\" <b>"),
            ("größer 読む", "größer 読む"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("a\\u{202e}b", "a\\\\u{202e}b"),
            ("\u{1b}[2J\r\n\0", "\\u{1b}[2J\\r\\n\\0"),
            ("e\u{301}", "e\\u{301}"),
        ] {
            assert_eq!(Visible(text).to_string(), shown);
        }
    }

    #[test]
    fn no_character_of_unicode_turns_the_direction_or_hides() {
        let turning = ['\u{61c}', '\u{200e}', '\u{200f}'].into_iter();
        let turning = turning.chain('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}');
        let hidden =
            ['\u{ad}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2028}', '\u{2029}', '\u{2060}', '\u{feff}', '\u{e0041}'];
        for c in turning.chain(hidden) {
            let shown = Visible(&c.to_string()).to_string();
            assert!(shown.is_ascii() && shown.starts_with("\\u{"), "{shown}");
        }
    }

    #[test]
    fn only_the_beginning_is_shown() {
        assert_eq!(Visible(&"x".repeat(MOST)).to_string(), "x".repeat(MOST));
        assert_eq!(Visible(&"x".repeat(MOST + 1)).to_string(), "x".repeat(MOST) + "…");
    }
}
