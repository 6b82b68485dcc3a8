//! Where the body goes: checked against its bounds and unpacked while it arrives.

use flate2::{Decompress, FlushDecompress, Status};

use crate::Error;

/// Packed bytes that may come on top of the bound of the unpacked ones: what packing may add to a
/// body, and no more, since packed bytes may also unpack to nothing, endlessly.
const PACKED_EXTRA_BYTES_MAX: u64 = 64 << 10;

/// What is reserved at once because of a `Content-Length`, at most: the rest has to arrive first.
const RESERVE_BYTES_MAX: u64 = 16 << 20;

/// The smallest room that is made for unpacked bytes.
const ROOM_BYTES_MIN: usize = 16 << 10;

/// Takes the bytes of a body as they arrive.
pub(crate) struct BodySink<'a> {
    out: &'a mut Vec<u8>,
    bytes_max: u64,
    packed_bytes: u64,
    gzip: Option<Gzip>,
}

struct Gzip {
    decoder: Decompress,
    /// Whether the last byte that came ended a member.
    between_members: bool,
}

impl<'a> BodySink<'a> {
    /// A body of `length` bytes, if that is known, that must stay below `bytes_max` unpacked.
    pub(crate) fn new(
        out: &'a mut Vec<u8>,
        bytes_max: u64,
        length: Option<u64>,
        gzip: bool,
    ) -> BodySink<'a> {
        let reserve = length.unwrap_or(0).min(bytes_max).min(RESERVE_BYTES_MAX);
        out.reserve(usize::try_from(reserve).unwrap_or(0));
        BodySink {
            out,
            bytes_max,
            packed_bytes: 0,
            gzip: gzip.then(|| Gzip {
                // 15 bits of window: what gzip always has.
                decoder: Decompress::new_gzip(15),
                between_members: false,
            }),
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.packed_bytes += bytes.len() as u64;
        if self.packed_bytes >= self.bytes_max.saturating_add(PACKED_EXTRA_BYTES_MAX) {
            return Err(Error::BodySizeLimit);
        }
        match &mut self.gzip {
            None => {
                if self.out.len() as u64 + bytes.len() as u64 >= self.bytes_max {
                    return Err(Error::BodySizeLimit);
                }
                self.out.extend_from_slice(bytes);
                Ok(())
            }
            Some(gzip) => gzip.push(bytes, self.out, self.bytes_max),
        }
    }

    /// Says that the body is complete.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match &self.gzip {
            Some(_) if self.packed_bytes == 0 => Err(Error::Body("EOF".to_owned())),
            Some(gzip) if !gzip.between_members => Err(Error::Body("unexpected EOF".to_owned())),
            _ => Ok(()),
        }
    }
}

impl Gzip {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>, bytes_max: u64) -> Result<(), Error> {
        let mut rest = bytes;
        loop {
            if self.between_members {
                if rest.is_empty() {
                    return Ok(());
                }
                self.decoder.reset(true);
                self.between_members = false;
            }
            make_room(out, bytes_max);
            let read_before = self.decoder.total_in();
            let status = self
                .decoder
                .decompress_vec(rest, out, FlushDecompress::None)
                .map_err(|error| self.corrupt(error.message().unwrap_or_default()))?;
            let read = self.decoder.total_in() - read_before;
            rest = &rest[usize::try_from(read).unwrap_or(rest.len()).min(rest.len())..];
            if out.len() as u64 >= bytes_max {
                return Err(Error::BodySizeLimit);
            }
            let out_is_full = out.len() == out.capacity();
            match status {
                Status::StreamEnd => self.between_members = true,
                _ if rest.is_empty() && !out_is_full => return Ok(()),
                // Neither reads nor writes although it could: cannot go on.
                Status::BufError if read == 0 && !out_is_full => {
                    return Err(self.corrupt(""));
                }
                Status::Ok | Status::BufError => {}
            }
        }
    }

    fn corrupt(&self, message: &str) -> Error {
        Error::Body(match message {
            "incorrect header check"
            | "unknown compression method"
            | "unknown header flags set"
            | "header crc mismatch" => "gzip: invalid header".to_owned(),
            "incorrect data check" | "incorrect length check" => {
                "gzip: invalid checksum".to_owned()
            }
            _ => format!(
                "flate: corrupt input before offset {}",
                self.decoder.total_in()
            ),
        })
    }
}

/// Leaves some capacity beyond the length, doubling it, but not far beyond `bytes_max`.
fn make_room(out: &mut Vec<u8>, bytes_max: u64) {
    if out.len() < out.capacity() {
        return;
    }
    let left = usize::try_from(bytes_max - (out.len() as u64).min(bytes_max)).unwrap_or(usize::MAX);
    out.reserve_exact(out.len().clamp(ROOM_BYTES_MIN, left.max(ROOM_BYTES_MIN)));
}
