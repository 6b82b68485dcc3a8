//! Notices that files may have changed, so that a host that registers is scraped within seconds.
//!
//! Folders are watched, not files: editors and scripts replace files by renaming, and Kubernetes
//! swaps a link in the folder. The folders that links lead to are watched too. Where a folder does
//! not exist yet, the nearest one above it is watched for its arrival.
//!
//! Only a hint: what is missed (network file systems have no events) the next poll sees.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::metrics::FileMetrics;

/// Watches the folders of some globs.
pub(crate) struct FileWatcher {
    /// `None` if the system has no watches left: polling has to do.
    watcher: Option<RecommendedWatcher>,
    folders: Vec<PathBuf>,
    watched: BTreeSet<PathBuf>,
    /// What the callback compares events with: the folders that matter, existing or not.
    wanted: Arc<Mutex<BTreeSet<PathBuf>>>,
    metrics: FileMetrics,
}

impl FileWatcher {
    /// Watches nothing yet; `changed` is woken when something may have changed.
    pub(crate) fn new(
        patterns: &[String],
        changed: Arc<Notify>,
        metrics: FileMetrics,
    ) -> FileWatcher {
        let wanted = Arc::new(Mutex::new(BTreeSet::new()));
        let seen = Arc::clone(&wanted);
        let errors = metrics.watcher_errors.clone();
        let callback = move |event: notify::Result<Event>| match event {
            Ok(event) if is_relevant(&event, &seen.lock()) => changed.notify_one(),
            Ok(_) => {}
            Err(error) => {
                errors.inc();
                tracing::error!(err = %error, "Error watching file");
                changed.notify_one();
            }
        };
        let watcher = match notify::recommended_watcher(callback) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                metrics.watcher_errors.inc();
                tracing::error!(err = %error, "Error adding file watcher, polling instead");
                None
            }
        };
        FileWatcher {
            watcher,
            folders: patterns
                .iter()
                .map(|pattern| folder_of(Path::new(pattern)))
                .collect(),
            watched: BTreeSet::new(),
            wanted,
            metrics,
        }
    }

    /// Watches what has to be watched now: the folders of the globs and of the files, and those
    /// that the files' links lead to. A folder that was removed and came back is another one, so
    /// that all are added each time; the system tells old from new.
    pub(crate) fn watch<'p>(&mut self, files: impl Iterator<Item = &'p Path>) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let mut wanted: BTreeSet<PathBuf> = self.folders.iter().cloned().collect();
        for file in files {
            wanted.insert(folder_of(file));
            if let Ok(real) = file.canonicalize() {
                wanted.insert(folder_of(&real));
            }
        }
        let existing: BTreeSet<PathBuf> = wanted
            .iter()
            .filter_map(|folder| nearest_existing(folder))
            .collect();
        *self.wanted.lock() = wanted;
        for folder in self.watched.difference(&existing) {
            // It may be gone, and its watch with it.
            let _ = watcher.unwatch(folder);
        }
        for folder in &existing {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                self.metrics.watcher_errors.inc();
                tracing::error!(path = %folder.display(), err = %error, "Error adding file watch");
            }
        }
        self.watched = existing;
    }
}

/// Whether an event can mean that a scan finds something else than before: something in a wanted
/// folder was written, made, moved or removed, or a folder above a wanted one was.
fn is_relevant(event: &Event, wanted: &BTreeSet<PathBuf>) -> bool {
    let is_change = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        // Our own reading is an access, and a change of mode is no change.
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => false,
        _ => true,
    };
    // An event without a path says that events were lost.
    let is_ours = event.paths.is_empty()
        || event.paths.iter().any(|path| {
            let folder = folder_of(path);
            wanted
                .iter()
                .any(|wanted| *wanted == folder || wanted.starts_with(path))
        });
    is_change && is_ours
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_path_buf(),
        None => path.to_path_buf(),
    }
}

fn nearest_existing(folder: &Path) -> Option<PathBuf> {
    let mut ancestors = folder.ancestors();
    let existing = ancestors.find(|ancestor| ancestor.is_dir());
    existing.map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, MetadataKind, RenameMode};

    #[test]
    fn events_that_matter() {
        let wanted = BTreeSet::from([PathBuf::from("/a/b"), PathBuf::from("/x")]);
        let write = EventKind::Access(AccessKind::Close(AccessMode::Write));
        let rename = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        let chmod = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
        for (kind, path, matters) in [
            (write, "/a/b/t.json", true),
            (rename, "/a/b/..data", true),
            (EventKind::Create(CreateKind::Folder), "/a", true),
            (EventKind::Create(CreateKind::Folder), "/a/b", true),
            (EventKind::Create(CreateKind::Folder), "/a/c", false),
            (write, "/a/t.json", false),
            (chmod, "/a/b/t.json", false),
            (
                EventKind::Access(AccessKind::Open(AccessMode::Any)),
                "/x/t.json",
                false,
            ),
        ] {
            let event = Event::new(kind).add_path(PathBuf::from(path));
            assert_eq!(is_relevant(&event, &wanted), matters, "{kind:?} {path}");
        }
        assert!(is_relevant(&Event::new(EventKind::Other), &wanted));
    }
}
