//! Numbers and texts as Go's `encoding/binary` lays them out: big-endian, varints as in protobuf.

use codec::varint::{Reader, unzigzag};
use crc32c::crc32c;

use crate::error::Bad;

/// Checksums are not compared in a fuzzer's build: it could not guess one, and the question is what
/// the code behind makes of bytes that pass.
#[allow(unexpected_cfgs, reason = "set by `cargo xtask fuzz`")]
pub(crate) const FUZZING: bool = cfg!(fuzzing);

/// Reads from the front of a part of a file and knows where in the file it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    /// Where `rest` begins in the file.
    offset: u64,
}

impl<'a> Cursor<'a> {
    /// Reads `bytes`, which begin at `offset` of their file.
    pub(crate) fn new(bytes: &'a [u8], offset: u64) -> Cursor<'a> {
        Cursor {
            rest: bytes,
            offset,
        }
    }

    /// Reads a whole file from `offset` on.
    pub(crate) fn at(file: &'a [u8], offset: u64) -> Result<Cursor<'a>, Bad> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|at| file.get(at..))
            .ok_or(Bad {
                what: "reference beyond the end",
                offset,
            })?;
        Ok(Cursor { rest, offset })
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// An error at this place.
    pub(crate) fn bad(&self, what: &'static str) -> Bad {
        Bad {
            what,
            offset: self.offset,
        }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Bad> {
        let (head, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(self.bad("unexpected end"))?;
        self.rest = rest;
        self.offset += count as u64;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Bad> {
        let bytes = self.take(N)?;
        Ok(bytes.try_into().expect("take gives as many as asked"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Bad> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn be16(&mut self) -> Result<u16, Bad> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn be32(&mut self) -> Result<u32, Bad> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn be64(&mut self) -> Result<u64, Bad> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn f64(&mut self) -> Result<f64, Bad> {
        Ok(f64::from_bits(self.be64()?))
    }

    pub(crate) fn uvarint(&mut self) -> Result<u64, Bad> {
        let mut reader = Reader::new(self.rest);
        let value = reader.varint().map_err(|_| self.bad("bad varint"))?;
        let used = self.rest.len() - reader.rest().len();
        self.rest = reader.rest();
        self.offset += used as u64;
        Ok(value)
    }

    pub(crate) fn varint(&mut self) -> Result<i64, Bad> {
        Ok(unzigzag(self.uvarint()?))
    }

    /// A count of things that take at least `bytes_each` bytes each: no more than can follow, so
    /// that allocating for them is bounded by the file.
    pub(crate) fn count(&mut self, bytes_each: usize) -> Result<usize, Bad> {
        let place = *self;
        let count = self.uvarint()?;
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= self.rest.len() / bytes_each.max(1))
            .ok_or(place.bad("count larger than what follows"))
    }

    /// A length as uvarint and as many bytes of UTF-8.
    pub(crate) fn text(&mut self) -> Result<&'a str, Bad> {
        let length = self.count(1)?;
        let place = *self;
        std::str::from_utf8(self.take(length)?).map_err(|_| place.bad("text is not UTF-8"))
    }

    /// Skips what [`Cursor::text`] reads.
    pub(crate) fn skip_text(&mut self) -> Result<(), Bad> {
        let length = self.count(1)?;
        self.take(length).map(drop)
    }

    /// A body of `length` bytes and its checksum.
    pub(crate) fn checked(&mut self, length: usize) -> Result<Cursor<'a>, Bad> {
        let place = *self;
        let body = self.take(length)?;
        if self.be32()? != crc32c(body) && !FUZZING {
            return Err(place.bad("checksum does not match"));
        }
        Ok(Cursor {
            rest: body,
            offset: place.offset,
        })
    }

    /// A section of an index: length in four bytes, body, checksum.
    pub(crate) fn section(&mut self) -> Result<Cursor<'a>, Bad> {
        let length = self.be32()?;
        self.checked(length as usize)
    }
}

/// Appends a length as uvarint and the text.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    codec::varint::put_bytes(out, text.as_bytes());
}

/// Appends what [`Cursor::section`] reads.
pub(crate) fn put_section(out: &mut Vec<u8>, body: &[u8]) -> Result<(), &'static str> {
    let length = u32::try_from(body.len()).map_err(|_| "section exceeds 4 GiB")?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(&crc32c(body).to_be_bytes());
    Ok(())
}
