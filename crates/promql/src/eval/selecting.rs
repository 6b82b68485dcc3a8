//! Aggregations that pick series: `topk`, `bottomk`, `limitk` and `limit_ratio`.
//!
//! Which of equal values is picked, and in which order an instant query lists them, follows from
//! how Go's heap moves its elements; so this is that heap.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use gocompat::strconv::format_float_g;
use model::Labels;
use xxhash_rust::xxh64::xxh64;

use super::aggregation::{Groups, Parameter};
use super::{Evaluator, Result, Scope, execution};
use crate::annotations::{Annotations, Position};
use crate::column::{ABSENT, Column, Series, is_present};
use crate::context::{Charge, EVALUATION};
use crate::flow::SeriesSet;
use crate::gomath::to_i64;
use crate::plan::{Aggregate, AggregateOp};
use crate::point::Histogram;

/// The largest float that fits into an `i64`.
const K_MAX: f64 = 9_223_372_036_854_774_784.0;
/// The smallest one.
const K_MIN: f64 = -9_223_372_036_854_775_808.0;

/// What is kept of each series while some are picked: its group, the ratio of its hash, whether and
/// from where on it is picked, and twice a place in a heap, which may be half empty.
const SELECTED_BYTES: usize = size_of::<usize>()
    + size_of::<f64>()
    + size_of::<(usize, Vec<f64>)>()
    + 3 * size_of::<Candidate>();

/// A value and the series that it is of.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate {
    value: f64,
    series: usize,
}

impl Candidate {
    /// The histogram that it stands for, if it does.
    fn histogram<'a>(&self, series: &'a [Series], step: usize) -> Option<&'a Histogram> {
        let column = &series[self.series].column;
        if is_present(column.get(step)) {
            return None;
        }
        column.histogram(step)
    }
}

/// A binary heap as Go's `container/heap` keeps it. On top is what goes first: the smallest value,
/// or the largest if `reversed`; NaN before all.
#[derive(Debug, Default)]
struct Heap {
    items: Vec<Candidate>,
}

impl Heap {
    fn less(&self, reversed: bool, i: usize, j: usize) -> bool {
        let (a, b) = (self.items[i].value, self.items[j].value);
        a.is_nan() || if reversed { a > b } else { a < b }
    }

    fn push(&mut self, reversed: bool, item: Candidate) {
        self.items.push(item);
        let mut at = self.items.len() - 1;
        while at > 0 {
            let parent = (at - 1) / 2;
            if !self.less(reversed, at, parent) {
                break;
            }
            self.items.swap(at, parent);
            at = parent;
        }
    }

    /// Replaces the top.
    fn replace(&mut self, reversed: bool, item: Candidate) {
        self.items[0] = item;
        let mut at = 0;
        loop {
            let mut child = 2 * at + 1;
            if child >= self.items.len() {
                break;
            }
            if child + 1 < self.items.len() && self.less(reversed, child + 1, child) {
                child += 1;
            }
            if !self.less(reversed, child, at) {
                break;
            }
            self.items.swap(at, child);
            at = child;
        }
    }

    /// Best first. Go sorts up to twelve elements by insertion, which keeps the order of equal
    /// ones; beyond that its order of equal ones is its own affair.
    fn sort_best_first(&mut self, reversed: bool) {
        if self.items.len() <= 12 {
            for i in 1..self.items.len() {
                let mut j = i;
                while j > 0 && self.less(reversed, j - 1, j) {
                    self.items.swap(j, j - 1);
                    j -= 1;
                }
            }
            return;
        }
        self.items.sort_by(|a, b| {
            let order = match (a.value.is_nan(), b.value.is_nan()) {
                (true, true) => return std::cmp::Ordering::Equal,
                (true, false) => return std::cmp::Ordering::Greater,
                (false, true) => return std::cmp::Ordering::Less,
                (false, false) => a.value.partial_cmp(&b.value),
            }
            .unwrap_or(std::cmp::Ordering::Equal);
            if reversed { order } else { order.reverse() }
        });
    }
}

