//! Chunks: some rows of a group, transposed into columns.
//!
//! The rows of a chunk share one column of timestamps; every slot has a column of values and, if
//! it lacks some rows, a bitmap of those it has. Samples with times of their own lie beside, a
//! timestamp and a value column a series. A chunk is the payload of a frame; the grammar is in
//! `docs/formats/wal.md`. Finding a slot's column costs a look at the directory and at its page's
//! table.

use codec::varint::{self, Reader};
use codec::{DecodeError, floats, ints, row};
use storage::Samples;

use super::extras::{self, Extras};
use super::histograms::Histograms;
use super::sides::Sides;
use super::starts::Starts;
pub(crate) use crate::block::chunk_page::ROWS_MAX;
use crate::block::chunk_page::{Layout, LinkedPage, PAGE_SLOTS, PageWriter};
use crate::block::chunk_page::{indexed_column, read_column};
use crate::merge::pad_starts;
use crate::wal::frame::Kind;

/// A series has at most so many samples with own times in a chunk: what is open is sealed long
/// before, and a batch brings at most half of it.
pub(crate) const SIDE_SAMPLES_MAX: usize = 1 << 20;
/// Every so many slots the directory of a chunk without tables says where the column begins.
const STRUNG_STEP: usize = 16;
/// Words of 64 slots that are transposed in one go: 4,096 slots by 120 rows are 4 MB.
const TILE_WORDS: usize = 64;

/// A row of the open log as sealing takes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenRow<'a> {
    pub(crate) at_ms: i64,
    pub(crate) bytes: &'a [u8],
}

/// What is sealed.
#[derive(Debug)]
pub(crate) struct Open<'a> {
    pub(crate) group: u32,
    /// Numbers of the first and last batch in it.
    pub(crate) sequences: (u64, u64),
    pub(crate) slots: usize,
    pub(crate) base: &'a [u64],
    pub(crate) rows: &'a [OpenRow<'a>],
    pub(crate) sides: &'a Sides,
    pub(crate) histograms: &'a Histograms,
    pub(crate) starts: &'a Starts,
}

impl Open<'_> {
    /// Of what kind the chunk is.
    pub(crate) fn kind(&self) -> Kind {
        let plain = self.histograms.open_min_ms().is_none() && self.starts.is_sealed();
        kind_of(Layout::Indexed, !plain)
    }
}

fn kind_of(layout: Layout, wide: bool) -> Kind {
    match (layout, wide) {
        (Layout::Strung, false) => Kind::Chunk,
        (Layout::Strung, true) => Kind::WideChunk,
        (Layout::Indexed, false) => Kind::IndexedChunk,
        (Layout::Indexed, true) => Kind::WideIndexedChunk,
    }
}

/// Every so many slots have an entry in the directory.
fn directory_step(layout: Layout) -> usize {
    match layout {
        Layout::Strung => STRUNG_STEP,
        Layout::Indexed => PAGE_SLOTS,
    }
}

/// Memory that sealing works in.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    floats: floats::Scratch,
    ints: ints::Scratch,
    tile: Vec<f64>,
    present: Vec<u128>,
    column: Vec<f64>,
    columns: Vec<u8>,
}

