//! Writes HTML. Markup is what stands in this program; everything else is text, and is escaped.

use std::fmt::Display;

use crate::clock::Timestamp;
use crate::visible::Visible;

/// A page, or a part of one.
#[derive(Default)]
pub(super) struct Html(String);

impl Html {
    /// Adds markup. Only what was there when the program was built can be markup.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text, also for the value of an attribute in double quotes. What cannot be seen in it is written out.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        for c in Visible(&text.to_string()).to_string().chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                _ => self.0.push(c),
            }
        }
        self
    }

    /// Adds a number, for people: `12,345`.
    pub(super) fn number(&mut self, number: usize) -> &mut Self {
        let digits = number.to_string();
        for (n, digit) in digits.chars().enumerate() {
            if n > 0 && (digits.len() - n).is_multiple_of(3) {
                self.0.push(',');
            }
            self.0.push(digit);
        }
        self
    }

    /// Adds a time, to the second.
    pub(super) fn time(&mut self, at: Timestamp) -> &mut Self {
        self.text(Timestamp::from_secs(at.as_secs()))
    }

    /// Adds a badge: a word with a colour, which only underlines what the word says.
    pub(super) fn badge(&mut self, mood: Mood, word: impl Display) -> &mut Self {
        self.raw("<span class=\"badge ").raw(mood.class()).raw("\">").text(word).raw("</span>")
    }

    /// The whole page.
    pub(super) fn end(self) -> String {
        self.0
    }
}

/// What a word is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// Somebody has to act.
    Bad,
    /// As it should be.
    Good,
    /// Neither.
    Plain,
    /// It passes, or will have to be looked at.
    Watch,
}

impl Mood {
    const fn class(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Good => "good",
            Self::Plain => "plain",
            Self::Watch => "watch",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_markup() {
        let mut html = Html::default();
        html.raw("<a title=\"").text("\" onload='x' \u{202e}").raw("\">").text("<script>&amp;</script>").raw("</a>");
        let expected = "<a title=\"&quot; onload=&#39;x&#39; \\u{202e}\">&lt;script&gt;&amp;amp;&lt;/script&gt;</a>";
        assert_eq!(html.end(), expected);
    }

    #[test]
    fn numbers_are_for_people() {
        for (number, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            let mut html = Html::default();
            html.number(number);
            assert_eq!(html.end(), expected);
        }
    }
}
