//! Bits, highest first, as chunks hold them; and the variable-width integers made of them.
//!
//! The integers come in buckets of 3, 6, 9, 12, 18, 25, 56 and 64 bits; a run of ones says which.
//! A signed bucket of n bits holds -(2^(n-1) - 1) to 2^(n-1): one more above than below, which is
//! the other way round than two's complement.

use codec::varint::unzigzag;

use crate::error::Bad;

/// Payload bits by the number of ones before it.
const BUCKETS: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

/// Takes bits off the front of bytes.
#[derive(Debug, Clone)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits taken.
    at: usize,
    /// Where `bytes` begin in their file.
    offset: u64,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8], offset: u64) -> BitReader<'a> {
        BitReader {
            bytes,
            at: 0,
            offset,
        }
    }

    /// An error at this place.
    #[cold]
    pub(crate) fn bad(&self, what: &'static str) -> Bad {
        Bad {
            what,
            offset: self.offset + (self.at >> 3) as u64,
        }
    }

    /// Bits that are left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() * 8 - self.at
    }

    /// The next `width` bits, 0 to 64.
    #[inline]
    pub(crate) fn bits(&mut self, width: u32) -> Result<u64, Bad> {
        if width as usize > self.left() {
            return Err(self.bad("chunk ends within a sample"));
        }
        if width == 0 {
            return Ok(0);
        }
        let (byte, shift) = (self.at >> 3, (self.at & 7) as u32);
        let word = match self.bytes.get(byte..byte + 8) {
            Some(eight) => u64::from_be_bytes(eight.try_into().expect("eight bytes")),
            None => self.tail(byte),
        };
        let mut value = word << shift;
        if shift + width > 64 {
            value |= u64::from(self.bytes[byte + 8]) >> (8 - shift);
        }
        self.at += width as usize;
        Ok(value >> (64 - width))
    }

    #[cold]
    fn tail(&self, byte: usize) -> u64 {
        let mut eight = [0; 8];
        let rest = &self.bytes[byte..];
        eight[..rest.len()].copy_from_slice(rest);
        u64::from_be_bytes(eight)
    }

    #[inline]
    pub(crate) fn bit(&mut self) -> Result<bool, Bad> {
        Ok(self.bits(1)? == 1)
    }

    /// Counts ones up to `max`; the zero that ends a shorter run is taken too.
    #[inline]
    pub(crate) fn ones(&mut self, max: u32) -> Result<u32, Bad> {
        let mut count = 0;
        while count < max && self.bit()? {
            count += 1;
        }
        Ok(count)
    }

    /// `width` bits as a number that is one larger at most than two's complement allows.
    #[inline]
    pub(crate) fn signed(&mut self, width: u32) -> Result<i64, Bad> {
        let bits = self.bits(width)?;
        if width == 0 || width == 64 {
            return Ok(bits as i64);
        }
        if bits > 1 << (width - 1) {
            return Ok(bits.wrapping_sub(1 << width) as i64);
        }
        Ok(bits as i64)
    }

    /// A signed integer in buckets.
    pub(crate) fn varbit(&mut self) -> Result<i64, Bad> {
        let ones = self.ones(8)?;
        self.signed(BUCKETS[ones as usize])
    }

    /// An unsigned integer in buckets.
    pub(crate) fn varbit_unsigned(&mut self) -> Result<u64, Bad> {
        let ones = self.ones(8)?;
        self.bits(BUCKETS[ones as usize])
    }

    /// Go's uvarint, at any bit.
    pub(crate) fn uvarint(&mut self) -> Result<u64, Bad> {
        let mut value = 0;
        for at in 0..10 {
            let byte = self.bits(8)?;
            value |= (byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                if at == 9 && byte > 1 {
                    break;
                }
                return Ok(value);
            }
        }
        Err(self.bad("bad varint"))
    }

    /// Go's varint, at any bit.
    pub(crate) fn varint(&mut self) -> Result<i64, Bad> {
        Ok(unzigzag(self.uvarint()?))
    }

    pub(crate) fn f64(&mut self) -> Result<f64, Bad> {
        Ok(f64::from_bits(self.bits(64)?))
    }
}

