//! Native histograms: sparse buckets on an exponential or a custom grid.
//!
//! A histogram of an exponential schema has a zero bucket around zero, and positive and negative
//! buckets whose bounds grow by the same factor, `2^(2^-schema)`. One with custom bounds (`NHCB`)
//! has positive buckets only, between the bounds that it lists. Spans say which buckets there are;
//! a bucket that is not there counts nothing.
//!
//! Histograms of different resolution can be combined: the finer one is made coarser, which loses
//! detail but is exact. What combines, compares and cuts them lies in modules of its own below;
//! [`FloatHistogram`] is plain data, which a user may have written: nothing here panics on one that
//! does not [validate](FloatHistogram::validate).
//!
//! Everything is as upstream computes it, to the bit (model/histogram).

mod arithmetic;
mod bounds;
mod buckets;
mod integer;
mod layout;
mod reset;
mod text;
mod trim;
mod validation;
mod zero;

#[cfg(test)]
mod tests;

pub use arithmetic::{Combined, Compensation};
pub use buckets::Bucket;
pub use integer::Histogram;
pub use trim::Trim;
pub use validation::HistogramError;

use layout::Side;

/// Schema of histograms with custom bucket bounds (`NHCB`).
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// The coarsest exponential schema: each bound is 65,536 times the one before.
pub const EXPONENTIAL_SCHEMA_MIN: i32 = -4;

/// The finest exponential schema: each bound is 0.27 % more than the one before.
pub const EXPONENTIAL_SCHEMA_MAX: i32 = 8;

/// What a histogram sample says about a reset of its counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CounterResetHint {
    /// Find out by comparing with the sample before.
    #[default]
    Unknown,
    /// A reset happened right before.
    Reset,
    /// No reset happened.
    NotReset,
    /// Not a counter at all.
    Gauge,
}

/// A run of consecutive buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// Gap to the end of the span before; for the first one, the index of its first bucket.
    pub offset: i32,
    /// How many buckets.
    pub length: u32,
}

/// A native histogram with absolute float bucket counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FloatHistogram {
    /// What is known of a counter reset.
    pub counter_reset_hint: CounterResetHint,
    /// -4 to 8 (growth factor 2^(2^-schema)), or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// Width of the zero bucket: it holds what lies within plus and minus this.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Sum of all observations; the staleness marker here marks the histogram stale.
    pub sum: f64,
    /// Where the positive buckets lie.
    pub positive_spans: Vec<Span>,
    /// Where the negative buckets lie.
    pub negative_spans: Vec<Span>,
    /// Counts of the positive buckets, not cumulated.
    pub positive_buckets: Vec<f64>,
    /// Counts of the negative buckets, not cumulated.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds of custom buckets, without +Inf.
    pub custom_values: Vec<f64>,
}

