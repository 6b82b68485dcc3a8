//! Whether a counter was reset between two histograms of it.

use super::arithmetic::{common_bounds, places, steps_between};
use super::layout::{Indexed, reduce};
use super::{CounterResetHint, FloatHistogram, Span, bounds};

impl FloatHistogram {
    /// What a storage says of a reset between `previous`, the sample before, and this one: that
    /// there was none if it has made sure of that, and else nothing, because samples may yet come
    /// in between or go. Gauges stay gauges.
    #[must_use]
    pub fn stored_hint(&self, previous: Option<&FloatHistogram>) -> CounterResetHint {
        use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
        if self.counter_reset_hint == Gauge {
            return Gauge;
        }
        let follows = previous.is_some_and(|previous| {
            let counts_on = FloatHistogram {
                counter_reset_hint: Unknown,
                ..self.clone()
            };
            previous.counter_reset_hint != Gauge
                && self.counter_reset_hint != Reset
                && previous.is_stale() == self.is_stale()
                && previous.schema == self.schema
                && previous.zero_threshold == self.zero_threshold
                && previous.custom_values == self.custom_values
                && !counts_on.detect_reset(previous)
        });
        if follows { NotReset } else { Unknown }
    }

    /// Whether the counter was reset between `previous` and this histogram: if this one says so, or
    /// else if any count is smaller than it was, or if the resolution is finer or the zero bucket
    /// narrower than it was, or if the zero bucket now ends within what was a populated bucket.
    #[must_use]
    pub fn detect_reset(&self, previous: &FloatHistogram) -> bool {
        match self.counter_reset_hint {
            CounterResetHint::Reset => return true,
            CounterResetHint::NotReset => return false,
            // A gauge should not come here; if it does, it is looked at as if it were a counter.
            CounterResetHint::Unknown | CounterResetHint::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        if self.uses_custom_buckets() {
            if !previous.uses_custom_buckets() {
                return true;
            }
            if self.custom_values != previous.custom_values {
                return self.common_bucket_fell(previous);
            }
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let zero = previous.zero_count_within(self.zero_threshold, None);
        if zero.threshold != self.zero_threshold || self.zero_count < zero.count {
            return true;
        }
        let shift = steps_between(previous.schema, self.schema);
        let side_fell = |now: (&[Span], &[f64]), before: (&[Span], &[f64])| {
            bucket_fell(
                self.outside_zero_bucket(now, 0),
                self.outside_zero_bucket(before, shift),
            )
        };
        side_fell(
            (&self.positive_spans, &self.positive_buckets),
            (&previous.positive_spans, &previous.positive_buckets),
        ) || side_fell(
            (&self.negative_spans, &self.negative_buckets),
            (&previous.negative_spans, &previous.negative_buckets),
        )
    }

    /// The buckets of a side in this histogram's schema, without those that end within its zero
    /// bucket.
    fn outside_zero_bucket<'a>(
        &self,
        (spans, buckets): (&'a [Span], &'a [f64]),
        shift: u32,
    ) -> impl Iterator<Item = (i32, f64)> + use<'a> {
        let (schema, threshold) = (self.schema, self.zero_threshold);
        let is_custom = self.uses_custom_buckets();
        reduce(Indexed::new(spans, buckets), shift).skip_while(move |(index, _)| {
            !is_custom && threshold > 0.0 && bounds::exponential(*index, schema) <= threshold
        })
    }

    /// Whether, of the buckets between bounds that both have, any counts less than it did.
    fn common_bucket_fell(&self, previous: &FloatHistogram) -> bool {
        let common = common_bounds(&self.custom_values, &previous.custom_values);
        let now = self.counts_between(&common);
        let before = previous.counts_between(&common);
        now.iter().zip(before).any(|(now, before)| *now < before)
    }

    fn counts_between(&self, common: &[f64]) -> Vec<f64> {
        let mut counts = vec![0.0; common.len() + 1];
        let mut place = places(&self.custom_values, common);
        for (index, count) in Indexed::new(&self.positive_spans, &self.positive_buckets) {
            counts[place(index)] += count;
        }
        counts
    }
}

/// Whether a populated bucket is gone, or counts less than it did.
fn bucket_fell(
    mut now: impl Iterator<Item = (i32, f64)>,
    before: impl Iterator<Item = (i32, f64)>,
) -> bool {
    let mut current = now.next();
    for (index, count) in before {
        while current.is_some_and(|(at, _)| at < index) {
            current = now.next();
        }
        let fell = match current {
            Some((at, current)) if at == index => current < count,
            _ => count != 0.0,
        };
        if fell {
            return true;
        }
    }
    false
}
