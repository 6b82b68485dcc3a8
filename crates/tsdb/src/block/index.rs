//! The index of an open block.
//!
//! The head section is read at opening: names, tables, where pages are. Pages of the dictionary,
//! of postings and of label sets are read when asked for; the first kind goes through the cache.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codec::DecodeError;
use codec::varint::Reader;
use disk::Disk;
use model::Labels;
use storage::StorageError;

use super::BlockError;
use super::cache::PageCache;
use super::format::{
    self, CHECK_BYTES, FileReader, HEAD_BYTES, INDEX_MAGIC, SMALL_PAGES_VERSION, text,
};
use super::forward::{ForwardPages, PairsReader};
use super::forward_v1::WideForward;
use super::index_build::PAGE_VALUES;
use super::postings;
use super::tables::Tables;
use crate::postings::{Bits, IdSet};
use crate::select::{LabelIndex, PairId};

/// Bytes of the foot: offset and size of the head section, and a checksum.
const FOOT_BYTES: usize = 16 + CHECK_BYTES;

/// A label name.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) text: String,
    /// Its pairs are numbered from here.
    first_pair: u32,
    pub(super) value_count: u32,
    /// Its pages in the dictionary start here.
    first_page: u32,
    /// Where the postings of all series with the label are.
    everybody: (u64, usize),
}

/// Where a page of the dictionary is.
#[derive(Debug, Clone, Copy)]
struct DictionaryEntry {
    offset: u64,
    size: u32,
    /// Where the postings of its first value start.
    postings: u64,
}

/// An open index.
#[derive(Debug)]
pub(crate) struct Index {
    path: PathBuf,
    pub(super) file: FileReader,
    pub(super) cache: Arc<PageCache>,
    /// The block's number in the cache.
    pub(super) block: u64,
    pub(super) series_count: u32,
    pub(super) names: Vec<Name>,
    dictionary: Vec<DictionaryEntry>,
    pub(super) forward: Forward,
}

/// Where label sets are.
#[derive(Debug)]
pub(super) enum Forward {
    /// In indexes of the versions 1 to 4.
    Wide(WideForward),
    /// In all others.
    Pages(ForwardPages),
}

/// A page of the dictionary, decoded.
#[derive(Debug)]
pub(super) struct DictionaryPage {
    text: String,
    ends: Vec<u32>,
    postings: Vec<(u64, usize)>,
}

impl DictionaryPage {
    fn value(&self, at: usize) -> &str {
        let from = if at == 0 {
            0
        } else {
            self.ends[at - 1] as usize
        };
        &self.text[from..self.ends[at] as usize]
    }

    /// All values, sorted.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|at| self.value(at))
    }

    fn position(&self, value: &str) -> Result<usize, usize> {
        let (mut from, mut to) = (0, self.ends.len());
        while from < to {
            let middle = from.midpoint(to);
            match self.value(middle).cmp(value) {
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Greater => to = middle,
            }
        }
        Err(from)
    }
}

