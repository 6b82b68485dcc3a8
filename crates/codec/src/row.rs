//! Rows: one value of each of many series at one time, against a base row.
//!
//! A row stands on its base alone, not on the row before: rows can be read, lost and replayed one
//! by one. Slots are taken 64 at a time; a word of bits says which slots differ from the base, and
//! an offset a word says where its values begin, so that one value of one row costs a few dozen
//! nanoseconds to find. Slots of series that are gone stay for hours, mostly side by side: words
//! without values cost two bits.
//!
//! ```text
//! row    = 0 count { changed: u64 } { end: u32 } values                       ; all are there
//!        | 1 count { changed: u64 } { present: u64 } { end: u32 } values      ; not written any more
//!        | 2 count live full { changed: u64 } { present: u64 } { end: u32 } values
//! value  = varint(zigzag(new - base) << 1)              ; both are whole numbers
//!        | (1 | lead << 1 | trail << 4) bytes           ; XOR without lead and trail zero bytes
//! ```
//! `live` and `full` have a bit for each word: whether it has values, and whether it has all. In a
//! row of kind 2 only live words have `changed` and `end`, and only those that are not full have
//! `present`. `end` is where the values of a word end.

use std::ops::Range;

use crate::DecodeError;
use crate::bits::mask;
use crate::floats::whole;
use crate::varint::{self, Reader, unzigzag, zigzag};

/// Every slot is there.
const KIND_FULL: u8 = 0;
/// Every word says which slots are there.
const KIND_PRESENT: u8 = 1;
/// Words without slots are left out.
const KIND_LIVE: u8 = 2;

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

/// Where the value after so many ends begins in `bytes`.
#[inline]
fn skip_values(bytes: &[u8], count: u32) -> Result<usize, DecodeError> {
    let mut at = 0;
    for _ in 0..count {
        let rest = bytes.get(at..).ok_or(DecodeError("length"))?;
        let first = *rest.first().ok_or(DecodeError("length"))?;
        at += if first & 1 == 0 {
            match rest.first_chunk::<8>() {
                // The first byte that no other one follows; a varint of nine or ten is rare.
                Some(eight) if ends_in(*eight) != 0 => {
                    ends_in(*eight).trailing_zeros() as usize / 8 + 1
                }
                _ => {
                    let mut reader = Reader::new(rest);
                    reader.varint()?;
                    rest.len() - reader.rest().len()
                }
            }
        } else {
            let (lead, trail) = (usize::from(first >> 1 & 7), usize::from(first >> 4 & 7));
            let count = 8usize.checked_sub(lead + trail);
            1 + count.ok_or(DecodeError("value"))?
        };
    }
    Ok(at)
}

/// The highest bit of each of eight bytes that is the last one of a varint.
fn ends_in(eight: [u8; 8]) -> u64 {
    !u64::from_le_bytes(eight) & 0x8080_8080_8080_8080
}

/// Appends the row to `out`. `base` may be shorter: what it lacks counts as zero.
pub fn encode(values: &Values, base: &[u64], out: &mut Vec<u8>) {
    let slots = values.bits.len();
    let words = values.present.len();
    debug_assert_eq!(words, slots.div_ceil(64));
    let whole = |w: usize| slots_of(w, slots);
    let full = (0..words).all(|w| values.present[w] == whole(w));
    out.push(if full { KIND_FULL } else { KIND_LIVE });
    varint::put(out, slots as u64);
    let is_live = |w: &usize| full || values.present[*w] != 0;
    if !full {
        put_bits(out, words, |w| values.present[w] != 0);
        put_bits(out, words, |w| values.present[w] == whole(w));
    }
    let live = (0..words).filter(is_live).count();
    let changed_at = out.len();
    out.resize(changed_at + 8 * live, 0);
    let partly = (0..words).filter(|&w| is_live(&w) && values.present[w] != whole(w));
    out.extend(partly.flat_map(|w| values.present[w].to_le_bytes()));
    let ends_at = out.len();
    out.resize(ends_at + 4 * live, 0);
    let values_at = out.len();
    for (rank, word) in (0..words).filter(is_live).enumerate() {
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
        let at = changed_at + 8 * rank;
        out[at..at + 8].copy_from_slice(&changed.to_le_bytes());
        let end = (out.len() - values_at) as u32;
        let at = ends_at + 4 * rank;
        out[at..at + 4].copy_from_slice(&end.to_le_bytes());
    }
}

/// A bit for each slot that a word has, if there are so many slots in all.
fn slots_of(word: usize, slots: usize) -> u64 {
    mask((slots - 64 * word).min(64) as u32)
}

fn put_bits(out: &mut Vec<u8>, count: usize, bit: impl Fn(usize) -> bool) {
    let byte = |at: usize| {
        let bits = (8 * at..(8 * at + 8).min(count)).enumerate();
        bits.fold(0, |byte, (place, index)| {
            byte | u8::from(bit(index)) << place
        })
    };
    out.extend((0..count.div_ceil(8)).map(byte));
}

