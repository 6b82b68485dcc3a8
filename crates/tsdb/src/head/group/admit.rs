//! Which samples of a batch are taken.

use codec::row;
use hashbrown::HashMap;
use model::STALE_NAN_BITS;
use storage::{AppendOutcome, Sample, TimedSample};

use super::admit_wide::TakenHistogram;
use super::slots::slot_of;
use super::{GONE, State, group_and_key};
use crate::head::chunk_files::{Chunk, ChunkFiles};
use crate::head::late::Lateness;
use crate::wal::record::wide::StartStep;
use crate::wal::record::{Shape, Timed};

/// What a batch has for one group, checked.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(super) values: row::Values,
    pub(super) row_count: usize,
    pub(super) timed: Vec<Timed>,
    /// Older than the newest sample of their series.
    pub(super) late: Vec<Timed>,
    pub(super) histograms: Vec<TakenHistogram>,
    pub(super) late_histograms: Vec<TakenHistogram>,
    /// Words of all histograms.
    pub(super) words: Vec<u64>,
    pub(super) starts: Vec<StartStep>,
    /// Starts that the batch has, by slot; 0 if it has none.
    pub(super) start_of: Vec<i64>,
    /// Newest sample of each slot in `timed` and `histograms`.
    pub(super) newest: HashMap<u32, Newest>,
}

/// The newest sample: its time, and its bits if it is a float.
pub(crate) type Newest = (i64, Option<u64>);

impl Taken {
    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_in_order() && self.late_count() == 0
    }

    /// Whether there are samples in order.
    pub(crate) fn is_in_order(&self) -> bool {
        self.row_count > 0 || !self.timed.is_empty() || !self.histograms.is_empty()
    }

    /// How many late samples there are.
    pub(crate) fn late_count(&self) -> usize {
        self.late.len() + self.late_histograms.len()
    }

    /// Times of late samples.
    pub(crate) fn late_times(&self) -> impl Iterator<Item = i64> {
        let floats = self.late.iter().map(|sample| sample.at_ms);
        floats.chain(self.late_histograms.iter().map(|sample| sample.at_ms))
    }

    /// How many histograms there are, late ones among them.
    pub(crate) fn histogram_count(&self) -> usize {
        self.histograms.len() + self.late_histograms.len()
    }

    /// What a record has to be like to hold it.
    pub(crate) fn shape(&self) -> Shape {
        let late_starts = self.late.iter().any(|sample| sample.start_ms != 0);
        if self.histogram_count() > 0 || !self.starts.is_empty() || late_starts {
            Shape::Wide
        } else if self.late.is_empty() {
            Shape::Plain
        } else {
            Shape::Late
        }
    }

    /// The newest sample that is not in the row.
    fn newest_of(&self, slot: u32) -> Option<Newest> {
        // While rows are filled there are hardly any.
        if self.newest.is_empty() {
            return None;
        }
        self.newest.get(&slot).copied()
    }

    /// The oldest sample in order.
    pub(crate) fn min_ms(&self, at_ms: i64) -> i64 {
        let row = (self.row_count > 0).then_some(at_ms);
        let timed = self.timed.iter().map(|sample| sample.at_ms);
        let histograms = self.histograms.iter().map(|sample| sample.at_ms);
        let all = timed.chain(histograms).chain(row);
        all.min().unwrap_or(i64::MAX)
    }

    /// Forgets everything and makes room for the group's slots.
    pub(crate) fn reset(&mut self, state: &State) {
        self.values.reset(state.series.len());
        self.row_count = 0;
        self.timed.clear();
        self.late.clear();
        self.newest.clear();
        self.reset_wide();
    }
}

/// What samples are checked against, besides their series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Check<'a> {
    /// Older samples are out of bounds, or late.
    pub(crate) floor_ms: i64,
    /// Older samples are too old; `None` if no late samples are taken.
    pub(crate) late_floor_ms: Option<i64>,
    /// Newest sample of all.
    pub(crate) newest_ms: i64,
    pub(crate) lateness: &'a Lateness,
    pub(crate) files: &'a ChunkFiles,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    New,
    Same,
    Duplicate,
    Old,
    /// Older than what is taken in order.
    OutOfBounds,
}

