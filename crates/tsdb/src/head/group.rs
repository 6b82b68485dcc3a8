//! A group: the series of one target, their rows and their chunks.
//!
//! Series of a group are numbered by slots. A batch becomes a row over all slots against a base
//! row; the same bytes go to the log and stay in memory until [`chunk::ROWS_MAX`] rows (or a block
//! boundary, or many samples with own times) are sealed into a chunk. Rows ascend in time; two rows
//! of the same time hold different slots. Whatever does not fit that (samples with own times,
//! batches that come late) goes beside the rows, slot by slot. Samples that are older than the
//! newest one of their series are kept apart ([`late`]).
//!
//! Memory a series: 8 bytes of base, 8 of span, 4 of index id, and the open rows.

mod admit;
mod admit_wide;
pub(crate) mod late;
mod publish;
mod replayed;
mod slots;
mod span;

use std::sync::Arc;

use codec::row;
use model::Labels;

pub(crate) use admit::{Check, Taken};
use late::LateSamples;
pub(crate) use publish::Prepared;
pub(crate) use replayed::Replay;
use slots::SpareSlots;
pub(crate) use slots::{group_and_key, group_and_slot, reference};
use span::Span;

use super::chunk::{self, ChunkHead, OpenRow};
use super::chunk_files::{Chunk, ChunkBytes, ChunkFiles};
use super::groups::NO_GROUP;
use super::histograms::{Histograms, OpenColumn};
use super::limits::NewSeries;
use super::memory::ARC_BYTES;
use super::sides::Sides;
use super::starts::Starts;
use crate::steps::Steps;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicU32;
use crate::tombstones::Tombstones;
use crate::wal::compressed::Compressor;
use crate::wal::frame;

/// Index id of a slot whose series is not in the head any more.
pub(crate) const GONE: u32 = u32::MAX;
/// So many samples with own times are sealed even if there are few rows.
const SIDE_COUNT_MAX: usize = 1 << 16;

/// A row in memory.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) at_ms: i64,
    /// When it was published.
    pub(crate) epoch: u64,
    pub(crate) bytes: Arc<[u8]>,
}

/// What changes of a group.
#[derive(Debug)]
pub(crate) struct State {
    /// Index ids by slot.
    pub(crate) series: Vec<u32>,
    pub(crate) spans: Vec<Span>,
    /// Slots that are [`GONE`].
    pub(crate) gone: usize,
    spare: SpareSlots,
    pub(crate) new_series: NewSeries,
    /// Series that the log does not know yet.
    pub(crate) pending: Vec<(u32, Labels)>,
    /// Frames of the last commit if much depends on them (definitions, a base row): the next
    /// commit writes them again, so that a damaged record costs itself only.
    pub(crate) again: Box<[u8]>,
    /// Whether the target that opened the group is gone.
    pub(crate) closed: bool,
    /// The group whose target writes here too (`super::groups`).
    pub(crate) adopted_by: Option<u32>,
    base: Arc<[u64]>,
    base_sequence: u64,
    rows: Vec<Row>,
    rows_max: usize,
    pub(crate) sides: Sides,
    side_count: usize,
    pub(crate) histograms: Histograms,
    starts: Starts,
    /// Segment of the oldest batch that is in blocks and on which open histograms or starts stand.
    wide_from: Option<u64>,
    pub(crate) late: LateSamples,
    /// What is deleted of the samples in order, by slot.
    pub(crate) tombstones: Arc<Tombstones>,
    /// Number of the first batch that is not sealed, and its segment of the log.
    open_from: Option<(u64, u64)>,
    /// Segment of the oldest batch that is only in chunks that are not in a file.
    unsaved_from: Option<u64>,
    pub(crate) chunks: Vec<Arc<Chunk>>,
    /// When rows of chunks were published that queries under way must not see.
    sealed_lately: Vec<(u64, i64)>,
    /// Number of the newest batch.
    pub(crate) sequence: u64,
    /// Number of the newest batch that replay has read.
    replayed: u64,
    pub(crate) max_ms: i64,
    pub(crate) last_batch_ms: i64,
}

/// The series of one target.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: u32,
    pub(crate) labels: Labels,
    /// The group to which the target writes that has opened this one, if it is another.
    pub(super) adopted: AtomicU32,
    pub(crate) state: Mutex<State>,
}

