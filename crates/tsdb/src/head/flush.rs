//! Out of the head: what blocks are written from, and forgetting what is in them.

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;

use codec::DecodeError;
use codec::varint;
use model::Labels;
use storage::{Samples, StorageError};

use super::Head;
use super::delete::put_tombstones;
use super::group::late::{Late, LateSamples, LateValue};
use super::group::{GONE, Group, State};
use super::index::FORGOTTEN;
use super::link::{self, Piece};
use crate::block::{BlockError, BlockSource, GroupInput, LinkedGroup, SeriesInput, Times};
use crate::histograms::{TimedHistograms, item};
use crate::merge::{Mark, fill_starts, merge_tail};
use crate::sync::atomic::{Ordering::Relaxed, Ordering::SeqCst};
use crate::tombstones::{Tombstones, is_deleted, leave_out};
use crate::wal::Checkpoint;
use crate::wal::frame::{self, Kind};
use crate::wal::record::wide::{self, Item, Wide};
use crate::wal::record::{self, Timed};

/// Series in one definition of a checkpoint: a few hundred kilobytes a frame.
const SERIES_PER_FRAME: usize = 10_000;
/// Late samples in one record of a checkpoint.
const LATE_PER_FRAME: usize = 10_000;

/// Gives a block its samples, group by group.
pub(crate) struct HeadSource<'a> {
    head: &'a Head,
    groups: std::vec::IntoIter<Arc<Group>>,
    min_ms: i64,
    /// Included.
    max_ms: i64,
    /// Whether samples in order are wanted, too, and not only late ones.
    in_order: bool,
    late: LateSamples,
    tombstones: Arc<Tombstones>,
    pieces: Vec<Piece>,
    /// Whether the block may link chunk files.
    links: bool,
    linked: Option<LinkedGroup>,
    times: Vec<i64>,
    series: std::vec::IntoIter<(Labels, u32)>,
    /// What else there is of the series that was given last, the last first.
    more: Vec<SeriesInput>,
    samples: Samples,
}

fn source_error(error: impl std::fmt::Display) -> BlockError {
    BlockError::Source(StorageError::Corrupt(format!("head chunk: {error}")))
}

impl Head {
    /// The span of the next block that is due: when samples span more than one and a half times
    /// a block's.
    pub(crate) fn due_block(&self) -> Option<(i64, i64)> {
        let (min_ms, max_ms) = self.time_range()?;
        let min_ms = min_ms.max(self.valid_ms());
        (max_ms.saturating_sub(min_ms) > self.range_ms / 2 * 3).then(|| {
            let from = min_ms.div_euclid(self.range_ms) * self.range_ms;
            (from, from + self.range_ms)
        })
    }

    /// Up to where nothing is left, from `min_ms` on, in whole spans as long as the one to `end_ms`
    /// and no further than blocks are due. A sample of 1970 beside those of today would otherwise
    /// make an empty block for every two hours since. Steps double while they find nothing, so
    /// that this takes some hundred looks; where there is a sample, one.
    pub(crate) fn empty_until(&self, min_ms: i64, end_ms: i64) -> Result<i64, BlockError> {
        let last_ms = self.max_ms.load(SeqCst).saturating_sub(self.range_ms / 2);
        let range_ms = end_ms - min_ms;
        let (mut from_ms, mut step_ms) = (min_ms, range_ms);
        loop {
            let to_ms = from_ms.saturating_add(step_ms);
            if to_ms < last_ms && self.is_empty_between(from_ms, to_ms)? {
                from_ms = to_ms;
                step_ms = step_ms.saturating_mul(2);
            } else if step_ms > range_ms {
                step_ms = range_ms;
            } else {
                return Ok(from_ms);
            }
        }
    }

