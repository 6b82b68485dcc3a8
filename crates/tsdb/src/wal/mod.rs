//! The log: what was appended and is not sealed yet, and what the series are.
//!
//! A commit is one `append` of whole frames to the last segment: it survives a kill of the
//! process when it returns. A thread syncs the segment now and then (or every commit does, when
//! the interval is zero; commits that wait share one sync). A write that fails is cut off again;
//! where that fails too, the segment is left as it is and the next commit begins a new one:
//! readers step over the torn frame.
//!
//! Segments before the oldest row that is not sealed yet are removed once a checkpoint holds the
//! definitions of all series (`Head::truncate_wal`). The format is in `docs/formats/wal.md`.

pub(crate) mod compressed;
pub(crate) mod frame;
pub(crate) mod record;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering::SeqCst};
use disk::{Disk, DiskFile};

use crate::room::Room;

/// First bytes of every segment, the format's version last.
pub(crate) const SEGMENT_HEADER: &[u8; 8] = b"PMONWAL\x01";
/// Prefix of checkpoints; the number of the first segment to read after it follows.
pub(crate) const CHECKPOINT_PREFIX: &str = "checkpoint.";
/// So many segments' bytes are written before the log is cut although no block was.
const SEGMENTS_DUE: u64 = 2;
/// And so many times what a checkpoint takes: checkpoints are a fifth of all writes at most.
const CHECKPOINTS_DUE: u64 = 4;
/// Suffix of files that are being written.
pub(crate) const TEMPORARY_SUFFIX: &str = ".tmp";

/// Files of the log, as they were found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LogFiles {
    /// Numbers of segments, ascending.
    pub(crate) segments: Vec<u64>,
    /// Numbers of checkpoints, ascending.
    pub(crate) checkpoints: Vec<u64>,
}

/// Lists the log's folder.
pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> io::Result<LogFiles> {
    let mut files = LogFiles::default();
    for entry in disk.list(dir)? {
        if entry.is_dir {
            // Prometheus's checkpoints are folders.
            return Err(foreign(&dir.join(&entry.name)));
        }
        if entry.name.ends_with(TEMPORARY_SUFFIX) {
            let _ = disk.remove_file(&dir.join(&entry.name));
        } else if let Some(number) = entry.name.strip_prefix(CHECKPOINT_PREFIX) {
            files.checkpoints.extend(number.parse::<u64>());
        } else if entry.name.len() == 8 {
            files.segments.extend(entry.name.parse::<u64>());
        }
    }
    files.segments.sort_unstable();
    files.checkpoints.sort_unstable();
    Ok(files)
}

/// A file that is not ours: another program's data must not be taken for damaged data of ours,
/// which would be cut and removed in time.
pub(crate) fn foreign(path: &Path) -> io::Error {
    let text = format!("{} was not written by Promontory", path.display());
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Whether the file begins as ours do, a few damaged bytes apart.
pub(crate) fn is_ours(bytes: &[u8]) -> bool {
    let header = SEGMENT_HEADER.iter().zip(bytes);
    let same = header.filter(|(want, got)| want == got).count();
    2 * same >= bytes.len().min(SEGMENT_HEADER.len())
}

/// The file of a segment.
pub(crate) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}"))
}

/// The file of a checkpoint.
pub(crate) fn checkpoint_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{CHECKPOINT_PREFIX}{number:08}"))
}

#[derive(Debug, Default)]
struct Writer {
    file: Option<Arc<dyn DiskFile>>,
    /// Number of `file`, or of the last segment that there was.
    number: u64,
    length: u64,
    /// Bytes of all commits of this process.
    written: u64,
    /// Bytes of all commits since the last checkpoint, about.
    since_checkpoint: u64,
    /// Bytes of the last checkpoint.
    checkpoint_bytes: u64,
    /// Files with bytes that were not synced, besides `file`.
    unsynced: Vec<Arc<dyn DiskFile>>,
    /// Whether a segment was made whose folder entry was not synced.
    dir_unsynced: bool,
}

/// The log, open for writing.
#[derive(Debug)]
pub(crate) struct Wal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segment_bytes_max: u64,
    writer: Mutex<Writer>,
    /// Held while syncing: who waits for it finds its bytes synced.
    syncing: Mutex<()>,
    synced: AtomicU64,
    failures: AtomicU64,
    pub(crate) room: Room,
}

/// Where a commit went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) segment: u64,
    /// For [`Wal::sync_to`].
    pub(crate) end: u64,
}