impl Index {
    /// Opens the index and reads its head.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        min_ms: i64,
        cache: &Arc<PageCache>,
        block: u64,
        version: u64,
    ) -> Result<(Index, Tables), BlockError> {
        let file = FileReader::open(disk, path, INDEX_MAGIC)?;
        if file.version() != version {
            return Err(BlockError::other_version(path));
        }
        let mut index = Index {
            path: path.to_owned(),
            file,
            cache: Arc::clone(cache),
            block,
            series_count: 0,
            names: Vec::new(),
            dictionary: Vec::new(),
            forward: Forward::Wide(WideForward::default()),
        };
        let tables = index
            .read_head(min_ms, version)
            .map_err(|error| BlockError::Corrupt {
                path: path.to_owned(),
                what: format!("head of the index: {error}"),
            })?;
        Ok((index, tables))
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        self.file.size()
    }

    pub(super) fn corrupt(&self, what: &'static str) -> impl Fn(DecodeError) -> StorageError + '_ {
        move |error| StorageError::Corrupt(format!("{}: {what}: {error}", self.path.display()))
    }

    fn read_head(&mut self, min_ms: i64, version: u64) -> Result<Tables, DecodeError> {
        let foot = self
            .file
            .size()
            .checked_sub(FOOT_BYTES as u64)
            .ok_or(DecodeError("length"))?;
        let file = self.file.clone();
        let mut foot = Reader::new(file.page(foot, FOOT_BYTES)?);
        let (offset, size) = (foot.u64_le()?, foot.u64_le()?);
        let size = usize::try_from(size).map_err(|_| DecodeError("length"))?;
        let raw = format::unpack(file.page(offset, size)?)?;
        let mut reader = Reader::new(&raw);
        self.series_count = reader.count(u32::MAX as usize)? as u32;
        let at = self.read_names(&mut reader)?;
        let end = self.read_forward(&mut reader, at, version)?;
        let (tables, series) = Tables::decode(reader.rest(), min_ms, version)?;
        if series != self.series_count || end != offset {
            return Err(DecodeError("count of series"));
        }
        Ok(tables)
    }

    /// Reads names and where their pages are; gives where the pages of label sets start.
    fn read_names(&mut self, reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
        let names = reader.count(reader.rest().len())?;
        let (mut pairs, mut pages) = (0u32, 0u32);
        for _ in 0..names {
            let text = text(reader)?.to_owned();
            let value_count = reader.count(u32::MAX as usize)? as u32;
            let size = reader.count(u32::MAX as usize)?;
            self.names.push(Name {
                text,
                first_pair: pairs,
                value_count,
                first_page: pages,
                everybody: (0, size),
            });
            pairs = pairs
                .checked_add(value_count)
                .ok_or(DecodeError("values"))?;
            pages += value_count.div_ceil(PAGE_VALUES as u32);
        }
        if !self.names.is_sorted_by(|a, b| a.text < b.text) {
            return Err(DecodeError("order of names"));
        }
        // Two bytes a page at least.
        if pages as usize > reader.rest().len() / 2 {
            return Err(DecodeError("values"));
        }
        let mut at = HEAD_BYTES as u64;
        for name in &mut self.names {
            name.everybody.0 = at;
            at += name.everybody.1 as u64;
            for _ in 0..name.value_count.div_ceil(PAGE_VALUES as u32) {
                let size = reader.count(u32::MAX as usize)? as u32;
                let postings = at;
                at = at
                    .checked_add(reader.varint()?)
                    .ok_or(DecodeError("postings"))?;
                self.dictionary.push(DictionaryEntry {
                    offset: at,
                    size,
                    postings,
                });
                at = at
                    .checked_add(u64::from(size))
                    .ok_or(DecodeError("postings"))?;
            }
        }
        Ok(at)
    }

    /// Reads where pages of label sets are, from `offset` on; gives where they end.
    fn read_forward(
        &mut self,
        reader: &mut Reader<'_>,
        offset: u64,
        version: u64,
    ) -> Result<u64, DecodeError> {
        if version >= SMALL_PAGES_VERSION {
            let pages = ForwardPages::decode(reader, self.series_count, offset)?;
            let end = pages.end();
            self.forward = Forward::Pages(pages);
            return Ok(end);
        }
        let forward = WideForward::decode(reader, self.names.len(), self.series_count, offset)?;
        let end = forward.end();
        self.forward = Forward::Wide(forward);
        Ok(end)
    }

    fn name(&self, name: &str) -> Option<&Name> {
        let at = self
            .names
            .binary_search_by(|n| n.text.as_str().cmp(name))
            .ok()?;
        Some(&self.names[at])
    }

    /// The name that a pair belongs to, and the rank of its value.
    fn name_of(&self, pair: PairId) -> (&Name, u32) {
        let at = self.names.partition_point(|n| n.first_pair <= pair.0) - 1;
        (&self.names[at], pair.0 - self.names[at].first_pair)
    }

    /// Page `page` of the name's values.
    pub(super) fn dictionary_page(
        &self,
        name: &Name,
        page: u32,
    ) -> Result<Arc<DictionaryPage>, StorageError> {
        let entry = self.dictionary[(name.first_page + page) as usize];
        let count = PAGE_VALUES.min((name.value_count as usize) - page as usize * PAGE_VALUES);
        self.cache
            .get_or_load(self.block, INDEX_SPACE | entry.offset, || {
                let bytes = self.file.page(entry.offset, entry.size as usize)?;
                let page = decode_dictionary(bytes, count, entry.postings)?;
                let size = 128 + page.text.len() + 20 * count;
                Ok((page, size))
            })
            .map_err(self.corrupt("dictionary"))
    }

    fn pair_page(&self, pair: PairId) -> Result<(Arc<DictionaryPage>, usize), StorageError> {
        let (name, rank) = self.name_of(pair);
        let page = self.dictionary_page(name, rank / PAGE_VALUES as u32)?;
        Ok((page, rank as usize % PAGE_VALUES))
    }

    fn pair_postings(&self, pair: PairId) -> Result<&[u8], StorageError> {
        let (page, at) = self.pair_page(pair)?;
        let (offset, size) = page.postings[at];
        self.file
            .page(offset, size)
            .map_err(self.corrupt("postings"))
    }

    /// The series of a page of postings. Sets that take longer to unpack than to copy are cached.
    fn set(&self, (offset, size): (u64, usize)) -> Result<IdSet, StorageError> {
        let unpack = || -> Result<IdSet, DecodeError> {
            let bytes = self.file.page(offset, size)?;
            if postings::count(bytes)? < CACHED_SET_MIN {
                return postings::to_set(bytes, self.series_count);
            }
            let load = || {
                let set = postings::to_set(bytes, self.series_count)?;
                let size = 64 + set.size_bytes();
                Ok((set, size))
            };
            let place = INDEX_SPACE | offset;
            let set: Arc<IdSet> = self.cache.get_or_load(self.block, place, load)?;
            Ok(IdSet::clone(&set))
        };
        unpack().map_err(self.corrupt("postings"))
    }

    /// The page of the name where `value` is or would be.
    fn page_for(&self, name: &Name, value: &str) -> Result<u32, StorageError> {
        // The last page whose first value is not above.
        let (mut from, mut to) = (0, name.value_count.div_ceil(PAGE_VALUES as u32));
        while to - from > 1 {
            let middle = from.midpoint(to);
            if self.dictionary_page(name, middle)?.value(0) <= value {
                from = middle;
            } else {
                to = middle;
            }
        }
        Ok(from)
    }

    /// Gives the memory that reading took back to the system.
    pub(super) fn release(&self) {
        self.file.release();
    }

    /// Reads label sets one after the other; fastest in order of id.
    pub(crate) fn labels_reader(&self) -> LabelsReader<'_> {
        LabelsReader {
            index: self,
            pairs: PairsReader::new(self),
            values: vec![Vec::new(); self.names.len()],
        }
    }
}

