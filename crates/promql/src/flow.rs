//! Vectors on their way: series that are made one by one, when somebody takes them.
//!
//! A selector or a function over a range is a source; what is done value by value (arithmetic with
//! a scalar, `abs`, filters) is put behind it and costs no vector of its own. Whoever needs all
//! series at once collects the flow; an aggregation takes one series after the other and keeps
//! none. Either way batches of series are made in parallel, while those of the batch before are
//! taken in order: results do not depend on how many threads there are.

use std::ops::Range;
use std::sync::Arc;

use model::Labels;
use rayon::prelude::*;
use storage::{Samples, Series as StoredSeries};

use crate::annotations::Position;
use crate::column::{ABSENT, Column, Scalar, Series, Steps, is_metadata_label, is_present};
use crate::context::{Charge, Deadline, EVALUATION};
use crate::error::QueryError;
use crate::window::{RangeFunction, Reach, Walk, WindowCounts, Windows, latest};

/// Series whose values are being made while the batch before them is taken.
const BATCH_SERIES: usize = 2_048;

/// Series that one task makes before it asks whether the query is to end.
const TASK_SERIES: usize = 64;

/// Fewer values than this (series times steps) are made where they are needed: handing them to
/// other threads takes longer.
const PARALLEL_VALUES_MIN: usize = 4_096;

/// Changes the values of one series.
pub(crate) type Map = Box<dyn Fn(Column) -> Column + Send + Sync>;

/// Series of a storage, shared by all parts of a query that select them.
pub(crate) type Stored = Arc<Vec<Box<dyn StoredSeries>>>;

/// Series that are there, and the memory that they take.
#[derive(Debug)]
pub(crate) struct SeriesSet<'q> {
    pub(crate) series: Vec<Series>,
    pub(crate) charge: Charge<'q>,
}

/// What to do where native histograms are met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Histograms {
    /// They cannot be evaluated yet.
    Refuse,
    /// What is asked for leaves them out.
    Ignore,
    /// What is asked for takes any sample.
    Count,
}

/// Where the samples of ranges come from.
pub(crate) enum Ranges<'q> {
    Stored(Stored),
    /// A subquery's values.
    Computed(SeriesSet<'q>, Steps),
}

impl Ranges<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Ranges::Stored(series) => series.len(),
            Ranges::Computed(set, _) => set.series.len(),
        }
    }

    pub(crate) fn labels(&self, index: usize) -> &Labels {
        match self {
            Ranges::Stored(series) => series[index].labels(),
            Ranges::Computed(set, _) => &set.series[index].labels,
        }
    }

    fn drops_name(&self, index: usize) -> bool {
        match self {
            Ranges::Stored(_) => false,
            Ranges::Computed(set, _) => set.series[index].drop_name,
        }
    }

    /// The samples of a series that windows can see, without staleness markers. True if there
    /// were floats and histograms.
    pub(crate) fn read(
        &self,
        index: usize,
        windows: &Windows,
        histograms: Histograms,
        out: &mut Samples,
    ) -> Result<bool, QueryError> {
        out.clear();
        let (min_ms, max_ms) = windows.read_range_ms();
        match self {
            Ranges::Stored(series) => {
                series[index].read(min_ms, max_ms, out)?;
                drop_markers(out);
                let mixed = !out.histograms.is_empty() && !out.values.is_empty();
                admit_histograms(series[index].labels(), histograms, out)?;
                Ok(mixed)
            }
            Ranges::Computed(set, steps) => {
                for (step, value) in set.series[index].column.iter() {
                    out.push(steps.at(step), value);
                }
                Ok(false)
            }
        }
    }
}

fn drop_markers(samples: &mut Samples) {
    if samples.values.iter().all(|&v| is_present(v)) {
        return;
    }
    let mut kept = 0;
    for at in 0..samples.values.len() {
        if is_present(samples.values[at]) {
            samples.values[kept] = samples.values[at];
            samples.timestamps[kept] = samples.timestamps[at];
            kept += 1;
        }
    }
    samples.values.truncate(kept);
    samples.timestamps.truncate(kept);
}

/// Deals with the histograms of a range: none are left afterwards.
fn admit_histograms(
    labels: &Labels,
    histograms: Histograms,
    samples: &mut Samples,
) -> Result<(), QueryError> {
    samples.histograms.retain(|(_, h)| is_present(h.sum));
    if samples.histograms.is_empty() {
        return Ok(());
    }
    match histograms {
        Histograms::Refuse => return Err(refuse_histograms(labels)),
        Histograms::Ignore => samples.histograms.clear(),
        // Whatever the value: only that there is one matters.
        Histograms::Count => merge_histograms(samples, 1.0),
    }
    Ok(())
}

