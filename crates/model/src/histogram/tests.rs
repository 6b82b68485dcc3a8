//! What holds for operations on histograms as a whole.

use proptest::prelude::*;

use super::*;

fn spans(pairs: &[(i32, u32)]) -> Vec<Span> {
    let spans = pairs
        .iter()
        .map(|&(offset, length)| Span { offset, length });
    spans.collect()
}

fn exponential(schema: i32, offset: i32, buckets: &[f64]) -> FloatHistogram {
    FloatHistogram {
        schema,
        count: buckets.iter().sum(),
        positive_spans: spans(&[(offset, buckets.len() as u32)]),
        positive_buckets: buckets.to_vec(),
        ..FloatHistogram::default()
    }
}

fn custom(bounds: &[f64], buckets: &[f64]) -> FloatHistogram {
    FloatHistogram {
        custom_values: bounds.to_vec(),
        ..exponential(CUSTOM_BUCKETS_SCHEMA, 0, buckets)
    }
}

fn buckets(histogram: &FloatHistogram) -> Vec<(i32, f64)> {
    let buckets = histogram.positive().map(|b| (b.index, b.count));
    buckets.collect()
}

#[test]
fn sums_of_different_layouts() {
    let mut sum = exponential(0, 1, &[1.0, 2.0]);
    sum.add(&exponential(0, -1, &[5.0, 0.0, 7.0])).unwrap();
    assert_eq!(buckets(&sum), [(-1, 5.0), (0, 0.0), (1, 8.0), (2, 2.0)]);
    sum.compact(0);
    assert_eq!(sum.positive_spans, spans(&[(-1, 1), (1, 2)]));
    assert_eq!(sum.count, 15.0);
}

#[test]
fn the_coarser_schema_stays() {
    let fine = exponential(1, 1, &[1.0, 2.0, 4.0]);
    let coarse = exponential(0, 1, &[10.0]);
    let mut sum = fine.clone();
    sum.add(&coarse).unwrap();
    assert_eq!((sum.schema, buckets(&sum)), (0, vec![(1, 13.0), (2, 4.0)]));
    let mut difference = coarse;
    difference.subtract(&fine).unwrap();
    assert_eq!(buckets(&difference), [(1, 7.0), (2, -4.0)]);
}

#[test]
fn the_wider_zero_bucket_stays() {
    let mut wide = exponential(0, 3, &[1.0]);
    wide.zero_threshold = 1.5;
    wide.zero_count = 10.0;
    // Buckets end at 1, 2, 4: the second is cut at 1.5, so that the zero bucket becomes 2 wide.
    let narrow = exponential(0, 0, &[1.0, 2.0, 4.0]);
    for (mut sum, other) in [(wide.clone(), narrow.clone()), (narrow, wide)] {
        sum.add(&other).unwrap();
        sum.compact(0);
        assert_eq!((sum.zero_threshold, sum.zero_count), (2.0, 13.0));
        assert_eq!(buckets(&sum), [(2, 4.0), (3, 1.0)]);
    }
}

#[test]
fn common_custom_bounds_stay() {
    let a = custom(&[1.0, 2.0, 5.0], &[1.0, 2.0, 3.0, 4.0]);
    let b = custom(&[2.0, 3.0, 5.0], &[10.0, 20.0, 30.0, 40.0]);
    let mut sum = a.clone();
    assert!(sum.add(&b).unwrap().bounds_reconciled);
    assert_eq!(sum.custom_values, [2.0, 5.0]);
    assert_eq!(buckets(&sum), [(0, 13.0), (1, 53.0), (2, 44.0)]);
    let mut same = a.clone();
    assert!(!same.add(&a).unwrap().bounds_reconciled);
    let mut mixed = a;
    assert_eq!(
        mixed.add(&exponential(0, 0, &[1.0])),
        Err(HistogramError::IncompatibleSchemas)
    );
}

#[test]
fn hints_of_sums() {
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    for (a, b, hint, collides) in [
        (Unknown, Unknown, Unknown, false),
        (Reset, Reset, Reset, false),
        (Gauge, Reset, Gauge, false),
        (NotReset, Gauge, Gauge, false),
        (Unknown, Reset, Unknown, false),
        (NotReset, Unknown, Unknown, false),
        (Reset, NotReset, Unknown, true),
        (NotReset, Reset, Unknown, true),
    ] {
        let with = |hint| FloatHistogram {
            counter_reset_hint: hint,
            ..FloatHistogram::default()
        };
        let mut sum = with(a);
        let combined = sum.add(&with(b)).unwrap();
        assert_eq!(combined.counter_reset_collision, collides, "{a:?} {b:?}");
        assert_eq!(sum.counter_reset_hint, hint, "{a:?} {b:?}");
    }
}

#[test]
fn compensated_sums_lose_nothing() {
    let mut sum = exponential(0, 0, &[1.0]);
    let mut lost = None;
    let summands = [(0, 1e100), (-1, 3.0), (0, 1.0), (0, -1e100)];
    for (offset, value) in summands {
        sum.add_compensated(&exponential(0, offset, &[value]), &mut lost)
            .unwrap();
    }
    sum.settle(lost);
    assert_eq!(buckets(&sum), [(-1, 3.0), (0, 2.0)]);
    assert_eq!(sum.count, 5.0);
}

