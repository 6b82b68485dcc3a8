//! Reading the log at start.
//!
//! Chunks come first: they say which batches of the log are sealed already and are passed over.
//! Then the newest checkpoint and the segments behind it are read in order. Batches that are not
//! sealed become open rows again without being decoded. What is damaged is passed over, counted
//! and logged; what is torn at the end of the last segment is cut off.
//!
//! Files of chunks are checked by several threads. Of the log, one thread takes frames and checks
//! them; runs of batches are handed to the groups that they are of, several groups at a time. Files
//! are read through mappings, and what lies behind is given back to the system, so that replay
//! takes a few megabytes more than what it leaves in the head.

use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::sync::Arc;

use codec::DecodeError;
use codec::varint::Reader;
use disk::Disk;
use hashbrown::HashMap;
use model::Labels;
use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
use storage::SeriesRef;

use super::Head;
use super::chunk_files::{Chunk, ReadPart};
use super::group::{GONE, Group, Replay, group_and_slot, reference};
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use crate::wal::compressed::Compressed;
use crate::wal::frame::{Frame, Frames, Kind};
use crate::wal::record::{self, Define, Part, Shape};
use crate::wal::{SEGMENT_HEADER, checkpoint_path, foreign, is_ours, list, segment_path};

/// How far replay has come, in segments.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) min: AtomicU64,
    pub(crate) max: AtomicU64,
    pub(crate) current: AtomicU64,
}

/// So many batches are handed to their groups at once.
const RUN_BATCHES_MAX: usize = 4_096;
/// And so many bytes of those that were compressed, as they are taken out for that.
const RUN_BYTES_MAX: usize = 8 << 20;

/// Batches that are read and not handed to their groups yet.
#[derive(Debug, Default)]
struct Run<'a> {
    batches: Vec<Found<'a>>,
    /// What those take that are to be taken out.
    bytes: usize,
}

