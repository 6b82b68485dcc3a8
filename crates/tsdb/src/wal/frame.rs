//! Frames: how records lie in log segments, checkpoints and chunk files.
//!
//! ```text
//! frame = marker kind length:u32 crc:u32 payload       ; numbers little-endian
//! ```
//! The checksum (CRC32C) covers kind, length and payload. A reader that meets bytes which are no
//! frame looks for the next place where one begins, so that damage costs the frames that it lies
//! in and no other.

use std::ops::Range;

use crc32c::{crc32c, crc32c_append};

/// First byte of every frame.
const MARKER: u8 = 0xf1;
/// Bytes before the payload.
pub(crate) const HEADER_BYTES: usize = 10;
/// Larger payloads are not written: a batch of ten million samples takes less.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 1 << 28;

/// Checksums are not compared in a fuzzer's build: it could not guess one, and the question is what
/// the code behind makes of bytes that pass.
#[allow(unexpected_cfgs, reason = "set by `cargo xtask fuzz`")]
pub(crate) const FUZZING: bool = cfg!(fuzzing);

/// What a frame holds. Kinds that a reader does not know are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A group and some of its series.
    Define = 1,
    /// A batch of samples.
    Batch = 2,
    /// A sealed chunk of a group, its columns behind their lengths; read only.
    Chunk = 3,
    /// The last frame of a checkpoint.
    End = 4,
    /// A batch with late samples, or late samples that a checkpoint keeps.
    LateBatch = 5,
    /// Late samples that are in blocks.
    LateDone = 6,
    /// Deleted samples.
    Delete = 7,
    /// A batch with histograms or starts of counters.
    WideBatch = 8,
    /// The same with histograms or starts of counters; read only.
    WideChunk = 9,
    /// Exemplars with the labels of their series.
    Exemplars = 10,
    /// Type, help and unit of series, with their labels.
    Metadata = 11,
    /// A batch, compressed (`super::compressed`).
    Compressed = 12,
    /// A sealed chunk of a group, its columns behind tables.
    IndexedChunk = 13,
    /// The same with histograms or starts of counters.
    WideIndexedChunk = 14,
}

impl Kind {
    /// Whether it is a chunk of whatever layout.
    pub(crate) fn is_chunk(self) -> bool {
        use Kind::{Chunk, IndexedChunk, WideChunk, WideIndexedChunk};
        matches!(self, Chunk | WideChunk | IndexedChunk | WideIndexedChunk)
    }

    pub(super) fn of(byte: u8) -> Option<Kind> {
        let all = [
            Kind::Define,
            Kind::Batch,
            Kind::Chunk,
            Kind::End,
            Kind::LateBatch,
            Kind::LateDone,
            Kind::Delete,
            Kind::WideBatch,
            Kind::WideChunk,
            Kind::Exemplars,
            Kind::Metadata,
            Kind::Compressed,
            Kind::IndexedChunk,
            Kind::WideIndexedChunk,
        ];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Begins a frame at the end of `out`; the caller adds the payload and calls [`finish`].
pub(crate) fn begin(out: &mut Vec<u8>, kind: Kind) -> usize {
    let start = out.len();
    out.extend_from_slice(&[MARKER, kind as u8, 0, 0, 0, 0, 0, 0, 0, 0]);
    start
}

/// Fills in length and checksum of the frame that began at `start`.
pub(crate) fn finish(out: &mut [u8], start: usize) {
    let length = (out.len() - start - HEADER_BYTES) as u32;
    out[start + 2..start + 6].copy_from_slice(&length.to_le_bytes());
    let crc = checksum(&out[start..]);
    out[start + 6..start + 10].copy_from_slice(&crc.to_le_bytes());
}

fn checksum(frame: &[u8]) -> u32 {
    crc32c_append(crc32c(&frame[1..6]), &frame[HEADER_BYTES..])
}

/// A frame that was found whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    /// Where the payload begins in the file.
    pub(crate) at: usize,
    pub(crate) payload: &'a [u8],
}

/// Reads frames one after the other. `Err` is a stretch of bytes that are no frame.
#[derive(Debug)]
pub(crate) struct Frames<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Frames<'a> {
    /// Frames of `bytes` from offset `at`.
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Frames<'a> {
        Frames { bytes, at }
    }

    fn length_at(&self, at: usize) -> Option<(Kind, usize)> {
        let header = self.bytes.get(at..at + HEADER_BYTES)?;
        let kind = Kind::of(header[1]).filter(|_| header[0] == MARKER)?;
        let length = u32::from_le_bytes(header[2..6].try_into().expect("four bytes")) as usize;
        let fits = length <= self.bytes.len() - at - HEADER_BYTES;
        fits.then_some((kind, length))
    }

    fn frame_at(&self, at: usize) -> Option<Frame<'a>> {
        let (kind, length) = self.length_at(at)?;
        let frame = &self.bytes[at..at + HEADER_BYTES + length];
        let crc = u32::from_le_bytes(frame[6..10].try_into().expect("four bytes"));
        (checksum(frame) == crc || FUZZING).then(|| Frame {
            kind,
            at: at + HEADER_BYTES,
            payload: &frame[HEADER_BYTES..],
        })
    }

    /// Where the next whole frame begins. The damaged frame's length is not asked: it may be what
    /// is damaged. Texts inside a payload cannot look like a frame, as the marker and a kind are
    /// no UTF-8.
    fn resync(&self) -> Option<usize> {
        let rest = self.at + 1..self.bytes.len();
        rest.into_iter()
            .find(|&at| self.bytes[at] == MARKER && self.frame_at(at).is_some())
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, Range<usize>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        if let Some(frame) = self.frame_at(self.at) {
            self.at = frame.at + frame.payload.len();
            return Some(Ok(frame));
        }
        let from = self.at;
        self.at = self.resync().unwrap_or(self.bytes.len());
        Some(Err(from..self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice::from_ref;

    fn file(payloads: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        for payload in payloads {
            let start = begin(&mut out, Kind::Batch);
            out.extend_from_slice(payload);
            finish(&mut out, start);
        }
        out
    }

    fn read(bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<Range<usize>>) {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for frame in Frames::new(bytes, 0) {
            match frame {
                Ok(frame) => good.push(frame.payload.to_vec()),
                Err(range) => bad.push(range),
            }
        }
        (good, bad)
    }

    #[test]
    fn damage_costs_its_frame_only() {
        let payloads: [&[u8]; 4] = [b"first", b"", b"\xf1\x02 not a frame", b"last"];
        let bytes = file(&payloads);
        assert_eq!(
            read(&bytes),
            (payloads.map(<[u8]>::to_vec).to_vec(), vec![])
        );
        let mut starts = vec![0];
        for payload in payloads {
            starts.push(starts.last().unwrap() + HEADER_BYTES + payload.len());
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                let hit = starts.iter().rposition(|&s| s <= at).unwrap();
                let mut want: Vec<_> = payloads.iter().map(|p| p.to_vec()).collect();
                want.remove(hit);
                let (good, bad) = read(&bytes);
                assert_eq!(
                    (good, bad),
                    (want, from_ref(&(starts[hit]..starts[hit + 1])).to_vec()),
                    "{at}:{bit}"
                );
            }
        }
    }

    #[test]
    fn a_torn_tail_is_one_gap() {
        let bytes = file(&[b"one", b"two"]);
        for cut in HEADER_BYTES + 4..bytes.len() {
            let (good, bad) = read(&bytes[..cut]);
            assert_eq!(
                (good.len(), bad),
                (1, from_ref(&(HEADER_BYTES + 3..cut)).to_vec())
            );
        }
    }
}