/// Appends the chunk to `out`.
pub(crate) fn seal(open: &Open<'_>, scratch: &mut Scratch, out: &mut Vec<u8>) {
    let mut times: Vec<i64> = open.rows.iter().map(|row| row.at_ms).collect();
    times.dedup();
    let side_times = || open.sides.iter().flat_map(|(_, side)| side.iter());
    let columns = || open.histograms.all_open();
    let histogram_times = || columns().flat_map(|(_, column)| column.times().iter().copied());
    let own_times = || side_times().map(|s| s.at_ms).chain(histogram_times());
    let all = || times.iter().copied().chain(own_times());
    if open.kind() == Kind::WideIndexedChunk {
        let length_at = out.len();
        out.extend_from_slice(&[0; 4]);
        extras::put(open.histograms, open.starts, &mut scratch.ints, out);
        let length = (out.len() - length_at - 4) as u32;
        out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }
    varint::put(out, u64::from(open.group));
    varint::put(out, open.sequences.0);
    varint::put(out, open.sequences.1 - open.sequences.0);
    varint::put(out, times.len() as u64);
    varint::put(out, open.slots as u64);
    varint::put_signed(out, all().min().unwrap_or(0));
    varint::put_signed(out, all().max().unwrap_or(0));
    ints::encode(&times, &mut scratch.ints, out);
    put_sides(open.sides, scratch, out);
    let directory_at = out.len();
    out.resize(directory_at + 4 * open.slots.div_ceil(PAGE_SLOTS), 0);
    let columns_at = out.len();
    let words = open.slots.div_ceil(64);
    for tile in (0..words).step_by(TILE_WORDS) {
        let end = (tile + TILE_WORDS).min(words);
        transpose(open, tile..end, times.len(), scratch);
        for page in tile..end {
            let at = directory_at + 4 * page;
            let offset = (out.len() - columns_at) as u32;
            out[at..at + 4].copy_from_slice(&offset.to_le_bytes());
            let slots = PAGE_SLOTS * page..(PAGE_SLOTS * (page + 1)).min(open.slots);
            let first = PAGE_SLOTS * tile;
            put_page(
                slots.start - first..slots.end - first,
                times.len(),
                scratch,
                out,
            );
        }
    }
}

/// Puts the values of some words of slots into `scratch.tile`, slot by slot.
fn transpose(open: &Open<'_>, words: std::ops::Range<usize>, rows: usize, scratch: &mut Scratch) {
    let first = 64 * words.start;
    let slots = (64 * words.end).min(open.slots) - first;
    scratch.tile.clear();
    scratch.tile.resize(slots * rows, 0.0);
    scratch.present.clear();
    scratch.present.resize(slots, 0);
    let (tile, present) = (&mut scratch.tile, &mut scratch.present);
    let mut at = 0;
    for (index, open_row) in open.rows.iter().enumerate() {
        at += usize::from(index > 0 && open.rows[index - 1].at_ms != open_row.at_ms);
        let row = row::Row::new(open_row.bytes).expect("our own row");
        row.for_each_in(words.clone(), open.base, |slot, bits| {
            tile[(slot - first) * rows + at] = f64::from_bits(bits);
            present[slot - first] |= 1 << at;
        })
        .expect("our own row");
    }
}

/// Appends the columns of up to 64 slots of a tile.
fn put_page(slots: std::ops::Range<usize>, rows: usize, scratch: &mut Scratch, out: &mut Vec<u8>) {
    let there = slots.clone().filter(|&slot| scratch.present[slot] != 0);
    let bits = there.fold(0, |bits, slot| bits | 1u64 << (slot - slots.start));
    let mut page = PageWriter::begin(bits, out);
    for slot in slots {
        let present = scratch.present[slot];
        if present == 0 {
            continue;
        }
        let values = &scratch.tile[slot * rows..(slot + 1) * rows];
        let partial = present.count_ones() as usize != rows;
        if partial {
            scratch.column.clear();
            let there = (0..rows).filter(|at| present >> at & 1 == 1);
            scratch.column.extend(there.map(|at| values[at]));
            out.extend_from_slice(&present.to_le_bytes()[..rows.div_ceil(8)]);
            floats::encode(&scratch.column, &mut scratch.floats, out);
        } else {
            floats::encode(values, &mut scratch.floats, out);
        }
        page.end_column(partial, out);
    }
}