    fn is_empty_between(&self, min_ms: i64, end_ms: i64) -> Result<bool, BlockError> {
        let mut source = self.block_source(min_ms, end_ms, true);
        let (mut group, mut series) = (GroupInput::default(), SeriesInput::default());
        while source.next_group(&mut group)? {
            if source.next_series(&mut series)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The samples from `min_ms` to before `end_ms`, for a block; only late ones unless
    /// `in_order`. Only late samples are taken into that time any more.
    pub(crate) fn block_source(&self, min_ms: i64, end_ms: i64, in_order: bool) -> HeadSource<'_> {
        if in_order {
            self.seal_before(end_ms);
        }
        let mut groups = self.all_groups();
        groups.sort_by(|a, b| a.labels.cmp(&b.labels));
        HeadSource {
            head: self,
            groups: groups.into_iter(),
            min_ms,
            max_ms: end_ms - 1,
            in_order,
            late: LateSamples::default(),
            tombstones: Arc::default(),
            pieces: Vec::new(),
            links: false,
            linked: None,
            times: Vec::new(),
            series: Vec::new().into_iter(),
            more: Vec::new(),
            samples: Samples::default(),
        }
    }

    /// Seals groups that have something open from before `end_ms`: those that were idle since.
    fn seal_before(&self, end_ms: i64) {
        for group in self.all_groups() {
            let mut state = group.state.lock();
            if state.is_open() && state.open_min_ms().is_some_and(|ms| ms < end_ms) {
                self.with_scratch(|scratch, _| self.seal(&group, &mut state, scratch));
            }
        }
    }

    /// Forgets samples before `before_ms`, which blocks have, and series that have no other.
    pub(crate) fn truncate(&self, before_ms: i64) {
        self.valid_ms.fetch_max(before_ms, SeqCst);
        self.seal_before(before_ms);
        self.files.cut(before_ms);
        let mut dropped = 0;
        for group in self.all_groups() {
            let mut state = group.state.lock();
            state.chunks.retain(|chunk| {
                let keep = chunk.head.max_ms >= before_ms;
                dropped += if keep { 0 } else { chunk.head.slots as u64 };
                keep
            });
            if !state.tombstones.is_empty() {
                let oldest_ms = state.min_ms().unwrap_or(i64::MAX);
                Arc::make_mut(&mut state.tombstones).forget_before(oldest_ms);
            }
        }
        self.counts.chunks_removed.fetch_add(dropped, Relaxed);
        self.forget_series(before_ms);
        self.note_oldest();
        self.counts.truncations.fetch_add(1, Relaxed);
    }

    /// Finds the oldest sample again.
    pub(super) fn note_oldest(&self) {
        let groups = self.all_groups();
        let oldest = groups
            .iter()
            .filter_map(|group| group.state.lock().min_ms());
        let valid_ms = self.valid_ms();
        let oldest = oldest.min().map_or(i64::MAX, |ms| ms.max(valid_ms));
        self.min_ms.store(oldest, SeqCst);
        if oldest == i64::MAX {
            self.max_ms.store(i64::MIN, SeqCst);
        }
    }

    /// Removes series without samples from `before_ms` on from the index, and groups without
    /// series.
    fn forget_series(&self, before_ms: i64) {
        let mut index = self.index.write();
        let mut keep = vec![true; index.len()];
        let groups = self.all_groups();
        for group in &groups {
            let state = &mut *group.state.lock();
            // Read under the group's lock: what the log has of a series is in here or before.
            let segment = self.wal.current();
            for slot in 0..state.series.len() as u32 {
                let (id, span) = (state.series[slot as usize], state.spans[slot as usize]);
                let dead = match span.is_empty() {
                    true => state.is_closed(),
                    false => span.ends_before(before_ms),
                };
                if dead && id != GONE && state.late.get(slot).is_empty() {
                    keep[id as usize] = false;
                    state.close_slot(slot, segment);
                }
            }
            // What has never had a sample is not defined any more.
            let State {
                pending, series, ..
            } = state;
            pending.retain(|(slot, _)| series[*slot as usize] != GONE);
        }
        let removed = keep.iter().filter(|keep| !**keep).count();
        if removed > 0 {
            let moved = index.retain(|id| keep[id as usize]);
            for group in &groups {
                let mut state = group.state.lock();
                // The log must not define a series once more after it has a home elsewhere.
                state.again = Box::default();
                for id in state.series.iter_mut().filter(|id| **id != GONE) {
                    *id = moved[*id as usize];
                    debug_assert!(*id != FORGOTTEN, "every series that is not gone is kept");
                }
            }
            self.counts
                .series_removed
                .fetch_add(removed as u64, Relaxed);
        }
        drop(index);
        let mut table = self.groups.write();
        for group in groups {
            let state = group.state.lock();
            let empty = state.gone == state.series.len() && state.chunks.is_empty();
            if empty && state.is_closed() && !state.is_open() {
                table.by_id.remove(&group.id);
                table.by_labels.remove(&group.labels);
            }
        }
    }

    /// Removes segments of the log and chunk files that nothing needs any more.
    pub(crate) fn truncate_wal(&self, seal_idle_ms: i64) -> io::Result<()> {
        let max_ms = self.max_ms.load(SeqCst);
        self.seal_idle(max_ms.saturating_sub(seal_idle_ms));
        let mut first = self.wal.cut() + 1;
        let groups = self.all_groups();
        for group in &groups {
            let mut state = group.state.lock();
            state.save_chunks(&self.files)?;
            first = first.min(state.needs_segment().unwrap_or(u64::MAX));
        }
        let ends = self.files.ends();
        self.files.sync()?;
        let mut checkpoint = self.wal.begin_checkpoint(first)?;
        self.put_checkpoint(&groups, &ends, &mut checkpoint)?;
        checkpoint.finish()?;
        let mut used = Vec::new();
        for group in self.all_groups() {
            let mut state = group.state.lock();
            state.wake_slots(first);
            used.extend(state.chunks.iter().cloned());
        }
        self.files.remove_unused(used.iter())
    }

    fn seal_idle(&self, before_ms: i64) {
        for group in self.all_groups() {
            let mut state = group.state.lock();
            if state.is_open() && state.last_batch_ms < before_ms {
                self.with_scratch(|scratch, _| self.seal(&group, &mut state, scratch));
            }
        }
    }

    /// Definitions of all groups and series, then what else must not be lost.
    fn put_checkpoint(
        &self,
        groups: &[Arc<Group>],
        ends: &BTreeMap<u64, u64>,
        to: &mut Checkpoint<'_>,
    ) -> io::Result<()> {
        for group in groups {
            let series: Vec<(u32, u32)> = {
                let state = group.state.lock();
                let slots = state.series.iter().zip(0..);
                slots
                    .filter(|(id, _)| **id != GONE)
                    .map(|(id, slot)| (slot, *id))
                    .collect()
            };
            let mut parts = series.chunks(SERIES_PER_FRAME);
            let mut part = parts.next();
            loop {
                // Ids stay as they are: whoever forgets series waits for the checkpoint.
                let labels: Vec<_> = {
                    let index = self.index.read();
                    let part = part.unwrap_or(&[]).iter();
                    part.map(|(slot, id)| (*slot, index.labels(*id))).collect()
                };
                let start = frame::begin(&mut to.frames, Kind::Define);
                let series = labels.iter().map(|(slot, labels)| (*slot, labels));
                record::put_define(&mut to.frames, group.id, &group.labels, series);
                frame::finish(&mut to.frames, start);
                to.spill()?;
                part = parts.next();
                if part.is_none() {
                    break;
                }
            }
        }
        for group in groups {
            put_tombstones(group, &mut to.frames);
            put_late(group, &mut to.frames);
            to.spill()?;
        }
        self.exemplars.put_checkpoint(&mut to.frames);
        let labels = |series| self.labels_of(series);
        self.metadata.put_checkpoint(labels, &mut to.frames);
        to.spill()?;
        let start = frame::begin(&mut to.frames, Kind::End);
        varint::put(&mut to.frames, u64::from(self.groups.read().next));
        varint::put_signed(&mut to.frames, self.valid_ms());
        varint::put(&mut to.frames, ends.len() as u64);
        for (number, end) in ends {
            varint::put(&mut to.frames, *number);
            varint::put(&mut to.frames, *end);
        }
        frame::finish(&mut to.frames, start);
        Ok(())
    }
}

impl HeadSource<'_> {
    /// Lets the block link chunk files, if the disk brings these to the medium.
    pub(crate) fn linking(mut self) -> Self {
        self.head.files.cut(self.max_ms + 1);
        self.links = self.in_order && self.head.files.sync().is_ok();
        self
    }

