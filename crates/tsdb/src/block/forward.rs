//! Pages of label sets: which values the labels of a series have.
//!
//! A page has up to 64 series, a row of bits for each, so that one series is read without its
//! neighbours: for every label name of the page, how far the rank of the value is above the least
//! one of the page; or, if few ranks lie far apart, which of a list it is. Least ranks and lists lie
//! behind the rows. Targets of one kind differ in little but these, so most pages have the rows of
//! a page before and only say where.
//!
//! Reading a page takes its checksum and a walk over its names, reading a series some nanoseconds a
//! label. That is less than keeping pages in a cache would cost. Pages of the versions before 5 are
//! in [`super::forward_v1`].

use std::sync::Arc;

use codec::DecodeError;
use codec::bits::{BitReader, BitWriter};
use codec::varint::{self, Reader};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use storage::StorageError;

use super::BlockError;
use super::format::{FileReader, FileWriter};
use super::forward_v1::{PAGE_SERIES as WIDE_SERIES, WidePage};
use super::index::{Forward, Index, Name};

/// Series of a page.
pub(super) const PAGE_SERIES_MAX: usize = 64;
/// A page ends where a batch does once it has so many: the batches of two targets of one kind
/// have the same rows.
const PAGE_SERIES_GOOD: usize = 16;
/// Label names of a page with more than one series. A row has bits for each, whether the series
/// has the label or not.
const PAGE_NAMES_MAX: usize = 128;
/// Rows that a writer remembers, to refer to them; beyond that it begins anew.
const KNOWN_BYTES_MAX: usize = 4 << 20;
/// A rank, and one number for none.
const BITS_MAX: u8 = 33;

/// Where the pages of an index are.
#[derive(Debug)]
pub(super) struct ForwardPages {
    /// The first series of each page, and the end of the last.
    firsts: Vec<u32>,
    /// Where each page begins, and the end of the last.
    offsets: Vec<u64>,
}

impl ForwardPages {
    /// Reads what [`ForwardWriter::finish`] wrote. The pages lie from `offset` on.
    pub(super) fn decode(
        reader: &mut Reader<'_>,
        series_count: u32,
        mut offset: u64,
    ) -> Result<ForwardPages, DecodeError> {
        // Two bytes a page at least.
        let count = reader.count(reader.rest().len() / 2)?;
        let mut firsts = Vec::with_capacity(count + 1);
        let mut offsets = Vec::with_capacity(count + 1);
        let mut first = 0u32;
        for _ in 0..count {
            firsts.push(first);
            offsets.push(offset);
            // At most 2^32 pages of 64 series: no sum that matters wraps.
            let series = reader.count(PAGE_SERIES_MAX)? as u32;
            first = first.checked_add(series).ok_or(DecodeError("series"))?;
            offset += reader.count(u32::MAX as usize)? as u64;
            if series == 0 {
                return Err(DecodeError("series"));
            }
        }
        if first != series_count {
            return Err(DecodeError("count of series"));
        }
        firsts.push(first);
        offsets.push(offset);
        Ok(ForwardPages { firsts, offsets })
    }

    /// Where the last page ends.
    pub(super) fn end(&self) -> u64 {
        self.offsets.last().copied().unwrap_or(0)
    }

    /// The page of a series; `near` is mostly it or the one before.
    fn page_of(&self, id: u32, near: usize) -> usize {
        let is_in = |page: usize| {
            let first = self.firsts.get(page..page + 2);
            first.is_some_and(|first| (first[0]..first[1]).contains(&id))
        };
        match near {
            _ if is_in(near) => near,
            _ if is_in(near + 1) => near + 1,
            _ => self.firsts.partition_point(|&first| first <= id) - 1,
        }
    }
}

/// A label name of a page.
#[derive(Debug, Clone, Copy)]
struct Column {
    name: u32,
    bits: u8,
    /// Some series have no such label, which is the number 0.
    optional: bool,
    /// Whether numbers are places in the list of ranks.
    listed: bool,
    /// The least rank, or where the list begins.
    least: u32,
    /// How many ranks there are from there on.
    room: u32,
}

/// An open page.
#[derive(Debug, Default)]
struct Page<'a> {
    columns: Vec<Column>,
    /// The lists of all columns.
    ranks: Vec<u32>,
    rows: &'a [u8],
    row_bits: u32,
    /// Where the rows were read, and of how many series; 0 if they were not.
    rows_at: u64,
    rows_count: usize,
}

