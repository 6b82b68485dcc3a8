//! A page of label sets, by numbers: which values the labels of some series have.
//!
//! A page has up to 64 series, a row of bits for each, so that one series is read without its
//! neighbours: for every label name of the page, how far the rank of the value is above the least
//! one of the page; or, if few ranks lie far apart, which of a list it is. Least ranks and lists are
//! kept apart from the rows: the targets of one kind differ in little but these, so most pages
//! have the rows of a page before.
//!
//! Opening a page is a walk over its names; reading a series takes some nanoseconds a label.

use codec::DecodeError;
use codec::bits::{BitReader, BitWriter};
use codec::varint::{self, Reader};

/// Series of a page.
pub(super) const PAGE_SERIES_MAX: usize = 64;
/// A page ends where a batch does once it has so many series: the batches of two targets of one
/// kind have the same rows.
pub(super) const PAGE_SERIES_GOOD: usize = 16;
/// Label names of a page with more than one series. A row has bits for each, whether the series
/// has the label or not.
const PAGE_NAMES_MAX: usize = 128;
/// A rank, and one number for none.
const BITS_MAX: u8 = 33;
/// Far more than a row has: no writer makes rows of a million names.
const ROW_BITS_MAX: u32 = u32::MAX / PAGE_SERIES_MAX as u32;
/// Longer lists are not worth looking for.
const LIST_MAX: usize = PAGE_SERIES_MAX / 2;
/// A cell of a series without the label.
const ABSENT: u64 = u64::MAX;

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

/// An open page: first its rows are read, then its ranks.
#[derive(Debug, Default)]
pub(super) struct Page<'a> {
    columns: Vec<Column>,
    /// The lists of all columns.
    ranks: Vec<u32>,
    rows: &'a [u8],
    row_bits: u32,
}

