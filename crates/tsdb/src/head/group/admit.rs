//! Which samples of a batch are taken.

use codec::row;
use hashbrown::HashMap;
use model::STALE_NAN_BITS;
use storage::{AppendOutcome, Sample, TimedSample};

use super::slots::slot_of;
use super::{GONE, State, group_and_key};
use crate::head::chunk_files::{Chunk, ChunkFiles};
use crate::wal::record::Timed;

/// What a batch has for one group, checked.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(super) values: row::Values,
    pub(super) row_count: usize,
    pub(super) timed: Vec<Timed>,
    /// Older than the newest sample of their series.
    pub(super) late: Vec<Timed>,
    /// Newest sample with own time of each slot in `timed`.
    newest: HashMap<u32, (i64, u64)>,
}

impl Taken {
    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_in_order() && self.late.is_empty()
    }

    /// Whether there are samples in order.
    pub(crate) fn is_in_order(&self) -> bool {
        self.row_count > 0 || !self.timed.is_empty()
    }

    /// Late samples.
    pub(crate) fn late(&self) -> &[Timed] {
        &self.late
    }

    /// The oldest sample in order.
    pub(crate) fn min_ms(&self, at_ms: i64) -> i64 {
        let row = (self.row_count > 0).then_some(at_ms);
        let timed = self.timed.iter().map(|sample| sample.at_ms);
        timed.chain(row).min().unwrap_or(i64::MAX)
    }

    /// Forgets everything and makes room for the group's slots.
    pub(crate) fn reset(&mut self, state: &State) {
        self.values.reset(state.series.len());
        self.row_count = 0;
        self.timed.clear();
        self.late.clear();
        self.newest.clear();
    }
}

/// What samples are checked against, besides their series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Check<'a> {
    /// Older samples are out of bounds, or late.
    pub(crate) floor_ms: i64,
    /// Older samples are too old; `None` if no late samples are taken.
    pub(crate) late_floor_ms: Option<i64>,
    pub(crate) files: &'a ChunkFiles,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    New,
    Same,
    Duplicate,
    Old,
    /// Older than what is taken in order.
    OutOfBounds,
}

fn compare(newest: (i64, u64), at_ms: i64, bits: u64) -> Verdict {
    match newest.0.cmp(&at_ms) {
        std::cmp::Ordering::Less => Verdict::New,
        std::cmp::Ordering::Greater => Verdict::Old,
        std::cmp::Ordering::Equal if newest.1 == bits => Verdict::Same,
        std::cmp::Ordering::Equal => Verdict::Duplicate,
    }
}

impl State {
    /// The slot of a series that the group has.
    #[inline]
    fn slot(&self, key: u32) -> Option<u32> {
        let slot = slot_of(key);
        let id = *self.series.get(slot as usize)?;
        (self.spare.is_current(key) && (self.gone == 0 || id != GONE)).then_some(slot)
    }

    /// The newest sample of a slot.
    pub(crate) fn newest(&self, slot: u32, files: &ChunkFiles) -> Option<(i64, u64)> {
        let side = self.sides.get(slot).last().map(|s| (s.at_ms, s.bits));
        let row = self.rows.iter().rev().find_map(|open| {
            let row = row::Row::new(&open.bytes).expect("our own row");
            let bits = row.get(slot as usize, &self.base).expect("our own row");
            bits.map(|bits| (open.at_ms, bits))
        });
        side.max(row).or_else(|| {
            let chunks = self.chunks.iter().rev();
            chunks
                .filter_map(|chunk| newest_in(chunk, slot, files))
                .next()
        })
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
                compare((at_ms, taken.values.bits[at]), at_ms, bits)
            } else if fresh {
                Verdict::New
            } else if let Some(&newest) = taken.newest.get(&slot) {
                compare(newest, at_ms, bits)
            } else {
                self.judge(slot, at_ms, bits, check.files)
            };
            match verdict {
                Verdict::New if fresh || self.rows.last().is_none_or(|r| r.at_ms <= at_ms) => {
                    taken.values.set(at, bits);
                    taken.row_count += 1;
                    outcome.appended += 1;
                }
                Verdict::New => taken.push_timed(Timed { slot, at_ms, bits }, outcome),
                verdict => {
                    let sample = Timed { slot, at_ms, bits };
                    self.take_late(verdict, sample, check, taken, outcome);
                }
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
            .then(|| (batch_ms, taken.values.bits[at]));
        let verdict = match row.max(taken.newest.get(&slot).copied()) {
            _ if at_ms < check.floor_ms => Verdict::OutOfBounds,
            Some(newest) => compare(newest, at_ms, bits),
            None => self.judge(slot, at_ms, bits, check.files),
        };
        let sample = Timed { slot, at_ms, bits };
        match verdict {
            Verdict::New => taken.push_timed(sample, outcome),
            verdict => self.take_late(verdict, sample, check, taken, outcome),
        }
    }
}

impl Taken {
    fn push_timed(&mut self, sample: Timed, outcome: &mut AppendOutcome) {
        self.newest.insert(sample.slot, (sample.at_ms, sample.bits));
        self.timed.push(sample);
        outcome.appended += 1;
    }
}

fn newest_in(chunk: &Chunk, slot: u32, files: &ChunkFiles) -> Option<(i64, u64)> {
    // A chunk that cannot be read refuses nothing.
    let bytes = files.bytes(chunk).ok()?;
    let times = chunk.head.times(&bytes).ok()?;
    let mut samples = storage::Samples::default();
    let all = (i64::MIN, i64::MAX);
    let read = chunk
        .head
        .read(&bytes, slot as usize, &times, all, &mut samples);
    read.ok()?;
    let side = chunk.head.side(&bytes, slot).ok()?;
    let last = |times: &[i64], values: &[f64]| Some((*times.last()?, values.last()?.to_bits()));
    last(&samples.timestamps, &samples.values).max(last(&side.times, &side.values))
}