fn put_sides(sides: &Sides, scratch: &mut Scratch, out: &mut Vec<u8>) {
    varint::put(out, sides.len() as u64);
    for (slot, side) in sides.iter() {
        let times: Vec<i64> = side.iter().map(|s| s.at_ms).collect();
        scratch.column.clear();
        let values = side.iter().map(|s| f64::from_bits(s.bits));
        scratch.column.extend(values);
        scratch.columns.clear();
        ints::encode(&times, &mut scratch.ints, &mut scratch.columns);
        floats::encode(&scratch.column, &mut scratch.floats, &mut scratch.columns);
        varint::put(out, u64::from(slot));
        varint::put(out, times.len() as u64);
        varint::put_bytes(out, &scratch.columns);
    }
}

/// What a chunk's head says; offsets are into its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChunkHead {
    pub(crate) group: u32,
    /// How its columns lie.
    pub(crate) layout: Layout,
    /// Numbers of the first and last batch in it.
    pub(crate) sequences: (u64, u64),
    pub(crate) rows: usize,
    pub(crate) slots: usize,
    /// Oldest and newest sample, those with own times among them.
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
    times_at: u32,
    times_end: u32,
    pub(crate) side_count: usize,
    sides_at: u32,
    directory_at: u32,
    columns_at: u32,
    /// Where the extras begin and end, if there are any.
    extras: Option<(u32, u32)>,
}

/// A series' samples with own times: slot, timestamps and values.
#[derive(Debug, Default)]
pub(crate) struct SideColumn {
    pub(crate) times: Vec<i64>,
    pub(crate) values: Vec<f64>,
}

impl ChunkHead {
    /// Reads the head of a chunk, which is the payload of a frame of that kind.
    pub(crate) fn parse(bytes: &[u8], kind: Kind) -> Result<ChunkHead, DecodeError> {
        let reader = &mut Reader::new(bytes);
        let at = |reader: &Reader<'_>| (bytes.len() - reader.rest().len()) as u32;
        let mut extras = None;
        let layout = match kind {
            Kind::Chunk | Kind::WideChunk => Layout::Strung,
            _ => Layout::Indexed,
        };
        if matches!(kind, Kind::WideChunk | Kind::WideIndexedChunk) {
            let length = reader.u32_le()?;
            let from = at(reader);
            Extras::parse(reader.take(length as usize)?)?;
            extras = Some((from, at(reader)));
        }
        let group = u32::try_from(reader.varint()?).map_err(|_| DecodeError("group"))?;
        let first = reader.varint()?;
        let more = reader.varint()?;
        let sequences = (
            first,
            first.checked_add(more).ok_or(DecodeError("batches"))?,
        );
        let rows = reader.count(ROWS_MAX)?;
        let slots = reader.count(row::SLOTS_MAX)?;
        let (min_ms, max_ms) = (reader.signed()?, reader.signed()?);
        let times_at = at(reader);
        ints::decode(reader, rows, &mut Vec::new())?;
        let times_end = at(reader);
        let side_count = reader.count(reader.rest().len())?;
        let sides_at = at(reader);
        for _ in 0..side_count {
            reader.varint()?;
            reader.varint()?;
            reader.bytes()?;
        }
        let directory_at = at(reader);
        reader.take(4 * slots.div_ceil(directory_step(layout)))?;
        Ok(ChunkHead {
            group,
            layout,
            sequences,
            rows,
            slots,
            min_ms,
            max_ms,
            times_at,
            times_end,
            side_count,
            sides_at,
            directory_at,
            columns_at: at(reader),
            extras,
        })
    }

    /// Whether there are histograms or starts.
    pub(crate) fn has_extras(&self) -> bool {
        self.extras.is_some()
    }

    /// The kind of the frame that it lies in.
    pub(crate) fn kind(&self) -> Kind {
        kind_of(self.layout, self.has_extras())
    }

