//! What few batches have: histograms, and starts of counters.
//!
//! ```text
//! wide       = { start }  histograms  { histogram start }  n { slot time:signed start }
//! histograms = n { histogram }
//! histogram  = slot time:signed back size item
//! start      = 0 | zigzag(start less time) + 1             ; 0 if it is not known
//! ```
//! In turn: the starts of the late floats, as many as there are; histograms; late ones with their
//! starts, as `histograms`; changes of starts. An item (`crate::histograms::item`) is against that
//! of the same slot in the batch `back` before, or against nothing if that is 0.

use codec::DecodeError;
use codec::varint::{self, Reader, unzigzag, zigzag};

use super::{Timed, slot};

/// A histogram in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item<'a> {
    pub(crate) slot: u32,
    pub(crate) at_ms: i64,
    /// How many batches before this one is that on which the item stands, 0 if on nothing.
    pub(crate) back: u64,
    pub(crate) bytes: &'a [u8],
    /// Start of the counter, if the histogram is late.
    pub(crate) start_ms: i64,
}

/// From a time on, samples of a slot have this start of their counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StartStep {
    pub(crate) slot: u32,
    pub(crate) at_ms: i64,
    /// 0 if it is not known.
    pub(crate) start_ms: i64,
}

/// What a part of a batch has besides floats.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Wide<'a> {
    pub(crate) histograms: Vec<Item<'a>>,
    pub(crate) late: Vec<Item<'a>>,
    pub(crate) starts: Vec<StartStep>,
}

/// Appends all of it; `late` are the late floats that were written before.
pub(crate) fn put(out: &mut Vec<u8>, at_ms: i64, late: &[Timed], wide: &Wide<'_>) {
    for sample in late {
        put_start(out, sample.at_ms, sample.start_ms);
    }
    for (items, is_late) in [(&wide.histograms, false), (&wide.late, true)] {
        varint::put(out, items.len() as u64);
        for item in items {
            varint::put(out, item.slot.into());
            varint::put_signed(out, item.at_ms.wrapping_sub(at_ms));
            varint::put(out, item.back);
            varint::put_bytes(out, item.bytes);
            if is_late {
                put_start(out, item.at_ms, item.start_ms);
            }
        }
    }
    varint::put(out, wide.starts.len() as u64);
    for step in &wide.starts {
        varint::put(out, step.slot.into());
        varint::put_signed(out, step.at_ms.wrapping_sub(at_ms));
        put_start(out, step.at_ms, step.start_ms);
    }
}

/// Reads what [`put`] wrote; the late floats get their starts.
pub(super) fn take<'a>(
    reader: &mut Reader<'a>,
    at_ms: i64,
    late: &mut [Timed],
) -> Result<Wide<'a>, DecodeError> {
    for sample in late {
        sample.start_ms = take_start(reader, sample.at_ms)?;
    }
    let mut wide = Wide::default();
    for (items, is_late) in [(&mut wide.histograms, false), (&mut wide.late, true)] {
        for _ in 0..reader.count(reader.rest().len())? {
            let mut item = Item {
                slot: slot(reader)?,
                at_ms: at_ms.wrapping_add(reader.signed()?),
                back: reader.varint()?,
                bytes: reader.bytes()?,
                start_ms: 0,
            };
            if is_late {
                item.start_ms = take_start(reader, item.at_ms)?;
            }
            items.push(item);
        }
    }
    for _ in 0..reader.count(reader.rest().len())? {
        let slot = slot(reader)?;
        let at_ms = at_ms.wrapping_add(reader.signed()?);
        wide.starts.push(StartStep {
            slot,
            at_ms,
            start_ms: take_start(reader, at_ms)?,
        });
    }
    Ok(wide)
}

fn put_start(out: &mut Vec<u8>, at_ms: i64, start_ms: i64) {
    let code = match start_ms {
        0 => 0,
        // Starts that lie more than 2^62 ms away are of nobody's counter; they are not known.
        _ => zigzag(start_ms.wrapping_sub(at_ms)).wrapping_add(1),
    };
    varint::put(out, code);
}

fn take_start(reader: &mut Reader<'_>, at_ms: i64) -> Result<i64, DecodeError> {
    Ok(match reader.varint()? {
        0 => 0,
        code => at_ms.wrapping_add(unzigzag(code - 1)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let item = |slot, at_ms, back, bytes, start_ms| Item {
            slot,
            at_ms,
            back,
            bytes,
            start_ms,
        };
        let step = |slot, at_ms, start_ms| StartStep {
            slot,
            at_ms,
            start_ms,
        };
        let wide = Wide {
            histograms: vec![item(3, 1_000, 0, b"a", 0), item(1, 990, 7, b"", 0)],
            late: vec![item(9, -5, 0, b"late", -7), item(9, -4, 0, b"", 0)],
            starts: vec![step(1, 1_000, 0), step(2, 1_000, 1_000), step(3, 1_001, -1)],
        };
        let sample = |start_ms| Timed {
            slot: 1,
            at_ms: 900,
            bits: 1,
            start_ms,
        };
        let late = [sample(0), sample(899)];
        let mut out = Vec::new();
        put(&mut out, 1_000, &late, &wide);
        let mut back = [sample(0), sample(0)];
        let mut reader = Reader::new(&out);
        assert_eq!(take(&mut reader, 1_000, &mut back), Ok(wide));
        assert_eq!((back, reader.is_empty()), (late, true));
        for cut in 0..out.len() {
            assert!(take(&mut Reader::new(&out[..cut]), 1_000, &mut back).is_err());
        }
    }
}