impl<'a> Page<'a> {
    /// Opens page number `page`.
    fn open(
        &mut self,
        pages: &ForwardPages,
        page: usize,
        file: &'a FileReader,
        names: &[Name],
    ) -> Result<(), DecodeError> {
        let count = (pages.firsts[page + 1] - pages.firsts[page]) as usize;
        let (offset, end) = (pages.offsets[page], pages.offsets[page + 1]);
        let mut reader = Reader::new(file.page(offset, (end - offset) as usize)?);
        let back = reader.varint()?;
        if back == 0 {
            self.rows_at = 0;
            self.read_rows(&mut reader, count, names.len())?;
            (self.rows_at, self.rows_count) = (offset, count);
        } else {
            let size = reader.count(u32::MAX as usize)?;
            let of_rows = offset.checked_sub(back).ok_or(DecodeError("rows"))?;
            if (self.rows_at, self.rows_count) != (of_rows, count) {
                self.rows_at = 0;
                let mut other = Reader::new(file.page(of_rows, size)?);
                if other.varint()? != 0 {
                    return Err(DecodeError("rows"));
                }
                self.read_rows(&mut other, count, names.len())?;
                (self.rows_at, self.rows_count) = (of_rows, count);
            }
        }
        self.read_ranks(&mut reader, names)?;
        match reader.is_empty() {
            true => Ok(()),
            false => Err(DecodeError("length")),
        }
    }

    fn read_ranks(&mut self, reader: &mut Reader<'_>, names: &[Name]) -> Result<(), DecodeError> {
        self.ranks.clear();
        for column in &mut self.columns {
            let values = names[column.name as usize].value_count;
            if !column.listed {
                column.least = reader.count(values as usize)? as u32;
                column.room = values - column.least;
                continue;
            }
            column.least = self.ranks.len() as u32;
            column.room = reader.count(PAGE_SERIES_MAX)? as u32;
            let mut rank = 0i64;
            for _ in 0..column.room {
                rank = rank.wrapping_add(reader.signed()?);
                if rank < 0 || rank >= i64::from(values) {
                    return Err(DecodeError("value"));
                }
                self.ranks.push(rank as u32);
            }
        }
        Ok(())
    }

    fn read_rows(
        &mut self,
        reader: &mut Reader<'a>,
        count: usize,
        names: usize,
    ) -> Result<(), DecodeError> {
        self.columns.clear();
        self.row_bits = 0;
        // Two bytes a column at least.
        for _ in 0..reader.count(reader.rest().len() / 2)? {
            let coded = reader.count(u32::MAX as usize)? as u32;
            let (name, bits) = (coded >> 2, reader.byte()?);
            let is_next = self.columns.last().is_none_or(|last| last.name < name);
            if !is_next || name as usize >= names || bits > BITS_MAX {
                return Err(DecodeError("column"));
            }
            self.row_bits += u32::from(bits);
            self.columns.push(Column {
                name,
                bits,
                optional: coded & 1 == 1,
                listed: coded >> 1 & 1 == 1,
                least: 0,
                room: 0,
            });
        }
        self.rows = reader.take((count * self.row_bits as usize).div_ceil(8))?;
        Ok(())
    }

    /// Sets `pairs` to those of a series.
    #[inline]
    fn read(&self, at: u32, pairs: &mut Vec<(u32, u32)>) -> Result<(), DecodeError> {
        pairs.clear();
        let mut row = BitReader::new(self.rows);
        row.skip(at * self.row_bits);
        for column in &self.columns {
            let mut above = row.get(u32::from(column.bits));
            if column.optional {
                if above == 0 {
                    continue;
                }
                above -= 1;
            }
            if above >= u64::from(column.room) {
                return Err(DecodeError("value"));
            }
            let rank = column.least + above as u32;
            let rank = match column.listed {
                true => self.ranks[rank as usize],
                false => rank,
            };
            pairs.push((column.name, rank));
        }
        Ok(())
    }
}

/// Reads the label sets of series, as numbers; fastest in order of id.
#[derive(Debug)]
pub(super) struct PairsReader<'a> {
    index: &'a Index,
    /// The number of the open page; none is open at [`NO_PAGE`].
    at: usize,
    page: Page<'a>,
    wide: Option<Arc<WidePage>>,
    pairs: Vec<(u32, u32)>,
}

/// The number of no page: neither it nor the one after it exists.
const NO_PAGE: usize = usize::MAX / 2;

