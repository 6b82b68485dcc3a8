//! Columns of float64 values, every bit kept.
//!
//! A constant is one value. Numbers with at most [`SCALE_MAX`] decimals are whole numbers with a
//! scale and go through [`crate::ints`]; up to an eighth of the column may be something else (a
//! staleness marker at the end, NaN now and then) and is kept aside. All other columns are XORed
//! with the value before, as Gorilla does it, or kept raw if that is smaller.
//!
//! ```text
//! column = 0 bits64                                  ; constant
//!        | 1 varint                                  ; constant whole number
//!        | 2 bits                                    ; XOR with the value before
//!        | 3 { bits64 }                              ; raw
//!        | (16 + scale) ints                         ; decimals
//!        | (32 + scale) n { gap bits64 } ints        ; decimals with n exceptions
//! ```

use crate::DecodeError;
use crate::bits::{BitReader, BitWriter};
use crate::ints;
use crate::varint::{self, Reader};

/// Most decimals of a number that is treated as a scaled whole number.
pub const SCALE_MAX: usize = 6;
pub(crate) const POWERS: [f64; SCALE_MAX + 1] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];

/// Whole numbers beyond this do not all have a float64 of their own.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

const CONSTANT: u8 = 0;
const CONSTANT_WHOLE: u8 = 1;
const XOR: u8 = 2;
const RAW: u8 = 3;
const DECIMAL: u8 = 16;
const DECIMAL_EXCEPT: u8 = 32;

/// Memory that encoding works in; keep one per thread.
#[derive(Debug, Default)]
pub struct Scratch {
    whole: Vec<i64>,
    exceptions: Vec<usize>,
    ints: ints::Scratch,
}

impl Scratch {
    /// What [`decimals`] found: the scaled whole numbers.
    pub(crate) fn whole(&self) -> &[i64] {
        &self.whole
    }

    /// What [`decimals`] found: where values are none.
    pub(crate) fn exceptions(&self) -> &[usize] {
        &self.exceptions
    }
}

/// The whole number that `value` is exactly, if it is one; negative zero is none.
#[inline]
#[must_use]
pub fn whole(value: f64) -> Option<i64> {
    let whole = value as i64;
    let exact = (whole as f64).to_bits() == value.to_bits() && value.abs() <= WHOLE_MAX;
    exact.then_some(whole)
}

/// `value` times ten to the `scale` if that is exact in the sense that dividing gives back the
/// same bits.
#[inline]
fn scaled(value: f64, scale: usize) -> Option<i64> {
    let whole = (value * POWERS[scale]).round();
    let back = whole / POWERS[scale];
    // `+ 0.0` turns the rounded negative zero into zero, which the bits then show.
    let exact = whole.abs() <= WHOLE_MAX && (whole + 0.0) / POWERS[scale] == back;
    (exact && ((whole as i64) as f64 / POWERS[scale]).to_bits() == value.to_bits())
        .then_some(whole as i64)
}

/// Fills `scratch` with scaled whole numbers; the scale, or `None` if too many values have none.
pub(crate) fn decimals(values: &[f64], scratch: &mut Scratch) -> Option<usize> {
    let Scratch {
        whole: wholes,
        exceptions,
        ..
    } = scratch;
    let exceptions_max = values.len() / 8;
    wholes.clear();
    exceptions.clear();
    let mut scale = 0;
    let mut at = 0;
    while at < values.len() {
        let value = values[at];
        let found = if scale == 0 {
            whole(value)
        } else {
            scaled(value, scale)
        };
        if let Some(found) = found {
            wholes.push(found);
            at += 1;
            continue;
        }
        // A larger scale, if it also fits what came before.
        let larger = (scale + 1..=SCALE_MAX).find(|&s| scaled(value, s).is_some());
        let refit = larger.is_some_and(|larger| {
            let before = wholes.len();
            let mut fits = true;
            for (i, &earlier) in values[..at].iter().enumerate() {
                match scaled(earlier, larger) {
                    Some(found) => wholes[i] = found,
                    None if exceptions.contains(&i) => {}
                    None => fits = false,
                }
            }
            debug_assert_eq!(before, wholes.len());
            fits
        });
        match larger {
            Some(larger) if refit => {
                // Exceptions that fit the new scale are none any more.
                exceptions.retain(|&i| scaled(values[i], larger).is_none());
                scale = larger;
            }
            _ => {
                if larger.is_some() || exceptions.len() == exceptions_max {
                    return None;
                }
                exceptions.push(at);
                wholes.push(wholes.last().copied().unwrap_or(0));
                at += 1;
            }
        }
    }
    Some(scale)
}

