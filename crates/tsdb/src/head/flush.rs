//! Out of the head: what blocks are written from.

use std::ops::RangeInclusive;
use std::sync::Arc;

use codec::DecodeError;
use model::Labels;
use storage::{Samples, StorageError};

use super::Head;
use super::group::late::{LateSamples, LateValue};
use super::group::{GONE, Group};
use super::link::{self, Piece};
use crate::block::{BlockError, BlockSource, GroupInput, LinkedGroup, SeriesInput, Times};
use crate::histograms::TimedHistograms;
use crate::merge::{Mark, fill_starts, merge_tail};
use crate::sync::atomic::Ordering::SeqCst;
use crate::tombstones::{Tombstones, is_deleted, leave_out};

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
    pub(super) fn seal_before(&self, end_ms: i64) {
        for group in self.all_groups() {
            let mut state = group.state.lock();
            if state.is_open() && state.open_min_ms().is_some_and(|ms| ms < end_ms) {
                self.with_scratch(|scratch, _| self.seal(&group, &mut state, scratch));
            }
        }
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
        let mut scratch = codec::floats::DecodeScratch::default();
        chunk
            .head
            .read(bytes, slot as usize, times, ends, &mut scratch, rows)?;
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
