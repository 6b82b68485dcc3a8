//! Reading a block.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use codec::columns::DecodeScratch;
use codec::varint::Reader;
use codec::{DecodeError, ints};
use disk::Disk;
use model::{Labels, Matcher};
use rayon::iter::ParallelIterator as _;
use rayon::slice::ParallelSlice as _;
use storage::{Samples, Series, StorageError};

use super::cache::PageCache;
use super::chunk_page::ChunkColumn;
use super::deleted;
use super::format::{DATA_MAGIC, FORMAT_VERSION, FORMAT_VERSION_MIN, FileReader};
use super::index::{Index, LabelsReader};
use super::page::{self, ValuePage};
use super::tables::{Batch, Members, PageEntry, Place, Tables};
use super::verified::Verified;
use super::{BlockError, BlockMeta, DATA_FILE, INDEX_FILE, META_FILE, identity, linked_file};
use crate::histograms::TimedHistograms;
use crate::identity::{Identity, IdentityKeys};
use crate::merge::{Mark, doubt, sort_tail, truncate};
use crate::select;
use crate::tombstones::{Tombstones, is_deleted, leave_out};

/// An open block. Cheap to share; files are mapped and stay readable after the folder is removed.
#[derive(Debug)]
pub struct Block {
    meta: BlockMeta,
    data_path: PathBuf,
    data: FileReader,
    /// Files of chunks, from number 1 on.
    linked: Vec<FileReader>,
    index: Index,
    tables: Tables,
    /// First id of every batch that is a range, ascending, and the batch.
    ranges: Vec<(u32, u32)>,
    /// Members of the other batches: id, batch, slot; sorted.
    listed: Vec<(u32, u32, u8)>,
    size_bytes: u64,
    cache: Arc<PageCache>,
    /// The block's number in the cache.
    number: u64,
    tombstones: ArcSwap<Tombstones>,
    dir: PathBuf,
    /// Which linked pages were found intact lately.
    verified: Verified,
}

/// A page that a series has samples in.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeriesPage<'a> {
    pub(super) batch: &'a Batch,
    pub(super) page: &'a PageEntry,
    /// Which one of the block's pages it is.
    at: usize,
    /// The series' place in the batch.
    pub(super) slot: usize,
}

/// A series of a block. Samples are read when asked for.
#[derive(Debug, Clone)]
pub struct BlockSeries {
    block: Arc<Block>,
    labels: Labels,
    id: u32,
}

impl Block {
    /// Opens the block in `dir`. Reads its `meta.json` and the index's head, not its samples.
    ///
    /// # Errors
    /// If a file is missing, damaged or of an unknown version.
    pub fn open(
        disk: &dyn Disk,
        dir: &Path,
        cache: &Arc<PageCache>,
    ) -> Result<Arc<Block>, BlockError> {
        let (meta, meta_size) = read_meta(disk, dir)?;
        let data_path = dir.join(DATA_FILE);
        let data = FileReader::open(disk, &data_path, DATA_MAGIC)?;
        let version = meta.promontory_format;
        if data.version() != version {
            return Err(BlockError::other_version(&data_path));
        }
        let number = cache.register();
        let index_path = dir.join(INDEX_FILE);
        let (index, tables) =
            Index::open(disk, &index_path, meta.min_time, cache, number, version)?;
        let linked = (1..=tables.files).map(|number| {
            let path = dir.join(linked_file(number));
            FileReader::open_linked(disk, &path)
        });
        let linked: Vec<FileReader> = linked.collect::<Result<_, _>>()?;
        check_ends(&tables, dir, &data, &linked)?;
        let (tombstones, tombstones_size) = deleted::read(disk, dir)?;
        let linked_size: u64 = linked.iter().map(FileReader::size).sum();
        let own_size = meta_size + data.size() + index.size() + tombstones_size;
        let verified = match tables.files {
            0 => Verified::default(),
            _ => Verified::of(tables.pages.len()),
        };
        let mut block = Block {
            size_bytes: own_size + linked_size,
            linked,
            meta,
            data_path,
            data,
            index,
            tables,
            ranges: Vec::new(),
            listed: Vec::new(),
            cache: Arc::clone(cache),
            number,
            tombstones: ArcSwap::from_pointee(tombstones),
            dir: dir.to_owned(),
            verified,
        };
        block.list_members();
        Ok(Arc::new(block))
    }

