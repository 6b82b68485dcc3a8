//! Segments of Prometheus's write-ahead log: records out of pages.
//!
//! ```text
//! segment  = pages of 32 KiB, the last one may be shorter
//! page     = { fragment } [ 00 zeros ]
//! fragment = kind:u8 length:u16 crc32c data       ; crc of data
//! kind     = 1 whole | 2 first | 3 middle | 4 last, + 8 if in Snappy, + 16 if in zstd
//! ```
//! A record does not go beyond its segment. Compression is of the whole record.

use std::borrow::Cow;
use std::io::Read;

use crc32c::crc32c;

use crate::bytes::{Cursor, FUZZING};
use crate::error::Bad;

const PAGE_BYTES: usize = 32 << 10;
const HEADER_BYTES: usize = 7;
const KIND_MASK: u8 = 0x07;
const SNAPPY: u8 = 0x08;
const ZSTD: u8 = 0x10;
/// A record is one commit: with ten million samples it has some 200 MB. More than this, unpacked,
/// is not believed.
const RECORD_BYTES_MAX: usize = 1 << 30;
/// Snappy packs 64 bytes into 3 at most.
const SNAPPY_RATIO_MAX: usize = 32;

/// A record, unpacked.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    /// Where its first fragment begins in the segment.
    pub(crate) offset: u64,
    pub(crate) bytes: Cow<'a, [u8]>,
}

/// Why a segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It was cut while being written: at the end of a log that is what a kill leaves.
    Torn(Bad),
    Bad(Bad),
}

/// The records of a segment. Nothing follows an error.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    segment: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    pub(crate) fn new(segment: &'a [u8]) -> Records<'a> {
        Records { segment, at: 0 }
    }

    /// The next fragment: its kind with flags, and its data.
    fn fragment(&mut self) -> Result<Option<(u8, &'a [u8])>, End> {
        loop {
            let rest = self.segment.get(self.at..).unwrap_or_default();
            let Some(kind) = rest.first() else {
                return Ok(None);
            };
            if kind & KIND_MASK != 0 {
                break;
            }
            let page_end = (self.at / PAGE_BYTES + 1) * PAGE_BYTES;
            let padding = &rest[..rest.len().min(page_end - self.at)];
            if padding.iter().any(|byte| *byte != 0) {
                return Err(self.bad("page whose end is not empty"));
            }
            self.at += padding.len();
        }
        let mut cursor = Cursor::new(&self.segment[self.at..], self.at as u64);
        let torn = |bad| End::Torn(bad);
        let kind = cursor.u8().map_err(torn)?;
        let length = usize::from(cursor.be16().map_err(torn)?);
        let crc = cursor.be32().map_err(torn)?;
        if length > PAGE_BYTES - HEADER_BYTES {
            return Err(self.bad("fragment longer than a page"));
        }
        let data = cursor.take(length).map_err(torn)?;
        if crc32c(data) != crc && !FUZZING {
            return Err(self.bad("checksum does not match"));
        }
        self.at = cursor.offset() as usize;
        Ok(Some((kind, data)))
    }

    fn bad(&self, what: &'static str) -> End {
        End::Bad(Bad {
            what,
            offset: self.at as u64,
        })
    }

    fn record(&mut self) -> Result<Option<Record<'a>>, End> {
        let mut joined: Option<(usize, Vec<u8>)> = None;
        loop {
            let start = self.at;
            let Some((kind, data)) = self.fragment()? else {
                return match joined {
                    None => Ok(None),
                    Some((start, _)) => Err(End::Torn(Bad {
                        what: "record without its end",
                        offset: start as u64,
                    })),
                };
            };
            // Padding may lie before the fragment.
            let start = start.max(self.at - data.len() - HEADER_BYTES);
            let (start, packed) = match (kind & KIND_MASK, joined) {
                (1, None) => (start, Cow::Borrowed(data)),
                (2, None) => {
                    joined = Some((start, data.to_vec()));
                    continue;
                }
                (3, Some((start, mut bytes))) => {
                    bytes.extend_from_slice(data);
                    joined = Some((start, bytes));
                    continue;
                }
                (4, Some((start, mut bytes))) => {
                    bytes.extend_from_slice(data);
                    (start, Cow::Owned(bytes))
                }
                _ => return Err(self.bad("fragment out of turn")),
            };
            let offset = start as u64;
            let bytes = unpack(kind, packed).map_err(|what| End::Bad(Bad { what, offset }))?;
            return Ok(Some(Record { offset, bytes }));
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, End>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.record().transpose();
        if matches!(record, Some(Err(_))) {
            self.at = self.segment.len();
        }
        record
    }
}

