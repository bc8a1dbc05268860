//! Time as a value. This is the only file that reads a clock.
//!
//! Expiry is wall-clock time, because authority and callers speak wall-clock time and a suspended
//! machine must notice that it slept. Durations of work are measured monotonically; whether the wall
//! clock was set back meanwhile, the machine's uptime tells.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// A clock that stands still until it is moved, for tests.
    Manual(ManualClock),
    /// The clock of the machine.
    #[default]
    System,
}

impl Clock {
    /// The present moment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Manual(clock) => clock.now(),
            Self::System => Timestamp::from(SystemTime::now()),
        }
    }

    /// The present moment by both clocks.
    #[must_use]
    pub fn reading(&self) -> Reading {
        let uptime = match self {
            Self::Manual(clock) => clock.uptime(),
            Self::System => Uptime::of_machine(),
        };
        Reading { now: self.now(), uptime }
    }
}

/// A clock that a test moves by hand; clones share one time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Hands>);

#[derive(Debug)]
struct Hands {
    wall: AtomicU64,
    uptime: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        Self(Arc::new(Hands { wall: AtomicU64::new(start.0), uptime: AtomicU64::new(start.0) }))
    }

    /// Moves the clock forward, as time does.
    pub fn advance(&self, by: Duration) {
        self.0.wall.fetch_add(millis(by), Ordering::SeqCst);
        self.0.uptime.fetch_add(millis(by), Ordering::SeqCst);
    }

    /// Sets the clock back, as a correction of the machine's clock may do.
    pub fn set_back(&self, by: Duration) {
        self.0.wall.fetch_sub(millis(by), Ordering::SeqCst);
    }

    /// The time that the clock shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(self.0.wall.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Uptime {
        Uptime(self.0.uptime.load(Ordering::SeqCst))
    }
}

/// A moment by two clocks: the wall's, which may be set, and one that only goes on. Together they tell whether the
/// first was set between two moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What the wall clock shows.
    pub now: Timestamp,
    /// How long the machine has been up.
    pub uptime: Uptime,
}

impl Reading {
    /// A moment of a wall clock that is never set.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self { now, uptime: Uptime(now.0) }
    }

    /// What the wall clock would have shown at an earlier moment, had it been set as it is now.
    #[must_use]
    pub fn wall_at(self, earlier: Uptime) -> Timestamp {
        Timestamp(self.now.0.saturating_add(READ_APART).saturating_sub(self.uptime.0.saturating_sub(earlier.0)))
    }
}

/// How long a machine has been up, asleep or not, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uptime(u64);

impl Uptime {
    /// An uptime of that many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the machine was started.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    fn of_machine() -> Self {
        let time = rustix::time::clock_gettime(EVEN);
        let (secs, nanos) = (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0));
        Self(secs * 1000 + nanos / 1_000_000)
    }
}

impl Sub<Duration> for Uptime {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }
}

/// Where there is none that counts the machine's sleep, a clock that is set back by less than it slept goes unseen.
const EVEN: rustix::time::ClockId = {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    clock
};
/// The clocks are read one after the other, and to the millisecond.
const READ_APART: u64 = 10;

/// A moment of wall-clock time, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment that many whole seconds after the epoch.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// The second in which it lies, as a moment.
    #[must_use]
    pub const fn whole(self) -> Self {
        Self::from_secs(self.as_secs())
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).map_or(0, millis))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }
}

/// RFC 3339, in UTC.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        match jiff::Timestamp::from_millisecond(millis) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{}ms after the epoch", self.0),
        }
    }
}

/// A time for which something holds. Nothing holds that lies in the future: then the clock was set back
/// behind its beginning, and nobody knows how far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    since: Timestamp,
    until: Timestamp,
}

impl Span {
    /// From `since` on, for `length`.
    #[must_use]
    pub fn new(since: Timestamp, length: Duration) -> Self {
        Self { since, until: since + length }
    }

    /// Whether `now` is in it.
    #[must_use]
    pub fn holds(self, now: Timestamp) -> bool {
        (self.since..self.until).contains(&now)
    }

    /// Whether all of it is still to come.
    #[must_use]
    pub fn lies_ahead(self, now: Timestamp) -> bool {
        now < self.since
    }

    /// Its end, which is no part of it.
    #[must_use]
    pub const fn until(self) -> Timestamp {
        self.until
    }
}

/// Measures how long a piece of work takes, unmoved by clock steps.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts to measure.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the monotonic clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The end of a piece of work, unmoved by clock steps.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    watch: Stopwatch,
    limit: Duration,
}

impl Deadline {
    /// The end of work that starts now and may take `limit`.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self { watch: Stopwatch::start(), limit }
    }

    /// What is left of the time.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.limit.saturating_sub(self.watch.elapsed())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_never_wraps() {
        let moment = Timestamp::from_secs(10);
        assert_eq!((moment + Duration::MAX).since(moment), Duration::from_millis(u64::MAX - 10_000));
        assert_eq!(moment - Duration::from_secs(11), Timestamp::default());
        assert_eq!(Timestamp::default().since(moment), Duration::ZERO);
    }

    #[test]
    fn a_span_holds_from_its_beginning_to_its_end() {
        let span = Span::new(Timestamp::from_secs(10), Duration::from_secs(5));
        for (now, holds) in [(9, false), (10, true), (14, true), (15, false)] {
            assert_eq!(span.holds(Timestamp::from_secs(now)), holds, "{now}");
        }
        assert!(!Span::default().holds(Timestamp::default()));
    }

    #[test]
    fn a_manual_clock_moves_only_by_hand() {
        let hand = ManualClock::at(Timestamp::from_secs(5));
        let clock = Clock::Manual(hand.clone());
        hand.advance(Duration::from_millis(1500));
        assert_eq!(clock.now().as_millis(), 6500);
        assert_eq!(clock.now().to_string(), "1970-01-01T00:00:06.5Z");
    }
}
