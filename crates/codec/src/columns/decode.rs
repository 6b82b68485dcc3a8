//! Reading pages: headers and classes at once, columns one by one.

use super::{
    AFTER, AROUND, CLASS_TABLE, CLASSES, CONSTANT, CONSTANT_WHOLE, EXCEPTIONS, FIRST, FLOATS, LAST,
    LINE, OF_COLUMN, OF_DENOMINATOR, OF_SECONDS, OF_STEPS, QUOTIENT, RATIO, SAME, SUM, ratio,
    ticks,
};
use crate::DecodeError;
use crate::bits::BitReader;
use crate::floats::{self, POWERS};
use crate::packed;
use crate::varint::{Reader, unzigzag};

/// A page with its headers read and its classes unpacked. Needs the page's bytes again to decode.
#[derive(Debug)]
pub struct Page {
    columns: Vec<Column>,
    ratios: Vec<Ratio>,
    sums: Vec<Sum>,
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
    /// Where in [`Page::ratios`] it is.
    Ratio(usize),
    /// Where in [`Page::sums`] it is.
    Sum(usize),
}

/// Whole numbers.
#[derive(Debug, Clone, Copy)]
enum Whole {
    Constant(i64),
    Classes(Classes),
}

/// `factor * numerator / denominator`, or the factor `after` that, plus last places.
#[derive(Debug)]
struct Ratio {
    factor: u64,
    after: bool,
    numerator: Operand,
    denominator: Operand,
    corrections: Whole,
}

/// What is divided.
#[derive(Debug)]
enum Operand {
    Whole(Whole),
    Constant(f64),
    /// The values of another column.
    Column(usize),
    /// What each value of another column is above the one before.
    Steps(usize),
    /// Float seconds: ticks, and how many places of `2^-shift` they are off.
    Seconds(u32, Whole, Whole),
    /// What another column, a ratio, is divided by.
    DenominatorOf(usize),
}

/// Columns to add up; those with `true` are taken away.
#[derive(Debug)]
struct Sum {
    terms: Vec<(usize, bool)>,
    rest: Whole,
}

