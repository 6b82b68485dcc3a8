//! What a start finds of a group in the log, taken in its turn.

use std::sync::Arc;

use codec::row;
use codec::varint::Reader;

use super::super::chunk;
use super::super::chunk_files::ChunkFiles;
use super::late::LateValue;
use super::{GONE, Row, Scratch, State};
use crate::histograms::{OwnedHistogram, item};
use crate::wal::record::Part;
use crate::wal::record::wide::Wide;

/// What parts of the log are replayed with.
#[derive(Debug)]
pub(crate) struct Replay<'a> {
    /// The part's group.
    pub(crate) group: u32,
    /// The segment that is being read.
    pub(crate) segment: u64,
    /// Samples before it are in blocks.
    pub(crate) valid_ms: i64,
    pub(crate) files: &'a ChunkFiles,
    pub(crate) scratch: &'a mut Scratch,
}

impl State {
    /// Takes a part from the log. False if it cannot be understood without records that are lost.
    pub(crate) fn replay(&mut self, part: &Part<'_>, of: &mut Replay<'_>) -> bool {
        // A checkpoint's late samples are of no batch.
        if part.sequence == 0 || part.sequence > self.replayed {
            self.replay_late(part);
        }
        let sealed = self.chunks.iter().rev().any(|chunk| {
            let (first, last) = chunk.head.sequences;
            (first..=last).contains(&part.sequence)
        });
        if part.sequence <= self.replayed {
            return true;
        }
        self.replayed = part.sequence;
        if sealed {
            if self.open_from.is_none() {
                self.starts.seal();
            }
            for step in &part.wide.starts {
                self.starts.carry(*step);
            }
            return true;
        }
        // What is sealed on the way to this part must not claim to hold it.
        let complete = part.row.is_empty() || self.replay_row(part, of);
        self.sequence = self.sequence.max(part.sequence);
        // What is in blocks does not come back.
        for sample in part.timed.iter().filter(|s| s.at_ms >= of.valid_ms) {
            self.begin_batch(part.sequence, of.segment, part.at_ms);
            self.add_side(*sample, 0);
        }
        complete & self.replay_wide(part, of)
    }

    fn replay_row(&mut self, part: &Part<'_>, of: &mut Replay<'_>) -> bool {
        let is_base = part.base == part.sequence;
        if is_base && !self.rows.is_empty() {
            self.seal(of.group, u64::MAX, of.files, of.scratch);
        }
        let Ok(row) = row::Row::new(part.row) else {
            return false;
        };
        if self.rows.len() == chunk::ROWS_MAX {
            return false;
        }
        // Slots whose definition is lost stay without a series.
        while self.series.len() < row.slots() {
            self.add_slot(GONE);
            self.gone += 1;
        }
        let at_ms = part.at_ms;
        let mut values = row::Values::default();
        if is_base {
            values.reset(row.slots());
            let set = |slot, bits| values.set(slot, bits);
            if row.for_each(&[], set).is_err() {
                return false;
            }
            self.base = Arc::from(&values.bits[..]);
            self.base_sequence = part.sequence;
        } else if part.base != self.base_sequence || row.for_each(&self.base, |_, _| {}).is_err() {
            return false;
        }
        if at_ms < of.valid_ms {
            return true;
        }
        self.begin_batch(part.sequence, of.segment, at_ms);
        if is_base {
            self.begin_rows(&values, part.sequence, at_ms, 0, of.scratch);
        } else {
            let bytes = Arc::from(part.row);
            let epoch = 0;
            self.rows.push(Row {
                at_ms,
                epoch,
                bytes,
            });
        }
        let words = row.slots().div_ceil(64);
        let present: Vec<u64> = (0..words).map(|word| row.present_word(word)).collect();
        self.span_row(at_ms, &present);
        true
    }