/// A batch of the log.
#[derive(Debug)]
enum Found<'a> {
    Plain(Kind, &'a [u8]),
    Compressed(Compressed<'a>),
}

impl<'a> Found<'a> {
    /// What the frame has, if it is a batch, and the bytes that it will take.
    fn of(frame: &Frame<'a>) -> Result<Option<(Found<'a>, usize)>, DecodeError> {
        Ok(match frame.kind {
            Kind::Compressed => {
                let compressed = Compressed::new(frame.payload)?;
                Some((Found::Compressed(compressed), compressed.size))
            }
            kind => shape_of(kind).map(|_| (Found::Plain(kind, frame.payload), 0)),
        })
    }

    fn payload(&self) -> Result<(Kind, Cow<'a, [u8]>), DecodeError> {
        Ok(match *self {
            Found::Plain(kind, payload) => (kind, Cow::Borrowed(payload)),
            Found::Compressed(found) => (found.kind, Cow::Owned(found.take_out()?)),
        })
    }
}

/// What batches of this kind have; `None` if it is no batch.
fn shape_of(kind: Kind) -> Option<Shape> {
    match kind {
        Kind::Batch => Some(Shape::Plain),
        Kind::LateBatch => Some(Shape::Late),
        Kind::WideBatch => Some(Shape::Wide),
        _ => None,
    }
}

/// Sealed chunks that wait for the definition of their group.
type Waiting = HashMap<u32, Vec<Arc<Chunk>>>;

impl Head {
    /// Brings the head to what was committed. `valid_ms` is the end of the newest block; `stop`
    /// is asked between segments.
    pub(crate) fn replay(
        &self,
        disk: &dyn Disk,
        valid_ms: i64,
        progress: &Progress,
        stop: &dyn Fn() -> bool,
    ) -> io::Result<()> {
        self.valid_ms.store(valid_ms, SeqCst);
        let found = self.files.load()?;
        self.counts
            .corruptions
            .fetch_add(found.corruptions, Relaxed);
        let mut waiting = Waiting::new();
        for chunk in found.chunks {
            let of_group = waiting.entry(chunk.head.group).or_default();
            of_group.push(chunk);
        }
        let dir = self.wal.dir().to_owned();
        let files = list(disk, &dir)?;
        let checkpoint = files.checkpoints.last().copied();
        let first = checkpoint.unwrap_or(0);
        let segments: Vec<u64> = files.segments.into_iter().filter(|&n| n >= first).collect();
        let last = segments.last().copied();
        progress
            .min
            .store(segments.first().copied().unwrap_or(0), SeqCst);
        progress.max.store(last.unwrap_or(0), SeqCst);
        let (mut bytes, mut checkpoint_bytes) = (0, 0);
        if let Some(number) = checkpoint {
            let path = checkpoint_path(&dir, number);
            checkpoint_bytes = disk.file_length(&path)?;
            self.replay_file(disk, &path, 0, false, &mut waiting)?;
        }
        self.wal.adopt(&segments)?;
        for number in segments {
            if stop() {
                return Ok(());
            }
            progress.current.store(number, SeqCst);
            let path = segment_path(&dir, number);
            bytes += disk.file_length(&path)?;
            let is_last = Some(number) == last;
            self.replay_file(disk, &path, number, is_last, &mut waiting)?;
        }
        // A checkpoint's number may be of a segment that does not exist yet.
        let last = last.unwrap_or(0).max(first.saturating_sub(1));
        self.wal.start_after(last, bytes, checkpoint_bytes);
        self.finish_replay(&waiting);
        Ok(())
    }

    fn finish_replay(&self, orphans: &Waiting) {
        let segment = self.wal.current();
        let newest = self.all_groups().into_par_iter().map(|group| {
            let mut state = group.state.lock();
            state.closed = true;
            if let Err(error) = state.span_chunks(&self.files) {
                self.note_corruption("chunk", error);
            }
            state.forget_overtaken();
            state.free_gone(segment);
            state.max_ms
        });
        let max_ms = newest.max().unwrap_or(i64::MIN);
        // The system fetches some pages around each that is asked for: of chunks that were looked
        // at already.
        self.rest();
        // Groups that nothing defines any more: their numbers are not used again as long as
        // their chunks lie about.
        let mut groups = self.groups.write();
        let above = orphans.keys().map(|id| id + 1).max().unwrap_or(0);
        groups.next = groups.next.max(above);
        drop(groups);
        self.max_ms.store(max_ms, SeqCst);
        self.note_oldest();
        self.note_late_range();
        let valid_ms = self.valid_ms();
        if valid_ms > i64::MIN {
            self.truncate(valid_ms);
        }
    }

    fn replay_file(
        &self,
        disk: &dyn Disk,
        path: &Path,
        segment: u64,
        is_last: bool,
        waiting: &mut Waiting,
    ) -> io::Result<()> {
        let bytes = disk.map(path)?;
        if !is_ours(&bytes) {
            return Err(foreign(path));
        }
        let from = SEGMENT_HEADER.len();
        if bytes.len() >= from && !bytes.starts_with(SEGMENT_HEADER) {
            self.note_corruption("header", path.display());
        }
        let mut torn = None;
        let mut run = Run::default();
        let mut read = ReadPart::new(&bytes);
        for frame in Frames::new(&bytes, from) {
            match frame {
                Ok(frame) => {
                    if let Err(error) = self.replay_frame(&frame, segment, waiting, &mut run) {
                        self.note_corruption(&error.to_string(), path.display());
                    }
                    if run.batches.len() >= RUN_BATCHES_MAX || run.bytes >= RUN_BYTES_MAX {
                        self.replay_run(&mut run, segment);
                    }
                    if run.batches.is_empty() {
                        read.reached(frame.at + frame.payload.len());
                    }
                }
                Err(gap) if is_last && gap.end == bytes.len() => torn = Some(gap.start),
                Err(gap) => {
                    let what = format!("no record in bytes {} to {}", gap.start, gap.end);
                    self.note_corruption(&what, path.display());
                }
            }
        }
        self.replay_run(&mut run, segment);
        let length = bytes.len();
        drop((run, read));
        drop(bytes);
        if let Some(at) = torn {
            tracing::warn!(
                segment = %path.display(), offset = at, bytes = length - at,
                "The log ends inside a record, which is cut off"
            );
            let cut = disk
                .open_append(path)
                .and_then(|file| file.truncate(at as u64));
            if let Err(error) = cut {
                tracing::warn!(%error, "The end of the log could not be cut off");
            }
        }
        Ok(())
    }

    /// Takes a frame: batches into `run`, everything else after what is in `run`.
    fn replay_frame<'a>(
        &self,
        frame: &Frame<'a>,
        segment: u64,
        waiting: &mut Waiting,
        run: &mut Run<'a>,
    ) -> Result<(), DecodeError> {
        if let Some((batch, bytes)) = Found::of(frame)? {
            run.batches.push(batch);
            run.bytes += bytes;
            return Ok(());
        }
        self.replay_run(run, segment);
        match frame.kind {
            Kind::Define => self.define(record::take_define(frame.payload)?, waiting),
            Kind::End => {
                let reader = &mut Reader::new(frame.payload);
                let next = reader.count(u32::MAX as usize)? as u32;
                self.valid_ms.fetch_max(reader.signed()?, SeqCst);
                let mut groups = self.groups.write();
                groups.next = groups.next.max(next);
                drop(groups);
                // Checkpoints of the first days end here.
                let count = match reader.is_empty() {
                    true => 0,
                    false => reader.count(reader.rest().len())?,
                };
                for _ in 0..count {
                    let (number, end) = (reader.varint()?, reader.varint()?);
                    if self.files.is_shorter(number, end) {
                        let what = format!("no chunk at the end, before byte {end}");
                        self.note_corruption(&what, format!("chunk file {number}"));
                    }
                }
                Ok(())
            }
            Kind::LateDone => {
                self.drop_late(&record::take_late_done(frame.payload)?);
                Ok(())
            }
            Kind::Delete => {
                let (group, all) = record::take_delete(frame.payload)?;
                self.replay_delete(group, &all);
                Ok(())
            }
            Kind::Exemplars => self.exemplars.replay(frame.payload),
            Kind::Metadata => {
                let reference = |labels: &Labels| self.reference_of(labels);
                self.metadata.replay(frame.payload, reference)
            }
            Kind::Batch | Kind::LateBatch | Kind::WideBatch | Kind::Compressed => Ok(()),
            Kind::Chunk | Kind::WideChunk | Kind::IndexedChunk | Kind::WideIndexedChunk => Ok(()),
        }
    }

    /// Hands parts of batches, in the order of the log, to their groups.
    fn replay_run(&self, run: &mut Run<'_>, segment: u64) {
        let run = std::mem::take(run);
        let payloads: Vec<_> = run.batches.par_iter().map(Found::payload).collect();
        let mut parts = Vec::with_capacity(payloads.len());
        for payload in &payloads {
            let taken = payload.as_ref().map_err(|error| *error);
            let taken = taken.and_then(|(kind, payload)| {
                let shape = shape_of(*kind).ok_or(DecodeError("kind"))?;
                record::take_batch(payload, shape)
            });
            match taken {
                Ok(mut taken) => parts.append(&mut taken),
                Err(error) => {
                    self.note_corruption(&error.to_string(), format_args!("segment {segment}"));
                }
            }
        }
        // Stable: the parts of a group stay in order.
        parts.sort_by_key(|part| part.group);
        let groups: Vec<&[Part<'_>]> = parts.chunk_by(|a, b| a.group == b.group).collect();
        groups.into_par_iter().for_each(|parts| {
            let lost = self.replay_parts(parts, segment);
            self.counts.unknown_refs.fetch_add(lost, Relaxed);
        });
    }

    /// Takes parts of one group; how many cannot be understood.
    fn replay_parts(&self, parts: &[Part<'_>], segment: u64) -> u64 {
        let group = self.groups.read().by_id.get(&parts[0].group).cloned();
        let Some(group) = group else {
            return parts.len() as u64;
        };
        let mut state = group.state.lock();
        self.with_scratch(|scratch, _| {
            let mut of = Replay {
                group: group.id,
                segment,
                valid_ms: self.valid_ms(),
                files: &self.files,
                scratch,
            };
            let lost = parts.iter().filter(|part| !state.replay(part, &mut of));
            lost.count() as u64
        })
    }

    /// Takes a definition; a slot that has a series keeps it.
    fn define(&self, define: Define<'_>, waiting: &mut Waiting) -> Result<(), DecodeError> {
        let group = {
            let mut groups = self.groups.write();
            groups.next = groups.next.max(define.group.saturating_add(1));
            match groups.by_id.get(&define.group) {
                Some(group) if group.labels == define.labels => Arc::clone(group),
                Some(_) => return Err(DecodeError("group: two of one number")),
                None => {
                    let group = Arc::new(Group::new(define.group, define.labels.clone()));
                    let chunks = waiting.remove(&define.group).unwrap_or_default();
                    let mut state = group.state.lock();
                    chunks.into_iter().for_each(|chunk| state.add_chunk(chunk));
                    drop(state);
                    groups.by_id.insert(define.group, Arc::clone(&group));
                    let labels = define.labels.clone();
                    groups.by_labels.insert(labels, define.group);
                    group
                }
            }
        };
        let mut index = self.index.write();
        let state = &mut *group.state.lock();
        let full = |_| DecodeError("index: full");
        // Numbers of the table's pairs in the index, as far as they were asked for.
        let mut numbers = vec![None; define.pairs.len()];
        let mut set = Vec::new();
        for (slot, pairs) in define.series() {
            if slot as usize >= codec::row::SLOTS_MAX {
                return Err(DecodeError("slot"));
            }
            while state.series.len() <= slot as usize {
                state.add_slot(GONE);
                state.gone += 1;
            }
            if state.series[slot as usize] != GONE {
                continue;
            }
            set.clear();
            for &pair in pairs {
                let (name, value) = define.pairs[pair as usize];
                let number = match numbers[pair as usize] {
                    Some(number) => number,
                    None => index.intern(name, value).map_err(full)?,
                };
                numbers[pair as usize] = Some(number);
                set.push(number);
            }
            let home = reference(group.id, slot);
            let (id, is_new) = index.enter(&set, home.0).map_err(full)?;
            if !is_new {
                // The series was forgotten and came back: the last definition says where it is.
                let before = group_and_slot(SeriesRef(index.home(id)));
                if before.0 == group.id {
                    state.leave_slot(before.1);
                } else if let Some(other) = self.groups.read().by_id.get(&before.0) {
                    other.state.lock().leave_slot(before.1);
                }
                index.set_home(id, home.0);
            }
            state.series[slot as usize] = id;
            state.gone -= 1;
        }
        Ok(())
    }
}
