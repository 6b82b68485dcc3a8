//! What storage says about itself, for the status pages.

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
}