    fn replay_late(&mut self, part: &Part<'_>) {
        for sample in &part.late {
            self.add_late(*sample, (part.sequence, 0));
        }
        for late in &part.wide.late {
            let mut reader = Reader::new(late.bytes);
            let (mut layout, mut words) = (None, Vec::new());
            if let (Ok(hint), Some(layout)) = (
                item::take(&mut reader, &mut layout, &mut words),
                layout.take(),
            ) {
                let words = words.into();
                let value = LateValue::Histogram(Arc::new(OwnedHistogram {
                    layout,
                    hint,
                    words,
                }));
                let sample = (late.at_ms, value);
                self.late
                    .add(late.slot, sample, late.start_ms, (part.sequence, 0));
            }
        }
    }

    fn replay_wide(&mut self, part: &Part<'_>, of: &Replay<'_>) -> bool {
        let Wide {
            histograms, starts, ..
        } = &part.wide;
        if histograms.is_empty() && starts.is_empty() {
            return true;
        }
        let mut at_ms = histograms.iter().map(|found| found.at_ms);
        if at_ms.any(|ms| ms >= of.valid_ms) {
            self.begin_batch(part.sequence, of.segment, part.at_ms);
        } else {
            self.wide_from.get_or_insert(of.segment);
        }
        let mut complete = true;
        for found in histograms {
            let base = match found.back {
                0 => None,
                back => {
                    let number = part.sequence.checked_sub(back);
                    number.and_then(|number| self.histograms.base(found.slot, number))
                }
            };
            let mut layout = base.map(|base| Arc::clone(&base.layout));
            let mut words = base.map_or(Vec::new(), |base| base.words.to_vec());
            let hint = item::take(&mut Reader::new(found.bytes), &mut layout, &mut words);
            let (Ok(hint), Some(layout)) = (hint, layout) else {
                complete = false;
                continue;
            };
            let words = words.into();
            let histogram = OwnedHistogram {
                layout,
                hint,
                words,
            };
            let number = (part.sequence, found.back > 0);
            let epoch = (found.at_ms >= of.valid_ms).then_some(0);
            self.add_histogram(found.slot, found.at_ms, number, epoch, histogram);
        }
        for step in starts {
            self.starts.push(*step);
        }
        complete
    }

    /// Forgets what replay knows of histograms that have newer ones in chunks; those are recalled
    /// when they are asked for.
    pub(crate) fn forget_overtaken(&mut self) {
        let wide = self.chunks.iter().filter(|chunk| chunk.head.has_extras());
        if let Some(sequence) = wide.map(|chunk| chunk.head.sequences.1).max() {
            self.histograms.forget_until(sequence);
        }
    }

    /// Spans of what is in chunks, after they were found on disk.
    pub(crate) fn span_chunks(&mut self, files: &ChunkFiles) -> Result<(), codec::DecodeError> {
        for chunk in &self.chunks {
            let Ok(bytes) = files.bytes(chunk) else {
                return Err(codec::DecodeError("chunk file"));
            };
            let times = chunk.head.times(&bytes)?;
            for (slot, span) in self.spans.iter_mut().enumerate() {
                let present = chunk.head.present(&bytes, slot)?;
                if present != 0 {
                    let (first, last) = (present.trailing_zeros(), 127 - present.leading_zeros());
                    span.add_ms(times[first as usize]);
                    span.add_ms(times[last as usize]);
                }
            }
            chunk.head.for_each_side(&bytes, None, |slot, side| {
                if let Some(span) = self.spans.get_mut(slot as usize) {
                    side.times.iter().for_each(|&t| span.add_ms(t));
                }
            })?;
            if let Some(extras) = chunk.head.extras(&bytes)? {
                extras.for_each_column(|slot, column| {
                    if let Some(span) = self.spans.get_mut(slot as usize) {
                        column.times.iter().for_each(|&t| span.add_ms(t));
                    }
                })?;
            }
            bytes.release();
        }
        Ok(())
    }
}
