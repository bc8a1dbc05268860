//! Tells when credentials and other files may have changed on disk.
//!
//! Directories are watched and not files, because Kubernetes swaps a symbolic link beside the file; and those of all
//! that a link leads to, because it may be replaced there. Where nothing can be watched, a look each minute is enough to
//! notice.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// A watch over the directories of some files, and over those of what they lead to where they are links.
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
        let wanted: HashSet<PathBuf> = files.into_iter().flat_map(directories).collect();
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

/// Where a change of `file` shows: in its own directory, and where it is a link, in those of all that it leads to. Each has
/// its real name, if it is there: the kernel watches a directory once, whatever it is called, and lets go of it for all
/// of its names.
fn directories(file: &Path) -> Vec<PathBuf> {
    let (mut found, mut at) = (Vec::new(), file.to_owned());
    for _ in 0..MOST_LINKS {
        let Some(directory) = at.parent().map(named) else { break };
        found.push(directory.canonicalize().unwrap_or_else(|_| directory.clone()));
        let Ok(target) = at.read_link() else { break };
        at = directory.join(target);
    }
    found
}

/// The directory of a bare file name is the present one.
fn named(directory: &Path) -> PathBuf {
    if directory.as_os_str().is_empty() { PathBuf::from(".") } else { directory.to_owned() }
}

/// The kernel follows no more either.
const MOST_LINKS: usize = 40;

const PAUSE: Duration = Duration::from_mins(1);
const SETTLING: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// What came before has rung, perhaps twice.
    async fn quiet(watch: &mut Watch) {
        for _ in 0..2 {
            tokio::time::timeout(Duration::from_millis(400), watch.change()).await.ok();
        }
    }

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
        quiet(&mut watch).await;
        std::fs::write(path("new"), "").unwrap();
        assert!(tokio::time::timeout(Duration::from_secs(1), watch.change()).await.is_err(), "nobody looks there");
        std::fs::write(other.path().join("file"), "").unwrap();
        tokio::time::timeout(Duration::from_secs(2), watch.change()).await.unwrap();
    }

    #[tokio::test]
    async fn what_a_link_leads_to_is_watched_where_it_lies() {
        let base = tempfile::tempdir().unwrap();
        let path = |name: &str| base.path().join(name);
        for directory in ["here", "way", "there", "elsewhere"] {
            std::fs::create_dir(path(directory)).unwrap();
        }
        let link = |target: &str, name: &str| {
            std::fs::remove_file(path(name)).ok();
            symlink(target, path(name)).unwrap();
        };
        std::fs::write(path("there/file"), "one").unwrap();
        std::fs::write(path("elsewhere/file"), "one").unwrap();
        link("../there/file", "way/file");
        link("../way/file", "here/file");
        let file = path("here/file");
        let mut watch = Watch::over([file.as_path()]);
        assert!(!watch.aim([file.as_path()]), "all of it is watched already");
        std::fs::write(path("there/file"), "two").unwrap();
        tokio::time::timeout(Duration::from_secs(2), watch.change()).await.unwrap();
        quiet(&mut watch).await;
        link("../elsewhere/file", "way/file");
        tokio::time::timeout(Duration::from_secs(2), watch.change()).await.unwrap();
        assert!(watch.aim([file.as_path()]), "it leads elsewhere");
        quiet(&mut watch).await;
        std::fs::write(path("there/file"), "three").unwrap();
        assert!(tokio::time::timeout(Duration::from_secs(1), watch.change()).await.is_err(), "nobody looks there");
        std::fs::write(path("elsewhere/file"), "two").unwrap();
        tokio::time::timeout(Duration::from_secs(2), watch.change()).await.unwrap();
        // A link in a circle, and one to nowhere, lead to nothing and end.
        link("circle", "here/circle");
        link("../nowhere/file", "here/lost");
        assert_eq!(directories(&path("here/circle")).len(), MOST_LINKS);
        assert_eq!(directories(&path("here/lost")).len(), 2);
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
        quiet(&mut watch).await;
        std::fs::write(&file, "two").unwrap();
        tokio::time::timeout(Duration::from_secs(2), watch.change()).await.unwrap();
    }
}