impl Wal {
    /// A log in `dir`, which exists. The first commit begins a segment after `last`.
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: PathBuf, segment_bytes_max: u64) -> Wal {
        Wal {
            disk,
            dir,
            segment_bytes_max,
            writer: Mutex::default(),
            syncing: Mutex::new(()),
            synced: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            room: Room::default(),
        }
    }

    /// The log's folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Says that segments up to `last` exist, with so many bytes, behind a checkpoint.
    pub(crate) fn start_after(&self, last: u64, bytes: u64, checkpoint_bytes: u64) {
        let mut writer = self.writer.lock();
        writer.number = last;
        writer.since_checkpoint = bytes;
        writer.checkpoint_bytes = checkpoint_bytes;
    }

    /// Whether it is long enough for a checkpoint to pay.
    pub(crate) fn is_long(&self) -> bool {
        let writer = self.writer.lock();
        let due = SEGMENTS_DUE * self.segment_bytes_max;
        writer.since_checkpoint >= due.max(CHECKPOINTS_DUE * writer.checkpoint_bytes)
    }

    /// Says that segments of these numbers are there from before: nobody knows whether they were
    /// synced, and so the next sync takes them along.
    pub(crate) fn adopt(&self, segments: &[u64]) -> io::Result<()> {
        let mut writer = self.writer.lock();
        for &number in segments {
            let file = self.disk.open_append(&segment_path(&self.dir, number))?;
            writer.unsynced.push(file);
            writer.dir_unsynced = true;
            // No bytes of ours, but something to sync.
            writer.written += 1;
        }
        Ok(())
    }

    /// Number of the segment that is written, or was written last.
    pub(crate) fn current(&self) -> u64 {
        self.writer.lock().number
    }

    /// Writes that failed.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(SeqCst)
    }

    /// Commits whole frames: in the hands of the operating system on return.
    pub(crate) fn append(&self, frames: &[u8]) -> io::Result<Position> {
        let mut writer = self.writer.lock();
        let result = self.append_locked(&mut writer, frames);
        match &result {
            Ok(_) => self.room.note_written(),
            Err(error) => {
                self.failures.fetch_add(1, SeqCst);
                self.room.note_failed(error);
            }
        }
        result
    }

    fn append_locked(&self, writer: &mut Writer, frames: &[u8]) -> io::Result<Position> {
        let bytes = frames.len() as u64;
        let full = writer.length + bytes > self.segment_bytes_max
            && writer.length > SEGMENT_HEADER.len() as u64;
        let file = match &writer.file {
            Some(file) if !full => Arc::clone(file),
            _ => self.begin_segment(writer)?,
        };
        if let Err(error) = file.append(frames) {
            if file.truncate(writer.length).is_err() {
                // What is in there stays; nothing more goes into it.
                writer.file = None;
                writer.unsynced.push(file);
            }
            return Err(error);
        }
        writer.length += bytes;
        writer.written += bytes;
        writer.since_checkpoint += bytes;
        Ok(Position {
            segment: writer.number,
            end: writer.written,
        })
    }

    fn begin_segment(&self, writer: &mut Writer) -> io::Result<Arc<dyn DiskFile>> {
        writer.unsynced.extend(writer.file.take());
        let number = writer.number + 1;
        let path = segment_path(&self.dir, number);
        let file = self.disk.create(&path)?;
        if let Err(error) = file.append(SEGMENT_HEADER) {
            let _ = self.disk.remove_file(&path);
            return Err(error);
        }
        writer.number = number;
        writer.length = SEGMENT_HEADER.len() as u64;
        writer.dir_unsynced = true;
        writer.file = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Lets the next commit begin a new segment; the number of the last one before it.
    pub(crate) fn cut(&self) -> u64 {
        let mut writer = self.writer.lock();
        if let Some(file) = writer.file.take() {
            writer.unsynced.push(file);
        }
        writer.number
    }

    /// Brings everything that was committed to the medium.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let end = self.writer.lock().written;
        self.sync_to(end)
    }

    /// Brings what was committed up to `end` to the medium; returns at once if it is there.
    pub(crate) fn sync_to(&self, end: u64) -> io::Result<()> {
        if self.synced.load(SeqCst) >= end {
            return Ok(());
        }
        let _turn = self.syncing.lock();
        if self.synced.load(SeqCst) >= end {
            return Ok(());
        }
        let (files, dir, written) = {
            let mut writer = self.writer.lock();
            let mut files = std::mem::take(&mut writer.unsynced);
            files.extend(writer.file.clone());
            let dir = std::mem::take(&mut writer.dir_unsynced);
            (files, dir, writer.written)
        };
        let mut result = Ok(());
        for file in &files {
            result = result.and(file.sync());
        }
        if dir {
            result = result.and(self.disk.sync_dir(&self.dir));
        }
        match &result {
            Ok(()) => self.synced.store(written, SeqCst),
            Err(error) => {
                self.failures.fetch_add(1, SeqCst);
                self.room.note_failed(error);
                // The kernel may have dropped the pages: what is durable of these files is
                // unknown. They are asked again, and new commits go elsewhere.
                let mut writer = self.writer.lock();
                writer.file = None;
                writer.dir_unsynced |= dir;
                for file in files {
                    if !writer.unsynced.iter().any(|f| Arc::ptr_eq(f, &file)) {
                        writer.unsynced.push(file);
                    }
                }
            }
        }
        result
    }

    /// Begins a checkpoint that is to replace all segments before `first`.
    pub(crate) fn begin_checkpoint(&self, first: u64) -> io::Result<Checkpoint<'_>> {
        let path = checkpoint_path(&self.dir, first);
        let mut temporary = path.clone().into_os_string();
        temporary.push(TEMPORARY_SUFFIX);
        let temporary = PathBuf::from(temporary);
        let file = self.disk.create(&temporary)?;
        Ok(Checkpoint {
            wal: self,
            first,
            path,
            temporary,
            file,
            frames: SEGMENT_HEADER.to_vec(),
        })
    }
}

