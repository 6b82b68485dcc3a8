//! Values over steps: the form in which everything is evaluated.
//!
//! A query asks for values at equally spaced times, its [`Steps`]. A series' values at these times
//! are one [`Column`] of floats. A step without a value holds [`ABSENT`], the staleness marker: the
//! marker never is a value, because it is taken out when samples are read, and because arithmetic
//! on any NaN gives a quiet NaN, whose bits differ. So presence costs no second array.
//!
//! A column starts at its first value and ends at its last one: memory follows the samples that
//! there are, also when series come and go within the queried time.
//!
//! Native histograms lie beside the floats, each with its step. A column without any, which is
//! nearly every one, pays a null pointer for them; what changes floats one by one drops them.

use model::{Labels, METRIC_NAME, STALE_NAN, STALE_NAN_BITS};

use crate::point::{Histogram, Point};

/// What a column holds where there is no value.
pub(crate) const ABSENT: f64 = STALE_NAN;

/// Whether `value` of a column is one.
#[inline(always)]
pub(crate) fn is_present(value: f64) -> bool {
    value.to_bits() != STALE_NAN_BITS
}

/// The times that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Steps {
    pub(crate) start_ms: i64,
    /// At least 1, also for a single step.
    pub(crate) step_ms: i64,
    pub(crate) count: usize,
}

impl Steps {
    /// The steps from `start_ms` to at most `end_ms`; none if that is before.
    pub(crate) fn new(start_ms: i64, end_ms: i64, step_ms: i64) -> Steps {
        let span = i128::from(end_ms) - i128::from(start_ms);
        let count = if span < 0 {
            0
        } else {
            span / i128::from(step_ms.max(1)) + 1
        };
        Steps {
            start_ms,
            step_ms: step_ms.max(1),
            count: usize::try_from(count).unwrap_or(usize::MAX),
        }
    }

    /// What a float a step takes.
    pub(crate) fn bytes(self) -> usize {
        self.count.saturating_mul(size_of::<f64>())
    }

    /// Only the first step.
    pub(crate) fn first(self) -> Steps {
        Steps {
            count: self.count.min(1),
            ..self
        }
    }

    /// The time of a step.
    #[inline]
    pub(crate) fn at(self, step: usize) -> i64 {
        self.start_ms + self.step_ms * step as i64
    }

    /// The time of the last step; the start if there is none.
    pub(crate) fn last_ms(self) -> i64 {
        self.at(self.count.saturating_sub(1))
    }

    /// Whether this is what an instant query asks: results keep their order then.
    pub(crate) fn is_single(self) -> bool {
        self.count == 1
    }
}

/// Values of one series over the steps of an evaluation.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Column {
    /// The step of `values[0]`.
    first: usize,
    /// Empty, or present at both ends.
    values: Vec<f64>,
    /// Native histograms by rising step; none rather than an empty list, so that a column of floats
    /// is no larger than it has to be.
    #[allow(
        clippy::box_collection,
        reason = "one word in the many columns that have none"
    )]
    histograms: Option<Box<Vec<(usize, Histogram)>>>,
}

impl Column {
    /// From one value a step, [`ABSENT`] among them.
    pub(crate) fn from_steps(values: Vec<f64>) -> Column {
        Column::from_part(0, values)
    }

    /// From one value a step, starting at step `first`.
    pub(crate) fn from_part(first: usize, mut values: Vec<f64>) -> Column {
        let end = values
            .iter()
            .rposition(|&v| is_present(v))
            .map_or(0, |at| at + 1);
        values.truncate(end);
        let begin = values.iter().position(|&v| is_present(v)).unwrap_or(0);
        if begin > 0 {
            values.drain(..begin);
        }
        // Long columns of short-lived series would keep what they do not use.
        if values.capacity() > 2 * values.len() + 16 {
            values.shrink_to_fit();
        }
        Column {
            first: first + begin,
            values,
            histograms: None,
        }
    }

