//! Buckets with their bounds, in any order that is needed.

use super::layout::Indexed;
use super::{FloatHistogram, bounds};

/// One bucket: what it counts lies between its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
    /// Whether the lower bound itself belongs to it.
    pub lower_inclusive: bool,
    /// Whether the upper bound itself belongs to it.
    pub upper_inclusive: bool,
    /// What it counted.
    pub count: f64,
    /// Its place within its side and schema; 0 for the zero bucket.
    pub index: i32,
}

impl Bucket {
    /// The part of the bucket's width that lies below `value`, which lies within its finite bounds:
    /// as if observations were spread evenly, or evenly on a logarithmic scale.
    #[must_use]
    pub fn fraction_below(&self, value: f64, is_linear: bool) -> f64 {
        if is_linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let log = |x: f64| gocompat::math::log2(x.abs());
        let (lower, upper, at) = (log(self.lower), log(self.upper), log(value));
        if value > 0.0 {
            (at - lower) / (upper - lower)
        } else {
            1.0 - (at - upper) / (lower - upper)
        }
    }
}

impl FloatHistogram {
    /// The zero bucket. Histograms with custom bounds have none, so that it is empty.
    #[must_use]
    pub fn zero_bucket(&self) -> Bucket {
        Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
            index: 0,
        }
    }

    /// Positive buckets, from zero upwards.
    pub fn positive(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        Indexed::new(&self.positive_spans, &self.positive_buckets)
            .map(|(index, count)| self.positive_bucket(index, count))
    }

    /// Negative buckets, from zero downwards.
    pub fn negative(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        Indexed::new(&self.negative_spans, &self.negative_buckets)
            .map(|(index, count)| self.negative_bucket(index, count))
    }

    /// All buckets from the lowest upwards; the zero bucket only if it counted something. Buckets
    /// that reach into the zero bucket are cut there.
    pub fn ascending(&self) -> impl Iterator<Item = Bucket> + '_ {
        let negative = self.negative().rev().map(|b| self.outside_zero(b));
        let positive = self.positive().map(|b| self.outside_zero(b));
        negative.chain(self.populated_zero()).chain(positive)
    }

    /// As [`Self::ascending`], from the highest downwards.
    pub fn descending(&self) -> impl Iterator<Item = Bucket> + '_ {
        let positive = self.positive().rev().map(|b| self.outside_zero(b));
        let negative = self.negative().map(|b| self.outside_zero(b));
        positive.chain(self.populated_zero()).chain(negative)
    }

    fn populated_zero(&self) -> Option<Bucket> {
        (self.zero_count > 0.0).then(|| self.zero_bucket())
    }

    fn outside_zero(&self, mut bucket: Bucket) -> Bucket {
        if bucket.upper < 0.0 && bucket.upper > -self.zero_threshold {
            bucket.upper = -self.zero_threshold;
        } else if bucket.lower > 0.0 && bucket.lower < self.zero_threshold {
            bucket.lower = self.zero_threshold;
        }
        bucket
    }

    fn positive_bucket(&self, index: i32, count: f64) -> Bucket {
        let upper = self.bound(index);
        let lower = self.bound(index.wrapping_sub(1));
        self.bucket(lower, upper, index, count)
    }

    fn negative_bucket(&self, index: i32, count: f64) -> Bucket {
        let lower = -self.bound(index);
        let upper = -self.bound(index.wrapping_sub(1));
        self.bucket(lower, upper, index, count)
    }

    fn bucket(&self, lower: f64, upper: f64, index: i32, count: f64) -> Bucket {
        let is_custom = self.uses_custom_buckets();
        Bucket {
            lower,
            upper,
            lower_inclusive: if is_custom { index == 0 } else { lower < 0.0 },
            upper_inclusive: is_custom || upper > 0.0,
            count,
            index,
        }
    }

    /// The upper bound of a bucket of the positive side.
    fn bound(&self, index: i32) -> f64 {
        if !self.uses_custom_buckets() {
            return bounds::exponential(index, self.schema);
        }
        match usize::try_from(index) {
            Ok(index) => self
                .custom_values
                .get(index)
                .copied()
                .unwrap_or(f64::INFINITY),
            Err(_) => f64::NEG_INFINITY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::{CUSTOM_BUCKETS_SCHEMA, Span};

    fn one_span(offset: i32, length: u32) -> Vec<Span> {
        vec![Span { offset, length }]
    }

    #[test]
    fn all_buckets_in_both_orders() {
        let histogram = FloatHistogram {
            zero_threshold: 1.5,
            zero_count: 1.0,
            positive_spans: one_span(1, 2),
            positive_buckets: vec![2.0, 3.0],
            negative_spans: one_span(0, 2),
            negative_buckets: vec![4.0, 5.0],
            ..FloatHistogram::default()
        };
        let all: Vec<Bucket> = histogram.ascending().collect();
        let short: Vec<_> = all.iter().map(|b| (b.lower, b.upper, b.count)).collect();
        let expected = [
            (-2.0, -1.5, 5.0),
            (-1.0, -1.5, 4.0),
            (-1.5, 1.5, 1.0),
            (1.5, 2.0, 2.0),
            (2.0, 4.0, 3.0),
        ];
        assert_eq!(short, expected);
        let mut descending: Vec<Bucket> = histogram.descending().collect();
        descending.reverse();
        assert_eq!(descending, all);
        assert!(all[0].lower_inclusive && !all[0].upper_inclusive);
        assert!(all[2].lower_inclusive && all[2].upper_inclusive);
        assert!(!all[3].lower_inclusive && all[3].upper_inclusive);
    }

    #[test]
    fn custom_bounds() {
        let histogram = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            custom_values: vec![5.0, 10.0],
            positive_spans: one_span(0, 3),
            positive_buckets: vec![1.0, 2.0, 3.0],
            ..FloatHistogram::default()
        };
        let all: Vec<_> = histogram
            .ascending()
            .map(|b| (b.lower, b.upper, b.lower_inclusive))
            .collect();
        let expected = [
            (f64::NEG_INFINITY, 5.0, true),
            (5.0, 10.0, false),
            (10.0, f64::INFINITY, false),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn fractions() {
        let bucket = |lower: f64, upper: f64| Bucket {
            lower,
            upper,
            lower_inclusive: false,
            upper_inclusive: true,
            count: 1.0,
            index: 0,
        };
        assert_eq!(bucket(1.0, 2.0).fraction_below(1.25, true), 0.25);
        assert_eq!(bucket(1.0, 16.0).fraction_below(4.0, false), 0.5);
        assert_eq!(bucket(-16.0, -1.0).fraction_below(-2.0, false), 0.75);
    }
}
