//! Putting samples of one series together that come from several places.
//!
//! Floats and histograms lie in columns of their own, and at one time there is one or the other.
//! What a histogram says of counter resets holds between it and the one that came before it where
//! it was stored. So the first histogram of every further place, and any that gets another
//! neighbour, says nothing of resets any more: the reader finds out.

use std::sync::Arc;

use model::FloatHistogram;
use model::histogram::CounterResetHint;
use storage::Samples;

/// How many samples of each kind there were at some moment: where a tail begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) floats: usize,
    pub(crate) histograms: usize,
}

impl Mark {
    /// The end of what there is now.
    pub(crate) fn of(samples: &Samples) -> Mark {
        Mark {
            floats: samples.timestamps.len(),
            histograms: samples.histograms.len(),
        }
    }
}

/// Drops the tail.
pub(crate) fn truncate(samples: &mut Samples, to: Mark) {
    samples.timestamps.truncate(to.floats);
    samples.values.truncate(to.floats);
    samples.starts.truncate(to.floats);
    samples.histograms.truncate(to.histograms);
    samples.histogram_starts.truncate(to.histograms);
}

/// Adds all of `more` at the end.
pub(crate) fn append(samples: &mut Samples, mut more: Samples) {
    let from = Mark::of(samples);
    samples.timestamps.append(&mut more.timestamps);
    samples.values.append(&mut more.values);
    samples.histograms.append(&mut more.histograms);
    pad_starts(samples);
    let (floats, histograms) = (samples.values.len(), samples.histograms.len());
    for (at, start_ms) in (from.floats..).zip(more.starts) {
        set_start(&mut samples.starts, floats, at, start_ms);
    }
    for (at, start_ms) in (from.histograms..).zip(more.histogram_starts) {
        set_start(&mut samples.histogram_starts, histograms, at, start_ms);
    }
}

/// Makes the columns of starts as long as those of samples, after samples without starts were added
/// to these alone.
pub(crate) fn pad_starts(samples: &mut Samples) {
    if !samples.starts.is_empty() {
        samples.starts.resize(samples.values.len(), 0);
    }
    if !samples.histogram_starts.is_empty() {
        samples.histogram_starts.resize(samples.histograms.len(), 0);
    }
}

/// Gives the tail the starts of its times, 0 where there is none.
pub(crate) fn fill_starts(samples: &mut Samples, from: Mark, start_at: impl Fn(i64) -> i64) {
    pad_starts(samples);
    for at in from.floats..samples.timestamps.len() {
        let start_ms = start_at(samples.timestamps[at]);
        set_start(&mut samples.starts, samples.timestamps.len(), at, start_ms);
    }
    for at in from.histograms..samples.histograms.len() {
        let start_ms = start_at(samples.histograms[at].0);
        let count = samples.histograms.len();
        set_start(&mut samples.histogram_starts, count, at, start_ms);
    }
}

/// Sets one of `count` starts, which are absent as long as all are 0.
pub(crate) fn set_start(starts: &mut Vec<i64>, count: usize, at: usize, start_ms: i64) {
    if start_ms != 0 {
        starts.resize(count, 0);
        starts[at] = start_ms;
    }
}

/// Says that nothing is known of a reset before this histogram.
pub(crate) fn doubt(histogram: &mut Arc<FloatHistogram>) {
    if histogram.counter_reset_hint == CounterResetHint::NotReset {
        Arc::make_mut(histogram).counter_reset_hint = CounterResetHint::Unknown;
    }
}

/// Merges the tail into what is before it: both ascend, and where both have a timestamp, the
/// sample before stays. Costs nothing when the tail begins after what is before it ends, which is
/// nearly always.
pub(crate) fn merge_tail(samples: &mut Samples, from: Mark) {
    pad_starts(samples);
    drop_other_kind(samples, from);
    let times = &samples.timestamps;
    if let Some((keep, order)) = merged_order(times.len(), from.floats, |at| times[at]) {
        reorder_floats(samples, keep, &order);
    }
    if from.histograms > 0
        && let Some((_, histogram)) = samples.histograms.get_mut(from.histograms)
    {
        doubt(histogram);
    }
    let histograms = &samples.histograms;
    let order = merged_order(histograms.len(), from.histograms, |at| histograms[at].0);
    if let Some((keep, order)) = order {
        reorder_histograms(samples, keep, &order);
    }
}

