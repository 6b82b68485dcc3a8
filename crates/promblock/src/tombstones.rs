//! Deleted intervals of a block's series.
//!
//! ```text
//! tombstones = 0130ba30 01 { series:uvarint min:varint max:varint } crc32c   ; crc after the 01
//! ```

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crc32c::crc32c;
use disk::Disk;

use crate::bytes::Cursor;
use crate::error::{Bad, Error};

/// Name of the file in a block.
pub(crate) const FILE: &str = "tombstones";
const MAGIC: u32 = 0x0130_ba30;
const VERSION: u8 = 1;

/// Times from the first to the second, both included, in milliseconds since 1970.
pub(crate) type Interval = (i64, i64);

/// Deleted intervals by series; each list is sorted and its intervals do not overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tombstones(BTreeMap<u64, Vec<Interval>>);

impl Tombstones {
    /// Reads a block's file; a block without one has no deletions.
    pub(crate) fn read(disk: &dyn Disk, block: &Path) -> Result<Tombstones, Error> {
        let path = block.join(FILE);
        match disk.map(&path) {
            Ok(bytes) => decode(&bytes).map_err(|bad| bad.of(&path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Tombstones::default()),
            Err(error) => Err(Error::io(&path, error)),
        }
    }

    /// Adds an interval. One that ends before it begins deletes nothing.
    pub(crate) fn add(&mut self, series: u64, interval: Interval) {
        if interval.0 <= interval.1 {
            self.0.entry(series).or_default().push(interval);
        }
    }

    /// Sorts and merges what was added.
    pub(crate) fn settle(&mut self) {
        for intervals in self.0.values_mut() {
            intervals.sort_unstable();
            intervals.dedup_by(|next, kept| {
                let touches = next.0 <= kept.1.saturating_add(1);
                if touches {
                    kept.1 = kept.1.max(next.1);
                }
                touches
            });
        }
    }

    /// The deleted intervals of a series.
    pub(crate) fn of(&self, series: u64) -> &[Interval] {
        self.0.get(&series).map_or(&[], Vec::as_slice)
    }

    /// How many intervals there are.
    pub(crate) fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// The file's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_be_bytes().to_vec();
        out.push(VERSION);
        let body = out.len();
        for (series, intervals) in &self.0 {
            for (min, max) in intervals {
                codec::varint::put(&mut out, *series);
                codec::varint::put_signed(&mut out, *min);
                codec::varint::put_signed(&mut out, *max);
            }
        }
        let crc = crc32c(&out[body..]);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }
}

/// Whether `timestamp_ms` lies in one of the sorted intervals.
pub(crate) fn contains(intervals: &[Interval], timestamp_ms: i64) -> bool {
    let after = intervals.partition_point(|interval| interval.1 < timestamp_ms);
    intervals
        .get(after)
        .is_some_and(|interval| interval.0 <= timestamp_ms)
}

fn decode(bytes: &[u8]) -> Result<Tombstones, Bad> {
    let mut cursor = Cursor::new(bytes, 0);
    let place = cursor;
    if cursor.be32()? != MAGIC {
        return Err(place.bad("wrong magic number"));
    }
    let place = cursor;
    if cursor.u8()? != VERSION {
        return Err(place.bad("unknown version"));
    }
    let body_bytes = cursor
        .len()
        .checked_sub(4)
        .ok_or(cursor.bad("unexpected end"))?;
    let mut body = cursor.checked(body_bytes)?;
    let mut tombstones = Tombstones::default();
    while !body.is_empty() {
        let series = body.uvarint()?;
        tombstones.add(series, (body.varint()?, body.varint()?));
    }
    tombstones.settle();
    Ok(tombstones)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_merge_and_round_trip() {
        let mut stones = Tombstones::default();
        for interval in [(5, 9), (-3, -1), (0, 2), (20, i64::MAX), (8, 12), (7, 6)] {
            stones.add(3, interval);
        }
        stones.add(u64::MAX, (i64::MIN, i64::MAX));
        stones.settle();
        assert_eq!(stones.of(3), [(-3, 2), (5, 12), (20, i64::MAX)]);
        assert_eq!(decode(&stones.encode()), Ok(stones.clone()));
        assert_eq!(stones.count(), 4);
        for (at, is_deleted) in [
            (-4, false),
            (-3, true),
            (2, true),
            (3, false),
            (12, true),
            (13, false),
        ] {
            assert_eq!(contains(stones.of(3), at), is_deleted, "{at}");
        }
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let mut stones = Tombstones::default();
        stones.add(3, (5, 9));
        let good = stones.encode();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bad).is_err(), "bit {bit}");
        }
        for length in 0..good.len() {
            assert!(decode(&good[..length]).is_err(), "length {length}");
        }
    }
}