    fn list_members(&mut self) {
        for (at, batch) in (0u32..).zip(&self.tables.batches) {
            match &batch.members {
                Members::Range(first, _) => self.ranges.push((*first, at)),
                Members::List(ids) => {
                    self.listed
                        .extend((0u8..).zip(ids.iter()).map(|(slot, &id)| (id, at, slot)));
                }
            }
        }
        self.listed.sort_unstable();
    }

    /// What `meta.json` says.
    #[must_use]
    pub fn meta(&self) -> &BlockMeta {
        &self.meta
    }

    /// Bytes of its files.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Bytes of its index, which is in [`Block::size_bytes`].
    #[must_use]
    pub fn index_bytes(&self) -> u64 {
        self.index.size()
    }

    /// Whether some sample may lie from `min_ms` to `max_ms`, both included. Costs next to nothing.
    #[must_use]
    pub fn overlaps(&self, min_ms: i64, max_ms: i64) -> bool {
        self.meta.overlaps(min_ms, max_ms)
    }

    /// Series that pass all matchers and have samples in a chunk that reaches into `min_ms` to
    /// `max_ms`, in the block's own order (by group); at most `limit`, 0 for all.
    ///
    /// # Errors
    /// If the index is damaged where it is read.
    pub fn select(
        self: &Arc<Block>,
        matchers: &[Matcher],
        min_ms: i64,
        max_ms: i64,
        limit: usize,
    ) -> Result<Vec<BlockSeries>, StorageError> {
        let ids = self.select_ids(matchers, min_ms, max_ms, limit)?;
        let mut labels = self.index.labels_reader();
        let series = |id: u32| {
            Ok(BlockSeries {
                block: Arc::clone(self),
                labels: labels.labels(id)?,
                id,
            })
        };
        ids.into_iter().map(series).collect()
    }

    /// As [`Block::select`]: their numbers, ascending.
    pub(crate) fn select_ids(
        &self,
        matchers: &[Matcher],
        min_ms: i64,
        max_ms: i64,
        limit: usize,
    ) -> Result<Vec<u32>, StorageError> {
        if !self.overlaps(min_ms, max_ms) {
            return Ok(Vec::new());
        }
        let ids = select::select(&self.index, matchers)?;
        let limit = if limit == 0 { usize::MAX } else { limit };
        // Every series has some sample, so that those of the whole time need not be asked.
        if self.meta.is_within(min_ms, max_ms) && self.tombstones.load().is_empty() {
            return Ok(ids.iter().take(limit).collect());
        }
        let reaches = |id: &u32| self.reaches_into(*id, min_ms, max_ms);
        Ok(ids.iter().filter(reaches).take(limit).collect())
    }

    /// Labels of series, whose numbers ascend. Large lists are read on several threads.
    ///
    /// # Errors
    /// As [`Block::select`].
    pub(crate) fn labels_of(&self, ids: &[u32]) -> Result<Vec<Labels>, StorageError> {
        let labels = |ids: &[u32]| -> Result<Vec<Labels>, StorageError> {
            let mut reader = self.index.labels_reader();
            ids.iter().map(|&id| reader.labels(id)).collect()
        };
        in_parts(ids, labels)
    }

    /// Identities of series, whose numbers ascend. Large lists are read on several threads.
    ///
    /// # Errors
    /// As [`Block::select`].
    pub(crate) fn identities(
        &self,
        ids: &[u32],
        keys: &IdentityKeys,
    ) -> Result<Vec<Identity>, StorageError> {
        in_parts(ids, |ids| identity::identities(&self.index, keys, ids))
    }

    /// How many series pass all matchers, without reading their labels.
    ///
    /// # Errors
    /// If the index is damaged where it is read.
    pub fn count(&self, matchers: &[Matcher]) -> Result<usize, StorageError> {
        Ok(select::select(&self.index, matchers)?.len())
    }

    /// Names of labels of series that pass all matchers, sorted; at most `limit`, 0 for all.
    ///
    /// # Errors
    /// As [`Block::select`].
    pub fn label_names(
        &self,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, StorageError> {
        select::label_names(&self.index, matchers, limit)
    }

    /// Values of a label of series that pass all matchers, sorted; at most `limit`, 0 for all.
    ///
    /// # Errors
    /// As [`Block::select`].
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, StorageError> {
        select::label_values(&self.index, name, matchers, limit)
    }

    /// Gives the memory that reading took back: for who reads all of them once.
    pub(crate) fn release(&self) {
        self.release_files();
        self.cache.forget(self.number);
    }

    fn release_files(&self) {
        self.data.release();
        self.index.release();
        self.linked.iter().for_each(FileReader::release);
    }

    /// What is deleted, by series.
    pub(crate) fn tombstones(&self) -> Arc<Tombstones> {
        self.tombstones.load_full()
    }

    pub(super) fn set_tombstones(&self, all: Tombstones) {
        self.tombstones.store(Arc::new(all));
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }

    pub(crate) fn labels_reader(&self) -> LabelsReader<'_> {
        self.index.labels_reader()
    }

