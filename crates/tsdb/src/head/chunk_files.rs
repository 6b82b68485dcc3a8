//! The files that sealed chunks go to, so that they need no memory.
//!
//! Chunks are frames, as in the log, and are read through a mapping. A file has chunks of one
//! block's span of time, because the block links the file; it is full at [`FILE_BYTES_MAX`] or when
//! a block is written, and is removed when all its chunks are in blocks. Nothing is synced here: the
//! log keeps what is not synced (`Head::truncate_wal`). A
//! chunk that cannot be written stays in memory and is written later.

use std::collections::BTreeMap;
use std::io;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::{Disk, DiskFile, Mapping};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::chunk::ChunkHead;
use crate::block::chunk_page::CHUNKS_HEADER;
use crate::sync::Mutex;
use crate::wal::frame::{self, Frames};

/// Small enough that old files go soon, large enough that there are few.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Files that are written at a time: the span of now, the one before, and some that idle groups
/// end in.
const OPEN_FILES_MAX: usize = 4;

/// A file of chunks.
#[derive(Debug)]
pub(crate) struct ChunkFile {
    number: u64,
    path: PathBuf,
    /// A mapping of at least what was read so far.
    mapping: Mutex<Option<Mapping>>,
}

impl ChunkFile {
    /// A mapping that reaches to `end`.
    fn map(&self, disk: &dyn Disk, end: usize) -> io::Result<Mapping> {
        let mut mapping = self.mapping.lock();
        if let Some(mapping) = mapping.as_ref().filter(|m| m.len() >= end) {
            return Ok(mapping.clone());
        }
        let fresh = disk.map(&self.path)?;
        if fresh.len() < end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *mapping = Some(fresh.clone());
        Ok(fresh)
    }
}

#[derive(Debug, Clone)]
enum Place {
    Memory(Mapping),
    File(Arc<ChunkFile>, Range<usize>),
}

/// A sealed chunk.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) head: ChunkHead,
    place: Place,
}

impl Chunk {
    /// Whether it is in a file.
    pub(crate) fn is_saved(&self) -> bool {
        matches!(self.place, Place::File(..))
    }

    /// The file that it is in, and where its payload begins there.
    pub(crate) fn file(&self) -> Option<(&Path, u64)> {
        match &self.place {
            Place::File(file, range) => Some((&file.path, range.start as u64)),
            Place::Memory(_) => None,
        }
    }

    /// Bytes that it holds in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        match &self.place {
            Place::Memory(bytes) => bytes.len(),
            Place::File(..) => 0,
        }
    }
}

/// The bytes of a chunk.
#[derive(Debug, Clone)]
pub(crate) struct ChunkBytes {
    mapping: Mapping,
    range: Range<usize>,
}

impl ChunkBytes {
    /// Whether the frame of a chunk that lies in a file is as it was written.
    pub(crate) fn is_intact(&self) -> bool {
        let from = self.range.start.checked_sub(frame::HEADER_BYTES);
        let found = from.and_then(|from| {
            let frame = self.mapping.get(from..self.range.end)?;
            Frames::new(frame, 0).next()
        });
        matches!(found, Some(Ok(frame)) if frame.payload.len() == self.range.len())
    }

    /// Gives the memory that reading the chunk took back to the system, and what came with it.
    pub(crate) fn release(&self) {
        let from = self.range.start.saturating_sub(FETCHED_BYTES);
        self.mapping.release(from..self.range.end + FETCHED_BYTES);
    }
}

/// The system maps so many bytes around those that are read, if it has them.
const FETCHED_BYTES: usize = 64 << 10;

impl Deref for ChunkBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.mapping[self.range.clone()]
    }
}

#[derive(Debug, Default)]
struct Writer {
    number: u64,
    /// Files that chunks are added to, by span of time.
    open: BTreeMap<i64, OpenFile>,
    unsynced: Vec<Arc<dyn DiskFile>>,
    dir_unsynced: bool,
    /// Where the last chunk of each file ends.
    ends: BTreeMap<u64, u64>,
}

#[derive(Debug)]
struct OpenFile {
    length: u64,
    file: Arc<dyn DiskFile>,
    chunk_file: Arc<ChunkFile>,
}

impl Writer {
    /// Lets the next chunk of a span begin a new file.
    fn close(&mut self, span: i64) {
        let before = self.open.remove(&span);
        self.unsynced.extend(before.map(|open| open.file));
    }
}

/// All files of chunks.
#[derive(Debug)]
pub(crate) struct ChunkFiles {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// How long a block's span is.
    range_ms: i64,
    writer: Mutex<Writer>,
}

/// What was found at start.
#[derive(Debug, Default)]
pub(crate) struct FoundChunks {
    pub(crate) chunks: Vec<Arc<Chunk>>,
    /// Stretches of bytes that were no chunk, the ends of files apart.
    pub(crate) corruptions: u64,
    /// Numbers of files, and where the last whole record of each ends.
    ends: Vec<(u64, u64)>,
}