impl<'a> PairsReader<'a> {
    pub(super) fn new(index: &'a Index) -> PairsReader<'a> {
        PairsReader {
            index,
            at: NO_PAGE,
            page: Page::default(),
            wide: None,
            pairs: Vec::new(),
        }
    }

    /// The names of a series' labels and the ranks of their values.
    pub(super) fn pairs(&mut self, id: u32) -> Result<&[(u32, u32)], StorageError> {
        let index = self.index;
        match &index.forward {
            Forward::Pages(pages) => {
                let read = self.read(pages, id);
                read.map_err(index.corrupt("label sets"))?;
            }
            Forward::Wide(forward) => {
                let page = id as usize / WIDE_SERIES;
                if self.at != page || self.wide.is_none() {
                    self.wide = Some(index.wide_page(forward, page)?);
                    self.at = page;
                }
                if let Some(wide) = &self.wide {
                    self.pairs.clear();
                    self.pairs.extend(forward.pairs_of(wide, id));
                }
            }
        }
        Ok(&self.pairs)
    }

    fn read(&mut self, pages: &'a ForwardPages, id: u32) -> Result<(), DecodeError> {
        let page = pages.page_of(id, self.at);
        if page != self.at {
            self.at = NO_PAGE;
            let index = self.index;
            self.page.open(pages, page, &index.file, &index.names)?;
            self.at = page;
        }
        self.page.read(id - pages.firsts[page], &mut self.pairs)
    }
}

/// Writes pages of label sets.
#[derive(Debug, Default)]
pub(super) struct ForwardWriter {
    /// Label sets of the page, and where each ends.
    pairs: Vec<(u32, u32)>,
    ends: Vec<usize>,
    /// Their names, sorted.
    names: Vec<u32>,
    /// Where rows are that were written, and how large their page is.
    known: HashMap<Box<[u8]>, (u64, usize), FixedState>,
    known_bytes: usize,
    /// Ranks of the page, a row for each series, then the numbers that stand for them.
    cells: Vec<u64>,
    rows: Vec<u8>,
    ranks: Vec<u8>,
    page_count: u64,
    /// What [`ForwardWriter::finish`] writes.
    head: Vec<u8>,
}

impl ForwardWriter {
    /// Adds the next series; names ascend.
    pub(super) fn push(
        &mut self,
        pairs: impl Iterator<Item = (u32, u32)> + Clone,
        file: &mut FileWriter,
    ) -> Result<(), BlockError> {
        let is_new = |(name, _): &(u32, u32)| self.names.binary_search(name).is_err();
        let new = pairs.clone().filter(is_new).count();
        if self.ends.len() == PAGE_SERIES_MAX || self.names.len() + new > PAGE_NAMES_MAX {
            self.flush(file)?;
        }
        for (name, rank) in pairs {
            if let Err(at) = self.names.binary_search(&name) {
                self.names.insert(at, name);
            }
            self.pairs.push((name, rank));
        }
        self.ends.push(self.pairs.len());
        Ok(())
    }

    /// Says that a batch ends here.
    pub(super) fn end_batch(&mut self, file: &mut FileWriter) -> Result<(), BlockError> {
        match self.ends.len() {
            0..PAGE_SERIES_GOOD => Ok(()),
            _ => self.flush(file),
        }
    }

    fn flush(&mut self, file: &mut FileWriter) -> Result<(), BlockError> {
        if self.ends.is_empty() {
            return Ok(());
        }
        self.encode();
        let at = file.position();
        let known = self.known.get(&self.rows[..]).copied();
        let size = match known {
            Some((rows_at, rows_size)) => file.page(|out| {
                varint::put(out, at - rows_at);
                varint::put(out, rows_size as u64);
                out.extend_from_slice(&self.ranks);
            })?,
            None => file.page(|out| {
                varint::put(out, 0);
                out.extend_from_slice(&self.rows);
                out.extend_from_slice(&self.ranks);
            })?,
        };
        if known.is_none() {
            self.remember((at, size));
        }
        varint::put(&mut self.head, self.ends.len() as u64);
        varint::put(&mut self.head, size as u64);
        self.page_count += 1;
        self.pairs.clear();
        self.ends.clear();
        self.names.clear();
        Ok(())
    }

    /// Remembers the rows that were just written if referring to them is shorter.
    fn remember(&mut self, place: (u64, usize)) {
        if self.rows.len() <= REFERENCE_BYTES {
            return;
        }
        if self.known_bytes + self.rows.len() > KNOWN_BYTES_MAX {
            self.known.clear();
            self.known_bytes = 0;
        }
        self.known_bytes += self.rows.len();
        self.known.insert(self.rows.as_slice().into(), place);
    }

