//! The key files of Azure Arc: whoever can read one is a program of this machine, in the directory's group.
//!
//! A first request is answered with the path of a new file, a second one shows what the file holds. Each
//! pays for one token and lives for a minute, and few live at a time, since any program can have them made.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::clock::{Clock, Timestamp};
use crate::fault::{Fault, Kind};
use crate::secret::Secret;

/// The key files of one directory.
#[derive(Debug)]
pub struct Keys {
    directory: PathBuf,
    alive: Mutex<Vec<Key>>,
    /// What was there before.
    left: Mutex<Vec<Left>>,
    /// Wakes whoever removes them.
    news: Arc<Notify>,
}

/// A file, which is removed with this.
#[derive(Debug)]
struct Key {
    path: PathBuf,
    secret: Secret,
    issued: Timestamp,
    /// Whether somebody who showed it waits for a token.
    is_in_use: bool,
}

/// A file of another process, which may have ended and left it behind or be at work in the same directory.
#[derive(Debug)]
struct Left {
    path: PathBuf,
    end: Timestamp,
}

/// Removes all files of its keys when it is dropped, whoever else still holds them.
#[derive(Debug)]
pub(super) struct Last(pub(super) Arc<Keys>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.alive().clear();
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a key file cannot be removed");
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.news.notify_one();
    }
}

impl Keys {
    /// Key files in `directory`. Those that are there already are removed like our own once their minute is over.
    #[must_use]
    pub fn new(directory: PathBuf, now: Timestamp) -> Self {
        let there = fs::read_dir(&directory).into_iter().flatten().flatten().map(|entry| entry.path());
        let left = there.filter(|path| is_ours(path)).map(|path| Left { end: now + rest(&path), path }).collect();
        let keys = Self { directory, alive: Mutex::default(), left: Mutex::new(left), news: Arc::default() };
        keys.sweep_left(now);
        keys
    }

    /// Makes a file, and tells where. The oldest one gives way to it when too many are alive: clients come for
    /// their token at once, and what lies there longer is mostly forgotten.
    ///
    /// # Errors
    /// The operator's fault when it cannot be written.
    pub fn issue(&self, now: Timestamp) -> Result<PathBuf, Fault> {
        let mut alive = self.swept(now);
        if alive.len() >= MOST {
            drop(alive.remove(0));
        }
        let key = self.make(now).map_err(|error| {
            let remedy = "let this process write into the directory of 'dialects.arc.key_dir'";
            Fault::new(Kind::Misconfigured, "no key file can be written", remedy)
                .with_inward(format!("{}: {error}", self.directory.display()))
        })?;
        let path = key.path.clone();
        alive.push(key);
        self.news.notify_one();
        Ok(path)
    }

    /// Where the key lies that `shown` is, if its file lives. Nobody else can take it until it is put back; its
    /// minute goes on.
    pub fn take(&self, shown: &[u8], now: Timestamp) -> Option<PathBuf> {
        let mut alive = self.swept(now);
        let fits = Secret::position(alive.iter().map(|key| &key.secret), shown)?;
        let key = alive.get_mut(fits).filter(|key| !key.is_in_use)?;
        key.is_in_use = true;
        Some(key.path.clone())
    }

    /// Lets a key that paid for nothing be shown again: clients repeat a request that failed in passing as it was.
    pub fn put_back(&self, path: &Path, now: Timestamp) {
        self.swept(now).iter_mut().filter(|key| key.path == path).for_each(|key| key.is_in_use = false);
    }

    /// Ends a key that was taken.
    pub fn spend(&self, path: &Path, now: Timestamp) {
        self.swept(now).retain(|key| key.path != path);
    }

    /// Removes what has lived for its minute, and tells how long the oldest of the others has left.
    pub fn sweep(&self, now: Timestamp) -> Option<Duration> {
        let own = self.swept(now).first().map(|oldest| oldest.issued + LIFE);
        own.into_iter().chain(self.sweep_left(now)).min().map(|end| end.since(now))
    }

    /// Removes what another process made and its minute ended, and tells when the next one ends.
    fn sweep_left(&self, now: Timestamp) -> Option<Timestamp> {
        // Invariant: as of those that are alive.
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever made it may have removed it.
        left.extract_if(.., |file| file.end <= now).for_each(|file| drop(fs::remove_file(file.path)));
        left.iter().map(|file| file.end).min()
    }

