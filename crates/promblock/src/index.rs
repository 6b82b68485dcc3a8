//! A block's index: symbols, series, and which of them there are.
//!
//! ```text
//! index    = baaad700 version:u8 symbols series… postings… offset-table toc
//! symbols  = length:u32 count:u32 { text } crc32c
//! series   = length:uvarint labels chunks crc32c          ; at 16-byte bounds from version 2 on
//! labels   = count { name-symbol value-symbol }           ; uvarints
//! chunks   = count first { more }
//! postings = length:u32 count:u32 { series:u32 } crc32c
//! toc      = 6 × offset:u64 crc32c                        ; the last 52 bytes
//! ```
//! Version 1 refers to symbols and series by their offset, the later ones to symbols by number and
//! to series by offset / 16. Series are found through the postings list of all series, which the
//! offset table has under the empty name.

use std::path::PathBuf;

use crc32c::crc32c;
use disk::Mapping;
use model::Labels;

use crate::bytes::Cursor;
use crate::error::{Bad, Error};

/// Name of the file in a block.
pub(crate) const FILE: &str = "index";
pub(crate) const MAGIC: u32 = 0xbaaa_d700;
/// What is written.
pub(crate) const VERSION: u8 = 2;
/// Magic number and version.
pub(crate) const HEADER_BYTES: u64 = 5;
/// Series lie at multiples of this from version 2 on.
pub(crate) const SERIES_ALIGN: u64 = 16;
pub(crate) const TOC_BYTES: usize = 6 * 8 + 4;
/// Versions that there are; 3 is written by nobody yet and read by Prometheus like 2.
const VERSIONS: std::ops::RangeInclusive<u8> = 1..=3;

/// Where a chunk is and which times it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChunkMeta {
    pub(crate) reference: u64,
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
}

/// An open index.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) path: PathBuf,
    bytes: Mapping,
    version: u8,
    symbols: Symbols,
    /// All series, in the order of their labels.
    series: Vec<u32>,
    /// Where the table of postings lists begins.
    postings_table: u64,
}

#[derive(Debug)]
struct Symbols {
    /// Where the section's body begins in the file and where it ends.
    start: u64,
    end: u64,
    /// Where each symbol begins, counted from `start`; none in version 1.
    offsets: Vec<u32>,
}

struct Toc {
    symbols: u64,
    postings_table: u64,
}

impl Index {
    pub(crate) fn open(path: PathBuf, bytes: Mapping) -> Result<Index, Error> {
        let opened = Index::open_bytes(&bytes);
        let (version, symbols, series, postings_table) = match opened {
            Ok(opened) => opened,
            Err(bad) => return Err(bad.of(&path)),
        };
        Ok(Index {
            path,
            bytes,
            version,
            symbols,
            series,
            postings_table,
        })
    }

    #[allow(
        clippy::type_complexity,
        reason = "the parts of an index, put together at one place"
    )]
    fn open_bytes(bytes: &[u8]) -> Result<(u8, Symbols, Vec<u32>, u64), Bad> {
        let mut cursor = Cursor::new(bytes, 0);
        let place = cursor;
        if cursor.be32()? != MAGIC {
            return Err(place.bad("wrong magic number"));
        }
        let place = cursor;
        let version = cursor.u8()?;
        if !VERSIONS.contains(&version) {
            return Err(place.bad("unknown index version"));
        }
        let toc = read_toc(bytes)?;
        let symbols = Symbols::read(bytes, toc.symbols, version)?;
        let mut all = None;
        for_each_list(bytes, toc.postings_table, |name, value, offset| {
            if name.is_empty() && value.is_empty() {
                all = Some(offset);
            }
            Ok(())
        })?;
        let series = match all {
            Some(offset) => read_postings(bytes, offset)?,
            None => Vec::new(),
        };
        Ok((version, symbols, series, toc.postings_table))
    }

    /// References of all series, in the order of their labels.
    pub(crate) fn series(&self) -> &[u32] {
        &self.series
    }

    /// Labels and chunks of a series.
    pub(crate) fn read_series(&self, reference: u32) -> Result<(Labels, Vec<ChunkMeta>), Error> {
        self.series_entry(reference)
            .map_err(|bad| bad.of(&self.path))
    }

    fn series_entry(&self, reference: u32) -> Result<(Labels, Vec<ChunkMeta>), Bad> {
        let align = if self.version == 1 { 1 } else { SERIES_ALIGN };
        let mut cursor = Cursor::at(&self.bytes, u64::from(reference) * align)?;
        let length = cursor.count(1)?;
        let mut entry = cursor.checked(length)?;
        let labels = self.labels(&mut entry)?;
        let chunks = read_chunks(&mut entry)?;
        if !entry.is_empty() {
            return Err(entry.bad("bytes after the last chunk"));
        }
        Ok((labels, chunks))
    }

    fn labels(&self, entry: &mut Cursor<'_>) -> Result<Labels, Bad> {
        let count = entry.count(2)?;
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(count);
        for _ in 0..count {
            let place = *entry;
            let name = self.symbols.text(&self.bytes, entry.uvarint()?)?;
            let value = self.symbols.text(&self.bytes, entry.uvarint()?)?;
            if pairs.last().is_some_and(|(last, _)| *last >= name) {
                return Err(place.bad("labels out of order"));
            }
            pairs.push((name, value));
        }
        Ok(Labels::from_sorted(pairs))
    }

    /// Reads every postings list.
    pub(crate) fn verify_postings(&self) -> Result<(), Error> {
        let each = |_: &str, _: &str, offset| read_postings(&self.bytes, offset).map(drop);
        for_each_list(&self.bytes, self.postings_table, each).map_err(|bad| bad.of(&self.path))
    }
}

