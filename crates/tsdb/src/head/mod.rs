//! The head: what was appended lately, in memory and in the log.
//!
//! - [`index`]: which series there are, found by labels.
//! - [`groups`]: which targets there are, and who writes to them.
//! - [`group`]: the series of one target: open rows, then chunks.
//! - [`late`]: late samples on their way into blocks.
//! - [`delete`] puts tombstones over samples.
//! - [`limits`] keeps new series out, [`memory`] counts what all of it takes.
//! - [`chunk`], [`chunk_files`]: sealed columns and where they lie.
//! - [`selecting`]: which series a query meets; [`series`]: how it reads them.
//!
//! An append takes the lock of its group only: the rows are checked and encoded, the frame goes to
//! the log, and then the group shows it to queries. Queries copy a few pointers under that lock and
//! read without it. Locks are taken in this order: index, groups' table, group by ascending id, log.

mod append;
mod chunk;
mod chunk_files;
mod delete;
mod extras;
mod flush;
mod group;
mod groups;
mod histograms;
mod index;
mod late;
mod limits;
mod link;
mod memory;
mod postings;
mod replay;
mod selecting;
mod series;
mod sides;
mod starts;
mod truncate;
mod zeros;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use disk::Disk;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::{Labels, Matcher};
use storage::{HeadStats, StorageError, TsdbStats};

pub(crate) use limits::SeriesLimits;
pub(crate) use replay::Progress;
pub(crate) use selecting::{Asked, Selected};
pub(crate) use series::HeadSeries;

use crate::exemplars::Exemplars;
use crate::select;
use crate::series_metadata::SeriesMetadata;
use crate::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use crate::sync::{Mutex, RwLock};
use crate::wal::Wal;
pub(crate) use chunk_files::ChunkFiles;
use group::{Group, Scratch, Taken};
use index::Index;
use late::Lateness;
use limits::SeriesGate;

/// No more late samples wait for their block; batches with more are refused until some are
/// written. 96 MiB of floats.
const LATE_SAMPLES_MAX: u64 = 1 << 21;
/// With so many late samples, those whose time is in blocks do not wait for the next block.
const LATE_SAMPLES_DUE: u64 = LATE_SAMPLES_MAX / 4;

#[derive(Debug, Default)]
struct Groups {
    by_id: HashMap<u32, Arc<Group>, RandomState>,
    by_labels: HashMap<Labels, u32, RandomState>,
    next: u32,
}

/// Counts for the metrics.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) series_created: AtomicU64,
    pub(crate) series_removed: AtomicU64,
    pub(crate) series_not_found: AtomicU64,
    pub(crate) chunks_created: AtomicU64,
    pub(crate) chunks_removed: AtomicU64,
    pub(crate) truncations: AtomicU64,
    /// Records of the log and chunks that were damaged or made no sense.
    pub(crate) corruptions: AtomicU64,
    pub(crate) unknown_refs: AtomicU64,
    /// Late samples since the metrics last took note.
    pub(crate) late_appended: AtomicU64,
    /// Histograms since the metrics last took note.
    pub(crate) histograms_appended: AtomicU64,
}

/// Recent samples.
#[derive(Debug)]
pub(crate) struct Head {
    index: RwLock<Index>,
    groups: RwLock<Groups>,
    pub(crate) wal: Wal,
    files: ChunkFiles,
    pub(crate) gate: SeriesGate,
    /// Blocks begin at multiples of it.
    range_ms: i64,
    late_window_ms: AtomicI64,
    sync_every_append: bool,
    epoch: AtomicU64,
    /// Oldest and newest sample; `i64::MAX` and `i64::MIN` without samples.
    min_ms: AtomicI64,
    max_ms: AtomicI64,
    /// Samples before it are in blocks.
    valid_ms: AtomicI64,
    /// Late samples: about how many, oldest and newest as `min_ms` and `max_ms`.
    late_count: AtomicU64,
    late_min_ms: AtomicI64,
    late_max_ms: AtomicI64,
    /// Queries under way, by the epoch at which they began.
    queries: Mutex<BTreeMap<u64, usize>>,
    scratch: Mutex<Vec<(Scratch, Taken)>>,
    pub(crate) counts: Counts,
    pub(crate) exemplars: Exemplars,
    pub(crate) metadata: SeriesMetadata,
    pub(crate) lateness: Lateness,
}

impl Head {
    /// An empty head over the log and chunk files below `path`, whose folders it makes.
    pub(crate) fn new(
        disk: &Arc<dyn Disk>,
        path: &Path,
        range_ms: i64,
        segment_bytes_max: u64,
        sync_every_append: bool,
        limits: SeriesLimits,
    ) -> io::Result<Head> {
        let (wal, chunks) = (path.join("wal"), path.join("chunks_head"));
        disk.create_dir_all(&wal)?;
        disk.create_dir_all(&chunks)?;
        disk.sync_dir(path)?;
        Ok(Head {
            index: RwLock::default(),
            groups: RwLock::default(),
            wal: Wal::new(Arc::clone(disk), wal, segment_bytes_max),
            files: ChunkFiles::new(Arc::clone(disk), chunks, range_ms),
            gate: SeriesGate::new(limits),
            range_ms,
            late_window_ms: AtomicI64::new(0),
            sync_every_append,
            epoch: AtomicU64::new(0),
            min_ms: AtomicI64::new(i64::MAX),
            max_ms: AtomicI64::new(i64::MIN),
            valid_ms: AtomicI64::new(i64::MIN),
            late_count: AtomicU64::new(0),
            late_min_ms: AtomicI64::new(i64::MAX),
            late_max_ms: AtomicI64::new(i64::MIN),
            queries: Mutex::default(),
            scratch: Mutex::default(),
            counts: Counts::default(),
            exemplars: Exemplars::default(),
            metadata: SeriesMetadata::default(),
            lateness: Lateness::default(),
        })
    }

