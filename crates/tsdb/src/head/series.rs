//! A series of the head, as a query reads it.

use std::sync::{Arc, OnceLock};

use codec::DecodeError;
use codec::row;
use model::Labels;
use storage::{Samples, Series, StorageError};

use super::group::View;
use crate::merge::merge_tail;
use crate::tombstones::{Interval, leave_out};

/// A group's view with what reading decodes once for all of its series.
#[derive(Debug)]
pub(crate) struct SharedView {
    view: View,
    /// Timestamps of each chunk.
    times: Vec<OnceLock<Result<Vec<i64>, DecodeError>>>,
}

impl SharedView {
    pub(crate) fn new(view: View) -> Arc<SharedView> {
        let times = view.chunks.iter().map(|_| OnceLock::new()).collect();
        Arc::new(SharedView { view, times })
    }

    /// What is deleted of a slot's samples in order.
    pub(crate) fn tombstones(&self, slot: u32) -> &[Interval] {
        self.view.tombstones.of(slot)
    }
}

/// A series of the head. Holds what it reads, whatever becomes of the head.
#[derive(Debug, Clone)]
pub(crate) struct HeadSeries {
    pub(crate) labels: Labels,
    pub(crate) view: Arc<SharedView>,
    pub(crate) slot: u32,
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
}

fn corrupt(error: DecodeError) -> StorageError {
    StorageError::Corrupt(format!("head chunk: {error}"))
}

impl HeadSeries {
    fn read_chunks(&self, min_ms: i64, max_ms: i64, out: &mut Samples) -> Result<(), DecodeError> {
        let View {
            chunks,
            sealed_max_ms,
            ..
        } = &self.view.view;
        let max_ms = max_ms.min(*sealed_max_ms);
        for (chunk, times) in chunks.iter().zip(&self.view.times) {
            let head = &chunk.chunk.head;
            if head.min_ms > max_ms || head.max_ms < min_ms {
                continue;
            }
            let times = times.get_or_init(|| head.times(&chunk.bytes)).as_ref();
            let times = times.map_err(|error| *error)?;
            let from = out.timestamps.len();
            let slot = self.slot as usize;
            head.read(&chunk.bytes, slot, times, (min_ms, max_ms), out)?;
            merge_tail(out, from);
            if head.side_count > 0 {
                let side = head.side(&chunk.bytes, self.slot)?;
                let samples = side.times.into_iter().zip(side.values);
                self.add(samples, min_ms, max_ms, out);
            }
        }
        Ok(())
    }

    fn add(
        &self,
        samples: impl Iterator<Item = (i64, f64)>,
        min_ms: i64,
        max_ms: i64,
        out: &mut Samples,
    ) {
        let from = out.timestamps.len();
        for (at_ms, value) in samples {
            if (min_ms..=max_ms).contains(&at_ms) {
                out.push(at_ms, value);
            }
        }
        merge_tail(out, from);
    }

    fn read_open(&self, min_ms: i64, max_ms: i64, out: &mut Samples) -> Result<(), DecodeError> {
        let view = &self.view.view;
        let from = out.timestamps.len();
        for open in &view.rows {
            if !(min_ms..=max_ms).contains(&open.at_ms) {
                continue;
            }
            let row = row::Row::new(&open.bytes)?;
            if let Some(bits) = row.get(self.slot as usize, &view.base)? {
                // A batch that was refused and is in the log nevertheless comes back at a
                // restart; what was taken in its place comes after it.
                if out.timestamps[from..].last() == Some(&open.at_ms) {
                    out.timestamps.pop();
                    out.values.pop();
                }
                out.push(open.at_ms, f64::from_bits(bits));
            }
        }
        merge_tail(out, from);
        let sides = view.sides.get(self.slot).iter();
        let sides = sides.filter(|side| side.epoch <= view.epoch);
        let sides = sides.map(|side| (side.at_ms, f64::from_bits(side.bits)));
        self.add(sides, min_ms, max_ms, out);
        Ok(())
    }

    fn read_in_order(
        &self,
        min_ms: i64,
        max_ms: i64,
        out: &mut Samples,
    ) -> Result<(), DecodeError> {
        let deleted = self.view.tombstones(self.slot);
        if deleted.is_empty() {
            self.read_chunks(min_ms, max_ms, out)?;
            return self.read_open(min_ms, max_ms, out);
        }
        // Apart from what is in `out` already: that may be of the same time.
        let mut own = Samples::default();
        self.read_chunks(min_ms, max_ms, &mut own)?;
        self.read_open(min_ms, max_ms, &mut own)?;
        leave_out(deleted, &mut own, 0);
        self.add(
            own.timestamps.into_iter().zip(own.values),
            min_ms,
            max_ms,
            out,
        );
        Ok(())
    }

    /// Late samples come last: where there is one in order, that stays.
    fn read_late(&self, min_ms: i64, max_ms: i64, out: &mut Samples) {
        let view = &self.view.view;
        let late = view.late.get(self.slot).iter();
        let late = late.filter(|late| late.epoch <= view.epoch);
        let late = late.map(|late| (late.at_ms, f64::from_bits(late.bits)));
        self.add(late, min_ms, max_ms, out);
    }
}

impl Series for HeadSeries {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn read(&self, min_ms: i64, max_ms: i64, out: &mut Samples) -> Result<(), StorageError> {
        let (min_ms, max_ms) = (min_ms.max(self.min_ms), max_ms.min(self.max_ms));
        if min_ms > max_ms {
            return Ok(());
        }
        self.read_in_order(min_ms, max_ms, out).map_err(corrupt)?;
        self.read_late(min_ms, max_ms, out);
        Ok(())
    }
}
