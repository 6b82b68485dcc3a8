//! Pages: up to some hundred columns of float64 values that compress together, each readable alone.
//!
//! A column of whole numbers, or of numbers with few decimals, is predicted and divided as
//! [`crate::ints`] does it; each residual then becomes one *class* byte (its bit length and its
//! three highest bits) and a *tail* of the bits below, which are noise and are stored as they are.
//! The class bytes of all columns of the page go through zstd together, where columns of the same
//! kind share what they learn; the tails stay addressable column by column. Percentages become the two
//! columns of whole numbers that they are quotients of, and a third that corrects last places.
//! Other columns are [`crate::floats`] (XOR, raw), a constant, or say that they equal an earlier
//! column.
//!
//! ```text
//! page   = size headers  (size << 1 | packed) frame  tails
//! header = 0 bits64 | 1 signed                 ; constant, constant whole number
//!        | 2 distance                          ; the same values as so many columns before
//!        | 3 size                              ; `size` bytes of the tails hold a `floats` column
//!        | 4 factor whole whole whole          ; factor * first / second, plus third last places
//!        | classes
//! whole  = 1 signed | classes
//! classes = 128 + scale << 4 + exceptions << 3 + shape << 2 + predictor
//!          [n { gap bits64 }] first [step] divisor middle size
//! frame  = class bytes, of all `classes` in turn; zstd if packed
//! tails  = for every `classes` and `floats` in turn its bytes
//! ```
//! A column without values has no header. How many values each column has is not written: the
//! decoder is told. Sizes, gaps, distances and `divisor` are varints; `first`, `step` and `middle`
//! are signed ones.

mod quotient;

use quotient::Quotients;

use crate::bits::{BitReader, BitWriter};
use crate::floats::{self, POWERS};
use crate::varint::{self, Reader, unzigzag, zigzag};
use crate::{DecodeError, ints};

const CONSTANT: u8 = 0;
const CONSTANT_WHOLE: u8 = 1;
const SAME: u8 = 2;
const FLOATS: u8 = 3;
const QUOTIENT: u8 = 4;
const CLASSES: u8 = 128;

/// Class bytes repeat much and briefly: higher levels gain 1 to 2 % at a tenth of the speed.
const ZSTD_LEVEL: i32 = 1;

/// Residuals below this are a class of their own, without a tail.
const PLAIN: u64 = 16;
/// Up to this bit length a class knows three bits below the highest.
const FINE_BITS: u32 = 28;
const COARSE: u8 = 16 + (FINE_BITS as u8 - 4) * 8;
const CLASS_COUNT: usize = COARSE as usize + 64 - FINE_BITS as usize;

/// The class of a residual and how many of its low bits are the tail.
#[inline]
fn class_of(residual: u64) -> (u8, u32) {
    if residual < PLAIN {
        return (residual as u8, 0);
    }
    let bits = 64 - residual.leading_zeros();
    if bits <= FINE_BITS {
        let top = (residual >> (bits - 4)) as u8 & 7;
        (16 + (bits as u8 - 5) * 8 + top, bits - 4)
    } else {
        (COARSE + (bits - FINE_BITS - 1) as u8, bits - 1)
    }
}

/// For every class its smallest residual and the width of its tail.
static CLASS_TABLE: [(u64, u8); CLASS_COUNT] = class_table();

const fn class_table() -> [(u64, u8); CLASS_COUNT] {
    let mut table = [(0, 0); CLASS_COUNT];
    let mut class = 0;
    while class < CLASS_COUNT {
        let c = class as u64;
        table[class] = if c < PLAIN {
            (c, 0)
        } else if c < COARSE as u64 {
            let bits = 5 + (c - 16) / 8;
            ((8 | ((c - 16) % 8)) << (bits - 4), bits as u8 - 4)
        } else {
            let bits = FINE_BITS as u64 + 1 + c - COARSE as u64;
            (1 << (bits - 1), bits as u8 - 1)
        };
        class += 1;
    }
    table
}

/// From what a value is predicted; as in [`crate::ints`].
const FIRST: u8 = 0;
const LAST: u8 = 1;
const LINE: u8 = 2;

/// Set if residuals lie around the middle (zigzag), else they lie above it.
const AROUND: u8 = 4;
const EXCEPTIONS: u8 = 8;

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

