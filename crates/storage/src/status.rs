//! What storage says about itself, for the status pages.

use model::Matcher;

use crate::query::StorageError;

/// A name with a count, for the top lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedCount {
    /// Metric name, label name or `name=value`.
    pub name: String,
    /// Series, values or bytes.
    pub value: u64,
}

/// Figures of the head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadStats {
    /// Series in memory.
    pub series: u64,
    /// Distinct pairs of label name and value.
    pub label_pairs: u64,
    /// Chunks in memory.
    pub chunks: u64,
    /// Oldest sample, milliseconds; `i64::MAX` if there is none.
    pub min_time_ms: i64,
    /// Newest sample, milliseconds; `i64::MIN` if there is none.
    pub max_time_ms: i64,
}

/// The answer of `/api/v1/status/tsdb`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TsdbStats {
    /// The head's figures.
    pub head: HeadStats,
    /// Metric names with most series.
    pub series_by_metric: Vec<NamedCount>,
    /// Label names with most values.
    pub values_by_label: Vec<NamedCount>,
    /// Label names with most bytes of values over all series.
    pub bytes_by_label: Vec<NamedCount>,
    /// Label pairs with most series.
    pub series_by_pair: Vec<NamedCount>,
}

/// How far reading the log at start has come, in segments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayProgress {
    /// First segment.
    pub min: u64,
    /// Last segment.
    pub max: u64,
    /// Segment being read.
    pub current: u64,
}

/// One block on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockStatus {
    /// Its identifier.
    pub ulid: String,
    /// First millisecond.
    pub min_time_ms: i64,
    /// Last millisecond, excluded.
    pub max_time_ms: i64,
    /// Series in it.
    pub series: u64,
    /// Samples in it.
    pub samples: u64,
    /// Bytes of its files.
    pub size_bytes: u64,
}

/// What an operator may do to stored samples.
pub trait StorageAdmin: Send + Sync {
    /// Deletes the samples from `min_ms` to `max_ms`, both included, of the series that pass all
    /// matchers: queries that begin later do not see them. The bytes stay until blocks are
    /// merged or [`StorageAdmin::clean_tombstones`] is called.
    ///
    /// # Errors
    /// If storage is not ready or the disk fails; some of it may be deleted then.
    fn delete_series(
        &self,
        matchers: &[Matcher],
        min_ms: i64,
        max_ms: i64,
    ) -> Result<(), StorageError>;

    /// Writes blocks with deleted samples anew without them.
    ///
    /// # Errors
    /// If storage is not ready or the disk fails; some blocks may be done then.
    fn clean_tombstones(&self) -> Result<(), StorageError>;

    /// Puts a copy of all blocks, and of the newest samples unless `skip_head`, into the folder
    /// `name` beside other snapshots.
    ///
    /// # Errors
    /// If storage is not ready or the disk fails; there is no such folder then.
    fn snapshot(&self, name: &str, skip_head: bool) -> Result<(), StorageError>;
}

/// What the API asks of storage besides samples.
pub trait StorageStatus: Send + Sync {
    /// Whether queries and appends work.
    fn is_ready(&self) -> bool;

    /// How far start-up has come.
    fn replay_progress(&self) -> ReplayProgress;

    /// Cardinality of the head; each list has at most `limit` rows, largest first.
    fn stats(&self, limit: usize) -> TsdbStats;

    /// The blocks on disk, oldest first.
    fn blocks(&self) -> Vec<BlockStatus>;

    /// What `storageRetention` of the runtime information shows: `15d`, `15d or 1GiB`.
    fn retention_text(&self) -> String;

    /// Corruptions of the log met since start.
    fn corruption_count(&self) -> u64;

    /// What the operator should know now, a sentence each: a full disk, a limit that keeps new
    /// series out.
    fn notices(&self) -> Vec<String> {
        Vec::new()
    }
}
