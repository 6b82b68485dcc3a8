//! Rows: one value of each of many series at one time, against a base row.
//!
//! A row stands on its base alone, not on the row before: rows can be read, lost and replayed one
//! by one. Slots are taken 64 at a time; a word of bits says which slots differ from the base, and
//! an offset a word says where its values begin, so that one value of one row costs a few dozen
//! nanoseconds to find.
//!
//! ```text
//! row    = flags count { changed: u64 } [ { present: u64 } ] { end: u32 } values
//! value  = varint(zigzag(new - base) << 1)              ; both are whole numbers
//!        | (1 | lead << 1 | trail << 4) bytes           ; XOR without lead and trail zero bytes
//! ```
//! `present` is left out if all slots are there. `end` is where the values of a word end.

use std::ops::Range;

use crate::DecodeError;
use crate::bits::mask;
use crate::floats::whole;
use crate::varint::{self, Reader, unzigzag, zigzag};

const HAS_PRESENT: u8 = 1;

/// More slots in a row than any target has series; bounds what damaged bytes can ask for.
pub const SLOTS_MAX: usize = 1 << 26;

/// Values of a row: `bits[slot]` counts where bit `slot` of `present` is set.
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// Bits of the float of each slot.
    pub bits: Vec<u64>,
    /// One bit a slot.
    pub present: Vec<u64>,
}

impl Values {
    /// Empties the row and makes room for so many slots.
    pub fn reset(&mut self, slots: usize) {
        self.bits.clear();
        self.bits.resize(slots, 0);
        self.present.clear();
        self.present.resize(slots.div_ceil(64), 0);
    }

    /// Whether the slot has a value.
    #[inline]
    #[must_use]
    pub fn has(&self, slot: usize) -> bool {
        self.present[slot / 64] >> (slot % 64) & 1 == 1
    }

    /// Sets a slot's value.
    #[inline]
    pub fn set(&mut self, slot: usize, bits: u64) {
        self.bits[slot] = bits;
        self.present[slot / 64] |= 1 << (slot % 64);
    }
}

/// Appends a value against another one, both as bits of floats.
#[inline]
pub fn put_value(out: &mut Vec<u8>, base: u64, new: u64) {
    if let (Some(base), Some(new)) = (whole(f64::from_bits(base)), whole(f64::from_bits(new))) {
        // Both are within 2^53, so neither the difference nor its shifts overflow.
        return varint::put(out, zigzag(new - base) << 1);
    }
    let xor = base ^ new;
    let lead = (xor.leading_zeros() / 8).min(7);
    let trail = (xor.trailing_zeros() / 8).min(7);
    out.push(1 | (lead as u8) << 1 | (trail as u8) << 4);
    let bytes = xor.to_le_bytes();
    out.extend_from_slice(&bytes[trail as usize..8 - lead as usize]);
}

/// Reads what [`put_value`] wrote.
///
/// # Errors
/// If there is no value.
#[inline]
pub fn take_value(reader: &mut Reader<'_>, base: u64) -> Result<u64, DecodeError> {
    let Some(&first) = reader.rest().first() else {
        return Err(DecodeError("length"));
    };
    if first & 1 == 0 {
        let delta = unzigzag(reader.varint()? >> 1);
        let base = f64::from_bits(base) as i64;
        return Ok((base.wrapping_add(delta) as f64).to_bits());
    }
    reader.byte()?;
    let (lead, trail) = (usize::from(first >> 1 & 7), usize::from(first >> 4 & 7));
    let count = (8 - trail).checked_sub(lead).ok_or(DecodeError("value"))?;
    let bytes = reader.take(count)?;
    let mut xor = [0; 8];
    xor[trail..trail + count].copy_from_slice(bytes);
    Ok(base ^ u64::from_le_bytes(xor))
}

#[inline]
fn skip_value(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    take_value(reader, 0).map(|_| ())
}

