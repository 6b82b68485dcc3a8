//! Functions over ranges with native histograms among the samples.
//!
//! Most functions are either about floats, and leave histograms out, or about samples of one kind,
//! and give nothing where both kinds are in a range. Floats are evaluated as if they were alone;
//! here it is decided step by step whether that is the answer.

use storage::Samples;

use super::totals::{Kind, Total};
use super::{Notes, extended, rates};
use crate::column::{Column, Scalar, is_present};
use crate::point::{Histogram, Point};
use crate::window::starts::{self, Counted};
use crate::window::{Borders, RangeFunction, Reach, Walk, WindowCounts, Windows};

/// The samples of one series, and where the windows over them lie.
pub(crate) struct MixedWalk<'a> {
    pub(crate) samples: &'a Samples,
    pub(crate) windows: &'a Windows,
    pub(crate) per_step: bool,
}

/// The samples in one window; never none.
struct MixedWindow<'a> {
    times: &'a [i64],
    values: &'a [f64],
    histograms: &'a [(i64, Histogram)],
    /// When the counters of the floats started, and those of the histograms; empty if nobody asks.
    starts: &'a [i64],
    histogram_starts: &'a [i64],
    /// Whether the start of a histogram overlaps with the one before it.
    is_overlapped: bool,
    /// Whether the counter was reset between a histogram and the one before it in the list, which
    /// may lie before the window. Only for functions that ask.
    resets: &'a [bool],
    borders: Borders,
    reach: Reach,
}

/// A sample of either kind.
struct Merged {
    counted: Counted,
    point: Point,
}

impl Merged {
    /// Whether a counter was reset since a sample of the same kind.
    fn is_reset_since(&self, before: &Merged) -> bool {
        self.counted.is_reset_since(before.counted)
            || match (&before.point, &self.point) {
                (Point::Float(before), Point::Float(value)) => value < before,
                (Point::Histogram(before), Point::Histogram(value)) => value.detect_reset(before),
                _ => false,
            }
    }
}

/// Part of a sorted list that a window moves over.
#[derive(Default)]
struct Part {
    low: usize,
    high: usize,
    high_before: usize,
}

impl Part {
    /// Moves on to what lies after `after_ms` and not after `last_ms`.
    fn advance(&mut self, len: usize, time: impl Fn(usize) -> i64, after_ms: i64, last_ms: i64) {
        self.high_before = self.high;
        while self.high < len && time(self.high) <= last_ms {
            self.high += 1;
        }
        while self.low < self.high && time(self.low) <= after_ms {
            self.low += 1;
        }
    }

    /// Where what is new in the window begins.
    fn first_new(&self) -> usize {
        self.low.max(self.high_before)
    }
}

