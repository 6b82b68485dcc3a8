//! Which histograms of a batch are taken, and what changes of starts.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use model::histogram::CounterResetHint;
use model::{STALE_NAN_BITS, is_stale_nan};
use storage::{AppendOutcome, HistogramSample, HistogramValue, StartTime};

use super::admit::{Check, Taken, Verdict};
use super::{State, group_and_key, group_and_slot};
use crate::head::chunk_files::{Chunk, ChunkFiles};
use crate::histograms::{
    BUCKETS_MAX, HistogramRef, Layout, OwnedHistogram, SUM, TOTALS, hint_after, put_words,
};
use crate::wal::record::wide::StartStep;

/// A histogram that is taken.
#[derive(Debug, Clone)]
pub(crate) struct TakenHistogram {
    pub(super) slot: u32,
    pub(super) at_ms: i64,
    pub(super) start_ms: i64,
    pub(super) layout: Arc<Layout>,
    pub(super) hint: CounterResetHint,
    words: Range<usize>,
    /// Whether the batch has an earlier one of the slot.
    pub(super) again: bool,
}

impl Taken {
    pub(super) fn reset_wide(&mut self) {
        self.histograms.clear();
        self.late_histograms.clear();
        self.words.clear();
        self.starts.clear();
        self.start_of.clear();
    }

    /// Notes the starts that a batch has for the group (`id`), before its samples are taken.
    pub(crate) fn begin_starts(&mut self, id: u32, starts: &[StartTime]) {
        for start in starts {
            let (group, slot) = group_and_slot(start.series);
            let slot = slot as usize;
            if group == id && slot < self.values.bits.len() {
                if self.start_of.len() <= slot {
                    self.start_of.resize(self.values.bits.len(), 0);
                }
                self.start_of[slot] = start.start_ms;
            }
        }
    }

    pub(super) fn histogram<'a>(&'a self, of: &'a TakenHistogram) -> HistogramRef<'a> {
        HistogramRef {
            layout: &of.layout,
            hint: of.hint,
            words: &self.words[of.words.clone()],
        }
    }

    pub(super) fn owned(&self, of: &TakenHistogram) -> OwnedHistogram {
        OwnedHistogram {
            layout: Arc::clone(&of.layout),
            hint: of.hint,
            words: self.words[of.words.clone()].into(),
        }
    }

    /// The last one of a slot that is taken.
    fn last_of(&self, slot: u32) -> Option<HistogramRef<'_>> {
        let mut all = self.histograms.iter().rev();
        let found = all.find(|histogram| histogram.slot == slot)?;
        Some(self.histogram(found))
    }
}

fn is_valid(value: HistogramValue<'_>) -> bool {
    let (buckets, valid) = match value {
        HistogramValue::Integer(h) => (
            h.positive_buckets.len().max(h.negative_buckets.len()),
            h.validate(),
        ),
        HistogramValue::Float(h) => (
            h.positive_buckets.len().max(h.negative_buckets.len()),
            h.validate(),
        ),
    };
    valid.is_ok() && buckets <= BUCKETS_MAX
}

impl State {
    /// Whether the newest sample of a slot is a histogram. Asked of staleness markers only.
    pub(super) fn is_histogram(&self, slot: u32, files: &ChunkFiles) -> bool {
        let mut chunks = self.chunks.iter();
        let some = !self.histograms.is_empty() || chunks.any(|chunk| chunk.head.has_extras());
        some && matches!(self.newest(slot, files), Some((_, None)))
    }

    /// Takes the staleness marker of a series of histograms, which is one, too.
    pub(super) fn end_histogram(
        &self,
        slot: u32,
        at_ms: i64,
        taken: &mut Taken,
        outcome: &mut AppendOutcome,
    ) {
        let last = self.histograms.last(slot).map(|(_, last)| last);
        let is_float = last.is_some_and(|last| !last.is_integer());
        let given = last.map_or(CounterResetHint::Unknown, |last| last.hint);
        let layout = Arc::new(Layout::empty(is_float));
        let from = taken.words.len();
        taken.words.extend([0; TOTALS]);
        taken.words[from + SUM] = STALE_NAN_BITS;
        let words = from..taken.words.len();
        self.accept(slot, at_ms, given, layout, words, taken, outcome);
    }