/// Fewer series are unpacked in less than a microsecond.
const CACHED_SET_MIN: usize = 256;

/// Index pages and data pages share the cache; their offsets must not meet.
pub(super) const INDEX_SPACE: u64 = 1 << 63;

fn decode_dictionary(
    bytes: &[u8],
    count: usize,
    first: u64,
) -> Result<DictionaryPage, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut text = Vec::new();
    let mut ends = Vec::with_capacity(count);
    let mut before = 0..0;
    for _ in 0..count {
        let same = reader.count(before.len())?;
        let start = text.len();
        text.extend_from_within(before.start..before.start + same);
        text.extend_from_slice(reader.bytes()?);
        before = start..text.len();
        ends.push(text.len() as u32);
    }
    let mut at = first;
    let mut postings = Vec::with_capacity(count);
    for _ in 0..count {
        let size = reader.count(u32::MAX as usize)?;
        postings.push((at, size));
        at += size as u64;
    }
    let text = String::from_utf8(text).map_err(|_| DecodeError("text"))?;
    let on_characters = ends.iter().all(|&end| text.is_char_boundary(end as usize));
    if !on_characters || !reader.is_empty() {
        return Err(DecodeError("text"));
    }
    Ok(DictionaryPage {
        text,
        ends,
        postings,
    })
}

