//! Pages of linked groups: the columns of up to 64 slots of a chunk, as sealing wrote them.
//!
//! A chunk of the head has its columns in the order of slots (`docs/formats/wal.md`), 64 of them a
//! page: which slots have something, where each column ends, and the columns: a bitmap of its rows
//! if it lacks some, and values as [`codec::floats`] writes them. A block of the head takes them as
//! they are: its pages are stretches of the chunk, and what they lack against other pages, a
//! checksum and times, is in the tables and in the chunk's head.
//!
//! One column is found without a look at another ([`ChunkColumn`]). Until November 2026 a page had
//! each column's length before it ([`Layout::Strung`]); finding one then takes a walk over those
//! before it, a cache line each.

use std::ops::Range;
use std::path::PathBuf;

use codec::DecodeError;
use codec::floats;
use codec::varint::Reader;
use model::Labels;

/// First bytes of every file of chunks, the format's version last.
pub(crate) const CHUNKS_HEADER: &[u8; 8] = b"PMONCHK\x01";
/// Slots of a page.
pub(crate) const PAGE_SLOTS: usize = 64;
/// A chunk has at most so many rows, so that a slot's rows fit one `u128`.
pub(crate) const ROWS_MAX: usize = 120;

/// The table of a page can say where its columns end.
const _: () = assert!(PAGE_SLOTS * COLUMN_BYTES_MAX <= u16::MAX as usize);
/// Bitmap, kind and raw values.
const COLUMN_BYTES_MAX: usize = ROWS_MAX.div_ceil(8) + 1 + 8 * ROWS_MAX;

/// How the columns of a page lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Each behind its length. Read, but not written any more.
    Strung,
    /// Behind a table of their ends.
    Indexed,
}

/// Writes a page: columns come in the order of slots.
#[derive(Debug)]
pub(crate) struct PageWriter {
    there_at: usize,
    columns_at: usize,
    written: usize,
}

impl PageWriter {
    /// Begins a page of columns for the slots whose bits are set.
    pub(crate) fn begin(there: u64, out: &mut Vec<u8>) -> PageWriter {
        let there_at = out.len();
        out.extend_from_slice(&there.to_le_bytes());
        out.resize(out.len() + 8 + 2 * there.count_ones() as usize, 0);
        PageWriter {
            there_at,
            columns_at: out.len(),
            written: 0,
        }
    }

    /// Ends a column, which was written to the end of `out`; a partial one begins with its bitmap.
    pub(crate) fn end_column(&mut self, partial: bool, out: &mut [u8]) {
        let end = (out.len() - self.columns_at) as u16;
        let table = &mut out[self.there_at + 8..self.columns_at];
        table[self.written / 8] |= u8::from(partial) << (self.written % 8);
        let at = 8 + 2 * self.written;
        table[at..at + 2].copy_from_slice(&end.to_le_bytes());
        self.written += 1;
    }
}

/// A page whose columns lie behind a table.
#[derive(Debug, Clone, Copy)]
struct IndexedPage<'a> {
    there: u64,
    partial: u64,
    /// Two bytes a column.
    ends: &'a [u8],
    /// Where columns begin.
    columns_at: usize,
    bytes: &'a [u8],
}