/// So much of a checkpoint is in memory at a time.
const CHECKPOINT_BYTES_MAX: usize = 1 << 20;

/// A checkpoint that is being written.
#[derive(Debug)]
pub(crate) struct Checkpoint<'a> {
    wal: &'a Wal,
    first: u64,
    path: PathBuf,
    temporary: PathBuf,
    file: Arc<dyn DiskFile>,
    /// Whole frames that are not in the file yet.
    pub(crate) frames: Vec<u8>,
}

impl Checkpoint<'_> {
    /// Writes the frames so far if they are many.
    pub(crate) fn spill(&mut self) -> io::Result<()> {
        if self.frames.len() >= CHECKPOINT_BYTES_MAX {
            self.file.append(&self.frames)?;
            self.frames.clear();
        }
        Ok(())
    }

    /// Makes it valid, and removes the segments that it replaces.
    pub(crate) fn finish(self) -> io::Result<()> {
        let Wal { disk, dir, .. } = self.wal;
        self.file.append(&self.frames)?;
        self.file.sync()?;
        let bytes = self.file.length()?;
        disk.rename(&self.temporary, &self.path)?;
        disk.sync_dir(dir)?;
        {
            let mut writer = self.wal.writer.lock();
            writer.since_checkpoint = 0;
            writer.checkpoint_bytes = bytes;
        }
        let files = list(&**disk, dir)?;
        for number in files.segments.into_iter().filter(|&n| n < self.first) {
            disk.remove_file(&segment_path(dir, number))?;
        }
        for number in files.checkpoints.into_iter().filter(|&n| n < self.first) {
            disk.remove_file(&checkpoint_path(dir, number))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use disk::{Fault, FaultyDisk, MemoryDisk};

    fn frame_of(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let start = frame::begin(&mut out, frame::Kind::Batch);
        out.extend_from_slice(payload);
        frame::finish(&mut out, start);
        out
    }

    fn payloads(disk: &dyn Disk, dir: &Path) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        for number in list(disk, dir).unwrap().segments {
            let bytes = disk.map(&segment_path(dir, number)).unwrap();
            let frames = frame::Frames::new(&bytes, SEGMENT_HEADER.len());
            found.extend(frames.flatten().map(|f| f.payload.to_vec()));
        }
        found
    }

    #[test]
    fn every_fault_leaves_what_was_committed() {
        for fault in [Fault::Fail, Fault::Tear, Fault::Full] {
            for at in 0..40 {
                let memory = MemoryDisk::new();
                let dir = PathBuf::from("/wal");
                memory.create_dir_all(&dir).unwrap();
                memory.sync_dir(Path::new("/")).unwrap();
                let faulty = FaultyDisk::new(Arc::new(memory.clone()), at, fault);
                let wal = Wal::new(Arc::new(faulty), dir.clone(), 60);
                let mut committed = Vec::new();
                for n in 0..12u8 {
                    let payload = vec![n; 9];
                    if wal.append(&frame_of(&payload)).is_ok() {
                        committed.push(payload);
                    }
                    if n % 4 == 3 && wal.sync().is_ok() {
                        let cut = memory.fork();
                        cut.power_cut();
                        assert_eq!(payloads(&cut, &dir), committed, "{fault:?} at {at}, synced");
                    }
                }
                assert!(committed.len() >= 10, "{fault:?} at {at}");
                assert_eq!(payloads(&memory, &dir), committed, "{fault:?} at {at}");
            }
        }
    }

    /// Commits that wait for one sync: each is on the medium when its own call returns.
    #[cfg(feature = "shuttle")]
    #[test]
    fn model_of_shared_syncs() {
        shuttle::check_random(
            || {
                let memory = MemoryDisk::new();
                let dir = PathBuf::from("/wal");
                memory.create_dir_all(&dir).unwrap();
                memory.sync_dir(Path::new("/")).unwrap();
                // Small segments: two commits fill one.
                // Others may come between a write and its sync, and between two syncs.
                let shared = Arc::new(memory.clone());
                let disk = disk::FaultyDisk::watched(shared, |_| shuttle::thread::yield_now());
                let wal = Arc::new(Wal::new(Arc::new(disk), dir.clone(), 60));
                let writers = (0..3u8).map(|n| {
                    let (wal, memory, dir) = (Arc::clone(&wal), memory.clone(), dir.clone());
                    shuttle::thread::spawn(move || {
                        let payload = vec![n; 9];
                        let position = wal.append(&frame_of(&payload)).unwrap();
                        wal.sync_to(position.end).unwrap();
                        let cut = memory.fork();
                        cut.power_cut();
                        assert!(payloads(&cut, &dir).contains(&payload));
                    })
                });
                let writers: Vec<_> = writers.collect();
                writers
                    .into_iter()
                    .for_each(|writer| writer.join().unwrap());
                assert_eq!(payloads(&memory, &dir).len(), 3);
            },
            3_000,
        );
    }

    #[test]
    fn a_checkpoint_replaces_segments() {
        let disk = Arc::new(MemoryDisk::new());
        let dir = PathBuf::from("/wal");
        disk.create_dir_all(&dir).unwrap();
        let shared: Arc<dyn Disk> = Arc::<MemoryDisk>::clone(&disk);
        let wal = Wal::new(shared, dir.clone(), 1 << 20);
        for n in 0..3u64 {
            assert_eq!(wal.append(&frame_of(b"x")).unwrap().segment, n + 1);
            assert_eq!(wal.cut(), n + 1);
        }
        let mut checkpoint = wal.begin_checkpoint(3).unwrap();
        for _ in 0..2 {
            let frame = frame_of(&[7; CHECKPOINT_BYTES_MAX]);
            checkpoint.frames.extend(frame);
            checkpoint.spill().unwrap();
        }
        checkpoint.frames.extend(frame_of(b"all"));
        checkpoint.finish().unwrap();
        let bytes = disk.map(&checkpoint_path(&dir, 3)).unwrap();
        let frames = frame::Frames::new(&bytes, SEGMENT_HEADER.len());
        let lengths: Vec<_> = frames.map(|frame| frame.unwrap().payload.len()).collect();
        assert_eq!(lengths, [CHECKPOINT_BYTES_MAX, CHECKPOINT_BYTES_MAX, 3]);
        let files = list(&*disk, &dir).unwrap();
        assert_eq!((files.segments, files.checkpoints), (vec![3], vec![3]));
    }

    #[test]
    fn a_checkpoint_pays_when_there_is_much_to_replace() {
        let disk = Arc::new(MemoryDisk::new());
        let dir = PathBuf::from("/wal");
        disk.create_dir_all(&dir).unwrap();
        let wal = Wal::new(Arc::<MemoryDisk>::clone(&disk), dir, 1_000);
        // The first one is due after two segments, those behind it after four times its size.
        for due in [2_000, 40_000, 40_000] {
            let mut written = 0;
            while !wal.is_long() {
                assert!(written < due, "{due}");
                written += 100;
                wal.append(&frame_of(&[0; 90])).unwrap();
            }
            assert_eq!(written, due);
            wal.cut();
            let mut checkpoint = wal.begin_checkpoint(wal.current() + 1).unwrap();
            let length = 10_000 - SEGMENT_HEADER.len() - frame::HEADER_BYTES;
            checkpoint.frames.extend(frame_of(&vec![0; length]));
            checkpoint.finish().unwrap();
        }
        wal.start_after(9, 50_000, 10_000);
        assert!(wal.is_long(), "what a restart finds counts");
    }
}