impl Group {
    /// A group without series.
    pub(crate) fn new(id: u32, labels: Labels) -> Group {
        let state = State {
            series: Vec::new(),
            spans: Vec::new(),
            gone: 0,
            spare: SpareSlots::default(),
            new_series: NewSeries::default(),
            pending: Vec::new(),
            again: Box::default(),
            closed: false,
            adopted_by: None,
            base: Arc::from([]),
            base_sequence: 0,
            rows: Vec::new(),
            rows_max: rows_max_at_first(id),
            sides: Sides::default(),
            side_count: 0,
            histograms: Histograms::default(),
            starts: Starts::default(),
            wide_from: None,
            late: LateSamples::default(),
            tombstones: Arc::default(),
            open_from: None,
            unsaved_from: None,
            chunks: Vec::new(),
            sealed_lately: Vec::new(),
            sequence: 0,
            replayed: 0,
            max_ms: i64::MIN,
            last_batch_ms: i64::MIN,
        };
        let state = Mutex::new(state);
        let adopted = AtomicU32::new(NO_GROUP);
        Group {
            id,
            labels,
            adopted,
            state,
        }
    }
}

/// Groups begin together when the server starts and at block boundaries; first chunks of
/// different lengths keep them from being sealed together for ever.
fn rows_max_at_first(id: u32) -> usize {
    chunk::ROWS_MAX / 2 + (id as usize * 37) % (chunk::ROWS_MAX / 2 + 1)
}

/// Memory that appending works in.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) frame: Vec<u8>,
    /// The frames as the log gets them.
    pub(crate) log: Vec<u8>,
    pub(crate) compressor: Compressor,
    pub(crate) chunk: chunk::Scratch,
    row: Vec<u8>,
}

impl State {
    /// Whether the open rows are to be sealed before a row at `at_ms` comes: blocks begin at
    /// multiples of `range_ms`, and no chunk's rows lie in two.
    pub(crate) fn crosses(&self, at_ms: i64, range_ms: i64) -> bool {
        let row = self.rows.first().map(|row| row.at_ms);
        let first = row.into_iter().chain(self.histograms.open_min_ms()).min();
        first.is_some_and(|first| first.div_euclid(range_ms) != at_ms.div_euclid(range_ms))
    }

    /// Whether there is enough to seal.
    pub(crate) fn is_full(&self) -> bool {
        let batches = self
            .open_from
            .map_or(0, |(first, _)| self.sequence - first + 1);
        self.rows.len() >= self.rows_max
            || batches > 2 * chunk::ROWS_MAX as u64
            || self.side_count > SIDE_COUNT_MAX
            || self.histograms.is_full()
    }

    /// Whether something is not sealed.
    pub(crate) fn is_open(&self) -> bool {
        self.open_from.is_some()
    }

    /// The oldest segment of the log that is still needed.
    pub(crate) fn needs_segment(&self) -> Option<u64> {
        let open = self.open_from.map(|(_, segment)| match self.wide_from {
            Some(older) => segment.min(older),
            None => segment,
        });
        open.into_iter().chain(self.unsaved_from).min()
    }

    /// Turns what is open into a chunk. `oldest_query` is the epoch of the oldest query that is
    /// under way.
    pub(crate) fn seal(
        &mut self,
        id: u32,
        oldest_query: u64,
        files: &ChunkFiles,
        scratch: &mut Scratch,
    ) {
        let Some((first, segment)) = self.open_from.take() else {
            return;
        };
        // Rows of one time lie in one line; more lines than a chunk takes cannot come up, as
        // `is_full` is asked after every batch.
        let rows = self.rows.iter().map(|row| OpenRow {
            at_ms: row.at_ms,
            bytes: &row.bytes,
        });
        let rows: Vec<_> = rows.collect();
        let open = chunk::Open {
            group: id,
            sequences: (first, self.sequence),
            slots: self.series.len(),
            base: &self.base,
            rows: &rows,
            sides: &self.sides,
            histograms: &self.histograms,
            starts: &self.starts,
        };
        let kind = open.kind();
        let bytes = &mut scratch.frame;
        let start = bytes.len();
        frame::begin(bytes, kind);
        chunk::seal(&open, &mut scratch.chunk, bytes);
        frame::finish(bytes, start);
        let head = ChunkHead::parse(&bytes[start + frame::HEADER_BYTES..], kind);
        let chunk = files.add(&bytes[start..], head.expect("our own chunk"));
        bytes.truncate(start);
        if !chunk.is_saved() {
            self.unsaved_from.get_or_insert(segment);
        }
        self.sealed_lately
            .retain(|(epoch, _)| *epoch > oldest_query);
        let later = self.rows.iter().filter(|row| row.epoch > oldest_query);
        self.sealed_lately
            .extend(later.map(|row| (row.epoch, row.at_ms)));
        let later = self.histograms.later_than(oldest_query);
        self.sealed_lately.extend(later);
        self.rows = Vec::new();
        self.rows_max = chunk::ROWS_MAX;
        self.base = Arc::from([]);
        self.base_sequence = 0;
        self.sides = Sides::default();
        self.side_count = 0;
        self.histograms.forget_open();
        self.starts.seal();
        self.wide_from = None;
        self.add_chunk(Arc::new(chunk));
    }