impl<'q> Evaluator<'q> {
    pub(super) fn select_series(
        &mut self,
        scope: &mut Scope,
        aggregate: &Aggregate,
    ) -> Result<SeriesSet<'q>> {
        let parameter = self.parameter(scope, aggregate.param.as_ref())?;
        let outside = std::mem::replace(&mut scope.ordered, true);
        let flow = self.flow(scope, &aggregate.expr)?;
        let set = self.collect(scope, flow)?;
        scope.ordered = outside;
        if !self.check_parameter(aggregate, &parameter)? {
            return Ok(self.empty());
        }
        let mut held = Charge::none(self.shared.budget);
        held.add_bytes(set.series.len() * SELECTED_BYTES)?;
        let mut groups = Groups::new(&aggregate.grouping);
        let mut group_of: Vec<usize> = Vec::with_capacity(set.series.len());
        for series in &set.series {
            let known = groups.len();
            group_of.push(groups.index(&series.labels, false));
            if groups.len() > known {
                held.add_bytes(groups.last_bytes() + size_of::<Heap>())?;
            }
        }
        let picker = Picker {
            op: aggregate.op,
            series: &set.series,
            group_of,
            group_count: groups.len(),
            position: &aggregate.position,
            ratios: if aggregate.op == AggregateOp::LimitRatio {
                set.series
                    .iter()
                    .map(|series| ratio_of(&series.labels))
                    .collect()
            } else {
                Vec::new()
            },
        };
        let mut rows = Rows::new(&set.series, scope.steps.count);
        held.add_bytes(rows.size_bytes())?;
        if scope.steps.is_single() {
            let picked = picker.pick(&mut rows, 0, parameter.values.at(0), &mut self.annotations);
            let picked: Vec<usize> = picked.iter().map(|c| c.series).collect();
            let mut out = SeriesSet::with_capacity(picked.len(), self.shared.budget)?;
            for at in picked {
                out.push_labelled(set.series[at].clone())?;
            }
            return Ok(out);
        }
        // By series the first step at which it is picked, and its floats from there on; and its
        // histograms, if any are picked.
        let mut columns: Vec<(usize, Vec<f64>)> = vec![(0, Vec::new()); set.series.len()];
        let mut histograms: HashMap<usize, Vec<(usize, Histogram)>> = HashMap::new();
        for step in 0..scope.steps.count {
            self.shared.deadline.check(EVALUATION)?;
            let parameter = parameter.values.at(step);
            for candidate in picker.pick(&mut rows, step, parameter, &mut self.annotations) {
                if let Some(histogram) = candidate.histogram(&set.series, step) {
                    let picked = histograms.entry(candidate.series).or_default();
                    picked.push((step, Arc::clone(histogram)));
                    continue;
                }
                let (first, column) = &mut columns[candidate.series];
                if column.is_empty() {
                    *first = step;
                }
                let before = column.capacity();
                column.resize(step - *first, ABSENT);
                column.push(candidate.value);
                match column.capacity() - before {
                    0 => {}
                    grown => held.add_bytes(grown * size_of::<f64>())?,
                }
            }
        }
        held.set_bytes(set.series.len() * SELECTED_BYTES + rows.size_bytes())?;
        let mut picked = self.empty();
        for (at, (first, floats)) in columns.into_iter().enumerate() {
            let histograms = histograms.remove(&at).unwrap_or_default();
            if floats.is_empty() && histograms.is_empty() {
                continue;
            }
            picked.push_labelled(Series {
                column: Column::from_part(first, floats).with_histograms(histograms),
                ..set.series[at].sibling()
            })?;
        }
        Ok(picked)
    }

    /// Whether anything can be picked at all.
    fn check_parameter(&mut self, aggregate: &Aggregate, parameter: &Parameter) -> Result<bool> {
        if aggregate.op == AggregateOp::LimitRatio {
            if parameter.max == 0.0 && parameter.min == 0.0 {
                return Ok(false);
            }
            if parameter.has_nan {
                return Err(execution("Ratio value is NaN"));
            }
            if let Some(param) = &aggregate.param {
                if parameter.max > 1.0 {
                    self.annotations
                        .invalid_ratio(parameter.max, 1.0, &param.position);
                }
                if parameter.min < -1.0 {
                    self.annotations
                        .invalid_ratio(parameter.min, -1.0, &param.position);
                }
            }
            return Ok(true);
        }
        if parameter.max < 1.0 {
            return Ok(false);
        }
        if parameter.has_nan {
            return Err(execution("Parameter value is NaN"));
        }
        if parameter.min <= K_MIN {
            let value = format_float_g(parameter.min);
            return Err(execution(format!("Scalar value {value} underflows int64")));
        }
        if parameter.max >= K_MAX {
            let value = format_float_g(parameter.max);
            return Err(execution(format!("Scalar value {value} overflows int64")));
        }
        Ok(true)
    }
}

