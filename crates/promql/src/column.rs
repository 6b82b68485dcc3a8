//! Values over steps: the form in which everything is evaluated.
//!
//! A query asks for values at equally spaced times, its [`Steps`]. A series' values at these times
//! are one [`Column`] of floats. A step without a value holds [`ABSENT`], the staleness marker: the
//! marker never is a value, because it is taken out when samples are read, and because arithmetic
//! on any NaN gives a quiet NaN, whose bits differ. So presence costs no second array.
//!
//! A column starts at its first value and ends at its last one: memory follows the samples that
//! there are, also when series come and go within the queried time.

use model::{Labels, METRIC_NAME, STALE_NAN, STALE_NAN_BITS};

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
        self.values.is_empty()
    }

    /// The value at a step, [`ABSENT`] outside.
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

    /// The steps that have a value, with it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let values = self.values.iter().enumerate();
        values
            .filter(|(_, value)| is_present(**value))
            .map(|(at, &value)| (self.first + at, value))
    }

    /// How many steps have a value.
    pub(crate) fn present(&self) -> usize {
        self.values.iter().filter(|v| is_present(**v)).count()
    }

    /// The values changed one by one; `None` takes the value away.
    pub(crate) fn filter_map(self, mut f: impl FnMut(usize, f64) -> Option<f64>) -> Column {
        let Column { first, mut values } = self;
        for (at, value) in values.iter_mut().enumerate() {
            if is_present(*value) {
                *value = f(first + at, *value).unwrap_or(ABSENT);
            }
        }
        Column::from_part(first, values)
    }

    /// The values changed one by one.
    pub(crate) fn map(mut self, mut f: impl FnMut(f64) -> f64) -> Column {
        for value in &mut self.values {
            if is_present(*value) {
                *value = f(*value);
            }
        }
        self
    }

    /// Takes the values of `other` in where there is none yet; false if both have one at a step.
    #[must_use]
    pub(crate) fn absorb(&mut self, other: &Column) -> bool {
        if other.is_empty() {
            return true;
        }
        if self.is_empty() {
            self.clone_from(other);
            return true;
        }
        if other.iter().any(|(step, _)| is_present(self.get(step))) {
            return false;
        }
        let first = self.first.min(other.first);
        let end = (self.first + self.values.len()).max(other.first + other.values.len());
        let mut values = vec![ABSENT; end - first];
        for (step, value) in self.iter().chain(other.iter()) {
            values[step - first] = value;
        }
        *self = Column { first, values };
        true
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
    pub(crate) fn new(labels: Labels, column: Column) -> Series {
        Series {
            labels,
            drop_name: false,
            column,
        }
    }
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
    fn absorbs_only_without_overlap() {
        let mut column = Column::single(1, 1.0);
        assert!(column.absorb(&Column::single(4, 4.0)));
        assert_eq!(column.iter().collect::<Vec<_>>(), [(1, 1.0), (4, 4.0)]);
        assert!(!column.absorb(&Column::single(4, 5.0)));
    }

    #[test]
    fn steps_end_within() {
        assert_eq!(Steps::new(0, 10, 3).count, 4);
        assert_eq!(Steps::new(0, 10, 3).last_ms(), 9);
        assert_eq!(Steps::new(10, 0, 3).count, 0);
    }
}
