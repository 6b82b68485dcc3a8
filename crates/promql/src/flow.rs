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

use crate::annotations::Annotations;
use crate::column::{Column, Series, is_metadata_label};
use crate::context::{Charge, Deadline, EVALUATION};
use crate::error::QueryError;
use crate::source::{InstantSource, RangedSource};
use crate::window::WindowCounts;

/// Series that are made while those of the batch before are taken: at most so many,
const BATCH_SERIES_MAX: usize = 2_048;

/// and at most so many that their values take 16 MiB, but always one.
const BATCH_VALUES_MAX: usize = 2 << 20;

/// Series that one task makes, at most. Before each it asks whether the query is to end: a series
/// over thousands of steps may take a millisecond.
const TASK_SERIES_MAX: usize = 64;

/// Fewer values than this (series times steps) are made where they are needed: handing them to
/// other threads takes longer.
const PARALLEL_VALUES_MIN: usize = 4_096;

/// Changes the values of one series, and says what there is to say about it.
pub(crate) type Map = Box<dyn Fn(Column, &mut Annotations) -> Column + Send + Sync>;

/// Series of a storage, shared by all parts of a query that select them.
pub(crate) type Stored = Arc<Vec<Box<dyn StoredSeries>>>;

/// Series that are there, and the memory that they take.
#[derive(Debug)]
pub(crate) struct SeriesSet<'q> {
    pub(crate) series: Vec<Series>,
    pub(crate) charge: Charge<'q>,
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
    /// How many floats the source gave, before any filter.
    pub(crate) sourced: u64,
    /// What was said on the way.
    pub(crate) annotations: Annotations,
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
                let mut annotations = Annotations::default();
                let column = source.column(index, scratch, &mut annotations)?;
                Piece {
                    windows: source.counts(&column),
                    annotations,
                    ..Piece::of(column)
                }
            }
            Source::Ranged(source) => {
                let mut annotations = Annotations::default();
                let (column, windows) = source.column(index, scratch, &mut annotations)?;
                Piece {
                    windows,
                    annotations,
                    ..Piece::of(column)
                }
            }
        };
        for map in &self.maps {
            piece.column = map(piece.column, &mut piece.annotations);
        }
        Ok(piece)
    }

    fn pieces(&self, range: Range<usize>, deadline: &Deadline) -> Result<Vec<Piece>, QueryError> {
        let mut scratch = Samples::default();
        let piece = |index| {
            deadline.check(EVALUATION)?;
            self.piece(index, &mut scratch)
        };
        range.map(piece).collect()
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
            for start in (0..count).step_by(TASK_SERIES_MAX) {
                let range = start..count.min(start + TASK_SERIES_MAX);
                for (index, piece) in range.clone().zip(self.pieces(range, deadline)?) {
                    take(index, piece)?;
                }
            }
            return Ok(());
        }
        let batch_series = (BATCH_VALUES_MAX / steps).clamp(1, BATCH_SERIES_MAX);
        // A few tasks for every thread, so that none waits long for the others.
        let task_series = batch_series.div_ceil(4 * pool.current_num_threads());
        let task_series = task_series.clamp(1, TASK_SERIES_MAX);
        let batch = |start: usize| -> Result<Vec<Vec<Piece>>, QueryError> {
            let end = count.min(start + batch_series);
            let tasks: Vec<usize> = (start..end).step_by(task_series).collect();
            let pieces = |at: usize| self.pieces(at..end.min(at + task_series), deadline);
            tasks.into_par_iter().map(pieces).collect()
        };
        let mut made = pool.install(|| batch(0));
        let mut start = 0;
        while start < count {
            let next = start + batch_series;
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
            annotations: Annotations::default(),
        }
    }
}
