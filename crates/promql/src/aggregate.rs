//! Aggregations that fold series one after the other: `sum`, `avg`, `min`, `max`, `count`,
//! `group`, `stddev`, `stdvar`, `quantile`.
//!
//! A fold keeps a few floats a group and step, whatever the number of series. Values are taken in
//! the order of the series, because compensated sums depend on it. `quantile` alone has to keep
//! all values.

use std::sync::Arc;

use model::FloatHistogram;

use crate::column::{ABSENT, Column, Scalar, is_present};
use crate::gomath::{kahan_add, kahan_add_each, quantile};
use crate::native::Notes;
use crate::native::totals::{Kind, Total};
use crate::point::Point;

/// An aggregation by folding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fold {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    Quantile,
}

impl Fold {
    /// Whether the order of values can show in the result: in the last bits of a sum, or in the
    /// sign of a zero.
    pub(crate) fn depends_on_order(self) -> bool {
        !matches!(self, Fold::Count | Fold::Group | Fold::Quantile)
    }
}

impl Fold {
    fn name(self) -> &'static str {
        match self {
            Fold::Sum => "sum",
            Fold::Avg => "avg",
            Fold::Min => "min",
            Fold::Max => "max",
            Fold::Count => "count",
            Fold::Group => "group",
            Fold::Stddev => "stddev",
            Fold::Stdvar => "stdvar",
            Fold::Quantile => "quantile",
        }
    }
}

/// The running state of one group over all steps.
#[derive(Debug)]
pub(crate) struct Accumulator {
    fold: Fold,
    /// Sum, extreme, count or sum of squares; [`ABSENT`] where nothing has come yet.
    value: Vec<f64>,
    /// Compensation of the sum, or the running mean of a deviation.
    second: Vec<f64>,
    /// Values that have come, where the fold needs it.
    count: Vec<f64>,
    /// Running means of averages whose sum would overflow; empty until that happens.
    mean: Vec<f64>,
    /// All values by step, for quantiles.
    all: Vec<Vec<f64>>,
    /// What has become of native histograms, by step; empty until there is one.
    histograms: Vec<Histograms>,
    /// Whether one of the series is to lose its name.
    pub(crate) drop_name: bool,
    /// What has been allocated since somebody asked.
    grown_bytes: usize,
}

impl Accumulator {
    pub(crate) fn new(fold: Fold, steps: usize) -> Accumulator {
        let sized = |wanted: bool| if wanted { vec![0.0; steps] } else { Vec::new() };
        let deviates = matches!(fold, Fold::Stddev | Fold::Stdvar);
        Accumulator {
            fold,
            value: vec![ABSENT; steps],
            second: sized(deviates || matches!(fold, Fold::Sum | Fold::Avg)),
            count: sized(deviates || fold == Fold::Avg),
            mean: Vec::new(),
            all: if fold == Fold::Quantile {
                vec![Vec::new(); steps]
            } else {
                Vec::new()
            },
            histograms: Vec::new(),
            drop_name: false,
            grown_bytes: 0,
        }
    }

    /// Whether native histograms have come.
    pub(crate) fn has_histograms(&self) -> bool {
        !self.histograms.is_empty()
    }

    /// How many floats a group takes from the start.
    pub(crate) fn cells(fold: Fold, steps: usize) -> usize {
        let arrays = match fold {
            Fold::Min | Fold::Max | Fold::Count | Fold::Group => 1,
            Fold::Sum => 2,
            Fold::Avg | Fold::Stddev | Fold::Stdvar => 3,
            // The list of each step's values is as large as three floats.
            Fold::Quantile => 4,
        };
        steps.saturating_mul(arrays)
    }

    /// The bytes that taking in the floats of `column` will allocate for lists of values, which
    /// mostly grow all at once.
    pub(crate) fn growth_bytes(&self, column: &Column) -> usize {
        if self.all.is_empty() {
            return 0;
        }
        let full = |all: &Vec<f64>| all.len() == all.capacity();
        let grown = column.iter().map(|(step, _)| &self.all[step]);
        let grown = grown.filter(|all| full(all));
        grown.map(|all| all.len().max(4)).sum::<usize>() * size_of::<f64>()
    }

