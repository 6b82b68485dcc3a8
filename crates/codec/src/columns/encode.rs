//! Writing pages: how each column is planned and put down.

use super::quotient::{self, Quotients};
use super::relations::{self, Relation, Term};
use super::ticks::{self, Seconds, Share};
use super::{
    AFTER, AROUND, CLASSES, CONSTANT, CONSTANT_WHOLE, EXCEPTIONS, FIRST, FLOATS, LAST, LINE,
    OF_COLUMN, OF_DENOMINATOR, OF_SECONDS, OF_STEPS, QUOTIENT, RATIO, SAME, SUM, class_of, ratio,
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
    relations: relations::Scratch,
    same: Vec<Option<usize>>,
    share: Share,
    /// Denominators of shares of time in this page, and their columns.
    denominators: Vec<(usize, Seconds)>,
    corrections: Vec<i64>,
    operands: [Vec<f64>; 2],
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
            relations: relations::Scratch::default(),
            same: Vec::new(),
            share: Share::default(),
            denominators: Vec::new(),
            corrections: Vec::new(),
            operands: [Vec::new(), Vec::new()],
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
    scratch.denominators.clear();
    scratch.same.clear();
    let starts = |counts: &[usize]| counts.iter().sum::<usize>();
    let mut from = 0;
    for (at, &count) in counts.iter().enumerate() {
        let column = &values[from..from + count];
        let same = match count {
            0 => None,
            _ => same_before(at, column, values, counts, &mut scratch.hashes),
        };
        scratch.same.push(same);
        from += count;
    }
    let mut search = std::mem::take(&mut scratch.relations);
    let same = |at: usize| scratch.same[at].is_some();
    let found = relations::find(values, counts, same, &mut search);
    let mut from = 0;
    for (at, &count) in counts.iter().enumerate() {
        let column = &values[from..from + count];
        let of = |other: usize| {
            let from = starts(&counts[..other]);
            &values[from..from + counts[other]]
        };
        match (scratch.same[at], found[at]) {
            _ if count == 0 => {}
            (Some(distance), _) => {
                scratch.headers.push(SAME);
                varint::put(&mut scratch.headers, distance as u64);
            }
            (None, Some(Relation::Sum(first, second))) => {
                put_sum(column, (first, second), of, scratch);
            }
            (None, Some(relation)) => encode_related(at, column, relation, of, scratch),
            (None, None) => encode_column(at, column, scratch),
        }
        from += count;
    }
    scratch.relations = search;
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

fn encode_column(at: usize, column: &[f64], scratch: &mut Scratch) {
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
    let written = encode_seconds(at, column, plain.len(), scratch)
        || encode_quotients(column, plain.len(), scratch);
    if !written {
        scratch.headers.push(FLOATS);
        varint::put(&mut scratch.headers, plain.len() as u64);
        scratch.tails.extend_from_slice(&plain);
    }
    scratch.plain = plain;
}

/// Writes the sum of columns that the column is, and what it is beyond them all along.
fn put_sum<'v>(
    column: &[f64],
    (first, second): (Term, Option<Term>),
    of: impl Fn(usize) -> &'v [f64],
    scratch: &mut Scratch,
) {
    let headers = &mut scratch.headers;
    headers.push(SUM);
    varint::put(headers, 1 + u64::from(second.is_some()));
    let mut rest = column[0] as i64;
    for term in [Some(first), second].into_iter().flatten() {
        varint::put(
            headers,
            (term.column as u64) << 1 | u64::from(term.negative),
        );
        let value = of(term.column)[0] as i64;
        rest = match term.negative {
            true => rest.wrapping_add(value),
            false => rest.wrapping_sub(value),
        };
    }
    headers.push(CONSTANT_WHOLE);
    varint::put_signed(headers, rest);
}