fn unpack(kind: u8, packed: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>, &'static str> {
    if kind & SNAPPY != 0 {
        let length = snap::raw::decompress_len(&packed).map_err(|_| "record is not Snappy")?;
        if length > RECORD_BYTES_MAX.min(packed.len().saturating_mul(SNAPPY_RATIO_MAX)) {
            return Err("record too long when unpacked");
        }
        let mut decoder = snap::raw::Decoder::new();
        let bytes = decoder.decompress_vec(&packed);
        return bytes.map(Cow::Owned).map_err(|_| "record is not Snappy");
    }
    if kind & ZSTD != 0 {
        let decoder = zstd::stream::read::Decoder::with_buffer(&*packed);
        let mut bytes = Vec::new();
        let mut limited = decoder
            .map_err(|_| "record is not zstd")?
            .take(RECORD_BYTES_MAX as u64 + 1);
        limited
            .read_to_end(&mut bytes)
            .map_err(|_| "record is not zstd")?;
        if bytes.len() > RECORD_BYTES_MAX {
            return Err("record too long when unpacked");
        }
        return Ok(Cow::Owned(bytes));
    }
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes records as Prometheus does, each `(flags, data)`.
    fn segment(records: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (flags, data) in records {
            let mut rest = data.as_slice();
            let mut is_first = true;
            loop {
                let room = PAGE_BYTES - out.len() % PAGE_BYTES;
                if room <= HEADER_BYTES {
                    out.resize(out.len() + room, 0);
                    continue;
                }
                let (now, later) = rest.split_at(rest.len().min(room - HEADER_BYTES));
                let kind = match (is_first, later.is_empty()) {
                    (true, true) => 1,
                    (true, false) => 2,
                    (false, false) => 3,
                    (false, true) => 4,
                };
                out.push(kind | flags);
                out.extend_from_slice(&(now.len() as u16).to_be_bytes());
                out.extend_from_slice(&crc32c(now).to_be_bytes());
                out.extend_from_slice(now);
                rest = later;
                is_first = false;
                if rest.is_empty() {
                    break;
                }
            }
        }
        out
    }

    fn read(segment: &[u8]) -> (Vec<Vec<u8>>, Option<End>) {
        let mut records = Vec::new();
        for record in Records::new(segment) {
            match record {
                Ok(record) => records.push(record.bytes.into_owned()),
                Err(end) => return (records, Some(end)),
            }
        }
        (records, None)
    }

    #[test]
    fn records_of_all_lengths_and_packings_are_read() {
        let mut packed = Vec::new();
        let mut plain = Vec::new();
        for length in [0, 1, 30_000, 2_755, 5, 100_000, 65_522, 32_761] {
            let data: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            packed.push((0, data.clone()));
            let snappy = snap::raw::Encoder::new().compress_vec(&data).unwrap();
            packed.push((SNAPPY, snappy));
            packed.push((ZSTD, zstd::bulk::compress(&data, 1).unwrap()));
            plain.extend([data.clone(), data.clone(), data]);
        }
        let mut segment = segment(&packed);
        assert_eq!(read(&segment), (plain.clone(), None));
        segment.resize(segment.len().next_multiple_of(PAGE_BYTES), 0);
        assert_eq!(read(&segment), (plain, None));
    }

    #[test]
    fn a_cut_segment_keeps_its_whole_records() {
        let good = segment(&[(0, vec![7; 20]), (0, vec![8; 40_000])]);
        for length in 0..good.len() {
            let (records, end) = read(&good[..length]);
            let whole = usize::from(length >= 27);
            assert_eq!(records.len(), whole, "{length}");
            let is_torn = matches!(end, Some(End::Torn(_)));
            // A cut between fragments of the second record is found by the missing end.
            assert_eq!(is_torn, length != 0 && length != 27, "{length}: {end:?}");
        }
    }

    #[test]
    fn flipped_bits_are_found() {
        let good = segment(&[
            (0, vec![7; 20]),
            (SNAPPY, vec![3, 8, 1, 2, 3]),
            (0, vec![1]),
        ]);
        let expected = read(&good).0;
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let (records, end) = read(&bad);
            // The three highest bits of the kind mean nothing, those of the packing are not
            // covered by the checksum: the record says so itself, or is other than before.
            let is_kind = [0, 27, 39].contains(&(bit / 8));
            assert!(end.is_some() || records == expected || is_kind, "bit {bit}");
        }
    }

    #[test]
    fn a_promise_of_too_much_is_refused() {
        let mut bomb = Vec::new();
        codec::varint::put(&mut bomb, 900 << 20);
        bomb.push(0);
        let (_, end) = read(&segment(&[(SNAPPY, bomb)]));
        let what = "record too long when unpacked";
        assert_eq!(end, Some(End::Bad(Bad { what, offset: 0 })));
    }
}
