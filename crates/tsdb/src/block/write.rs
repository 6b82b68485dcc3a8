//! Writing a block.
//!
//! Series stream through: up to 64 of a group are gathered into a batch, the batch is cut into
//! slices of time and every slice becomes a page. Memory holds one batch (series times samples),
//! the tables, and label sets as numbers ([`super::index_build`]).

use std::path::Path;

use codec::ints;
use disk::Disk;
use model::Labels;

use super::format::{DATA_MAGIC, FORMAT_VERSION, FileWriter, INDEX_MAGIC};
use super::index_build::IndexBuilder;
use super::page::{self, MemberTimes, PageTimes};
use super::tables::{Batch, COLUMN_VALUES_MAX, Column, Group, Members, PageEntry, Place, Tables};
use super::write_histograms::PendingHistograms;
use super::write_linked::Links;
use super::write_slices::{Pending, SliceScratch, add_runs, range};
use super::{
    BlockError, BlockMeta, BlockSource, BlockStats, Compaction, DATA_FILE, GroupInput, INDEX_FILE,
    META_FILE, SeriesInput, Times, Ulid,
};

/// What a new block is to be.
#[derive(Debug, Clone)]
pub struct BlockParams {
    /// Its identifier.
    pub ulid: Ulid,
    /// First millisecond of its time; samples before it are an error.
    pub min_ms: i64,
    /// Last millisecond of its time, excluded; samples at or after it are an error.
    pub max_ms: i64,
    /// Where it comes from. Without sources, the block itself is its source.
    pub compaction: Compaction,
    /// Most samples of a column: [`SAMPLES_AT_FLUSH`] or [`SAMPLES_AT_COMPACTION`].
    pub samples_per_chunk_max: usize,
}

/// Two hours at 15 seconds.
pub const SAMPLES_AT_FLUSH: usize = 480;
/// Eight hours at 15 seconds: 6 % smaller than [`SAMPLES_AT_FLUSH`], and a page is still read in
/// well under a millisecond.
pub const SAMPLES_AT_COMPACTION: usize = 1_920;

/// Writes a block into `parent` and gives what its `meta.json` says; `None` if the source had no
/// sample, and then there is no block.
///
/// The block is written into `<ulid>.tmp`, synced, and renamed. Whenever the process or the power
/// goes, there is either the whole block or a folder that ends in `.tmp`, which the next start
/// removes. After an error neither is left if the disk still obeys.
///
/// # Errors
/// If the source or the disk fails, or if the source breaks its contract.
pub fn write_block(
    disk: &dyn Disk,
    parent: &Path,
    params: &BlockParams,
    source: &mut dyn BlockSource,
) -> Result<Option<BlockMeta>, BlockError> {
    let dir = parent.join(params.ulid.to_string());
    let temporary = parent.join(format!("{}.tmp", params.ulid));
    let result = write_files(disk, &temporary, params, source).and_then(|meta| {
        if meta.is_some() {
            disk.rename(&temporary, &dir)
                .map_err(BlockError::io("rename", &temporary))?;
            let synced = disk
                .sync_dir(parent)
                .map_err(BlockError::io("sync", parent));
            if synced.is_err() {
                // Whether the name will last is unknown; the caller is told that there is no block.
                let _ = disk.rename(&dir, &temporary);
            }
            synced?;
        }
        Ok(meta)
    });
    if !matches!(result, Ok(Some(_))) {
        // What stays is a folder that ends in `.tmp`; the next start removes it.
        let _ = disk.remove_dir_all(&temporary);
    }
    result
}

/// Removes the block in `dir`. If it is cut short, a folder that ends in `.tmp` stays. Readers
/// that have the block open keep reading.
///
/// # Errors
/// What the disk says.
pub fn remove_block(disk: &dyn Disk, dir: &Path) -> Result<(), BlockError> {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = dir.with_file_name(name);
    disk.rename(dir, &temporary)
        .map_err(BlockError::io("rename", dir))?;
    if let Some(parent) = dir.parent() {
        disk.sync_dir(parent)
            .map_err(BlockError::io("sync", parent))?;
    }
    disk.remove_dir_all(&temporary)
        .map_err(BlockError::io("remove", &temporary))
}

