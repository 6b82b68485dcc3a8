//! Histograms without their buckets, where only counts and sums matter.
//!
//! `histogram_count(rate(h[5m]))` needs no buckets, except to find resets: so these are looked for
//! first, and told by the hint of what is left.

use std::sync::Arc;

use model::FloatHistogram;
use model::histogram::CounterResetHint;

use crate::point::Histogram;

/// Takes the buckets out of the samples of one series, oldest first.
pub(crate) fn strip(samples: &mut [(i64, Histogram)]) {
    let mut previous: Option<Histogram> = None;
    for (_, sample) in samples {
        let full = Arc::clone(sample);
        if full.is_stale() {
            continue;
        }
        let hint = match (full.counter_reset_hint, &previous) {
            (CounterResetHint::Unknown, Some(previous)) => {
                if full.detect_reset(previous) {
                    CounterResetHint::Reset
                } else {
                    CounterResetHint::NotReset
                }
            }
            (hint, _) => hint,
        };
        *sample = Arc::new(FloatHistogram {
            counter_reset_hint: hint,
            schema: full.schema,
            count: full.count,
            sum: full.sum,
            ..FloatHistogram::default()
        });
        previous = Some(full);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_are_found_before_buckets_go() {
        let sample = |count: f64, bucket: f64| {
            Arc::new(FloatHistogram {
                count,
                zero_count: bucket,
                ..FloatHistogram::default()
            })
        };
        let mut samples = [
            (0, sample(1.0, 1.0)),
            (1, sample(2.0, 1.0)),
            (2, sample(3.0, 0.0)),
        ];
        strip(&mut samples);
        let hints = samples.each_ref().map(|(_, h)| h.counter_reset_hint);
        use CounterResetHint::{NotReset, Reset, Unknown};
        assert_eq!(hints, [Unknown, NotReset, Reset]);
        assert_eq!(samples[1].1.zero_count, 0.0);
    }
}
