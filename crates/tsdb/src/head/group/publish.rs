//! A checked part on its way into the log, and then into the group.

use std::sync::Arc;

use codec::row;

use super::admit::Taken;
use super::late::LateValue;
use super::span::{seconds_after, seconds_before};
use super::{Row, Scratch, State};
use crate::histograms::{OwnedHistogram, item};
use crate::wal::record::wide::{self, Item, Wide};
use crate::wal::record::{self, Shape, Timed};

/// Where a checked part lies in the frame.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    sequence: u64,
    base: u64,
    row: std::ops::Range<usize>,
    /// For each histogram in order, whether it stands on the one before.
    chained: Vec<bool>,
}

impl Prepared {
    /// Whether rows to come build on this part's row.
    pub(crate) fn is_base(&self) -> bool {
        self.base == self.sequence && !self.row.is_empty()
    }
}

impl State {
    /// Writes what was taken as a part of a batch's frame.
    pub(crate) fn put_part(
        &self,
        id: u32,
        at_ms: i64,
        taken: &Taken,
        shape: Shape,
        out: &mut Vec<u8>,
    ) -> Prepared {
        let sequence = self.sequence + 1;
        let continues = taken.row_count > 0 && !self.rows.is_empty();
        let (base, against) = match continues {
            true => (self.base_sequence, &self.base[..]),
            false => (sequence, &[][..]),
        };
        record::put_part(out, id, sequence, base, at_ms);
        let length_at = out.len();
        out.extend_from_slice(&[0; 4]);
        let row_at = out.len();
        if taken.row_count > 0 {
            row::encode(&taken.values, against, out);
        }
        let row = row_at..out.len();
        out[length_at..row_at].copy_from_slice(&(row.len() as u32).to_le_bytes());
        record::put_timed(out, at_ms, &taken.timed);
        if shape >= Shape::Late {
            record::put_timed(out, at_ms, &taken.late);
        }
        let mut chained = Vec::new();
        if shape == Shape::Wide {
            self.put_wide(sequence, at_ms, taken, &mut chained, out);
        }
        Prepared {
            sequence,
            base,
            row,
            chained,
        }
    }

    /// Writes the histograms and starts of a part; `chained` says of each histogram in order
    /// whether it stands on the one before.
    fn put_wide(
        &self,
        sequence: u64,
        at_ms: i64,
        taken: &Taken,
        chained: &mut Vec<bool>,
        out: &mut Vec<u8>,
    ) {
        // Items first, since they are referred to.
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        let mut backs = Vec::new();
        for histogram in &taken.histograms {
            let base = self.histograms.chain(histogram.slot);
            let base = base.filter(|_| !histogram.again && self.open_from.is_some());
            let from = bytes.len();
            let before = base.map(|(_, before)| (&before.layout, &*before.words));
            item::put(&mut bytes, before, taken.histogram(histogram));
            let stands = !item::is_anchor(&bytes[from..]);
            let back = base.map_or(0, |(number, _)| sequence - number);
            backs.push(if stands { back } else { 0 });
            chained.push(stands);
            ends.push(bytes.len());
        }
        for histogram in &taken.late_histograms {
            item::put(&mut bytes, None, taken.histogram(histogram));
            ends.push(bytes.len());
        }
        let all = taken.histograms.iter().chain(&taken.late_histograms);
        let items = all.enumerate().map(|(at, histogram)| Item {
            slot: histogram.slot,
            at_ms: histogram.at_ms,
            back: backs.get(at).copied().unwrap_or(0),
            bytes: &bytes[at.checked_sub(1).map_or(0, |before| ends[before])..ends[at]],
            start_ms: histogram.start_ms,
        });
        let mut histograms: Vec<Item<'_>> = items.collect();
        let late = histograms.split_off(taken.histograms.len());
        let starts = taken.starts.clone();
        let wide = Wide {
            histograms,
            late,
            starts,
        };
        wide::put(out, at_ms, &taken.late, &wide);
    }

    /// Leaves out the number of a batch that was refused and may be in the log nevertheless.
    pub(crate) fn skip_sequence(&mut self) {
        self.sequence += 1;
        self.histograms.break_chains();
    }

    /// Whether what is to come stands on what was taken: the first after sealing, or a change of
    /// what is kept by changes only.
    pub(crate) fn builds_on(&self, taken: &Taken, prepared: &Prepared) -> bool {
        let begins = self.open_from.is_none() && !taken.histograms.is_empty();
        prepared.is_base() || begins || !taken.starts.is_empty()
    }

