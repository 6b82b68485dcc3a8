//! Bytes that all files of a block have in common: heads, checked pages, packed sections.

use std::io;
use std::path::Path;
use std::sync::Arc;

use codec::DecodeError;
use codec::varint::{self, Reader};
use disk::{Disk, DiskFile, Mapping};

use super::BlockError;
use super::chunk_page::CHUNKS_HEADER;
use crate::wal::frame::FUZZING;

/// The version of the format that this program writes.
pub(crate) const FORMAT_VERSION: u64 = 6;
/// From which version on chunks of the head may be linked.
pub(crate) const LINKS_VERSION: u64 = 4;
/// From which version on a page of label sets has 64 series, read one by one.
pub(crate) const SMALL_PAGES_VERSION: u64 = 5;
/// From which version on columns of linked chunks may lie behind tables.
pub(crate) const INDEXED_VERSION: u64 = 6;
/// The oldest version that it reads. Version 2 has pages in which columns follow from others.
pub(crate) const FORMAT_VERSION_MIN: u64 = 1;

/// How a file of a block begins: eight bytes of name, then the version.
pub(crate) const DATA_MAGIC: &[u8; 8] = b"PromtryD";
/// The same for the index.
pub(crate) const INDEX_MAGIC: &[u8; 8] = b"PromtryI";
/// Bytes of the head.
pub(crate) const HEAD_BYTES: usize = 16;
/// Bytes of a checksum.
pub(crate) const CHECK_BYTES: usize = 4;

/// Most bytes that a packed section may have unpacked. The tables of a block of ten million
/// series take about 20 MB.
const SECTION_BYTES_MAX: usize = 1 << 30;

/// Writes are gathered up to this size: one system call for some pages.
const BUFFER_BYTES: usize = 256 << 10;

/// A new file, written through a buffer.
#[derive(Debug)]
pub(crate) struct FileWriter {
    file: Arc<dyn DiskFile>,
    path: std::path::PathBuf,
    buffer: Vec<u8>,
    written: u64,
}

impl FileWriter {
    /// Creates the file and writes its head.
    pub(crate) fn create(
        disk: &dyn Disk,
        path: &Path,
        magic: &[u8; 8],
    ) -> Result<FileWriter, BlockError> {
        let file = disk.create(path).map_err(BlockError::io("create", path))?;
        let mut writer = FileWriter {
            file,
            path: path.to_owned(),
            buffer: Vec::with_capacity(BUFFER_BYTES + (64 << 10)),
            written: 0,
        };
        writer.buffer.extend_from_slice(magic);
        writer
            .buffer
            .extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        Ok(writer)
    }

    /// Where the next byte goes.
    pub(crate) fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Appends what `fill` writes, and its checksum; gives the bytes of both.
    pub(crate) fn page(&mut self, fill: impl FnOnce(&mut Vec<u8>)) -> Result<usize, BlockError> {
        let start = self.buffer.len();
        fill(&mut self.buffer);
        let check = crc32c::crc32c(&self.buffer[start..]);
        self.buffer.extend_from_slice(&check.to_le_bytes());
        let size = self.buffer.len() - start;
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(size)
    }

    fn flush(&mut self) -> Result<(), BlockError> {
        self.file
            .append(&self.buffer)
            .map_err(BlockError::io("write", &self.path))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Brings everything to the medium.
    pub(crate) fn finish(mut self) -> Result<(), BlockError> {
        self.flush()?;
        self.file.sync().map_err(BlockError::io("sync", &self.path))
    }
}

/// The pages of a mapped file.
#[derive(Debug, Clone)]
pub(crate) struct FileReader {
    bytes: Mapping,
}

impl FileReader {
    /// Maps the file and checks its head.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: &Path,
        magic: &[u8; 8],
    ) -> Result<FileReader, BlockError> {
        let bytes = map(disk, path)?;
        let corrupt = |what: &str| corrupt(path, what);
        let head = bytes.get(..HEAD_BYTES).ok_or_else(|| corrupt("no head"))?;
        if &head[..8] != magic {
            return Err(corrupt("not a file of a block"));
        }
        let version = u64::from_le_bytes(head[8..].try_into().expect("eight bytes"));
        if !(FORMAT_VERSION_MIN..=FORMAT_VERSION).contains(&version) {
            return Err(BlockError::Version {
                path: path.to_owned(),
                version,
            });
        }
        Ok(FileReader { bytes })
    }