    /// The next chunk is to have another length than those of other groups.
    pub(crate) fn stagger(&mut self, id: u32) {
        self.rows_max = rows_max_at_first(id);
    }

    /// Adds a chunk in its place.
    pub(crate) fn add_chunk(&mut self, chunk: Arc<Chunk>) {
        self.sequence = self.sequence.max(chunk.head.sequences.1);
        self.max_ms = self.max_ms.max(chunk.head.max_ms);
        let first = chunk.head.sequences.0;
        let at = self.chunks.partition_point(|c| c.head.sequences.0 < first);
        self.chunks.insert(at, chunk);
    }

    /// Writes chunks that could not be written before.
    pub(crate) fn save_chunks(&mut self, files: &ChunkFiles) -> std::io::Result<()> {
        if self.unsaved_from.is_none() {
            return Ok(());
        }
        for chunk in &mut self.chunks {
            if !chunk.is_saved() {
                *chunk = Arc::new(files.save(chunk)?);
            }
        }
        self.unsaved_from = None;
        Ok(())
    }

    /// Gives the memory that reading chunks took back to the system.
    pub(crate) fn release_chunks(&self, files: &ChunkFiles) {
        let bytes = self.chunks.iter().map(|chunk| files.bytes(chunk));
        bytes.flatten().for_each(|bytes| bytes.release());
    }

    /// What the next new series is called by in references; `None` if there is no slot for it.
    pub(crate) fn next_key(&self) -> Option<u32> {
        let new = (self.series.len() < row::SLOTS_MAX).then_some(self.series.len() as u32);
        self.spare.next().or(new)
    }

    /// Gives the slot of [`State::next_key`] to a series.
    pub(crate) fn open_slot(&mut self, id: u32) -> u32 {
        let Some(slot) = self.spare.take() else {
            return self.add_slot(id);
        };
        self.series[slot as usize] = id;
        self.spans[slot as usize] = Span::EMPTY;
        self.gone -= 1;
        slot
    }

    /// Takes its series, which has no samples, from a slot while the log is written to `segment`.
    pub(crate) fn close_slot(&mut self, slot: u32, segment: u64) {
        let id = &mut self.series[slot as usize];
        if *id != GONE {
            *id = GONE;
            self.gone += 1;
            self.histograms.remove(slot);
            self.spare.rest(slot, segment);
        }
    }

    /// Frees the slots without a series that replay has found, as far as it has read nothing of
    /// them; the others rest until the log begins behind `segment`.
    pub(crate) fn free_gone(&mut self, segment: u64) {
        let State {
            series,
            spans,
            spare,
            ..
        } = self;
        let resting = spare.resting();
        let slots = series.iter().zip(spans.iter()).zip(0..);
        let gone = slots.filter(|((id, _), slot)| **id == GONE && !resting.contains(slot));
        for ((_, span), slot) in gone {
            spare.rest(slot, if span.is_empty() { 0 } else { segment });
        }
        self.wake_slots(1);
    }

    /// Frees slots of which the log, which begins at `first_segment`, and the group have nothing
    /// any more.
    pub(crate) fn wake_slots(&mut self, first_segment: u64) {
        let oldest_ms = self.min_ms().unwrap_or(i64::MAX);
        let (spans, tombstones, late) = (&self.spans, &self.tombstones, &self.late);
        self.spare.wake(first_segment, |slot| {
            let span = spans[slot as usize];
            (span.is_empty() || span.ends_before(oldest_ms))
                && tombstones.of(slot).is_empty()
                && late.get(slot).is_empty()
        });
    }

