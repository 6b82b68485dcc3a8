//! Writing pages: how each column is planned and put down.

use super::quotient::{self, Quotients};
use super::{
    AROUND, CLASSES, CONSTANT, CONSTANT_WHOLE, EXCEPTIONS, FIRST, FLOATS, LAST, LINE, QUOTIENT,
    SAME, class_of,
};
use crate::bits::BitWriter;
use crate::varint::{self, zigzag};
use crate::{floats, ints};

/// Class bytes repeat much and briefly: higher levels gain 1 to 2 % at a tenth of the speed.
const ZSTD_LEVEL: i32 = 1;

/// A column as whole numbers, planned.
#[derive(Debug, Clone, Copy)]
struct Plan {
    predictor: u8,
    around: bool,
    divisor: u64,
    middle: i64,
    /// Estimated size.
    bits: f32,
}

/// Memory that encoding works in; keep one per thread.
pub struct Scratch {
    floats: floats::Scratch,
    quotients: Quotients,
    plain: Vec<u8>,
    residuals: Vec<i64>,
    sorted: Vec<i64>,
    counts: Box<[u16; 256]>,
    headers: Vec<u8>,
    classes: Vec<u8>,
    tails: Vec<u8>,
    packed: Vec<u8>,
    hashes: Vec<(u64, usize)>,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Default for Scratch {
    fn default() -> Self {
        Scratch {
            floats: floats::Scratch::default(),
            quotients: Quotients::default(),
            plain: Vec::new(),
            residuals: Vec::new(),
            sorted: Vec::new(),
            counts: Box::new([0; 256]),
            headers: Vec::new(),
            classes: Vec::new(),
            tails: Vec::new(),
            packed: Vec::new(),
            hashes: Vec::new(),
            zstd: None,
        }
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}

/// Appends a page of columns to `out`. `values` holds the columns one after the other, `counts`
/// says how many values each has.
///
/// # Panics
/// If the counts do not add up to the values.
pub fn encode(values: &[f64], counts: &[usize], scratch: &mut Scratch, out: &mut Vec<u8>) {
    assert_eq!(counts.iter().sum::<usize>(), values.len(), "counts");
    scratch.headers.clear();
    scratch.classes.clear();
    scratch.tails.clear();
    scratch.hashes.clear();
    let mut from = 0;
    for (at, &count) in counts.iter().enumerate() {
        let column = &values[from..from + count];
        if count > 0 {
            match same_before(at, column, values, counts, &mut scratch.hashes) {
                Some(distance) => {
                    scratch.headers.push(SAME);
                    varint::put(&mut scratch.headers, distance as u64);
                }
                None => encode_column(column, scratch),
            }
        }
        from += count;
    }
    varint::put_bytes(out, &scratch.headers);
    put_frame(scratch, out);
    out.extend_from_slice(&scratch.tails);
}

/// How far before column `at` one with the same values is. Columns of one value are not worth it.
fn same_before(
    at: usize,
    column: &[f64],
    values: &[f64],
    counts: &[usize],
    hashes: &mut Vec<(u64, usize)>,
) -> Option<usize> {
    if column.iter().all(|v| v.to_bits() == column[0].to_bits()) {
        return None;
    }
    let hash = column.iter().fold(column.len() as u64, |hash, value| {
        (hash.rotate_left(5) ^ value.to_bits()).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    let equals = |other: usize| {
        let from: usize = counts[..other].iter().sum();
        let other = &values[from..from + counts[other]];
        other.len() == column.len()
            && other
                .iter()
                .zip(column)
                .all(|(a, b)| a.to_bits() == b.to_bits())
    };
    let found = hashes
        .iter()
        .find(|(h, other)| *h == hash && equals(*other));
    let distance = found.map(|(_, other)| at - other);
    if distance.is_none() {
        hashes.push((hash, at));
    }
    distance
}

fn encode_column(column: &[f64], scratch: &mut Scratch) {
    let first = column[0];
    if column.iter().all(|v| v.to_bits() == first.to_bits()) {
        if let Some(whole) = floats::whole(first) {
            scratch.headers.push(CONSTANT_WHOLE);
            varint::put_signed(&mut scratch.headers, whole);
        } else {
            scratch.headers.push(CONSTANT);
            scratch
                .headers
                .extend_from_slice(&first.to_bits().to_le_bytes());
        }
        return;
    }
    if let Some(scale) = floats::decimals(column, &mut scratch.floats) {
        let floats = std::mem::take(&mut scratch.floats);
        let plan = plan(floats.whole(), scratch);
        let exceptions = Some((floats.exceptions(), column));
        put_classes(floats.whole(), &plan, scale, exceptions, scratch);
        scratch.floats = floats;
        return;
    }
    let mut plain = std::mem::take(&mut scratch.plain);
    plain.clear();
    floats::encode_inexact(column, &mut plain);
    if !encode_quotients(column, plain.len(), scratch) {
        scratch.headers.push(FLOATS);
        varint::put(&mut scratch.headers, plain.len() as u64);
        scratch.tails.extend_from_slice(&plain);
    }
    scratch.plain = plain;
}

/// Writes the column as quotients if that takes clearly less than `plain_size`; they are slower.
fn encode_quotients(column: &[f64], plain_size: usize, scratch: &mut Scratch) -> bool {
    let mut quotients = std::mem::take(&mut scratch.quotients);
    let mut written = false;
    if quotient::find(column, &mut quotients) {
        let parts = [
            &quotients.numerators,
            &quotients.denominators,
            &quotients.corrections,
        ];
        let plans = parts.map(|part| plan(part, scratch));
        let bits: f32 = plans.iter().map(|plan| plan.bits).sum();
        if bits / 8.0 + 16.0 < 0.9 * plain_size as f32 {
            scratch
                .headers
                .extend_from_slice(&[QUOTIENT, quotients.factor]);
            for (part, plan) in parts.into_iter().zip(&plans) {
                put_whole(part, plan, scratch);
            }
            written = true;
        }
    }
    scratch.quotients = quotients;
    written
}

fn put_whole(whole: &[i64], plan: &Plan, scratch: &mut Scratch) {
    if whole.iter().all(|&w| w == whole[0]) {
        scratch.headers.push(CONSTANT_WHOLE);
        varint::put_signed(&mut scratch.headers, whole[0]);
    } else {
        put_classes(whole, plan, 0, None, scratch);
    }
}

/// Writes whole numbers as classes and tails; `exceptions` are places and the column that has
/// other values there.
fn put_classes(
    whole: &[i64],
    plan: &Plan,
    scale: usize,
    exceptions: Option<(&[usize], &[f64])>,
    scratch: &mut Scratch,
) {
    let headers = &mut scratch.headers;
    let exceptions = exceptions.filter(|(places, _)| !places.is_empty());
    let mut tag = CLASSES | ((scale as u8) << 4) | plan.predictor;
    if plan.around {
        tag |= AROUND;
    }
    if exceptions.is_some() {
        tag |= EXCEPTIONS;
    }
    headers.push(tag);
    if let Some((places, column)) = exceptions {
        varint::put(headers, places.len() as u64);
        let mut from = 0;
        for &at in places {
            varint::put(headers, (at - from) as u64);
            headers.extend_from_slice(&column[at].to_bits().to_le_bytes());
            from = at;
        }
    }
    varint::put_signed(headers, whole[0]);
    if plan.predictor == LINE {
        varint::put_signed(headers, whole[1].wrapping_sub(whole[0]));
    }
    varint::put(headers, plan.divisor);
    varint::put_signed(headers, plan.middle);
    let residuals = &mut scratch.residuals;
    predict(whole, plan.predictor, residuals);
    ints::divide_by(residuals, plan.divisor);
    let start = scratch.tails.len();
    let mut bits = BitWriter::new(&mut scratch.tails);
    for &residual in residuals.iter() {
        let rest = residual.wrapping_sub(plan.middle);
        let code = if plan.around {
            zigzag(rest)
        } else {
            rest as u64
        };
        let (class, tail) = class_of(code);
        scratch.classes.push(class);
        bits.put(code, tail);
    }
    bits.finish();
    varint::put(headers, (scratch.tails.len() - start) as u64);
}

/// What is left of the numbers when the predictor has said its part.
fn predict(whole: &[i64], predictor: u8, residuals: &mut Vec<i64>) {
    residuals.clear();
    let step = |w: &[i64]| w[1].wrapping_sub(w[0]);
    match predictor {
        FIRST => residuals.extend(whole[1..].iter().map(|v| v.wrapping_sub(whole[0]))),
        LAST => residuals.extend(whole.windows(2).map(step)),
        _ => residuals.extend(
            whole
                .windows(3)
                .map(|w| step(&w[1..]).wrapping_sub(step(w))),
        ),
    }
}

/// Says which predictor is best, and how.
fn plan(whole: &[i64], scratch: &mut Scratch) -> Plan {
    let residuals = &mut scratch.residuals;
    let mut best: Option<Plan> = None;
    for predictor in [LAST, FIRST, LINE] {
        if predictor == LINE && whole.len() < 2 {
            continue;
        }
        predict(whole, predictor, residuals);
        let divisor = ints::divide_out(residuals);
        scratch.sorted.clear();
        scratch.sorted.extend_from_slice(residuals);
        let half = scratch.sorted.len() / 2;
        let (min, median) = if scratch.sorted.is_empty() {
            (0, 0)
        } else {
            let min = scratch.sorted.iter().copied().min().unwrap_or(0);
            (min, *scratch.sorted.select_nth_unstable(half).1)
        };
        for (around, middle) in [(false, min), (true, median)] {
            let head = varint::size(zigzag(middle)) + varint::size(divisor);
            let bits = 8.0 * head as f32 + cost(residuals, around, middle, &mut scratch.counts);
            if best.is_none_or(|b| bits < b.bits) {
                best = Some(Plan {
                    predictor,
                    around,
                    divisor,
                    middle,
                    bits,
                });
            }
        }
    }
    best.expect("two predictors take any count")
}

/// About how many bits the residuals take: the entropy of their classes, and their tails.
fn cost(residuals: &[i64], around: bool, middle: i64, counts: &mut [u16; 256]) -> f32 {
    counts.fill(0);
    let mut tails = 0u64;
    for &residual in residuals {
        let rest = residual.wrapping_sub(middle);
        let (class, tail) = class_of(if around { zigzag(rest) } else { rest as u64 });
        counts[usize::from(class)] = counts[usize::from(class)].saturating_add(1);
        tails += u64::from(tail);
    }
    let total = residuals.len().max(1) as f32;
    let classes: f32 = counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| f32::from(count) * (total / f32::from(count)).log2())
        .sum();
    classes + tails as f32
}

fn put_frame(scratch: &mut Scratch, out: &mut Vec<u8>) {
    let classes = &scratch.classes;
    let mut packed = false;
    if classes.len() > 16 {
        let zstd = &mut scratch.zstd;
        if zstd.is_none() {
            *zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL).ok();
            if let Some(zstd) = zstd {
                // The decoder knows the size. Without the flag it would be written again; if the
                // library refuses, it is.
                let _ = zstd.include_contentsize(false);
            }
        }
        scratch.packed.clear();
        scratch
            .packed
            .reserve(zstd::zstd_safe::compress_bound(classes.len()));
        let done = zstd.as_mut().is_some_and(|zstd| {
            zstd.compress_to_buffer(classes, &mut scratch.packed)
                .is_ok()
        });
        packed = done && scratch.packed.len() < classes.len();
    }
    let frame = if packed { &scratch.packed } else { classes };
    varint::put(out, (frame.len() as u64) << 1 | u64::from(packed));
    out.extend_from_slice(frame);
}