    /// Maps a linked file of chunks.
    pub(crate) fn open_linked(disk: &dyn Disk, path: &Path) -> Result<FileReader, BlockError> {
        let bytes = map(disk, path)?;
        match bytes.starts_with(CHUNKS_HEADER) {
            true => Ok(FileReader { bytes }),
            false => Err(corrupt(path, "not a file of chunks")),
        }
    }

    /// `size` bytes at `offset` of a linked file, whose checksum is verified.
    pub(crate) fn linked(
        &self,
        offset: u64,
        size: usize,
        check: u32,
    ) -> Result<&[u8], DecodeError> {
        let bytes = self.bytes_at(offset, size)?;
        if crc32c::crc32c(bytes) != check && !FUZZING {
            return Err(DecodeError("checksum"));
        }
        Ok(bytes)
    }

    /// As [`FileReader::linked`], for bytes that were verified since the file was opened.
    pub(crate) fn bytes_at(&self, offset: u64, size: usize) -> Result<&[u8], DecodeError> {
        let start = usize::try_from(offset).map_err(|_| DecodeError("page offset"))?;
        let end = start.checked_add(size).ok_or(DecodeError("page offset"))?;
        self.bytes.get(start..end).ok_or(DecodeError("page offset"))
    }

    /// Gives the memory that reading took back to the system.
    pub(crate) fn release(&self) {
        self.bytes.release(0..self.bytes.len());
    }

    /// The version that the head says, one that is known.
    pub(crate) fn version(&self) -> u64 {
        let version = self.bytes[8..HEAD_BYTES].try_into();
        u64::from_le_bytes(version.expect("the head was there when the file was opened"))
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The page of `size` bytes at `offset`, without its checksum, which is verified.
    pub(crate) fn page(&self, offset: u64, size: usize) -> Result<&[u8], DecodeError> {
        let (page, check) = self.split(offset, size)?;
        if crc32c::crc32c(page) != u32::from_le_bytes(*check) && !FUZZING {
            return Err(DecodeError("checksum"));
        }
        Ok(page)
    }

    /// As [`FileReader::page`], for a page whose checksum was verified since the file was opened.
    pub(crate) fn page_again(&self, offset: u64, size: usize) -> Result<&[u8], DecodeError> {
        self.split(offset, size).map(|(page, _)| page)
    }

    fn split(&self, offset: u64, size: usize) -> Result<(&[u8], &[u8; CHECK_BYTES]), DecodeError> {
        let bytes = self.bytes_at(offset, size)?;
        bytes.split_last_chunk().ok_or(DecodeError("page size"))
    }
}

fn corrupt(path: &Path, what: &str) -> BlockError {
    BlockError::Corrupt {
        path: path.to_owned(),
        what: what.to_owned(),
    }
}

/// Maps a file of a block: one that is missing is damage.
fn map(disk: &dyn Disk, path: &Path) -> Result<Mapping, BlockError> {
    disk.map(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => corrupt(path, "the file is missing"),
        _ => BlockError::io("open", path)(source),
    })
}

/// Appends `raw` packed: its size and a zstd frame.
pub(crate) fn pack(raw: &[u8], level: i32, out: &mut Vec<u8>) {
    varint::put(out, raw.len() as u64);
    match zstd::bulk::compress(raw, level) {
        Ok(packed) if packed.len() < raw.len() => {
            out.push(1);
            out.extend_from_slice(&packed);
        }
        // Without compression the bytes are as good.
        _ => {
            out.push(0);
            out.extend_from_slice(raw);
        }
    }
}

/// The opposite of [`pack`]: all of `bytes`.
pub(crate) fn unpack(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let size = reader.count(SECTION_BYTES_MAX)?;
    let packed = reader.byte()?;
    if packed == 0 {
        return Ok(reader.take(size)?.to_vec());
    }
    codec::packed::unpack(reader.rest(), size).map_err(|_| DecodeError("packed section"))
}

/// Text that [`varint::put_bytes`] wrote.
pub(crate) fn text<'a>(reader: &mut Reader<'a>) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(reader.bytes()?).map_err(|_| DecodeError("text"))
}
