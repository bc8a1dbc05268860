//! Who got what, and who was refused: one JSON line each, for whoever has to answer for it later.
//!
//! A line is written when a token is vended to a caller for the first time, and for each refusal, of which a
//! flood is counted rather than written. No line holds a token, only what it can be found by.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

use crate::clock::{Clock, Timestamp};
use crate::dialect::Ask;
use crate::fault::{Fault, Kind};
use crate::flood::Floods;
use crate::name::Name;
use crate::policy::{Permit, Refusal};
use crate::token::Token;

mod loss;
mod record;

use loss::{Counting, Loss};
use record::{Outcome, Record, Why};

/// Where the lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// At the end of this file, which is made if it is not there.
    File(PathBuf),
    /// To the standard output; the log goes to the standard error.
    Stdout,
}

/// The audit log of one process.
pub struct Audit {
    writer: NonBlocking,
    /// Writes what is left when it is dropped.
    guard: Mutex<Option<WorkerGuard>>,
    loss: Loss,
    /// Of refusals, by the name of the caller.
    floods: Floods<Option<Name>>,
    clock: Clock,
}

/// A request, as far as an audit is about it.
#[derive(Clone, Copy)]
pub struct Occasion<'a> {
    /// The present.
    pub now: Timestamp,
    /// The other end of the connection.
    pub peer: &'a str,
    /// Who asks, where that is known and callers are told apart.
    pub caller: Option<&'a Name>,
    /// In whose words it came.
    pub dialect: &'static str,
    /// Under which id it stands in the log, in the answer and at the authority.
    pub request_id: &'a str,
    /// What is asked for; none where it is a page.
    pub ask: Option<&'a Ask>,
}

impl Audit {
    /// Opens the destination.
    ///
    /// # Errors
    /// The file cannot be opened for writing.
    pub fn open(destination: &Destination, clock: Clock) -> Result<Self, Fault> {
        let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES);
        let loss = Loss::default();
        let (writer, guard) = match destination {
            Destination::Stdout => builder.finish(Counting::new(io::stdout(), &loss)),
            Destination::File(path) => {
                let opened = OpenOptions::new().append(true).create(true).mode(MODE).open(path);
                let opened = opened.map_err(|error| {
                    let problem = format!("the audit log {} cannot be written: {error}", path.display());
                    Fault::new(Kind::Unstartable, problem, "correct 'log.audit', or let this process write there")
                })?;
                builder.finish(Counting::new(opened, &loss))
            }
        };
        Ok(Self { writer, guard: Mutex::new(Some(guard)), loss, floods: Floods::default(), clock })
    }

    /// Notes what a caller got.
    pub fn vended(&self, occasion: Occasion<'_>, permit: &Permit, token: &Token) {
        self.write(&Record::of_token(occasion, permit, token));
    }

    /// Notes that policy did not admit a caller.
    pub fn refused(&self, occasion: Occasion<'_>, refusal: &Refusal) {
        let reason = Why { rule: &refusal.rule, reason: refusal.reason.problem(), detail: None };
        self.bounded(occasion, Outcome::Refused, reason);
    }

    /// Notes that a caller was admitted against its rules, which are not enforced, and got no token all the same.
    pub fn overruled(&self, occasion: Occasion<'_>, refusal: &Refusal) {
        let why = Why { rule: &refusal.rule, reason: refusal.reason.problem(), detail: None };
        self.bounded(occasion, Outcome::Audited, why);
    }

    /// Notes that nobody was recognised, or that a caller asks too often; the fault says which.
    pub fn turned_away(&self, occasion: Occasion<'_>, fault: &Fault) {
        let (rule, reason) = (fault.rule().unwrap_or("callers"), &fault.to_string());
        self.bounded(occasion, Outcome::Refused, Why { rule, reason, detail: fault.inward() });
    }

    /// Writes what a caller can bring about at will, unless that has become a flood.
    fn bounded(&self, occasion: Occasion<'_>, verdict: Outcome, why: Why<'_>) {
        if let Some(suppressed) = self.floods.pass(occasion.caller.cloned(), occasion.now) {
            self.write(&Record::without_token(occasion, verdict, why, suppressed));
        }
    }

    /// Writes how many refusals of a flood that is over were not written.
    pub fn settle(&self, now: Timestamp) {
        self.count(self.floods.settle(now), now);
        self.tell_loss();
    }

    fn count(&self, missing: Vec<(Option<Name>, u64)>, now: Timestamp) {
        for (caller, suppressed) in missing {
            self.write(&Record::of_flood(now, caller.as_ref().map(Name::as_str), suppressed));
        }
    }

    /// How many lines are in no log, since nobody took them or the disk is full.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.loss.count() + self.writer.error_counter().dropped_lines() as u64
    }

    fn tell_loss(&self) {
        if let Some(lost) = self.loss.news(self.lost()) {
            tracing::warn!(lost, "lines of the audit log were lost: nobody took them, or they could not be written");
        }
    }

    /// Settles each minute, for as long as the log is in use.
    pub fn settle_forever(self: &Arc<Self>) {
        let audit = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(MINUTE).await;
                let Some(audit) = audit.upgrade() else { return };
                audit.settle(audit.clock.now());
            }
        });
    }

    /// Writes what is left, and how many refusals of floods were not written. Nothing is written after it.
    pub fn end(&self) {
        self.count(self.floods.end(), self.clock.now());
        // What is left is written, or counted. Invariant: no code panics while it holds this lock.
        drop(self.guard.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.tell_loss();
    }

    fn write(&self, record: &Record<'_>) {
        let mut line = serde_json::to_vec(record).unwrap_or_default();
        line.push(b'\n');
        // Whoever reads it may stall; a request must not wait for that.
        self.writer.clone().write_all(&line).ok();
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.end();
    }
}

