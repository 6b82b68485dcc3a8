//! Open rows of a group turned into columns, once for all series that a query reads.
//!
//! A row is asked for one slot in some 100 ns, most of it until its bytes have come from memory, and
//! tells 64 of them in 400. So where a query wants several slots of a word of 64, the word's rows are
//! turned over when the first of these is read, and each slot costs a copy. What that takes is bounded for a selection
//! ([`TILE_CELLS_MAX`]); the series beyond are read row by row.

use std::sync::OnceLock;

use codec::{DecodeError, row};
use storage::Samples;

use super::super::group::Row;

/// So many wanted slots make a word worth it.
const WANTED_MIN: u32 = 2;
/// Values that a selection may turn over: 32 MiB.
pub(crate) const TILE_CELLS_MAX: usize = 4 << 20;

/// The words of a group's slots that are worth it.
#[derive(Debug, Default)]
pub(crate) struct Tiles {
    /// When the rows are, ascending.
    times: Vec<i64>,
    /// Ascending.
    words: Vec<Word>,
}

/// Which slots of a word are wanted, and their rows once somebody has asked.
#[derive(Debug)]
struct Word {
    number: u32,
    wanted: u64,
    tile: OnceLock<Result<Tile, DecodeError>>,
}

/// The wanted slots of a word in turn, with a value for each row.
#[derive(Debug)]
struct Tile {
    values: Vec<f64>,
    /// For each of these slots, which rows have it.
    present: Vec<u128>,
}

/// The open rows of one slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct TileColumn<'a> {
    times: &'a [i64],
    values: &'a [f64],
    present: u128,
}

impl Tiles {
    /// Plans for these slots; takes what it may need from `cells_left`.
    pub(crate) fn plan(rows: &[Row], mut slots: Vec<u32>, cells_left: &mut usize) -> Tiles {
        let mut tiles = Tiles::default();
        // Two rows of a time are told apart row by row.
        let fits = rows.len() <= u128::BITS as usize;
        if !fits || rows.is_empty() || !rows.is_sorted_by(|a, b| a.at_ms < b.at_ms) {
            return tiles;
        }
        slots.sort_unstable();
        for word in slots.chunk_by(|a, b| a / 64 == b / 64) {
            let wanted = word.iter().fold(0u64, |bits, slot| bits | 1 << (slot % 64));
            let cells = wanted.count_ones() as usize * rows.len();
            if wanted.count_ones() >= WANTED_MIN && cells <= *cells_left {
                *cells_left -= cells;
                tiles.words.push(Word {
                    number: word[0] / 64,
                    wanted,
                    tile: OnceLock::new(),
                });
            }
        }
        if !tiles.words.is_empty() {
            tiles.times = rows.iter().map(|row| row.at_ms).collect();
        }
        tiles
    }

    /// What a slot takes once its word is turned over, if it will be.
    pub(super) fn slot_bytes(&self, slot: u32) -> usize {
        let numbers = |word: &Word| word.number;
        let found = self.words.binary_search_by_key(&(slot / 64), numbers);
        let is_wanted = |at: usize| self.words[at].wanted >> (slot % 64) & 1 == 1;
        match found {
            Ok(at) if is_wanted(at) => self.times.len() * size_of::<f64>() + size_of::<u128>(),
            _ => 0,
        }
    }

    /// The rows of a slot, if it is in one of the words.
    pub(super) fn column(
        &self,
        slot: u32,
        rows: &[Row],
        base: &[u64],
    ) -> Result<Option<TileColumn<'_>>, DecodeError> {
        let numbers = |word: &Word| word.number;
        let Ok(at) = self.words.binary_search_by_key(&(slot / 64), numbers) else {
            return Ok(None);
        };
        let Word {
            number,
            wanted,
            tile,
        } = &self.words[at];
        if wanted >> (slot % 64) & 1 == 0 {
            return Ok(None);
        }
        let tile = tile.get_or_init(|| turn_over(rows, base, *number as usize, *wanted));
        let tile = tile.as_ref().map_err(|error| *error)?;
        let place = rank(*wanted, slot % 64);
        let count = self.times.len();
        Ok(Some(TileColumn {
            times: &self.times,
            values: &tile.values[place * count..(place + 1) * count],
            present: tile.present[place],
        }))
    }
}

/// How many slots before this one are wanted.
fn rank(wanted: u64, bit: u32) -> usize {
    (wanted & codec::bits::mask(bit)).count_ones() as usize
}

