//! Bits, lowest first, in bytes.

use crate::DecodeError;

/// Mask of the lowest `width` bits, 0 to 64.
#[inline]
#[must_use]
pub fn mask(width: u32) -> u64 {
    if width >= 64 {
        u64::MAX
    } else {
        (1 << width) - 1
    }
}

/// Appends bits to bytes.
#[derive(Debug)]
pub struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    buffer: u128,
    filled: u32,
}

impl<'a> BitWriter<'a> {
    /// Appends to `out`; [`BitWriter::finish`] must be called at the end.
    pub fn new(out: &'a mut Vec<u8>) -> BitWriter<'a> {
        BitWriter {
            out,
            buffer: 0,
            filled: 0,
        }
    }

    /// The lowest `width` bits (0 to 64) of `value`.
    #[inline]
    pub fn put(&mut self, value: u64, width: u32) {
        self.buffer |= u128::from(value & mask(width)) << self.filled;
        self.filled += width;
        if self.filled >= 64 {
            self.out
                .extend_from_slice(&(self.buffer as u64).to_le_bytes());
            self.buffer >>= 64;
            self.filled -= 64;
        }
    }

    /// Writes the last bits, padded with zeros to a byte.
    pub fn finish(self) {
        let bytes = (self.buffer as u64).to_le_bytes();
        self.out
            .extend_from_slice(&bytes[..self.filled.div_ceil(8) as usize]);
    }
}

/// Takes bits off the front of bytes. Reading past the end gives zeros and is found by
/// [`BitReader::finish`].
#[derive(Debug)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits taken.
    at: usize,
}

impl<'a> BitReader<'a> {
    /// Reads `bytes` from the front.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> BitReader<'a> {
        BitReader { bytes, at: 0 }
    }

    /// At least the next 57 bits, without taking them.
    #[inline]
    #[must_use]
    pub fn peek(&self) -> u64 {
        let byte = self.at >> 3;
        let word = match self.bytes.get(byte..byte + 8) {
            Some(eight) => u64::from_le_bytes(eight.try_into().expect("eight bytes")),
            None => self.tail(byte),
        };
        word >> (self.at & 7)
    }

    /// The word at a byte that has fewer than seven behind it: a short column ends soon after it
    /// begins, so this is no rare case.
    #[inline]
    fn tail(&self, byte: usize) -> u64 {
        let Some(last) = self.bytes.last_chunk::<8>() else {
            return self.short_tail(byte);
        };
        let missing = byte + 8 - self.bytes.len();
        let last = u64::from_le_bytes(*last);
        if missing < 8 {
            last >> (8 * missing)
        } else {
            0
        }
    }

    #[cold]
    fn short_tail(&self, byte: usize) -> u64 {
        let mut eight = [0; 8];
        let rest = self.bytes.get(byte..).unwrap_or(&[]);
        eight[..rest.len()].copy_from_slice(rest);
        u64::from_le_bytes(eight)
    }

    /// Takes `width` bits that [`BitReader::peek`] showed.
    #[inline]
    pub fn skip(&mut self, width: u32) {
        self.at += width as usize;
    }

    /// The next `width` bits, 0 to 64.
    #[inline]
    pub fn get(&mut self, width: u32) -> u64 {
        if width <= 57 {
            let value = self.peek() & mask(width);
            self.skip(width);
            value
        } else {
            let low = self.get(32);
            low | self.get(width - 32) << 32
        }
    }

    /// Checks that no more was read than there is, and gives the bytes that follow.
    ///
    /// # Errors
    /// If more was read.
    pub fn finish(self) -> Result<&'a [u8], DecodeError> {
        let used = self.at.div_ceil(8);
        self.bytes.get(used..).ok_or(DecodeError("length"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trips(parts in prop::collection::vec((any::<u64>(), 0u32..=64), 0..100)) {
            let mut out = Vec::new();
            let mut writer = BitWriter::new(&mut out);
            for &(value, width) in &parts {
                writer.put(value, width);
            }
            writer.finish();
            out.push(0xaa);
            let mut reader = BitReader::new(&out);
            for &(value, width) in &parts {
                prop_assert_eq!(reader.get(width), value & mask(width));
            }
            prop_assert_eq!(reader.finish(), Ok(&[0xaa][..]));
        }
    }

    #[test]
    fn notices_the_end() {
        let mut reader = BitReader::new(&[1]);
        assert_eq!(reader.get(40), 1);
        assert!(reader.finish().is_err());
    }
}