/// For the owner to write and the group to read: an audit names people's workloads.
const MODE: u32 = 0o640;
/// So many lines wait for the destination. The queue is touched whole when it is made, with 32 bytes for each.
const LINES: usize = 16_384;
const MINUTE: Duration = Duration::from_mins(1);

/// Ends the log when it is dropped, whoever else still holds it: threads that served may outlive the process's last words.
pub struct Last(pub Arc<Audit>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Stopwatch};

    fn lines(path: &std::path::Path, count: usize) -> Vec<serde_json::Value> {
        let watch = Stopwatch::start();
        loop {
            let text = std::fs::read_to_string(path).unwrap();
            let lines: Vec<_> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            if lines.len() >= count || watch.elapsed() > Duration::from_secs(3) {
                return lines;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn the_end_of_a_flood_is_settled_and_the_file_is_for_its_owner() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit");
        let now = Timestamp::from_secs(1000);
        let clock = Clock::Manual(ManualClock::at(now));
        let audit = Audit::open(&Destination::File(path.clone()), clock).unwrap();
        for caller in [None, Some(Name::of_word("billing"))] {
            assert_eq!((0..32).filter_map(|_| audit.floods.pass(caller.clone(), now)).count(), 30);
        }
        audit.settle(now);
        audit.settle(now + MINUTE);
        audit.settle(now + MINUTE);
        let mut lines = lines(&path, 2);
        assert_eq!(lines.len(), 2, "{lines:?}");
        lines.sort_by_key(|line| line["caller"].to_string());
        assert!(lines[0]["caller"] == "billing" && lines[1].get("caller").is_none(), "{lines:?}");
        assert!(lines.iter().all(|line| line["suppressed"] == 2 && line["verdict"] == "refused"), "{lines:?}");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(audit.lost(), 0);
    }

    #[test]
    fn a_flood_that_is_not_over_is_settled_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit");
        let now = Timestamp::from_secs(1000);
        let audit = Audit::open(&Destination::File(path.clone()), Clock::Manual(ManualClock::at(now))).unwrap();
        assert_eq!((0..32).filter_map(|_| audit.floods.pass(None, now)).count(), 30);
        let audit = Arc::new(audit);
        drop(Last(Arc::clone(&audit)));
        let lines = lines(&path, 1);
        assert!(
            lines.len() == 1 && lines[0]["suppressed"] == 2 && lines[0]["time"] == "1970-01-01T00:16:40Z",
            "{lines:?}"
        );
    }

    #[test]
    fn what_a_full_disk_swallows_is_counted() {
        let audit = Audit::open(&Destination::File("/dev/full".into()), Clock::System).unwrap();
        audit.write(&Record::of_flood(Timestamp::from_secs(1), None, 1));
        let watch = Stopwatch::start();
        while audit.lost() == 0 && watch.elapsed() < Duration::from_secs(3) {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(audit.lost(), 1);
    }
}
