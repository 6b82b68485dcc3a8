//! A summary: quantiles over the last ten minutes, sum and count for ever.
//!
//! Observations go into five windows of two minutes; each keeps at most [`WINDOW_VALUES_MAX`] of
//! them, evenly thinned once it is full, so memory is bounded and quantiles of slow signals are
//! exact. Without an observation in ten minutes a quantile is NaN, as client libraries do it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

/// Windows that together make up what a quantile looks at.
const WINDOWS: usize = 5;
/// Length of one window.
const WINDOW: Duration = Duration::from_secs(120);
/// 512 values a window bound a summary to 20 kB and its rank error to about 1 %.
const WINDOW_VALUES_MAX: usize = 512;

#[derive(Default)]
struct Window {
    /// Number of the window since the clock's start.
    index: u64,
    values: Vec<f64>,
    /// Only every so many-th value is kept.
    stride: u64,
    seen: u64,
}

impl Window {
    fn add(&mut self, value: f64) {
        if self.values.len() == WINDOW_VALUES_MAX {
            let mut at = 0;
            self.values.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.stride *= 2;
        }
        if self.seen.is_multiple_of(self.stride) {
            self.values.push(value);
        }
        self.seen += 1;
    }
}

struct State {
    windows: [Window; WINDOWS],
    sum: f64,
    count: u64,
}

struct Shared {
    quantiles: Vec<f64>,
    clock: clock::SharedClock,
    state: Mutex<State>,
}

/// Observations with quantiles over a sliding time.
#[derive(Clone)]
pub struct Summary(Arc<Shared>);

/// What a summary shows at one moment.
pub(crate) struct Snapshot {
    pub(crate) quantiles: Vec<(f64, f64)>,
    pub(crate) sum: f64,
    pub(crate) count: u64,
}

impl Summary {
    pub(crate) fn new(quantiles: &[f64], clock: clock::SharedClock) -> Summary {
        let state = State {
            windows: Default::default(),
            sum: 0.0,
            count: 0,
        };
        Summary(Arc::new(Shared {
            quantiles: quantiles.to_vec(),
            clock,
            state: Mutex::new(state),
        }))
    }

    fn window_index(&self) -> u64 {
        self.0.clock.monotonic().as_secs() / WINDOW.as_secs()
    }

    /// Counts one observation.
    pub fn observe(&self, value: f64) {
        let index = self.window_index();
        let mut state = self.0.state.lock();
        state.sum += value;
        state.count += 1;
        let window = &mut state.windows[index as usize % WINDOWS];
        if window.index != index || window.stride == 0 {
            *window = Window {
                index,
                values: Vec::new(),
                stride: 1,
                seen: 0,
            };
        }
        window.add(value);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let index = self.window_index();
        let state = self.0.state.lock();
        let recent = |window: &&Window| window.index + WINDOWS as u64 > index;
        // A value of a thinned window stands for as many as were seen per kept one.
        let mut weighted: Vec<(f64, u64)> = Vec::new();
        for window in state.windows.iter().filter(recent) {
            weighted.extend(window.values.iter().map(|&v| (v, window.stride)));
        }
        weighted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total: u64 = weighted.iter().map(|(_, weight)| weight).sum();
        let quantile = |q: f64| {
            let rank = (q * total as f64).ceil().max(1.0) as u64;
            let mut below = 0;
            let found = weighted.iter().find(|(_, weight)| {
                below += weight;
                below >= rank
            });
            found.map_or(f64::NAN, |(value, _)| *value)
        };
        Snapshot {
            quantiles: self.0.quantiles.iter().map(|&q| (q, quantile(q))).collect(),
            sum: state.sum,
            count: state.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_forget_sum_and_count_do_not() {
        let clock = clock::ManualClock::at_ms(0);
        let summary = Summary::new(&[0.5, 0.99], Arc::<clock::ManualClock>::clone(&clock));
        assert!(summary.snapshot().quantiles[0].1.is_nan());
        for value in 1..=10_000 {
            summary.observe(f64::from(value));
        }
        let snapshot = summary.snapshot();
        assert!((snapshot.quantiles[0].1 - 5_000.0).abs() < 100.0);
        assert!((snapshot.quantiles[1].1 - 9_900.0).abs() < 100.0);
        clock.advance(Duration::from_secs(601));
        let snapshot = summary.snapshot();
        assert!(snapshot.quantiles[0].1.is_nan());
        assert_eq!((snapshot.count, snapshot.sum), (10_000, 50_005_000.0));
    }
}