    /// Adds a slot.
    pub(crate) fn add_slot(&mut self, id: u32) -> u32 {
        self.series.push(id);
        self.spans.push(Span::EMPTY);
        (self.series.len() - 1) as u32
    }

    /// Takes a series from a slot that the log defines elsewhere, too. The slot rests until the
    /// next start: if that definition gets damaged, this one must still stand alone.
    pub(crate) fn leave_slot(&mut self, slot: u32) {
        self.close_slot(slot, u64::MAX);
    }

    /// Bytes of the open rows and their base.
    pub(crate) fn open_bytes(&self) -> usize {
        let rows = self.rows.iter();
        let rows: usize = rows
            .map(|row| size_of::<Row>() + ARC_BYTES + row.bytes.len())
            .sum();
        rows + size_of_val(&*self.base)
    }

    /// Oldest sample that is not sealed.
    pub(crate) fn open_min_ms(&self) -> Option<i64> {
        let rows = self.rows.first().map(|row| row.at_ms);
        let sides = self.sides.iter().filter_map(|(_, s)| s.first());
        let sides = sides.map(|s| s.at_ms);
        let all = rows.into_iter().chain(sides);
        all.chain(self.histograms.open_min_ms()).min()
    }

    /// The open histograms of a slot and the starts of what it has open.
    pub(crate) fn open_wide(&self, slot: u32) -> Option<OpenWide> {
        let histograms = self.histograms.open(slot).cloned();
        let starts = self.starts.get(slot).cloned();
        let some = histograms.is_some() || starts.is_some();
        some.then_some(OpenWide { histograms, starts })
    }

    /// Oldest sample of the group.
    pub(crate) fn min_ms(&self) -> Option<i64> {
        let chunks = self.chunks.iter().map(|chunk| chunk.head.min_ms);
        chunks.chain(self.open_min_ms()).min()
    }

    /// What a query at `epoch` sees of `min_ms..=max_ms`.
    pub(crate) fn view(
        &self,
        epoch: u64,
        min_ms: i64,
        max_ms: i64,
        files: &ChunkFiles,
    ) -> std::io::Result<View> {
        let meets = |from: i64, to: i64| from <= max_ms && to >= min_ms;
        let chunks = self.chunks.iter();
        let chunks = chunks.filter(|c| meets(c.head.min_ms, c.head.max_ms));
        let chunks = chunks.map(|chunk| {
            Ok(ViewChunk {
                bytes: files.bytes(chunk)?,
                chunk: Arc::clone(chunk),
            })
        });
        let rows = self.rows.iter();
        let rows = rows.filter(|row| row.epoch <= epoch && meets(row.at_ms, row.at_ms));
        let later = self.sealed_lately.iter().filter(|(e, _)| *e > epoch);
        Ok(View {
            chunks: chunks.collect::<std::io::Result<_>>()?,
            base: Arc::clone(&self.base),
            rows: rows.cloned().collect(),
            sides: self.sides.clone(),
            late: self.late.clone(),
            tombstones: Arc::clone(&self.tombstones),
            epoch,
            sealed_max_ms: later.map(|(_, ms)| ms - 1).min().unwrap_or(i64::MAX),
        })
    }
}

/// What few slots have open besides floats.
#[derive(Debug, Clone)]
pub(crate) struct OpenWide {
    pub(crate) histograms: Option<Arc<OpenColumn>>,
    pub(crate) starts: Option<Arc<Steps>>,
}

/// A chunk that a query reads.
#[derive(Debug)]
pub(crate) struct ViewChunk {
    pub(crate) chunk: Arc<Chunk>,
    pub(crate) bytes: ChunkBytes,
}

/// A group as a query sees it.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) chunks: Vec<ViewChunk>,
    pub(crate) base: Arc<[u64]>,
    pub(crate) rows: Vec<Row>,
    pub(crate) sides: Sides,
    pub(crate) late: LateSamples,
    pub(crate) tombstones: Arc<Tombstones>,
    pub(crate) epoch: u64,
    /// Rows of chunks after this were published later.
    pub(crate) sealed_max_ms: i64,
}
