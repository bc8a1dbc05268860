//! The lines of heads, as they come. The framework takes a line feed alone for the end of a line; whoever can
//! write one into a request that another program sends could so add a header.

use memchr::memchr_iter;

/// What is known of the lines that came since a head was awaited.
#[derive(Clone, Copy, Default)]
pub(super) struct Lines {
    /// The last byte.
    last: u8,
    /// The bytes of a line that has not ended.
    length: usize,
    in_head: bool,
    /// What comes now may be a body.
    past_head: bool,
    bare_in_head: bool,
    bare_past_head: bool,
}

impl Lines {
    /// Takes note of what came.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        let mut start = 0;
        for end in memchr_iter(b'\n', bytes) {
            let before = end.checked_sub(1).map_or(self.last, |at| bytes[at]);
            self.end_line(self.length + end - start, before != b'\r');
            self.length = 0;
            start = end + 1;
        }
        self.length += bytes.len() - start;
        self.last = bytes.last().copied().unwrap_or(self.last);
    }

    fn end_line(&mut self, length: usize, is_bare: bool) {
        self.bare_in_head |= is_bare && !self.past_head;
        self.bare_past_head |= is_bare && self.past_head;
        let is_empty = length == usize::from(!is_bare);
        // Empty lines before a head are no part of it.
        self.past_head |= is_empty && self.in_head;
        self.in_head = !is_empty;
    }

    /// Whether a head has a line that ends with a line feed alone. What follows a head is heads too where they are
    /// `without_body`.
    pub(super) fn is_bare(self, without_body: bool) -> bool {
        self.bare_in_head || without_body && self.bare_past_head
    }

    /// Whether the last head came to its end, and nothing after it.
    pub(super) fn are_whole(self) -> bool {
        !self.in_head && self.length == 0
    }

    /// The head was answered, and had no body: what came after it belongs to the next.
    pub(super) fn next_head(&mut self) {
        self.bare_in_head |= self.bare_past_head;
        self.past_head = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However it is cut into pieces, the same is found.
    fn read(text: &str) -> (bool, bool, bool) {
        let found = |lines: Lines| (lines.is_bare(false), lines.is_bare(true), lines.are_whole());
        let mut whole = Lines::default();
        whole.read(text.as_bytes());
        for size in 1..=text.len().max(1) {
            let mut lines = Lines::default();
            text.as_bytes().chunks(size).for_each(|piece| lines.read(piece));
            assert_eq!(found(lines), found(whole), "{text:?} in pieces of {size}");
        }
        found(whole)
    }

    #[test]
    fn lines_and_heads_are_told_apart_from_what_follows() {
        for (text, in_head, anywhere, whole) in [
            ("", false, false, true),
            ("GET", false, false, false),
            ("GET / HTTP/1.1\r", false, false, false),
            ("GET / HTTP/1.1\r\n", false, false, false),
            ("GET / HTTP/1.1\r\nA: b\r\n", false, false, false),
            ("GET / HTTP/1.1\r\nA: b\r\n\r\n", false, false, true),
            ("\r\n\r\nGET / HTTP/1.1\r\n", false, false, false),
            ("\r\nGET / HTTP/1.1\n", true, true, false),
            ("GET / HTTP/1.1\n\n", true, true, true),
            ("GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n", true, true, true),
            ("GET / HTTP/1.1\r\nA: b\r\n\n", true, true, true),
            ("POST / HTTP/1.1\r\n\r\na\nb", false, true, false),
            ("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", false, false, true),
            ("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n", false, false, false),
            ("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\n\r\n", false, true, true),
        ] {
            assert_eq!(read(text), (in_head, anywhere, whole), "{text:?}");
        }
    }
}
