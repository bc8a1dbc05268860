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
    /// A head is whole, and what comes now may be its body.
    past_head: bool,
    is_bare: bool,
}

impl Lines {
    /// Takes note of what came, up to the end of a head where one ends in it, and says how many bytes that is.
    pub(super) fn read(&mut self, bytes: &[u8]) -> usize {
        let (mut start, mut read, was_past) = (0, bytes.len(), self.past_head);
        for end in memchr_iter(b'\n', bytes) {
            let before = end.checked_sub(1).map_or(self.last, |at| bytes[at]);
            self.end_line(self.length + end - start, before != b'\r');
            self.length = 0;
            start = end + 1;
            if self.past_head && !was_past {
                read = start;
                break;
            }
        }
        self.length += read - start;
        self.last = bytes[..read].last().copied().unwrap_or(self.last);
        read
    }

    fn end_line(&mut self, length: usize, is_bare: bool) {
        self.is_bare |= is_bare && !self.past_head;
        let is_empty = length == usize::from(!is_bare);
        // Empty lines before a head are no part of it.
        self.past_head |= is_empty && self.in_head;
        self.in_head = !is_empty;
    }

    /// Whether a line of a head ended with a line feed alone.
    pub(super) const fn is_bare(self) -> bool {
        self.is_bare
    }

    /// Whether a head is whole that was not answered.
    pub(super) const fn is_past_head(self) -> bool {
        self.past_head
    }

    /// Whether the last head came to its end, and nothing after it.
    pub(super) const fn are_whole(self) -> bool {
        !self.in_head && self.length == 0
    }

    /// The head was answered: what comes now is the next.
    pub(super) const fn next_head(&mut self) {
        self.past_head = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However it is cut into pieces, the same is found: whether a line of the first head is bare, whether it is whole,
    /// and what follows it.
    fn read(text: &str) -> (bool, bool, &str) {
        let found = |lines: Lines, read: usize| (lines.is_bare(), lines.is_past_head(), read);
        let mut whole = Lines::default();
        let length = whole.read(text.as_bytes());
        for size in 1..=text.len().max(1) {
            let (mut lines, mut total) = (Lines::default(), 0);
            for piece in text.as_bytes().chunks(size) {
                let read = lines.read(piece);
                total += read;
                if read < piece.len() || lines.is_past_head() {
                    break;
                }
            }
            assert_eq!(found(lines, total), found(whole, length), "{text:?} in pieces of {size}");
        }
        (whole.is_bare(), whole.is_past_head(), &text[length..])
    }

    #[test]
    fn a_head_is_told_apart_from_what_follows() {
        for (text, is_bare, is_whole, rest) in [
            ("", false, false, ""),
            ("GET", false, false, ""),
            ("GET / HTTP/1.1\r", false, false, ""),
            ("GET / HTTP/1.1\r\n", false, false, ""),
            ("GET / HTTP/1.1\r\nA: b\r\n", false, false, ""),
            ("GET / HTTP/1.1\r\nA: b\r\n\r\n", false, true, ""),
            ("\r\n\r\nGET / HTTP/1.1\r\n", false, false, ""),
            ("\r\nGET / HTTP/1.1\n", true, false, ""),
            ("GET / HTTP/1.1\n\n", true, true, ""),
            ("GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n", true, true, ""),
            ("GET / HTTP/1.1\r\nA: b\r\n\n", true, true, ""),
            ("POST / HTTP/1.1\r\n\r\na\nb", false, true, "a\nb"),
            ("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", false, true, "GET / HTTP/1.1\r\n\r\n"),
            ("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\n\r\n", false, true, "GET / HTTP/1.1\n\r\n"),
        ] {
            assert_eq!(read(text), (is_bare, is_whole, rest), "{text:?}");
        }
    }

    #[test]
    fn what_is_read_past_a_head_is_a_body_and_has_no_lines() {
        let mut lines = Lines::default();
        assert_eq!(lines.read(b"POST / HTTP/1.1\r\n\r\na\nb"), 19);
        assert_eq!(lines.read(b"a\nb\n\nc"), 6);
        assert!(!lines.is_bare() && !lines.are_whole());
        lines.next_head();
        assert!(!lines.is_past_head());
    }
}
