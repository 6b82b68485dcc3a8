//! Writes XOR chunks.

use super::{Encoding, WindowWriter};
use crate::bits::{BitWriter, fits_signed};

/// A chunk that is ready to be stored.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    pub(crate) encoding: Encoding,
    pub(crate) data: Vec<u8>,
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
}

/// An XOR chunk that grows. Timestamps must increase.
#[derive(Debug)]
pub(crate) struct FloatChunk {
    out: BitWriter,
    sample_count: u16,
    first_ms: i64,
    last_ms: i64,
    step_ms: i64,
    value: u64,
    window: WindowWriter,
}

impl FloatChunk {
    /// A chunk with its first sample.
    pub(crate) fn begin(timestamp_ms: i64, value: f64) -> FloatChunk {
        let mut out = BitWriter::new(vec![0, 0]);
        out.put_varint(timestamp_ms);
        out.put(value.to_bits(), 64);
        FloatChunk {
            out,
            sample_count: 1,
            first_ms: timestamp_ms,
            last_ms: timestamp_ms,
            step_ms: 0,
            value: value.to_bits(),
            window: WindowWriter::default(),
        }
    }

    pub(crate) fn sample_count(&self) -> u16 {
        self.sample_count
    }

    /// Adds a sample; not more than fit the count.
    pub(crate) fn push(&mut self, timestamp_ms: i64, value: f64) {
        let step_ms = timestamp_ms.wrapping_sub(self.last_ms);
        if self.sample_count == 1 {
            self.out.put_uvarint(step_ms as u64);
        } else {
            self.put_step_change(step_ms.wrapping_sub(self.step_ms));
        }
        self.window.put(&mut self.out, self.value, value.to_bits());
        self.value = value.to_bits();
        self.step_ms = step_ms;
        self.last_ms = timestamp_ms;
        self.sample_count += 1;
    }

    fn put_step_change(&mut self, change: i64) {
        let (prefix, prefix_bits, width) = match change {
            0 => (0b0, 1, 0),
            _ if fits_signed(change, 14) => (0b10, 2, 14),
            _ if fits_signed(change, 17) => (0b110, 3, 17),
            _ if fits_signed(change, 20) => (0b1110, 4, 20),
            _ => (0b1111, 4, 64),
        };
        self.out.put(prefix, prefix_bits);
        self.out.put(change as u64, width);
    }

    pub(crate) fn finish(mut self) -> Finished {
        self.out.bytes[..2].copy_from_slice(&self.sample_count.to_be_bytes());
        Finished {
            encoding: Encoding::Xor,
            data: self.out.bytes,
            min_ms: self.first_ms,
            max_ms: self.last_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Value;

    /// Steps of all sizes and values whose bits are near, far, and special.
    fn samples() -> impl Strategy<Value = Vec<(i64, u64)>> {
        let step = prop_oneof![Just(15_000i64), 1i64..40_000, 1i64..1 << 50];
        let special = prop::sample::select(vec![
            0,
            1.0f64.to_bits(),
            model::STALE_NAN_BITS,
            model::NORMAL_NAN_BITS,
            (-0.0f64).to_bits(),
            f64::NEG_INFINITY.to_bits(),
            0x7ff8_0000_dead_beef,
            u64::MAX,
        ]);
        let bits = prop_oneof![
            any::<u64>(),
            special,
            (0u64..1000).prop_map(|n| (n as f64).to_bits())
        ];
        let first = prop_oneof![Just(1_700_000_000_000i64), -1i64 << 40..1 << 40];
        (first, prop::collection::vec((step, bits), 1..150)).prop_map(|(first, parts)| {
            let mut at = first;
            let place = |(step, bits)| {
                at += step;
                (at, bits)
            };
            parts.into_iter().map(place).collect()
        })
    }

    proptest! {
        #[test]
        fn every_bit_round_trips(samples in samples()) {
            let mut chunk = FloatChunk::begin(samples[0].0, f64::from_bits(samples[0].1));
            for &(at, bits) in &samples[1..] {
                chunk.push(at, f64::from_bits(bits));
            }
            let chunk = chunk.finish();
            prop_assert_eq!(chunk.min_ms, samples[0].0);
            prop_assert_eq!(chunk.max_ms, samples[samples.len() - 1].0);
            let read: Vec<(i64, u64)> = super::super::read(chunk.encoding, &chunk.data, 0)
                .unwrap()
                .map(|sample| match sample.unwrap() {
                    crate::Sample { timestamp_ms, value: Value::Float(value), .. } => {
                        (timestamp_ms, value.to_bits())
                    }
                    other => panic!("{other:?}"),
                })
                .collect();
            prop_assert_eq!(read, samples);
        }
    }
}