    /// Removes each file when its minute is over, also when nobody asks: one task, however many challenges there are,
    /// which ends with the last holder of this and needs a runtime that lives as long.
    pub async fn sweep_forever(self: Arc<Self>, clock: Clock) {
        let (keys, news) = (Arc::downgrade(&self), Arc::clone(&self.news));
        drop(self);
        loop {
            while let Some(rest) = keys.upgrade().and_then(|keys| keys.sweep(clock.now())) {
                tokio::time::sleep(rest).await;
            }
            if keys.strong_count() == 0 {
                return;
            }
            news.notified().await;
        }
    }

    fn swept(&self, now: Timestamp) -> MutexGuard<'_, Vec<Key>> {
        let mut alive = self.alive();
        alive.retain(|key| (key.issued..key.issued + LIFE).contains(&now));
        alive
    }

    fn alive(&self) -> MutexGuard<'_, Vec<Key>> {
        // Invariant: no code panics while it holds this lock, and the list is whole between statements.
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, now: Timestamp) -> io::Result<Key> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("the system gives no randomness"))?;
        let secret = Secret::from(URL_SAFE_NO_PAD.encode(bytes));
        let path = self.directory.join(format!("{PREFIX}{}{SUFFIX}", Uuid::new_v4()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&path)?;
        // From here on the file goes with the key, also when nothing can be written to it.
        let key = Key { path, secret, issued: now, is_in_use: false };
        // Whatever the umask takes away.
        file.set_permissions(Permissions::from_mode(MODE))?;
        file.write_all(key.secret.expose().as_bytes())?;
        Ok(key)
    }
}

/// What is left of a file's minute; nothing where it cannot say. The system's clock has dated it.
fn rest(path: &Path) -> Duration {
    let written = fs::metadata(path).and_then(|metadata| metadata.modified()).map(Timestamp::from);
    written.map_or(Duration::ZERO, |written| LIFE.saturating_sub(Clock::System.now().since(written)))
}

fn is_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