impl FloatHistogram {
    /// Whether the bounds are custom ones.
    #[must_use]
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Whether this is a staleness marker.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        crate::is_stale_nan(self.sum)
    }

    /// Multiplies all counts and the sum. A negative factor makes it a gauge.
    pub fn multiply(&mut self, factor: f64) {
        self.for_each_count(|count| *count *= factor);
        if factor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
    }

    /// Divides all counts and the sum. A negative divisor makes it a gauge, and 0 leaves no
    /// buckets.
    pub fn divide(&mut self, divisor: f64) {
        if divisor == 0.0 {
            self.positive_spans.clear();
            self.negative_spans.clear();
            self.positive_buckets.clear();
            self.negative_buckets.clear();
        }
        self.for_each_count(|count| *count /= divisor);
        if divisor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
    }

    fn for_each_count(&mut self, change: impl FnMut(&mut f64)) {
        let totals = [&mut self.zero_count, &mut self.count, &mut self.sum];
        totals
            .into_iter()
            .chain(&mut self.positive_buckets)
            .chain(&mut self.negative_buckets)
            .for_each(change);
    }

    /// Whether anything is infinite, as a sum that has grown too large is.
    #[must_use]
    pub fn has_overflow(&self) -> bool {
        let totals = [self.zero_count, self.count, self.sum];
        let lists = [
            &self.positive_buckets,
            &self.negative_buckets,
            &self.custom_values,
        ];
        let mut all = totals.iter().chain(lists.into_iter().flatten());
        all.any(|value| value.is_infinite())
    }

    /// Takes out empty buckets, those at the ends of runs always, those between others if more than
    /// `empty_max` of them follow each other. Shorter gaps are filled, so `empty_max` also says how
    /// much this may grow.
    pub fn compact(&mut self, empty_max: u32) {
        let (positive, negative) = self.take_sides();
        self.put_sides(
            layout::compact(positive, empty_max),
            layout::compact(negative, empty_max),
        );
    }

    /// [`Self::compact`] of a running sum and what it has lost, which keep the same layout.
    fn compact_with(&mut self, lost: &mut FloatHistogram) {
        let (mut positive, mut negative) = self.take_sides();
        positive.lost = std::mem::take(&mut lost.positive_buckets);
        negative.lost = std::mem::take(&mut lost.negative_buckets);
        let mut positive = layout::compact(positive, 0);
        let mut negative = layout::compact(negative, 0);
        lost.positive_buckets = std::mem::take(&mut positive.lost);
        lost.negative_buckets = std::mem::take(&mut negative.lost);
        self.put_sides(positive, negative);
    }

    /// Makes the resolution coarser.
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

    /// Whether two histograms say the same: the same buckets, empty ones included, with the same
    /// values by their bits. The counter reset hint does not matter.
    #[must_use]
    pub fn same_data(&self, other: &FloatHistogram) -> bool {
        let same = |a: f64, b: f64| a.to_bits() == b.to_bits();
        let same_all =
            |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| same(a, b));
        self.schema == other.schema
            && same(self.count, other.count)
            && same(self.sum, other.sum)
            && (!self.uses_custom_buckets() || self.custom_values == other.custom_values)
            && self.zero_threshold == other.zero_threshold
            && same(self.zero_count, other.zero_count)
            && self.has_buckets_of(other)
            && same_all(&self.negative_buckets, &other.negative_buckets)
            && same_all(&self.positive_buckets, &other.positive_buckets)
    }

    /// Whether both have the same buckets, whatever they count.
    #[must_use]
    pub fn has_buckets_of(&self, other: &FloatHistogram) -> bool {
        layout::same_buckets(&self.negative_spans, &other.negative_spans)
            && layout::same_buckets(&self.positive_spans, &other.positive_spans)
    }

    /// What this counts as in limits and statistics that count samples: its size, by upstream's
    /// account, in floats with their timestamps.
    #[must_use]
    pub fn size_in_samples(&self) -> usize {
        /// The struct with its pointer.
        const FIXED_BYTES: usize = 168;
        let words = self.positive_spans.len()
            + self.negative_spans.len()
            + self.positive_buckets.len()
            + self.negative_buckets.len()
            + self.custom_values.len();
        // Its timestamp takes 8 more.
        (FIXED_BYTES + 8 * words + 8) / 16
    }

    /// The bytes of memory that it takes, behind a shared pointer with its two counters.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let spans = self.positive_spans.capacity() + self.negative_spans.capacity();
        let buckets = self.positive_buckets.capacity() + self.negative_buckets.capacity();
        size_of::<FloatHistogram>()
            + 2 * size_of::<usize>()
            + spans * size_of::<Span>()
            + (buckets + self.custom_values.capacity()) * size_of::<f64>()
    }

    fn take_sides(&mut self) -> (Side, Side) {
        let take = |spans: &mut Vec<Span>, buckets: &mut Vec<f64>| Side {
            spans: std::mem::take(spans),
            buckets: std::mem::take(buckets),
            lost: Vec::new(),
        };
        (
            take(&mut self.positive_spans, &mut self.positive_buckets),
            take(&mut self.negative_spans, &mut self.negative_buckets),
        )
    }

    fn put_sides(&mut self, positive: Side, negative: Side) {
        self.positive_spans = positive.spans;
        self.positive_buckets = positive.buckets;
        self.negative_spans = negative.spans;
        self.negative_buckets = negative.buckets;
    }
}

/// How many times the resolution is halved from one schema to the other.
fn reduction(from: i32, to: i32) -> Result<u32, HistogramError> {
    if from == CUSTOM_BUCKETS_SCHEMA || to == CUSTOM_BUCKETS_SCHEMA || to >= from {
        return Err(HistogramError::NotCoarser { from, to });
    }
    Ok(arithmetic::steps_between(from, to))
}
