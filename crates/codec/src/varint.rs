//! Variable-length integers (LEB128) and a checked reader over bytes.

use crate::DecodeError;

/// Small magnitudes of both signs to small numbers.
#[inline]
#[must_use]
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The opposite of [`zigzag`].
#[inline]
#[must_use]
pub fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// Appends `value` in 1 to 10 bytes.
#[inline]
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed value in 1 to 10 bytes.
#[inline]
pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, zigzag(value));
}

/// Appends a length and the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Bytes that [`put`] takes for `value`.
#[inline]
#[must_use]
pub fn size(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Takes values off the front of bytes.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from the front.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    /// What is left.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// One byte.
    ///
    /// # Errors
    /// If nothing is left.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        let (&first, rest) = self.bytes.split_first().ok_or(DecodeError("length"))?;
        self.bytes = rest;
        Ok(first)
    }

    /// So many bytes.
    ///
    /// # Errors
    /// If fewer are left.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or(DecodeError("length"))?;
        self.bytes = rest;
        Ok(head)
    }

    /// What [`put`] wrote.
    ///
    /// # Errors
    /// If it does not end within 10 bytes or within the bytes.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for (at, &byte) in self.bytes.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                if at == 9 && byte > 1 {
                    return Err(DecodeError("varint"));
                }
                self.bytes = &self.bytes[at + 1..];
                return Ok(value);
            }
        }
        Err(DecodeError("varint"))
    }

    /// What [`put_signed`] wrote.
    ///
    /// # Errors
    /// As [`Reader::varint`].
    #[inline]
    pub fn signed(&mut self) -> Result<i64, DecodeError> {
        Ok(unzigzag(self.varint()?))
    }

    /// A varint that must be at most `max`: counts and sizes.
    ///
    /// # Errors
    /// As [`Reader::varint`], or if it is more.
    #[inline]
    pub fn count(&mut self, max: usize) -> Result<usize, DecodeError> {
        let value = self.varint()?;
        usize::try_from(value)
            .ok()
            .filter(|&v| v <= max)
            .ok_or(DecodeError("count"))
    }

    /// What [`put_bytes`] wrote.
    ///
    /// # Errors
    /// If fewer bytes are left than it says.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.count(self.bytes.len())?;
        self.take(length)
    }

    /// Eight bytes, little-endian.
    ///
    /// # Errors
    /// If fewer are left.
    #[inline]
    pub fn u64_le(&mut self) -> Result<u64, DecodeError> {
        let bytes = self.take(8)?;
        Ok(u64::from_le_bytes(bytes.try_into().expect("eight bytes")))
    }

    /// Four bytes, little-endian.
    ///
    /// # Errors
    /// If fewer are left.
    #[inline]
    pub fn u32_le(&mut self) -> Result<u32, DecodeError> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trips(values in prop::collection::vec(any::<i64>(), 0..20), shift in 0u32..64) {
            let mut out = Vec::new();
            for &v in &values {
                let before = out.len();
                put_signed(&mut out, v >> shift);
                prop_assert_eq!(out.len() - before, size(zigzag(v >> shift)));
            }
            let mut reader = Reader::new(&out);
            for &v in &values {
                prop_assert_eq!(reader.signed(), Ok(v >> shift));
            }
            prop_assert!(reader.is_empty() && reader.byte().is_err());
        }
    }

    #[test]
    fn refuses_what_does_not_end() {
        assert!(Reader::new(&[0x80; 9]).varint().is_err());
        assert!(Reader::new(&[0xff; 11]).varint().is_err());
        let mut max = Vec::new();
        put(&mut max, u64::MAX);
        assert_eq!(Reader::new(&max).varint(), Ok(u64::MAX));
        assert!(Reader::new(&[5, 1]).bytes().is_err());
        assert!(Reader::new(&[9]).count(8).is_err());
    }
}