/// Bits of words, the first one lowest.
#[derive(Debug, Clone, Copy)]
struct Bits<'a>(&'a [u8]);

impl Bits<'_> {
    fn has(self, word: usize) -> bool {
        self.0[word / 8] >> (word % 8) & 1 == 1
    }

    /// How many are set before a word.
    fn rank(self, word: usize) -> usize {
        let (before, here) = (&self.0[..word / 8], self.0.get(word / 8).unwrap_or(&0));
        let (eights, rest) = before.as_chunks::<8>();
        let eights = eights
            .iter()
            .map(|all| u64::from_le_bytes(*all).count_ones());
        let rest = rest.iter().map(|byte| byte.count_ones());
        let here = (here & mask((word % 8) as u32) as u8).count_ones();
        (eights.sum::<u32>() + rest.sum::<u32>() + here) as usize
    }
}

/// Which words have what in a row.
#[derive(Debug, Clone, Copy)]
enum Words<'a> {
    Full,
    Present(&'a [u8]),
    /// Bits of the live and of the full ones, and what the others say.
    Live(Bits<'a>, Bits<'a>, &'a [u8]),
}

/// An encoded row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    slots: usize,
    words: Words<'a>,
    changed: &'a [u8],
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
        let count = slots.div_ceil(64);
        let (words, changed, live) = match flags {
            KIND_FULL => (Words::Full, reader.take(8 * count)?, count),
            KIND_PRESENT => {
                let changed = reader.take(8 * count)?;
                (Words::Present(reader.take(8 * count)?), changed, count)
            }
            KIND_LIVE => {
                let live = Bits(reader.take(count.div_ceil(8))?);
                let full = Bits(reader.take(count.div_ceil(8))?);
                let (bits, extra) = (8 * live.0.len(), full.0.iter().zip(live.0));
                // Bits behind the last word, or words that are full and not there.
                let last = live.0.last().zip(full.0.last());
                let behind = !(mask(8 - (bits - count) as u32) as u8);
                let stray = last.is_some_and(|(live, full)| (live | full) & behind != 0);
                if stray || extra.into_iter().any(|(full, live)| full & !live != 0) {
                    return Err(DecodeError("row words"));
                }
                let (lives, fulls) = (live.rank(bits), full.rank(bits));
                let changed = reader.take(8 * lives)?;
                let present = reader.take(8 * (lives - fulls))?;
                (Words::Live(live, full, present), changed, lives)
            }
            _ => return Err(DecodeError("row flags")),
        };
        let ends = reader.take(4 * live)?;
        let values = reader.rest();
        Ok(Row {
            slots,
            words,
            changed,
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
        let all = slots_of(word, self.slots);
        match self.words {
            Words::Full => all,
            Words::Present(present) => word_at(present, word),
            Words::Live(live, _, _) if !live.has(word) => 0,
            Words::Live(_, full, _) if full.has(word) => all,
            Words::Live(live, full, partly) => word_at(partly, live.rank(word) - full.rank(word)),
        }
    }

    /// Where a word that has values lies among those that do.
    fn rank(&self, word: usize) -> usize {
        match self.words {
            Words::Live(live, _, _) => live.rank(word),
            Words::Full | Words::Present(_) => word,
        }
    }

    fn end(&self, rank: usize) -> usize {
        let four = &self.ends[4 * rank..4 * rank + 4];
        u32::from_le_bytes(four.try_into().expect("four bytes")) as usize
    }

    /// Which slots of a live word differ from the base, and their values.
    fn word_values(&self, word: usize) -> Result<(u64, Reader<'a>), DecodeError> {
        let rank = self.rank(word);
        let from = if rank == 0 { 0 } else { self.end(rank - 1) };
        let bytes = self.values.get(from..self.end(rank));
        let bytes = bytes.ok_or(DecodeError("row offset"))?;
        Ok((word_at(self.changed, rank), Reader::new(bytes)))
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
        let (changed, mut reader) = self.word_values(word)?;
        if changed >> bit & 1 == 0 {
            return Ok(Some(old));
        }
        let before = (changed & mask(bit as u32)).count_ones();
        reader.take(skip_values(reader.rest(), before)?)?;
        take_value(&mut reader, old).map(Some)
    }

    /// Calls `each` with slot and bits of the values of one word whose bits in `wanted` are set, in
    /// order of slots. Other values are passed over, those behind the last one not looked at.
    ///
    /// # Errors
    /// If the bytes are damaged in a way that shows.
    pub fn for_each_of(
        &self,
        word: usize,
        wanted: u64,
        base: &[u64],
        mut each: impl FnMut(usize, u64),
    ) -> Result<(), DecodeError> {
        if word >= self.slots.div_ceil(64) {
            return Ok(());
        }
        let mut wanted = wanted & self.present_word(word);
        if wanted == 0 {
            return Ok(());
        }
        let (changed, mut reader) = self.word_values(word)?;
        let mut left = changed;
        while wanted != 0 {
            let bit = wanted.trailing_zeros();
            wanted &= wanted - 1;
            let slot = 64 * word + bit as usize;
            let old = base.get(slot).copied().unwrap_or(0);
            if changed >> bit & 1 == 0 {
                each(slot, old);
                continue;
            }
            let before = (left & mask(bit)).count_ones();
            reader.take(skip_values(reader.rest(), before)?)?;
            left &= !mask(bit + 1);
            each(slot, take_value(&mut reader, old)?);
        }
        Ok(())
    }

    /// Calls `each` with slot and bits of every value, in order of slots.
    ///
    /// # Errors
    /// If the bytes are damaged in a way that shows, also behind the last value.
    pub fn for_each(&self, base: &[u64], each: impl FnMut(usize, u64)) -> Result<(), DecodeError> {
        let words = self.slots.div_ceil(64);
        self.for_each_in(0..words, base, each)?;
        let end = match self.ends.len() / 4 {
            0 => 0,
            live => self.end(live - 1),
        };
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
            let mut present = self.present_word(word);
            if matches!(self.words, Words::Live(live, _, _) if !live.has(word)) {
                continue;
            }
            let (changed, mut reader) = self.word_values(word)?;
            if changed & !present != 0 || present & !slots_of(word, self.slots) != 0 {
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

    /// The row as it was written before words without slots were left out.
    fn of_kind_1(values: &Values, row: &Row<'_>) -> Vec<u8> {
        let mut out = vec![KIND_PRESENT];
        varint::put(&mut out, row.slots as u64);
        let (mut changed, mut ends, mut end) = (Vec::new(), Vec::new(), 0);
        for (word, present) in values.present.iter().enumerate() {
            let mut bits = 0;
            if *present != 0 {
                bits = row.word_values(word).unwrap().0;
                end = row.end(row.rank(word)) as u32;
            }
            changed.extend(bits.to_le_bytes());
            ends.extend(end.to_le_bytes());
        }
        out.extend(changed);
        out.extend(values.present.iter().flat_map(|word| word.to_le_bytes()));
        out.extend(ends);
        out.extend(row.values);
        out
    }

    proptest! {
        #[test]
        fn round_trips(
            row in prop::collection::vec(prop::option::weighted(0.9, odd_float()), 0..200),
            base in prop::collection::vec(odd_float(), 0..200),
            gone in prop::collection::vec((0usize..200, 0usize..150), 0..3),
            same in any::<bool>(),
            pattern in any::<u64>(),
        ) {
            let mut values = Values::default();
            values.reset(row.len());
            let is_gone = |slot| gone.iter().any(|&(from, n)| (from..from + n).contains(&slot));
            for (slot, bits) in row.iter().enumerate() {
                if let Some(bits) = bits.filter(|_| !is_gone(slot)) {
                    let unchanged = base.get(slot).filter(|_| same && slot % 2 == 0);
                    values.set(slot, unchanged.copied().unwrap_or(bits));
                }
            }
            let mut out = Vec::new();
            encode(&values, &base, &mut out);
            let old = of_kind_1(&values, &Row::new(&out).unwrap());
            if out[0] == KIND_LIVE {
                let empty = values.present.iter().filter(|word| **word == 0).count();
                prop_assert!(out.len() + 20 * empty <= old.len() + 2 * values.present.len().div_ceil(8));
            }
            for bytes in [&out, &old] {
            let view = Row::new(bytes).unwrap();
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
            for word in 0..4 {
                let wanted = pattern.rotate_left(word as u32);
                let mut some = Vec::new();
                view.for_each_of(word, wanted, &base, |slot, bits| some.push((slot, bits))).unwrap();
                let want: Vec<_> = (64 * word..row.len().min(64 * word + 64))
                    .filter(|&slot| values.has(slot) && wanted >> (slot % 64) & 1 == 1)
                    .map(|slot| (slot, values.bits[slot]))
                    .collect();
                prop_assert_eq!(some, want);
            }
            for slot in 0..row.len() + 3 {
                let want = (slot < row.len() && values.has(slot)).then(|| values.bits[slot]);
                prop_assert_eq!(view.get(slot, &base), Ok(want));
            }
            }
        }

        #[test]
        fn damaged_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(row) = Row::new(&bytes) {
                let _ = row.for_each(&[], |_, _| {});
                for word in 0..4 {
                    let _ = row.for_each_of(word, 0x5555_1234_8000_0001, &[3], |_, _| {});
                }
                for slot in 0..row.slots().min(200) {
                    let _ = row.get(slot, &[1, 2]);
                }
            }
        }
    }
}