    /// Calls `visit` with every page that a series has samples in. Mostly in order of time.
    pub(super) fn pages_of<'a>(&'a self, id: u32, mut visit: impl FnMut(SeriesPage<'a>)) {
        let mut of_batch = |batch: u32, slot: usize| {
            let pages = self.tables.pages_of(batch as usize);
            let batch = &self.tables.batches[batch as usize];
            for (at, page) in pages.clone().zip(&self.tables.pages[pages]) {
                if page.absent >> slot & 1 == 0 && page.size > 0 {
                    visit(SeriesPage {
                        batch,
                        page,
                        at,
                        slot,
                    });
                }
            }
        };
        let at = self.ranges.partition_point(|&(first, _)| first <= id);
        if let Some(&(first, batch)) = at.checked_sub(1).and_then(|at| self.ranges.get(at)) {
            let slot = (id - first) as usize;
            if slot < self.tables.batches[batch as usize].members.len() {
                of_batch(batch, slot);
            }
        }
        let from = self.listed.partition_point(|&(other, _, _)| other < id);
        for &(_, batch, slot) in self.listed[from..].iter().take_while(|l| l.0 == id) {
            of_batch(batch, usize::from(slot));
        }
    }

    /// Whether the series has a page that reaches into the time and is not deleted as a whole.
    pub(super) fn reaches_into(&self, id: u32, min_ms: i64, max_ms: i64) -> bool {
        let mut found = false;
        let deleted = self.tombstones.load();
        self.pages_of(id, |SeriesPage { page, .. }| {
            found |= page.first_ms <= max_ms
                && min_ms <= page.last_ms
                && !deleted.covers(id, (page.first_ms, page.last_ms));
        });
        found
    }

    pub(super) fn corrupt(&self, error: DecodeError) -> StorageError {
        StorageError::Corrupt(format!("{}: {error}", self.data_path.display()))
    }

    /// Bytes of a page or column, verified.
    fn bytes(&self, place: Place, size: u32, check: u32) -> Result<&[u8], DecodeError> {
        let (offset, size) = (place.offset(), size as usize);
        match place.file() {
            0 => self.data.page(offset, size),
            number => self.linked[number - 1].linked(offset, size, check),
        }
    }

    /// As [`Block::bytes`], for what was verified since the block was opened.
    fn bytes_again(&self, place: Place, size: u32) -> Result<&[u8], DecodeError> {
        let (offset, size) = (place.offset(), size as usize);
        match place.file() {
            0 => self.data.page_again(offset, size),
            number => self.linked[number - 1].bytes_at(offset, size),
        }
    }

    /// The shared timestamps of a column.
    pub(crate) fn column(&self, column: u32) -> Result<Arc<Vec<i64>>, StorageError> {
        let entry = self.tables.columns[column as usize];
        let load = || {
            let bytes = self.bytes(entry.place, entry.size, entry.check)?;
            let count = entry.count as usize;
            let mut times = Vec::new();
            ints::decode(&mut Reader::new(bytes), count, &mut times)?;
            let expected = (Some(&entry.first_ms), Some(&entry.last_ms));
            if (times.first(), times.last()) != expected || !times.is_sorted_by(|a, b| a < b) {
                return Err(DecodeError("timestamps"));
            }
            Ok((times, 8 * count + 24))
        };
        self.cache
            .get_or_load(self.number, entry.place.key(), load)
            .map_err(|error| self.corrupt(error))
    }