    /// The bytes that were allocated since this was asked last, those from the start and those
    /// of lists of values left out.
    pub(crate) fn take_grown_bytes(&mut self) -> usize {
        std::mem::take(&mut self.grown_bytes)
    }

    /// Takes one series in.
    pub(crate) fn add(&mut self, column: &Column) {
        let (first, values) = column.parts();
        match self.fold {
            Fold::Sum => {
                let sums = &mut self.value[first..first + values.len()];
                let compensations = &mut self.second[first..first + values.len()];
                // Nothing that is absent is finite.
                kahan_add_each(values, sums, compensations, |_, value, sum, c| {
                    if is_present(value) {
                        add_to_sum(value, sum, c);
                    }
                });
            }
            Fold::Count => self.each(column, |count, _| count + 1.0, |_| 1.0),
            Fold::Group => self.each(column, |one, _| one, |_| 1.0),
            Fold::Max => self.each(column, |max, v| pick(max, v, max < v), |v| v),
            Fold::Min => self.each(column, |min, v| pick(min, v, min > v), |v| v),
            Fold::Avg => {
                if self.mean.is_empty() {
                    self.add_to_averages(first, values);
                    return;
                }
                for (step, value) in column.iter() {
                    self.add_to_average(step, value);
                }
            }
            Fold::Stddev | Fold::Stdvar => {
                for (step, value) in column.iter() {
                    self.add_to_deviation(step, value);
                }
            }
            Fold::Quantile => {
                for (step, value) in column.iter() {
                    self.all[step].push(value);
                }
            }
        }
    }

    /// Takes one series in, if it has native histograms or the group has.
    pub(crate) fn add_mixed(&mut self, column: &Column, notes: &mut Notes<'_>) {
        let kind = match self.fold {
            Fold::Sum => Kind::Sum,
            Fold::Avg => Kind::Average,
            Fold::Count | Fold::Group => {
                self.add(column);
                for (step, _) in column.histograms() {
                    self.add(&Column::single(*step, 1.0));
                }
                return;
            }
            Fold::Min | Fold::Max | Fold::Stddev | Fold::Stdvar | Fold::Quantile => {
                if column.has_histograms() {
                    let (name, position) = (self.fold.name(), notes.position);
                    let annotations = &mut notes.annotations;
                    annotations.histogram_ignored_in_aggregation(name, position);
                }
                self.add(column);
                return;
            }
        };
        if self.histograms.is_empty() {
            self.grown_bytes += self.value.len() * size_of::<Histograms>();
        }
        self.histograms
            .resize_with(self.value.len(), Histograms::default);
        for (step, point) in column.points() {
            // After two that do not go together nothing is looked at.
            if let Histograms::Incompatible = self.histograms[step] {
                continue;
            }
            match point {
                Point::Float(value) if kind == Kind::Sum => {
                    add_to_sum(value, &mut self.value[step], &mut self.second[step]);
                }
                Point::Float(value) => self.add_to_average(step, value),
                Point::Histogram(h) => {
                    let floats_first = is_present(self.value[step]);
                    let histograms = &mut self.histograms[step];
                    let before = histograms.size_bytes();
                    histograms.add(kind, &h, floats_first, notes);
                    self.grown_bytes += histograms.size_bytes().saturating_sub(before);
                }
            }
        }
    }

    #[inline(always)]
    fn each(&mut self, column: &Column, fold: impl Fn(f64, f64) -> f64, start: fn(f64) -> f64) {
        let (first, values) = column.parts();
        let slots = &mut self.value[first..first + values.len()];
        for (&value, slot) in values.iter().zip(slots) {
            if is_present(value) {
                *slot = if is_present(*slot) {
                    fold(*slot, value)
                } else {
                    start(value)
                };
            }
        }
    }