/// Appends `values` to `out`. Their count is not written: the decoder is told.
pub fn encode(values: &[f64], scratch: &mut Scratch, out: &mut Vec<u8>) {
    let Some(&first) = values.first() else {
        return;
    };
    if values.iter().all(|v| v.to_bits() == first.to_bits()) {
        if let Some(whole) = whole(first) {
            out.push(CONSTANT_WHOLE);
            varint::put_signed(out, whole);
        } else {
            out.push(CONSTANT);
            out.extend_from_slice(&first.to_bits().to_le_bytes());
        }
        return;
    }
    let start = out.len();
    let raw_size = 1 + 8 * values.len();
    if let Some(scale) = decimals(values, scratch) {
        if scratch.exceptions.is_empty() {
            out.push(DECIMAL + scale as u8);
        } else {
            out.push(DECIMAL_EXCEPT + scale as u8);
            varint::put(out, scratch.exceptions.len() as u64);
            let mut from = 0;
            for &at in &scratch.exceptions {
                varint::put(out, (at - from) as u64);
                out.extend_from_slice(&values[at].to_bits().to_le_bytes());
                from = at;
            }
        }
        ints::encode(&scratch.whole, &mut scratch.ints, out);
        if out.len() - start > raw_size {
            out.truncate(start);
            encode_raw(values, out);
        }
    } else {
        encode_inexact(values, out);
    }
}

/// As [`encode`], for a column with at least one value of which [`decimals`] knows nothing.
pub(crate) fn encode_inexact(values: &[f64], out: &mut Vec<u8>) {
    let start = out.len();
    out.push(XOR);
    encode_xor(values, out);
    if out.len() - start > 1 + 8 * values.len() {
        out.truncate(start);
        encode_raw(values, out);
    }
}

fn encode_raw(values: &[f64], out: &mut Vec<u8>) {
    out.push(RAW);
    out.extend(values.iter().flat_map(|v| v.to_bits().to_le_bytes()));
}

/// Leading zeros are kept in 5 bits: 32 and more count as 31.
const LEADING_MAX: u32 = 31;

fn encode_xor(values: &[f64], out: &mut Vec<u8>) {
    let mut bits = BitWriter::new(out);
    let mut before = values[0].to_bits();
    bits.put(before, 64);
    let (mut leading, mut width) = (0, 0u32);
    for value in &values[1..] {
        let xor = value.to_bits() ^ before;
        before = value.to_bits();
        if xor == 0 {
            bits.put(0, 1);
            continue;
        }
        let lead = xor.leading_zeros().min(LEADING_MAX);
        let trail = xor.trailing_zeros();
        let needed = 64 - lead - trail;
        let fits = width > 0 && lead >= leading && trail >= 64 - leading - width;
        // A window that is 12 bits wider than needed costs more than a new one.
        if fits && width <= needed + 11 {
            bits.put(0b01, 2);
            bits.put(xor >> (64 - leading - width), width);
        } else {
            (leading, width) = (lead, needed);
            bits.put(0b11, 2);
            bits.put(u64::from(leading), 5);
            bits.put(u64::from(width - 1), 6);
            bits.put(xor >> trail, width);
        }
    }
    bits.finish();
}

fn decode_xor(
    reader: &mut Reader<'_>,
    count: usize,
    out: &mut Vec<f64>,
) -> Result<(), DecodeError> {
    if (64 + count - 1).div_ceil(8) > reader.rest().len() {
        return Err(DecodeError("length"));
    }
    let mut bits = BitReader::new(reader.rest());
    let mut before = bits.get(64);
    out.reserve(count);
    out.push(f64::from_bits(before));
    let (mut shift, mut width) = (0, 0);
    for _ in 1..count {
        if bits.get(1) == 1 {
            if bits.get(1) == 1 {
                let leading = bits.get(5) as u32;
                width = bits.get(6) as u32 + 1;
                shift = (64 - leading)
                    .checked_sub(width)
                    .ok_or(DecodeError("width"))?;
            }
            before ^= bits.get(width) << shift;
        }
        out.push(f64::from_bits(before));
    }
    *reader = Reader::new(bits.finish()?);
    Ok(())
}

/// Memory that decoding works in; keep one per thread.
#[derive(Debug, Default)]
pub struct DecodeScratch {
    whole: Vec<i64>,
}

/// Whether an encoded column surely has numbers only, and no NaN of whatever bits.
#[must_use]
pub fn is_numbers_only(bytes: &[u8]) -> bool {
    let first = bytes.first();
    first.is_some_and(|tag| *tag == CONSTANT_WHOLE || (DECIMAL..DECIMAL_EXCEPT).contains(tag))
}

/// Appends the `count` values that [`encode`] wrote to `out` and moves `reader` behind them.
///
/// # Errors
/// If the bytes are damaged in a way that shows; `out` may then hold a part.
pub fn decode(
    reader: &mut Reader<'_>,
    count: usize,
    scratch: &mut DecodeScratch,
    out: &mut Vec<f64>,
) -> Result<(), DecodeError> {
    if count == 0 {
        return Ok(());
    }
    match reader.byte()? {
        CONSTANT => {
            let value = f64::from_bits(reader.u64_le()?);
            out.resize(out.len() + count, value);
        }
        CONSTANT_WHOLE => {
            let value = reader.signed()? as f64;
            out.resize(out.len() + count, value);
        }
        XOR => decode_xor(reader, count, out)?,
        RAW => {
            let size = count.checked_mul(8).ok_or(DecodeError("count"))?;
            let bytes = reader.take(size)?;
            let value = |b: &[u8]| u64::from_le_bytes(b.try_into().expect("chunks of eight"));
            out.extend(bytes.chunks_exact(8).map(|b| f64::from_bits(value(b))));
        }
        tag => decode_decimals(tag, reader, count, scratch, out)?,
    }
    Ok(())
}