    /// Gives up the chunks of the group before, and the memory that reading them took.
    fn release_pieces(&mut self) {
        self.pieces
            .drain(..)
            .for_each(|piece| piece.bytes.release());
    }

    /// Takes up a group; false if it has nothing for the block.
    fn take_up(&mut self, group: &Group) -> Result<bool, BlockError> {
        let index = self.head.index.read();
        let state = group.state.lock();
        self.release_pieces();
        self.late = state.late.clone();
        self.tombstones = Arc::clone(&state.tombstones);
        for chunk in state.chunks.iter().filter(|_| self.in_order) {
            if chunk.head.min_ms > self.max_ms || chunk.head.max_ms < self.min_ms {
                continue;
            }
            let bytes = self.head.files.bytes(chunk).map_err(source_error)?;
            let times = chunk.head.times(&bytes).map_err(source_error)?;
            let chunk = Arc::clone(chunk);
            self.pieces.push(Piece {
                chunk,
                bytes,
                times,
            });
        }
        if self.pieces.is_empty() && self.late.is_empty() {
            return Ok(false);
        }
        let slots = state.series.iter().zip(&state.spans).zip(0..);
        let slots = slots.filter(|((id, span), slot)| {
            let meets = self.in_order && span.meets(self.min_ms, self.max_ms);
            **id != GONE && (meets || !self.late.get(*slot).is_empty())
        });
        let series = slots.map(|((id, _), slot)| (slot, index.labels(*id)));
        let series: Vec<_> = series.collect();
        drop(state);
        drop(index);
        if self.links && self.tombstones.is_empty() && !self.has_late() {
            let time = (self.min_ms, self.max_ms);
            self.linked = link::link(&self.pieces, time, &series).map_err(source_error)?;
            if self.linked.is_some() {
                return Ok(true);
            }
        }
        let by_labels = series.into_iter().map(|(slot, labels)| (labels, slot));
        let mut series: Vec<_> = by_labels.collect();
        series.sort();
        self.series = series.into_iter();
        self.times.clear();
        for piece in &self.pieces {
            let range = self.min_ms..=self.max_ms;
            let times = piece.times.iter().filter(|time| range.contains(time));
            self.times.extend(times);
        }
        self.times.sort_unstable();
        self.times.dedup();
        Ok(true)
    }

