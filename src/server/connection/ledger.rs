//! What a caller owes on a connection: the rest of what it began. The stream writes down what came, requests
//! write down what they took.

use std::cell::{Cell, RefCell};
use std::task::Waker;
use std::time::Duration;

use super::lines::Lines;
use super::{Link, PATIENCE};
use crate::clock::Deadline;
use crate::cluster::memory::Verified;
use crate::server::phase::Unasked;

/// The state of one connection, which its stream and its requests share. Requests have their turn one by one.
pub(in crate::server) struct Ledger {
    /// What it tells of its other end.
    pub(in crate::server) link: Link,
    /// The service account's token that was shown on it last.
    pub(in crate::server) verified: Cell<Option<Verified>>,
    /// The `Host` that was seen to be ours last.
    host: RefCell<Option<Box<[u8]>>>,
    owed: Cell<Owed>,
    answering: Cell<Answering>,
    lines: Cell<Lines>,
    unasked: Cell<Option<Unasked>>,
    has_said_last: Cell<bool>,
    /// Whom to wake when what is held back may go on.
    waiting: Cell<Option<Waker>>,
}

/// What has to come, and by when.
#[derive(Clone, Copy)]
enum Owed {
    Nothing,
    /// Something, since just now; the clock is read when it is asked for.
    Begun,
    By(Deadline),
}

/// What is being answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answering {
    /// Nothing.
    Nobody,
    /// A request that has no body.
    Bare,
    /// One that has a body.
    Embodied,
}

impl Ledger {
    /// A connection on which a request is awaited.
    pub(super) fn new(link: Link, unasked: Unasked) -> Self {
        let (answering, lines, unasked) = (Cell::new(Answering::Nobody), Cell::default(), Cell::new(Some(unasked)));
        Self {
            link,
            verified: Cell::default(),
            host: RefCell::default(),
            unasked,
            owed: Cell::new(Owed::Begun),
            answering,
            lines,
            has_said_last: Cell::new(false),
            waiting: Cell::default(),
        }
    }

    /// These bytes came, of which so many belong to what is read now: all but what is behind the end of a head. While a
    /// request is answered nothing is owed: it bounds itself, and so its body.
    pub(super) fn came(&self, bytes: &[u8]) -> usize {
        if bytes.is_empty() {
            return 0;
        }
        let mut lines = self.lines.get();
        let read = lines.read(bytes);
        self.lines.set(lines);
        if self.answering.get() == Answering::Nobody && matches!(self.owed.get(), Owed::Nothing) {
            self.owed.set(Owed::Begun);
        }
        read
    }

    /// Whether a head is whole and not answered, and what comes is no body as far as is known: the next request, which
    /// the framework must not see yet, since it writes an answer by what it has read last.
    pub(super) fn holds_back(&self) -> bool {
        self.lines.get().is_past_head() && self.answering.get() != Answering::Embodied
    }

    /// Has `waker` called when that is over.
    pub(super) fn wait(&self, waker: &Waker) {
        self.waiting.set(Some(waker.clone()));
    }

