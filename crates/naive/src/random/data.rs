//! Random series: gaps, resets, ends, NaN and infinities.

use std::collections::BTreeMap;

use fastrand::Rng;
use model::{Labels, METRIC_NAME, STALE_NAN};

use crate::{Matrix, Starts};

/// When the series begin.
pub const START_MS: i64 = 1_700_000_000_000;
/// How long they are at most.
pub const SPAN_MS: i64 = 20 * 60_000;

/// What the values are to be like.
#[derive(Debug, Clone, Copy)]
pub struct DataOptions {
    /// Whole numbers only: their sums are exact, whoever adds them up in whatever order.
    pub whole: bool,
    /// What counters have counted when they begin, and twice what they have after a reset.
    pub counted: f64,
    /// Values that overflow or underflow as soon as one calculates with them.
    pub extreme: bool,
    /// A multiple of which all times are, so that windows begin at samples; 1 for any time, at most
    /// 5,000.
    pub grid_ms: i64,
}

impl Default for DataOptions {
    fn default() -> DataOptions {
        DataOptions {
            whole: false,
            counted: 0.0,
            extreme: true,
            grid_ms: 1,
        }
    }
}

/// Two gauges and a counter over the labels `x` and `y`, and a classic histogram over `x` and `le`.
#[must_use]
pub fn data(rng: &mut Rng, options: DataOptions) -> Matrix {
    let mut matrix = Matrix::new();
    for name in ["a", "b", "c_total"] {
        for x in ["1", "2", "3"] {
            for y in ["p", "q"] {
                if rng.u8(..6) > 0 {
                    let labels = [(METRIC_NAME, name), ("x", x), ("y", y)];
                    let series = samples(rng, name == "c_total", options);
                    matrix.insert(Labels::from_pairs(labels), series);
                }
            }
        }
    }
    for x in ["1", "2"] {
        let mut below: Option<Vec<(i64, f64)>> = None;
        for le in ["0.1", "0.5", "1", "+Inf"] {
            let mut series = samples(rng, true, options);
            // Most buckets count what the smaller ones do; some fall behind.
            if let Some(below) = &below
                && rng.u8(..8) > 0
            {
                let times = below.iter().zip(&series);
                series = times.map(|((t, v), (_, own))| (*t, v + own)).collect();
            }
            below = Some(series.clone());
            let labels = [(METRIC_NAME, "h_bucket"), ("x", x), ("le", le)];
            matrix.insert(Labels::from_pairs(labels), series);
        }
    }
    matrix
}

fn samples(rng: &mut Rng, is_counter: bool, options: DataOptions) -> Vec<(i64, f64)> {
    let interval_ms = [5_000, 15_000, 60_000][rng.usize(..3)];
    let jitter_ms = if rng.bool() { 0 } else { interval_ms / 4 };
    let flat = rng.u8(..6) == 0;
    let whole = rng.bool() || options.whole;
    // Unusual values are unusual.
    let odd = if rng.u8(..3) == 0 { 40 } else { 0 };
    let mut at_ms = START_MS + rng.i64(0..interval_ms);
    let mut value = if rng.bool() { 0.0 } else { 1e3 * rng.f64() };
    if is_counter {
        value += options.counted;
    }
    let mut series = Vec::new();
    let on_grid = |at_ms: i64| at_ms - at_ms.rem_euclid(options.grid_ms);
    while at_ms < START_MS + SPAN_MS {
        match rng.u8(..100) {
            0 => at_ms += rng.i64(0..10 * interval_ms),
            1 => series.push((on_grid(at_ms), STALE_NAN)),
            2 if is_counter => value = options.counted / 2.0,
            _ => {
                if !flat && is_counter {
                    value += f64::from(rng.u8(..50));
                } else if !flat {
                    value += 100.0 * (rng.f64() - 0.5);
                }
                let shown = if whole { value.round() } else { value };
                let is_strange = rng.u16(..1000) < odd;
                let shown = if is_strange {
                    strange(rng, options)
                } else {
                    shown
                };
                series.push((on_grid(at_ms), shown));
            }
        }
        at_ms += interval_ms + rng.i64(0..=jitter_ms);
    }
    series
}

fn strange(rng: &mut Rng, options: DataOptions) -> f64 {
    let values = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        -1.0,
        1e308,
        -1e308,
        5e-324,
    ];
    let count = if options.extreme { values.len() } else { 5 };
    values[rng.usize(..count)]
}

/// Starts for most series: those of deltas, of counters that live long, and wrong ones.
#[must_use]
pub fn starts(rng: &mut Rng, data: &Matrix) -> Starts {
    let mut starts = Starts::new();
    for (labels, samples) in data {
        let kind = rng.u8(..5);
        let mut of_series = BTreeMap::new();
        let mut start_ms = START_MS - rng.i64(-120_000..120_000);
        for (at, &(time_ms, value)) in samples.iter().enumerate().skip(1) {
            let (before_ms, before) = samples[at - 1];
            start_ms = match kind {
                0 => before_ms + rng.i64(0..2),
                _ if value < before || rng.u8(..20) == 0 => rng.i64(before_ms..=time_ms),
                1 => start_ms + rng.i64(-1..2),
                _ => start_ms,
            };
            if kind < 4 && rng.u8(..30) > 0 {
                of_series.insert(time_ms, start_ms);
            }
        }
        starts.insert(labels.clone(), of_series);
    }
    starts
}
