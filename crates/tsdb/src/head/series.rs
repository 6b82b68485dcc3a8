//! A series of the head, as a query reads it.

mod points;
mod tile;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use codec::DecodeError;
use codec::floats::DecodeScratch;
use codec::row;
use model::Labels;
use storage::{Points, Samples, Series, StorageError};

use super::group::late::LateValue;
use super::group::{OpenWide, View, ViewChunk};
use crate::histograms::HistogramRef;
use crate::merge::{Mark, append, fill_starts, merge_tail};
use crate::tombstones::{Interval, leave_out};
use points::Picked;
pub(crate) use tile::TILE_CELLS_MAX;
use tile::Tiles;

/// A group's view with what reading decodes once for all of its series.
#[derive(Debug)]
pub(crate) struct SharedView {
    view: View,
    /// What few slots have open besides floats.
    wide: BTreeMap<u32, OpenWide>,
    /// Timestamps of each chunk.
    times: Vec<OnceLock<Result<Vec<i64>, DecodeError>>>,
    tiles: Tiles,
    /// Of each chunk, which rows are the newest ones at the points that were asked for first.
    picked: Vec<OnceLock<Picked>>,
}

impl SharedView {
    /// For reading `slots`; what that turns over is taken from `cells_left`.
    pub(crate) fn new(
        view: View,
        wide: BTreeMap<u32, OpenWide>,
        slots: Vec<u32>,
        cells_left: &mut usize,
    ) -> Arc<SharedView> {
        let times = view.chunks.iter().map(|_| OnceLock::new()).collect();
        let picked = view.chunks.iter().map(|_| OnceLock::new()).collect();
        let tiles = Tiles::plan(&view.rows, slots, cells_left);
        Arc::new(SharedView {
            picked,
            view,
            wide,
            times,
            tiles,
        })
    }

    /// The timestamps of a chunk.
    fn times_of(&self, at: usize) -> Result<&[i64], DecodeError> {
        let chunk = &self.view.chunks[at];
        let times = self.times[at].get_or_init(|| chunk.chunk.head.times(&chunk.bytes));
        times.as_deref().map_err(|error| *error)
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

/// A series' part of its group's view: lists by slot and of rows, as measured.
const VIEW_BYTES: usize = 80;

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
        let mut scratch = DecodeScratch::default();
        for (at, chunk) in chunks.iter().enumerate() {
            let head = &chunk.chunk.head;
            if head.min_ms > max_ms || head.max_ms < min_ms {
                continue;
            }
            let from = Mark::of(out);
            self.read_chunk(at, (min_ms, max_ms), &mut scratch, out)?;
            merge_tail(out, from);
        }
        Ok(())
    }

    fn read_rows(&self, min_ms: i64, max_ms: i64, out: &mut Samples) -> Result<(), DecodeError> {
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
                out.timestamps.push(open.at_ms);
                out.values.push(f64::from_bits(bits));
            }
        }
        Ok(())
    }

    fn read_open(&self, min_ms: i64, max_ms: i64, out: &mut Samples) -> Result<(), DecodeError> {
        let view = &self.view.view;
        let from = Mark::of(out);
        match self.view.tiles.column(self.slot, &view.rows, &view.base)? {
            Some(column) => column.read((min_ms, max_ms), out),
            None => self.read_rows(min_ms, max_ms, out)?,
        }
        merge_tail(out, from);
        let sides = view.sides.get(self.slot).iter();
        let sides = sides.filter(|side| side.epoch <= view.epoch);
        let sides = sides.map(|side| (side.at_ms, f64::from_bits(side.bits)));
        add(sides, (min_ms, max_ms), out);
        let Some(OpenWide { histograms, starts }) = self.view.wide.get(&self.slot) else {
            return Ok(());
        };
        if let Some(column) = histograms {
            let before = Mark::of(out);
            column.for_each(view.epoch, |at_ms, histogram| {
                push_histogram(at_ms, histogram, (min_ms, max_ms), before, out);
            })?;
            merge_tail(out, before);
        }
        if let Some(starts) = starts {
            fill_starts(out, from, |ms| starts.at(ms));
        }
        Ok(())
    }

    /// Whether there may be more than floats.
    fn is_wide(&self) -> bool {
        let mut chunks = self.view.view.chunks.iter();
        self.view.wide.contains_key(&self.slot) || chunks.any(|c| c.chunk.head.has_extras())
    }

    fn read_in_order(
        &self,
        min_ms: i64,
        max_ms: i64,
        out: &mut Samples,
    ) -> Result<(), DecodeError> {
        let deleted = self.view.tombstones(self.slot);
        if deleted.is_empty() && (out.is_empty() || !self.is_wide()) {
            self.read_chunks(min_ms, max_ms, out)?;
            return self.read_open(min_ms, max_ms, out);
        }
        // Apart from what is in `out` already: that may be of the same time, and has its own starts.
        let mut own = Samples::default();
        self.read_chunks(min_ms, max_ms, &mut own)?;
        self.read_open(min_ms, max_ms, &mut own)?;
        leave_out(deleted, &mut own, Mark::default());
        let from = Mark::of(out);
        append(out, own);
        merge_tail(out, from);
        Ok(())
    }

    /// Late samples come last: where there is one in order, that stays.
    fn read_late(&self, min_ms: i64, max_ms: i64, out: &mut Samples) {
        let view = &self.view.view;
        let from = Mark::of(out);
        let late = view.late.get(self.slot).iter();
        let late = late.filter(|late| late.epoch <= view.epoch);
        for late in late.filter(|late| (min_ms..=max_ms).contains(&late.at_ms)) {
            match &late.value {
                LateValue::Float(bits) => {
                    out.push_with_start(late.at_ms, f64::from_bits(*bits), late.start_ms);
                }
                LateValue::Histogram(histogram) => {
                    let histogram = Arc::new(histogram.as_ref().as_ref().to_float());
                    out.push_histogram(late.at_ms, histogram, late.start_ms);
                }
            }
        }
        merge_tail(out, from);
    }
}