    /// Lets queries see a part that the log has.
    pub(crate) fn publish(
        &mut self,
        at_ms: i64,
        taken: &Taken,
        prepared: &Prepared,
        scratch: &mut Scratch,
        epoch: u64,
        segment: u64,
    ) {
        self.sequence = self.sequence.max(prepared.sequence);
        if self.open_from.is_none() {
            // What replay has found of batches in blocks.
            self.starts.seal();
        }
        for sample in &taken.late {
            self.add_late(*sample, (prepared.sequence, epoch));
        }
        for histogram in &taken.late_histograms {
            let value = LateValue::Histogram(Arc::new(taken.owned(histogram)));
            let sample = (histogram.at_ms, value);
            let number = (prepared.sequence, epoch);
            self.late
                .add(histogram.slot, sample, histogram.start_ms, number);
        }
        if taken.is_in_order() {
            self.begin_batch(prepared.sequence, segment, at_ms);
        }
        if taken.row_count > 0 {
            if prepared.is_base() {
                self.begin_rows(&taken.values, prepared.sequence, at_ms, epoch, scratch);
            } else {
                let bytes = Arc::from(&scratch.frame[prepared.row.clone()]);
                self.rows.push(Row {
                    at_ms,
                    epoch,
                    bytes,
                });
            }
            self.span_row(at_ms, &taken.values.present);
        }
        for sample in &taken.timed {
            self.add_side(*sample, epoch);
        }
        for (histogram, &chained) in taken.histograms.iter().zip(&prepared.chained) {
            let (slot, at_ms) = (histogram.slot, histogram.at_ms);
            let number = (prepared.sequence, chained);
            let owned = taken.owned(histogram);
            self.add_histogram(slot, at_ms, number, Some(epoch), owned);
        }
        for step in &taken.starts {
            self.starts.push(*step);
        }
    }

    pub(super) fn add_late(&mut self, sample: Timed, number: (u64, u64)) {
        let value = (sample.at_ms, LateValue::Float(sample.bits));
        self.late.add(sample.slot, value, sample.start_ms, number);
    }

    pub(super) fn add_histogram(
        &mut self,
        slot: u32,
        at_ms: i64,
        number: (u64, bool),
        epoch: Option<u64>,
        histogram: OwnedHistogram,
    ) {
        self.histograms.push(slot, at_ms, number, epoch, histogram);
        self.max_ms = self.max_ms.max(at_ms);
        if let Some(span) = self
            .spans
            .get_mut(slot as usize)
            .filter(|_| epoch.is_some())
        {
            span.add_ms(at_ms);
        }
    }

    pub(super) fn begin_batch(&mut self, sequence: u64, segment: u64, at_ms: i64) {
        self.sequence = self.sequence.max(sequence);
        self.open_from.get_or_insert((sequence, segment));
        self.last_batch_ms = self.last_batch_ms.max(at_ms);
    }

    /// The first row after sealing is the base of those that follow.
    pub(super) fn begin_rows(
        &mut self,
        values: &row::Values,
        sequence: u64,
        at_ms: i64,
        epoch: u64,
        scratch: &mut Scratch,
    ) {
        self.base = Arc::from(&values.bits[..]);
        self.base_sequence = sequence;
        scratch.row.clear();
        row::encode(values, &self.base, &mut scratch.row);
        let bytes = Arc::from(&scratch.row[..]);
        self.rows.push(Row {
            at_ms,
            epoch,
            bytes,
        });
    }

    pub(super) fn span_row(&mut self, at_ms: i64, present: &[u64]) {
        self.max_ms = self.max_ms.max(at_ms);
        let (first_s, last_s) = (seconds_before(at_ms), seconds_after(at_ms));
        for (spans, &word) in self.spans.chunks_mut(64).zip(present) {
            if word == u64::MAX {
                spans.iter_mut().for_each(|span| span.add(first_s, last_s));
                continue;
            }
            let mut left = word;
            while left != 0 {
                let bit = left.trailing_zeros() as usize;
                left &= left - 1;
                if let Some(span) = spans.get_mut(bit) {
                    span.add(first_s, last_s);
                }
            }
        }
    }

    pub(super) fn add_side(&mut self, sample: Timed, epoch: u64) {
        let Timed {
            slot, at_ms, bits, ..
        } = sample;
        self.sides.push(slot, at_ms, bits, epoch);
        self.side_count += 1;
        self.max_ms = self.max_ms.max(at_ms);
        if let Some(span) = self.spans.get_mut(slot as usize) {
            span.add_ms(at_ms);
        }
    }
}