    /// Checks a histogram of the group's.
    pub(crate) fn take_histogram(
        &mut self,
        batch_ms: i64,
        sample: &HistogramSample<'_>,
        check: Check<'_>,
        taken: &mut Taken,
        outcome: &mut AppendOutcome,
    ) {
        let Some(slot) = self.slot(group_and_key(sample.series).1) else {
            outcome.unknown.push(sample.series);
            return;
        };
        if !is_valid(sample.value) {
            outcome.invalid_histograms += 1;
            return;
        }
        self.recall(slot, check.files);
        let at_ms = sample.timestamp_ms;
        let from = taken.words.len();
        put_words(sample.value, &mut taken.words);
        let words = from..taken.words.len();
        let (layout, given, stale) = self.describe(slot, sample.value);
        let verdict = self.judge_histogram(slot, (batch_ms, at_ms), &layout, &words, check, taken);
        if verdict == Verdict::New {
            return self.accept(slot, at_ms, given, layout, words, taken, outcome);
        }
        let refused = usize::from(!stale);
        let window = check.late_floor_ms;
        match (verdict, window) {
            (Verdict::New | Verdict::Same, _) => outcome.appended += 1,
            (Verdict::Duplicate, _) => outcome.duplicate += refused,
            (Verdict::Old, None) => outcome.out_of_order += refused,
            (Verdict::OutOfBounds, None) => outcome.out_of_bounds += 1,
            (_, Some(floor_ms)) if at_ms < floor_ms => outcome.too_old += refused,
            (_, Some(_)) if stale => {}
            (_, Some(_)) => {
                outcome.appended += 1;
                if !self.late.has(slot, at_ms) {
                    let hint =
                        hint_after(None, given, taken_ref(&layout, &taken.words[words.clone()]));
                    taken.late_histograms.push(TakenHistogram {
                        slot,
                        at_ms,
                        start_ms: taken.start_of.get(slot as usize).copied().unwrap_or(0),
                        layout,
                        hint,
                        words,
                        again: false,
                    });
                    return;
                }
            }
        }
        taken.words.truncate(from);
    }

    /// The layout of a histogram, that of the one before if it is the same, what it says of resets,
    /// and whether it is a staleness marker.
    fn describe(
        &self,
        slot: u32,
        value: HistogramValue<'_>,
    ) -> (Arc<Layout>, CounterResetHint, bool) {
        let last = self.histograms.last(slot).map(|(_, last)| last.layout);
        let layout = match last.filter(|layout| layout.is_of(value)) {
            Some(layout) => Arc::clone(layout),
            None => Arc::new(Layout::of(value)),
        };
        let (given, sum) = match value {
            HistogramValue::Integer(h) => (h.counter_reset_hint, h.sum),
            HistogramValue::Float(h) => (h.counter_reset_hint, h.sum),
        };
        (layout, given, is_stale_nan(sum))
    }

