//! How a database is set up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use storage::MemoryBudget;

/// What may stay on disk. Zero means without limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retention {
    /// Blocks that end so many milliseconds before the newest block's end are removed.
    pub time_ms: i64,
    /// Oldest blocks are removed while blocks and log hold more bytes than this.
    pub size_bytes: u64,
    /// As `size_bytes`, in percent of the file system (0 to 100).
    pub percentage: f64,
}

impl Default for Retention {
    fn default() -> Self {
        Retention {
            time_ms: 15 * 24 * 3_600_000,
            size_bytes: 0,
            percentage: 0.0,
        }
    }
}

/// Settings that hold as long as the database is open; defaults are Prometheus's.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data folder (`--storage.tsdb.path`); made if it is not there.
    pub path: PathBuf,
    /// What may stay on disk; [`crate::Db::set_retention`] changes it later.
    pub retention: Retention,
    /// Samples that come so late are taken although their series has newer ones (the
    /// configuration key `storage.tsdb.out_of_order_time_window`); 0 for none.
    /// [`crate::Db::set_out_of_order_window_ms`] changes it later.
    pub out_of_order_window_ms: i64,
    /// Span of the smallest blocks (`--storage.tsdb.min-block-duration`).
    pub block_duration_min_ms: i64,
    /// Span of the largest blocks (`--storage.tsdb.max-block-duration`); 0 for a tenth of the
    /// retention time, at most 31 days.
    pub block_duration_max_ms: i64,
    /// How often the log is synced to the medium; zero for every append.
    pub wal_sync_interval: Duration,
    /// Bytes of a segment of the log (`--storage.tsdb.wal-segment-size`).
    pub wal_segment_bytes: u64,
    /// Exemplars that are kept in memory (the configuration key
    /// `storage.exemplars.max_exemplars`); 0 for none. [`crate::Db::set_exemplars_max`] changes it
    /// later.
    pub exemplars_max: usize,
    /// Whether starts of counters are kept where batches have them (`st-storage`).
    pub store_starts: bool,
    /// Whether a start that is newer than all that its series has becomes a sample of zero
    /// (`created-timestamp-zero-ingestion`).
    pub starts_as_zeros: bool,
    /// Whether type, help and unit of series are kept (`metadata-wal-records`).
    pub store_metadata: bool,
    /// Series that the head may hold; more are refused. 0 for no limit.
    pub head_series_max: u64,
    /// New series that a group (a target) may bring within an hour; more are refused. 0 for no
    /// limit.
    pub group_new_series_max: u64,
    /// The memory that head, caches and queries share.
    pub memory: Arc<MemoryBudget>,
    /// Do not take the lock file (`--storage.tsdb.no-lockfile`).
    pub no_lockfile: bool,
    /// The folder belongs to somebody else, and nothing in it is changed:
    /// [`crate::Db::open_read_only`] sets it.
    pub read_only: bool,
    /// Whether the database runs [`crate::Db::maintain`] and the log's sync in threads of its
    /// own. Tests turn it off and call them.
    pub background: bool,
}

impl Options {
    /// The defaults in `path`.
    pub fn new(path: impl Into<PathBuf>) -> Options {
        Options {
            path: path.into(),
            retention: Retention::default(),
            out_of_order_window_ms: 0,
            block_duration_min_ms: 2 * 3_600_000,
            block_duration_max_ms: 0,
            wal_sync_interval: Duration::from_secs(1),
            wal_segment_bytes: 128 << 20,
            exemplars_max: 0,
            store_starts: true,
            starts_as_zeros: false,
            store_metadata: false,
            head_series_max: 0,
            group_new_series_max: 0,
            memory: MemoryBudget::unlimited(),
            no_lockfile: false,
            read_only: false,
            background: true,
        }
    }
}

/// Blocks never span more.
const BLOCK_MS_MAX: i64 = 31 * 24 * 3_600_000;

impl Options {
    /// Span of the largest blocks, as [`Options::block_duration_max_ms`] says.
    pub(crate) fn block_ms_max(&self, retention: &Retention) -> i64 {
        match (self.block_duration_max_ms, retention.time_ms) {
            (0, 0) => BLOCK_MS_MAX,
            (0, kept_ms) => (kept_ms / 10).min(BLOCK_MS_MAX),
            (set_ms, _) => set_ms,
        }
    }
}

/// Bytes as Go's `units.Base2Bytes` prints them: `1GiB512MiB`.
fn base2_text(bytes: u64) -> String {
    let mut text = String::new();
    let mut rest = bytes;
    for (shift, unit) in [
        (60, "EiB"),
        (50, "PiB"),
        (40, "TiB"),
        (30, "GiB"),
        (20, "MiB"),
        (10, "KiB"),
        (0, "B"),
    ] {
        let count = rest >> shift;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
            rest -= count << shift;
        }
    }
    text
}

/// What the runtime information shows as `storageRetention`: `15d`, `15d or 1GiB`.
pub(crate) fn retention_text(retention: &Retention) -> String {
    let mut parts = Vec::new();
    if retention.time_ms > 0 {
        parts.push(model::format_duration_ms(retention.time_ms));
    }
    if retention.size_bytes > 0 {
        parts.push(base2_text(retention.size_bytes));
    }
    if retention.percentage > 0.0 {
        parts.push(format!("{}%", retention.percentage));
    }
    parts.join(" or ")
}
