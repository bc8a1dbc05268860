//! What a caller says of the trace that its request is part of: the header `traceparent`
//! (<https://www.w3.org/TR/trace-context-1/#traceparent-header>).

/// A caller's span, as far as deciding takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The lower half of the trace's id, which is the random one.
    pub trace: u64,
    /// Whether the caller has it sampled.
    pub is_sampled: bool,
}

impl Parent {
    /// Reads the header. What is malformed is as if it were not there.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (version, rest) = text.split_at_checked(2)?;
        let (trace, rest) = rest.strip_prefix('-')?.split_at_checked(32)?;
        let (span, rest) = rest.strip_prefix('-')?.split_at_checked(16)?;
        let (flags, rest) = rest.strip_prefix('-')?.split_at_checked(2)?;
        let version = hex(version).filter(|version| *version != 0xff)?;
        // Later versions may have more to say.
        let fits = rest.is_empty() || (version > 0 && rest.starts_with('-') && text.len() <= LONGEST);
        let (upper, lower) = trace.split_at_checked(16)?;
        let (upper, lower, span, flags) = (hex(upper)?, hex(lower)?, hex(span)?, hex(flags)?);
        let names = (upper | lower) != 0 && span != 0;
        (fits && names).then_some(Self { trace: lower, is_sampled: flags & 1 == 1 })
    }
}

/// A number in lower-case digits; others are malformed.
fn hex(digits: &str) -> Option<u64> {
    let is_hex = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if is_hex { u64::from_str_radix(digits, 16).ok() } else { None }
}

const LONGEST: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_read_or_it_is_not_there() {
        let sampled = Parent { trace: 0xa3ce_929d_0e0e_4736, is_sampled: true };
        let id = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
        for (text, expected) in [
            (format!("00-{id}-01"), Some(sampled)),
            (format!("00-{id}-ff"), Some(sampled)),
            (format!("00-{id}-00"), Some(Parent { is_sampled: false, ..sampled })),
            (format!("01-{id}-03-more"), Some(sampled)),
            (format!("00-{id}-01-more"), None),
            (format!("01-{id}-01more"), None),
            (format!("01-{id}-01-{}", "m".repeat(128)), None),
            (format!("ff-{id}-01"), None),
            (format!("00-{}-01", id.to_uppercase()), None),
            (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), None),
            (format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", "0".repeat(16)), None),
            (format!("00-{id}"), None),
            (format!("00-{id}-+1"), None),
            ("00-ä".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(Parent::parse(&text), expected, "{text}");
        }
    }
}
