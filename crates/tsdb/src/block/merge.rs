//! Several blocks as the source of one.
//!
//! Groups of the same key become one: their timestamps are united, and each series of the group
//! is put together from what the blocks have of it, in the order of labels. Where two blocks have
//! a sample at the same time, that of the block that comes first stays. Memory holds one series
//! and the timestamps of one group.

use std::path::Path;
use std::sync::Arc;

use codec::columns::DecodeScratch;
use disk::Disk;
use model::Labels;
use storage::StorageError;

use super::index::LabelsReader;
use super::page::{MemberTimes, StartSteps};
use super::plan::merged_compaction;
use super::read::{Block, member_of};
use super::tables::Batch;
use super::write::{BlockParams, SAMPLES_AT_COMPACTION, write_block};
use super::{BlockError, BlockMeta, BlockSource, GroupInput, SeriesInput, Times, Ulid};
use crate::histograms::TimedHistograms;
use crate::merge::set_start;
use crate::tombstones::{Interval, Tombstones, is_deleted};

/// Merges `blocks` into a new block `ulid` in `parent`; `None` if they have no sample. The blocks
/// stay as they are.
///
/// # Errors
/// As [`write_block`]; a damaged block gives [`BlockError::Source`].
pub fn merge_blocks(
    disk: &dyn Disk,
    parent: &Path,
    ulid: Ulid,
    blocks: &[Arc<Block>],
) -> Result<Option<BlockMeta>, BlockError> {
    let metas: Vec<BlockMeta> = blocks.iter().map(|b| b.meta().clone()).collect();
    let (Some(min_ms), Some(max_ms)) = (
        metas.iter().map(|m| m.min_time).min(),
        metas.iter().map(|m| m.max_time).max(),
    ) else {
        return Ok(None);
    };
    let params = BlockParams {
        ulid,
        min_ms,
        max_ms,
        compaction: merged_compaction(&metas),
        samples_per_chunk_max: SAMPLES_AT_COMPACTION,
    };
    write_block(disk, parent, &params, &mut MergeSource::new(blocks))
}

/// Several blocks as one source.
#[derive(Debug)]
pub struct MergeSource<'a> {
    inputs: Vec<Input<'a>>,
    timestamps: Vec<i64>,
    slots: Vec<f64>,
    /// Starts of the slots, if there are any.
    starts: Vec<i64>,
    values: Vec<f64>,
    scratch: DecodeScratch,
}

/// One block.
#[derive(Debug)]
struct Input<'a> {
    block: &'a Block,
    tombstones: Arc<Tombstones>,
    labels: LabelsReader<'a>,
    /// The group that comes next, or that is being read if a cursor is set.
    group: usize,
    /// The group that the cursors are in.
    group_now: usize,
    /// Where in the united timestamps those of its columns are, one after the other.
    positions: Vec<u32>,
    cursors: [Cursor; 4],
}

/// What a batch has. Series of the same labels come in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Shared,
    Own,
    Histograms,
    OwnHistograms,
}

const KINDS: [Kind; 4] = [
    Kind::Shared,
    Kind::Own,
    Kind::Histograms,
    Kind::OwnHistograms,
];

impl Kind {
    fn of(batch: &Batch) -> Kind {
        match (batch.histograms, batch.own) {
            (false, false) => Kind::Shared,
            (false, true) => Kind::Own,
            (true, false) => Kind::Histograms,
            (true, true) => Kind::OwnHistograms,
        }
    }
}

/// A way through the batches of one kind in a group, by labels.
#[derive(Debug, Default)]
struct Cursor {
    batch: usize,
    end: usize,
    slot: usize,
    /// Of a linked group, whose series come in the order of slots: labels, batch and place of
    /// those that follow, the last first.
    linked: Vec<(Labels, usize, usize)>,
    /// Labels of the series it is at.
    labels: Option<Labels>,
}

