//! Columns of whole numbers.
//!
//! A column is predicted (from the value before, from the step before, or not at all), what is
//! left is divided by its greatest common divisor, shifted to small numbers and written in the
//! cheapest of three ways: Rice codes (noise around a middle), a fixed width, or runs of equal
//! residuals (things that rarely change). All choices are made by exact or near-exact cost, per
//! column. Arithmetic wraps, so every `i64` survives.
//!
//! ```text
//! column   = header first [step] divisor middle body        ; no bytes at all for 0 values
//! header   = predictor (2 bits) | shape (2 bits) | coder (2 bits)
//! body     = rice: k wide, bits | width: w, bits | runs: { run residual }
//! ```

use crate::DecodeError;
use crate::bits::{BitReader, BitWriter, mask};
use crate::varint::{self, Reader, unzigzag, zigzag};

/// Longest unary part of a Rice code; longer ones are an escape with the plain residual. It keeps
/// a code with `k` of up to [`RICE_K_MAX`] within what one `peek` shows.
const RICE_UNARY_MAX: u32 = 24;
/// Largest Rice parameter; wider residuals are noise and go in fixed width.
const RICE_K_MAX: u32 = 32;

/// From what a value is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Predictor {
    /// Nothing: the residual is the value less the first one.
    First = 0,
    /// The value before.
    Last = 1,
    /// The value before and the step before.
    Line = 2,
}

/// How residuals become unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Less the smallest.
    AboveMin = 0,
    /// Less the middle, zigzag.
    AroundMiddle = 1,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coder {
    Rice = 0,
    Width = 1,
    Runs = 2,
}

/// Memory that encoding works in; keep one per thread.
#[derive(Debug, Default)]
pub struct Scratch {
    last: Vec<i64>,
    other: Vec<i64>,
    codes: Vec<u64>,
    best: Vec<u64>,
}

struct Plan {
    predictor: Predictor,
    shape: Shape,
    coder: Coder,
    divisor: u64,
    middle: i64,
    k: u32,
    wide: u32,
    bits: u64,
}