impl<'a> IndexedPage<'a> {
    fn parse(bytes: &'a [u8]) -> Result<IndexedPage<'a>, DecodeError> {
        let mut reader = Reader::new(bytes);
        let (there, partial) = (reader.u64_le()?, reader.u64_le()?);
        let ends = reader.take(2 * there.count_ones() as usize)?;
        Ok(IndexedPage {
            there,
            partial,
            ends,
            columns_at: bytes.len() - reader.rest().len(),
            bytes,
        })
    }

    fn end(&self, member: usize) -> Result<usize, DecodeError> {
        let end = self.ends.get(2 * member..2 * member + 2);
        let end = end.ok_or(DecodeError("member"))?;
        Ok(usize::from(u16::from_le_bytes([end[0], end[1]])))
    }

    /// Where the `member`th column that is there lies.
    fn at(&self, member: usize) -> Result<Range<usize>, DecodeError> {
        let from = match member {
            0 => 0,
            _ => self.end(member - 1)?,
        };
        Ok(self.columns_at + from..self.columns_at + self.end(member)?)
    }

    /// The rows and values of the `member`th column that is there.
    fn column(&self, member: usize, rows: usize) -> Result<(u128, &'a [u8]), DecodeError> {
        let column = self.bytes.get(self.at(member)?);
        let column = column.ok_or(DecodeError("length"))?;
        split_column(column, self.partial >> member & 1 == 1, rows)
    }
}

/// The rows and values of a slot of a page with a table; the page may go on behind its columns.
pub(crate) fn indexed_column(
    page: &[u8],
    slot: usize,
    rows: usize,
) -> Result<Option<(u128, &[u8])>, DecodeError> {
    let page = IndexedPage::parse(page)?;
    let before = page.there & codec::bits::mask(slot as u32);
    match page.there >> slot & 1 {
        0 => Ok(None),
        _ => page.column(before.count_ones() as usize, rows).map(Some),
    }
}

/// Samples of a group that a block takes as they are.
#[derive(Debug, Default)]
pub struct LinkedGroup {
    /// Slots that have samples, ascending, with the labels of their series.
    pub(crate) series: Vec<(u32, Labels)>,
    /// In order of time.
    pub(crate) chunks: Vec<LinkedChunk>,
}

/// One chunk.
#[derive(Debug)]
pub(crate) struct LinkedChunk {
    /// The file that it lies in, synced.
    pub(crate) path: PathBuf,
    pub(crate) times: Vec<i64>,
    /// Where the encoded times are in the file.
    pub(crate) times_at: Range<u64>,
    pub(crate) times_check: u32,
    /// One for every 64 slots.
    pub(crate) pages: Vec<LinkedPage>,
}

/// The columns of 64 slots of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkedPage {
    /// Where they are in the file.
    pub(crate) at: Range<u64>,
    pub(crate) check: u32,
    /// Which of the slots have samples, and how many all have together.
    pub(crate) present: u64,
    pub(crate) samples: u64,
}

impl LinkedPage {
    /// The page of these bytes, which lie in the file from `at` on.
    pub(crate) fn of(
        bytes: &[u8],
        at: u64,
        rows: usize,
        layout: Layout,
    ) -> Result<LinkedPage, DecodeError> {
        let mut page = LinkedPage {
            at: at..at + bytes.len() as u64,
            check: crc32c::crc32c(bytes),
            present: 0,
            samples: 0,
        };
        for_each_column(bytes, rows, layout, |slot, of_column, _| {
            page.present |= 1 << slot;
            page.samples += u64::from(of_column.count_ones());
        })?;
        Ok(page)
    }
}

/// Calls `each` for the columns of a page that are there: its slot in the page, its rows, and where
/// its values lie.
fn for_each_column(
    bytes: &[u8],
    rows: usize,
    layout: Layout,
    mut each: impl FnMut(usize, u128, Range<usize>),
) -> Result<(), DecodeError> {
    if layout == Layout::Indexed {
        let page = IndexedPage::parse(bytes)?;
        let slots = (0..PAGE_SLOTS).filter(|slot| page.there >> slot & 1 == 1);
        let mut end = page.columns_at;
        for (member, slot) in slots.enumerate() {
            let (of_column, values) = page.column(member, rows)?;
            end = page.at(member)?.end;
            each(slot, of_column, end - values.len()..end);
        }
        return match end == bytes.len() {
            true => Ok(()),
            false => Err(DecodeError("columns")),
        };
    }
    let mut reader = Reader::new(bytes);
    for slot in 0..PAGE_SLOTS {
        if reader.is_empty() {
            return Ok(());
        }
        if let Some((of_column, values)) = read_column(&mut reader, rows)? {
            let end = bytes.len() - reader.rest().len();
            each(slot, of_column, end - values.len()..end);
        }
    }
    match reader.is_empty() {
        true => Ok(()),
        false => Err(DecodeError("columns")),
    }
}

/// Reads a column behind its length: which rows it has, bit n for row n, and its encoded values; `None` if it has
/// nothing.
pub(crate) fn read_column<'a>(
    reader: &mut Reader<'a>,
    rows: usize,
) -> Result<Option<(u128, &'a [u8])>, DecodeError> {
    let header = reader.varint()?;
    if header == 0 {
        return Ok(None);
    }
    let length = usize::try_from(header >> 1).map_err(|_| DecodeError("length"))?;
    split_column(reader.take(length)?, header & 1 == 1, rows).map(Some)
}

/// The `member`th column that is there, of a page with lengths.
fn strung_column(bytes: &[u8], rows: usize, member: usize) -> Result<(u128, &[u8]), DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut left = member;
    for _ in 0..PAGE_SLOTS {
        match read_column(&mut reader, rows)? {
            Some(found) if left == 0 => return Ok(found),
            Some(_) => left -= 1,
            None => {}
        }
    }
    Err(DecodeError("member"))
}