    /// The same floats with these histograms, which have rising steps.
    pub(crate) fn with_histograms(mut self, histograms: Vec<(usize, Histogram)>) -> Column {
        debug_assert!(histograms.is_sorted_by_key(|(step, _)| *step));
        self.histograms = (!histograms.is_empty()).then(|| Box::new(histograms));
        self
    }

    /// From points with rising steps.
    pub(crate) fn from_points(
        steps: usize,
        points: impl IntoIterator<Item = (usize, Point)>,
    ) -> Column {
        let mut floats = Vec::new();
        let mut histograms = Vec::new();
        for (step, point) in points {
            match point {
                Point::Float(value) => {
                    if floats.is_empty() {
                        floats = vec![ABSENT; steps];
                    }
                    floats[step] = value;
                }
                Point::Histogram(histogram) => histograms.push((step, histogram)),
            }
        }
        Column::from_steps(floats).with_histograms(histograms)
    }

    /// What there is at the first step, at all of `count` steps.
    pub(crate) fn repeated(&self, count: usize) -> Column {
        match self.at(0) {
            None => Column::default(),
            Some(Point::Float(value)) => Column::constant(value, count),
            Some(Point::Histogram(h)) => {
                let everywhere = (0..count).map(|step| (step, Histogram::clone(&h)));
                Column::default().with_histograms(everywhere.collect())
            }
        }
    }

    /// The same value at all of `count` steps.
    pub(crate) fn constant(value: f64, count: usize) -> Column {
        Column::from_steps(vec![value; count])
    }

    /// A value at one step.
    pub(crate) fn single(step: usize, value: f64) -> Column {
        Column::from_part(step, vec![value])
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty() && self.histograms.is_none()
    }

    /// The native histograms with their steps.
    pub(crate) fn histograms(&self) -> &[(usize, Histogram)] {
        self.histograms.as_ref().map_or(&[], |h| h.as_slice())
    }

    pub(crate) fn has_histograms(&self) -> bool {
        self.histograms.is_some()
    }

    /// The native histogram at a step.
    pub(crate) fn histogram(&self, step: usize) -> Option<&Histogram> {
        let histograms = self.histograms();
        let (first, _) = histograms.first()?;
        // Mostly there is one at every step.
        let at = match histograms.get(step.checked_sub(*first)?) {
            Some((found, _)) if *found == step => step - first,
            _ => histograms.binary_search_by_key(&step, |(s, _)| *s).ok()?,
        };
        Some(&histograms[at].1)
    }

    /// What there is at a step.
    pub(crate) fn at(&self, step: usize) -> Option<Point> {
        let value = self.get(step);
        if is_present(value) {
            return Some(Point::Float(value));
        }
        self.histogram(step).cloned().map(Point::Histogram)
    }

    /// Whether there is anything at a step.
    #[inline]
    pub(crate) fn has(&self, step: usize) -> bool {
        is_present(self.get(step)) || (self.has_histograms() && self.histogram(step).is_some())
    }

