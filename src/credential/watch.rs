//! Tells when credentials and other files may have changed on disk.
//!
//! Directories are watched and not files, because Kubernetes swaps a symbolic link beside the file. Where
//! nothing can be watched, a look each minute is enough to notice.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// A watch over the directories of some files.
pub struct Watch {
    watcher: Option<RecommendedWatcher>,
    watched: HashMap<PathBuf, Inode>,
    /// Those that cannot be watched yet, perhaps because they are not there.
    missing: HashSet<PathBuf>,
    changed: Arc<Notify>,
}

impl Watch {
    /// Watches the directories of `files`.
    #[must_use]
    pub fn over<'a>(files: impl IntoIterator<Item = &'a Path>) -> Self {
        let changed = Arc::new(Notify::new());
        let watcher = watcher(&changed).inspect_err(|error| {
            tracing::warn!(%error, "files cannot be watched; they are looked at each minute");
        });
        let mut watch = Self { watcher: watcher.ok(), watched: HashMap::new(), missing: HashSet::new(), changed };
        watch.aim(files);
        watch
    }

    /// Watches the directories of `files` from now on, and no others; says whether there is one that was not watched.
    pub fn aim<'a>(&mut self, files: impl IntoIterator<Item = &'a Path>) -> bool {
        let wanted: HashSet<PathBuf> = files.into_iter().filter_map(Path::parent).map(named).collect();
        // One that was replaced by another of its name is still watched where it went.
        let is_gone = |directory: &PathBuf, inode: &mut Inode| {
            !wanted.contains(directory) || Inode::of(directory).as_ref() != Some(inode)
        };
        for (gone, _) in self.watched.extract_if(is_gone) {
            // It may be no longer there.
            self.watcher.as_mut().map(|watcher| watcher.unwatch(&gone).ok());
        }
        let before = std::mem::take(&mut self.missing);
        let watched = &self.watched;
        self.missing = wanted.into_iter().filter(|directory| !watched.contains_key(directory)).collect();
        let more = self.watched.len();
        self.extend();
        for directory in self.missing.difference(&before) {
            tracing::warn!(directory = %directory.display(), "the directory of a file that may change cannot be watched yet; it is looked at each minute");
        }
        self.watched.len() > more
    }

    /// Waits until something may have changed, and a moment longer, because files come in groups.
    pub async fn change(&mut self) {
        tokio::time::timeout(PAUSE, self.changed.notified()).await.ok();
        tokio::time::sleep(SETTLING).await;
        self.extend();
    }

    /// Watches what can be watched by now.
    fn extend(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let found = self.missing.extract_if(|directory| watcher.watch(directory, RecursiveMode::NonRecursive).is_ok());
        self.watched.extend(found.filter_map(|directory| Inode::of(&directory).map(|inode| (directory, inode))));
    }
}

/// Which directory it is, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Inode {
    device: u64,
    number: u64,
}

impl Inode {
    fn of(directory: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(directory).ok()?;
        Some(Self { device: metadata.dev(), number: metadata.ino() })
    }
}

fn watcher(changed: &Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let changed = Arc::clone(changed);
    notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a file is an event too, and reading is what a change leads to.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            changed.notify_one();
        }
    })
}

/// The directory of a bare file name is the present one.
fn named(directory: &Path) -> PathBuf {
    if directory.as_os_str().is_empty() { PathBuf::from(".") } else { directory.to_owned() }
}

const PAUSE: Duration = Duration::from_mins(1);
const SETTLING: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[tokio::test]
    async fn a_swapped_link_is_noticed_soon() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for version in ["one", "two"] {
            std::fs::create_dir(path(version)).unwrap();
            std::fs::write(path(version).join("secret"), version).unwrap();
        }
        symlink("one", path("..data")).unwrap();
        symlink("..data/secret", path("secret")).unwrap();
        let missing = path("not-there/token");
        let mut watch = Watch::over([missing.as_path(), path("secret").as_path()]);
        symlink("two", path("..data_tmp")).unwrap();
        std::fs::rename(path("..data_tmp"), path("..data")).unwrap();
        tokio::time::timeout(Duration::from_secs(2), watch.change()).await.unwrap();
        assert_eq!(std::fs::read_to_string(path("secret")).unwrap(), "two");
        let other = tempfile::tempdir().unwrap();
        assert!(watch.aim([other.path().join("file").as_path()]));
        // What came before has rung, perhaps twice.
        for _ in 0..2 {
            tokio::time::timeout(Duration::from_millis(400), watch.change()).await.ok();
        }
        std::fs::write(path("new"), "").unwrap();
        assert!(tokio::time::timeout(Duration::from_secs(1), watch.change()).await.is_err(), "nobody looks there");
        std::fs::write(other.path().join("file"), "").unwrap();
        tokio::time::timeout(Duration::from_secs(2), watch.change()).await.unwrap();
    }

    #[tokio::test]
    async fn a_directory_that_takes_anothers_place_is_watched_in_its_stead() {
        let base = tempfile::tempdir().unwrap();
        let (place, file) = (base.path().join("conf"), base.path().join("conf/file"));
        std::fs::create_dir(&place).unwrap();
        std::fs::write(&file, "one").unwrap();
        let mut watch = Watch::over([file.as_path()]);
        std::fs::rename(&place, base.path().join("old")).unwrap();
        std::fs::create_dir(&place).unwrap();
        assert!(watch.aim([file.as_path()]), "it is another");
        assert!(!watch.aim([file.as_path()]), "and then no more");
        // What came before has rung, perhaps twice.
        for _ in 0..2 {
            tokio::time::timeout(Duration::from_millis(400), watch.change()).await.ok();
        }
        std::fs::write(&file, "two").unwrap();
        tokio::time::timeout(Duration::from_secs(2), watch.change()).await.unwrap();
    }
}