/// A page with its headers read and its classes unpacked. Needs the page's bytes again to decode.
#[derive(Debug)]
pub struct Page {
    columns: Vec<Column>,
    wholes: Vec<[Whole; 3]>,
    classes: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum Column {
    Empty,
    Constant(f64),
    Same(usize),
    Floats {
        at: usize,
        size: usize,
    },
    Classes(Classes),
    /// A factor, and where in [`Page::wholes`] its three parts are.
    Quotient(u8, usize),
}

/// A part of a quotient.
#[derive(Debug, Clone, Copy)]
enum Whole {
    Constant(i64),
    Classes(Classes),
}

#[derive(Debug, Clone, Copy)]
struct Classes {
    tag: u8,
    first: i64,
    step: i64,
    divisor: u64,
    middle: i64,
    /// Where the exceptions start in the page.
    exceptions: usize,
    class_at: usize,
    tail_at: usize,
    tail_size: usize,
}

/// Memory that decoding works in; keep one per thread.
pub type DecodeScratch = floats::DecodeScratch;

impl Page {
    /// Reads headers and classes of a page that [`encode`] wrote, with the same counts. Takes
    /// memory for at most as many class bytes as there are values, and a header a column.
    ///
    /// # Errors
    /// If the bytes are damaged in a way that shows.
    pub fn parse(bytes: &[u8], counts: &[usize]) -> Result<Page, DecodeError> {
        let mut reader = Reader::new(bytes);
        let headers = reader.bytes()?;
        let headers_at = bytes.len() - reader.rest().len() - headers.len();
        let frame = reader.varint()?;
        let packed = frame & 1 == 1;
        let frame_size = usize::try_from(frame >> 1).map_err(|_| DecodeError("frame"))?;
        let frame = reader.take(frame_size)?;
        let mut headers = Headers {
            reader: Reader::new(headers),
            start: headers_at,
            size: headers.len(),
            class_at: 0,
            tail_at: bytes.len() - reader.rest().len(),
            wholes: Vec::new(),
        };
        let mut columns = Vec::with_capacity(counts.len());
        for &count in counts {
            let column = headers.column(count, &columns, counts)?;
            columns.push(column);
        }
        if headers.tail_at > bytes.len() || !headers.reader.is_empty() {
            return Err(DecodeError("length"));
        }
        let (class_count, wholes) = (headers.class_at, headers.wholes);
        let classes = unpack(frame, packed, class_count)?;
        Ok(Page {
            columns,
            wholes,
            classes,
        })
    }

    /// Bytes of memory that it holds.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.columns.capacity() * size_of::<Column>()
            + self.wholes.capacity() * size_of::<[Whole; 3]>()
            + self.classes.capacity()
    }

    /// Appends the `count` values of a column to `out`; `bytes` are those that were parsed.
    ///
    /// # Errors
    /// If the bytes are damaged in a way that shows; `out` may then hold a part.
    pub fn decode(
        &self,
        bytes: &[u8],
        column: usize,
        count: usize,
        scratch: &mut DecodeScratch,
        out: &mut Vec<f64>,
    ) -> Result<(), DecodeError> {
        match *self.columns.get(column).ok_or(DecodeError("column"))? {
            Column::Empty => Ok(()),
            Column::Constant(value) => {
                out.resize(out.len() + count, value);
                Ok(())
            }
            // Points at a column that is no `Same` itself: `parse_header` sees to it.
            Column::Same(other) => self.decode(bytes, other, count, scratch, out),
            Column::Floats { at, size } => {
                let bytes = bytes.get(at..at + size).ok_or(DecodeError("length"))?;
                floats::decode(&mut Reader::new(bytes), count, scratch, out)
            }
            Column::Classes(column) => column.decode(bytes, &self.classes, count, out),
            Column::Quotient(factor, at) => self.decode_quotient(bytes, factor, at, count, out),
        }
    }
}

/// The headers while they are read, and how far classes and tails have been given away.
struct Headers<'a> {
    reader: Reader<'a>,
    /// Where in the page they start, and their size.
    start: usize,
    size: usize,
    class_at: usize,
    tail_at: usize,
    wholes: Vec<[Whole; 3]>,
}