    /// The steps at which there is anything: first those with floats.
    pub(crate) fn steps(&self) -> impl Iterator<Item = usize> + '_ {
        let floats = self.iter().map(|(step, _)| step);
        floats.chain(self.histograms().iter().map(|(step, _)| *step))
    }

    /// All that there is, in the order of the steps.
    pub(crate) fn points(&self) -> Vec<(usize, Point)> {
        let floats = self.iter().map(|(step, value)| (step, Point::Float(value)));
        let mut points: Vec<(usize, Point)> = floats.collect();
        if self.has_histograms() {
            let histograms = self.histograms().iter();
            let point = |h: &Histogram| Point::Histogram(Histogram::clone(h));
            points.extend(histograms.map(|(step, h)| (*step, point(h))));
            points.sort_by_key(|(step, _)| *step);
        }
        points
    }

    /// The value at a step, [`ABSENT`] outside and where there is a histogram.
    #[inline]
    pub(crate) fn get(&self, step: usize) -> f64 {
        match step.checked_sub(self.first) {
            Some(at) if at < self.values.len() => self.values[at],
            _ => ABSENT,
        }
    }

    /// The first step, and the values from there on.
    #[inline]
    pub(crate) fn parts(&self) -> (usize, &[f64]) {
        (self.first, &self.values)
    }

    /// The same, and the native histograms with their steps, to keep.
    #[allow(clippy::type_complexity, reason = "named where it is taken apart")]
    pub(crate) fn into_parts(self) -> (usize, Vec<f64>, Vec<(usize, Histogram)>) {
        let histograms = self.histograms.map_or_else(Vec::new, |boxed| *boxed);
        (self.first, self.values, histograms)
    }

    /// The steps that have a float, with it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let values = self.values.iter().enumerate();
        values
            .filter(|(_, value)| is_present(**value))
            .map(|(at, &value)| (self.first + at, value))
    }

    /// How many steps have a float.
    pub(crate) fn present(&self) -> usize {
        self.values.iter().filter(|v| is_present(**v)).count()
    }

    /// What its values count as in limits and statistics.
    pub(crate) fn size_in_samples(&self) -> usize {
        let histograms = self.histograms().iter().map(|(_, h)| h.size_in_samples());
        self.present() + histograms.sum::<usize>()
    }

    /// The bytes of memory that it has allocated; histograms count in full though they may be
    /// shared.
    pub(crate) fn size_bytes(&self) -> usize {
        let floats = self.values.capacity() * size_of::<f64>();
        match &self.histograms {
            None => floats,
            Some(histograms) => {
                let entries = histograms.capacity() * size_of::<(usize, Histogram)>();
                let own = histograms.iter().map(|(_, h)| h.size_bytes());
                floats + size_of_val(&**histograms) + entries + own.sum::<usize>()
            }
        }
    }

    /// The floats changed one by one; `None` takes the value away.
    pub(crate) fn filter_map(self, mut f: impl FnMut(usize, f64) -> Option<f64>) -> Column {
        let Column {
            first, mut values, ..
        } = self;
        for (at, value) in values.iter_mut().enumerate() {
            if is_present(*value) {
                *value = f(first + at, *value).unwrap_or(ABSENT);
            }
        }
        Column::from_part(first, values)
    }

    /// What `f` makes of its floats; [`ABSENT`] is nothing. As [`Column::zip`] without branches.
    #[inline(always)]
    pub(crate) fn each(self, f: impl Fn(f64) -> f64) -> Column {
        let Column {
            first, mut values, ..
        } = self;
        for value in &mut values {
            let result = f(*value);
            *value = if is_present(*value) { result } else { ABSENT };
        }
        Column::from_part(first, values)
    }

    /// What `f` makes of its floats and those of `other` at the same steps; [`ABSENT`] is nothing.
    /// Without branches, so that several steps go at once if `f` is as simple.
    #[inline(always)]
    pub(crate) fn zip(self, other: &Column, f: impl Fn(f64, f64) -> f64) -> Column {
        let Column {
            first, mut values, ..
        } = self;
        let begin = first.max(other.first);
        let end = (first + values.len()).min(other.first + other.values.len());
        if begin >= end {
            return Column::default();
        }
        values.truncate(end - first);
        values[..begin - first].fill(ABSENT);
        let others = &other.values[begin - other.first..end - other.first];
        for (value, &other) in values[begin - first..].iter_mut().zip(others) {
            let result = f(*value, other);
            let both = is_present(*value) & is_present(other);
            *value = if both { result } else { ABSENT };
        }
        Column::from_part(first, values)
    }

    /// All that there is, changed step by step; `None` takes it away.
    pub(crate) fn map_points(self, mut f: impl FnMut(usize, Point) -> Option<Point>) -> Column {
        let steps = self.end();
        let points = self.points().into_iter();
        let changed = points.filter_map(|(step, point)| Some((step, f(step, point)?)));
        Column::from_points(steps, changed)
    }

    /// The step after the last one at which there is anything.
    fn end(&self) -> usize {
        let floats = self.first + self.values.len();
        let histograms = self.histograms().last().map_or(0, |(step, _)| step + 1);
        floats.max(histograms)
    }

    /// Only what is at steps that are to be kept.
    pub(crate) fn retain(mut self, mut keeps: impl FnMut(usize) -> bool) -> Column {
        let histograms = self.histograms.take();
        let column = self.filter_map(|step, value| keeps(step).then_some(value));
        match histograms {
            None => column,
            Some(mut histograms) => {
                histograms.retain(|(step, _)| keeps(*step));
                column.with_histograms(*histograms)
            }
        }
    }

    /// The floats changed one by one.
    pub(crate) fn map(mut self, mut f: impl FnMut(f64) -> f64) -> Column {
        self.histograms = None;
        for value in &mut self.values {
            if is_present(*value) {
                *value = f(*value);
            }
        }
        self
    }

    /// How many floats there are once `other` is absorbed.
    pub(crate) fn absorbed_len(&self, other: &Column) -> usize {
        if self.values.is_empty() || other.values.is_empty() {
            return self.values.len().max(other.values.len());
        }
        let end = (self.first + self.values.len()).max(other.first + other.values.len());
        end - self.first.min(other.first)
    }

    /// Takes the values of `other` in where there is none yet; false if both have a float at a step,
    /// or both a histogram.
    #[must_use]
    pub(crate) fn absorb(&mut self, other: &Column) -> bool {
        if other.is_empty() {
            return true;
        }
        if self.is_empty() {
            self.clone_from(other);
            return true;
        }
        let same_float = other.iter().any(|(step, _)| is_present(self.get(step)));
        let mut others = other.histograms().iter();
        if same_float || others.any(|(step, _)| self.histogram(*step).is_some()) {
            return false;
        }
        self.absorb_histograms(other);
        if other.values.is_empty() {
            return true;
        }
        if self.values.is_empty() {
            self.first = other.first;
            self.values.clone_from(&other.values);
            return true;
        }
        let first = self.first.min(other.first);
        let end = (self.first + self.values.len()).max(other.first + other.values.len());
        let mut values = vec![ABSENT; end - first];
        for (step, value) in self.iter().chain(other.iter()) {
            values[step - first] = value;
        }
        self.first = first;
        self.values = values;
        true
    }

    fn absorb_histograms(&mut self, other: &Column) {
        if !other.has_histograms() {
            return;
        }
        let histograms = self.histograms.get_or_insert_default();
        histograms.extend_from_slice(other.histograms());
        histograms.sort_by_key(|(step, _)| *step);
    }
}

