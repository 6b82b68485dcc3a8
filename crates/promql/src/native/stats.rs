//! Histograms without their buckets, where only counts and sums matter.
//!
//! `histogram_count(rate(h[5m]))` needs no buckets, except to find resets: so these are looked for
//! first, and told by the hint of what is left. Upstream does so while it reads: where it jumps over
//! samples that no window needs, it does not know what was before, and says neither reset nor none
//! (promql/histogram_stats_iterator.go).

use std::sync::Arc;

use model::FloatHistogram;
use model::histogram::CounterResetHint;
use storage::Samples;

use crate::point::Histogram;
use crate::window::Windows;

/// Takes the buckets out of the samples of one series, which are read for windows of this width.
pub(crate) fn strip(samples: &mut Samples, windows: &Windows, width_ms: i64) {
    let jumps = jumps(samples, windows, width_ms);
    strip_between(&mut samples.histograms, jumps);
}

/// Times to which reading jumps: the step before left it at a sample that lies before its window.
fn jumps(samples: &Samples, windows: &Windows, width_ms: i64) -> Vec<i64> {
    let mut jumps = Vec::new();
    for step in 1..windows.steps.count {
        let end_ms = windows.end_ms(step - 1);
        let float = samples.timestamps.partition_point(|t| *t < end_ms);
        let histogram = samples.histograms.partition_point(|(t, _)| *t < end_ms);
        let float = samples.timestamps.get(float).copied();
        let histogram = samples.histograms.get(histogram).map(|(t, _)| *t);
        let Some(at_ms) = float.into_iter().chain(histogram).min() else {
            break;
        };
        let from_ms = windows.end_ms(step) - width_ms;
        if from_ms > at_ms {
            jumps.push(from_ms);
        }
    }
    jumps
}

fn strip_between(histograms: &mut [(i64, Histogram)], jumps: Vec<i64>) {
    let mut jumps = jumps.into_iter().peekable();
    let mut previous: Option<Histogram> = None;
    for (time_ms, sample) in histograms {
        while jumps.next_if(|from_ms| *from_ms <= *time_ms).is_some() {
            previous = None;
        }
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
        use CounterResetHint::{NotReset, Reset, Unknown};
        let again = samples.clone();
        strip_between(&mut samples, Vec::new());
        let hints = samples.each_ref().map(|(_, h)| h.counter_reset_hint);
        assert_eq!(hints, [Unknown, NotReset, Reset]);
        assert_eq!(samples[1].1.zero_count, 0.0);
        // Nothing is known of what a jump leaves behind.
        samples = again;
        strip_between(&mut samples, vec![1]);
        let hints = samples.each_ref().map(|(_, h)| h.counter_reset_hint);
        assert_eq!(hints, [Unknown, Unknown, Reset]);
    }
}
