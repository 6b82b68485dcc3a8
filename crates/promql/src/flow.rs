//! Vectors on their way: series that are made one by one, when somebody takes them.
//!
//! A selector or a function over a range is a source; what is done value by value (arithmetic with
//! a scalar, `abs`, filters) is put behind it and costs no vector of its own. Whoever needs all
//! series at once collects the flow; an aggregation takes one series after the other and keeps
//! none. Either way batches of series are made in parallel, while those of the batch before are
//! taken in order: results do not depend on how many threads there are. What is on its way counts
//! against the memory that the query may take; batches are smaller where that is little.

use std::ops::Range;
use std::sync::Arc;

use model::Labels;
use rayon::prelude::*;
use storage::Samples;

use crate::annotations::Annotations;
use crate::column::{Column, Series, labels_bytes};
use crate::context::{Budget, Charge, Counts, Deadline, EVALUATION};
use crate::error::QueryError;
use crate::source::{InstantSource, RangedSource, Ranges};
use crate::stored::{StoredSet, is_described};
use crate::window::WindowCounts;

/// Series that are made while those of the batch before are taken: at most so many,
const BATCH_SERIES_MAX: usize = 2_048;

/// and at most so many that their values take 16 MiB, but always one.
const BATCH_VALUES_MAX: usize = 2 << 20;

/// or this part of what the query may hold at all.
const BATCH_BUDGET_DIVISOR: u64 = 16;

/// What a series on its way takes besides its values, in floats.
const PIECE_VALUES: usize = size_of::<Piece>() / size_of::<f64>();

/// Memory of series is told to the budget in portions of this size, not to fight over its counters.
const PORTION_BYTES: usize = 16 << 10;

/// Series that one task makes, at most. Before each it asks whether the query is to end: a series
/// over thousands of steps may take a millisecond.
const TASK_SERIES_MAX: usize = 64;

/// Fewer values than this (series times steps) are made where they are needed: handing them to
/// other threads takes longer.
const PARALLEL_VALUES_MIN: usize = 4_096;

/// What it takes at least to read a series from a storage, in values.
const STORED_VALUES: usize = 128;

/// Changes the values of one series, and says what there is to say about it.
pub(crate) type Map = Box<dyn Fn(Column, &mut Annotations) -> Column + Send + Sync>;

/// Series of a storage, shared by all parts of a query that select them.
pub(crate) type Stored = Arc<StoredSet>;

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

/// Where a task reads the samples of one series after the other, and what they take.
pub(crate) struct Scratch<'q> {
    pub(crate) samples: Samples,
    charge: Charge<'q>,
}

/// Series that were made, and what they take until somebody has taken them.
struct Pieces<'q> {
    pieces: Vec<Piece>,
    charge: Charge<'q>,
}