fn decode_decimals(
    tag: u8,
    reader: &mut Reader<'_>,
    count: usize,
    scratch: &mut DecodeScratch,
    out: &mut Vec<f64>,
) -> Result<(), DecodeError> {
    let (scale, except) = match tag {
        DECIMAL..DECIMAL_EXCEPT => (tag - DECIMAL, false),
        _ => (tag.wrapping_sub(DECIMAL_EXCEPT), true),
    };
    let power = *POWERS
        .get(usize::from(scale))
        .ok_or(DecodeError("column type"))?;
    let mut exceptions = *reader;
    let mut exception_count = 0;
    if except {
        exception_count = reader.count(count)?;
        exceptions = *reader;
        for _ in 0..exception_count {
            reader.varint()?;
            reader.u64_le()?;
        }
    }
    scratch.whole.clear();
    ints::decode(reader, count, &mut scratch.whole)?;
    let start = out.len();
    if scale == 0 {
        out.extend(scratch.whole.iter().map(|&w| w as f64));
    } else {
        out.extend(scratch.whole.iter().map(|&w| w as f64 / power));
    }
    let mut at = start;
    for _ in 0..exception_count {
        at += exceptions.count(count)?;
        let value = exceptions.u64_le()?;
        *out.get_mut(at).ok_or(DecodeError("exception"))? = f64::from_bits(value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|v| v.to_bits()).collect()
    }

    fn round(values: &[f64]) -> usize {
        let mut out = Vec::new();
        encode(values, &mut Scratch::default(), &mut out);
        let size = out.len();
        out.extend_from_slice(b"next");
        let mut reader = Reader::new(&out);
        let mut back = Vec::new();
        let mut scratch = DecodeScratch::default();
        decode(&mut reader, values.len(), &mut scratch, &mut back).unwrap();
        assert_eq!(bits(&back), bits(values));
        assert_eq!(reader.rest(), b"next");
        size
    }

    const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

    #[test]
    fn odd_values_survive() {
        for values in [
            &[][..],
            &[STALE],
            &[
                STALE,
                f64::NAN,
                -f64::NAN,
                f64::from_bits(0xfff8_dead_beef_0001),
            ],
            &[0.0, -0.0, 0.0],
            &[-0.0; 9],
            &[-0.4, -0.0, -0.5, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
            &[
                f64::INFINITY,
                f64::NEG_INFINITY,
                f64::MAX,
                f64::MIN_POSITIVE,
                5e-324,
            ],
            &[
                9_007_199_254_740_992.0,
                9_007_199_254_740_993.0,
                -9_007_199_254_740_992.0,
            ],
            &[1e300, 1e18, 1.0, 9.3e18, -9.3e18],
            &[STALE, 1.5, 1.25, 7.0, 3.0, 1.0, 1.0, 1.0, 1.0],
            &[1.0, 2.0, STALE, 0.001, 7.0, 3.0, 1.0, 1.0, 1.0],
        ] {
            round(values);
        }
    }

    #[test]
    fn a_stale_marker_does_not_spoil_a_counter() {
        let mut counter: Vec<f64> = (0..120).map(|i| f64::from(i) * 10.0).collect();
        let plain = round(&counter);
        counter[119] = STALE;
        assert!(round(&counter) < plain + 20, "{}", round(&counter));
        let decimals: Vec<f64> = (0..120).map(|i| f64::from(i % 7) / 100.0).collect();
        assert!(round(&decimals) < 120);
    }

    proptest! {
        #[test]
        fn round_trips(values in prop::collection::vec(any::<u64>(), 0..100), kind in 0..5) {
            let column: Vec<f64> = values.iter().enumerate().map(|(at, &v)| match kind {
                0 => f64::from_bits(v),
                1 => (v % 1000) as f64,
                2 => (v % 100_000) as f64 / 1e3,
                3 => if v % 11 == 0 { f64::from_bits(v) } else { at as f64 },
                _ => 40.0 + (v as f64 / u64::MAX as f64),
            }).collect();
            round(&column);
        }

        #[test]
        fn damaged_bytes_do_not_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..60), count in 0usize..10_000,
            tag in 0u8..48,
        ) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() { *first = tag; }
            let mut out = Vec::new();
            let mut scratch = DecodeScratch::default();
            let _ = decode(&mut Reader::new(&bytes), count, &mut scratch, &mut out);
            prop_assert!(out.len() <= count && out.capacity() <= 2 * count.max(8));
        }
    }
}