/// A ratio of a sum of plain columns is as deep as encoding goes.
const DEPTH_MAX: u32 = 3;
/// Most terms of a sum.
const TERMS_MAX: usize = 4;

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
    /// memory for at most five class bytes a value, and a header a column.
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
            counts,
            ratios: Vec::new(),
            sums: Vec::new(),
        };
        let mut columns = Vec::with_capacity(counts.len());
        for &count in counts {
            let column = headers.column(count, &columns)?;
            columns.push(column);
        }
        if headers.tail_at > bytes.len() || !headers.reader.is_empty() {
            return Err(DecodeError("length"));
        }
        let Headers {
            class_at,
            ratios,
            sums,
            ..
        } = headers;
        let shared = |operand: &Operand| match operand {
            Operand::DenominatorOf(other) => match columns[*other] {
                Column::Ratio(at) => !matches!(ratios[at].denominator, Operand::DenominatorOf(_)),
                _ => false,
            },
            _ => true,
        };
        if !ratios.iter().all(|ratio| shared(&ratio.denominator)) {
            return Err(DecodeError("denominator"));
        }
        let classes = unpack(frame, packed, class_at)?;
        Ok(Page {
            columns,
            ratios,
            sums,
            classes,
        })
    }

    /// Bytes of memory that it holds.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.columns.capacity() * size_of::<Column>()
            + self.ratios.capacity() * size_of::<Ratio>()
            + self.sums.len() * (size_of::<Sum>() + TERMS_MAX * size_of::<(usize, bool)>())
            + self.classes.capacity()
    }

    /// Whether a column surely has numbers only, and no NaN of whatever bits.
    #[must_use]
    pub fn is_numbers_only(&self, column: usize) -> bool {
        match self.columns.get(column) {
            Some(Column::Empty) => true,
            Some(Column::Constant(value)) => !value.is_nan(),
            Some(Column::Classes(classes)) => classes.tag & EXCEPTIONS == 0,
            // Points at a column that is no `Same` itself.
            Some(Column::Same(other)) => match self.columns.get(*other) {
                Some(Column::Classes(classes)) => classes.tag & EXCEPTIONS == 0,
                _ => false,
            },
            Some(Column::Floats { .. } | Column::Ratio(_) | Column::Sum(_)) | None => false,
        }
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
        self.decode_at(DEPTH_MAX, bytes, (column, count), scratch, out)
    }

    /// As [`Page::decode`]; `depth` is how many relations may still be followed.
    fn decode_at(
        &self,
        depth: u32,
        bytes: &[u8],
        (column, count): (usize, usize),
        scratch: &mut DecodeScratch,
        out: &mut Vec<f64>,
    ) -> Result<(), DecodeError> {
        let depth = depth.checked_sub(1).ok_or(DecodeError("relations"))?;
        match *self.columns.get(column).ok_or(DecodeError("column"))? {
            Column::Empty => Ok(()),
            Column::Constant(value) => {
                out.resize(out.len() + count, value);
                Ok(())
            }
            // Points at a column that is no `Same` itself: `Headers::column` sees to it.
            Column::Same(other) => self.decode_at(depth + 1, bytes, (other, count), scratch, out),
            Column::Floats { at, size } => {
                let bytes = bytes.get(at..at + size).ok_or(DecodeError("length"))?;
                floats::decode(&mut Reader::new(bytes), count, scratch, out)
            }
            Column::Classes(column) => column.decode(bytes, &self.classes, count, out),
            Column::Ratio(at) => {
                self.decode_ratio(depth, bytes, (&self.ratios[at], count), scratch, out)
            }
            Column::Sum(at) => self.decode_sum(depth, bytes, (&self.sums[at], count), scratch, out),
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
    counts: &'a [usize],
    ratios: Vec<Ratio>,
    sums: Vec<Sum>,
}

impl Headers<'_> {
    fn column(&mut self, count: usize, columns: &[Column]) -> Result<Column, DecodeError> {
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
                    || self.counts[other] != count
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
                let ratio = Ratio {
                    factor: u64::from(self.reader.byte()?),
                    after: false,
                    numerator: Operand::Whole(self.whole(count)?),
                    denominator: Operand::Whole(self.whole(count)?),
                    corrections: self.whole(count)?,
                };
                self.ratios.push(ratio);
                Column::Ratio(self.ratios.len() - 1)
            }
            RATIO => {
                let flags = self.reader.byte()?;
                if flags > AFTER {
                    return Err(DecodeError("ratio"));
                }
                let ratio = Ratio {
                    factor: self.reader.varint()?,
                    after: flags & AFTER != 0,
                    numerator: self.operand(count)?,
                    denominator: self.operand(count)?,
                    corrections: self.whole(count)?,
                };
                if matches!(ratio.numerator, Operand::DenominatorOf(_)) {
                    return Err(DecodeError("ratio"));
                }
                self.ratios.push(ratio);
                Column::Ratio(self.ratios.len() - 1)
            }
            SUM => {
                let mut terms = Vec::with_capacity(TERMS_MAX);
                for _ in 0..self.reader.count(TERMS_MAX)? {
                    let term = self.reader.count(usize::MAX / 2)?;
                    terms.push((self.reference(term >> 1, count)?, term & 1 == 1));
                }
                let rest = self.whole(count)?;
                self.sums.push(Sum { terms, rest });
                Column::Sum(self.sums.len() - 1)
            }
            tag => Column::Classes(self.classes(tag, count)?),
        })
    }

    /// Another column with as many values; it may come later.
    fn reference(&self, column: usize, count: usize) -> Result<usize, DecodeError> {
        match self.counts.get(column) {
            Some(&of_other) if of_other == count => Ok(column),
            _ => Err(DecodeError("reference")),
        }
    }

    fn operand(&mut self, count: usize) -> Result<Operand, DecodeError> {
        let tag = self.reader.byte()?;
        Ok(match tag {
            CONSTANT => Operand::Constant(f64::from_bits(self.reader.u64_le()?)),
            OF_COLUMN | OF_STEPS | OF_DENOMINATOR => {
                let other = self.reader.count(self.counts.len())?;
                let other = self.reference(other, count)?;
                match tag {
                    OF_COLUMN => Operand::Column(other),
                    OF_STEPS => Operand::Steps(other),
                    _ => Operand::DenominatorOf(other),
                }
            }
            OF_SECONDS => {
                let shift = u32::from(self.reader.byte()?);
                if shift > 63 {
                    return Err(DecodeError("shift"));
                }
                Operand::Seconds(shift, self.whole(count)?, self.whole(count)?)
            }
            tag => Operand::Whole(self.whole_of(tag, count)?),
        })
    }

    fn whole(&mut self, count: usize) -> Result<Whole, DecodeError> {
        let tag = self.reader.byte()?;
        self.whole_of(tag, count)
    }

    fn whole_of(&mut self, tag: u8, count: usize) -> Result<Whole, DecodeError> {
        Ok(match tag {
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
    fn decode_ratio(
        &self,
        depth: u32,
        bytes: &[u8],
        (ratio, count): (&Ratio, usize),
        scratch: &mut DecodeScratch,
        out: &mut Vec<f64>,
    ) -> Result<(), DecodeError> {
        let numerators = self.operand(depth, bytes, (&ratio.numerator, count), scratch)?;
        let denominators = self.operand(depth, bytes, (&ratio.denominator, count), scratch)?;
        let corrections = self.whole(bytes, &ratio.corrections, count)?;
        let parts = numerators.iter().zip(&denominators).zip(&corrections);
        out.extend(parts.map(|((&n, &d), &places)| {
            ratio::corrected(ratio::value(ratio.factor, ratio.after, n, d), places)
        }));
        Ok(())
    }

    fn decode_sum(
        &self,
        depth: u32,
        bytes: &[u8],
        (sum, count): (&Sum, usize),
        scratch: &mut DecodeScratch,
        out: &mut Vec<f64>,
    ) -> Result<(), DecodeError> {
        let mut total = self.whole(bytes, &sum.rest, count)?;
        let mut values = Vec::new();
        for &(column, negative) in &sum.terms {
            values.clear();
            self.decode_at(depth, bytes, (column, count), scratch, &mut values)?;
            for (total, &value) in total.iter_mut().zip(&values) {
                // Terms are whole; damaged ones become something, but do not panic.
                let value = value as i64;
                *total = match negative {
                    true => total.wrapping_sub(value),
                    false => total.wrapping_add(value),
                };
            }
        }
        out.extend(total.iter().map(|&total| total as f64));
        Ok(())
    }

    fn operand(
        &self,
        depth: u32,
        bytes: &[u8],
        (operand, count): (&Operand, usize),
        scratch: &mut DecodeScratch,
    ) -> Result<Vec<f64>, DecodeError> {
        let mut values = Vec::new();
        match operand {
            Operand::Constant(value) => values.resize(count, *value),
            Operand::Whole(whole) => {
                let wholes = self.whole(bytes, whole, count)?;
                values.extend(wholes.iter().map(|&whole| whole as f64));
            }
            Operand::Column(column) => {
                self.decode_at(depth, bytes, (*column, count), scratch, &mut values)?;
            }
            Operand::Steps(column) => {
                self.decode_at(depth, bytes, (*column, count), scratch, &mut values)?;
                ratio::to_steps(&mut values);
            }
            Operand::Seconds(shift, passed, off) => {
                let passed = self.whole(bytes, passed, count)?;
                let off = self.whole(bytes, off, count)?;
                let parts = passed.iter().zip(&off);
                values.extend(parts.map(|(&passed, &off)| ticks::value(passed, off, *shift)));
            }
            Operand::DenominatorOf(column) => match self.columns.get(*column) {
                // Is no `DenominatorOf` itself: `Page::parse` sees to it.
                Some(&Column::Ratio(at)) => {
                    let of_other = (&self.ratios[at].denominator, count);
                    return self.operand(depth, bytes, of_other, scratch);
                }
                _ => return Err(DecodeError("denominator")),
            },
        }
        Ok(values)
    }

    fn whole(&self, bytes: &[u8], whole: &Whole, count: usize) -> Result<Vec<i64>, DecodeError> {
        let mut values = Vec::with_capacity(count);
        match whole {
            Whole::Constant(value) => values.resize(count, *value),
            Whole::Classes(classes) => {
                let (classes_of, tails) = classes.bytes(bytes, &self.classes, count)?;
                values.resize(count, 0);
                classes.run(classes_of, tails, &mut values, |whole| whole)?;
            }
        }
        Ok(values)
    }
}

fn unpack(frame: &[u8], packed: bool, count: usize) -> Result<Vec<u8>, DecodeError> {
    if packed {
        return packed::unpack(frame, count);
    }
    if frame.len() == count {
        Ok(frame.to_vec())
    } else {
        Err(DecodeError("frame"))
    }
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
        out.resize(start + count, 0.0);
        let values = &mut out[start..];
        let power = POWERS[usize::from(self.tag >> 4 & 7)];
        if power == 1.0 {
            self.run(classes, tails, values, |whole| whole as f64)?;
        } else {
            self.run(classes, tails, values, |whole| whole as f64 / power)?;
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

    /// Makes values of the whole numbers of the column: one for each class and those before.
    #[inline]
    fn run<T>(
        &self,
        classes: &[u8],
        tails: &[u8],
        out: &mut [T],
        make: impl Fn(i64) -> T,
    ) -> Result<(), DecodeError> {
        if tails.is_empty() {
            // What moves little has no tails: its classes are all there is to read.
            let mut widths = 0;
            let none = |width| {
                widths |= width;
                0
            };
            self.shaped(classes, none, out, make)?;
            return match widths {
                0 => Ok(()),
                _ => Err(DecodeError("length")),
            };
        }
        let mut bits = BitReader::new(tails);
        self.shaped(classes, |width| bits.get(width), out, make)?;
        bits.finish().map(|_| ())
    }

    #[inline]
    fn shaped<T>(
        &self,
        classes: &[u8],
        tail: impl FnMut(u32) -> u64,
        out: &mut [T],
        make: impl Fn(i64) -> T,
    ) -> Result<(), DecodeError> {
        if self.tag & AROUND != 0 {
            self.predict(classes, tail, unzigzag, out, make)
        } else {
            self.predict(classes, tail, |code| code as i64, out, make)
        }
    }

    #[inline]
    fn predict<T>(
        &self,
        classes: &[u8],
        mut tail: impl FnMut(u32) -> u64,
        signed: impl Fn(u64) -> i64,
        out: &mut [T],
        make: impl Fn(i64) -> T,
    ) -> Result<(), DecodeError> {
        let (divisor, middle) = (self.divisor as i64, self.middle);
        let mut residual = |class: u8| {
            let (base, width) = *CLASS_TABLE
                .get(usize::from(class))
                .ok_or(DecodeError("class"))?;
            let code = base | tail(u32::from(width));
            Ok(signed(code).wrapping_add(middle).wrapping_mul(divisor))
        };
        let (known, out) = out
            .split_at_mut_checked(self.known())
            .ok_or(DecodeError("count"))?;
        known[0] = make(self.first);
        let out = out.iter_mut().zip(classes);
        match self.tag & 3 {
            FIRST => {
                for (out, &class) in out {
                    *out = make(self.first.wrapping_add(residual(class)?));
                }
            }
            LAST => {
                let mut before = self.first;
                for (out, &class) in out {
                    before = before.wrapping_add(residual(class)?);
                    *out = make(before);
                }
            }
            _ => {
                let mut step = self.step;
                let mut before = self.first.wrapping_add(step);
                known[1] = make(before);
                for (out, &class) in out {
                    step = step.wrapping_add(residual(class)?);
                    before = before.wrapping_add(step);
                    *out = make(before);
                }
            }
        }
        Ok(())
    }
}
