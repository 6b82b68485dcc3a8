//! Reading a data folder while a server runs on it.
//!
//! The tools open a folder without its lock and without changing a byte. What they find is what the
//! server had at some moment between the call and its return: the server only adds to files and
//! adds and removes whole ones, it removes one only when everything of it lies in others, and so
//! the files of the beginning are whole together if none of them is gone at the end. If one is, all
//! is read again. So it is if there is a new checkpoint: that stands for files which the server is
//! about to remove, as chunks have what they had, maybe in a file that was read before.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clock::SharedClock;
use disk::{Disk, ReadOnlyDisk};

use crate::block::Ulid;
use crate::db::{Db, OpenError};
use crate::options::Options;
use crate::wal::CHECKPOINT_PREFIX;

/// A server removes files when it has written a block, every few minutes at most.
const ATTEMPTS_MAX: usize = 10;

impl Db {
    /// Opens the data folder at `path` for reading only, beside a server that may run on it.
    /// Appends and whatever else writes fail.
    ///
    /// # Errors
    /// If something cannot be read or is damaged; what a server would pass over or set aside, too.
    pub fn open_read_only(
        disk: Arc<dyn Disk>,
        path: &Path,
        clock: SharedClock,
    ) -> Result<Arc<Db>, OpenError> {
        let options = Options {
            background: false,
            no_lockfile: true,
            read_only: true,
            ..Options::new(path)
        };
        let list = || {
            names(&*disk, path).map_err(|source| OpenError::Io {
                what: "list",
                path: path.to_owned(),
                source,
            })
        };
        for _ in 0..ATTEMPTS_MAX {
            let before = list()?;
            let shared: Arc<dyn Disk> = Arc::new(ReadOnlyDisk::new(Arc::clone(&disk)));
            let registry = telemetry::Registry::new(Arc::clone(&clock));
            let opened = Db::open(shared, options.clone(), Arc::clone(&clock), &registry);
            let after = list()?;
            if before.is_subset(&after) && checkpoints(&before).eq(checkpoints(&after)) {
                return opened;
            }
        }
        Err(OpenError::Io {
            what: "read",
            path: path.to_owned(),
            source: io::Error::other("its files changed all the time"),
        })
    }
}

fn checkpoints(names: &BTreeSet<PathBuf>) -> impl Iterator<Item = &PathBuf> {
    let is_checkpoint = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(CHECKPOINT_PREFIX))
    };
    names.iter().filter(move |path| is_checkpoint(path))
}

/// What samples lie in: blocks, files of the log, files of chunks.
fn names(disk: &dyn Disk, path: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut names = BTreeSet::new();
    for entry in disk.list(path)? {
        if entry.is_dir && entry.name.parse::<Ulid>().is_ok() {
            names.insert(path.join(entry.name));
        }
    }
    for dir in ["wal", "chunks_head"] {
        let dir = path.join(dir);
        // A folder of blocks only is fine.
        for entry in disk.list(&dir).unwrap_or_default() {
            if !entry.name.ends_with(".tmp") {
                names.insert(dir.join(entry.name));
            }
        }
    }
    Ok(names)
}
