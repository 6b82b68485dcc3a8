//! What was deleted and still lies there: stretches of time by series.
//!
//! A block keeps them in a file beside its data, the head in the log. Readers leave out what they
//! cover; whoever writes samples elsewhere (a flush, a merge, `clean_tombstones`) does, too, and
//! the new place has no tombstones any more.

use std::collections::BTreeMap;

use storage::Samples;

use crate::merge::{Mark, retain_tail};

/// First and last millisecond, both included.
pub(crate) type Interval = (i64, i64);

/// Deleted stretches by series; those of one series ascend and do not touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tombstones(BTreeMap<u32, Vec<Interval>>);

impl Tombstones {
    /// Whether nothing is deleted.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a stretch; nothing if it ends before it begins. Whether that changed anything.
    pub(crate) fn add(&mut self, series: u32, (mut min_ms, mut max_ms): Interval) -> bool {
        if min_ms > max_ms || self.covers(series, (min_ms, max_ms)) {
            return false;
        }
        let all = self.0.entry(series).or_default();
        all.retain(|&(from_ms, to_ms)| {
            let apart = to_ms < min_ms.saturating_sub(1) || from_ms > max_ms.saturating_add(1);
            if !apart {
                min_ms = min_ms.min(from_ms);
                max_ms = max_ms.max(to_ms);
            }
            apart
        });
        let at = all.partition_point(|&(from_ms, _)| from_ms < min_ms);
        all.insert(at, (min_ms, max_ms));
        true
    }

    /// The stretches of a series.
    pub(crate) fn of(&self, series: u32) -> &[Interval] {
        self.0.get(&series).map_or(&[], Vec::as_slice)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (u32, &[Interval])> {
        self.0.iter().map(|(series, all)| (*series, all.as_slice()))
    }

    /// Whether all of a stretch is deleted.
    pub(crate) fn covers(&self, series: u32, (min_ms, max_ms): Interval) -> bool {
        let mut all = self.of(series).iter();
        all.any(|&(from_ms, to_ms)| from_ms <= min_ms && max_ms <= to_ms)
    }

    /// Forgets what ends before `ms`.
    pub(crate) fn forget_before(&mut self, ms: i64) {
        self.0.retain(|_, all| {
            all.retain(|&(_, to_ms)| to_ms >= ms);
            !all.is_empty()
        });
    }
}

/// Whether a time lies in one of the stretches.
pub(crate) fn is_deleted(intervals: &[Interval], ms: i64) -> bool {
    let after = intervals.partition_point(|&(from_ms, _)| from_ms <= ms);
    after > 0 && ms <= intervals[after - 1].1
}

/// Takes the samples behind `from` that lie in one of the stretches out.
pub(crate) fn leave_out(intervals: &[Interval], samples: &mut Samples, from: Mark) {
    if !intervals.is_empty() {
        retain_tail(samples, from, |ms| !is_deleted(intervals, ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_grow_together() {
        let mut all = Tombstones::default();
        for (interval, changes, want) in [
            ((10, 20), true, vec![(10, 20)]),
            ((40, 50), true, vec![(10, 20), (40, 50)]),
            ((12, 18), false, vec![(10, 20), (40, 50)]),
            ((9, 8), false, vec![(10, 20), (40, 50)]),
            ((21, 22), true, vec![(10, 22), (40, 50)]),
            ((1, 2), true, vec![(1, 2), (10, 22), (40, 50)]),
            ((15, 45), true, vec![(1, 2), (10, 50)]),
            ((i64::MIN, i64::MAX), true, vec![(i64::MIN, i64::MAX)]),
        ] {
            assert_eq!(all.add(7, interval), changes, "{interval:?}");
            assert_eq!(all.of(7), want);
        }
        all.add(8, (5, 6));
        all.forget_before(7);
        assert!(all.of(8).is_empty() && !all.of(7).is_empty());
    }

    #[test]
    fn leaves_out_what_is_covered() {
        let intervals = [(2, 4), (7, 7)];
        let mut samples = Samples::default();
        (0..10).for_each(|ms| samples.push(ms, ms as f64));
        let from = Mark {
            floats: 3,
            histograms: 0,
        };
        leave_out(&intervals, &mut samples, from);
        assert_eq!(samples.timestamps, [0, 1, 2, 5, 6, 8, 9]);
        assert_eq!(samples.values, [0.0, 1.0, 2.0, 5.0, 6.0, 8.0, 9.0]);
    }
}
