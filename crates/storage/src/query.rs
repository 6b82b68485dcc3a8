//! Reading: series by matchers, samples as columns.

use std::fmt;
use std::sync::Arc;

use model::{FloatHistogram, Labels, Matcher, Metadata};

/// Why reading failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// Storage is starting up or shut down.
    #[error("TSDB not ready")]
    NotReady,
    /// Something on disk is not what was written. Other series may still be readable.
    #[error("corrupt data: {0}")]
    Corrupt(String),
    /// The operating system said no.
    #[error("{0}")]
    Io(String),
    /// A limit was hit.
    #[error("{0}")]
    Limit(String),
    /// What was found takes more memory than [`SelectHints::bytes_max`] allows.
    #[error("the series take more memory than there is for them")]
    TooLarge,
}

/// What a reader knows beforehand; storage may use it to read less, never to answer differently.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SelectHints {
    /// First millisecond wanted.
    pub start_ms: i64,
    /// Last millisecond wanted.
    pub end_ms: i64,
    /// Step of the query, 0 for an instant.
    pub step_ms: i64,
    /// Range of the selector, 0 for an instant selector.
    pub range_ms: i64,
    /// The function around the selector, empty if none.
    pub function: &'static str,
    /// At most so many series, 0 for all.
    pub limit: usize,
    /// The bytes that the series may take ([`Series::size_bytes`]), 0 for no limit. Storage gives up
    /// with [`StorageError::TooLarge`] soon after they take more, rather than to find all of them
    /// first.
    pub bytes_max: u64,
    /// The only labels that the reader looks at, sorted: [`Series::labels`] may leave out others.
    /// Series are told apart and sorted by all of theirs nevertheless. `None` for all.
    pub labels: Option<Vec<String>>,
}

/// Times at which the newest sample counts that is younger than the lookback, as for an instant
/// selector: `first_ms` and those every `step_ms` after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Points {
    /// The first, in milliseconds since 1970.
    pub first_ms: i64,
    /// Between two of them; at least 1.
    pub step_ms: i64,
    /// How many; at least 1.
    pub count: usize,
    /// Samples this old do not count any more.
    pub lookback_ms: i64,
    /// Of the values it only matters whether they are staleness markers; others may be any.
    pub presence_only: bool,
}

impl Points {
    /// The time of a point.
    #[must_use]
    pub fn at(&self, point: usize) -> i64 {
        self.first_ms + self.step_ms * point as i64
    }

    /// First and last millisecond of the samples that may count, both included.
    #[must_use]
    pub fn range_ms(&self) -> (i64, i64) {
        let first_ms = self.first_ms - self.lookback_ms + 1;
        (first_ms, self.at(self.count.saturating_sub(1)))
    }
}

/// Samples of one series, oldest first, as columns. Timestamps are unique.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    /// Milliseconds since 1970, as long as `values`.
    pub timestamps: Vec<i64>,
    /// Float values, staleness markers included.
    pub values: Vec<f64>,
    /// Native histograms with their timestamps. At one timestamp there is either a float or a
    /// histogram.
    pub histograms: Vec<(i64, Arc<FloatHistogram>)>,
    /// When the counter of each float sample began, in milliseconds since 1970, 0 if that is not
    /// known; empty if it is known of none, else as long as `values`.
    pub starts: Vec<i64>,
    /// The same for the histograms.
    pub histogram_starts: Vec<i64>,
}

impl Samples {
    /// Removes everything, keeps the memory.
    pub fn clear(&mut self) {
        self.timestamps.clear();
        self.values.clear();
        self.histograms.clear();
        self.starts.clear();
        self.histogram_starts.clear();
    }

    /// Adds a float sample at the end.
    pub fn push(&mut self, timestamp_ms: i64, value: f64) {
        self.timestamps.push(timestamp_ms);
        self.values.push(value);
        if !self.starts.is_empty() {
            self.starts.push(0);
        }
    }

    /// Adds a float sample with the start of its counter (0: not known) at the end.
    pub fn push_with_start(&mut self, timestamp_ms: i64, value: f64, start_ms: i64) {
        if start_ms != 0 && self.starts.is_empty() {
            self.starts.resize(self.values.len(), 0);
            self.starts.push(start_ms);
        } else if !self.starts.is_empty() {
            self.starts.push(start_ms);
        }
        self.timestamps.push(timestamp_ms);
        self.values.push(value);
    }

    /// Adds a histogram with the start of its counter (0: not known) at the end.
    pub fn push_histogram(&mut self, timestamp_ms: i64, value: Arc<FloatHistogram>, start_ms: i64) {
        if start_ms != 0 && self.histogram_starts.is_empty() {
            self.histogram_starts.resize(self.histograms.len(), 0);
            self.histogram_starts.push(start_ms);
        } else if !self.histogram_starts.is_empty() {
            self.histogram_starts.push(start_ms);
        }
        self.histograms.push((timestamp_ms, value));
    }

