//! Native histograms as storage keeps them: a layout and numbers.
//!
//! Which buckets a histogram has (its [`Layout`]) hardly ever changes; what they count does. So a
//! histogram is a shared layout and a line of 64-bit words: the count, the count of the zero
//! bucket, the sum, then the positive and the negative buckets. Words of counts are whole numbers
//! or, in histograms with float counts, bits of floats, as those of sums always are.
//!
//! What is said of counter resets is worked out when a histogram is taken ([`hint_after`]) and
//! holds between it and the one before. Whoever takes one out or puts one in between sets the next
//! one's to unknown.

mod column;
pub(crate) mod item;
mod layout;

use std::sync::Arc;

use model::histogram::CounterResetHint;
use model::{FloatHistogram, Histogram, STALE_NAN_BITS};
use storage::HistogramValue;

pub use column::{HistogramColumn, TimedHistograms};
pub(crate) use layout::{BUCKETS_MAX, Layout};

/// Words before the buckets: count, count of the zero bucket, sum.
pub(crate) const TOTALS: usize = 3;
const COUNT: usize = 0;
const ZERO_COUNT: usize = 1;
pub(crate) const SUM: usize = 2;

/// A histogram in storage.
#[derive(Debug, Clone, Copy)]
pub struct HistogramRef<'a> {
    pub(crate) layout: &'a Arc<Layout>,
    /// [`CounterResetHint::Unknown`], [`CounterResetHint::NotReset`] or
    /// [`CounterResetHint::Gauge`].
    pub(crate) hint: CounterResetHint,
    /// As many as the layout says.
    pub(crate) words: &'a [u64],
}

/// The same with its own words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OwnedHistogram {
    pub(crate) layout: Arc<Layout>,
    pub(crate) hint: CounterResetHint,
    pub(crate) words: Box<[u64]>,
}

impl OwnedHistogram {
    pub(crate) fn as_ref(&self) -> HistogramRef<'_> {
        HistogramRef {
            layout: &self.layout,
            hint: self.hint,
            words: &self.words,
        }
    }
}

impl HistogramRef<'_> {
    /// Whether the counts are whole numbers.
    #[must_use]
    pub fn is_integer(&self) -> bool {
        !self.layout.is_float
    }

    /// Whether this is a staleness marker.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.words[SUM] == STALE_NAN_BITS
    }

    /// Whether both have the same buckets and count the same.
    pub(crate) fn same_data(&self, other: &HistogramRef<'_>) -> bool {
        self.layout == other.layout && self.words == other.words
    }

    /// With counts as floats.
    #[must_use]
    pub fn to_float(&self) -> FloatHistogram {
        let layout = &**self.layout;
        let count = |word: u64| match layout.is_float {
            true => f64::from_bits(word),
            // What is negative here came from outside and was let through by a tool.
            false => word.cast_signed() as f64,
        };
        let total = |word: u64| match layout.is_float {
            true => f64::from_bits(word),
            false => word as f64,
        };
        let (positive, negative) = self.buckets();
        FloatHistogram {
            counter_reset_hint: self.hint,
            schema: layout.schema,
            zero_threshold: f64::from_bits(layout.zero_threshold_bits),
            zero_count: total(self.words[ZERO_COUNT]),
            count: total(self.words[COUNT]),
            sum: f64::from_bits(self.words[SUM]),
            positive_spans: layout.positive.to_vec(),
            negative_spans: layout.negative.to_vec(),
            positive_buckets: positive.iter().map(|&word| count(word)).collect(),
            negative_buckets: negative.iter().map(|&word| count(word)).collect(),
            custom_values: layout.custom_values.to_vec(),
        }
    }

    /// With counts as the whole numbers that they are, if they are.
    #[must_use]
    pub fn to_integer(&self) -> Option<Histogram> {
        let layout = &**self.layout;
        let (positive, negative) = self.buckets();
        let counts = |words: &[u64]| words.iter().map(|word| word.cast_signed()).collect();
        self.is_integer().then(|| Histogram {
            counter_reset_hint: self.hint,
            schema: layout.schema,
            zero_threshold: f64::from_bits(layout.zero_threshold_bits),
            zero_count: self.words[ZERO_COUNT],
            count: self.words[COUNT],
            sum: f64::from_bits(self.words[SUM]),
            positive_spans: layout.positive.to_vec(),
            negative_spans: layout.negative.to_vec(),
            positive_buckets: counts(positive),
            negative_buckets: counts(negative),
            custom_values: layout.custom_values.to_vec(),
        })
    }

    fn buckets(&self) -> (&[u64], &[u64]) {
        self.words[TOTALS..].split_at(self.layout.positive_buckets())
    }
}

/// Appends the words of a histogram.
pub(crate) fn put_words(value: HistogramValue<'_>, out: &mut Vec<u64>) {
    match value {
        HistogramValue::Integer(h) => {
            out.extend([h.count, h.zero_count, h.sum.to_bits()]);
            let buckets = h.positive_buckets.iter().chain(&h.negative_buckets);
            out.extend(buckets.map(|count| count.cast_unsigned()));
        }
        HistogramValue::Float(h) => {
            out.extend([h.count, h.zero_count, h.sum].map(f64::to_bits));
            let buckets = h.positive_buckets.iter().chain(&h.negative_buckets);
            out.extend(buckets.map(|count| count.to_bits()));
        }
    }
}