fn compare(newest: Newest, at_ms: i64, bits: u64) -> Verdict {
    match newest.0.cmp(&at_ms) {
        std::cmp::Ordering::Less => Verdict::New,
        std::cmp::Ordering::Greater => Verdict::Old,
        std::cmp::Ordering::Equal if newest.1 == Some(bits) => Verdict::Same,
        std::cmp::Ordering::Equal => Verdict::Duplicate,
    }
}

impl State {
    /// The slot of a series that the group has.
    #[inline]
    pub(crate) fn slot(&self, key: u32) -> Option<u32> {
        let slot = slot_of(key);
        let id = *self.series.get(slot as usize)?;
        (self.spare.is_current(key) && (self.gone == 0 || id != GONE)).then_some(slot)
    }

    /// The newest sample of a slot.
    pub(crate) fn newest(&self, slot: u32, files: &ChunkFiles) -> Option<Newest> {
        let side = self.sides.get(slot).last().map(|s| (s.at_ms, Some(s.bits)));
        let row = self.rows.iter().rev().find_map(|open| {
            let row = row::Row::new(&open.bytes).expect("our own row");
            let bits = row.get(slot as usize, &self.base).expect("our own row");
            bits.map(|bits| (open.at_ms, Some(bits)))
        });
        let sealed = || {
            let chunks = self.chunks.iter().rev();
            chunks
                .filter_map(|chunk| newest_in(chunk, slot, files))
                .next()
        };
        let histogram = self.histograms.last(slot).map(|(at_ms, _)| (at_ms, None));
        side.max(row).or_else(sealed).max(histogram)
    }

    fn judge(&self, slot: u32, at_ms: i64, bits: u64, files: &ChunkFiles) -> Verdict {
        let span = self.spans[slot as usize];
        if span.is_empty() || span.ends_before(at_ms) {
            return Verdict::New;
        }
        let newest = self.newest(slot, files);
        newest.map_or(Verdict::New, |newest| compare(newest, at_ms, bits))
    }

    /// Checks the samples of the group (`id`) in a batch; those of other groups are passed over.
    pub(crate) fn take_samples(
        &self,
        id: u32,
        at_ms: i64,
        samples: &[Sample],
        check: Check<'_>,
        taken: &mut Taken,
        outcome: &mut AppendOutcome,
    ) {
        let fresh = at_ms > self.max_ms;
        for sample in samples {
            let (group, key) = group_and_key(sample.series);
            if group != id {
                continue;
            }
            let Some(slot) = self.slot(key) else {
                outcome.unknown.push(sample.series);
                continue;
            };
            let bits = sample.value.to_bits();
            let at = slot as usize;
            let verdict = if at_ms < check.floor_ms {
                Verdict::OutOfBounds
            } else if taken.values.has(at) {
                compare((at_ms, Some(taken.values.bits[at])), at_ms, bits)
            } else if let Some(newest) = taken.newest_of(slot) {
                compare(newest, at_ms, bits)
            } else if fresh {
                Verdict::New
            } else {
                self.judge(slot, at_ms, bits, check.files)
            };
            let start_ms = taken.start_of.get(at).copied().unwrap_or(0);
            let series = sample.series;
            let sample = Timed {
                slot,
                at_ms,
                bits,
                start_ms,
            };
            match verdict {
                Verdict::New if bits == STALE_NAN_BITS && self.is_histogram(slot, check.files) => {
                    self.end_histogram(slot, at_ms, taken, outcome);
                }
                Verdict::New if fresh || self.rows.last().is_none_or(|r| r.at_ms <= at_ms) => {
                    taken.values.set(at, bits);
                    taken.row_count += 1;
                    outcome.appended += 1;
                }
                Verdict::New => taken.push_timed(sample, outcome),
                verdict => outcome.watch(series, |outcome| {
                    self.take_late(verdict, sample, check, taken, outcome);
                }),
            }
        }
    }

