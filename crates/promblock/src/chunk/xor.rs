//! Reads XOR chunks: timestamps by the change of their step, values by the bits that changed.

use super::Window;
use crate::bits::BitReader;
use crate::error::Bad;
use crate::{Sample, Value};

#[derive(Debug)]
pub(super) struct Decoder<'a> {
    bits: BitReader<'a>,
    /// Samples read, up to 2: the first two are written differently.
    begun: u8,
    timestamp_ms: i64,
    step_ms: i64,
    value: u64,
    window: Window,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(bits: BitReader<'a>) -> Decoder<'a> {
        Decoder {
            bits,
            begun: 0,
            timestamp_ms: 0,
            step_ms: 0,
            value: 0,
            window: Window::default(),
        }
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<Sample, Bad> {
        match self.begun {
            0 => {
                self.timestamp_ms = self.bits.varint()?;
                self.value = self.bits.bits(64)?;
                self.begun = 1;
                return Ok(self.sample());
            }
            1 => {
                self.step_ms = self.bits.uvarint()? as i64;
                self.begun = 2;
            }
            _ => self.step_ms = self.step_ms.wrapping_add(self.step_change()?),
        }
        self.timestamp_ms = self.timestamp_ms.wrapping_add(self.step_ms);
        self.value = self.window.value(&mut self.bits, self.value)?;
        Ok(self.sample())
    }

    #[inline]
    fn step_change(&mut self) -> Result<i64, Bad> {
        let width = match self.bits.ones(4)? {
            0 => return Ok(0),
            1 => 14,
            2 => 17,
            3 => 20,
            _ => 64,
        };
        self.bits.signed(width)
    }

    #[inline]
    fn sample(&self) -> Sample {
        Sample {
            timestamp_ms: self.timestamp_ms,
            start_timestamp_ms: 0,
            value: Value::Float(f64::from_bits(self.value)),
        }
    }
}