/// A column's rows and encoded values; a partial one has a bitmap.
fn split_column(column: &[u8], partial: bool, rows: usize) -> Result<(u128, &[u8]), DecodeError> {
    if !(1..=ROWS_MAX).contains(&rows) {
        return Err(DecodeError("rows"));
    }
    let all = u128::MAX >> (128 - rows);
    if !partial {
        return Ok((all, column));
    }
    let mut column = Reader::new(column);
    let mut present = [0; 16];
    let bitmap = column.take(rows.div_ceil(8))?;
    present[..bitmap.len()].copy_from_slice(bitmap);
    Ok((u128::from_le_bytes(present) & all, column.rest()))
}

/// The columns of a page that are there.
#[derive(Debug)]
pub(crate) struct ChunkPage {
    /// Where the values of each lie.
    columns: Box<[(u32, u32)]>,
    /// A bit for each that surely has numbers only.
    numbers_only: u64,
}

impl ChunkPage {
    /// Finds the columns that are there; `each` gets to know the rows of each in turn.
    pub(crate) fn parse(
        bytes: &[u8],
        rows: usize,
        layout: Layout,
        mut each: impl FnMut(u128),
    ) -> Result<ChunkPage, DecodeError> {
        let mut columns = Vec::with_capacity(PAGE_SLOTS);
        let mut numbers_only = 0;
        for_each_column(bytes, rows, layout, |_, of_column, at| {
            each(of_column);
            let is_numbers_only = floats::is_numbers_only(&bytes[at.clone()]);
            numbers_only |= u64::from(is_numbers_only) << columns.len();
            columns.push((at.start as u32, at.end as u32));
        })?;
        Ok(ChunkPage {
            columns: columns.into(),
            numbers_only,
        })
    }

    /// How many columns are there.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Bytes of memory that it holds.
    pub(crate) fn size_bytes(&self) -> usize {
        24 + 8 * self.columns.len()
    }

    /// Whether a column that is there surely has numbers only, and no NaN of whatever bits.
    pub(crate) fn is_numbers_only(&self, column: usize) -> bool {
        column < PAGE_SLOTS && self.numbers_only >> column & 1 == 1
    }

    /// Appends the `count` values of a column that is there.
    pub(crate) fn decode(
        &self,
        bytes: &[u8],
        (column, count): (usize, usize),
        scratch: &mut floats::DecodeScratch,
        out: &mut Vec<f64>,
    ) -> Result<(), DecodeError> {
        let &(from, to) = self.columns.get(column).ok_or(DecodeError("member"))?;
        let values = bytes.get(from as usize..to as usize);
        let mut reader = Reader::new(values.ok_or(DecodeError("length"))?);
        floats::decode(&mut reader, count, scratch, out)
    }
}

/// One column of a page, found without looking at what comes after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkColumn<'a> {
    rows: usize,
    of_column: u128,
    values: &'a [u8],
}

impl<'a> ChunkColumn<'a> {
    /// The `member`th of the columns that are there.
    pub(crate) fn find(
        bytes: &'a [u8],
        rows: usize,
        layout: Layout,
        member: usize,
    ) -> Result<ChunkColumn<'a>, DecodeError> {
        let (of_column, values) = match layout {
            Layout::Indexed => IndexedPage::parse(bytes)?.column(member, rows)?,
            Layout::Strung => strung_column(bytes, rows, member)?,
        };
        Ok(ChunkColumn {
            rows,
            of_column,
            values,
        })
    }

    /// How many values it has.
    pub(crate) fn len(&self) -> usize {
        self.of_column.count_ones() as usize
    }

    /// Whether it has a value in every row.
    pub(crate) fn is_full(&self) -> bool {
        self.len() == self.rows
    }

    /// Whether it surely has numbers only, and no NaN of whatever bits.
    pub(crate) fn is_numbers_only(&self) -> bool {
        floats::is_numbers_only(self.values)
    }

    /// Appends its values.
    pub(crate) fn decode(
        &self,
        scratch: &mut floats::DecodeScratch,
        out: &mut Vec<f64>,
    ) -> Result<(), DecodeError> {
        let mut reader = Reader::new(self.values);
        floats::decode(&mut reader, self.len(), scratch, out)
    }

    /// Appends the times of its rows; `times` has those of all rows.
    pub(crate) fn put_times(&self, times: &[i64], out: &mut Vec<i64>) -> Result<(), DecodeError> {
        if times.len() != self.rows {
            return Err(DecodeError("rows"));
        }
        if self.is_full() {
            out.extend_from_slice(times);
            return Ok(());
        }
        let of_column = self.of_column;
        let there = (0..)
            .zip(times)
            .filter(|(row, _)| of_column >> row & 1 == 1);
        out.extend(there.map(|(_, at_ms): (u32, _)| at_ms));
        Ok(())
    }
}

