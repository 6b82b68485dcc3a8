//! Moving windows against windows that are cut out afresh at every step.

use proptest::prelude::*;

use super::*;

/// Samples at odd distances, NaN and equal values among them.
fn samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let value = prop_oneof![
        6 => (0i32..20).prop_map(f64::from),
        1 => Just(f64::NAN),
        2 => -1e3..1e3f64,
    ];
    prop::collection::vec((1i64..40, value), 0..60).prop_map(|steps| {
        let mut time_ms = -200;
        let mut samples = Vec::new();
        for (gap_ms, value) in steps {
            time_ms += gap_ms;
            samples.push((time_ms, value));
        }
        samples
    })
}

/// What a function gives for the samples of one window; none for no value.
fn naive(function: RangeFunction, window: &[(i64, f64)]) -> Option<f64> {
    let values = || window.iter().map(|&(_, value)| value);
    let pairs = || values().zip(values().skip(1));
    let better = |wins: fn(f64, f64) -> bool| {
        values().reduce(|best, value| {
            if wins(value, best) || best.is_nan() {
                value
            } else {
                best
            }
        })
    };
    if window.is_empty() {
        return None;
    }
    match function {
        RangeFunction::CountOverTime => Some(window.len() as f64),
        RangeFunction::FirstOverTime => values().next(),
        RangeFunction::LastOverTime => values().next_back(),
        RangeFunction::MaxOverTime => better(|value, best| value > best),
        RangeFunction::MinOverTime => better(|value, best| value < best),
        RangeFunction::Resets => Some(pairs().filter(|(a, b)| b < a).count() as f64),
        RangeFunction::Changes => {
            let differ = |(a, b): &(f64, f64)| a != b && !(a.is_nan() && b.is_nan());
            Some(pairs().filter(differ).count() as f64)
        }
        RangeFunction::Irate => {
            let [.., (from_ms, from), (to_ms, to)] = window else {
                return None;
            };
            let increase = if to < from { *to } else { to - from };
            Some(increase / ((to_ms - from_ms) as f64 / 1000.0))
        }
        _ => unreachable!("not compared"),
    }
}

proptest! {
    #[test]
    fn moving_windows_give_what_fresh_ones_give(
        samples in samples(),
        start_ms in -300i64..300,
        step_ms in 1i64..120,
        count in 1usize..30,
        range_ms in 1i64..300,
        offset_ms in -50i64..50,
        at_ms in prop::option::of(-300i64..900),
    ) {
        let windows = Windows {
            steps: Steps { start_ms, step_ms, count },
            range_ms,
            offset_ms,
            at_ms,
            reach: Reach::Inside,
            lookback_ms: 300,
        };
        let (times, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
        let walk = Walk { times: &times, values: &values, starts: &[], windows: &windows, per_step: true, deadline: None };
        for function in [
            RangeFunction::CountOverTime,
            RangeFunction::FirstOverTime,
            RangeFunction::LastOverTime,
            RangeFunction::MaxOverTime,
            RangeFunction::MinOverTime,
            RangeFunction::Resets,
            RangeFunction::Changes,
            RangeFunction::Irate,
        ] {
            let (column, counts) = walk.apply(function, &[]);
            let mut total = 0;
            for step in 0..count {
                let end_ms = windows.end_ms(step);
                let inside = |(time_ms, _): &(i64, f64)| {
                    *time_ms > end_ms - range_ms && *time_ms <= end_ms
                };
                let window: Vec<(i64, f64)> = samples.iter().copied().filter(inside).collect();
                let expected = naive(function, &window).unwrap_or(ABSENT);
                let got = column.get(step);
                prop_assert!(
                    got.to_bits() == expected.to_bits() || (
                        crate::column::is_present(got) && got.is_nan() && expected.is_nan()
                    ),
                    "{function:?} at step {step}: {got} instead of {expected}"
                );
                total += window.len() as u64;
                prop_assert_eq!(counts.per_step.as_ref().unwrap()[step].0, window.len() as u64);
            }
            prop_assert_eq!(counts.total, total);
            prop_assert!(counts.read <= counts.total);
        }
    }
}

fn at_one_step(function: RangeFunction, range_ms: i64, samples: &[(i64, f64)]) -> f64 {
    let windows = Windows {
        steps: Steps {
            start_ms: range_ms,
            step_ms: 1,
            count: 1,
        },
        range_ms,
        offset_ms: 0,
        at_ms: None,
        reach: Reach::Inside,
        lookback_ms: 300_000,
    };
    let (times, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
    let walk = Walk {
        deadline: None,
        times: &times,
        values: &values,
        starts: &[],
        windows: &windows,
        per_step: false,
    };
    walk.apply(function, &[]).0.get(0)
}

#[test]
fn rates_reach_to_borders_that_are_near() {
    for (samples, expected) in [
        // T20: a gap of up to 1.1 intervals is covered in full,
        (&[(10_000, 10.0), (30_000, 30.0), (50_000, 50.0)][..], 60.0),
        // a larger one by half an interval,
        (&[(40_000, 100.0), (50_000, 110.0)], 25.0),
        // but a counter never begins below zero,
        (&[(30_000, 2.0), (40_000, 12.0), (50_000, 22.0)], 32.0),
        // and what a reset took away counts.
        (&[(10_000, 30.0), (30_000, 50.0), (50_000, 10.0)], 45.0),
    ] {
        let got = at_one_step(RangeFunction::Increase, 60_000, samples);
        assert!((got - expected).abs() < 1e-9, "{samples:?}: {got}");
    }
    let one = at_one_step(RangeFunction::Rate, 60_000, &[(10_000, 1.0)]);
    assert!(!crate::column::is_present(one), "one sample has no rate");
}

#[test]
fn sums_and_means_are_compensated() {
    let samples = [(1, 1e100), (2, 1.0), (3, -1e100), (4, 3.0)];
    assert_eq!(at_one_step(RangeFunction::SumOverTime, 10, &samples), 4.0);
    assert_eq!(at_one_step(RangeFunction::AvgOverTime, 10, &samples), 1.0);
    let large = [(1, f64::MAX), (2, f64::MAX)];
    assert_eq!(
        at_one_step(RangeFunction::SumOverTime, 10, &large),
        f64::INFINITY
    );
    assert_eq!(
        at_one_step(RangeFunction::AvgOverTime, 10, &large),
        f64::MAX
    );
}
