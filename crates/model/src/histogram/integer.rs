//! Histograms that count in whole numbers, as instrumented programs do.

use super::{CounterResetHint, FloatHistogram, Span};

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
}