    /// Sets `rows` and `ranks`.
    fn encode(&mut self) {
        let (rows, ranks) = (&mut self.rows, &mut self.ranks);
        rows.clear();
        ranks.clear();
        let width = self.names.len();
        self.cells.clear();
        self.cells.resize(self.ends.len() * width, ABSENT);
        let mut from = 0;
        for (row, &end) in self.cells.chunks_mut(width.max(1)).zip(&self.ends) {
            let mut pairs = &self.pairs[from..end];
            for (cell, &name) in row.iter_mut().zip(&self.names) {
                if let Some((&(first, rank), rest)) = pairs.split_first()
                    && first == name
                {
                    *cell = u64::from(rank);
                    pairs = rest;
                }
            }
            from = end;
        }
        varint::put(rows, width as u64);
        let mut bits = Vec::with_capacity(width);
        for (at, &name) in self.names.iter().enumerate() {
            let coded = encode_column(&mut self.cells, at, width, ranks);
            let flags = u64::from(coded.listed) << 1 | u64::from(coded.optional);
            varint::put(rows, u64::from(name) << 2 | flags);
            rows.push(coded.bits as u8);
            bits.push(coded.bits);
        }
        let mut writer = BitWriter::new(rows);
        for (&number, &bits) in self.cells.iter().zip(bits.iter().cycle()) {
            writer.put(number, bits);
        }
        writer.finish();
    }

    /// Writes the last page; appends to `head` where pages are.
    pub(super) fn finish(
        mut self,
        file: &mut FileWriter,
        head: &mut Vec<u8>,
    ) -> Result<(), BlockError> {
        self.flush(file)?;
        varint::put(head, self.page_count);
        head.extend_from_slice(&self.head);
        Ok(())
    }
}

/// What a reference to rows takes, at least.
const REFERENCE_BYTES: usize = 3;

/// A cell of a series without the label.
const ABSENT: u64 = u64::MAX;
/// Longer lists are not worth looking for.
const LIST_MAX: usize = PAGE_SERIES_MAX / 2;

/// How the numbers of a column are to be read.
struct Coded {
    bits: u32,
    optional: bool,
    listed: bool,
}

/// Turns the ranks of a column of `cells` into numbers; appends the least rank, or the list.
fn encode_column(cells: &mut [u64], at: usize, width: usize, ranks: &mut Vec<u8>) -> Coded {
    let column = || cells.iter().skip(at).step_by(width).copied();
    let there = || column().filter(|&rank| rank != ABSENT);
    let optional = column().any(|rank| rank == ABSENT);
    let least = there().min().unwrap_or(0);
    let most = there().max().unwrap_or(0);
    let bits_for = |most: u64| u64::BITS - (most + u64::from(optional)).leading_zeros();
    let mut bits = bits_for(most - least);
    let mut listed = None;
    // In the order of coming, which is the same in all targets of a kind.
    if bits > 1
        && let Some(list) = distinct(there())
    {
        let mut coded = Vec::new();
        varint::put(&mut coded, list.len() as u64);
        let mut before = 0;
        for &rank in &list {
            varint::put_signed(&mut coded, rank as i64 - before);
            before = rank as i64;
        }
        let shorter = bits_for(list.len() as u64 - 1);
        if 8 * coded.len() < cells.len() / width * (bits - shorter) as usize {
            bits = shorter;
            listed = Some((list, coded));
        }
    }
    match &listed {
        Some((_, coded)) => ranks.extend_from_slice(coded),
        None => varint::put(ranks, least),
    }
    for cell in cells.iter_mut().skip(at).step_by(width) {
        let number = match (&listed, *cell) {
            (_, ABSENT) => {
                *cell = 0;
                continue;
            }
            (Some((list, _)), rank) => list.iter().position(|&r| r == rank).unwrap_or(0) as u64,
            (None, rank) => rank - least,
        };
        *cell = number + u64::from(optional);
    }
    Coded {
        bits,
        optional,
        listed: listed.is_some(),
    }
}

/// The different ranks, in the order of coming; `None` if there are too many.
fn distinct(ranks: impl Iterator<Item = u64>) -> Option<Vec<u64>> {
    let mut list = Vec::new();
    for rank in ranks {
        if !list.contains(&rank) {
            if list.len() == LIST_MAX {
                return None;
            }
            list.push(rank);
        }
    }
    Some(list)
}
