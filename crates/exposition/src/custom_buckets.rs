//! Classic histograms as native ones with custom buckets (NHCB).
//!
//! A classic histogram comes in parts: count, sum, and one cumulated count per bucket. They are
//! collected here in any order and become one native histogram whose bounds are the classic ones.

use gocompat::strconv::format_float_g;
use model::histogram::{CUSTOM_BUCKETS_SCHEMA, Span};
use model::{FloatHistogram, Histogram};

/// Buckets of one histogram. Putting one before the others moves them, so that more would take
/// long; no program has nearly as many.
const BUCKETS_MAX: usize = 10_000;

/// Gaps of so many empty buckets are filled in histograms of whole numbers.
const EMPTY_KEPT_MAX: u32 = 2;

/// What is collected of one classic histogram.
#[derive(Debug, Default)]
pub(crate) struct ClassicHistogram {
    /// Sorted by bound.
    buckets: Vec<Bucket>,
    count: Option<f64>,
    sum: f64,
    /// The first thing that was wrong.
    error: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    bound: f64,
    /// Cumulative.
    count: f64,
}

/// A converted histogram.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Converted {
    Integer(Histogram),
    Float(FloatHistogram),
}

impl ClassicHistogram {
    pub(crate) fn clear(&mut self) {
        self.buckets.clear();
        self.count = None;
        self.sum = 0.0;
        self.error = None;
    }

    pub(crate) fn set_sum(&mut self, sum: f64) {
        self.sum = sum;
    }

    pub(crate) fn set_count(&mut self, count: f64) {
        if count < 0.0 {
            let count = format_float_g(count);
            self.refuse(format!("count must be non-negative: count={count}"));
        }
        self.count = Some(count);
    }

    /// A bucket with all up to `bound`. One whose bound was there already is left out.
    pub(crate) fn set_bucket(&mut self, bound: f64, count: f64) {
        if self.error.is_some() {
            return;
        }
        if let Err(error) = self.insert(bound, count) {
            self.refuse(error);
        }
    }

    fn insert(&mut self, bound: f64, count: f64) -> Result<(), String> {
        if bound.is_nan() {
            return Err("bucket boundary must not be NaN".to_owned());
        }
        if count < 0.0 {
            return Err(format!(
                "bucket count must be non-negative: le={}, count={}",
                format_float_g(bound),
                format_float_g(count)
            ));
        }
        if self.buckets.len() >= BUCKETS_MAX {
            return Err(format!("more than {BUCKETS_MAX} buckets in one histogram"));
        }
        // Nearly always it goes to the end.
        let at = match self.buckets.last() {
            Some(last) if last.bound >= bound => {
                self.buckets.partition_point(|other| other.bound < bound)
            }
            _ => self.buckets.len(),
        };
        let not_cumulative = |sign: &str, other: f64| {
            let (count, other) = (format_float_g(count), format_float_g(other));
            Err(format!("count is not cumulative: {count} {sign} {other}"))
        };
        match self.buckets.get(at) {
            Some(same) if same.bound == bound => return Ok(()),
            _ => {}
        }
        if let Some(before) = at.checked_sub(1).map(|before| self.buckets[before])
            && count < before.count
        {
            return not_cumulative("<", before.count);
        }
        if let Some(after) = self.buckets.get(at)
            && count > after.count
        {
            return not_cumulative(">", after.count);
        }
        self.buckets.insert(at, Bucket { bound, count });
        Ok(())
    }

    fn refuse(&mut self, error: String) {
        self.error.get_or_insert(error);
    }

    /// The native histogram: one of whole numbers if all counts are.
    ///
    /// # Errors
    /// If the parts do not fit each other; the text is upstream's.
    pub(crate) fn convert(&mut self) -> Result<Converted, String> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let highest = self.buckets.last().map_or(0.0, |bucket| bucket.count);
        let count = self.count.unwrap_or(highest);
        if self
            .buckets
            .last()
            .is_none_or(|bucket| bucket.bound != f64::INFINITY)
        {
            self.buckets.push(Bucket {
                bound: f64::INFINITY,
                count,
            });
        }
        let whole = self.buckets.iter().all(|bucket| is_i64(bucket.count)) && is_u64(count);
        if whole {
            self.integer(count as u64).map(Converted::Integer)
        } else {
            self.float(count).map(Converted::Float)
        }
    }

    fn integer(&self, count: u64) -> Result<Histogram, String> {
        let last = self.last();
        if count != last.count as u64 {
            return Err(mismatch(count.to_string(), last));
        }
        let mut before = 0;
        let own_counts = self.buckets.iter().map(|bucket| {
            let cumulated = bucket.count as i64;
            cumulated - std::mem::replace(&mut before, cumulated)
        });
        let mut histogram = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: self.spans(),
            positive_buckets: own_counts.collect(),
            custom_values: self.bounds(),
            ..Histogram::default()
        };
        histogram.compact(EMPTY_KEPT_MAX);
        Ok(histogram)
    }

    fn float(&self, count: f64) -> Result<FloatHistogram, String> {
        let last = self.last();
        if count != last.count {
            return Err(mismatch(format_float_g(count), last));
        }
        let mut before = 0.0;
        let own_counts = self
            .buckets
            .iter()
            .map(|bucket| bucket.count - std::mem::replace(&mut before, bucket.count));
        let mut histogram = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: self.spans(),
            positive_buckets: own_counts.collect(),
            custom_values: self.bounds(),
            ..FloatHistogram::default()
        };
        histogram.compact(0);
        Ok(histogram)
    }

    fn last(&self) -> Bucket {
        let none = Bucket {
            bound: f64::INFINITY,
            count: 0.0,
        };
        self.buckets.last().copied().unwrap_or(none)
    }

    fn spans(&self) -> Vec<Span> {
        vec![Span {
            offset: 0,
            length: self.buckets.len() as u32,
        }]
    }

    /// All bounds but +Inf.
    fn bounds(&self) -> Vec<f64> {
        let finite = self.buckets.len() - 1;
        self.buckets[..finite]
            .iter()
            .map(|bucket| bucket.bound)
            .collect()
    }
}