impl MixedWalk<'_> {
    /// The function's values at all steps.
    pub(crate) fn apply(
        &self,
        function: RangeFunction,
        arguments: &[Scalar],
        notes: &mut Notes<'_>,
    ) -> (Column, WindowCounts) {
        let Samples {
            timestamps: times,
            values,
            histograms,
            starts,
            histogram_starts,
        } = self.samples;
        let windows = self.windows;
        let walk = Walk {
            deadline: None,
            times,
            values,
            starts,
            windows,
            per_step: false,
        };
        let (floats, _) = walk.apply(function, arguments);
        // Sizes of the first histograms, added up.
        let mut sizes = vec![0_u64];
        for (_, histogram) in histograms {
            sizes.push(sizes[sizes.len() - 1] + histogram.size_in_samples() as u64);
        }
        // Of each pair once, however many windows have it.
        let mut resets = vec![false; histograms.len()];
        let histogram_times: Vec<i64> = histograms.iter().map(|(time_ms, _)| *time_ms).collect();
        let is_counter = function.is_for_counters() && windows.reach == Reach::Inside;
        if is_counter {
            let counted = |at| Counted::at(&histogram_times, histogram_starts, at);
            for (at, pair) in histograms.windows(2).enumerate() {
                resets[at + 1] = counted(at + 1).is_reset_since(counted(at))
                    || pair[1].1.detect_reset(&pair[0].1);
            }
        }
        let overlapping = starts::overlapping(times, starts);
        let overlapping_histograms = starts::overlapping(&histogram_times, histogram_starts);
        let count = windows.steps.count;
        let (before, after) = windows.margins_ms();
        let mut points = Vec::new();
        let mut counts = WindowCounts {
            per_step: self.per_step.then(|| vec![(0, 0); count]),
            ..WindowCounts::default()
        };
        let (mut f, mut h) = (Part::default(), Part::default());
        for step in 0..count {
            let end_ms = windows.end_ms(step);
            let start_ms = end_ms - windows.range_ms;
            let (first_ms, last_ms) = (start_ms - before, end_ms + after);
            f.advance(times.len(), |at| times[at], first_ms, last_ms);
            h.advance(histograms.len(), |at| histograms[at].0, first_ms, last_ms);
            let inside = (f.high - f.low) as u64 + sizes[h.high] - sizes[h.low];
            if inside == 0 {
                continue;
            }
            let new = if step > 0 && windows.at_ms.is_some() {
                0
            } else {
                (f.high - f.first_new()) as u64 + sizes[h.high] - sizes[h.first_new()]
            };
            counts.total += inside;
            counts.read += new;
            counts.peak = counts.peak.max(inside);
            if let Some(per_step) = &mut counts.per_step {
                per_step[step] = (inside, new);
            }
            let float = floats.get(step);
            let float = is_present(float).then_some(Point::Float(float));
            let window = MixedWindow {
                times: &times[f.low..f.high],
                values: &values[f.low..f.high],
                histograms: &histograms[h.low..h.high],
                starts: starts.get(f.low..f.high).unwrap_or_default(),
                histogram_starts: histogram_starts.get(h.low..h.high).unwrap_or_default(),
                is_overlapped: h.low < h.high && overlapping_histograms.any(h.low..h.high),
                resets: &resets[h.low..h.high],
                borders: Borders { start_ms, end_ms },
                reach: windows.reach,
            };
            let point = if window.histograms.is_empty() {
                if is_counter && overlapping.any(f.low..f.high) {
                    notes.start_overlaps();
                }
                float
            } else {
                window.apply(function, windows.range_ms, float, notes)
            };
            points.extend(point.map(|point| (step, point)));
        }
        (Column::from_points(count, points), counts)
    }
}