/// Turns series ids into labels. Remembers, for each name, pages of values: neighbours mostly share
/// them.
#[derive(Debug)]
pub(crate) struct LabelsReader<'a> {
    index: &'a Index,
    pairs: PairsReader<'a>,
    /// For each name the pages used lately, page `p` at `p % HELD_PAGES`; room is made as needed.
    values: Vec<Vec<Option<HeldPage>>>,
}

/// A page of values and which one of its name it is.
type HeldPage = (u32, Arc<DictionaryPage>);

/// Pages of values that a [`LabelsReader`] holds for each name: 16,384 values.
const HELD_PAGES: usize = 256;

impl LabelsReader<'_> {
    /// The labels of a series.
    pub(crate) fn labels(&mut self, id: u32) -> Result<Labels, StorageError> {
        let index = self.index;
        let pairs = self.pairs.pairs(id)?;
        for &(name, rank) in pairs {
            let page = rank / PAGE_VALUES as u32;
            let held = &mut self.values[name as usize];
            let slot = page as usize % HELD_PAGES;
            if held.len() <= slot {
                held.resize(slot + 1, None);
            }
            if held[slot].as_ref().is_none_or(|(at, _)| *at != page) {
                let of_name = &index.names[name as usize];
                held[slot] = Some((page, index.dictionary_page(of_name, page)?));
            }
        }
        let pairs = pairs.iter().filter_map(|&(name, rank)| {
            let slot = rank as usize / PAGE_VALUES % HELD_PAGES;
            let (_, page) = self.values[name as usize][slot].as_ref()?;
            let value = page.value(rank as usize % PAGE_VALUES);
            Some((index.names[name as usize].text.as_str(), value))
        });
        Ok(Labels::from_sorted(pairs))
    }
}

impl LabelIndex for Index {
    fn end(&self) -> u32 {
        self.series_count
    }

    fn all(&self) -> Result<IdSet, StorageError> {
        Ok(IdSet::all(self.series_count))
    }

    fn names(&self, visit: &mut dyn FnMut(&str) -> ControlFlow<()>) -> Result<(), StorageError> {
        for name in &self.names {
            if visit(&name.text).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn has_label(&self, name: &str) -> Result<IdSet, StorageError> {
        let Some(name) = self.name(name) else {
            return Ok(IdSet::empty());
        };
        self.set(name.everybody)
    }

    fn value_count(&self, name: &str) -> usize {
        self.name(name).map_or(0, |name| name.value_count as usize)
    }

    fn values(
        &self,
        name: &str,
        prefix: &str,
        visit: &mut dyn FnMut(&str, PairId) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        let Some(name) = self.name(name) else {
            return Ok(());
        };
        let pages = name.value_count.div_ceil(PAGE_VALUES as u32);
        for page in self.page_for(name, prefix)?..pages {
            let values = self.dictionary_page(name, page)?;
            let from = values.position(prefix).unwrap_or_else(|at| at);
            for at in from..values.ends.len() {
                let value = values.value(at);
                if !value.starts_with(prefix) {
                    return Ok(());
                }
                let pair = PairId(name.first_pair + page * PAGE_VALUES as u32 + at as u32);
                if visit(value, pair).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn find(&self, name: &str, value: &str) -> Result<Option<PairId>, StorageError> {
        let Some(name) = self.name(name) else {
            return Ok(None);
        };
        if name.value_count == 0 {
            return Ok(None);
        }
        let page = self.page_for(name, value)?;
        let found = self.dictionary_page(name, page)?.position(value).ok();
        Ok(found.map(|at| PairId(name.first_pair + page * PAGE_VALUES as u32 + at as u32)))
    }

    fn weight(&self, pair: PairId) -> usize {
        self.pair_page(pair)
            .map_or(0, |(page, at)| page.postings[at].1)
    }

    fn postings(&self, pair: PairId) -> Result<IdSet, StorageError> {
        let (page, at) = self.pair_page(pair)?;
        self.set(page.postings[at])
    }

    fn add_postings(&self, pair: PairId, into: &mut Bits) -> Result<(), StorageError> {
        let bytes = self.pair_postings(pair)?;
        postings::decode(bytes, self.series_count, |first, end| {
            into.insert_run(first, end)
        })
        .map_err(self.corrupt("postings"))
    }
}