/// What is to be stored of counter resets with a histogram that says `given` and comes after
/// `previous`: that there was none, if that is sure, else nothing. Gauges are gauges.
///
/// As `FloatHistogram::stored_hint`; with an unchanged layout it costs a comparison a bucket.
pub(crate) fn hint_after(
    previous: Option<HistogramRef<'_>>,
    given: CounterResetHint,
    now: HistogramRef<'_>,
) -> CounterResetHint {
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    let Some(previous) = previous.filter(|previous| previous.hint != Gauge) else {
        return if given == Gauge { Gauge } else { Unknown };
    };
    match given {
        Gauge => return Gauge,
        Reset => return Unknown,
        Unknown | NotReset => {}
    }
    if previous.is_stale() != now.is_stale() || previous.is_integer() != now.is_integer() {
        return Unknown;
    }
    if previous.layout == now.layout {
        let pairs = previous.words.iter().zip(now.words).enumerate();
        let mut counts = pairs.filter(|(at, _)| *at != SUM);
        let fell = match now.is_integer() {
            true => counts.any(|(_, (before, now))| now.cast_signed() < before.cast_signed()),
            false => {
                counts.any(|(_, (before, now))| f64::from_bits(*now) < f64::from_bits(*before))
            }
        };
        return if fell { Unknown } else { NotReset };
    }
    let mut now = now.to_float();
    now.counter_reset_hint = Unknown;
    now.stored_hint(Some(&previous.to_float()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use model::histogram::{CUSTOM_BUCKETS_SCHEMA, Span};

    /// A histogram of some shape: counts grow with `n` within a shape.
    pub(crate) fn example(shape: u64, n: u64) -> Histogram {
        let span = |offset, length| Span { offset, length };
        let buckets: Vec<i64> = (0..4).map(|b| (n / (b + 1) + b) as i64).collect();
        let mut histogram = Histogram {
            schema: (shape % 3) as i32,
            zero_threshold: 0.001,
            zero_count: n / 3,
            sum: n as f64 * 1.5,
            positive_spans: vec![span(shape as i32 - 2, 1), span(2, 3)],
            positive_buckets: buckets.clone(),
            negative_spans: vec![span(3, 2)],
            negative_buckets: vec![n as i64, 0],
            ..Histogram::default()
        };
        if shape % 4 == 3 {
            histogram = Histogram {
                schema: CUSTOM_BUCKETS_SCHEMA,
                sum: 0.1 * n as f64,
                positive_spans: vec![span(0, 4)],
                positive_buckets: buckets,
                custom_values: vec![0.5, 1.0, 2.5, 10.0],
                ..Histogram::default()
            };
        }
        let all = histogram.positive_buckets.iter();
        let all = all.chain(&histogram.negative_buckets);
        histogram.count = histogram.zero_count + all.map(|count| *count as u64).sum::<u64>();
        histogram
    }

    pub(crate) fn owned(value: HistogramValue<'_>) -> OwnedHistogram {
        let mut words = Vec::new();
        put_words(value, &mut words);
        OwnedHistogram {
            layout: Arc::new(Layout::of(value)),
            hint: CounterResetHint::Unknown,
            words: words.into(),
        }
    }

    #[test]
    fn comes_back_as_it_was() {
        for shape in 0..4 {
            let integer = example(shape, 70);
            let kept = owned(HistogramValue::Integer(&integer));
            assert_eq!(kept.as_ref().to_integer(), Some(integer.clone()));
            assert_eq!(kept.as_ref().to_float(), integer.to_float());
            let mut float = integer.to_float();
            float.positive_buckets[0] = 0.25;
            let kept = owned(HistogramValue::Float(&float));
            assert_eq!(kept.as_ref().to_float(), float);
            assert_eq!(kept.as_ref().to_integer(), None);
        }
    }

    #[test]
    fn hints_are_those_of_the_model() {
        use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
        for (before, after) in [(5, 9), (9, 5), (5, 5)] {
            for shapes in 0..16 {
                for given in [Unknown, Reset, NotReset, Gauge] {
                    for float in [false, true] {
                        let (a, b) = (example(shapes / 4, before), example(shapes % 4, after));
                        let (fa, fb) = (a.to_float(), b.to_float());
                        let value = |i, f| match float {
                            true => HistogramValue::Float(f),
                            false => HistogramValue::Integer(i),
                        };
                        let (a, b) = (owned(value(&a, &fa)), owned(value(&b, &fb)));
                        let mut model = fb.clone();
                        // A scrape cannot know that nothing was reset: what it says is not believed.
                        model.counter_reset_hint = if given == NotReset { Unknown } else { given };
                        let want = model.stored_hint(Some(&fa));
                        let got = hint_after(Some(a.as_ref()), given, b.as_ref());
                        assert_eq!(got, want, "{before} {after} {shapes} {given:?} {float}");
                    }
                }
            }
        }
        let one = owned(HistogramValue::Integer(&example(0, 1)));
        assert_eq!(hint_after(None, NotReset, one.as_ref()), Unknown);
        assert_eq!(hint_after(None, Gauge, one.as_ref()), Gauge);
    }
}