fn mismatch(count: String, last: Bucket) -> String {
    format!(
        "count mismatch: count={count} != le={} count={}",
        format_float_g(last.bound),
        format_float_g(last.count)
    )
}

/// Whether it is a whole number that an `i64` holds; it is not negative.
fn is_i64(count: f64) -> bool {
    count < 9_223_372_036_854_775_808.0 && count.trunc() == count
}

/// Whether it is a whole number that a `u64` holds; it is not negative.
fn is_u64(count: f64) -> bool {
    count < 18_446_744_073_709_551_616.0 && count.trunc() == count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Buckets, and the count if there is one.
    fn collected(buckets: &[(f64, f64)], count: Option<f64>) -> Result<Converted, String> {
        let mut classic = ClassicHistogram::default();
        // What was there before does not matter.
        classic.set_count(-1.0);
        classic.clear();
        for &(bound, count) in buckets {
            classic.set_bucket(bound, count);
        }
        if let Some(count) = count {
            classic.set_count(count);
        }
        classic.set_sum(1.5);
        classic.convert()
    }

    #[track_caller]
    fn check_integer(
        buckets: &[(f64, f64)],
        count: Option<f64>,
        (spans, counts, bounds): (&[(i32, u32)], &[i64], &[f64]),
    ) {
        let Ok(Converted::Integer(histogram)) = collected(buckets, count) else {
            panic!("no histogram of whole numbers");
        };
        assert_eq!(histogram.validate(), Ok(()));
        assert_eq!(histogram.sum, 1.5);
        let got = histogram.positive_spans.iter();
        let got: Vec<_> = got.map(|span| (span.offset, span.length)).collect();
        assert_eq!(
            (got.as_slice(), histogram.positive_buckets.as_slice()),
            (spans, counts)
        );
        assert_eq!(histogram.custom_values, bounds);
    }

    const INF: f64 = f64::INFINITY;

    #[test]
    fn whole_numbers() {
        let all: (&[(i32, u32)], &[i64], &[f64]) = (&[(0, 3)], &[1, 2, 3], &[1.0, 2.0]);
        check_integer(&[(1.0, 1.0), (2.0, 3.0), (INF, 6.0)], Some(6.0), all);
        check_integer(&[(INF, 6.0), (1.0, 1.0), (2.0, 3.0)], None, all);
        check_integer(&[(1.0, 1.0), (2.0, 3.0), (2.0, 9.0)], Some(6.0), all);
        check_integer(&[], Some(2.0), (&[(0, 1)], &[2], &[]));
        check_integer(&[], None, (&[], &[], &[]));
        // Two empty buckets stay, three do not.
        let counts = [(1.0, 1.0), (2.0, 1.0), (3.0, 1.0), (4.0, 2.0), (INF, 2.0)];
        check_integer(
            &counts,
            None,
            (&[(0, 4)], &[1, 0, 0, 1], &[1.0, 2.0, 3.0, 4.0]),
        );
        let counts = [(1.0, 1.0), (2.0, 1.0), (3.0, 1.0), (4.0, 1.0), (INF, 2.0)];
        check_integer(
            &counts,
            None,
            (&[(0, 1), (3, 1)], &[1, 1], &[1.0, 2.0, 3.0, 4.0]),
        );
    }

    #[test]
    fn floats() {
        let Ok(Converted::Float(histogram)) = collected(&[(1.0, 0.5), (2.0, 0.5)], Some(2.0))
        else {
            panic!("no histogram of floats");
        };
        assert_eq!(histogram.validate(), Ok(()));
        assert_eq!(histogram.positive_buckets, [0.5, 1.5]);
        assert_eq!(histogram.count, 2.0);
        let huge = collected(&[(1.0, 9_223_372_036_854_775_808.0)], None);
        assert!(matches!(huge, Ok(Converted::Float(_))));
    }

    #[test]
    fn what_does_not_fit() {
        for (buckets, count, text) in [
            (
                &[(1.0, 2.0), (2.0, 1.0)][..],
                None,
                "count is not cumulative: 1 < 2",
            ),
            (
                &[(2.0, 1.0), (1.0, 2.0)],
                None,
                "count is not cumulative: 2 > 1",
            ),
            (&[(f64::NAN, 1.0)], None, "bucket boundary must not be NaN"),
            (
                &[(0.5, -1.0)],
                None,
                "bucket count must be non-negative: le=0.5, count=-1",
            ),
            (&[], Some(-2.0), "count must be non-negative: count=-2"),
            (
                &[(1.0, 1.0), (INF, 2.0)],
                Some(3.0),
                "count mismatch: count=3 != le=+Inf count=2",
            ),
            (
                &[(1.0, 1.5), (INF, 2.0)],
                Some(3.5),
                "count mismatch: count=3.5 != le=+Inf count=2",
            ),
        ] {
            assert_eq!(collected(buckets, count), Err(text.to_owned()));
        }
        let many: Vec<_> = (0..=BUCKETS_MAX).map(|bound| (bound as f64, 1.0)).collect();
        assert!(collected(&many, None).is_err());
    }
}