impl<'a> Input<'a> {
    fn key(&self) -> Option<&'a Labels> {
        self.block.tables().groups.get(self.group).map(|g| &g.key)
    }

    /// Moves the cursor of a kind to its next series.
    fn advance(&mut self, kind: Kind) -> Result<(), StorageError> {
        let tables = self.block.tables();
        let cursor = &mut self.cursors[kind as usize];
        if tables.groups[self.group_now].linked.is_some() {
            cursor.labels = cursor.linked.pop().map(|(labels, batch, slot)| {
                (cursor.batch, cursor.slot) = (batch, slot);
                labels
            });
            return Ok(());
        }
        if cursor.labels.take().is_some() {
            cursor.slot += 1;
        }
        while cursor.batch < cursor.end {
            let batch = &tables.batches[cursor.batch];
            if Kind::of(batch) == kind
                && let Some(id) = batch.members.get(cursor.slot)
            {
                cursor.labels = Some(self.labels.labels(id)?);
                return Ok(());
            }
            cursor.batch += 1;
            cursor.slot = 0;
        }
        Ok(())
    }

    fn start_group(&mut self) -> Result<(), StorageError> {
        self.group_now = self.group;
        let batches = self.block.tables().batches_of(self.group);
        for kind in KINDS {
            self.cursors[kind as usize] = Cursor {
                batch: batches.start,
                end: batches.end,
                ..Cursor::default()
            };
        }
        if self.block.tables().groups[self.group].linked.is_some() {
            self.cursors[Kind::Shared as usize].linked = self.by_labels(batches)?;
        }
        for kind in KINDS {
            self.advance(kind)?;
        }
        Ok(())
    }

    /// The series of some batches with where they are, the last by labels first.
    fn by_labels(
        &mut self,
        batches: std::ops::Range<usize>,
    ) -> Result<Vec<(Labels, usize, usize)>, StorageError> {
        let mut all = Vec::new();
        for batch in batches {
            let members = &self.block.tables().batches[batch].members;
            for (slot, id) in (0..members.len()).filter_map(|at| Some((at, members.get(at)?))) {
                all.push((self.labels.labels(id)?, batch, slot));
            }
        }
        all.sort_unstable_by(|a, b| b.cmp(a));
        Ok(all)
    }

    fn is_at(&self, kind: Kind, labels: &Labels) -> bool {
        let cursor = &self.cursors[kind as usize];
        cursor.labels.as_ref() == Some(labels)
    }

    /// What is deleted of the series at the cursor.
    fn deleted(&self, kind: Kind) -> &[Interval] {
        let cursor = &self.cursors[kind as usize];
        let batch = &self.block.tables().batches[cursor.batch];
        let id = batch.members.get(cursor.slot);
        id.map_or(&[], |id| self.tombstones.of(id))
    }

    /// Adds the histograms of the series at the cursor that are not deleted.
    fn read_histograms(
        &self,
        kind: Kind,
        scratch: &mut DecodeScratch,
    ) -> Result<TimedHistograms, StorageError> {
        let tables = self.block.tables();
        let cursor = &self.cursors[kind as usize];
        let batch = &tables.batches[cursor.batch];
        let mut all = TimedHistograms::default();
        for page in &tables.pages[tables.pages_of(cursor.batch)] {
            if page.absent >> cursor.slot & 1 == 1 || page.size == 0 {
                continue;
            }
            let (parsed, bytes) = self.block.page(batch, page)?;
            let column = page.column.map(|column| self.block.column(column));
            let column = column.transpose()?;
            let times = column.as_ref().map_or(&[][..], |times| &times[..]);
            let member = member_of(page, cursor.slot);
            let every = (i64::MIN, i64::MAX);
            parsed
                .read_histograms(bytes, member, times, every, scratch, &mut all)
                .map_err(|error| StorageError::Corrupt(error.to_string()))?;
        }
        let deleted = self.deleted(kind);
        all.retain(|ms| !is_deleted(deleted, ms));
        Ok(all)
    }

    /// Calls `take` for every page of the series at the cursor: its values with their starts, its
    /// times, and where in `positions` the column starts.
    fn read(
        &self,
        kind: Kind,
        values: &mut Vec<f64>,
        scratch: &mut DecodeScratch,
        mut take: impl FnMut(Values<'_>, MemberTimes<'_>, usize) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let tables = self.block.tables();
        let cursor = &self.cursors[kind as usize];
        let batch = &tables.batches[cursor.batch];
        let mut column_start = 0;
        for page in &tables.pages[tables.pages_of(cursor.batch)] {
            if page.absent >> cursor.slot & 1 == 0 && page.size > 0 {
                let (parsed, bytes) = self.block.page(batch, page)?;
                values.clear();
                let member = member_of(page, cursor.slot);
                let times = parsed
                    .decode(bytes, member, scratch, values)
                    .map_err(|error| StorageError::Corrupt(error.to_string()))?;
                let starts = parsed.starts(member);
                take(Values { values, starts }, times, column_start)?;
            }
            if let Some(column) = page.column {
                column_start += tables.columns[column as usize].count as usize;
            }
        }
        Ok(())
    }
}