    fn judge_histogram(
        &self,
        slot: u32,
        (batch_ms, at_ms): (i64, i64),
        layout: &Arc<Layout>,
        words: &Range<usize>,
        check: Check<'_>,
        taken: &Taken,
    ) -> Verdict {
        if at_ms < check.floor_ms {
            return Verdict::OutOfBounds;
        }
        let at = slot as usize;
        let row = (taken.row_count > 0 && taken.values.has(at))
            .then(|| (batch_ms, Some(taken.values.bits[at])));
        let in_batch = row.max(taken.newest.get(&slot).copied());
        let span = self.spans[at];
        let newest = match in_batch {
            Some(newest) => newest,
            None if span.is_empty() || span.ends_before(at_ms) => return Verdict::New,
            None => match self.newest(slot, check.files) {
                Some(newest) => newest,
                None => return Verdict::New,
            },
        };
        match newest.0.cmp(&at_ms) {
            Ordering::Less => return Verdict::New,
            Ordering::Greater => return Verdict::Old,
            Ordering::Equal => {}
        }
        let last = match (newest.1, in_batch) {
            (Some(_), _) => None,
            (None, Some(_)) => taken.last_of(slot),
            (None, None) => self.histograms.last(slot).map(|(_, last)| last),
        };
        let now = taken_ref(layout, &taken.words[words.clone()]);
        match last.is_some_and(|last| last.same_data(&now)) {
            true => Verdict::Same,
            false => Verdict::Duplicate,
        }
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "a histogram in its parts, and where it goes"
    )]
    fn accept(
        &self,
        slot: u32,
        at_ms: i64,
        given: CounterResetHint,
        layout: Arc<Layout>,
        words: Range<usize>,
        taken: &mut Taken,
        outcome: &mut AppendOutcome,
    ) {
        let again = taken
            .newest
            .get(&slot)
            .is_some_and(|newest| newest.1.is_none());
        let before = match again {
            true => taken.last_of(slot),
            false => self.histograms.last(slot).map(|(_, last)| last),
        };
        let now = taken_ref(&layout, &taken.words[words.clone()]);
        let hint = hint_after(before, given, now);
        taken.newest.insert(slot, (at_ms, None));
        taken.histograms.push(TakenHistogram {
            slot,
            at_ms,
            start_ms: 0,
            layout,
            hint,
            words,
            again,
        });
        outcome.appended += 1;
    }

    /// Looks up the newest histogram of a slot in the chunks, after a start.
    fn recall(&mut self, slot: u32, files: &ChunkFiles) {
        if self.histograms.knows(slot) || self.spans[slot as usize].is_empty() {
            return;
        }
        let chunks = self.chunks.iter().rev();
        let found = chunks
            .filter_map(|chunk| last_histogram(chunk, slot, files))
            .next();
        if let Some((at_ms, histogram)) = found {
            self.histograms.recall(slot, at_ms, histogram);
        }
    }

    fn is_news(&self, step: &StartStep) -> bool {
        // What replay has found of batches in blocks counts as sealed.
        let open = self.is_open() || self.starts.is_sealed();
        match open {
            true => self.starts.is_news(step.slot, step.start_ms),
            false => true,
        }
    }

    /// Finds out what changes of starts, after all samples were taken. A sample without a start
    /// after one that had one is a change, too.
    pub(crate) fn take_starts(&self, batch_ms: i64, taken: &mut Taken) {
        if self.starts.is_empty() && taken.start_of.is_empty() {
            return;
        }
        let known = (0u32..).zip(&taken.start_of);
        let known = known
            .filter(|(_, start_ms)| **start_ms != 0)
            .map(|(slot, _)| slot);
        let mut slots: Vec<u32> = known.chain(self.starts.slots()).collect();
        slots.sort_unstable();
        slots.dedup();
        let mut steps: Vec<StartStep> = Vec::new();
        let step = |slot: u32, at_ms| StartStep {
            slot,
            at_ms,
            start_ms: taken.start_of.get(slot as usize).copied().unwrap_or(0),
        };
        for &slot in &slots {
            if taken.values.bits.len() > slot as usize && taken.values.has(slot as usize) {
                steps.push(step(slot, batch_ms));
            }
        }
        let timed = taken.timed.iter().map(|sample| (sample.slot, sample.at_ms));
        let histograms = taken.histograms.iter().map(|h| (h.slot, h.at_ms));
        let others = timed.chain(histograms);
        let others = others.filter(|(slot, _)| slots.binary_search(slot).is_ok());
        steps.extend(others.map(|(slot, at_ms)| step(slot, at_ms)));
        // All of a slot in the batch have the same start: the first of them is the change.
        let mut seen: hashbrown::HashSet<u32> = hashbrown::HashSet::new();
        steps.retain(|step| self.is_news(step) && seen.insert(step.slot));
        taken.starts = steps;
    }
}

fn taken_ref<'a>(layout: &'a Arc<Layout>, words: &'a [u64]) -> HistogramRef<'a> {
    HistogramRef {
        layout,
        hint: CounterResetHint::Unknown,
        words,
    }
}

fn last_histogram(chunk: &Chunk, slot: u32, files: &ChunkFiles) -> Option<(i64, OwnedHistogram)> {
    // A chunk that cannot be read refuses nothing.
    chunk.head.has_extras().then_some(())?;
    let bytes = files.bytes(chunk).ok()?;
    let column = chunk.head.extras(&bytes).ok()??.histograms(slot).ok()??;
    let mut last = None;
    let read = column.for_each(|at_ms, histogram| {
        let histogram = OwnedHistogram {
            layout: Arc::clone(histogram.layout),
            hint: histogram.hint,
            words: histogram.words.into(),
        };
        last = Some((at_ms, histogram));
    });
    read.ok()?;
    last
}