    /// Folder of the chunk files.
    pub(crate) fn chunks_dir(&self) -> &Path {
        self.files.dir()
    }

    /// Oldest and newest sample, if there are any.
    pub(crate) fn time_range(&self) -> Option<(i64, i64)> {
        let (min_ms, max_ms) = (self.min_ms.load(SeqCst), self.max_ms.load(SeqCst));
        (min_ms <= max_ms).then_some((min_ms, max_ms))
    }

    /// Samples before it are not taken and are in blocks.
    pub(crate) fn valid_ms(&self) -> i64 {
        self.valid_ms.load(SeqCst)
    }

    /// Begins a query: the number of the newest batch that it sees.
    pub(crate) fn begin_query(&self) -> u64 {
        let mut queries = self.queries.lock();
        let epoch = self.epoch.load(SeqCst);
        *queries.entry(epoch).or_default() += 1;
        epoch
    }

    /// Ends a query that began at `epoch`.
    pub(crate) fn end_query(&self, epoch: u64) {
        let mut queries = self.queries.lock();
        if let Some(count) = queries.get_mut(&epoch) {
            *count -= 1;
            if *count == 0 {
                queries.remove(&epoch);
            }
        }
    }

    /// Epoch of the oldest query that is under way, `u64::MAX` if there is none. Queries that
    /// begin later see everything that is published by now.
    fn oldest_query(&self) -> u64 {
        let queries = self.queries.lock();
        queries
            .first_key_value()
            .map_or(u64::MAX, |(epoch, _)| *epoch)
    }

    /// The labels of a series that the head holds.
    pub(crate) fn labels_of(&self, series: storage::SeriesRef) -> Option<Labels> {
        let (group, key) = group::group_and_key(series);
        let index = self.index.read();
        let group = self.groups.read().by_id.get(&group).cloned()?;
        let state = group.state.lock();
        let slot = state.slot(key)?;
        let id = *state.series.get(slot as usize)?;
        (id != group::GONE).then(|| index.labels(id))
    }

    /// The reference of the series with these labels, if the head holds it.
    pub(crate) fn reference_of(&self, labels: &Labels) -> Option<storage::SeriesRef> {
        let index = self.index.read();
        let id = index.id_of(labels)?;
        Some(storage::SeriesRef(index.home(id)))
    }

    /// Number of series.
    pub(crate) fn series_count(&self) -> usize {
        self.index.read().len()
    }

    pub(crate) fn all_groups(&self) -> Vec<Arc<Group>> {
        let groups = self.groups.read();
        let mut all: Vec<_> = groups.by_id.values().cloned().collect();
        all.sort_unstable_by_key(|group| group.id);
        all
    }

    /// Chunks: columns of series that are sealed, and one more for each series of a group with
    /// open rows.
    pub(crate) fn chunk_count(&self) -> u64 {
        let mut count = 0;
        for group in self.all_groups() {
            let state = group.state.lock();
            let sealed: usize = state.chunks.iter().map(|c| c.head.slots).sum();
            count += sealed as u64;
            if state.is_open() {
                count += (state.series.len() - state.gone) as u64;
            }
        }
        count
    }

    /// Series of native histograms, and the buckets of the newest one of each.
    pub(crate) fn histogram_counts(&self) -> (u64, u64) {
        let groups = self.all_groups();
        let counts = groups.iter().map(|g| g.state.lock().histograms.counts());
        counts.fold((0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1))
    }

    /// Gives what was read of chunks back to the system, where it stays as long as there is room.
    pub(crate) fn rest(&self) {
        for group in self.all_groups() {
            group.state.lock().release_chunks(&self.files);
        }
    }

    /// Whether a query over the range has to look here.
    pub(crate) fn overlaps(&self, min_ms: i64, max_ms: i64) -> bool {
        let mut ranges = self.time_range().into_iter().chain(self.late_range());
        ranges.any(|(min, max)| min <= max_ms && max >= min_ms)
    }

    /// As `storage::Querier::label_names`; all series of the head count.
    pub(crate) fn label_names(
        &self,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, StorageError> {
        select::label_names(&*self.index.read(), matchers, limit)
    }

    /// As `storage::Querier::label_values`; all series of the head count.
    pub(crate) fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, StorageError> {
        select::label_values(&*self.index.read(), name, matchers, limit)
    }

    /// Figures and top lists.
    pub(crate) fn stats(&self, limit: usize) -> TsdbStats {
        let chunks = self.chunk_count();
        let index = self.index.read();
        let [
            series_by_metric,
            values_by_label,
            bytes_by_label,
            series_by_pair,
        ] = index.top(limit);
        TsdbStats {
            head: HeadStats {
                series: index.len() as u64,
                label_pairs: index.pair_count() as u64,
                chunks,
                min_time_ms: self.min_ms.load(SeqCst),
                max_time_ms: self.max_ms.load(SeqCst),
            },
            series_by_metric,
            values_by_label,
            bytes_by_label,
            series_by_pair,
        }
    }

    fn with_scratch<T>(&self, work: impl FnOnce(&mut Scratch, &mut Taken) -> T) -> T {
        let (mut scratch, mut taken) = self.scratch.lock().pop().unwrap_or_default();
        scratch.frame.clear();
        let result = work(&mut scratch, &mut taken);
        self.scratch.lock().push((scratch, taken));
        result
    }

    fn note_corruption(&self, what: &str, place: impl std::fmt::Display) {
        self.counts.corruptions.fetch_add(1, Relaxed);
        tracing::warn!(%place, "Damaged data was skipped: {what}");
    }
}
