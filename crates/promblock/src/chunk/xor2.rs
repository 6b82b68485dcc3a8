//! Reads XOR2 chunks: as XOR, with one prefix for timestamp and value together, a short code for
//! staleness markers (which do not disturb the value to compare with), and start timestamps.

use model::STALE_NAN_BITS;

use super::Window;
use super::start::Starts;
use crate::bits::BitReader;
use crate::error::Bad;
use crate::{Sample, Value};

#[derive(Debug)]
pub(super) struct Decoder<'a> {
    bits: BitReader<'a>,
    /// Samples read, up to 2.
    begun: u8,
    timestamp_ms: i64,
    step_ms: i64,
    /// The last value that was no staleness marker.
    value: u64,
    window: Window,
    starts: Starts,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(bits: BitReader<'a>, start_header: u8) -> Decoder<'a> {
        Decoder {
            bits,
            begun: 0,
            timestamp_ms: 0,
            step_ms: 0,
            value: 0,
            window: Window::default(),
            starts: Starts::new(start_header),
        }
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<Sample, Bad> {
        let before_ms = self.timestamp_ms;
        let value = match self.begun {
            0 => self.first()?,
            1 => {
                self.begun = 2;
                let step_ms = self.bits.uvarint()? as i64;
                self.step_to(step_ms);
                self.value()?
            }
            _ => self.later()?,
        };
        let now_ms = self.timestamp_ms;
        let start_timestamp_ms = self.starts.next(&mut self.bits, before_ms, now_ms)?;
        Ok(Sample {
            timestamp_ms: self.timestamp_ms,
            start_timestamp_ms,
            value: Value::Float(f64::from_bits(value)),
        })
    }

    fn first(&mut self) -> Result<u64, Bad> {
        self.begun = 1;
        self.timestamp_ms = self.bits.varint()?;
        let value = self.bits.bits(64)?;
        if value != STALE_NAN_BITS {
            self.value = value;
        }
        Ok(value)
    }

    #[inline]
    fn later(&mut self) -> Result<u64, Bad> {
        let width = match self.bits.ones(5)? {
            0 => {
                self.step_to(self.step_ms);
                return Ok(self.value);
            }
            1 => {
                self.step_to(self.step_ms);
                return self.changed_value();
            }
            2 => 13,
            3 => 20,
            4 => 64,
            _ => {
                self.step_to(self.step_ms);
                return Ok(STALE_NAN_BITS);
            }
        };
        // Two's complement here, unlike everywhere else.
        let change = (self.bits.bits(width)? << (64 - width)) as i64 >> (64 - width);
        self.step_to(self.step_ms.wrapping_add(change));
        self.value()
    }

    #[inline]
    fn step_to(&mut self, step_ms: i64) {
        self.step_ms = step_ms;
        self.timestamp_ms = self.timestamp_ms.wrapping_add(step_ms);
    }

    fn value(&mut self) -> Result<u64, Bad> {
        let xor = match self.bits.ones(3)? {
            0 => 0,
            1 => self.window.kept(&mut self.bits)?,
            2 => self.window.renewed(&mut self.bits)?,
            _ => return Ok(STALE_NAN_BITS),
        };
        self.value ^= xor;
        Ok(self.value)
    }

    fn changed_value(&mut self) -> Result<u64, Bad> {
        self.value ^= if self.bits.bit()? {
            self.window.renewed(&mut self.bits)?
        } else {
            self.window.kept(&mut self.bits)?
        };
        Ok(self.value)
    }
}