    /// Takes or counts a sample that is not newer than all of its series.
    fn take_late(
        &self,
        verdict: Verdict,
        sample: Timed,
        check: Check<'_>,
        taken: &mut Taken,
        outcome: &mut AppendOutcome,
    ) {
        // A staleness marker that comes too late says nothing about its series: that lives on.
        let refused = usize::from(sample.bits != STALE_NAN_BITS);
        if matches!(verdict, Verdict::Old | Verdict::OutOfBounds) {
            check.lateness.observe(check.newest_ms, sample.at_ms);
        }
        match (verdict, check.late_floor_ms) {
            (Verdict::New | Verdict::Same, _) => outcome.appended += 1,
            (Verdict::Duplicate, _) => outcome.duplicate += refused,
            (Verdict::Old, None) => outcome.out_of_order += refused,
            (Verdict::OutOfBounds, None) => outcome.out_of_bounds += 1,
            (_, Some(floor_ms)) if sample.at_ms < floor_ms => outcome.too_old += refused,
            (_, Some(_)) if refused == 0 => {}
            (_, Some(_)) => {
                // The first sample of a time stays, and the writer need not know.
                if !self.late.has(sample.slot, sample.at_ms) {
                    taken.late.push(sample);
                }
                outcome.appended += 1;
            }
        }
    }

    /// Checks a sample with a time of its own, or of a batch of another group.
    pub(crate) fn take_timed(
        &self,
        batch_ms: i64,
        sample: &TimedSample,
        check: Check<'_>,
        taken: &mut Taken,
        outcome: &mut AppendOutcome,
    ) {
        let Some(slot) = self.slot(group_and_key(sample.series).1) else {
            outcome.unknown.push(sample.series);
            return;
        };
        let (at_ms, bits) = (sample.timestamp_ms, sample.value.to_bits());
        let at = slot as usize;
        let row = (taken.row_count > 0 && taken.values.has(at))
            .then(|| (batch_ms, Some(taken.values.bits[at])));
        let in_batch = row.max(taken.newest.get(&slot).copied());
        let verdict = match in_batch {
            _ if at_ms < check.floor_ms => Verdict::OutOfBounds,
            Some(newest) => compare(newest, at_ms, bits),
            None => self.judge(slot, at_ms, bits, check.files),
        };
        let series = sample.series;
        let sample = Timed {
            slot,
            at_ms,
            bits,
            start_ms: taken.start_of.get(at).copied().unwrap_or(0),
        };
        match verdict {
            Verdict::New
                if bits == STALE_NAN_BITS
                    && in_batch.is_none()
                    && self.is_histogram(slot, check.files) =>
            {
                self.end_histogram(slot, at_ms, taken, outcome);
            }
            Verdict::New => taken.push_timed(sample, outcome),
            verdict => outcome.watch(series, |outcome| {
                self.take_late(verdict, sample, check, taken, outcome);
            }),
        }
    }
}

impl Taken {
    fn push_timed(&mut self, sample: Timed, outcome: &mut AppendOutcome) {
        let newest = (sample.at_ms, Some(sample.bits));
        self.newest.insert(sample.slot, newest);
        self.timed.push(sample);
        outcome.appended += 1;
    }
}

fn newest_in(chunk: &Chunk, slot: u32, files: &ChunkFiles) -> Option<Newest> {
    // A chunk that cannot be read refuses nothing.
    let bytes = files.bytes(chunk).ok()?;
    let times = chunk.head.times(&bytes).ok()?;
    let mut samples = storage::Samples::default();
    let all = (i64::MIN, i64::MAX);
    let mut scratch = codec::floats::DecodeScratch::default();
    let read = chunk.head.read(
        &bytes,
        slot as usize,
        &times,
        all,
        &mut scratch,
        &mut samples,
    );
    read.ok()?;
    let side = chunk.head.side(&bytes, slot).ok()?;
    let last = |times: &[i64], values: &[f64]| {
        let bits = values.last()?.to_bits();
        Some((*times.last()?, Some(bits)))
    };
    let extras = chunk.head.extras(&bytes).ok()?;
    let column = extras.and_then(|extras| extras.histograms(slot).ok().flatten());
    let histogram = column.and_then(|column| Some((*column.times.last()?, None)));
    last(&samples.timestamps, &samples.values)
        .max(last(&side.times, &side.values))
        .max(histogram)
}