impl<'a> Page<'a> {
    /// Reads the rows of `count` series, whose names are below `names`. Ranks come next.
    pub(super) fn read_rows(
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
            let row_bits = self.row_bits + u32::from(bits);
            self.row_bits = Some(row_bits)
                .filter(|bits| *bits <= ROW_BITS_MAX)
                .ok_or(DecodeError("columns"))?;
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

    /// Reads the ranks behind the rows, all of `reader`; names have so many values as `values_of`
    /// says.
    pub(super) fn read_ranks(
        &mut self,
        reader: &mut Reader<'_>,
        values_of: impl Fn(u32) -> u32,
    ) -> Result<(), DecodeError> {
        self.ranks.clear();
        for column in &mut self.columns {
            let values = values_of(column.name);
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

    /// Sets `pairs` to those of a series.
    #[inline]
    pub(super) fn read(&self, at: u32, pairs: &mut Vec<(u32, u32)>) -> Result<(), DecodeError> {
        pairs.clear();
        let mut row = BitReader::new(self.rows);
        row.skip(at * self.row_bits);
        for column in &self.columns {
            let number = row.get(u32::from(column.bits));
            if let Some(rank) = self.rank(column, number)? {
                pairs.push((column.name, rank));
            }
        }
        Ok(())
    }

    /// Calls `visit` with those of the first `count` series that have the label `name`, and the
    /// rank of its value.
    pub(super) fn read_column(
        &self,
        name: u32,
        count: u32,
        mut visit: impl FnMut(u32, u32),
    ) -> Result<(), DecodeError> {
        let Ok(at) = self
            .columns
            .binary_search_by_key(&name, |column| column.name)
        else {
            return Ok(());
        };
        let column = &self.columns[at];
        let before = self.columns[..at].iter().map(|c| u32::from(c.bits)).sum();
        let bits = u32::from(column.bits);
        let mut rows = BitReader::new(self.rows);
        rows.skip(before);
        for at in 0..count {
            if let Some(rank) = self.rank(column, rows.get(bits))? {
                visit(at, rank);
            }
            rows.skip(self.row_bits - bits);
        }
        Ok(())
    }

    #[inline]
    fn rank(&self, column: &Column, number: u64) -> Result<Option<u32>, DecodeError> {
        let Some(above) = number.checked_sub(u64::from(column.optional)) else {
            return Ok(None);
        };
        if above >= u64::from(column.room) {
            return Err(DecodeError("value"));
        }
        let rank = column.least + above as u32;
        Ok(Some(match column.listed {
            true => self.ranks[rank as usize],
            false => rank,
        }))
    }
}

/// Label sets that become a page.
#[derive(Debug, Default)]
pub(super) struct PageBuilder {
    pairs: Vec<(u32, u32)>,
    /// Where the pairs of each series end.
    ends: Vec<usize>,
    /// All names, sorted.
    names: Vec<u32>,
    /// Ranks, a row for each series, then the numbers that stand for them.
    cells: Vec<u64>,
    rows: Vec<u8>,
    ranks: Vec<u8>,
}

impl PageBuilder {
    /// How many series there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The pairs of a series.
    pub(super) fn get(&self, at: usize) -> &[(u32, u32)] {
        let from = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.pairs[from..self.ends[at]]
    }

    /// Whether the page has room for another series, which has these pairs.
    pub(super) fn has_room(&self, pairs: &[(u32, u32)]) -> bool {
        let is_new = |(name, _): &&(u32, u32)| self.names.binary_search(name).is_err();
        let new = pairs.iter().filter(is_new).count();
        self.len() == 0 || self.len() < PAGE_SERIES_MAX && self.names.len() + new <= PAGE_NAMES_MAX
    }

    /// Adds a series; names ascend.
    pub(super) fn push(&mut self, pairs: &[(u32, u32)]) {
        for (name, _) in pairs {
            if let Err(at) = self.names.binary_search(name) {
                self.names.insert(at, *name);
            }
        }
        self.pairs.extend_from_slice(pairs);
        self.ends.push(self.pairs.len());
    }

    /// Begins anew.
    pub(super) fn clear(&mut self) {
        self.pairs.clear();
        self.ends.clear();
        self.names.clear();
    }

    /// The bytes of the rows and those of the ranks.
    pub(super) fn encode(&mut self) -> (&[u8], &[u8]) {
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
        (&self.rows, &self.ranks)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_bytes_do_not_panic() {
        let mut builder = PageBuilder::default();
        for at in 0..40 {
            let few = 3 + at % 2 * 1_000;
            let pairs = [(1, at), (3, few), (200, 7)];
            builder.push(&pairs[..3 - (at % 5 == 0) as usize]);
        }
        let (rows, ranks) = builder.encode();
        let (rows, ranks) = (rows.to_vec(), ranks.to_vec());
        let open = |rows: &[u8], ranks: &[u8]| -> Result<Vec<(u32, u32)>, DecodeError> {
            let mut page = Page::default();
            page.read_rows(&mut Reader::new(rows), 40, 201)?;
            page.read_ranks(&mut Reader::new(ranks), |_| 1_004)?;
            let (mut all, mut pairs) = (Vec::new(), Vec::new());
            for at in 0..40 {
                page.read(at, &mut pairs)?;
                all.extend_from_slice(&pairs);
            }
            page.read_column(3, 40, |_, _| ())?;
            Ok(all)
        };
        assert_eq!(open(&rows, &ranks).unwrap().len(), 40 * 3 - 8);
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let (mut rows, mut ranks) = (rows.clone(), ranks.clone());
            for bytes in [&mut rows, &mut ranks] {
                for _ in 0..random.usize(..3) {
                    let at = random.usize(..bytes.len());
                    bytes[at] = random.u8(..);
                }
                bytes.truncate(bytes.len() - random.usize(..2));
            }
            if let Ok(all) = open(&rows, &ranks) {
                assert!(all.iter().all(|&(name, rank)| name < 201 && rank < 1_004));
            }
        }
    }
}