/// Values of a page with their starts.
struct Values<'a> {
    values: &'a [f64],
    starts: Option<&'a StartSteps>,
}

impl Values<'_> {
    /// All in turn, each with its start or 0.
    fn iter(&self) -> impl Iterator<Item = (f64, i64)> {
        let start = |at| self.starts.map_or(0, |steps| steps.at(at));
        let values = self.values.iter().enumerate();
        values.map(move |(at, &value)| (value, start(at)))
    }
}

impl<'a> MergeSource<'a> {
    /// All samples of the blocks; those of the first win.
    #[must_use]
    pub fn new(blocks: &'a [Arc<Block>]) -> MergeSource<'a> {
        let input = |block: &'a Arc<Block>| Input {
            block,
            tombstones: block.tombstones(),
            labels: block.labels_reader(),
            group: 0,
            group_now: 0,
            positions: Vec::new(),
            cursors: Default::default(),
        };
        MergeSource {
            inputs: blocks.iter().map(input).collect(),
            timestamps: Vec::new(),
            slots: Vec::new(),
            starts: Vec::new(),
            values: Vec::new(),
            scratch: DecodeScratch::default(),
        }
    }

    /// Puts together the series `labels` of the shared kind.
    fn merge_shared(&mut self, labels: &Labels, out: &mut SeriesInput) -> Result<(), StorageError> {
        let Self {
            inputs,
            timestamps,
            slots,
            starts,
            values,
            scratch,
        } = self;
        let count = timestamps.len();
        slots.clear();
        slots.resize(count, 0.0);
        starts.clear();
        out.present.clear();
        out.present.resize(count.div_ceil(64), 0);
        let at_labels = |input: &&mut Input<'_>| input.is_at(Kind::Shared, labels);
        for input in inputs.iter_mut().filter(at_labels) {
            let positions = &input.positions;
            let deleted = input.deleted(Kind::Shared);
            let present = &mut out.present;
            let mut put = |at: usize, (value, start_ms): (f64, i64)| {
                let at = *positions.get(at).ok_or_else(out_of_place)? as usize;
                let gone = is_deleted(deleted, timestamps[at]);
                if present[at / 64] >> (at % 64) & 1 == 0 && !gone {
                    present[at / 64] |= 1 << (at % 64);
                    slots[at] = value;
                    set_start(starts, count, at, start_ms);
                }
                Ok(())
            };
            input.read(
                Kind::Shared,
                values,
                scratch,
                |values, times, start| match times {
                    MemberTimes::Runs(runs) => {
                        let places = runs.iter().flat_map(|&(first, end)| first..end);
                        places
                            .zip(values.iter())
                            .try_for_each(|(at, v)| put(start + at as usize, v))
                    }
                    _ => (start..)
                        .zip(values.iter())
                        .try_for_each(|(at, v)| put(at, v)),
                },
            )?;
            input.advance(Kind::Shared)?;
        }
        out.times = Times::Present;
        let present = &out.present;
        let set = |at: usize| present[at / 64] >> (at % 64) & 1 == 1;
        let kept = slots
            .iter()
            .enumerate()
            .filter(|(at, _)| set(*at))
            .map(|(_, &value)| value);
        out.values.extend(kept);
        let kept = starts.iter().enumerate().filter(|(at, _)| set(*at));
        out.starts.extend(kept.map(|(_, &start_ms)| start_ms));
        Ok(())
    }

