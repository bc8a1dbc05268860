//! A pattern for names: a name as it is, or with `*` for any run of characters.

use std::fmt;

use crate::name::Malformed;

/// A pattern; `*` stands for any characters, also for none, and no other character is special.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    /// What stands before the first `*`, or the whole name.
    first: String,
    /// What stands after each `*`; the last of them ends the name.
    rest: Vec<String>,
}

impl Glob {
    /// Reads a pattern of at most 1024 bytes; names of clusters, SPIFFE ids and distinguished names are shorter.
    ///
    /// # Errors
    /// It is empty, longer, or holds control characters or what other tools take for a pattern.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if !(1..=LONGEST).contains(&text.len()) || text.chars().any(|c| c.is_control() || "?[]{}".contains(c)) {
            return Err(Malformed(
                "a name has 1 to 1024 bytes, and '*' for any; ?, brackets and braces are no pattern",
            ));
        }
        let mut parts = text.split('*').map(str::to_owned);
        Ok(Self { first: parts.next().unwrap_or_default(), rest: parts.collect() })
    }

    /// Whether there is no `*` in it, so that it means one name.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many characters it fixes.
    #[must_use]
    pub fn literals(&self) -> usize {
        self.first.len() + self.rest.iter().map(String::len).sum::<usize>()
    }

    /// Whether it means `name`, as it is written: names of a cluster are told apart by case. The time taken
    /// grows with both lengths and no faster, since the leftmost place for each part is as good as any other.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let Some((last, middle)) = self.rest.split_last() else { return name == self.first };
        let within = |name: &'_ str| -> Option<usize> {
            let tail = name.strip_prefix(self.first.as_str())?.strip_suffix(last.as_str())?;
            middle
                .iter()
                .try_fold(tail, |tail, part| Some(&tail[tail.find(part.as_str())? + part.len()..]))
                .map(str::len)
        };
        within(name).is_some()
    }
}

/// As it was written.
impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first)?;
        self.rest.iter().try_for_each(|part| write!(f, "*{part}"))
    }
}

const LONGEST: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Stopwatch;

    #[test]
    fn a_star_is_any_run_and_nothing_else_is_special() {
        for (pattern, name, expected) in [
            ("pay", "pay", true),
            ("pay", "Pay", false),
            ("pay", "payroll", false),
            ("pay", "", false),
            ("*", "", true),
            ("*", "anything.at-all", true),
            ("pay-*", "pay-", true),
            ("pay-*", "pay-7f", true),
            ("pay-*", "xpay-7f", false),
            ("*-web", "shop-web", true),
            ("*-web", "shop-web-1", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            ("a**a", "aa", true),
            ("a.c", "abc", false),
        ] {
            assert_eq!(Glob::parse(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_other_tools_take_for_a_pattern_is_refused() {
        for text in ["", "a?c", "[ab]", "{a,b}", "a\n", &"a".repeat(1025)] {
            assert!(Glob::parse(text).is_err(), "{text:?}");
        }
        assert!(Glob::parse(&"*".repeat(1024)).is_ok());
    }

    #[test]
    fn no_pattern_makes_matching_slow() {
        let pattern = Glob::parse(&format!("{}b", "a*".repeat(126))).unwrap();
        let name = "a".repeat(1 << 20);
        let watch = Stopwatch::start();
        assert!(!pattern.matches(&name));
        assert!(watch.elapsed().as_secs() < 2);
    }

    /// The definition, in as much time as it takes.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => (0..=name.len()).any(|skipped| naive(rest, &name[skipped..])),
            (Some((one, pattern)), Some((other, name))) => one == other && naive(pattern, name),
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_means_what_the_definition_says(pattern in "[ab*]{1,8}", name in "[ab]{0,10}") {
            let glob = Glob::parse(&pattern).unwrap();
            prop_assert_eq!(glob.matches(&name), naive(pattern.as_bytes(), name.as_bytes()));
            prop_assert_eq!(glob.to_string(), pattern);
        }
    }
}
