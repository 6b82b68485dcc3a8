//! Series that will be a batch, and the slices of time that become its pages.

use model::Labels;

use super::tables::BATCH_SERIES_MAX;

/// A batch ends at a change of the metric's name once it is this full, so that metrics mostly
/// are not torn in two.
const BATCH_SERIES_GOOD: usize = 48;
/// Values gathered before a batch ends early: 32 MiB.
const BATCH_VALUES_MAX: usize = 4 << 20;

/// The series that will be a batch.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) labels: Vec<Labels>,
    /// Values of all in turn, and where each ends.
    pub(super) values: Vec<f64>,
    pub(super) ends: Vec<usize>,
    /// Shared: runs of positions in the group's timestamps of all in turn; no run means all.
    pub(super) runs: Vec<(u32, u32)>,
    pub(super) run_ends: Vec<usize>,
    /// Own: times of all in turn, as long as `values`.
    pub(super) own: Vec<i64>,
    /// Starts of all in turn, as long as `values`; none as long as all are 0.
    pub(super) starts: Vec<i64>,
}

impl Pending {
    pub(super) fn clear(&mut self) {
        self.labels.clear();
        self.values.clear();
        self.ends.clear();
        self.runs.clear();
        self.run_ends.clear();
        self.own.clear();
        self.starts.clear();
    }

    /// Adds values with their starts, which may be none.
    pub(super) fn push(&mut self, labels: &Labels, values: &[f64], starts: &[i64]) {
        self.labels.push(labels.clone());
        if !starts.is_empty() {
            self.starts.resize(self.values.len(), 0);
            self.starts.extend_from_slice(starts);
        }
        self.values.extend_from_slice(values);
        if !self.starts.is_empty() {
            self.starts.resize(self.values.len(), 0);
        }
        self.ends.push(self.values.len());
        self.run_ends.push(self.runs.len());
    }

    /// Starts of some values, if there are any.
    pub(super) fn starts_of(&self, range: std::ops::Range<usize>) -> &[i64] {
        self.starts.get(range).unwrap_or(&[])
    }

    /// Whether a series named as `labels` should start a new batch.
    pub(super) fn is_full(&self, labels: &Labels) -> bool {
        self.labels.len() >= BATCH_SERIES_MAX
            || self.values.len() >= BATCH_VALUES_MAX
            || self.labels.len() >= BATCH_SERIES_GOOD
                && self
                    .labels
                    .last()
                    .is_some_and(|last| last.metric_name() != labels.metric_name())
    }
}

/// What is of number `at` where each ends at `ends`.
pub(super) fn range(ends: &[usize], at: usize) -> std::ops::Range<usize> {
    let from = if at == 0 { 0 } else { ends[at - 1] };
    from..ends[at]
}

/// One slice of a batch.
#[derive(Default)]
pub(super) struct SliceScratch {
    pub(super) values: Vec<f64>,
    pub(super) starts: Vec<i64>,
    pub(super) counts: Vec<usize>,
    pub(super) runs: Vec<(u32, u32)>,
    /// For each present member its runs in `runs`; an empty range for every time.
    pub(super) members: Vec<std::ops::Range<usize>>,
}

impl SliceScratch {
    /// Takes what the pending series have at the positions `from` to before `to`; gives the mask
    /// of those that have nothing.
    pub(super) fn fill(
        &mut self,
        pending: &Pending,
        progress: &mut [(usize, usize)],
        from: u32,
        to: u32,
    ) -> u64 {
        self.values.clear();
        self.starts.clear();
        self.counts.clear();
        self.runs.clear();
        self.members.clear();
        let mut absent = 0;
        for (at, (next_value, next_run)) in progress.iter_mut().enumerate() {
            let runs = range(&pending.run_ends, at);
            let start = self.runs.len();
            let mut count = 0;
            if runs.is_empty() {
                count = (to - from) as usize;
            } else {
                while *next_run < runs.end && pending.runs[*next_run].0 < to {
                    let (first, end) = pending.runs[*next_run];
                    let (first, cut) = (first.max(from), end.min(to));
                    self.runs.push((first - from, cut - from));
                    count += (cut - first) as usize;
                    if end > to {
                        break;
                    }
                    *next_run += 1;
                }
                if count == (to - from) as usize {
                    self.runs.truncate(start);
                }
            }
            if count == 0 {
                absent |= 1 << at;
                continue;
            }
            let range = *next_value..*next_value + count;
            self.values
                .extend_from_slice(&pending.values[range.clone()]);
            self.starts.extend_from_slice(pending.starts_of(range));
            *next_value += count;
            self.counts.push(count);
            self.members.push(start..self.runs.len());
        }
        absent
    }
}

/// Appends the runs of set bits below `count`; gives how many bits are set. Every bit set gives
/// no run.
pub(super) fn add_runs(present: &[u64], count: usize, runs: &mut Vec<(u32, u32)>) -> usize {
    let start = runs.len();
    let bit = |at: usize| {
        present
            .get(at / 64)
            .is_some_and(|word| word >> (at % 64) & 1 == 1)
    };
    let mut total = 0;
    let mut at = 0;
    while at < count {
        // Whole words at once: most series are everywhere or nowhere.
        let word = present.get(at / 64).copied().unwrap_or(0) >> (at % 64);
        if word == 0 {
            at = (at / 64 + 1) * 64;
            continue;
        }
        at += word.trailing_zeros() as usize;
        if at >= count {
            break;
        }
        let from = at;
        while at < count && bit(at) {
            let word = present[at / 64] >> (at % 64);
            at += (word.trailing_ones() as usize).min(64 - at % 64);
        }
        at = at.min(count);
        total += at - from;
        runs.push((from as u32, at as u32));
    }
    if total == count {
        runs.truncate(start);
    }
    total
}