/// The runs of bits that are set: first and end of each.
pub(crate) fn runs_of(mut rows: u128) -> Box<[(u32, u32)]> {
    let mut runs = Vec::new();
    let mut at = 0;
    while rows != 0 {
        let gap = rows.trailing_zeros();
        rows >>= gap;
        let length = rows.trailing_ones();
        runs.push((at + gap, at + gap + length));
        at += gap + length;
        rows = rows.checked_shr(length).unwrap_or(0);
    }
    runs.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_become_runs() {
        for (bits, want) in [
            (0, &[][..]),
            (1, &[(0, 1)]),
            (0b1011_0110, &[(1, 3), (4, 6), (7, 8)]),
            (u128::MAX, &[(0, 128)]),
            (1 << 127, &[(127, 128)]),
        ] {
            assert_eq!(&*runs_of(bits), want, "{bits:b}");
        }
    }

    #[test]
    fn pages_have_no_more_than_64_columns() {
        let strung = Layout::Strung;
        let page = LinkedPage::of(&[0; PAGE_SLOTS], 7, 1, strung).unwrap();
        assert_eq!((page.present, page.samples, page.at), (0, 0, 7..71));
        assert!(LinkedPage::of(&[0; PAGE_SLOTS + 1], 7, 1, strung).is_err());
        assert!(ChunkPage::parse(&[0; PAGE_SLOTS + 1], 1, strung, |_| ()).is_err());
        // A chunk without rows has no columns.
        assert!(LinkedPage::of(&[2, 0], 0, 0, strung).is_err());
    }

    /// The columns of some slots, one of them partial, by every way to read them.
    #[test]
    fn columns_behind_a_table_are_found() {
        let mut bytes = Vec::new();
        let slots = [0, 5, 6, 63];
        let there = slots.iter().fold(0, |bits, slot| bits | 1u64 << slot);
        let mut writer = PageWriter::begin(there, &mut bytes);
        let mut scratch = floats::Scratch::default();
        for slot in slots {
            let partial = slot == 6;
            let values: Vec<f64> = (0..10 - 8 * i32::from(partial))
                .map(|row| f64::from(row * slot))
                .collect();
            if partial {
                bytes.extend_from_slice(&[0b1000_0010, 0]);
            }
            floats::encode(&values, &mut scratch, &mut bytes);
            writer.end_column(partial, &mut bytes);
        }
        let layout = Layout::Indexed;
        let page = LinkedPage::of(&bytes, 100, 10, layout).unwrap();
        assert_eq!((page.present, page.samples), (there, 32));
        let mut rows = Vec::new();
        let all = ChunkPage::parse(&bytes, 10, layout, |of_column| rows.push(of_column)).unwrap();
        assert_eq!(rows, [1023, 1023, 0b1000_0010, 1023]);
        let scratch = &mut floats::DecodeScratch::default();
        for (member, slot) in slots.into_iter().enumerate() {
            let column = ChunkColumn::find(&bytes, 10, layout, member).unwrap();
            let (mut values, mut again) = (Vec::new(), Vec::new());
            column.decode(scratch, &mut values).unwrap();
            all.decode(&bytes, (member, column.len()), scratch, &mut again)
                .unwrap();
            assert_eq!((values.len(), &values), (column.len(), &again));
            assert_eq!(
                values.last(),
                Some(&f64::from((column.len() as i32 - 1) * slot))
            );
            let in_head = indexed_column(&bytes, slot as usize, 10).unwrap();
            assert_eq!(in_head, Some((rows[member], column.values)));
        }
        assert_eq!(indexed_column(&bytes, 1, 10), Ok(None));
        assert!(ChunkColumn::find(&bytes, 10, layout, 4).is_err());
        for length in 0..bytes.len() {
            assert!(LinkedPage::of(&bytes[..length], 0, 10, layout).is_err());
        }
    }
}
