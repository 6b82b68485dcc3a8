//! Reading pages: headers and classes at once, columns one by one.

use super::{
    AROUND, CLASS_TABLE, CLASSES, CONSTANT, CONSTANT_WHOLE, EXCEPTIONS, FIRST, FLOATS, LAST, LINE,
    QUOTIENT, SAME, quotient,
};
use crate::DecodeError;
use crate::bits::BitReader;
use crate::floats::{self, POWERS};
use crate::varint::{Reader, unzigzag};

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
