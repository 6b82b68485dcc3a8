//! Where series come from: samples of a storage or of a subquery, at steps or over ranges.
//!
//! Nearly all series have floats only. Where native histograms are met among the samples of one,
//! it goes the ways of [`native`](crate::native).

use std::sync::Arc;

use model::histogram::CounterResetHint;
use model::{FloatHistogram, Labels};
use storage::{Samples, Series as StoredSeries};

use crate::annotations::{Annotations, Position};
use crate::column::{ABSENT, Column, Scalar, Steps, is_present};
use crate::context::{Deadline, EVALUATION};
use crate::error::QueryError;
use crate::flow::{Scratch, SeriesSet, Stored};
use crate::native::ranges::MixedWalk;
use crate::native::{Notes, extended, stats};
use crate::point::{Histogram, Point};
use crate::window::{RangeFunction, Reach, Walk, WindowCounts, Windows, latest};

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

    pub(crate) fn drops_name(&self, index: usize) -> bool {
        match self {
            Ranges::Stored(_) => false,
            Ranges::Computed(set, _) => set.series[index].drop_name,
        }
    }

    /// The samples of a series that windows can see, without staleness markers.
    pub(crate) fn read(
        &self,
        index: usize,
        windows: &Windows,
        scratch: &mut Scratch<'_>,
    ) -> Result<(), QueryError> {
        scratch.samples.clear();
        let (min_ms, max_ms) = windows.read_range_ms();
        match self {
            Ranges::Stored(series) => {
                read_stored(&*series[index], min_ms, max_ms, scratch)?;
                drop_markers(&mut scratch.samples);
            }
            Ranges::Computed(set, steps) => {
                let column = &set.series[index].column;
                scratch.reserve(column.present())?;
                let out = &mut scratch.samples;
                for (step, value) in column.iter() {
                    out.push(steps.at(step), value);
                }
                let histograms = column.histograms().iter();
                let histograms = histograms.map(|(step, h)| (steps.at(*step), without_hint(h)));
                out.histograms.extend(histograms);
            }
        }
        Ok(())
    }
}

/// What is read of a series at first, and at once as long as it gives many samples.
const PART_MS: i64 = 86_400_000;

/// Parts that give fewer samples than this are followed by larger ones.
const PART_SAMPLES_MIN: usize = 4_096;

/// Reads part by part, so that a long range ends where the budget does.
fn read_stored(
    series: &dyn StoredSeries,
    min_ms: i64,
    max_ms: i64,
    scratch: &mut Scratch<'_>,
) -> Result<(), QueryError> {
    let (mut from_ms, mut part_ms) = (min_ms, PART_MS);
    loop {
        let before = scratch.samples.len();
        let to_ms = from_ms.saturating_add(part_ms).min(max_ms);
        series.read(from_ms, to_ms, &mut scratch.samples)?;
        scratch.settle()?;
        if to_ms >= max_ms {
            return Ok(());
        }
        let new = scratch.samples.len() - before;
        if new < PART_SAMPLES_MIN {
            part_ms = part_ms.saturating_mul(2);
        }
        scratch.reserve((2 * new).max(scratch.samples.values.len() / 4))?;
        from_ms = to_ms + 1;
    }
}

/// A subquery may skip the sample of a reset or repeat it, so that what the samples say of resets
/// no longer holds.
fn without_hint(histogram: &Histogram) -> Histogram {
    match histogram.counter_reset_hint {
        CounterResetHint::Unknown | CounterResetHint::Gauge => Arc::clone(histogram),
        CounterResetHint::Reset | CounterResetHint::NotReset => Arc::new(FloatHistogram {
            counter_reset_hint: CounterResetHint::Unknown,
            ..(**histogram).clone()
        }),
    }
}

fn drop_markers(samples: &mut Samples) {
    if samples.histograms.iter().any(|(_, h)| h.is_stale()) {
        let mut stale = samples.histograms.iter().map(|(_, h)| h.is_stale());
        samples
            .histogram_starts
            .retain(|_| stale.next() == Some(false));
        samples.histograms.retain(|(_, h)| !h.is_stale());
    }
    // Mostly there is none: whole blocks are looked at without branches.
    let mut blocks = samples.values.chunks(64);
    if blocks.all(|block| block.iter().fold(true, |all, &v| all & is_present(v))) {
        return;
    }
    let mut kept = 0;
    for at in 0..samples.values.len() {
        if is_present(samples.values[at]) {
            samples.values[kept] = samples.values[at];
            samples.timestamps[kept] = samples.timestamps[at];
            if !samples.starts.is_empty() {
                samples.starts[kept] = samples.starts[at];
            }
            kept += 1;
        }
    }
    samples.starts.truncate(kept);
    samples.values.truncate(kept);
    samples.timestamps.truncate(kept);
}