    /// Adds to averages from step `first` on, of which none is a running mean yet.
    fn add_to_averages(&mut self, first: usize, values: &[f64]) {
        let places = first..first + values.len();
        let counts = &mut self.count[places.clone()];
        for (count, value) in counts.iter_mut().zip(values) {
            *count += f64::from(u8::from(is_present(*value)));
        }
        let mut overflowing = Vec::new();
        let (sums, lost) = (&mut self.value[places.clone()], &mut self.second[places]);
        kahan_add_each(values, sums, lost, |at, value, sum, c| {
            if !is_present(value) {
                return;
            }
            if counts[at] == 1.0 {
                *sum = value;
                return;
            }
            let (mut new_sum, mut new_c) = (*sum, *c);
            kahan_add(value, &mut new_sum, &mut new_c);
            if new_sum.is_infinite() {
                overflowing.push(at);
            } else {
                (*sum, *c) = (new_sum, new_c);
            }
        });
        for at in overflowing {
            self.add_counted_to_average(first + at, values[at]);
        }
    }

    fn add_to_average(&mut self, step: usize, value: f64) {
        self.count[step] += 1.0;
        self.add_counted_to_average(step, value);
    }

    /// Adds a value that has been counted.
    fn add_counted_to_average(&mut self, step: usize, value: f64) {
        let count = self.count[step];
        if count == 1.0 {
            self.value[step] = value;
            return;
        }
        let averaged = self.mean.get(step).is_some_and(|m| is_present(*m));
        if !averaged {
            let (mut sum, mut c) = (self.value[step], self.second[step]);
            kahan_add(value, &mut sum, &mut c);
            if !sum.is_infinite() {
                (self.value[step], self.second[step]) = (sum, c);
                return;
            }
            // The sum would overflow: from here on the mean is updated value by value.
            if self.mean.is_empty() {
                self.mean = vec![ABSENT; self.value.len()];
                self.grown_bytes += self.mean.len() * size_of::<f64>();
            }
            self.mean[step] = self.value[step] / (count - 1.0);
            self.second[step] /= count - 1.0;
        }
        let q = (count - 1.0) / count;
        let (mut mean, mut c) = (q * self.mean[step], q * self.second[step]);
        kahan_add(value / count, &mut mean, &mut c);
        (self.mean[step], self.second[step]) = (mean, c);
    }

    fn add_to_deviation(&mut self, step: usize, value: f64) {
        self.count[step] += 1.0;
        if self.count[step] == 1.0 {
            self.second[step] = value;
            self.value[step] = if value.is_finite() { 0.0 } else { f64::NAN };
            return;
        }
        let delta = value - self.second[step];
        self.second[step] += delta / self.count[step];
        self.value[step] += delta * (value - self.second[step]);
    }

    /// The group's values. `parameter` is the quantile that is asked for.
    pub(crate) fn finish(self, parameter: &Scalar, notes: &mut Notes<'_>) -> Column {
        let Accumulator {
            fold,
            mut value,
            second,
            count,
            mean,
            all,
            histograms,
            ..
        } = self;
        let mut totals = Vec::new();
        for (step, histograms) in histograms.into_iter().enumerate() {
            if let Some(total) = histograms.finish(&mut value[step], notes) {
                totals.push((step, Arc::new(total)));
            }
        }
        if fold == Fold::Quantile {
            let values = all.into_iter().enumerate().map(|(step, mut values)| {
                if values.is_empty() {
                    ABSENT
                } else {
                    quantile(parameter.at(step), &mut values)
                }
            });
            return Column::from_steps(values.collect());
        }
        for (step, value) in value.iter_mut().enumerate() {
            if !is_present(*value) {
                continue;
            }
            match fold {
                Fold::Sum => *value += second[step],
                Fold::Avg => {
                    *value = match mean.get(step) {
                        Some(mean) if is_present(*mean) => mean + second[step],
                        _ => *value / count[step] + second[step] / count[step],
                    }
                }
                Fold::Stdvar => *value /= count[step],
                Fold::Stddev => *value = (*value / count[step]).sqrt(),
                Fold::Min | Fold::Max | Fold::Count | Fold::Group | Fold::Quantile => {}
            }
        }
        Column::from_steps(value).with_histograms(totals)
    }
}

/// Native histograms of one group at one step, of a sum or average.
#[derive(Debug, Default)]
enum Histograms {
    #[default]
    None,
    Total(Box<Total>),
    /// There was a float before: there will be no result, whatever comes.
    AfterFloats,
    /// Exponential and custom buckets.
    Incompatible,
}