    /// The column of a slot that is not absent from a linked page; `None` if the page is not linked.
    pub(super) fn linked_column(
        &self,
        met: &SeriesPage<'_>,
    ) -> Result<Option<ChunkColumn<'_>>, StorageError> {
        let &SeriesPage {
            batch,
            page,
            at,
            slot,
        } = met;
        let group = &self.tables.groups[batch.group as usize];
        let (Some(layout), Some(column)) = (group.linked, page.column) else {
            return Ok(None);
        };
        let rows = self.tables.columns[column as usize].count as usize;
        let bytes = match self.verified.has(at) {
            true => self.bytes_again(page.place, page.size),
            false => self.bytes(page.place, page.size, page.check),
        };
        let found = bytes.and_then(|bytes| {
            self.verified.add(at);
            ChunkColumn::find(bytes, rows, layout, member_of(page, slot))
        });
        found.map(Some).map_err(|error| self.corrupt(error))
    }

    /// Gives what was read of the files back to the system, where it stays as long as there is
    /// room, and verifies every page anew when it is read next: it may come from the disk again, and
    /// otherwise than it was. Page faults of the next query are what that costs.
    pub(crate) fn rest(&self) {
        self.verified.clear();
        self.release_files();
    }

    /// A page of a batch and its bytes; the caller knows that it is not empty.
    pub(crate) fn page(
        &self,
        batch: &Batch,
        page: &PageEntry,
    ) -> Result<(Arc<ValuePage>, &[u8]), StorageError> {
        let column_count = page
            .column
            .map_or(0, |c| self.tables.columns[c as usize].count);
        let members = member_of(page, batch.members.len());
        let parsed = self.cache.get_or_load(self.number, page.place.key(), || {
            let bytes = self.bytes(page.place, page.size, page.check)?;
            let count = column_count as usize;
            let parsed = match self.tables.groups[batch.group as usize].linked {
                None => ValuePage::parse(bytes, members, count, batch.histograms)?,
                Some(layout) => ValuePage::parse_linked(bytes, members, count, layout)?,
            };
            let size = parsed.size_bytes();
            Ok((parsed, size))
        });
        let parsed = parsed.map_err(|error| self.corrupt(error))?;
        let bytes = self.bytes_again(page.place, page.size);
        Ok((parsed, bytes.map_err(|error| self.corrupt(error))?))
    }
}

/// Series that one thread reads of a list before it takes the next part.
const PART_SERIES: usize = 8 << 10;

fn in_parts<T: Send>(
    ids: &[u32],
    read: impl Fn(&[u32]) -> Result<Vec<T>, StorageError> + Sync + Send,
) -> Result<Vec<T>, StorageError> {
    if ids.len() <= PART_SERIES {
        return read(ids);
    }
    let parts: Result<Vec<Vec<T>>, StorageError> = ids.par_chunks(PART_SERIES).map(read).collect();
    Ok(parts?.into_iter().flatten().collect())
}

/// Checks that all files reach as far as the tables say.
fn check_ends(
    tables: &Tables,
    dir: &Path,
    data: &FileReader,
    linked: &[FileReader],
) -> Result<(), BlockError> {
    let pages = tables.pages.iter().map(|page| (page.place, page.size));
    let columns = tables.columns.iter().map(|c| (c.place, c.size));
    for (place, size) in columns.chain(pages) {
        let (file, name) = match place.file() {
            0 => (data, DATA_FILE.to_owned()),
            number => (&linked[number - 1], linked_file(number)),
        };
        if place.offset() + u64::from(size) > file.size() {
            return Err(BlockError::Corrupt {
                path: dir.join(name),
                what: "the file is too short".to_owned(),
            });
        }
    }
    Ok(())
}

/// The place of a slot among those that are not absent; given the count of slots, how many are.
pub(crate) fn member_of(page: &PageEntry, slot: usize) -> usize {
    slot - (page.absent & codec::bits::mask(slot as u32)).count_ones() as usize
}

fn read_meta(disk: &dyn Disk, dir: &Path) -> Result<(BlockMeta, u64), BlockError> {
    let path = dir.join(META_FILE);
    let bytes = disk.map(&path).map_err(BlockError::io("open", &path))?;
    let corrupt = |what: String| BlockError::Corrupt {
        path: path.clone(),
        what,
    };
    let meta = BlockMeta::from_json(&bytes).map_err(corrupt)?;
    if !(FORMAT_VERSION_MIN..=FORMAT_VERSION).contains(&meta.promontory_format) {
        return Err(BlockError::Version {
            path: dir.to_owned(),
            version: meta.promontory_format,
        });
    }
    if meta.min_time >= meta.max_time {
        return Err(corrupt("the time ends before it starts".to_owned()));
    }
    Ok((meta, bytes.len() as u64))
}