/// The floats of all series by step. They lie by series, so a step of all of them is another corner
/// of memory each: that is paid once for several steps.
struct Rows<'a> {
    series: &'a [Series],
    /// The steps that are in `values`.
    steps: Range<usize>,
    /// One row a step.
    values: Vec<f64>,
}

/// Floats of a column that a processor fetches together.
const ROWS: usize = 8;

impl<'a> Rows<'a> {
    fn new(series: &'a [Series], steps: usize) -> Rows<'a> {
        Rows {
            series,
            steps: 0..0,
            values: vec![ABSENT; series.len() * steps.min(ROWS)],
        }
    }

    fn size_bytes(&self) -> usize {
        size_of_val(self.values.as_slice())
    }

    /// The floats of a step, [`ABSENT`] where there is none. There are that many steps.
    fn at(&mut self, step: usize) -> &[f64] {
        let width = self.series.len();
        if width == 0 {
            return &[];
        }
        if !self.steps.contains(&step) {
            self.steps = step..step + self.values.len() / width;
            for (at, series) in self.series.iter().enumerate() {
                for (row, step) in self.steps.clone().enumerate() {
                    self.values[row * width + at] = series.column.get(step);
                }
            }
        }
        let row = (step - self.steps.start) * width;
        &self.values[row..row + width]
    }
}

/// Picks from all series at one step.
struct Picker<'a> {
    op: AggregateOp,
    series: &'a [Series],
    group_of: Vec<usize>,
    group_count: usize,
    /// Of the aggregation.
    position: &'a Position,
    /// Where the hash of each series lies between 0 and 1.
    ratios: Vec<f64>,
}

impl Picker<'_> {
    fn pick(
        &self,
        rows: &mut Rows<'_>,
        step: usize,
        parameter: f64,
        annotations: &mut Annotations,
    ) -> Vec<Candidate> {
        let k = to_i64(parameter).min(self.series.len() as i64);
        let limits = self.op != AggregateOp::LimitRatio;
        if (limits && k < 1) || (!limits && parameter == 0.0) {
            return Vec::new();
        }
        let k = usize::try_from(k).unwrap_or(0);
        let ratio = parameter.clamp(-1.0, 1.0);
        let reversed = self.op == AggregateOp::BottomK;
        let mut groups: Vec<Heap> = Vec::new();
        groups.resize_with(self.group_count, Heap::default);
        for (at, &value) in rows.at(step).iter().enumerate() {
            let mut value = value;
            if !is_present(value) {
                if self.series[at].column.histogram(step).is_none() {
                    continue;
                }
                if let AggregateOp::TopK | AggregateOp::BottomK = self.op {
                    let name = if reversed { "bottomk" } else { "topk" };
                    annotations.histogram_ignored_in_aggregation(name, self.position);
                    continue;
                }
                // Where the value does not matter, upstream has 0 for it.
                value = 0.0;
            }
            let candidate = Candidate { value, series: at };
            let heap = &mut groups[self.group_of[at]];
            match self.op {
                AggregateOp::LimitRatio => {
                    if is_within(ratio, self.ratios[at]) {
                        heap.push(false, candidate);
                    }
                }
                AggregateOp::LimitK => {
                    if heap.items.len() < k {
                        heap.push(false, candidate);
                    }
                }
                _ if heap.items.len() < k => heap.push(reversed, candidate),
                _ => {
                    let top = heap.items[0].value;
                    let beats = if reversed { top > value } else { top < value };
                    if beats || (top.is_nan() && !value.is_nan()) {
                        heap.replace(reversed, candidate);
                    }
                }
            }
        }
        let mut picked = Vec::new();
        for mut heap in groups {
            if matches!(self.op, AggregateOp::TopK | AggregateOp::BottomK) {
                heap.sort_best_first(reversed);
            }
            picked.append(&mut heap.items);
        }
        picked
    }
}