    /// Histograms and starts, if there are any.
    pub(crate) fn extras<'a>(&self, bytes: &'a [u8]) -> Result<Option<Extras<'a>>, DecodeError> {
        let Some((from, to)) = self.extras else {
            return Ok(None);
        };
        let extras = bytes.get(from as usize..to as usize);
        Extras::parse(extras.ok_or(DecodeError("extras"))?).map(Some)
    }

    /// The timestamps of the rows.
    pub(crate) fn times(&self, bytes: &[u8]) -> Result<Vec<i64>, DecodeError> {
        let mut times = Vec::with_capacity(self.rows);
        let reader = &mut Reader::new(&bytes[self.times_at as usize..]);
        ints::decode(reader, self.rows, &mut times)?;
        Ok(times)
    }

    /// Which rows a slot has, and its encoded values behind that.
    fn column<'a>(&self, bytes: &'a [u8], slot: usize) -> Result<(u128, &'a [u8]), DecodeError> {
        if slot >= self.slots {
            return Ok((0, &[]));
        }
        let step = directory_step(self.layout);
        let at = self.directory_at as usize + 4 * (slot / step);
        let four = bytes[at..at + 4].try_into().expect("four bytes");
        let offset = u32::from_le_bytes(four) as usize;
        let from = (self.columns_at as usize).saturating_add(offset);
        let found = bytes.get(from..).ok_or(DecodeError("directory"))?;
        if self.layout == Layout::Indexed {
            let column = indexed_column(found, slot % PAGE_SLOTS, self.rows)?;
            return Ok(column.unwrap_or((0, &[])));
        }
        let mut reader = Reader::new(found);
        for _ in 0..slot % step {
            let length = reader.varint()? >> 1;
            reader.take(usize::try_from(length).map_err(|_| DecodeError("length"))?)?;
        }
        Ok(read_column(&mut reader, self.rows)?.unwrap_or((0, &[])))
    }

    /// Where the encoded timestamps are.
    pub(crate) fn times_at(&self) -> std::ops::Range<usize> {
        self.times_at as usize..self.times_end as usize
    }

    /// The columns as pages of a block; the chunk's bytes lie in their file from `at` on.
    pub(crate) fn linked_pages(
        &self,
        bytes: &[u8],
        at: u64,
    ) -> Result<Vec<LinkedPage>, DecodeError> {
        let directory = bytes.get(self.directory_at as usize..self.columns_at as usize);
        let directory = directory.ok_or(DecodeError("directory"))?;
        let four = directory
            .chunks_exact(4)
            .step_by(PAGE_SLOTS / directory_step(self.layout));
        let offset = |four: &[u8]| u32::from_le_bytes(four.try_into().expect("four bytes"));
        let starts =
            four.map(|four| (self.columns_at as usize).saturating_add(offset(four) as usize));
        let mut starts: Vec<usize> = starts.collect();
        starts.push(bytes.len());
        let pages = starts.windows(2).map(|ends| {
            let page = bytes.get(ends[0]..ends[1]);
            let page = page.ok_or(DecodeError("directory"))?;
            LinkedPage::of(page, at + ends[0] as u64, self.rows, self.layout)
        });
        pages.collect()
    }

    /// Which rows a slot has: bit n for row n.
    pub(crate) fn present(&self, bytes: &[u8], slot: usize) -> Result<u128, DecodeError> {
        Ok(self.column(bytes, slot)?.0)
    }

    /// Adds the slot's samples in `min_ms..=max_ms` to `out`; `times` are the chunk's.
    pub(crate) fn read(
        &self,
        bytes: &[u8],
        slot: usize,
        times: &[i64],
        (min_ms, max_ms): (i64, i64),
        scratch: &mut floats::DecodeScratch,
        out: &mut Samples,
    ) -> Result<(), DecodeError> {
        let (present, values) = self.column(bytes, slot)?;
        if present == 0 {
            return Ok(());
        }
        let count = present.count_ones() as usize;
        let start = out.values.len();
        floats::decode(&mut Reader::new(values), count, scratch, &mut out.values)?;
        if count == self.rows {
            out.timestamps.extend_from_slice(times);
        } else {
            let there = (0..self.rows).filter(|at| present >> at & 1 == 1);
            out.timestamps.extend(there.map(|at| times[at]));
        }
        keep_range(out, start, min_ms, max_ms);
        Ok(())
    }

    /// Adds the slot's samples that are the newest ones at some points. `picked` has for each point the
    /// last row up to it, ascending, and the time after which a sample must be to count there.
    pub(crate) fn pick(
        &self,
        bytes: &[u8],
        slot: usize,
        times: &[i64],
        (picked, presence_only): (&[(u8, i64)], bool),
        scratch: &mut floats::DecodeScratch,
        out: &mut Samples,
    ) -> Result<(), DecodeError> {
        let (present, values) = self.column(bytes, slot)?;
        if present == 0 || picked.is_empty() {
            return Ok(());
        }
        let start = out.values.len();
        let are_values = !(presence_only && floats::is_numbers_only(values));
        if are_values {
            let count = present.count_ones() as usize;
            floats::decode(&mut Reader::new(values), count, scratch, &mut out.values)?;
        }
        let mut end = start;
        let mut before = None;
        let is_full = present.count_ones() as usize == self.rows;
        for &(row, after_ms) in picked {
            let row = match is_full {
                true => u32::from(row),
                false => match (present & (u128::MAX >> (127 - row))).checked_ilog2() {
                    Some(row) => row,
                    None => continue,
                },
            };
            let at_ms = times[row as usize];
            if at_ms <= after_ms || before == Some(row) {
                continue;
            }
            before = Some(row);
            out.timestamps.push(at_ms);
            if are_values {
                // Never ahead of what is still to be read.
                let place = match is_full {
                    true => row,
                    false => (present & !(u128::MAX << row)).count_ones(),
                };
                out.values[end] = out.values[start + place as usize];
            } else {
                out.values.push(0.0);
            }
            end += 1;
        }
        out.values.truncate(end);
        pad_starts(out);
        Ok(())
    }

    /// The samples with own times of one slot.
    pub(crate) fn side(&self, bytes: &[u8], slot: u32) -> Result<SideColumn, DecodeError> {
        let mut found = SideColumn::default();
        self.for_each_side(bytes, Some(slot), |_, side| found = side)?;
        Ok(found)
    }

    /// Calls `each` with the samples with own times of all slots, or of one.
    pub(crate) fn for_each_side(
        &self,
        bytes: &[u8],
        only: Option<u32>,
        mut each: impl FnMut(u32, SideColumn),
    ) -> Result<(), DecodeError> {
        let mut reader = Reader::new(&bytes[self.sides_at as usize..]);
        for _ in 0..self.side_count {
            let slot = u32::try_from(reader.varint()?).map_err(|_| DecodeError("slot"))?;
            let count = reader.count(SIDE_SAMPLES_MAX)?;
            let columns = reader.bytes()?;
            if only.is_some_and(|only| only != slot) {
                continue;
            }
            let mut columns = Reader::new(columns);
            let mut side = SideColumn::default();
            ints::decode(&mut columns, count, &mut side.times)?;
            let mut scratch = floats::DecodeScratch::default();
            floats::decode(&mut columns, count, &mut scratch, &mut side.values)?;
            each(slot, side);
        }
        Ok(())
    }
}