impl Headers<'_> {
    fn column(
        &mut self,
        count: usize,
        columns: &[Column],
        counts: &[usize],
    ) -> Result<Column, DecodeError> {
        if count == 0 {
            return Ok(Column::Empty);
        }
        Ok(match self.reader.byte()? {
            CONSTANT => Column::Constant(f64::from_bits(self.reader.u64_le()?)),
            CONSTANT_WHOLE => Column::Constant(self.reader.signed()? as f64),
            SAME => {
                let distance = self.reader.count(columns.len())?;
                let other = columns.len() - distance;
                if distance == 0
                    || counts[other] != count
                    || matches!(columns[other], Column::Same(_))
                {
                    return Err(DecodeError("reference"));
                }
                Column::Same(other)
            }
            FLOATS => {
                let (at, size) = self.tail()?;
                Column::Floats { at, size }
            }
            QUOTIENT => {
                let factor = self.reader.byte()?;
                let parts = [self.whole(count)?, self.whole(count)?, self.whole(count)?];
                self.wholes.push(parts);
                Column::Quotient(factor, self.wholes.len() - 1)
            }
            tag => Column::Classes(self.classes(tag, count)?),
        })
    }

    fn whole(&mut self, count: usize) -> Result<Whole, DecodeError> {
        Ok(match self.reader.byte()? {
            CONSTANT_WHOLE => Whole::Constant(self.reader.signed()?),
            tag => {
                let classes = self.classes(tag, count)?;
                if classes.tag & EXCEPTIONS != 0 {
                    return Err(DecodeError("column type"));
                }
                Whole::Classes(classes)
            }
        })
    }

    fn classes(&mut self, tag: u8, count: usize) -> Result<Classes, DecodeError> {
        let predictor = tag & 3;
        let scale = usize::from(tag >> 4 & 7);
        if tag & CLASSES == 0 || predictor > LINE || scale >= POWERS.len() {
            return Err(DecodeError("column type"));
        }
        let exceptions = self.start + self.size - self.reader.rest().len();
        let reader = &mut self.reader;
        if tag & EXCEPTIONS != 0 {
            for _ in 0..reader.count(count)? {
                reader.varint()?;
                reader.u64_le()?;
            }
        }
        let first = reader.signed()?;
        let step = if predictor == LINE {
            reader.signed()?
        } else {
            0
        };
        let (divisor, middle) = (reader.varint()?, reader.signed()?);
        let (tail_at, tail_size) = self.tail()?;
        let classes = Classes {
            tag,
            first,
            step,
            divisor,
            middle,
            exceptions,
            class_at: self.class_at,
            tail_at,
            tail_size,
        };
        let coded = count.checked_sub(classes.known());
        self.class_at += coded.ok_or(DecodeError("count"))?;
        Ok(classes)
    }

    /// Reads the size of the next tail; gives where it is.
    fn tail(&mut self) -> Result<(usize, usize), DecodeError> {
        let size = self.reader.count(usize::MAX / 2)?;
        let at = self.tail_at;
        self.tail_at = at.checked_add(size).ok_or(DecodeError("length"))?;
        Ok((at, size))
    }
}

impl Page {
    fn decode_quotient(
        &self,
        bytes: &[u8],
        factor: u8,
        at: usize,
        count: usize,
        out: &mut Vec<f64>,
    ) -> Result<(), DecodeError> {
        let mut parts = [Vec::new(), Vec::new(), Vec::new()];
        for (whole, part) in self.wholes[at].iter().zip(&mut parts) {
            part.reserve(count);
            match whole {
                Whole::Constant(value) => part.resize(count, *value),
                Whole::Classes(classes) => {
                    let (classes_of, tails) = classes.bytes(bytes, &self.classes, count)?;
                    classes.run(classes_of, tails, |whole| part.push(whole))?;
                }
            }
        }
        let [numerators, denominators, corrections] = &parts;
        let parts = numerators.iter().zip(denominators).zip(corrections);
        out.extend(parts.map(|((&n, &d), &c)| quotient::value(factor, n, d, c)));
        Ok(())
    }
}