fn turn_over(rows: &[Row], base: &[u64], word: usize, wanted: u64) -> Result<Tile, DecodeError> {
    let slots = wanted.count_ones() as usize;
    let mut tile = Tile {
        values: vec![0.0; slots * rows.len()],
        present: vec![0; slots],
    };
    for (at, row) in rows.iter().enumerate() {
        row::Row::new(&row.bytes)?.for_each_of(word, wanted, base, |slot, bits| {
            let place = rank(wanted, (slot % 64) as u32);
            tile.values[place * rows.len() + at] = f64::from_bits(bits);
            tile.present[place] |= 1 << at;
        })?;
    }
    Ok(tile)
}

impl TileColumn<'_> {
    /// Adds the samples of the range.
    pub(super) fn read(&self, (min_ms, max_ms): (i64, i64), out: &mut Samples) {
        let from = self.times.partition_point(|&ms| ms < min_ms);
        let end = self.times.partition_point(|&ms| ms <= max_ms);
        if from >= end {
            return;
        }
        let all = u128::MAX >> (u128::BITS as usize - (end - from));
        if self.present >> from & all == all {
            out.timestamps.extend_from_slice(&self.times[from..end]);
            out.values.extend_from_slice(&self.values[from..end]);
            return;
        }
        for at in (from..end).filter(|at| self.present >> at & 1 == 1) {
            out.timestamps.push(self.times[at]);
            out.values.push(self.values[at]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// 90 rows of 200 slots, some of which come late or are missing now and then.
    fn rows(base: &mut Vec<u64>) -> Vec<Row> {
        let mut random = fastrand::Rng::with_seed(7);
        let rows = (0..90usize).map(|at| {
            let mut values = row::Values::default();
            values.reset(200);
            for slot in (0..200).filter(|slot| at * 9 >= *slot || slot % 3 == 0) {
                if slot % 5 != 1 || random.u8(..) > 40 {
                    values.set(slot, ((slot * at / 7) as f64).to_bits());
                }
            }
            if base.is_empty() {
                base.clone_from(&values.bits);
            }
            let mut bytes = Vec::new();
            row::encode(&values, base, &mut bytes);
            Row {
                at_ms: 1_000 * at as i64,
                epoch: 0,
                bytes: Arc::from(bytes),
            }
        });
        rows.collect()
    }

    #[test]
    fn columns_are_what_rows_say() {
        let mut base = Vec::new();
        let rows = rows(&mut base);
        let mut cells_left = TILE_CELLS_MAX;
        // One of the last word is too few.
        let slots: Vec<u32> = (0..128).rev().chain([199]).collect();
        let tiles = Tiles::plan(&rows, slots, &mut cells_left);
        assert_eq!(cells_left, TILE_CELLS_MAX - 128 * 90);
        for slot in 0..210u32 {
            let column = tiles.column(slot, &rows, &base).unwrap();
            assert_eq!(column.is_some(), slot < 128, "{slot}");
            let Some(column) = column else {
                continue;
            };
            for range in [(i64::MIN, i64::MAX), (5_000, 61_500), (89_001, 99_000)] {
                let mut out = Samples::default();
                column.read(range, &mut out);
                let inside = rows
                    .iter()
                    .filter(|r| (range.0..=range.1).contains(&r.at_ms));
                let expected: Vec<(i64, u64)> = inside
                    .filter_map(|row| {
                        let read = row::Row::new(&row.bytes).unwrap();
                        let bits = read.get(slot as usize, &base).unwrap()?;
                        Some((row.at_ms, bits))
                    })
                    .collect();
                let bits = out.values.iter().map(|value| value.to_bits());
                let found: Vec<(i64, u64)> = out.timestamps.iter().copied().zip(bits).collect();
                assert_eq!(found, expected, "{slot}");
            }
        }
    }

    #[test]
    fn takes_no_more_than_there_is() {
        let mut base = Vec::new();
        let mut rows = rows(&mut base);
        let mut cells_left = 100 * 90;
        let tiles = Tiles::plan(&rows, (0..200).collect(), &mut cells_left);
        assert_eq!((tiles.words.len(), cells_left), (2, 28 * 90));
        rows[3].at_ms = rows[2].at_ms;
        let tiles = Tiles::plan(&rows, (0..200).collect(), &mut cells_left);
        assert!(tiles.words.is_empty(), "two rows of one time");
    }
}
