//! Compressed frames: a batch's frame within another one, by zstd.
//!
//! ```text
//! compressed = kind:u8 size:varint zstd        ; kind and size of the payload that it stands for
//! ```
//! Rows of a fleet lose a ninth to a tenth of their bytes, for some 15 µs a thousand series: levels
//! above the lowest gain nothing more, faster ones next to nothing. The checksum is the outer
//! frame's. Small payloads, large ones and those that do not shrink are left as they are, so that
//! what a reader has to make room for is bounded.

use std::fmt;

use codec::DecodeError;
use codec::varint::{self, Reader};

use super::frame::{self, Kind};

/// Higher levels take longer and gain nothing on rows.
const LEVEL: i32 = 1;
/// Smaller payloads have nothing that repeats.
const PAYLOAD_BYTES_MIN: usize = 256;
/// Larger ones stay as they are: a target of a million series takes less, and more is not made of
/// damaged bytes.
const PAYLOAD_BYTES_MAX: usize = 4 << 20;

/// Compresses frames; keep one per thread, some 100 KB once it was used.
#[derive(Default)]
pub(crate) struct Compressor {
    zstd: Option<zstd::bulk::Compressor<'static>>,
    bytes: Vec<u8>,
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

impl Compressor {
    /// Appends a whole frame of a batch, compressed if that makes it smaller.
    pub(crate) fn put(&mut self, frame: &[u8], out: &mut Vec<u8>) {
        let payload = &frame[frame::HEADER_BYTES..];
        if !(PAYLOAD_BYTES_MIN..=PAYLOAD_BYTES_MAX).contains(&payload.len())
            || !self.compress(payload)
        {
            return out.extend_from_slice(frame);
        }
        let start = frame::begin(out, Kind::Compressed);
        out.push(frame[1]);
        varint::put(out, payload.len() as u64);
        out.extend_from_slice(&self.bytes);
        if out.len() - start >= frame.len() {
            out.truncate(start);
            return out.extend_from_slice(frame);
        }
        frame::finish(out, start);
    }

    /// Fills `bytes`; false if zstd has no memory.
    fn compress(&mut self, payload: &[u8]) -> bool {
        if self.zstd.is_none() {
            self.zstd = zstd::bulk::Compressor::new(LEVEL).ok();
        }
        self.bytes.clear();
        self.bytes
            .reserve(zstd::zstd_safe::compress_bound(payload.len()));
        let zstd = self.zstd.as_mut();
        zstd.is_some_and(|zstd| zstd.compress_to_buffer(payload, &mut self.bytes).is_ok())
    }
}

/// The payload that a compressed frame stands for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compressed<'a> {
    pub(crate) kind: Kind,
    /// Of the payload, once it is taken out.
    pub(crate) size: usize,
    zstd: &'a [u8],
}

impl<'a> Compressed<'a> {
    /// Reads what a compressed frame says; nothing is taken out.
    pub(crate) fn new(payload: &'a [u8]) -> Result<Compressed<'a>, DecodeError> {
        let reader = &mut Reader::new(payload);
        let kind = Kind::of(reader.byte()?);
        let is_batch = |kind: &Kind| {
            let batches = [Kind::Batch, Kind::LateBatch, Kind::WideBatch];
            batches.contains(kind)
        };
        let kind = kind.filter(is_batch);
        Ok(Compressed {
            kind: kind.ok_or(DecodeError("compressed kind"))?,
            size: reader.count(PAYLOAD_BYTES_MAX)?,
            zstd: reader.rest(),
        })
    }

    /// Takes the payload out: exactly as many bytes as were said.
    pub(crate) fn take_out(&self) -> Result<Vec<u8>, DecodeError> {
        codec::packed::unpack(self.zstd, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::frame::Frames;

    fn frame_of(kind: Kind, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let start = frame::begin(&mut out, kind);
        out.extend_from_slice(payload);
        frame::finish(&mut out, start);
        out
    }

    fn noise(bytes: usize) -> Vec<u8> {
        let mut rng = fastrand::Rng::with_seed(1);
        (0..bytes).map(|_| rng.u8(..)).collect()
    }

    #[test]
    fn batches_come_back() {
        let mut compressor = Compressor::default();
        for (payload, shrinks) in [
            (vec![], false),
            (vec![7; PAYLOAD_BYTES_MIN - 1], false),
            (vec![7; PAYLOAD_BYTES_MIN], true),
            (vec![7; PAYLOAD_BYTES_MAX], true),
            (vec![7; PAYLOAD_BYTES_MAX + 1], false),
            (noise(5_000), false),
        ] {
            for kind in [Kind::Batch, Kind::LateBatch, Kind::WideBatch] {
                let plain = frame_of(kind, &payload);
                // What is in the buffer already stays.
                let mut out = plain.clone();
                compressor.put(&plain, &mut out);
                let frames: Vec<_> = Frames::new(&out, 0).map(Result::unwrap).collect();
                assert_eq!((frames[0].kind, frames[0].payload), (kind, &payload[..]));
                if !shrinks {
                    assert_eq!((frames[1].kind, frames[1].payload), (kind, &payload[..]));
                    continue;
                }
                assert_eq!(frames[1].kind, Kind::Compressed);
                assert!(frames[1].payload.len() < payload.len() / 2);
                let found = Compressed::new(frames[1].payload).unwrap();
                assert_eq!((found.kind, found.size), (kind, payload.len()));
                assert!(found.take_out().unwrap() == payload);
            }
        }
    }

    #[test]
    fn more_or_less_than_was_said_is_refused() {
        let zstd = zstd::bulk::compress(&[7; 1_000], LEVEL).unwrap();
        let of = |kind: Kind, size: u64| {
            let mut out = vec![kind as u8];
            varint::put(&mut out, size);
            out.extend_from_slice(&zstd);
            out
        };
        let taken = |payload: &[u8]| Compressed::new(payload).and_then(|c| c.take_out());
        assert_eq!(taken(&of(Kind::Batch, 1_000)).unwrap().len(), 1_000);
        for size in [0, 999, 1_001] {
            assert!(taken(&of(Kind::Batch, size)).is_err(), "{size}");
        }
        let large = of(Kind::Batch, PAYLOAD_BYTES_MAX as u64 + 1);
        assert!(Compressed::new(&large).is_err(), "no room is made for it");
        for kind in [Kind::Define, Kind::Delete, Kind::Compressed] {
            assert!(Compressed::new(&of(kind, 1_000)).is_err(), "{kind:?}");
        }
        let whole = of(Kind::Batch, 1_000);
        for cut in 0..whole.len() {
            assert!(taken(&whole[..cut]).is_err(), "{cut}");
        }
    }
}