impl Symbols {
    fn read(bytes: &[u8], offset: u64, version: u8) -> Result<Symbols, Bad> {
        let mut body = Cursor::at(bytes, offset)?.section()?;
        let (start, end) = (body.offset(), body.offset() + body.len() as u64);
        let place = body;
        let count = body.be32()? as usize;
        if count > body.len() {
            return Err(place.bad("count larger than what follows"));
        }
        let mut offsets = Vec::new();
        if version > 1 {
            offsets.reserve_exact(count);
            for _ in 0..count {
                offsets.push((body.offset() - start) as u32);
                body.skip_text()?;
            }
        }
        Ok(Symbols {
            start,
            end,
            offsets,
        })
    }

    fn text<'a>(&self, bytes: &'a [u8], symbol: u64) -> Result<&'a str, Bad> {
        let number = usize::try_from(symbol).ok();
        let offset = match number.and_then(|number| self.offsets.get(number)) {
            Some(offset) => self.start + u64::from(*offset),
            None if self.offsets.is_empty() && self.is_inside(symbol) => symbol,
            None => {
                return Err(Bad {
                    what: "reference to a symbol that is not there",
                    offset: self.start,
                });
            }
        };
        // The section's checksum was verified when it was opened.
        Cursor::new(&bytes[offset as usize..self.end as usize], offset).text()
    }

    fn is_inside(&self, offset: u64) -> bool {
        (self.start..self.end).contains(&offset)
    }
}

fn read_toc(bytes: &[u8]) -> Result<Toc, Bad> {
    let at = bytes.len().checked_sub(TOC_BYTES).ok_or(Bad {
        what: "unexpected end",
        offset: bytes.len() as u64,
    })?;
    let mut toc = Cursor::at(bytes, at as u64)?.checked(TOC_BYTES - 4)?;
    let symbols = toc.be64()?;
    let (_series, _label_indices, _label_table, _postings) =
        (toc.be64()?, toc.be64()?, toc.be64()?, toc.be64()?);
    Ok(Toc {
        symbols,
        postings_table: toc.be64()?,
    })
}

/// Calls `each` with name, value and offset of every postings list.
fn for_each_list(
    bytes: &[u8],
    table: u64,
    mut each: impl FnMut(&str, &str, u64) -> Result<(), Bad>,
) -> Result<(), Bad> {
    let mut body = Cursor::at(bytes, table)?.section()?;
    let count = body.be32()?;
    for _ in 0..count {
        let place = body;
        if body.uvarint()? != 2 {
            return Err(place.bad("postings list of other than name and value"));
        }
        let (name, value) = (body.text()?, body.text()?);
        each(name, value, body.uvarint()?)?;
    }
    Ok(())
}

fn read_postings(bytes: &[u8], offset: u64) -> Result<Vec<u32>, Bad> {
    let mut body = Cursor::at(bytes, offset)?.section()?;
    let place = body;
    let count = body.be32()? as usize;
    if body.len() != count.saturating_mul(4) {
        return Err(place.bad("postings list of another length"));
    }
    let mut references = Vec::with_capacity(count);
    for _ in 0..count {
        let place = body;
        let reference = body.be32()?;
        if references.last().is_some_and(|last| *last >= reference) {
            return Err(place.bad("postings out of order"));
        }
        references.push(reference);
    }
    Ok(references)
}

