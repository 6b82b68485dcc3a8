//! The histograms of one series, one after the other.

use std::sync::Arc;

use model::histogram::CounterResetHint;
use storage::HistogramValue;

use super::{HistogramRef, Layout, hint_after, put_words};

/// Histograms in order of time, without their times. They lie in one line of words; a layout is
/// kept once for all that follow each other with it.
#[derive(Debug, Clone, Default)]
pub struct HistogramColumn {
    runs: Vec<Run>,
    hints: Vec<CounterResetHint>,
    words: Vec<u64>,
}

/// Histograms of one layout.
#[derive(Debug, Clone)]
struct Run {
    /// Number and first word of the first one.
    first: usize,
    words_at: usize,
    layout: Arc<Layout>,
}

impl HistogramColumn {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hints.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hints.is_empty()
    }

    /// Removes all, keeps the memory.
    pub fn clear(&mut self) {
        self.runs.clear();
        self.hints.clear();
        self.words.clear();
    }

    /// The one with this number.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<HistogramRef<'_>> {
        let hint = *self.hints.get(at)?;
        let run = self.runs.partition_point(|run| run.first <= at);
        let run = self.runs.get(run.checked_sub(1)?)?;
        let count = run.layout.words();
        let from = run.words_at + (at - run.first) * count;
        Some(HistogramRef {
            layout: &run.layout,
            hint,
            words: self.words.get(from..from + count)?,
        })
    }

    /// Layouts in turn, each with how many histograms have it and their words.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (&Arc<Layout>, usize, &[u64])> {
        let ends = self
            .runs
            .iter()
            .skip(1)
            .map(|run| (run.first, run.words_at));
        let ends = ends.chain([(self.hints.len(), self.words.len())]);
        self.runs.iter().zip(ends).map(|(run, (end, words_end))| {
            let words = &self.words[run.words_at..words_end];
            (&run.layout, end - run.first, words)
        })
    }

    /// What is said of resets, of all in turn.
    pub(crate) fn hints(&self) -> &[CounterResetHint] {
        &self.hints
    }

    /// Adds as many of a layout as there are hints, with their words in turn.
    pub(crate) fn push_run(
        &mut self,
        layout: &Arc<Layout>,
        hints: &[CounterResetHint],
        words: &[u64],
    ) {
        self.begin_run(layout);
        self.hints.extend_from_slice(hints);
        self.words.extend_from_slice(words);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = HistogramRef<'_>> {
        (0..self.len()).filter_map(|at| self.get(at))
    }

    /// Adds one at the end.
    pub fn push(&mut self, histogram: HistogramRef<'_>) {
        self.begin_run(histogram.layout);
        self.hints.push(histogram.hint);
        self.words.extend_from_slice(histogram.words);
    }

    /// Adds one at the end as it was exposed. Whether the counter was reset before it is found out
    /// from the one before.
    pub fn push_value(&mut self, value: HistogramValue<'_>) {
        let layout = Arc::new(Layout::of(value));
        let mut words = Vec::with_capacity(layout.words());
        put_words(value, &mut words);
        let given = match value {
            HistogramValue::Integer(histogram) => histogram.counter_reset_hint,
            HistogramValue::Float(histogram) => histogram.counter_reset_hint,
        };
        let unknown = HistogramRef {
            layout: &layout,
            hint: CounterResetHint::Unknown,
            words: &words,
        };
        let before = self.len().checked_sub(1).and_then(|last| self.get(last));
        let hint = hint_after(before, given, unknown);
        self.push(HistogramRef { hint, ..unknown });
    }

    fn begin_run(&mut self, layout: &Arc<Layout>) {
        let same = |run: &Run| Arc::ptr_eq(&run.layout, layout) || run.layout == *layout;
        if !self.runs.last().is_some_and(same) {
            self.runs.push(Run {
                first: self.hints.len(),
                words_at: self.words.len(),
                layout: Arc::clone(layout),
            });
        }
    }

    /// Keeps so many of the first ones.
    pub(crate) fn truncate(&mut self, count: usize) {
        let words = match self.get_place(count) {
            Some(at) => at,
            None => return,
        };
        self.words.truncate(words);
        self.hints.truncate(count);
        self.runs.retain(|run| run.first < count);
    }

    /// Where the words of one begin, if there is one.
    fn get_place(&self, at: usize) -> Option<usize> {
        let run = self.runs.partition_point(|run| run.first <= at);
        let run = self.runs.get(run.checked_sub(1)?)?;
        let place = run.words_at + (at - run.first) * run.layout.words();
        (at < self.len()).then_some(place)
    }

    /// Says that nothing is known of a reset before the one with this number.
    pub(crate) fn doubt(&mut self, at: usize) {
        if let Some(hint) = self.hints.get_mut(at)
            && *hint == CounterResetHint::NotReset
        {
            *hint = CounterResetHint::Unknown;
        }
    }
}

/// Histograms with their times, which ascend, and the starts of their counter.
#[derive(Debug, Clone, Default)]
pub struct TimedHistograms {
    /// In milliseconds since 1970.
    pub times: Vec<i64>,
    /// One for each time.
    pub column: HistogramColumn,
    /// When the counter began, 0 if that is not known; empty if it is known of none.
    pub starts: Vec<i64>,
}

impl TimedHistograms {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Adds one at the end, with the start of its counter or 0.
    pub fn push(&mut self, at_ms: i64, histogram: HistogramRef<'_>, start_ms: i64) {
        self.times.push(at_ms);
        self.column.push(histogram);
        let count = self.times.len();
        if start_ms != 0 || !self.starts.is_empty() {
            self.starts.resize(count, 0);
            self.starts[count - 1] = start_ms;
        }
    }

    /// Adds all of `more` at the end.
    pub(crate) fn append(&mut self, more: &TimedHistograms) {
        for (at, histogram) in more.column.iter().enumerate() {
            let start_ms = more.starts.get(at).copied().unwrap_or(0);
            self.push(more.times[at], histogram, start_ms);
        }
    }

    /// Keeps so many of the first ones.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.times.truncate(count);
        self.column.truncate(count);
        self.starts.truncate(count);
    }

    /// Those of some times. One that gets another neighbour says nothing of resets any more.
    pub(crate) fn retain(&mut self, keep: impl Fn(i64) -> bool) {
        let all = self.times.iter().enumerate();
        let order: Vec<usize> = all.filter(|(_, ms)| keep(**ms)).map(|(at, _)| at).collect();
        if order.len() < self.len() {
            *self = self.picked(&order);
        }
    }

    /// Puts those behind `from` among the ones before; of several at one time the first stays.
    pub(crate) fn merge_tail(&mut self, from: usize) {
        if from > 0 && from < self.len() {
            self.column.doubt(from);
        }
        if self.times.is_sorted_by(|a, b| a < b) {
            return;
        }
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|&at| self.times[at]);
        order.dedup_by_key(|at| self.times[*at]);
        *self = self.picked(&order);
    }

    fn picked(&self, order: &[usize]) -> TimedHistograms {
        let mut picked = TimedHistograms::default();
        let mut expected = 0;
        for &at in order {
            let Some(histogram) = self.column.get(at) else {
                continue;
            };
            let start_ms = self.starts.get(at).copied().unwrap_or(0);
            picked.push(self.times[at], histogram, start_ms);
            if at != expected {
                picked.column.doubt(picked.times.len() - 1);
            }
            expected = at + 1;
        }
        picked
    }
}