    /// Puts together the series `labels` with times of its own.
    fn merge_own(&mut self, labels: &Labels, out: &mut SeriesInput) -> Result<(), StorageError> {
        let Self {
            inputs,
            values,
            scratch,
            ..
        } = self;
        let mut samples: Vec<(i64, (f64, i64))> = Vec::new();
        let at_labels = |input: &&mut Input<'_>| input.is_at(Kind::Own, labels);
        for input in inputs.iter_mut().filter(at_labels) {
            let deleted = input.deleted(Kind::Own);
            input.read(Kind::Own, values, scratch, |values, times, _| {
                let MemberTimes::Own(times) = times else {
                    return Err(out_of_place());
                };
                let all = times.iter().copied().zip(values.iter());
                samples.extend(all.filter(|(time, _)| !is_deleted(deleted, *time)));
                Ok(())
            })?;
            input.advance(Kind::Own)?;
        }
        samples.sort_by_key(|&(time, _)| time);
        samples.dedup_by_key(|&mut (time, _)| time);
        out.times = Times::Own;
        out.own.clear();
        out.own.extend(samples.iter().map(|&(time, _)| time));
        out.values
            .extend(samples.iter().map(|&(_, (value, _))| value));
        if samples.iter().any(|&(_, (_, start_ms))| start_ms != 0) {
            let starts = samples.iter().map(|&(_, (_, start_ms))| start_ms);
            out.starts.extend(starts);
        }
        Ok(())
    }

    /// Puts together the histograms of the series `labels`.
    fn merge_histograms(
        &mut self,
        kind: Kind,
        labels: &Labels,
        out: &mut SeriesInput,
    ) -> Result<(), StorageError> {
        let mut all = TimedHistograms::default();
        let at_labels = |input: &&mut Input<'_>| input.is_at(kind, labels);
        for input in self.inputs.iter_mut().filter(at_labels) {
            let from = all.len();
            all.append(&input.read_histograms(kind, &mut self.scratch)?);
            all.merge_tail(from);
            input.advance(kind)?;
        }
        out.times = Times::Own;
        if kind == Kind::Histograms {
            out.times = Times::Present;
            let mut positions = Vec::new();
            place(&all.times, &self.timestamps, &mut positions);
            out.present.clear();
            out.present.resize(self.timestamps.len().div_ceil(64), 0);
            for at in positions {
                out.present[at as usize / 64] |= 1 << (at % 64);
            }
        }
        (out.own, out.histograms, out.starts) = (all.times, all.column, all.starts);
        Ok(())
    }
}

fn out_of_place() -> StorageError {
    StorageError::Corrupt("a page does not fit its column".to_owned())
}

impl BlockSource for MergeSource<'_> {
    fn next_group(&mut self, group: &mut GroupInput) -> Result<bool, BlockError> {
        let Some(key) = self.inputs.iter().filter_map(Input::key).min() else {
            return Ok(false);
        };
        group.key = key.clone();
        self.inputs.iter().for_each(|input| input.block.release());
        group.timestamps.clear();
        let mut columns: Vec<Vec<i64>> = Vec::new();
        for input in &mut self.inputs {
            let mut times = Vec::new();
            input.cursors = Default::default();
            if input.key() == Some(&group.key) {
                for column in input.block.tables().columns_of(input.group) {
                    times.extend_from_slice(&input.block.column(column as u32)?);
                }
                input.start_group()?;
                input.group += 1;
            }
            group.timestamps.extend_from_slice(&times);
            columns.push(times);
        }
        group.timestamps.sort_unstable();
        group.timestamps.dedup();
        for (input, times) in self.inputs.iter_mut().zip(&columns) {
            place(times, &group.timestamps, &mut input.positions);
        }
        self.timestamps.clone_from(&group.timestamps);
        Ok(true)
    }

    fn next_series(&mut self, series: &mut SeriesInput) -> Result<bool, BlockError> {
        let inputs = self.inputs.iter();
        let cursors = inputs.flat_map(|input| input.cursors.iter().zip(KINDS));
        let at = cursors.filter_map(|(cursor, kind)| Some((cursor.labels.as_ref()?, kind)));
        let Some((labels, kind)) = at.min() else {
            return Ok(false);
        };
        let labels = labels.clone();
        series.values.clear();
        series.histograms.clear();
        series.starts.clear();
        match kind {
            Kind::Shared => self.merge_shared(&labels, series)?,
            Kind::Own => self.merge_own(&labels, series)?,
            Kind::Histograms | Kind::OwnHistograms => {
                self.merge_histograms(kind, &labels, series)?;
            }
        }
        series.labels = labels;
        Ok(true)
    }
}

/// Where each of `times` is in `all`, which has them all; both ascend.
fn place(times: &[i64], all: &[i64], positions: &mut Vec<u32>) {
    positions.clear();
    let mut at = 0;
    for &time in times {
        while at < all.len() && all[at] < time {
            at += 1;
        }
        positions.push(at as u32);
    }
}