#[test]
fn resets() {
    let base = exponential(0, 0, &[1.0, 2.0]);
    let later = |change: &dyn Fn(&mut FloatHistogram)| {
        let mut later = base.clone();
        change(&mut later);
        later.detect_reset(&base)
    };
    assert!(!later(&|_| {}));
    assert!(!later(&|h| h.positive_buckets[1] = 5.0));
    assert!(later(&|h| h.positive_buckets[1] = 1.0));
    assert!(later(&|h| h.count = 2.0));
    assert!(later(&|h| h.positive_spans[0].offset = 1));
    assert!(later(&|h| h.schema = 1));
    assert!(later(&|h| h.counter_reset_hint = CounterResetHint::Reset));
    assert!(!later(&|h| {
        h.counter_reset_hint = CounterResetHint::NotReset;
        h.count = 0.0;
    }));
    // A coarser schema with the same observations is no reset.
    assert!(!exponential(-1, 0, &[1.0, 2.0]).detect_reset(&base));
    assert!(exponential(-1, 0, &[1.0, 1.5]).detect_reset(&base));
    // A wider zero bucket is none unless it ends within a populated bucket.
    let widened = |threshold: f64| {
        let mut widened = exponential(0, 1, &[2.0]);
        (widened.zero_threshold, widened.zero_count) = (threshold, 1.0);
        widened.count = 3.0;
        widened.detect_reset(&base)
    };
    assert!(!widened(1.0));
    assert!(widened(1.5));
    let custom_base = custom(&[1.0, 2.0], &[1.0, 1.0, 1.0]);
    assert!(!custom(&[2.0], &[2.0, 1.0]).detect_reset(&custom_base));
    assert!(custom(&[2.0], &[1.0, 2.0]).detect_reset(&custom_base));
    assert!(custom_base.detect_reset(&exponential(0, 0, &[1.0])));
}

#[test]
fn hints_that_a_storage_gives() {
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    let with = |hint, counts: &[f64]| FloatHistogram {
        counter_reset_hint: hint,
        ..exponential(0, 0, counts)
    };
    let before = with(Unknown, &[1.0, 2.0]);
    let after = with(NotReset, &[2.0, 2.0]);
    assert_eq!(after.stored_hint(None), Unknown);
    assert_eq!(after.stored_hint(Some(&before)), NotReset);
    assert_eq!(before.stored_hint(Some(&after)), Unknown);
    assert_eq!(with(Reset, &[3.0, 3.0]).stored_hint(Some(&before)), Unknown);
    assert_eq!(with(Gauge, &[3.0, 3.0]).stored_hint(Some(&before)), Gauge);
    assert_eq!(after.stored_hint(Some(&with(Gauge, &[1.0]))), Unknown);
    assert_eq!(
        exponential(-1, 0, &[9.0]).stored_hint(Some(&before)),
        Unknown
    );
}

#[test]
fn trims() {
    #[track_caller]
    fn check(of: &FloatHistogram, at: f64, trim: Trim, left: &[(i32, f64)], count: f64, sum: f64) {
        let mut trimmed = of.clone();
        trimmed.trim(at, trim);
        assert_eq!(buckets(&trimmed), left);
        assert_eq!((trimmed.count, trimmed.sum), (count, sum));
    }
    let mut h = exponential(0, 1, &[2.0, 4.0]);
    h.sum = 12.0;
    let root = |x: f64| x.sqrt();
    check(&h, 4.0, Trim::KeepBelow, &[(1, 2.0), (2, 4.0)], 6.0, 12.0);
    check(&h, 2.0, Trim::KeepBelow, &[(1, 2.0)], 2.0, 2.0 * root(2.0));
    check(&h, 2.0, Trim::KeepAbove, &[(2, 4.0)], 4.0, 4.0 * root(8.0));
    check(&h, 1.0, Trim::KeepBelow, &[], 0.0, 0.0);
    let mut c = custom(&[4.0, 8.0], &[4.0, 4.0, 4.0]);
    c.sum = 100.0;
    check(&c, 6.0, Trim::KeepBelow, &[(0, 4.0), (1, 2.0)], 6.0, 18.0);
    check(&c, 1.0, Trim::KeepBelow, &[(0, 1.0)], 1.0, 0.5);
    check(&c, 8.0, Trim::KeepAbove, &[(2, 4.0)], 4.0, 32.0);
}

#[test]
fn scaling() {
    let mut h = exponential(0, 0, &[2.0]);
    h.multiply(-2.0);
    assert_eq!(h.counter_reset_hint, CounterResetHint::Gauge);
    assert_eq!((h.count, buckets(&h)), (-4.0, vec![(0, -4.0)]));
    h.divide(0.0);
    assert_eq!((h.count, buckets(&h)), (f64::NEG_INFINITY, vec![]));
    assert!(h.has_overflow());
}

