//! Histograms that count in whole numbers, as instrumented programs do.

use super::layout::{self, Side};
use super::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, HistogramError, Span, reduction,
};

/// A native histogram with absolute integer bucket counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    /// What is known of a counter reset.
    pub counter_reset_hint: CounterResetHint,
    /// As [`FloatHistogram::schema`].
    pub schema: i32,
    /// Width of the zero bucket: it holds what lies within plus and minus this.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: u64,
    /// All observations.
    pub count: u64,
    /// Sum of all observations; the staleness marker here marks the histogram stale.
    pub sum: f64,
    /// Where the positive buckets lie.
    pub positive_spans: Vec<Span>,
    /// Where the negative buckets lie.
    pub negative_spans: Vec<Span>,
    /// Counts of the positive buckets, not cumulated and not as differences. An exposition may
    /// claim a negative one, which validation refuses.
    pub positive_buckets: Vec<i64>,
    /// Counts of the negative buckets.
    pub negative_buckets: Vec<i64>,
    /// Upper bounds of custom buckets, without +Inf.
    pub custom_values: Vec<f64>,
}

impl Histogram {
    /// Whether this is a staleness marker.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        crate::is_stale_nan(self.sum)
    }

    /// Whether the bounds are custom ones.
    #[must_use]
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// As [`FloatHistogram::compact`].
    pub fn compact(&mut self, empty_max: u32) {
        for (spans, buckets) in [
            (&mut self.positive_spans, &mut self.positive_buckets),
            (&mut self.negative_spans, &mut self.negative_buckets),
        ] {
            let side = Side {
                spans: std::mem::take(spans),
                buckets: std::mem::take(buckets),
                lost: Vec::new(),
            };
            let side = layout::compact(side, empty_max);
            (*spans, *buckets) = (side.spans, side.buckets);
        }
    }

    /// As [`FloatHistogram::reduce_resolution`].
    ///
    /// # Errors
    /// If the bounds are custom ones, or `schema` is no coarser exponential one.
    pub fn reduce_resolution(&mut self, schema: i32) -> Result<(), HistogramError> {
        let shift = reduction(self.schema, schema)?;
        layout::reduce_side(&mut self.positive_spans, &mut self.positive_buckets, shift);
        layout::reduce_side(&mut self.negative_spans, &mut self.negative_buckets, shift);
        self.schema = schema;
        Ok(())
    }

    /// The same with counts as floats; those above 2^53 are rounded.
    #[must_use]
    pub fn to_float(&self) -> FloatHistogram {
        let floats = |counts: &[i64]| counts.iter().map(|&count| count as f64).collect();
        FloatHistogram {
            counter_reset_hint: self.counter_reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count as f64,
            count: self.count as f64,
            sum: self.sum,
            positive_spans: self.positive_spans.clone(),
            negative_spans: self.negative_spans.clone(),
            positive_buckets: floats(&self.positive_buckets),
            negative_buckets: floats(&self.negative_buckets),
            custom_values: self.custom_values.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn becomes_a_float_histogram() {
        let span = Span {
            offset: -2,
            length: 2,
        };
        let integer = Histogram {
            schema: 1,
            zero_count: 3,
            count: 10,
            sum: 1.5,
            positive_spans: vec![span],
            positive_buckets: vec![5, 2],
            ..Histogram::default()
        };
        let float = integer.to_float();
        assert_eq!(float.count, 10.0);
        assert_eq!(float.zero_count, 3.0);
        assert_eq!(float.positive_buckets, [5.0, 2.0]);
        assert_eq!(float.positive_spans, [span]);
        assert!(!integer.is_stale() && float.validate().is_ok());
    }

    fn spans(pairs: &[(i32, u32)]) -> Vec<Span> {
        let spans = pairs
            .iter()
            .map(|&(offset, length)| Span { offset, length });
        spans.collect()
    }

    #[test]
    fn becomes_compact_and_coarser_without_losing_a_count() {
        let huge = i64::MAX - 1;
        let mut integer = Histogram {
            schema: 1,
            positive_spans: spans(&[(-1, 3), (0, 1), (4, 1)]),
            positive_buckets: vec![0, huge, 0, 1, 5],
            ..Histogram::default()
        };
        integer.compact(1);
        assert_eq!(integer.positive_spans, spans(&[(0, 3), (4, 1)]));
        assert_eq!(integer.positive_buckets, [huge, 0, 1, 5]);
        integer.reduce_resolution(0).unwrap();
        assert_eq!(integer.positive_spans, spans(&[(0, 2), (2, 1)]));
        assert_eq!(integer.positive_buckets, [huge, 1, 5]);
        assert_eq!(integer.schema, 0);
        assert!(integer.reduce_resolution(0).is_err());
        integer.reduce_resolution(-4).unwrap();
        assert_eq!(integer.positive_buckets, [huge, 6]);
        // A sum that overflows is the target's fault and nobody's panic.
        integer.positive_buckets = vec![i64::MAX, i64::MAX];
        integer.positive_spans = spans(&[(1, 2)]);
        integer.schema = 0;
        integer.reduce_resolution(-1).unwrap();
        assert_eq!(integer.positive_buckets, [-2]);
        integer.schema = CUSTOM_BUCKETS_SCHEMA;
        assert!(integer.reduce_resolution(-1).is_err());
    }
}