impl HeadSeries {
    /// Adds the samples in a chunk, which ascend but for those with times of their own.
    fn read_chunk(
        &self,
        at: usize,
        range: (i64, i64),
        scratch: &mut DecodeScratch,
        out: &mut Samples,
    ) -> Result<(), DecodeError> {
        let times = self.view.times_of(at)?;
        let ViewChunk { chunk, bytes } = &self.view.view.chunks[at];
        let (head, slot) = (&chunk.head, self.slot);
        let from = Mark::of(out);
        head.read(bytes, slot as usize, times, range, scratch, out)?;
        if head.side_count > 0 {
            let side = head.side(bytes, slot)?;
            add(side.times.into_iter().zip(side.values), range, out);
        }
        let Some(extras) = head.extras(bytes)? else {
            return Ok(());
        };
        if let Some(column) = extras.histograms(slot)? {
            column.for_each(|at_ms, histogram| {
                push_histogram(at_ms, histogram, range, from, out);
            })?;
        }
        let starts = extras.starts(slot)?;
        fill_starts(out, from, |ms| starts.at(ms));
        Ok(())
    }
}

/// Adds float samples and merges them in.
fn add(samples: impl Iterator<Item = (i64, f64)>, range: (i64, i64), out: &mut Samples) {
    let from = Mark::of(out);
    for (at_ms, value) in samples {
        if (range.0..=range.1).contains(&at_ms) {
            out.timestamps.push(at_ms);
            out.values.push(value);
        }
    }
    merge_tail(out, from);
}

/// Adds a histogram behind those from `from` on. One that is not newer than the last comes from a
/// batch in place of one that was refused and is in the log nevertheless: it replaces that.
fn push_histogram(
    at_ms: i64,
    histogram: HistogramRef<'_>,
    (min_ms, max_ms): (i64, i64),
    from: Mark,
    out: &mut Samples,
) {
    while out.histograms.len() > from.histograms
        && out
            .histograms
            .last()
            .is_some_and(|(last, _)| *last >= at_ms)
    {
        out.histograms.pop();
    }
    if (min_ms..=max_ms).contains(&at_ms) {
        out.histograms.push((at_ms, Arc::new(histogram.to_float())));
    }
}

impl HeadSeries {
    /// What reading it takes besides itself: its part of what the group's series share, and of the
    /// rows that are turned over.
    pub(crate) fn shared_bytes(&self) -> usize {
        VIEW_BYTES + self.view.tiles.slot_bytes(self.slot)
    }
}

impl Series for HeadSeries {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn size_bytes(&self) -> usize {
        let labels = self.labels.size_bytes() + 2 * size_of::<usize>();
        size_of::<HeadSeries>() + labels + self.shared_bytes()
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

    fn read_points(&self, points: &Points, out: &mut Samples) -> Result<(), StorageError> {
        if self.read_some(points, out)? {
            return Ok(());
        }
        let (min_ms, max_ms) = points.range_ms();
        self.read(min_ms, max_ms, out)
    }
}