/// Drops what lies outside `min_ms..=max_ms` from the samples behind `start`, which ascend.
pub(crate) fn keep_range(out: &mut Samples, start: usize, min_ms: i64, max_ms: i64) {
    let added = &out.timestamps[start..];
    let from = start + added.partition_point(|&t| t < min_ms);
    let end = start + added.partition_point(|&t| t <= max_ms);
    out.timestamps.truncate(end.max(from));
    out.values.truncate(end.max(from));
    out.timestamps.drain(start..from);
    out.values.drain(start..from);
    pad_starts(out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(grid: &[Vec<Option<u64>>], slots: usize, side: &[(u32, i64, u64)]) {
        let mut base = Vec::new();
        let mut encoded = Vec::new();
        for line in grid {
            let mut values = row::Values::default();
            values.reset(line.len());
            for (slot, bits) in line.iter().enumerate() {
                if let Some(bits) = bits {
                    values.set(slot, *bits);
                }
            }
            if base.is_empty() {
                base.clone_from(&values.bits);
            }
            let mut out = Vec::new();
            row::encode(&values, &base, &mut out);
            encoded.push(out);
        }
        let rows: Vec<_> = encoded
            .iter()
            .enumerate()
            .map(|(at, bytes)| OpenRow {
                at_ms: 15_000 * at as i64,
                bytes,
            })
            .collect();
        let mut sides = Sides::default();
        for &(slot, at_ms, bits) in side {
            sides.push(slot, at_ms, bits, 0);
        }
        let open = Open {
            group: 3,
            sequences: (4, 9),
            slots,
            base: &base,
            rows: &rows,
            sides: &sides,
            histograms: &Histograms::default(),
            starts: &Starts::default(),
        };
        let mut out = Vec::new();
        seal(&open, &mut Scratch::default(), &mut out);
        let head = ChunkHead::parse(&out, open.kind()).unwrap();
        assert_eq!(
            (head.group, head.sequences, head.rows),
            (3, (4, 9), grid.len())
        );
        let times = head.times(&out).unwrap();
        for slot in 0..slots + 2 {
            let mut samples = Samples::default();
            let range = (15_000, 15_000 * 60);
            let mut scratch = floats::DecodeScratch::default();
            head.read(&out, slot, &times, range, &mut scratch, &mut samples)
                .unwrap();
            let want: Vec<_> = (0..grid.len())
                .filter(|&at| (range.0..=range.1).contains(&times[at]))
                .filter_map(|at| Some((times[at], (*grid[at].get(slot)?)?)))
                .collect();
            let got = samples.timestamps.iter().zip(&samples.values);
            let got: Vec<_> = got.map(|(t, v)| (*t, v.to_bits())).collect();
            assert_eq!(got, want, "slot {slot}");
            let side_back = head.side(&out, slot as u32).unwrap();
            let want: Vec<_> = side.iter().filter(|s| s.0 == slot as u32).collect();
            assert_eq!(
                side_back.times,
                want.iter().map(|s| s.1).collect::<Vec<_>>()
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn columns_come_back(
            rows in 0usize..ROWS_MAX, slots in 0usize..200, gaps in 0u64..9, seed in any::<u64>(),
        ) {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut value = |at: usize, slot: usize| match slot % 4 {
                0 => 7.0f64.to_bits(),
                1 => ((at * slot) as f64).to_bits(),
                2 => random.u64(..),
                _ => model::STALE_NAN_BITS,
            };
            let mut holes = fastrand::Rng::with_seed(seed);
            let grid: Vec<Vec<_>> = (0..rows)
                .map(|at| {
                    let known = slots.min(1 + at * slots / 3);
                    (0..known)
                        .map(|slot| (holes.u64(..10) >= gaps).then(|| value(at, slot)))
                        .collect()
                })
                .collect();
            check(&grid, slots, &[(1, 5, 6), (1, 7, 8), (4, -1, u64::MAX)]);
        }

        #[test]
        fn damaged_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..90)) {
            let kinds = [Kind::Chunk, Kind::WideChunk, Kind::IndexedChunk, Kind::WideIndexedChunk];
            for kind in kinds {
                let Ok(head) = ChunkHead::parse(&bytes, kind) else {
                    continue;
                };
                let Ok(times) = head.times(&bytes) else {
                    continue;
                };
                for slot in 0..40 {
                    let mut scratch = floats::DecodeScratch::default();
                    let out = &mut Samples::default();
                    let _ = head.read(&bytes, slot, &times, (0, 1), &mut scratch, out);
                    let _ = head.side(&bytes, slot as u32);
                }
            }
        }
    }
}
