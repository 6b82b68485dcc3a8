//! Pages of linked groups: the columns of up to 64 slots of a chunk, as sealing wrote them.
//!
//! A chunk of the head has its columns in the order of slots (`docs/formats/wal.md`), each with a
//! length, a bitmap of its rows if it lacks some, and values as [`codec::floats`] writes them. A
//! block of the head takes them as they are: its pages are stretches of the chunk, and what they
//! lack against other pages, a checksum and times, is in the tables and in the chunk's head.
//! Reading one column needs no other: who wants one ([`ChunkColumn`]) walks over the lengths of those
//! before it, some 0.1 us, and who wants all ([`ChunkPage`]) over 64 of them.

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
    pub(crate) fn of(bytes: &[u8], at: u64, rows: usize) -> Result<LinkedPage, DecodeError> {
        let mut page = LinkedPage {
            at: at..at + bytes.len() as u64,
            check: crc32c::crc32c(bytes),
            present: 0,
            samples: 0,
        };
        for_each_column(bytes, rows, |slot, of_column, _| {
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
    mut each: impl FnMut(usize, u128, Range<usize>),
) -> Result<(), DecodeError> {
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

/// Reads a column: which rows it has, bit n for row n, and its encoded values; `None` if it has
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
    split_column(reader.take(length)?, header, rows).map(Some)
}

/// A column's rows and encoded values; `header` says whether it has a bitmap.
fn split_column(column: &[u8], header: u64, rows: usize) -> Result<(u128, &[u8]), DecodeError> {
    if !(1..=ROWS_MAX).contains(&rows) {
        return Err(DecodeError("rows"));
    }
    let all = u128::MAX >> (128 - rows);
    if header & 1 == 0 {
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
        mut each: impl FnMut(u128),
    ) -> Result<ChunkPage, DecodeError> {
        let mut columns = Vec::with_capacity(PAGE_SLOTS);
        let mut numbers_only = 0;
        for_each_column(bytes, rows, |_, of_column, at| {
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
        member: usize,
    ) -> Result<ChunkColumn<'a>, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut left = member;
        for _ in 0..PAGE_SLOTS {
            let header = reader.varint()?;
            if header == 0 {
                continue;
            }
            let length = usize::try_from(header >> 1).map_err(|_| DecodeError("length"))?;
            let column = reader.take(length)?;
            if left == 0 {
                let (of_column, values) = split_column(column, header, rows)?;
                return Ok(ChunkColumn {
                    rows,
                    of_column,
                    values,
                });
            }
            left -= 1;
        }
        Err(DecodeError("member"))
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
        let page = LinkedPage::of(&[0; PAGE_SLOTS], 7, 1).unwrap();
        assert_eq!((page.present, page.samples, page.at), (0, 0, 7..71));
        assert!(LinkedPage::of(&[0; PAGE_SLOTS + 1], 7, 1).is_err());
        assert!(ChunkPage::parse(&[0; PAGE_SLOTS + 1], 1, |_| ()).is_err());
        // A chunk without rows has no columns.
        assert!(LinkedPage::of(&[2, 0], 0, 0).is_err());
    }
}