/// One series of an evaluated vector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    /// The metric's name (type, unit) is to go: at once unless names are removed late, but lazily,
    /// because much of what comes after never looks at it.
    pub(crate) drop_name: bool,
    pub(crate) column: Column,
}

impl Series {
    /// A series of the same name without values.
    pub(crate) fn sibling(&self) -> Series {
        Series {
            labels: self.labels.clone(),
            drop_name: self.drop_name,
            column: Column::default(),
        }
    }

    pub(crate) fn new(labels: Labels, column: Column) -> Series {
        Series {
            labels,
            drop_name: false,
            column,
        }
    }
}

/// What a label set of its own takes: its text and the two counters in front of it.
pub(crate) fn labels_bytes(labels: &Labels) -> usize {
    labels.size_bytes() + 2 * size_of::<usize>()
}

/// Whether a label describes the metric itself: its name, type or unit.
pub(crate) fn is_metadata_label(name: &str) -> bool {
    matches!(name, METRIC_NAME | "__type__" | "__unit__")
}

/// A scalar over the steps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    /// The same at all steps.
    Constant(f64),
    /// One a step.
    Steps(Vec<f64>),
}

impl Scalar {
    #[inline]
    pub(crate) fn at(&self, step: usize) -> f64 {
        match self {
            Scalar::Constant(value) => *value,
            Scalar::Steps(values) => values.get(step).copied().unwrap_or(f64::NAN),
        }
    }