    /// Whether the group has late samples in the time.
    fn has_late(&self) -> bool {
        let time = self.min_ms..=self.max_ms;
        let mut all = self.late.iter().flat_map(|(_, column)| column.iter());
        all.any(|late| time.contains(&late.at_ms))
    }

    /// Reads a slot: the rows into `self.samples`, the rest into `self.more`.
    fn read_slot(&mut self, labels: &Labels, slot: u32) -> Result<(), BlockError> {
        let range = self.min_ms..=self.max_ms;
        self.samples.clear();
        let mut own = Samples::default();
        let mut histograms = TimedHistograms::default();
        for piece in &self.pieces {
            let read = piece.read(slot, &range, &mut self.samples, &mut own, &mut histograms);
            read.map_err(source_error)?;
        }
        let deleted = self.tombstones.of(slot);
        leave_out(deleted, &mut self.samples, Mark::default());
        leave_out(deleted, &mut own, Mark::default());
        histograms.retain(|ms| !is_deleted(deleted, ms));
        let mut late_histograms = TimedHistograms::default();
        let from = Mark::of(&own);
        let late = self.late.get(slot).iter();
        for late in late.filter(|late| range.contains(&late.at_ms)) {
            // What is in order stays, of whatever kind it is.
            match &late.value {
                LateValue::Float(_) if histograms.times.binary_search(&late.at_ms).is_ok() => {}
                LateValue::Float(bits) => {
                    own.push_with_start(late.at_ms, f64::from_bits(*bits), late.start_ms);
                }
                LateValue::Histogram(histogram) => {
                    let histogram = histogram.as_ref().as_ref();
                    late_histograms.push(late.at_ms, histogram, late.start_ms);
                }
            }
        }
        merge_tail(&mut own, from);
        for floats in [&self.samples.timestamps, &own.timestamps] {
            late_histograms.retain(|ms| floats.binary_search(&ms).is_err());
        }
        self.queue(labels, own, [histograms, late_histograms]);
        Ok(())
    }

    /// Notes what else there is of a series, the last first.
    fn queue(&mut self, labels: &Labels, own: Samples, histograms: [TimedHistograms; 2]) {
        for mut of in histograms.into_iter().rev().filter(|of| !of.is_empty()) {
            let mut present = Vec::new();
            let marked = mark(&self.times, &of.times, &mut present);
            let times = match marked == of.len() {
                true => Times::Present,
                false => Times::Own,
            };
            self.more.push(SeriesInput {
                labels: labels.clone(),
                times,
                present,
                own: std::mem::take(&mut of.times),
                values: Vec::new(),
                histograms: of.column,
                starts: of.starts,
            });
        }
        if !own.is_empty() {
            self.more.push(SeriesInput {
                labels: labels.clone(),
                times: Times::Own,
                own: own.timestamps,
                values: own.values,
                starts: own.starts,
                ..SeriesInput::default()
            });
        }
    }
}

impl Piece {
    /// Adds what the chunk has of a slot in a time.
    fn read(
        &self,
        slot: u32,
        range: &RangeInclusive<i64>,
        rows: &mut Samples,
        own: &mut Samples,
        histograms: &mut TimedHistograms,
    ) -> Result<(), DecodeError> {
        let Piece {
            chunk,
            bytes,
            times,
        } = self;
        let ends = (*range.start(), *range.end());
        let from = (Mark::of(rows), Mark::of(own));
        chunk.head.read(bytes, slot as usize, times, ends, rows)?;
        if chunk.head.side_count > 0 {
            let side = chunk.head.side(bytes, slot)?;
            let samples = side.times.into_iter().zip(side.values);
            for (at_ms, value) in samples.filter(|(ms, _)| range.contains(ms)) {
                own.push(at_ms, value);
            }
        }
        let Some(extras) = chunk.head.extras(bytes)? else {
            return Ok(());
        };
        let starts = extras.starts(slot)?;
        fill_starts(rows, from.0, |ms| starts.at(ms));
        fill_starts(own, from.1, |ms| starts.at(ms));
        if let Some(column) = extras.histograms(slot)? {
            let first = histograms.len();
            column.for_each(|at_ms, histogram| {
                // As in queries: what came in place of a batch that was refused counts.
                let before = histograms.times[first..].partition_point(|&ms| ms < at_ms);
                histograms.truncate(first + before);
                if range.contains(&at_ms) {
                    histograms.push(at_ms, histogram, starts.at(at_ms));
                }
            })?;
        }
        Ok(())
    }
}