#[test]
fn sizes_are_upstreams() {
    assert_eq!(FloatHistogram::default().size_in_samples(), 11);
    assert_eq!(exponential(0, 0, &[1.0; 10]).size_in_samples(), 16);
}

fn any_histogram() -> impl Strategy<Value = FloatHistogram> {
    let side = || prop::collection::vec((0_i32..4, prop::collection::vec(0_u32..9, 0..4)), 0..4);
    (-2_i32..4, 0_u32..5, side(), side()).prop_map(|(schema, zero, positive, negative)| {
        let side = |runs: Vec<(i32, Vec<u32>)>| {
            let spans = runs
                .iter()
                .map(|(offset, counts)| (*offset - 1, counts.len() as u32));
            let mut spans = self::spans(&spans.collect::<Vec<_>>());
            for span in spans.iter_mut().skip(1) {
                span.offset += 1;
            }
            let counts = runs.into_iter().flat_map(|(_, counts)| counts);
            (spans, counts.map(f64::from).collect::<Vec<f64>>())
        };
        let (positive_spans, positive_buckets) = side(positive);
        let (negative_spans, negative_buckets) = side(negative);
        let counts = positive_buckets.iter().chain(&negative_buckets);
        let mut histogram = FloatHistogram {
            schema,
            count: counts.sum::<f64>(),
            positive_spans,
            positive_buckets,
            negative_spans,
            negative_buckets,
            ..FloatHistogram::default()
        };
        // Widening the zero bucket takes out what lies within it.
        let zero_bucket = FloatHistogram {
            schema,
            zero_threshold: [0.0, 0.001, 0.5, 1.0, 1.5][zero as usize],
            zero_count: f64::from(zero),
            count: f64::from(zero),
            ..FloatHistogram::default()
        };
        histogram.add(&zero_bucket).unwrap();
        histogram
    })
}

fn total(histogram: &FloatHistogram) -> f64 {
    histogram.ascending().map(|bucket| bucket.count).sum()
}

proptest! {
    #[test]
    fn adding_keeps_all_and_does_not_care_for_order(a in any_histogram(), b in any_histogram()) {
        // A zero bucket that ends at a bound of the finer schema only may cut a bucket of the
        // coarser one; then it matters which of them is the sum.
        if a.schema != b.schema && a.zero_threshold + b.zero_threshold > 0.0 {
            return Ok(());
        }
        let mut sum = a.clone();
        sum.add(&b).unwrap();
        let mut reverse = b.clone();
        reverse.add(&a).unwrap();
        sum.compact(0);
        reverse.compact(0);
        // Counts are small whole numbers: nothing is rounded.
        prop_assert!(sum.same_data(&reverse), "{sum} {reverse}");
        prop_assert_eq!(sum.count, a.count + b.count);
        prop_assert_eq!(total(&sum), sum.count);
        prop_assert!(sum.validate().is_ok());
    }

    #[test]
    fn compensation_changes_nothing_that_is_exact(a in any_histogram(), b in any_histogram(), c in any_histogram()) {
        let mut plain = a.clone();
        let mut compensated = a;
        let mut lost = None;
        for other in [b, c] {
            plain.add(&other).unwrap();
            compensated.add_compensated(&other, &mut lost).unwrap();
        }
        compensated.settle(lost);
        plain.compact(0);
        compensated.compact(0);
        prop_assert!(plain.same_data(&compensated), "{plain} {compensated}");
    }

    #[test]
    fn a_difference_undoes_a_sum(a in any_histogram(), b in any_histogram()) {
        let mut sum = a.clone();
        sum.add(&b).unwrap();
        prop_assert!(!sum.detect_reset(&a) || sum.zero_threshold > a.zero_threshold || a.count > sum.count);
        sum.subtract(&b).unwrap();
        prop_assert_eq!(total(&sum), a.count);
    }

    #[test]
    fn less_resolution_keeps_all(a in any_histogram(), steps in 1_i32..5) {
        let mut reduced = a.clone();
        reduced.reduce_resolution(a.schema - steps).unwrap();
        prop_assert_eq!(total(&reduced), total(&a));
        prop_assert!(!reduced.detect_reset(&a));
    }

    #[test]
    fn compacting_keeps_all(a in any_histogram(), empty_max in 0_u32..3) {
        let mut compact = a.clone();
        compact.compact(empty_max);
        prop_assert_eq!(total(&compact), total(&a));
        prop_assert!(compact.validate().is_ok());
        let again = compact.clone();
        compact.compact(empty_max);
        prop_assert_eq!(compact, again);
    }

    #[test]
    fn trims_of_both_sides_are_all(a in any_histogram(), at in -5.0..5.0_f64) {
        let (mut below, mut above) = (a.clone(), a.clone());
        below.trim(at, Trim::KeepBelow);
        above.trim(at, Trim::KeepAbove);
        prop_assert!((below.count + above.count - a.count).abs() < 1e-9);
    }
}