    /// The bytes of memory that it has allocated.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Scalar::Constant(_) => 0,
            Scalar::Steps(values) => values.capacity() * size_of::<f64>(),
        }
    }

    /// Computed step by step from this one.
    pub(crate) fn zip(&self, other: &Scalar, count: usize, f: impl Fn(f64, f64) -> f64) -> Scalar {
        match (self, other) {
            (Scalar::Constant(a), Scalar::Constant(b)) => Scalar::Constant(f(*a, *b)),
            _ => Scalar::Steps((0..count).map(|i| f(self.at(i), other.at(i))).collect()),
        }
    }

    pub(crate) fn into_column(self, count: usize) -> Column {
        match self {
            Scalar::Constant(value) => Column::constant(value, count),
            Scalar::Steps(values) => Column::from_steps(values),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_trimmed_and_absent_is_no_value() {
        let column = Column::from_steps(vec![ABSENT, 1.0, ABSENT, f64::NAN, ABSENT]);
        assert_eq!(column.parts().0, 1);
        assert_eq!(column.parts().1.len(), 3);
        assert_eq!(column.present(), 2);
        assert!(!is_present(column.get(0)) && !is_present(column.get(99)));
        assert!(is_present(ABSENT + 1.0), "arithmetic never makes a marker");
        assert!(Column::from_steps(vec![ABSENT; 4]).is_empty());
    }

    #[test]
    fn zips_where_both_are() {
        let left = Column::from_part(2, vec![1.0, ABSENT, 3.0, 4.0]);
        let right = Column::from_part(3, vec![10.0, 20.0, 30.0, 40.0]);
        let sum = left.clone().zip(&right, |a, b| a + b);
        assert_eq!(sum.iter().collect::<Vec<_>>(), [(4, 23.0), (5, 34.0)]);
        let large = right
            .clone()
            .zip(&left, |a, b| if b > 3.0 { a } else { ABSENT });
        assert_eq!(large.iter().collect::<Vec<_>>(), [(5, 30.0)]);
        assert!(left.zip(&Column::single(6, 1.0), |a, _| a).is_empty());
        assert!(right.zip(&Column::default(), |a, _| a).is_empty());
    }

    #[test]
    fn absorbs_only_without_overlap() {
        let mut column = Column::single(1, 1.0);
        assert!(column.absorb(&Column::single(4, 4.0)));
        assert_eq!(column.iter().collect::<Vec<_>>(), [(1, 1.0), (4, 4.0)]);
        assert!(!column.absorb(&Column::single(4, 5.0)));
    }

    #[test]
    fn histograms_lie_beside_floats() {
        let histogram = |count: f64| {
            Histogram::new(model::FloatHistogram {
                count,
                ..model::FloatHistogram::default()
            })
        };
        let points = [
            (0, Point::Float(1.0)),
            (2, Point::Histogram(histogram(2.0))),
            (4, Point::Histogram(histogram(3.0))),
        ];
        let column = Column::from_points(6, points.clone());
        assert_eq!(column.points(), points);
        assert_eq!(column.size_in_samples(), 23);
        assert_eq!((column.has(2), column.has(3)), (true, false));
        assert_eq!(column.at(4), Some(points[2].1.clone()));
        assert_eq!(column.clone().retain(|step| step > 2).points(), points[2..]);
        assert_eq!(column.clone().map(|v| v).points(), points[..1]);
        assert_eq!(column.repeated(3), Column::constant(1.0, 3));
        let mut other = Column::from_points(6, [(2, Point::Float(5.0))]);
        assert!(other.absorb(&column), "a float and a histogram are no pair");
        assert!(!other.absorb(&Column::from_points(6, points[1..2].to_vec())));
        assert_eq!(other.steps().collect::<Vec<_>>(), [0, 2, 2, 4]);
    }

    #[test]
    fn steps_end_within() {
        assert_eq!(Steps::new(0, 10, 3).count, 4);
        assert_eq!(Steps::new(0, 10, 3).last_ms(), 9);
        assert_eq!(Steps::new(10, 0, 3).count, 0);
    }
}