/// Appends bits to bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct BitWriter {
    pub(crate) bytes: Vec<u8>,
    /// Bits of the last byte that are not written yet.
    free: u32,
}

impl BitWriter {
    /// Goes on after `bytes`.
    pub(crate) fn new(bytes: Vec<u8>) -> BitWriter {
        BitWriter { bytes, free: 0 }
    }

    /// The lowest `width` bits (0 to 64) of `value`.
    #[inline]
    pub(crate) fn put(&mut self, value: u64, width: u32) {
        let mut left = width;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let step = left.min(self.free);
            let part = (value >> (left - step)) as u8 & (0xff >> (8 - step));
            if let Some(last) = self.bytes.last_mut() {
                *last |= part << (self.free - step);
            }
            self.free -= step;
            left -= step;
        }
    }

    fn put_bucket(&mut self, value: u64, bucket: usize) {
        if bucket < 8 {
            self.put((1 << (bucket + 1)) - 2, bucket as u32 + 1);
        } else {
            self.put(0xff, 8);
        }
        self.put(value, BUCKETS[bucket]);
    }

    /// What [`BitReader::varbit`] reads.
    pub(crate) fn put_varbit(&mut self, value: i64) {
        let bucket = (0..8)
            .find(|bucket| fits_signed(value, BUCKETS[*bucket]))
            .unwrap_or(8);
        self.put_bucket(value as u64, bucket);
    }

    /// What [`BitReader::varbit_unsigned`] reads.
    pub(crate) fn put_varbit_unsigned(&mut self, value: u64) {
        let bucket = (0..8)
            .find(|bucket| value >> BUCKETS[*bucket] == 0)
            .unwrap_or(8);
        self.put_bucket(value, bucket);
    }

    /// Go's uvarint, at any bit.
    pub(crate) fn put_uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put(value & 0x7f | 0x80, 8);
            value >>= 7;
        }
        self.put(value, 8);
    }

    /// Go's varint, at any bit.
    pub(crate) fn put_varint(&mut self, value: i64) {
        self.put_uvarint(codec::varint::zigzag(value));
    }
}

/// Whether [`BitReader::signed`] of `width` bits can give `value`.
pub(crate) fn fits_signed(value: i64, width: u32) -> bool {
    if width == 0 {
        return value == 0;
    }
    let half = 1i64 << (width - 1);
    -half < value && value <= half
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn integers_round_trip(parts in prop::collection::vec((any::<i64>(), 0u32..64), 0..60)) {
            let mut writer = BitWriter::default();
            for &(value, shift) in &parts {
                let value = value >> shift;
                writer.put_varbit(value);
                writer.put_varbit_unsigned(value as u64);
                writer.put_varint(value);
                writer.put(value as u64, 64 - shift);
            }
            let mut reader = BitReader::new(&writer.bytes, 0);
            for &(value, shift) in &parts {
                let value = value >> shift;
                prop_assert_eq!(reader.varbit(), Ok(value));
                prop_assert_eq!(reader.varbit_unsigned(), Ok(value as u64));
                prop_assert_eq!(reader.varint(), Ok(value));
                let cut = (value as u64) << shift >> shift;
                prop_assert_eq!(reader.bits(64 - shift), Ok(cut));
            }
            prop_assert!(reader.left() < 8);
            prop_assert!(reader.bits(8).is_err());
        }
    }

    #[test]
    fn buckets_hold_one_more_above_than_below() {
        for (value, bits) in [
            (0, 1),
            (4, 5),
            (-3, 5),
            (-4, 9),
            (5, 9),
            (256, 13),
            (-256, 17),
        ] {
            let mut writer = BitWriter::default();
            writer.put_varbit(value);
            assert_eq!(writer.bytes.len() as u32 * 8 - writer.free, bits, "{value}");
            assert_eq!(BitReader::new(&writer.bytes, 0).varbit(), Ok(value));
        }
    }
}