impl MixedWindow<'_> {
    /// The function's value where there are histograms; `float` is what it is without them.
    fn apply(
        &self,
        function: RangeFunction,
        range_ms: i64,
        float: Option<Point>,
        notes: &mut Notes<'_>,
    ) -> Option<Point> {
        use RangeFunction as F;
        match function {
            F::Rate => self.rate(true, Some(range_ms), notes),
            F::Increase => self.rate(true, None, notes),
            F::Delta => self.rate(false, None, notes),
            F::Irate => self.instant_rate(true, notes),
            F::Idelta => self.instant_rate(false, notes),
            F::Changes => self.count_pairs(|a, b| match (&a.point, &b.point) {
                (Point::Float(a), Point::Float(b)) => a != b && !(a.is_nan() && b.is_nan()),
                (Point::Histogram(a), Point::Histogram(b)) => !b.same_data(a),
                _ => true,
            }),
            F::Resets => self.count_pairs(|a, b| match (&a.point, &b.point) {
                (Point::Float(_), Point::Float(_)) | (Point::Histogram(_), Point::Histogram(_)) => {
                    b.is_reset_since(a)
                }
                _ => true,
            }),
            F::AvgOverTime => self.total(Kind::Average, notes),
            F::SumOverTime => self.total(Kind::Sum, notes),
            F::CountOverTime => {
                let count = self.times.len() + self.histograms.len();
                Some(Point::Float(count as f64))
            }
            F::PresentOverTime | F::AbsentOverTime => Some(Point::Float(1.0)),
            F::FirstOverTime => self.merged().into_iter().next().map(|first| first.point),
            F::LastOverTime => self.merged().pop().map(|last| last.point),
            F::TsOfFirstOverTime => self.merged().first().map(time_of),
            F::TsOfLastOverTime => self.merged().last().map(time_of),
            F::Deriv
            | F::PredictLinear
            | F::MinOverTime
            | F::MaxOverTime
            | F::QuantileOverTime
            | F::StddevOverTime
            | F::StdvarOverTime
            | F::MadOverTime
            | F::TsOfMinOverTime
            | F::TsOfMaxOverTime
            | F::DoubleExponentialSmoothing => {
                if !self.values.is_empty() {
                    notes.ignored_in_range();
                }
                float
            }
        }
    }

    /// Whether there are floats too; then that is told.
    fn is_mixed(&self, notes: &mut Notes<'_>) -> bool {
        let is_mixed = !self.values.is_empty();
        if is_mixed {
            notes.mixed_with_floats();
        }
        is_mixed
    }

    /// All samples in order.
    fn merged(&self) -> Vec<Merged> {
        let float = |(at, &value)| Merged {
            counted: Counted::at(self.times, self.starts, at),
            point: Point::Float(value),
        };
        let histogram = |(at, (time_ms, h)): (usize, &(i64, Histogram))| Merged {
            counted: Counted {
                time_ms: *time_ms,
                start_ms: self.histogram_starts.get(at).copied().unwrap_or(0),
            },
            point: Point::Histogram(Histogram::clone(h)),
        };
        let floats = self.values.iter().enumerate().map(float);
        let histograms = self.histograms.iter().enumerate().map(histogram);
        let mut merged: Vec<Merged> = floats.chain(histograms).collect();
        merged.sort_by_key(|sample| sample.counted.time_ms);
        merged
    }

    fn rate(
        &self,
        is_counter: bool,
        per_second_of: Option<i64>,
        notes: &mut Notes<'_>,
    ) -> Option<Point> {
        if self.is_mixed(notes) {
            return None;
        }
        let (samples, borders) = (self.histograms, self.borders);
        let rate = if self.reach == Reach::Inside {
            let counter = is_counter.then(|| {
                let start_ms = self.histogram_starts.first().copied().unwrap_or(0);
                let time_ms = samples[0].0;
                rates::Counter {
                    resets: self.resets,
                    began_ms: starts::start_inside(Counted { time_ms, start_ms }, borders),
                    is_overlapped: self.is_overlapped,
                }
            });
            rates::rate(samples, counter, borders, per_second_of, notes)
        } else {
            let reach = self.reach;
            extended::rate(samples, borders, reach, is_counter, per_second_of, notes)
        };
        rate.map(Point::from)
    }

    fn instant_rate(&self, is_rate: bool, notes: &mut Notes<'_>) -> Option<Point> {
        let merged = self.merged();
        let [.., before, last] = merged.as_slice() else {
            return None;
        };
        let interval_ms = last.counted.time_ms - before.counted.time_ms;
        if interval_ms == 0 {
            return None;
        }
        let is_reset = is_rate && last.is_reset_since(before);
        match (&before.point, &last.point) {
            (Point::Histogram(before), Point::Histogram(last)) => {
                let pair = (&**before, &**last);
                rates::instant_rate(pair, interval_ms, is_rate, is_reset, notes).map(Point::from)
            }
            (Point::Float(before), Point::Float(last)) => {
                let pair = (*before, *last);
                let rate = crate::window::instant_rate(pair, interval_ms, is_rate, is_reset);
                Some(Point::Float(rate))
            }
            _ => {
                notes.mixed_with_floats();
                None
            }
        }
    }

    /// How often neighbours differ. Anchored, the last sample at or before the start is the first.
    fn count_pairs(&self, differ: impl Fn(&Merged, &Merged) -> bool) -> Option<Point> {
        let merged = self.merged();
        let mut first = 0;
        if self.reach == Reach::Anchored {
            let after =
                merged.partition_point(|sample| sample.counted.time_ms <= self.borders.start_ms);
            if after == merged.len() {
                return None;
            }
            first = after.saturating_sub(1);
        }
        let pairs = merged[first..].windows(2);
        let count = pairs.filter(|pair| differ(&pair[0], &pair[1])).count();
        Some(Point::Float(count as f64))
    }

    fn total(&self, kind: Kind, notes: &mut Notes<'_>) -> Option<Point> {
        if self.is_mixed(notes) {
            return None;
        }
        let ((_, first), rest) = self.histograms.split_first()?;
        let mut total = Total::new(kind, first);
        for (_, histogram) in rest {
            if total.add(histogram).is_err() {
                notes.mixed_schemas();
                return None;
            }
        }
        let position = notes.position;
        if total.hints_collide() {
            notes
                .annotations
                .counter_reset_collision("aggregation", position);
        }
        if total.bounds_reconciled {
            notes.annotations.bounds_reconciled("aggregation", position);
        }
        Some(total.finish().into())
    }
}

fn time_of(sample: &Merged) -> Point {
    Point::Float(sample.counted.time_ms as f64 / 1000.0)
}
