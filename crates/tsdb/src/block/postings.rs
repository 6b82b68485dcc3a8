//! Postings on disk: which series have a label pair.
//!
//! ```text
//! postings = count kind body
//! body     = 0 runs          ; { gap << 1 | long, [length - 2] }, gap from the end of the last run
//!          | 1 first bits    ; a bit for each series from `first` on, lowest first
//!          | 2 packed        ; `runs`, packed: a fleet from one template repeats its gaps
//! ```

use codec::DecodeError;
use codec::varint::{self, Reader};

use super::format;
use crate::postings::{Bits, IdSet};

const RUNS: u8 = 0;
const BITS: u8 = 1;
const PACKED: u8 = 2;

/// Shorter runs are not worth the frame.
const PACK_BYTES_MIN: usize = 64;
const ZSTD_LEVEL: i32 = 6;

/// Appends the postings of the sorted `ids`.
pub(crate) fn encode(ids: &[u32], out: &mut Vec<u8>) {
    let mut runs = Vec::new();
    put_runs(ids, &mut runs);
    varint::put(out, ids.len() as u64);
    let (&first, &last) = match (ids.first(), ids.last()) {
        (Some(first), Some(last)) => (first, last),
        _ => return,
    };
    let mut packed = Vec::new();
    if runs.len() >= PACK_BYTES_MIN {
        format::pack(&runs, ZSTD_LEVEL, &mut packed);
    }
    let bits_size = (last - first) as usize / 8 + 1 + varint::size(u64::from(first));
    // Packed postings are slower to read, so they must be clearly smaller.
    let plain = runs.len().min(bits_size);
    if !packed.is_empty() && packed.len() < plain - plain / 4 {
        out.push(PACKED);
        out.extend_from_slice(&packed);
    } else if bits_size < runs.len() {
        out.push(BITS);
        varint::put(out, u64::from(first));
        let start = out.len();
        out.resize(start + (last - first) as usize / 8 + 1, 0);
        for &id in ids {
            out[start + ((id - first) / 8) as usize] |= 1 << ((id - first) & 7);
        }
    } else {
        out.push(RUNS);
        out.extend_from_slice(&runs);
    }
}

fn put_runs(ids: &[u32], out: &mut Vec<u8>) {
    let mut end = 0;
    for run in ids.chunk_by(|a, b| a + 1 == *b) {
        let gap = u64::from(run[0] - end) << 1;
        if run.len() > 1 {
            varint::put(out, gap | 1);
            varint::put(out, run.len() as u64 - 2);
        } else {
            varint::put(out, gap);
        }
        end = run[run.len() - 1] + 1;
    }
}

/// How many series they name.
pub(crate) fn count(bytes: &[u8]) -> Result<usize, DecodeError> {
    Reader::new(bytes).count(u32::MAX as usize)
}

/// Calls `visit` with every run of ids, first and end; all are below `end`.
pub(crate) fn decode(
    bytes: &[u8],
    end: u32,
    mut visit: impl FnMut(u32, u32),
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    let count = reader.count(end as usize)?;
    if count == 0 {
        return Ok(());
    }
    match reader.byte()? {
        RUNS => decode_runs(reader, count, end, visit),
        PACKED => decode_runs(
            Reader::new(&format::unpack(reader.rest())?),
            count,
            end,
            visit,
        ),
        BITS => {
            let first = reader.count(end as usize)? as u32;
            for (at, &byte) in (0u32..).zip(reader.rest()) {
                let mut left = byte;
                while left != 0 {
                    let id = first
                        .checked_add(8 * at + left.trailing_zeros())
                        .filter(|&id| id < end)
                        .ok_or(DecodeError("posting"))?;
                    visit(id, id + 1);
                    left &= left - 1;
                }
            }
            Ok(())
        }
        _ => Err(DecodeError("postings")),
    }
}

fn decode_runs(
    mut reader: Reader<'_>,
    mut left: usize,
    end: u32,
    mut visit: impl FnMut(u32, u32),
) -> Result<(), DecodeError> {
    let mut at = 0;
    while left > 0 {
        let head = reader.count(u32::MAX as usize)?;
        let length = if head & 1 == 1 {
            reader.count(left)? + 2
        } else {
            1
        };
        let first = at + (head >> 1);
        at = first + length;
        if at > end as usize {
            return Err(DecodeError("posting"));
        }
        left = left.checked_sub(length).ok_or(DecodeError("postings"))?;
        visit(first as u32, at as u32);
    }
    Ok(())
}

/// The postings as a set: a list if there are few.
pub(crate) fn to_set(bytes: &[u8], end: u32) -> Result<IdSet, DecodeError> {
    let count = Reader::new(bytes).count(end as usize)?;
    if count > end as usize / 32 {
        let mut bits = Bits::new(end);
        decode(bytes, end, |first, end| bits.insert_run(first, end))?;
        return Ok(IdSet::Bits(bits));
    }
    let mut list = Vec::with_capacity(count);
    decode(bytes, end, |first, end| list.extend(first..end))?;
    Ok(IdSet::List(list))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round(ids: &[u32], end: u32) -> usize {
        let mut bytes = Vec::new();
        encode(ids, &mut bytes);
        assert_eq!(to_set(&bytes, end).unwrap().into_vec(), ids);
        bytes.len()
    }

    #[test]
    fn sizes_are_what_the_shape_asks_for() {
        assert!(round(&(0..400_000).collect::<Vec<_>>(), 400_000) < 16);
        assert!(round(&(1000..2033).collect::<Vec<_>>(), 400_000) < 16);
        // Three series of each of 388 hosts from one template.
        let template: Vec<u32> = (0..388 * 3).map(|i| i / 3 * 1033 + i % 3 * 7).collect();
        assert!(round(&template, 400_000) < 100);
        assert_eq!(round(&[], 10), 1);
        assert_eq!(round(&[70_000], 70_001), 5);
        let mut rng = fastrand::Rng::with_seed(7);
        let half: Vec<u32> = (0..10_000).filter(|_| rng.bool()).collect();
        assert!(round(&half, 10_000) < 1_300);
    }

    proptest! {
        #[test]
        fn round_trips(ids in prop::collection::btree_set(0u32..3_000, 0..400), every in 1u32..40) {
            round(&ids.iter().copied().collect::<Vec<_>>(), 3_000);
            round(&(0..3_000).step_by(every as usize).collect::<Vec<_>>(), 3_000);
        }

        #[test]
        fn damaged_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..40), kind in 0u8..3) {
            let mut bytes = bytes;
            if let Some(byte) = bytes.get_mut(1) { *byte = kind; }
            let _ = to_set(&bytes, 1_000);
        }
    }
}