impl BlockSeries {
    /// Its histograms from `min_ms` to `max_ms`, both included, as they are stored: with whole
    /// counts, if they have such.
    ///
    /// # Errors
    /// If a page of them is damaged.
    pub fn read_histograms(
        &self,
        min_ms: i64,
        max_ms: i64,
    ) -> Result<TimedHistograms, StorageError> {
        let block = &self.block;
        let mut all = TimedHistograms::default();
        let mut scratch = DecodeScratch::default();
        let mut result = Ok(());
        let mut batch_before: *const Batch = std::ptr::null();
        block.pages_of(
            self.id,
            |SeriesPage {
                 batch, page, slot, ..
             }| {
                let outside = page.first_ms > max_ms || page.last_ms < min_ms;
                if result.is_err() || outside || !batch.histograms {
                    return;
                }
                let from = all.len();
                result = block.page(batch, page).and_then(|(values, bytes)| {
                    let column = page.column.map(|column| block.column(column)).transpose()?;
                    let times = column.as_ref().map_or(&[][..], |times| &times[..]);
                    let (member, range) = (member_of(page, slot), (min_ms, max_ms));
                    values
                        .read_histograms(bytes, member, times, range, &mut scratch, &mut all)
                        .map_err(|error| block.corrupt(error))
                });
                if !std::ptr::eq(batch_before, batch) {
                    all.merge_tail(from);
                }
                batch_before = batch;
            },
        );
        result?;
        all.merge_tail(0);
        let deleted = block.tombstones.load();
        all.retain(|ms| !is_deleted(deleted.of(self.id), ms));
        Ok(all)
    }

    /// The block that it is in.
    #[must_use]
    pub fn block(&self) -> &Arc<Block> {
        &self.block
    }
}

impl Series for BlockSeries {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn read(&self, min_ms: i64, max_ms: i64, out: &mut Samples) -> Result<(), StorageError> {
        self.block.read_series(self.id, min_ms, max_ms, out)
    }
}

impl Block {
    /// Adds the samples of a series from `min_ms` to `max_ms`, both included, to `out`.
    ///
    /// # Errors
    /// If a page of them is damaged.
    pub(crate) fn read_series(
        &self,
        id: u32,
        min_ms: i64,
        max_ms: i64,
        out: &mut Samples,
    ) -> Result<(), StorageError> {
        let block = self;
        let start = Mark::of(out);
        let mut scratch = DecodeScratch::default();
        let mut result = Ok(());
        let mut batch_before: *const Batch = std::ptr::null();
        let is_outside = |page: &PageEntry| page.first_ms > max_ms || page.last_ms < min_ms;
        let mut likely = 0;
        block.pages_of(id, |SeriesPage { page, .. }| {
            if let Some(column) = page.column.filter(|_| !is_outside(page)) {
                likely += block.tables.columns[column as usize].count as usize;
            }
        });
        out.timestamps.reserve(likely);
        out.values.reserve(likely);
        block.pages_of(id, |met| {
            if result.is_err() || is_outside(met.page) {
                return;
            }
            let from = out.histograms.len();
            result = read_page(block, &met, (min_ms, max_ms), &mut scratch, out);
            // Histograms of different batches do not know of each other.
            let continues = std::ptr::eq(batch_before, met.batch) || from == start.histograms;
            if let Some((_, first)) = out.histograms.get_mut(from).filter(|_| !continues) {
                doubt(first);
            }
            batch_before = met.batch;
        });
        if result.is_err() {
            truncate(out, start);
        }
        result?;
        // Several groups may feed a series, or a group and times of its own.
        sort_tail(out, start);
        leave_out(block.tombstones.load().of(id), out, start);
        Ok(())
    }
}

fn read_page(
    block: &Block,
    met: &SeriesPage<'_>,
    range: (i64, i64),
    scratch: &mut DecodeScratch,
    out: &mut Samples,
) -> Result<(), StorageError> {
    let &SeriesPage {
        batch, page, slot, ..
    } = met;
    let column = page.column.map(|column| block.column(column)).transpose()?;
    let times = column.as_ref().map_or(&[][..], |times| &times[..]);
    if let Some(column) = block.linked_column(met)? {
        let read = page::read_linked(&column, times, range, scratch, out);
        return read.map_err(|error| block.corrupt(error));
    }
    let (values, bytes) = block.page(batch, page)?;
    let member = member_of(page, slot);
    if !batch.histograms {
        let read = values.read(bytes, member, times, range, scratch, out);
        return read.map_err(|error| block.corrupt(error));
    }
    let mut found = TimedHistograms::default();
    values
        .read_histograms(bytes, member, times, range, scratch, &mut found)
        .map_err(|error| block.corrupt(error))?;
    for (at, (&ms, histogram)) in found.times.iter().zip(found.column.iter()).enumerate() {
        let start_ms = found.starts.get(at).copied().unwrap_or(0);
        out.push_histogram(ms, Arc::new(histogram.to_float()), start_ms);
    }
    Ok(())
}
