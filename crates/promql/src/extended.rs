//! `anchored` and `smoothed` ranges: samples beyond the borders say what happens at them.

use crate::column::{ABSENT, Column, is_present};
use crate::gomath::seconds;
use crate::window::{Reach, Window, Windows};

/// The value at `at_ms` on the line between two samples.
fn interpolate(from: (i64, f64), to: (i64, f64), at_ms: i64, is_counter: bool) -> f64 {
    // A counter that fell started again at zero.
    let start = if is_counter && to.1 < from.1 {
        0.0
    } else {
        from.1
    };
    start + (to.1 - start) * (at_ms - from.0) as f64 / (to.0 - from.0) as f64
}

/// What a range looks like once its borders have values.
struct Bounded {
    /// First and end of the samples strictly inside, relative to the window's samples.
    inner: std::ops::Range<usize>,
    left: f64,
    right: f64,
    /// When the sample was from which the left border has its value.
    first_ms: i64,
}

/// The borders of a window; `None` if nothing lies after its start.
fn bounded(w: &Window<'_>, smoothed: bool, is_counter: bool) -> Option<Bounded> {
    let times = &w.times[w.low..w.high];
    let values = &w.values[w.low..w.high];
    let mut last = times.len() - 1;
    // Of all but the last sample the first after the start, and the one before it.
    let mut first = times[..last]
        .partition_point(|&t| t <= w.start_ms)
        .saturating_sub(1);
    if smoothed {
        last = times[..last].partition_point(|&t| t < w.end_ms);
    }
    if times[last] <= w.start_ms {
        return None;
    }
    let point = |at: usize| (times[at], values[at]);
    let left = if smoothed && times[first] < w.start_ms {
        interpolate(point(first), point(first + 1), w.start_ms, is_counter)
    } else {
        values[first]
    };
    let right = if smoothed && last > 0 && times[last] > w.end_ms {
        interpolate(point(last - 1), point(last), w.end_ms, is_counter)
    } else {
        values[last]
    };
    let first_ms = times[first];
    if first_ms <= w.start_ms {
        first += 1;
    }
    let end = if times[last] >= w.end_ms {
        last
    } else {
        last + 1
    };
    Some(Bounded {
        inner: first..end.max(first),
        left,
        right,
        first_ms,
    })
}

/// `rate`, `increase` and `delta` of a range with borders: no extrapolation.
pub(crate) fn rate(
    w: &Window<'_>,
    windows: &Windows,
    is_counter: bool,
    per_second: bool,
) -> Option<f64> {
    let smoothed = windows.reach == Reach::Smoothed;
    let bounded = bounded(w, smoothed, is_counter)?;
    if smoothed && bounded.first_ms > w.end_ms {
        return None;
    }
    let mut result = bounded.right - bounded.left;
    if is_counter {
        let mut correction = 0.0;
        let mut previous = bounded.left;
        for &value in &w.values[w.low..w.high][bounded.inner] {
            if value < previous {
                correction += previous;
            }
            previous = value;
        }
        if bounded.right < previous {
            correction += previous;
        }
        result += correction;
    }
    Some(if per_second {
        result / seconds(windows.range_ms)
    } else {
        result
    })
}

/// The sample from which an anchored `changes` or `resets` counts: the last one at or before the
/// start of the range, else the first one inside; `None` if nothing lies after the start.
pub(crate) fn anchor(w: &Window<'_>) -> Option<usize> {
    let times = &w.times[w.low..w.high];
    let after = times.partition_point(|&t| t <= w.start_ms);
    (after < times.len()).then(|| w.low + after.saturating_sub(1))
}

/// The points of an extended range itself, borders included.
pub(crate) fn points(w: &Window<'_>, smoothed: bool) -> Vec<(i64, f64)> {
    let Some(bounded) = bounded(w, smoothed, false) else {
        return Vec::new();
    };
    let inner = bounded.inner.start + w.low..bounded.inner.end + w.low;
    let mut points = vec![(w.start_ms, bounded.left)];
    points.extend(inner.map(|at| (w.times[at], w.values[at])));
    points.push((w.end_ms, bounded.right));
    points
}

/// A smoothed instant selector: between its neighbours within the lookback, or the value before.
pub(crate) fn smoothed_instant(times: &[i64], values: &[f64], windows: &Windows) -> Column {
    let mut out = vec![ABSENT; windows.steps.count];
    for (step, out) in out.iter_mut().enumerate() {
        let at_ms = windows.end_ms(step);
        let low = times.partition_point(|&t| t <= at_ms - windows.lookback_ms);
        let high = times.partition_point(|&t| t <= at_ms + windows.lookback_ms);
        let (times, values) = (&times[low..high], &values[low..high]);
        let next = times.partition_point(|&t| t < at_ms);
        *out = if next < times.len() && times[next] == at_ms {
            values[next]
        } else if next > 0 && next < times.len() {
            let (from, to) = (next - 1, next);
            interpolate(
                (times[from], values[from]),
                (times[to], values[to]),
                at_ms,
                false,
            )
        } else if next > 0 {
            values[next - 1]
        } else {
            ABSENT
        };
        debug_assert!(
            next == 0 || is_present(*out),
            "markers are taken out before"
        );
    }
    Column::from_steps(out)
}
