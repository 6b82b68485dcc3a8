//! Writing: batches into groups.

use std::fmt;

use model::Labels;

/// A scrape group: all series that one target, write stream or rule group feeds. They nearly
/// always share timestamps, which is what storage builds on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u32);

/// A series in the head. Never used again for another series while the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesRef(pub u64);

/// One value of a series at the batch's time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Which series.
    pub series: SeriesRef,
    /// The value; every bit pattern is kept, the staleness marker included.
    pub value: f64,
}

/// One value of a series at a time of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimedSample {
    /// Which series.
    pub series: SeriesRef,
    /// When, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The value.
    pub value: f64,
}

/// What is written in one go: a query sees all of it or nothing, and it survives a kill of the
/// process once [`Appender::append`] has returned.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// The group that all series belong to.
    pub group: GroupId,
    /// The time of `samples`, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Samples at that time. Order is free, but a stable order from batch to batch is what makes
    /// storing them cheap.
    pub samples: &'a [Sample],
    /// Samples with times of their own (exposed timestamps).
    pub timed: &'a [TimedSample],
}

/// What became of a batch. Samples that are refused one by one are counted here; the others of
/// the batch are kept.
///
/// A staleness marker that comes too late for its series is refused as any sample is, but not
/// counted: the series lives on elsewhere, which is no error of the writer's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AppendOutcome {
    /// Written.
    pub appended: usize,
    /// Older than the newest sample of their series, and not the same.
    pub out_of_order: usize,
    /// At the time of the newest sample of their series, with another value.
    pub duplicate: usize,
    /// Before what the head still takes.
    pub out_of_bounds: usize,
    /// Older than the out-of-order window.
    pub too_old: usize,
    /// References that the head does not hold (any more): resolve them again by their labels.
    pub unknown: Vec<SeriesRef>,
}

/// Why a batch, a series or a group was refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Storage is starting up or shut down; try again later.
    #[error("TSDB not ready")]
    NotReady,
    /// The disk took no more: nothing of the batch is kept, later batches may work.
    #[error("write to the log failed: {0}")]
    Log(String),
    /// A limit of storage was hit.
    #[error("{0}")]
    Limit(String),
    /// The label set cannot name a series.
    #[error("invalid label set {labels}: {reason}")]
    InvalidLabels {
        /// The labels.
        labels: Labels,
        /// What is wrong with them.
        reason: String,
    },
}

/// Takes batches. Shared by all writers; every call is short and does not wait for a disk flush.
pub trait Appender: Send + Sync + fmt::Debug {
    /// The group that these labels name (a target's labels); the same labels give the same group.
    ///
    /// # Errors
    /// [`AppendError::NotReady`].
    fn open_group(&self, labels: &Labels) -> Result<GroupId, AppendError>;

    /// Says that nothing more comes for the group from its opener. Its samples stay.
    fn close_group(&self, group: GroupId);

    /// The series with these labels (the metric's name among them), created if it is new. Labels
    /// are valid, sorted and not empty.
    ///
    /// # Errors
    /// If the series is new and cannot be taken.
    fn series(&self, group: GroupId, labels: &Labels) -> Result<SeriesRef, AppendError>;

    /// Writes a batch.
    ///
    /// # Errors
    /// If nothing of it was written.
    fn append(&self, batch: Batch<'_>) -> Result<AppendOutcome, AppendError>;
}