/// Appends the row to `out`. `base` may be shorter: what it lacks counts as zero.
pub fn encode(values: &Values, base: &[u64], out: &mut Vec<u8>) {
    let slots = values.bits.len();
    let words = values.present.len();
    debug_assert_eq!(words, slots.div_ceil(64));
    let full = (0..words).all(|w| values.present[w] == mask((slots - 64 * w).min(64) as u32));
    out.push(if full { 0 } else { HAS_PRESENT });
    varint::put(out, slots as u64);
    let changed_at = out.len();
    out.resize(changed_at + 8 * words, 0);
    if !full {
        out.extend(values.present.iter().flat_map(|w| w.to_le_bytes()));
    }
    let ends_at = out.len();
    out.resize(ends_at + 4 * words, 0);
    let values_at = out.len();
    for word in 0..words {
        let from = 64 * word;
        let new = &values.bits[from..(from + 64).min(slots)];
        let mut changed = 0u64;
        for (at, &bits) in new.iter().enumerate() {
            let old = base.get(from + at).copied().unwrap_or(0);
            changed |= u64::from(bits != old) << at;
        }
        changed &= values.present[word];
        let mut left = changed;
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            let old = base.get(from + at).copied().unwrap_or(0);
            put_value(out, old, new[at]);
        }
        let at = changed_at + 8 * word;
        out[at..at + 8].copy_from_slice(&changed.to_le_bytes());
        let end = (out.len() - values_at) as u32;
        let at = ends_at + 4 * word;
        out[at..at + 4].copy_from_slice(&end.to_le_bytes());
    }
}

/// An encoded row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    slots: usize,
    changed: &'a [u8],
    present: Option<&'a [u8]>,
    ends: &'a [u8],
    values: &'a [u8],
}

fn word_at(bytes: &[u8], word: usize) -> u64 {
    let eight = &bytes[8 * word..8 * word + 8];
    u64::from_le_bytes(eight.try_into().expect("eight bytes"))
}

impl<'a> Row<'a> {
    /// Takes an encoded row apart; its values are all of the bytes that are left.
    ///
    /// # Errors
    /// If the bytes are too short for what they say.
    pub fn new(bytes: &'a [u8]) -> Result<Row<'a>, DecodeError> {
        let mut reader = Reader::new(bytes);
        let flags = reader.byte()?;
        let slots = reader.count(SLOTS_MAX)?;
        let words = slots.div_ceil(64);
        let changed = reader.take(8 * words)?;
        let present = match flags {
            0 => None,
            HAS_PRESENT => Some(reader.take(8 * words)?),
            _ => return Err(DecodeError("row flags")),
        };
        let ends = reader.take(4 * words)?;
        let values = reader.rest();
        Ok(Row {
            slots,
            changed,
            present,
            ends,
            values,
        })
    }

    /// Slots that the row knows.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Whether the slot has a value.
    #[must_use]
    pub fn has(&self, slot: usize) -> bool {
        slot < self.slots && self.present_word(slot / 64) >> (slot % 64) & 1 == 1
    }

    /// One bit for each of the 64 slots from `64 * word`.
    #[must_use]
    pub fn present_word(&self, word: usize) -> u64 {
        match self.present {
            Some(present) => word_at(present, word),
            None => mask((self.slots - 64 * word).min(64) as u32),
        }
    }

    fn end(&self, word: usize) -> usize {
        let four = &self.ends[4 * word..4 * word + 4];
        u32::from_le_bytes(four.try_into().expect("four bytes")) as usize
    }

    fn word_values(&self, word: usize) -> Result<Reader<'a>, DecodeError> {
        let from = if word == 0 { 0 } else { self.end(word - 1) };
        let bytes = self.values.get(from..self.end(word));
        bytes.map(Reader::new).ok_or(DecodeError("row offset"))
    }

    /// The slot's value, `None` if it has none.
    ///
    /// # Errors
    /// If the bytes are damaged in a way that shows.
    pub fn get(&self, slot: usize, base: &[u64]) -> Result<Option<u64>, DecodeError> {
        if !self.has(slot) {
            return Ok(None);
        }
        let old = base.get(slot).copied().unwrap_or(0);
        let (word, bit) = (slot / 64, slot % 64);
        let changed = word_at(self.changed, word);
        if changed >> bit & 1 == 0 {
            return Ok(Some(old));
        }
        let mut reader = self.word_values(word)?;
        for _ in 0..(changed & mask(bit as u32)).count_ones() {
            skip_value(&mut reader)?;
        }
        take_value(&mut reader, old).map(Some)
    }

