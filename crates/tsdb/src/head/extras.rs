//! What few chunks have: histograms, and starts of counters.
//!
//! ```text
//! extras = histograms starts
//! table  = count:u32 { slot:u32 end:u32 } bytes     ; ends are counted from the first byte
//! of a slot of `histograms` = samples ints(samples) { item }
//! of a slot of `starts`     = n { time:signed start:signed }     ; each less the one before
//! ```
//! Slots ascend, so that one is found by halving.

use codec::varint::{self, Reader};
use codec::{DecodeError, ints};

use super::chunk::SIDE_SAMPLES_MAX;
use super::histograms::{Histograms, for_each_item};
use super::starts::Starts;
use crate::histograms::HistogramRef;
use crate::steps::Steps;

/// Appends what a group has open.
pub(crate) fn put(
    histograms: &Histograms,
    starts: &Starts,
    scratch: &mut ints::Scratch,
    out: &mut Vec<u8>,
) {
    put_table(out, histograms.all_open(), |out, column| {
        varint::put(out, column.times().len() as u64);
        ints::encode(column.times(), scratch, out);
        out.extend_from_slice(column.bytes());
    });
    put_table(out, starts.iter(), |out, steps| {
        varint::put(out, steps.iter().len() as u64);
        let mut before = (0i64, 0i64);
        for (at_ms, start_ms) in steps.iter() {
            varint::put_signed(out, at_ms.wrapping_sub(before.0));
            varint::put_signed(out, start_ms.wrapping_sub(before.1));
            before = (at_ms, start_ms);
        }
    });
}

fn put_table<T>(
    out: &mut Vec<u8>,
    entries: impl Iterator<Item = (u32, T)>,
    mut put: impl FnMut(&mut Vec<u8>, T),
) {
    let (mut directory, mut bytes) = (Vec::new(), Vec::new());
    let mut count = 0u32;
    for (slot, entry) in entries {
        put(&mut bytes, entry);
        directory.extend_from_slice(&slot.to_le_bytes());
        directory.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        count += 1;
    }
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&directory);
    out.extend_from_slice(&bytes);
}

/// Entries by slot.
#[derive(Debug, Clone, Copy)]
struct Table<'a> {
    directory: &'a [[u8; 8]],
    bytes: &'a [u8],
}

fn entry(of: &[u8; 8]) -> (u32, usize) {
    let number = |at: usize| u32::from_le_bytes([of[at], of[at + 1], of[at + 2], of[at + 3]]);
    (number(0), number(4) as usize)
}

impl<'a> Table<'a> {
    fn take(reader: &mut Reader<'a>) -> Result<Table<'a>, DecodeError> {
        let count = reader.u32_le()? as usize;
        let size = count.checked_mul(8).ok_or(DecodeError("directory"))?;
        let (directory, _) = reader.take(size)?.as_chunks::<8>();
        let size = directory.last().map_or(0, |last| entry(last).1);
        Ok(Table {
            directory,
            bytes: reader.take(size)?,
        })
    }

    fn at(&self, index: usize) -> Result<(u32, &'a [u8]), DecodeError> {
        let before = index
            .checked_sub(1)
            .map_or(0, |at| entry(&self.directory[at]).1);
        let (slot, end) = entry(&self.directory[index]);
        let bytes = self
            .bytes
            .get(before..end)
            .ok_or(DecodeError("directory"))?;
        Ok((slot, bytes))
    }

    fn get(&self, slot: u32) -> Result<&'a [u8], DecodeError> {
        let found = self.directory.binary_search_by_key(&slot, |of| entry(of).0);
        found.map_or(Ok(&[][..]), |index| Ok(self.at(index)?.1))
    }
}

/// The extras of a chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extras<'a> {
    histograms: Table<'a>,
    starts: Table<'a>,
}

/// The histograms of a slot: times, and items that are not read yet.
#[derive(Debug)]
pub(crate) struct SealedColumn<'a> {
    pub(crate) times: Vec<i64>,
    items: &'a [u8],
}

impl SealedColumn<'_> {
    /// Calls `each` with all of them.
    pub(crate) fn for_each(
        &self,
        each: impl FnMut(i64, HistogramRef<'_>),
    ) -> Result<(), DecodeError> {
        for_each_item(&self.times, self.items, each)
    }
}

impl<'a> Extras<'a> {
    /// Reads the directories.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Extras<'a>, DecodeError> {
        let reader = &mut Reader::new(bytes);
        Ok(Extras {
            histograms: Table::take(reader)?,
            starts: Table::take(reader)?,
        })
    }

    /// The histograms of a slot, if it has any.
    pub(crate) fn histograms(&self, slot: u32) -> Result<Option<SealedColumn<'a>>, DecodeError> {
        column(self.histograms.get(slot)?)
    }

    /// Calls `each` with the histograms of every slot that has some.
    pub(crate) fn for_each_column(
        &self,
        mut each: impl FnMut(u32, SealedColumn<'a>),
    ) -> Result<(), DecodeError> {
        for index in 0..self.histograms.directory.len() {
            let (slot, bytes) = self.histograms.at(index)?;
            if let Some(column) = column(bytes)? {
                each(slot, column);
            }
        }
        Ok(())
    }

    /// The starts of a slot's counter.
    pub(crate) fn starts(&self, slot: u32) -> Result<Steps, DecodeError> {
        let bytes = self.starts.get(slot)?;
        let mut steps = Steps::default();
        if bytes.is_empty() {
            return Ok(steps);
        }
        let reader = &mut Reader::new(bytes);
        let mut before = (0i64, 0i64);
        for _ in 0..reader.count(bytes.len())? {
            before.0 = before.0.wrapping_add(reader.signed()?);
            before.1 = before.1.wrapping_add(reader.signed()?);
            steps.push(before.0, before.1);
        }
        Ok(steps)
    }
}

fn column(bytes: &[u8]) -> Result<Option<SealedColumn<'_>>, DecodeError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let reader = &mut Reader::new(bytes);
    let count = reader.count(SIDE_SAMPLES_MAX)?;
    let mut times = Vec::new();
    ints::decode(reader, count, &mut times)?;
    let items = reader.rest();
    Ok(Some(SealedColumn { times, items }))
}
