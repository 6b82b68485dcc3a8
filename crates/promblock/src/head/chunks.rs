//! Head chunks: full chunks of the head, which Prometheus keeps in files instead of memory.
//!
//! ```text
//! file  = 0130bc91 01 000000 { chunk } zeros
//! chunk = series:u64 min:u64 max:u64 encoding:u8 length:uvarint data crc32c   ; crc of all before
//! ```
//! The highest bit of the encoding marks out-of-order samples. Files are made longer than they are
//! used, so that series 0 from 0 to 0 is their end.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crc32c::crc32c;
use disk::{Disk, Mapping};

use crate::bytes::{Cursor, FUZZING};
use crate::chunk::{self, Encoding, Samples};
use crate::error::{Bad, Error};
use crate::segments::{numbered_files, read_header};

/// Folder in a data directory.
const DIR: &str = "chunks_head";
const MAGIC: u32 = 0x0130_bc91;
const VERSION: u8 = 1;
const OUT_OF_ORDER: u8 = 0x80;

/// A chunk in one of the files; its checksum is right.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadChunk {
    file: u32,
    offset: u32,
    length: u32,
    encoding: Encoding,
    pub(super) is_out_of_order: bool,
    pub(super) max_ms: i64,
}

/// All files with their chunks by series.
#[derive(Debug, Default)]
pub(super) struct HeadChunks {
    files: Vec<(PathBuf, Mapping)>,
    pub(super) by_series: HashMap<u64, Vec<HeadChunk>>,
}

impl HeadChunks {
    /// Reads the files up to the first damage, which is added to `damage`: as Prometheus, which
    /// takes what follows from its log.
    pub(super) fn open(
        disk: &dyn Disk,
        data_dir: &Path,
        damage: &mut Vec<Error>,
    ) -> Result<HeadChunks, Error> {
        let dir = data_dir.join(DIR);
        let mut chunks = HeadChunks::default();
        if disk.list(&dir).is_err() {
            return Ok(chunks);
        }
        for (_, path) in numbered_files(disk, &dir)? {
            let mapping = disk.map(&path).map_err(|e| Error::io(&path, e))?;
            // A file that was just made may have nothing in it yet.
            if mapping.is_empty() {
                continue;
            }
            chunks.files.push((path.clone(), mapping.clone()));
            if let Err(bad) = chunks.read_file(&mapping) {
                damage.push(bad.of(&path));
                break;
            }
        }
        Ok(chunks)
    }

    fn read_file(&mut self, file: &[u8]) -> Result<(), Bad> {
        let number = (self.files.len() - 1) as u32;
        if read_header(file, MAGIC)? != VERSION {
            let what = "unknown version of head chunks";
            return Err(Bad { what, offset: 4 });
        }
        let mut cursor = Cursor::at(file, 8)?;
        while !cursor.is_empty() {
            let rest = &file[cursor.offset() as usize..];
            if rest.iter().take(24).all(|byte| *byte == 0) {
                break;
            }
            let (series, chunk) = read_chunk(&mut cursor, file, number)?;
            self.by_series.entry(series).or_default().push(chunk);
        }
        Ok(())
    }

    /// The samples of a chunk.
    pub(super) fn samples(&self, chunk: HeadChunk) -> Result<Samples<'_>, Error> {
        let (path, file) = &self.files[chunk.file as usize];
        let start = chunk.offset as usize;
        let data = &file[start..start + chunk.length as usize];
        chunk::read(chunk.encoding, data, start as u64).map_err(|bad| bad.of(path))
    }

    /// The file that a chunk is in.
    pub(super) fn path_of(&self, chunk: HeadChunk) -> &Path {
        &self.files[chunk.file as usize].0
    }
}

fn read_chunk(cursor: &mut Cursor<'_>, file: &[u8], number: u32) -> Result<(u64, HeadChunk), Bad> {
    let place = *cursor;
    let series = cursor.be64()?;
    let (_min_ms, max_ms) = (cursor.be64()?, cursor.be64()? as i64);
    let encoding = cursor.u8()?;
    let length = cursor.count(1)?;
    let offset = cursor.offset();
    cursor.take(length)?;
    let whole = &file[place.offset() as usize..cursor.offset() as usize];
    if cursor.be32()? != crc32c(whole) && !FUZZING {
        return Err(place.bad("checksum does not match"));
    }
    let (Ok(offset), Ok(length)) = (u32::try_from(offset), u32::try_from(length)) else {
        return Err(place.bad("file exceeds 4 GiB"));
    };
    let chunk = HeadChunk {
        file: number,
        offset,
        length,
        encoding: Encoding::of(encoding & !OUT_OF_ORDER)
            .ok_or(place.bad("unknown chunk encoding"))?,
        is_out_of_order: encoding & OUT_OF_ORDER != 0,
        max_ms,
    };
    Ok((series, chunk))
}