/// Makes values of the starts, in seconds, of floats and histograms; markers stay.
fn starts_as_values(samples: &mut Samples) {
    let start = |starts: &[i64], at: usize| {
        let start_ms: i64 = starts.get(at).copied().unwrap_or(0);
        start_ms as f64 / 1000.0
    };
    for (at, value) in samples.values.iter_mut().enumerate() {
        if is_present(*value) {
            *value = start(&samples.starts, at);
        }
    }
    if samples.histograms.is_empty() {
        return;
    }
    let floats = samples.timestamps.drain(..).zip(samples.values.drain(..));
    let mut all: Vec<(i64, f64)> = floats.collect();
    for (at, (time_ms, histogram)) in samples.histograms.drain(..).enumerate() {
        let value = if histogram.is_stale() {
            ABSENT
        } else {
            start(&samples.histogram_starts, at)
        };
        all.push((time_ms, value));
    }
    all.sort_by_key(|(time_ms, _)| *time_ms);
    (samples.timestamps, samples.values) = all.into_iter().unzip();
}

/// What of a sample is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Wanted {
    #[default]
    Value,
    /// When it was taken, in seconds.
    Time,
    /// When its counter started, in seconds; 0 if that is not known.
    Start,
}

/// How a selector is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    pub(crate) wanted: Wanted,
    /// But histograms themselves even then.
    pub(crate) keeps_histograms: bool,
    /// What calls it, for the storage.
    pub(crate) function: &'static str,
    /// Of the selector, for what is said about it.
    pub(crate) position: Position,
    /// Only counts and sums of histograms matter.
    pub(crate) without_buckets: bool,
    /// Not even values matter.
    pub(crate) presence_only: bool,
}

/// A selector's values at the steps.
pub(crate) struct InstantSource {
    pub(crate) series: Stored,
    pub(crate) windows: Windows,
    pub(crate) reading: Reading,
    pub(crate) per_step: bool,
}

impl InstantSource {
    /// The values of a series.
    pub(crate) fn column(
        &self,
        index: usize,
        scratch: &mut Scratch<'_>,
        annotations: &mut Annotations,
    ) -> Result<Column, QueryError> {
        scratch.samples.clear();
        let series = &self.series[index];
        match self.windows.points() {
            Some(mut points) => {
                points.presence_only =
                    self.reading.presence_only || self.reading.wanted == Wanted::Time;
                series.read_points(&points, &mut scratch.samples)?;
                scratch.settle()?;
            }
            None => {
                let (min_ms, max_ms) = self.windows.read_range_ms();
                read_stored(&**series, min_ms, max_ms, scratch)?;
            }
        }
        let scratch = &mut scratch.samples;
        if self.reading.wanted == Wanted::Start {
            starts_as_values(scratch);
        }
        if self.reading.without_buckets && !scratch.histograms.is_empty() {
            // The sample exactly as old as the lookback is not looked for.
            stats::strip(scratch, &self.windows, self.windows.lookback_ms - 1);
        }
        if self.windows.reach == Reach::Smoothed {
            return Ok(self.smoothed(series.labels(), scratch, annotations));
        }
        if !scratch.histograms.is_empty() {
            return Ok(self.latest_of_both(scratch));
        }
        let (times, values) = (&scratch.timestamps, &scratch.values);
        let as_time = self.reading.wanted == Wanted::Time;
        Ok(latest(times, values, &self.windows, as_time))
    }

    /// The newest sample at each step, float or histogram.
    fn latest_of_both(&self, samples: &Samples) -> Column {
        let windows = &self.windows;
        let (mut floats, mut histograms) = (0, 0);
        let mut points = Vec::new();
        for step in 0..windows.steps.count {
            let end_ms = windows.end_ms(step);
            while samples.timestamps.get(floats).is_some_and(|t| *t <= end_ms) {
                floats += 1;
            }
            let newer = |at: usize| {
                samples
                    .histograms
                    .get(at)
                    .is_some_and(|(t, _)| *t <= end_ms)
            };
            while newer(histograms) {
                histograms += 1;
            }
            let float = floats.checked_sub(1).map(|at| samples.timestamps[at]);
            let histogram = histograms.checked_sub(1).map(|at| &samples.histograms[at]);
            let histogram = histogram.filter(|(t, _)| float.is_none_or(|float| *t > float));
            let (time_ms, point) = match (float, histogram) {
                (_, Some((_, h))) if h.is_stale() => continue,
                (_, Some((time_ms, h))) => (*time_ms, Point::Histogram(Arc::clone(h))),
                (Some(time_ms), None) => (time_ms, Point::Float(samples.values[floats - 1])),
                (None, None) => continue,
            };
            if time_ms <= end_ms - windows.lookback_ms {
                continue;
            }
            let point = match point {
                Point::Float(value) if !is_present(value) => continue,
                Point::Histogram(_) if self.reading.keeps_histograms => point,
                _ if self.reading.wanted == Wanted::Time => Point::Float(time_ms as f64 / 1000.0),
                point => point,
            };
            points.push((step, point));
        }
        Column::from_points(windows.steps.count, points)
    }