/// Writes the column as a quotient of others if its last places agree well enough.
fn encode_related<'v>(
    at: usize,
    column: &[f64],
    relation: Relation,
    of: impl Fn(usize) -> &'v [f64],
    scratch: &mut Scratch,
) {
    let [mut numerators, mut denominators] = std::mem::take(&mut scratch.operands);
    numerators.clear();
    denominators.clear();
    let mut headers = vec![RATIO];
    match relation {
        Relation::Share {
            column: other,
            factor,
            after,
            divisor,
        } => {
            numerators.extend_from_slice(of(other));
            denominators.resize(column.len(), divisor);
            headers.push(if after { AFTER } else { 0 });
            varint::put(&mut headers, u64::from(factor));
            headers.push(OF_COLUMN);
            varint::put(&mut headers, other as u64);
            headers.push(CONSTANT);
            headers.extend_from_slice(&divisor.to_bits().to_le_bytes());
        }
        Relation::Steps {
            numerator,
            denominator,
            factor,
        } => {
            for (values, other) in [
                (&mut numerators, numerator),
                (&mut denominators, denominator),
            ] {
                values.extend_from_slice(of(other));
                ratio::to_steps(values);
            }
            headers.push(AFTER);
            varint::put(&mut headers, factor);
            for other in [numerator, denominator] {
                headers.push(OF_STEPS);
                varint::put(&mut headers, other as u64);
            }
        }
        Relation::Sum(..) => {}
    }
    let (factor, after) = match relation {
        Relation::Share { factor, after, .. } => (u64::from(factor), after),
        Relation::Steps { factor, .. } => (factor, true),
        Relation::Sum(..) => (1, false),
    };
    let mut corrections = std::mem::take(&mut scratch.corrections);
    corrections.clear();
    let parts = column.iter().zip(numerators.iter().zip(&denominators));
    corrections.extend(
        parts.map(|(&value, (&n, &d))| ratio::correction(value, ratio::value(factor, after, n, d))),
    );
    let plan = plan(&corrections, scratch);
    // A last place off here and there; more means that the relation is by chance.
    if plan.bits < (corrections.len() * 16) as f32 {
        scratch.headers.extend_from_slice(&headers);
        put_whole(&corrections, &plan, scratch);
    } else {
        encode_column(at, column, scratch);
    }
    scratch.corrections = corrections;
    scratch.operands = [numerators, denominators];
}

/// Writes the column as shares of time if that takes clearly less than `plain_size`.
fn encode_seconds(at: usize, column: &[f64], plain_size: usize, scratch: &mut Scratch) -> bool {
    let mut share = std::mem::take(&mut scratch.share);
    let denominators = std::mem::take(&mut scratch.denominators);
    let of_other = denominators.iter().find(|(_, denominators)| {
        denominators.ticks.len() == column.len()
            && ticks::find_with(column, denominators, &mut share)
    });
    let of_other = of_other.map(|&(other, _)| other);
    scratch.denominators = denominators;
    let mut quotients = std::mem::take(&mut scratch.quotients);
    let found = of_other.is_some()
        || quotient::find_ticks(column, &mut quotients)
            && ticks::find(column, &quotients, &mut share);
    scratch.quotients = quotients;
    let written = found && put_share(at, &share, of_other, plain_size, scratch);
    if written && of_other.is_none() {
        let denominators = share.denominators.clone();
        scratch.denominators.push((at, denominators));
    }
    scratch.share = share;
    written
}

fn put_share(
    at: usize,
    share: &Share,
    of_other: Option<usize>,
    plain_size: usize,
    scratch: &mut Scratch,
) -> bool {
    let own = of_other.is_none();
    let seconds = |seconds: &Seconds, scratch: &mut Scratch| {
        [&seconds.ticks, &seconds.off].map(|part| plan(part, scratch))
    };
    let numerators = seconds(&share.numerators, scratch);
    let denominators = own.then(|| seconds(&share.denominators, scratch));
    let corrections = plan(&share.corrections, scratch);
    let all = numerators.iter().chain(denominators.iter().flatten());
    let bits: f32 = all.map(|plan| plan.bits).sum::<f32>() + corrections.bits;
    if bits / 8.0 + 16.0 > 0.9 * plain_size as f32 {
        return false;
    }
    debug_assert!(of_other.is_none_or(|other| other < at));
    scratch.headers.extend_from_slice(&[RATIO, 0, 100]);
    put_seconds(&share.numerators, &numerators, scratch);
    match (of_other, denominators) {
        (Some(other), _) => {
            scratch.headers.push(OF_DENOMINATOR);
            varint::put(&mut scratch.headers, other as u64);
        }
        (None, Some(plans)) => put_seconds(&share.denominators, &plans, scratch),
        (None, None) => {}
    }
    put_whole(&share.corrections, &corrections, scratch);
    true
}

fn put_seconds(seconds: &Seconds, plans: &[Plan; 2], scratch: &mut Scratch) {
    scratch
        .headers
        .extend_from_slice(&[OF_SECONDS, seconds.shift as u8]);
    put_whole(&seconds.ticks, &plans[0], scratch);
    put_whole(&seconds.off, &plans[1], scratch);
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
