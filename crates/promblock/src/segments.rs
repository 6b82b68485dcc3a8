//! The chunk files of a block: where its samples are.
//!
//! ```text
//! segment = 85bd40dd 01 000000 { length:uvarint encoding:u8 data crc32c }   ; crc of encoding, data
//! ```
//! A reference is the file's place in the list of files, from 0, and the offset in it.

use std::path::{Path, PathBuf};

use crc32c::{crc32c, crc32c_append};
use disk::{Disk, Mapping};

use crate::bytes::{Cursor, FUZZING};
use crate::chunk::{self, Encoding, Samples};
use crate::error::{Bad, Error};

/// Folder in a block.
pub(crate) const DIR: &str = "chunks";
pub(crate) const MAGIC: u32 = 0x85bd_40dd;
pub(crate) const VERSION: u8 = 1;
/// Magic number, version, padding.
pub(crate) const HEADER_BYTES: u64 = 8;

/// Files with a number for a name in `dir`, in the order of the numbers.
pub(crate) fn numbered_files(disk: &dyn Disk, dir: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let entries = disk.list(dir).map_err(|e| Error::io(dir, e))?;
    let mut files: Vec<(u64, PathBuf)> = entries
        .iter()
        .filter(|entry| !entry.is_dir)
        .filter_map(|entry| Some((entry.name.parse().ok()?, dir.join(&entry.name))))
        .collect();
    files.sort();
    Ok(files)
}

/// The open chunk files of a block.
#[derive(Debug)]
pub(crate) struct Segments(Vec<(PathBuf, Mapping)>);

impl Segments {
    pub(crate) fn open(disk: &dyn Disk, block: &Path) -> Result<Segments, Error> {
        let mut segments = Vec::new();
        for (_, path) in numbered_files(disk, &block.join(DIR))? {
            let mapping = disk.map(&path).map_err(|e| Error::io(&path, e))?;
            let version = read_header(&mapping, MAGIC).map_err(|bad| bad.of(&path))?;
            if version != VERSION {
                let what = format!("chunk file version {version}");
                return Err(Error::Unsupported { path, what });
            }
            segments.push((path, mapping));
        }
        Ok(Segments(segments))
    }

    /// The file that `reference` points into.
    pub(crate) fn path_of(&self, reference: u64) -> Option<&Path> {
        let (path, _) = self.0.get((reference >> 32) as usize)?;
        Some(path)
    }

    /// The samples of a chunk, whose checksum is right. `Err` names no file if there is none.
    pub(crate) fn samples(&self, reference: u64) -> Result<Samples<'_>, Bad> {
        let offset = reference & u64::from(u32::MAX);
        let (_, file) = self.0.get((reference >> 32) as usize).ok_or(Bad {
            what: "chunk in a file that is not there",
            offset,
        })?;
        let mut cursor = Cursor::at(file, offset)?;
        let length = cursor.count(1)?;
        let place = cursor;
        let encoding = cursor.u8()?;
        let data_offset = cursor.offset();
        let data = cursor.take(length)?;
        if cursor.be32()? != crc32c_append(crc32c(&[encoding]), data) && !FUZZING {
            return Err(place.bad("checksum does not match"));
        }
        let encoding = Encoding::of(encoding).ok_or(place.bad("unknown chunk encoding"))?;
        chunk::read(encoding, data, data_offset)
    }
}

/// Checks the magic number and gives the version that follows it.
pub(crate) fn read_header(file: &[u8], magic: u32) -> Result<u8, Bad> {
    let mut cursor = Cursor::new(file, 0);
    let place = cursor;
    if cursor.be32()? != magic {
        return Err(place.bad("wrong magic number"));
    }
    let version = cursor.u8()?;
    cursor.take(3)?;
    Ok(version)
}