fn write_files(
    disk: &dyn Disk,
    dir: &Path,
    params: &BlockParams,
    source: &mut dyn BlockSource,
) -> Result<Option<BlockMeta>, BlockError> {
    disk.create_dir_all(dir)
        .map_err(BlockError::io("create", dir))?;
    let mut writer = DataWriter::new(
        FileWriter::create(disk, &dir.join(DATA_FILE), DATA_MAGIC)?,
        params,
    );
    let mut group = GroupInput::default();
    let mut series = SeriesInput::default();
    while source.next_group(&mut group)? {
        if let Some(linked) = source.linked() {
            writer.add_linked(&group.key, linked)?;
            continue;
        }
        writer.start_group(&group)?;
        while source.next_series(&mut series)? {
            writer.add(&group, &series)?;
        }
        writer.end_group()?;
    }
    let DataWriter {
        file,
        tables,
        index,
        stats,
        links,
        ..
    } = writer;
    file.finish()?;
    if stats.num_samples == 0 {
        return Ok(None);
    }
    links.put(disk, dir)?;
    let mut file = FileWriter::create(disk, &dir.join(INDEX_FILE), INDEX_MAGIC)?;
    index.write(&tables, params.min_ms, &mut file)?;
    file.finish()?;
    let meta = meta_of(params, stats);
    write_meta(disk, &dir.join(META_FILE), &meta)?;
    disk.sync_dir(dir).map_err(BlockError::io("sync", dir))?;
    Ok(Some(meta))
}

fn meta_of(params: &BlockParams, stats: BlockStats) -> BlockMeta {
    let mut compaction = params.compaction.clone();
    if compaction.sources.is_empty() {
        compaction.sources.push(params.ulid);
    }
    compaction.level = compaction.level.max(1);
    BlockMeta {
        ulid: params.ulid,
        min_time: params.min_ms,
        max_time: params.max_ms,
        stats,
        compaction,
        version: 1,
        promontory_format: FORMAT_VERSION,
    }
}

pub(super) fn write_meta(disk: &dyn Disk, path: &Path, meta: &BlockMeta) -> Result<(), BlockError> {
    let text = meta
        .to_json()
        .map_err(|error| BlockError::io("write", path)(error.into()))?;
    let file = disk.create(path).map_err(BlockError::io("create", path))?;
    file.append(text.as_bytes())
        .map_err(BlockError::io("write", path))?;
    file.sync().map_err(BlockError::io("sync", path))
}

pub(super) struct DataWriter {
    pub(super) file: FileWriter,
    pub(super) tables: Tables,
    index: IndexBuilder,
    pub(super) links: Links,
    pub(super) stats: BlockStats,
    min_ms: i64,
    max_ms: i64,
    pub(super) chunk_max: usize,
    shared: Pending,
    own: Pending,
    /// Histograms with shared times, and with times of their own.
    pub(super) histograms: [PendingHistograms; 2],
    pub(super) scratch: page::Scratch,
    slice: SliceScratch,
}

impl DataWriter {
    fn new(file: FileWriter, params: &BlockParams) -> DataWriter {
        DataWriter {
            file,
            tables: Tables::default(),
            index: IndexBuilder::default(),
            links: Links::default(),
            stats: BlockStats::default(),
            min_ms: params.min_ms,
            max_ms: params.max_ms,
            chunk_max: params.samples_per_chunk_max.clamp(1, COLUMN_VALUES_MAX),
            shared: Pending::default(),
            own: Pending::default(),
            histograms: Default::default(),
            scratch: page::Scratch::default(),
            slice: SliceScratch::default(),
        }
    }

    /// Where the next page will be.
    pub(super) fn place(&self) -> Result<Place, BlockError> {
        let place = Place::own(self.file.position());
        place.ok_or(BlockError::Input("a file of 256 TiB"))
    }