/// Whether a series belongs to a ratio; a negative one takes what its complement leaves.
fn is_within(ratio: f64, of_series: f64) -> bool {
    if ratio >= 0.0 {
        of_series < ratio
    } else {
        of_series >= 1.0 + ratio
    }
}

/// The hash of the labels as upstream packs and hashes them, between 0 and 1.
fn ratio_of(labels: &Labels) -> f64 {
    let mut packed = Vec::new();
    for (name, value) in labels {
        for text in [name, value] {
            match u8::try_from(text.len()) {
                Ok(size) if size < 255 => packed.push(size),
                _ => {
                    packed.push(255);
                    packed.extend_from_slice(&text.len().to_le_bytes()[..3]);
                }
            }
            packed.extend_from_slice(text.as_bytes());
        }
    }
    xxh64(&packed, 0) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(op: AggregateOp, k: f64, values: &[f64]) -> Vec<usize> {
        let series: Vec<Series> = values
            .iter()
            .map(|&v| Series::new(Labels::empty(), Column::single(0, v)))
            .collect();
        let picker = Picker {
            op,
            series: &series,
            group_of: vec![0; values.len()],
            group_count: 1,
            position: &(0..0),
            ratios: vec![0.25; values.len()],
        };
        let mut rows = Rows::new(&series, 1);
        let picked = picker.pick(&mut rows, 0, k, &mut Annotations::default());
        picked.iter().map(|c| c.series).collect()
    }

    #[test]
    fn rows_are_the_columns_by_step() {
        let steps = 2 * ROWS + 3;
        let column = |first: usize| {
            let values = (first..steps).map(|step| (100 * first + step) as f64);
            Series::new(Labels::empty(), Column::from_part(first, values.collect()))
        };
        let series = [0, 5, steps].map(column);
        let mut rows = Rows::new(&series, steps);
        // Also where not every step is asked for.
        for step in (0..steps).filter(|step| !(3..14).contains(step)) {
            let expected = series.each_ref().map(|s| s.column.get(step).to_bits());
            let row: Vec<u64> = rows.at(step).iter().map(|v| v.to_bits()).collect();
            assert_eq!(row, expected, "{step}");
        }
        assert!(Rows::new(&[], 9).at(3).is_empty());
    }

    #[test]
    fn picks() {
        const NAN: f64 = f64::NAN;
        for (op, k, values, expected) in [
            (AggregateOp::TopK, 2.0, &[1.0, 3.0, 2.0][..], &[1, 2][..]),
            (AggregateOp::BottomK, 2.0, &[1.0, 3.0, 2.0], &[0, 2]),
            (AggregateOp::TopK, 2.0, &[NAN, 3.0, NAN], &[1, 0]),
            (AggregateOp::BottomK, 9.0, &[NAN, 3.0], &[1, 0]),
            // Of equal values those that came first.
            (AggregateOp::TopK, 2.0, &[1.0, 1.0, 1.0], &[0, 1]),
            (AggregateOp::LimitK, 2.0, &[5.0, 6.0, 7.0], &[0, 1]),
            (AggregateOp::TopK, 0.9, &[1.0], &[]),
            (AggregateOp::LimitRatio, 0.3, &[1.0], &[0]),
            (AggregateOp::LimitRatio, 0.2, &[1.0], &[]),
            (AggregateOp::LimitRatio, -0.8, &[1.0], &[0]),
        ] {
            assert_eq!(pick(op, k, values), expected, "{op:?} {k} {values:?}");
        }
    }
}
