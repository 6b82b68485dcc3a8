//! Random series: gaps, resets, ends, NaN and infinities.

use fastrand::Rng;
use model::{Labels, METRIC_NAME, STALE_NAN};
use naive::Matrix;
use storage::memory::MemoryStore;

/// When the series begin.
pub(crate) const START_MS: i64 = 1_700_000_000_000;
/// How long they are at most.
pub(crate) const SPAN_MS: i64 = 20 * 60_000;

/// Two gauges and a counter over the labels `x` and `y`, and a classic histogram over `x` and `le`.
pub(crate) fn random(rng: &mut Rng) -> Matrix {
    let mut matrix = Matrix::new();
    for name in ["a", "b", "c_total"] {
        for x in ["1", "2", "3"] {
            for y in ["p", "q"] {
                if rng.u8(..6) > 0 {
                    let labels = [(METRIC_NAME, name), ("x", x), ("y", y)];
                    let series = samples(rng, name == "c_total");
                    matrix.insert(Labels::from_pairs(labels), series);
                }
            }
        }
    }
    for x in ["1", "2"] {
        let mut below: Option<Vec<(i64, f64)>> = None;
        for le in ["0.1", "0.5", "1", "+Inf"] {
            let mut series = samples(rng, true);
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

fn samples(rng: &mut Rng, is_counter: bool) -> Vec<(i64, f64)> {
    let interval_ms = [5_000, 15_000, 60_000][rng.usize(..3)];
    let jitter_ms = if rng.bool() { 0 } else { interval_ms / 4 };
    let flat = rng.u8(..6) == 0;
    let whole = rng.bool();
    // Unusual values are unusual.
    let odd = if rng.u8(..3) == 0 { 40 } else { 0 };
    let mut at_ms = START_MS + rng.i64(0..interval_ms);
    let mut value = if rng.bool() { 0.0 } else { 1e3 * rng.f64() };
    let mut series = Vec::new();
    while at_ms < START_MS + SPAN_MS {
        match rng.u8(..100) {
            0 => at_ms += rng.i64(0..10 * interval_ms),
            1 => series.push((at_ms, STALE_NAN)),
            2 if is_counter => value = 0.0,
            _ => {
                if !flat && is_counter {
                    value += f64::from(rng.u8(..50));
                } else if !flat {
                    value += 100.0 * (rng.f64() - 0.5);
                }
                let shown = if whole { value.round() } else { value };
                series.push((
                    at_ms,
                    if rng.u16(..1000) < odd {
                        strange(rng)
                    } else {
                        shown
                    },
                ));
            }
        }
        at_ms += interval_ms + rng.i64(0..=jitter_ms);
    }
    series
}

fn strange(rng: &mut Rng) -> f64 {
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
    values[rng.usize(..values.len())]
}

/// The same for the engine.
pub(crate) fn store(data: &Matrix) -> MemoryStore {
    let store = MemoryStore::new();
    for (labels, samples) in data {
        for &(time_ms, value) in samples {
            store.insert(labels, time_ms, value);
        }
    }
    store
}