/// Puts a float in the place of every histogram.
fn merge_histograms(samples: &mut Samples, value: f64) {
    let floats = samples
        .timestamps
        .iter()
        .copied()
        .zip(samples.values.iter().copied());
    let others = samples
        .histograms
        .iter()
        .map(|(time_ms, h)| (*time_ms, if is_present(h.sum) { value } else { ABSENT }));
    let mut merged: Vec<(i64, f64)> = floats.chain(others).collect();
    merged.sort_by_key(|&(time_ms, _)| time_ms);
    samples.clear();
    for (time_ms, value) in merged {
        samples.push(time_ms, value);
    }
}

pub(crate) fn refuse_histograms(labels: &Labels) -> QueryError {
    QueryError::Execution(format!(
        "native histograms are not supported yet, and {labels} has some"
    ))
}

/// A selector's values at the steps.
pub(crate) struct InstantSource {
    pub(crate) series: Stored,
    pub(crate) windows: Windows,
    /// The time of the samples instead of their value.
    pub(crate) as_time: bool,
    pub(crate) histograms: Histograms,
    pub(crate) per_step: bool,
}

impl InstantSource {
    fn column(&self, index: usize, scratch: &mut Samples) -> Result<Column, QueryError> {
        scratch.clear();
        let series = &self.series[index];
        let (min_ms, max_ms) = self.windows.read_range_ms();
        series.read(min_ms, max_ms, scratch)?;
        if !scratch.histograms.is_empty() {
            self.admit(series.labels(), scratch)?;
        }
        if self.windows.reach == Reach::Smoothed {
            drop_markers(scratch);
            let Samples {
                timestamps, values, ..
            } = scratch;
            return Ok(crate::extended::smoothed_instant(
                timestamps,
                values,
                &self.windows,
            ));
        }
        let Samples {
            timestamps, values, ..
        } = scratch;
        Ok(latest(timestamps, values, &self.windows, self.as_time))
    }

    /// The samples behind a column: one for every value. Upstream does not count those between
    /// which it interpolates.
    fn counts(&self, column: &Column) -> WindowCounts {
        if self.windows.reach == Reach::Smoothed {
            return WindowCounts::default();
        }
        let present = column.present() as u64;
        let per_step = self.per_step.then(|| {
            let mut per_step = vec![(0, 0); self.windows.steps.count];
            column.iter().for_each(|(step, _)| per_step[step] = (1, 1));
            per_step
        });
        WindowCounts {
            total: present,
            read: present,
            peak: 0,
            per_step,
        }
    }

    /// A histogram hides older floats even if it is left out itself.
    fn admit(&self, labels: &Labels, samples: &mut Samples) -> Result<(), QueryError> {
        if self.histograms == Histograms::Refuse {
            let mut only = samples.clone();
            only.values.fill(ABSENT);
            merge_histograms(&mut only, 1.0);
            if !latest(&only.timestamps, &only.values, &self.windows, false).is_empty() {
                return Err(refuse_histograms(labels));
            }
        }
        let counted = self.histograms == Histograms::Count;
        merge_histograms(samples, if counted { 1.0 } else { ABSENT });
        Ok(())
    }
}

/// A function's values over ranges.
pub(crate) struct RangedSource<'q> {
    pub(crate) ranges: Ranges<'q>,
    pub(crate) windows: Windows,
    pub(crate) function: RangeFunction,
    pub(crate) arguments: Vec<Scalar>,
    /// Of the first argument, for annotations.
    pub(crate) position: Position,
    pub(crate) per_step: bool,
}

pub(crate) enum Source<'q> {
    Ready(SeriesSet<'q>),
    Instant(InstantSource),
    Ranged(RangedSource<'q>),
}

/// A vector on its way.
pub(crate) struct Flow<'q> {
    pub(crate) source: Source<'q>,
    pub(crate) maps: Vec<Map>,
    /// Something on the way takes the metric's name. Series of [`Source::Ready`] say it each.
    pub(crate) drops_name: bool,
}

/// One series, fresh from its source.
pub(crate) struct Piece {
    pub(crate) column: Column,
    pub(crate) windows: WindowCounts,
    /// How many values the source gave, before any filter.
    pub(crate) sourced: u64,
    /// Its ranges had floats and histograms.
    pub(crate) mixed: bool,
}