    pub(super) fn check_times(&self, times: &[i64]) -> Result<(), BlockError> {
        if !times.is_sorted_by(|a, b| a < b) {
            return Err(BlockError::Input("timestamps are not ascending"));
        }
        let inside = |t: &i64| (self.min_ms..self.max_ms).contains(t);
        if !times.first().is_none_or(inside) || !times.last().is_none_or(inside) {
            return Err(BlockError::Input("a timestamp is outside the block"));
        }
        Ok(())
    }

    fn start_group(&mut self, group: &GroupInput) -> Result<(), BlockError> {
        self.check_times(&group.timestamps)?;
        self.tables.groups.push(Group {
            key: group.key.clone(),
            columns: self.tables.columns.len() as u32,
            batches: self.tables.batches.len() as u32,
            linked: None,
        });
        let slices = group.timestamps.len().div_ceil(self.chunk_max);
        let size = group.timestamps.len().div_ceil(slices.max(1)).max(1);
        for times in group.timestamps.chunks(size) {
            let place = self.place()?;
            let ints = &mut self.scratch.ints;
            let size = self.file.page(|out| ints::encode(times, ints, out))?;
            self.tables.columns.push(Column {
                place,
                check: 0,
                size: size as u32,
                count: times.len() as u32,
                first_ms: times[0],
                last_ms: times[times.len() - 1],
            });
        }
        Ok(())
    }

    fn add(&mut self, group: &GroupInput, series: &SeriesInput) -> Result<(), BlockError> {
        if series.values.is_empty() && series.histograms.is_empty() {
            return Ok(());
        }
        let count = series.values.len() + series.histograms.len();
        if !series.starts.is_empty() && series.starts.len() != count {
            return Err(BlockError::Input("as many starts as times are needed"));
        }
        if !series.histograms.is_empty() {
            return self.add_histograms(group, series);
        }
        if series.labels.is_empty() {
            return Err(BlockError::Input("a series without labels"));
        }
        let own = series.times == Times::Own;
        let pending = if own { &self.own } else { &self.shared };
        if pending.is_full(&series.labels) {
            self.flush(own)?;
        }
        let expected = match series.times {
            Times::Every => group.timestamps.len(),
            Times::Own => {
                self.check_times(&series.own)?;
                self.own.own.extend_from_slice(&series.own);
                series.own.len()
            }
            Times::Present => add_runs(
                &series.present,
                group.timestamps.len(),
                &mut self.shared.runs,
            ),
        };
        if expected != series.values.len() {
            return Err(BlockError::Input("as many values as times are needed"));
        }
        let pending = if own { &mut self.own } else { &mut self.shared };
        pending.push(&series.labels, &series.values, &series.starts);
        self.stats.num_samples += series.values.len() as u64;
        self.stats.num_float_samples += series.values.len() as u64;
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), BlockError> {
        self.flush(false)?;
        self.flush(true)?;
        self.flush_histograms(false)?;
        self.flush_histograms(true)
    }

    /// Writes the pending series as a batch.
    fn flush(&mut self, own: bool) -> Result<(), BlockError> {
        let pending = if own { &mut self.own } else { &mut self.shared };
        let pending = std::mem::take(pending);
        if !pending.labels.is_empty() {
            self.start_batch(&pending.labels, own, false)?;
            if own {
                self.write_own(&pending)?;
            } else {
                self.write_shared(&pending)?;
            }
        }
        let mut pending = pending;
        pending.clear();
        *(if own { &mut self.own } else { &mut self.shared }) = pending;
        Ok(())
    }

    pub(super) fn start_batch(
        &mut self,
        all: &[Labels],
        own: bool,
        histograms: bool,
    ) -> Result<(), BlockError> {
        let first = self.index.len();
        let mut ids = Vec::with_capacity(all.len());
        for labels in all {
            ids.push(self.index.series(labels)?.0);
        }
        self.index.end_batch();
        self.stats.num_series = u64::from(self.index.len());
        let all_new = self.index.len() - first == ids.len() as u32;
        self.tables.batches.push(Batch {
            group: self.tables.groups.len() as u32 - 1,
            own,
            histograms,
            members: if all_new {
                Members::Range(first, ids.len() as u32)
            } else {
                Members::List(ids.into())
            },
            pages: self.tables.pages.len() as u32,
        });
        Ok(())
    }