    /// Calls `each` with slot and bits of every value, in order of slots.
    ///
    /// # Errors
    /// If the bytes are damaged in a way that shows, also behind the last value.
    pub fn for_each(&self, base: &[u64], each: impl FnMut(usize, u64)) -> Result<(), DecodeError> {
        let words = self.slots.div_ceil(64);
        self.for_each_in(0..words, base, each)?;
        let end = if words == 0 { 0 } else { self.end(words - 1) };
        if end == self.values.len() {
            Ok(())
        } else {
            Err(DecodeError("row length"))
        }
    }

    /// As [`Row::for_each`], for the slots of some words of 64 only; words that the row does not
    /// have are empty.
    ///
    /// # Errors
    /// If the bytes of these words are damaged in a way that shows.
    pub fn for_each_in(
        &self,
        words: Range<usize>,
        base: &[u64],
        mut each: impl FnMut(usize, u64),
    ) -> Result<(), DecodeError> {
        for word in words.start..words.end.min(self.slots.div_ceil(64)) {
            let mut reader = self.word_values(word)?;
            let changed = word_at(self.changed, word);
            let mut present = self.present_word(word);
            if changed & !present != 0
                || present & !mask((self.slots - 64 * word).min(64) as u32) != 0
            {
                return Err(DecodeError("row bits"));
            }
            while present != 0 {
                let bit = present.trailing_zeros();
                present &= present - 1;
                let slot = 64 * word + bit as usize;
                let old = base.get(slot).copied().unwrap_or(0);
                let bits = if changed >> bit & 1 == 1 {
                    take_value(&mut reader, old)?
                } else {
                    old
                };
                each(slot, bits);
            }
            if !reader.is_empty() {
                return Err(DecodeError("row values"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn odd_float() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            (0i64..300).prop_map(|v| (v as f64).to_bits()),
            (-5i64..5).prop_map(|v| (v as f64 / 7.0).to_bits()),
            Just(0x7ff0_0000_0000_0002),
            Just((-0.0f64).to_bits()),
            Just(9_007_199_254_740_992.0f64.to_bits()),
            Just((-9_007_199_254_740_992.0f64).to_bits()),
        ]
    }

    proptest! {
        #[test]
        fn round_trips(
            row in prop::collection::vec(prop::option::weighted(0.9, odd_float()), 0..200),
            base in prop::collection::vec(odd_float(), 0..200),
            same in any::<bool>(),
        ) {
            let mut values = Values::default();
            values.reset(row.len());
            for (slot, bits) in row.iter().enumerate() {
                if let Some(bits) = bits {
                    let unchanged = base.get(slot).filter(|_| same && slot % 2 == 0);
                    values.set(slot, unchanged.copied().unwrap_or(*bits));
                }
            }
            let mut out = Vec::new();
            encode(&values, &base, &mut out);
            let view = Row::new(&out).unwrap();
            prop_assert_eq!(view.slots(), row.len());
            let mut back = Values::default();
            back.reset(row.len());
            view.for_each(&base, |slot, bits| back.set(slot, bits)).unwrap();
            prop_assert_eq!(&back.present, &values.present);
            prop_assert_eq!(&back.bits, &values.bits);
            let mut some = Vec::new();
            view.for_each_in(1..9, &base, |slot, bits| some.push((slot, bits))).unwrap();
            let want: Vec<_> = (64..row.len())
                .filter(|&slot| values.has(slot))
                .map(|slot| (slot, values.bits[slot]))
                .collect();
            prop_assert_eq!(some, want);
            for slot in 0..row.len() + 3 {
                let want = (slot < row.len() && values.has(slot)).then(|| values.bits[slot]);
                prop_assert_eq!(view.get(slot, &base), Ok(want));
            }
        }

        #[test]
        fn damaged_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(row) = Row::new(&bytes) {
                let _ = row.for_each(&[], |_, _| {});
                for slot in 0..row.slots().min(200) {
                    let _ = row.get(slot, &[1, 2]);
                }
            }
        }
    }
}
