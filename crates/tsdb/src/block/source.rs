//! What a block is written from.

use model::Labels;

use super::{BlockError, HistogramColumn, LinkedGroup};

/// Gives the groups of a block, and of each group its series, one after the other. Groups come
/// sorted by their key, series within a group sorted by labels. The same series may come in
/// several groups, and several times in a group; reading merges what it finds.
pub trait BlockSource {
    /// Moves on to the next group and fills `group`, which keeps its memory; false after the last.
    ///
    /// # Errors
    /// If the source cannot be read.
    fn next_group(&mut self, group: &mut GroupInput) -> Result<bool, BlockError>;

    /// What the block takes of the group as it is, in place of series: then
    /// [`BlockSource::next_series`] is not asked, and times of the group are not needed. Asked once
    /// a group.
    fn linked(&mut self) -> Option<LinkedGroup> {
        None
    }

    /// Fills `series` with the next series of the group; false after its last.
    ///
    /// # Errors
    /// If the source cannot be read.
    fn next_series(&mut self, series: &mut SeriesInput) -> Result<bool, BlockError>;
}

/// A scrape group.
#[derive(Debug, Clone, Default)]
pub struct GroupInput {
    /// What names it: the target's labels. Compaction puts groups of the same key together.
    pub key: Labels,
    /// The times that its series share, strictly ascending; may be none.
    pub timestamps: Vec<i64>,
}

/// At which times a series has its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Times {
    /// At every timestamp of the group.
    #[default]
    Every,
    /// At the timestamps of the group whose bits are set in [`SeriesInput::present`].
    Present,
    /// At [`SeriesInput::own`].
    Own,
}

/// One series of a group. Buffers are reused from call to call; what [`Times`] does not name is
/// not looked at.
#[derive(Debug, Clone, Default)]
pub struct SeriesInput {
    /// Its labels, the metric's name among them.
    pub labels: Labels,
    /// Which times.
    pub times: Times,
    /// A bit for each timestamp of the group, lowest first; missing words are zero.
    pub present: Vec<u64>,
    /// Times of its own, strictly ascending.
    pub own: Vec<i64>,
    /// A value for each time, every bit pattern kept. A series without values is left out.
    pub values: Vec<f64>,
    /// Histograms for the times in place of values. A series that has both comes twice.
    pub histograms: HistogramColumn,
    /// When the counter began, for each time in milliseconds since 1970, 0 if that is not known;
    /// empty if it is known of none.
    pub starts: Vec<i64>,
}

impl SeriesInput {
    /// Removes everything, keeps the memory.
    pub fn clear(&mut self) {
        self.labels = Labels::empty();
        self.times = Times::Every;
        self.present.clear();
        self.own.clear();
        self.values.clear();
        self.histograms.clear();
        self.starts.clear();
    }
}