/// So many files are alive at most.
const MOST: usize = 16;
/// How long a file may lie there.
const LIFE: Duration = Duration::from_mins(1);
/// For us to write and for the directory's group to read.
const MODE: u32 = 0o640;
const PREFIX: &str = "bursar-";
/// Clients insist on it.
const SUFFIX: &str = ".key";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const NOW: Timestamp = Timestamp::from_secs(1000);

    #[test]
    fn a_key_opens_once_within_its_minute() {
        let directory = tempfile::tempdir().unwrap();
        let keys = Keys::new(directory.path().to_owned(), NOW);
        let (first, second) = (keys.issue(NOW).unwrap(), keys.issue(NOW).unwrap());
        let metadata = fs::metadata(&first).unwrap();
        assert!(metadata.permissions().mode() & 0o777 == 0o640 && metadata.len() <= 4096);
        assert!(first.extension().is_some_and(|extension| extension == "key"));
        let held = |path: &Path| fs::read(path).unwrap();
        let (one, two) = (held(&first), held(&second));
        for wrong in [&b""[..], b"wrong", &one[1..]] {
            assert!(keys.take(wrong, NOW).is_none());
        }
        let taken = keys.take(&one, NOW).unwrap();
        assert!(taken == first && keys.take(&one, NOW).is_none(), "it is in use");
        keys.put_back(&taken, NOW);
        assert!(keys.take(&one, NOW).is_some() && first.exists());
        keys.spend(&taken, NOW);
        assert!(keys.take(&one, NOW).is_none());
        assert!(!first.exists() && second.exists());
        assert!(keys.take(&two, NOW + LIFE).is_none());
        assert!(!second.exists());
    }

    /// Waits, within a bound, until so many files are there.
    async fn settled(directory: &Path, count: usize) -> bool {
        for _ in 0..500 {
            if fs::read_dir(directory).unwrap().count() == count {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    #[tokio::test]
    async fn one_task_removes_every_file_in_its_time() {
        let directory = tempfile::tempdir().unwrap();
        let keys = Arc::new(Keys::new(directory.path().to_owned(), NOW));
        let hand = ManualClock::at(NOW);
        let sweeper = tokio::spawn(Arc::clone(&keys).sweep_forever(Clock::Manual(hand.clone())));
        for round in 0..2 {
            for _ in 0..200 {
                keys.issue(hand.now()).unwrap();
                tokio::task::yield_now().await;
            }
            assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 1, "round {round}");
            hand.advance(LIFE / 2);
            let late = keys.issue(hand.now()).unwrap();
            assert_eq!(keys.sweep(hand.now()), Some(LIFE / 2));
            hand.advance(LIFE / 2);
            assert_eq!(keys.sweep(hand.now()), Some(LIFE / 2), "of those that are left");
            assert!(late.exists() && settled(directory.path(), 1).await, "round {round}");
            hand.advance(LIFE / 2);
            assert_eq!(keys.sweep(hand.now()), None);
        }
        sweeper.abort();
        let last = keys.issue(hand.now()).unwrap();
        hand.advance(LIFE - Duration::from_millis(50));
        let sweeper = tokio::spawn(Arc::clone(&keys).sweep_forever(Clock::Manual(hand.clone())));
        tokio::task::yield_now().await;
        hand.advance(Duration::from_millis(50));
        assert!(settled(directory.path(), 0).await && !last.exists(), "nobody asked");
        drop(keys);
        tokio::time::timeout(LIFE / 6, sweeper).await.expect("the task goes with the keys").unwrap();
    }

    #[tokio::test]
    async fn what_a_crash_left_goes_when_its_minute_is_over() {
        let directory = tempfile::tempdir().unwrap();
        let left = directory.path().join("bursar-left.key");
        let file = fs::File::create(&left).unwrap();
        let written = Duration::from_millis(Clock::System.now().as_millis()) - LIFE / 2;
        file.set_modified(std::time::SystemTime::UNIX_EPOCH + written).unwrap();
        let hand = ManualClock::at(NOW);
        let keys = Arc::new(Keys::new(directory.path().to_owned(), NOW));
        let rest = keys.sweep(NOW).unwrap();
        assert!(rest <= LIFE / 2 && rest > LIFE / 4 && left.exists(), "{rest:?}");
        hand.advance(rest - Duration::from_millis(50));
        let sweeper = tokio::spawn(Arc::clone(&keys).sweep_forever(Clock::Manual(hand.clone())));
        tokio::task::yield_now().await;
        assert!(left.exists(), "it may be another process's that lives");
        hand.advance(Duration::from_millis(50));
        assert!(settled(directory.path(), 0).await, "nobody asked");
        drop(keys);
        tokio::time::timeout(LIFE / 6, sweeper).await.expect("the task goes with the keys").unwrap();
    }

    #[test]
    fn the_last_one_takes_all_files_along() {
        let directory = tempfile::tempdir().unwrap();
        let keys = Arc::new(Keys::new(directory.path().to_owned(), NOW));
        let path = keys.issue(NOW).unwrap();
        drop(Last(Arc::clone(&keys)));
        assert!(!path.exists() && keys.sweep(NOW).is_none());
    }

    #[test]
    fn few_are_alive_and_none_outlives_its_process() {
        let directory = tempfile::tempdir().unwrap();
        let count = || fs::read_dir(directory.path()).unwrap().count();
        let left = fs::File::create(directory.path().join("bursar-left.key")).unwrap();
        left.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        fs::write(directory.path().join("himds.key"), "x").unwrap();
        let keys = Keys::new(directory.path().to_owned(), NOW);
        assert_eq!(count(), 1, "what is not ours stays");
        let neighbour = Keys::new(directory.path().to_owned(), NOW);
        neighbour.issue(Clock::System.now()).unwrap();
        drop(Keys::new(directory.path().to_owned(), NOW));
        assert_eq!(count(), 2, "and what another process lives by");
        drop(neighbour);
        let busy: Vec<_> = (0..16).map(|_| keys.issue(NOW).unwrap()).collect();
        for path in &busy {
            keys.take(&fs::read(path).unwrap(), NOW).unwrap();
        }
        keys.issue(NOW).unwrap();
        assert_eq!(count(), 17, "those in use count");
        keys.sweep(NOW + LIFE);
        assert_eq!(count(), 1, "and end with their minute");
        let issued: Vec<_> = (0..20).map(|_| keys.issue(NOW).unwrap()).collect();
        let there: Vec<_> = issued.iter().map(|path| path.exists()).collect();
        assert!(there[..4].iter().all(|there| !there) && there[4..].iter().all(|there| *there), "the oldest give way");
        assert_eq!(count(), 17);
        keys.sweep(NOW + LIFE);
        assert_eq!(count(), 1);
        keys.issue(NOW + LIFE).unwrap();
        drop(keys);
        assert_eq!(count(), 1);
        let nowhere = Keys::new(directory.path().join("nowhere"), NOW);
        assert_eq!(nowhere.issue(NOW).unwrap_err().kind, Kind::Misconfigured);
    }
}