    fn smoothed(
        &self,
        labels: &Labels,
        samples: &mut Samples,
        annotations: &mut Annotations,
    ) -> Column {
        drop_markers(samples);
        let (times, values) = (&samples.timestamps, &samples.values);
        let floats = crate::extended::smoothed_instant(times, values, &self.windows);
        if samples.histograms.is_empty() {
            return floats;
        }
        let mut notes = Notes {
            annotations,
            metric: labels.metric_name(),
            position: &self.reading.position,
        };
        let reach_ms = self.windows.lookback_ms;
        let mut points = Vec::new();
        for step in 0..self.windows.steps.count {
            let at_ms = self.windows.end_ms(step);
            let sees = |time_ms: i64| time_ms > at_ms - reach_ms && time_ms <= at_ms + reach_ms;
            let low = samples
                .histograms
                .partition_point(|(t, _)| *t <= at_ms - reach_ms);
            let high = samples
                .histograms
                .partition_point(|(t, _)| *t <= at_ms + reach_ms);
            let histograms = &samples.histograms[low..high];
            let point = if histograms.is_empty() {
                floats.at(step)
            } else if times.iter().any(|&time_ms| sees(time_ms)) {
                notes.mixed_with_floats();
                None
            } else {
                extended::smoothed_instant(histograms, at_ms, &mut notes).map(Point::from)
            };
            points.extend(point.map(|point| (step, point)));
        }
        Column::from_points(self.windows.steps.count, points)
    }

    /// The samples behind a column: one for every value. Upstream does not count those between
    /// which it interpolates.
    pub(crate) fn counts(&self, column: &Column) -> WindowCounts {
        if self.windows.reach == Reach::Smoothed {
            return WindowCounts::default();
        }
        let size = column.size_in_samples() as u64;
        let per_step = self.per_step.then(|| {
            let mut per_step = vec![(0, 0); self.windows.steps.count];
            column.iter().for_each(|(step, _)| per_step[step] = (1, 1));
            for (step, histogram) in column.histograms() {
                let size = histogram.size_in_samples() as u64;
                per_step[*step] = (size, size);
            }
            per_step
        });
        WindowCounts {
            total: size,
            read: size,
            peak: 0,
            overlaps: 0,
            per_step,
        }
    }
}

/// A function's values over ranges.
pub(crate) struct RangedSource<'q> {
    pub(crate) ranges: Ranges<'q>,
    pub(crate) deadline: &'q Deadline,
    pub(crate) windows: Windows,
    pub(crate) function: RangeFunction,
    pub(crate) arguments: Vec<Scalar>,
    /// Of the first argument, for annotations.
    pub(crate) position: Position,
    pub(crate) per_step: bool,
    /// Only counts and sums of histograms matter.
    pub(crate) without_buckets: bool,
    /// Whether the starts of counters count.
    pub(crate) with_starts: bool,
}

impl RangedSource<'_> {
    /// The function's values for one series.
    pub(crate) fn column(
        &self,
        index: usize,
        scratch: &mut Scratch<'_>,
        annotations: &mut Annotations,
    ) -> Result<(Column, WindowCounts), QueryError> {
        self.ranges.read(index, &self.windows, scratch)?;
        let scratch = &mut scratch.samples;
        if !self.with_starts {
            scratch.starts.clear();
            scratch.histogram_starts.clear();
        }
        if scratch.histograms.is_empty() {
            let walk = Walk {
                times: &scratch.timestamps,
                values: &scratch.values,
                starts: &scratch.starts,
                windows: &self.windows,
                per_step: self.per_step,
                deadline: Some(self.deadline),
            };
            let (column, counts) = walk.apply(self.function, &self.arguments);
            self.deadline.check(EVALUATION)?;
            if counts.overlaps > 0 {
                let metric = self.ranges.labels(index).metric_name();
                annotations.start_overlaps(metric, &self.position, counts.overlaps);
            }
            return Ok((column, counts));
        }
        if self.without_buckets {
            let (before_ms, after_ms) = self.windows.margins_ms();
            let width_ms = self.windows.range_ms + before_ms + after_ms;
            stats::strip(scratch, &self.windows, width_ms);
        }
        let walk = MixedWalk {
            samples: scratch,
            windows: &self.windows,
            per_step: self.per_step,
        };
        let mut notes = Notes {
            annotations,
            metric: self.ranges.labels(index).metric_name(),
            position: &self.position,
        };
        Ok(walk.apply(self.function, &self.arguments, &mut notes))
    }
}