fn read_chunks(entry: &mut Cursor<'_>) -> Result<Vec<ChunkMeta>, Bad> {
    let count = entry.count(3)?;
    let mut chunks = Vec::with_capacity(count);
    let (mut reference, mut last_ms) = (0u64, 0i64);
    for at in 0..count {
        let min_ms = if at == 0 {
            entry.varint()?
        } else {
            last_ms.wrapping_add(entry.uvarint()? as i64)
        };
        let max_ms = min_ms.wrapping_add(entry.uvarint()? as i64);
        reference = if at == 0 {
            entry.uvarint()?
        } else {
            reference.wrapping_add(entry.varint()? as u64)
        };
        chunks.push(ChunkMeta {
            reference,
            min_ms,
            max_ms,
        });
        last_ms = max_ms;
    }
    Ok(chunks)
}

/// The table of contents with its checksum.
pub(crate) fn encode_toc(offsets: [u64; 6]) -> Vec<u8> {
    let mut out: Vec<u8> = offsets.iter().flat_map(|o| o.to_be_bytes()).collect();
    let crc = crc32c(&out);
    out.extend_from_slice(&crc.to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use codec::varint::{put, put_bytes};

    use super::*;
    use crate::bytes::{put_section, put_text};

    fn file(version: u8) -> (Vec<u8>, u64) {
        let mut out = MAGIC.to_be_bytes().to_vec();
        out.push(version);
        let at = out.len() as u64;
        (out, at)
    }

    /// An index as the first versions of Prometheus 2 wrote it: symbols and series by offset, the
    /// table of postings lists in no order.
    fn version_1() -> Vec<u8> {
        let (mut out, symbols_at) = file(1);
        let mut body = 3u32.to_be_bytes().to_vec();
        let mut at = Vec::new();
        for text in ["a", "x", "y"] {
            at.push(symbols_at + 4 + body.len() as u64);
            put_text(&mut body, text);
        }
        put_section(&mut out, &body).unwrap();
        let series_at = out.len() as u64;
        let mut list = 2u32.to_be_bytes().to_vec();
        for (value, times) in [(at[1], [3, 9, 5]), (at[2], [2, 0, 77])] {
            list.extend((out.len() as u32).to_be_bytes());
            let mut entry = Vec::new();
            for number in [1, at[0], value, 1, times[0], times[1], times[2]] {
                put(&mut entry, number);
            }
            put_bytes(&mut out, &entry);
            out.extend(crc32c(&entry).to_be_bytes());
        }
        let list_at = out.len() as u64;
        put_section(&mut out, &list).unwrap();
        let table_at = out.len() as u64;
        let mut table = 2u32.to_be_bytes().to_vec();
        for (name, value) in [("a", "x"), ("", "")] {
            put(&mut table, 2);
            put_text(&mut table, name);
            put_text(&mut table, value);
            put(&mut table, list_at);
        }
        put_section(&mut out, &table).unwrap();
        out.extend(encode_toc([symbols_at, series_at, 0, 0, list_at, table_at]));
        out
    }

    type Entries = Vec<(String, Vec<ChunkMeta>)>;

    fn read(bytes: Vec<u8>) -> Result<Entries, Error> {
        let index = Index::open(PathBuf::from("index"), Mapping::held(bytes))?;
        index.verify_postings()?;
        let each = index.series().iter().map(|reference| {
            let (labels, chunks) = index.read_series(*reference)?;
            Ok((labels.to_string(), chunks))
        });
        each.collect()
    }

    #[test]
    fn version_1_is_read_by_offsets() {
        let chunk = |reference, min_ms, max_ms| ChunkMeta {
            reference,
            min_ms,
            max_ms,
        };
        let expected = [
            ("{a=\"x\"}".to_owned(), vec![chunk(5, -2, 7)]),
            ("{a=\"y\"}".to_owned(), vec![chunk(77, 1, 1)]),
        ];
        assert_eq!(read(version_1()).unwrap(), expected);
    }

    #[test]
    fn every_flipped_bit_and_cut_of_version_1_is_found() {
        let good = version_1();
        let expected = read(good.clone()).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let found = read(bad);
            assert!(
                found.is_err() || found.is_ok_and(|f| f == expected),
                "bit {bit}"
            );
        }
        for length in 0..good.len() {
            assert!(read(good[..length].to_vec()).is_err(), "cut to {length}");
        }
    }
}