impl Drop for HeadSource<'_> {
    fn drop(&mut self) {
        self.release_pieces();
    }
}

impl BlockSource for HeadSource<'_> {
    fn next_group(&mut self, group: &mut GroupInput) -> Result<bool, BlockError> {
        while let Some(next) = self.groups.next() {
            if self.take_up(&next)? {
                group.key = next.labels.clone();
                group.timestamps.clone_from(&self.times);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn linked(&mut self) -> Option<LinkedGroup> {
        self.linked.take()
    }

    fn next_series(&mut self, series: &mut SeriesInput) -> Result<bool, BlockError> {
        loop {
            if let Some(more) = self.more.pop() {
                *series = more;
                return Ok(true);
            }
            let Some((labels, slot)) = self.series.next() else {
                return Ok(false);
            };
            self.read_slot(&labels, slot)?;
            if self.samples.is_empty() {
                continue;
            }
            series.clear();
            series.labels = labels;
            series.values.clone_from(&self.samples.values);
            series.starts.clone_from(&self.samples.starts);
            series.times = Times::Every;
            if self.samples.timestamps.len() != self.times.len() {
                series.times = Times::Present;
                mark(&self.times, &self.samples.timestamps, &mut series.present);
            }
            return Ok(true);
        }
    }
}

/// Late samples of a group, which a checkpoint keeps: in parts that belong to no batch.
fn put_late(group: &Group, out: &mut Vec<u8>) {
    let late = group.state.lock().late.clone();
    let all = late
        .iter()
        .flat_map(|(slot, column)| column.iter().map(move |late| (slot, late)));
    let all: Vec<(u32, &Late)> = all.collect();
    for part in all.chunks(LATE_PER_FRAME) {
        let at_ms = part[0].1.at_ms;
        let mut floats = Vec::new();
        let mut items: Vec<Vec<u8>> = Vec::new();
        let mut wide = Wide::default();
        for (slot, late) in part {
            match &late.value {
                LateValue::Float(bits) => floats.push(Timed {
                    slot: *slot,
                    at_ms: late.at_ms,
                    bits: *bits,
                    start_ms: late.start_ms,
                }),
                LateValue::Histogram(histogram) => {
                    let mut bytes = Vec::new();
                    item::put(&mut bytes, None, histogram.as_ref().as_ref());
                    items.push(bytes);
                }
            }
        }
        let histograms = part
            .iter()
            .filter(|(_, l)| matches!(l.value, LateValue::Histogram(_)));
        wide.late = histograms
            .zip(&items)
            .map(|((slot, late), bytes)| Item {
                slot: *slot,
                at_ms: late.at_ms,
                back: 0,
                bytes,
                start_ms: late.start_ms,
            })
            .collect();
        let plain = items.is_empty() && floats.iter().all(|sample| sample.start_ms == 0);
        let kind = if plain {
            Kind::LateBatch
        } else {
            Kind::WideBatch
        };
        let start = frame::begin(out, kind);
        record::put_part(out, group.id, 0, 0, at_ms);
        out.extend_from_slice(&0u32.to_le_bytes());
        record::put_timed(out, at_ms, &[]);
        record::put_timed(out, at_ms, &floats);
        if !plain {
            wide::put(out, at_ms, &floats, &wide);
        }
        frame::finish(out, start);
    }
}

/// Sets a bit for every time of `all` that is in `some`; both ascend. Gives how many are set.
fn mark(all: &[i64], some: &[i64], present: &mut Vec<u64>) -> usize {
    present.clear();
    present.resize(all.len().div_ceil(64), 0);
    let mut count = 0;
    let mut some = some.iter().peekable();
    for (at, time) in all.iter().enumerate() {
        while some.next_if(|next| *next < time).is_some() {}
        if some.next_if_eq(&time).is_some() {
            present[at / 64] |= 1 << (at % 64);
            count += 1;
        }
    }
    count
}
