//! The database as a whole.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use clock::SharedClock;
use disk::{Disk, DiskLock};
use model::Labels;
use parking_lot::Mutex;
use storage::memory::MemoryStore;
use storage::{
    AppendError, AppendOutcome, Appender, Batch, BlockStatus, GroupId, Querier, Queryable,
    ReplayProgress, SeriesRef, StorageError, StorageStatus, TsdbStats,
};

use crate::options::{Options, Retention};

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the data folder.
    #[error("lock DB directory: resource temporarily unavailable")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The file system said no.
    #[error("{what} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

/// An open database. Shared by everything that writes or reads samples.
#[derive(Debug)]
pub struct Db {
    retention: Mutex<Retention>,
    interim: MemoryStore,
    _lock: Option<Box<dyn DiskLock>>,
}

impl Db {
    /// Opens the data folder. Returns at once: the log is replayed by threads of the database,
    /// and until they are done [`StorageStatus::is_ready`] is false and appends and queries
    /// answer "not ready".
    ///
    /// # Errors
    /// If the folder cannot be used.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        _clock: SharedClock,
        _registry: &telemetry::Registry,
    ) -> Result<Arc<Db>, OpenError> {
        let io = |what, path: &PathBuf| {
            let path = path.clone();
            move |source| OpenError::Io { what, path, source }
        };
        disk.create_dir_all(&options.path)
            .map_err(io("create", &options.path))?;
        let path = options.path.join("lock");
        let lock = if options.no_lockfile {
            None
        } else {
            Some(disk.lock(&path).map_err(io("lock", &path))?)
        };
        Ok(Arc::new(Db {
            retention: Mutex::new(options.retention),
            interim: MemoryStore::new(),
            _lock: lock,
        }))
    }

    /// Changes what may stay on disk; blocks are removed at the next [`Db::maintain`].
    pub fn set_retention(&self, retention: Retention) {
        *self.retention.lock() = retention;
    }

    /// Writes due blocks, compacts, applies retention, frees memory. Runs in a thread of the
    /// database unless [`Options::background`] is off.
    pub fn maintain(&self) {}

    /// Stops the database's threads and brings all that was appended to the medium. Appends and
    /// queries answer "not ready" afterwards.
    pub fn close(&self) {}
}

impl Appender for Db {
    fn open_group(&self, labels: &Labels) -> Result<GroupId, AppendError> {
        self.interim.open_group(labels)
    }

    fn close_group(&self, group: GroupId) {
        self.interim.close_group(group);
    }

    fn series(&self, group: GroupId, labels: &Labels) -> Result<SeriesRef, AppendError> {
        self.interim.series(group, labels)
    }

    fn append(&self, batch: Batch<'_>) -> Result<AppendOutcome, AppendError> {
        self.interim.append(batch)
    }
}

impl Queryable for Db {
    fn querier(&self, min_ms: i64, max_ms: i64) -> Result<Box<dyn Querier>, StorageError> {
        self.interim.querier(min_ms, max_ms)
    }
}

impl StorageStatus for Db {
    fn is_ready(&self) -> bool {
        true
    }

    fn replay_progress(&self) -> ReplayProgress {
        ReplayProgress::default()
    }

    fn stats(&self, _limit: usize) -> TsdbStats {
        TsdbStats::default()
    }

    fn blocks(&self) -> Vec<BlockStatus> {
        Vec::new()
    }

    fn retention_text(&self) -> String {
        crate::options::retention_text(&self.retention.lock())
    }

    fn corruption_count(&self) -> u64 {
        0
    }
}
