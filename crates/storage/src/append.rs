//! Writing: batches into groups.

use std::fmt;

use model::{FloatHistogram, Histogram, Labels, Metadata};

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

/// A native histogram as it was exposed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HistogramValue<'a> {
    /// With counts that are whole numbers.
    Integer(&'a Histogram),
    /// With counts that are floats.
    Float(&'a FloatHistogram),
}

/// One native histogram of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HistogramSample<'a> {
    /// Which series.
    pub series: SeriesRef,
    /// When, in milliseconds since 1970; mostly the batch's time.
    pub timestamp_ms: i64,
    /// The histogram; one whose sum is the staleness marker ends the series.
    pub value: HistogramValue<'a>,
}

/// When the counter began whose value the batch has: what was counted before is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartTime {
    /// Which series; it has a sample in the same batch.
    pub series: SeriesRef,
    /// When, in milliseconds since 1970.
    pub start_ms: i64,
}

/// An example of what a series counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExemplarSample<'a> {
    /// Which series.
    pub series: SeriesRef,
    /// Its own labels, such as the identifier of a trace.
    pub labels: &'a Labels,
    /// The value that was observed.
    pub value: f64,
    /// When, in milliseconds since 1970; the batch's time if the exposition does not say.
    pub timestamp_ms: i64,
    /// Whether the exposition said when. If not, the same exemplar is known although its time is
    /// another one with every scrape.
    pub has_own_time: bool,
}

/// What the exposition said about a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetadataSample<'a> {
    /// Which series.
    pub series: SeriesRef,
    /// Type, help and unit.
    pub metadata: &'a Metadata,
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
    /// Native histograms.
    pub histograms: &'a [HistogramSample<'a>],
    /// Starts of the counters among the samples and histograms, as far as they are known.
    pub starts: &'a [StartTime],
    /// Exemplars, after the samples that they belong to.
    pub exemplars: &'a [ExemplarSample<'a>],
    /// Metadata that is new or has changed.
    pub metadata: &'a [MetadataSample<'a>],
}

impl<'a> Batch<'a> {
    /// A batch of plain samples of one time.
    #[must_use]
    pub fn of(group: GroupId, timestamp_ms: i64, samples: &'a [Sample]) -> Batch<'a> {
        Batch {
            group,
            timestamp_ms,
            samples,
            timed: &[],
            histograms: &[],
            starts: &[],
            exemplars: &[],
            metadata: &[],
        }
    }

    /// Whether it has nothing but floats, with times of their own or not.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.histograms.is_empty()
            && self.starts.is_empty()
            && self.exemplars.is_empty()
            && self.metadata.is_empty()
    }
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
    /// Native histograms that cannot be right.
    pub invalid_histograms: usize,
    /// Exemplars that are older than the newest one of their series; not if others of the same series
    /// stand beside them that are not.
    pub exemplars_out_of_order: usize,
    /// References that the head does not hold (any more): resolve them again by their labels.
    pub unknown: Vec<SeriesRef>,
    /// The series of refused samples, in any order.
    pub refused: Vec<SeriesRef>,
}

impl AppendOutcome {
    /// How many samples were refused.
    #[must_use]
    pub fn refused_count(&self) -> usize {
        self.out_of_order
            + self.duplicate
            + self.out_of_bounds
            + self.too_old
            + self.invalid_histograms
    }

    /// Lets `take` take a sample of `series`, and notes the series if it is refused.
    pub fn watch(&mut self, series: SeriesRef, take: impl FnOnce(&mut AppendOutcome)) {
        let before = self.refused_count();
        take(self);
        if self.refused_count() > before {
            self.refused.push(series);
        }
    }
}

/// What keeps new series out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SeriesLimit {
    /// Storage holds as many as it may.
    #[error("the head has reached its limit of {series_max} series")]
    Head {
        /// Series in the head.
        series_max: u64,
    },
    /// The group has brought as many as it may within an hour.
    #[error("the target has reached its limit of {series_max} new series an hour")]
    Group {
        /// New series of a group within an hour.
        series_max: u64,
    },
    /// The head takes nearly all of the memory budget.
    #[error("the memory budget of {bytes_max} bytes is used up")]
    Memory {
        /// Bytes of the budget.
        bytes_max: u64,
    },
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
    /// The disk is full: nothing is taken until there is room again. What was taken is safe.
    #[error("write to the log failed: no space left on device")]
    DiskFull,
    /// A limit of storage was hit.
    #[error("{0}")]
    Limit(String),
    /// The series is new and a limit keeps it out. Series that exist are not concerned.
    #[error(transparent)]
    SeriesLimit(#[from] SeriesLimit),
    /// The batch has something that this storage does not keep.
    #[error("{0} are not stored here")]
    Unsupported(&'static str),
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
