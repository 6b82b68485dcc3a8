//! Chunks: some samples of one series, encoded one after the other.
//!
//! [`read`] turns a chunk of any encoding into samples; [`float`] and [`histogram_write`] write the
//! two encodings that every version of Prometheus reads, or reads since native histograms exist.
//! Decoders check the structure, not sense: whoever holds the chunk has verified its checksum.

pub(crate) mod float;
pub(crate) mod histogram;
pub(crate) mod histogram_write;
mod start;
mod xor;
mod xor2;

use crate::Sample;
use crate::bits::BitReader;
use crate::error::Bad;

/// How a chunk's samples are encoded; the numbers are those on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Xor = 1,
    Histogram = 2,
    FloatHistogram = 3,
    Xor2 = 4,
    HistogramStart = 5,
    FloatHistogramStart = 6,
}

impl Encoding {
    pub(crate) fn of(byte: u8) -> Option<Encoding> {
        [
            Encoding::Xor,
            Encoding::Histogram,
            Encoding::FloatHistogram,
            Encoding::Xor2,
            Encoding::HistogramStart,
            Encoding::FloatHistogramStart,
        ]
        .into_iter()
        .find(|encoding| *encoding as u8 == byte)
    }
}

/// The samples of a chunk, in its order. Fused after an error.
#[derive(Debug)]
pub(crate) struct Samples<'a> {
    left: u16,
    state: State<'a>,
}

#[derive(Debug)]
enum State<'a> {
    Xor(xor::Decoder<'a>),
    Xor2(xor2::Decoder<'a>),
    Histogram(Box<histogram::Decoder<'a>>),
}

/// Samples in a Start chunk of histograms; the two bits above are the counter reset header.
const START_COUNT_MASK: u16 = 0x3fff;

/// Begins to read the data of a chunk, which lies at `offset` in its file.
pub(crate) fn read(encoding: Encoding, data: &[u8], offset: u64) -> Result<Samples<'_>, Bad> {
    let header_bytes = if encoding == Encoding::Xor { 2 } else { 3 };
    let (header, rest) = data.split_at_checked(header_bytes).ok_or(Bad {
        what: "chunk without header",
        offset,
    })?;
    let count = u16::from_be_bytes([header[0], header[1]]);
    let bits = BitReader::new(rest, offset + header_bytes as u64);
    let third = header.last().copied().unwrap_or_default();
    let (left, state) = match encoding {
        Encoding::Xor => (count, State::Xor(xor::Decoder::new(bits))),
        Encoding::Xor2 => (count, State::Xor2(xor2::Decoder::new(bits, third))),
        Encoding::Histogram | Encoding::FloatHistogram => {
            let is_float = encoding == Encoding::FloatHistogram;
            let decoder = histogram::Decoder::new(bits, is_float, third, None);
            (count, State::Histogram(Box::new(decoder)))
        }
        Encoding::HistogramStart | Encoding::FloatHistogramStart => {
            let is_float = encoding == Encoding::FloatHistogramStart;
            let decoder = histogram::Decoder::new(bits, is_float, header[0], Some(third));
            (
                count & START_COUNT_MASK,
                State::Histogram(Box::new(decoder)),
            )
        }
    };
    Ok(Samples { left, state })
}

impl Iterator for Samples<'_> {
    type Item = Result<Sample, Bad>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let sample = match &mut self.state {
            State::Xor(decoder) => decoder.next(),
            State::Xor2(decoder) => decoder.next(),
            State::Histogram(decoder) => decoder.next(),
        };
        self.left = if sample.is_ok() { self.left - 1 } else { 0 };
        Some(sample)
    }
}

/// The stretch of bits in which a value differs from the one before: kept from sample to sample,
/// so that it need not be written each time.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    /// Zeros before it.
    leading: u32,
    /// Zeros after it.
    trailing: u32,
}

impl Window {
    /// The XOR with the value before, in the window that there is.
    #[inline]
    fn kept(self, bits: &mut BitReader<'_>) -> Result<u64, Bad> {
        Ok(bits.bits(64 - self.leading - self.trailing)? << self.trailing)
    }

    /// Reads a new window and the XOR with the value before.
    #[inline]
    fn renewed(&mut self, bits: &mut BitReader<'_>) -> Result<u64, Bad> {
        let leading = bits.bits(5)? as u32;
        // 64 does not fit into six bits; no bits at all would not be written.
        let width = match bits.bits(6)? as u32 {
            0 => 64,
            width => width,
        };
        let trailing = (64u32)
            .checked_sub(leading + width)
            .ok_or_else(|| bits.bad("value of more than 64 bits"))?;
        *self = Window { leading, trailing };
        self.kept(bits)
    }

    /// A value as in an XOR chunk: one bit if it stayed, else the window and the bits.
    #[inline]
    fn value(&mut self, bits: &mut BitReader<'_>, before: u64) -> Result<u64, Bad> {
        if !bits.bit()? {
            return Ok(before);
        }
        let xor = if bits.bit()? {
            self.renewed(bits)?
        } else {
            self.kept(bits)?
        };
        Ok(before ^ xor)
    }
}

/// The other direction of [`Window::value`].
#[derive(Debug, Clone, Copy, Default)]
struct WindowWriter(Option<Window>);

impl WindowWriter {
    /// At most so many leading zeros can be written.
    const LEADING_MAX: u32 = 31;

    fn put(&mut self, out: &mut crate::bits::BitWriter, before: u64, value: u64) {
        let xor = before ^ value;
        if xor == 0 {
            return out.put(0, 1);
        }
        let window = Window {
            leading: xor.leading_zeros().min(Self::LEADING_MAX),
            trailing: xor.trailing_zeros(),
        };
        if let Some(kept) = self.0
            && window.leading >= kept.leading
            && window.trailing >= kept.trailing
        {
            out.put(0b10, 2);
            return out.put(xor >> kept.trailing, 64 - kept.leading - kept.trailing);
        }
        self.0 = Some(window);
        let width = 64 - window.leading - window.trailing;
        out.put(0b11, 2);
        out.put(u64::from(window.leading), 5);
        out.put(u64::from(width), 6);
        out.put(xor >> window.trailing, width);
    }
}

#[cfg(test)]
mod tests;