    /// Makes room for so many float samples more, and no more than that.
    pub fn reserve_exact(&mut self, count: usize) {
        self.timestamps.reserve_exact(count);
        self.values.reserve_exact(count);
        if !self.starts.is_empty() {
            self.starts.reserve_exact(count);
        }
    }

    /// The bytes of memory that all of this takes; histograms count in full though they may be
    /// shared.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let words = self.timestamps.capacity()
            + self.values.capacity()
            + self.starts.capacity()
            + self.histogram_starts.capacity()
            + 2 * self.histograms.capacity();
        let histograms = self.histograms.iter().map(|(_, h)| h.size_bytes());
        8 * words + histograms.sum::<usize>()
    }

    /// How many samples there are, floats and histograms.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timestamps.len() + self.histograms.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One series as a querier sees it. Holds what it needs to read; outlives the head's changes.
pub trait Series: Send + Sync {
    /// Its labels, the metric's name among them.
    fn labels(&self) -> &Labels;

    /// The bytes of memory that it takes as long as it is there to be read, labels included.
    fn size_bytes(&self) -> usize {
        size_of_val(self) + self.labels().size_bytes() + 2 * size_of::<usize>()
    }

    /// Adds the samples from `min_ms` to `max_ms`, both included, to `out`.
    ///
    /// # Errors
    /// If a block is corrupt or cannot be read.
    fn read(&self, min_ms: i64, max_ms: i64, out: &mut Samples) -> Result<(), StorageError>;

    /// Adds the samples of [`Points::range_ms`] to `out`, as [`Series::read`] does, but may leave
    /// out those that count at no point.
    ///
    /// # Errors
    /// As [`Series::read`].
    fn read_points(&self, points: &Points, out: &mut Samples) -> Result<(), StorageError> {
        let (min_ms, max_ms) = points.range_ms();
        self.read(min_ms, max_ms, out)
    }
}

/// What a selection found.
#[derive(Default)]
pub struct SeriesSet {
    /// The series; sorted by labels if that was asked for.
    pub series: Vec<Box<dyn Series>>,
    /// What the reader should tell the user, unprefixed.
    pub warnings: Vec<String>,
}

impl fmt::Debug for SeriesSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.series.iter().map(|s| s.labels()))
            .finish()
    }
}

/// An exemplar as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Its own labels.
    pub labels: Labels,
    /// The value that was observed.
    pub value: f64,
    /// When, in milliseconds since 1970.
    pub timestamp_ms: i64,
}

/// The exemplars of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct ExemplarSeries {
    /// The series.
    pub labels: Labels,
    /// Its exemplars, oldest first.
    pub exemplars: Vec<Exemplar>,
}

/// Gives exemplars.
pub trait ExemplarQueryable: Send + Sync + fmt::Debug {
    /// Exemplars from `start_ms` to `end_ms`, both included, of series that pass all matchers of at
    /// least one of `selectors`; sorted by the series' labels.
    ///
    /// # Errors
    /// [`StorageError::NotReady`] while storage cannot answer.
    fn exemplars(
        &self,
        start_ms: i64,
        end_ms: i64,
        selectors: &[Vec<Matcher>],
    ) -> Result<Vec<ExemplarSeries>, StorageError>;
}

/// Gives what expositions say of series.
pub trait MetadataQueryable: Send + Sync + fmt::Debug {
    /// The latest type, help and unit of the series with these labels, if storage knows.
    fn series_metadata(&self, labels: &Labels) -> Option<Arc<Metadata>>;
}

/// Gives queriers.
pub trait Queryable: Send + Sync + fmt::Debug {
    /// A querier over `min_ms` to `max_ms`, both included. It sees every batch whose append had
    /// returned before, and of each batch all or nothing.
    ///
    /// # Errors
    /// [`StorageError::NotReady`] while storage cannot answer.
    fn querier(&self, min_ms: i64, max_ms: i64) -> Result<Box<dyn Querier>, StorageError>;
}

/// Reads one stretch of time. Matchers are combined with and; no matchers means everything.
pub trait Querier: Send + Sync {
    /// Series that match and may have samples in the querier's time.
    ///
    /// # Errors
    /// If an index cannot be read.
    fn select(
        &self,
        sorted: bool,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<SeriesSet, StorageError>;

    /// Names of labels of matching series, sorted; at most `limit`, 0 for all.
    ///
    /// # Errors
    /// As [`Querier::select`].
    fn label_names(&self, matchers: &[Matcher], limit: usize) -> Result<Vec<String>, StorageError>;

    /// Values of a label of matching series, sorted; at most `limit`, 0 for all.
    ///
    /// # Errors
    /// As [`Querier::select`].
    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, StorageError>;
}