    fn write_shared(&mut self, pending: &Pending) -> Result<(), BlockError> {
        let columns = self.tables.columns_of(self.tables.groups.len() - 1);
        // Where each member has got to: its next value and its next run.
        let mut progress: Vec<(usize, usize)> = (0..pending.labels.len())
            .map(|at| {
                (
                    range(&pending.ends, at).start,
                    range(&pending.run_ends, at).start,
                )
            })
            .collect();
        let mut from = 0;
        for column in columns {
            let Column {
                count,
                first_ms,
                last_ms,
                ..
            } = self.tables.columns[column];
            let to = from + count;
            let absent = self.slice.fill(pending, &mut progress, from, to);
            let place = self.place()?;
            let size = self.put_page(count as usize)?;
            self.tables.pages.push(PageEntry {
                place,
                check: 0,
                size,
                absent,
                first_ms,
                last_ms,
                column: Some(column as u32),
            });
            from = to;
        }
        Ok(())
    }

    fn put_page(&mut self, column_count: usize) -> Result<u32, BlockError> {
        let SliceScratch {
            values,
            starts,
            counts,
            runs,
            members,
        } = &self.slice;
        if counts.is_empty() {
            return Ok(0);
        }
        self.stats.num_chunks += counts.len() as u64;
        let members: Vec<MemberTimes<'_>> = members
            .iter()
            .map(|range| match range.is_empty() {
                true => MemberTimes::Every,
                false => MemberTimes::Runs(&runs[range.clone()]),
            })
            .collect();
        let times = PageTimes {
            members: &members,
            column_count,
            starts,
        };
        let scratch = &mut self.scratch;
        let size = self
            .file
            .page(|out| page::encode(&times, values, counts, scratch, out))?;
        u32::try_from(size).map_err(|_| BlockError::Input("a page of 4 GiB"))
    }

    /// Pages of series with their own times: the k-th page has the k-th chunk of each.
    fn write_own(&mut self, pending: &Pending) -> Result<(), BlockError> {
        let longest = (0..pending.labels.len())
            .map(|at| range(&pending.ends, at).len())
            .max()
            .unwrap_or(0);
        for chunk in 0..longest.div_ceil(self.chunk_max) {
            let (mut absent, mut times) = (0u64, Vec::new());
            self.slice.values.clear();
            self.slice.starts.clear();
            self.slice.counts.clear();
            let (mut first_ms, mut last_ms) = (i64::MAX, i64::MIN);
            for at in 0..pending.labels.len() {
                let range = range(&pending.ends, at);
                let from = (range.start + chunk * self.chunk_max).min(range.end);
                let to = (from + self.chunk_max).min(range.end);
                if from == to {
                    absent |= 1 << at;
                    continue;
                }
                self.slice
                    .values
                    .extend_from_slice(&pending.values[from..to]);
                self.slice
                    .starts
                    .extend_from_slice(pending.starts_of(from..to));
                self.slice.counts.push(to - from);
                first_ms = first_ms.min(pending.own[from]);
                last_ms = last_ms.max(pending.own[to - 1]);
                times.push(MemberTimes::Own(&pending.own[from..to]));
            }
            let (values, counts) = (&self.slice.values, &self.slice.counts);
            let times = PageTimes {
                members: &times,
                column_count: 0,
                starts: &self.slice.starts,
            };
            self.stats.num_chunks += counts.len() as u64;
            let place = self.place()?;
            let scratch = &mut self.scratch;
            let size = self
                .file
                .page(|out| page::encode(&times, values, counts, scratch, out))?;
            let size = u32::try_from(size).map_err(|_| BlockError::Input("a page of 4 GiB"))?;
            self.tables.pages.push(PageEntry {
                place,
                check: 0,
                size,
                absent,
                first_ms,
                last_ms,
                column: None,
            });
        }
        Ok(())
    }
}
