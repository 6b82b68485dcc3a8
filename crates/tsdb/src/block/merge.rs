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
use super::page::MemberTimes;
use super::plan::merged_compaction;
use super::read::{Block, member_of};
use super::write::{BlockParams, SAMPLES_AT_COMPACTION, write_block};
use super::{BlockError, BlockMeta, BlockSource, GroupInput, SeriesInput, Times, Ulid};
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
    values: Vec<f64>,
    scratch: DecodeScratch,
}

/// One block.
#[derive(Debug)]
struct Input<'a> {
    block: &'a Block,
    tombstones: Arc<Tombstones>,
    labels: LabelsReader<'a>,
    /// The group that comes next, or that is being read if `shared` or `own` are set.
    group: usize,
    /// Where in the united timestamps those of its columns are, one after the other.
    positions: Vec<u32>,
    shared: Cursor,
    own: Cursor,
}

/// A way through the batches of one kind in a group.
#[derive(Debug, Default)]
struct Cursor {
    batch: usize,
    end: usize,
    slot: usize,
    /// Labels of the series it is at.
    labels: Option<Labels>,
}

impl<'a> Input<'a> {
    fn key(&self) -> Option<&'a Labels> {
        self.block.tables().groups.get(self.group).map(|g| &g.key)
    }

    /// Moves the cursor of a kind to its next series.
    fn advance(&mut self, own: bool) -> Result<(), StorageError> {
        let tables = self.block.tables();
        let cursor = if own { &mut self.own } else { &mut self.shared };
        if cursor.labels.take().is_some() {
            cursor.slot += 1;
        }
        while cursor.batch < cursor.end {
            let batch = &tables.batches[cursor.batch];
            if batch.own == own
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
        let batches = self.block.tables().batches_of(self.group);
        for own in [false, true] {
            let cursor = if own { &mut self.own } else { &mut self.shared };
            *cursor = Cursor {
                batch: batches.start,
                end: batches.end,
                ..Cursor::default()
            };
            self.advance(own)?;
        }
        Ok(())
    }

    fn is_at(&self, own: bool, labels: &Labels) -> bool {
        let cursor = if own { &self.own } else { &self.shared };
        cursor.labels.as_ref() == Some(labels)
    }

    /// What is deleted of the series at the cursor.
    fn deleted(&self, own: bool) -> &[Interval] {
        let cursor = if own { &self.own } else { &self.shared };
        let batch = &self.block.tables().batches[cursor.batch];
        let id = batch.members.get(cursor.slot);
        id.map_or(&[], |id| self.tombstones.of(id))
    }

    /// Calls `take` for every page of the series at the cursor: its values, its times, the times
    /// of its column, and where in `positions` the column starts.
    fn read(
        &self,
        own: bool,
        values: &mut Vec<f64>,
        scratch: &mut DecodeScratch,
        mut take: impl FnMut(&[f64], MemberTimes<'_>, usize) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let tables = self.block.tables();
        let cursor = if own { &self.own } else { &self.shared };
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
                take(values, times, column_start)?;
            }
            if let Some(column) = page.column {
                column_start += tables.columns[column as usize].count as usize;
            }
        }
        Ok(())
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
            positions: Vec::new(),
            shared: Cursor::default(),
            own: Cursor::default(),
        };
        MergeSource {
            inputs: blocks.iter().map(input).collect(),
            timestamps: Vec::new(),
            slots: Vec::new(),
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
            values,
            scratch,
        } = self;
        let count = timestamps.len();
        slots.clear();
        slots.resize(count, 0.0);
        out.present.clear();
        out.present.resize(count.div_ceil(64), 0);
        for input in inputs.iter_mut().filter(|input| input.is_at(false, labels)) {
            let positions = &input.positions;
            let deleted = input.deleted(false);
            let present = &mut out.present;
            let mut put = |at: usize, value: f64| {
                let at = *positions.get(at).ok_or_else(out_of_place)? as usize;
                let gone = is_deleted(deleted, timestamps[at]);
                if present[at / 64] >> (at % 64) & 1 == 0 && !gone {
                    present[at / 64] |= 1 << (at % 64);
                    slots[at] = value;
                }
                Ok(())
            };
            input.read(false, values, scratch, |values, times, start| match times {
                MemberTimes::Runs(runs) => {
                    let places = runs.iter().flat_map(|&(first, end)| first..end);
                    places
                        .zip(values)
                        .try_for_each(|(at, &v)| put(start + at as usize, v))
                }
                _ => (start..).zip(values).try_for_each(|(at, &v)| put(at, v)),
            })?;
            input.advance(false)?;
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
        let mut samples: Vec<(i64, f64)> = Vec::new();
        for input in inputs.iter_mut().filter(|input| input.is_at(true, labels)) {
            let deleted = input.deleted(true);
            input.read(true, values, scratch, |values, times, _| {
                let MemberTimes::Own(times) = times else {
                    return Err(out_of_place());
                };
                let all = times.iter().copied().zip(values.iter().copied());
                samples.extend(all.filter(|(time, _)| !is_deleted(deleted, *time)));
                Ok(())
            })?;
            input.advance(true)?;
        }
        samples.sort_by_key(|&(time, _)| time);
        samples.dedup_by_key(|&mut (time, _)| time);
        out.times = Times::Own;
        out.own.clear();
        out.own.extend(samples.iter().map(|&(time, _)| time));
        out.values.extend(samples.iter().map(|&(_, value)| value));
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
            input.shared = Cursor::default();
            input.own = Cursor::default();
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
        let cursors = self
            .inputs
            .iter()
            .flat_map(|input| [(&input.shared, false), (&input.own, true)]);
        let at = cursors.filter_map(|(cursor, own)| Some((cursor.labels.as_ref()?, own)));
        let Some((labels, own)) = at.min() else {
            return Ok(false);
        };
        let labels = labels.clone();
        series.values.clear();
        if own {
            self.merge_own(&labels, series)?;
        } else {
            self.merge_shared(&labels, series)?;
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