/// In which order the samples from the first number given on are to come, if not as they are.
fn merged_order(
    count: usize,
    from: usize,
    time: impl Fn(usize) -> i64,
) -> Option<(usize, Vec<usize>)> {
    if from == 0 || from >= count || time(from - 1) < time(from) {
        return None;
    }
    // What lies before the first of the tail is in its place already.
    let first = time(from);
    let mut keep = from;
    while keep > 0 && time(keep - 1) >= first {
        keep -= 1;
    }
    let mut order = Vec::with_capacity(count - keep);
    let (mut a, mut b) = (keep, from);
    while a < from || b < count {
        let before = b == count || a < from && time(a) <= time(b);
        if before && b < count && time(a) == time(b) {
            b += 1;
        }
        let at = if before { &mut a } else { &mut b };
        order.push(*at);
        *at += 1;
    }
    Some((keep, order))
}

/// Removes samples of the tail at whose time there is one of the other kind before it.
fn drop_other_kind(samples: &mut Samples, from: Mark) {
    let before = &samples.timestamps[..from.floats];
    let concerned = |times: Option<&i64>, first: Option<&(i64, Arc<FloatHistogram>)>| {
        times
            .zip(first)
            .is_some_and(|(last, (first, _))| first <= last)
    };
    if concerned(before.last(), samples.histograms.get(from.histograms)) {
        let before = before.to_vec();
        retain_histograms(samples, from.histograms, |ms| {
            before.binary_search(&ms).is_err()
        });
    }
    let before = &samples.histograms[..from.histograms];
    let (last, first) = (before.last(), samples.timestamps.get(from.floats));
    if last
        .zip(first)
        .is_some_and(|((last, _), first)| first <= last)
    {
        let before: Vec<i64> = before.iter().map(|(ms, _)| *ms).collect();
        retain_floats(samples, from.floats, |ms| {
            before.binary_search(&ms).is_err()
        });
    }
}

/// Keeps of the tail only samples of some times.
pub(crate) fn retain_tail(samples: &mut Samples, from: Mark, keep: impl Fn(i64) -> bool) {
    retain_floats(samples, from.floats, &keep);
    retain_histograms(samples, from.histograms, &keep);
}

fn retain_floats(samples: &mut Samples, from: usize, keep: impl Fn(i64) -> bool) {
    let order = (from..samples.timestamps.len()).filter(|&at| keep(samples.timestamps[at]));
    let order: Vec<usize> = order.collect();
    if order.len() < samples.timestamps.len() - from {
        reorder_floats(samples, from, &order);
    }
}

fn retain_histograms(samples: &mut Samples, from: usize, keep: impl Fn(i64) -> bool) {
    let order = (from..samples.histograms.len()).filter(|&at| keep(samples.histograms[at].0));
    let order: Vec<usize> = order.collect();
    if order.len() < samples.histograms.len() - from {
        reorder_histograms(samples, from, &order);
    }
}

/// Sorts the tail by time; of several at one time the first stays, and floats before histograms.
pub(crate) fn sort_tail(samples: &mut Samples, from: Mark) {
    pad_starts(samples);
    let times = &samples.timestamps;
    if !times[from.floats..].is_sorted_by(|a, b| a < b) {
        let mut order: Vec<usize> = (from.floats..times.len()).collect();
        order.sort_by_key(|&at| times[at]);
        order.dedup_by_key(|at| times[*at]);
        reorder_floats(samples, from.floats, &order);
    }
    let histograms = &samples.histograms;
    if !histograms[from.histograms..].is_sorted_by(|a, b| a.0 < b.0) {
        let mut order: Vec<usize> = (from.histograms..histograms.len()).collect();
        order.sort_by_key(|&at| histograms[at].0);
        order.dedup_by_key(|at| histograms[*at].0);
        reorder_histograms(samples, from.histograms, &order);
    }
    if samples.histograms.len() > from.histograms && samples.timestamps.len() > from.floats {
        let floats = samples.timestamps[from.floats..].to_vec();
        retain_histograms(samples, from.histograms, |ms| {
            floats.binary_search(&ms).is_err()
        });
    }
}

/// Replaces the float samples from `from` on by those with the numbers in `order`.
fn reorder_floats(samples: &mut Samples, from: usize, order: &[usize]) {
    fn of<T: Copy>(column: &mut Vec<T>, from: usize, order: &[usize]) {
        let picked: Vec<T> = order.iter().map(|&at| column[at]).collect();
        column.truncate(from);
        column.extend(picked);
    }
    of(&mut samples.timestamps, from, order);
    of(&mut samples.values, from, order);
    if !samples.starts.is_empty() {
        of(&mut samples.starts, from, order);
    }
}