fn unpack(frame: &[u8], packed: bool, count: usize) -> Result<Vec<u8>, DecodeError> {
    if !packed {
        return if frame.len() == count {
            Ok(frame.to_vec())
        } else {
            Err(DecodeError("frame"))
        };
    }
    // The capacity is the bound: a frame that would give more is refused.
    let mut classes = Vec::with_capacity(count);
    let size = zstd::bulk::Decompressor::new()
        .and_then(|mut zstd| zstd.decompress_to_buffer(frame, &mut classes))
        .map_err(|_| DecodeError("frame"))?;
    if size != count {
        return Err(DecodeError("frame"));
    }
    Ok(classes)
}

impl Classes {
    /// How many values the header tells by itself.
    fn known(&self) -> usize {
        if self.tag & 3 == LINE { 2 } else { 1 }
    }

    /// The column's classes and its tails.
    fn bytes<'a>(
        &self,
        bytes: &'a [u8],
        classes: &'a [u8],
        count: usize,
    ) -> Result<(&'a [u8], &'a [u8]), DecodeError> {
        let class_count = count.checked_sub(self.known());
        let class_end = self.class_at + class_count.ok_or(DecodeError("count"))?;
        let classes = classes.get(self.class_at..class_end);
        let tails = bytes.get(self.tail_at..self.tail_at + self.tail_size);
        Ok((
            classes.ok_or(DecodeError("count"))?,
            tails.ok_or(DecodeError("length"))?,
        ))
    }

    fn decode(
        &self,
        bytes: &[u8],
        classes: &[u8],
        count: usize,
        out: &mut Vec<f64>,
    ) -> Result<(), DecodeError> {
        let (classes, tails) = self.bytes(bytes, classes, count)?;
        let start = out.len();
        out.reserve(count);
        let power = POWERS[usize::from(self.tag >> 4 & 7)];
        if power == 1.0 {
            self.run(classes, tails, |whole| out.push(whole as f64))?;
        } else {
            self.run(classes, tails, |whole| out.push(whole as f64 / power))?;
        }
        if self.tag & EXCEPTIONS != 0 {
            let bytes = bytes.get(self.exceptions..).ok_or(DecodeError("length"))?;
            let mut reader = Reader::new(bytes);
            let mut at = start;
            for _ in 0..reader.count(count)? {
                at += reader.count(count)?;
                let value = reader.u64_le()?;
                *out.get_mut(at).ok_or(DecodeError("exception"))? = f64::from_bits(value);
            }
        }
        Ok(())
    }

    /// Gives the whole numbers of the column to `push`.
    #[inline]
    fn run(&self, classes: &[u8], tails: &[u8], push: impl FnMut(i64)) -> Result<(), DecodeError> {
        if self.tag & AROUND != 0 {
            self.predict(classes, tails, unzigzag, push)
        } else {
            self.predict(classes, tails, |code| code as i64, push)
        }
    }

    #[inline]
    fn predict(
        &self,
        classes: &[u8],
        tails: &[u8],
        signed: impl Fn(u64) -> i64,
        mut push: impl FnMut(i64),
    ) -> Result<(), DecodeError> {
        let mut bits = BitReader::new(tails);
        let (divisor, middle) = (self.divisor as i64, self.middle);
        let residual = |class: u8, bits: &mut BitReader<'_>| {
            let (base, width) = *CLASS_TABLE
                .get(usize::from(class))
                .ok_or(DecodeError("class"))?;
            let code = base | bits.get(u32::from(width));
            Ok(signed(code).wrapping_add(middle).wrapping_mul(divisor))
        };
        push(self.first);
        match self.tag & 3 {
            FIRST => {
                for &class in classes {
                    push(self.first.wrapping_add(residual(class, &mut bits)?));
                }
            }
            LAST => {
                let mut before = self.first;
                for &class in classes {
                    before = before.wrapping_add(residual(class, &mut bits)?);
                    push(before);
                }
            }
            _ => {
                let mut step = self.step;
                let mut before = self.first.wrapping_add(step);
                push(before);
                for &class in classes {
                    step = step.wrapping_add(residual(class, &mut bits)?);
                    before = before.wrapping_add(step);
                    push(before);
                }
            }
        }
        bits.finish().map(|_| ())
    }
}

#[cfg(test)]
mod tests;