/// One series, fresh from its source.
pub(crate) struct Piece {
    pub(crate) column: Column,
    pub(crate) windows: WindowCounts,
    /// How many floats a function over ranges gave, before any filter; 0 of other sources.
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
        if self.len() < 2 {
            return true;
        }
        fixed_name
            && !match self.stored() {
                Some(stored) => stored.is_described(),
                None => (0..self.len()).any(|index| is_described(self.labels(index))),
            }
    }

    /// The series of a storage that it is made from.
    fn stored(&self) -> Option<&Stored> {
        match &self.source {
            Source::Ready(_) => None,
            Source::Instant(source) => Some(&source.series),
            Source::Ranged(source) => match &source.ranges {
                Ranges::Stored(stored) => Some(stored),
                Ranges::Computed(..) => None,
            },
        }
    }

    /// Whether what is read is counted by step.
    fn counts_by_step(&self) -> bool {
        match &self.source {
            Source::Ready(_) => false,
            Source::Instant(source) => source.per_step,
            Source::Ranged(source) => source.per_step,
        }
    }

    fn piece(&self, index: usize, scratch: &mut Scratch<'_>) -> Result<Piece, QueryError> {
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
                    sourced: column.present() as u64,
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

    fn pieces(
        &self,
        range: Range<usize>,
        steps: usize,
        deadline: &Deadline,
        budget: &'q Budget,
    ) -> Result<Pieces<'q>, QueryError> {
        let mut scratch = Scratch::new(budget);
        // A column has room for all steps while it is made, whatever becomes of it.
        let mut making = Charge::none(budget);
        let counts = Counts::bytes_for(self.counts_by_step(), steps);
        making.add_bytes(counts.saturating_add(steps.saturating_mul(size_of::<f64>())))?;
        let mut charge = Charge::none(budget);
        let mut untold = range.len() * size_of::<Piece>();
        let mut pieces = Vec::with_capacity(range.len());
        for index in range {
            deadline.check(EVALUATION)?;
            let piece = self.piece(index, &mut scratch)?;
            untold += piece.size_bytes();
            pieces.push(piece);
            if untold >= PORTION_BYTES {
                charge.add_bytes(std::mem::take(&mut untold))?;
            }
        }
        charge.add_bytes(untold)?;
        Ok(Pieces { pieces, charge })
    }

    /// Makes all series, `steps` values each, and hands them to `take` in order.
    pub(crate) fn drain(
        &self,
        steps: usize,
        pool: &rayon::ThreadPool,
        deadline: &Deadline,
        budget: &'q Budget,
        mut take: impl FnMut(usize, Piece) -> Result<(), QueryError> + Send,
    ) -> Result<(), QueryError> {
        let count = self.len();
        let pieces = |range: Range<usize>| self.pieces(range, steps, deadline, budget);
        let values_max = budget.bytes_max() / BATCH_BUDGET_DIVISOR / size_of::<f64>() as u64;
        let values_max = BATCH_VALUES_MAX.min(usize::try_from(values_max).unwrap_or(usize::MAX));
        let batch_series = values_max / steps.saturating_add(PIECE_VALUES);
        let batch_series = batch_series.clamp(1, BATCH_SERIES_MAX);
        let values = match self.stored() {
            Some(_) => steps.max(STORED_VALUES),
            None => steps,
        };
        if count.saturating_mul(values) < PARALLEL_VALUES_MIN || count == 1 {
            let task_series = batch_series.min(TASK_SERIES_MAX);
            for start in (0..count).step_by(task_series) {
                pieces(start..count.min(start + task_series))?.hand_over(start, &mut take)?;
            }
            return Ok(());
        }
        // A few tasks for every thread, so that none waits long for the others.
        let task_series = batch_series.div_ceil(4 * pool.current_num_threads());
        let task_series = task_series.clamp(1, TASK_SERIES_MAX);
        let batch = |start: usize| -> Result<Vec<Pieces<'q>>, QueryError> {
            let end = count.min(start + batch_series);
            let tasks: Vec<usize> = (start..end).step_by(task_series).collect();
            let pieces = |at: usize| pieces(at..end.min(at + task_series));
            tasks.into_par_iter().map(pieces).collect()
        };
        let mut made = pool.install(|| batch(0));
        let mut start = 0;
        while start < count {
            let next = start + batch_series;
            let tasks = made?.into_iter();
            let taken;
            (taken, made) = pool.join(
                || -> Result<(), QueryError> {
                    for (task, pieces) in tasks.enumerate() {
                        pieces.hand_over(start + task * task_series, &mut take)?;
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

impl<'q> SeriesSet<'q> {
    /// A set without series.
    pub(crate) fn empty(budget: &'q Budget) -> SeriesSet<'q> {
        SeriesSet {
            series: Vec::new(),
            charge: Charge::none(budget),
        }
    }

    /// A set with room for so many series.
    pub(crate) fn with_capacity(count: usize, budget: &'q Budget) -> Result<Self, QueryError> {
        let mut set = SeriesSet::empty(budget);
        set.charge
            .add_bytes(count.saturating_mul(size_of::<Series>()))?;
        set.series.reserve_exact(count);
        Ok(set)
    }

    /// Adds a series whose labels and values are its own.
    pub(crate) fn push(&mut self, series: Series) -> Result<(), QueryError> {
        self.charge.add_bytes(labels_bytes(&series.labels))?;
        self.push_labelled(series)
    }

    /// Adds a series that shares its labels with others, who answer for them.
    pub(crate) fn push_labelled(&mut self, series: Series) -> Result<(), QueryError> {
        let count = self.series.len();
        if count == self.series.capacity() {
            let more = count.max(4);
            self.charge.add_bytes(more * size_of::<Series>())?;
            self.series.reserve_exact(more);
        }
        self.charge.add_column(&series.column)?;
        self.series.push(series);
        Ok(())
    }
}

impl<'q> Scratch<'q> {
    pub(crate) fn new(budget: &'q Budget) -> Scratch<'q> {
        Scratch {
            samples: Samples::default(),
            charge: Charge::none(budget),
        }
    }

    /// Tells the budget what the samples take by now.
    pub(crate) fn settle(&mut self) -> Result<(), QueryError> {
        self.charge.set_bytes(self.samples.size_bytes())
    }

    /// Makes room for so many samples more, if the budget has it.
    pub(crate) fn reserve(&mut self, count: usize) -> Result<(), QueryError> {
        let free = self.samples.values.capacity() - self.samples.values.len();
        if count > free {
            self.charge
                .add_bytes(3 * size_of::<f64>() * (count - free))?;
            self.samples.reserve_exact(count);
            self.settle()?;
        }
        Ok(())
    }
}

impl Pieces<'_> {
    /// Gives all series away, the first of which has the number `first`.
    fn hand_over(
        self,
        first: usize,
        take: &mut impl FnMut(usize, Piece) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let Pieces { pieces, charge } = self;
        for (index, piece) in (first..).zip(pieces) {
            take(index, piece)?;
        }
        drop(charge);
        Ok(())
    }
}

impl Piece {
    fn of(column: Column) -> Piece {
        Piece {
            sourced: 0,
            column,
            windows: WindowCounts::default(),
            annotations: Annotations::default(),
        }
    }
    /// The bytes of memory that it has allocated.
    fn size_bytes(&self) -> usize {
        let per_step = self.windows.per_step.as_ref().map_or(0, Vec::capacity);
        self.column.size_bytes() + per_step * size_of::<(u64, u64)>()
    }
}