fn width_of(value: u64) -> u32 {
    64 - value.leading_zeros()
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Greatest common divisor of residuals, 1 at least. Stops early: most columns have none.
fn common_divisor(residuals: &[i64]) -> u64 {
    let mut divisor = 0u64;
    for &r in residuals {
        // Powers of two, sizes of pages and sectors, need no division.
        let divided = divisor.is_power_of_two() && r.trailing_zeros() >= divisor.trailing_zeros();
        if r != 0 && !divided {
            divisor = gcd(r.unsigned_abs(), divisor);
            if divisor == 1 {
                break;
            }
        }
    }
    divisor.max(1)
}

/// Divides residuals by their greatest common divisor and gives it, 1 at least.
pub(crate) fn divide_out(residuals: &mut [i64]) -> u64 {
    let divisor = common_divisor(residuals);
    divide_by(residuals, divisor);
    divisor
}

/// Divides residuals by a divisor of them all.
pub(crate) fn divide_by(residuals: &mut [i64], divisor: u64) {
    match i64::try_from(divisor) {
        Ok(1) => {}
        Ok(two) if divisor.is_power_of_two() => {
            // Exact, so that the sign does not matter.
            residuals
                .iter_mut()
                .for_each(|r| *r >>= two.trailing_zeros());
        }
        Ok(divisor) => residuals.iter_mut().for_each(|r| *r /= divisor),
        // 2^63 divides only zero and the smallest number.
        Err(_) => residuals.iter_mut().for_each(|r| *r = i64::from(*r != 0)),
    }
}

/// Cost in bits of Rice codes with parameter `k`.
fn rice_cost(codes: &[u64], k: u32, wide: u32) -> u64 {
    let escape = u64::from(RICE_UNARY_MAX + wide);
    let mut bits = 0;
    for &code in codes {
        let unary = code >> k;
        bits += if unary < u64::from(RICE_UNARY_MAX) {
            unary + 1 + u64::from(k)
        } else {
            escape
        };
    }
    bits
}

/// The cheapest way to write `codes`.
fn coder_of(codes: &[u64]) -> (Coder, u32, u32, u64) {
    let mut all = 0;
    let mut sum = 0u64;
    let mut run_bits = 0;
    let mut before = None;
    for &code in codes {
        all |= code;
        sum = sum.saturating_add(code);
        if before != Some(code) {
            run_bits += 8 + 8 * varint::size(code) as u64;
            before = Some(code);
        }
    }
    let wide = width_of(all);
    let count = codes.len() as u64;
    let mut best = (Coder::Width, 0, wide, u64::from(wide) * count + 8);
    if run_bits <= best.3 {
        best = (Coder::Runs, 0, wide, run_bits);
    }
    if wide > 0 {
        let k = width_of(sum / count).saturating_sub(1);
        for k in [k.saturating_sub(1), k, k + 1] {
            if k <= RICE_K_MAX {
                let bits = rice_cost(codes, k, wide) + 16;
                if bits < best.3 {
                    best = (Coder::Rice, k, wide, bits);
                }
            }
        }
    }
    best
}

/// Tries one predictor's residuals; `codes` is scratch, `best` gets the codes if they win.
fn consider(
    predictor: Predictor,
    residuals: &mut [i64],
    codes: &mut Vec<u64>,
    best: &mut Vec<u64>,
    plan: &mut Option<Plan>,
) {
    let divisor = divide_out(residuals);
    let min = residuals.iter().copied().min().unwrap_or(0);
    let sum: i128 = residuals.iter().map(|&r| i128::from(r)).sum();
    let mean = (sum / residuals.len().max(1) as i128) as i64;
    for (shape, middle) in [(Shape::AboveMin, min), (Shape::AroundMiddle, mean)] {
        codes.clear();
        codes.extend(residuals.iter().map(|&r| {
            let rest = r.wrapping_sub(middle);
            match shape {
                Shape::AboveMin => rest as u64,
                Shape::AroundMiddle => zigzag(rest),
            }
        }));
        let (coder, k, wide, bits) = coder_of(codes);
        let bits = bits + 8 * varint::size(zigzag(middle)) as u64;
        if plan.as_ref().is_none_or(|p| bits < p.bits) {
            *plan = Some(Plan {
                predictor,
                shape,
                coder,
                divisor,
                middle,
                k,
                wide,
                bits,
            });
            std::mem::swap(codes, best);
        }
    }
}

/// Appends `values` to `out`. Their count is not written: the decoder is told.
pub fn encode(values: &[i64], scratch: &mut Scratch, out: &mut Vec<u8>) {
    let Some((&first, rest)) = values.split_first() else {
        return;
    };
    let Scratch {
        last,
        other,
        codes,
        best,
    } = scratch;
    last.clear();
    last.extend(values.windows(2).map(|w| w[1].wrapping_sub(w[0])));
    let mut plan = None;
    if rest.len() > 1 {
        other.clear();
        other.extend(last.windows(2).map(|w| w[1].wrapping_sub(w[0])));
        // Charged for the step that it needs besides.
        consider(Predictor::Line, other, codes, best, &mut plan);
        if let Some(plan) = &mut plan {
            plan.bits += 8 * varint::size(zigzag(last[0])) as u64;
        }
    }
    let step = last.first().copied().unwrap_or(0);
    consider(Predictor::Last, last, codes, best, &mut plan);
    // A column that wobbles about a level is cheaper without a predictor.
    let wobbles = plan
        .as_ref()
        .is_some_and(|p| p.bits > 8 * rest.len() as u64);
    if wobbles {
        other.clear();
        other.extend(rest.iter().map(|v| v.wrapping_sub(first)));
        consider(Predictor::First, other, codes, best, &mut plan);
    }
    let plan = plan.expect("`Last` was considered");
    out.push(plan.predictor as u8 | (plan.shape as u8) << 2 | (plan.coder as u8) << 4);
    varint::put_signed(out, first);
    if plan.predictor == Predictor::Line {
        varint::put_signed(out, step);
    }
    varint::put(out, plan.divisor);
    varint::put_signed(out, plan.middle);
    write_codes(&plan, best, out);
}

fn write_codes(plan: &Plan, codes: &[u64], out: &mut Vec<u8>) {
    match plan.coder {
        Coder::Runs => {
            let mut rest = codes;
            while let Some(&code) = rest.first() {
                let run = rest.iter().take_while(|&&c| c == code).count();
                varint::put(out, run as u64);
                varint::put(out, code);
                rest = &rest[run..];
            }
        }
        Coder::Width => {
            out.push(plan.wide as u8);
            let mut bits = BitWriter::new(out);
            for &code in codes {
                bits.put(code, plan.wide);
            }
            bits.finish();
        }
        Coder::Rice => {
            out.push(plan.k as u8);
            out.push(plan.wide as u8);
            let mut bits = BitWriter::new(out);
            for &code in codes {
                let unary = code >> plan.k;
                if unary < u64::from(RICE_UNARY_MAX) {
                    // The ones, the closing zero and the low bits: at most 24 + 1 + 32.
                    let value = mask(unary as u32) | (code & mask(plan.k)) << (unary + 1);
                    bits.put(value, unary as u32 + 1 + plan.k);
                } else {
                    bits.put(mask(RICE_UNARY_MAX), RICE_UNARY_MAX);
                    bits.put(code, plan.wide);
                }
            }
            bits.finish();
        }
    }
}

/// Appends the `count` values that [`encode`] wrote to `out` and moves `reader` behind them.
///
/// # Errors
/// If the bytes are damaged in a way that shows; `out` may then hold a part.
pub fn decode(
    reader: &mut Reader<'_>,
    count: usize,
    out: &mut Vec<i64>,
) -> Result<(), DecodeError> {
    if count == 0 {
        return Ok(());
    }
    let header = reader.byte()?;
    let first = reader.signed()?;
    let predictor = header & 3;
    let mut residuals = count - 1;
    let mut step = 0;
    if predictor == Predictor::Line as u8 {
        step = reader.signed()?;
        residuals = residuals.checked_sub(1).ok_or(DecodeError("count"))?;
    }
    let divisor = reader.varint()? as i64;
    let middle = reader.signed()?;
    let start = out.len();
    out.push(first);
    if predictor == Predictor::Line as u8 {
        out.push(first.wrapping_add(step));
    }
    let from = out.len();
    out.resize(from + residuals, 0);
    // Residuals first, straight into `out`; then the predictor runs over them in place.
    let slots = &mut out[from..];
    match header >> 2 & 3 {
        0 => read_codes(header >> 4, reader, slots, |code| {
            (code as i64).wrapping_add(middle)
        })?,
        1 => read_codes(header >> 4, reader, slots, |code| {
            unzigzag(code).wrapping_add(middle)
        })?,
        _ => return Err(DecodeError("shape of residuals")),
    }
    let mut before = out[from - 1];
    let residuals = &mut out[from..];
    match predictor {
        0 => {
            for r in residuals {
                *r = first.wrapping_add(r.wrapping_mul(divisor));
            }
        }
        1 => {
            for r in residuals {
                before = before.wrapping_add(r.wrapping_mul(divisor));
                *r = before;
            }
        }
        2 => {
            for r in residuals {
                step = step.wrapping_add(r.wrapping_mul(divisor));
                before = before.wrapping_add(step);
                *r = before;
            }
        }
        _ => return Err(DecodeError("predictor")),
    }
    debug_assert_eq!(out.len(), start + count);
    Ok(())
}

fn read_codes(
    coder: u8,
    reader: &mut Reader<'_>,
    out: &mut [i64],
    residual: impl Fn(u64) -> i64,
) -> Result<(), DecodeError> {
    let count = out.len();
    match coder {
        2 => {
            let mut left = out;
            while !left.is_empty() {
                let run = reader.count(left.len())?;
                if run == 0 {
                    return Err(DecodeError("run"));
                }
                let (run, rest) = left.split_at_mut(run);
                run.fill(residual(reader.varint()?));
                left = rest;
            }
        }
        1 => {
            let wide = u32::from(reader.byte()?);
            if wide > 64 || (wide as usize * count).div_ceil(8) > reader.rest().len() {
                return Err(DecodeError("width"));
            }
            let mut bits = BitReader::new(reader.rest());
            for out in out {
                *out = residual(bits.get(wide));
            }
            *reader = Reader::new(bits.finish()?);
        }
        0 => {
            let (k, wide) = (u32::from(reader.byte()?), u32::from(reader.byte()?));
            if k > RICE_K_MAX || wide > 64 || count.div_ceil(8) > reader.rest().len() {
                return Err(DecodeError("width"));
            }
            let mut bits = BitReader::new(reader.rest());
            for out in out {
                let word = bits.peek();
                let unary = word.trailing_ones();
                *out = if unary < RICE_UNARY_MAX {
                    bits.skip(unary + 1 + k);
                    residual(u64::from(unary) << k | (word >> (unary + 1)) & mask(k))
                } else {
                    bits.skip(RICE_UNARY_MAX);
                    residual(bits.get(wide))
                };
            }
            *reader = Reader::new(bits.finish()?);
        }
        _ => return Err(DecodeError("coder")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round(values: &[i64]) -> usize {
        let mut out = Vec::new();
        encode(values, &mut Scratch::default(), &mut out);
        let size = out.len();
        out.extend_from_slice(b"next");
        let mut reader = Reader::new(&out);
        let mut back = Vec::new();
        decode(&mut reader, values.len(), &mut back).unwrap();
        assert_eq!(back, values);
        assert_eq!(reader.rest(), b"next");
        size
    }

    #[test]
    fn sizes_are_what_the_shape_asks_for() {
        let aligned: Vec<i64> = (0..120).map(|i| 1_700_000_000_000 + i * 15_000).collect();
        assert!(round(&aligned) <= 16, "{}", round(&aligned));
        let constant = [7; 120];
        assert!(round(&constant) <= 7);
        let pages: Vec<i64> = (0..120).map(|i| (i * i % 50) * 4096).collect();
        assert!(round(&pages) <= 105, "{}", round(&pages));
        for edge in [
            &[][..],
            &[i64::MIN],
            &[i64::MIN, i64::MAX],
            &[i64::MIN, 0, i64::MIN, 0],
            &[0, i64::MIN, 0, i64::MAX, -1, 1],
        ] {
            round(edge);
        }
    }

    proptest! {
        #[test]
        fn round_trips(
            values in prop::collection::vec(any::<i64>(), 0..200),
            shift in 0u32..64,
            factor in 1i64..5000,
            sum in any::<bool>(),
            rare in 1usize..20,
        ) {
            let mut before = 0i64;
            let column: Vec<i64> = values.iter().enumerate().map(|(at, v)| {
                let v = (v >> shift).wrapping_mul(factor);
                let v = if at % rare == 0 { v } else { 0 };
                before = if sum { before.wrapping_add(v) } else { v };
                before
            }).collect();
            round(&column);
        }

        #[test]
        fn damaged_bytes_do_not_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..60), count in 0usize..10_000,
        ) {
            let mut out = Vec::new();
            let _ = decode(&mut Reader::new(&bytes), count, &mut out);
            prop_assert!(out.len() <= count.max(2) && out.capacity() <= 2 * count.max(8));
        }
    }
}