impl Histograms {
    fn add(
        &mut self,
        kind: Kind,
        histogram: &FloatHistogram,
        floats_first: bool,
        notes: &mut Notes<'_>,
    ) {
        match self {
            Histograms::None if floats_first => *self = Histograms::AfterFloats,
            Histograms::None => *self = Histograms::Total(Box::new(Total::new(kind, histogram))),
            Histograms::Total(total) => {
                if total.add(histogram).is_err() {
                    notes.mixed_schemas();
                    *self = Histograms::Incompatible;
                } else if total.bounds_reconciled {
                    let position = notes.position;
                    notes.annotations.bounds_reconciled("aggregation", position);
                }
            }
            Histograms::AfterFloats | Histograms::Incompatible => {}
        }
    }

    /// The bytes of memory that they have allocated.
    fn size_bytes(&self) -> usize {
        match self {
            Histograms::Total(total) => total.size_bytes(),
            Histograms::None | Histograms::AfterFloats | Histograms::Incompatible => 0,
        }
    }

    /// The result, if it is a histogram. Where there are floats too there is none at all.
    fn finish(self, value: &mut f64, notes: &mut Notes<'_>) -> Option<FloatHistogram> {
        let position = notes.position;
        if matches!(self, Histograms::None) {
            return None;
        }
        if is_present(*value) {
            *value = ABSENT;
            notes.annotations.mixed_in_aggregation(position);
            return None;
        }
        let Histograms::Total(total) = self else {
            return None;
        };
        if total.hints_collide() {
            let annotations = &mut notes.annotations;
            annotations.counter_reset_collision("aggregation", position);
        }
        let mut total = total.finish();
        total.compact(0);
        Some(total)
    }
}

/// The first value is the sum: adding it to 0 would lose the sign of -0.
#[inline(always)]
fn add_to_sum(value: f64, sum: &mut f64, compensation: &mut f64) {
    if is_present(*sum) {
        kahan_add(value, sum, compensation);
    } else {
        *sum = value;
    }
}

/// The new value if it wins, or if there was only NaN so far.
#[inline(always)]
fn pick(old: f64, new: f64, wins: bool) -> f64 {
    if wins || old.is_nan() { new } else { old }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::annotations::Annotations;

    fn fold(fold: Fold, values: &[f64]) -> f64 {
        let mut accumulator = Accumulator::new(fold, 1);
        for &value in values {
            accumulator.add(&Column::single(0, value));
        }
        let mut notes = Notes {
            annotations: &mut Annotations::default(),
            metric: "",
            position: &(0..0),
        };
        accumulator
            .finish(&Scalar::Constant(0.5), &mut notes)
            .get(0)
    }

    #[test]
    fn folds() {
        const NAN: f64 = f64::NAN;
        for (kind, values, expected) in [
            (Fold::Sum, &[1e100, 1.0, -1e100][..], 1.0),
            (Fold::Avg, &[1.0, 2.0, 6.0], 3.0),
            // The sum overflows, the mean does not.
            (Fold::Avg, &[f64::MAX, f64::MAX], f64::MAX),
            (Fold::Avg, &[f64::INFINITY, 1.0], f64::INFINITY),
            (Fold::Min, &[NAN, 2.0, 1.0, NAN], 1.0),
            (Fold::Max, &[NAN, 2.0, 1.0, NAN], 2.0),
            (Fold::Count, &[NAN, 2.0], 2.0),
            (Fold::Group, &[NAN, 2.0], 1.0),
            (Fold::Stdvar, &[1.0, 3.0], 1.0),
            (Fold::Stddev, &[1.0, 5.0], 2.0),
            (Fold::Stddev, &[f64::INFINITY, 5.0], NAN),
            (Fold::Quantile, &[3.0, 1.0, 2.0], 2.0),
        ] {
            let got = fold(kind, values);
            assert!(
                got == expected || (got.is_nan() && expected.is_nan()),
                "{kind:?} {values:?}: {got}"
            );
        }
        assert!(!is_present(fold(Fold::Sum, &[])));
    }
}
