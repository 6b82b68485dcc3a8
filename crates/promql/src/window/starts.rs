//! What the starts of counters say beside their values.
//!
//! A counter that started after the sample before was reset, even if its value does not show it.
//! And one that started within a range counted from zero there: nothing need be guessed of what was
//! before its first sample.

use std::ops::Range;

use super::Borders;

/// When a sample was taken, and when its counter had started: 0 if that is not known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    pub(crate) time_ms: i64,
    pub(crate) start_ms: i64,
}

impl Counted {
    /// Of a sample in a list; `starts` is empty if none is known.
    #[inline]
    pub(crate) fn at(times: &[i64], starts: &[i64], at: usize) -> Counted {
        Counted {
            time_ms: times[at],
            start_ms: starts.get(at).copied().unwrap_or(0),
        }
    }

    /// Whether the counter started anew after the sample before.
    #[inline]
    pub(crate) fn is_reset_since(self, before: Counted) -> bool {
        // A start that is not before its sample is wrong, or says that it is not known.
        let is_known = |of: Counted| of.start_ms != 0 && of.start_ms < of.time_ms;
        if !is_known(self) || self.start_ms < before.time_ms {
            return false;
        }
        // One that starts with the sample before counts what came since, as long as that one had a
        // start of its own. Else it is a counter that was watched from then on.
        self.start_ms > before.time_ms || is_known(before)
    }

    /// Whether the counter started before the sample before, but not where that one did.
    #[inline]
    pub(crate) fn overlaps(self, before: Counted) -> bool {
        self.start_ms != 0 && self.start_ms < before.time_ms && self.start_ms != before.start_ms
    }
}

/// The start of a window's first sample, if the window has seen it.
#[inline]
pub(crate) fn start_inside(first: Counted, borders: Borders) -> Option<i64> {
    let start_ms = first.start_ms;
    let inside = start_ms != 0 && start_ms > borders.start_ms && start_ms < first.time_ms;
    inside.then_some(start_ms)
}

/// By how much the difference since `start_ms` is stretched to the end of the range, as
/// [`extrapolation`](super::extrapolation) does it. Of a single sample it is not known what an
/// interval is, so it is not stretched.
pub(crate) fn extrapolation_after(
    start_ms: i64,
    (first_ms, last_ms): (i64, i64),
    count: usize,
    borders: Borders,
) -> f64 {
    let counted = (last_ms - start_ms) as f64 / 1000.0;
    let average = if count > 1 {
        (last_ms - first_ms) as f64 / 1000.0 / (count - 1) as f64
    } else {
        0.0
    };
    let mut to_end = (borders.end_ms - last_ms) as f64 / 1000.0;
    if to_end >= average * 1.1 {
        to_end = average / 2.0;
    }
    (counted + to_end) / counted
}

/// How many samples up to each one overlap with the one before them; empty if no start is known.
pub(crate) struct Overlapping(Vec<u32>);

/// Counts the samples whose start overlaps.
pub(crate) fn overlapping(times: &[i64], starts: &[i64]) -> Overlapping {
    if starts.is_empty() {
        return Overlapping(Vec::new());
    }
    let of = |at| Counted::at(times, starts, at);
    let mut seen = 0;
    let count = |at| {
        seen += u32::from(at > 0 && of(at).overlaps(of(at - 1)));
        seen
    };
    Overlapping((0..times.len()).map(count).collect())
}

impl Overlapping {
    /// Whether any of these samples, the first one left out, overlaps with the one before it.
    #[inline]
    pub(crate) fn any(&self, samples: Range<usize>) -> bool {
        !self.0.is_empty() && self.0[samples.end - 1] > self.0[samples.start]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_and_overlaps() {
        let counted = |time_ms, start_ms| Counted { time_ms, start_ms };
        for (before, after, is_reset, overlaps) in [
            ((10, 0), (20, 0), false, false),
            // The same start, and one in between.
            ((10, 5), (20, 5), false, false),
            ((10, 5), (20, 11), true, false),
            // Since the sample before: a delta only if that has a start.
            ((10, 5), (20, 10), true, false),
            ((10, 0), (20, 10), false, false),
            ((10, 10), (20, 10), false, false),
            ((10, 11), (20, 10), false, false),
            // Not before its own sample.
            ((10, 5), (20, 20), false, false),
            ((10, 5), (20, 21), false, false),
            // Before the sample before, but moved.
            ((10, 5), (20, 4), false, true),
            ((10, 0), (20, 4), false, true),
        ] {
            let (before, after) = (counted(before.0, before.1), counted(after.0, after.1));
            assert_eq!(
                after.is_reset_since(before),
                is_reset,
                "{before:?} {after:?}"
            );
            assert_eq!(after.overlaps(before), overlaps, "{before:?} {after:?}");
        }
    }
}