    fn go_on(&self) {
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// How long the caller may still take; none when nothing is owed.
    pub(super) fn left(&self) -> Option<Duration> {
        let deadline = match self.owed.get() {
            Owed::Nothing => return None,
            Owed::Begun => Deadline::after(PATIENCE),
            Owed::By(deadline) => deadline,
        };
        self.owed.set(Owed::By(deadline));
        Some(deadline.left())
    }

    /// Whether this `Host` was seen to be ours. A connection shows the same one each time, which need not be read again.
    pub(in crate::server) fn knows_host(&self, host: &[u8]) -> bool {
        self.host.borrow().as_deref() == Some(host)
    }

    /// This `Host` is ours.
    pub(in crate::server) fn know_host(&self, host: &[u8]) {
        self.host.replace(Some(host.into()));
    }

    /// A head came whole, and its request has its turn.
    pub(in crate::server) fn begin(&self, has_body: bool) {
        drop(self.unasked.take());
        self.owed.set(Owed::Nothing);
        self.answering.set(if has_body { Answering::Embodied } else { Answering::Bare });
        if has_body {
            self.go_on();
        }
    }

    /// Whether a line of its head ended without a carriage return.
    pub(in crate::server) fn has_bare_line(&self) -> bool {
        self.lines.get().is_bare()
    }

    /// It is answered. Whether the connection must end with that: where a body ends, and so where the lines of the
    /// next head begin, the stream does not know.
    pub(in crate::server) fn end(&self) -> bool {
        let must_end = self.answering.get() == Answering::Embodied || self.has_bare_line();
        self.answering.set(Answering::Nobody);
        let mut lines = self.lines.get();
        lines.next_head();
        self.lines.set(lines);
        self.owed.set(if must_end || !lines.are_whole() { Owed::Begun } else { Owed::Nothing });
        self.go_on();
        must_end
    }

    /// The last answer is written.
    pub(super) fn say_last(&self) {
        self.has_said_last.set(true);
    }

    /// Whether it is, so that nothing is served any more.
    pub(super) fn has_said_last(&self) -> bool {
        self.has_said_last.get()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::server::phase::Phase;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn open() -> Ledger {
        Ledger::new(Link::Plain, Arc::new(Phase::default()).opened())
    }

    /// Asked and answered.
    fn idle() -> Ledger {
        let ledger = open();
        ledger.came(HEAD);
        ledger.begin(false);
        assert!(!ledger.end());
        ledger
    }

    #[test]
    fn a_caller_owes_what_it_began() {
        assert!(open().left().is_some(), "a first request");
        assert!(idle().left().is_none(), "nothing between requests");
        let ledger = idle();
        ledger.came(b"G");
        let left = ledger.left().unwrap();
        ledger.came(b"E");
        assert!(ledger.left().unwrap() <= left, "what goes on gains no time");
        ledger.came(b"T / HTTP/1.1\r\nHost: a\r\n\r\n");
        ledger.begin(false);
        assert!(ledger.left().is_none(), "nothing while it is answered");
        ledger.came(b"GET /");
        assert!(ledger.left().is_none(), "whatever comes meanwhile");
        assert!(!ledger.end());
        assert!(ledger.left().is_some(), "but that must come whole afterwards");
    }

    #[test]
    fn a_host_is_known_by_its_bytes_alone() {
        let ledger = open();
        assert!(!ledger.knows_host(b"") && !ledger.knows_host(b"a"));
        ledger.know_host(b"a");
        assert!(ledger.knows_host(b"a") && !ledger.knows_host(b"A") && !ledger.knows_host(b"a:1"));
        ledger.know_host(b"b");
        assert!(ledger.knows_host(b"b") && !ledger.knows_host(b"a"));
    }

    #[test]
    fn a_body_ends_the_connection() {
        for came in [&b""[..], b"a=b", b"a=\n", b"a=bGET / HTTP/1.1\nHost: a\n\n"] {
            let ledger = open();
            ledger.came(HEAD);
            ledger.begin(true);
            ledger.came(came);
            assert!(!ledger.has_bare_line(), "what may be a body is its own");
            assert!(ledger.end(), "{}", String::from_utf8_lossy(came));
            assert!(ledger.left().is_some());
        }
    }

    #[test]
    fn a_bare_line_feed_in_a_head_ends_the_connection() {
        for (head, has_body, body, is_bare) in [
            (&b"GET / HTTP/1.1\nHost: a\r\n\r\n"[..], false, &b""[..], true),
            (b"POST / HTTP/1.1\nHost: a\r\n\r\n", true, b"a=b", true),
            (b"POST / HTTP/1.1\r\n\r\n", true, b"a\nb\n", false),
        ] {
            let ledger = idle();
            assert_eq!(ledger.came(head), head.len());
            ledger.begin(has_body);
            assert_eq!(ledger.came(body), body.len());
            let told = ledger.has_bare_line();
            assert_eq!(ledger.end(), is_bare || has_body, "{}", String::from_utf8_lossy(head));
            assert_eq!(told, is_bare, "{}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn the_next_head_is_held_back_until_the_answer_and_a_body_is_not() {
        let ledger = idle();
        let two = [HEAD, b"GET / HTTP/1.1\n\n"].concat();
        assert_eq!(ledger.came(&two), HEAD.len());
        assert!(ledger.holds_back(), "nobody has looked at it yet");
        ledger.begin(false);
        assert!(ledger.holds_back() && !ledger.has_bare_line(), "that of the next is the next one's");
        assert!(!ledger.end() && !ledger.holds_back());
        ledger.came(&two[HEAD.len()..]);
        ledger.begin(false);
        assert!(ledger.has_bare_line());
        let ledger = idle();
        ledger.came(HEAD);
        ledger.begin(true);
        assert!(!ledger.holds_back());
    }
}