impl ChunkFiles {
    /// Files in `dir`, which exists, for blocks of `range_ms`.
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: PathBuf, range_ms: i64) -> ChunkFiles {
        ChunkFiles {
            disk,
            dir,
            range_ms,
            writer: Mutex::default(),
        }
    }

    /// The folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A chunk from the payload of a frame; written if the disk takes it.
    pub(crate) fn add(&self, frame: &[u8], head: ChunkHead) -> Chunk {
        let place = match self.append(frame, head.min_ms) {
            Ok((file, at)) => Place::File(file, at + frame::HEADER_BYTES..at + frame.len()),
            Err(error) => {
                tracing::warn!(%error, "A chunk cannot be written and stays in memory");
                Place::Memory(Mapping::held(frame[frame::HEADER_BYTES..].to_vec()))
            }
        };
        Chunk { head, place }
    }

    /// Tries again to write a chunk that is in memory only.
    pub(crate) fn save(&self, chunk: &Chunk) -> io::Result<Chunk> {
        let Place::Memory(bytes) = &chunk.place else {
            let (head, place) = (chunk.head.clone(), chunk.place.clone());
            return Ok(Chunk { head, place });
        };
        let mut frame = Vec::with_capacity(frame::HEADER_BYTES + bytes.len());
        let start = frame::begin(&mut frame, chunk.head.kind());
        frame.extend_from_slice(bytes);
        frame::finish(&mut frame, start);
        let (file, at) = self.append(&frame, chunk.head.min_ms)?;
        let place = Place::File(file, at + frame::HEADER_BYTES..at + frame.len());
        let head = chunk.head.clone();
        Ok(Chunk { head, place })
    }

    fn append(&self, frame: &[u8], min_ms: i64) -> io::Result<(Arc<ChunkFile>, usize)> {
        let mut writer = self.writer.lock();
        let writer = &mut *writer;
        let span = min_ms.div_euclid(self.range_ms);
        let fits = |open: &OpenFile| open.length + frame.len() as u64 <= FILE_BYTES_MAX;
        if !writer.open.get(&span).is_some_and(fits) {
            self.begin_file(writer, span)?;
        }
        let open = writer.open.get_mut(&span);
        let open = open.ok_or(io::ErrorKind::NotFound)?;
        let at = open.length;
        if let Err(error) = open.file.append(frame) {
            if open.file.truncate(at).is_err() {
                writer.close(span);
            }
            return Err(error);
        }
        open.length += frame.len() as u64;
        writer.ends.insert(open.chunk_file.number, open.length);
        Ok((Arc::clone(&open.chunk_file), at as usize))
    }

    /// Begins the file of a span of time.
    fn begin_file(&self, writer: &mut Writer, span: i64) -> io::Result<()> {
        writer.close(span);
        while writer.open.len() >= OPEN_FILES_MAX
            && let Some(&oldest) = writer.open.keys().next()
        {
            writer.close(oldest);
        }
        let number = writer.number + 1;
        let path = self.dir.join(format!("{number:08}"));
        let file = self.disk.create(&path)?;
        if let Err(error) = file.append(CHUNKS_HEADER) {
            let _ = self.disk.remove_file(&path);
            return Err(error);
        }
        let chunk_file = Arc::new(ChunkFile {
            number,
            path,
            mapping: Mutex::new(None),
        });
        writer.number = number;
        writer.dir_unsynced = true;
        let open = OpenFile {
            length: CHUNKS_HEADER.len() as u64,
            file,
            chunk_file,
        };
        writer.open.insert(span, open);
        Ok(())
    }

    /// Lets the next chunks from before `end_ms` begin new files: those of now may be linked.
    pub(crate) fn cut(&self, end_ms: i64) {
        let mut writer = self.writer.lock();
        let end = end_ms.saturating_sub(1).div_euclid(self.range_ms);
        while let Some((&span, _)) = writer.open.range(..=end).next() {
            writer.close(span);
        }
    }

    /// Brings all that was written to the medium.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let (files, dir) = {
            let mut writer = self.writer.lock();
            let mut files = std::mem::take(&mut writer.unsynced);
            files.extend(writer.open.values().map(|open| Arc::clone(&open.file)));
            (files, std::mem::take(&mut writer.dir_unsynced))
        };
        let mut result = Ok(());
        for file in &files {
            result = result.and(file.sync());
        }
        if dir {
            result = result.and(self.disk.sync_dir(&self.dir));
        }
        if result.is_err() {
            let mut writer = self.writer.lock();
            writer.dir_unsynced |= dir;
            writer.open.clear();
            writer.unsynced.extend(files);
        }
        result
    }

    /// Where the last chunk of each file ends, for a checkpoint: asked before [`ChunkFiles::sync`],
    /// so that what a file has up to there is on the medium.
    pub(crate) fn ends(&self) -> BTreeMap<u64, u64> {
        self.writer.lock().ends.clone()
    }

    /// Whether the file of this number has lost chunks before `end`. A file that is gone was
    /// removed; its number is not used again, or the new file would seem to have lost them.
    pub(crate) fn is_shorter(&self, number: u64, end: u64) -> bool {
        let mut writer = self.writer.lock();
        writer.number = writer.number.max(number);
        writer.ends.get(&number).is_some_and(|found| *found < end)
    }

    /// The bytes of a chunk.
    pub(crate) fn bytes(&self, chunk: &Chunk) -> io::Result<ChunkBytes> {
        match &chunk.place {
            Place::Memory(mapping) => Ok(ChunkBytes {
                mapping: mapping.clone(),
                range: 0..mapping.len(),
            }),
            Place::File(file, range) => Ok(ChunkBytes {
                mapping: file.map(&*self.disk, range.end)?,
                range: range.clone(),
            }),
        }
    }

    /// Removes files that hold none of `chunks` and are not written any more.
    pub(crate) fn remove_unused<'a>(
        &self,
        chunks: impl Iterator<Item = &'a Arc<Chunk>>,
    ) -> io::Result<()> {
        let mut used = std::collections::BTreeSet::new();
        for chunk in chunks {
            if let Place::File(file, _) = &chunk.place {
                used.insert(file.number);
            }
        }
        let mut writer = self.writer.lock();
        used.extend(writer.open.values().map(|open| open.chunk_file.number));
        for number in self.numbers()? {
            if !used.contains(&number) {
                let path = self.dir.join(format!("{number:08}"));
                self.disk.remove_file(&path)?;
                writer.ends.remove(&number);
            }
        }
        Ok(())
    }

    fn numbers(&self) -> io::Result<Vec<u64>> {
        let entries = self.disk.list(&self.dir)?;
        let names = entries.iter().filter(|entry| entry.name.len() == 8);
        Ok(names.filter_map(|e| e.name.parse().ok()).collect())
    }

    /// Reads all files, checking every chunk, some at a time; new chunks go to a new file.
    pub(crate) fn load(&self) -> io::Result<FoundChunks> {
        let numbers = self.numbers()?;
        self.writer.lock().number = numbers.iter().copied().max().unwrap_or(0);
        let files = numbers.into_par_iter().map(|number| self.load_file(number));
        let files: Vec<FoundChunks> = files.collect::<io::Result<_>>()?;
        let mut found = FoundChunks::default();
        let mut writer = self.writer.lock();
        for mut file in files {
            found.chunks.append(&mut file.chunks);
            found.corruptions += file.corruptions;
            for (number, end) in file.ends {
                // Nobody knows whether it was synced.
                let path = self.dir.join(format!("{number:08}"));
                writer.unsynced.push(self.disk.open_append(&path)?);
                writer.dir_unsynced = true;
                writer.ends.insert(number, end);
            }
        }
        Ok(found)
    }

    fn load_file(&self, number: u64) -> io::Result<FoundChunks> {
        let path = self.dir.join(format!("{number:08}"));
        let mapping = self.disk.map(&path)?;
        let file = Arc::new(ChunkFile {
            number,
            path,
            mapping: Mutex::new(Some(mapping.clone())),
        });
        let mut found = FoundChunks::default();
        let mut read = ReadPart::new(&mapping);
        let mut end = CHUNKS_HEADER.len();
        for frame in Frames::new(&mapping, CHUNKS_HEADER.len()) {
            if let Ok(frame) = &frame {
                end = frame.at + frame.payload.len();
            }
            match frame {
                Ok(frame) if frame.kind.is_chunk() => {
                    let range = frame.at..end;
                    read.reached(range.end);
                    let Ok(head) = ChunkHead::parse(frame.payload, frame.kind) else {
                        found.corruptions += 1;
                        continue;
                    };
                    let place = Place::File(Arc::clone(&file), range);
                    found.chunks.push(Arc::new(Chunk { head, place }));
                }
                Ok(_) => {}
                // A torn end is what a crash leaves, and the log still has these samples; if not,
                // the checkpoint says that the file was longer.
                Err(gap) => found.corruptions += u64::from(gap.end < mapping.len()),
            }
        }
        found.ends.push((number, end as u64));
        Ok(found)
    }
}

/// A file that is read from its beginning to its end, once: what lies behind is given back to the
/// system now and then, and the rest at the end.
pub(super) struct ReadPart<'a> {
    mapping: &'a Mapping,
    released: usize,
}

/// Of a file that is read once, so much may be in memory.
const READ_BYTES_MAX: usize = 4 << 20;

impl<'a> ReadPart<'a> {
    pub(super) fn new(mapping: &'a Mapping) -> ReadPart<'a> {
        ReadPart {
            mapping,
            released: 0,
        }
    }

    /// Says that nothing before `at` will be read again.
    pub(super) fn reached(&mut self, at: usize) {
        if at >= self.released + READ_BYTES_MAX {
            self.mapping.release(self.released..at);
            self.released = at;
        }
    }
}

impl Drop for ReadPart<'_> {
    fn drop(&mut self) {
        self.mapping.release(self.released..self.mapping.len());
    }
}