impl<'q> Flow<'q> {
    pub(crate) fn new(source: Source<'q>) -> Flow<'q> {
        Flow {
            source,
            maps: Vec::new(),
            drops_name: false,
        }
    }

    pub(crate) fn ready(set: SeriesSet<'q>) -> Flow<'q> {
        Flow::new(Source::Ready(set))
    }

    /// How many series there may be.
    pub(crate) fn len(&self) -> usize {
        match &self.source {
            Source::Ready(set) => set.series.len(),
            Source::Instant(source) => source.series.len(),
            Source::Ranged(source) => source.ranges.len(),
        }
    }

    pub(crate) fn labels(&self, index: usize) -> &Labels {
        match &self.source {
            Source::Ready(set) => &set.series[index].labels,
            Source::Instant(source) => source.series[index].labels(),
            Source::Ranged(source) => source.ranges.labels(index),
        }
    }

    /// Whether the name of a series is to go.
    pub(crate) fn drops_name_of(&self, index: usize) -> bool {
        self.drops_name
            || match &self.source {
                Source::Ready(set) => set.series[index].drop_name,
                Source::Instant(_) => false,
                Source::Ranged(source) => source.ranges.drops_name(index),
            }
    }

    /// Whether label sets stay different without name, type and unit: `fixed_name` says that all
    /// have the same name.
    pub(crate) fn is_unique_without_name(&self, fixed_name: bool) -> bool {
        let described = |labels: &Labels| {
            let mut names = labels.iter().map(|(name, _)| name);
            names.any(|name| name != model::METRIC_NAME && is_metadata_label(name))
        };
        self.len() < 2 || (fixed_name && !(0..self.len()).any(|i| described(self.labels(i))))
    }

    fn piece(&self, index: usize, scratch: &mut Samples) -> Result<Piece, QueryError> {
        let mut piece = match &self.source {
            Source::Ready(set) => Piece::of(set.series[index].column.clone()),
            Source::Instant(source) => {
                let column = source.column(index, scratch)?;
                Piece {
                    windows: source.counts(&column),
                    ..Piece::of(column)
                }
            }
            Source::Ranged(source) => {
                let policy = source.function.histograms();
                let mixed = source
                    .ranges
                    .read(index, &source.windows, policy, scratch)?;
                let walk = Walk {
                    times: &scratch.timestamps,
                    values: &scratch.values,
                    windows: &source.windows,
                    per_step: source.per_step,
                };
                let (column, windows) = walk.apply(source.function, &source.arguments);
                Piece {
                    sourced: column.present() as u64,
                    column,
                    windows,
                    mixed,
                }
            }
        };
        for map in &self.maps {
            piece.column = map(piece.column);
        }
        Ok(piece)
    }

    fn pieces(&self, range: Range<usize>, deadline: &Deadline) -> Result<Vec<Piece>, QueryError> {
        deadline.check(EVALUATION)?;
        let mut scratch = Samples::default();
        range.map(|index| self.piece(index, &mut scratch)).collect()
    }

    /// Makes all series, `steps` values each, and hands them to `take` in order.
    pub(crate) fn drain(
        &self,
        steps: usize,
        pool: &rayon::ThreadPool,
        deadline: &Deadline,
        mut take: impl FnMut(usize, Piece) -> Result<(), QueryError> + Send,
    ) -> Result<(), QueryError> {
        let count = self.len();
        if count.saturating_mul(steps) < PARALLEL_VALUES_MIN || count == 1 {
            for start in (0..count).step_by(TASK_SERIES) {
                let range = start..count.min(start + TASK_SERIES);
                for (index, piece) in range.clone().zip(self.pieces(range, deadline)?) {
                    take(index, piece)?;
                }
            }
            return Ok(());
        }
        let batch = |start: usize| -> Result<Vec<Vec<Piece>>, QueryError> {
            let end = count.min(start + BATCH_SERIES);
            let tasks: Vec<usize> = (start..end).step_by(TASK_SERIES).collect();
            let pieces = |at: usize| self.pieces(at..end.min(at + TASK_SERIES), deadline);
            tasks.into_par_iter().map(pieces).collect()
        };
        let mut made = pool.install(|| batch(0));
        let mut start = 0;
        while start < count {
            let next = start + BATCH_SERIES;
            let pieces = made?.into_iter().flatten();
            let taken;
            (taken, made) = pool.join(
                || -> Result<(), QueryError> {
                    for (index, piece) in (start..).zip(pieces) {
                        take(index, piece)?;
                    }
                    Ok(())
                },
                || {
                    if next < count {
                        batch(next)
                    } else {
                        Ok(Vec::new())
                    }
                },
            );
            taken?;
            start = next;
        }
        Ok(())
    }
}

impl Piece {
    fn of(column: Column) -> Piece {
        Piece {
            sourced: column.present() as u64,
            column,
            windows: WindowCounts::default(),
            mixed: false,
        }
    }
}