/// The same for histograms.
fn reorder_histograms(samples: &mut Samples, from: usize, order: &[usize]) {
    let mut before = from.checked_sub(1);
    let mut picked = Vec::with_capacity(order.len());
    let mut starts: Vec<i64> = Vec::new();
    for &at in order {
        let (ms, mut histogram) = samples.histograms[at].clone();
        if before.is_some_and(|before| before + 1 != at) || before.is_none() && at != from {
            // It may be shared with the column that it comes from, which goes.
            doubt(&mut histogram);
        }
        before = Some(at);
        picked.push((ms, histogram));
        starts.extend(samples.histogram_starts.get(at));
    }
    samples.histograms.truncate(from);
    samples.histograms.extend(picked);
    if !samples.histogram_starts.is_empty() {
        samples.histogram_starts.truncate(from);
        samples.histogram_starts.extend(starts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Adds a sample that says by its value where it comes from: a histogram at odd draws.
    fn push(samples: &mut Samples, ms: i64, is_histogram: bool, from: f64, start_ms: i64) {
        if is_histogram {
            let histogram = FloatHistogram {
                counter_reset_hint: CounterResetHint::NotReset,
                count: from,
                ..FloatHistogram::default()
            };
            samples.push_histogram(ms, Arc::new(histogram), start_ms);
        } else {
            samples.push_with_start(ms, from, start_ms);
        }
    }

    type Set = BTreeMap<i64, (bool, i64)>;

    fn all(samples: &Samples) -> BTreeMap<i64, (bool, f64, i64)> {
        let start = |starts: &[i64], at: usize| starts.get(at).copied().unwrap_or(0);
        let floats = samples.timestamps.iter().zip(&samples.values).enumerate();
        let floats = floats.map(|(at, (ms, v))| (*ms, (false, *v, start(&samples.starts, at))));
        let histograms = samples.histograms.iter().enumerate();
        let histograms = histograms
            .map(|(at, (ms, h))| (*ms, (true, h.count, start(&samples.histogram_starts, at))));
        let count = samples.len();
        let all: BTreeMap<_, _> = floats.chain(histograms).collect();
        assert_eq!(all.len(), count, "one sample at a time");
        all
    }

    fn set() -> impl Strategy<Value = Set> {
        prop::collection::btree_map(0i64..30, (any::<bool>(), 0i64..2), 0..20)
    }

    proptest! {
        #[test]
        fn merges(a in set(), b in set(), sorted in any::<bool>()) {
            let mut samples = Samples::default();
            let mut want = BTreeMap::new();
            let mut mark = Mark::default();
            for (set, from) in [(&a, 1.0), (&b, 2.0)] {
                mark = Mark::of(&samples);
                for (&ms, &(is_histogram, start)) in set {
                    push(&mut samples, ms, is_histogram, from, start);
                    want.entry(ms).or_insert((is_histogram, from, start));
                }
            }
            if sorted {
                // Sorting knows neither which of two kinds came first nor where the second begins.
                if let Some((_, histogram)) = samples.histograms.get_mut(mark.histograms) {
                    doubt(histogram);
                }
                want = all_of_sorted(&a, &b);
                sort_tail(&mut samples, Mark::default());
            } else {
                merge_tail(&mut samples, mark);
            }
            prop_assert!(samples.timestamps.is_sorted() && samples.histograms.is_sorted_by_key(|h| h.0));
            prop_assert_eq!(all(&samples), want);
            // A histogram that says anything has the neighbour that it had.
            for pair in samples.histograms.windows(2) {
                if pair[1].1.counter_reset_hint == CounterResetHint::NotReset {
                    prop_assert_eq!(pair[0].1.count, pair[1].1.count);
                }
            }
        }

        #[test]
        fn keeps_some(a in set(), from in 0i64..30) {
            let mut samples = Samples::default();
            let head: Vec<_> = a.range(..from).collect();
            for (&ms, &(is_histogram, start)) in head {
                push(&mut samples, ms, is_histogram, 1.0, start);
            }
            let mark = Mark::of(&samples);
            for (&ms, &(is_histogram, start)) in a.range(from..) {
                push(&mut samples, ms, is_histogram, 1.0, start);
            }
            let mut want = all(&samples);
            want.retain(|ms, _| *ms < from || ms % 3 != 0);
            retain_tail(&mut samples, mark, |ms| ms % 3 != 0);
            prop_assert_eq!(all(&samples), want);
            truncate(&mut samples, mark);
            prop_assert_eq!(samples.len(), mark.floats + mark.histograms);
        }
    }

    fn all_of_sorted(a: &Set, b: &Set) -> BTreeMap<i64, (bool, f64, i64)> {
        let mut want = BTreeMap::new();
        for wanted in [false, true] {
            for (set, from) in [(a, 1.0), (b, 2.0)] {
                for (&ms, &(is_histogram, start)) in set {
                    if is_histogram == wanted {
                        want.entry(ms).or_insert((is_histogram, from, start));
                    }
                }
            }
        }
        want
    }
}
